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
  /* More than the limit needs, so that shards seldom have to ask each other for free slots. */
  table->chunk_max = (uint32_t)(table->max / VIRTIOFS_IDCHUNK * 2) + 2 * VIRTIOFS_IDSHARDS;
  table->chunks = calloc(table->chunk_max, sizeof(table->chunks[0]));
  return table->chunks != NULL ? 0 : -ENOMEM;
}

void virtiofs_idtable_fini(struct virtiofs_idtable *table) {
  uint32_t count = atomic_load(&table->chunk_count);
  for (uint32_t i = 0; i < count; i++)
    free(atomic_load(&table->chunks[i]));
  for (uint32_t i = 0; i < VIRTIOFS_IDSHARDS; i++)
    free(table->shards[i].heads);
  free(table->chunks);
  memset(table, 0, sizeof(*table));
}

static uint64_t make_id(const struct virtiofs_idslot *slot) {
  return (uint64_t)slot->generation << 32 | slot->index;
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
  atomic_store(&slot->id, VIRTIOFS_ID_ROOT);
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
  if (*hash || shard->free == 0)
    return -EAGAIN;
  if (!charge(table))
    return -ENFILE;
  slot = virtiofs_slab_take(table, shard);
  slot->value = value;
  slot->lookups = 1;
  slot->replies = 1;
  virtiofs_hash_insert(shard, slot);
  *id = make_id(slot);
  atomic_store(&slot->id, *id);
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
      atomic_store(&slot->id, *id);
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

struct virtiofs_idslot *virtiofs_idtable_get(struct virtiofs_idtable *table, uint64_t id,
                                             struct virtiofs_hazard_lane *lane, uint32_t index) {
  struct virtiofs_idslot *slot = virtiofs_slab_at(table, (uint32_t)id);
  if (slot == NULL || id == 0 || atomic_load(&slot->id) != id)
    return NULL;
  virtiofs_hazard_set(lane, index, slot);
  /* It may have been taken away before the hazard was seen. */
  return atomic_load(&slot->id) == id ? slot : NULL;
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
  struct virtiofs_idslot *slot = virtiofs_slab_at(table, (uint32_t)id);
  if (slot == NULL || id == 0)
    return NULL;
  *shard = &table->shards[virtiofs_slab_shard(table, slot->index)];
  virtiofs_spin_lock(&(*shard)->lock);
  if (atomic_load(&slot->id) == id)
    return slot;
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
    atomic_store(&slot->id, 0);
    virtiofs_hash_remove(table, shard, slot);
  }
  virtiofs_spin_unlock(&shard->lock);
  if (last)
    retire(table, slot);
  return true;
}

/* Hazards before pins: a user first pins and then clears its hazard. */
static bool used(const struct virtiofs_idtable *table, const struct virtiofs_idslot *slot) {
  return virtiofs_hazards_hold(table->hazards, slot) || atomic_load(&slot->pins) != 0;
}

/* The backend is told and the slot is free again. */
static void finish(struct virtiofs_idtable *table, struct virtiofs_idslot *slot, virtiofs_idtable_gone_fn *gone,
                   void *ctx) {
  struct virtiofs_idshard *shard = &table->shards[virtiofs_slab_shard(table, slot->index)];
  gone(ctx, slot);
  virtiofs_spin_lock(&shard->lock);
  virtiofs_slab_give(shard, slot);
  virtiofs_spin_unlock(&shard->lock);
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
    atomic_store(&slot->id, 0);
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
    put_retired(table, slot);
    /* Its last user may have let go just now, and have found nothing to collect. */
    missed |= !used(table, slot);
  }
  return missed;
}

void virtiofs_idtable_collect(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx) {
  while (collect_once(table, gone, ctx))
    continue;
}

/* Takes a live slot away. False if somebody else was quicker. */
static bool take_away(struct virtiofs_idtable *table, uint64_t id) {
  struct virtiofs_idshard *shard;
  struct virtiofs_idslot *slot = lock_live(table, id, &shard);
  if (slot == NULL)
    return false;
  atomic_store(&slot->id, 0);
  /* Only nodes are counted, and only they are in the hash. */
  if (slot->lookups != 0)
    virtiofs_hash_remove(table, shard, slot);
  virtiofs_spin_unlock(&shard->lock);
  return true;
}

static void clear_root(struct virtiofs_idtable *table) {
  struct virtiofs_idslot *root = virtiofs_slab_at(table, VIRTIOFS_ID_ROOT);
  if (root == NULL || atomic_load(&root->id) == 0)
    return;
  struct virtiofs_idshard *shard = &table->shards[virtiofs_hash_shard(root->value)];
  virtiofs_spin_lock(&shard->lock);
  virtiofs_hash_remove(table, shard, root);
  atomic_store(&root->id, 0);
  virtiofs_spin_unlock(&shard->lock);
}

void virtiofs_idtable_clear(struct virtiofs_idtable *table, virtiofs_idtable_gone_fn *gone, void *ctx) {
  uint32_t chunks = atomic_load(&table->chunk_count);
  virtiofs_idtable_collect(table, gone, ctx);
  for (uint32_t i = 0; i < chunks; i++) {
    struct virtiofs_idchunk *chunk = atomic_load(&table->chunks[i]);
    for (uint32_t j = 0; chunk != NULL && j < VIRTIOFS_IDCHUNK; j++) {
      struct virtiofs_idslot *slot = &chunk->slots[j];
      uint64_t id = atomic_load(&slot->id);
      if (id == 0 || slot->index == VIRTIOFS_ID_ROOT || !take_away(table, id))
        continue;
      if (used(table, slot))
        retire(table, slot);
      else
        finish(table, slot, gone, ctx);
    }
  }
  clear_root(table);
}
