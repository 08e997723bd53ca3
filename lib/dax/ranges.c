/* SPDX-License-Identifier: BSD-3-Clause */
#include "dax/ranges.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define SLAB_SHIFT 9U
#define SLAB (1U << SLAB_SHIFT)
/* A balanced tree of 2^32 ranges has no longer path: 1.44 times the logarithm. */
#define PATH_MAX_LEN 48U

static struct virtiofs_dax_range *at(const struct virtiofs_dax_ranges *ranges, uint32_t index) {
  return &ranges->slabs[index >> SLAB_SHIFT][index & (SLAB - 1)];
}

int virtiofs_dax_ranges_init(struct virtiofs_dax_ranges *ranges, uint32_t max) {
  *ranges = (struct virtiofs_dax_ranges){.slab_count = (max + SLAB - 1) / SLAB, .max = max, .free = NONE, .root = NONE};
  ranges->slabs = calloc(ranges->slab_count, sizeof(struct virtiofs_dax_range *));
  return ranges->slabs != NULL ? 0 : -ENOMEM;
}

void virtiofs_dax_ranges_clear(struct virtiofs_dax_ranges *ranges) {
  for (uint32_t i = 0; i < ranges->room >> SLAB_SHIFT; i++) {
    free(ranges->slabs[i]);
    ranges->slabs[i] = NULL;
  }
  ranges->fresh = ranges->room = ranges->count = 0;
  ranges->free = ranges->root = NONE;
}

void virtiofs_dax_ranges_fini(struct virtiofs_dax_ranges *ranges) {
  if (ranges->slabs != NULL)
    virtiofs_dax_ranges_clear(ranges);
  free(ranges->slabs);
  ranges->slabs = NULL;
}

int virtiofs_dax_ranges_reserve(struct virtiofs_dax_ranges *ranges, uint32_t more) {
  if (more > ranges->max - ranges->count)
    return -ENOMEM;
  while (ranges->room - ranges->count < more) {
    struct virtiofs_dax_range *slab = calloc(SLAB, sizeof(*slab));
    if (slab == NULL)
      return -ENOMEM;
    ranges->slabs[ranges->room >> SLAB_SHIFT] = slab;
    ranges->room += SLAB;
  }
  return 0;
}

struct virtiofs_dax_range *virtiofs_dax_ranges_after(const struct virtiofs_dax_ranges *ranges, uint64_t offset) {
  struct virtiofs_dax_range *found = NULL;
  for (uint32_t i = ranges->root; i != NONE;) {
    struct virtiofs_dax_range *range = at(ranges, i);
    bool ends_after = range->start + range->len > offset;
    if (ends_after)
      found = range;
    i = range->child[ends_after ? 0 : 1];
  }
  return found;
}

/* ---- balance ---- */

static unsigned height(const struct virtiofs_dax_ranges *ranges, uint32_t index) {
  return index != NONE ? at(ranges, index)->height : 0;
}

static void measure(const struct virtiofs_dax_ranges *ranges, uint32_t index) {
  struct virtiofs_dax_range *range = at(ranges, index);
  unsigned left = height(ranges, range->child[0]), right = height(ranges, range->child[1]);
  range->height = (uint8_t)(1 + (left > right ? left : right));
}

/* The child of side @side takes its parent's place, which is returned. */
static uint32_t rotate(const struct virtiofs_dax_ranges *ranges, uint32_t index, unsigned side) {
  struct virtiofs_dax_range *range = at(ranges, index);
  uint32_t up = range->child[side];
  struct virtiofs_dax_range *child = at(ranges, up);
  range->child[side] = child->child[1 - side];
  child->child[1 - side] = index;
  measure(ranges, index);
  measure(ranges, up);
  return up;
}

/* What is to stand in @index's place. */
static uint32_t balance(const struct virtiofs_dax_ranges *ranges, uint32_t index) {
  struct virtiofs_dax_range *range = at(ranges, index);
  for (unsigned side = 0; side < 2; side++) {
    uint32_t heavy = range->child[side];
    if (height(ranges, heavy) <= height(ranges, range->child[1 - side]) + 1)
      continue;
    const struct virtiofs_dax_range *child = at(ranges, heavy);
    if (height(ranges, child->child[1 - side]) > height(ranges, child->child[side]))
      range->child[side] = rotate(ranges, heavy, 1 - side);
    return rotate(ranges, index, side);
  }
  measure(ranges, index);
  return index;
}

/* From the root to where something has changed: each range that was passed, and on which side it was left. */
struct path {
  uint32_t index[PATH_MAX_LEN];
  uint8_t side[PATH_MAX_LEN];
  unsigned len;
};

static void go(struct path *path, uint32_t index, unsigned side) {
  assert(path->len < PATH_MAX_LEN);
  path->index[path->len] = index;
  path->side[path->len++] = (uint8_t)side;
}

/* @below takes the place at the path's end. */
static void put_below(struct virtiofs_dax_ranges *ranges, struct path *path, uint32_t below) {
  while (path->len > 0) {
    uint32_t index = path->index[--path->len];
    at(ranges, index)->child[path->side[path->len]] = below;
    below = balance(ranges, index);
  }
  ranges->root = below;
}

void virtiofs_dax_ranges_insert(struct virtiofs_dax_ranges *ranges, const struct virtiofs_dax_range *range) {
  struct path path = {.len = 0};
  uint32_t made = ranges->free;
  assert(ranges->count < ranges->room);
  if (made != NONE)
    ranges->free = at(ranges, made)->child[0];
  else
    made = ranges->fresh++;
  ranges->count++;
  *at(ranges, made) = *range;
  at(ranges, made)->child[0] = at(ranges, made)->child[1] = NONE;
  at(ranges, made)->height = 1;
  for (uint32_t i = ranges->root; i != NONE;) {
    unsigned side = range->start > at(ranges, i)->start;
    go(&path, i, side);
    i = at(ranges, i)->child[side];
  }
  put_below(ranges, &path, made);
}

void virtiofs_dax_ranges_erase(struct virtiofs_dax_ranges *ranges, uint64_t start) {
  struct path path = {.len = 0};
  uint32_t i = ranges->root;
  while (at(ranges, i)->start != start) {
    unsigned side = start > at(ranges, i)->start;
    go(&path, i, side);
    i = at(ranges, i)->child[side];
  }
  struct virtiofs_dax_range *gone = at(ranges, i);
  if (gone->child[0] != NONE && gone->child[1] != NONE) {
    /* The next one's contents come here, and its own place goes: it has at most one child. */
    go(&path, i, 1);
    for (i = gone->child[1]; at(ranges, i)->child[0] != NONE; i = at(ranges, i)->child[0])
      go(&path, i, 0);
    const struct virtiofs_dax_range *next = at(ranges, i);
    gone->start = next->start;
    gone->len = next->len;
    gone->offset = next->offset;
    gone->file = next->file;
    gone->writable = next->writable;
    gone = at(ranges, i);
  }
  uint32_t below = gone->child[0] != NONE ? gone->child[0] : gone->child[1];
  put_below(ranges, &path, below);
  at(ranges, i)->child[0] = ranges->free;
  ranges->free = i;
  ranges->count--;
}
