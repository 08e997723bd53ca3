/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_gpa(const void *a, const void *b) {
  const struct virtiofs_memory_region *x = a, *y = b;
  return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int by_uva(const void *a, const void *b) {
  const struct virtiofs_memory_region *x = *(const struct virtiofs_memory_region *const *)a;
  const struct virtiofs_memory_region *y = *(const struct virtiofs_memory_region *const *)b;
  return (x->uva > y->uva) - (x->uva < y->uva);
}

static bool wraps(uint64_t start, uint64_t size) {
  return size == 0 || start + size - 1 < start;
}

static bool is_window(const struct virtiofs_memory_region *r) {
  return r->host == NULL;
}

/* Both indices are sorted by now, so only neighbours can overlap. */
static bool sound(const struct virtiofs_memory *map) {
  for (uint32_t i = 0; i < map->count; i++) {
    const struct virtiofs_memory_region *r = &map->regions[i];
    if (wraps(r->gpa, r->size) || (!is_window(r) && wraps(r->uva, r->size)))
      return false;
    if (i > 0 && r->gpa - r[-1].gpa < r[-1].size)
      return false;
  }
  for (uint32_t i = 1; i < map->uva_count; i++) {
    const struct virtiofs_memory_region *r = map->by_uva[i], *before = map->by_uva[i - 1];
    if (r->uva - before->uva < before->size)
      return false;
  }
  return true;
}

static void sort(struct virtiofs_memory *map) {
  qsort(map->regions, map->count, sizeof(map->regions[0]), by_gpa);
  for (uint32_t i = 0; i < map->count; i++)
    if (!is_window(&map->regions[i]))
      map->by_uva[map->uva_count++] = &map->regions[i];
  if (map->uva_count > 0)
    qsort(map->by_uva, map->uva_count, sizeof(map->by_uva[0]), by_uva);
}

int virtiofs_memory_new(struct virtiofs_memory **out, const struct virtiofs_memory_region *regions, uint32_t count,
                        virtiofs_memory_release_fn *release) {
  *out = NULL;
  if (count > VIRTIOFS_MEMORY_REGIONS_MAX)
    return -E2BIG;
  struct virtiofs_memory *map = calloc(1, sizeof(*map) + count * (sizeof(map->regions[0]) + sizeof(map->by_uva[0])));
  if (map == NULL)
    return -ENOMEM;
  atomic_init(&map->refs, 1);
  map->count = count;
  map->release = release;
  map->by_uva = (const struct virtiofs_memory_region **)(void *)&map->regions[count];
  if (count > 0) {
    memcpy(map->regions, regions, count * sizeof(map->regions[0]));
    sort(map);
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

static void *in_region(const struct virtiofs_memory_region *r, uint64_t gpa, uint64_t *len) {
  uint64_t offset = gpa - r->gpa, piece = *len;
  if (r->size - offset < piece)
    piece = r->size - offset;
  if (!is_window(r)) {
    *len = piece;
    return (unsigned char *)r->host + offset;
  }
  uint64_t got = piece;
  void *host = r->window != NULL ? r->window(r->owner, offset, &got) : NULL;
  /* An owner that says nonsense is taken to have nothing there. */
  if (host == NULL || got == 0 || got > piece)
    return NULL;
  *len = got;
  return host;
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
  return in_region(&map->regions[index], gpa, len);
}

bool virtiofs_memory_window(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len) {
  if (wraps(gpa, *len) || map->count == 0)
    return false;
  const struct virtiofs_memory_region *r = &map->regions[search(map, gpa)];
  if (!is_window(r) || !holds(r, gpa))
    return false;
  if (r->size - (gpa - r->gpa) < *len)
    *len = r->size - (gpa - r->gpa);
  return true;
}

void *virtiofs_memory_uva(const struct virtiofs_memory *map, uint64_t uva, uint64_t len) {
  uint32_t low = 0, high = map->uva_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (map->by_uva[middle]->uva <= uva)
      low = middle;
    else
      high = middle;
  }
  if (low >= map->uva_count)
    return NULL;
  const struct virtiofs_memory_region *r = map->by_uva[low];
  uint64_t offset = uva - r->uva;
  if (uva < r->uva || offset >= r->size || len > r->size - offset)
    return NULL;
  return (unsigned char *)r->host + offset;
}
