/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/slab.h"

#include <errno.h>
#include <stdlib.h>

static struct virtiofs_idchunk *chunk_of(const struct virtiofs_idtable *table, uint32_t index) {
  uint32_t number = index / VIRTIOFS_IDCHUNK;
  if (number >= table->chunk_max)
    return NULL;
  return atomic_load_explicit(&table->chunks[number], memory_order_acquire);
}

struct virtiofs_idslot *virtiofs_slab_at(const struct virtiofs_idtable *table, uint32_t index) {
  struct virtiofs_idchunk *chunk = chunk_of(table, index);
  return chunk != NULL ? &chunk->slots[index % VIRTIOFS_IDCHUNK] : NULL;
}

uint32_t virtiofs_slab_shard(const struct virtiofs_idtable *table, uint32_t index) {
  return atomic_load_explicit(&virtiofs_slab_at(table, index)->shard, memory_order_relaxed);
}

struct virtiofs_idslot *virtiofs_slab_take(struct virtiofs_idtable *table, struct virtiofs_idshard *shard) {
  if (shard->free == 0)
    return NULL;
  struct virtiofs_idslot *slot = virtiofs_slab_at(table, shard->free);
  shard->free = slot->next;
  slot->next = 0;
  return slot;
}

void virtiofs_slab_give(struct virtiofs_idshard *shard, struct virtiofs_idslot *slot) {
  if (slot->generation == UINT32_MAX)
    return;
  slot->generation++;
  slot->next = shard->free;
  shard->free = slot->index;
}

/* Index 0 means none, and index 1 is the root's. */
#define FIRST_INDEX 2U

static int add_chunk(struct virtiofs_idtable *table, uint32_t shard) {
  struct virtiofs_idchunk *chunk = calloc(1, sizeof(*chunk));
  if (chunk == NULL)
    return -ENOMEM;
  uint32_t number = atomic_fetch_add(&table->chunk_count, 1);
  if (number >= table->chunk_max) {
    atomic_fetch_sub(&table->chunk_count, 1);
    free(chunk);
    return -ENFILE;
  }
  for (uint32_t i = 0; i < VIRTIOFS_IDCHUNK; i++) {
    chunk->slots[i].index = number * VIRTIOFS_IDCHUNK + i;
    atomic_init(&chunk->slots[i].shard, shard);
  }
  atomic_store_explicit(&table->chunks[number], chunk, memory_order_release);

  uint32_t first = number == 0 ? FIRST_INDEX : 0;
  struct virtiofs_idshard *to = &table->shards[shard];
  virtiofs_spin_lock(&to->lock);
  for (uint32_t i = VIRTIOFS_IDCHUNK; i-- > first;) {
    chunk->slots[i].next = to->free;
    to->free = chunk->slots[i].index;
  }
  virtiofs_spin_unlock(&to->lock);
  return 0;
}

/* Moves one free slot to @to from whichever shard has one: the locks are taken one after the other. */
static bool move_free(struct virtiofs_idtable *table, uint32_t to) {
  struct virtiofs_idslot *slot = NULL;
  for (uint32_t i = 1; i < VIRTIOFS_IDSHARDS && slot == NULL; i++) {
    struct virtiofs_idshard *from = &table->shards[(to + i) % VIRTIOFS_IDSHARDS];
    virtiofs_spin_lock(&from->lock);
    slot = virtiofs_slab_take(table, from);
    virtiofs_spin_unlock(&from->lock);
  }
  if (slot == NULL)
    return false;
  struct virtiofs_idshard *shard = &table->shards[to];
  virtiofs_spin_lock(&shard->lock);
  atomic_store_explicit(&slot->shard, to, memory_order_relaxed);
  slot->next = shard->free;
  shard->free = slot->index;
  virtiofs_spin_unlock(&shard->lock);
  return true;
}

int virtiofs_slab_grow(struct virtiofs_idtable *table, uint32_t shard) {
  int rc = add_chunk(table, shard);
  if (rc == -ENFILE && move_free(table, shard))
    return 0;
  return rc;
}
