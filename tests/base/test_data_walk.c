/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/data.h>

#include "support/shred.h"

#define LEN 17U

static const char text[LEN + 1] = "0123456789abcdefg";

static size_t size_of(const struct iovec *iov, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++)
    size += iov[i].iov_len;
  return size;
}

/* As pwritev(2) does that takes @most bytes at once. */
static size_t take(const struct iovec *iov, int count, size_t most, char *to) {
  size_t taken = 0;
  for (int i = 0; i < count && taken < most; i++) {
    size_t part = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
    if (part > 0)
      memcpy(to + taken, iov[i].iov_base, part);
    taken += part;
  }
  return taken;
}

static void check_walk(const struct shred *shred, size_t size, size_t most) {
  struct virtiofs_data data = {.iov = shred->iov, .count = shred->count, .size = shred->len};
  struct virtiofs_data_walk walk;
  const struct iovec *iov = NULL, *again;
  char got[LEN];
  const size_t expected = size < LEN ? size : LEN;
  virtiofs_data_walk_start(&walk, &data, size);
  assert_int_equal(walk.left, expected);
  while (walk.left > 0) {
    int count = virtiofs_data_walk_next(&walk, &iov);
    assert_in_range(count, 1, IOV_MAX);
    assert_in_range(size_of(iov, count), 1, walk.left);
    assert_int_equal(virtiofs_data_walk_next(&walk, &again), count);
    assert_ptr_equal(again, iov);
    size_t n = take(iov, count, most, got + walk.done);
    virtiofs_data_walk_on(&walk, n);
    assert_int_equal(walk.done + walk.left, expected);
  }
  assert_int_equal(walk.done, expected);
  if (expected > 0)
    assert_memory_equal(got, text, expected);
  iov = NULL;
  assert_int_equal(virtiofs_data_walk_next(&walk, &iov), 0);
  assert_null(iov);
}

static void every_byte_comes_once(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(LEN); way++) {
    struct shred shred;
    shred_way(&shred, text, LEN, way);
    for (size_t size = 0; size <= LEN + 2; size++)
      for (size_t most = 1; most <= LEN; most++)
        check_walk(&shred, size, most);
    check_walk(&shred, SIZE_MAX, 3);
    shred_free(&shred);
  }
}

static void empty_segments_are_passed(void **state) {
  (void)state;
  char memory[3] = "abc";
  const struct iovec segments[] = {{NULL, 0}, {memory, 1}, {memory, 0}, {NULL, 0}, {memory + 1, 2}, {NULL, 0}};
  const struct virtiofs_data data = {.iov = segments, .count = 6, .size = 3};
  struct virtiofs_data_walk walk;
  const struct iovec *iov;
  virtiofs_data_walk_start(&walk, &data, 3);
  int count = virtiofs_data_walk_next(&walk, &iov);
  assert_int_equal(size_of(iov, count), 3);
  virtiofs_data_walk_on(&walk, 1);
  count = virtiofs_data_walk_next(&walk, &iov);
  assert_int_equal(size_of(iov, count), 2);
  assert_ptr_equal(iov[0].iov_base, memory + 1);
}

/* Whole segments come from the caller's own array, at most as many as a system call takes. */
static void there_is_a_limit_to_a_call(void **state) {
  (void)state;
  enum { MANY = 2 * IOV_MAX + 1 };
  char *memory = calloc(1, MANY);
  struct iovec *iov = calloc(MANY, sizeof(*iov));
  assert_non_null(memory);
  assert_non_null(iov);
  for (size_t i = 0; i < MANY; i++)
    iov[i] = (struct iovec){.iov_base = memory + i, .iov_len = 1};
  struct virtiofs_data data = {.iov = iov, .count = MANY, .size = MANY};
  struct virtiofs_data_walk walk;
  const struct iovec *part;
  virtiofs_data_walk_start(&walk, &data, SIZE_MAX);
  assert_int_equal(virtiofs_data_walk_next(&walk, &part), IOV_MAX);
  assert_ptr_equal(part, iov);
  virtiofs_data_walk_on(&walk, IOV_MAX);
  assert_int_equal(virtiofs_data_walk_next(&walk, &part), IOV_MAX);
  assert_ptr_equal(part, iov + IOV_MAX);
  virtiofs_data_walk_on(&walk, IOV_MAX);
  assert_int_equal(virtiofs_data_walk_next(&walk, &part), 1);
  free(iov);
  free(memory);
}

static void more_than_all_is_all(void **state) {
  (void)state;
  char memory[4] = "abcd";
  const struct iovec iov = {.iov_base = memory, .iov_len = 4};
  const struct virtiofs_data data = {.iov = &iov, .count = 1, .size = 4}, none = {0};
  struct virtiofs_data_walk walk;
  const struct iovec *part = NULL;
  virtiofs_data_walk_start(&walk, &data, 3);
  virtiofs_data_walk_on(&walk, SIZE_MAX);
  assert_int_equal(walk.left, 0);
  assert_int_equal(walk.done, 3);
  assert_int_equal(virtiofs_data_walk_next(&walk, &part), 0);
  virtiofs_data_walk_start(&walk, &none, 3);
  assert_int_equal(walk.left, 0);
  assert_int_equal(virtiofs_data_walk_next(&walk, &part), 0);
  assert_null(part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_byte_comes_once),
      cmocka_unit_test(empty_segments_are_passed),
      cmocka_unit_test(there_is_a_limit_to_a_call),
      cmocka_unit_test(more_than_all_is_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
