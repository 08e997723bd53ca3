/* SPDX-License-Identifier: BSD-3-Clause */
/** From a backend's value to the node that has it; one hash a shard. */
#ifndef VIRTIOFS_LIB_NODES_HASH_H
#define VIRTIOFS_LIB_NODES_HASH_H

#include "nodes/table.h"

/* The shard that a value belongs to. */
uint32_t virtiofs_hash_shard(uint64_t value);

/* These three with the shard's lock held; virtiofs_hash_insert() only if virtiofs_hash_full() says no. */
struct virtiofs_idslot *virtiofs_hash_find(const struct virtiofs_idtable *table, const struct virtiofs_idshard *shard,
                                           uint64_t value);
void virtiofs_hash_insert(struct virtiofs_idshard *shard, struct virtiofs_idslot *slot);
void virtiofs_hash_remove(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard,
                          struct virtiofs_idslot *slot);
static inline bool virtiofs_hash_full(const struct virtiofs_idshard *shard) {
  return shard->entries >= shard->buckets;
}

/* Makes room. 0 or -ENOMEM. No lock is held. */
int virtiofs_hash_grow(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard);

/* Is it much larger than it need be? The shard's lock is held. */
bool virtiofs_hash_sparse(const struct virtiofs_idshard *shard);
/* Makes it smaller, if there is memory for that. No lock is held. */
void virtiofs_hash_shrink(const struct virtiofs_idtable *table, struct virtiofs_idshard *shard);

#endif
