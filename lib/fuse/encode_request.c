/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side: writes the requests that decode.c reads. */
#include <errno.h>
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

/* What goes out behind the fixed part. */
struct tail {
  const struct virtiofs_name *names[2];
  const struct virtiofs_extensions *extensions;
  uint64_t data; /* bytes that the caller puts behind */
};

static void put_names(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode,
                      struct tail *tail) {
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_UNLINK:
  case VIRTIOFS_FUSE_RMDIR:
    tail->names[0] = &in->lookup.name;
    return;
  case VIRTIOFS_FUSE_SYMLINK:
    tail->names[0] = &in->symlink.name;
    tail->names[1] = &in->symlink.target;
    tail->extensions = &in->symlink.extensions;
    return;
  case VIRTIOFS_FUSE_RENAME:
    wire->rename.newdir = in->rename.new_parent;
    tail->names[0] = &in->rename.name;
    tail->names[1] = &in->rename.new_name;
    return;
  case VIRTIOFS_FUSE_RENAME2:
    wire->rename2.newdir = in->rename.new_parent;
    wire->rename2.flags = in->rename.flags;
    tail->names[0] = &in->rename.name;
    tail->names[1] = &in->rename.new_name;
    return;
  case VIRTIOFS_FUSE_LINK:
    wire->link.oldnodeid = in->link.node;
    tail->names[0] = &in->link.name;
    return;
  default:
    return;
  }
}

static void put_made(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode,
                     struct tail *tail) {
  static const struct virtiofs_name dummy = {.str = "/", .len = 1};
  switch (opcode) {
  case VIRTIOFS_FUSE_MKNOD:
    wire->mknod.mode = in->mknod.mode;
    wire->mknod.umask = in->mknod.umask;
    wire->mknod.rdev = virtiofs_fuse_rdev_encode(in->mknod.rdev_major, in->mknod.rdev_minor);
    tail->names[0] = &in->mknod.name;
    tail->extensions = &in->mknod.extensions;
    return;
  case VIRTIOFS_FUSE_MKDIR:
    wire->mkdir.mode = in->mkdir.mode;
    wire->mkdir.umask = in->mkdir.umask;
    tail->names[0] = &in->mkdir.name;
    tail->extensions = &in->mkdir.extensions;
    return;
  case VIRTIOFS_FUSE_CREATE:
    wire->create = (struct virtiofs_wire_create_in){.flags = in->create.flags,
                                                    .mode = in->create.mode,
                                                    .umask = in->create.umask,
                                                    .open_flags = in->create.open_flags};
    tail->names[0] = &in->create.name;
    tail->extensions = &in->create.extensions;
    return;
  case VIRTIOFS_FUSE_TMPFILE:
    wire->create = (struct virtiofs_wire_create_in){.flags = in->tmpfile.flags,
                                                    .mode = in->tmpfile.mode,
                                                    .umask = in->tmpfile.umask,
                                                    .open_flags = in->tmpfile.open_flags};
    tail->names[0] = &dummy;
    tail->extensions = &in->tmpfile.extensions;
    return;
  default:
    return;
  }
}

static void put_setattr(struct virtiofs_wire_setattr_in *wire, const struct virtiofs_setattr_in *in) {
  wire->valid = in->valid | (in->has_handle ? VIRTIOFS_WIRE_FATTR_FH : 0U);
  wire->fh = in->handle;
  wire->size = in->size;
  wire->atime = (uint64_t)in->atime.sec;
  wire->mtime = (uint64_t)in->mtime.sec;
  wire->ctime = (uint64_t)in->ctime.sec;
  wire->atimensec = in->atime.nsec;
  wire->mtimensec = in->mtime.nsec;
  wire->ctimensec = in->ctime.nsec;
  wire->mode = in->mode;
  wire->uid = in->uid;
  wire->gid = in->gid;
}

static void put_node(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode,
                     struct tail *tail) {
  switch (opcode) {
  case VIRTIOFS_FUSE_FORGET:
    wire->forget.nlookup = in->forget.nlookup;
    return;
  case VIRTIOFS_FUSE_BATCH_FORGET:
    wire->batch_forget.count = in->batch_forget.count;
    tail->data = (uint64_t)in->batch_forget.count * sizeof(struct virtiofs_wire_forget_one);
    return;
  case VIRTIOFS_FUSE_REMOVEMAPPING:
    wire->removemapping.count = in->removemapping.count;
    tail->data = (uint64_t)in->removemapping.count * sizeof(struct virtiofs_wire_removemapping_one);
    return;
  case VIRTIOFS_FUSE_SETUPMAPPING:
    wire->setupmapping = (struct virtiofs_wire_setupmapping_in){.fh = in->setupmapping.handle,
                                                                .foffset = in->setupmapping.offset,
                                                                .len = in->setupmapping.len,
                                                                .flags = in->setupmapping.flags,
                                                                .moffset = in->setupmapping.window_offset};
    return;
  case VIRTIOFS_FUSE_GETATTR:
    wire->getattr.getattr_flags = in->getattr.has_handle ? VIRTIOFS_WIRE_GETATTR_FH : 0U;
    wire->getattr.fh = in->getattr.handle;
    return;
  case VIRTIOFS_FUSE_STATX:
    wire->statx = (struct virtiofs_wire_statx_in){.getattr_flags = in->statx.has_handle ? VIRTIOFS_WIRE_GETATTR_FH : 0U,
                                                  .fh = in->statx.handle,
                                                  .sx_flags = in->statx.flags,
                                                  .sx_mask = in->statx.mask};
    return;
  case VIRTIOFS_FUSE_SETATTR:
    put_setattr(&wire->setattr, &in->setattr);
    return;
  case VIRTIOFS_FUSE_ACCESS:
    wire->access.mask = in->access.mask;
    return;
  case VIRTIOFS_FUSE_BMAP:
    wire->bmap.block = in->bmap.block;
    wire->bmap.blocksize = in->bmap.blocksize;
    return;
  case VIRTIOFS_FUSE_INTERRUPT:
    wire->interrupt.unique = in->interrupt.unique;
    return;
  case VIRTIOFS_FUSE_INIT:
    wire->init = (struct virtiofs_wire_init_in){.major = in->init.major,
                                                .minor = in->init.minor,
                                                .max_readahead = in->init.max_readahead,
                                                .flags = (uint32_t)in->init.flags,
                                                .flags2 = (uint32_t)(in->init.flags >> 32)};
    return;
  default:
    return;
  }
}

static void put_xattr(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode,
                      struct tail *tail) {
  switch (opcode) {
  case VIRTIOFS_FUSE_SETXATTR:
    wire->setxattr.size = (uint32_t)in->setxattr.value.size;
    wire->setxattr.flags = in->setxattr.flags;
    wire->setxattr.setxattr_flags = in->setxattr.setxattr_flags;
    tail->names[0] = &in->setxattr.name;
    tail->data = in->setxattr.value.size;
    return;
  case VIRTIOFS_FUSE_GETXATTR:
    wire->getxattr.size = in->getxattr.size;
    tail->names[0] = &in->getxattr.name;
    return;
  case VIRTIOFS_FUSE_LISTXATTR:
    wire->getxattr.size = in->listxattr.size;
    return;
  case VIRTIOFS_FUSE_REMOVEXATTR:
    tail->names[0] = &in->removexattr.name;
    return;
  default:
    return;
  }
}

static void put_io(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode, struct tail *tail) {
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
    wire->read.fh = in->read.handle;
    wire->read.offset = in->read.offset;
    wire->read.size = in->read.size;
    wire->read.flags = in->read.flags;
    return;
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    wire->read.fh = in->readdir.handle;
    wire->read.offset = in->readdir.offset;
    wire->read.size = in->readdir.size;
    return;
  case VIRTIOFS_FUSE_WRITE:
    wire->write.fh = in->write.handle;
    wire->write.offset = in->write.offset;
    wire->write.size = (uint32_t)in->write.data.size;
    wire->write.write_flags = in->write.write_flags;
    wire->write.flags = in->write.flags;
    tail->data = in->write.data.size;
    return;
  case VIRTIOFS_FUSE_NOTIFY_REPLY:
    wire->notify_reply.offset = in->notify_reply.offset;
    wire->notify_reply.size = (uint32_t)in->notify_reply.data.size;
    tail->data = in->notify_reply.data.size;
    return;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    wire->copy_file_range = (struct virtiofs_wire_copy_file_range_in){.fh_in = in->copy_file_range.handle,
                                                                      .off_in = in->copy_file_range.offset,
                                                                      .nodeid_out = in->copy_file_range.node_out,
                                                                      .fh_out = in->copy_file_range.handle_out,
                                                                      .off_out = in->copy_file_range.offset_out,
                                                                      .len = in->copy_file_range.len,
                                                                      .flags = in->copy_file_range.flags};
    return;
  case VIRTIOFS_FUSE_IOCTL:
    wire->ioctl = (struct virtiofs_wire_ioctl_in){.fh = in->ioctl.handle,
                                                  .flags = in->ioctl.flags,
                                                  .cmd = in->ioctl.cmd,
                                                  .arg = in->ioctl.arg,
                                                  .in_size = (uint32_t)in->ioctl.data.size,
                                                  .out_size = in->ioctl.out_size};
    tail->data = in->ioctl.data.size;
    return;
  default:
    return;
  }
}

static void put_lk(struct virtiofs_wire_lk_in *wire, const struct virtiofs_lk_in *in) {
  wire->fh = in->handle;
  wire->owner = in->owner;
  wire->lk.start = in->lock.start;
  wire->lk.end = in->lock.end;
  wire->lk.type = in->lock.type;
  wire->lk.pid = in->lock.pid;
  wire->lk_flags = in->flock ? VIRTIOFS_WIRE_LK_FLOCK : 0U;
}

static void put_handle(const union virtiofs_fuse_in *in, union virtiofs_wire_in *wire, uint32_t opcode) {
  switch (opcode) {
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    wire->open.flags = in->open.flags;
    wire->open.open_flags = in->open.open_flags;
    return;
  case VIRTIOFS_FUSE_RELEASE:
  case VIRTIOFS_FUSE_RELEASEDIR:
    wire->release.fh = in->release.handle;
    wire->release.flags = in->release.flags;
    wire->release.release_flags = in->release.release_flags;
    wire->release.lock_owner = in->release.lock_owner;
    return;
  case VIRTIOFS_FUSE_FSYNC:
  case VIRTIOFS_FUSE_FSYNCDIR:
    wire->fsync.fh = in->fsync.handle;
    wire->fsync.fsync_flags = in->fsync.data_only ? VIRTIOFS_WIRE_FSYNC_FDATASYNC : 0U;
    return;
  case VIRTIOFS_FUSE_FLUSH:
    wire->flush.fh = in->flush.handle;
    wire->flush.lock_owner = in->flush.lock_owner;
    return;
  case VIRTIOFS_FUSE_FALLOCATE:
    wire->fallocate.fh = in->fallocate.handle;
    wire->fallocate.offset = in->fallocate.offset;
    wire->fallocate.length = in->fallocate.length;
    wire->fallocate.mode = in->fallocate.mode;
    return;
  case VIRTIOFS_FUSE_LSEEK:
    wire->lseek.fh = in->lseek.handle;
    wire->lseek.offset = in->lseek.offset;
    wire->lseek.whence = in->lseek.whence;
    return;
  case VIRTIOFS_FUSE_POLL:
    wire->poll.fh = in->poll.handle;
    wire->poll.kh = in->poll.kh;
    wire->poll.flags = in->poll.flags;
    wire->poll.events = in->poll.events;
    return;
  case VIRTIOFS_FUSE_GETLK:
  case VIRTIOFS_FUSE_SETLK:
  case VIRTIOFS_FUSE_SETLKW:
    put_lk(&wire->lk, &in->lk);
    return;
  default:
    return;
  }
}

/* What was padding for an old server has to be zero. */
static void drop_newer(union virtiofs_wire_in *wire, uint32_t opcode, uint32_t minor) {
  bool release = opcode == VIRTIOFS_FUSE_RELEASE || opcode == VIRTIOFS_FUSE_RELEASEDIR;
  if (release && minor < 8)
    wire->release.release_flags = 0;
  if (opcode == VIRTIOFS_FUSE_MKDIR && minor < 12)
    wire->mkdir.umask = 0;
  if (opcode == VIRTIOFS_FUSE_POLL && minor < 21)
    wire->poll.events = 0;
}

/* INIT is as long as the flags need: old servers know the short form only. */
static uint32_t in_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto, uint32_t opcode,
                        const union virtiofs_fuse_in *in) {
  if (opcode != VIRTIOFS_FUSE_INIT)
    return virtiofs_fuse_in_size(op, proto, opcode);
  return (in->init.flags & VIRTIOFS_FUSE_INIT_EXT) != 0 ? (uint32_t)sizeof(struct virtiofs_wire_init_in) : 16U;
}

static void put_header(struct virtiofs_wire_in_header *wire, const struct virtiofs_fuse_header *header,
                       const union virtiofs_fuse_in *in, uint32_t len, uint32_t extensions) {
  *wire = (struct virtiofs_wire_in_header){.len = len,
                                           .opcode = header->opcode,
                                           .unique = header->unique,
                                           .nodeid = in->nodeid,
                                           .uid = header->uid,
                                           .gid = header->gid,
                                           .pid = header->pid,
                                           .total_extlen = (uint16_t)(extensions / 8)};
}

/* An empty name, or one with a NUL in it, would be read as another; a longer one than the server takes, as none. */
static bool sound_name(const struct virtiofs_name *name, size_t max) {
  return name == NULL || (name->len > 0 && name->len <= max && memchr(name->str, 0, name->len) == NULL);
}

static bool sound_tail(const struct tail *tail, uint32_t opcode) {
  size_t second = opcode == VIRTIOFS_FUSE_SYMLINK ? VIRTIOFS_TARGET_MAX : VIRTIOFS_FUSE_NAME_MAX;
  if (!sound_name(tail->names[0], VIRTIOFS_FUSE_NAME_MAX) || !sound_name(tail->names[1], second))
    return false;
  return tail->extensions == NULL || tail->extensions->size <= VIRTIOFS_FUSE_EXTENSIONS_MAX;
}

static bool put_extensions(const struct virtiofs_fuse_proto *proto, unsigned char *at,
                           const struct virtiofs_extensions *extensions) {
  if (extensions == NULL || extensions->size == 0)
    return true;
  if (proto->minor < VIRTIOFS_FUSE_EXTENSIONS_SINCE)
    return false;
  memcpy(at, extensions->bytes, extensions->size);
  return virtiofs_fuse_check_extensions(proto, at, extensions->size,
                                        proto->swapped ? VIRTIOFS_FUSE_FROM_HOST : VIRTIOFS_FUSE_HOST);
}

static size_t name_bytes(const struct virtiofs_name *name) {
  return name != NULL ? (size_t)name->len + 1 : 0;
}

ssize_t virtiofs_fuse_request_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_header *header,
                                     const union virtiofs_fuse_in *in, void *buf, size_t size) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(header->opcode);
  if (op == NULL)
    return -ENOSYS;
  union virtiofs_wire_in wire;
  struct tail tail = {.data = 0};
  memset(&wire, 0, sizeof(wire));
  put_names(in, &wire, header->opcode, &tail);
  put_made(in, &wire, header->opcode, &tail);
  put_node(in, &wire, header->opcode, &tail);
  put_xattr(in, &wire, header->opcode, &tail);
  put_io(in, &wire, header->opcode, &tail);
  put_handle(in, &wire, header->opcode);
  drop_newer(&wire, header->opcode, proto->minor);
  if (!sound_tail(&tail, header->opcode))
    return -EINVAL;
  uint32_t fixed = in_size(op, proto, header->opcode, in);
  uint32_t extensions = tail.extensions != NULL ? tail.extensions->size : 0;
  size_t own = sizeof(struct virtiofs_wire_in_header) + fixed + name_bytes(tail.names[0]) + name_bytes(tail.names[1]) +
               extensions;
  if (own > size)
    return -ENOSPC;
  if (tail.data > UINT32_MAX - own)
    return -EINVAL;
  struct virtiofs_wire_in_header head;
  put_header(&head, header, in, (uint32_t)(own + tail.data), extensions);
  if (proto->swapped) {
    virtiofs_wire_swap(&head, sizeof(head), VIRTIOFS_LAYOUT_IN_HEADER);
    if (fixed > 0)
      virtiofs_wire_swap(&wire, fixed, op->in_layout);
  }
  unsigned char *at = buf;
  memcpy(at, &head, sizeof(head));
  at += sizeof(head);
  memcpy(at, &wire, fixed);
  at += fixed;
  for (unsigned i = 0; i < 2 && tail.names[i] != NULL; i++) {
    memcpy(at, tail.names[i]->str, tail.names[i]->len);
    at[tail.names[i]->len] = 0;
    at += tail.names[i]->len + 1;
  }
  return put_extensions(proto, at, tail.extensions) ? (ssize_t)own : -EINVAL;
}
