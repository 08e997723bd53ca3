/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/fuse_request.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

void fuse_request(struct fuse_request *r, uint32_t opcode, uint64_t nodeid) {
  static _Atomic uint64_t unique = 1000;
  struct fuse_in_header header = {.opcode = opcode, .nodeid = nodeid, .uid = 7, .gid = 8, .pid = 9};
  header.unique = atomic_fetch_add(&unique, 2);
  r->len = 0;
  fuse_request_put(r, &header, sizeof header);
}

void fuse_request_put(struct fuse_request *r, const void *bytes, size_t len) {
  if (len > sizeof r->bytes - r->len)
    abort();
  memcpy(r->bytes + r->len, bytes, len);
  r->len += len;
  r->header.len = (uint32_t)r->len;
}

void fuse_request_name(struct fuse_request *r, const char *name) {
  fuse_request_put(r, name, strlen(name) + 1);
}

void fuse_request_more(struct fuse_request *r, size_t len) {
  r->header.len += (uint32_t)len;
}

void fuse_request_init(struct fuse_request *r, uint32_t major, uint32_t minor, uint64_t flags) {
  struct fuse_init_in in = {.major = major,
                            .minor = minor,
                            .max_readahead = 131072,
                            .flags = (uint32_t)flags,
                            .flags2 = (uint32_t)(flags >> 32)};
  fuse_request(r, FUSE_INIT, 0);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_named(struct fuse_request *r, uint32_t op, uint64_t parent, const char *name) {
  fuse_request(r, op, parent);
  fuse_request_name(r, name);
}

void fuse_request_forget(struct fuse_request *r, uint64_t nodeid, uint64_t count) {
  struct fuse_forget_in in = {.nlookup = count};
  fuse_request(r, FUSE_FORGET, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_batch_forget(struct fuse_request *r, const struct fuse_forget_one *all, uint32_t count) {
  struct fuse_batch_forget_in in = {.count = count};
  fuse_request(r, FUSE_BATCH_FORGET, 0);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_put(r, all, count * sizeof all[0]);
}

void fuse_request_getattr(struct fuse_request *r, uint64_t nodeid, const uint64_t *fh) {
  struct fuse_getattr_in in = {.getattr_flags = fh != NULL ? FUSE_GETATTR_FH : 0, .fh = fh != NULL ? *fh : 0};
  fuse_request(r, FUSE_GETATTR, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_setattr(struct fuse_request *r, uint64_t nodeid, uint32_t valid, uint64_t fh) {
  struct fuse_setattr_in in = {.valid = valid, .fh = fh};
  fuse_request(r, FUSE_SETATTR, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_symlink(struct fuse_request *r, uint64_t parent, const char *name, const char *target) {
  fuse_request_named(r, FUSE_SYMLINK, parent, name);
  fuse_request_name(r, target);
}

void fuse_request_mknod(struct fuse_request *r, uint64_t parent, const char *name, uint32_t mode) {
  struct fuse_mknod_in in = {.mode = mode};
  fuse_request(r, FUSE_MKNOD, parent);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
}

void fuse_request_mkdir(struct fuse_request *r, uint64_t parent, const char *name, uint32_t mode) {
  struct fuse_mkdir_in in = {.mode = mode};
  fuse_request(r, FUSE_MKDIR, parent);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
}

void fuse_request_rename(struct fuse_request *r, uint64_t from, const char *name, uint64_t to, const char *new_name) {
  struct fuse_rename_in in = {.newdir = to};
  fuse_request(r, FUSE_RENAME, from);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
  fuse_request_name(r, new_name);
}

void fuse_request_rename2(struct fuse_request *r, uint64_t from, const char *name, uint64_t to, const char *new_name,
                          uint32_t flags) {
  struct fuse_rename2_in in = {.newdir = to, .flags = flags};
  fuse_request(r, FUSE_RENAME2, from);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
  fuse_request_name(r, new_name);
}

void fuse_request_link(struct fuse_request *r, uint64_t node, uint64_t parent, const char *name) {
  struct fuse_link_in in = {.oldnodeid = node};
  fuse_request(r, FUSE_LINK, parent);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
}

void fuse_request_open(struct fuse_request *r, uint32_t op, uint64_t nodeid) {
  struct fuse_open_in in = {.flags = 0};
  fuse_request(r, op, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_create(struct fuse_request *r, uint64_t parent, const char *name) {
  struct fuse_create_in in = {.mode = S_IFREG | 0644};
  fuse_request(r, FUSE_CREATE, parent);
  fuse_request_put(r, &in, sizeof in);
  fuse_request_name(r, name);
}

void fuse_request_read(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh, uint64_t offset,
                       uint32_t size) {
  struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
  fuse_request(r, op, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_write(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint64_t offset, uint32_t size) {
  struct fuse_write_in in = {.fh = fh, .offset = offset, .size = size};
  fuse_request(r, FUSE_WRITE, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_release(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh) {
  struct fuse_release_in in = {.fh = fh, .flags = 5, .lock_owner = 6};
  fuse_request(r, op, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_fsync(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh) {
  struct fuse_fsync_in in = {.fh = fh};
  fuse_request(r, op, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_flush(struct fuse_request *r, uint64_t nodeid, uint64_t fh) {
  struct fuse_flush_in in = {.fh = fh};
  fuse_request(r, FUSE_FLUSH, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_fallocate(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint64_t length) {
  struct fuse_fallocate_in in = {.fh = fh, .length = length};
  fuse_request(r, FUSE_FALLOCATE, nodeid);
  fuse_request_put(r, &in, sizeof in);
}

void fuse_request_lseek(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint32_t whence) {
  struct fuse_lseek_in in = {.fh = fh, .whence = whence};
  fuse_request(r, FUSE_LSEEK, nodeid);
  fuse_request_put(r, &in, sizeof in);
}
