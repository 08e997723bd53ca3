/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/memory.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct virtiofs_memory {
  atomic_uint refs;
  uint32_t count;
  virtiofs_memory_release_fn *release;
  struct virtiofs_memory_region regions[]; /* in order of gpa, none overlapping another */
};

static int by_gpa(const void *a, const void *b) {
  const struct virtiofs_memory_region *x = a, *y = b;
  return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static bool wraps(uint64_t start, uint64_t size) {
  return size == 0 || start + size - 1 < start;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a <= b ? b - a < a_size : a - b < b_size;
}

static bool sound(const struct virtiofs_memory *map) {
  for (uint32_t i = 0; i < map->count; i++) {
    const struct virtiofs_memory_region *r = &map->regions[i];
    if (wraps(r->gpa, r->size) || wraps(r->uva, r->size))
      return false;
    if (i > 0 && overlap(r[-1].gpa, r[-1].size, r->gpa, r->size))
      return false;
    for (uint32_t j = 0; j < i; j++)
      if (overlap(map->regions[j].uva, map->regions[j].size, r->uva, r->size))
        return false;
  }
  return true;
}

int virtiofs_memory_new(struct virtiofs_memory **out, const struct virtiofs_memory_region *regions, uint32_t count,
                        virtiofs_memory_release_fn *release) {
  *out = NULL;
  if (count > VIRTIOFS_MEMORY_REGIONS_MAX)
    return -E2BIG;
  struct virtiofs_memory *map = calloc(1, sizeof(*map) + count * sizeof(map->regions[0]));
  if (map == NULL)
    return -ENOMEM;
  atomic_init(&map->refs, 1);
  map->count = count;
  map->release = release;
  if (count > 0) {
    memcpy(map->regions, regions, count * sizeof(map->regions[0]));
    qsort(map->regions, count, sizeof(map->regions[0]), by_gpa);
  }
  if (!sound(map)) {
    free(map);
    return -EPROTO;
  }
  *out = map;
  return 0;
}

struct virtiofs_memory *virtiofs_memory_ref(struct virtiofs_memory *map) {
  if (map != NULL)
    atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
  return map;
}

void virtiofs_memory_unref(struct virtiofs_memory *map) {
  if (map == NULL || atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) != 1)
    return;
  for (uint32_t i = 0; map->release != NULL && i < map->count; i++)
    map->release(map->regions[i].owner);
  free(map);
}

uint32_t virtiofs_memory_count(const struct virtiofs_memory *map) {
  return map->count;
}

const struct virtiofs_memory_region *virtiofs_memory_region_get(const struct virtiofs_memory *map, uint32_t index) {
  return index < map->count ? &map->regions[index] : NULL;
}

static bool holds(const struct virtiofs_memory_region *r, uint64_t gpa) {
  return gpa >= r->gpa && gpa - r->gpa < r->size;
}

/* The last region that begins at or before @gpa; 0 if there is none. */
static uint32_t search(const struct virtiofs_memory *map, uint64_t gpa) {
  uint32_t low = 0, high = map->count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (map->regions[middle].gpa <= gpa)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void *virtiofs_memory_gpa(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len, uint32_t *hint) {
  uint32_t index = *hint;
  if (wraps(gpa, *len) || map->count == 0)
    return NULL;
  if (index >= map->count || !holds(&map->regions[index], gpa)) {
    index = search(map, gpa);
    if (!holds(&map->regions[index], gpa))
      return NULL;
    *hint = index;
  }
  const struct virtiofs_memory_region *r = &map->regions[index];
  uint64_t offset = gpa - r->gpa;
  if (r->size - offset < *len)
    *len = r->size - offset;
  return (unsigned char *)r->host + offset;
}

void *virtiofs_memory_uva(const struct virtiofs_memory *map, uint64_t uva, uint64_t len) {
  for (uint32_t i = 0; i < map->count; i++) {
    const struct virtiofs_memory_region *r = &map->regions[i];
    if (uva >= r->uva && uva - r->uva < r->size && len <= r->size - (uva - r->uva))
      return (unsigned char *)r->host + (uva - r->uva);
  }
  return NULL;
}
