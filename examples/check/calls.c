/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests about names and attributes. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

static struct virtiofs_name name_of(const char *text) {
  return (struct virtiofs_name){.str = text, .len = (uint32_t)strlen(text)};
}

void track_node(struct test *t, uint64_t node) {
  if (node != 0 && t->node_count < NODES_MAX)
    t->nodes[t->node_count++] = node;
}

void track_handle(struct test *t, uint64_t node, uint64_t handle, bool dir) {
  if (t->handle_count < HANDLES_MAX)
    t->handles[t->handle_count++] = (struct opened){.node = node, .handle = handle, .dir = dir};
}

void untrack_handle(struct test *t, uint64_t handle) {
  for (unsigned i = 0; i < t->handle_count; i++)
    if (t->handles[i].handle == handle) {
      t->handles[i] = t->handles[--t->handle_count];
      return;
    }
}

static int entry_call(struct test *t) {
  int rc = call(t, NULL, 0);
  if (rc == 0)
    track_node(t, t->got.entry.node);
  return rc;
}

int fs_lookup(struct test *t, uint64_t parent, const char *name) {
  struct virtiofs_lookup_in *in = &begin(t, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = parent;
  in->name = name_of(name);
  int rc = entry_call(t);
  /* "Not there" for some time is the same as ENOENT. */
  return rc == 0 && t->got.entry.node == 0 ? -ENOENT : rc;
}

void fs_forget(struct test *t, uint64_t node, uint64_t count) {
  struct virtiofs_fuse_forget_in *in = &begin(t, VIRTIOFS_FUSE_FORGET)->forget;
  in->nodeid = node;
  in->nlookup = count;
  (void)call(t, NULL, 0);
  for (unsigned i = t->node_count; i > 0 && count > 0; i--)
    if (t->nodes[i - 1] == node) {
      t->nodes[i - 1] = t->nodes[--t->node_count];
      count--;
    }
}

int fs_getattr(struct test *t, uint64_t node) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = node;
  return call(t, NULL, 0);
}

int fs_getattr_of(struct test *t, struct file file) {
  struct virtiofs_getattr_in *in = &begin(t, VIRTIOFS_FUSE_GETATTR)->getattr;
  in->node = file.node;
  in->handle = file.handle;
  in->has_handle = true;
  return call(t, NULL, 0);
}

int fs_setattr(struct test *t, const struct virtiofs_setattr_in *in) {
  begin(t, VIRTIOFS_FUSE_SETATTR)->setattr = *in;
  return call(t, NULL, 0);
}

int fs_mkdir(struct test *t, uint64_t parent, const char *name, uint32_t mode) {
  struct virtiofs_mkdir_in *in = &begin(t, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = parent;
  in->name = name_of(name);
  in->mode = mode;
  return entry_call(t);
}

int fs_mknod(struct test *t, uint64_t parent, const char *name, uint32_t mode, uint32_t minor) {
  struct virtiofs_mknod_in *in = &begin(t, VIRTIOFS_FUSE_MKNOD)->mknod;
  in->parent = parent;
  in->name = name_of(name);
  in->mode = mode;
  in->rdev_major = minor != 0 ? 1 : 0;
  in->rdev_minor = minor;
  return entry_call(t);
}

int fs_symlink(struct test *t, uint64_t parent, const char *name, const char *target) {
  struct virtiofs_symlink_in *in = &begin(t, VIRTIOFS_FUSE_SYMLINK)->symlink;
  in->parent = parent;
  in->name = name_of(name);
  in->target = name_of(target);
  return entry_call(t);
}

int fs_link(struct test *t, uint64_t node, uint64_t parent, const char *name) {
  struct virtiofs_link_in *in = &begin(t, VIRTIOFS_FUSE_LINK)->link;
  in->new_parent = parent;
  in->node = node;
  in->name = name_of(name);
  return entry_call(t);
}

int fs_readlink(struct test *t, uint64_t node) {
  begin(t, VIRTIOFS_FUSE_READLINK)->readlink.node = node;
  return call(t, NULL, 0);
}

int fs_unlink(struct test *t, uint64_t parent, const char *name) {
  struct virtiofs_unlink_in *in = &begin(t, VIRTIOFS_FUSE_UNLINK)->unlink;
  in->parent = parent;
  in->name = name_of(name);
  return call(t, NULL, 0);
}

int fs_rmdir(struct test *t, uint64_t parent, const char *name) {
  struct virtiofs_rmdir_in *in = &begin(t, VIRTIOFS_FUSE_RMDIR)->rmdir;
  in->parent = parent;
  in->name = name_of(name);
  return call(t, NULL, 0);
}

static int rename_by(struct test *t, uint32_t opcode, uint64_t parent, const char *name, uint64_t to,
                     const char *new_name, uint32_t flags) {
  struct virtiofs_rename_in *in = &begin(t, opcode)->rename;
  in->parent = parent;
  in->new_parent = to;
  in->name = name_of(name);
  in->new_name = name_of(new_name);
  in->flags = flags;
  return call(t, NULL, 0);
}

int fs_rename(struct test *t, uint64_t parent, const char *name, uint64_t to, const char *new_name) {
  return rename_by(t, VIRTIOFS_FUSE_RENAME, parent, name, to, new_name, 0);
}

int fs_rename2(struct test *t, uint64_t parent, const char *name, uint64_t to, const char *new_name, uint32_t flags) {
  return rename_by(t, VIRTIOFS_FUSE_RENAME2, parent, name, to, new_name, flags);
}

int fs_setxattr(struct test *t, uint64_t node, const char *name, const void *value, size_t size, uint32_t flags) {
  struct virtiofs_setxattr_in *in = &begin(t, VIRTIOFS_FUSE_SETXATTR)->setxattr;
  in->node = node;
  in->name = name_of(name);
  in->flags = flags;
  in->value.size = size;
  return call(t, value, size);
}

int fs_getxattr(struct test *t, uint64_t node, const char *name, uint32_t size) {
  struct virtiofs_getxattr_in *in = &begin(t, VIRTIOFS_FUSE_GETXATTR)->getxattr;
  in->node = node;
  in->name = name_of(name);
  in->size = size;
  in->data.size = size;
  return call(t, NULL, 0);
}

int fs_listxattr(struct test *t, uint64_t node, uint32_t size) {
  struct virtiofs_listxattr_in *in = &begin(t, VIRTIOFS_FUSE_LISTXATTR)->listxattr;
  in->node = node;
  in->size = size;
  in->data.size = size;
  return call(t, NULL, 0);
}

int fs_removexattr(struct test *t, uint64_t node, const char *name) {
  struct virtiofs_removexattr_in *in = &begin(t, VIRTIOFS_FUSE_REMOVEXATTR)->removexattr;
  in->node = node;
  in->name = name_of(name);
  return call(t, NULL, 0);
}

int fs_statfs(struct test *t, uint64_t node) {
  begin(t, VIRTIOFS_FUSE_STATFS)->statfs.node = node;
  return call(t, NULL, 0);
}

/* ---- things that checks need ---- */

uint64_t make_dir(struct test *t, const char *name) {
  good(t, fs_mkdir(t, t->dir, name, 0755));
  return t->got.entry.node;
}

struct virtiofs_attr attr_of(struct test *t, uint64_t node) {
  good(t, fs_getattr(t, node));
  return t->got.attr.attr;
}

void absent(struct test *t, uint64_t parent, const char *name) {
  int rc = fs_lookup(t, parent, name);
  expect(t, rc == -ENOENT, "'%s' is there: LOOKUP says %s, not ENOENT", name, strerror(-rc));
}

uint64_t stale_node(struct test *t) {
  uint64_t node = make_file(t, "stale", "gone");
  good(t, fs_unlink(t, t->dir, "stale"));
  fs_forget(t, node, 1);
  return node;
}
