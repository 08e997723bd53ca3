/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The DAX window: a range of shared memory into which files are mapped, so that the guest reads and writes them without
 * a message.
 *
 * The device's end is a map of what is mapped where, and a plan: SETUPMAPPING and REMOVEMAPPING come in, steps come out
 * that a mapper carries out one after the other. Whoever uses it sees to it that one thread at a time does. It makes no
 * system call, and its fds are numbers to it.
 *
 * The driver's end shares the window out in chunks of one size, knows which range of which file is in each, and which
 * of those that nobody uses now was used last: that one stays longest.
 *
 * Specification: virtio 1.3, 5.11.6.4; vhost-user, "Shared memory regions"; FUSE_SETUPMAPPING, FUSE_REMOVEMAPPING.
 */
#ifndef VIRTIOFS_DAX_H
#define VIRTIOFS_DAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/types.h>
#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most mappings that a window may be made for. */
#define VIRTIOFS_DAX_MAPPINGS_MAX (1U << 24)

/** The device's map of a window. Opaque. */
struct virtiofs_dax_window;

/** How a window is made. Zero means default. */
struct virtiofs_dax_window_config {
  size_t size;           /**< sizeof(struct virtiofs_dax_window_config) */
  uint64_t len;          /**< bytes of the window; required; a multiple of the page */
  uint32_t page_shift;   /**< log2 of the page: what offsets and lengths are multiples of; 12 .. 30; 0: 12 */
  uint32_t max_mappings; /**< up to VIRTIOFS_DAX_MAPPINGS_MAX; 0: 65,536; beyond: ENOMEM. The kernel allows a process
                              65,530 */
  uint32_t max_files;    /**< files, open for one kind of access each, that are mapped at a time, up to 2^20; 0: 4096;
                              beyond: ENOMEM */
  /**
   * A mapping can be put over others, or taken away in part or with gaps: mmap(2) can do that. Otherwise, as for
   * vhost-user, a mapping is only taken away whole, and only put where there is none.
   */
  bool cuts;
  /** No mapping uses a descriptor that virtiofs_dax_window_map() was given any more; required. From within these calls.
   */
  void (*close)(void *ctx, int fd);
  void *ctx;
};

/** What to map where. */
struct virtiofs_dax_map {
  uint64_t window_offset; /**< bytes */
  uint64_t len;           /**< bytes, > 0; may go past the end of the file */
  uint64_t file_offset;   /**< bytes; with @len at most INT64_MAX */
  uint64_t file; /**< whose file it is in the caller's numbers, of which none may be given to another file while
                      this is mapped */
  bool writable;
  int take_fd; /**< open for that, and taken by every call, also one that fails; -1 if virtiofs_dax_window_has_file() */
};

/** One thing to be done to the window. */
struct virtiofs_dax_step {
  bool map;               /**< map; otherwise unmap */
  bool writable;          /**< map: for reading and writing; otherwise for reading */
  int fd;                 /**< map: what; borrowed; -1: unmap */
  uint64_t window_offset; /**< bytes */
  uint64_t len;           /**< bytes */
  uint64_t file_offset;   /**< bytes; of an unmap 0 */
};

/** Who has a window and carries steps out. */
struct virtiofs_dax_mapper {
  uint64_t len;          /**< of the window, in bytes; a multiple of the page */
  uint32_t page_shift;   /**< as struct virtiofs_dax_window_config has it */
  uint32_t max_mappings; /**< alike */
  bool cuts;             /**< alike */
  /**
   * Carries a step out: 0 or -errno, and then the window is as it was. One at a time.
   * virtiofs_host_window_step() (host_window.h) is one for windows that lie in this process's memory.
   */
  int (*step)(void *ctx, const struct virtiofs_dax_step *step);
  void *ctx;
};

/** What is mapped somewhere. */
struct virtiofs_dax_mapping {
  uint64_t window_offset, len, file_offset, file;
  bool writable;
};

/**
 * virtiofs_dax_window_new - a window with nothing in it
 * @out: NULL after an error
 *
 * Return: 0; -EINVAL if something is missing or out of range; -E2BIG for a config of a newer library; -ENOMEM. Threads:
 * any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_window_new(struct virtiofs_dax_window **out,
                                                              const struct virtiofs_dax_window_config *config);

/** virtiofs_dax_window_free - as virtiofs_dax_window_forget(), and it is gone; NULL is fine. */
VIRTIOFS_EXPORT void virtiofs_dax_window_free(struct virtiofs_dax_window *window);

/**
 * virtiofs_dax_window_check - may this be mapped or unmapped?
 *
 * Return: 0; -EINVAL: empty, not on pages, or not inside of the window.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_window_check(const struct virtiofs_dax_window *window,
                                                                uint64_t window_offset, uint64_t len);

/** virtiofs_dax_window_has_file - is there a descriptor of this file, for this access, already? */
VIRTIOFS_EXPORT bool virtiofs_dax_window_has_file(const struct virtiofs_dax_window *window, uint64_t file,
                                                  bool writable);

/**
 * virtiofs_dax_window_map - plan a mapping
 *
 * Whatever was mapped there gives way; of older mappings that are only overlapped up to two pieces stay. What is mapped
 * just so already needs no step. There must be no plan.
 *
 * Return: 0: there is a plan; -EINVAL: as virtiofs_dax_window_check() says, or the file's range isn't on pages or
 * passes INT64_MAX; -ENOMEM: a limit, or no memory. Then nothing has changed.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_window_map(struct virtiofs_dax_window *window,
                                                              const struct virtiofs_dax_map *map);

/**
 * virtiofs_dax_window_unmap - plan to unmap a range
 *
 * Where nothing is mapped nothing is done. There must be no plan. Return: as virtiofs_dax_window_map().
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_window_unmap(struct virtiofs_dax_window *window,
                                                                uint64_t window_offset, uint64_t len);

/** virtiofs_dax_window_clear - plan to unmap all there is. Steps that fail don't end this plan. There must be no plan.
 */
VIRTIOFS_EXPORT void virtiofs_dax_window_clear(struct virtiofs_dax_window *window);

/**
 * virtiofs_dax_window_step - the plan's next step
 * @step: filled; the same one until virtiofs_dax_window_done()
 *
 * Return: true; false: the plan is over.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_dax_window_step(struct virtiofs_dax_window *window,
                                                                struct virtiofs_dax_step *step);

/**
 * virtiofs_dax_window_done - the step was carried out
 * @rc: 0; -errno: it failed, and the window is as it was before
 *
 * After a failure an old mapping that had to be put aside may be gone; its pieces that stay are still mapped, and the
 * plan is over then.
 */
VIRTIOFS_EXPORT void virtiofs_dax_window_done(struct virtiofs_dax_window *window, int rc);

/** virtiofs_dax_window_end - leave a plan that is over. Return: 0 or the first step's error. */
VIRTIOFS_EXPORT int virtiofs_dax_window_end(struct virtiofs_dax_window *window);

/** virtiofs_dax_window_forget - whoever had the window has dropped all of it, and a plan with it: the map is empty. */
VIRTIOFS_EXPORT void virtiofs_dax_window_forget(struct virtiofs_dax_window *window);

/** virtiofs_dax_window_count - how many mappings there are. */
VIRTIOFS_EXPORT uint32_t virtiofs_dax_window_count(const struct virtiofs_dax_window *window);

/**
 * virtiofs_dax_window_find - what is mapped at an offset, or first after it?
 * @out: filled
 *
 * Return: true; false if there is nothing. Cost: O(log n).
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_dax_window_find(const struct virtiofs_dax_window *window,
                                                                uint64_t window_offset,
                                                                struct virtiofs_dax_mapping *out);

/* ---- the driver's end ---- */

/** A driver's chunks of a window. Opaque; one thread at a time. */
struct virtiofs_dax_chunks;

/** How they are made. Zero means default. */
struct virtiofs_dax_chunks_config {
  size_t size;    /**< sizeof(struct virtiofs_dax_chunks_config) */
  uint64_t len;   /**< bytes of the window; required; what is over after the last chunk isn't used */
  uint32_t shift; /**< log2 of a chunk's bytes, 12 .. 30, no less than INIT's map_alignment; 0: 21, which is 2 MiB */
  uint32_t max_count; /**< chunks that are used at most, up to VIRTIOFS_DAX_MAPPINGS_MAX; 0: as many as there are */
};

/** A chunk that somebody uses. */
struct virtiofs_dax_chunk {
  uint64_t node;
  uint64_t file_offset;   /**< of its first byte; a multiple of a chunk */
  uint64_t window_offset; /**< alike */
  uint64_t len;           /**< bytes */
  bool writable;
  uint32_t index; /**< which it is */
};

/**
 * virtiofs_dax_chunks_new - a window of which nothing is mapped
 *
 * Return: 0; -EINVAL if something is out of range, or the window has no room for a chunk; -E2BIG; -ENOMEM.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_chunks_new(struct virtiofs_dax_chunks **out,
                                                              const struct virtiofs_dax_chunks_config *config);

/** virtiofs_dax_chunks_free - NULL is fine. Nothing is unmapped. */
VIRTIOFS_EXPORT void virtiofs_dax_chunks_free(struct virtiofs_dax_chunks *chunks);

/**
 * virtiofs_dax_chunks_get - use the chunk with this byte of a file
 * @offset: in the file
 * @out:    filled; it is used, and stays where it is, until virtiofs_dax_chunks_put()
 *
 * Files are mapped for reading until somebody wants to write.
 *
 * Return: 0: it is mapped. 1: it is to be mapped, in place of whatever is there, by a SETUPMAPPING of @out, and nobody
 * else may get it before virtiofs_dax_chunks_mapped(). -EBUSY: somebody is just mapping it, or all chunks are used.
 * -EINVAL: there is no such byte.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_dax_chunks_get(struct virtiofs_dax_chunks *chunks, uint64_t node,
                                                              uint64_t offset, bool writable,
                                                              struct virtiofs_dax_chunk *out);

/**
 * virtiofs_dax_chunks_mapped - what SETUPMAPPING has said
 * @rc: 0; -errno: nothing is mapped there, and the chunk isn't used any more
 */
VIRTIOFS_EXPORT void virtiofs_dax_chunks_mapped(struct virtiofs_dax_chunks *chunks,
                                                const struct virtiofs_dax_chunk *chunk, int rc);

/** virtiofs_dax_chunks_put - one user less. It stays mapped while there is room. */
VIRTIOFS_EXPORT void virtiofs_dax_chunks_put(struct virtiofs_dax_chunks *chunks,
                                             const struct virtiofs_dax_chunk *chunk);

/**
 * virtiofs_dax_chunks_drop - give up what nobody uses of a file
 * @range: filled: is to be unmapped by REMOVEMAPPING, and before anything else is got
 *
 * To be called until it returns false, for example before the node is forgotten, whose number may come again.
 *
 * Return: true; false: there is none. Cost: all chunks are looked at.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_dax_chunks_drop(struct virtiofs_dax_chunks *chunks, uint64_t node,
                                                                struct virtiofs_window_range *range);

/**
 * virtiofs_dax_chunks_reclaim - give up what nobody has used for the longest time
 * @range: as above
 *
 * When the device has no more room (ENOMEM). Return: true; false: all are used, or nothing is mapped.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_dax_chunks_reclaim(struct virtiofs_dax_chunks *chunks,
                                                                   struct virtiofs_window_range *range);

/** virtiofs_dax_chunks_reset - the device has forgotten everything: nothing is mapped, nobody uses any. */
VIRTIOFS_EXPORT void virtiofs_dax_chunks_reset(struct virtiofs_dax_chunks *chunks);

#ifdef __cplusplus
}
#endif

#endif
