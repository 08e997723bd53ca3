/* SPDX-License-Identifier: BSD-3-Clause */
/* What all replies have in common: header, sizes, byte order. */
#include <errno.h>

#include "fuse/table.h"

/* Linux takes -511 .. 0 only, and a number of its own as success or worse. */
static int32_t wire_error(int error) {
  return error <= 0 && error > -512 ? error : -EIO;
}

/**
 * Where arguments of @size bytes can be built at once, because they lie whole and aligned behind the header; NULL if
 * they don't. Linux gives the header a segment of its own.
 */
static union virtiofs_wire_out *place(const struct iovec *iov, uint32_t count, size_t size) {
  unsigned char *at;
  if (count > 0 && iov->iov_len >= VIRTIOFS_FUSE_OUT_HEADER + size)
    at = (unsigned char *)iov->iov_base + VIRTIOFS_FUSE_OUT_HEADER;
  else if (count > 1 && iov->iov_len == VIRTIOFS_FUSE_OUT_HEADER && iov[1].iov_len >= size)
    at = iov[1].iov_base;
  else
    return NULL;
  return (uintptr_t)at % _Alignof(union virtiofs_wire_out) == 0 ? (union virtiofs_wire_out *)(void *)at : NULL;
}

/* Is there room for @size bytes? */
static bool fits(const struct iovec *iov, uint32_t count, size_t size) {
  for (uint32_t i = 0; i < count; i++) {
    if (iov[i].iov_len >= size)
      return true;
    size -= iov[i].iov_len;
  }
  return size == 0;
}

/* What isn't in its place yet: arguments, and what is variable. */
__attribute__((noinline)) static void put_rest(const struct iovec *iov, uint32_t count, const void *args,
                                               const struct virtiofs_fuse_reply *reply) {
  struct virtiofs_cursor cur;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  (void)virtiofs_cursor_skip(&cur, VIRTIOFS_FUSE_OUT_HEADER);
  if (args != NULL)
    (void)virtiofs_cursor_write(&cur, args, reply->size);
  if (reply->text != NULL)
    (void)virtiofs_cursor_write(&cur, reply->text, reply->more);
}

/* There is room for it. */
static inline void put_header(const struct virtiofs_fuse_header *header, int error, size_t len, const struct iovec *iov,
                              uint32_t count) {
  struct virtiofs_wire_out_header wire = {.len = (uint32_t)len, .error = wire_error(error), .unique = header->unique};
  if (header->swapped)
    virtiofs_wire_swap(&wire, sizeof(wire), VIRTIOFS_LAYOUT_OUT_HEADER);
  if (iov->iov_len >= sizeof(wire)) {
    virtiofs_guest_write(iov->iov_base, &wire, sizeof(wire));
  } else {
    struct virtiofs_cursor cur = {.iov = iov, .count = count, .left = len};
    (void)virtiofs_cursor_write_far(&cur, &wire, sizeof(wire));
  }
}

static inline ssize_t encode_args(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                  const struct virtiofs_fuse_header *header, const union virtiofs_fuse_out *out,
                                  const struct iovec *iov, uint32_t count) {
  struct virtiofs_fuse_reply reply = {.size = virtiofs_fuse_out_size(op, proto, header->opcode)};
  /* What has no arguments of a fixed size may have some all the same: GETXATTR's, when only the size is asked for. */
  bool can_place = !header->swapped && op->out_size > 0;
  union virtiofs_wire_out far, *near = can_place ? place(iov, count, op->out_size) : NULL;
  if (!op->encode(&reply, near != NULL ? near : &far, out, proto))
    return -EINVAL;
  size_t len = VIRTIOFS_FUSE_OUT_HEADER + (size_t)reply.size + reply.more;
  if (len > UINT32_MAX || !fits(iov, count, len))
    return -ENOSPC;
  if (header->swapped && reply.size > 0)
    virtiofs_wire_swap(&far, reply.size, virtiofs_fuse_out_layout(op, proto, header->opcode));
  put_header(header, 0, len, iov, count);
  if ((near == NULL && reply.size > 0) || reply.text != NULL)
    put_rest(iov, count, near == NULL ? &far : NULL, &reply);
  return (ssize_t)len;
}

ssize_t virtiofs_fuse_reply_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_header *header,
                                   int error, const union virtiofs_fuse_out *out, const struct iovec *iov,
                                   uint32_t count) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(header->opcode);
  if (op != NULL && op->no_reply)
    return 0;
  /* "Not there, and you may remember it" is news to drivers before 7.4. */
  if (error == 0 && proto->minor < 4 && header->opcode == VIRTIOFS_FUSE_LOOKUP && out->entry.node == 0)
    error = -ENOENT;
  if (error == 0 && op != NULL && op->encode != NULL)
    return encode_args(op, proto, header, out, iov, count);
  if (!fits(iov, count, VIRTIOFS_FUSE_OUT_HEADER))
    return -ENOSPC;
  put_header(header, error, VIRTIOFS_FUSE_OUT_HEADER, iov, count);
  return VIRTIOFS_FUSE_OUT_HEADER;
}
