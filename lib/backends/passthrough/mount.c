/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "backends/passthrough/handle.h"
#include "backends/passthrough/share.h"

enum { TRIM_LEAST = 256, HIGH_STEP = 64 };

static void count_up(struct mount *mount) {
  long count = atomic_fetch_add_explicit(&mount->inodes, 1, memory_order_relaxed) + 1;
  if (count >= atomic_load_explicit(&mount->high, memory_order_relaxed) + HIGH_STEP)
    atomic_store_explicit(&mount->high, count, memory_order_relaxed);
}

struct mount *virtiofs_passthrough_mount_get(struct virtiofs_passthrough *fs, const struct inode *near, uint64_t id) {
  if (near != NULL && near->mount->id == id) {
    count_up(near->mount);
    return near->mount;
  }
  pthread_mutex_lock(&fs->mounts.lock);
  struct mount *mount = fs->mounts.first;
  while (mount != NULL && mount->id != id)
    mount = mount->next;
  if (mount != NULL)
    count_up(mount);
  pthread_mutex_unlock(&fs->mounts.lock);
  return mount;
}

/* Can the file be opened by its handle, and is it that file? */
static int try_handle(int mount_fd, int fd, const struct statx *stx) {
  struct handle handle;
  struct statx seen;
  int rc = virtiofs_passthrough_handle_of(fd, "", &handle);
  if (rc != 0)
    return rc;
  if ((uint64_t)handle.mount_id != virtiofs_passthrough_mnt_id(stx))
    return -EOPNOTSUPP;
  int again = virtiofs_passthrough_handle_open(mount_fd, handle.type, handle.bytes, handle.len);
  if (again < 0)
    return again;
  rc = virtiofs_passthrough_stat(again, &seen);
  close(again);
  return rc != 0 ? rc : virtiofs_passthrough_same_file(&seen, stx) ? 0 : -EOPNOTSUPP;
}

/* The descriptor must be one for reading, so it can be had of directories and regular files alone: a mount's root. */
static int open_mount(struct virtiofs_passthrough *fs, int fd, const struct statx *stx) {
  if ((stx->stx_mask & STATX_MNT_ID) == 0 || (!S_ISDIR(stx->stx_mode) && !S_ISREG(stx->stx_mode)))
    return -EOPNOTSUPP;
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  int mount_fd = virtiofs_passthrough_reopen(fs, fd, O_RDONLY | O_NONBLOCK);
  if (mount_fd < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return mount_fd;
  }
  rc = try_handle(mount_fd, fd, stx);
  if (rc == 0)
    return mount_fd;
  virtiofs_passthrough_fd_close(fs, mount_fd);
  return rc;
}

/* Once: a guest may come here again and again. */
static void say_why_not(struct virtiofs_passthrough *fs, int rc) {
  bool needed = fs->handles == VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY;
  if (atomic_flag_test_and_set(&fs->mounts.said))
    return;
  const char *why = rc == -EPERM ? "that takes CAP_DAC_READ_SEARCH" : strerror(-rc);
  virtiofs_log_write(&fs->log, needed ? VIRTIOFS_LOG_ERROR : VIRTIOFS_LOG_INFO, "passthrough",
                     "files of a file system can't be opened by handle (%s): %s", why,
                     needed ? "they are refused" : "each that a guest knows keeps a descriptor open");
}

/* Out of something that may be there again in a moment: no reason to do without handles. */
static bool is_passing(int rc) {
  return rc == -ENFILE || rc == -ENOMEM;
}

static struct mount *link_or_find(struct virtiofs_passthrough *fs, struct mount *made) {
  pthread_mutex_lock(&fs->mounts.lock);
  struct mount *mount = fs->mounts.first;
  while (mount != NULL && mount->id != made->id)
    mount = mount->next;
  if (mount == NULL) {
    made->next = fs->mounts.first;
    fs->mounts.first = mount = made;
  }
  count_up(mount);
  pthread_mutex_unlock(&fs->mounts.lock);
  return mount;
}

static void mount_free(struct virtiofs_passthrough *fs, struct mount *mount) {
  if (mount->fd >= 0)
    virtiofs_passthrough_fd_close(fs, mount->fd);
  free(mount);
}

/*
 * Does the host's own kernel decide who may do what there, by ids and capabilities alone? Elsewhere another machine, or
 * a program, may look at the ids of whoever asks, for whatever is asked.
 */
static bool judged_here(int fd) {
  static const uint64_t types[] = {EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC,
                                   OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};
  struct statfs st;
  if (fstatfs(fd, &st) != 0)
    return false;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if ((uint64_t)st.f_type == types[i])
      return true;
  return false;
}

int virtiofs_passthrough_mount_enter(struct virtiofs_passthrough *fs, int fd, const struct statx *stx,
                                     struct mount **out) {
  int mount_fd = -1;
  if (fs->handles != VIRTIOFS_PASSTHROUGH_HANDLES_NEVER) {
    mount_fd = open_mount(fs, fd, stx);
    if (is_passing(mount_fd))
      return mount_fd;
    if (mount_fd < 0) {
      say_why_not(fs, mount_fd);
      if (fs->handles == VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY)
        return -EOPNOTSUPP;
      mount_fd = -1;
    }
  }
  struct mount *made = malloc(sizeof *made);
  if (made == NULL) {
    if (mount_fd >= 0)
      virtiofs_passthrough_fd_close(fs, mount_fd);
    return -ENOMEM;
  }
  if (!judged_here(fd))
    atomic_store_explicit(&fs->keeps_ids, false, memory_order_release);
  *made = (struct mount){.id = virtiofs_passthrough_mnt_id(stx), .fd = mount_fd};
  *out = link_or_find(fs, made);
  if (*out != made)
    mount_free(fs, made);
  return 0;
}

/* What the C library keeps of a million freed inodes is no use to anybody else on the host. */
static void trim(struct mount *mount, long left) {
  long high = atomic_load_explicit(&mount->high, memory_order_relaxed);
  if (high < TRIM_LEAST || left >= high / 2)
    return;
  if (!atomic_compare_exchange_strong_explicit(&mount->high, &high, left, memory_order_relaxed, memory_order_relaxed))
    return;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void virtiofs_passthrough_mount_put(struct virtiofs_passthrough *fs, struct mount *mount) {
  long count = atomic_load_explicit(&mount->inodes, memory_order_relaxed);
  while (count > 1) {
    /* Releasing, so that who closes it comes after all who have used it. */
    if (atomic_compare_exchange_weak_explicit(&mount->inodes, &count, count - 1, memory_order_release,
                                              memory_order_relaxed)) {
      trim(mount, count - 1);
      return;
    }
  }
  pthread_mutex_lock(&fs->mounts.lock);
  bool last = atomic_fetch_sub_explicit(&mount->inodes, 1, memory_order_acq_rel) == 1;
  if (last) {
    struct mount **link = &fs->mounts.first;
    while (*link != mount)
      link = &(*link)->next;
    *link = mount->next;
  }
  pthread_mutex_unlock(&fs->mounts.lock);
  if (last)
    mount_free(fs, mount);
}
