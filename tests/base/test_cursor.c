/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "support/shred.h"

#define LEN 23U

static const char text[LEN + 1] = "abcdefghijklmnopqrstuvw";

static void for_each_way(const char *bytes, size_t len, void (*fn)(struct shred *shred)) {
  for (size_t way = 0; way < shred_ways(len); way++) {
    struct shred shred;
    shred_way(&shred, bytes, len, way);
    fn(&shred);
    shred_free(&shred);
  }
}

static void begin(struct virtiofs_cursor *cur, const struct shred *shred) {
  virtiofs_cursor_init(cur, shred->iov, shred->count, virtiofs_iov_len(shred->iov, shred->count));
  assert_int_equal(cur->left, shred->len);
}

static void read_parts(struct shred *shred) {
  for (size_t first = 0; first <= LEN; first++) {
    struct virtiofs_cursor cur;
    char got[LEN + 1] = {0};
    begin(&cur, shred);
    assert_true(virtiofs_cursor_read(&cur, got, first));
    assert_int_equal(cur.left, LEN - first);
    assert_false(virtiofs_cursor_read(&cur, got, LEN - first + 1));
    assert_int_equal(cur.left, LEN - first);
    assert_true(virtiofs_cursor_read(&cur, got + first, LEN - first));
    assert_string_equal(got, text);
    assert_int_equal(cur.left, 0);
    assert_true(virtiofs_cursor_read(&cur, got, 0));
    assert_false(virtiofs_cursor_read(&cur, got, 1));
  }
}

static void reading_crosses_segments_and_stops_at_the_end(void **state) {
  (void)state;
  for_each_way(text, LEN, read_parts);
}

static void skip_parts(struct shred *shred) {
  for (size_t first = 0; first <= LEN; first++) {
    struct virtiofs_cursor cur;
    char got[LEN + 1] = {0};
    begin(&cur, shred);
    assert_true(virtiofs_cursor_skip(&cur, first));
    assert_false(virtiofs_cursor_skip(&cur, LEN - first + 1));
    assert_false(virtiofs_cursor_skip(&cur, SIZE_MAX));
    assert_true(virtiofs_cursor_read(&cur, got, LEN - first));
    assert_string_equal(got, text + first);
  }
}

static void skipping_moves_as_reading_does(void **state) {
  (void)state;
  for_each_way(text, LEN, skip_parts);
}

static void write_parts(struct shred *shred) {
  for (size_t first = 0; first <= LEN; first++) {
    struct virtiofs_cursor cur;
    unsigned char expected[LEN], got[LEN];
    memset(expected, 'X', first);
    memset(expected + first, 0, LEN - first);
    char fill[LEN + 1];
    memset(fill, 'X', sizeof fill);
    begin(&cur, shred);
    assert_true(virtiofs_cursor_write(&cur, fill, first));
    assert_false(virtiofs_cursor_write(&cur, fill, LEN - first + 1));
    assert_false(virtiofs_cursor_zero(&cur, LEN - first + 1));
    assert_true(virtiofs_cursor_zero(&cur, LEN - first));
    assert_false(virtiofs_cursor_zero(&cur, 1));
    shred_join(shred, got);
    assert_memory_equal(got, expected, LEN);
  }
}

static void writing_crosses_segments_and_stops_at_the_end(void **state) {
  (void)state;
  for_each_way(text, LEN, write_parts);
}

static const char two_strings[] = "first\0second";

static void read_two_strings(struct shred *shred) {
  struct virtiofs_cursor cur;
  char *got = malloc(sizeof two_strings);
  assert_non_null(got);
  begin(&cur, shred);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, sizeof two_strings), 5);
  assert_string_equal(got, "first");
  assert_int_equal(cur.left, sizeof two_strings - 6);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, sizeof two_strings), 6);
  assert_string_equal(got, "second");
  assert_int_equal(cur.left, 0);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, sizeof two_strings), -1);
  free(got);
}

static void strings_end_at_their_nul(void **state) {
  (void)state;
  for_each_way(two_strings, sizeof two_strings, read_two_strings);
}

/* The buffer has exactly as many bytes as are allowed. */
static void read_capped(struct shred *shred) {
  for (size_t cap = 1; cap <= 6; cap++) {
    struct virtiofs_cursor cur;
    char *got = malloc(cap);
    assert_non_null(got);
    begin(&cur, shred);
    ptrdiff_t len = virtiofs_cursor_read_string(&cur, got, cap);
    assert_int_equal(len, cap == 6 ? 5 : -1);
    assert_int_equal(cur.left, sizeof two_strings - (cap == 6 ? 6 : 0));
    free(got);
  }
}

static void strings_that_are_too_long_stay_unread(void **state) {
  (void)state;
  struct virtiofs_cursor cur = {0};
  for_each_way(two_strings, sizeof two_strings, read_capped);
  assert_int_equal(virtiofs_cursor_read_string(&cur, NULL, 0), -1);
}

static void read_unterminated(struct shred *shred) {
  struct virtiofs_cursor cur;
  char got[LEN * 2];
  begin(&cur, shred);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, sizeof got), -1);
  assert_int_equal(cur.left, LEN);
}

static void strings_without_a_nul_stay_unread(void **state) {
  (void)state;
  for_each_way(text, LEN, read_unterminated);
}

/* A NUL behind the cursor's end is none, though the memory is there. */
static void a_nul_behind_the_end_is_not_seen(void **state) {
  (void)state;
  struct iovec iov = {.iov_base = (char[]){'a', 'b', 'c', 0}, .iov_len = 4};
  struct virtiofs_cursor cur;
  char got[8];
  virtiofs_cursor_init(&cur, &iov, 1, 3);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, sizeof got), -1);
}

static void check_cut(size_t way, size_t begin_at, size_t len) {
  struct shred shred;
  struct virtiofs_cursor cur, check;
  struct iovec *first;
  char got[LEN + 1] = {0};
  shred_way(&shred, text, LEN, way);
  begin(&cur, &shred);
  assert_true(virtiofs_cursor_skip(&cur, begin_at));
  size_t expected = len < LEN - begin_at ? len : LEN - begin_at;
  uint32_t count = virtiofs_cursor_cut(&cur, shred.iov, len, &first);
  assert_int_equal(virtiofs_iov_len(first, count), expected);
  assert_true(first >= shred.iov && first + count <= shred.iov + shred.count);
  for (uint32_t i = 0; i < count; i++)
    assert_int_not_equal(first[i].iov_len, 0);
  virtiofs_cursor_init(&check, first, count, expected);
  assert_true(virtiofs_cursor_read(&check, got, expected));
  assert_memory_equal(got, text + begin_at, expected);
  shred_free(&shred);
}

static void a_cut_holds_the_bytes_asked_for(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(LEN); way++)
    for (size_t at = 0; at <= LEN; at++)
      for (size_t len = 0; len <= LEN + 2; len++)
        check_cut(way, at, len);
}

static void empty_segments_are_passed_over(void **state) {
  (void)state;
  struct iovec iov[] = {{NULL, 0}, {(char[]){'a'}, 1}, {NULL, 0}, {NULL, 0}, {(char[]){'b', 0}, 2}, {NULL, 0}};
  struct virtiofs_cursor cur;
  char got[3];
  virtiofs_cursor_init(&cur, iov, 6, virtiofs_iov_len(iov, 6));
  assert_true(virtiofs_cursor_read(&cur, got, 3));
  assert_string_equal(got, "ab");
  virtiofs_cursor_init(&cur, iov, 6, 3);
  assert_int_equal(virtiofs_cursor_read_string(&cur, got, 3), 2);
}

static void nothing_can_be_read_from_nothing(void **state) {
  (void)state;
  struct virtiofs_cursor cur;
  struct iovec *first;
  char byte;
  assert_int_equal(virtiofs_iov_len(NULL, 0), 0);
  virtiofs_cursor_init(&cur, NULL, 0, 0);
  assert_true(virtiofs_cursor_read(&cur, &byte, 0));
  assert_false(virtiofs_cursor_read(&cur, &byte, 1));
  assert_int_equal(virtiofs_cursor_cut(&cur, NULL, 5, &first), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reading_crosses_segments_and_stops_at_the_end),
      cmocka_unit_test(skipping_moves_as_reading_does),
      cmocka_unit_test(writing_crosses_segments_and_stops_at_the_end),
      cmocka_unit_test(strings_end_at_their_nul),
      cmocka_unit_test(strings_that_are_too_long_stay_unread),
      cmocka_unit_test(strings_without_a_nul_stay_unread),
      cmocka_unit_test(a_nul_behind_the_end_is_not_seen),
      cmocka_unit_test(a_cut_holds_the_bytes_asked_for),
      cmocka_unit_test(empty_segments_are_passed_over),
      cmocka_unit_test(nothing_can_be_read_from_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
