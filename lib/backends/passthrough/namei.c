/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: finding, removing and moving them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

/* Opens what the name stands for now and looks at that, so that a name which is replaced at any moment does no harm. */
static int enter(struct virtiofs_passthrough *fs, const struct inode *parent, const char *name, struct statx *stx,
                 struct inode **inode) {
  int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
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

int virtiofs_passthrough_walk(struct virtiofs_passthrough *fs, const struct inode *parent, const char *name,
                              struct virtiofs_entry_out *out) {
  struct statx stx;
  if (statx(parent->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, PASSTHROUGH_STATX_MASK, &stx) != 0)
    return virtiofs_passthrough_error(errno);
  struct inode *inode = virtiofs_passthrough_inode_find(fs, &stx);
  if (inode == NULL) {
    int rc = virtiofs_passthrough_fd_take(fs, 1);
    if (rc == 0)
      rc = enter(fs, parent, name, &stx, &inode);
    if (rc != 0)
      return rc;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}

int virtiofs_passthrough_walk_new(struct virtiofs_passthrough *fs, const struct inode *parent, const char *name,
                                  uint32_t type, struct virtiofs_entry_out *out) {
  struct statx stx;
  struct inode *inode;
  int rc = enter(fs, parent, name, &stx, &inode);
  if (rc != 0)
    return rc;
  if (inode->type != type) {
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return -ESTALE;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}

int virtiofs_passthrough_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in,
                                struct virtiofs_entry_out *out) {
  return virtiofs_passthrough_walk(virtiofs_req_fs(req), virtiofs_passthrough_node(in->parent), in->name.str, out);
}

void virtiofs_passthrough_forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  virtiofs_passthrough_inode_put(virtiofs_req_fs(req), virtiofs_passthrough_node(in->node), in->replies);
}

static int remove_name(uint64_t parent, const struct virtiofs_name *name, int flags) {
  if (unlinkat(virtiofs_passthrough_node(parent)->fd, name->str, flags) != 0)
    return virtiofs_passthrough_error(errno);
  return 0;
}

int virtiofs_passthrough_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  (void)req;
  return remove_name(in->parent, &in->name, 0);
}

int virtiofs_passthrough_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  (void)req;
  return remove_name(in->parent, &in->name, AT_REMOVEDIR);
}

int virtiofs_passthrough_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  const struct inode *from = virtiofs_passthrough_node(in->parent);
  const struct inode *to = virtiofs_passthrough_node(in->new_parent);
  /* Only a whiteout makes something that has an owner; the rest of the renaming needs what the server may do. */
  bool makes = (in->flags & VIRTIOFS_RENAME_WHITEOUT) != 0;
  struct cred cred;
  if (makes) {
    int rc =
        virtiofs_passthrough_cred_begin(&cred, req, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) | PASSTHROUGH_CAP(CAP_FOWNER));
    if (rc != 0)
      return rc;
  }
  int rc = 0;
  if (renameat2(from->fd, in->name.str, to->fd, in->new_name.str, in->flags) != 0)
    rc = virtiofs_passthrough_error(errno);
  if (makes)
    virtiofs_passthrough_cred_end(&cred);
  return rc;
}

int virtiofs_passthrough_link(struct virtiofs_req *req, const struct virtiofs_link_in *in,
                              struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  const struct inode *parent = virtiofs_passthrough_node(in->new_parent);
  /* What is followed is procfs's link to the descriptor's file, no link in the share. Other than AT_EMPTY_PATH this
   * works without CAP_DAC_READ_SEARCH. */
  struct proc_name old = virtiofs_passthrough_proc_name(inode->fd);
  if (linkat(fs->proc_fd, old.str, parent->fd, in->name.str, AT_SYMLINK_FOLLOW) != 0)
    return virtiofs_passthrough_error(errno);
  struct statx stx;
  int rc = virtiofs_passthrough_stat(inode->fd, &stx);
  if (rc != 0)
    return rc;
  virtiofs_passthrough_inode_get(fs, inode);
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}
