/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include "dax/ranges.h"
#include "support/seeded.h"

#define MANY 100000U

static struct virtiofs_dax_range *of(const struct virtiofs_dax_ranges *r, uint32_t i) {
  return &r->slabs[i / 512][i % 512];
}

/* In order, balanced, heights right. The subtree's height. */
static unsigned check(const struct virtiofs_dax_ranges *r, uint32_t i, uint64_t low, uint64_t high, uint32_t *count) {
  if (i == UINT32_MAX)
    return 0;
  const struct virtiofs_dax_range *range = of(r, i);
  assert_true(range->start >= low && range->start + range->len <= high);
  unsigned left = check(r, range->child[0], low, range->start, count);
  unsigned right = check(r, range->child[1], range->start + range->len, high, count);
  assert_true(left <= right + 1 && right <= left + 1);
  assert_int_equal(range->height, 1 + (left > right ? left : right));
  ++*count;
  return range->height;
}

static void check_all(const struct virtiofs_dax_ranges *r) {
  uint32_t count = 0;
  (void)check(r, r->root, 0, UINT64_MAX, &count);
  assert_int_equal(count, r->count);
}

/* Ranges at even numbers come and go. */
static void come_and_go(void **state) {
  enum { SLOTS = 300 };
  struct virtiofs_dax_ranges r;
  bool there[SLOTS] = {false};
  (void)state;
  assert_int_equal(virtiofs_dax_ranges_init(&r, SLOTS), 0);
  for (unsigned step = 0; step < 20000; step++) {
    uint32_t slot = (uint32_t)seeded_below(SLOTS);
    if (there[slot]) {
      virtiofs_dax_ranges_erase(&r, slot * 2U);
    } else {
      struct virtiofs_dax_range range = {.start = slot * 2U, .len = 1, .offset = slot, .file = slot + 7};
      assert_int_equal(virtiofs_dax_ranges_reserve(&r, 1), 0);
      virtiofs_dax_ranges_insert(&r, &range);
    }
    there[slot] = !there[slot];
    check_all(&r);
    uint64_t at = seeded_below(2 * SLOTS + 2);
    uint32_t want = (uint32_t)(at + 1) / 2;
    while (want < SLOTS && !there[want])
      want++;
    const struct virtiofs_dax_range *found = virtiofs_dax_ranges_after(&r, at);
    if (want >= SLOTS) {
      assert_null(found);
    } else {
      assert_non_null(found);
      assert_int_equal(found->start, want * 2U);
      assert_int_equal(found->offset, want);
      assert_int_equal(found->file, want + 7);
    }
  }
  virtiofs_dax_ranges_fini(&r);
}

static void limit(void **state) {
  struct virtiofs_dax_ranges r;
  (void)state;
  assert_int_equal(virtiofs_dax_ranges_init(&r, 3), 0);
  assert_int_equal(virtiofs_dax_ranges_reserve(&r, 4), -ENOMEM);
  assert_int_equal(virtiofs_dax_ranges_reserve(&r, 3), 0);
  for (uint64_t i = 0; i < 3; i++)
    virtiofs_dax_ranges_insert(&r, &(struct virtiofs_dax_range){.start = i, .len = 1});
  assert_int_equal(virtiofs_dax_ranges_reserve(&r, 1), -ENOMEM);
  virtiofs_dax_ranges_erase(&r, 1);
  assert_int_equal(virtiofs_dax_ranges_reserve(&r, 1), 0);
  virtiofs_dax_ranges_clear(&r);
  assert_null(virtiofs_dax_ranges_after(&r, 0));
  assert_int_equal(virtiofs_dax_ranges_reserve(&r, 3), 0);
  virtiofs_dax_ranges_fini(&r);
}

/* In whatever order they come, a path is no longer than a balanced tree's; and how much memory each takes. */
static void many(void **state) {
  (void)state;
  for (unsigned order = 0; order < 3; order++) {
    struct virtiofs_dax_ranges r;
    assert_int_equal(virtiofs_dax_ranges_init(&r, MANY), 0);
    for (uint32_t i = 0; i < MANY; i++) {
      uint32_t at = order == 0 ? i : order == 1 ? MANY - 1 - i : i * 7919U % MANY;
      assert_int_equal(virtiofs_dax_ranges_reserve(&r, 1), 0);
      virtiofs_dax_ranges_insert(&r, &(struct virtiofs_dax_range){.start = at, .len = 1});
    }
    check_all(&r);
    assert_true(of(&r, r.root)->height <= 24); /* 1.44 log2(100,000) */
    assert_true(r.room * sizeof(struct virtiofs_dax_range) + r.slab_count * sizeof(void *) <= MANY * 64U);
    virtiofs_dax_ranges_fini(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(come_and_go),
      cmocka_unit_test(limit),
      cmocka_unit_test(many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
