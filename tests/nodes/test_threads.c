/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nodes/table.h"

/*
 * Guest and workers at once. The backend is an array with a count for each value: what was handed out and not told to
 * be gone. Who uses a slot marks its value as used, and to be told that a used value is gone is the one thing that must
 * never happen.
 */

#define THREADS 4U
#define VALUES 64U
#define ROUNDS 20000U

static struct virtiofs_hazards hazards;
static struct virtiofs_idtable table;
static _Atomic int64_t replies[VALUES]; /* handed out and not given back */
static _Atomic uint64_t known[VALUES];  /* an id that the value had a moment ago */
static atomic_uint broken;
static atomic_uint opened, told; /* handles */

struct use {
  _Atomic(const struct virtiofs_idslot *) slot; /* which slot the thread uses now */
};
static struct use uses[THREADS];

static void gone(void *ctx, const struct virtiofs_idslot *slot) {
  (void)ctx;
  for (uint32_t i = 0; i < THREADS; i++)
    if (atomic_load(&uses[i].slot) == slot)
      atomic_fetch_add(&broken, 1);
  if (!virtiofs_idcell_dead(slot->cell) || atomic_load(&slot->pins) != 0)
    atomic_fetch_add(&broken, 1);
  atomic_fetch_sub(&replies[slot->value % VALUES], (int64_t)slot->replies);
  atomic_fetch_add(&told, 1);
}

static uint32_t random_of(uint32_t *seed) {
  *seed = *seed * 1664525U + 1013904223U;
  return *seed >> 8;
}

static void collect(void) {
  virtiofs_idtable_collect(&table, gone, NULL);
}

static void look_up(uint32_t value) {
  uint64_t id;
  int rc = virtiofs_idtable_hold(&table, value, &id);
  if (rc == 0) {
    atomic_fetch_add(&replies[value], 1);
    atomic_store(&known[value], id);
  } else if (rc != -ENFILE) {
    atomic_fetch_add(&broken, 1);
  }
}

/* Uses a slot as a request does: it must stay what it is until it is let go. */
static void use(uint32_t thread, uint32_t value, bool pin) {
  struct virtiofs_hazard_lane *lane = &hazards.lanes[thread];
  struct virtiofs_idslot *slot = virtiofs_idtable_get(&table, atomic_load(&known[value]), lane, value % 3);
  bool last = false;
  if (slot != NULL) {
    atomic_store(&uses[thread].slot, slot);
    if (pin) {
      virtiofs_idslot_pin(slot);
      last = virtiofs_hazard_clear(lane);
    }
    for (int i = 0; i < 20; i++)
      if (slot->value != value)
        atomic_fetch_add(&broken, 1);
    atomic_store(&uses[thread].slot, NULL);
    if (pin)
      last |= virtiofs_idslot_unpin(slot);
  }
  last |= virtiofs_hazard_clear(lane);
  if (last)
    collect();
}

static void *work(void *arg) {
  uint32_t thread = (uint32_t)(uintptr_t)arg, seed = thread + 1;
  for (uint32_t i = 0; i < ROUNDS; i++) {
    uint32_t value = random_of(&seed) % VALUES;
    switch (random_of(&seed) % 4) {
    case 0:
      look_up(value);
      break;
    case 1:
      (void)virtiofs_idtable_forget(&table, atomic_load(&known[value]), 1 + random_of(&seed) % 3);
      if (virtiofs_idtable_has_retired(&table))
        collect();
      break;
    default:
      use(thread, value, random_of(&seed) % 4 == 0);
      break;
    }
  }
  return NULL;
}

static void run(void *(*fn)(void *), uint64_t budget) {
  pthread_t threads[THREADS];
  assert_int_equal(virtiofs_hazards_init(&hazards, THREADS), 0);
  assert_int_equal(virtiofs_idtable_init(&table, budget, &hazards), 0);
  atomic_store(&broken, 0);
  for (uintptr_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
  for (uint32_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(atomic_load(&broken), 0);
}

static void finish(void) {
  virtiofs_idtable_clear(&table, gone, NULL);
  for (uint32_t i = 0; i < VALUES; i++) {
    assert_int_equal(atomic_load(&replies[i]), 0);
    atomic_store(&known[i], 0);
  }
  assert_int_equal(atomic_load(&broken), 0);
  assert_int_equal(atomic_load(&table.taken), 0);
  virtiofs_idtable_fini(&table);
  virtiofs_hazards_fini(&hazards);
}

static void what_is_used_is_never_told_to_be_gone(void **state) {
  (void)state;
  run(work, 1000);
  /* Nobody uses anything any more, and who was the last has collected. */
  assert_false(virtiofs_idtable_has_retired(&table));
  finish();
}

static void a_small_budget_is_kept_by_all(void **state) {
  (void)state;
  run(work, 20);
  assert_false(virtiofs_idtable_has_retired(&table));
  assert_true(atomic_load(&table.taken) <= 20);
  finish();
}

/* New slots from many threads at once: no two are the same, and the budget is the guest's to the last one. */
static uint64_t ids[THREADS][VALUES * 8];

static void *open_many(void *arg) {
  uint32_t thread = (uint32_t)(uintptr_t)arg;
  for (uint32_t i = 0; i < VALUES * 8; i++)
    if (virtiofs_idtable_add(&table, i % VALUES, 1, thread, &ids[thread][i]) != 0)
      atomic_fetch_add(&broken, 1);
  return NULL;
}

static int by_id(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void ids_from_many_threads_are_all_different(void **state) {
  (void)state;
  run(open_many, THREADS * VALUES * 8);
  uint64_t *all = &ids[0][0], extra;
  assert_int_equal(virtiofs_idtable_add(&table, 0, 1, 0, &extra), -ENFILE);
  qsort(all, THREADS * VALUES * 8, sizeof(uint64_t), by_id);
  for (uint32_t i = 1; i < THREADS * VALUES * 8; i++)
    assert_true(all[i - 1] < all[i]);
  finish();
}

static void *open_and_close(void *arg) {
  uint32_t thread = (uint32_t)(uintptr_t)arg, seed = thread + 100;
  for (uint32_t i = 0; i < ROUNDS; i++) {
    uint32_t value = random_of(&seed) % VALUES;
    uint64_t id = atomic_load(&known[value]), fresh;
    switch (random_of(&seed) % 4) {
    case 0:
      if (virtiofs_idtable_add(&table, value, 1, value, &fresh) == 0) {
        atomic_fetch_add(&opened, 1);
        atomic_store(&known[value], fresh);
      }
      break;
    case 1: /* two may close the same one: one of them has it */
      (void)virtiofs_idtable_remove(&table, id, 1, value, gone, NULL);
      if (virtiofs_idtable_has_retired(&table))
        collect();
      break;
    default:
      use(thread, value, random_of(&seed) % 4 == 0);
      break;
    }
  }
  return NULL;
}

static void what_is_open_and_used_is_closed_once_and_later(void **state) {
  (void)state;
  atomic_store(&told, 0);
  run(open_and_close, 500);
  assert_false(virtiofs_idtable_has_retired(&table));
  finish();
  assert_int_equal(atomic_load(&told), atomic_load(&opened));
}

/* The last user lets go while another thread looks whether it does: one of the two has to see it. */
static atomic_uint stage;

static void wait_for(unsigned wanted) {
  while (atomic_load(&stage) < wanted)
    sched_yield();
}

static void *let_go(void *arg) {
  struct virtiofs_hazard_lane *lane = arg;
  for (unsigned round = 0; round < ROUNDS; round++) {
    wait_for(3 * round + 1);
    (void)virtiofs_idtable_get(&table, atomic_load(&known[0]), lane, 0);
    atomic_store(&stage, 3 * round + 2);
    for (volatile unsigned i = 0; i < round % 500; i++) /* so that the moments slide against each other */
      continue;
    if (virtiofs_hazard_clear(lane))
      collect();
    atomic_store(&stage, 3 * round + 3);
  }
  return NULL;
}

static void nobody_leaves_what_is_retired_to_the_other(void **state) {
  (void)state;
  pthread_t thread;
  uint64_t id;
  assert_int_equal(virtiofs_hazards_init(&hazards, 1), 0);
  assert_int_equal(virtiofs_idtable_init(&table, 10, &hazards), 0);
  assert_int_equal(pthread_create(&thread, NULL, let_go, &hazards.lanes[0]), 0);
  for (unsigned round = 0; round < ROUNDS; round++) {
    wait_for(3 * round);
    assert_int_equal(virtiofs_idtable_hold(&table, 0, &id), 0);
    atomic_store(&known[0], id);
    atomic_store(&stage, 3 * round + 1);
    wait_for(3 * round + 2);
    assert_true(virtiofs_idtable_forget(&table, id, 1));
    collect();
    wait_for(3 * round + 3);
    assert_false(virtiofs_idtable_has_retired(&table));
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  atomic_store(&replies[0], 0);
  finish();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_used_is_never_told_to_be_gone),
      cmocka_unit_test(a_small_budget_is_kept_by_all),
      cmocka_unit_test(ids_from_many_threads_are_all_different),
      cmocka_unit_test(what_is_open_and_used_is_closed_once_and_later),
      cmocka_unit_test(nobody_leaves_what_is_retired_to_the_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
