/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/passthrough/share.h"

enum { WIRE_ERRNO_MAX = 511 };

int virtiofs_passthrough_error(int host_errno) {
  if (host_errno == ENOSYS)
    return -EOPNOTSUPP;
  if (host_errno == EMFILE)
    return -ENFILE;
  return host_errno > 0 && host_errno <= WIRE_ERRNO_MAX ? -host_errno : -EIO;
}

bool virtiofs_passthrough_fd_try(struct virtiofs_passthrough *fs, long count) {
  if (count == 0)
    return true;
  long held = atomic_fetch_add_explicit(&fs->fd_count, count, memory_order_relaxed) + count;
  while (held > fs->fd_limit && virtiofs_passthrough_fd_evict(fs))
    held = atomic_load_explicit(&fs->fd_count, memory_order_relaxed);
  if (held <= fs->fd_limit)
    return true;
  virtiofs_passthrough_fd_give(fs, count);
  return false;
}

int virtiofs_passthrough_fd_take(struct virtiofs_passthrough *fs, long count) {
  if (virtiofs_passthrough_fd_try(fs, count))
    return 0;
  unsigned long times = atomic_fetch_add_explicit(&fs->fd_wanted, 1, memory_order_relaxed) + 1;
  if ((times & (times - 1)) == 0)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_WARN, "passthrough", "all %ld descriptors are in use (said %lu times)",
                       fs->fd_limit, times);
  return -ENFILE;
}

void virtiofs_passthrough_fd_give(struct virtiofs_passthrough *fs, long count) {
  atomic_fetch_sub_explicit(&fs->fd_count, count, memory_order_relaxed);
}

void virtiofs_passthrough_fd_close(struct virtiofs_passthrough *fs, int fd) {
  close(fd); /* an error was told by flush; the descriptor is gone in any case */
  virtiofs_passthrough_fd_give(fs, 1);
}

struct proc_name virtiofs_passthrough_proc_name(int fd) {
  struct proc_name name;
  snprintf(name.str, sizeof name.str, "%d", fd);
  return name;
}

struct proc_path virtiofs_passthrough_proc_path(const struct virtiofs_passthrough *fs, int fd) {
  struct proc_path path;
  snprintf(path.str, sizeof path.str, "%s%d", fs->proc, fd);
  return path;
}

static int open_again(const struct virtiofs_passthrough *fs, int fd, int flags) {
  struct proc_name name = virtiofs_passthrough_proc_name(fd);
  int opened;
  do
    opened = openat(fs->proc_fd, name.str, flags | O_CLOEXEC | O_NOCTTY);
  while (opened < 0 && errno == EINTR);
  return opened < 0 ? virtiofs_passthrough_error(errno) : opened;
}

/* Looking changes nothing either, where the host lets the server look so. */
int virtiofs_passthrough_reopen(const struct virtiofs_passthrough *fs, int fd, int flags) {
  int opened = fs->readonly ? open_again(fs, fd, flags | O_NOATIME) : -EPERM;
  return opened == -EPERM ? open_again(fs, fd, flags) : opened;
}

int virtiofs_passthrough_stat(int fd, struct statx *stx) {
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, PASSTHROUGH_STATX_MASK, stx) != 0)
    return virtiofs_passthrough_error(errno);
  return 0;
}

static struct virtiofs_time time_of(const struct statx_timestamp *ts) {
  return (struct virtiofs_time){.sec = ts->tv_sec, .nsec = ts->tv_nsec};
}

/* The session leaves the flag out for guests that don't know it. */
static uint32_t flags_of(const struct inode *inode) {
  bool submount = (atomic_load_explicit(&inode->flags, memory_order_relaxed) & INODE_SUBMOUNT) != 0;
  return submount ? VIRTIOFS_ATTR_SUBMOUNT : 0;
}

void virtiofs_passthrough_attr(const struct virtiofs_passthrough *fs, struct inode *inode, const struct statx *stx,
                               struct virtiofs_attr *attr) {
  uint32_t blksize = stx->stx_blksize;
  atomic_store_explicit(&inode->size, stx->stx_size, memory_order_relaxed);
  *attr = (struct virtiofs_attr){
      .ino = stx->stx_ino,
      .size = stx->stx_size,
      .blocks = stx->stx_blocks,
      .atime = time_of(&stx->stx_atime),
      .mtime = time_of(&stx->stx_mtime),
      .ctime = time_of(&stx->stx_ctime),
      .mode = stx->stx_mode,
      .nlink = stx->stx_nlink,
      .uid = virtiofs_passthrough_idmap_to_guest(fs->uids, stx->stx_uid),
      .gid = virtiofs_passthrough_idmap_to_guest(fs->gids, stx->stx_gid),
      .rdev_major = stx->stx_rdev_major,
      .rdev_minor = stx->stx_rdev_minor,
      .blksize = (blksize & (blksize - 1)) == 0 ? blksize : 0,
      .flags = flags_of(inode) | virtiofs_passthrough_dax_flag(fs, stx),
  };
}

void virtiofs_passthrough_fill_entry(const struct virtiofs_passthrough *fs, struct inode *inode,
                                     const struct statx *stx, struct virtiofs_entry_out *out) {
  out->node = (uintptr_t)inode;
  out->entry_valid_ns = fs->entry_valid_ns;
  out->attr_valid_ns = fs->attr_valid_ns;
  virtiofs_passthrough_attr(fs, inode, stx, &out->attr);
}

struct inode *virtiofs_passthrough_node(uint64_t node) {
  return (struct inode *)(uintptr_t)node;
}
