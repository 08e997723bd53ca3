/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/passthrough/share.h"

enum {
  HANDLES_MAX = 1 << 20,
  BLOCK = 4096, /* what a byte may cost */
  SECTOR = 512, /* what st_blocks counts */
  SET_ASIDE = 65536,
  MORE_FOR_NAMES = 1 << 20, /* what directories may come to beyond the limit: a name is not refused for its own block */
};

int virtiofs_passthrough_quota_new(struct quota **out, uint64_t bytes, uint64_t inodes) {
  struct quota *quota = aligned_alloc(alignof(struct quota), sizeof *quota);
  *out = NULL;
  if (quota == NULL)
    return -ENOMEM;
  memset(quota, 0, sizeof *quota);
  quota->bytes.max = bytes;
  quota->inodes.max = inodes != 0 ? inodes : bytes / QUOTA_BYTES_OF_INODE + 1;
  quota->handle_count = HANDLES_MAX;
  quota->handles = calloc(HANDLES_MAX, sizeof quota->handles[0]);
  if (quota->handles == NULL) {
    free(quota);
    return -ENOMEM;
  }
  for (unsigned i = 0; i < QUOTA_LOCKS; i++)
    pthread_mutex_init(&quota->locks[i].lock, NULL);
  *out = quota;
  return 0;
}

void virtiofs_passthrough_quota_free(struct quota *quota) {
  if (quota == NULL)
    return;
  for (unsigned i = 0; i < QUOTA_LOCKS; i++)
    pthread_mutex_destroy(&quota->locks[i].lock);
  free(quota->handles);
  free(quota);
}

/* ---- limits ---- */

/* False if that would be more than there may be, with what others have reserved. */
static bool reserve(struct quota_limit *limit, uint64_t count) {
  uint64_t reserved = atomic_load(&limit->reserved), taken;
  do {
    uint64_t used = atomic_load(&limit->used);
    taken = used < UINT64_MAX - reserved ? used + reserved : UINT64_MAX;
    if (taken >= limit->max || count > limit->max - taken)
      return false;
  } while (!atomic_compare_exchange_weak(&limit->reserved, &reserved, reserved + count));
  return true;
}

static void unreserve(struct quota_limit *limit, uint64_t count) {
  atomic_fetch_sub(&limit->reserved, count);
}

static void add(struct quota_limit *limit, uint64_t count) {
  atomic_fetch_add(&limit->used, count);
}

/* What was there before anybody counted is no credit when it goes. */
static void take(struct quota_limit *limit, uint64_t count) {
  uint64_t used = atomic_load(&limit->used), left;
  do
    left = used > count ? used - count : 0;
  while (!atomic_compare_exchange_weak(&limit->used, &used, left));
}

static uint64_t left_of(const struct quota_limit *limit) {
  uint64_t used = atomic_load(&limit->used);
  return used < limit->max ? limit->max - used : 0;
}

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

void virtiofs_passthrough_quota_statfs(const struct quota *quota, struct virtiofs_statfs_out *out) {
  uint64_t unit = out->frsize != 0 ? out->frsize : BLOCK;
  uint64_t blocks = left_of(&quota->bytes) / unit, files = left_of(&quota->inodes);
  out->blocks = least(out->blocks, quota->bytes.max / unit);
  out->bfree = least(out->bfree, blocks);
  out->bavail = least(out->bavail, blocks);
  if (out->files != 0) { /* else the host has as many as it likes */
    out->files = least(out->files, quota->inodes.max);
    out->ffree = least(out->ffree, files);
  } else {
    out->files = quota->inodes.max;
    out->ffree = files;
  }
}

/* ---- one file ---- */

static pthread_mutex_t *lock_of(struct quota *quota, const struct inode *inode) {
  uint64_t h = (uintptr_t)inode / sizeof *inode * UINT64_C(0x9e3779b97f4a7c15);
  return &quota->locks[h >> 58].lock;
}
_Static_assert(QUOTA_LOCKS == 1U << 6, "the upper six bits say which");

static int look(int fd, struct statx *stx) {
  return statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BLOCKS | STATX_NLINK, stx) == 0 ? 0 : -errno;
}

/* What lies far behind the end the host (XFS) has set aside for a file that it sees growing, and takes back by itself:
 * nobody has asked for it, since virtiofs_passthrough_quota_allows() doesn't let him. */
static uint64_t bytes_of(const struct statx *stx) {
  uint64_t blocks = stx->stx_blocks * SECTOR, unit = stx->stx_blksize > BLOCK ? stx->stx_blksize : BLOCK;
  uint64_t most = stx->stx_size < INT64_MAX - unit - SET_ASIDE ? (stx->stx_size / unit + 1) * unit + SET_ASIDE : blocks;
  return blocks < most ? blocks : most;
}

bool virtiofs_passthrough_quota_allows(const struct virtiofs_passthrough *fs, uint32_t fallocate_mode) {
  const uint32_t gives = FALLOC_FL_PUNCH_HOLE;
  return fs->quota == NULL || (fallocate_mode & FALLOC_FL_KEEP_SIZE) == 0 || (fallocate_mode & gives) != 0;
}

/* Of what is neither only the number counts. */
static bool has_bytes(const struct inode *inode) {
  return inode->type == S_IFREG || inode->type == S_IFDIR;
}

/* From here on changes count. A file that has no name any more was paid back when it was last forgotten, and is paid
 * for again while somebody has it. Its lock is held. */
static void know(struct quota *quota, struct inode *inode, const struct statx *stx) {
  if ((atomic_load(&inode->flags) & INODE_CHARGED) != 0)
    return;
  inode->charged = has_bytes(inode) ? bytes_of(stx) : 0;
  atomic_fetch_or(&inode->flags, INODE_CHARGED | (stx->stx_nlink == 0 ? INODE_ORPHAN : 0));
  if (stx->stx_nlink != 0)
    return;
  add(&quota->bytes, inode->charged);
  add(&quota->inodes, 1);
}

/* What the file has now. */
static void settle(struct quota *quota, struct inode *inode, int fd) {
  struct statx stx;
  pthread_mutex_lock(lock_of(quota, inode));
  if (look(fd, &stx) == 0) {
    uint64_t before = inode->charged, now = bytes_of(&stx);
    inode->charged = now;
    if (now > before)
      add(&quota->bytes, now - before);
    else
      take(&quota->bytes, before - now);
  }
  pthread_mutex_unlock(lock_of(quota, inode));
}

/* ---- contents ---- */

/* All of a range that extents cover is there already, though nothing may have been written to it (fallocate). */
static bool is_mapped(int fd, uint64_t offset, uint64_t end) {
  union {
    struct fiemap map;
    char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
  } request;
  while (offset < end) {
    memset(&request, 0, sizeof request);
    request.map.fm_start = offset;
    request.map.fm_length = end - offset;
    request.map.fm_extent_count = 1;
    if (ioctl(fd, FS_IOC_FIEMAP, &request) != 0 || request.map.fm_mapped_extents == 0)
      return false;
    const struct fiemap_extent *extent = request.map.fm_extents;
    if (extent->fe_logical > offset || extent->fe_length == 0 || extent->fe_logical + extent->fe_length <= offset)
      return false;
    offset = extent->fe_logical + extent->fe_length;
  }
  return true;
}

/* Would a change of this range add nothing? What makes the file longer does. */
static bool is_there(int fd, uint64_t offset, uint64_t len) {
  if (offset > INT64_MAX || len > INT64_MAX - offset)
    return false;
  uint64_t end = offset + len;
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0 || end > (uint64_t)size)
    return false;
  off_t hole = lseek(fd, (off_t)offset, SEEK_HOLE);
  return (hole >= 0 && (uint64_t)hole >= end) || is_mapped(fd, offset, end);
}

/* What the range may cost; in whole blocks. */
static uint64_t cost_of(uint64_t offset, uint64_t len) {
  if (len > INT64_MAX)
    return INT64_MAX;
  uint64_t within = offset != UINT64_MAX ? offset % BLOCK : BLOCK - 1;
  return (within + len + BLOCK - 1) / BLOCK * BLOCK;
}

int virtiofs_passthrough_quota_begin(struct virtiofs_passthrough *fs, struct inode *inode, int fd, uint64_t offset,
                                     uint64_t len, struct quota_change *change) {
  struct quota *quota = fs->quota;
  struct statx stx;
  *change = (struct quota_change){.fd = fd};
  if (quota == NULL || !has_bytes(inode))
    return 0;
  pthread_mutex_lock(lock_of(quota, inode));
  int rc = look(fd, &stx);
  if (rc == 0)
    know(quota, inode, &stx);
  pthread_mutex_unlock(lock_of(quota, inode));
  if (rc != 0)
    return virtiofs_passthrough_error(-rc);
  if (len != 0 && reserve(&quota->bytes, cost_of(offset, len)))
    change->reserved = cost_of(offset, len);
  else if (len != 0 && !is_there(fd, offset, len))
    return -EDQUOT;
  change->inode = inode;
  return 0;
}

void virtiofs_passthrough_quota_end(struct virtiofs_passthrough *fs, const struct quota_change *change) {
  if (change->inode == NULL)
    return;
  settle(fs->quota, change->inode, change->fd);
  unreserve(&fs->quota->bytes, change->reserved);
}

/* ---- files ---- */

bool virtiofs_passthrough_quota_is_over(const struct virtiofs_passthrough *fs) {
  const struct quota *quota = fs->quota;
  return quota != NULL && quota->bytes.max < UINT64_MAX - MORE_FOR_NAMES &&
         atomic_load(&quota->bytes.used) >= quota->bytes.max + MORE_FOR_NAMES;
}

/* Charged for before anybody can find it, so that nobody takes it away first. */
int virtiofs_passthrough_quota_make(struct virtiofs_passthrough *fs) {
  if (fs->quota == NULL)
    return 0;
  if (virtiofs_passthrough_quota_is_over(fs))
    return -EDQUOT;
  struct quota_limit *inodes = &fs->quota->inodes;
  uint64_t used = atomic_load(&inodes->used);
  do
    if (used >= inodes->max)
      return -EDQUOT;
  while (!atomic_compare_exchange_weak(&inodes->used, &used, used + 1));
  return 0;
}

void virtiofs_passthrough_quota_unmade(struct virtiofs_passthrough *fs) {
  if (fs->quota != NULL)
    take(&fs->quota->inodes, 1);
}

void virtiofs_passthrough_quota_made(struct virtiofs_passthrough *fs, struct inode *inode, bool named,
                                     const struct virtiofs_attr *attr) {
  struct quota *quota = fs->quota;
  if (quota == NULL)
    return;
  pthread_mutex_lock(lock_of(quota, inode));
  if ((atomic_load(&inode->flags) & INODE_CHARGED) == 0) {
    inode->charged = has_bytes(inode) ? attr->blocks * SECTOR : 0;
    atomic_fetch_or(&inode->flags, INODE_CHARGED | (attr->nlink == 0 ? INODE_ORPHAN : 0));
    add(&quota->bytes, inode->charged);
    /* Somebody has found and deleted it meanwhile, which was paid back: that we have it has to be paid for again. */
    if (named && attr->nlink == 0)
      add(&quota->inodes, 1);
  }
  pthread_mutex_unlock(lock_of(quota, inode));
}

int virtiofs_passthrough_quota_opened(struct virtiofs_passthrough *fs, struct inode *inode, int fd) {
  if (fs->quota == NULL || fd < 0)
    return fd;
  if ((size_t)fd >= fs->quota->handle_count) {
    close(fd);
    return -ENFILE;
  }
  virtiofs_passthrough_inode_get(fs, inode);
  atomic_store(&fs->quota->handles[fd], inode);
  return fd;
}

struct inode *virtiofs_passthrough_quota_released(struct virtiofs_passthrough *fs, int fd) {
  if (fs->quota == NULL || (size_t)fd >= fs->quota->handle_count)
    return NULL;
  return atomic_exchange(&fs->quota->handles[fd], NULL);
}

void virtiofs_passthrough_quota_closed(struct virtiofs_passthrough *fs, struct inode *inode) {
  if (inode == NULL)
    return;
  int fd = (atomic_load(&inode->flags) & INODE_CHARGED) != 0 ? virtiofs_passthrough_fd_borrow_any(fs, inode) : -1;
  if (fd >= 0) { /* what was set aside for writers is gone with them */
    settle(fs->quota, inode, fd);
    virtiofs_passthrough_fd_return(fs, inode, fd);
  }
  virtiofs_passthrough_inode_put(fs, inode, 1);
}

/* Takes the lock. */
static void begin_links(struct quota *quota, struct inode *inode, int fd, struct quota_links *links) {
  struct statx stx = {.stx_nlink = 0};
  pthread_mutex_lock(lock_of(quota, inode));
  if (look(fd, &stx) == 0)
    know(quota, inode, &stx);
  *links = (struct quota_links){.inode = inode, .fd = fd, .before = stx.stx_nlink};
}

void virtiofs_passthrough_quota_victim(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd,
                                       const char *name, struct quota_links *victim) {
  struct virtiofs_entry_out entry;
  *victim = (struct quota_links){.fd = -1};
  if (fs->quota == NULL || virtiofs_passthrough_walk(fs, parent, dirfd, name, &entry) != 0)
    return;
  struct inode *inode = virtiofs_passthrough_node(entry.node);
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    virtiofs_passthrough_inode_put(fs, inode, 1);
  else
    begin_links(fs->quota, inode, fd, victim);
}

/* A file's last name is paid for until it is forgotten, the others are paid back at once. */
void virtiofs_passthrough_quota_removed(struct virtiofs_passthrough *fs, const struct quota_links *victim, int rc) {
  struct inode *inode = victim->inode;
  struct statx stx;
  if (inode == NULL)
    return;
  if (rc == 0 && inode->type == S_IFDIR) {
    atomic_fetch_or(&inode->flags, INODE_ORPHAN);
  } else if (rc == 0 && look(victim->fd, &stx) == 0 && stx.stx_nlink < victim->before) {
    take(&fs->quota->inodes, victim->before - stx.stx_nlink - (stx.stx_nlink == 0 ? 1 : 0));
    if (stx.stx_nlink == 0)
      atomic_fetch_or(&inode->flags, INODE_ORPHAN);
  }
  pthread_mutex_unlock(lock_of(fs->quota, inode));
  virtiofs_passthrough_fd_return(fs, inode, victim->fd);
  virtiofs_passthrough_inode_put(fs, inode, 1);
}

void virtiofs_passthrough_quota_linking(struct virtiofs_passthrough *fs, struct inode *inode, int fd,
                                        struct quota_links *links) {
  *links = (struct quota_links){.fd = fd};
  if (fs->quota != NULL)
    begin_links(fs->quota, inode, fd, links);
}

void virtiofs_passthrough_quota_linked(struct virtiofs_passthrough *fs, const struct quota_links *links, int rc) {
  if (links->inode == NULL)
    return;
  if (rc != 0 || links->before == 0)
    take(&fs->quota->inodes, 1);
  if (rc == 0)
    atomic_fetch_and(&links->inode->flags, (unsigned char)~INODE_ORPHAN);
  pthread_mutex_unlock(lock_of(fs->quota, links->inode));
}

void virtiofs_passthrough_quota_forgotten(struct virtiofs_passthrough *fs, struct inode *inode) {
  if (fs->quota == NULL || (atomic_load(&inode->flags) & INODE_ORPHAN) == 0)
    return;
  take(&fs->quota->inodes, 1);
  take(&fs->quota->bytes, inode->charged);
}
