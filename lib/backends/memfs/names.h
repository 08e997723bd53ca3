/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The names in one directory: found by a hash, listed by a position that stays when others come and go.
 *
 * Each name gets a number when it comes, higher than all before it, and is listed in that order. What is listed behind
 * a number is found by a binary search in an array, in which names that went leave gaps until there are too many.
 * Threads: the caller's lock.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_MEMFS_NAMES_H
#define VIRTIOFS_LIB_BACKENDS_MEMFS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;

/** A name. */
struct entry {
  struct entry *next; /**< in its bucket */
  struct node *node;
  uint64_t hash;
  size_t slot; /**< where it is in the array */
  uint32_t len;
  char name[]; /**< NUL-terminated */
};

struct slot {
  uint64_t position;
  struct entry *entry; /**< NULL: gone */
};

/** All zero: no names. */
struct names {
  struct entry **buckets;
  size_t bucket_count; /**< 0 or a power of two */
  struct slot *slots;
  size_t slot_count, slot_room;
  size_t live;
  uint64_t last; /**< position of the name that came last, whether or not it is still there */
};

/** Positions up to this are for "." and "..". */
#define MEMFS_DOT UINT64_C(1)
#define MEMFS_DOTDOT UINT64_C(2)

/** virtiofs_memfs_hash - of a name; @seed is the file system's. */
uint64_t virtiofs_memfs_hash(uint64_t seed, const char *name, uint32_t len);

/** virtiofs_memfs_entry_new - a name that is in no directory; NULL without memory. Freed by free(3). */
struct entry *virtiofs_memfs_entry_new(uint64_t seed, const char *name, uint32_t len);

/** virtiofs_memfs_names_find - NULL if it isn't there. */
struct entry *virtiofs_memfs_names_find(const struct names *names, uint64_t hash, const char *name, uint32_t len);

/** virtiofs_memfs_names_reserve - make room for one more. Return: 0 or -ENOMEM. */
int virtiofs_memfs_names_reserve(struct names *names);

/** virtiofs_memfs_names_insert - put in a name that isn't there, after virtiofs_memfs_names_reserve(). */
void virtiofs_memfs_names_insert(struct names *names, struct entry *entry);

/** virtiofs_memfs_names_replace - put @entry where @old is, which is then in no directory; needs no room. */
void virtiofs_memfs_names_replace(struct names *names, struct entry *old, struct entry *entry);

/** virtiofs_memfs_names_remove - take out a name that is there. */
void virtiofs_memfs_names_remove(struct names *names, struct entry *entry);

/** virtiofs_memfs_names_after - index of the first slot behind a position; slot_count if there is none. */
size_t virtiofs_memfs_names_after(const struct names *names, uint64_t position);

/** virtiofs_memfs_names_any - some name; NULL if there is none. */
struct entry *virtiofs_memfs_names_any(const struct names *names);

/** virtiofs_memfs_names_fini - free the tables; no name is left in them. */
void virtiofs_memfs_names_fini(struct names *names);

#endif
