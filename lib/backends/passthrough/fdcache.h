/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The descriptors of inodes. Whoever needs one borrows it for the time of an operation.
 *
 * An inode that can be opened by its file handle has a descriptor only while it is in use or not long after: the cache
 * holds so many, and who has not been used since the clock's hand came by last has to go (second chance); sweep.c
 * closes what nobody uses for long. Borrowing one that is there takes no lock, only a count in the inode's own memory;
 * a lock of a part of the cache is taken where a descriptor had to be opened.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_FDCACHE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_FDCACHE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

struct inode;
struct virtiofs_passthrough;

/** Part of the cache with a lock of its own. An inode is in @at as long as its cell has a descriptor. */
struct fd_shard {
  alignas(64) pthread_mutex_t lock;
  struct inode **at;
  uint32_t count, capacity;
  uint32_t hand; /**< whom to look at next when one has to go */
};

#define PASSTHROUGH_FD_SHARDS 16U

struct fd_cache {
  struct fd_shard shards[PASSTHROUGH_FD_SHARDS];
  uint32_t shard_count; /**< with a small budget one: it shall not be cut into parts of nothing */
};

/** virtiofs_passthrough_fdcache_init - room for @budget descriptors. Return: 0 or -ENOMEM, then nothing is left. */
int virtiofs_passthrough_fdcache_init(struct fd_cache *cache, uint32_t budget);

/** virtiofs_passthrough_fdcache_fini - after all inodes are freed. */
void virtiofs_passthrough_fdcache_fini(struct fd_cache *cache);

/**
 * virtiofs_passthrough_fd_borrow - an O_PATH descriptor of an inode's file
 *
 * To be given back by virtiofs_passthrough_fd_return(), and not to be closed. Makes the thread the server, so not to be
 * called between virtiofs_passthrough_cred_begin() and _end().
 *
 * Cost: no system call if it is there; else one to open it, a second one the first time, to see that it is that file,
 * and the closing of the one that has to go.
 *
 * Return: the descriptor; -ESTALE if the file is gone, whatever has its name or number now; -errno.
 */
int virtiofs_passthrough_fd_borrow(struct virtiofs_passthrough *fs, struct inode *inode);

/** virtiofs_passthrough_fd_borrow_any - the same for what needn't be done by the server:
 * virtiofs_passthrough_cred_any(). */
int virtiofs_passthrough_fd_borrow_any(struct virtiofs_passthrough *fs, struct inode *inode);

/** virtiofs_passthrough_fd_return - give it back. */
void virtiofs_passthrough_fd_return(struct virtiofs_passthrough *fs, struct inode *inode, int fd);

/** virtiofs_passthrough_fd_own - is the inode's file held by a descriptor now, so that the host can't reuse its number?
 */
bool virtiofs_passthrough_fd_own(const struct inode *inode);

/** virtiofs_passthrough_fd_keep - give an inode that nobody knows yet a descriptor for all its life. It is paid for. */
void virtiofs_passthrough_fd_keep(struct inode *inode, int fd);

/** virtiofs_passthrough_fd_drop - close an inode's descriptor, if it has one, since nobody knows it any more. */
void virtiofs_passthrough_fd_drop(struct virtiofs_passthrough *fs, struct inode *inode);

/**
 * virtiofs_passthrough_fdcache_sweep - close what nobody has used since this was called last
 *
 * Return: is any left?
 */
bool virtiofs_passthrough_fdcache_sweep(struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_fdcache_empty - is there no descriptor in it now? */
bool virtiofs_passthrough_fdcache_empty(struct fd_cache *cache);

/** virtiofs_passthrough_fd_evict - close any one descriptor that can be missed. Return: was there one? */
bool virtiofs_passthrough_fd_evict(struct virtiofs_passthrough *fs);

#endif
