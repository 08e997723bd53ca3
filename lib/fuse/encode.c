/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

/* A reply with its fixed arguments, in private memory, so that each byte that goes out is one we wrote. */
struct reply {
  struct virtiofs_wire_out_header header;
  union {
    struct virtiofs_wire_init_out init;
    struct virtiofs_wire_entry_out entry;
    struct virtiofs_wire_attr_out attr;
    struct virtiofs_wire_open_out open;
    struct virtiofs_wire_create_out create;
    struct virtiofs_wire_write_out write;
    struct virtiofs_wire_statfs_out statfs;
    struct virtiofs_wire_lseek_out lseek;
  } args;
};

_Static_assert(offsetof(struct reply, args) == VIRTIOFS_FUSE_OUT_HEADER, "no gap between header and arguments");

static void put_init(struct virtiofs_wire_init_out *wire, const struct virtiofs_fuse_init_out *out) {
  wire->major = out->major;
  wire->minor = out->minor;
  wire->max_readahead = out->max_readahead;
  wire->flags = (uint32_t)out->flags;
  wire->flags2 = (uint32_t)(out->flags >> 32);
  wire->max_background = out->max_background;
  wire->congestion_threshold = out->congestion_threshold;
  wire->max_write = out->max_write;
  wire->time_gran = out->time_gran;
  wire->max_pages = out->max_pages;
}

static void put_open(struct virtiofs_wire_open_out *wire, const struct virtiofs_open_out *out) {
  wire->fh = out->handle;
  wire->open_flags = out->flags;
}

static void put_statfs(struct virtiofs_wire_statfs_out *wire, const struct virtiofs_statfs_out *out) {
  wire->blocks = out->blocks;
  wire->bfree = out->bfree;
  wire->bavail = out->bavail;
  wire->files = out->files;
  wire->ffree = out->ffree;
  wire->bsize = out->bsize;
  wire->namelen = out->namelen;
  wire->frsize = out->frsize != 0 ? out->frsize : out->bsize;
}

/* Fills the arguments, zero before. False if @out is not sound. */
static bool put_args(struct reply *reply, uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_INIT:
    put_init(&reply->args.init, &out->init);
    return true;
  case VIRTIOFS_FUSE_LOOKUP:
    return virtiofs_fuse_entry_encode(&reply->args.entry, &out->entry);
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    return out->entry.node != 0 && virtiofs_fuse_entry_encode(&reply->args.entry, &out->entry);
  case VIRTIOFS_FUSE_CREATE:
    put_open(&reply->args.create.open, &out->create.open);
    return out->create.entry.node != 0 && virtiofs_fuse_entry_encode(&reply->args.create.entry, &out->create.entry);
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    virtiofs_fuse_valid_encode(out->attr.attr_valid_ns, &reply->args.attr.attr_valid,
                               &reply->args.attr.attr_valid_nsec);
    return virtiofs_fuse_attr_encode(&reply->args.attr.attr, &out->attr.attr);
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    put_open(&reply->args.open, &out->open);
    return true;
  case VIRTIOFS_FUSE_WRITE:
    reply->args.write.size = out->write.size;
    return true;
  case VIRTIOFS_FUSE_STATFS:
    put_statfs(&reply->args.statfs, &out->statfs);
    return true;
  case VIRTIOFS_FUSE_LSEEK:
    reply->args.lseek.offset = out->lseek.offset;
    return out->lseek.offset <= INT64_MAX;
  case VIRTIOFS_FUSE_READLINK:
    return out->readlink.len <= VIRTIOFS_TARGET_MAX;
  default:
    return true;
  }
}

/* Bytes of a reply's variable part, behind the header. */
static size_t variable(uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    return out->read.size;
  case VIRTIOFS_FUSE_READLINK:
    return out->readlink.len;
  default:
    return 0;
  }
}

/* Linux takes -511 .. 0 only, and a number of its own as success or worse. */
static int32_t wire_error(int error) {
  return error < 0 && error > -512 ? error : -EIO;
}

ssize_t virtiofs_fuse_reply_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_header *header,
                                   int error, const union virtiofs_fuse_out *out, const struct iovec *iov,
                                   uint32_t count) {
  struct reply reply;
  struct virtiofs_cursor cur;
  size_t fixed = VIRTIOFS_FUSE_OUT_HEADER, more = 0;
  if (!virtiofs_fuse_has_reply(header->opcode))
    return 0;
  if (error == 0) {
    fixed = virtiofs_fuse_reply_room(proto, header->opcode);
    memset(&reply, 0, fixed);
    if (!put_args(&reply, header->opcode, out))
      return -EINVAL;
    more = variable(header->opcode, out);
  }
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (cur.left < fixed || cur.left - fixed < more || more > UINT32_MAX - fixed)
    return -ENOSPC;
  reply.header.len = (uint32_t)(fixed + more);
  reply.header.error = error == 0 ? 0 : wire_error(error);
  reply.header.unique = header->unique;
  (void)virtiofs_cursor_write(&cur, &reply, fixed);
  if (error == 0 && header->opcode == VIRTIOFS_FUSE_READLINK)
    (void)virtiofs_cursor_write(&cur, out->readlink.target, more);
  return (ssize_t)(fixed + more);
}
