/* SPDX-License-Identifier: BSD-3-Clause */
/* The replies of golden/: each is read as the driver reads it, has what its file names, is written again to the same
 * bytes, and is an error or less when it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/golden.h"
#include "support/shred.h"

static const struct golden_field fields[] = {
#define F(member)                                                                                                      \
  { "reply." #member, offsetof(union virtiofs_fuse_out, member), sizeof(((union virtiofs_fuse_out *)NULL)->member) }
    /* clang-format off */
    F(attr.attr.atime.sec), F(attr.attr.ino), F(attr.attr.mode), F(attr.attr.size), F(attr.attr.uid), F(bmap.block),
    F(copy_file_range.size), F(create.entry.attr.ctime.nsec), F(create.entry.attr.mode),
    F(create.entry.attr.mtime.nsec), F(create.entry.attr.uid), F(create.entry.entry_valid_ns), F(create.entry.node),
    F(create.open.flags), F(create.open.handle), F(entry.attr.blksize), F(entry.attr.gid), F(entry.attr.ino),
    F(entry.attr.mode), F(entry.attr.mtime.nsec), F(entry.attr.mtime.sec), F(entry.attr.nlink), F(entry.attr.uid),
    F(getlk.lock.end), F(getlk.lock.pid), F(getlk.lock.start), F(getlk.lock.type), F(init.congestion_threshold),
    F(init.flags), F(init.major), F(init.map_alignment), F(init.max_background), F(init.max_pages),
    F(init.max_readahead), F(init.max_write), F(init.minor), F(init.time_gran), F(ioctl.result), F(ioctl.size),
    F(lseek.offset), F(open.flags), F(open.handle), F(poll.revents), F(read.size), F(readlink.len), F(statfs.bavail),
    F(statfs.bfree), F(statfs.blocks), F(statfs.bsize), F(statfs.ffree), F(statfs.files), F(statfs.frsize),
    F(statfs.namelen), F(statx.statx.attr.mode), F(statx.statx.btime.nsec), F(statx.statx.mask), F(write.size),
    F(xattr.size),
    /* clang-format on */
};

static struct virtiofs_fuse_request request;
static union virtiofs_fuse_out got;

static void decode_request(const struct golden *golden) {
  struct iovec iov = {.iov_base = (void *)(uintptr_t)golden->bytes, .iov_len = golden->len};
  assert_int_equal(virtiofs_fuse_request_decode(&request, &golden->proto, &iov, 1), 0);
}

static int decode(const struct golden *golden, const unsigned char *bytes, size_t len, size_t way) {
  struct shred shred;
  shred_way(&shred, bytes, len, way);
  memset(&got, 0xee, sizeof got);
  got.xattr.size_only = request.in.getxattr.size == 0;
  if (request.header.opcode == VIRTIOFS_FUSE_LISTXATTR)
    got.xattr.size_only = request.in.listxattr.size == 0;
  int rc = virtiofs_fuse_reply_decode(&golden->proto, &request.header, &got, shred.iov, shred.count, len);
  shred_free(&shred);
  return rc;
}

/* What the file says about the reply's error; 0 if nothing. */
static int wanted_error(const struct golden *golden) {
  for (size_t i = 0; i < golden->expectations; i++)
    if (strncmp(golden->expected[i], "reply.error ", 12) == 0)
      return atoi(golden->expected[i] + 12);
  return 0;
}

static void check(const char *expected) {
  size_t len = strcspn(expected, " ");
  if (strncmp(expected, "reply.", 6) != 0 || strncmp(expected, "reply.error", 11) == 0)
    return;
  const struct golden_field *field = golden_find(fields, sizeof fields / sizeof fields[0], expected, len);
  if (field == NULL)
    fail_msg("there is no field '%s'", expected);
  if (golden_number(&got, field) != strtoull(expected + len + 1, NULL, 0))
    fail_msg("expected '%s', got %#llx", expected, (unsigned long long)golden_number(&got, field));
}

/* How many bytes at the reply's end the caller puts there. */
static size_t in_place(void) {
  switch (request.header.opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    return got.read.size;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    return got.xattr.size_only ? 0 : got.xattr.size;
  case VIRTIOFS_FUSE_IOCTL:
    return got.ioctl.size;
  default:
    return 0;
  }
}

static void check_encode(const struct golden *golden, int error, size_t way) {
  unsigned char room[GOLDEN_BYTES], written[GOLDEN_BYTES];
  struct shred shred;
  size_t kept = error == 0 ? in_place() : 0;
  memset(room, 0xa5, sizeof room);
  memcpy(room + golden->reply_len - kept, golden->reply + golden->reply_len - kept, kept);
  if (error == 0 && request.header.opcode == VIRTIOFS_FUSE_READLINK)
    got.readlink.target = (char *)(uintptr_t)golden->reply + VIRTIOFS_FUSE_OUT_HEADER;
  shred_way(&shred, room, golden->reply_len, way);
  ssize_t len = virtiofs_fuse_reply_encode(&golden->proto, &request.header, error, error == 0 ? &got : NULL, shred.iov,
                                           shred.count);
  assert_int_equal(len, golden->reply_len);
  shred_join(&shred, written);
  assert_memory_equal(written, golden->reply, golden->reply_len);
  shred_free(&shred);
}

/* Those whose last part is as long as it is. */
static bool is_variable(size_t len) {
  switch (request.header.opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    return true;
  case VIRTIOFS_FUSE_GETXATTR:
  case VIRTIOFS_FUSE_LISTXATTR:
    return !got.xattr.size_only;
  case VIRTIOFS_FUSE_READLINK:
    return len > VIRTIOFS_FUSE_OUT_HEADER;
  case VIRTIOFS_FUSE_IOCTL:
    return len >= VIRTIOFS_FUSE_OUT_HEADER + 16;
  case VIRTIOFS_FUSE_INIT:
    return len == VIRTIOFS_FUSE_OUT_HEADER + 8 || len == VIRTIOFS_FUSE_OUT_HEADER + 24;
  default:
    return false;
  }
}

static void check_cut(const struct golden *golden, int error) {
  unsigned char bytes[GOLDEN_BYTES];
  memcpy(bytes, golden->reply, golden->reply_len);
  for (uint32_t len = 0; len < golden->reply_len; len++) {
    assert_int_equal(decode(golden, golden->reply, len, 0), -EPROTO);
    uint32_t wire = htole32(len);
    memcpy(bytes, &wire, sizeof wire);
    int rc = decode(golden, bytes, len, len / 2);
    bool whole = error == 0 && len >= VIRTIOFS_FUSE_OUT_HEADER && is_variable(len);
    assert_int_equal(rc, whole ? 0 : -EPROTO);
  }
}

static unsigned replies;

static void check_one(const struct golden *golden) {
  decode_request(golden);
  if (!virtiofs_fuse_has_reply(request.header.opcode) || request.header.opcode == VIRTIOFS_FUSE_INTERRUPT) {
    assert_int_equal(golden->reply_len, 0);
    return;
  }
  int error = wanted_error(golden);
  assert_true(golden->reply_len >= VIRTIOFS_FUSE_OUT_HEADER);
  for (size_t way = 0; way < shred_ways(golden->reply_len); way++) {
    assert_int_equal(decode(golden, golden->reply, golden->reply_len, way), error);
    for (size_t i = 0; i < golden->expectations; i++)
      check(golden->expected[i]);
    check_encode(golden, error, way);
  }
  check_cut(golden, error);
  replies++;
}

static void each_is_read_and_written(void **state) {
  (void)state;
  (void)golden_each(GOLDEN_DIR, check_one);
  assert_true(replies >= 58);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_is_read_and_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
