/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes/hazard.h"
#include "nodes/table.h"

static virtiofs_idcell cells[3];

static void lanes_have_cache_lines_of_their_own(void **state) {
  (void)state;
  struct virtiofs_hazards hazards;
  assert_int_equal(virtiofs_hazards_init(&hazards, 5), 0);
  assert_int_equal(hazards.count, 5);
  for (uint32_t i = 0; i < 5; i++)
    assert_int_equal((uintptr_t)&hazards.lanes[i] % 64, 0);
  virtiofs_hazards_fini(&hazards);
  assert_int_equal(hazards.count, 0);
}

static void a_use_is_seen_in_any_lane_and_place(void **state) {
  (void)state;
  struct virtiofs_hazards hazards;
  assert_int_equal(virtiofs_hazards_init(&hazards, 4), 0);
  for (uint32_t lane = 0; lane < 4; lane++)
    for (uint32_t place = 0; place < VIRTIOFS_HAZARDS; place++) {
      assert_false(virtiofs_hazards_hold(&hazards, &cells[1]));
      virtiofs_hazard_set(&hazards.lanes[lane], place, &cells[1]);
      assert_true(virtiofs_hazards_hold(&hazards, &cells[1]));
      assert_false(virtiofs_hazards_hold(&hazards, &cells[0]));
      assert_false(virtiofs_hazards_hold(&hazards, &cells[2]));
      virtiofs_hazard_set(&hazards.lanes[lane], place, NULL);
    }
  virtiofs_hazards_fini(&hazards);
}

static void clearing_says_whether_something_was_taken_away(void **state) {
  (void)state;
  struct virtiofs_hazards hazards;
  assert_int_equal(virtiofs_hazards_init(&hazards, 1), 0);
  atomic_store(&cells[0], 5);
  atomic_store(&cells[1], 6);
  assert_false(virtiofs_hazard_clear(&hazards.lanes[0]));
  virtiofs_hazard_set(&hazards.lanes[0], 0, &cells[0]);
  virtiofs_hazard_set(&hazards.lanes[0], 2, &cells[1]);
  assert_false(virtiofs_hazard_clear(&hazards.lanes[0]));
  assert_false(virtiofs_hazards_hold(&hazards, &cells[0]));
  assert_false(virtiofs_hazards_hold(&hazards, &cells[1]));
  virtiofs_hazard_set(&hazards.lanes[0], 0, &cells[0]);
  virtiofs_hazard_set(&hazards.lanes[0], 2, &cells[1]);
  atomic_store(&cells[0], UINT64_C(7) << 32); /* only the generation is left */
  assert_true(virtiofs_hazard_clear(&hazards.lanes[0]));
  assert_false(virtiofs_hazard_clear(&hazards.lanes[0]));
  virtiofs_hazards_fini(&hazards);
}

static void pins_are_counted(void **state) {
  (void)state;
  struct virtiofs_idslot slot = {.cell = &cells[0]};
  atomic_store(&cells[0], 9);
  virtiofs_idslot_pin(&slot);
  virtiofs_idslot_pin(&slot);
  assert_false(virtiofs_idslot_unpin(&slot));
  atomic_store(&cells[0], UINT64_C(1) << 32);
  assert_true(virtiofs_idslot_unpin(&slot));
  assert_int_equal(atomic_load(&slot.pins), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lanes_have_cache_lines_of_their_own),
      cmocka_unit_test(a_use_is_seen_in_any_lane_and_place),
      cmocka_unit_test(clearing_says_whether_something_was_taken_away),
      cmocka_unit_test(pins_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
