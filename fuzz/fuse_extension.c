/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_request_decode of extensions, virtiofs_extensions_next, virtiofs_fuse_request_encode of them.
 * Input: byte order; then the extensions of a MKDIR. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "fuse/table.h"
#include "target.h"

static struct virtiofs_fuse_request req, again;
static unsigned char bytes[16384], second[16384];

static void must(bool so) {
  if (!so)
    abort();
}

static void walk(struct virtiofs_extensions all, size_t left) {
  struct virtiofs_extension ext;
  while (virtiofs_extensions_next(&all, &ext)) {
    must(left-- > 0); /* each takes 8 bytes and more */
    if (ext.kind == VIRTIOFS_EXTENSION_SECURITY) {
      const unsigned char *value = ext.value, *first = all.bytes;
      must(value >= first && ext.size <= all.size && value + ext.size <= first + all.size);
      must(ext.name.len > 0 && ext.name.str[ext.name.len] == 0);
    } else {
      must(ext.count > 0);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 45, .swapped = (fuzz_u8(&in) & 1) != 0};
  proto.flags = VIRTIOFS_FUSE_SECURITY_CTX | VIRTIOFS_FUSE_CREATE_SUPP_GROUP;
  size_t len = in.left / 8 * 8;
  if (len > VIRTIOFS_FUSE_EXTENSIONS_MAX + 64)
    return 0;
  struct virtiofs_wire_in_header header = {
      .len = (uint32_t)(40 + 8 + 2 + len), .opcode = VIRTIOFS_FUSE_MKDIR, .total_extlen = (uint16_t)(len / 8)};
  size_t all = header.len;
  if (proto.swapped)
    virtiofs_wire_swap(&header, sizeof(header), VIRTIOFS_LAYOUT_IN_HEADER);
  memset(bytes, 0, 50);
  memcpy(bytes, &header, sizeof(header));
  bytes[48] = 'd';
  fuzz_take(&in, bytes + 50, len);
  struct iovec iov = {.iov_base = bytes, .iov_len = all};
  if (virtiofs_fuse_request_decode(&req, &proto, &iov, 1) != 0)
    return 0;
  walk(req.in.mkdir.extensions, len / 8);
  must(virtiofs_fuse_request_encode(&proto, &req.header, &req.in, second, sizeof(second)) == (ssize_t)all);
  iov = (struct iovec){.iov_base = second, .iov_len = all};
  must(virtiofs_fuse_request_decode(&again, &proto, &iov, 1) == 0);
  must(len == 0 || memcmp(req.extensions, again.extensions, len) == 0);
  return 0;
}
