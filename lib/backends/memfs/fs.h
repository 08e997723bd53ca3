/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The file system's own state, and what its files may take of the host.
 *
 * Locks, in the order in which they are taken:
 *   1. `moving` of the file system, by a rename from one directory to another. It holds still who is whose parent.
 *   2. a directory's `lock`; the directory before what is in it. Two directories at once are locked by the holder of
 *      `moving` alone: first the one that the other is in, if so.
 *   3. the `lock` of something that is no directory; two at once (copies) by their addresses.
 * A thread holds at most one child of the directories that it has locked. So all waiting goes down the tree, but for
 * one thread at a time, which makes sure that its two directories are in that order: no circle can close.
 *
 * A node's `lock` guards all of it but what is constant, and for a regular file the change of its contents. Reading
 * contents needs no lock. Counts of bytes, nodes and descriptors are atomic; nothing else is shared between requests on
 * different nodes.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_MEMFS_FS_H
#define VIRTIOFS_LIB_BACKENDS_MEMFS_FS_H

#include <pthread.h>
#include <stdatomic.h>

#include <virtiofs/memfs.h>

struct node;

struct virtiofs_memfs {
  struct node *root;
  pthread_mutex_t moving;
  uint64_t seed; /**< of the names' hashes */
  uint64_t page; /**< bytes */
  uint64_t max_bytes, max_nodes, max_files;
  uint32_t max_xattr;
  bool shared, writeback;
  uint64_t entry_valid_ns, attr_valid_ns;
  struct virtiofs_log log;
  atomic_uint memfd_flags;
  atomic_uint_fast64_t last_ino;
  atomic_uint_fast64_t bytes, nodes, files; /**< taken */
};

/** Longest name in bytes. */
#define MEMFS_NAME_MAX 255U

/**
 * virtiofs_memfs_bytes_take - pay for bytes before they are used
 *
 * Return: 0; -ENOSPC if there are not so many left, then none are taken.
 */
int virtiofs_memfs_bytes_take(struct virtiofs_memfs *fs, uint64_t count);

/** virtiofs_memfs_bytes_give - take the payment back. */
void virtiofs_memfs_bytes_give(struct virtiofs_memfs *fs, uint64_t count);

/** virtiofs_memfs_bytes_settle - @have bytes were paid for and @used are used, perhaps more. */
void virtiofs_memfs_bytes_settle(struct virtiofs_memfs *fs, uint64_t have, uint64_t used);

/** The same for nodes. */
int virtiofs_memfs_nodes_take(struct virtiofs_memfs *fs);
void virtiofs_memfs_nodes_give(struct virtiofs_memfs *fs);

/** virtiofs_memfs_file_open - a new empty memfd, paid for. Return: a descriptor; -ENOSPC; -errno. */
int virtiofs_memfs_file_open(struct virtiofs_memfs *fs);

/** virtiofs_memfs_file_close - close it; -1 is fine. */
void virtiofs_memfs_file_close(struct virtiofs_memfs *fs, int fd);

/**
 * virtiofs_memfs_error - the one way from the host's errno to an operation's result
 *
 * ENOSYS becomes EOPNOTSUPP, since a guest takes ENOSYS for "never ask again".
 */
int virtiofs_memfs_error(int host_errno);

/** virtiofs_memfs_now - the time for what changes now. */
struct virtiofs_time virtiofs_memfs_now(void);

#endif
