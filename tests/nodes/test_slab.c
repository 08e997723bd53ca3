/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nodes/slab.h"

/* All indices of the largest table have to fit into an id's lower half. */
_Static_assert((VIRTIOFS_IDS_MAX / VIRTIOFS_IDCHUNK + 1) * VIRTIOFS_IDSHARDS * VIRTIOFS_IDCHUNK <= UINT64_C(1) << 32,
               "indices don't wrap");

static struct virtiofs_hazards hazards;
static struct virtiofs_idtable table;

static int setup(void **state) {
  (void)state;
  return virtiofs_hazards_init(&hazards, 1) + virtiofs_idtable_init(&table, 64, &hazards);
}

static int teardown(void **state) {
  (void)state;
  virtiofs_idtable_fini(&table);
  virtiofs_hazards_fini(&hazards);
  return 0;
}

static void an_empty_table_has_no_slots(void **state) {
  (void)state;
  assert_null(virtiofs_slab_at(&table, 0));
  assert_null(virtiofs_slab_at(&table, 1));
  assert_null(virtiofs_slab_at(&table, UINT32_MAX));
  assert_null(virtiofs_slab_take(&table, &table.shards[0]));
}

static void a_chunk_belongs_to_one_shard(void **state) {
  (void)state;
  assert_int_equal(virtiofs_slab_grow(&table, 3), 0);
  assert_int_equal(virtiofs_slab_grow(&table, 5), 0);
  assert_null(virtiofs_slab_take(&table, &table.shards[4]));
  for (uint32_t i = 0; i < VIRTIOFS_IDCHUNK; i++) {
    assert_int_equal(virtiofs_slab_chunk(&table, i)->shard, 3);
    assert_int_equal(virtiofs_slab_chunk(&table, VIRTIOFS_IDCHUNK + i)->shard, 5);
    assert_int_equal(virtiofs_slab_at(&table, i)->index, i);
  }
  assert_null(virtiofs_slab_at(&table, 2 * VIRTIOFS_IDCHUNK));
}

/* 0 is none and 1 is the root's; all others come once. */
static void each_slot_is_taken_once(void **state) {
  (void)state;
  bool seen[2 * VIRTIOFS_IDCHUNK] = {false};
  struct virtiofs_idslot *slot;
  uint32_t count = 0;
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
  while ((slot = virtiofs_slab_take(&table, &table.shards[0])) != NULL) {
    assert_true(slot->index >= 2 && slot->index < 2 * VIRTIOFS_IDCHUNK);
    assert_false(seen[slot->index]);
    seen[slot->index] = true;
    count++;
  }
  assert_int_equal(count, 2 * VIRTIOFS_IDCHUNK - 2);
}

static void a_slot_that_comes_back_has_a_new_generation(void **state) {
  (void)state;
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
  for (uint32_t i = 0; i < 1000; i++) {
    struct virtiofs_idslot *slot = virtiofs_slab_take(&table, &table.shards[0]);
    assert_int_equal(slot->index, 2);
    assert_int_equal(atomic_load(slot->cell), (uint64_t)i << 32);
    assert_null(virtiofs_slab_give(&table, &table.shards[0], slot));
  }
}

static void a_slot_without_generations_is_never_used_again(void **state) {
  (void)state;
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
  struct virtiofs_idslot *slot = virtiofs_slab_take(&table, &table.shards[0]);
  atomic_store(slot->cell, (UINT64_C(0xffffffff) - 1) << 32);
  assert_null(virtiofs_slab_give(&table, &table.shards[0], slot));
  assert_ptr_equal(virtiofs_slab_take(&table, &table.shards[0]), slot);
  assert_int_equal(atomic_load(slot->cell), UINT64_C(0xffffffff) << 32);
  assert_null(virtiofs_slab_give(&table, &table.shards[0], slot));
  struct virtiofs_idslot *other;
  while ((other = virtiofs_slab_take(&table, &table.shards[0])) != NULL)
    assert_ptr_not_equal(other, slot);
}

static void chunks_are_limited(void **state) {
  (void)state;
  for (uint32_t i = 0; i < table.chunk_max; i++)
    assert_int_equal(virtiofs_slab_grow(&table, i % VIRTIOFS_IDSHARDS), 0);
  assert_int_equal(atomic_load(&table.chunk_count), table.chunk_max);
  assert_null(virtiofs_slab_at(&table, table.chunk_max * VIRTIOFS_IDCHUNK));
}

/* What a full chunk gives back one after the other. @slots: all that the shard has. */
static uint32_t give_all(struct virtiofs_idslot **slots, uint32_t count) {
  uint32_t emptied = 0;
  for (uint32_t i = 0; i < count; i++) {
    void *unused = virtiofs_slab_give(&table, &table.shards[3], slots[i]);
    emptied += unused != NULL;
    free(unused);
  }
  return emptied;
}

/* The slots go, the generations stay: what a chunk gives when it has slots again is new. */
static void an_empty_chunk_keeps_only_its_generations(void **state) {
  (void)state;
  enum { CHUNKS = 4, COUNT = CHUNKS * VIRTIOFS_IDCHUNK };
  struct virtiofs_idslot *slots[COUNT];
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0); /* the root's */
  for (uint32_t round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < COUNT; i++) {
      if (table.shards[3].roomy == 0)
        assert_int_equal(virtiofs_slab_grow(&table, 3), 0);
      slots[i] = virtiofs_slab_take(&table, &table.shards[3]);
      assert_int_equal(atomic_load(slots[i]->cell) >> 32, round);
    }
    assert_int_equal(give_all(slots, COUNT), CHUNKS - 1); /* one stays for who comes next */
    uint32_t furnished = 0;
    for (uint32_t number = 1; number <= CHUNKS; number++)
      furnished += virtiofs_slab_at(&table, number * VIRTIOFS_IDCHUNK) != NULL;
    assert_int_equal(furnished, 1);
  }
  assert_int_equal(atomic_load(&table.chunk_count), 1 + CHUNKS);
}

static void a_chunk_in_which_one_is_used_keeps_its_slots(void **state) {
  (void)state;
  struct virtiofs_idslot *slots[2 * VIRTIOFS_IDCHUNK];
  assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
  for (uint32_t i = 0; i < 2 * VIRTIOFS_IDCHUNK; i++) {
    if (table.shards[3].roomy == 0)
      assert_int_equal(virtiofs_slab_grow(&table, 3), 0);
    slots[i] = virtiofs_slab_take(&table, &table.shards[3]);
  }
  assert_int_equal(give_all(slots, VIRTIOFS_IDCHUNK - 1), 0);
  assert_int_equal(give_all(slots + VIRTIOFS_IDCHUNK, VIRTIOFS_IDCHUNK - 1), 0);
  assert_int_equal(give_all(slots + VIRTIOFS_IDCHUNK - 1, 1), 1);
  assert_int_equal(give_all(slots + 2 * VIRTIOFS_IDCHUNK - 1, 1), 0);
}

static void the_roots_slot_is_never_given_back(void **state) {
  (void)state;
  struct virtiofs_idslot *slots[VIRTIOFS_IDCHUNK - 2];
  assert_int_equal(virtiofs_slab_grow(&table, 3), 0);
  for (uint32_t i = 0; i < VIRTIOFS_IDCHUNK - 2; i++)
    slots[i] = virtiofs_slab_take(&table, &table.shards[3]);
  assert_int_equal(virtiofs_slab_grow(&table, 3), 0);
  assert_int_equal(give_all(slots, VIRTIOFS_IDCHUNK - 2), 0);
  assert_non_null(virtiofs_slab_at(&table, VIRTIOFS_ID_ROOT));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_empty_table_has_no_slots),
      TEST(a_chunk_belongs_to_one_shard),
      TEST(each_slot_is_taken_once),
      TEST(a_slot_that_comes_back_has_a_new_generation),
      TEST(a_slot_without_generations_is_never_used_again),
      TEST(chunks_are_limited),
      TEST(an_empty_chunk_keeps_only_its_generations),
      TEST(a_chunk_in_which_one_is_used_keeps_its_slots),
      TEST(the_roots_slot_is_never_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
