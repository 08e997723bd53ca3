/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Where the slots of a table come from: chunks, each of one shard. The slots of a chunk that has no use for any are
 * given back to the heap.
 */
#ifndef VIRTIOFS_LIB_NODES_SLAB_H
#define VIRTIOFS_LIB_NODES_SLAB_H

#include "nodes/table.h"

/* Chunks that a table may need at most: each shard may have to hold all. */
uint32_t virtiofs_slab_chunks(uint64_t max);

/* The chunk of an index; NULL if there is none yet. */
struct virtiofs_idchunk *virtiofs_slab_chunk(const struct virtiofs_idtable *table, uint32_t index);

/* A slot. Of a live or retired one, or with the lock of a shard that has it; NULL if there is no such slot now. */
struct virtiofs_idslot *virtiofs_slab_at(const struct virtiofs_idtable *table, uint32_t index);

/* Takes a free slot; NULL if the shard has none: then virtiofs_slab_grow(). The shard's lock is held. */
struct virtiofs_idslot *virtiofs_slab_take(struct virtiofs_idtable *table, struct virtiofs_idshard *shard);

/**
 * Gives a slot back, unless its generations are used up. The shard's lock is held. What is returned is to be freed
 * when it is not held any more; mostly NULL.
 */
void *virtiofs_slab_give(struct virtiofs_idtable *table, struct virtiofs_idshard *shard, struct virtiofs_idslot *slot);

/* Makes free slots for a shard. 0; -ENFILE if there are too many; -ENOMEM. No lock is held. */
int virtiofs_slab_grow(struct virtiofs_idtable *table, uint32_t shard);

/* Frees all. */
void virtiofs_slab_fini(struct virtiofs_idtable *table);

#endif
