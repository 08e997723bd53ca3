/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_request_encode, virtiofs_fuse_request_decode: built, spoiled, read, written again.
 * Input: minor, what was agreed on, opcode, two names, arguments; then places to spoil, each with its value. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "target.h"

enum { BEHIND = 1024 };

static struct virtiofs_fuse_request req, again;
static unsigned char second[16384];

static void must(bool so) {
  if (!so)
    abort();
}

/* The names that an opcode has; everything else is whatever the input says. */
static void put_names(union virtiofs_fuse_in *in, uint32_t opcode, struct virtiofs_name a, struct virtiofs_name b) {
  const struct virtiofs_extensions none = {0};
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_UNLINK:
  case VIRTIOFS_FUSE_RMDIR:
  case VIRTIOFS_FUSE_REMOVEXATTR:
    in->lookup.name = a;
    return;
  case VIRTIOFS_FUSE_SYMLINK:
    in->symlink.name = a;
    in->symlink.target = b;
    in->symlink.extensions = none;
    return;
  case VIRTIOFS_FUSE_MKNOD:
    in->mknod.name = a;
    in->mknod.extensions = none;
    return;
  case VIRTIOFS_FUSE_MKDIR:
    in->mkdir.name = a;
    in->mkdir.extensions = none;
    return;
  case VIRTIOFS_FUSE_CREATE:
    in->create.name = a;
    in->create.extensions = none;
    return;
  case VIRTIOFS_FUSE_TMPFILE:
    in->tmpfile.extensions = none;
    return;
  case VIRTIOFS_FUSE_RENAME:
  case VIRTIOFS_FUSE_RENAME2:
    in->rename.name = a;
    in->rename.new_name = b;
    return;
  case VIRTIOFS_FUSE_LINK:
    in->link.name = a;
    return;
  case VIRTIOFS_FUSE_GETXATTR:
    in->getxattr.name = a;
    return;
  case VIRTIOFS_FUSE_SETXATTR:
    in->setxattr.name = a;
    return;
  default:
    return;
  }
}

/* What lies behind is short. */
static void put_sizes(union virtiofs_fuse_in *in, uint32_t opcode) {
  switch (opcode) {
  case VIRTIOFS_FUSE_SETXATTR:
    in->setxattr.value.size %= BEHIND;
    return;
  case VIRTIOFS_FUSE_WRITE:
    in->write.data.size %= BEHIND;
    return;
  case VIRTIOFS_FUSE_IOCTL:
    in->ioctl.data.size %= BEHIND;
    return;
  case VIRTIOFS_FUSE_NOTIFY_REPLY:
    in->notify_reply.data.size %= BEHIND;
    return;
  case VIRTIOFS_FUSE_BATCH_FORGET:
    in->batch_forget.count %= BEHIND / 16;
    return;
  case VIRTIOFS_FUSE_REMOVEMAPPING:
    in->removemapping.count %= BEHIND / 16;
    return;
  default:
    return;
  }
}

/* Booleans have to be that. */
static void put_flags(union virtiofs_fuse_in *in, uint32_t opcode, bool flag) {
  if (opcode == VIRTIOFS_FUSE_GETATTR)
    memcpy(&in->getattr.has_handle, &flag, 1);
  if (opcode == VIRTIOFS_FUSE_SETATTR)
    memcpy(&in->setattr.has_handle, &flag, 1);
  if (opcode == VIRTIOFS_FUSE_STATX)
    memcpy(&in->statx.has_handle, &flag, 1);
  if (opcode == VIRTIOFS_FUSE_FSYNC || opcode == VIRTIOFS_FUSE_FSYNCDIR)
    memcpy(&in->fsync.data_only, &flag, 1);
  if (opcode >= VIRTIOFS_FUSE_GETLK && opcode <= VIRTIOFS_FUSE_SETLKW)
    memcpy(&in->lk.flock, &flag, 1);
}

static void read_and_write(const struct virtiofs_fuse_proto *proto, unsigned char *bytes, size_t len) {
  struct iovec iov = {.iov_base = bytes, .iov_len = len};
  if (virtiofs_fuse_request_decode(&req, proto, &iov, 1) != 0)
    return;
  struct virtiofs_fuse_proto to = *proto;
  to.swapped = req.header.swapped;
  ssize_t own = virtiofs_fuse_request_encode(&to, &req.header, &req.in, second, sizeof(second));
  must(own >= 40);
  uint32_t opcode = req.header.opcode;
  if (opcode == VIRTIOFS_FUSE_INIT || (size_t)own > len || opcode == VIRTIOFS_FUSE_TMPFILE)
    return;
  /* What is written is read as the same, with what lies behind it. */
  memcpy(second + own, bytes + own, len - (size_t)own);
  iov = (struct iovec){.iov_base = second, .iov_len = len};
  must(virtiofs_fuse_request_decode(&again, &to, &iov, 1) == 0);
  must(again.header.opcode == opcode && again.header.unique == req.header.unique && again.in.nodeid == req.in.nodeid);
}

/* What was agreed on, as far as messages change by it. */
static uint64_t flags_of(uint8_t bits) {
  uint64_t flags = (bits & 2) != 0 ? VIRTIOFS_FUSE_SETXATTR_EXT : 0;
  uint64_t others = VIRTIOFS_FUSE_EXPORT_SUPPORT | VIRTIOFS_FUSE_SECURITY_CTX | VIRTIOFS_FUSE_CREATE_SUPP_GROUP |
                    VIRTIOFS_FUSE_POSIX_LOCKS | VIRTIOFS_FUSE_FLOCK_LOCKS;
  return (bits & 8) != 0 ? flags : flags | others;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint8_t minor = fuzz_u8(&in), bits = fuzz_u8(&in);
  struct virtiofs_fuse_proto proto = {
      .agreed = true, .minor = minor % 46, .swapped = (bits & 1) != 0, .flags = flags_of(bits)};
  struct virtiofs_fuse_header header = {.opcode = fuzz_u8(&in) % 64, .unique = 4};
  char texts[2][64];
  struct virtiofs_name names[2];
  for (int i = 0; i < 2; i++) {
    names[i] = (struct virtiofs_name){.str = texts[i], .len = fuzz_u8(&in) % 64};
    fuzz_take(&in, texts[i], sizeof(texts[i]));
  }
  union virtiofs_fuse_in args;
  memset(&args, 0, sizeof(args));
  fuzz_take(&in, &args, sizeof(args));
  put_names(&args, header.opcode, names[0], names[1]);
  put_sizes(&args, header.opcode);
  put_flags(&args, header.opcode, (bits & 4) != 0);
  unsigned char *bytes = calloc(1, 4096);
  must(bytes != NULL);
  ssize_t own = virtiofs_fuse_request_encode(&proto, &header, &args, bytes, 4096 - BEHIND);
  if (own > 0) {
    uint32_t len = 0;
    for (unsigned i = 0; i < 4; i++)
      len |= (uint32_t)bytes[proto.swapped ? 3 - i : i] << 8 * i;
    must(len >= (size_t)own && len <= 4096);
    unsigned char *exact = malloc(len);
    must(exact != NULL);
    memcpy(exact, bytes, len);
    while (in.left > 0) {
      uint16_t at = fuzz_u16(&in);
      exact[at % len] ^= fuzz_u8(&in);
    }
    read_and_write(&proto, exact, len);
    free(exact);
  }
  free(bytes);
  return 0;
}
