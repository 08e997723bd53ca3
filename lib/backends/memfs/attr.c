/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes, of files and of the file system. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

enum { PERMISSIONS = 07777 };

int virtiofs_memfs_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                           struct virtiofs_attr_out *out) {
  const struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node);
  virtiofs_memfs_read_lock(node);
  virtiofs_memfs_attr(fs, node, &out->attr);
  out->attr_valid_ns = virtiofs_memfs_attr_valid(fs, node);
  virtiofs_memfs_unlock(node);
  return 0;
}

int virtiofs_memfs_statx(struct virtiofs_req *req, const struct virtiofs_statx_in *in, struct virtiofs_statx_out *out) {
  const struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node);
  virtiofs_memfs_read_lock(node);
  virtiofs_memfs_attr(fs, node, &out->statx.attr);
  out->attr_valid_ns = virtiofs_memfs_attr_valid(fs, node);
  virtiofs_memfs_unlock(node);
  out->statx.btime = node->btime;
  out->statx.mask = STATX_BASIC_STATS | STATX_BTIME;
  return 0;
}

/* What can be refused without a try is refused before anything has changed. */
static int check(const struct node *node, const struct virtiofs_setattr_in *in) {
  if ((in->valid & VIRTIOFS_SET_UID) != 0 && in->uid == UINT32_MAX)
    return -EINVAL; /* to chown(2) it means "leave as it is" */
  if ((in->valid & VIRTIOFS_SET_GID) != 0 && in->gid == UINT32_MAX)
    return -EINVAL;
  if ((in->valid & VIRTIOFS_SET_MODE) != 0 && node->type == VIRTIOFS_S_IFLNK)
    return -EOPNOTSUPP;
  if ((in->valid & VIRTIOFS_SET_SIZE) != 0 && node->type != VIRTIOFS_S_IFREG)
    return node->type == VIRTIOFS_S_IFDIR ? -EISDIR : -EINVAL;
  return 0;
}

/* ftruncate(2) changes the times in any case, truncate(2) if it changes the size. */
static int set_size(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_setattr_in *in) {
  const uint64_t before = node->size;
  int rc = virtiofs_memfs_resize(fs, node, in->size);
  if (rc != 0)
    return rc;
  virtiofs_memfs_kill_privileges(fs, node, (in->valid & VIRTIOFS_SET_KILL_SUIDGID) != 0);
  if (in->has_handle || before != in->size)
    virtiofs_memfs_changed(node);
  return 0;
}

static void set_owner(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_setattr_in *in) {
  if ((in->valid & VIRTIOFS_SET_UID) != 0)
    node->uid = in->uid;
  if ((in->valid & VIRTIOFS_SET_GID) != 0)
    node->gid = in->gid;
  virtiofs_memfs_kill_privileges(fs, node, true);
}

/* The size first, as nothing else can fail; the owner before the mode, which may set again what it takes away. */
static int set_locked(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_setattr_in *in) {
  const struct virtiofs_time now = virtiofs_memfs_now();
  const uint32_t valid = in->valid;
  if ((valid & VIRTIOFS_SET_SIZE) != 0) {
    int rc = set_size(fs, node, in);
    if (rc != 0)
      return rc;
  }
  if ((valid & (VIRTIOFS_SET_UID | VIRTIOFS_SET_GID)) != 0)
    set_owner(fs, node, in);
  if ((valid & VIRTIOFS_SET_MODE) != 0)
    node->mode = in->mode & PERMISSIONS;
  if ((valid & VIRTIOFS_SET_ATIME) != 0)
    node->atime = (valid & VIRTIOFS_SET_ATIME_NOW) != 0 ? now : in->atime;
  if ((valid & VIRTIOFS_SET_MTIME) != 0)
    node->mtime = (valid & VIRTIOFS_SET_MTIME_NOW) != 0 ? now : in->mtime;
  if ((valid & VIRTIOFS_SET_CTIME) != 0)
    node->ctime = in->ctime;
  else if ((valid &
            (VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_MODE | VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME)) != 0)
    node->ctime = now;
  return 0;
}

int virtiofs_memfs_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                           struct virtiofs_attr_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node);
  int rc = check(node, in);
  if (rc != 0)
    return rc;
  virtiofs_memfs_write_lock(node);
  rc = set_locked(fs, node, in);
  if (rc == 0) {
    virtiofs_memfs_attr(fs, node, &out->attr);
    out->attr_valid_ns = virtiofs_memfs_attr_valid(fs, node);
  }
  virtiofs_memfs_unlock(node);
  return rc;
}

int virtiofs_memfs_readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                            struct virtiofs_readlink_out *out) {
  (void)req;
  struct node *node = virtiofs_memfs_node(in->node);
  if (node->type != VIRTIOFS_S_IFLNK)
    return -EINVAL;
  out->len = (uint32_t)node->size; /* constant, as the target is */
  memcpy(out->target, node->target, out->len);
  virtiofs_memfs_accessed(node, 0);
  return 0;
}

static uint64_t left(uint64_t most, uint64_t taken) {
  return taken < most ? most - taken : 0;
}

int virtiofs_memfs_statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in,
                          struct virtiofs_statfs_out *out) {
  (void)in;
  const struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  uint64_t bytes = left(fs->max_bytes, atomic_load_explicit(&fs->bytes, memory_order_relaxed));
  uint64_t nodes = left(fs->max_nodes, atomic_load_explicit(&fs->nodes, memory_order_relaxed));
  *out = (struct virtiofs_statfs_out){.blocks = fs->max_bytes / fs->page,
                                      .bfree = bytes / fs->page,
                                      .bavail = bytes / fs->page,
                                      .files = fs->max_nodes,
                                      .ffree = nodes,
                                      .bsize = (uint32_t)fs->page,
                                      .frsize = (uint32_t)fs->page,
                                      .namelen = MEMFS_NAME_MAX};
  return 0;
}
