/* SPDX-License-Identifier: BSD-3-Clause */
/* Open files and directories of a view. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "client/fs.h"

#define LIST_BYTES 65536U

struct virtiofs_client_file {
  struct virtiofs_client_fs *fs;
  uint64_t node, handle;
  uint32_t flags;
  bool directory;
};

/* Makes the file and opens it. -EEXIST if somebody else was quicker. */
static int create(struct virtiofs_client_file *file, const struct virtiofs_client_place *place, int flags,
                  uint32_t mode) {
  struct virtiofs_client_fs *fs = file->fs;
  struct virtiofs_create_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_CREATE)->create;
  in->parent = place->parent;
  in->name = place->name;
  in->flags = (uint32_t)(flags & (O_ACCMODE | O_APPEND | O_EXCL | O_CREAT));
  in->mode = VIRTIOFS_S_IFREG | (mode & 07777U);
  int rc = virtiofs_client_fs_ask(fs);
  if (rc != 0)
    return rc;
  file->handle = fs->req->out.create.open.handle;
  file->node = fs->req->out.create.entry.node;
  virtiofs_client_fs_changed(fs);
  (void)virtiofs_client_fs_learn(fs, place->parent, &place->name, &fs->req->out.create.entry);
  return 0;
}

static int truncate_first(struct virtiofs_client_fs *fs, uint64_t node) {
  struct virtiofs_setattr_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_SETATTR)->setattr;
  in->node = node;
  in->valid = VIRTIOFS_SET_SIZE;
  int rc = virtiofs_client_fs_ask(fs);
  virtiofs_client_fs_changed(fs);
  return rc;
}

static int open_node(struct virtiofs_client_file *file) {
  struct virtiofs_client_fs *fs = file->fs;
  uint32_t opcode = file->directory ? VIRTIOFS_FUSE_OPENDIR : VIRTIOFS_FUSE_OPEN;
  struct virtiofs_open_in *in = &virtiofs_client_fs_request(fs, opcode)->open;
  in->node = file->node;
  in->flags = file->flags;
  int rc = virtiofs_client_fs_ask(fs);
  /* A server without the operation keeps no handles, as INIT has said. */
  uint64_t flag = file->directory ? VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT : VIRTIOFS_FUSE_NO_OPEN_SUPPORT;
  if (rc == -ENOSYS && (fs->client->proto.flags & flag) != 0)
    return 0;
  file->handle = rc == 0 ? fs->req->out.open.handle : 0;
  return rc;
}

/* What is there already. */
static int open_there(struct virtiofs_client_file *file, const struct virtiofs_client_place *place, int flags) {
  uint32_t type = place->attr_valid ? place->attr.mode & VIRTIOFS_S_IFMT : VIRTIOFS_S_IFDIR;
  file->node = place->node;
  file->directory = type == VIRTIOFS_S_IFDIR;
  if (type == VIRTIOFS_S_IFLNK)
    return -ELOOP;
  if ((flags & O_DIRECTORY) != 0 && !file->directory)
    return -ENOTDIR;
  if (file->directory && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0))
    return -EISDIR;
  int rc = (flags & O_TRUNC) != 0 ? truncate_first(file->fs, file->node) : 0;
  return rc == 0 ? open_node(file) : rc;
}

static int open_place(struct virtiofs_client_file *file, const char *path, int flags, uint32_t mode) {
  struct virtiofs_client_place place;
  bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
  int rc = virtiofs_client_walk(file->fs, path, !exclusive && (flags & O_NOFOLLOW) == 0, &place);
  if (rc != 0)
    return rc;
  if (place.node != 0)
    return exclusive ? -EEXIST : open_there(file, &place, flags);
  return (flags & O_CREAT) != 0 ? create(file, &place, flags, mode) : -ENOENT;
}

int virtiofs_client_fs_open(struct virtiofs_client_fs *fs, struct virtiofs_client_file **out, const char *path,
                            int flags, uint32_t mode) {
  *out = NULL;
  struct virtiofs_client_file *file = calloc(1, sizeof(*file));
  if (file == NULL)
    return -ENOMEM;
  file->fs = fs;
  file->flags = (uint32_t)(flags & (O_ACCMODE | O_APPEND));
  int rc = open_place(file, path, flags, mode);
  if (rc == 0)
    *out = file;
  else
    free(file);
  return virtiofs_client_fs_end(fs, rc);
}

int virtiofs_client_fs_close(struct virtiofs_client_file *file) {
  struct virtiofs_client_fs *fs = file->fs;
  int rc = 0;
  if (!file->directory && (file->flags & O_ACCMODE) != O_RDONLY) {
    struct virtiofs_flush_in *flush = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_FLUSH)->flush;
    flush->node = file->node;
    flush->handle = file->handle;
    rc = virtiofs_client_fs_ask(fs);
    if (rc == -ENOSYS)
      rc = 0;
  }
  uint32_t opcode = file->directory ? VIRTIOFS_FUSE_RELEASEDIR : VIRTIOFS_FUSE_RELEASE;
  struct virtiofs_release_in *in = &virtiofs_client_fs_request(fs, opcode)->release;
  in->node = file->node;
  in->handle = file->handle;
  in->flags = file->flags;
  (void)virtiofs_client_fs_ask(fs);
  free(file);
  return virtiofs_client_fs_end(fs, rc);
}

/* The largest piece of one request. */
static uint32_t piece(const struct virtiofs_client_fs *fs, size_t left) {
  uint32_t max = fs->client->config.max_data;
  if (fs->client->max_write != 0 && fs->client->max_write < max)
    max = fs->client->max_write;
  return left < max ? (uint32_t)left : max;
}

int64_t virtiofs_client_fs_pread(struct virtiofs_client_file *file, void *buf, size_t size, uint64_t offset) {
  struct virtiofs_client_fs *fs = file->fs;
  size_t done = 0;
  while (done < size) {
    struct virtiofs_read_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_READ)->read;
    uint32_t want = piece(fs, size - done);
    in->node = file->node;
    in->handle = file->handle;
    in->offset = offset + done;
    in->size = want;
    in->flags = file->flags;
    int rc = virtiofs_client_fs_ask(fs);
    if (rc != 0)
      return done > 0 ? (int64_t)done : rc;
    uint32_t got = fs->req->out.read.size < want ? fs->req->out.read.size : want;
    memcpy((unsigned char *)buf + done, fs->req->data, got);
    done += got;
    if (got < want)
      break;
  }
  return (int64_t)done;
}

int64_t virtiofs_client_fs_pwrite(struct virtiofs_client_file *file, const void *buf, size_t size, uint64_t offset) {
  struct virtiofs_client_fs *fs = file->fs;
  size_t done = 0;
  int rc = 0;
  while (done < size && rc == 0) {
    struct virtiofs_write_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_WRITE)->write;
    uint32_t want = piece(fs, size - done);
    in->node = file->node;
    in->handle = file->handle;
    in->offset = offset + done;
    in->size = want;
    in->data.size = want;
    in->flags = file->flags;
    memcpy(fs->req->data, (const unsigned char *)buf + done, want);
    rc = virtiofs_client_fs_ask(fs);
    uint32_t took = rc == 0 ? fs->req->out.write.size : 0;
    if (took > want)
      rc = -EPROTO;
    else
      done += took;
    if (rc == 0 && took == 0)
      rc = -EIO;
  }
  virtiofs_client_fs_changed(fs);
  return done > 0 || rc == 0 ? (int64_t)done : rc;
}

int virtiofs_client_fs_fsync(struct virtiofs_client_file *file, bool data_only) {
  uint32_t opcode = file->directory ? VIRTIOFS_FUSE_FSYNCDIR : VIRTIOFS_FUSE_FSYNC;
  struct virtiofs_fsync_in *in = &virtiofs_client_fs_request(file->fs, opcode)->fsync;
  in->node = file->node;
  in->handle = file->handle;
  in->data_only = data_only;
  int rc = virtiofs_client_fs_ask(file->fs);
  return rc == -ENOSYS ? 0 : rc;
}

/* The names of one reply. Positive: there may be more; 0: stop; -errno. */
static int list_some(struct virtiofs_client_fs *fs, uint64_t *offset, virtiofs_client_fs_name_fn *fn, void *ctx) {
  const struct iovec iov = {.iov_base = fs->req->data, .iov_len = fs->req->out.read.size};
  struct virtiofs_data page = {.iov = &iov, .count = 1, .size = iov.iov_len};
  char name[VIRTIOFS_FUSE_NAME_MAX];
  struct virtiofs_dirent entry;
  ssize_t len;
  size_t at = 0;
  while ((len = virtiofs_fuse_dirent_decode(&fs->client->proto, &page, at, name, &entry, NULL)) > 0) {
    at += (size_t)len;
    *offset = entry.next;
    if (!fn(ctx, &entry))
      return 0;
  }
  return len < 0 ? (int)len : at > 0;
}

int virtiofs_client_fs_list(struct virtiofs_client_file *dir, virtiofs_client_fs_name_fn *fn, void *ctx) {
  struct virtiofs_client_fs *fs = dir->fs;
  uint64_t offset = 0;
  uint32_t size = fs->client->config.max_data < LIST_BYTES ? fs->client->config.max_data : LIST_BYTES;
  if (!dir->directory)
    return -ENOTDIR;
  for (;;) {
    struct virtiofs_readdir_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_READDIR)->readdir;
    in->node = dir->node;
    in->handle = dir->handle;
    in->offset = offset;
    in->size = size;
    int rc = virtiofs_client_fs_ask(fs);
    if (rc == 0)
      rc = list_some(fs, &offset, fn, ctx);
    if (rc <= 0)
      return rc;
  }
}
