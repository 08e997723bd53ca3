/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side: reads the replies that encode.c writes. A server may lie as a guest may. */
#include <errno.h>
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

static void get_open(struct virtiofs_open_out *out, const struct virtiofs_wire_open_out *wire) {
  out->handle = wire->fh;
  out->flags = wire->open_flags;
}

static bool get_create(struct virtiofs_create_out *out, const struct virtiofs_wire_create_out *wire,
                       const struct virtiofs_fuse_proto *proto) {
  struct virtiofs_wire_create_out whole = {0};
  uint32_t entry = virtiofs_fuse_entry_size(proto);
  memcpy(&whole.entry, &wire->entry, entry);
  memcpy(&whole.open, (const unsigned char *)wire + entry, sizeof(whole.open));
  get_open(&out->open, &whole.open);
  return virtiofs_fuse_entry_decode(&out->entry, &whole.entry) && out->entry.node != 0;
}

static void get_init(struct virtiofs_fuse_init_out *out, const struct virtiofs_wire_init_out *wire) {
  *out = (struct virtiofs_fuse_init_out){.major = wire->major,
                                         .minor = wire->minor,
                                         .max_readahead = wire->max_readahead,
                                         .flags = wire->flags,
                                         .max_background = wire->max_background,
                                         .congestion_threshold = wire->congestion_threshold,
                                         .max_write = wire->max_write,
                                         .time_gran = wire->time_gran,
                                         .max_pages = wire->max_pages,
                                         .map_alignment = wire->map_alignment,
                                         .max_stack_depth = wire->max_stack_depth,
                                         .request_timeout = wire->request_timeout};
  if ((out->flags & VIRTIOFS_FUSE_INIT_EXT) != 0)
    out->flags |= (uint64_t)wire->flags2 << 32;
}

static struct virtiofs_time get_sx_time(const struct virtiofs_wire_sx_time *wire) {
  return (struct virtiofs_time){.sec = wire->sec, .nsec = wire->nsec};
}

static bool get_statx(struct virtiofs_statx_out *out, const struct virtiofs_wire_statx_out *wire) {
  const struct virtiofs_wire_statx *stat = &wire->stat;
  struct virtiofs_statx *statx = &out->statx;
  statx->mask = stat->mask;
  statx->attributes = stat->attributes;
  statx->attributes_mask = stat->attributes_mask;
  statx->btime = get_sx_time(&stat->btime);
  statx->dev_major = stat->dev_major;
  statx->dev_minor = stat->dev_minor;
  statx->attr = (struct virtiofs_attr){.ino = stat->ino,
                                       .size = stat->size,
                                       .blocks = stat->blocks,
                                       .atime = get_sx_time(&stat->atime),
                                       .mtime = get_sx_time(&stat->mtime),
                                       .ctime = get_sx_time(&stat->ctime),
                                       .mode = stat->mode,
                                       .nlink = stat->nlink,
                                       .uid = stat->uid,
                                       .gid = stat->gid,
                                       .rdev_major = stat->rdev_major,
                                       .rdev_minor = stat->rdev_minor,
                                       .blksize = stat->blksize};
  return virtiofs_fuse_valid_decode(&out->attr_valid_ns, wire->attr_valid, wire->attr_valid_nsec) &&
         statx->btime.nsec < VIRTIOFS_NS_PER_SEC && virtiofs_fuse_attr_sound(&statx->attr);
}

static void get_statfs(struct virtiofs_statfs_out *out, const struct virtiofs_wire_statfs_out *wire) {
  *out = (struct virtiofs_statfs_out){.blocks = wire->blocks,
                                      .bfree = wire->bfree,
                                      .bavail = wire->bavail,
                                      .files = wire->files,
                                      .ffree = wire->ffree,
                                      .bsize = wire->bsize,
                                      .frsize = wire->frsize,
                                      .namelen = wire->namelen};
}

/* Replies about nodes. False if a reply can't be so. */
static bool get_node_args(union virtiofs_fuse_out *out, uint32_t opcode, const union virtiofs_wire_out *args,
                          const struct virtiofs_fuse_proto *proto) {
  switch (opcode) {
  case VIRTIOFS_FUSE_INIT:
    get_init(&out->init, &args->init);
    return true;
  case VIRTIOFS_FUSE_LOOKUP:
    return virtiofs_fuse_entry_decode(&out->entry, &args->entry);
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    return virtiofs_fuse_entry_decode(&out->entry, &args->entry) && out->entry.node != 0;
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    return get_create(&out->create, &args->create, proto);
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    return virtiofs_fuse_valid_decode(&out->attr.attr_valid_ns, args->attr.attr_valid, args->attr.attr_valid_nsec) &&
           virtiofs_fuse_attr_decode(&out->attr.attr, &args->attr.attr);
  case VIRTIOFS_FUSE_STATX:
    return get_statx(&out->statx, &args->statx);
  case VIRTIOFS_FUSE_STATFS:
    get_statfs(&out->statfs, &args->statfs);
    return true;
  default:
    return true;
  }
}

static bool get_lock(struct virtiofs_lock *lock, const struct virtiofs_wire_file_lock *wire) {
  *lock = (struct virtiofs_lock){.start = wire->start, .end = wire->end, .type = wire->type, .pid = wire->pid};
  return lock->type <= VIRTIOFS_WIRE_F_UNLCK && lock->start <= lock->end && lock->end <= INT64_MAX;
}

/* Replies about open files. */
static bool get_file_args(union virtiofs_fuse_out *out, uint32_t opcode, const union virtiofs_wire_out *args) {
  switch (opcode) {
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    get_open(&out->open, &args->open);
    return true;
  case VIRTIOFS_FUSE_WRITE:
    out->write.size = args->write.size;
    return true;
  case VIRTIOFS_FUSE_LSEEK:
    out->lseek.offset = args->lseek.offset;
    return out->lseek.offset <= INT64_MAX;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
    out->copy_file_range.size = args->write.size;
    return true;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    out->copy_file_range.size = args->copy_file_range.bytes_copied;
    return out->copy_file_range.size <= INT64_MAX;
  case VIRTIOFS_FUSE_GETLK:
    return get_lock(&out->getlk.lock, &args->lk.lk);
  case VIRTIOFS_FUSE_BMAP:
    out->bmap.block = args->bmap.block;
    return true;
  case VIRTIOFS_FUSE_IOCTL:
    out->ioctl.result = args->ioctl.result;
    return true;
  case VIRTIOFS_FUSE_POLL:
    out->poll.revents = args->poll.revents;
    return true;
  default:
    return true;
  }
}

/* The variable part, @left bytes: false if this reply has none, or not so. */
static bool get_variable(union virtiofs_fuse_out *out, uint32_t opcode, struct virtiofs_cursor *cur, bool swapped) {
  struct virtiofs_wire_getxattr_out xattr;
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    out->read.size = (uint32_t)cur->left;
    return true;
  case VIRTIOFS_FUSE_IOCTL:
    out->ioctl.size = (uint32_t)cur->left;
    return true;
  case VIRTIOFS_FUSE_READLINK:
    out->readlink.len = (uint32_t)cur->left;
    return cur->left > 0 && cur->left <= VIRTIOFS_TARGET_MAX;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    out->xattr.size = (uint32_t)cur->left;
    if (!out->xattr.size_only)
      return true;
    if (cur->left != sizeof(xattr) || !virtiofs_cursor_read(cur, &xattr, sizeof(xattr)))
      return false;
    if (swapped)
      virtiofs_wire_swap(&xattr, sizeof(xattr), "4");
    out->xattr.size = xattr.size;
    return true;
  default:
    return cur->left == 0;
  }
}

/* An old server answers INIT by fewer fields. */
static uint32_t args_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto, uint32_t opcode,
                          size_t left) {
  if (opcode != VIRTIOFS_FUSE_INIT)
    return virtiofs_fuse_out_size(op, proto, opcode);
  return left == 8 || left == 24 ? (uint32_t)left : op->out_size;
}

static int decode_args(union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto, uint32_t opcode,
                       bool swapped, struct virtiofs_cursor *cur) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  union virtiofs_wire_out args;
  memset(&args, 0, sizeof(args));
  if (op == NULL)
    return -EPROTO;
  uint32_t size = args_size(op, proto, opcode, cur->left);
  if (!virtiofs_cursor_read(cur, &args, size))
    return -EPROTO;
  if (swapped && size > 0)
    virtiofs_wire_swap(&args, size, virtiofs_fuse_out_layout(op, proto, opcode));
  bool sound = get_node_args(out, opcode, &args, proto) && get_file_args(out, opcode, &args);
  return sound && get_variable(out, opcode, cur, swapped) ? 0 : -EPROTO;
}

int virtiofs_fuse_reply_decode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_header *header,
                               union virtiofs_fuse_out *out, const struct iovec *iov, uint32_t count, size_t used) {
  struct virtiofs_wire_out_header wire;
  struct virtiofs_cursor cur;
  if (!virtiofs_fuse_has_reply(header->opcode))
    return -EPROTO;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (cur.left < used || used < sizeof(wire) || !virtiofs_cursor_read(&cur, &wire, sizeof(wire)))
    return -EPROTO;
  if (proto->swapped)
    virtiofs_wire_swap(&wire, sizeof(wire), VIRTIOFS_LAYOUT_OUT_HEADER);
  if (wire.len != used || wire.unique != header->unique || wire.error > 0 || wire.error <= -512)
    return -EPROTO;
  if (wire.error != 0)
    return used == sizeof(wire) ? wire.error : -EPROTO;
  cur.left = used - sizeof(wire);
  return decode_args(out, proto, header->opcode, proto->swapped, &cur);
}
