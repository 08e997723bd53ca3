/* SPDX-License-Identifier: BSD-3-Clause */
/* Every message there and back: written, read, and written again it has to be the same bytes. For every minor, both
 * byte orders, random fields, and segments cut anywhere. What a field means is for test_decode.c and test_encode.c to
 * say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <virtiofs/fuse.h>

#include "fuse/table.h"

enum { ROUNDS = 6, BYTES = 16384, SEGMENTS = 64, MINORS = 46 };

static uint64_t state = 1;

static uint64_t any(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static uint64_t below(uint64_t n) {
  return any() % n;
}

static void fill(void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++)
    ((unsigned char *)bytes)[i] = (unsigned char)any();
}

static struct virtiofs_name name_of(char *storage, size_t max) {
  size_t len = 1 + below(max);
  for (size_t i = 0; i < len; i++)
    storage[i] = (char)('A' + below(26));
  storage[len] = 0;
  return (struct virtiofs_name){.str = storage, .len = (uint32_t)len};
}

/* ---- requests ---- */

static char name_a[VIRTIOFS_TARGET_MAX + 1], name_b[VIRTIOFS_TARGET_MAX + 1];
static unsigned char extension_bytes[64];

/* A context of 10 bytes and a group. */
static struct virtiofs_extensions extensions(void) {
  uint32_t context[] = {40, 1, 10, 0};
  uint32_t groups[] = {16, 32, 1, 4711};
  memset(extension_bytes, 0, sizeof extension_bytes);
  memcpy(extension_bytes, context, sizeof context);
  memcpy(extension_bytes + 16, "selinux\0contextual", 18);
  memcpy(extension_bytes + 40, groups, sizeof groups);
  return (struct virtiofs_extensions){.bytes = extension_bytes, .size = 56};
}

static struct virtiofs_time some_time(void) {
  return (struct virtiofs_time){.sec = (int64_t)any(), .nsec = (uint32_t)below(1000000000)};
}

static void some_data(struct virtiofs_data *data, size_t max) {
  *data = (struct virtiofs_data){.size = below(max + 1)};
}

static void some_setattr(struct virtiofs_setattr_in *in, uint64_t node) {
  *in = (struct virtiofs_setattr_in){.node = node, .has_handle = below(2) != 0, .mode = (uint32_t)below(010000)};
  in->handle = in->has_handle ? any() : 0;
  in->valid = VIRTIOFS_SET_MODE | VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_SIZE | VIRTIOFS_SET_ATIME |
              VIRTIOFS_SET_MTIME | VIRTIOFS_SET_CTIME | VIRTIOFS_SET_KILL_SUIDGID;
  in->uid = (uint32_t)below(UINT32_MAX);
  in->gid = (uint32_t)below(UINT32_MAX);
  in->size = any() >> 1;
  in->atime = some_time();
  in->mtime = some_time();
  in->ctime = some_time();
}

/* Names, and ranges within what is allowed; everything else stays as random as it is. */
static void make_names_sound(union virtiofs_fuse_in *in, uint32_t opcode, const struct virtiofs_extensions *extended,
                             const struct virtiofs_fuse_proto *proto) {
  uint64_t node = in->nodeid;
  struct virtiofs_extensions ext = proto->minor >= 38 ? *extended : (struct virtiofs_extensions){0};
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_UNLINK:
  case VIRTIOFS_FUSE_RMDIR:
    in->lookup.name = name_of(name_a, VIRTIOFS_FUSE_NAME_MAX);
    break;
  case VIRTIOFS_FUSE_SYMLINK:
    in->symlink = (struct virtiofs_symlink_in){.parent = node,
                                               .name = name_of(name_a, 300),
                                               .target = name_of(name_b, VIRTIOFS_TARGET_MAX),
                                               .extensions = ext};
    break;
  case VIRTIOFS_FUSE_MKNOD:
    in->mknod = (struct virtiofs_mknod_in){.parent = node,
                                           .name = name_of(name_a, 300),
                                           .mode = VIRTIOFS_S_IFCHR | (uint32_t)below(010000),
                                           .umask = (uint32_t)below(01000),
                                           .rdev_major = (uint32_t)below(1 << 12),
                                           .rdev_minor = (uint32_t)below(1 << 20),
                                           .extensions = ext};
    break;
  case VIRTIOFS_FUSE_MKDIR:
    in->mkdir = (struct virtiofs_mkdir_in){.parent = node,
                                           .name = name_of(name_a, 300),
                                           .mode = (uint32_t)below(010000),
                                           .umask = (uint32_t)below(01000),
                                           .extensions = ext};
    break;
  case VIRTIOFS_FUSE_RENAME:
  case VIRTIOFS_FUSE_RENAME2:
    in->rename.name = name_of(name_a, 300);
    in->rename.new_name = name_of(name_b, 300);
    in->rename.flags = opcode == VIRTIOFS_FUSE_RENAME ? 0 : (uint32_t)below(8);
    break;
  case VIRTIOFS_FUSE_LINK:
    in->link.name = name_of(name_a, 300);
    break;
  case VIRTIOFS_FUSE_REMOVEMAPPING:
    in->removemapping.count = (uint32_t)below(40);
    break;
  case VIRTIOFS_FUSE_SETUPMAPPING:
    in->setupmapping.offset >>= 2;
    in->setupmapping.window_offset >>= 1;
    in->setupmapping.len = (in->setupmapping.len >> 2) | 1;
    in->setupmapping.flags = 1 + below(3);
    break;
  case VIRTIOFS_FUSE_INIT:
    in->init.major = 7;
    if ((in->init.flags & VIRTIOFS_FUSE_INIT_EXT) == 0)
      in->init.flags = (uint32_t)in->init.flags;
    break;
  default:
    break;
  }
}

static void make_made_sound(union virtiofs_fuse_in *in, uint32_t opcode, const struct virtiofs_extensions *extended,
                            const struct virtiofs_fuse_proto *proto) {
  uint64_t node = in->nodeid;
  struct virtiofs_extensions ext = proto->minor >= 38 ? *extended : (struct virtiofs_extensions){0};
  switch (opcode) {
  case VIRTIOFS_FUSE_CREATE:
    in->create = (struct virtiofs_create_in){.parent = node,
                                             .name = name_of(name_a, 300),
                                             .flags = (uint32_t)any() | VIRTIOFS_WIRE_O_CREAT,
                                             .mode = VIRTIOFS_S_IFREG | (uint32_t)below(010000),
                                             .umask = (uint32_t)below(01000),
                                             .open_flags = (uint32_t)any(),
                                             .extensions = ext};
    break;
  case VIRTIOFS_FUSE_TMPFILE:
    in->tmpfile = (struct virtiofs_tmpfile_in){.parent = node,
                                               .flags = (uint32_t)any() & ~0300U,
                                               .mode = VIRTIOFS_S_IFREG | (uint32_t)below(010000),
                                               .umask = (uint32_t)below(01000),
                                               .open_flags = (uint32_t)any(),
                                               .extensions = ext};
    break;
  case VIRTIOFS_FUSE_SETATTR:
    some_setattr(&in->setattr, node);
    break;
  case VIRTIOFS_FUSE_GETATTR:
    in->getattr = (struct virtiofs_getattr_in){.node = node, .handle = any(), .has_handle = true};
    break;
  case VIRTIOFS_FUSE_STATX:
    in->statx = (struct virtiofs_statx_in){
        .node = node, .handle = any(), .has_handle = true, .flags = (uint32_t)any(), .mask = (uint32_t)any()};
    break;
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    in->open.flags &= ~0700U;
    break;
  case VIRTIOFS_FUSE_READ:
    in->read.offset >>= 2;
    break;
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    in->readdir.offset >>= 1;
    break;
  case VIRTIOFS_FUSE_WRITE:
    in->write.offset >>= 2;
    some_data(&in->write.data, 5000);
    break;
  default:
    break;
  }
}

static void make_files_sound(union virtiofs_fuse_in *in, uint32_t opcode, const struct virtiofs_extensions *extended,
                             const struct virtiofs_fuse_proto *proto) {
  (void)extended;
  switch (opcode) {
  case VIRTIOFS_FUSE_NOTIFY_REPLY:
    some_data(&in->notify_reply.data, 5000);
    break;
  case VIRTIOFS_FUSE_IOCTL:
    some_data(&in->ioctl.data, 300);
    break;
  case VIRTIOFS_FUSE_SETXATTR:
    in->setxattr.name = name_of(name_a, 255);
    some_data(&in->setxattr.value, 3000);
    break;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_REMOVEXATTR:
    in->getxattr.name = name_of(name_a, 255);
    break;
  case VIRTIOFS_FUSE_FSYNC:
  case VIRTIOFS_FUSE_FSYNCDIR:
    in->fsync.data_only = below(2) != 0;
    break;
  case VIRTIOFS_FUSE_FALLOCATE:
    in->fallocate.offset >>= 2;
    in->fallocate.length = (in->fallocate.length >> 2) | 1;
    break;
  case VIRTIOFS_FUSE_LSEEK:
    in->lseek.offset >>= 1;
    break;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    in->copy_file_range.offset >>= 2;
    in->copy_file_range.offset_out >>= 2;
    in->copy_file_range.len = below(UINT64_C(0x7ffff000));
    break;
  case VIRTIOFS_FUSE_GETLK:
  case VIRTIOFS_FUSE_SETLK:
  case VIRTIOFS_FUSE_SETLKW:
    in->lk.lock = (struct virtiofs_lock){
        .start = any() >> 2, .end = INT64_MAX, .type = (uint32_t)below(3), .pid = (uint32_t)any()};
    in->lk.flock = below(2) != 0;
    break;
  case VIRTIOFS_FUSE_POLL:
    if (proto->minor < 21)
      in->poll.events = 0;
    break;
  case VIRTIOFS_FUSE_BMAP:
    in->bmap.blocksize |= 1;
    break;
  case VIRTIOFS_FUSE_BATCH_FORGET:
    in->batch_forget.count = (uint32_t)below(40);
    break;
  default:
    break;
  }
}

static void make_sound(union virtiofs_fuse_in *in, uint32_t opcode, const struct virtiofs_fuse_proto *proto,
                       bool extended) {
  struct virtiofs_extensions ext = extended ? extensions() : (struct virtiofs_extensions){0};
  make_names_sound(in, opcode, &ext, proto);
  make_made_sound(in, opcode, &ext, proto);
  make_files_sound(in, opcode, &ext, proto);
}

/* Bytes that the caller of the encoder puts behind. */
static size_t bytes_behind(const union virtiofs_fuse_in *in, uint32_t opcode) {
  switch (opcode) {
  case VIRTIOFS_FUSE_WRITE:
    return in->write.data.size;
  case VIRTIOFS_FUSE_NOTIFY_REPLY:
    return in->notify_reply.data.size;
  case VIRTIOFS_FUSE_IOCTL:
    return in->ioctl.data.size;
  case VIRTIOFS_FUSE_SETXATTR:
    return in->setxattr.value.size;
  case VIRTIOFS_FUSE_BATCH_FORGET:
    return in->batch_forget.count * 16U;
  case VIRTIOFS_FUSE_REMOVEMAPPING:
    return in->removemapping.count * 16U;
  default:
    return 0;
  }
}

/* Cuts bytes into segments, each a block of its own. */
static uint32_t cut_up(const unsigned char *bytes, size_t len, struct iovec *iov) {
  uint32_t count = 0;
  for (size_t at = 0; at < len; count++) {
    size_t n = count == SEGMENTS - 1 ? len - at : 1 + below(len - at < 300 ? len - at : 300);
    iov[count] = (struct iovec){.iov_base = malloc(n), .iov_len = n};
    assert_non_null(iov[count].iov_base);
    memcpy(iov[count].iov_base, bytes + at, n);
    at += n;
  }
  return count;
}

static void free_all(struct iovec *iov, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    free(iov[i].iov_base);
}

static void one_request(uint32_t opcode, const struct virtiofs_fuse_proto *proto) {
  static unsigned char bytes[BYTES], again[BYTES];
  static struct virtiofs_fuse_request req;
  struct virtiofs_fuse_header header = {
      .opcode = opcode, .unique = any(), .uid = (uint32_t)any(), .gid = (uint32_t)any(), .pid = (uint32_t)any()};
  union virtiofs_fuse_in in;
  struct iovec iov[SEGMENTS], mine[SEGMENTS];
  fill(&in, sizeof in);
  make_sound(&in, opcode, proto, below(2) != 0);
  ssize_t own = virtiofs_fuse_request_encode(proto, &header, &in, bytes, sizeof bytes);
  assert_true(own > 0);
  size_t len = (size_t)own + bytes_behind(&in, opcode);
  assert_true(len <= sizeof bytes);
  fill(bytes + own, len - (size_t)own);
  uint32_t count = cut_up(bytes, len, iov);
  memcpy(mine, iov, sizeof iov);

  assert_int_equal(virtiofs_fuse_request_decode(&req, proto, mine, count), 0);
  assert_int_equal(req.header.opcode, opcode);
  assert_int_equal(req.header.unique, header.unique);
  assert_int_equal(req.header.len, len);
  assert_int_equal(req.header.swapped, proto->swapped);
  assert_int_equal(bytes_behind(&req.in, opcode), len - (size_t)own);
  assert_int_equal(virtiofs_fuse_request_encode(proto, &req.header, &req.in, again, sizeof again), own);
  assert_memory_equal(again, bytes, (size_t)own);
  assert_int_equal(virtiofs_fuse_request_encode(proto, &req.header, &req.in, again, (size_t)own - 1), -ENOSPC);
  free_all(iov, count);
}

static void all(void (*one)(uint32_t opcode, const struct virtiofs_fuse_proto *proto)) {
  for (uint32_t opcode = 1; opcode <= VIRTIOFS_FUSE_COPY_FILE_RANGE_64; opcode++) {
    if (virtiofs_fuse_op(opcode) == NULL)
      continue;
    for (uint32_t minor = 0; minor < MINORS; minor++) {
      for (int round = 0; round < ROUNDS; round++) {
        uint64_t flags = (round & 2) != 0 ? UINT64_MAX : ~VIRTIOFS_FUSE_SETXATTR_EXT;
        struct virtiofs_fuse_proto proto = {true, (round & 1) != 0, minor, flags};
        one(opcode, &proto);
      }
    }
  }
}

static void requests_come_out_as_they_went_in(void **unused) {
  (void)unused;
  all(one_request);
}

/* ---- replies ---- */

static struct virtiofs_attr some_attr(const struct virtiofs_fuse_proto *proto) {
  struct virtiofs_attr attr = {.ino = any(),
                               .size = any() >> 1,
                               .blocks = any(),
                               .atime = some_time(),
                               .mtime = some_time(),
                               .ctime = some_time(),
                               .mode = VIRTIOFS_S_IFDIR | (uint32_t)below(010000),
                               .nlink = (uint32_t)any(),
                               .uid = (uint32_t)any(),
                               .gid = (uint32_t)any(),
                               .rdev_major = (uint32_t)below(1 << 12),
                               .rdev_minor = (uint32_t)below(1 << 20)};
  attr.blksize = proto->minor >= 9 ? (uint32_t)any() : 0;
  attr.flags = proto->minor >= 9 ? (uint32_t)below(4) : 0;
  return attr;
}

static struct virtiofs_entry_out some_entry(const struct virtiofs_fuse_proto *proto) {
  return (struct virtiofs_entry_out){
      .node = any() | 1, .entry_valid_ns = any(), .attr_valid_ns = any(), .attr = some_attr(proto)};
}

static void make_node_reply_sound(union virtiofs_fuse_out *out, uint32_t opcode,
                                  const struct virtiofs_fuse_proto *proto) {
  struct virtiofs_open_out open = {.handle = any(), .flags = (uint32_t)any()};
  switch (opcode) {
  case VIRTIOFS_FUSE_INIT:
    if ((out->init.flags & VIRTIOFS_FUSE_INIT_EXT) == 0)
      out->init.flags = (uint32_t)out->init.flags;
    break;
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    out->entry = some_entry(proto);
    break;
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    out->create = (struct virtiofs_create_out){.entry = some_entry(proto), .open = open};
    break;
  case VIRTIOFS_FUSE_OPEN:
  case VIRTIOFS_FUSE_OPENDIR:
    out->open = open;
    break;
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    out->attr = (struct virtiofs_attr_out){.attr_valid_ns = any(), .attr = some_attr(proto)};
    break;
  case VIRTIOFS_FUSE_STATX: {
    struct virtiofs_fuse_proto newest = {.minor = VIRTIOFS_FUSE_MINOR};
    out->statx.attr_valid_ns = any();
    out->statx.statx.attr = some_attr(&newest);
    out->statx.statx.btime = some_time();
    break;
  }
  case VIRTIOFS_FUSE_READLINK:
    out->readlink = (struct virtiofs_readlink_out){.target = name_a, .len = 1 + (uint32_t)below(VIRTIOFS_TARGET_MAX)};
    break;
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    out->read.size = (uint32_t)below(5000);
    break;
  default:
    break;
  }
}

static void make_file_reply_sound(union virtiofs_fuse_out *out, uint32_t opcode,
                                  const struct virtiofs_fuse_proto *proto) {
  switch (opcode) {
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    out->xattr = (struct virtiofs_xattr_out){.size = (uint32_t)below(5000), .size_only = below(2) != 0};
    break;
  case VIRTIOFS_FUSE_IOCTL:
    out->ioctl.size = (uint32_t)below(5000);
    break;
  case VIRTIOFS_FUSE_LSEEK:
    out->lseek.offset >>= 1;
    break;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
    out->copy_file_range.size = (uint32_t)any();
    break;
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    out->copy_file_range.size >>= 1;
    break;
  case VIRTIOFS_FUSE_GETLK:
    out->getlk.lock = (struct virtiofs_lock){
        .start = any() >> 2, .end = INT64_MAX, .type = (uint32_t)below(3), .pid = (uint32_t)any()};
    break;
  case VIRTIOFS_FUSE_STATFS:
    out->statfs.frsize |= 1; /* 0 means the same as bsize */
    if (proto->minor < 4)
      out->statfs.frsize = 0;
    break;
  default:
    break;
  }
}

static void make_reply_sound(union virtiofs_fuse_out *out, uint32_t opcode, const struct virtiofs_fuse_proto *proto) {
  make_node_reply_sound(out, opcode, proto);
  make_file_reply_sound(out, opcode, proto);
}

static void one_reply(uint32_t opcode, const struct virtiofs_fuse_proto *proto) {
  static unsigned char bytes[BYTES], again[BYTES];
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = any(), .swapped = proto->swapped};
  union virtiofs_fuse_out out, back;
  struct iovec iov[SEGMENTS], room = {.iov_base = bytes, .iov_len = sizeof bytes};
  struct iovec room_again = {.iov_base = again, .iov_len = sizeof again};
  if (!virtiofs_fuse_has_reply(opcode))
    return;
  fill(&out, sizeof out);
  make_reply_sound(&out, opcode, proto);
  fill(bytes, sizeof bytes);
  memcpy(again, bytes, sizeof bytes);
  ssize_t len = virtiofs_fuse_reply_encode(proto, &header, 0, &out, &room, 1);
  assert_true(len >= 16);
  uint32_t count = cut_up(bytes, (size_t)len, iov);

  memset(&back, 0, sizeof back);
  if (opcode == VIRTIOFS_FUSE_GETXATTR || opcode == VIRTIOFS_FUSE_LISTXATTR)
    back.xattr.size_only = out.xattr.size_only;
  assert_int_equal(virtiofs_fuse_reply_decode(proto, &header, &back, iov, count, (size_t)len), 0);
  if (opcode == VIRTIOFS_FUSE_READLINK)
    back.readlink.target = name_a;
  assert_int_equal(virtiofs_fuse_reply_encode(proto, &header, 0, &back, &room_again, 1), len);
  assert_memory_equal(again, bytes, (size_t)len);
  /* No byte less, and for another request it is no reply. */
  assert_int_equal(virtiofs_fuse_reply_decode(proto, &header, &back, iov, count, (size_t)len - 1), -EPROTO);
  header.unique++;
  assert_int_equal(virtiofs_fuse_reply_decode(proto, &header, &back, iov, count, (size_t)len), -EPROTO);
  free_all(iov, count);
}

static void replies_come_out_as_they_went_in(void **unused) {
  (void)unused;
  all(one_reply);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_come_out_as_they_went_in),
      cmocka_unit_test(replies_come_out_as_they_went_in),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
