/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A backend that keeps a whole file system in this process's memory. In libvirtiofs-daemon; written against the other
 * installed headers only.
 *
 * Regular files lie in memfds, one for each that has contents, so that READ and WRITE go between the guest's memory
 * and the file's pages with no copy in between, and holes cost nothing. Directories, links, device nodes, FIFOs,
 * sockets, extended attributes (user., trusted., security.), files without a name, and all of rename(2) are there. ACLs
 * are not; locks stay in the guest. Who may do what is the guest's to decide, but where it can't know (create).
 *
 * What it holds outlives guests and devices, and is gone with virtiofs_memfs_free().
 */
#ifndef VIRTIOFS_MEMFS_H
#define VIRTIOFS_MEMFS_H

#include <virtiofs/backend.h>
#include <virtiofs/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A file system in memory. Opaque. */
struct virtiofs_memfs;

/** How to make it. Zero means default. */
struct virtiofs_memfs_config {
  size_t size;        /**< sizeof(struct virtiofs_memfs_config) */
  uint64_t max_bytes; /**< pages of files, values of xattrs and targets of links, at most 2^62; 0: half the memory */
  uint64_t max_nodes; /**< files, directories and further hard links, at most 2^30; 0: 1,048,576 */
  uint32_t max_xattr; /**< bytes of names and values of one node's xattrs; 0: 128 KiB */
  uint32_t mode;      /**< permissions of the root, 0 .. 07777; 0: 0755 */
  uint32_t uid, gid;  /**< owner of the root */
  uint64_t entry_valid_ns; /**< how long a guest may believe a name; only if @shared */
  uint64_t attr_valid_ns;  /**< how long a guest may believe attributes; only if @shared */
  /**
   * Several guests have it at once, each by a device of its own. Otherwise the one guest may believe what it knows of
   * names, attributes and contents for as long as it likes, since nothing changes but by itself.
   */
  bool shared;
  bool writeback;          /**< let the guest keep what is written and write it back later; not with @shared */
  struct virtiofs_log log; /**< where to speak; copied */
};

/**
 * virtiofs_memfs_new - an empty file system
 * @out:    NULL after an error
 * @config: copied; NULL: all default
 *
 * Descriptors: each file with contents has one. The process's limit (RLIMIT_NOFILE, soft) is read here; files may have
 * what it leaves after a reserve of 256, and beyond that there is no space left.
 *
 * Memory: beside @max_bytes, about 400 bytes for each node and 100 and its length for each name.
 *
 * Return: 0; -EINVAL if something is out of range; -E2BIG if @config is of a newer library and uses it; -ENOMEM.
 * Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_memfs_new(struct virtiofs_memfs **out,
                                                         const struct virtiofs_memfs_config *config);

/** virtiofs_memfs_free - drop it with all that it holds. After the devices that use it are gone. NULL is fine. */
VIRTIOFS_EXPORT void virtiofs_memfs_free(struct virtiofs_memfs *fs);

/**
 * virtiofs_memfs_ops - its operations; to be used with the virtiofs_memfs as the file system's pointer
 *
 * Return: a constant. Threads: any.
 */
VIRTIOFS_EXPORT const struct virtiofs_ops *virtiofs_memfs_ops(void);

#ifdef __cplusplus
}
#endif

#endif
