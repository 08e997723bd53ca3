/* SPDX-License-Identifier: BSD-3-Clause */
/** What a map is made of, and the look-up that most addresses need no more than. */
#ifndef VIRTIOFS_LIB_MEM_MAP_H
#define VIRTIOFS_LIB_MEM_MAP_H

#include <stdatomic.h>
#include <stddef.h>

#include <virtiofs/memory.h>

struct virtiofs_memory {
  atomic_uint refs;
  uint32_t count;
  uint32_t uva_count; /* those that are no window */
  virtiofs_memory_release_fn *release;
  const struct virtiofs_memory_region **by_uva; /* behind @regions, in order of uva, none overlapping another */
  struct virtiofs_memory_region regions[];      /* in order of gpa, none overlapping another */
};

/* The region of a hint; NULL: it is of another map. */
static inline const struct virtiofs_memory_region *virtiofs_memory_hinted(const struct virtiofs_memory *map,
                                                                          uint32_t hint) {
  return hint < map->count ? &map->regions[hint] : NULL;
}

/* Where a range lies, if the region has all of it. A region doesn't wrap, and so neither does what is in it. */
static inline void *virtiofs_memory_within(const struct virtiofs_memory_region *r, uint64_t gpa, uint64_t len) {
  uint64_t offset = gpa - r->gpa;
  return offset < r->size && len <= r->size - offset && r->host != NULL ? (unsigned char *)r->host + offset : NULL;
}

/* As virtiofs_memory_gpa(), of a range that lies whole in the hinted region without a call. */
static inline void *virtiofs_memory_look(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len,
                                         uint32_t *hint) {
  const struct virtiofs_memory_region *r = virtiofs_memory_hinted(map, *hint);
  void *host = r != NULL ? virtiofs_memory_within(r, gpa, *len) : NULL;
  return host != NULL ? host : virtiofs_memory_gpa(map, gpa, len, hint);
}

#endif
