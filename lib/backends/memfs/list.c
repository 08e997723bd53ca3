/* SPDX-License-Identifier: BSD-3-Clause */
/* Open directories. */
#include <errno.h>
#include <stdlib.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

/**
 * An open directory. What comes after the listing began is not in it, as POSIX allows: who makes a new name for each
 * that is listed would never come to an end.
 */
struct listing {
  atomic_uint_fast64_t end; /* the last position that was there at the beginning */
};

static struct listing *listing_of(uint64_t handle) {
  return (struct listing *)(uintptr_t)handle;
}

int virtiofs_memfs_opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in,
                           struct virtiofs_open_out *out) {
  const struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *dir = virtiofs_memfs_node(in->node);
  if (dir->type != VIRTIOFS_S_IFDIR)
    return -ENOTDIR;
  struct listing *listing = malloc(sizeof *listing);
  if (listing == NULL)
    return -ENOMEM;
  virtiofs_memfs_read_lock(dir);
  atomic_init(&listing->end, dir->dir.names.last);
  virtiofs_memfs_unlock(dir);
  out->handle = (uintptr_t)listing;
  out->flags = fs->shared ? 0 : VIRTIOFS_OPEN_CACHE_DIR | VIRTIOFS_OPEN_KEEP_CACHE;
  return 0;
}

void virtiofs_memfs_releasedir(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  (void)req;
  free(listing_of(in->handle));
}

int virtiofs_memfs_fsyncdir(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  return virtiofs_memfs_fsync(req, in);
}

/* One READDIR or READDIRPLUS. */
struct call {
  struct virtiofs_memfs *fs;
  struct virtiofs_readdir_out *out;
  bool plus;
  bool any; /* a name went in */
};

/* Return: there was room for it. */
static bool add(struct call *call, const struct virtiofs_dirent *entry, struct node *node) {
  bool fits;
  if (!call->plus) {
    fits = virtiofs_readdir_add(call->out, entry);
  } else if (node == NULL || !virtiofs_readdir_fits(call->out, entry->len)) {
    fits = virtiofs_readdirplus_add(call->out, entry, NULL);
  } else {
    struct virtiofs_entry_out with = {.node = 0};
    virtiofs_memfs_read_lock(node);
    virtiofs_memfs_entry(call->fs, node, &with);
    virtiofs_memfs_unlock(node);
    fits = virtiofs_readdirplus_add(call->out, entry, &with);
  }
  call->any = call->any || fits;
  return fits;
}

static bool add_dots(struct call *call, const struct node *dir, uint64_t offset) {
  const struct node *parent = dir->dir.parent != NULL ? dir->dir.parent : dir;
  struct virtiofs_dirent dot = {.name = ".", .len = 1, .ino = dir->ino, .type = VIRTIOFS_S_IFDIR, .next = MEMFS_DOT};
  struct virtiofs_dirent dotdot = {
      .name = "..", .len = 2, .ino = parent->ino, .type = VIRTIOFS_S_IFDIR, .next = MEMFS_DOTDOT};
  if (offset < MEMFS_DOT && !add(call, &dot, NULL))
    return false;
  return offset >= MEMFS_DOTDOT || add(call, &dotdot, NULL);
}

static bool add_names(struct call *call, const struct names *names, uint64_t offset, uint64_t end) {
  for (size_t i = virtiofs_memfs_names_after(names, offset); i < names->slot_count; i++) {
    const struct entry *entry = names->slots[i].entry;
    if (names->slots[i].position > end)
      break;
    if (entry == NULL)
      continue;
    struct virtiofs_dirent dirent = {.name = entry->name,
                                     .len = entry->len,
                                     .ino = entry->node->ino,
                                     .type = entry->node->type,
                                     .next = names->slots[i].position};
    if (!add(call, &dirent, entry->node))
      return false;
  }
  return true;
}

static int list(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, bool plus,
                struct virtiofs_readdir_out *out) {
  struct node *dir = virtiofs_memfs_node(in->node);
  struct listing *listing = listing_of(in->handle);
  struct call call = {.fs = virtiofs_req_fs(req), .out = out, .plus = plus};
  virtiofs_memfs_read_lock(dir);
  const struct names *names = &dir->dir.names;
  if (in->offset == 0)
    atomic_store_explicit(&listing->end, names->last, memory_order_relaxed);
  uint64_t end = atomic_load_explicit(&listing->end, memory_order_relaxed);
  bool complete = dir->nlink == 0 || (add_dots(&call, dir, in->offset) && add_names(&call, names, in->offset, end));
  virtiofs_memfs_unlock(dir);
  virtiofs_memfs_accessed(dir, 0);
  return complete || call.any ? 0 : -EINVAL; /* nothing at all would look like the directory's end */
}

int virtiofs_memfs_readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                           struct virtiofs_readdir_out *out) {
  return list(req, in, false, out);
}

int virtiofs_memfs_readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                               struct virtiofs_readdir_out *out) {
  return list(req, in, true, out);
}
