/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: finding, removing and moving them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

int virtiofs_passthrough_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in,
                                struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *parent = virtiofs_passthrough_node(in->parent);
  int fd = virtiofs_passthrough_fd_borrow_any(fs, parent);
  if (fd < 0)
    return fd;
  int rc = virtiofs_passthrough_walk(fs, parent, fd, in->name.str, out);
  virtiofs_passthrough_fd_return(fs, parent, fd);
  return rc;
}

void virtiofs_passthrough_forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  virtiofs_passthrough_inode_put(virtiofs_req_fs(req), virtiofs_passthrough_node(in->node), in->replies);
}

static int remove_name(struct virtiofs_req *req, uint64_t parent, const struct virtiofs_name *name, int flags) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *dir = virtiofs_passthrough_node(parent);
  int fd = virtiofs_passthrough_fd_borrow(fs, dir);
  if (fd < 0)
    return fd;
  struct quota_change names;
  struct quota_links victim;
  int rc = virtiofs_passthrough_quota_begin(fs, dir, fd, 0, 0, &names);
  if (rc == 0) {
    virtiofs_passthrough_quota_victim(fs, dir, fd, name->str, &victim);
    rc = unlinkat(fd, name->str, flags) == 0 ? 0 : virtiofs_passthrough_error(errno);
    virtiofs_passthrough_quota_removed(fs, &victim, rc);
  }
  virtiofs_passthrough_quota_end(fs, &names);
  virtiofs_passthrough_fd_return(fs, dir, fd);
  return rc;
}

int virtiofs_passthrough_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  return remove_name(req, in->parent, &in->name, 0);
}

int virtiofs_passthrough_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  return remove_name(req, in->parent, &in->name, AT_REMOVEDIR);
}

static int rename_on_host(struct virtiofs_req *req, const struct virtiofs_rename_in *in, int from, int to) {
  /* Only a whiteout makes something that has an owner; the rest of the renaming needs what the server may do. */
  bool makes = (in->flags & VIRTIOFS_RENAME_WHITEOUT) != 0;
  if (makes) {
    int rc = virtiofs_passthrough_cred_begin(req, PASSTHROUGH_KEEP_TO_MAKE | PASSTHROUGH_CAP(CAP_FOWNER));
    if (rc != 0)
      return rc;
  }
  int rc = 0;
  if (renameat2(from, in->name.str, to, in->new_name.str, in->flags) != 0)
    rc = virtiofs_passthrough_error(errno);
  if (makes)
    virtiofs_passthrough_cred_end(virtiofs_req_fs(req));
  return rc;
}

/* What had the new name may be gone afterwards; a whiteout is one more file. */
static int rename_at(struct virtiofs_req *req, const struct virtiofs_rename_in *in, int from, int to) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const bool makes = (in->flags & VIRTIOFS_RENAME_WHITEOUT) != 0;
  struct quota_links victim = {.inode = NULL};
  if (virtiofs_passthrough_quota_is_over(fs))
    return -EDQUOT;
  int rc = makes ? virtiofs_passthrough_quota_make(fs) : 0;
  if (rc != 0)
    return rc;
  if ((in->flags & (VIRTIOFS_RENAME_NOREPLACE | VIRTIOFS_RENAME_EXCHANGE)) == 0)
    virtiofs_passthrough_quota_victim(fs, virtiofs_passthrough_node(in->new_parent), to, in->new_name.str, &victim);
  rc = rename_on_host(req, in, from, to);
  virtiofs_passthrough_quota_removed(fs, &victim, rc);
  if (makes && rc != 0)
    virtiofs_passthrough_quota_unmade(fs);
  return rc;
}

/* What the directories take for their names may change. */
static int rename_in(struct virtiofs_req *req, const struct virtiofs_rename_in *in, int from, int to) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct quota_change left, entered = {.inode = NULL};
  int rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->parent), from, 0, 0, &left);
  if (rc == 0)
    rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->new_parent), to, 0, 0, &entered);
  if (rc == 0)
    rc = rename_at(req, in, from, to);
  virtiofs_passthrough_quota_end(fs, &entered);
  virtiofs_passthrough_quota_end(fs, &left);
  return rc;
}

int virtiofs_passthrough_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *from = virtiofs_passthrough_node(in->parent);
  struct inode *to = virtiofs_passthrough_node(in->new_parent);
  int from_fd = virtiofs_passthrough_fd_borrow(fs, from);
  if (from_fd < 0)
    return from_fd;
  int to_fd = virtiofs_passthrough_fd_borrow(fs, to);
  int rc = to_fd < 0 ? to_fd : rename_in(req, in, from_fd, to_fd);
  if (to_fd >= 0)
    virtiofs_passthrough_fd_return(fs, to, to_fd);
  virtiofs_passthrough_fd_return(fs, from, from_fd);
  return rc;
}

/* What is followed is procfs's link to the descriptor's file, no link in the share. Other than AT_EMPTY_PATH this works
 * without CAP_DAC_READ_SEARCH. */
static int link_at(struct virtiofs_passthrough *fs, struct inode *inode, int fd, int dirfd, const char *name) {
  struct proc_name old = virtiofs_passthrough_proc_name(fd);
  struct quota_links links;
  int rc = virtiofs_passthrough_quota_make(fs);
  if (rc != 0)
    return rc;
  virtiofs_passthrough_quota_linking(fs, inode, fd, &links);
  if (linkat(fs->proc_fd, old.str, dirfd, name, AT_SYMLINK_FOLLOW) != 0)
    rc = virtiofs_passthrough_error(errno);
  virtiofs_passthrough_quota_linked(fs, &links, rc);
  return rc;
}

static int link_in(struct virtiofs_passthrough *fs, struct inode *inode, int fd, struct inode *parent,
                   const char *name) {
  struct quota_change names;
  int dirfd = virtiofs_passthrough_fd_borrow(fs, parent);
  if (dirfd < 0)
    return dirfd;
  int rc = virtiofs_passthrough_quota_begin(fs, parent, dirfd, 0, 0, &names);
  if (rc == 0)
    rc = link_at(fs, inode, fd, dirfd, name);
  virtiofs_passthrough_quota_end(fs, &names);
  virtiofs_passthrough_fd_return(fs, parent, dirfd);
  return rc;
}

int virtiofs_passthrough_link(struct virtiofs_req *req, const struct virtiofs_link_in *in,
                              struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  struct statx stx;
  int rc = link_in(fs, inode, fd, virtiofs_passthrough_node(in->new_parent), in->name.str);
  if (rc == 0)
    rc = virtiofs_passthrough_stat(fd, &stx);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  if (rc != 0)
    return rc;
  virtiofs_passthrough_inode_get(fs, inode);
  virtiofs_passthrough_fill_entry(fs, inode, &stx, out);
  return 0;
}
