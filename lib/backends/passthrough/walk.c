/* SPDX-License-Identifier: BSD-3-Clause */
/* From a name to the inode: one step down. */
#include <errno.h>
#include <fcntl.h>

#include "backends/passthrough/share.h"

/* Opens what the name stands for now and looks at that, so that a name which is replaced at any moment does no harm. */
static int enter(struct virtiofs_passthrough *fs, int dirfd, const char *name, struct statx *stx,
                 struct inode **inode) {
  int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    int rc = virtiofs_passthrough_error(errno);
    virtiofs_passthrough_fd_give(fs, 1);
    return rc;
  }
  int rc = virtiofs_passthrough_stat(fd, stx);
  if (rc != 0) {
    virtiofs_passthrough_fd_close(fs, fd);
    return rc;
  }
  return virtiofs_passthrough_inode_enter(fs, fd, stx, inode);
}

int virtiofs_passthrough_walk(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd, const char *name,
                              struct virtiofs_entry_out *out) {
  struct statx stx;
  (void)parent;
  if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, PASSTHROUGH_STATX_MASK, &stx) != 0)
    return virtiofs_passthrough_error(errno);
  struct inode *inode = virtiofs_passthrough_inode_find(fs, &stx);
  if (inode == NULL) {
    int rc = virtiofs_passthrough_fd_take(fs, 1);
    if (rc == 0)
      rc = enter(fs, dirfd, name, &stx, &inode);
    if (rc != 0)
      return rc;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}

int virtiofs_passthrough_walk_new(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd,
                                  const char *name, uint32_t type, struct virtiofs_entry_out *out) {
  struct statx stx;
  struct inode *inode;
  (void)parent;
  int rc = enter(fs, dirfd, name, &stx, &inode);
  if (rc != 0)
    return rc;
  if (inode->type != type) {
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return -ESTALE;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}
