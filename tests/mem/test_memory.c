/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include <cmocka.h>

#include <virtiofs/memory.h>

static unsigned char host[4][0x1000];
static int released[4];

static void release(void *owner) { (*(int *)owner)++; }

static struct virtiofs_memory_region region(uint32_t i, uint64_t gpa, uint64_t size, uint64_t uva) {
  return (struct virtiofs_memory_region){.gpa = gpa, .size = size, .uva = uva, .host = host[i], .owner = &released[i]};
}

/* Regions 0 and 1 touch; there is a hole before region 2. */
static struct virtiofs_memory *three(void) {
  struct virtiofs_memory *map;
  struct virtiofs_memory_region regions[] = {region(2, 0x8000, 0x1000, 0x700000), region(0, 0x1000, 0x1000, 0x900000),
                                             region(1, 0x2000, 0x1000, 0x100000)};
  assert_int_equal(virtiofs_memory_new(&map, regions, 3, release), 0);
  return map;
}

static int try_two(struct virtiofs_memory_region a, struct virtiofs_memory_region b) {
  struct virtiofs_memory *map;
  int rc = virtiofs_memory_new(&map, (struct virtiofs_memory_region[]){a, b}, 2, release);
  if (rc != 0)
    assert_null(map);
  else
    virtiofs_memory_unref(map);
  return rc;
}

static int try_one(uint64_t gpa, uint64_t size, uint64_t uva) {
  struct virtiofs_memory *map;
  struct virtiofs_memory_region one = region(0, gpa, size, uva);
  int rc = virtiofs_memory_new(&map, &one, 1, release);
  virtiofs_memory_unref(map);
  return rc;
}

static void regions_are_put_in_order(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  assert_int_equal(virtiofs_memory_count(map), 3);
  assert_int_equal(virtiofs_memory_region_get(map, 0)->gpa, 0x1000);
  assert_int_equal(virtiofs_memory_region_get(map, 2)->gpa, 0x8000);
  assert_null(virtiofs_memory_region_get(map, 3));
  assert_null(virtiofs_memory_region_get(map, UINT32_MAX));
  virtiofs_memory_unref(map);
}

static void bad_regions_are_refused(void **state) {
  (void)state;
  int before = released[0];
  assert_int_equal(try_one(0x1000, 0, 0), -EPROTO);
  assert_int_equal(try_one(UINT64_MAX - 0xfff, 0x1001, 0), -EPROTO);
  assert_int_equal(try_one(0, 0x1001, UINT64_MAX - 0xfff), -EPROTO);
  assert_int_equal(try_one(2, UINT64_MAX, 0), -EPROTO);
  assert_int_equal(released[0], before);
  assert_int_equal(try_one(0x1000, 0x1000, 0), 0);
}

static void regions_may_touch_but_not_overlap(void **state) {
  (void)state;
  struct virtiofs_memory_region a = region(0, 0x1000, 0x1000, 0x10000);
  assert_int_equal(try_two(a, region(1, 0x2000, 0x1000, 0x20000)), 0);
  assert_int_equal(try_two(a, region(1, 0, 0x1000, 0x20000)), 0);
  assert_int_equal(try_two(a, region(1, 0x1fff, 0x1000, 0x20000)), -EPROTO);
  assert_int_equal(try_two(a, region(1, 0, 0x1001, 0x20000)), -EPROTO);
  assert_int_equal(try_two(a, region(1, 0x1000, 0x1000, 0x20000)), -EPROTO);
  assert_int_equal(try_two(a, region(1, 0x1800, 1, 0x20000)), -EPROTO);
  assert_int_equal(try_two(a, region(1, 0x5000, 0x1000, 0x10fff)), -EPROTO);
  assert_int_equal(try_two(a, region(1, 0x5000, 0x1000, 0x11000)), 0);
  assert_int_equal(try_two(a, region(1, 0x5000, 0x1000, 0xf001)), -EPROTO);
}

static void the_number_of_regions_is_limited(void **state) {
  (void)state;
  static struct virtiofs_memory_region many[VIRTIOFS_MEMORY_REGIONS_MAX + 1];
  struct virtiofs_memory *map;
  for (uint32_t i = 0; i <= VIRTIOFS_MEMORY_REGIONS_MAX; i++)
    many[i] = region(0, UINT64_C(0x10000) * (i * 7 % 510), 0x1000, UINT64_C(0x10000) * i);
  assert_int_equal(virtiofs_memory_new(&map, many, VIRTIOFS_MEMORY_REGIONS_MAX + 1, release), -E2BIG);
  assert_null(map);
  assert_int_equal(virtiofs_memory_new(&map, many, VIRTIOFS_MEMORY_REGIONS_MAX, NULL), 0);
  for (uint32_t i = 0; i < VIRTIOFS_MEMORY_REGIONS_MAX; i++) {
    uint64_t len = 1;
    uint32_t hint = 0;
    assert_non_null(virtiofs_memory_gpa(map, many[i].gpa, &len, &hint));
    assert_int_equal(virtiofs_memory_region_get(map, hint)->gpa, many[i].gpa);
    assert_non_null(virtiofs_memory_uva(map, many[i].uva + 0xfff, 1));
    assert_null(virtiofs_memory_uva(map, many[i].uva + 0x1000, 1));
  }
  virtiofs_memory_unref(map);
}

static void addresses_are_found_whatever_the_hint(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  for (uint32_t start = 0; start < 5; start++) {
    uint32_t hint = start == 4 ? UINT32_MAX : start;
    uint64_t len = 16;
    assert_ptr_equal(virtiofs_memory_gpa(map, 0x1ff0, &len, &hint), host[0] + 0xff0);
    assert_int_equal(len, 16);
    assert_int_equal(hint, 0);
    hint = start;
    assert_ptr_equal(virtiofs_memory_gpa(map, 0x8fff, &(uint64_t){1}, &hint), host[2] + 0xfff);
    assert_int_equal(hint, 2);
  }
  virtiofs_memory_unref(map);
}

static void a_range_comes_out_in_pieces(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  uint32_t hint = 0;
  uint64_t len = 0x1800;
  assert_ptr_equal(virtiofs_memory_gpa(map, 0x1800, &len, &hint), host[0] + 0x800);
  assert_int_equal(len, 0x800);
  len = 0x1000;
  assert_ptr_equal(virtiofs_memory_gpa(map, 0x2000, &len, &hint), host[1]);
  assert_int_equal(len, 0x1000);
  virtiofs_memory_unref(map);
}

static void check_nowhere(const struct virtiofs_memory *map, uint64_t gpa, uint64_t len) {
  for (uint32_t hint = 0; hint < 4; hint++) {
    uint64_t asked = len;
    uint32_t used = hint;
    assert_null(virtiofs_memory_gpa(map, gpa, &asked, &used));
    assert_int_equal(asked, len);
  }
}

static void addresses_outside_are_not_found(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  check_nowhere(map, 0, 1);
  check_nowhere(map, 0xfff, 0x1000);
  check_nowhere(map, 0x3000, 1);
  check_nowhere(map, 0x7fff, 2);
  check_nowhere(map, 0x9000, 1);
  check_nowhere(map, UINT64_MAX, 1);
  check_nowhere(map, 0x1000, 0);
  check_nowhere(map, 0x1000, UINT64_MAX);
  virtiofs_memory_unref(map);
}

static void the_last_byte_of_all_addresses_can_be_reached(void **state) {
  (void)state;
  struct virtiofs_memory *map;
  struct virtiofs_memory_region top = region(0, UINT64_MAX - 0xfff, 0x1000, 0);
  uint64_t len = 0x1000;
  uint32_t hint = 0;
  assert_int_equal(virtiofs_memory_new(&map, &top, 1, NULL), 0);
  assert_ptr_equal(virtiofs_memory_gpa(map, UINT64_MAX - 0xfff, &len, &hint), host[0]);
  assert_int_equal(len, 0x1000);
  len = 2;
  assert_null(virtiofs_memory_gpa(map, UINT64_MAX, &len, &hint));
  virtiofs_memory_unref(map);
}

static void a_range_of_the_front_end_is_in_one_region(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  assert_ptr_equal(virtiofs_memory_uva(map, 0x900000, 0x1000), host[0]);
  assert_ptr_equal(virtiofs_memory_uva(map, 0x100fff, 1), host[1] + 0xfff);
  assert_null(virtiofs_memory_uva(map, 0x900000, 0x1001));
  assert_null(virtiofs_memory_uva(map, 0x900001, UINT64_MAX));
  assert_null(virtiofs_memory_uva(map, 0x8fffff, 2));
  assert_null(virtiofs_memory_uva(map, 0x901000, 1));
  assert_null(virtiofs_memory_uva(map, UINT64_MAX, 2));
  virtiofs_memory_unref(map);
}

static void an_empty_map_holds_nothing(void **state) {
  (void)state;
  struct virtiofs_memory *map;
  uint64_t len = 1;
  uint32_t hint = 0;
  assert_int_equal(virtiofs_memory_new(&map, NULL, 0, release), 0);
  assert_int_equal(virtiofs_memory_count(map), 0);
  assert_null(virtiofs_memory_region_get(map, 0));
  assert_null(virtiofs_memory_gpa(map, 0, &len, &hint));
  assert_null(virtiofs_memory_uva(map, 0, 1));
  virtiofs_memory_unref(map);
}

static void the_last_reference_releases_each_region_once(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  int before[3] = {released[0], released[1], released[2]};
  assert_ptr_equal(virtiofs_memory_ref(map), map);
  virtiofs_memory_unref(map);
  assert_int_equal(released[0], before[0]);
  virtiofs_memory_unref(map);
  for (int i = 0; i < 3; i++)
    assert_int_equal(released[i], before[i] + 1);
  assert_null(virtiofs_memory_ref(NULL));
  virtiofs_memory_unref(NULL);
}

static void *come_and_go(void *arg) {
  for (int i = 0; i < 20000; i++)
    virtiofs_memory_unref(virtiofs_memory_ref(arg));
  return NULL;
}

static void references_are_counted_by_many_threads(void **state) {
  (void)state;
  struct virtiofs_memory *map = three();
  int before = released[0];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, map), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(released[0], before);
  virtiofs_memory_unref(map);
  assert_int_equal(released[0], before + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(regions_are_put_in_order),
      cmocka_unit_test(bad_regions_are_refused),
      cmocka_unit_test(regions_may_touch_but_not_overlap),
      cmocka_unit_test(the_number_of_regions_is_limited),
      cmocka_unit_test(addresses_are_found_whatever_the_hint),
      cmocka_unit_test(a_range_comes_out_in_pieces),
      cmocka_unit_test(addresses_outside_are_not_found),
      cmocka_unit_test(the_last_byte_of_all_addresses_can_be_reached),
      cmocka_unit_test(a_range_of_the_front_end_is_in_one_region),
      cmocka_unit_test(an_empty_map_holds_nothing),
      cmocka_unit_test(the_last_reference_releases_each_region_once),
      cmocka_unit_test(references_are_counted_by_many_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
