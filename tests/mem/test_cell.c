/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include <virtiofs/memory.h>

static struct virtiofs_memory_cell *cell;

static int setup(void **state) {
  (void)state;
  return virtiofs_memory_cell_new(&cell);
}

static int teardown(void **state) {
  (void)state;
  virtiofs_memory_cell_free(cell);
  return 0;
}

static void release(void *owner) {
  free(owner);
}

/* A map of one block that goes with it, filled with a number. */
static struct virtiofs_memory *make(uint64_t number) {
  struct virtiofs_memory *map;
  uint64_t *block = calloc(64, sizeof *block);
  assert_non_null(block);
  for (int i = 0; i < 64; i++)
    block[i] = number;
  struct virtiofs_memory_region region = {.gpa = 0, .size = 64 * sizeof *block, .host = block, .owner = block};
  assert_int_equal(virtiofs_memory_new(&map, &region, 1, release), 0);
  return map;
}

static uint64_t number_of(const struct virtiofs_memory *map, uint64_t index) {
  uint64_t len = 8;
  uint32_t hint = 0;
  const uint64_t *at = virtiofs_memory_gpa(map, index * 8, &len, &hint);
  assert_non_null(at);
  return *at;
}

static void a_cell_begins_with_nothing(void **state) {
  (void)state;
  struct virtiofs_memory_view view = {0};
  assert_false(virtiofs_memory_cell_get(cell, &view));
  assert_null(view.map);
  virtiofs_memory_cell_free(NULL);
}

static void a_view_sees_each_change_once(void **state) {
  (void)state;
  struct virtiofs_memory_view view = {0}, other = {0};
  virtiofs_memory_cell_set(cell, make(1));
  assert_true(virtiofs_memory_cell_get(cell, &view));
  assert_int_equal(number_of(view.map, 0), 1);
  assert_false(virtiofs_memory_cell_get(cell, &view));
  virtiofs_memory_cell_set(cell, make(2));
  virtiofs_memory_cell_set(cell, make(3));
  assert_int_equal(number_of(view.map, 63), 1); /* what a request was parsed against stays */
  assert_true(virtiofs_memory_cell_get(cell, &view));
  assert_int_equal(number_of(view.map, 63), 3);
  assert_true(virtiofs_memory_cell_get(cell, &other));
  assert_ptr_equal(other.map, view.map);
  virtiofs_memory_cell_set(cell, NULL);
  assert_true(virtiofs_memory_cell_get(cell, &view));
  assert_null(view.map);
  assert_int_equal(number_of(other.map, 5), 3);
  virtiofs_memory_unref(other.map);
}

#define CHANGES 5000U

static atomic_bool over;

/* Each map's block is freed with it, so that a map which goes too early is a use after free. */
static void *use(void *arg) {
  struct virtiofs_memory_view view = {0}, held = {0};
  uint64_t last = 0;
  (void)arg;
  while (!atomic_load(&over)) {
    if (!virtiofs_memory_cell_get(cell, &view))
      continue;
    if (number_of(view.map, 1) < last || number_of(view.map, 63) != number_of(view.map, 0))
      return "a map of before, or one that was taken apart";
    last = number_of(view.map, 0);
    /* A request keeps the one before. */
    virtiofs_memory_unref(held.map);
    held.map = virtiofs_memory_ref(view.map);
  }
  virtiofs_memory_unref(held.map);
  virtiofs_memory_unref(view.map);
  return NULL;
}

static void maps_come_and_go_while_queues_run(void **state) {
  (void)state;
  pthread_t threads[3];
  atomic_store(&over, false);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, use, NULL), 0);
  for (uint64_t i = 1; i <= CHANGES; i++)
    virtiofs_memory_cell_set(cell, make(i));
  atomic_store(&over, true);
  for (int i = 0; i < 3; i++) {
    void *wrong;
    assert_int_equal(pthread_join(threads[i], &wrong), 0);
    assert_null(wrong);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_cell_begins_with_nothing),
      TEST(a_view_sees_each_change_once),
      TEST(maps_come_and_go_while_queues_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
