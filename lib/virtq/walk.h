/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The walk along one descriptor chain, written as one step over a state. Where it is told at compile time what kind of
 * table it is in, and its state has no address, the usual step is a few dozen instructions; what is unusual is in
 * walk.c and is given a copy of the state.
 */
#ifndef VIRTIOFS_LIB_VIRTQ_WALK_H
#define VIRTIOFS_LIB_VIRTQ_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/virtq.h>

#include "base/guest.h"
#include "mem/map.h"
#include "virtq/ring.h"

#define VIRTIOFS_WALK_INLINE static inline __attribute__((__always_inline__))

/* Chains with an indirect table may be longer than a small ring: 1 MiB in pages needs 260 descriptors. */
#define VIRTIOFS_WALK_INDIRECT_MAX 1024U

enum virtiofs_walk_result {
  VIRTIOFS_WALK_MORE,
  VIRTIOFS_WALK_END,
  VIRTIOFS_WALK_FAULT, /* walk->fault says why */
};

/* How the descriptors of a table follow each other. */
enum virtiofs_walk_table {
  VIRTIOFS_WALK_LINKED, /* split: by their next field, in the ring's table and in an indirect one */
  VIRTIOFS_WALK_HEAD,   /* a packed ring: the first one, whose flags were loaded already; then it is a circle */
  VIRTIOFS_WALK_CIRCLE, /* a packed ring: one behind the other, around its end */
  VIRTIOFS_WALK_LIST,   /* an indirect table of a packed ring: all of it */
};

/* Where a walk begins. */
struct virtiofs_walk_start {
  const struct virtiofs_memory *map;
  const void *desc; /* the ring's table, in this process */
  uint32_t num;     /* its entries */
  uint32_t at;      /* the first descriptor, < @num */
  uint32_t hint;    /* region of the last translation */
  bool indirect_allowed;
  bool packed;

  /* of a packed ring */
  uint16_t flags; /* of the first descriptor, loaded already */
  uint32_t limit; /* descriptors that the driver can have */
};

struct virtiofs_walk {
  const struct virtiofs_memory *map;
  struct iovec *iov;
  uint32_t capacity; /* of @iov */
  uint32_t num;      /* of the ring */
  bool indirect_allowed;

  /* where the walk is */
  bool indirect; /* in an indirect table */
  bool writable; /* a writable descriptor has been seen */
  bool cut;      /* the pieces of this kind have ended before a window: @room is 0 */
  bool any_cut;  /* those of some kind have */
  bool holes;    /* what is nowhere is a window */
  enum virtiofs_walk_table kind;
  const unsigned char *table;                  /* host address; NULL: a table that doesn't lie in one piece */
  uint64_t table_gpa;                          /* of an indirect table */
  uint32_t table_len;                          /* entries */
  uint32_t index;                              /* of the next descriptor, checked */
  uint32_t left;                               /* how many descriptors there may be yet */
  uint32_t hint;                               /* region of the last translation */
  const struct virtiofs_memory_region *region; /* that one, or one with nothing in it */
  enum virtiofs_virtq_fault fault;

  /* what it has found */
  uint32_t room;      /* @capacity, unless what is found isn't added */
  uint32_t pieces;    /* of both kinds */
  uint32_t in_pieces; /* those that were readable, once a writable one was seen */
  uint64_t total;     /* bytes of all descriptors */
  uint64_t lost;      /* of these, behind a cut */
  uint64_t in_bytes;  /* readable ones, as above */

  /* of a packed ring */
  uint16_t head_flags; /* of the first descriptor, loaded already */
  uint16_t id;         /* of the last one: the buffer's */
};

/* A descriptor of any table, in our byte order. */
struct virtiofs_walk_desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags;
  uint16_t next; /* or the buffer's id */
};

/* As it lies in memory: 16 bytes of either layout. */
struct virtiofs_walk_raw {
  uint64_t addr, rest;
};

/* ---- walk.c: what is unusual ---- */

/* A descriptor of a table that crosses regions. False: it isn't in memory. */
bool virtiofs_walk_load_gpa(const struct virtiofs_memory *map, uint64_t gpa, struct virtiofs_walk_raw *raw);

/* Where a table lies that isn't in the hinted region, as virtiofs_memory_gpa(). */
const unsigned char *virtiofs_walk_find_table(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len);

/* A buffer that isn't as a whole in the hinted region: in as many pieces as it has regions. */
enum virtiofs_walk_result virtiofs_walk_add_pieces(struct virtiofs_walk *walk, uint64_t gpa, uint64_t len);

/* ---- the walk ---- */

/* The region where the next buffer is looked for first. */
VIRTIOFS_WALK_INLINE void virtiofs_walk_set_region(struct virtiofs_walk *walk) {
  static const struct virtiofs_memory_region nothing;
  const struct virtiofs_memory_region *hinted = virtiofs_memory_hinted(walk->map, walk->hint);
  walk->region = hinted != NULL && hinted->host != NULL ? hinted : &nothing;
}

/* @chain: its array is filled by the steps. */
VIRTIOFS_WALK_INLINE void virtiofs_walk_begin(struct virtiofs_walk *walk, const struct virtiofs_walk_start *start,
                                              const struct virtiofs_virtq_chain *chain) {
  walk->map = start->map;
  walk->iov = chain->iov;
  walk->capacity = walk->room = chain->capacity;
  walk->num = start->num;
  walk->holes = chain->holes;
  walk->indirect_allowed = start->indirect_allowed;
  walk->indirect = walk->writable = walk->cut = walk->any_cut = false;
  walk->kind = start->packed ? VIRTIOFS_WALK_HEAD : VIRTIOFS_WALK_LINKED;
  walk->table = start->desc;
  walk->table_gpa = 0;
  walk->table_len = start->num;
  walk->index = start->at;
  walk->left = start->packed ? start->limit : start->num;
  walk->hint = start->hint;
  virtiofs_walk_set_region(walk);
  walk->fault = VIRTIOFS_VIRTQ_OK;
  walk->pieces = walk->in_pieces = 0;
  walk->total = walk->lost = walk->in_bytes = 0;
  walk->head_flags = start->flags;
  walk->id = 0;
}

/* Says in @chain what was found, its ticket aside. */
VIRTIOFS_WALK_INLINE void virtiofs_walk_finish(const struct virtiofs_walk *walk, struct virtiofs_virtq_chain *chain) {
  uint64_t bytes = walk->total - walk->lost;
  uint32_t in_count = walk->writable ? walk->in_pieces : walk->pieces;
  uint64_t in_bytes = walk->writable ? walk->in_bytes : bytes;
  chain->in_count = in_count;
  chain->out_count = walk->pieces - in_count;
  chain->in_bytes = in_bytes;
  chain->out_bytes = bytes - in_bytes;
  chain->cut = walk->any_cut;
}

/* The one way out for everything that a driver can do wrong. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result virtiofs_walk_fault(struct virtiofs_walk *walk,
                                                                   enum virtiofs_virtq_fault why) {
  walk->fault = why;
  return VIRTIOFS_WALK_FAULT;
}

/* The flags of a packed head are those by which it was found to be available: they are not loaded again. */
VIRTIOFS_WALK_INLINE struct virtiofs_walk_raw virtiofs_walk_load_head(const unsigned char *at, uint16_t flags) {
  struct {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
  } part;
  virtiofs_guest_read(&part.addr, at, sizeof(part.addr));
  virtiofs_guest_read(&part.len, at + 8, sizeof(part.len));
  virtiofs_guest_read(&part.id, at + 12, sizeof(part.id));
  uint64_t rest = le32toh(part.len) | (uint64_t)le16toh(part.id) << 32 | (uint64_t)flags << 48;
  return (struct virtiofs_walk_raw){part.addr, htole64(rest)};
}

/* The one place where a descriptor is loaded. False: it isn't in memory. */
VIRTIOFS_WALK_INLINE bool virtiofs_walk_load(const struct virtiofs_walk *walk, enum virtiofs_walk_table kind,
                                             struct virtiofs_walk_desc *desc) {
  uint64_t offset = (uint64_t)walk->index * sizeof(struct virtiofs_walk_raw);
  struct virtiofs_walk_raw raw;
  if (kind == VIRTIOFS_WALK_HEAD) {
    raw = virtiofs_walk_load_head(walk->table + offset, walk->head_flags);
  } else if (kind == VIRTIOFS_WALK_CIRCLE || __builtin_expect(walk->table != NULL, 1)) {
    virtiofs_guest_read(&raw, walk->table + offset, sizeof(raw));
  } else {
    struct virtiofs_walk_raw far;
    if (!virtiofs_walk_load_gpa(walk->map, walk->table_gpa + offset, &far))
      return false;
    raw = far;
  }
  uint64_t rest = le64toh(raw.rest);
  desc->addr = le64toh(raw.addr);
  desc->len = (uint32_t)rest;
  desc->flags = (uint16_t)(kind == VIRTIOFS_WALK_LINKED ? rest >> 32 : rest >> 48);
  desc->next = (uint16_t)(kind == VIRTIOFS_WALK_LINKED ? rest >> 48 : rest >> 32);
  return true;
}

/* Where an indirect table lies; NULL: a part of it, or all, is not in the hinted region. */
VIRTIOFS_WALK_INLINE const unsigned char *virtiofs_walk_near_table(const struct virtiofs_walk *walk, uint64_t gpa,
                                                                   uint32_t len) {
  const struct virtiofs_memory_region *r = walk->region;
  uint64_t offset = gpa - r->gpa;
  return offset < r->size && len <= r->size - offset ? (const unsigned char *)r->host + offset : NULL;
}

/* Goes on in an indirect table. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result
virtiofs_walk_enter(struct virtiofs_walk *walk, enum virtiofs_walk_table kind, const struct virtiofs_walk_desc *desc) {
  if (!walk->indirect_allowed)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_INDIRECT_UNASKED);
  if (walk->indirect)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_INDIRECT_NESTED);
  if ((desc->flags & VIRTIOFS_DESC_F_NEXT) != 0 || kind == VIRTIOFS_WALK_CIRCLE)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_INDIRECT_NEXT);
  uint32_t count = desc->len / (uint32_t)sizeof(struct virtiofs_walk_raw);
  if (count == 0 || desc->len % sizeof(struct virtiofs_walk_raw) != 0 || count > VIRTIOFS_VIRTQ_SIZE_MAX)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_INDIRECT_SIZE);
  const unsigned char *table = virtiofs_walk_near_table(walk, desc->addr, desc->len);
  if (table == NULL) {
    uint64_t piece = desc->len;
    table = virtiofs_walk_find_table(walk->map, desc->addr, &piece);
    if (table == NULL)
      return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_ADDRESS);
    if (piece < desc->len)
      table = NULL;
  }
  /* What went before counts too. */
  uint32_t most = walk->num > VIRTIOFS_WALK_INDIRECT_MAX ? walk->num : VIRTIOFS_WALK_INDIRECT_MAX;
  walk->left = most - (kind == VIRTIOFS_WALK_HEAD ? 1 : walk->num - walk->left);
  walk->table = table;
  walk->table_gpa = desc->addr;
  walk->table_len = count;
  walk->index = 0;
  walk->indirect = true;
  if (kind == VIRTIOFS_WALK_HEAD)
    walk->kind = VIRTIOFS_WALK_LIST;
  return VIRTIOFS_WALK_MORE;
}

/* Adds a descriptor's buffer to the chain. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result virtiofs_walk_add(struct virtiofs_walk *walk,
                                                                 const struct virtiofs_walk_desc *desc) {
  const struct virtiofs_memory_region *r = walk->region;
  uint64_t offset = desc->addr - r->gpa;
  /* Whole in this region, which doesn't wrap; a buffer of no bytes is not here either. */
  if (__builtin_expect(offset < r->size && (uint64_t)desc->len - 1 < r->size - offset && walk->pieces < walk->room,
                       1)) {
    walk->iov[walk->pieces++] = (struct iovec){.iov_base = (unsigned char *)r->host + offset, .iov_len = desc->len};
    return VIRTIOFS_WALK_MORE;
  }
  struct virtiofs_walk copy = *walk;
  enum virtiofs_walk_result result = virtiofs_walk_add_pieces(&copy, desc->addr, desc->len);
  *walk = copy;
  return result;
}

/* The sum can't wrap before: there are fewer than 2^17 descriptors of less than 2^32 bytes. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result virtiofs_walk_end(struct virtiofs_walk *walk) {
  return walk->total <= UINT64_C(1) << 32 ? VIRTIOFS_WALK_END : virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_TOTAL);
}

/* Where the next descriptor is. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result virtiofs_walk_advance(struct virtiofs_walk *walk,
                                                                     enum virtiofs_walk_table kind,
                                                                     const struct virtiofs_walk_desc *desc) {
  if (kind == VIRTIOFS_WALK_LIST)
    return ++walk->index == walk->table_len ? virtiofs_walk_end(walk) : VIRTIOFS_WALK_MORE;
  if ((desc->flags & VIRTIOFS_DESC_F_NEXT) == 0)
    return virtiofs_walk_end(walk);
  if (kind != VIRTIOFS_WALK_LINKED) {
    walk->kind = VIRTIOFS_WALK_CIRCLE;
    walk->index = walk->index + 1 == walk->table_len ? 0 : walk->index + 1;
    return VIRTIOFS_WALK_MORE;
  }
  if (desc->next >= walk->table_len)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_NEXT_RANGE);
  walk->index = desc->next;
  return VIRTIOFS_WALK_MORE;
}

/* Takes one descriptor; @kind: what walk->kind is, known to the compiler. */
VIRTIOFS_WALK_INLINE enum virtiofs_walk_result virtiofs_walk_step_as(struct virtiofs_walk *walk,
                                                                     enum virtiofs_walk_table kind) {
  struct virtiofs_walk_desc desc;
  if (walk->left == 0)
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_CHAIN_LONG);
  walk->left--;
  if (!virtiofs_walk_load(walk, kind, &desc))
    return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_ADDRESS);
  if (kind == VIRTIOFS_WALK_HEAD || kind == VIRTIOFS_WALK_CIRCLE)
    walk->id = desc.next;
  if (kind != VIRTIOFS_WALK_LIST && (desc.flags & VIRTIOFS_DESC_F_INDIRECT) != 0)
    return virtiofs_walk_enter(walk, kind, &desc);

  bool writable = (desc.flags & VIRTIOFS_DESC_F_WRITE) != 0;
  if (writable != walk->writable) {
    if (!writable)
      return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_ORDER);
    walk->writable = true;
    walk->cut = false;
    walk->room = walk->capacity;
    walk->in_pieces = walk->pieces;
    walk->in_bytes = walk->total - walk->lost;
  }
  walk->total += desc.len;
  if (virtiofs_walk_add(walk, &desc) == VIRTIOFS_WALK_FAULT)
    return VIRTIOFS_WALK_FAULT;
  return virtiofs_walk_advance(walk, kind, &desc);
}

/* Takes one descriptor. */
static inline enum virtiofs_walk_result virtiofs_walk_step(struct virtiofs_walk *walk) {
  switch (walk->kind) {
  case VIRTIOFS_WALK_LINKED:
    return virtiofs_walk_step_as(walk, VIRTIOFS_WALK_LINKED);
  case VIRTIOFS_WALK_HEAD:
    return virtiofs_walk_step_as(walk, VIRTIOFS_WALK_HEAD);
  case VIRTIOFS_WALK_CIRCLE:
    return virtiofs_walk_step_as(walk, VIRTIOFS_WALK_CIRCLE);
  default:
    return virtiofs_walk_step_as(walk, VIRTIOFS_WALK_LIST);
  }
}

/* Goes to the end of a walk of a layout that the compiler knows; walk->fault says whether all was right. */
VIRTIOFS_WALK_INLINE void virtiofs_walk_all(struct virtiofs_walk *walk, bool packed) {
  enum virtiofs_walk_result result;
  if (!packed) {
    do
      result = virtiofs_walk_step_as(walk, VIRTIOFS_WALK_LINKED);
    while (result == VIRTIOFS_WALK_MORE);
    return;
  }
  result = virtiofs_walk_step_as(walk, VIRTIOFS_WALK_HEAD);
  if (walk->kind == VIRTIOFS_WALK_LIST)
    while (result == VIRTIOFS_WALK_MORE)
      result = virtiofs_walk_step_as(walk, VIRTIOFS_WALK_LIST);
  else
    while (result == VIRTIOFS_WALK_MORE)
      result = virtiofs_walk_step_as(walk, VIRTIOFS_WALK_CIRCLE);
}

#endif
