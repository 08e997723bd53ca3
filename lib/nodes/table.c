/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nodes/hash.h"
#include "nodes/slab.h"

int virtiofs_idtable_init(struct virtiofs_idtable *table, uint64_t max, const struct virtiofs_hazards *hazards) {
  memset(table, 0, sizeof(*table));
  table->max = max < VIRTIOFS_IDS_MAX ? max : VIRTIOFS_IDS_MAX;
  table->hazards = hazards;
  table->chunk_max = virtiofs_slab_chunks(table->max);
  table->blocks = calloc(table->chunk_max / VIRTIOFS_IDBLOCK + 1, sizeof(table->blocks[0]));
  if (table->blocks == NULL)
    table->chunk_max = 0;
  return table->blocks != NULL ? 0 : -ENOMEM;
}

void virtiofs_idtable_fini(struct virtiofs_idtable *table) {
  virtiofs_slab_fini(table);
  for (uint32_t i = 0; i < VIRTIOFS_IDSHARDS; i++)
    free(table->shards[i].heads);
  memset(table, 0, sizeof(*table));
}

/* The id of a slot, be it live or not yet. */
static uint64_t make_id(const struct virtiofs_idslot *slot) {
  return (atomic_load(slot->cell) >> 32) << 32 | slot->index;
}

static void kill_id(struct virtiofs_idslot *slot) {
  atomic_store(slot->cell, (atomic_load(slot->cell) >> 32) << 32);
}

int virtiofs_idtable_root(struct virtiofs_idtable *table, uint64_t value) {
  uint32_t number = virtiofs_hash_shard(value);
  struct virtiofs_idshard *shard = &table->shards[number];
  if (virtiofs_slab_at(table, 1) == NULL) {
    int rc = virtiofs_slab_grow(table, number);
    if (rc != 0)
      return rc;
  }
  virtiofs_spin_lock(&shard->lock);
  bool full = virtiofs_hash_full(shard);
  virtiofs_spin_unlock(&shard->lock);
  if (full) {
    int rc = virtiofs_hash_grow(table, shard);
    if (rc != 0)
      return rc;
  }
  struct virtiofs_idslot *slot = virtiofs_slab_at(table, 1);
  slot->value = value;
  virtiofs_spin_lock(&shard->lock);
  virtiofs_hash_insert(shard, slot);
  atomic_store(slot->cell, VIRTIOFS_ID_ROOT);
  virtiofs_spin_unlock(&shard->lock);
  return 0;
}

/* Counts one more slot against the limit. */
static bool charge(struct virtiofs_idtable *table) {
  if (atomic_fetch_add(&table->taken, 1) < table->max)
    return true;
  atomic_fetch_sub(&table->taken, 1);
  return false;
}

/* Allocates what @shard lacks; the lock is free meanwhile, so the caller has to look again. */
static int make_room(struct virtiofs_idtable *table, uint32_t number, bool hash) {
  struct virtiofs_idshard *shard = &table->shards[number];
  return hash ? virtiofs_hash_grow(table, shard) : virtiofs_slab_grow(table, number);
}

/* With the lock held: 0, -ENFILE, or -EAGAIN if room has to be made, of the hash's or of the slab's. */
static int hold_locked(struct virtiofs_idtable *table, struct virtiofs_idshard *shard, uint64_t value, uint64_t *id,
                       bool *hash) {
  struct virtiofs_idslot *slot = virtiofs_hash_find(table, shard, value);
  if (slot != NULL) {
    if (slot->index != VIRTIOFS_ID_ROOT) {
      slot->lookups++;
      slot->replies++;
    }
    *id = make_id(slot);
    return 0;
  }
  *hash = virtiofs_hash_full(shard);
  if (*hash || shard->roomy == 0)
    return -EAGAIN;
  if (!charge(table))
    return -ENFILE;
  slot = virtiofs_slab_take(table, shard);
  slot->value = value;
  slot->lookups = 1;
  slot->replies = 1;
  virtiofs_hash_insert(shard, slot);
  *id = make_id(slot);
  atomic_store(slot->cell, *id);
  return 0;
}

int virtiofs_idtable_hold(struct virtiofs_idtable *table, uint64_t value, uint64_t *id) {
  uint32_t number = virtiofs_hash_shard(value);
  struct virtiofs_idshard *shard = &table->shards[number];
  int rc;
  do {
    bool hash = false;
    virtiofs_spin_lock(&shard->lock);
    rc = hold_locked(table, shard, value, id, &hash);
    virtiofs_spin_unlock(&shard->lock);
    if (rc == -EAGAIN) {
      int grown = make_room(table, number, hash);
      if (grown != 0)
        return grown;
    }
  } while (rc == -EAGAIN);
  return rc;
}

int virtiofs_idtable_add(struct virtiofs_idtable *table, uint64_t value, uint32_t kind, uint64_t owner, uint64_t *id) {
  uint32_t number = virtiofs_hash_shard(value);
  struct virtiofs_idshard *shard = &table->shards[number];
  if (!charge(table))
    return -ENFILE;
  for (;;) {
    virtiofs_spin_lock(&shard->lock);
    struct virtiofs_idslot *slot = virtiofs_slab_take(table, shard);
    if (slot != NULL) {
      slot->value = value;
      slot->kind = kind;
      slot->owner = owner;
      *id = make_id(slot);
      atomic_store(slot->cell, *id);
    }
    virtiofs_spin_unlock(&shard->lock);
    if (slot != NULL)
      return 0;
    int rc = make_room(table, number, false);
    if (rc != 0) {
      atomic_fetch_sub(&table->taken, 1);
      return rc;
    }
  }
}

/* Where a live id stands; NULL if it is not live. */
static virtiofs_idcell *find_cell(const struct virtiofs_idtable *table, uint64_t id, struct virtiofs_idchunk **chunk) {
  *chunk = virtiofs_slab_chunk(table, (uint32_t)id);
  if (*chunk == NULL || (uint32_t)id == 0)
    return NULL;
  virtiofs_idcell *cell = &(*chunk)->ids[(uint32_t)id % VIRTIOFS_IDCHUNK];
  return atomic_load(cell) == id ? cell : NULL;
}

struct virtiofs_idslot *virtiofs_idtable_get(struct virtiofs_idtable *table, uint64_t id,
                                             struct virtiofs_hazard_lane *lane, uint32_t index) {
  struct virtiofs_idchunk *chunk;
  virtiofs_idcell *cell = find_cell(table, id, &chunk);
  if (cell == NULL)
    return NULL;
  virtiofs_hazard_set(lane, index, cell);
  /* It may have been taken away before the hazard was seen. */
  return atomic_load(cell) == id ? &atomic_load(&chunk->slots)[(uint32_t)id % VIRTIOFS_IDCHUNK] : NULL;
}

static void put_retired(struct virtiofs_idtable *table, struct virtiofs_idslot *slot) {
  virtiofs_spin_lock(&table->retired_lock);
  slot->next = table->retired;
  table->retired = slot->index;
  virtiofs_spin_unlock(&table->retired_lock);
}

static struct virtiofs_idslot *take_retired(struct virtiofs_idtable *table) {
  struct virtiofs_idslot *slot = NULL;
  virtiofs_spin_lock(&table->retired_lock);
  if (table->retired != 0) {
    slot = virtiofs_slab_at(table, table->retired);
    table->retired = slot->next;
  }
  virtiofs_spin_unlock(&table->retired_lock);
  return slot;
}

static void retire(struct virtiofs_idtable *table, struct virtiofs_idslot *slot) {
  atomic_fetch_add(&table->retired_count, 1);
  put_retired(table, slot);
}

/* Finds a live slot and its shard, and locks that. */
static struct virtiofs_idslot *lock_live(struct virtiofs_idtable *table, uint64_t id, struct virtiofs_idshard **shard) {
  struct virtiofs_idchunk *chunk;
  const virtiofs_idcell *cell = find_cell(table, id, &chunk);
  if (cell == NULL)
    return NULL;
  *shard = &table->shards[chunk->shard];
  virtiofs_spin_lock(&(*shard)->lock);
  if (atomic_load(cell) == id)
    return virtiofs_slab_at(table, (uint32_t)id);
  virtiofs_spin_unlock(&(*shard)->lock);
  return NULL;
}

bool virtiofs_idtable_forget(struct virtiofs_idtable *table, uint64_t id, uint64_t lookups) {
  struct virtiofs_idshard *shard;
  if (id == VIRTIOFS_ID_ROOT)
    return true;
  struct virtiofs_idslot *slot = lock_live(table, id, &shard);
  if (slot == NULL)
    return false;
  slot->lookups -= lookups < slot->lookups ? lookups : slot->lookups;
  bool last = slot->lookups == 0;
  if (last) {
    kill_id(slot);
    virtiofs_hash_remove(table, shard, slot);
  }
  virtiofs_spin_unlock(&shard->lock);
  if (last)
    retire(table, slot);
  return true;
}

/* Hazards before pins: a user first pins and then clears its hazard. */
static bool used(const struct virtiofs_idtable *table, const struct virtiofs_idslot *slot) {
  return virtiofs_hazards_hold(table->hazards, slot->cell) || atomic_load(&slot->pins) != 0;
}

/* The backend is told and the slot is free again. */
static void finish(struct virtiofs_idtable *table, struct virtiofs_idslot *slot, virtiofs_idtable_gone_fn *gone,
                   void *ctx) {
  struct virtiofs_idshard *shard = &table->shards[virtiofs_slab_chunk(table, slot->index)->shard];
  gone(ctx, slot);
  virtiofs_spin_lock(&shard->lock);
  void *unused = virtiofs_slab_give(table, shard, slot);
  bool sparse = virtiofs_hash_sparse(shard);
  virtiofs_spin_unlock(&shard->lock);
  free(unused);
  if (sparse)
    virtiofs_hash_shrink(table, shard);
  atomic_fetch_sub(&table->taken, 1);
}

bool virtiofs_idtable_remove(struct virtiofs_idtable *table, uint64_t id, uint32_t kind, uint64_t owner,
                             virtiofs_idtable_gone_fn *gone, void *ctx) {
  struct virtiofs_idshard *shard;
  struct virtiofs_idslot *slot = lock_live(table, id, &shard);
  if (slot == NULL)
    return false;
  bool right = slot->kind == kind && slot->owner == owner;
  if (right)
    kill_id(slot);
  virtiofs_spin_unlock(&shard->lock);
  if (!right)
    return false;
  if (used(table, slot))
    retire(table, slot);
  else
    finish(table, slot, gone, ctx);
  return true;
}

/**
 * A slot is for all collectors again. True if its last user may have let go just now, and have found nothing to
 * collect. Our own pin is what lets us look: without it the slot might be gone already.
 */
static bool put_back(struct virtiofs_idtable *table, struct virtiofs_idslot *slot) {
  const virtiofs_idcell *cell = slot->cell;
  virtiofs_idslot_pin(slot);
  put_retired(table, slot);
  return atomic_fetch_sub(&slot->pins, 1) == 1 && !virtiofs_hazards_hold(table->hazards, cell);
}

/**
 * One look at all that is retired, one slot after the other, so that a collector that gets no time keeps no more than
 * one from others. True if something came free after it was looked at.
 */
static bool collect_once(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx) {
  struct virtiofs_idslot *slot;
  bool missed = false;
  uint32_t kept = 0;
  while ((slot = take_retired(table)) != NULL) {
    if (used(table, slot)) {
      slot->next = kept;
      kept = slot->index;
    } else {
      finish(table, slot, gone, ctx);
      atomic_fetch_sub(&table->retired_count, 1);
    }
  }
  while (kept != 0) {
    slot = virtiofs_slab_at(table, kept);
    kept = slot->next;
    missed |= put_back(table, slot);
  }
  return missed;
}

void virtiofs_idtable_collect(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx) {
  while (collect_once(table, gone, ctx))
    continue;
}

/* Takes a live slot away. NULL if it is not live, or somebody else was quicker. */
static struct virtiofs_idslot *take_away(struct virtiofs_idtable *table, uint64_t id) {
  struct virtiofs_idshard *shard;
  struct virtiofs_idslot *slot = lock_live(table, id, &shard);
  if (slot == NULL)
    return NULL;
  kill_id(slot);
  if (shard->buckets != 0) /* only nodes are in the hash */
    virtiofs_hash_remove(table, shard, slot);
  virtiofs_spin_unlock(&shard->lock);
  return slot;
}

static void clear_root(struct virtiofs_idtable *table) {
  struct virtiofs_idslot *root = virtiofs_slab_at(table, VIRTIOFS_ID_ROOT);
  if (root == NULL || virtiofs_idcell_dead(root->cell))
    return;
  struct virtiofs_idshard *shard = &table->shards[virtiofs_hash_shard(root->value)];
  virtiofs_spin_lock(&shard->lock);
  virtiofs_hash_remove(table, shard, root);
  kill_id(root);
  virtiofs_spin_unlock(&shard->lock);
}

void virtiofs_idtable_clear(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx) {
  uint32_t count = atomic_load(&table->chunk_count) * VIRTIOFS_IDCHUNK;
  virtiofs_idtable_collect(table, gone, ctx);
  for (uint32_t i = VIRTIOFS_ID_ROOT + 1; i < count; i++) {
    uint64_t id = atomic_load(&virtiofs_slab_chunk(table, i)->ids[i % VIRTIOFS_IDCHUNK]);
    struct virtiofs_idslot *slot = take_away(table, id);
    if (slot == NULL)
      continue;
    if (used(table, slot))
      retire(table, slot);
    else
      finish(table, slot, gone, ctx);
  }
  clear_root(table);
}
