/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes/hash.h"
#include "nodes/slab.h"

#define COUNT 1000U

static struct virtiofs_hazards hazards;
static struct virtiofs_idtable table;
static struct virtiofs_idshard *shard;

static int setup(void **state) {
  (void)state;
  shard = &table.shards[0];
  return virtiofs_hazards_init(&hazards, 1) + virtiofs_idtable_init(&table, 2 * COUNT, &hazards);
}

static int teardown(void **state) {
  (void)state;
  virtiofs_idtable_fini(&table);
  virtiofs_hazards_fini(&hazards);
  return 0;
}

static void insert(uint64_t value) {
  if (virtiofs_hash_full(shard))
    assert_int_equal(virtiofs_hash_grow(&table, shard), 0);
  struct virtiofs_idslot *slot = virtiofs_slab_take(&table, shard);
  if (slot == NULL) {
    assert_int_equal(virtiofs_slab_grow(&table, 0), 0);
    slot = virtiofs_slab_take(&table, shard);
  }
  slot->value = value;
  virtiofs_hash_insert(shard, slot);
}

/* Small numbers, pointers, and what differs in the upper half alone. */
static uint64_t value_of(uint32_t i) {
  switch (i % 3) {
  case 0:
    return i;
  case 1:
    return UINT64_C(0x7f0000000000) + i * 64;
  default:
    return (uint64_t)i << 32;
  }
}

static void nothing_is_found_in_an_empty_hash(void **state) {
  (void)state;
  assert_true(virtiofs_hash_full(shard));
  assert_null(virtiofs_hash_find(&table, shard, 0));
  assert_null(virtiofs_hash_find(&table, shard, UINT64_MAX));
}

static void values_are_found_while_the_hash_grows(void **state) {
  (void)state;
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_null(virtiofs_hash_find(&table, shard, value_of(i)));
    insert(value_of(i));
    for (uint32_t j = 0; j <= i; j += 1 + i / 20)
      assert_int_equal(virtiofs_hash_find(&table, shard, value_of(j))->value, value_of(j));
  }
  assert_int_equal(shard->entries, COUNT);
  assert_true(shard->buckets >= COUNT);
  assert_null(virtiofs_hash_find(&table, shard, UINT64_MAX));
}

static void the_values_0_and_most_are_values_too(void **state) {
  (void)state;
  insert(0);
  insert(UINT64_MAX);
  assert_int_equal(virtiofs_hash_find(&table, shard, 0)->value, 0);
  assert_int_equal(virtiofs_hash_find(&table, shard, UINT64_MAX)->value, UINT64_MAX);
}

/* From the front, the middle and the end of a bucket's list. */
static void what_is_removed_is_gone_and_the_others_stay(void **state) {
  (void)state;
  for (uint32_t i = 0; i < COUNT; i++)
    insert(value_of(i));
  for (uint32_t i = 0; i < COUNT; i += 2)
    virtiofs_hash_remove(&table, shard, virtiofs_hash_find(&table, shard, value_of(i)));
  assert_int_equal(shard->entries, COUNT / 2);
  for (uint32_t i = 0; i < COUNT; i++)
    assert_int_equal(virtiofs_hash_find(&table, shard, value_of(i)) != NULL, i % 2 == 1);
  for (uint32_t i = 1; i < COUNT; i += 2)
    virtiofs_hash_remove(&table, shard, virtiofs_hash_find(&table, shard, value_of(i)));
  assert_int_equal(shard->entries, 0);
}

static void the_hash_shrinks_when_few_are_left(void **state) {
  (void)state;
  for (uint32_t i = 0; i < COUNT; i++)
    insert(value_of(i));
  assert_false(virtiofs_hash_sparse(shard));
  for (uint32_t i = 10; i < COUNT; i++)
    virtiofs_hash_remove(&table, shard, virtiofs_hash_find(&table, shard, value_of(i)));
  uint32_t rounds = 0;
  while (virtiofs_hash_sparse(shard)) {
    uint32_t before = shard->buckets;
    virtiofs_hash_shrink(&table, shard);
    assert_true(shard->buckets < before);
    rounds++;
  }
  assert_int_equal(rounds, 2);
  assert_int_equal(shard->buckets, 64);
  for (uint32_t i = 0; i < COUNT; i++)
    assert_int_equal(virtiofs_hash_find(&table, shard, value_of(i)) != NULL, i < 10);
}

/* A shard's lock is for few; all kinds of values have to use them all. */
static void shards_get_their_share(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    uint32_t share[VIRTIOFS_IDSHARDS] = {0};
    for (uint64_t i = 0; i < 16000; i++) {
      uint64_t value = kind == 0 ? i : kind == 1 ? i * 4096 : kind == 2 ? i << 40 : UINT64_C(0x55d000000000) + i * 80;
      uint32_t number = virtiofs_hash_shard(value);
      assert_true(number < VIRTIOFS_IDSHARDS);
      share[number]++;
    }
    for (uint32_t i = 0; i < VIRTIOFS_IDSHARDS; i++)
      assert_true(share[i] > 500 && share[i] < 2000);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_is_found_in_an_empty_hash),    TEST(values_are_found_while_the_hash_grows),
      TEST(the_values_0_and_most_are_values_too), TEST(what_is_removed_is_gone_and_the_others_stay),
      TEST(the_hash_shrinks_when_few_are_left),   TEST(shards_get_their_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
