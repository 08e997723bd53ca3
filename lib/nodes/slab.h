/* SPDX-License-Identifier: BSD-3-Clause */
/** Where the slots of a table come from: chunks that stay where they are for as long as the table lives. */
#ifndef VIRTIOFS_LIB_NODES_SLAB_H
#define VIRTIOFS_LIB_NODES_SLAB_H

#include "nodes/table.h"

/* NULL if there is no such index yet. */
struct virtiofs_idslot *virtiofs_slab_at(const struct virtiofs_idtable *table, uint32_t index);

/* The shard that a slot belongs to; a free slot's may change at any time. */
uint32_t virtiofs_slab_shard(const struct virtiofs_idtable *table, uint32_t index);

/* Takes a free slot; NULL if the shard has none: then virtiofs_slab_grow(). The shard's lock is held. */
struct virtiofs_idslot *virtiofs_slab_take(struct virtiofs_idtable *table, struct virtiofs_idshard *shard);

/* Gives a slot back, unless its generations are used up. The shard's lock is held. */
void virtiofs_slab_give(struct virtiofs_idshard *shard, struct virtiofs_idslot *slot);

/**
 * Finds free slots for a shard: a new chunk, or a slot that another shard has no use for now. 0; -ENFILE or -ENOMEM if
 * there is none anywhere. No lock is held.
 */
int virtiofs_slab_grow(struct virtiofs_idtable *table, uint32_t shard);

#endif
