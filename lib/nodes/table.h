/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Ids that a guest knows nodes or open files by, and the backend's values behind them.
 *
 * An id is a slot's index with the slot's generation above it, so that an id that was taken away never means anything
 * again. A guest may send any number: finding is bounds, one load and a compare, and takes no lock. Changes take the
 * lock of one shard for a few instructions.
 *
 * Life of a slot: free; live (findable); retired (not findable, perhaps still used); free again, after its last user
 * has left and the backend was told. Of a chunk in which all slots are free only the ids stay, as they have the
 * generations and anybody may look at them at any time.
 */
#ifndef VIRTIOFS_LIB_NODES_TABLE_H
#define VIRTIOFS_LIB_NODES_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/spin.h"
#include "nodes/hazard.h"

/* The id of a table's root; index 1, generation 0. */
#define VIRTIOFS_ID_ROOT UINT64_C(1)
/* Ids of a table: all shards together may need this many indices times their number. */
#define VIRTIOFS_IDS_MAX (UINT64_C(1) << 27)

struct virtiofs_idslot {
  virtiofs_idcell *cell; /* generation << 32 | index while it is live */
  uint64_t value;        /* the backend's */
  union {
    uint64_t lookups; /* nodes: replies that the guest has not given back */
    uint64_t owner;   /* handles: id of the node */
  };
  uint64_t replies; /* nodes: replies that have carried it */
  _Atomic uint32_t pins;
  uint32_t index;
  uint32_t next; /* index of the next in the same bucket, free list or retired list; 0: none */
  uint32_t kind; /* handles: what sort of open file */
};

#define VIRTIOFS_IDCHUNK 64U

/* Belongs to one shard for ever; all but @ids and reading @slots is of that shard's lock. */
struct virtiofs_idchunk {
  virtiofs_idcell ids[VIRTIOFS_IDCHUNK];
  _Atomic(struct virtiofs_idslot *) slots; /* NULL while none is used */
  uint32_t number;
  uint32_t shard;
  uint32_t free;       /* first free slot; 0: none */
  uint32_t used;       /* slots that are not free */
  uint32_t prev, next; /* neighbours in a list of the shard's, a number + 1; 0: none */
};

/* Chunks are made in blocks, so that what stays doesn't lie scattered among what goes. */
#define VIRTIOFS_IDBLOCK 16U

struct virtiofs_idshard {
  _Alignas(64) struct virtiofs_spin lock;
  uint32_t roomy;   /* chunks with slots of which some are free: the first one's number + 1 */
  uint32_t empty;   /* chunks without slots, alike */
  uint32_t entries; /* in the hash */
  uint32_t buckets; /* a power of two, or 0 */
  uint32_t *heads;
};

#define VIRTIOFS_IDSHARDS 16U

struct virtiofs_idtable {
  struct virtiofs_idshard shards[VIRTIOFS_IDSHARDS];
  uint64_t max;           /* slots that may be live or retired at once */
  _Atomic uint64_t taken; /* slots that are */
  _Atomic(struct virtiofs_idchunk *) *blocks;
  uint32_t chunk_max;
  atomic_uint chunk_count;
  const struct virtiofs_hazards *hazards;
  struct virtiofs_spin retired_lock;
  uint32_t retired;
  atomic_uint retired_count;
};

/* The backend is to be told: the slot has no user any more. */
typedef void virtiofs_idtable_gone_fn(void *ctx, const struct virtiofs_idslot *slot);

/* @hazards is borrowed. 0 or -ENOMEM. */
int virtiofs_idtable_init(struct virtiofs_idtable *table, uint64_t max, const struct virtiofs_hazards *hazards);
void virtiofs_idtable_fini(struct virtiofs_idtable *table);

/* Makes VIRTIOFS_ID_ROOT live with @value; it can't be forgotten. 0 or -ENOMEM. Nothing may look for the root then. */
int virtiofs_idtable_root(struct virtiofs_idtable *table, uint64_t value);

/**
 * Nodes: one more reply carries @value. Gives the id that the value has, or a new one.
 * 0; -ENFILE if the table is full; -ENOMEM. Any thread.
 */
int virtiofs_idtable_hold(struct virtiofs_idtable *table, uint64_t value, uint64_t *id);

/* Handles: a new id. As above. */
int virtiofs_idtable_add(struct virtiofs_idtable *table, uint64_t value, uint32_t kind, uint64_t owner, uint64_t *id);

/**
 * Finds a live slot and keeps it for @lane at @index until the hazard is cleared. NULL if there is none.
 * The lane's thread.
 */
struct virtiofs_idslot *virtiofs_idtable_get(struct virtiofs_idtable *table, uint64_t id,
                                             struct virtiofs_hazard_lane *lane, uint32_t index);

/**
 * The lane uses no slot any more. True if one of them has been taken away meanwhile: then virtiofs_idtable_collect()
 * may find it unused now. The lane's thread.
 */
static inline bool virtiofs_hazard_clear(struct virtiofs_hazard_lane *lane) {
  bool gone = false;
  for (uint32_t i = 0; i < VIRTIOFS_HAZARDS; i++) {
    const virtiofs_idcell *cell = atomic_load_explicit(&lane->used[i], memory_order_relaxed);
    if (cell == NULL)
      continue;
    atomic_store(&lane->used[i], NULL);
    gone |= virtiofs_idcell_dead(cell);
  }
  return gone;
}

/* Keep a slot, that a hazard keeps now, beyond it. Any thread. */
static inline void virtiofs_idslot_pin(struct virtiofs_idslot *slot) {
  atomic_fetch_add(&slot->pins, 1);
}

/* Let it go; true as above. Any thread. */
static inline bool virtiofs_idslot_unpin(struct virtiofs_idslot *slot) {
  const virtiofs_idcell *cell = slot->cell;
  atomic_fetch_sub(&slot->pins, 1); /* and @slot may be gone */
  return virtiofs_idcell_dead(cell);
}

/* Would a new slot be refused? Only a glance: another thread may take the last one. */
static inline bool virtiofs_idtable_full(const struct virtiofs_idtable *table) {
  return atomic_load_explicit(&table->taken, memory_order_relaxed) >= table->max;
}

/* Slots that are live or retired now: a glance, too, and for a moment one more than there may be. */
static inline uint64_t virtiofs_idtable_taken(const struct virtiofs_idtable *table) {
  uint64_t taken = atomic_load_explicit(&table->taken, memory_order_relaxed);
  return taken < table->max ? taken : table->max;
}

/**
 * Nodes: the guest gives back @lookups replies; retires the slot when none are left. More than there are counts as all.
 * False if there is no such id. Any thread.
 */
bool virtiofs_idtable_forget(struct virtiofs_idtable *table, uint64_t id, uint64_t lookups);

/**
 * Handles: takes an id away. If nobody uses the slot, @gone is called for it at once and the slot is free; else it is
 * retired. False if there is no such id with this @kind and @owner. Any thread.
 */
bool virtiofs_idtable_remove(struct virtiofs_idtable *table, uint64_t id, uint32_t kind, uint64_t owner,
                             virtiofs_idtable_gone_fn *gone, void *ctx);

/* Is there something for virtiofs_idtable_collect()? */
static inline bool virtiofs_idtable_has_retired(const struct virtiofs_idtable *table) {
  return atomic_load(&table->retired_count) != 0;
}

/* Calls @gone for each retired slot that nobody uses. Any thread, also several. */
void virtiofs_idtable_collect(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx);

/**
 * Takes everything away, the root last and without telling. What is still pinned is retired. What others add meanwhile
 * may stay: they have to take it away themselves.
 */
void virtiofs_idtable_clear(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx);

#endif
