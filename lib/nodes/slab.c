/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/slab.h"

#include <errno.h>
#include <stdlib.h>

/* Index 0 means none, and index 1 is the root's. */
#define FIRST_INDEX 2U

uint32_t virtiofs_slab_chunks(uint64_t max) {
  return (uint32_t)(max / VIRTIOFS_IDCHUNK + 1) * VIRTIOFS_IDSHARDS;
}

static struct virtiofs_idchunk *chunk_at(const struct virtiofs_idtable *table, uint32_t number) {
  if (number >= table->chunk_max)
    return NULL;
  struct virtiofs_idchunk *block =
      atomic_load_explicit(&table->blocks[number / VIRTIOFS_IDBLOCK], memory_order_acquire);
  return block != NULL ? &block[number % VIRTIOFS_IDBLOCK] : NULL;
}

struct virtiofs_idchunk *virtiofs_slab_chunk(const struct virtiofs_idtable *table, uint32_t index) {
  return chunk_at(table, index / VIRTIOFS_IDCHUNK);
}

struct virtiofs_idslot *virtiofs_slab_at(const struct virtiofs_idtable *table, uint32_t index) {
  const struct virtiofs_idchunk *chunk = virtiofs_slab_chunk(table, index);
  struct virtiofs_idslot *slots = chunk != NULL ? atomic_load_explicit(&chunk->slots, memory_order_acquire) : NULL;
  return slots != NULL ? &slots[index % VIRTIOFS_IDCHUNK] : NULL;
}

/* ---- a shard's lists of chunks ---- */

static void list_add(struct virtiofs_idtable *table, uint32_t *head, struct virtiofs_idchunk *chunk) {
  chunk->prev = 0;
  chunk->next = *head;
  if (chunk->next != 0)
    chunk_at(table, chunk->next - 1)->prev = chunk->number + 1;
  *head = chunk->number + 1;
}

static void list_remove(struct virtiofs_idtable *table, uint32_t *head, struct virtiofs_idchunk *chunk) {
  if (chunk->next != 0)
    chunk_at(table, chunk->next - 1)->prev = chunk->prev;
  if (chunk->prev != 0)
    chunk_at(table, chunk->prev - 1)->next = chunk->next;
  else
    *head = chunk->next;
}

/* ---- taking and giving ---- */

struct virtiofs_idslot *virtiofs_slab_take(struct virtiofs_idtable *table, struct virtiofs_idshard *shard) {
  if (shard->roomy == 0)
    return NULL;
  struct virtiofs_idchunk *chunk = chunk_at(table, shard->roomy - 1);
  struct virtiofs_idslot *slot = virtiofs_slab_at(table, chunk->free);
  chunk->free = slot->next;
  chunk->used++;
  if (chunk->free == 0)
    list_remove(table, &shard->roomy, chunk);
  slot->next = 0;
  return slot;
}

/* The last one that has room keeps its slots: who comes and goes by one shall not go to the heap each time. */
static void *empty(struct virtiofs_idtable *table, struct virtiofs_idshard *shard, struct virtiofs_idchunk *chunk) {
  if (chunk->used != 0 || chunk->free == 0 || (chunk->prev == 0 && chunk->next == 0))
    return NULL;
  struct virtiofs_idslot *slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
  list_remove(table, &shard->roomy, chunk);
  list_add(table, &shard->empty, chunk);
  atomic_store_explicit(&chunk->slots, NULL, memory_order_relaxed);
  return slots;
}

void *virtiofs_slab_give(struct virtiofs_idtable *table, struct virtiofs_idshard *shard, struct virtiofs_idslot *slot) {
  struct virtiofs_idchunk *chunk = virtiofs_slab_chunk(table, slot->index);
  uint32_t generation = (uint32_t)(atomic_load(slot->cell) >> 32);
  chunk->used--;
  if (generation != UINT32_MAX) {
    atomic_store(slot->cell, (uint64_t)(generation + 1) << 32);
    if (chunk->free == 0)
      list_add(table, &shard->roomy, chunk);
    slot->next = chunk->free;
    chunk->free = slot->index;
  }
  return empty(table, shard, chunk);
}

/* ---- making ---- */

/* Gives a chunk slots; their generations go on where they were. The shard's lock is held, or nobody knows the chunk. */
static void furnish(struct virtiofs_idtable *table, struct virtiofs_idchunk *chunk, struct virtiofs_idslot *slots) {
  uint32_t first = chunk->number == 0 ? FIRST_INDEX : 0;
  for (uint32_t i = VIRTIOFS_IDCHUNK; i-- > 0;) {
    struct virtiofs_idslot *slot = &slots[i];
    slot->cell = &chunk->ids[i];
    slot->index = chunk->number * VIRTIOFS_IDCHUNK + i;
  }
  chunk->free = 0;
  for (uint32_t i = VIRTIOFS_IDCHUNK; i-- > first;) {
    if (atomic_load_explicit(&chunk->ids[i], memory_order_relaxed) >> 32 == UINT32_MAX)
      continue;
    slots[i].next = chunk->free;
    chunk->free = slots[i].index;
  }
  atomic_store_explicit(&chunk->slots, slots, memory_order_release);
  list_add(table, &table->shards[chunk->shard].roomy, chunk);
}

/* A chunk of the shard that has lost its slots. False if there is none. */
static bool furnish_old(struct virtiofs_idtable *table, uint32_t shard, struct virtiofs_idslot *slots) {
  struct virtiofs_idshard *to = &table->shards[shard];
  virtiofs_spin_lock(&to->lock);
  bool found = to->empty != 0;
  if (found) {
    struct virtiofs_idchunk *chunk = chunk_at(table, to->empty - 1);
    list_remove(table, &to->empty, chunk);
    furnish(table, chunk, slots);
  }
  virtiofs_spin_unlock(&to->lock);
  return found;
}

static int make_block(struct virtiofs_idtable *table, uint32_t number) {
  if (chunk_at(table, number) != NULL)
    return 0;
  struct virtiofs_idchunk *block = calloc(VIRTIOFS_IDBLOCK, sizeof(*block)), *none = NULL;
  if (block == NULL)
    return -ENOMEM;
  if (!atomic_compare_exchange_strong(&table->blocks[number / VIRTIOFS_IDBLOCK], &none, block))
    free(block); /* another thread was quicker */
  return 0;
}

static int furnish_new(struct virtiofs_idtable *table, uint32_t shard, struct virtiofs_idslot *slots) {
  uint32_t number = atomic_load(&table->chunk_count);
  do {
    if (number >= table->chunk_max)
      return -ENFILE;
    int rc = make_block(table, number);
    if (rc != 0)
      return rc;
  } while (!atomic_compare_exchange_weak(&table->chunk_count, &number, number + 1));
  struct virtiofs_idchunk *chunk = chunk_at(table, number);
  chunk->number = number;
  chunk->shard = shard;
  chunk->used = number == 0 ? 1 : 0; /* the root's slot is never free */
  virtiofs_spin_lock(&table->shards[shard].lock);
  furnish(table, chunk, slots);
  virtiofs_spin_unlock(&table->shards[shard].lock);
  return 0;
}

int virtiofs_slab_grow(struct virtiofs_idtable *table, uint32_t shard) {
  struct virtiofs_idslot *slots = calloc(VIRTIOFS_IDCHUNK, sizeof(*slots));
  if (slots == NULL)
    return -ENOMEM;
  int rc = furnish_old(table, shard, slots) ? 0 : furnish_new(table, shard, slots);
  if (rc != 0)
    free(slots);
  return rc;
}

void virtiofs_slab_fini(struct virtiofs_idtable *table) {
  for (uint32_t i = 0; i < table->chunk_max; i += VIRTIOFS_IDBLOCK) {
    struct virtiofs_idchunk *block = chunk_at(table, i);
    if (block == NULL)
      break; /* they are made one after the other */
    for (uint32_t j = 0; j < VIRTIOFS_IDBLOCK; j++)
      free(atomic_load(&block[j].slots));
    free(block);
  }
  free(table->blocks);
}
