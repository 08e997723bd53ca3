/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Builds FUSE requests as a driver does, right or wrong. Written against <linux/fuse.h>, not against lib/fuse/wire.h,
 * so that both can't share a mistake.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_RAW_REQUEST_H
#define VIRTIOFS_TESTS_SUPPORT_RAW_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define FUSE_REQUEST_UNIQUE UINT64_C(0x1122334455667788)
#define FUSE_REQUEST_NODE UINT64_C(0xa1a2a3a4a5a6a7a8)

struct fuse_request {
  size_t len; /* header.len follows it */
  _Alignas(8) unsigned char bytes[16384];
};

/** A header with FUSE_REQUEST_UNIQUE, FUSE_REQUEST_NODE, uid 1000, gid 1001 and pid 1002. */
void fuse_request_begin(struct fuse_request *req, uint32_t opcode);
void fuse_request_add(struct fuse_request *req, const void *bytes, size_t len);
/** A text with its NUL. */
void fuse_request_name(struct fuse_request *req, const char *name);
/** @count times @c, without a NUL. */
void fuse_request_fill(struct fuse_request *req, char c, size_t count);
/** What the header says about extensions, units of 8 bytes. */
void fuse_request_extlen(struct fuse_request *req, uint16_t units);
/** What the header says about the length, until the next change. */
void fuse_request_lie(struct fuse_request *req, uint32_t len);

#endif
