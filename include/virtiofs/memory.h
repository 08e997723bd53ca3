/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest's memory as the host sees it: where a guest-physical address, or an address of the front-end's, lies in
 * this process.
 *
 * A map never changes. When regions come or go a new one is made, and the old one lives as long as somebody holds
 * it: a request keeps the memory that it was parsed against. A cell holds the map of the moment, so that queues which
 * run find out by one load that there is another.
 *
 * Threads: a map may be read by many threads at once; ref and unref are atomic.
 */
#ifndef VIRTIOFS_MEMORY_H
#define VIRTIOFS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The map ---- */

/** Most regions in one map. */
#define VIRTIOFS_MEMORY_REGIONS_MAX 509U

/**
 * virtiofs_memory_window_fn - where does a part of a window lie just now?
 * @owner:  the region's
 * @offset: from the window's beginning, less than its size
 * @len:    in: bytes wanted, > 0, all inside of the window; out: bytes that lie in one piece from there, 1 .. the
 * wanted
 *
 * Return: the host's address, good for as long as whoever looked it up uses it, which is for the owner to see to; NULL
 * if there is no memory behind it, and then @len is ignored. A guest can make a file shorter that is mapped there, and
 * then whoever touches its former end gets SIGBUS, a device that reads its request there too: an owner that can't deal
 * with that gives NULL, and the request is answered EFAULT. Threads: any that reads the map, also two at once.
 */
typedef void *virtiofs_memory_window_fn(void *owner, uint64_t offset, uint64_t *len);

/** A range of guest-physical addresses: memory that lies in one piece in this process, or a window. */
struct virtiofs_memory_region {
  uint64_t gpa;  /**< guest-physical address of its first byte */
  uint64_t size; /**< bytes, > 0; gpa + size and uva + size don't wrap */
  uint64_t uva;  /**< the front-end's address of its first byte, which vhost-user uses for rings; of a window: unused */
  void *host;    /**< address in this process; NULL: a window, which is no memory of its own (a DAX window, a BAR) */
  void *owner;   /**< given to the functions below; not otherwise used */
  virtiofs_memory_window_fn *window; /**< of a window: resolves addresses; NULL: nothing is behind any of it */
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
 * Return: 0; -EPROTO if a region is empty, wraps, or overlaps another by gpa, or by uva if it is no window; -E2BIG if
 * there are too many; -ENOMEM. After an error @release has not been called. Threads: any.
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
 * Return: the host's address; NULL if @gpa is in no region, in a window with nothing behind it, or @gpa + @len wraps,
 * and then @len is unchanged. Lifetime: the map's, or what the window's owner says. Threads: any. Cost: a compare if it
 * is the hinted region, else a binary search.
 */
VIRTIOFS_EXPORT void *virtiofs_memory_gpa(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len,
                                          uint32_t *hint);

/**
 * virtiofs_memory_window - is a guest-physical address in a window?
 * @len: in: bytes wanted, > 0; out: those of them that are in the same window; unchanged if false
 *
 * Whether or not there is anything behind it. Return: true if it is. Threads: any. Cost: a binary search.
 */
VIRTIOFS_EXPORT bool virtiofs_memory_window(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len);

/**
 * virtiofs_memory_uva - where does a range at an address of the front-end's lie?
 * @map: a map
 * @uva: address
 * @len: bytes, > 0
 *
 * Windows have no such addresses. Return: the host's address; NULL if the range isn't in one region. Lifetime: the
 * map's. Threads: any. Cost: a binary search.
 */
VIRTIOFS_EXPORT void *virtiofs_memory_uva(const struct virtiofs_memory *map, uint64_t uva, uint64_t len);

/* ---- The map of the moment ---- */

/** Holds the map that is to be used from now on. Opaque. */
struct virtiofs_memory_cell;

/** What one reader has of a cell. All zero to begin with, and ended by virtiofs_memory_unref(view.map). */
struct virtiofs_memory_view {
  struct virtiofs_memory *map; /**< referenced; NULL: nothing was ever set */
  uint64_t version;            /**< of the cell when @map was got */
};

/** virtiofs_memory_cell_new - a cell that holds nothing. Return: 0; -ENOMEM, then @out is NULL. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_memory_cell_new(struct virtiofs_memory_cell **out);

/** virtiofs_memory_cell_free - drop the map that it holds; NULL is fine. Views that readers have stay theirs. */
VIRTIOFS_EXPORT void virtiofs_memory_cell_free(struct virtiofs_memory_cell *cell);

/**
 * virtiofs_memory_cell_set - there is another map
 * @take_map: its reference is taken; NULL: no memory any more
 *
 * Readers get it with their next look. The old one goes when the last of those who hold it lets go. Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_memory_cell_set(struct virtiofs_memory_cell *cell, struct virtiofs_memory *take_map);

/**
 * virtiofs_memory_cell_get - bring a view up to date
 * @view: one thread's
 *
 * To be called between two requests: what was found by the old map may be gone afterwards, unless somebody holds that.
 *
 * Return: true if the view has changed; its old reference was dropped then. Threads: any, with a view of their own.
 * Cost: one load if nothing has changed.
 */
VIRTIOFS_EXPORT bool virtiofs_memory_cell_get(struct virtiofs_memory_cell *cell, struct virtiofs_memory_view *view);

/* ---- What was written ---- */

/** Bytes that one bit of a log stands for. */
#define VIRTIOFS_MEMORY_LOG_PAGE 4096U

/**
 * A bitmap of the guest's pages, shared with whoever migrates the guest: bit gpa / 4096 % 8 of byte gpa / 4096 / 8 is
 * set once the page was written. Layout: vhost-user, VHOST_USER_SET_LOG_BASE.
 */
struct virtiofs_memory_log {
  unsigned char *bitmap; /**< borrowed */
  uint64_t size;         /**< bytes of it; pages behind its end are not marked */
};

/**
 * virtiofs_memory_log_mark - a range was written
 * @gpa: guest-physical address
 * @len: bytes, 0 allowed
 *
 * To be called after the writing, and before the guest is told of it. Threads: any, also two at once on one bitmap.
 */
VIRTIOFS_EXPORT void virtiofs_memory_log_mark(const struct virtiofs_memory_log *log, uint64_t gpa, uint64_t len);

/**
 * virtiofs_memory_log_host - a range was written, of which the host's address is known
 * @map:  the map by which it was found
 * @host: address in this process
 * @len:  bytes, 0 allowed; may cross regions that touch each other here
 *
 * Memory that the guest has at several addresses is marked at each. What is in no region is ignored. Threads: any.
 * Cost: grows with the number of regions.
 */
VIRTIOFS_EXPORT void virtiofs_memory_log_host(const struct virtiofs_memory_log *log, const struct virtiofs_memory *map,
                                              const void *host, uint64_t len);

#ifdef __cplusplus
}
#endif

#endif
