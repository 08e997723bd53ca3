/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/raw_request.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

/* <linux/fuse.h> has had a name for it since 7.38. */
#define EXTLEN_OFFSET 36U

void fuse_request_lie(struct fuse_request *req, uint32_t len) {
  memcpy(req->bytes + offsetof(struct fuse_in_header, len), &len, sizeof len);
}

void fuse_request_add(struct fuse_request *req, const void *bytes, size_t len) {
  if (len > sizeof req->bytes - req->len)
    abort();
  memcpy(req->bytes + req->len, bytes, len);
  req->len += len;
  fuse_request_lie(req, (uint32_t)req->len);
}

void fuse_request_begin(struct fuse_request *req, uint32_t opcode) {
  struct fuse_in_header header = {.opcode = opcode,
                                  .unique = FUSE_REQUEST_UNIQUE,
                                  .nodeid = FUSE_REQUEST_NODE,
                                  .uid = 1000,
                                  .gid = 1001,
                                  .pid = 1002};
  req->len = 0;
  fuse_request_add(req, &header, sizeof header);
}

void fuse_request_name(struct fuse_request *req, const char *name) { fuse_request_add(req, name, strlen(name) + 1); }

void fuse_request_fill(struct fuse_request *req, char c, size_t count) {
  for (size_t i = 0; i < count; i++)
    fuse_request_add(req, &c, 1);
}

void fuse_request_extlen(struct fuse_request *req, uint16_t units) {
  memcpy(req->bytes + EXTLEN_OFFSET, &units, sizeof units);
}
