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
    struct virtiofs_wire_getxattr_out xattr;
    struct virtiofs_wire_lk_out lk;
    struct virtiofs_wire_bmap_out bmap;
    struct virtiofs_wire_ioctl_out ioctl;
    struct virtiofs_wire_poll_out poll;
    struct virtiofs_wire_copy_file_range_out copy_file_range;
    struct virtiofs_wire_statx_out statx;
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
  wire->map_alignment = out->map_alignment;
  wire->max_stack_depth = out->max_stack_depth;
  wire->request_timeout = out->request_timeout;
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

static bool put_lock(struct virtiofs_wire_file_lock *wire, const struct virtiofs_lock *lock) {
  wire->start = lock->start;
  wire->end = lock->end;
  wire->type = lock->type;
  wire->pid = lock->pid;
  return lock->type <= VIRTIOFS_WIRE_F_UNLCK && lock->start <= lock->end && lock->end <= INT64_MAX;
}

/* An entry, which is shorter for old drivers, and what is open behind it. */
static bool put_create(struct virtiofs_wire_create_out *wire, const struct virtiofs_create_out *out,
                       const struct virtiofs_fuse_proto *proto) {
  struct virtiofs_wire_open_out open = {0};
  put_open(&open, &out->open);
  if (out->entry.node == 0 || !virtiofs_fuse_entry_encode(&wire->entry, &out->entry))
    return false;
  memcpy((unsigned char *)wire + virtiofs_fuse_entry_size(proto), &open, sizeof(open));
  return true;
}

static bool put_statx(struct virtiofs_wire_statx_out *wire, const struct virtiofs_statx_out *out) {
  virtiofs_fuse_valid_encode(out->attr_valid_ns, &wire->attr_valid, &wire->attr_valid_nsec);
  return virtiofs_fuse_statx_encode(&wire->stat, &out->statx);
}

static bool put_attr(struct virtiofs_wire_attr_out *wire, const struct virtiofs_attr_out *out) {
  virtiofs_fuse_valid_encode(out->attr_valid_ns, &wire->attr_valid, &wire->attr_valid_nsec);
  return virtiofs_fuse_attr_encode(&wire->attr, &out->attr);
}

/* Replies about nodes. False if @out is not sound. */
static bool put_node_args(struct reply *reply, uint32_t opcode, const union virtiofs_fuse_out *out,
                          const struct virtiofs_fuse_proto *proto) {
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
    return virtiofs_fuse_entry_encode(&reply->args.entry, &out->entry);
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    return out->entry.node != 0 && virtiofs_fuse_entry_encode(&reply->args.entry, &out->entry);
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    return put_create(&reply->args.create, &out->create, proto);
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    return put_attr(&reply->args.attr, &out->attr);
  case VIRTIOFS_FUSE_STATX:
    return put_statx(&reply->args.statx, &out->statx);
  case VIRTIOFS_FUSE_STATFS:
    put_statfs(&reply->args.statfs, &out->statfs);
    return true;
  case VIRTIOFS_FUSE_INIT:
    put_init(&reply->args.init, &out->init);
    return true;
  default:
    return true;
  }
}

/* Replies about open files. */
static bool put_file_args(struct reply *reply, uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    put_open(&reply->args.open, &out->open);
    return true;
  case VIRTIOFS_FUSE_WRITE:
    reply->args.write.size = out->write.size;
    return true;
  case VIRTIOFS_FUSE_LSEEK:
    reply->args.lseek.offset = out->lseek.offset;
    return out->lseek.offset <= INT64_MAX;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
    reply->args.write.size = (uint32_t)out->copy_file_range.size;
    return out->copy_file_range.size <= UINT32_MAX;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    reply->args.copy_file_range.bytes_copied = out->copy_file_range.size;
    return out->copy_file_range.size <= INT64_MAX;
  case VIRTIOFS_FUSE_GETLK:
    return put_lock(&reply->args.lk.lk, &out->getlk.lock);
  case VIRTIOFS_FUSE_BMAP:
    reply->args.bmap.block = out->bmap.block;
    return true;
  case VIRTIOFS_FUSE_IOCTL:
    reply->args.ioctl.result = out->ioctl.result;
    return true;
  case VIRTIOFS_FUSE_POLL:
    reply->args.poll.revents = out->poll.revents;
    return true;
  default:
    return true;
  }
}

/* Bytes of a reply's variable part, behind the fixed one. */
static size_t variable(uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    return out->read.size;
  case VIRTIOFS_FUSE_READLINK:
    return out->readlink.len;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    return out->xattr.size_only ? 0 : out->xattr.size;
  case VIRTIOFS_FUSE_IOCTL:
    return out->ioctl.size;
  default:
    return 0;
  }
}

/* Linux takes -511 .. 0 only, and a number of its own as success or worse. */
static int32_t wire_error(int error) {
  return error < 0 && error > -512 ? error : -EIO;
}

/* Fixed arguments of this reply; 0 and more, or -EINVAL. */
static int put_args(struct reply *reply, const struct virtiofs_fuse_header *header, const union virtiofs_fuse_out *out,
                    const struct virtiofs_fuse_proto *proto) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(header->opcode);
  bool xattr = header->opcode == VIRTIOFS_FUSE_GETXATTR || header->opcode == VIRTIOFS_FUSE_LISTXATTR;
  if (xattr && out->xattr.size_only) {
    reply->args.xattr = (struct virtiofs_wire_getxattr_out){.size = out->xattr.size};
    if (header->swapped)
      virtiofs_wire_swap(&reply->args, sizeof(reply->args.xattr), "4");
    return (int)sizeof(reply->args.xattr);
  }
  if (header->opcode == VIRTIOFS_FUSE_READLINK && out->readlink.len > VIRTIOFS_TARGET_MAX)
    return -EINVAL;
  if (op == NULL || op->out_size == 0)
    return 0;
  uint32_t size = virtiofs_fuse_out_size(op, proto, header->opcode);
  memset(&reply->args, 0, op->out_size);
  if (!put_node_args(reply, header->opcode, out, proto) || !put_file_args(reply, header->opcode, out))
    return -EINVAL;
  if (header->swapped)
    virtiofs_wire_swap(&reply->args, size, virtiofs_fuse_out_layout(op, proto, header->opcode));
  return (int)size;
}

ssize_t virtiofs_fuse_reply_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_header *header,
                                   int error, const union virtiofs_fuse_out *out, const struct iovec *iov,
                                   uint32_t count) {
  struct reply reply;
  struct virtiofs_cursor cur;
  size_t fixed = VIRTIOFS_FUSE_OUT_HEADER, more = 0;
  if (!virtiofs_fuse_has_reply(header->opcode))
    return 0;
  /* "Not there, and you may remember it" is news to drivers before 7.4. */
  if (error == 0 && header->opcode == VIRTIOFS_FUSE_LOOKUP && out->entry.node == 0 && proto->minor < 4)
    error = -ENOENT;
  if (error == 0) {
    int args = put_args(&reply, header, out, proto);
    if (args < 0)
      return args;
    fixed += (size_t)args;
    more = variable(header->opcode, out);
  }
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (cur.left < fixed || cur.left - fixed < more || more > UINT32_MAX - fixed)
    return -ENOSPC;
  reply.header.len = (uint32_t)(fixed + more);
  reply.header.error = error == 0 ? 0 : wire_error(error);
  reply.header.unique = header->unique;
  if (header->swapped)
    virtiofs_wire_swap(&reply.header, sizeof(reply.header), VIRTIOFS_LAYOUT_OUT_HEADER);
  (void)virtiofs_cursor_write(&cur, &reply, fixed);
  if (error == 0 && header->opcode == VIRTIOFS_FUSE_READLINK)
    (void)virtiofs_cursor_write(&cur, out->readlink.target, more);
  return (ssize_t)(fixed + more);
}
