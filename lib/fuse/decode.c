/* SPDX-License-Identifier: BSD-3-Clause */
/* What all requests have in common: header, sizes, byte order. */
#include <errno.h>
#include <string.h>

#include "fuse/table.h"

/* The header is read to where it stays. */
#define SAME_PLACE(field)                                                                                              \
  _Static_assert(offsetof(struct virtiofs_fuse_header, field) == offsetof(struct virtiofs_wire_in_header, field),      \
                 #field " has its place in both")
SAME_PLACE(len);
SAME_PLACE(opcode);
SAME_PLACE(unique);
SAME_PLACE(nodeid);
SAME_PLACE(uid);
SAME_PLACE(gid);
SAME_PLACE(pid);
SAME_PLACE(total_extlen);
_Static_assert(offsetof(struct virtiofs_fuse_header, swapped) >= offsetof(struct virtiofs_wire_in_header, padding) &&
                   sizeof(struct virtiofs_fuse_header) >= sizeof(struct virtiofs_wire_in_header),
               "what is ours stands where the driver has nothing to say");

/* INIT begins a session, and may come in another byte order than the one before: its number can't be mistaken. */
static bool is_swapped(uint32_t opcode, const struct virtiofs_fuse_proto *proto) {
  if (opcode == VIRTIOFS_FUSE_INIT)
    return false;
  return opcode == (uint32_t)VIRTIOFS_FUSE_INIT << 24 || proto->swapped;
}

/* Only as much of a header as there is. */
static int get_broken_header(struct virtiofs_fuse_request *req, const struct virtiofs_fuse_proto *proto,
                             struct virtiofs_cursor *cur) {
  struct virtiofs_wire_in_header wire = {0};
  size_t size = offsetof(struct virtiofs_wire_in_header, nodeid);
  memset(&req->header, 0, sizeof(req->header));
  if (!virtiofs_cursor_read(cur, &wire, size))
    return -EPROTO;
  req->header.swapped = is_swapped(wire.opcode, proto);
  if (req->header.swapped)
    virtiofs_wire_swap(&wire, size, VIRTIOFS_LAYOUT_IN_HEADER);
  req->header.unique = wire.unique;
  return -EPROTO;
}

static int decode_args(struct virtiofs_fuse_request *req, const struct virtiofs_fuse_proto *proto,
                       const struct virtiofs_fuse_op *op, struct virtiofs_cursor *cur, struct iovec *iov) {
  union virtiofs_wire_in wire;
  const struct virtiofs_fuse_header *header = &req->header;
  bool extended = op->extensions && proto->minor >= VIRTIOFS_FUSE_EXTENSIONS_SINCE;
  uint32_t extensions = extended ? (uint32_t)header->total_extlen * 8 : 0;
  uint32_t size = virtiofs_fuse_in_size(op, proto, header->opcode);
  if (extensions > cur->left || cur->left - extensions < size)
    return -EINVAL;
  /* What an older driver doesn't send is zero. */
  if (size < op->in_size)
    memset((unsigned char *)&wire + size, 0, op->in_size - size);
  if (size > 0) {
    (void)virtiofs_cursor_read(cur, &wire, size);
    if (header->swapped)
      virtiofs_wire_swap(&wire, size, op->in_layout);
  }
  cur->left -= extensions;
  req->in.nodeid = header->nodeid;
  struct virtiofs_fuse_decoder dec = {
      .req = req, .proto = proto, .wire = &wire, .cur = cur, .iov = iov, .extensions = extensions};
  return op->decode(&dec);
}

int virtiofs_fuse_request_decode(struct virtiofs_fuse_request *req, const struct virtiofs_fuse_proto *proto,
                                 struct iovec *iov, uint32_t count) {
  struct virtiofs_fuse_header *header = &req->header;
  struct virtiofs_cursor cur;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (!virtiofs_cursor_read(&cur, header, sizeof(struct virtiofs_wire_in_header)))
    return get_broken_header(req, proto, &cur);
  bool swapped = is_swapped(header->opcode, proto);
  if (swapped)
    virtiofs_wire_swap(header, sizeof(struct virtiofs_wire_in_header), VIRTIOFS_LAYOUT_IN_HEADER);
  header->swapped = swapped;
  size_t size = header->len;
  if (size < sizeof(struct virtiofs_wire_in_header) || size - sizeof(struct virtiofs_wire_in_header) > cur.left) {
    *header = (struct virtiofs_fuse_header){.unique = header->unique, .swapped = swapped};
    return -EPROTO;
  }
  cur.left = size - sizeof(struct virtiofs_wire_in_header);
  uint32_t opcode = header->opcode;
  if (!proto->agreed && opcode != VIRTIOFS_FUSE_INIT)
    return -EIO;
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  return op != NULL ? decode_args(req, proto, op, &cur, iov) : -ENOSYS;
}
