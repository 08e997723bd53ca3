/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/types.h>

#include "support/shred.h"

#define LEN 17U

static const char text[LEN + 1] = "0123456789abcdefg";

static void check_copy(const struct shred *shred, size_t offset, size_t len) {
  struct virtiofs_data data = {.iov = shred->iov, .count = shred->count, .size = shred->len};
  size_t expected = offset > LEN ? 0 : LEN - offset;
  expected = len < expected ? len : expected;
  char *got = malloc(len + 1);
  assert_non_null(got);
  memset(got, '#', len + 1);
  assert_int_equal(virtiofs_data_copy(&data, offset, got, len), expected);
  if (expected > 0)
    assert_memory_equal(got, text + offset, expected);
  assert_int_equal(got[expected], '#');
  free(got);
}

static void copying_ends_with_the_data(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(LEN); way++) {
    struct shred shred;
    shred_way(&shred, text, LEN, way);
    for (size_t offset = 0; offset <= LEN + 2; offset++)
      for (size_t len = 0; len <= LEN + 2; len++)
        check_copy(&shred, offset, len);
    check_copy(&shred, SIZE_MAX, 1);
    shred_free(&shred);
  }
}

static void check_fill(size_t way, size_t offset, size_t len) {
  struct shred shred;
  char expected[LEN], got[LEN], from[LEN + 2];
  shred_way(&shred, text, LEN, way);
  memset(from, '*', sizeof from);
  memcpy(expected, text, LEN);
  size_t room = offset > LEN ? 0 : LEN - offset;
  room = len < room ? len : room;
  if (room > 0)
    memset(expected + offset, '*', room);
  struct virtiofs_data data = {.iov = shred.iov, .count = shred.count, .size = LEN};
  assert_int_equal(virtiofs_data_fill(&data, offset, from, len), room);
  shred_join(&shred, got);
  assert_memory_equal(got, expected, LEN);
  shred_free(&shred);
}

static void filling_ends_with_the_data(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(LEN); way++)
    for (size_t offset = 0; offset <= LEN + 1; offset++)
      for (size_t len = 0; len <= LEN + 2; len++)
        check_fill(way, offset, len);
}

static void no_data_is_no_segments(void **state) {
  (void)state;
  struct virtiofs_data none = {0};
  char byte = 'x';
  assert_int_equal(virtiofs_data_copy(&none, 0, &byte, 1), 0);
  assert_int_equal(virtiofs_data_fill(&none, 0, &byte, 1), 0);
  assert_int_equal(virtiofs_data_copy(&none, 1, &byte, 1), 0);
  assert_int_equal(byte, 'x');
}

/* The segments may hold more than the data does. */
static void the_size_bounds_the_segments(void **state) {
  (void)state;
  char memory[8] = "abcdefg";
  struct iovec iov = {.iov_base = memory, .iov_len = sizeof memory};
  struct virtiofs_data data = {.iov = &iov, .count = 1, .size = 3};
  char got[8] = {0};
  assert_int_equal(virtiofs_data_copy(&data, 0, got, sizeof got), 3);
  assert_string_equal(got, "abc");
  assert_int_equal(virtiofs_data_fill(&data, 2, "XYZ", 3), 1);
  assert_string_equal(memory, "abXdefg");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copying_ends_with_the_data),
      cmocka_unit_test(filling_ends_with_the_data),
      cmocka_unit_test(no_data_is_no_segments),
      cmocka_unit_test(the_size_bounds_the_segments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
