/* SPDX-License-Identifier: BSD-3-Clause */
/* From a name, or from a file that was just made, to the inode. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/handle.h"
#include "backends/passthrough/share.h"

/* A name may be replaced at any moment, also between two looks at it; if that goes on, it is stale. */
enum { TRIES = 16 };

/** A step down, and what was seen of the file. */
struct step {
  struct virtiofs_passthrough *fs;
  const struct inode *parent;
  int dirfd;
  const char *name;
  struct statx stx;
  bool paid; /* a descriptor, for the case that the inode needs one */
};

static int look(struct step *step) {
  if (statx(step->dirfd, step->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, PASSTHROUGH_STATX_MASK, &step->stx) != 0)
    return virtiofs_passthrough_error(errno);
  return 0;
}

/* Opens what the name stands for now and looks at that, so that a name which is replaced does no harm. */
static int look_open(struct step *step) {
  int fd = openat(step->dirfd, step->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return virtiofs_passthrough_error(errno);
  int rc = virtiofs_passthrough_stat(fd, &step->stx);
  if (rc == 0)
    return fd;
  close(fd);
  return rc;
}

/* The mount of what was seen; one that nobody knows yet is entered. */
static int find_mount(struct step *step, struct mount **mount) {
  *mount = virtiofs_passthrough_mount_get(step->fs, step->parent, virtiofs_passthrough_mnt_id(&step->stx));
  if (*mount != NULL)
    return 0;
  virtiofs_passthrough_cred_server();
  int fd = look_open(step);
  if (fd < 0)
    return fd;
  int rc = virtiofs_passthrough_mount_enter(step->fs, fd, &step->stx, mount);
  close(fd);
  return rc;
}

static unsigned char flags_of(const struct step *step, const struct mount *mount) {
  bool other = mount != step->parent->mount || virtiofs_passthrough_dev(&step->stx) != step->parent->dev;
  return other && S_ISDIR(step->stx.stx_mode) ? INODE_SUBMOUNT : 0;
}

/* An inode with a file handle; takes the mount if it needs it. -EAGAIN: the name has come into another mount;
 * -EOPNOTSUPP: the file has no handle. */
static int enter_by_handle(const struct step *step, struct mount **mount, struct inode **inode) {
  struct handle handle;
  int rc = virtiofs_passthrough_handle_of(step->dirfd, step->name, &handle);
  if (rc == 0 && (uint64_t)handle.mount_id != (*mount)->id)
    rc = -EAGAIN;
  if (rc != 0)
    return rc;
  *inode = virtiofs_passthrough_inode_find(step->fs, &step->stx, &handle);
  if (*inode != NULL)
    return 0;
  struct inode_parts parts = {.stx = &step->stx, .mount = *mount, .handle = &handle, .flags = flags_of(step, *mount)};
  *mount = NULL;
  return virtiofs_passthrough_inode_enter(step->fs, &parts, inode);
}

/* An inode that keeps a descriptor. -EAGAIN as above. */
static int enter_by_fd(struct step *step, struct mount **mount, struct inode **inode) {
  int rc = step->paid ? 0 : virtiofs_passthrough_fd_take(step->fs, 1);
  if (rc != 0)
    return rc;
  step->paid = true;
  int fd = look_open(step);
  if (fd < 0)
    return fd;
  if (virtiofs_passthrough_mnt_id(&step->stx) != (*mount)->id) {
    close(fd);
    return -EAGAIN;
  }
  step->paid = false;
  struct inode_parts parts = {.stx = &step->stx, .mount = *mount, .fd = fd, .flags = flags_of(step, *mount)};
  *mount = NULL;
  return virtiofs_passthrough_inode_enter(step->fs, &parts, inode);
}

/* Does a file without a handle get a descriptor? */
static bool may_keep(const struct virtiofs_passthrough *fs, int rc) {
  return rc == -EOPNOTSUPP && fs->handles != VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY;
}

/* One try for a file that was looked at. */
static int enter(struct step *step, struct inode **inode) {
  struct mount *mount;
  int rc = find_mount(step, &mount);
  if (rc != 0)
    return rc;
  bool by_handle = mount->fd >= 0;
  if (by_handle)
    rc = enter_by_handle(step, &mount, inode);
  if (!by_handle || may_keep(step->fs, rc))
    rc = enter_by_fd(step, &mount, inode);
  if (mount != NULL)
    virtiofs_passthrough_mount_put(step->fs, mount);
  return rc;
}

/* @step has been looked at. The payment is used up or given back. */
static int resolve(struct step *step, struct inode **inode) {
  int rc = enter(step, inode);
  for (int i = 1; i < TRIES && rc == -EAGAIN; i++) {
    rc = look(step);
    if (rc == 0)
      rc = enter(step, inode);
  }
  if (step->paid)
    virtiofs_passthrough_fd_give(step->fs, 1);
  return rc == -EAGAIN ? -ESTALE : rc;
}

int virtiofs_passthrough_walk(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd, const char *name,
                              struct virtiofs_entry_out *out) {
  struct step step = {.fs = fs, .parent = parent, .dirfd = dirfd, .name = name};
  int rc = look(&step);
  if (rc != 0)
    return rc;
  struct inode *inode = virtiofs_passthrough_inode_find(fs, &step.stx, NULL);
  if (inode == NULL) {
    rc = resolve(&step, &inode);
    if (rc != 0)
      return rc;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &step.stx, out);
  return 0;
}

long virtiofs_passthrough_inode_fds(const struct inode *parent) {
  return parent->mount->fd >= 0 ? 0 : 1;
}

int virtiofs_passthrough_walk_new(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd,
                                  const char *name, uint32_t type, struct virtiofs_entry_out *out) {
  struct step step = {
      .fs = fs, .parent = parent, .dirfd = dirfd, .name = name, .paid = virtiofs_passthrough_inode_fds(parent) != 0};
  struct inode *inode;
  int rc = look(&step);
  if (rc == 0) {
    rc = resolve(&step, &inode);
  } else if (step.paid) {
    virtiofs_passthrough_fd_give(fs, 1);
  }
  if (rc != 0)
    return rc;
  if (inode->type != type) {
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return -ESTALE;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &step.stx, out);
  return 0;
}

/* By descriptor: a second one, for paths only. The mount and the payment are taken. */
static int keep_open(struct virtiofs_passthrough *fs, int file, const struct statx *stx, struct mount *mount,
                     struct inode **inode) {
  int fd = virtiofs_passthrough_reopen(fs, file, O_PATH);
  if (fd < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    virtiofs_passthrough_mount_put(fs, mount);
    return fd;
  }
  struct inode_parts parts = {.stx = stx, .mount = mount, .fd = fd};
  return virtiofs_passthrough_inode_enter(fs, &parts, inode);
}

static int enter_file(struct virtiofs_passthrough *fs, int file, const struct statx *stx, struct mount *mount,
                      bool paid, struct inode **inode) {
  struct handle handle;
  int rc = mount->fd >= 0 ? virtiofs_passthrough_handle_of(file, "", &handle) : -EOPNOTSUPP;
  if (rc == 0) {
    if (paid)
      virtiofs_passthrough_fd_give(fs, 1);
    struct inode_parts parts = {.stx = stx, .mount = mount, .handle = &handle, .flags = INODE_VERIFIED};
    return virtiofs_passthrough_inode_enter(fs, &parts, inode);
  }
  if (may_keep(fs, rc))
    rc = paid ? 0 : virtiofs_passthrough_fd_take(fs, 1);
  if (rc == 0)
    return keep_open(fs, file, stx, mount, inode);
  if (paid)
    virtiofs_passthrough_fd_give(fs, 1);
  virtiofs_passthrough_mount_put(fs, mount);
  return rc;
}

int virtiofs_passthrough_enter_made(struct virtiofs_passthrough *fs, const struct inode *parent, int file,
                                    struct virtiofs_entry_out *out) {
  bool paid = virtiofs_passthrough_inode_fds(parent) != 0;
  struct statx stx;
  struct mount *mount = NULL;
  int rc = virtiofs_passthrough_stat(file, &stx);
  if (rc == 0) {
    mount = virtiofs_passthrough_mount_get(fs, parent, virtiofs_passthrough_mnt_id(&stx));
    if (mount == NULL)
      rc = -ESTALE; /* what is made in a directory is made in its mount */
  }
  if (rc != 0) {
    if (paid)
      virtiofs_passthrough_fd_give(fs, 1);
    return rc;
  }
  struct inode *inode;
  rc = enter_file(fs, file, &stx, mount, paid, &inode);
  if (rc == 0)
    virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return rc;
}
