/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_request_decode of INIT, virtiofs_fuse_init_negotiate, its reply both ways,
 * virtiofs_fuse_init_accept.
 * Input: what the server would like (20 bytes); then the request. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "fuse/init.h"
#include "fuse/init_flags.h"
#include "target.h"

static void must(bool so) {
  if (!so)
    abort();
}

static void answer(const struct virtiofs_fuse_header *header, const struct virtiofs_fuse_init_in *in,
                   const struct virtiofs_fuse_init_wants *wants) {
  struct virtiofs_fuse_proto proto;
  union virtiofs_fuse_out out, back;
  unsigned char bytes[80];
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
  memset(&out, 0, sizeof(out));
  if (virtiofs_fuse_init_negotiate(in, wants, &out.init, &proto) != 0)
    return;
  const struct virtiofs_fuse_init_out *init = &out.init;
  must((init->flags & ~(in->flags | VIRTIOFS_FUSE_INIT_EXT)) == 0);
  must((init->flags & ~(wants->flags | virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_REPLY))) == 0);
  must((init->flags >> 32) == 0 || (init->flags & in->flags & VIRTIOFS_FUSE_INIT_EXT) != 0);
  must(proto.minor <= VIRTIOFS_FUSE_MINOR && (!proto.agreed || proto.minor <= in->minor));
  must(init->max_write <= wants->max_write && (uint64_t)init->max_pages * 4096 >= init->max_write);
  ssize_t len = virtiofs_fuse_reply_encode(&proto, header, 0, &out, &iov, 1);
  must(len == 24 || len == 40 || len == 80);
  must(virtiofs_fuse_reply_decode(&proto, header, &back, &iov, 1, (size_t)len) == 0);
  must(back.init.major == VIRTIOFS_FUSE_MAJOR && (len < 80 || back.init.flags == init->flags));
  struct virtiofs_fuse_proto driver = {.swapped = proto.swapped};
  must(virtiofs_fuse_init_accept(in, &back.init, &driver) == 0);
  must(driver.agreed == proto.agreed && driver.flags == proto.flags && driver.swapped == proto.swapped);
  must(!proto.agreed || driver.minor == proto.minor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  static const struct virtiofs_fuse_proto nothing;
  static struct virtiofs_fuse_request req;
  struct virtiofs_fuse_init_wants wants = {.time_gran = 1, .map_alignment = 12};
  fuzz_take(&in, &wants.flags, sizeof(wants.flags));
  fuzz_take(&in, &wants.max_write, sizeof(wants.max_write));
  if (wants.max_write < 4096)
    wants.max_write = 4096;
  struct iovec iov = {.iov_base = malloc(in.left + 1), .iov_len = in.left};
  must(iov.iov_base != NULL);
  void *block = iov.iov_base;
  fuzz_take(&in, block, in.left);
  if (virtiofs_fuse_request_decode(&req, &nothing, &iov, iov.iov_len > 0) == 0) {
    must(req.header.opcode == VIRTIOFS_FUSE_INIT);
    wants.swapped = req.header.swapped;
    answer(&req.header, &req.in.init, &wants);
  }
  free(block);
  return 0;
}
