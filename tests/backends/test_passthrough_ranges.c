/* SPDX-License-Identifier: BSD-3-Clause */
/* Locked ranges: by hand, and by a model that has a type for each byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "backends/passthrough/ranges.h"

#include "../support/seeded.h"

enum { BYTES = 24, STEPS = 20000 };

static void set(struct lock_ranges *ranges, uint64_t start, uint64_t end, uint32_t type, uint32_t pid) {
  struct virtiofs_lock lock = {.start = start, .end = end, .type = type, .pid = pid};
  struct lock_ranges next;
  assert_int_equal(virtiofs_passthrough_ranges_set(ranges, &lock, &next), 0);
  virtiofs_passthrough_ranges_free(ranges);
  *ranges = next;
}

static void assert_range(const struct lock_ranges *ranges, uint32_t i, uint64_t start, uint64_t end, uint32_t type) {
  assert_true(i < ranges->count);
  assert_int_equal(ranges->list[i].start, start);
  assert_int_equal(ranges->list[i].end, end);
  assert_int_equal(ranges->list[i].type, type);
}

static void splitting_and_joining(void **state) {
  (void)state;
  struct lock_ranges r = {.count = 0};
  set(&r, 0, INT64_MAX, F_WRLCK, 7);
  assert_int_equal(r.count, 1);
  set(&r, 10, 19, F_UNLCK, 7);
  assert_int_equal(r.count, 2);
  assert_range(&r, 0, 0, 9, F_WRLCK);
  assert_range(&r, 1, 20, INT64_MAX, F_WRLCK);
  set(&r, 15, 15, F_RDLCK, 8);
  assert_int_equal(r.count, 3);
  assert_range(&r, 1, 15, 15, F_RDLCK);
  assert_int_equal(r.list[1].pid, 8);
  set(&r, 10, 19, F_WRLCK, 7);
  assert_int_equal(r.count, 1);
  assert_range(&r, 0, 0, INT64_MAX, F_WRLCK);
  set(&r, 0, INT64_MAX, F_UNLCK, 7);
  assert_int_equal(r.count, 0);
  virtiofs_passthrough_ranges_free(&r);
}

static void what_is_in_the_way(void **state) {
  (void)state;
  struct lock_ranges r = {.count = 0};
  set(&r, 10, 19, F_RDLCK, 1);
  set(&r, 30, 39, F_WRLCK, 2);
  struct virtiofs_lock wanted = {.start = 0, .end = 9, .type = F_WRLCK};
  assert_null(virtiofs_passthrough_ranges_find(&r, &wanted));
  wanted.end = 10;
  assert_ptr_equal(virtiofs_passthrough_ranges_find(&r, &wanted), &r.list[0]);
  wanted.type = F_RDLCK;
  assert_null(virtiofs_passthrough_ranges_find(&r, &wanted));
  wanted.end = INT64_MAX;
  assert_ptr_equal(virtiofs_passthrough_ranges_find(&r, &wanted), &r.list[1]);
  wanted.start = 40;
  assert_null(virtiofs_passthrough_ranges_find(&r, &wanted));
  virtiofs_passthrough_ranges_free(&r);
}

static void as_a_type_for_each_byte(void **state) {
  (void)state;
  static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
  uint32_t model[BYTES];
  struct lock_ranges r = {.count = 0};
  for (unsigned i = 0; i < BYTES; i++)
    model[i] = F_UNLCK;
  for (unsigned step = 0; step < STEPS; step++) {
    uint64_t start = seeded_below(BYTES), end = start + seeded_below(BYTES - start);
    uint32_t type = types[seeded_below(3)];
    set(&r, start, end, type, 1);
    for (uint64_t i = start; i <= end; i++)
      model[i] = type;
    uint32_t at = 0;
    for (uint64_t i = 0; i < BYTES;) {
      uint64_t first = i;
      while (i < BYTES && model[i] == model[first])
        i++;
      if (model[first] != F_UNLCK)
        assert_range(&r, at++, first, i - 1, model[first]);
    }
    assert_int_equal(r.count, at);
  }
  virtiofs_passthrough_ranges_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(splitting_and_joining),
      cmocka_unit_test(what_is_in_the_way),
      cmocka_unit_test(as_a_type_for_each_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
