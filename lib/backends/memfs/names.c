/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/memfs/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

uint64_t virtiofs_memfs_hash(uint64_t seed, const char *name, uint32_t len) {
  uint64_t h = seed;
  for (uint32_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)name[i]) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 32;
}

struct entry *virtiofs_memfs_entry_new(uint64_t seed, const char *name, uint32_t len) {
  struct entry *entry = malloc(sizeof *entry + len + 1);
  if (entry == NULL)
    return NULL;
  *entry = (struct entry){.hash = virtiofs_memfs_hash(seed, name, len), .len = len};
  memcpy(entry->name, name, len);
  entry->name[len] = 0;
  return entry;
}

static struct entry **bucket_of(const struct names *names, uint64_t hash) {
  return &names->buckets[hash & (names->bucket_count - 1)];
}

struct entry *virtiofs_memfs_names_find(const struct names *names, uint64_t hash, const char *name, uint32_t len) {
  if (names->live == 0)
    return NULL;
  struct entry *entry = *bucket_of(names, hash);
  while (entry != NULL && (entry->hash != hash || entry->len != len || memcmp(entry->name, name, len) != 0))
    entry = entry->next;
  return entry;
}

static void chain_in(struct names *names, struct entry *entry) {
  struct entry **bucket = bucket_of(names, entry->hash);
  entry->next = *bucket;
  *bucket = entry;
}

static void chain_out(struct names *names, struct entry *entry) {
  struct entry **link = bucket_of(names, entry->hash);
  while (*link != entry)
    link = &(*link)->next;
  *link = entry->next;
}

static int rehash(struct names *names, size_t bucket_count) {
  struct entry **buckets = calloc(bucket_count, sizeof(struct entry *));
  if (buckets == NULL)
    return -ENOMEM;
  free(names->buckets);
  names->buckets = buckets;
  names->bucket_count = bucket_count;
  for (size_t i = 0; i < names->slot_count; i++) {
    if (names->slots[i].entry != NULL)
      chain_in(names, names->slots[i].entry);
  }
  return 0;
}

/* Positions stay what they are: only the gaps go. */
static void close_gaps(struct names *names) {
  size_t to = 0;
  for (size_t i = 0; i < names->slot_count; i++) {
    if (names->slots[i].entry == NULL)
      continue;
    names->slots[to] = names->slots[i];
    names->slots[to].entry->slot = to;
    to++;
  }
  names->slot_count = to;
}

static int resize(struct names *names, size_t room) {
  struct slot *slots = realloc(names->slots, room * sizeof *slots);
  if (slots == NULL)
    return -ENOMEM;
  names->slots = slots;
  names->slot_room = room;
  return 0;
}

int virtiofs_memfs_names_reserve(struct names *names) {
  if (names->live >= names->bucket_count) {
    int rc = rehash(names, names->bucket_count == 0 ? FIRST_ROOM : names->bucket_count * 2);
    if (rc != 0)
      return rc;
  }
  if (names->slot_count < names->slot_room)
    return 0;
  if (names->live < names->slot_room / 2) {
    close_gaps(names);
    return 0;
  }
  return resize(names, names->slot_room == 0 ? FIRST_ROOM : names->slot_room * 2);
}

void virtiofs_memfs_names_insert(struct names *names, struct entry *entry) {
  if (names->last < MEMFS_DOTDOT)
    names->last = MEMFS_DOTDOT;
  entry->slot = names->slot_count++;
  names->slots[entry->slot] = (struct slot){.position = ++names->last, .entry = entry};
  names->live++;
  chain_in(names, entry);
}

void virtiofs_memfs_names_replace(struct names *names, struct entry *old, struct entry *entry) {
  chain_out(names, old);
  entry->slot = old->slot;
  names->slots[entry->slot].entry = entry;
  chain_in(names, entry);
}

/* What a directory once held must not stay paid for: tables shrink with it. Without memory they stay larger. */
static void shrink(struct names *names) {
  if (names->bucket_count > FIRST_ROOM && names->live < names->bucket_count / 8)
    (void)rehash(names, names->bucket_count / 4);
  if (names->slot_room > FIRST_ROOM && names->live < names->slot_room / 8) {
    close_gaps(names);
    (void)resize(names, names->slot_room / 4);
  }
}

void virtiofs_memfs_names_remove(struct names *names, struct entry *entry) {
  chain_out(names, entry);
  names->slots[entry->slot].entry = NULL;
  names->live--;
  while (names->slot_count > 0 && names->slots[names->slot_count - 1].entry == NULL)
    names->slot_count--;
  shrink(names);
}

size_t virtiofs_memfs_names_after(const struct names *names, uint64_t position) {
  size_t low = 0, high = names->slot_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (names->slots[middle].position <= position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

struct entry *virtiofs_memfs_names_any(const struct names *names) {
  /* The last slot is never a gap. */
  return names->slot_count == 0 ? NULL : names->slots[names->slot_count - 1].entry;
}

void virtiofs_memfs_names_fini(struct names *names) {
  free(names->buckets);
  free(names->slots);
  *names = (struct names){0};
}
