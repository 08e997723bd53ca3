/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/hash.h"

#include <errno.h>
#include <stdlib.h>

#include "nodes/slab.h"

#define FIRST_BUCKETS 64U

/* Spreads pointers and small numbers alike. */
static uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= UINT64_C(0xd6e8feb86659fd93);
  value ^= value >> 32;
  value *= UINT64_C(0xd6e8feb86659fd93);
  return value ^ value >> 32;
}

uint32_t virtiofs_hash_shard(uint64_t value) {
  return (uint32_t)(mix(value) >> 60) % VIRTIOFS_IDSHARDS;
}

static uint32_t *bucket(uint32_t *heads, uint32_t buckets, uint64_t value) {
  return &heads[(uint32_t)mix(value) & (buckets - 1)];
}

struct virtiofs_idslot *virtiofs_hash_find(const struct virtiofs_idtable *table, const struct virtiofs_idshard *shard,
                                           uint64_t value) {
  if (shard->buckets == 0)
    return NULL;
  uint32_t index = *bucket(shard->heads, shard->buckets, value);
  while (index != 0) {
    struct virtiofs_idslot *slot = virtiofs_slab_at(table, index);
    if (slot->value == value)
      return slot;
    index = slot->next;
  }
  return NULL;
}

void virtiofs_hash_insert(struct virtiofs_idshard *shard, struct virtiofs_idslot *slot) {
  uint32_t *head = bucket(shard->heads, shard->buckets, slot->value);
  slot->next = *head;
  *head = slot->index;
  shard->entries++;
}

void virtiofs_hash_remove(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard,
                          struct virtiofs_idslot *slot) {
  uint32_t *link = bucket(shard->heads, shard->buckets, slot->value);
  while (*link != slot->index)
    link = &virtiofs_slab_at(table, *link)->next;
  *link = slot->next;
  slot->next = 0;
  shard->entries--;
}

static void rehash(const struct virtiofs_idtable *table, const struct virtiofs_idshard *shard, uint32_t *heads,
                   uint32_t buckets) {
  for (uint32_t i = 0; i < shard->buckets; i++) {
    uint32_t index = shard->heads[i];
    while (index != 0) {
      struct virtiofs_idslot *slot = virtiofs_slab_at(table, index);
      uint32_t *head = bucket(heads, buckets, slot->value);
      index = slot->next;
      slot->next = *head;
      *head = slot->index;
    }
  }
}

/* From @old buckets, unless another thread was quicker. */
static int resize(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard, uint32_t old,
                  uint32_t buckets) {
  uint32_t *heads = calloc(buckets, sizeof(*heads));
  if (heads == NULL)
    return -ENOMEM;
  virtiofs_spin_lock(&shard->lock);
  uint32_t *unused = heads;
  if (shard->buckets == old) {
    rehash(table, shard, heads, buckets);
    unused = shard->heads;
    shard->heads = heads;
    shard->buckets = buckets;
  }
  virtiofs_spin_unlock(&shard->lock);
  free(unused);
  return 0;
}

static uint32_t buckets_of(struct virtiofs_idshard *shard) {
  virtiofs_spin_lock(&shard->lock);
  uint32_t buckets = shard->buckets;
  virtiofs_spin_unlock(&shard->lock);
  return buckets;
}

int virtiofs_hash_grow(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard) {
  uint32_t old = buckets_of(shard);
  return resize(table, shard, old, old != 0 ? old * 2 : FIRST_BUCKETS);
}

bool virtiofs_hash_sparse(const struct virtiofs_idshard *shard) {
  return shard->buckets > FIRST_BUCKETS && shard->entries < shard->buckets / 8;
}

void virtiofs_hash_shrink(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard) {
  uint32_t old = buckets_of(shard);
  if (old > FIRST_BUCKETS)
    (void)resize(table, shard, old, old / 4 > FIRST_BUCKETS ? old / 4 : FIRST_BUCKETS);
}
