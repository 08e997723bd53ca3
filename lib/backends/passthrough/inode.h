/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The files that guests know. A node is a pointer to one of these.
 *
 * A file is known by its device, its number and its mount, and since the host may give the number to another file as
 * soon as nothing holds it, by its file handle as well, which has a generation. Where there are none a descriptor holds
 * the file.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_INODE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_INODE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** inode.flags, with a quota: inode.charged is known. */
#define INODE_CHARGED 4U
/** inode.flags, with a quota: it has no name any more. */
#define INODE_ORPHAN 8U

struct handle;
struct mount;
struct statx;
struct virtiofs_passthrough;

/** inode.flags: the handle is known to be this file's. */
#define INODE_VERIFIED 1U
/** inode.flags: a directory, found in one of another mount or, as btrfs's subvolumes are, of another device. Constant.
 */
#define INODE_SUBMOUNT 2U

/** A file of the host. There may be millions: small. Constant but for @next, @replies and what is atomic. */
struct inode {
  struct inode *next;  /**< in its bucket */
  struct mount *mount; /**< counted; two mounts of one file system are two places */
  uint64_t ino;
  uint64_t replies; /**< replies that gave it and were not forgotten; of the shard's lock */
  /** As a reply last told it, or writing has made it since: where a READ may stop short with no second look. A guess,
   * so it orders nothing. UINT64_MAX: not known. */
  atomic_uint_least64_t size;
  atomic_uint_least64_t cell; /**< its descriptor; fdcache.c */
  uint64_t charged;           /**< with a quota: what a regular file's contents cost, in bytes; of quota.c's lock */
  uint32_t dev;
  uint32_t cache_at; /**< fdcache.c */
  int32_t handle_type;
  uint16_t type;      /**< VIRTIOFS_S_IF... */
  uint8_t handle_len; /**< 0: no handle, but a descriptor for all its life */
  atomic_uchar flags; /**< INODE_... */
  unsigned char handle[];
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

/** virtiofs_passthrough_mnt_id - the id of a file's mount; 0 on hosts that don't tell. */
uint64_t virtiofs_passthrough_mnt_id(const struct statx *stx);

/** virtiofs_passthrough_dev - a file's device in short. */
uint32_t virtiofs_passthrough_dev(const struct statx *stx);

/** virtiofs_passthrough_same_file - do both say the same of device, number, mount and type? */
bool virtiofs_passthrough_same_file(const struct statx *a, const struct statx *b);

/** virtiofs_passthrough_inode_is - the same of an inode's. */
bool virtiofs_passthrough_inode_is(const struct inode *inode, const struct statx *stx);

/** virtiofs_passthrough_table_init - an empty table. Return: 0 or -ENOMEM, then nothing is left. */
int virtiofs_passthrough_table_init(struct inode_table *table);

/** virtiofs_passthrough_table_fini - free all inodes and close their descriptors. */
void virtiofs_passthrough_table_fini(struct virtiofs_passthrough *fs);

/**
 * virtiofs_passthrough_inode_find - look for a file
 * @stx:    what statx said of it
 * @handle: its handle; NULL: only an inode whose file is held by a descriptor now is known to be this one
 *
 * Return: the inode, with one reply more; NULL if it is not known.
 */
struct inode *virtiofs_passthrough_inode_find(struct virtiofs_passthrough *fs, const struct statx *stx,
                                              const struct handle *handle);

/** What an inode is made of. */
struct inode_parts {
  const struct statx *stx;
  struct mount *mount;         /**< counted for it; taken */
  const struct handle *handle; /**< NULL: @fd is kept */
  int fd;                      /**< O_PATH, paid for; taken; only without a handle */
  unsigned char flags;         /**< INODE_VERIFIED: @handle and @stx were taken from one descriptor */
};

/**
 * virtiofs_passthrough_inode_enter - find a file or put it in
 * @out: with one reply more
 *
 * Return: 0 or -ENOMEM. What was to be taken is given back if it is not needed, or in error.
 */
int virtiofs_passthrough_inode_enter(struct virtiofs_passthrough *fs, const struct inode_parts *parts,
                                     struct inode **out);

/** virtiofs_passthrough_inode_get - count one reply more for an inode that the caller holds. */
void virtiofs_passthrough_inode_get(struct virtiofs_passthrough *fs, struct inode *inode);

/** virtiofs_passthrough_inode_put - @replies replies less; at none it is freed. The root stays. */
void virtiofs_passthrough_inode_put(struct virtiofs_passthrough *fs, struct inode *inode, uint64_t replies);

#endif
