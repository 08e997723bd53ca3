/* SPDX-License-Identifier: BSD-3-Clause */
/* From a path to a node, as the kernel walks. */
#include <errno.h>
#include <string.h>

#include "client/fs.h"

#define PATH_BYTES 4096U
#define DEPTH_MAX 2048U
#define LINKS_MAX 40U

struct walk {
  struct virtiofs_client_fs *fs;
  struct virtiofs_client_place *place;
  bool follow;
  unsigned links;
  uint32_t depth;
  char text[2 * PATH_BYTES]; /* what is still to be walked */
  size_t at;
  uint64_t stack[DEPTH_MAX]; /* directories, from the root on */
};

static bool is_type(const struct virtiofs_attr *attr, uint32_t type) {
  return (attr->mode & VIRTIOFS_S_IFMT) == type;
}

/* The next name; empty at the end. */
static struct virtiofs_name next_name(struct walk *walk) {
  walk->at += strspn(walk->text + walk->at, "/");
  struct virtiofs_name name = {.str = walk->text + walk->at};
  name.len = (uint32_t)strcspn(name.str, "/");
  walk->at += name.len;
  return name;
}

/* Is nothing but slashes left? */
static bool is_last(const struct walk *walk) {
  return walk->text[walk->at + strspn(walk->text + walk->at, "/")] == 0;
}

/* The path ends at the directory that we stand on, which has no name here. */
static int end_here(struct walk *walk) {
  struct virtiofs_client_place *place = walk->place;
  place->node = walk->stack[walk->depth];
  place->parent = 0;
  place->name = (struct virtiofs_name){.str = place->buf};
  place->attr_valid = false;
  return 0;
}

static int end_at(struct walk *walk, const struct virtiofs_name *name, const struct virtiofs_client_dentry *dentry) {
  struct virtiofs_client_place *place = walk->place;
  memcpy(place->buf, name->str, name->len);
  place->buf[name->len] = 0;
  place->name = (struct virtiofs_name){.str = place->buf, .len = name->len};
  place->parent = walk->stack[walk->depth];
  place->node = dentry != NULL ? dentry->node : 0;
  place->attr_valid = place->node != 0;
  if (place->attr_valid)
    place->attr = dentry->attr;
  return 0;
}

/* What a link points to is walked before the rest. */
static int follow_link(struct walk *walk, uint64_t node) {
  struct virtiofs_client_fs *fs = walk->fs;
  size_t rest = strlen(walk->text + walk->at);
  if (++walk->links > LINKS_MAX)
    return -ELOOP;
  virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_READLINK)->readlink.node = node;
  int rc = virtiofs_client_fs_ask(fs);
  if (rc != 0)
    return rc;
  uint32_t len = fs->req->out.readlink.len;
  if (len == 0)
    return -ENOENT;
  if (len + rest + 2 > PATH_BYTES)
    return -ENAMETOOLONG;
  memmove(walk->text + len, walk->text + walk->at, rest + 1);
  memcpy(walk->text, fs->req->data, len);
  walk->at = 0;
  /* A server may have put a NUL into it: then the path ends there, in private memory. */
  if (walk->text[0] == '/')
    walk->depth = 0;
  return 0;
}

static int push(struct walk *walk, const struct virtiofs_client_dentry *dentry) {
  if (!is_type(&dentry->attr, VIRTIOFS_S_IFDIR))
    return -ENOTDIR;
  if (walk->depth + 1 == DEPTH_MAX)
    return -ENAMETOOLONG;
  walk->stack[++walk->depth] = dentry->node;
  return 0;
}

/* One name. Positive: there is more; 0: the place is known. */
static int step(struct walk *walk) {
  struct virtiofs_client_dentry *dentry;
  struct virtiofs_name name = next_name(walk);
  bool last = is_last(walk), slash = last && walk->text[walk->at] == '/';
  bool dots = name.len == 2 && memcmp(name.str, "..", 2) == 0;
  if (dots && walk->depth > 0)
    walk->depth--;
  if (name.len == 0 || dots || (name.len == 1 && name.str[0] == '.'))
    return last ? end_here(walk) : 1;
  if (name.len > VIRTIOFS_CLIENT_NAME_MAX)
    return -ENAMETOOLONG;
  int rc = virtiofs_client_fs_lookup(walk->fs, walk->stack[walk->depth], &name, &dentry);
  if (rc != 0)
    return rc;
  if (dentry == NULL || dentry->node == 0)
    return last ? end_at(walk, &name, NULL) : -ENOENT;
  if (is_type(&dentry->attr, VIRTIOFS_S_IFLNK) && (!last || walk->follow || slash)) {
    rc = follow_link(walk, dentry->node);
    return rc != 0 ? rc : 1;
  }
  if (slash && !is_type(&dentry->attr, VIRTIOFS_S_IFDIR))
    return -ENOTDIR;
  if (last)
    return end_at(walk, &name, dentry);
  rc = push(walk, dentry);
  return rc != 0 ? rc : 1;
}

int virtiofs_client_walk(struct virtiofs_client_fs *fs, const char *path, bool follow,
                         struct virtiofs_client_place *place) {
  struct walk walk;
  size_t len = strlen(path);
  if (len == 0)
    return -ENOENT;
  if (len >= PATH_BYTES)
    return -ENAMETOOLONG;
  walk.fs = fs;
  walk.place = place;
  walk.follow = follow;
  walk.links = 0;
  walk.depth = 0;
  walk.at = 0;
  walk.stack[0] = VIRTIOFS_FUSE_ROOT;
  memcpy(walk.text, path, len + 1);
  int rc = 1;
  while (rc > 0)
    rc = step(&walk);
  return rc;
}
