/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of names against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/names.h"

#include "../support/seeded.h"

enum { KEYS = 3000, SEED = 5 };

struct model {
  struct names names;
  struct entry *entries[KEYS]; /* NULL: not there */
  uint64_t positions[KEYS];
  size_t live;
};

static struct entry *make(unsigned key) {
  char name[16];
  uint32_t len = (uint32_t)snprintf(name, sizeof name, "name-%u", key);
  struct entry *entry = virtiofs_memfs_entry_new(SEED, name, len);
  assert_non_null(entry);
  return entry;
}

static struct entry *find(const struct model *m, unsigned key) {
  char name[16];
  uint32_t len = (uint32_t)snprintf(name, sizeof name, "name-%u", key);
  return virtiofs_memfs_names_find(&m->names, virtiofs_memfs_hash(SEED, name, len), name, len);
}

static void insert(struct model *m, unsigned key) {
  m->entries[key] = make(key);
  assert_int_equal(virtiofs_memfs_names_reserve(&m->names), 0);
  virtiofs_memfs_names_insert(&m->names, m->entries[key]);
  m->positions[key] = m->names.last;
  m->live++;
}

static void drop(struct model *m, unsigned key) {
  virtiofs_memfs_names_remove(&m->names, m->entries[key]);
  free(m->entries[key]);
  m->entries[key] = NULL;
  m->live--;
}

/* The first key behind a position, by going through all; KEYS if there is none. */
static unsigned first_behind(const struct model *m, uint64_t position) {
  unsigned best = KEYS;
  for (unsigned i = 0; i < KEYS; i++) {
    if (m->entries[i] != NULL && m->positions[i] > position && (best == KEYS || m->positions[i] < m->positions[best]))
      best = i;
  }
  return best;
}

static void check_position(const struct model *m, uint64_t position) {
  size_t slot = virtiofs_memfs_names_after(&m->names, position);
  while (slot < m->names.slot_count && m->names.slots[slot].entry == NULL)
    slot++;
  unsigned expected = first_behind(m, position);
  if (expected == KEYS) {
    assert_int_equal(slot, m->names.slot_count);
  } else {
    assert_ptr_equal(m->names.slots[slot].entry, m->entries[expected]);
    assert_int_equal(m->names.slots[slot].position, m->positions[expected]);
  }
}

static void check_all(const struct model *m) {
  assert_int_equal(m->names.live, m->live);
  for (unsigned i = 0; i < KEYS; i++)
    assert_ptr_equal(find(m, i), m->entries[i]);
  assert_int_equal(virtiofs_memfs_names_any(&m->names) != NULL, m->live > 0);
}

static void as_a_plain_array(void **state) {
  (void)state;
  static struct model m;
  for (unsigned step = 0; step < 40000; step++) {
    /* It grows for a while, then it shrinks. */
    bool grows = step / 5000 % 2 == 0;
    unsigned key = (unsigned)seeded_below(KEYS);
    if (m.entries[key] == NULL && (grows || seeded_below(4) == 0))
      insert(&m, key);
    else if (m.entries[key] != NULL && (!grows || seeded_below(4) == 0))
      drop(&m, key);
    if (step % 50 == 0)
      check_position(&m, seeded_below(m.names.last + 3));
    if (step % 1000 == 0)
      check_all(&m);
  }
  for (unsigned i = 0; i < KEYS; i++) {
    if (m.entries[i] != NULL)
      drop(&m, i);
  }
  check_all(&m);
  virtiofs_memfs_names_fini(&m.names);
}

static void a_replacement_takes_the_place(void **state) {
  (void)state;
  static struct model m;
  for (unsigned i = 0; i < 10; i++)
    insert(&m, i);
  struct entry *other = make(100), *old = m.entries[4];
  virtiofs_memfs_names_replace(&m.names, old, other);
  assert_null(find(&m, 4));
  assert_ptr_equal(find(&m, 100), other);
  assert_ptr_equal(m.names.slots[virtiofs_memfs_names_after(&m.names, m.positions[4] - 1)].entry, other);
  m.entries[100] = other;
  m.entries[4] = NULL;
  free(old);
  for (unsigned i = 0; i < KEYS; i++) {
    if (m.entries[i] != NULL)
      drop(&m, i);
  }
  virtiofs_memfs_names_fini(&m.names);
}

/* What comes and goes all the time must not make the table grow, nor stay large once it was. */
static void room_is_given_back(void **state) {
  (void)state;
  static struct model m;
  for (unsigned i = 0; i < 100000; i++) {
    insert(&m, i % KEYS);
    drop(&m, i % KEYS);
  }
  assert_true(m.names.slot_room <= 8 && m.names.bucket_count <= 8);
  for (unsigned i = 0; i < KEYS; i++)
    insert(&m, i);
  for (unsigned i = 0; i < KEYS - 1; i++)
    drop(&m, i);
  assert_true(m.names.slot_room <= 16 && m.names.bucket_count <= 16);
  check_position(&m, 0);
  check_position(&m, m.positions[KEYS - 1]);
  drop(&m, KEYS - 1);
  virtiofs_memfs_names_fini(&m.names);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_a_plain_array),
      cmocka_unit_test(a_replacement_takes_the_place),
      cmocka_unit_test(room_is_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
