/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/shred.h"

#define UNTOUCHED 0xa5

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38};
static unsigned char reply[4096];

/* Encodes into @room bytes that are cut in way number @way; the bytes are in @reply afterwards. */
static ssize_t encode(uint32_t opcode, int error, const union virtiofs_fuse_out *out, size_t room, size_t way) {
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = UINT64_C(0x8877665544332211)};
  struct shred shred;
  memset(reply, UNTOUCHED, sizeof reply);
  shred_way(&shred, reply, room, way);
  ssize_t rc = virtiofs_fuse_reply_encode(&spoken, &header, error, out, shred.iov, shred.count);
  shred_join(&shred, reply);
  shred_free(&shred);
  return rc;
}

static bool untouched(size_t from, size_t to) {
  for (size_t i = from; i < to; i++)
    if (reply[i] != UNTOUCHED)
      return false;
  return true;
}

static void check_header(size_t len, int32_t error) {
  struct fuse_out_header header;
  memcpy(&header, reply, sizeof header);
  assert_int_equal(header.len, len);
  assert_int_equal(header.error, error);
  assert_int_equal(header.unique, UINT64_C(0x8877665544332211));
}

static const struct virtiofs_attr attr = {.ino = 5, .mode = VIRTIOFS_S_IFREG | 0644, .nlink = 1, .size = 77};
static const union virtiofs_fuse_out entry = {.entry = {.node = 6, .attr = {.mode = VIRTIOFS_S_IFDIR | 0755}}};
static const union virtiofs_fuse_out attributes = {.attr = {.attr_valid_ns = 1500000000, .attr = {.mode = 0100644}}};
static const union virtiofs_fuse_out opened = {.open = {.handle = 7, .flags = VIRTIOFS_OPEN_KEEP_CACHE}};
static const union virtiofs_fuse_out created = {
    .create = {.entry = {.node = 8, .attr = {.mode = 0100644}}, .open = {.handle = 9, .flags = 2}}};
static const union virtiofs_fuse_out written = {.write = {.size = 10}};
static const union virtiofs_fuse_out statistics = {.statfs = {1, 2, 3, 4, 5, 6, 7, 255}};
static const union virtiofs_fuse_out sought = {.lseek = {.offset = 11}};
static const union virtiofs_fuse_out initialised = {
    .init = {.major = 7, .minor = 38, .flags = UINT64_C(0x0000000540000001), .max_write = 4096, .max_pages = 1}};

static const struct kind {
  uint32_t opcode;
  const union virtiofs_fuse_out *out;
  size_t args;
} kinds[] = {
    {FUSE_LOOKUP, &entry, sizeof(struct fuse_entry_out)},
    {FUSE_SYMLINK, &entry, sizeof(struct fuse_entry_out)},
    {FUSE_MKNOD, &entry, sizeof(struct fuse_entry_out)},
    {FUSE_MKDIR, &entry, sizeof(struct fuse_entry_out)},
    {FUSE_LINK, &entry, sizeof(struct fuse_entry_out)},
    {FUSE_GETATTR, &attributes, sizeof(struct fuse_attr_out)},
    {FUSE_OPEN, &opened, sizeof(struct fuse_open_out)},
    {FUSE_SETATTR, &attributes, sizeof(struct fuse_attr_out)},
    {FUSE_OPENDIR, &opened, sizeof(struct fuse_open_out)},
    {FUSE_WRITE, &written, sizeof(struct fuse_write_out)},
    {FUSE_STATFS, &statistics, sizeof(struct fuse_statfs_out)},
    {FUSE_LSEEK, &sought, sizeof(struct fuse_lseek_out)},
    {FUSE_INIT, &initialised, sizeof(struct fuse_init_out)},
    {FUSE_UNLINK, NULL, 0},
    {FUSE_RMDIR, NULL, 0},
    {FUSE_RENAME, NULL, 0},
    {FUSE_RENAME2, NULL, 0},
    {FUSE_RELEASE, NULL, 0},
    {FUSE_FSYNC, NULL, 0},
    {FUSE_FLUSH, NULL, 0},
    {FUSE_FSYNCDIR, NULL, 0},
    {FUSE_RELEASEDIR, NULL, 0},
    {FUSE_FALLOCATE, NULL, 0},
    {FUSE_DESTROY, NULL, 0},
    {FUSE_CREATE, &created, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)},
};

/* However the room is cut, the same bytes come out, and none behind them is touched. */
static void each_reply_is_whole_however_its_room_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    size_t len = 16 + kinds[i].args;
    unsigned char whole[512];
    assert_int_equal(virtiofs_fuse_reply_room(&spoken, kinds[i].opcode), len);
    assert_int_equal(encode(kinds[i].opcode, 0, kinds[i].out, len, 0), len);
    check_header(len, 0);
    memcpy(whole, reply, len);
    for (size_t way = 0; way < shred_ways(len + 9); way++) {
      assert_int_equal(encode(kinds[i].opcode, 0, kinds[i].out, len + 9, way), len);
      assert_memory_equal(reply, whole, len);
      assert_true(untouched(len, len + 9));
    }
  }
}

static void a_reply_without_room_is_not_begun(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    for (size_t room = 0; room < 16 + kinds[i].args; room++) {
      assert_int_equal(encode(kinds[i].opcode, 0, kinds[i].out, room, 0), -ENOSPC);
      assert_true(untouched(0, room));
    }
}

/* The stack under the encoder is filled first, so that what isn't written by it can be seen. */
static void no_byte_of_the_stack_goes_out(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    unsigned char first[512];
    size_t len = 16 + kinds[i].args;
    for (int fill = 0; fill < 2; fill++) {
      volatile unsigned char dirt[2048];
      for (size_t j = 0; j < sizeof dirt; j++)
        dirt[j] = fill != 0 ? 0xff : 0x11;
      assert_int_equal(encode(kinds[i].opcode, 0, kinds[i].out, len, 0), len);
      if (fill == 0)
        memcpy(first, reply, len);
    }
    assert_memory_equal(reply, first, len);
  }
}

static void arguments_stand_where_linux_looks(void **state) {
  (void)state;
  struct fuse_open_out open;
  struct fuse_statfs_out st;
  struct fuse_init_out init;
  struct fuse_attr_out at;
  (void)!encode(FUSE_CREATE, 0, &created, 16 + 144, 0);
  memcpy(&open, reply + 16 + sizeof(struct fuse_entry_out), sizeof open);
  assert_int_equal(open.fh, 9);
  assert_int_equal(open.open_flags, 2);
  (void)!encode(FUSE_STATFS, 0, &statistics, 96, 0);
  memcpy(&st, reply + 16, sizeof st);
  assert_int_equal(st.st.blocks, 1);
  assert_int_equal(st.st.ffree, 5);
  assert_int_equal(st.st.bsize, 6);
  assert_int_equal(st.st.frsize, 7);
  assert_int_equal(st.st.namelen, 255);
  (void)!encode(FUSE_INIT, 0, &initialised, 80, 0);
  memcpy(&init, reply + 16, sizeof init);
  assert_int_equal(init.major, 7);
  assert_int_equal(init.flags, 0x40000001);
  assert_int_equal(init.flags2, 5);
  assert_int_equal(init.max_pages, 1);
  (void)!encode(FUSE_GETATTR, 0, &attributes, 120, 0);
  memcpy(&at, reply + 16, sizeof at);
  assert_int_equal(at.attr_valid, 1);
  assert_int_equal(at.attr_valid_nsec, 500000000);
  assert_int_equal(at.attr.mode, 0100644);
}

static void blocks_are_as_large_as_preferred_unless_said(void **state) {
  (void)state;
  struct fuse_statfs_out st;
  const union virtiofs_fuse_out out = {.statfs = {.bsize = 512}};
  assert_int_equal(encode(FUSE_STATFS, 0, &out, 96, 0), 96);
  memcpy(&st, reply + 16, sizeof st);
  assert_int_equal(st.st.frsize, 512);
}

static void errors_are_a_header_in_the_range_of_linux(void **state) {
  (void)state;
  static const struct {
    int error, wire;
  } errors[] = {{-1, -1},  {-ENOSYS, -ENOSYS}, {-511, -511}, {-512, -EIO},    {-516, -EIO},   {-1000, -EIO},
                {1, -EIO}, {ENOENT, -EIO},     {512, -EIO},  {INT_MIN, -EIO}, {INT_MAX, -EIO}};
  static const uint32_t opcodes[] = {FUSE_LOOKUP, FUSE_READ, FUSE_CREATE, FUSE_UNLINK, FUSE_INTERRUPT, 0, 9999};
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
    for (size_t j = 0; j < sizeof opcodes / sizeof opcodes[0]; j++) {
      assert_int_equal(encode(opcodes[j], errors[i].error, NULL, 200, i * 3), 16);
      check_header(16, errors[i].wire);
      assert_true(untouched(16, 200));
      assert_int_equal(encode(opcodes[j], errors[i].error, NULL, 15, 0), -ENOSPC);
      assert_true(untouched(0, 15));
    }
}

static void forgetting_has_no_reply(void **state) {
  (void)state;
  static const uint32_t silent[] = {FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_NOTIFY_REPLY};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(encode(silent[i], 0, NULL, 100, 0), 0);
    assert_int_equal(encode(silent[i], -EIO, NULL, 100, 0), 0);
    assert_true(untouched(0, 100));
  }
}

static void file_contents_stay_where_they_are(void **state) {
  (void)state;
  static const uint32_t reads[] = {FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS};
  for (size_t i = 0; i < 3; i++) {
    union virtiofs_fuse_out out = {.read = {.size = 50}};
    assert_int_equal(encode(reads[i], 0, &out, 80, 20), 66);
    check_header(66, 0);
    assert_true(untouched(16, 80));
    assert_int_equal(encode(reads[i], 0, &out, 65, 0), -ENOSPC);
    out.read.size = UINT32_MAX;
    assert_int_equal(encode(reads[i], 0, &out, 80, 0), -ENOSPC);
    out.read.size = 0;
    assert_int_equal(encode(reads[i], 0, &out, 16, 0), 16);
  }
}

/* A length is 32 bits; only the header's bytes of this room are touched. */
static void a_length_that_would_wrap_is_refused(void **state) {
  (void)state;
  if (sizeof(size_t) < 8)
    return;
  struct virtiofs_fuse_header header = {.opcode = FUSE_READ};
  struct iovec iov = {.iov_base = reply, .iov_len = (size_t)1 << 33};
  union virtiofs_fuse_out out = {.read = {.size = UINT32_MAX - 16}};
  assert_int_equal(virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1), UINT32_MAX);
  for (out.read.size = UINT32_MAX - 15; out.read.size != 0; out.read.size++)
    assert_int_equal(virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1), -ENOSPC);
}

static void a_link_target_is_copied(void **state) {
  (void)state;
  char *target = malloc(VIRTIOFS_TARGET_MAX);
  assert_non_null(target);
  memset(target, 't', VIRTIOFS_TARGET_MAX);
  union virtiofs_fuse_out out = {.readlink = {.target = target, .len = 33}};
  for (size_t way = 0; way < shred_ways(60); way++) {
    assert_int_equal(encode(FUSE_READLINK, 0, &out, 60, way), 49);
    assert_memory_equal(reply + 16, target, 33);
    assert_true(untouched(49, 60));
  }
  assert_int_equal(encode(FUSE_READLINK, 0, &out, 48, 0), -ENOSPC);
  out.readlink.len = VIRTIOFS_TARGET_MAX - 100;
  assert_int_equal(encode(FUSE_READLINK, 0, &out, sizeof reply, 0), 16 + VIRTIOFS_TARGET_MAX - 100);
  free(target);
}

/* Beyond the target's memory stands what is the server's own. */
static void a_link_target_is_no_longer_than_its_memory(void **state) {
  (void)state;
  static unsigned char room[VIRTIOFS_TARGET_MAX + 32];
  struct virtiofs_fuse_header header = {.opcode = FUSE_READLINK};
  struct iovec iov = {.iov_base = room, .iov_len = sizeof room};
  char *target = malloc(VIRTIOFS_TARGET_MAX);
  assert_non_null(target);
  memset(target, 't', VIRTIOFS_TARGET_MAX);
  union virtiofs_fuse_out out = {.readlink = {.target = target, .len = VIRTIOFS_TARGET_MAX}};
  assert_int_equal(virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1), 16 + VIRTIOFS_TARGET_MAX);
  out.readlink.len++;
  assert_int_equal(virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1), -EINVAL);
  out.readlink.len = UINT32_MAX;
  assert_int_equal(virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1), -EINVAL);
  free(target);
}

static void check_unsound(uint32_t opcode, const union virtiofs_fuse_out *out) {
  assert_int_equal(encode(opcode, 0, out, 300, 0), -EINVAL);
  assert_true(untouched(0, 300));
}

static void unsound_arguments_are_not_sent(void **state) {
  (void)state;
  union virtiofs_fuse_out bad = {.entry = {.node = 6, .attr = attr}};
  bad.entry.attr.mtime.nsec = 1000000000;
  check_unsound(FUSE_LOOKUP, &bad);
  check_unsound(FUSE_LINK, &bad);
  check_unsound(FUSE_CREATE, &bad);
  bad = (union virtiofs_fuse_out){.attr = {.attr = attr}};
  bad.attr.attr.mode = 0644;
  check_unsound(FUSE_GETATTR, &bad);
  check_unsound(FUSE_SETATTR, &bad);
  bad = (union virtiofs_fuse_out){.lseek = {.offset = (uint64_t)INT64_MAX + 1}};
  check_unsound(FUSE_LSEEK, &bad);
}

/* Linux takes node 0 for "not there", and only from LOOKUP. */
static void only_a_lookup_may_find_nothing(void **state) {
  (void)state;
  static const uint32_t makers[] = {FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_LINK, FUSE_CREATE};
  const union virtiofs_fuse_out none = {.entry = {.entry_valid_ns = 1000000000}};
  assert_int_equal(encode(FUSE_LOOKUP, 0, &none, 300, 0), 16 + sizeof(struct fuse_entry_out));
  for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++)
    check_unsound(makers[i], &none);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_reply_is_whole_however_its_room_is_cut),
      cmocka_unit_test(a_reply_without_room_is_not_begun),
      cmocka_unit_test(no_byte_of_the_stack_goes_out),
      cmocka_unit_test(arguments_stand_where_linux_looks),
      cmocka_unit_test(blocks_are_as_large_as_preferred_unless_said),
      cmocka_unit_test(errors_are_a_header_in_the_range_of_linux),
      cmocka_unit_test(forgetting_has_no_reply),
      cmocka_unit_test(file_contents_stay_where_they_are),
      cmocka_unit_test(a_length_that_would_wrap_is_refused),
      cmocka_unit_test(a_link_target_is_copied),
      cmocka_unit_test(a_link_target_is_no_longer_than_its_memory),
      cmocka_unit_test(unsound_arguments_are_not_sent),
      cmocka_unit_test(only_a_lookup_may_find_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
