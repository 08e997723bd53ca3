/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of golden/: each is read, has the fields that its file names, and is an error or less when it is cut. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/golden.h"
#include "support/shred.h"

static const struct golden_field fields[] = {
#define F(member)                                                                                                      \
  { #member, offsetof(union virtiofs_fuse_in, member), sizeof(((union virtiofs_fuse_in *)NULL)->member) }
    /* clang-format off */
    F(access.mask), F(batch_forget.count), F(bmap.block), F(bmap.blocksize), F(copy_file_range.handle),
    F(copy_file_range.handle_out), F(copy_file_range.len), F(copy_file_range.node_out),
    F(copy_file_range.offset), F(copy_file_range.offset_out), F(create.extensions.size), F(create.flags),
    F(create.mode), F(create.umask), F(fallocate.handle), F(fallocate.length), F(fallocate.mode),
    F(fallocate.offset), F(flush.handle), F(flush.lock_owner), F(forget.nlookup), F(fsync.data_only),
    F(fsync.handle), F(getattr.handle), F(getattr.has_handle), F(getxattr.size), F(init.flags), F(init.major),
    F(init.max_readahead), F(init.minor), F(interrupt.unique), F(ioctl.arg), F(ioctl.cmd), F(ioctl.data.size),
    F(ioctl.flags), F(ioctl.handle), F(ioctl.out_size), F(link.node), F(listxattr.size), F(lk.flock),
    F(lk.handle), F(lk.lock.end), F(lk.lock.pid), F(lk.lock.start), F(lk.lock.type), F(lk.owner),
    F(lseek.handle), F(lseek.offset), F(lseek.whence), F(mkdir.mode), F(mkdir.umask), F(mknod.mode),
    F(mknod.rdev_major), F(mknod.rdev_minor), F(mknod.umask), F(notify_reply.offset), F(notify_reply.size),
    F(open.flags), F(open.open_flags), F(opendir.flags), F(poll.events), F(poll.flags), F(poll.handle),
    F(poll.kh), F(read.flags), F(read.handle), F(read.offset), F(read.size), F(readdir.handle),
    F(readdir.offset), F(readdir.size), F(release.flags), F(release.handle), F(release.lock_owner),
    F(release.release_flags), F(removemapping.count), F(rename.flags), F(rename.new_parent),
    F(setattr.atime.nsec), F(setattr.atime.sec), F(setattr.ctime.nsec), F(setattr.gid), F(setattr.handle), F(setattr.mode),
    F(setattr.has_handle), F(setattr.mtime.nsec), F(setattr.mtime.sec), F(setattr.size), F(setattr.uid), F(setattr.valid), F(setupmapping.flags),
    F(setupmapping.handle), F(setupmapping.len), F(setupmapping.offset), F(setupmapping.window_offset),
    F(setxattr.flags), F(setxattr.setxattr_flags), F(setxattr.value.size), F(statx.flags), F(statx.handle),
    F(statx.has_handle), F(statx.mask), F(tmpfile.mode), F(tmpfile.umask), F(write.flags), F(write.handle),
    F(write.offset), F(write.size), F(write.write_flags),
    /* clang-format on */
};

#define H(member)                                                                                                      \
  { #member, offsetof(struct virtiofs_fuse_header, member), sizeof(((struct virtiofs_fuse_header *)NULL)->member) }
static const struct golden_field header_fields[] = {H(nodeid), H(uid), H(gid), H(pid)};

static const struct golden_field names[] = {
    /* clang-format off */
    F(create.name), F(getxattr.name), F(link.name), F(lookup.name), F(mkdir.name), F(mknod.name),
    F(removexattr.name), F(rename.name), F(rename.new_name), F(rmdir.name), F(setxattr.name), F(symlink.name),
    F(symlink.target), F(unlink.name),
    /* clang-format on */
};

static struct virtiofs_fuse_request got;

static void check(const char *expected) {
  size_t len = strcspn(expected, " ");
  const char *value = expected + len + 1;
  if (strncmp(expected, "reply.", 6) == 0)
    return;
  const struct golden_field *field = golden_find(names, sizeof names / sizeof names[0], expected, len);
  if (field != NULL) {
    struct virtiofs_name name;
    memcpy(&name, (unsigned char *)&got.in + field->offset, sizeof name);
    assert_string_equal(name.str, value);
    return;
  }
  uint64_t wanted = strtoull(value, NULL, 0);
  field = golden_find(header_fields, sizeof header_fields / sizeof header_fields[0], expected, len);
  if (field != NULL) {
    assert_int_equal(golden_number(&got.header, field), wanted);
    return;
  }
  field = golden_find(fields, sizeof fields / sizeof fields[0], expected, len);
  if (field == NULL)
    fail_msg("there is no field '%s'", expected);
  if (golden_number(&got.in, field) != wanted)
    fail_msg("expected '%s', got %#llx", expected, (unsigned long long)golden_number(&got.in, field));
}

static int decode(const struct golden *golden, const unsigned char *bytes, size_t len, size_t way) {
  struct shred shred;
  shred_way(&shred, bytes, len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &golden->proto, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

static void check_whole(const struct golden *golden) {
  for (size_t way = 0; way < shred_ways(golden->len); way++) {
    assert_int_equal(decode(golden, golden->bytes, golden->len, way), 0);
    for (size_t i = 0; i < golden->expectations; i++)
      check(golden->expected[i]);
  }
}

/* INIT's length says which fields there are; nothing else is whole when it is shorter. */
static void check_cut(const struct golden *golden) {
  unsigned char bytes[sizeof golden->bytes];
  memcpy(bytes, golden->bytes, golden->len);
  for (uint32_t len = 0; len < golden->len; len++) {
    assert_int_equal(decode(golden, golden->bytes, len, 0), -EPROTO);
    uint32_t wire = htole32(len);
    memcpy(bytes, &wire, sizeof wire);
    int rc = decode(golden, bytes, len, len / 2);
    bool init = strncmp(golden->name, "init", 4) == 0 && len >= 48;
    assert_int_equal(rc, len < 40 ? -EPROTO : init ? 0 : -EINVAL);
  }
}

static uint32_t opcodes_seen[64];

static void check_one(const struct golden *golden) {
  static const char *const origins[] = {"recorded: ", "captured: ", "by hand"};
  unsigned known = 0;
  for (unsigned i = 0; i < 3; i++)
    known += strncmp(golden->origin, origins[i], strlen(origins[i])) == 0;
  assert_int_equal(known, 1);
  check_whole(golden);
  assert_true(got.header.opcode < 64);
  opcodes_seen[got.header.opcode]++;
  check_cut(golden);
}

static void each_is_read_and_no_part_of_it(void **state) {
  (void)state;
  assert_true(golden_each(GOLDEN_DIR, check_one) >= 62);
}

static void ranges_of_a_window_are_read_one_by_one(void **state) {
  (void)state;
  static struct golden golden;
  struct virtiofs_window_range range;
  golden_load(&golden, GOLDEN_DIR, "removemapping");
  struct iovec iov = {.iov_base = golden.bytes, .iov_len = golden.len};
  assert_int_equal(virtiofs_fuse_request_decode(&got, &golden.proto, &iov, 1), 0);
  assert_true(virtiofs_removemapping_next(&got.in.removemapping, &range));
  assert_int_equal(range.offset, 0x400000);
  assert_int_equal(range.len, 0x200000);
  assert_false(virtiofs_removemapping_next(&got.in.removemapping, &range));
}

static void each_opcode_has_one(void **state) {
  (void)state;
  for (uint32_t opcode = 0; opcode < 64; opcode++)
    assert_int_equal(opcodes_seen[opcode] > 0, strcmp(virtiofs_fuse_opcode_name(opcode), "?") != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_is_read_and_no_part_of_it),
      cmocka_unit_test(each_opcode_has_one),
      cmocka_unit_test(ranges_of_a_window_are_read_one_by_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
