/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests about open files, and listings. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

static int open_by(struct test *t, uint32_t opcode, uint64_t node, uint32_t flags) {
  union virtiofs_fuse_in *in = begin(t, opcode);
  in->open.node = node;
  if (opcode == VIRTIOFS_FUSE_OPEN)
    in->open.flags = flags;
  else
    in->opendir.flags = flags;
  int rc = call(t, NULL, 0);
  if (rc == 0)
    track_handle(t, node, t->got.open.handle, opcode == VIRTIOFS_FUSE_OPENDIR);
  /* A server without open files: each of them is 0, and none is released. */
  if (rc == -ENOSYS &&
      agreed(t, opcode == VIRTIOFS_FUSE_OPEN ? VIRTIOFS_FUSE_NO_OPEN_SUPPORT : VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT))
    rc = 0;
  return rc;
}

int fs_open(struct test *t, uint64_t node, uint32_t flags) {
  return open_by(t, VIRTIOFS_FUSE_OPEN, node, flags);
}

int fs_opendir(struct test *t, uint64_t node) {
  return open_by(t, VIRTIOFS_FUSE_OPENDIR, node, O_RDONLY | O_DIRECTORY);
}

int fs_create(struct test *t, uint64_t parent, const char *name, uint32_t flags, uint32_t mode) {
  struct virtiofs_create_in *in = &begin(t, VIRTIOFS_FUSE_CREATE)->create;
  in->parent = parent;
  in->name = (struct virtiofs_name){.str = name, .len = (uint32_t)strlen(name)};
  in->flags = flags | O_CREAT;
  in->mode = S_IFREG | mode;
  int rc = call(t, NULL, 0);
  if (rc != 0)
    return rc;
  track_node(t, t->got.create.entry.node);
  track_handle(t, t->got.create.entry.node, t->got.create.open.handle, false);
  return 0;
}

int fs_read(struct test *t, struct file file, uint64_t offset, uint32_t size) {
  struct virtiofs_read_in *in = &begin(t, VIRTIOFS_FUSE_READ)->read;
  in->node = file.node;
  in->handle = file.handle;
  in->offset = offset;
  in->size = size;
  in->data.size = size;
  return call(t, NULL, 0);
}

int fs_write(struct test *t, struct file file, uint64_t offset, const void *data, size_t size) {
  struct virtiofs_write_in *in = &begin(t, VIRTIOFS_FUSE_WRITE)->write;
  in->node = file.node;
  in->handle = file.handle;
  in->offset = offset;
  in->size = (uint32_t)size;
  in->data.size = size;
  return call(t, data, size);
}

static int release_by(struct test *t, uint32_t opcode, struct file file) {
  struct virtiofs_release_in *in = &begin(t, opcode)->release;
  in->node = file.node;
  in->handle = file.handle;
  untrack_handle(t, file.handle);
  return call(t, NULL, 0);
}

int fs_release(struct test *t, struct file file) {
  return release_by(t, VIRTIOFS_FUSE_RELEASE, file);
}

int fs_releasedir(struct test *t, struct file file) {
  return release_by(t, VIRTIOFS_FUSE_RELEASEDIR, file);
}

int fs_flush(struct test *t, struct file file, uint64_t owner) {
  struct virtiofs_flush_in *in = &begin(t, VIRTIOFS_FUSE_FLUSH)->flush;
  in->node = file.node;
  in->handle = file.handle;
  in->lock_owner = owner;
  return call(t, NULL, 0);
}

int fs_fsync(struct test *t, uint32_t opcode, struct file file, bool data_only) {
  struct virtiofs_fsync_in *in = &begin(t, opcode)->fsync;
  in->node = file.node;
  in->handle = file.handle;
  in->data_only = data_only;
  return call(t, NULL, 0);
}

int fs_readdir(struct test *t, uint32_t opcode, struct file dir, uint64_t offset, uint32_t size) {
  struct virtiofs_readdir_in *in = &begin(t, opcode)->readdir;
  in->node = dir.node;
  in->handle = dir.handle;
  in->offset = offset;
  in->size = size;
  return call(t, NULL, 0);
}

int fs_fallocate(struct test *t, struct file file, uint32_t mode, uint64_t offset, uint64_t length) {
  struct virtiofs_fallocate_in *in = &begin(t, VIRTIOFS_FUSE_FALLOCATE)->fallocate;
  in->node = file.node;
  in->handle = file.handle;
  in->mode = mode;
  in->offset = offset;
  in->length = length;
  return call(t, NULL, 0);
}

int fs_lseek(struct test *t, struct file file, uint64_t offset, uint32_t whence) {
  struct virtiofs_lseek_in *in = &begin(t, VIRTIOFS_FUSE_LSEEK)->lseek;
  in->node = file.node;
  in->handle = file.handle;
  in->offset = offset;
  in->whence = whence;
  return call(t, NULL, 0);
}

int fs_copy(struct test *t, uint32_t opcode, struct file from, uint64_t at, struct file to, uint64_t to_at,
            uint64_t len) {
  struct virtiofs_copy_file_range_in *in = &begin(t, opcode)->copy_file_range;
  in->node = from.node;
  in->handle = from.handle;
  in->offset = at;
  in->node_out = to.node;
  in->handle_out = to.handle;
  in->offset_out = to_at;
  in->len = len;
  return call(t, NULL, 0);
}

int fs_lock(struct test *t, uint32_t opcode, struct file file, uint64_t owner, const struct virtiofs_lock *lock,
            bool flock) {
  struct virtiofs_lk_in *in = &begin(t, opcode)->lk;
  in->node = file.node;
  in->handle = file.handle;
  in->owner = owner;
  in->lock = *lock;
  in->flock = flock;
  return call(t, NULL, 0);
}

/* ---- things that checks need ---- */

struct file new_file(struct test *t, const char *name, const char *contents) {
  good(t, fs_create(t, t->dir, name, O_RDWR, 0644));
  struct file file = {.node = t->got.create.entry.node, .handle = t->got.create.open.handle};
  size_t size = strlen(contents);
  if (size > 0) {
    good(t, fs_write(t, file, 0, contents, size));
    is(t, "the size that was written", t->got.write.size, size);
  }
  return file;
}

uint64_t make_file(struct test *t, const char *name, const char *contents) {
  struct file file = new_file(t, name, contents);
  good(t, fs_release(t, file));
  return file.node;
}

void make_in(struct test *t, uint64_t dir, const char *name) {
  good(t, fs_create(t, dir, name, O_RDWR, 0644));
  good(t, fs_release(t, (struct file){.node = t->got.create.entry.node, .handle = t->got.create.open.handle}));
}

struct file open_file(struct test *t, uint64_t node, uint32_t flags) {
  good(t, fs_open(t, node, flags));
  return (struct file){.node = node, .handle = t->got.open.handle};
}

struct file open_dir(struct test *t, uint64_t node) {
  good(t, fs_opendir(t, node));
  return (struct file){.node = node, .handle = t->got.open.handle};
}

bool next_record(struct test *t, uint32_t opcode, size_t *at, struct listed *entry) {
  struct iovec iov = {.iov_base = t->copy + VIRTIOFS_FUSE_OUT_HEADER, .iov_len = t->size};
  struct virtiofs_data listing = {.iov = &iov, .count = t->size > 0 ? 1 : 0, .size = t->size};
  char name[VIRTIOFS_FUSE_NAME_MAX];
  struct virtiofs_dirent record;
  struct virtiofs_entry_out plus = {0};
  if (*at >= t->size)
    return false;
  ssize_t n = virtiofs_fuse_dirent_decode(virtiofs_client_proto(t->server->client), &listing, *at, name, &record,
                                          opcode == VIRTIOFS_FUSE_READDIRPLUS ? &plus : NULL);
  expect(t, n > 0, "the record at byte %zu of %zu is %s", *at, t->size, n == 0 ? "cut off" : "not sound");
  expect(t, record.len < sizeof(entry->name), "a name has %u bytes", record.len);
  *at += (size_t)n;
  memcpy(entry->name, name, record.len);
  entry->name[record.len] = 0;
  entry->ino = record.ino;
  entry->next = record.next;
  entry->type = record.type;
  entry->node = plus.node;
  entry->attr = plus.attr;
  track_node(t, plus.node);
  return true;
}

unsigned list_all(struct test *t, uint32_t opcode, struct file dir, uint64_t offset, uint32_t size,
                  struct listed *entries) {
  unsigned count = 0;
  for (unsigned rounds = 0;; rounds++) {
    size_t at = 0;
    struct listed entry;
    good(t, fs_readdir(t, opcode, dir, offset, size));
    if (t->size == 0)
      return count;
    expect(t, rounds < 4 * LISTED_MAX, "the listing has no end");
    while (next_record(t, opcode, &at, &entry)) {
      offset = entry.next;
      if (strcmp(entry.name, ".") != 0 && strcmp(entry.name, "..") != 0 && count < LISTED_MAX)
        entries[count++] = entry;
    }
  }
}
