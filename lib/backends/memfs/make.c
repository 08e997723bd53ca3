/* SPDX-License-Identifier: BSD-3-Clause */
/* Making things of every type, owned by the guest's user. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

enum {
  PERMISSIONS = 07777,
  SET_GID = 02000,
  GROUP_EXEC = 00010,
};

/** What is to be made, and what it is made of. */
struct making {
  struct virtiofs_memfs *fs;
  struct node *dir;
  struct virtiofs_name name;
  struct virtiofs_caller caller;
  struct virtiofs_extensions extensions;
  struct node *node;   /* with one reference, which becomes the name's */
  struct entry *entry; /* NULL: it gets no name */
};

static void give_up(struct making *m) {
  free(m->entry);
  virtiofs_memfs_node_put(m->fs, m->node, 1);
}

/* The security contexts, before anybody sees the file. */
static int set_contexts(struct making *m) {
  struct virtiofs_extensions all = m->extensions;
  struct virtiofs_extension ext;
  int rc = 0;
  while (rc == 0 && virtiofs_extensions_next(&all, &ext)) {
    if (ext.kind == VIRTIOFS_EXTENSION_SECURITY)
      rc = virtiofs_memfs_xattr_put(m->fs, m->node, &ext.name, 0, ext.value, ext.size);
  }
  return rc;
}

/* @mode has its type. After an error nothing is left. */
static int prepare(struct virtiofs_req *req, struct making *m, uint64_t parent, uint32_t mode, uint32_t umask) {
  m->fs = virtiofs_req_fs(req);
  m->dir = virtiofs_memfs_node(parent);
  m->caller = virtiofs_req_caller(req);
  if (m->dir->type != VIRTIOFS_S_IFDIR)
    return -ENOTDIR;
  if (m->caller.uid == UINT32_MAX || m->caller.gid == UINT32_MAX)
    return -EIO; /* nobody to own it */
  int rc = virtiofs_memfs_node_new(m->fs, mode & ~umask, &m->node);
  if (rc != 0)
    return rc;
  m->node->uid = m->caller.uid;
  m->node->gid = m->caller.gid;
  rc = set_contexts(m);
  if (rc == 0 && m->name.str != NULL) {
    m->entry = virtiofs_memfs_entry_new(m->fs->seed, m->name.str, m->name.len);
    rc = m->entry == NULL ? -ENOMEM : 0;
  }
  if (rc != 0)
    give_up(m);
  return rc;
}

static bool in_group(const struct making *m, uint32_t gid) {
  struct virtiofs_extensions all = m->extensions;
  struct virtiofs_extension ext;
  if (m->caller.gid == gid)
    return true;
  while (virtiofs_extensions_next(&all, &ext)) {
    for (uint32_t i = 0; ext.kind == VIRTIOFS_EXTENSION_GROUPS && i < ext.count; i++) {
      if (i < sizeof ext.groups / sizeof ext.groups[0] && ext.groups[i] == gid)
        return true;
    }
  }
  return false;
}

/* What a directory with set-group-id hands on; under its lock. */
static void inherit(struct making *m) {
  struct node *node = m->node;
  if ((m->dir->mode & SET_GID) == 0)
    return;
  node->gid = m->dir->gid;
  if (node->type == VIRTIOFS_S_IFDIR)
    node->mode |= SET_GID;
  else if ((node->mode & (SET_GID | GROUP_EXEC)) == (SET_GID | GROUP_EXEC) && m->caller.uid != 0 &&
           !in_group(m, node->gid))
    node->mode &= ~(uint32_t)SET_GID; /* nobody makes programs that run for a group that he isn't in */
}

/* Nobody else knows the node before it has its name, so its lock is not needed. */
static void name_it(struct making *m, struct virtiofs_entry_out *out) {
  inherit(m);
  if (m->node->type == VIRTIOFS_S_IFDIR)
    m->node->dir.parent = virtiofs_memfs_node_get(m->dir, 1);
  virtiofs_memfs_entry(m->fs, m->node, out);
  virtiofs_memfs_add(m->fs, m->dir, m->entry, m->node);
}

static int make(struct making *m, struct virtiofs_entry_out *out) {
  virtiofs_memfs_write_lock(m->dir);
  int rc = virtiofs_memfs_can_add(m->fs, m->dir, &m->name);
  if (rc == 0)
    name_it(m, out);
  virtiofs_memfs_unlock(m->dir);
  if (rc != 0)
    give_up(m);
  return rc;
}

int virtiofs_memfs_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  struct making m = {.name = in->name, .extensions = in->extensions};
  int rc = prepare(req, &m, in->parent, VIRTIOFS_S_IFDIR | (in->mode & PERMISSIONS), in->umask);
  return rc != 0 ? rc : make(&m, out);
}

int virtiofs_memfs_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out) {
  struct making m = {.name = in->name, .extensions = in->extensions};
  uint32_t type = in->mode & VIRTIOFS_S_IFMT;
  if (type == 0)
    type = VIRTIOFS_S_IFREG; /* as mknod(2) */
  const bool device = type == VIRTIOFS_S_IFCHR || type == VIRTIOFS_S_IFBLK;
  if (!device && type != VIRTIOFS_S_IFREG && type != VIRTIOFS_S_IFIFO && type != VIRTIOFS_S_IFSOCK)
    return -EINVAL;
  int rc = prepare(req, &m, in->parent, type | (in->mode & PERMISSIONS), in->umask);
  if (rc != 0)
    return rc;
  if (device) {
    m.node->device.major = in->rdev_major;
    m.node->device.minor = in->rdev_minor;
  }
  return make(&m, out);
}

int virtiofs_memfs_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                           struct virtiofs_entry_out *out) {
  struct making m = {.name = in->name, .extensions = in->extensions};
  if (in->target.len > VIRTIOFS_TARGET_MAX)
    return -ENAMETOOLONG;
  int rc = prepare(req, &m, in->parent, VIRTIOFS_S_IFLNK | 0777, 0);
  if (rc != 0)
    return rc;
  rc = virtiofs_memfs_bytes_take(m.fs, in->target.len);
  if (rc == 0) {
    m.node->target = malloc(in->target.len + 1);
    if (m.node->target == NULL) {
      virtiofs_memfs_bytes_give(m.fs, in->target.len);
      rc = -ENOMEM;
    }
  }
  if (rc != 0) {
    give_up(&m);
    return rc;
  }
  memcpy(m.node->target, in->target.str, in->target.len);
  m.node->size = in->target.len;
  return make(&m, out);
}

int virtiofs_memfs_whiteout(struct virtiofs_req *req, struct node *dir, struct node **out) {
  struct making m = {.name = {.str = NULL}};
  int rc = prepare(req, &m, (uintptr_t)dir, VIRTIOFS_S_IFCHR, 0);
  if (rc != 0)
    return rc;
  virtiofs_memfs_read_lock(dir);
  inherit(&m);
  virtiofs_memfs_unlock(dir);
  *out = m.node;
  return 0;
}

/* ---- made and opened at once ---- */

/* Who asked for what is there already: the guest has not checked whether its user may open it. */
static int check_rights(const struct virtiofs_caller *caller, struct node *node, uint32_t flags) {
  const uint32_t access[] = {[O_RDONLY] = 4, [O_WRONLY] = 2, [O_RDWR] = 6, [3] = 6};
  uint32_t wanted = access[flags & O_ACCMODE] | ((flags & O_TRUNC) != 0 ? 2U : 0U);
  virtiofs_memfs_read_lock(node);
  uint32_t bits = caller->uid == node->uid ? node->mode >> 6 : caller->gid == node->gid ? node->mode >> 3 : node->mode;
  virtiofs_memfs_unlock(node);
  return caller->uid == 0 || (bits & wanted) == wanted ? 0 : -EACCES;
}

static int open_existing(struct making *m, struct node *node, const struct virtiofs_create_in *in,
                         struct virtiofs_create_out *out) {
  const bool kill = (in->open_flags & VIRTIOFS_OPEN_KILL_SUIDGID) != 0;
  int rc = check_rights(&m->caller, node, in->flags);
  if (rc == 0)
    rc = virtiofs_memfs_open_node(m->fs, node, in->flags, kill, &out->open);
  if (rc == 0) {
    virtiofs_memfs_read_lock(node);
    virtiofs_memfs_entry(m->fs, node, &out->entry);
    virtiofs_memfs_unlock(node);
  }
  /* What a symbolic link, a FIFO or a device means only the guest can say: it looks again. */
  return rc == -ELOOP || rc == -ENXIO ? -ESTALE : rc;
}

/* Where there is room for no file more, what is there can still be opened. */
static int create_in_full(struct making *m, int error, const struct virtiofs_create_in *in,
                          struct virtiofs_create_out *out) {
  struct entry *entry;
  if (error != -ENOSPC || (in->flags & O_EXCL) != 0)
    return error;
  virtiofs_memfs_read_lock(m->dir);
  int rc = virtiofs_memfs_find(m->fs, m->dir, &m->name, &entry);
  struct node *there = rc == 0 ? virtiofs_memfs_node_get(entry->node, 1) : NULL;
  virtiofs_memfs_unlock(m->dir);
  if (rc != 0)
    return error;
  rc = open_existing(m, there, in, out);
  virtiofs_memfs_node_put(m->fs, there, 1);
  return rc;
}

int virtiofs_memfs_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                          struct virtiofs_create_out *out) {
  struct making m = {.name = in->name, .extensions = in->extensions};
  struct node *there = NULL;
  struct entry *entry;
  int rc = prepare(req, &m, in->parent, VIRTIOFS_S_IFREG | (in->mode & PERMISSIONS), in->umask);
  if (rc != 0)
    return create_in_full(&m, rc, in, out);
  virtiofs_memfs_write_lock(m.dir);
  rc = virtiofs_memfs_can_add(m.fs, m.dir, &m.name);
  if (rc == 0) {
    name_it(&m, &out->entry);
    virtiofs_memfs_give_handle(m.fs, m.node, in->flags, &out->open);
  } else if (rc == -EEXIST && (in->flags & O_EXCL) == 0 && virtiofs_memfs_find(m.fs, m.dir, &m.name, &entry) == 0) {
    there = virtiofs_memfs_node_get(entry->node, 1);
  }
  virtiofs_memfs_unlock(m.dir);
  if (rc != 0)
    give_up(&m);
  if (there == NULL)
    return rc;
  rc = open_existing(&m, there, in, out);
  virtiofs_memfs_node_put(m.fs, there, 1);
  return rc;
}

int virtiofs_memfs_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                           struct virtiofs_create_out *out) {
  struct making m = {.extensions = in->extensions};
  int rc = prepare(req, &m, in->parent, VIRTIOFS_S_IFREG | (in->mode & PERMISSIONS), in->umask);
  if (rc != 0)
    return rc;
  m.node->nlink = 0;
  m.node->file.nameless = (in->flags & O_EXCL) == 0;
  virtiofs_memfs_read_lock(m.dir);
  rc = m.dir->nlink == 0 ? -ENOENT : 0;
  inherit(&m);
  virtiofs_memfs_unlock(m.dir);
  if (rc == 0) {
    virtiofs_memfs_give_handle(m.fs, m.node, in->flags, &out->open);
    virtiofs_memfs_entry(m.fs, m.node, &out->entry);
  }
  virtiofs_memfs_node_put(m.fs, m.node, 1); /* no name holds it */
  return rc;
}
