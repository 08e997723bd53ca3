/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/memfs/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
  PERMISSIONS = 07777,
  SET_UID = 04000,
  SET_GID = 02000,
  GROUP_EXEC = 00010,
  ENTRY_SIZE = 32, /* what a name counts for in the size of its directory */
  DAY = 86400,
};

struct node *virtiofs_memfs_node(uint64_t node) {
  return (struct node *)(uintptr_t)node;
}

/* ---- life ---- */

int virtiofs_memfs_node_new(struct virtiofs_memfs *fs, uint32_t mode, struct node **out) {
  int rc = virtiofs_memfs_nodes_take(fs);
  if (rc != 0)
    return rc;
  struct node *node = calloc(1, sizeof *node);
  if (node == NULL) {
    virtiofs_memfs_nodes_give(fs);
    return -ENOMEM;
  }
  /* Who lists and looks up all the time must not keep out who wants to change something. */
  node->lock = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
  atomic_init(&node->refs, 1);
  node->ino = atomic_fetch_add_explicit(&fs->last_ino, 1, memory_order_relaxed) + 1;
  node->type = mode & VIRTIOFS_S_IFMT;
  node->mode = mode & PERMISSIONS;
  node->nlink = node->type == VIRTIOFS_S_IFDIR ? 2 : 1;
  node->btime = node->atime = node->mtime = node->ctime = virtiofs_memfs_now();
  if (node->type == VIRTIOFS_S_IFREG) {
    node->file.fd = -1;
    node->file.dense = true;
  }
  *out = node;
  return 0;
}

static void node_free(struct virtiofs_memfs *fs, struct node *node) {
  if (node->type == VIRTIOFS_S_IFREG) {
    virtiofs_memfs_file_close(fs, node->file.fd);
    virtiofs_memfs_bytes_give(fs, node->file.pages * fs->page);
  } else if (node->type == VIRTIOFS_S_IFDIR) {
    virtiofs_memfs_names_fini(&node->dir.names);
  } else if (node->type == VIRTIOFS_S_IFLNK) {
    virtiofs_memfs_bytes_give(fs, node->target != NULL ? node->size : 0);
    free(node->target);
  }
  virtiofs_memfs_xattr_drop_all(fs, node);
  pthread_rwlock_destroy(&node->lock);
  free(node);
  virtiofs_memfs_nodes_give(fs);
}

struct node *virtiofs_memfs_node_get(struct node *node, uint64_t count) {
  atomic_fetch_add_explicit(&node->refs, count, memory_order_relaxed);
  return node;
}

/* A directory holds its parent: with the last of a removed tree all of it goes, in a loop, as trees may be deep. */
void virtiofs_memfs_node_put(struct virtiofs_memfs *fs, struct node *node, uint64_t count) {
  while (node != NULL && atomic_fetch_sub_explicit(&node->refs, count, memory_order_acq_rel) == count) {
    struct node *parent = node->type == VIRTIOFS_S_IFDIR ? node->dir.parent : NULL;
    node_free(fs, node);
    node = parent;
    count = 1;
  }
}

/* ---- locks; they can fail only where they are used wrongly ---- */

void virtiofs_memfs_read_lock(struct node *node) {
  (void)pthread_rwlock_rdlock(&node->lock);
}

void virtiofs_memfs_write_lock(struct node *node) {
  (void)pthread_rwlock_wrlock(&node->lock);
}

void virtiofs_memfs_unlock(struct node *node) {
  (void)pthread_rwlock_unlock(&node->lock);
}

/* ---- attributes ---- */

void virtiofs_memfs_attr(const struct virtiofs_memfs *fs, const struct node *node, struct virtiofs_attr *attr) {
  *attr = (struct virtiofs_attr){.ino = node->ino,
                                 .size = node->size,
                                 .atime = node->atime,
                                 .mtime = node->mtime,
                                 .ctime = node->ctime,
                                 .mode = node->type | node->mode,
                                 .nlink = node->nlink,
                                 .uid = node->uid,
                                 .gid = node->gid,
                                 .blksize = (uint32_t)fs->page};
  if (node->type == VIRTIOFS_S_IFREG)
    attr->blocks = node->file.pages * (fs->page / 512);
  if (node->type == VIRTIOFS_S_IFDIR)
    attr->size = node->dir.names.live * ENTRY_SIZE;
  if (node->type == VIRTIOFS_S_IFCHR || node->type == VIRTIOFS_S_IFBLK) {
    attr->rdev_major = node->device.major;
    attr->rdev_minor = node->device.minor;
  }
}

/*
 * A write may take set-user-id away, and Linux doesn't look again before it runs the program as long as it believes its
 * attributes.
 */
uint64_t virtiofs_memfs_attr_valid(const struct virtiofs_memfs *fs, const struct node *node) {
  bool runs_as_another = node->type == VIRTIOFS_S_IFREG && (node->mode & (SET_UID | SET_GID)) != 0;
  return runs_as_another ? 0 : fs->attr_valid_ns;
}

void virtiofs_memfs_entry(const struct virtiofs_memfs *fs, struct node *node, struct virtiofs_entry_out *out) {
  virtiofs_memfs_node_get(node, 1);
  out->node = (uintptr_t)node;
  out->entry_valid_ns = fs->entry_valid_ns;
  out->attr_valid_ns = virtiofs_memfs_attr_valid(fs, node);
  virtiofs_memfs_attr(fs, node, &out->attr);
}

void virtiofs_memfs_changed(struct node *node) {
  node->mtime = node->ctime = virtiofs_memfs_now();
}

static bool is_before(struct virtiofs_time a, struct virtiofs_time b) {
  return a.sec < b.sec || (a.sec == b.sec && a.nsec <= b.nsec);
}

void virtiofs_memfs_accessed(struct node *node, uint32_t open_flags) {
  if ((open_flags & O_NOATIME) != 0)
    return;
  struct virtiofs_time now = virtiofs_memfs_now();
  virtiofs_memfs_read_lock(node);
  bool stale =
      is_before(node->atime, node->mtime) || is_before(node->atime, node->ctime) || node->atime.sec <= now.sec - DAY;
  virtiofs_memfs_unlock(node);
  if (!stale)
    return;
  virtiofs_memfs_write_lock(node);
  node->atime = now;
  virtiofs_memfs_unlock(node);
}

void virtiofs_memfs_kill_privileges(struct virtiofs_memfs *fs, struct node *node, bool suidgid) {
  static const char capability[] = "security.capability";
  if (node->capability)
    (void)virtiofs_memfs_xattr_drop(fs, node, capability, sizeof capability - 1);
  if (!suidgid || node->type == VIRTIOFS_S_IFDIR)
    return;
  /* Without the group's execute bit, set-group-id means something else (mandatory locking, once) and stays. */
  node->mode &= ~(uint32_t)SET_UID;
  if ((node->mode & GROUP_EXEC) != 0)
    node->mode &= ~(uint32_t)SET_GID;
}
