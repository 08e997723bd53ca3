/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_request_decode, virtiofs_fuse_forget_next, virtiofs_fuse_reply_encode.
 * Input: minor, what was agreed on, segment size, room for the reply; then the request. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "target.h"

#define SEGMENTS 64U

/* Each segment is a block of its own, so that a byte too far is seen. */
static uint32_t split(struct fuzz_input *in, size_t piece, struct iovec *iov) {
  uint32_t count = 0;
  while (in->left > 0 && count < SEGMENTS) {
    size_t len = count == SEGMENTS - 1 || in->left < piece ? in->left : piece;
    iov[count].iov_base = malloc(len);
    iov[count].iov_len = len;
    if (iov[count].iov_base == NULL)
      abort();
    fuzz_take(in, iov[count++].iov_base, len);
  }
  return count;
}

static void answer(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_request *req, size_t room) {
  static char target[VIRTIOFS_TARGET_MAX];
  union virtiofs_fuse_out out;
  memset(&out, 0, sizeof(out));
  if (req->header.opcode == VIRTIOFS_FUSE_READLINK)
    out.readlink = (struct virtiofs_readlink_out){.target = target, .len = (uint32_t)(req->header.unique % 4096)};
  struct iovec iov = {.iov_base = malloc(room + 1), .iov_len = room};
  if (iov.iov_base == NULL)
    abort();
  int error = (req->header.unique & 1) != 0 ? 0 : -(int)(req->header.unique & 0x3ff);
  ssize_t len = virtiofs_fuse_reply_encode(proto, &req->header, error, &out, &iov, room > 0);
  if (len > (ssize_t)room)
    abort();
  free(iov.iov_base);
}

/* What was agreed on, as far as messages change by it. */
static uint64_t flags_of(uint8_t bits) {
  uint64_t flags = (bits & 4) != 0 ? VIRTIOFS_FUSE_SETXATTR_EXT : 0;
  uint64_t others = VIRTIOFS_FUSE_EXPORT_SUPPORT | VIRTIOFS_FUSE_SECURITY_CTX | VIRTIOFS_FUSE_CREATE_SUPP_GROUP |
                    VIRTIOFS_FUSE_POSIX_LOCKS | VIRTIOFS_FUSE_FLOCK_LOCKS;
  return (bits & 8) != 0 ? flags : flags | others;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint8_t minor = fuzz_u8(&in), bits = fuzz_u8(&in);
  struct virtiofs_fuse_proto proto = {
      .agreed = (bits & 1) == 0, .minor = minor % 46, .swapped = (bits & 2) != 0, .flags = flags_of(bits)};
  size_t piece = 1 + fuzz_u8(&in);
  size_t room = fuzz_u8(&in);
  struct iovec iov[SEGMENTS], copy[SEGMENTS];
  uint32_t count = split(&in, piece, iov);
  memcpy(copy, iov, sizeof(iov[0]) * count);
  struct virtiofs_fuse_request *req = malloc(sizeof(*req));
  if (req == NULL)
    abort();
  if (virtiofs_fuse_request_decode(req, &proto, copy, count) == 0) {
    struct virtiofs_fuse_forget_in one;
    while (req->header.opcode == VIRTIOFS_FUSE_BATCH_FORGET && virtiofs_fuse_forget_next(&req->in.batch_forget, &one))
      continue;
    if (req->header.opcode == VIRTIOFS_FUSE_WRITE) {
      char byte;
      const struct virtiofs_data *bytes = &req->in.write.data;
      if (bytes->size > 0 && virtiofs_data_copy(bytes, bytes->size - 1, &byte, 1) != 1)
        abort();
    }
    answer(&proto, req, room);
  }
  free(req);
  for (uint32_t i = 0; i < count; i++)
    free(iov[i].iov_base);
  return 0;
}
