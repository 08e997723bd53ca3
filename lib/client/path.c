/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to a path at once. */
#include <errno.h>
#include <string.h>

#include "client/fs.h"

int virtiofs_client_fs_stat(struct virtiofs_client_fs *fs, const char *path, bool follow, struct virtiofs_attr *attr) {
  struct virtiofs_client_place place;
  int rc = virtiofs_client_walk(fs, path, follow, &place);
  if (rc == 0 && place.node == 0)
    rc = -ENOENT;
  if (rc == 0 && place.attr_valid) {
    *attr = place.attr;
  } else if (rc == 0) {
    virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_GETATTR)->getattr.node = place.node;
    rc = virtiofs_client_fs_ask(fs);
    if (rc == 0)
      *attr = fs->req->out.attr.attr;
  }
  return virtiofs_client_fs_end(fs, rc);
}

int virtiofs_client_fs_readlink(struct virtiofs_client_fs *fs, const char *path, char *target, size_t size) {
  struct virtiofs_client_place place;
  int rc = virtiofs_client_walk(fs, path, false, &place);
  if (rc == 0 && place.node == 0)
    rc = -ENOENT;
  if (rc == 0 && (!place.attr_valid || (place.attr.mode & VIRTIOFS_S_IFMT) != VIRTIOFS_S_IFLNK))
    rc = -EINVAL;
  if (rc == 0) {
    virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_READLINK)->readlink.node = place.node;
    rc = virtiofs_client_fs_ask(fs);
  }
  if (rc == 0 && size > 0) {
    size_t len = fs->req->out.readlink.len < size - 1 ? fs->req->out.readlink.len : size - 1;
    memcpy(target, fs->req->data, len);
    target[len] = 0;
  }
  return virtiofs_client_fs_end(fs, rc);
}

/* A place for something new. */
static int walk_to_new(struct virtiofs_client_fs *fs, const char *path, struct virtiofs_client_place *place) {
  int rc = virtiofs_client_walk(fs, path, false, place);
  return rc == 0 && place->node != 0 ? -EEXIST : rc;
}

static int learn(struct virtiofs_client_fs *fs, const struct virtiofs_client_place *place, int rc) {
  virtiofs_client_fs_changed(fs);
  if (rc == 0)
    (void)virtiofs_client_fs_learn(fs, place->parent, &place->name, &fs->req->out.entry);
  else
    virtiofs_client_fs_unlearn(fs, place->parent, &place->name);
  return virtiofs_client_fs_end(fs, rc);
}

int virtiofs_client_fs_mkdir(struct virtiofs_client_fs *fs, const char *path, uint32_t mode) {
  struct virtiofs_client_place place;
  int rc = walk_to_new(fs, path, &place);
  if (rc != 0)
    return virtiofs_client_fs_end(fs, rc);
  struct virtiofs_mkdir_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = place.parent;
  in->name = place.name;
  in->mode = mode & 07777U;
  return learn(fs, &place, virtiofs_client_fs_ask(fs));
}

int virtiofs_client_fs_symlink(struct virtiofs_client_fs *fs, const char *target, const char *path) {
  struct virtiofs_client_place place;
  int rc = walk_to_new(fs, path, &place);
  if (rc != 0)
    return virtiofs_client_fs_end(fs, rc);
  if (strlen(target) > VIRTIOFS_TARGET_MAX)
    return virtiofs_client_fs_end(fs, -ENAMETOOLONG);
  struct virtiofs_symlink_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_SYMLINK)->symlink;
  in->parent = place.parent;
  in->name = place.name;
  in->target = (struct virtiofs_name){.str = target, .len = (uint32_t)strlen(target)};
  return learn(fs, &place, virtiofs_client_fs_ask(fs));
}

static int remove_name(struct virtiofs_client_fs *fs, const char *path, uint32_t opcode) {
  struct virtiofs_client_place place;
  int rc = virtiofs_client_walk(fs, path, false, &place);
  if (rc == 0 && place.node == 0)
    rc = -ENOENT;
  /* The root, or a path that ends in dots. */
  if (rc == 0 && place.name.len == 0)
    rc = opcode == VIRTIOFS_FUSE_RMDIR ? -EBUSY : -EISDIR;
  if (rc != 0)
    return virtiofs_client_fs_end(fs, rc);
  struct virtiofs_unlink_in *in = &virtiofs_client_fs_request(fs, opcode)->unlink;
  in->parent = place.parent;
  in->name = place.name;
  rc = virtiofs_client_fs_ask(fs);
  if (rc == 0) {
    /* It may have other names, whose link count is another now. */
    virtiofs_client_fs_changed(fs);
    virtiofs_client_fs_unlearn(fs, place.parent, &place.name);
  }
  return virtiofs_client_fs_end(fs, rc);
}

int virtiofs_client_fs_rmdir(struct virtiofs_client_fs *fs, const char *path) {
  return remove_name(fs, path, VIRTIOFS_FUSE_RMDIR);
}

int virtiofs_client_fs_unlink(struct virtiofs_client_fs *fs, const char *path) {
  return remove_name(fs, path, VIRTIOFS_FUSE_UNLINK);
}

int virtiofs_client_fs_rename(struct virtiofs_client_fs *fs, const char *from, const char *to) {
  struct virtiofs_client_place old, new;
  int rc = virtiofs_client_walk(fs, from, false, &old);
  if (rc == 0 && old.node == 0)
    rc = -ENOENT;
  if (rc == 0)
    rc = virtiofs_client_walk(fs, to, false, &new);
  if (rc == 0 && (old.name.len == 0 || new.name.len == 0))
    rc = -EBUSY;
  if (rc != 0)
    return virtiofs_client_fs_end(fs, rc);
  struct virtiofs_rename_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_RENAME)->rename;
  in->parent = old.parent;
  in->new_parent = new.parent;
  in->name = old.name;
  in->new_name = new.name;
  rc = virtiofs_client_fs_ask(fs);
  if (rc == 0) {
    virtiofs_client_fs_unlearn(fs, old.parent, &old.name);
    virtiofs_client_fs_unlearn(fs, new.parent, &new.name);
    virtiofs_client_fs_changed(fs);
  }
  return virtiofs_client_fs_end(fs, rc);
}

int virtiofs_client_fs_truncate(struct virtiofs_client_fs *fs, const char *path, uint64_t size) {
  struct virtiofs_client_place place;
  int rc = virtiofs_client_walk(fs, path, true, &place);
  if (rc == 0 && place.node == 0)
    rc = -ENOENT;
  if (rc != 0)
    return virtiofs_client_fs_end(fs, rc);
  struct virtiofs_setattr_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_SETATTR)->setattr;
  in->node = place.node;
  in->valid = VIRTIOFS_SET_SIZE;
  in->size = size;
  rc = virtiofs_client_fs_ask(fs);
  virtiofs_client_fs_changed(fs);
  return virtiofs_client_fs_end(fs, rc);
}
