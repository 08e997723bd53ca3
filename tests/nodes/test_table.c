/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include "nodes/hash.h"
#include "nodes/slab.h"
#include "nodes/table.h"

#define BUDGET 200U

static struct virtiofs_hazards hazards;
static struct virtiofs_idtable table;

/* What was told to be gone. */
static uint32_t gone_count;
static struct virtiofs_idslot last_gone;

static void gone(void *ctx, const struct virtiofs_idslot *slot) {
  assert_ptr_equal(ctx, &gone_count);
  gone_count++;
  last_gone.value = slot->value;
  last_gone.replies = slot->replies;
  last_gone.kind = slot->kind;
  last_gone.owner = slot->owner;
}

static int setup(void **state) {
  (void)state;
  gone_count = 0;
  return virtiofs_hazards_init(&hazards, 2) + virtiofs_idtable_init(&table, BUDGET, &hazards);
}

static int teardown(void **state) {
  (void)state;
  virtiofs_idtable_fini(&table);
  virtiofs_hazards_fini(&hazards);
  return 0;
}

static uint64_t hold(uint64_t value) {
  uint64_t id = 0;
  assert_int_equal(virtiofs_idtable_hold(&table, value, &id), 0);
  assert_int_not_equal(id, 0);
  return id;
}

static uint64_t add(uint64_t value, uint32_t kind, uint64_t owner) {
  uint64_t id = 0;
  assert_int_equal(virtiofs_idtable_add(&table, value, kind, owner, &id), 0);
  assert_int_not_equal(id, 0);
  return id;
}

static void collect(void) {
  virtiofs_idtable_collect(&table, gone, &gone_count);
}

static bool take_away(uint64_t id, uint32_t kind, uint64_t owner) {
  return virtiofs_idtable_remove(&table, id, kind, owner, gone, &gone_count);
}

/* Leaves no hazard behind. */
static bool there(uint64_t id) {
  bool found = virtiofs_idtable_get(&table, id, &hazards.lanes[1], 2) != NULL;
  (void)virtiofs_hazard_clear(&hazards.lanes[1]);
  return found;
}

static void one_value_has_one_id(void **state) {
  (void)state;
  uint64_t a = hold(100), b = hold(200);
  assert_int_not_equal(a, b);
  assert_int_equal(hold(100), a);
  assert_int_equal(hold(0), hold(0));
  assert_int_equal(hold(UINT64_MAX), hold(UINT64_MAX));
  assert_int_equal(virtiofs_idtable_get(&table, a, &hazards.lanes[0], 0)->value, 100);
  assert_int_equal(virtiofs_idtable_get(&table, b, &hazards.lanes[0], 1)->value, 200);
}

static void numbers_that_nobody_gave_are_nothing(void **state) {
  (void)state;
  uint64_t id = hold(100);
  assert_false(there(0));
  assert_false(there(1));
  assert_false(there(UINT64_MAX));
  assert_false(there(UINT32_MAX));
  assert_false(there(id + 1));
  for (unsigned bit = 0; bit < 64; bit++) {
    assert_false(there(id ^ UINT64_C(1) << bit));
    assert_false(virtiofs_idtable_forget(&table, id ^ UINT64_C(1) << bit, 1) && (id ^ UINT64_C(1) << bit) != 1);
    assert_false(take_away(id ^ UINT64_C(1) << bit, 0, 0));
  }
  for (uint64_t index = 0; index < 300; index++)
    assert_false(there(index << 32));
  assert_true(there(id));
}

static void a_node_goes_with_its_last_lookup(void **state) {
  (void)state;
  uint64_t id = hold(100);
  (void)hold(100);
  (void)hold(100);
  assert_true(virtiofs_idtable_forget(&table, id, 1));
  assert_true(there(id));
  assert_true(virtiofs_idtable_forget(&table, id, 2));
  assert_false(there(id));
  assert_false(virtiofs_idtable_forget(&table, id, 1));
  assert_int_equal(gone_count, 0);
  assert_true(virtiofs_idtable_has_retired(&table));
  collect();
  assert_int_equal(gone_count, 1);
  assert_int_equal(last_gone.value, 100);
  assert_int_equal(last_gone.replies, 3);
  assert_false(virtiofs_idtable_has_retired(&table));
  collect();
  assert_int_equal(gone_count, 1);
}

static void forgetting_more_than_there_is_forgets_all(void **state) {
  (void)state;
  uint64_t id = hold(100);
  assert_true(virtiofs_idtable_forget(&table, id, 0));
  assert_true(there(id));
  assert_true(virtiofs_idtable_forget(&table, id, UINT64_MAX));
  assert_false(there(id));
  id = hold(100);
  assert_true(there(id)); /* the count did not wrap into the next one's */
  assert_true(virtiofs_idtable_forget(&table, id, 1));
  assert_false(there(id));
}

/* Each reuse of a slot is a new id, and no old one comes to life again. */
static void a_stale_id_stays_stale(void **state) {
  (void)state;
  static uint64_t ids[2000];
  for (uint32_t i = 0; i < 2000; i++) {
    ids[i] = hold(77);
    for (uint32_t j = i > 50 ? i - 50 : 0; j < i; j++) {
      assert_int_not_equal(ids[i], ids[j]);
      assert_false(there(ids[j]));
    }
    assert_true(virtiofs_idtable_forget(&table, ids[i], 1));
    collect();
  }
  assert_int_equal(gone_count, 2000);
}

/* A value that is found again before its old slot was told about: the backend hears of the old replies alone. */
static void a_value_may_come_back_before_it_has_gone(void **state) {
  (void)state;
  uint64_t old = hold(77);
  (void)hold(77);
  assert_true(virtiofs_idtable_forget(&table, old, 2));
  uint64_t id = hold(77);
  assert_int_not_equal(id, old);
  collect();
  assert_int_equal(gone_count, 1);
  assert_int_equal(last_gone.replies, 2);
  assert_true(there(id));
  assert_int_equal(hold(77), id);
}

static void what_is_used_goes_later(void **state) {
  (void)state;
  uint64_t id = hold(100);
  struct virtiofs_idslot *slot = virtiofs_idtable_get(&table, id, &hazards.lanes[0], 0);
  assert_non_null(slot);
  assert_true(virtiofs_idtable_forget(&table, id, 1));
  assert_false(there(id));
  collect();
  assert_int_equal(gone_count, 0);
  assert_true(virtiofs_idtable_has_retired(&table));
  assert_int_equal(slot->value, 100);
  assert_true(virtiofs_hazard_clear(&hazards.lanes[0]));
  collect();
  assert_int_equal(gone_count, 1);
}

static void what_is_pinned_goes_later(void **state) {
  (void)state;
  uint64_t id = hold(100);
  struct virtiofs_idslot *slot = virtiofs_idtable_get(&table, id, &hazards.lanes[0], 1);
  virtiofs_idslot_pin(slot);
  assert_false(virtiofs_hazard_clear(&hazards.lanes[0]));
  assert_true(virtiofs_idtable_forget(&table, id, 1));
  collect();
  assert_int_equal(gone_count, 0);
  assert_true(virtiofs_idslot_unpin(slot));
  collect();
  assert_int_equal(gone_count, 1);
}

/* ---- handles ---- */

static void each_opening_has_an_id_of_its_own(void **state) {
  (void)state;
  uint64_t a = add(5, 1, 9), b = add(5, 1, 9);
  assert_int_not_equal(a, b);
  assert_true(there(a) && there(b));
  assert_true(take_away(a, 1, 9));
  assert_int_equal(gone_count, 1);
  assert_int_equal(last_gone.value, 5);
  assert_int_equal(last_gone.kind, 1);
  assert_int_equal(last_gone.owner, 9);
  assert_false(there(a));
  assert_true(there(b));
  assert_false(take_away(a, 1, 9));
  assert_int_equal(gone_count, 1);
}

static void a_handle_is_taken_away_as_what_it_is(void **state) {
  (void)state;
  uint64_t id = add(5, 1, 9);
  assert_false(take_away(id, 2, 9));
  assert_false(take_away(id, 1, 8));
  assert_false(take_away(0, 1, 9));
  assert_true(there(id));
  assert_int_equal(gone_count, 0);
  assert_true(take_away(id, 1, 9));
}

static void a_handle_in_use_goes_later(void **state) {
  (void)state;
  uint64_t id = add(5, 1, 9);
  assert_non_null(virtiofs_idtable_get(&table, id, &hazards.lanes[1], 2));
  assert_true(take_away(id, 1, 9));
  assert_int_equal(gone_count, 0);
  assert_true(virtiofs_hazard_clear(&hazards.lanes[1]));
  collect();
  assert_int_equal(gone_count, 1);
}

/* ---- the guest's budget ---- */

static void no_more_nodes_than_allowed(void **state) {
  (void)state;
  uint64_t ids[BUDGET], id = 0;
  for (uint32_t i = 0; i < BUDGET; i++) {
    assert_false(virtiofs_idtable_full(&table));
    ids[i] = hold(1000 + i);
  }
  assert_true(virtiofs_idtable_full(&table));
  for (int i = 0; i < 100; i++)
    assert_int_equal(virtiofs_idtable_hold(&table, 1, &id), -ENFILE);
  assert_int_equal(virtiofs_idtable_hold(&table, 1000, &id), 0); /* known ones cost nothing */
  assert_int_equal(id, ids[0]);
  assert_true(virtiofs_idtable_forget(&table, ids[7], 1));
  assert_int_equal(virtiofs_idtable_hold(&table, 1, &id), -ENFILE); /* not before the backend has let go */
  collect();
  assert_false(virtiofs_idtable_full(&table));
  assert_int_equal(virtiofs_idtable_hold(&table, 1, &id), 0);
  assert_true(virtiofs_idtable_full(&table));
}

static void no_more_handles_than_allowed(void **state) {
  (void)state;
  uint64_t first = add(0, 1, 9), id;
  for (uint32_t i = 1; i < BUDGET; i++)
    (void)add(0, 1, 9); /* all of one value: one shard has to have them all */
  for (int i = 0; i < 100; i++)
    assert_int_equal(virtiofs_idtable_add(&table, 0, 1, 9, &id), -ENFILE);
  assert_true(take_away(first, 1, 9));
  assert_int_equal(virtiofs_idtable_add(&table, 0, 1, 9, &id), 0);
  assert_int_not_equal(id, first);
}

static void a_table_for_nobody_takes_nobody(void **state) {
  (void)state;
  struct virtiofs_idtable none;
  uint64_t id;
  assert_int_equal(virtiofs_idtable_init(&none, 0, &hazards), 0);
  assert_true(virtiofs_idtable_full(&none));
  assert_int_equal(virtiofs_idtable_hold(&none, 1, &id), -ENFILE);
  assert_int_equal(virtiofs_idtable_add(&none, 1, 1, 1, &id), -ENFILE);
  virtiofs_idtable_fini(&none);
}

/* Whatever comes and goes, and in whatever shard, as many fit as are allowed. */
static void the_whole_budget_can_be_used_after_much_coming_and_going(void **state) {
  (void)state;
  uint64_t ids[BUDGET];
  for (uint64_t round = 0; round < 50; round++) {
    for (uint32_t i = 0; i < BUDGET; i++)
      ids[i] = hold(round * 7919 + i * 13);
    for (uint32_t i = 0; i < BUDGET; i++)
      assert_true(virtiofs_idtable_forget(&table, ids[i], 1));
    collect();
  }
  assert_int_equal(gone_count, 50 * BUDGET);
}

/* ---- the root, and the end ---- */

static void the_root_is_always_there(void **state) {
  (void)state;
  assert_int_equal(virtiofs_idtable_root(&table, 4711), 0);
  assert_true(there(VIRTIOFS_ID_ROOT));
  assert_int_equal(hold(4711), VIRTIOFS_ID_ROOT);
  assert_true(virtiofs_idtable_forget(&table, VIRTIOFS_ID_ROOT, UINT64_MAX));
  collect();
  assert_true(there(VIRTIOFS_ID_ROOT));
  assert_int_equal(gone_count, 0);
  for (uint32_t i = 0; i < BUDGET; i++)
    (void)hold(i); /* the root is not on the guest's bill */
}

static void clearing_tells_of_each_but_the_root(void **state) {
  (void)state;
  uint64_t ids[100];
  assert_int_equal(virtiofs_idtable_root(&table, 4711), 0);
  for (uint32_t i = 0; i < 100; i++)
    ids[i] = hold(i);
  assert_true(virtiofs_idtable_forget(&table, ids[3], 1)); /* retired, not told yet */
  virtiofs_idtable_clear(&table, gone, &gone_count);
  assert_int_equal(gone_count, 100);
  for (uint32_t i = 0; i < 100; i++)
    assert_false(there(ids[i]));
  assert_false(there(VIRTIOFS_ID_ROOT));
  assert_int_equal(atomic_load(&table.taken), 0);
  assert_false(virtiofs_idtable_has_retired(&table));
  virtiofs_idtable_clear(&table, gone, &gone_count);
  assert_int_equal(gone_count, 100);
}

/* A new session: same values, new ids, another root, and none of the old ids. */
static void a_cleared_table_begins_again(void **state) {
  (void)state;
  uint64_t old[100];
  for (uint64_t round = 0; round < 5; round++) {
    assert_int_equal(virtiofs_idtable_root(&table, 4711 + round), 0);
    assert_int_equal(hold(4711 + round), VIRTIOFS_ID_ROOT);
    for (uint32_t i = 0; i < 100; i++) {
      uint64_t id = hold(i);
      assert_true(there(id));
      if (round > 0)
        assert_false(there(old[i]));
      assert_int_not_equal(id, VIRTIOFS_ID_ROOT);
    }
    for (uint32_t i = 0; i < 100; i++)
      old[i] = hold(i);
    virtiofs_idtable_clear(&table, gone, &gone_count);
    assert_int_equal(gone_count, 100 * (round + 1));
  }
}

static void what_is_pinned_survives_the_clearing(void **state) {
  (void)state;
  uint64_t id = hold(100);
  struct virtiofs_idslot *slot = virtiofs_idtable_get(&table, id, &hazards.lanes[0], 0);
  virtiofs_idslot_pin(slot);
  (void)virtiofs_hazard_clear(&hazards.lanes[0]);
  (void)hold(101);
  virtiofs_idtable_clear(&table, gone, &gone_count);
  assert_int_equal(gone_count, 1);
  assert_false(there(id));
  assert_int_equal(slot->value, 100);
  assert_true(virtiofs_idtable_has_retired(&table));
  assert_int_not_equal(hold(100), id); /* in the new session */
  assert_true(virtiofs_idslot_unpin(slot));
  collect();
  assert_int_equal(gone_count, 2);
  assert_int_equal(last_gone.value, 100);
}

/* Values that crowd into one shard after the other must not use up what the others need, also not in the next session.
 */
static void the_whole_budget_can_be_used_by_any_shard(void **state) {
  (void)state;
  static uint64_t ids[BUDGET];
  uint64_t value = 1;
  for (uint32_t shard = 0; shard < VIRTIOFS_IDSHARDS; shard++) {
    for (uint32_t i = 0; i < BUDGET; i++) {
      while (virtiofs_hash_shard(value) != shard)
        value++;
      ids[i] = hold(value++);
    }
    uint64_t more;
    assert_int_equal(virtiofs_idtable_hold(&table, UINT64_MAX, &more), -ENFILE);
    if (shard % 2 == 0) {
      for (uint32_t i = 0; i < BUDGET; i++)
        assert_true(virtiofs_idtable_forget(&table, ids[i], 1));
      collect();
    } else {
      virtiofs_idtable_clear(&table, gone, &gone_count);
    }
  }
  assert_int_equal(gone_count, BUDGET * VIRTIOFS_IDSHARDS);
}

/* Far more than a chunk come and go: old ids stay old, whatever was freed and made again meanwhile. */
static void what_was_given_back_to_the_heap_stays_stale(void **state) {
  (void)state;
  enum { MANY = 5000 };
  static uint64_t ids[2][MANY];
  struct virtiofs_idtable large;
  assert_int_equal(virtiofs_idtable_init(&large, MANY, &hazards), 0);
  assert_int_equal(virtiofs_idtable_root(&large, UINT64_MAX), 0);
  for (uint32_t round = 0; round < 4; round++) {
    uint64_t *now = ids[round % 2], *before = ids[(round + 1) % 2];
    for (uint32_t i = 0; i < MANY; i++)
      assert_int_equal(virtiofs_idtable_hold(&large, i, &now[i]), 0);
    for (uint32_t i = 0; i < MANY; i++) {
      assert_ptr_equal(virtiofs_idtable_get(&large, before[i], &hazards.lanes[0], 0), NULL);
      assert_false(virtiofs_idtable_forget(&large, before[i], 1));
      assert_int_equal(virtiofs_idtable_get(&large, now[i], &hazards.lanes[0], 0)->value, i);
    }
    (void)virtiofs_hazard_clear(&hazards.lanes[0]);
    for (uint32_t i = 0; i < MANY; i++)
      assert_true(virtiofs_idtable_forget(&large, now[i], 1));
    virtiofs_idtable_collect(&large, gone, &gone_count);
    uint32_t furnished = 0;
    for (uint32_t number = 0; number < atomic_load(&large.chunk_count); number++)
      furnished += virtiofs_slab_at(&large, number * VIRTIOFS_IDCHUNK) != NULL;
    assert_true(furnished <= VIRTIOFS_IDSHARDS + 1);
    for (uint32_t i = 0; i < VIRTIOFS_IDSHARDS; i++)
      assert_int_equal(large.shards[i].buckets, 64);
    assert_non_null(virtiofs_idtable_get(&large, VIRTIOFS_ID_ROOT, &hazards.lanes[0], 0));
  }
  virtiofs_idtable_fini(&large);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_value_has_one_id),
      TEST(numbers_that_nobody_gave_are_nothing),
      TEST(a_node_goes_with_its_last_lookup),
      TEST(forgetting_more_than_there_is_forgets_all),
      TEST(a_stale_id_stays_stale),
      TEST(a_value_may_come_back_before_it_has_gone),
      TEST(what_is_used_goes_later),
      TEST(what_is_pinned_goes_later),
      TEST(each_opening_has_an_id_of_its_own),
      TEST(a_handle_is_taken_away_as_what_it_is),
      TEST(a_handle_in_use_goes_later),
      TEST(no_more_nodes_than_allowed),
      TEST(no_more_handles_than_allowed),
      TEST(a_table_for_nobody_takes_nobody),
      TEST(the_whole_budget_can_be_used_after_much_coming_and_going),
      TEST(the_whole_budget_can_be_used_by_any_shard),
      TEST(what_was_given_back_to_the_heap_stays_stale),
      TEST(the_root_is_always_there),
      TEST(clearing_tells_of_each_but_the_root),
      TEST(a_cleared_table_begins_again),
      TEST(what_is_pinned_survives_the_clearing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
