/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages as text, one line each, as strace(1) would show them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/errors.h"
#include "fuse/names.h"
#include "fuse/table.h"

/* A line in the making: counts on when the buffer is full. */
struct line {
  char *buf;
  size_t size, len;
};

static void put(struct line *line, const char *format, ...) VIRTIOFS_PRINTF(2, 3);

static void put(struct line *line, const char *format, ...) {
  va_list args;
  size_t room = line->len < line->size ? line->size - line->len : 0;
  va_start(args, format);
  int len = vsnprintf(room > 0 ? line->buf + line->len : NULL, room, format, args);
  va_end(args);
  if (len > 0)
    line->len += (size_t)len;
}

/* Whatever a guest puts into a name stays within the quotes. */
static void put_name(struct line *line, const char *label, const struct virtiofs_name *name) {
  put(line, " %s=\"", label);
  for (uint32_t i = 0; i < name->len; i++) {
    unsigned char c = (unsigned char)name->str[i];
    if (c == '"' || c == '\\')
      put(line, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
      put(line, "\\x%02x", c);
    else
      put(line, "%c", c);
  }
  put(line, "\"");
}

static void put_node(struct line *line, const char *label, uint64_t node) {
  put(line, " %s=%" PRIx64, label, node);
}

static void put_range(struct line *line, uint64_t offset, uint64_t size) {
  put(line, " offset=%" PRIu64 " size=%" PRIu64, offset, size);
}

/* Names with '|' between them, and what has none as a number. */
static void put_bits(struct line *line, enum virtiofs_fuse_bits which, uint64_t bits, const char *between) {
  const char *name;
  while ((name = virtiofs_fuse_bit_name(which, &bits)) != NULL) {
    put(line, "%s%s", between, name);
    between = "|";
  }
  if (bits != 0)
    put(line, "%s0x%" PRIx64, between, bits);
}

static void put_flags(struct line *line, const char *label, enum virtiofs_fuse_bits which, uint64_t bits) {
  put(line, " %s=%s", label, bits == 0 ? "0" : "");
  put_bits(line, which, bits, "");
}

static void put_open_flags(struct line *line, uint32_t flags) {
  static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
  put(line, " flags=%s", modes[flags & 3]);
  put_bits(line, VIRTIOFS_FUSE_BITS_OPEN, flags & ~3U, "|");
}

static void put_attr(struct line *line, const struct virtiofs_attr *attr) {
  put(line, " ino=%" PRIu64 " mode=%o nlink=%u uid=%u gid=%u size=%" PRIu64, attr->ino, attr->mode, attr->nlink,
      attr->uid, attr->gid, attr->size);
  if (attr->flags != 0)
    put_flags(line, "attr_flags", VIRTIOFS_FUSE_BITS_ATTR, attr->flags);
}

/* Of replies that are mostly without. */
static void put_opened_flags(struct line *line, uint32_t flags) {
  if (flags != 0)
    put_flags(line, "open_flags", VIRTIOFS_FUSE_BITS_FOPEN, flags);
}

/* ---- requests ---- */

static void put_named(struct line *line, uint32_t opcode, const union virtiofs_fuse_in *in) {
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_UNLINK:
  case VIRTIOFS_FUSE_RMDIR:
    put_name(line, "name", &in->lookup.name);
    return;
  case VIRTIOFS_FUSE_SYMLINK:
    put_name(line, "name", &in->symlink.name);
    put_name(line, "target", &in->symlink.target);
    return;
  case VIRTIOFS_FUSE_MKNOD:
    put_name(line, "name", &in->mknod.name);
    put(line, " mode=%o umask=%o rdev=%u:%u", in->mknod.mode, in->mknod.umask, in->mknod.rdev_major,
        in->mknod.rdev_minor);
    return;
  case VIRTIOFS_FUSE_MKDIR:
    put_name(line, "name", &in->mkdir.name);
    put(line, " mode=%o umask=%o", in->mkdir.mode, in->mkdir.umask);
    return;
  case VIRTIOFS_FUSE_RENAME:
  case VIRTIOFS_FUSE_RENAME2:
    put_name(line, "name", &in->rename.name);
    put_node(line, "new_parent", in->rename.new_parent);
    put_name(line, "new_name", &in->rename.new_name);
    put_flags(line, "flags", VIRTIOFS_FUSE_BITS_RENAME, in->rename.flags);
    return;
  case VIRTIOFS_FUSE_LINK:
    put_node(line, "node", in->link.node);
    put_name(line, "name", &in->link.name);
    return;
  case VIRTIOFS_FUSE_CREATE:
    put_name(line, "name", &in->create.name);
    put_open_flags(line, in->create.flags);
    put(line, " mode=%o umask=%o", in->create.mode, in->create.umask);
    return;
  case VIRTIOFS_FUSE_TMPFILE:
    put_open_flags(line, in->tmpfile.flags);
    put(line, " mode=%o umask=%o", in->tmpfile.mode, in->tmpfile.umask);
    return;
  case VIRTIOFS_FUSE_SETXATTR:
    put_name(line, "name", &in->setxattr.name);
    put(line, " size=%zu", in->setxattr.value.size);
    put_flags(line, "flags", VIRTIOFS_FUSE_BITS_SETXATTR, in->setxattr.flags);
    return;
  case VIRTIOFS_FUSE_GETXATTR:
    put_name(line, "name", &in->getxattr.name);
    put(line, " size=%u", in->getxattr.size);
    return;
  case VIRTIOFS_FUSE_REMOVEXATTR:
    put_name(line, "name", &in->removexattr.name);
    return;
  default:
    return;
  }
}

static void put_setattr(struct line *line, const struct virtiofs_setattr_in *in) {
  put_flags(line, "valid", VIRTIOFS_FUSE_BITS_SETATTR, in->valid);
  if ((in->valid & VIRTIOFS_SET_MODE) != 0)
    put(line, " mode=%o", in->mode);
  if ((in->valid & VIRTIOFS_SET_UID) != 0)
    put(line, " uid=%u", in->uid);
  if ((in->valid & VIRTIOFS_SET_GID) != 0)
    put(line, " gid=%u", in->gid);
  if ((in->valid & VIRTIOFS_SET_SIZE) != 0)
    put(line, " size=%" PRIu64, in->size);
}

static void put_lock(struct line *line, const struct virtiofs_lock *lock) {
  static const char *const types[] = {"read", "write", "unlock"};
  put(line, " %s start=%" PRIu64 " end=%" PRIu64 " pid=%u", lock->type < 3 ? types[lock->type] : "?", lock->start,
      lock->end, lock->pid);
}

static void put_io(struct line *line, uint32_t opcode, const union virtiofs_fuse_in *in) {
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
    put_node(line, "handle", in->read.handle);
    put_range(line, in->read.offset, in->read.size);
    return;
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    put_node(line, "handle", in->readdir.handle);
    put_range(line, in->readdir.offset, in->readdir.size);
    return;
  case VIRTIOFS_FUSE_WRITE:
    put_node(line, "handle", in->write.handle);
    put_range(line, in->write.offset, in->write.size);
    if (in->write.write_flags != 0)
      put_flags(line, "write_flags", VIRTIOFS_FUSE_BITS_WRITE, in->write.write_flags);
    return;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    put_node(line, "handle", in->copy_file_range.handle);
    put_range(line, in->copy_file_range.offset, in->copy_file_range.len);
    put_node(line, "node_out", in->copy_file_range.node_out);
    put_node(line, "handle_out", in->copy_file_range.handle_out);
    put(line, " offset_out=%" PRIu64, in->copy_file_range.offset_out);
    return;
  case VIRTIOFS_FUSE_IOCTL:
    put_node(line, "handle", in->ioctl.handle);
    put(line, " cmd=%x arg=%" PRIx64 " in=%zu out=%u", in->ioctl.cmd, in->ioctl.arg, in->ioctl.data.size,
        in->ioctl.out_size);
    return;
  default:
    return;
  }
}

static void put_opened(struct line *line, uint32_t opcode, const union virtiofs_fuse_in *in) {
  switch (opcode) {
  case VIRTIOFS_FUSE_RELEASE:
  case VIRTIOFS_FUSE_RELEASEDIR:
    put_node(line, "handle", in->release.handle);
    if (in->release.release_flags != 0)
      put_flags(line, "release_flags", VIRTIOFS_FUSE_BITS_RELEASE, in->release.release_flags);
    return;
  case VIRTIOFS_FUSE_FSYNC:
  case VIRTIOFS_FUSE_FSYNCDIR:
    put_node(line, "handle", in->fsync.handle);
    put(line, "%s", in->fsync.data_only ? " data" : "");
    return;
  case VIRTIOFS_FUSE_FLUSH:
    put_node(line, "handle", in->flush.handle);
    return;
  case VIRTIOFS_FUSE_FALLOCATE:
    put_node(line, "handle", in->fallocate.handle);
    put_range(line, in->fallocate.offset, in->fallocate.length);
    put_flags(line, "mode", VIRTIOFS_FUSE_BITS_FALLOCATE, in->fallocate.mode);
    return;
  case VIRTIOFS_FUSE_LSEEK:
    put_node(line, "handle", in->lseek.handle);
    put(line, " offset=%" PRIu64 " whence=%u", in->lseek.offset, in->lseek.whence);
    return;
  case VIRTIOFS_FUSE_GETLK:
  case VIRTIOFS_FUSE_SETLK:
  case VIRTIOFS_FUSE_SETLKW:
    put_node(line, "handle", in->lk.handle);
    put_node(line, "owner", in->lk.owner);
    put_lock(line, &in->lk.lock);
    put(line, "%s", in->lk.flock ? " flock" : "");
    return;
  case VIRTIOFS_FUSE_POLL:
    put_node(line, "handle", in->poll.handle);
    put(line, " events=%x", in->poll.events);
    return;
  default:
    return;
  }
}

static void put_other(struct line *line, uint32_t opcode, const union virtiofs_fuse_in *in) {
  switch (opcode) {
  case VIRTIOFS_FUSE_INIT:
    put(line, " version=%u.%u max_readahead=%u", in->init.major, in->init.minor, in->init.max_readahead);
    put_flags(line, "flags", VIRTIOFS_FUSE_BITS_INIT, in->init.flags);
    return;
  case VIRTIOFS_FUSE_FORGET:
    put(line, " nlookup=%" PRIu64, in->forget.nlookup);
    return;
  case VIRTIOFS_FUSE_BATCH_FORGET:
    put(line, " count=%u", in->batch_forget.count);
    return;
  case VIRTIOFS_FUSE_INTERRUPT:
    put(line, " unique=%" PRIu64, in->interrupt.unique);
    return;
  case VIRTIOFS_FUSE_GETATTR:
    if (in->getattr.has_handle)
      put_node(line, "handle", in->getattr.handle);
    return;
  case VIRTIOFS_FUSE_SETATTR:
    put_setattr(line, &in->setattr);
    return;
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    put_open_flags(line, in->open.flags);
    return;
  case VIRTIOFS_FUSE_LISTXATTR:
    put(line, " size=%u", in->listxattr.size);
    return;
  case VIRTIOFS_FUSE_ACCESS:
    put_flags(line, "mask", VIRTIOFS_FUSE_BITS_ACCESS, in->access.mask);
    return;
  case VIRTIOFS_FUSE_STATX:
    put(line, " flags=%x mask=%x", in->statx.flags, in->statx.mask);
    return;
  case VIRTIOFS_FUSE_SETUPMAPPING:
    put_range(line, in->setupmapping.offset, in->setupmapping.len);
    put(line, " window_offset=%" PRIu64, in->setupmapping.window_offset);
    put_flags(line, "flags", VIRTIOFS_FUSE_BITS_MAP, in->setupmapping.flags);
    return;
  case VIRTIOFS_FUSE_REMOVEMAPPING:
    put(line, " count=%u", in->removemapping.count);
    return;
  default:
    return;
  }
}

size_t virtiofs_fuse_request_format(const struct virtiofs_fuse_request *req, char *buf, size_t size) {
  struct line line = {.buf = buf, .size = size};
  const struct virtiofs_fuse_header *header = &req->header;
  if (size > 0)
    buf[0] = 0;
  put(&line, "#%" PRIu64 " %s", header->unique, virtiofs_fuse_opcode_name(header->opcode));
  if (virtiofs_fuse_op(header->opcode) == NULL)
    put(&line, "(%u)", header->opcode);
  if (header->nodeid != 0)
    put_node(&line, "node", header->nodeid);
  put_named(&line, header->opcode, &req->in);
  put_io(&line, header->opcode, &req->in);
  put_opened(&line, header->opcode, &req->in);
  put_other(&line, header->opcode, &req->in);
  if (virtiofs_fuse_has_reply(header->opcode) && header->uid != UINT32_MAX)
    put(&line, " by=%u:%u:%u", header->uid, header->gid, header->pid);
  return line.len;
}

/* ---- replies ---- */

static void put_node_reply(struct line *line, uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_INIT:
    put(line, " version=%u.%u max_write=%u", out->init.major, out->init.minor, out->init.max_write);
    put_flags(line, "flags", VIRTIOFS_FUSE_BITS_INIT, out->init.flags);
    return;
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    put_node(line, "node", out->entry.node);
    put_attr(line, &out->entry.attr);
    return;
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    put_node(line, "node", out->create.entry.node);
    put_node(line, "handle", out->create.open.handle);
    put_opened_flags(line, out->create.open.flags);
    put_attr(line, &out->create.entry.attr);
    return;
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    put_attr(line, &out->attr.attr);
    return;
  case VIRTIOFS_FUSE_STATX:
    put_attr(line, &out->statx.statx.attr);
    return;
  default:
    return;
  }
}

static void put_file_reply(struct line *line, uint32_t opcode, const union virtiofs_fuse_out *out) {
  switch (opcode) {
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    put_node(line, "handle", out->open.handle);
    put_opened_flags(line, out->open.flags);
    return;
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    put(line, " size=%u", out->read.size);
    return;
  case VIRTIOFS_FUSE_WRITE:
    put(line, " size=%u", out->write.size);
    return;
  case VIRTIOFS_FUSE_READLINK:
    put(line, " len=%u", out->readlink.len);
    return;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    put(line, " size=%u", out->xattr.size);
    return;
  case VIRTIOFS_FUSE_LSEEK:
    put(line, " offset=%" PRIu64, out->lseek.offset);
    return;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    put(line, " size=%" PRIu64, out->copy_file_range.size);
    return;
  case VIRTIOFS_FUSE_GETLK:
    put_lock(line, &out->getlk.lock);
    return;
  case VIRTIOFS_FUSE_IOCTL:
    put(line, " result=%d size=%u", out->ioctl.result, out->ioctl.size);
    return;
  case VIRTIOFS_FUSE_POLL:
    put(line, " revents=%x", out->poll.revents);
    return;
  default:
    return;
  }
}

size_t virtiofs_fuse_reply_format(const struct virtiofs_fuse_header *header, int error,
                                  const union virtiofs_fuse_out *out, char *buf, size_t size) {
  struct line line = {.buf = buf, .size = size};
  if (size > 0)
    buf[0] = 0;
  put(&line, "#%" PRIu64 " %s = ", header->unique, virtiofs_fuse_opcode_name(header->opcode));
  if (error != 0) {
    /* What is no error of Linux's becomes EIO on the wire. */
    put(&line, "%s", virtiofs_errno_name(error < 0 && error > -512 ? -error : EIO));
    return line.len;
  }
  put(&line, "0");
  put_node_reply(&line, header->opcode, out);
  put_file_reply(&line, header->opcode, out);
  return line.len;
}
