/* SPDX-License-Identifier: BSD-3-Clause */
/** The files that guests know. A node is a pointer to one of these. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_INODE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_INODE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct statx;
struct virtiofs_passthrough;

/**
 * A file of the host. As long as it is here, @fd holds it, so the host can't give its number to another file.
 * All but @next, @replies and @size is constant.
 */
struct inode {
  struct inode *next;        /**< in its bucket */
  uint64_t ino, dev, mnt_id; /**< the key; the mount belongs to it since two mounts of one file system are two places */
  uint64_t replies;          /**< replies that gave it and were not forgotten; of the shard's lock */
  uint32_t type;             /**< VIRTIOFS_S_IF... */
  int fd;                    /**< O_PATH */
  /** As a reply last told it, or writing has made it since: where a READ may stop short with no second look. A guess, so
   * it orders nothing. UINT64_MAX: not known. */
  atomic_uint_least64_t size;
};

/** Part of the table with a lock of its own, which is never held over a system call on a file. */
struct inode_shard {
  alignas(64) pthread_mutex_t lock;
  struct inode **buckets;
  size_t bucket_count; /**< a power of two */
  size_t inode_count;
};

#define PASSTHROUGH_SHARDS 64U

struct inode_table {
  struct inode_shard shards[PASSTHROUGH_SHARDS];
};

/** virtiofs_passthrough_table_init - an empty table. Return: 0 or -ENOMEM, then nothing is left. */
int virtiofs_passthrough_table_init(struct inode_table *table);

/** virtiofs_passthrough_table_fini - free all inodes and close their descriptors. */
void virtiofs_passthrough_table_fini(struct virtiofs_passthrough *fs);

/**
 * virtiofs_passthrough_inode_find - look for a file by what statx said of it
 *
 * Return: the inode, with one reply more; NULL if it is not known.
 */
struct inode *virtiofs_passthrough_inode_find(struct virtiofs_passthrough *fs, const struct statx *stx);

/**
 * virtiofs_passthrough_inode_enter - find a file or put it in
 * @fd:  O_PATH, paid for; taken: it is kept, or closed if the file is known or there is no memory
 * @stx: of @fd
 * @out: with one reply more
 *
 * Return: 0 or -ENOMEM.
 */
int virtiofs_passthrough_inode_enter(struct virtiofs_passthrough *fs, int fd, const struct statx *stx,
                                     struct inode **out);

/** virtiofs_passthrough_inode_get - count one reply more for an inode that the caller holds. */
void virtiofs_passthrough_inode_get(struct virtiofs_passthrough *fs, struct inode *inode);

/** virtiofs_passthrough_inode_put - @replies replies less; at none it is freed. The root stays. */
void virtiofs_passthrough_inode_put(struct virtiofs_passthrough *fs, struct inode *inode, uint64_t replies);

#endif
