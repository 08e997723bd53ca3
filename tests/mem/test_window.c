/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include <virtiofs/memory.h>

/* Windows: addresses that are the guest's and no memory, or only where their owner says so. */

#define WINDOW UINT64_C(0x10000)
#define SIZE UINT64_C(0x4000)

static unsigned char ram[0x1000], backed[0x1000];
static uint64_t asked_offset, asked_len, lie;

/* The second page of the window has something behind it. */
static void *resolve(void *owner, uint64_t offset, uint64_t *len) {
  assert_ptr_equal(owner, &lie);
  asked_offset = offset;
  asked_len = *len;
  if (lie != 0) {
    *len = lie == 1 ? 0 : *len + 1;
    return backed;
  }
  if (offset < 0x1000 || offset >= 0x2000)
    return NULL;
  if (*len > 0x2000 - offset)
    *len = 0x2000 - offset;
  return backed + (offset - 0x1000);
}

/* RAM stands directly before the window. */
static struct virtiofs_memory *make(virtiofs_memory_window_fn *fn) {
  struct virtiofs_memory *map;
  struct virtiofs_memory_region regions[] = {
      {.gpa = WINDOW, .size = SIZE, .owner = &lie, .window = fn},
      {.gpa = WINDOW - sizeof ram, .size = sizeof ram, .uva = 0x5000, .host = ram},
  };
  lie = 0;
  assert_int_equal(virtiofs_memory_new(&map, regions, 2, NULL), 0);
  return map;
}

static void *at(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len) {
  uint32_t hint = 0;
  void *first = virtiofs_memory_gpa(map, gpa, len, &hint);
  uint64_t again = *len;
  assert_ptr_equal(virtiofs_memory_gpa(map, gpa, &again, &hint), first); /* hinted, it is the same */
  return first;
}

static void nothing_is_behind_a_window_without_a_function(void **state) {
  (void)state;
  struct virtiofs_memory *map = make(NULL);
  uint64_t len = 16;
  assert_null(at(map, WINDOW, &len));
  assert_null(at(map, WINDOW + SIZE - 1, &(uint64_t){1}));
  assert_int_equal(len, 16);
  assert_true(virtiofs_memory_window(map, WINDOW, &len));
  assert_int_equal(len, 16);
  virtiofs_memory_unref(map);
}

static void a_window_is_told_from_memory_and_from_nothing(void **state) {
  (void)state;
  struct virtiofs_memory *map = make(NULL);
  uint64_t len = 2 * SIZE;
  assert_true(virtiofs_memory_window(map, WINDOW + 0x100, &len));
  assert_int_equal(len, SIZE - 0x100);
  len = 1;
  assert_true(virtiofs_memory_window(map, WINDOW + SIZE - 1, &len));
  assert_false(virtiofs_memory_window(map, WINDOW + SIZE, &len));
  assert_false(virtiofs_memory_window(map, WINDOW - 1, &len));
  assert_false(virtiofs_memory_window(map, 0, &len));
  assert_false(virtiofs_memory_window(map, UINT64_MAX, &(uint64_t){2}));
  assert_int_equal(len, 1);
  virtiofs_memory_unref(map);
}

static void an_owner_resolves_what_it_has(void **state) {
  (void)state;
  struct virtiofs_memory *map = make(resolve);
  uint64_t len = 0x3000;
  assert_ptr_equal(at(map, WINDOW + 0x1800, &len), backed + 0x800);
  assert_int_equal(len, 0x800);
  assert_int_equal(asked_offset, 0x1800);
  len = 0x10000;
  assert_null(at(map, WINDOW + 0x2000, &len));
  assert_int_equal(len, 0x10000);
  assert_int_equal(asked_len, SIZE - 0x2000); /* never asked for more than the window has */
  virtiofs_memory_unref(map);
}

static void an_owner_that_says_nonsense_has_nothing(void **state) {
  (void)state;
  struct virtiofs_memory *map = make(resolve);
  uint32_t hint = 0;
  for (lie = 1; lie <= 2; lie++) {
    uint64_t len = 8;
    assert_null(virtiofs_memory_gpa(map, WINDOW, &len, &hint));
    assert_int_equal(len, 8);
  }
  virtiofs_memory_unref(map);
}

static void a_range_goes_on_from_memory_into_a_window(void **state) {
  (void)state;
  struct virtiofs_memory *map = make(resolve);
  uint64_t len = 0x20;
  assert_ptr_equal(at(map, WINDOW - 0x10, &len), ram + sizeof ram - 0x10);
  assert_int_equal(len, 0x10);
  virtiofs_memory_unref(map);
}

static void windows_have_no_address_of_the_front_ends(void **state) {
  (void)state;
  struct virtiofs_memory *map;
  struct virtiofs_memory_region regions[] = {
      {.gpa = 0, .size = 0x1000, .uva = 0x1000},
      {.gpa = 0x1000, .size = 0x1000, .uva = 0x1000, .host = ram},
      {.gpa = 0x2000, .size = 0x1000, .uva = UINT64_MAX},
  };
  assert_int_equal(virtiofs_memory_new(&map, regions, 3, NULL), 0);
  assert_ptr_equal(virtiofs_memory_uva(map, 0x1000, 0x1000), ram);
  assert_null(virtiofs_memory_uva(map, UINT64_MAX, 1));
  virtiofs_memory_unref(map);
  regions[1].gpa = 0x800;
  assert_int_equal(virtiofs_memory_new(&map, regions, 3, NULL), -EPROTO); /* by gpa they overlap like all others */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_behind_a_window_without_a_function),
      cmocka_unit_test(a_window_is_told_from_memory_and_from_nothing),
      cmocka_unit_test(an_owner_resolves_what_it_has),
      cmocka_unit_test(an_owner_that_says_nonsense_has_nothing),
      cmocka_unit_test(a_range_goes_on_from_memory_into_a_window),
      cmocka_unit_test(windows_have_no_address_of_the_front_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
