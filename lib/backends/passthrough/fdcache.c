/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/fdcache.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/handle.h"
#include "backends/passthrough/share.h"

/*
 * An inode's cell: the descriptor and one in the lower half, 0 if there is none; above it how many use it now; and
 * whether anybody has since the hand came by. A descriptor goes only from a cell that nobody uses, in one step with the
 * look at that.
 */
#define FD_MASK UINT64_C(0xffffffff)
#define ONE_USER (UINT64_C(1) << 32)
#define RECENT (UINT64_C(1) << 63)
#define USERS (~FD_MASK & ~RECENT)

enum { SMALL_BUDGET = 256, SWEEP_STEP = 128 };

static int fd_of(uint64_t cell) {
  return (int)(uint32_t)(cell & FD_MASK) - 1;
}

int virtiofs_passthrough_fdcache_init(struct fd_cache *cache, uint32_t budget) {
  cache->shard_count = budget < SMALL_BUDGET ? 1 : PASSTHROUGH_FD_SHARDS;
  for (uint32_t i = 0; i < cache->shard_count; i++) {
    struct fd_shard *shard = &cache->shards[i];
    shard->capacity = budget / cache->shard_count;
    shard->at = calloc(shard->capacity, sizeof(struct inode *)); /* what is never used takes no memory */
    if (shard->at == NULL || pthread_mutex_init(&shard->lock, NULL) != 0) {
      free(shard->at);
      cache->shard_count = i;
      virtiofs_passthrough_fdcache_fini(cache);
      return -ENOMEM;
    }
  }
  return 0;
}

void virtiofs_passthrough_fdcache_fini(struct fd_cache *cache) {
  for (uint32_t i = 0; i < cache->shard_count; i++) {
    free(cache->shards[i].at);
    pthread_mutex_destroy(&cache->shards[i].lock);
  }
  cache->shard_count = 0;
}

static struct fd_shard *shard_of(struct virtiofs_passthrough *fs, const struct inode *inode) {
  return &fs->fds.shards[(inode->ino ^ inode->ino >> 8) % fs->fds.shard_count];
}

/* Takes the descriptor of an inode that nobody uses and nobody has used lately. -1: it stays. The lock is held. */
static int take_away(struct inode *inode) {
  uint64_t cell = atomic_load_explicit(&inode->cell, memory_order_relaxed);
  for (;;) {
    if ((cell & USERS) != 0)
      return -1;
    if ((cell & RECENT) != 0) {
      atomic_fetch_and_explicit(&inode->cell, ~RECENT, memory_order_relaxed);
      return -1;
    }
    if (atomic_compare_exchange_weak_explicit(&inode->cell, &cell, 0, memory_order_acquire, memory_order_relaxed))
      return fd_of(cell);
  }
}

/* The hand goes around twice at most: then all are in use. Return: the descriptor, @place is free; -1. */
static int turn(struct fd_shard *shard, uint32_t *place) {
  for (uint64_t i = 0; i < UINT64_C(2) * shard->count; i++) {
    if (shard->hand >= shard->count)
      shard->hand = 0;
    *place = shard->hand++;
    int fd = take_away(shard->at[*place]);
    if (fd >= 0)
      return fd;
  }
  return -1;
}

static void remove_at(struct fd_shard *shard, uint32_t place) {
  struct inode *last = shard->at[--shard->count];
  shard->at[place] = last;
  last->cache_at = place;
}

bool virtiofs_passthrough_fd_evict(struct virtiofs_passthrough *fs) {
  int fd = -1;
  for (uint32_t i = 0; i < fs->fds.shard_count && fd < 0; i++) {
    struct fd_shard *shard = &fs->fds.shards[i];
    uint32_t place;
    pthread_mutex_lock(&shard->lock);
    fd = turn(shard, &place);
    if (fd >= 0)
      remove_at(shard, place);
    pthread_mutex_unlock(&shard->lock);
  }
  if (fd >= 0)
    virtiofs_passthrough_fd_close(fs, fd);
  return fd >= 0;
}

/* The next SWEEP_STEP places below @end. Return: where to go on; @fds has what is to be closed, @count of them. */
static uint32_t sweep_some(struct fd_shard *shard, uint32_t end, int fds[SWEEP_STEP], uint32_t *count) {
  *count = 0;
  pthread_mutex_lock(&shard->lock);
  uint32_t place = end < shard->count ? end : shard->count;
  uint32_t until = place > SWEEP_STEP ? place - SWEEP_STEP : 0;
  while (place-- > until) { /* downwards: what comes to a place that is left has been looked at */
    int fd = take_away(shard->at[place]);
    if (fd < 0)
      continue;
    remove_at(shard, place);
    fds[(*count)++] = fd;
  }
  pthread_mutex_unlock(&shard->lock);
  return until;
}

bool virtiofs_passthrough_fdcache_sweep(struct virtiofs_passthrough *fs) {
  int fds[SWEEP_STEP];
  for (uint32_t i = 0; i < fs->fds.shard_count; i++) {
    for (uint32_t end = UINT32_MAX, count; end > 0;) {
      end = sweep_some(&fs->fds.shards[i], end, fds, &count);
      while (count > 0)
        virtiofs_passthrough_fd_close(fs, fds[--count]);
    }
  }
  return !virtiofs_passthrough_fdcache_empty(&fs->fds);
}

bool virtiofs_passthrough_fdcache_empty(struct fd_cache *cache) {
  bool empty = true;
  for (uint32_t i = 0; i < cache->shard_count && empty; i++) {
    pthread_mutex_lock(&cache->shards[i].lock);
    empty = cache->shards[i].count == 0;
    pthread_mutex_unlock(&cache->shards[i].lock);
  }
  return empty;
}

/* A place for one more, if need be that of another, whose descriptor is @old then. False if all are in use. */
static bool make_place(struct fd_shard *shard, uint32_t *place, int *old) {
  if (shard->count < shard->capacity) {
    *place = shard->count++;
    return true;
  }
  *old = turn(shard, place);
  return *old >= 0;
}

/* Puts @fd into the cell, unless there is no place or another thread was quicker. Return: what is left over, or -1. */
static int put_in(struct fd_shard *shard, struct inode *inode, int fd) {
  int over = -1;
  uint32_t place;
  pthread_mutex_lock(&shard->lock);
  if (fd_of(atomic_load_explicit(&inode->cell, memory_order_relaxed)) < 0 && make_place(shard, &place, &over)) {
    shard->at[place] = inode;
    inode->cache_at = place;
    atomic_fetch_add_explicit(&inode->cell, (uint64_t)fd + 1, memory_order_release);
  } else {
    over = fd;
  }
  pthread_mutex_unlock(&shard->lock);
  return over;
}

/* Return: the descriptor to use, which is @fd or that of who was quicker. In the cache or, when that can take none, for
 * this operation alone. */
static int install(struct virtiofs_passthrough *fs, struct inode *inode, int fd) {
  if (!virtiofs_passthrough_fd_try(fs, 1))
    return fd;
  int over = put_in(shard_of(fs, inode), inode, fd);
  int now = fd_of(atomic_load_explicit(&inode->cell, memory_order_acquire)); /* stays, as we are counted */
  if (now < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return fd;
  }
  if (over >= 0)
    virtiofs_passthrough_fd_close(fs, over);
  virtiofs_passthrough_sweeper_wake(fs);
  return now;
}

/* The name was replaced between the two looks that made the inode if its handle stands for another file. */
static int verify(struct inode *inode, int fd) {
  struct statx stx;
  int rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc != 0)
    return rc;
  if (!virtiofs_passthrough_inode_is(inode, &stx))
    return -ESTALE;
  atomic_fetch_or_explicit(&inode->flags, INODE_VERIFIED, memory_order_relaxed);
  return 0;
}

static int open_again(struct inode *inode) {
  int fd = virtiofs_passthrough_handle_open(inode->mount->fd, inode->handle_type, inode->handle, inode->handle_len);
  if (fd < 0 || (atomic_load_explicit(&inode->flags, memory_order_relaxed) & INODE_VERIFIED) != 0)
    return fd;
  int rc = verify(inode, fd);
  if (rc == 0)
    return fd;
  close(fd);
  return rc;
}

int virtiofs_passthrough_fd_borrow(struct virtiofs_passthrough *fs, struct inode *inode) {
  virtiofs_passthrough_cred_server();
  return virtiofs_passthrough_fd_borrow_any(fs, inode);
}

int virtiofs_passthrough_fd_borrow_any(struct virtiofs_passthrough *fs, struct inode *inode) {
  virtiofs_passthrough_cred_any(fs);
  if (inode->handle_len == 0)
    return fd_of(atomic_load_explicit(&inode->cell, memory_order_relaxed));
  uint64_t cell = atomic_fetch_add_explicit(&inode->cell, ONE_USER, memory_order_acquire);
  if (fd_of(cell) >= 0) {
    if ((cell & RECENT) == 0)
      atomic_fetch_or_explicit(&inode->cell, RECENT, memory_order_relaxed);
    return fd_of(cell);
  }
  int fd = open_again(inode);
  if (fd >= 0)
    return install(fs, inode, fd);
  atomic_fetch_sub_explicit(&inode->cell, ONE_USER, memory_order_relaxed);
  return fd;
}

void virtiofs_passthrough_fd_return(struct virtiofs_passthrough *fs, struct inode *inode, int fd) {
  (void)fs;
  if (inode->handle_len == 0)
    return;
  uint64_t cell = atomic_fetch_sub_explicit(&inode->cell, ONE_USER, memory_order_release);
  if (fd_of(cell) != fd)
    close(fd); /* the cache had no place for it */
}

bool virtiofs_passthrough_fd_own(const struct inode *inode) {
  return fd_of(atomic_load_explicit(&inode->cell, memory_order_acquire)) >= 0;
}

void virtiofs_passthrough_fd_keep(struct inode *inode, int fd) {
  atomic_init(&inode->cell, (uint64_t)fd + 1);
}

void virtiofs_passthrough_fd_drop(struct virtiofs_passthrough *fs, struct inode *inode) {
  int fd = fd_of(atomic_load_explicit(&inode->cell, memory_order_relaxed));
  if (inode->handle_len != 0) {
    struct fd_shard *shard = shard_of(fs, inode);
    pthread_mutex_lock(&shard->lock);
    fd = fd_of(atomic_load_explicit(&inode->cell, memory_order_relaxed));
    if (fd >= 0)
      remove_at(shard, inode->cache_at);
    pthread_mutex_unlock(&shard->lock);
  }
  if (fd >= 0)
    virtiofs_passthrough_fd_close(fs, fd);
}
