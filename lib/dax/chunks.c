/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's chunks: which range of which file is where, and which is given up first. */
#include <virtiofs/dax.h>

#include <errno.h>
#include <stdlib.h>

#include "base/config.h"

#define NONE UINT32_MAX
enum { SHIFT_MIN = 12, SHIFT_MAX = 30, SHIFT_DEFAULT = 21 };

enum state {
  STATE_FREE, /* nothing is known to be mapped there */
  STATE_MAPPING,
  STATE_MAPPED,
};

struct chunk {
  uint64_t node, number; /* of the file's chunk */
  uint32_t users;
  uint32_t hashed;       /* the next in its bucket */
  uint32_t older, newer; /* of those that are mapped and nobody uses; or @older: the next free one */
  uint8_t state;
  bool writable;
};

struct virtiofs_dax_chunks {
  uint32_t shift, count;
  struct chunk *chunks;
  uint32_t *buckets; /* a power of two */
  uint32_t mask;
  uint32_t free;
  uint32_t oldest, newest;
};

/* ---- life ---- */

void virtiofs_dax_chunks_reset(struct virtiofs_dax_chunks *chunks) {
  for (uint32_t i = 0; i <= chunks->mask; i++)
    chunks->buckets[i] = NONE;
  for (uint32_t i = 0; i < chunks->count; i++)
    chunks->chunks[i] = (struct chunk){.hashed = NONE, .older = i + 1 < chunks->count ? i + 1 : NONE};
  chunks->free = 0;
  chunks->oldest = chunks->newest = NONE;
}

static int complete(struct virtiofs_dax_chunks_config *config) {
  if (config->shift == 0)
    config->shift = SHIFT_DEFAULT;
  if (config->max_count == 0)
    config->max_count = VIRTIOFS_DAX_MAPPINGS_MAX;
  bool good = config->shift >= SHIFT_MIN && config->shift <= SHIFT_MAX &&
              config->max_count <= VIRTIOFS_DAX_MAPPINGS_MAX && config->len >> config->shift != 0;
  return good ? 0 : -EINVAL;
}

int virtiofs_dax_chunks_new(struct virtiofs_dax_chunks **out, const struct virtiofs_dax_chunks_config *given) {
  struct virtiofs_dax_chunks_config config;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc == 0)
    rc = complete(&config);
  if (rc != 0)
    return rc;
  struct virtiofs_dax_chunks *chunks = calloc(1, sizeof(*chunks));
  if (chunks == NULL)
    return -ENOMEM;
  uint64_t count = config.len >> config.shift;
  chunks->shift = config.shift;
  chunks->count = count < config.max_count ? (uint32_t)count : config.max_count;
  for (chunks->mask = 1; chunks->mask < chunks->count; chunks->mask *= 2)
    continue;
  chunks->chunks = calloc(chunks->count, sizeof(chunks->chunks[0]));
  chunks->buckets = calloc(chunks->mask, sizeof(chunks->buckets[0]));
  chunks->mask--;
  if (chunks->chunks == NULL || chunks->buckets == NULL) {
    virtiofs_dax_chunks_free(chunks);
    return -ENOMEM;
  }
  virtiofs_dax_chunks_reset(chunks);
  *out = chunks;
  return 0;
}

void virtiofs_dax_chunks_free(struct virtiofs_dax_chunks *chunks) {
  if (chunks == NULL)
    return;
  free(chunks->chunks);
  free(chunks->buckets);
  free(chunks);
}

/* ---- where it is ---- */

static uint32_t *bucket_of(const struct virtiofs_dax_chunks *chunks, uint64_t node, uint64_t number) {
  uint64_t h = (node + number * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
  return &chunks->buckets[(h ^ h >> 29) & chunks->mask];
}

static uint32_t find(const struct virtiofs_dax_chunks *chunks, uint64_t node, uint64_t number) {
  uint32_t i = *bucket_of(chunks, node, number);
  while (i != NONE && (chunks->chunks[i].node != node || chunks->chunks[i].number != number))
    i = chunks->chunks[i].hashed;
  return i;
}

static void unhash(struct virtiofs_dax_chunks *chunks, uint32_t index) {
  struct chunk *chunk = &chunks->chunks[index];
  uint32_t *link = bucket_of(chunks, chunk->node, chunk->number);
  while (*link != index)
    link = &chunks->chunks[*link].hashed;
  *link = chunk->hashed;
}

/* ---- which goes first ---- */

static void leave_line(struct virtiofs_dax_chunks *chunks, uint32_t index) {
  const struct chunk *chunk = &chunks->chunks[index];
  if (chunk->older != NONE)
    chunks->chunks[chunk->older].newer = chunk->newer;
  else
    chunks->oldest = chunk->newer;
  if (chunk->newer != NONE)
    chunks->chunks[chunk->newer].older = chunk->older;
  else
    chunks->newest = chunk->older;
}

static void join_line(struct virtiofs_dax_chunks *chunks, uint32_t index) {
  struct chunk *chunk = &chunks->chunks[index];
  chunk->newer = NONE;
  chunk->older = chunks->newest;
  if (chunk->older != NONE)
    chunks->chunks[chunk->older].newer = index;
  else
    chunks->oldest = index;
  chunks->newest = index;
}

static void set_free(struct virtiofs_dax_chunks *chunks, uint32_t index) {
  unhash(chunks, index);
  chunks->chunks[index] = (struct chunk){.hashed = NONE, .older = chunks->free};
  chunks->free = index;
}

/* Nobody's; NONE: all are used. */
static uint32_t take(struct virtiofs_dax_chunks *chunks) {
  uint32_t index = chunks->free;
  if (index != NONE) {
    chunks->free = chunks->chunks[index].older;
    return index;
  }
  index = chunks->oldest;
  if (index != NONE) {
    leave_line(chunks, index);
    unhash(chunks, index);
  }
  return index;
}

/* ---- using ---- */

static void show(const struct virtiofs_dax_chunks *chunks, uint32_t index, bool writable,
                 struct virtiofs_dax_chunk *out) {
  const struct chunk *chunk = &chunks->chunks[index];
  *out = (struct virtiofs_dax_chunk){.node = chunk->node,
                                     .file_offset = chunk->number << chunks->shift,
                                     .window_offset = (uint64_t)index << chunks->shift,
                                     .len = UINT64_C(1) << chunks->shift,
                                     .writable = writable,
                                     .index = index};
}

static int get_new(struct virtiofs_dax_chunks *chunks, uint64_t node, uint64_t number, bool writable,
                   struct virtiofs_dax_chunk *out) {
  uint32_t index = take(chunks);
  if (index == NONE)
    return -EBUSY;
  uint32_t *bucket = bucket_of(chunks, node, number);
  chunks->chunks[index] =
      (struct chunk){.node = node, .number = number, .users = 1, .hashed = *bucket, .state = STATE_MAPPING};
  *bucket = index;
  show(chunks, index, writable, out);
  return 1;
}

int virtiofs_dax_chunks_get(struct virtiofs_dax_chunks *chunks, uint64_t node, uint64_t offset, bool writable,
                            struct virtiofs_dax_chunk *out) {
  uint64_t number = offset >> chunks->shift;
  if (offset > INT64_MAX)
    return -EINVAL;
  uint32_t index = find(chunks, node, number);
  if (index == NONE)
    return get_new(chunks, node, number, writable, out);
  struct chunk *chunk = &chunks->chunks[index];
  bool upgrades = writable && !chunk->writable;
  /* Others may be looking at it while it is mapped anew. */
  if (chunk->state == STATE_MAPPING || (upgrades && chunk->users > 0))
    return -EBUSY;
  if (chunk->users++ == 0)
    leave_line(chunks, index);
  if (upgrades)
    chunk->state = STATE_MAPPING;
  show(chunks, index, writable || chunk->writable, out);
  return upgrades ? 1 : 0;
}

void virtiofs_dax_chunks_mapped(struct virtiofs_dax_chunks *chunks, const struct virtiofs_dax_chunk *shown, int rc) {
  struct chunk *chunk = &chunks->chunks[shown->index];
  if (rc != 0) {
    set_free(chunks, shown->index);
    return;
  }
  chunk->state = STATE_MAPPED;
  chunk->writable = shown->writable;
}

void virtiofs_dax_chunks_put(struct virtiofs_dax_chunks *chunks, const struct virtiofs_dax_chunk *shown) {
  if (--chunks->chunks[shown->index].users == 0)
    join_line(chunks, shown->index);
}

static void give_up(struct virtiofs_dax_chunks *chunks, uint32_t index, struct virtiofs_window_range *range) {
  *range =
      (struct virtiofs_window_range){.offset = (uint64_t)index << chunks->shift, .len = UINT64_C(1) << chunks->shift};
  leave_line(chunks, index);
  set_free(chunks, index);
}

bool virtiofs_dax_chunks_reclaim(struct virtiofs_dax_chunks *chunks, struct virtiofs_window_range *range) {
  bool there = chunks->oldest != NONE;
  if (there)
    give_up(chunks, chunks->oldest, range);
  return there;
}

bool virtiofs_dax_chunks_drop(struct virtiofs_dax_chunks *chunks, uint64_t node, struct virtiofs_window_range *range) {
  for (uint32_t i = 0; i < chunks->count; i++) {
    const struct chunk *chunk = &chunks->chunks[i];
    if (chunk->state != STATE_MAPPED || chunk->node != node || chunk->users > 0)
      continue;
    *range =
        (struct virtiofs_window_range){.offset = (uint64_t)i << chunks->shift, .len = UINT64_C(1) << chunks->shift};
    leave_line(chunks, i);
    set_free(chunks, i);
    return true;
  }
  return false;
}
