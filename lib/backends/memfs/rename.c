/* SPDX-License-Identifier: BSD-3-Clause */
/* Renaming: see fs.h for the order of locks. */
#include <errno.h>
#include <stdlib.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

struct move {
  struct virtiofs_memfs *fs;
  struct node *from_dir, *to_dir;
  struct entry *from;
  struct entry *to;    /* NULL: the new name is not there */
  struct entry *spare; /* for the new name; NULL once it is used */
  struct node *whiteout;
  struct node *gone; /* what the new name stood for */
  struct virtiofs_time now;
};

/* Is @node @dir itself, or above it? Held still by `moving`. */
static bool is_above(const struct node *node, const struct node *dir) {
  while (dir != NULL && dir != node)
    dir = dir->dir.parent;
  return dir != NULL;
}

static void lock_dirs(struct virtiofs_memfs *fs, struct node *a, struct node *b) {
  if (a == b) {
    virtiofs_memfs_write_lock(a);
    return;
  }
  pthread_mutex_lock(&fs->moving);
  struct node *first = is_above(b, a) ? b : a;
  virtiofs_memfs_write_lock(first);
  virtiofs_memfs_write_lock(first == a ? b : a);
}

static void unlock_dirs(struct virtiofs_memfs *fs, struct node *a, struct node *b) {
  virtiofs_memfs_unlock(a);
  if (a == b)
    return;
  virtiofs_memfs_unlock(b);
  pthread_mutex_unlock(&fs->moving);
}

static bool is_dir(const struct entry *entry) {
  return entry->node->type == VIRTIOFS_S_IFDIR;
}

static int find_both(struct move *m, const struct virtiofs_rename_in *in) {
  int rc = virtiofs_memfs_find(m->fs, m->from_dir, &in->name, &m->from);
  if (rc != 0)
    return rc;
  rc = virtiofs_memfs_find(m->fs, m->to_dir, &in->new_name, &m->to);
  if (rc != 0 && rc != -ENOENT)
    return rc;
  if (rc == 0)
    return (in->flags & VIRTIOFS_RENAME_NOREPLACE) != 0 ? -EEXIST : 0;
  m->to = NULL;
  if ((in->flags & VIRTIOFS_RENAME_EXCHANGE) != 0 || m->to_dir->nlink == 0)
    return -ENOENT;
  return virtiofs_memfs_names_reserve(&m->to_dir->dir.names);
}

/* No directory may come to lie in itself. */
static int check_tree(const struct move *m, uint32_t flags) {
  if (m->from_dir == m->to_dir)
    return 0;
  if (is_dir(m->from) && is_above(m->from->node, m->to_dir))
    return -EINVAL;
  if (m->to != NULL && is_dir(m->to) && is_above(m->to->node, m->from_dir))
    return (flags & VIRTIOFS_RENAME_EXCHANGE) != 0 ? -EINVAL : -ENOTEMPTY;
  return 0;
}

/* One that has moved: it has another time, and a directory another parent, whose links are counted here too. */
static void moved(const struct move *m, struct node *node, struct node *from, struct node *to) {
  struct node *old = NULL;
  virtiofs_memfs_write_lock(node);
  node->ctime = m->now;
  if (node->type == VIRTIOFS_S_IFDIR && from != to) {
    old = node->dir.parent;
    node->dir.parent = virtiofs_memfs_node_get(to, 1);
    from->nlink--;
    to->nlink++;
  }
  virtiofs_memfs_unlock(node);
  virtiofs_memfs_node_put(m->fs, old, 1); /* never the last: the guest has it, it is one of the request's two */
}

static void exchange(struct move *m) {
  struct node *node = m->from->node;
  m->from->node = m->to->node;
  m->to->node = node;
  moved(m, node, m->from_dir, m->to_dir);
  moved(m, m->from->node, m->to_dir, m->from_dir);
}

/* The old name goes, or stays for the whiteout. */
static void leave(struct move *m) {
  if (m->whiteout != NULL) {
    m->from->node = m->whiteout;
    m->whiteout = NULL;
    return;
  }
  virtiofs_memfs_names_remove(&m->from_dir->dir.names, m->from);
  free(m->from);
}

/*
 * A name that is replaced stays where it is in a listing. So does one that only changes: who lists a directory and
 * renames what it finds sees each file once.
 */
static void replace(struct move *m) {
  struct node *node = m->from->node;
  if (m->to != NULL) {
    m->gone = m->to->node;
    m->to->node = node;
    if (m->gone->type == VIRTIOFS_S_IFDIR)
      m->to_dir->nlink--;
    leave(m);
  } else if (m->from_dir == m->to_dir && m->whiteout == NULL) {
    m->spare->node = node;
    virtiofs_memfs_names_replace(&m->to_dir->dir.names, m->from, m->spare);
    free(m->from);
    m->spare = NULL;
  } else {
    m->spare->node = node;
    virtiofs_memfs_names_insert(&m->to_dir->dir.names, m->spare);
    m->spare = NULL;
    leave(m);
  }
  moved(m, node, m->from_dir, m->to_dir);
}

/* With both directories locked. */
static int move(struct move *m, const struct virtiofs_rename_in *in) {
  int rc = find_both(m, in);
  if (rc == 0)
    rc = check_tree(m, in->flags);
  if (rc != 0)
    return rc;
  if (m->to != NULL && m->to->node == m->from->node)
    return 0; /* two names of one file: nothing happens, says POSIX */
  if ((in->flags & VIRTIOFS_RENAME_EXCHANGE) != 0) {
    exchange(m);
  } else {
    if (m->to != NULL && is_dir(m->from) != is_dir(m->to))
      return is_dir(m->from) ? -ENOTDIR : -EISDIR;
    if (m->to != NULL && !virtiofs_memfs_unname(m->fs, m->to->node, m->now))
      return -ENOTEMPTY;
    replace(m);
  }
  m->from_dir->mtime = m->from_dir->ctime = m->now;
  m->to_dir->mtime = m->to_dir->ctime = m->now;
  return 0;
}

int virtiofs_memfs_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct move m = {.fs = fs,
                   .from_dir = virtiofs_memfs_node(in->parent),
                   .to_dir = virtiofs_memfs_node(in->new_parent),
                   .now = virtiofs_memfs_now()};
  const uint32_t others = VIRTIOFS_RENAME_NOREPLACE | VIRTIOFS_RENAME_WHITEOUT;
  if ((in->flags & VIRTIOFS_RENAME_EXCHANGE) != 0 && (in->flags & others) != 0)
    return -EINVAL;
  if (m.from_dir->type != VIRTIOFS_S_IFDIR || m.to_dir->type != VIRTIOFS_S_IFDIR)
    return -ENOTDIR;
  int rc = 0;
  if ((in->flags & VIRTIOFS_RENAME_WHITEOUT) != 0)
    rc = virtiofs_memfs_whiteout(req, m.from_dir, &m.whiteout);
  if (rc != 0)
    return rc;
  m.spare = virtiofs_memfs_entry_new(fs->seed, in->new_name.str, in->new_name.len);
  if (m.spare == NULL) {
    rc = -ENOMEM;
  } else {
    lock_dirs(fs, m.from_dir, m.to_dir);
    rc = move(&m, in);
    unlock_dirs(fs, m.from_dir, m.to_dir);
  }
  free(m.spare);
  virtiofs_memfs_node_put(fs, m.whiteout, 1);
  virtiofs_memfs_node_put(fs, m.gone, 1);
  return rc;
}
