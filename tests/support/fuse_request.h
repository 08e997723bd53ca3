/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * FUSE requests as a driver sends them, built with <linux/fuse.h> and not with the library's own codec, so that both
 * can't share a mistake. Bytes only; what carries them is the caller's affair.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_FUSE_REQUEST_H
#define VIRTIOFS_TESTS_SUPPORT_FUSE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <linux/fuse.h>

enum { FUSE_REQUEST_MAX = 16384 };

/** A request. Its header's length is kept right, its unique number is a new one. */
struct fuse_request {
  size_t len; /**< bytes that are here */
  union {
    struct fuse_in_header header;
    unsigned char bytes[FUSE_REQUEST_MAX];
  };
};

void fuse_request(struct fuse_request *r, uint32_t opcode, uint64_t nodeid);
void fuse_request_put(struct fuse_request *r, const void *bytes, size_t len);
/** With its NUL. */
void fuse_request_name(struct fuse_request *r, const char *name);
/** @len bytes come from elsewhere, behind those that are here. */
void fuse_request_more(struct fuse_request *r, size_t len);

/* One for each shape; @op where several opcodes have it. */
void fuse_request_init(struct fuse_request *r, uint32_t major, uint32_t minor, uint64_t flags);
void fuse_request_named(struct fuse_request *r, uint32_t op, uint64_t parent, const char *name);
void fuse_request_forget(struct fuse_request *r, uint64_t nodeid, uint64_t count);
void fuse_request_batch_forget(struct fuse_request *r, const struct fuse_forget_one *all, uint32_t count);
/** @fh NULL: without a handle. */
void fuse_request_getattr(struct fuse_request *r, uint64_t nodeid, const uint64_t *fh);
void fuse_request_setattr(struct fuse_request *r, uint64_t nodeid, uint32_t valid, uint64_t fh);
void fuse_request_symlink(struct fuse_request *r, uint64_t parent, const char *name, const char *target);
void fuse_request_mknod(struct fuse_request *r, uint64_t parent, const char *name, uint32_t mode);
void fuse_request_mkdir(struct fuse_request *r, uint64_t parent, const char *name, uint32_t mode);
void fuse_request_rename(struct fuse_request *r, uint64_t from, const char *name, uint64_t to, const char *new_name);
void fuse_request_rename2(struct fuse_request *r, uint64_t from, const char *name, uint64_t to, const char *new_name,
                          uint32_t flags);
void fuse_request_link(struct fuse_request *r, uint64_t node, uint64_t parent, const char *name);
/** OPEN and OPENDIR. */
void fuse_request_open(struct fuse_request *r, uint32_t op, uint64_t nodeid);
void fuse_request_create(struct fuse_request *r, uint64_t parent, const char *name);
/** READ, READDIR and READDIRPLUS. */
void fuse_request_read(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh, uint64_t offset,
                       uint32_t size);
/** Without its data. */
void fuse_request_write(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint64_t offset, uint32_t size);
/** RELEASE and RELEASEDIR. */
void fuse_request_release(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh);
/** FSYNC and FSYNCDIR. */
void fuse_request_fsync(struct fuse_request *r, uint32_t op, uint64_t nodeid, uint64_t fh);
void fuse_request_flush(struct fuse_request *r, uint64_t nodeid, uint64_t fh);
void fuse_request_fallocate(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint64_t length);
void fuse_request_lseek(struct fuse_request *r, uint64_t nodeid, uint64_t fh, uint32_t whence);

#endif
