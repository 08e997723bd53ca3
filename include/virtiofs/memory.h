/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest's memory as the host sees it: where a guest-physical address, or an address of the front-end's, lies in
 * this process.
 *
 * A map never changes. When regions come or go a new one is made, and the old one lives as long as somebody holds
 * it: a request keeps the memory that it was parsed against.
 *
 * Threads: a map may be read by many threads at once; ref and unref are atomic.
 */
#ifndef VIRTIOFS_MEMORY_H
#define VIRTIOFS_MEMORY_H

#include <stdint.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most regions in one map. */
#define VIRTIOFS_MEMORY_REGIONS_MAX 509U

/** One piece of guest memory that lies in one piece in this process. */
struct virtiofs_memory_region {
  uint64_t gpa;  /**< guest-physical address of its first byte */
  uint64_t size; /**< bytes, > 0; gpa + size and uva + size don't wrap */
  uint64_t uva;  /**< the front-end's address of its first byte, which vhost-user uses for rings */
  void *host;    /**< address in this process */
  void *owner;   /**< given to the release function; not otherwise used */
};

/** A map. Opaque, counted. */
struct virtiofs_memory;

/**
 * virtiofs_memory_release_fn - a map with this region is gone
 * @owner: the region's
 *
 * Called once for each region of each map, by whoever drops the last reference; each region of a map that was made
 * holds one reference of its owner, so to speak. May call munmap(2).
 */
typedef void virtiofs_memory_release_fn(void *owner);

/**
 * virtiofs_memory_new - make a map
 * @out:     the map with one reference; NULL after an error
 * @regions: copied; in any order; may be NULL if @count is 0
 * @count:   0 .. VIRTIOFS_MEMORY_REGIONS_MAX
 * @release: may be NULL
 *
 * Return: 0; -EPROTO if a region is empty, wraps, or overlaps another by gpa or by uva; -E2BIG if there are too many;
 * -ENOMEM. After an error @release has not been called. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_memory_new(struct virtiofs_memory **out,
                                                          const struct virtiofs_memory_region *regions, uint32_t count,
                                                          virtiofs_memory_release_fn *release);

/** virtiofs_memory_ref - one more reference; @map may be NULL. Return: @map. Threads: any. */
VIRTIOFS_EXPORT struct virtiofs_memory *virtiofs_memory_ref(struct virtiofs_memory *map);

/** virtiofs_memory_unref - drop a reference; @map may be NULL. Threads: any. */
VIRTIOFS_EXPORT void virtiofs_memory_unref(struct virtiofs_memory *map);

/** virtiofs_memory_count - how many regions. Threads: any. */
VIRTIOFS_EXPORT uint32_t virtiofs_memory_count(const struct virtiofs_memory *map);

/** virtiofs_memory_region_get - region @index in order of gpa; NULL past the end. Lifetime: the map's. Threads: any. */
VIRTIOFS_EXPORT const struct virtiofs_memory_region *virtiofs_memory_region_get(const struct virtiofs_memory *map,
                                                                                uint32_t index);

/**
 * virtiofs_memory_gpa - where does a guest-physical address lie?
 * @map:  a map
 * @gpa:  address
 * @len:  in: bytes wanted, > 0; out: bytes that lie in one piece from there, 1 .. the wanted
 * @hint: the region found last time, to begin with 0; belongs to one thread
 *
 * A range that crosses regions comes out in pieces: ask again for the rest.
 *
 * Return: the host's address; NULL if @gpa is in no region or @gpa + @len wraps, and then @len is unchanged.
 * Lifetime: the map's. Threads: any. Cost: a compare if it is the hinted region, else a binary search.
 */
VIRTIOFS_EXPORT void *virtiofs_memory_gpa(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len,
                                          uint32_t *hint);

/**
 * virtiofs_memory_uva - where does a range at an address of the front-end's lie?
 * @map: a map
 * @uva: address
 * @len: bytes, > 0
 *
 * Return: the host's address; NULL if the range isn't in one region. Lifetime: the map's. Threads: any.
 */
VIRTIOFS_EXPORT void *virtiofs_memory_uva(const struct virtiofs_memory *map, uint64_t uva, uint64_t len);

#ifdef __cplusplus
}
#endif

#endif
