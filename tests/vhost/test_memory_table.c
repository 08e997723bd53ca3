/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_frontend.h"
#include "vhost/memory_table.h"

static int fd;

static int setup(void **state) {
  (void)state;
  fd = vhost_frontend_memfd(0x10000);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  close(fd);
  assert_int_equal(vhost_frontend_count_maps(), 0);
  return 0;
}

static struct virtiofs_vhost_user_region region(uint32_t n) {
  return (struct virtiofs_vhost_user_region){
      .gpa = UINT64_C(0x1000) * n, .size = 0x1000, .uva = 0x80000 + UINT64_C(0x1000) * n, .mmap_offset = 0x1000};
}

static struct virtiofs_memory *table_of(uint32_t count) {
  struct virtiofs_vhost_user_mem_table table = {.count = count};
  int fds[8] = {0};
  for (uint32_t i = 0; i < count; i++) {
    table.regions[i] = region(i);
    fds[i] = fd;
  }
  struct virtiofs_memory *map;
  assert_int_equal(virtiofs_vhost_memory_table_set(&map, &table, fds), 0);
  assert_int_equal(virtiofs_memory_count(map), count);
  return map;
}

static void a_table_is_mapped_as_it_says(void **state) {
  (void)state;
  struct virtiofs_memory *map = table_of(2);
  assert_int_equal(pwrite(fd, "here", 4, 0x1010), 4);
  const struct virtiofs_memory_region *have = virtiofs_memory_region_get(map, 1);
  assert_int_equal(have->gpa, 0x1000);
  assert_int_equal(have->uva, 0x81000);
  assert_int_equal(have->size, 0x1000);
  assert_memory_equal((char *)have->host + 0x10, "here", 4);
  assert_int_equal(vhost_frontend_count_maps(), 2);
  virtiofs_memory_unref(map);
}

static void an_empty_table_is_one(void **state) {
  (void)state;
  virtiofs_memory_unref(table_of(0));
}

/* The third region can't be mapped, or overlaps: the first two don't stay. */
static void a_bad_region_leaves_nothing_mapped(void **state) {
  (void)state;
  for (uint32_t wrong = 0; wrong < 4; wrong++) {
    struct virtiofs_vhost_user_mem_table table = {.count = 3, .regions = {region(0), region(1), region(2)}};
    int fds[3] = {fd, fd, fd};
    if (wrong == 0)
      table.regions[2].mmap_offset = 0x10000;
    if (wrong == 1)
      table.regions[2].gpa = 0x1fff;
    if (wrong == 2)
      table.regions[2].uva = 0x80001;
    if (wrong == 3)
      fds[2] = -1;
    struct virtiofs_memory *map;
    assert_int_equal(virtiofs_vhost_memory_table_set(&map, &table, fds), wrong == 3 ? -EBADF : -EPROTO);
    assert_null(map);
    assert_int_equal(vhost_frontend_count_maps(), 0);
  }
}

static void an_added_region_leaves_the_others_where_they_are(void **state) {
  (void)state;
  struct virtiofs_memory *old = table_of(1), *map;
  const struct virtiofs_vhost_user_region added = region(1);
  assert_int_equal(virtiofs_vhost_memory_table_add(&map, old, &added, fd), 0);
  assert_int_equal(virtiofs_memory_count(map), 2);
  assert_int_equal(virtiofs_memory_count(old), 1);
  assert_ptr_equal(virtiofs_memory_region_get(map, 0)->host, virtiofs_memory_region_get(old, 0)->host);
  virtiofs_memory_unref(old);
  *(volatile char *)virtiofs_memory_region_get(map, 0)->host = 1;
  assert_int_equal(vhost_frontend_count_maps(), 2);
  virtiofs_memory_unref(map);
}

static void the_first_region_may_be_added_to_nothing(void **state) {
  (void)state;
  struct virtiofs_memory *map;
  const struct virtiofs_vhost_user_region added = region(0);
  assert_int_equal(virtiofs_vhost_memory_table_add(&map, NULL, &added, fd), 0);
  virtiofs_memory_unref(map);
}

static void a_region_that_overlaps_is_not_added(void **state) {
  (void)state;
  struct virtiofs_memory *old = table_of(2), *map;
  struct virtiofs_vhost_user_region added = region(1);
  assert_int_equal(virtiofs_vhost_memory_table_add(&map, old, &added, fd), -EPROTO);
  assert_null(map);
  assert_int_equal(vhost_frontend_count_maps(), 2);
  virtiofs_memory_unref(old);
}

static void there_is_an_end_to_adding(void **state) {
  (void)state;
  struct virtiofs_memory *map = NULL, *next;
  for (uint32_t i = 0; i < VIRTIOFS_MEMORY_REGIONS_MAX; i++) {
    const struct virtiofs_vhost_user_region added = region(i);
    assert_int_equal(virtiofs_vhost_memory_table_add(&next, map, &added, fd), 0);
    virtiofs_memory_unref(map);
    map = next;
  }
  const struct virtiofs_vhost_user_region added = region(VIRTIOFS_MEMORY_REGIONS_MAX);
  assert_int_equal(virtiofs_vhost_memory_table_add(&next, map, &added, fd), -E2BIG);
  assert_null(next);
  assert_int_equal(virtiofs_memory_count(map), VIRTIOFS_MEMORY_REGIONS_MAX);
  virtiofs_memory_unref(map);
}

static void a_region_is_removed_by_its_addresses_and_size(void **state) {
  (void)state;
  struct virtiofs_memory *old = table_of(3), *map;
  struct virtiofs_vhost_user_region gone = region(1);
  gone.mmap_offset = 0x777;
  assert_int_equal(virtiofs_vhost_memory_table_remove(&map, old, &gone), 0);
  assert_int_equal(virtiofs_memory_count(map), 2);
  assert_int_equal(virtiofs_memory_region_get(map, 1)->gpa, 0x2000);
  virtiofs_memory_unref(old);
  assert_int_equal(vhost_frontend_count_maps(), 2);
  virtiofs_memory_unref(map);
}

static void no_other_region_is_removed(void **state) {
  (void)state;
  struct virtiofs_memory *old = table_of(2), *map;
  for (uint32_t wrong = 0; wrong < 3; wrong++) {
    struct virtiofs_vhost_user_region gone = region(1);
    gone.gpa += wrong == 0;
    gone.uva += wrong == 1;
    gone.size -= wrong == 2;
    assert_int_equal(virtiofs_vhost_memory_table_remove(&map, old, &gone), -EPROTO);
    assert_null(map);
  }
  const struct virtiofs_vhost_user_region gone = region(0);
  assert_int_equal(virtiofs_vhost_memory_table_remove(&map, NULL, &gone), -EPROTO);
  assert_int_equal(vhost_frontend_count_maps(), 2);
  virtiofs_memory_unref(old);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_table_is_mapped_as_it_says),
      TEST(an_empty_table_is_one),
      TEST(a_bad_region_leaves_nothing_mapped),
      TEST(an_added_region_leaves_the_others_where_they_are),
      TEST(the_first_region_may_be_added_to_nothing),
      TEST(a_region_that_overlaps_is_not_added),
      TEST(there_is_an_end_to_adding),
      TEST(a_region_is_removed_by_its_addresses_and_size),
      TEST(no_other_region_is_removed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
