/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: finding, removing and adding them. */
#include <errno.h>
#include <stdlib.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

int virtiofs_memfs_find(const struct virtiofs_memfs *fs, const struct node *dir, const struct virtiofs_name *name,
                        struct entry **out) {
  if (dir->type != VIRTIOFS_S_IFDIR)
    return -ENOTDIR;
  if (name->len > MEMFS_NAME_MAX)
    return -ENAMETOOLONG;
  *out = virtiofs_memfs_names_find(&dir->dir.names, virtiofs_memfs_hash(fs->seed, name->str, name->len), name->str,
                                   name->len);
  return *out == NULL ? -ENOENT : 0;
}

int virtiofs_memfs_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in,
                          struct virtiofs_entry_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *dir = virtiofs_memfs_node(in->parent);
  struct entry *entry;
  virtiofs_memfs_read_lock(dir);
  int rc = virtiofs_memfs_find(fs, dir, &in->name, &entry);
  struct node *node = rc == 0 ? virtiofs_memfs_node_get(entry->node, 1) : NULL;
  virtiofs_memfs_unlock(dir);
  if (rc == -ENOENT && !fs->shared) {
    out->entry_valid_ns = fs->entry_valid_ns; /* the guest may remember that it isn't there */
    return 0;
  }
  if (rc != 0)
    return rc;
  virtiofs_memfs_read_lock(node);
  virtiofs_memfs_entry(fs, node, out);
  virtiofs_memfs_unlock(node);
  virtiofs_memfs_node_put(fs, node, 1);
  return 0;
}

void virtiofs_memfs_forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  virtiofs_memfs_node_put(virtiofs_req_fs(req), virtiofs_memfs_node(in->node), in->replies);
}

/* ---- removing ---- */

bool virtiofs_memfs_unname(struct virtiofs_memfs *fs, struct node *node, struct virtiofs_time now) {
  bool gone = true;
  virtiofs_memfs_write_lock(node);
  if (node->type == VIRTIOFS_S_IFDIR) {
    gone = node->dir.names.live == 0;
    if (gone)
      node->nlink = 0;
  } else if (node->nlink-- > 1) {
    virtiofs_memfs_nodes_give(fs);
  }
  if (gone)
    node->ctime = now;
  virtiofs_memfs_unlock(node);
  return gone;
}

/* Unlinks what is no directory, or removes an empty directory. */
static int remove_name(struct virtiofs_req *req, uint64_t parent, const struct virtiofs_name *name, bool directory) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *dir = virtiofs_memfs_node(parent);
  struct node *node = NULL;
  struct entry *entry;
  virtiofs_memfs_write_lock(dir);
  int rc = virtiofs_memfs_find(fs, dir, name, &entry);
  if (rc == 0 && (entry->node->type == VIRTIOFS_S_IFDIR) != directory)
    rc = directory ? -ENOTDIR : -EISDIR;
  struct virtiofs_time now = virtiofs_memfs_now();
  if (rc == 0 && !virtiofs_memfs_unname(fs, entry->node, now))
    rc = -ENOTEMPTY;
  if (rc == 0) {
    node = entry->node;
    virtiofs_memfs_names_remove(&dir->dir.names, entry);
    free(entry);
    if (directory)
      dir->nlink--;
    dir->mtime = dir->ctime = now;
  }
  virtiofs_memfs_unlock(dir);
  virtiofs_memfs_node_put(fs, node, 1);
  return rc;
}

int virtiofs_memfs_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  return remove_name(req, in->parent, &in->name, false);
}

int virtiofs_memfs_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  return remove_name(req, in->parent, &in->name, true);
}

/* ---- adding ---- */

int virtiofs_memfs_can_add(const struct virtiofs_memfs *fs, struct node *dir, const struct virtiofs_name *name) {
  struct entry *entry;
  int rc = virtiofs_memfs_find(fs, dir, name, &entry);
  if (rc == 0)
    return -EEXIST;
  if (rc != -ENOENT)
    return rc;
  return dir->nlink == 0 ? -ENOENT : virtiofs_memfs_names_reserve(&dir->dir.names);
}

void virtiofs_memfs_add(struct node *dir, struct entry *entry, struct node *take_node) {
  entry->node = take_node;
  virtiofs_memfs_names_insert(&dir->dir.names, entry);
  if (take_node->type == VIRTIOFS_S_IFDIR)
    dir->nlink++;
  virtiofs_memfs_changed(dir);
}

/* A further link counts as a node, so that names too have a limit. */
static int count_link(struct virtiofs_memfs *fs, struct node *node) {
  if (node->nlink == UINT32_MAX)
    return -EMLINK;
  if (node->nlink == 0 && !(node->type == VIRTIOFS_S_IFREG && node->file.nameless))
    return -ENOENT;
  int rc = node->nlink > 0 ? virtiofs_memfs_nodes_take(fs) : 0;
  if (rc != 0)
    return rc;
  node->nlink++;
  node->ctime = virtiofs_memfs_now();
  return 0;
}

int virtiofs_memfs_link(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node), *dir = virtiofs_memfs_node(in->new_parent);
  if (node->type == VIRTIOFS_S_IFDIR)
    return -EPERM;
  struct entry *entry = virtiofs_memfs_entry_new(fs->seed, in->name.str, in->name.len);
  if (entry == NULL)
    return -ENOMEM;
  virtiofs_memfs_write_lock(dir);
  int rc = virtiofs_memfs_can_add(fs, dir, &in->name);
  if (rc == 0) {
    virtiofs_memfs_write_lock(node);
    rc = count_link(fs, node);
    if (rc == 0)
      virtiofs_memfs_entry(fs, node, out);
    virtiofs_memfs_unlock(node);
  }
  if (rc == 0)
    virtiofs_memfs_add(dir, entry, virtiofs_memfs_node_get(node, 1));
  virtiofs_memfs_unlock(dir);
  if (rc != 0)
    free(entry);
  return rc;
}
