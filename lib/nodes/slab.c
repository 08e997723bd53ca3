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
  return chunk_of(table, index)->shard;
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

int virtiofs_slab_grow(struct virtiofs_idtable *table, uint32_t shard) {
  struct virtiofs_idchunk *chunk = calloc(1, sizeof(*chunk));
  if (chunk == NULL)
    return -ENOMEM;
  uint32_t number = atomic_fetch_add(&table->chunk_count, 1);
  if (number >= table->chunk_max) {
    atomic_fetch_sub(&table->chunk_count, 1);
    free(chunk);
    return -ENFILE;
  }
  chunk->shard = shard;
  for (uint32_t i = 0; i < VIRTIOFS_IDCHUNK; i++)
    chunk->slots[i].index = number * VIRTIOFS_IDCHUNK + i;
  atomic_store_explicit(&table->chunks[number], chunk, memory_order_release);

  /* Index 0 means none, and index 1 is the root's. */
  uint32_t first = number == 0 ? 2 : 0;
  struct virtiofs_idshard *to = &table->shards[shard];
  virtiofs_spin_lock(&to->lock);
  for (uint32_t i = VIRTIOFS_IDCHUNK; i-- > first;) {
    chunk->slots[i].next = to->free;
    to->free = chunk->slots[i].index;
  }
  virtiofs_spin_unlock(&to->lock);
  return 0;
}
