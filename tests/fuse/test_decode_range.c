/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/raw_request.h"
#include "support/shred.h"

/* Numbers that a driver may get wrong, each at its limit and one beyond. */

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38, .flags = UINT64_MAX};
static struct virtiofs_fuse_request got;
static struct fuse_request req;

static int decode_args(uint32_t opcode, const void *args, size_t len) {
  fuse_request_begin(&req, opcode);
  fuse_request_add(&req, args, len);
  struct shred shred;
  shred_even(&shred, req.bytes, req.len, 7);
  int rc = virtiofs_fuse_request_decode(&got, &spoken, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

#define DECODE(opcode, ...) decode_args(opcode, &(__VA_ARGS__), sizeof(__VA_ARGS__))

static int read_at(uint32_t opcode, uint64_t offset, uint32_t size) {
  return DECODE(opcode, (struct fuse_read_in){.offset = offset, .size = size});
}

static void a_read_ends_within_a_signed_offset(void **state) {
  (void)state;
  assert_int_equal(read_at(FUSE_READ, INT64_MAX, 0), 0);
  assert_int_equal(read_at(FUSE_READ, INT64_MAX, 1), -EFBIG);
  assert_int_equal(read_at(FUSE_READ, INT64_MAX - UINT32_MAX, UINT32_MAX), 0);
  assert_int_equal(read_at(FUSE_READ, INT64_MAX - UINT32_MAX + 1, UINT32_MAX), -EFBIG);
  assert_int_equal(read_at(FUSE_READ, (uint64_t)INT64_MAX + 1, 0), -EINVAL);
  assert_int_equal(read_at(FUSE_READ, UINT64_MAX, 1), -EINVAL);
}

static void a_listing_begins_within_a_signed_offset(void **state) {
  (void)state;
  assert_int_equal(read_at(FUSE_READDIR, INT64_MAX, UINT32_MAX), 0);
  assert_int_equal(read_at(FUSE_READDIR, (uint64_t)INT64_MAX + 1, 0), -EINVAL);
  assert_int_equal(read_at(FUSE_READDIRPLUS, INT64_MAX, 4096), 0);
  assert_int_equal(read_at(FUSE_READDIRPLUS, UINT64_MAX, 4096), -EINVAL);
}

static int write_at(uint64_t offset, uint32_t size, const char *data, size_t len) {
  struct fuse_write_in args = {.offset = offset, .size = size};
  unsigned char bytes[sizeof args + 16];
  memcpy(bytes, &args, sizeof args);
  memcpy(bytes + sizeof args, data, len);
  return decode_args(FUSE_WRITE, bytes, sizeof args + len);
}

static void a_write_ends_within_a_signed_offset(void **state) {
  (void)state;
  assert_int_equal(write_at(INT64_MAX - 4, 4, "data", 4), 0);
  assert_int_equal(write_at(INT64_MAX - 3, 4, "data", 4), -EFBIG);
  assert_int_equal(write_at((uint64_t)INT64_MAX + 1, 4, "data", 4), -EINVAL);
  assert_int_equal(write_at(UINT64_MAX, 4, "data", 4), -EINVAL);
}

static void a_write_carries_what_it_says(void **state) {
  (void)state;
  assert_int_equal(write_at(0, 0, "", 0), 0);
  assert_int_equal(got.in.write.data.count, 0);
  assert_int_equal(write_at(0, 4, "data", 4), 0);
  assert_int_equal(write_at(0, 3, "data", 4), -EINVAL);
  assert_int_equal(write_at(0, 5, "data", 4), -EINVAL);
  assert_int_equal(write_at(0, 0, "data", 4), -EINVAL);
  assert_int_equal(write_at(0, UINT32_MAX, "data", 4), -EINVAL);
  assert_int_equal(write_at(0, 4, "", 0), -EINVAL);
}

static int allocate(uint64_t offset, uint64_t length) {
  return DECODE(FUSE_FALLOCATE, (struct fuse_fallocate_in){.offset = offset, .length = length});
}

static void an_allocation_ends_within_a_signed_offset(void **state) {
  (void)state;
  assert_int_equal(allocate(0, INT64_MAX), 0);
  assert_int_equal(allocate(1, INT64_MAX), -EFBIG);
  assert_int_equal(allocate(INT64_MAX, 1), -EFBIG);
  assert_int_equal(allocate(0, UINT64_MAX), -EFBIG);
  assert_int_equal(allocate((uint64_t)INT64_MAX + 1, 1), -EINVAL);
  assert_int_equal(allocate(UINT64_MAX, 1), -EINVAL);
  assert_int_equal(allocate(0, 0), -EINVAL);
}

static void a_seek_is_to_a_signed_offset(void **state) {
  (void)state;
  assert_int_equal(DECODE(FUSE_LSEEK, (struct fuse_lseek_in){.offset = INT64_MAX}), 0);
  assert_int_equal(DECODE(FUSE_LSEEK, (struct fuse_lseek_in){.offset = (uint64_t)INT64_MAX + 1}), -EINVAL);
}

static int set(struct fuse_setattr_in in) { return decode_args(FUSE_SETATTR, &in, sizeof in); }

static void a_size_is_signed(void **state) {
  (void)state;
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_SIZE, .size = INT64_MAX}), 0);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_SIZE, .size = (uint64_t)INT64_MAX + 1}), -EFBIG);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_MODE, .size = UINT64_MAX}), 0);
}

/* chown(2) takes -1 for "leave it", and setresuid(2) would leave the server's. */
static void nobody_is_no_owner(void **state) {
  (void)state;
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_UID, .uid = UINT32_MAX}), -EINVAL);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_GID, .gid = UINT32_MAX}), -EINVAL);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_UID, .uid = UINT32_MAX - 1, .gid = UINT32_MAX}), 0);
}

static void times_have_less_than_a_second_of_nanoseconds(void **state) {
  (void)state;
  const uint32_t bad = 1000000000;
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_ATIME, .atimensec = bad}), -EINVAL);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_MTIME, .mtimensec = bad}), -EINVAL);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_CTIME, .ctimensec = UINT32_MAX}), -EINVAL);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_CTIME, .ctimensec = bad - 1, .atimensec = bad}), 0);
}

/* "Now" comes with a time that means nothing. */
static void now_needs_no_time(void **state) {
  (void)state;
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_ATIME | FATTR_ATIME_NOW, .atimensec = UINT32_MAX}), 0);
  assert_int_equal(set((struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW, .mtimensec = UINT32_MAX}), 0);
  assert_int_equal(got.in.setattr.valid, VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW);
}

static void unknown_bits_are_dropped_where_that_is_harmless(void **state) {
  (void)state;
  assert_int_equal(set((struct fuse_setattr_in){.valid = ~(uint32_t)FATTR_FH, .fh = 9, .mode = UINT32_MAX}), 0);
  assert_int_equal(got.in.setattr.valid, 0xdbf & ~FATTR_FH & ~FATTR_LOCKOWNER);
  assert_int_equal(got.in.setattr.mode, 07777);
  assert_false(got.in.setattr.has_handle);
  assert_int_equal(got.in.setattr.handle, 0);
  assert_int_equal(DECODE(FUSE_GETATTR, (struct fuse_getattr_in){.getattr_flags = ~(uint32_t)FUSE_GETATTR_FH, .fh = 9}),
                   0);
  assert_false(got.in.getattr.has_handle);
  assert_int_equal(got.in.getattr.handle, 0);
  assert_int_equal(DECODE(FUSE_FSYNC, (struct fuse_fsync_in){.fsync_flags = ~1U}), 0);
  assert_false(got.in.fsync.data_only);
}

static void unknown_rename_flags_are_refused(void **state) {
  (void)state;
  struct {
    struct fuse_rename2_in in;
    char names[4];
  } args = {.names = "a\0b"};
  for (unsigned bit = 0; bit < 32; bit++) {
    args.in.flags = 1U << bit;
    assert_int_equal(decode_args(FUSE_RENAME2, &args, sizeof args.in + 4), bit < 3 ? 0 : -EINVAL);
  }
}

/* An operation may hand these to open(2) as they are. */
static void opening_never_creates(void **state) {
  (void)state;
  assert_int_equal(DECODE(FUSE_OPEN, (struct fuse_open_in){.flags = 0100 | 0200 | 0400 | 01002}), 0);
  assert_int_equal(got.in.open.flags, 01002);
  assert_int_equal(DECODE(FUSE_OPENDIR, (struct fuse_open_in){.flags = 0100 | 0200000}), 0);
  assert_int_equal(got.in.opendir.flags, 0200000);
}

static int create(uint32_t flags, uint32_t mode) {
  struct {
    struct fuse_create_in in;
    char name[8];
  } args = {.in = {.flags = flags, .mode = mode}, .name = "new"};
  return decode_args(FUSE_CREATE, &args, sizeof args);
}

static void creating_makes_regular_files(void **state) {
  (void)state;
  assert_int_equal(create(02, 0644), 0);
  assert_int_equal(got.in.create.mode, 0100644);
  assert_int_equal(got.in.create.flags, 0102);
  assert_int_equal(create(0101, 0100644 | 0xfff00000), 0);
  assert_int_equal(got.in.create.mode, 0100644);
  assert_int_equal(create(0101, 0020644), -EINVAL);
  assert_int_equal(create(0101, 0040755), -EINVAL);
}

static int make_node(uint32_t mode) {
  struct {
    struct fuse_mknod_in in;
    char name[8];
  } args = {.in = {.mode = mode}, .name = "new"};
  return decode_args(FUSE_MKNOD, &args, sizeof args);
}

static void nodes_have_a_type_and_permissions_alone(void **state) {
  (void)state;
  assert_int_equal(make_node(0xfff00000 | 0010644), 0);
  assert_int_equal(got.in.mknod.mode, 0010644);
}

static int forget_many(uint32_t count, size_t bytes) {
  unsigned char args[8 + 64] = {0};
  memcpy(args, &count, sizeof count);
  return decode_args(FUSE_BATCH_FORGET, args, 8 + bytes);
}

static void a_batch_has_as_many_entries_as_it_says(void **state) {
  (void)state;
  assert_int_equal(forget_many(0, 0), 0);
  assert_int_equal(forget_many(4, 64), 0);
  assert_int_equal(forget_many(3, 64), 0);
  assert_int_equal(got.in.batch_forget.count, 3);
  assert_int_equal(got.in.batch_forget.data.size, 48);
  assert_int_equal(forget_many(4, 63), -EINVAL);
  assert_int_equal(forget_many(5, 64), -EINVAL);
  assert_int_equal(forget_many(1, 15), -EINVAL);
  assert_int_equal(forget_many(0x10000000, 0), -EINVAL); /* 16 times that is 0 in 32 bits */
  assert_int_equal(forget_many(0x10000004, 64), -EINVAL);
  assert_int_equal(forget_many(UINT32_MAX, 64), -EINVAL);
}

/* A guest may send very many in very many pieces, and its worker has to come back. */
static void a_batch_takes_a_time_that_grows_with_its_length_alone(void **state) {
  (void)state;
  static unsigned char entry[16];
  static struct iovec iov[400001];
  uint32_t pieces = 400000;
  fuse_request_begin(&req, FUSE_BATCH_FORGET);
  fuse_request_add(&req, &(struct fuse_batch_forget_in){.count = pieces / 2}, sizeof(struct fuse_batch_forget_in));
  fuse_request_lie(&req, (uint32_t)req.len + pieces * 8);
  iov[0] = (struct iovec){.iov_base = req.bytes, .iov_len = req.len};
  for (uint32_t i = 1; i <= pieces; i++)
    iov[i] = (struct iovec){.iov_base = entry, .iov_len = 8};
  assert_int_equal(virtiofs_fuse_request_decode(&got, &spoken, iov, pieces + 1), 0);
  struct virtiofs_fuse_forget_in one;
  uint32_t count = 0;
  while (virtiofs_fuse_forget_next(&got.in.batch_forget, &one))
    count++;
  assert_int_equal(count, pieces / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_read_ends_within_a_signed_offset),
      cmocka_unit_test(a_listing_begins_within_a_signed_offset),
      cmocka_unit_test(a_write_ends_within_a_signed_offset),
      cmocka_unit_test(a_write_carries_what_it_says),
      cmocka_unit_test(an_allocation_ends_within_a_signed_offset),
      cmocka_unit_test(a_seek_is_to_a_signed_offset),
      cmocka_unit_test(a_size_is_signed),
      cmocka_unit_test(nobody_is_no_owner),
      cmocka_unit_test(times_have_less_than_a_second_of_nanoseconds),
      cmocka_unit_test(now_needs_no_time),
      cmocka_unit_test(unknown_bits_are_dropped_where_that_is_harmless),
      cmocka_unit_test(unknown_rename_flags_are_refused),
      cmocka_unit_test(opening_never_creates),
      cmocka_unit_test(creating_makes_regular_files),
      cmocka_unit_test(nodes_have_a_type_and_permissions_alone),
      cmocka_unit_test(a_batch_has_as_many_entries_as_it_says),
      cmocka_unit_test(a_batch_takes_a_time_that_grows_with_its_length_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
