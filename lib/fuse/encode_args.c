/* SPDX-License-Identifier: BSD-3-Clause */
/* The arguments of each kind of reply. */
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

bool virtiofs_fuse_encode_lookup(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                 const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  return virtiofs_fuse_entry_encode(&args->entry, &out->entry);
}

bool virtiofs_fuse_encode_made(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  return out->entry.node != 0 && virtiofs_fuse_entry_encode(&args->entry, &out->entry);
}

/* An entry, which is shorter for old drivers, and what is open behind it. */
bool virtiofs_fuse_encode_create(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                 const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  struct virtiofs_wire_open_out open = {.fh = out->create.open.handle, .open_flags = out->create.open.flags};
  if (out->create.entry.node == 0 || !virtiofs_fuse_entry_encode(&args->entry, &out->create.entry))
    return false;
  memcpy((unsigned char *)args + virtiofs_fuse_entry_size(proto), &open, sizeof(open));
  return true;
}

bool virtiofs_fuse_encode_attr(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  struct virtiofs_wire_attr_out *wire = &args->attr;
  (void)proto;
  if (!virtiofs_fuse_attr_encode(&wire->attr, &out->attr.attr))
    return false;
  virtiofs_fuse_valid_encode(out->attr.attr_valid_ns, &wire->attr_valid, &wire->attr_valid_nsec);
  wire->dummy = 0;
  return true;
}

bool virtiofs_fuse_encode_statx(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  struct virtiofs_wire_statx_out *wire = &args->statx;
  (void)proto;
  if (!virtiofs_fuse_statx_encode(&wire->stat, &out->statx.statx))
    return false;
  virtiofs_fuse_valid_encode(out->statx.attr_valid_ns, &wire->attr_valid, &wire->attr_valid_nsec);
  wire->flags = 0;
  memset(wire->spare, 0, sizeof(wire->spare));
  return true;
}

bool virtiofs_fuse_encode_statfs(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                 const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  const struct virtiofs_statfs_out *statfs = &out->statfs;
  (void)proto;
  args->statfs = (struct virtiofs_wire_statfs_out){.blocks = statfs->blocks,
                                                   .bfree = statfs->bfree,
                                                   .bavail = statfs->bavail,
                                                   .files = statfs->files,
                                                   .ffree = statfs->ffree,
                                                   .bsize = statfs->bsize,
                                                   .namelen = statfs->namelen,
                                                   .frsize = statfs->frsize != 0 ? statfs->frsize : statfs->bsize};
  return true;
}

bool virtiofs_fuse_encode_init(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  const struct virtiofs_fuse_init_out *init = &out->init;
  (void)proto;
  args->init = (struct virtiofs_wire_init_out){.major = init->major,
                                               .minor = init->minor,
                                               .max_readahead = init->max_readahead,
                                               .flags = (uint32_t)init->flags,
                                               .flags2 = (uint32_t)(init->flags >> 32),
                                               .max_background = init->max_background,
                                               .congestion_threshold = init->congestion_threshold,
                                               .max_write = init->max_write,
                                               .time_gran = init->time_gran,
                                               .max_pages = init->max_pages,
                                               .map_alignment = init->map_alignment,
                                               .max_stack_depth = init->max_stack_depth,
                                               .request_timeout = init->request_timeout};
  return true;
}

bool virtiofs_fuse_encode_open(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  args->open = (struct virtiofs_wire_open_out){.fh = out->open.handle, .open_flags = out->open.flags};
  return true;
}

bool virtiofs_fuse_encode_read(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)args;
  (void)proto;
  reply->more = out->read.size;
  return true;
}

bool virtiofs_fuse_encode_write(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  args->write = (struct virtiofs_wire_write_out){.size = out->write.size};
  return true;
}

bool virtiofs_fuse_encode_lseek(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  if (out->lseek.offset > INT64_MAX)
    return false;
  args->lseek.offset = out->lseek.offset;
  return true;
}

bool virtiofs_fuse_encode_copy_file_range(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                          const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  if (out->copy_file_range.size > UINT32_MAX)
    return false;
  args->write = (struct virtiofs_wire_write_out){.size = (uint32_t)out->copy_file_range.size};
  return true;
}

bool virtiofs_fuse_encode_copy_file_range_64(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                             const union virtiofs_fuse_out *out,
                                             const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  if (out->copy_file_range.size > INT64_MAX)
    return false;
  args->copy_file_range.bytes_copied = out->copy_file_range.size;
  return true;
}

bool virtiofs_fuse_encode_getlk(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  const struct virtiofs_lock *lock = &out->getlk.lock;
  (void)proto;
  if (lock->type > VIRTIOFS_WIRE_F_UNLCK || lock->start > lock->end || lock->end > INT64_MAX)
    return false;
  args->lk.lk =
      (struct virtiofs_wire_file_lock){.start = lock->start, .end = lock->end, .type = lock->type, .pid = lock->pid};
  return true;
}

bool virtiofs_fuse_encode_bmap(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  args->bmap.block = out->bmap.block;
  return true;
}

bool virtiofs_fuse_encode_ioctl(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)proto;
  args->ioctl = (struct virtiofs_wire_ioctl_out){.result = out->ioctl.result};
  reply->more = out->ioctl.size;
  return true;
}

bool virtiofs_fuse_encode_poll(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                               const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)reply;
  (void)proto;
  args->poll = (struct virtiofs_wire_poll_out){.revents = out->poll.revents};
  return true;
}

bool virtiofs_fuse_encode_readlink(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                   const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)args;
  (void)proto;
  reply->more = out->readlink.len;
  reply->text = out->readlink.target;
  return out->readlink.len <= VIRTIOFS_TARGET_MAX;
}

/* The size alone, or the value. */
bool virtiofs_fuse_encode_xattr(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto) {
  (void)proto;
  if (out->xattr.size_only) {
    args->xattr = (struct virtiofs_wire_getxattr_out){.size = out->xattr.size};
    reply->size = sizeof(struct virtiofs_wire_getxattr_out);
  } else {
    reply->more = out->xattr.size;
  }
  return true;
}
