/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_reply_decode, virtiofs_fuse_init_accept, virtiofs_fuse_notify_decode.
 * Input: minor, what was agreed on, opcode (0: a notification), bytes not to be believed in; then the message.
 * What was read has to be written the same way again. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "target.h"

static void notification(const struct virtiofs_fuse_proto *proto, const struct iovec *iov, size_t used) {
  struct virtiofs_fuse_notify notify;
  char *storage = malloc(VIRTIOFS_FUSE_NAME_MAX + 1);
  if (storage == NULL)
    abort();
  ssize_t len = virtiofs_fuse_notify_decode(proto, &notify, storage, iov, 1, used);
  if (len > (ssize_t)used || (len >= 0 && virtiofs_fuse_notify_name(notify.code)[0] == '?'))
    abort();
  free(storage);
}

/* Whatever a server says, what a driver goes on with is sound. */
static void accept_init(const struct virtiofs_fuse_init_out *from) {
  struct virtiofs_fuse_init_in in;
  struct virtiofs_fuse_init_out out = *from;
  struct virtiofs_fuse_proto proto = {.agreed = false};
  virtiofs_fuse_init_offer(&in, from->minor % 46, (from->flags & VIRTIOFS_FUSE_MAP_ALIGNMENT) != 0);
  if (virtiofs_fuse_init_accept(&in, &out, &proto) != 0)
    return;
  bool sizes = out.max_write >= 4096 && out.max_write <= out.max_pages * 4096U;
  bool times = out.time_gran > 0 && out.time_gran <= 1000000000U;
  if (!proto.agreed || (proto.flags & ~in.flags) != 0 || !sizes || !times)
    abort();
}

static void reply(const struct virtiofs_fuse_proto *proto, uint8_t opcode, const struct iovec *iov, size_t used) {
  struct virtiofs_fuse_header header = {.opcode = opcode, .swapped = proto->swapped};
  union virtiofs_fuse_out out;
  char target[VIRTIOFS_TARGET_MAX];
  memset(&out, 0, sizeof(out));
  out.xattr.size_only = (opcode & 64) != 0;
  header.opcode &= 63;
  if (virtiofs_fuse_reply_decode(proto, &header, &out, iov, 1, used) != 0)
    return;
  if (header.opcode == VIRTIOFS_FUSE_INIT)
    accept_init(&out.init);
  if (header.opcode == VIRTIOFS_FUSE_READLINK) {
    memset(target, 't', sizeof(target));
    out.readlink.target = target;
  }
  struct iovec room = {.iov_base = malloc(used + 64), .iov_len = used + 64};
  if (room.iov_base == NULL)
    abort();
  ssize_t len = virtiofs_fuse_reply_encode(proto, &header, 0, &out, &room, 1);
  bool init = header.opcode == VIRTIOFS_FUSE_INIT; /* its size is the server's choice */
  bool absent = header.opcode == VIRTIOFS_FUSE_LOOKUP && proto->minor < 4;
  if (!init && !absent && len != (ssize_t)used)
    abort();
  free(room.iov_base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint8_t minor = fuzz_u8(&in), bits = fuzz_u8(&in), opcode = fuzz_u8(&in), less = fuzz_u8(&in);
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor % 46, .swapped = (bits & 1) != 0};
  struct iovec iov = {.iov_base = malloc(in.left + 1), .iov_len = in.left};
  if (iov.iov_base == NULL)
    abort();
  size_t used = iov.iov_len - (less < iov.iov_len ? less : iov.iov_len);
  fuzz_take(&in, iov.iov_base, in.left);
  if (opcode == 0)
    notification(&proto, &iov, used);
  else
    reply(&proto, opcode, &iov, used);
  free(iov.iov_base);
  return 0;
}
