/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include <virtiofs/memory.h>
#include <virtiofs/virtq.h>

#include "nodes/table.h"
#include "support/fail_alloc.h"

/* When memory runs out: an error, nothing half done, and all goes on when there is some again. */

static struct virtiofs_hazards hazards;
static struct virtiofs_idtable table;

static int setup(void **state) {
  (void)state;
  return virtiofs_hazards_init(&hazards, 1) + virtiofs_idtable_init(&table, 1000, &hazards);
}

static int teardown(void **state) {
  (void)state;
  fail_alloc_after(-1);
  virtiofs_idtable_fini(&table);
  virtiofs_hazards_fini(&hazards);
  return 0;
}

static void a_table_that_can_not_be_made(void **state) {
  (void)state;
  struct virtiofs_idtable none;
  struct virtiofs_hazards nothing;
  fail_alloc_after(0);
  assert_int_equal(virtiofs_idtable_init(&none, 1000, &hazards), -ENOMEM);
  assert_int_equal(virtiofs_hazards_init(&nothing, 4), -ENOMEM);
  assert_int_equal(nothing.count, 0);
  virtiofs_idtable_fini(&none);
  virtiofs_hazards_fini(&nothing);
}

/* A node takes a hash, slots and a block of chunks at first: any may be what is lacking. */
static void a_node_that_can_not_be_held(void **state) {
  (void)state;
  uint64_t id = 77, again;
  static const int allocations[] = {0, 1, 1}; /* the second time the hash is there already */
  for (int i = 0; i < 3; i++) {
    fail_alloc_after(allocations[i]);
    assert_int_equal(virtiofs_idtable_hold(&table, 5, &id), -ENOMEM);
    assert_int_equal(id, 77);
    assert_int_equal(atomic_load(&table.taken), 0);
  }
  fail_alloc_after(-1);
  assert_int_equal(virtiofs_idtable_hold(&table, 5, &id), 0);
  fail_alloc_after(0);
  assert_int_equal(virtiofs_idtable_hold(&table, 5, &again), 0);
  assert_int_equal(again, id);
}

static void a_handle_that_can_not_be_added(void **state) {
  (void)state;
  uint64_t id = 77;
  fail_alloc_after(0);
  for (int i = 0; i < 2000; i++)
    assert_int_equal(virtiofs_idtable_add(&table, 5, 1, 9, &id), -ENOMEM);
  assert_int_equal(id, 77);
  assert_int_equal(atomic_load(&table.taken), 0);
  fail_alloc_after(-1);
  assert_int_equal(virtiofs_idtable_add(&table, 5, 1, 9, &id), 0);
}

static void a_root_that_can_not_be_made(void **state) {
  (void)state;
  for (int allocations = 0; allocations < 3; allocations++) {
    fail_alloc_after(allocations);
    assert_int_equal(virtiofs_idtable_root(&table, 5), -ENOMEM);
    assert_null(virtiofs_idtable_get(&table, VIRTIOFS_ID_ROOT, &hazards.lanes[0], 0));
  }
  fail_alloc_after(-1);
  assert_int_equal(virtiofs_idtable_root(&table, 5), 0);
  assert_non_null(virtiofs_idtable_get(&table, VIRTIOFS_ID_ROOT, &hazards.lanes[0], 0));
}

static void release(void *owner) {
  (void)owner;
  fail_msg("%s", "nothing was made, so nothing is released");
}

static void a_map_and_a_ring_that_can_not_be_made(void **state) {
  (void)state;
  struct virtiofs_memory_region region = {.gpa = 0, .size = 1};
  struct virtiofs_memory *map = (void *)&region;
  struct virtiofs_virtq *vq = (void *)&region;
  fail_alloc_after(0);
  assert_int_equal(virtiofs_memory_new(&map, &region, 1, release), -ENOMEM);
  assert_null(map);
  assert_int_equal(virtiofs_virtq_new(&vq, 8, 0), -ENOMEM);
  assert_null(vq);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_table_that_can_not_be_made),          TEST(a_node_that_can_not_be_held),
      TEST(a_handle_that_can_not_be_added),        TEST(a_root_that_can_not_be_made),
      TEST(a_map_and_a_ring_that_can_not_be_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
