/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/fuse.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "fuse/table.h"

static const struct virtiofs_fuse_proto spoken = {
    .agreed = true, .minor = VIRTIOFS_FUSE_MINOR, .flags = VIRTIOFS_FUSE_SETXATTR_EXT};

/* The fixed part of each request and each reply, as <linux/fuse.h> has it; as a number what is newer than 7.38. */
static const struct {
  uint32_t opcode;
  const char *name;
  size_t in, out;
} expected[] = {
    {FUSE_LOOKUP, "LOOKUP", 0, sizeof(struct fuse_entry_out)},
    {FUSE_FORGET, "FORGET", sizeof(struct fuse_forget_in), 0},
    {FUSE_GETATTR, "GETATTR", sizeof(struct fuse_getattr_in), sizeof(struct fuse_attr_out)},
    {FUSE_SETATTR, "SETATTR", sizeof(struct fuse_setattr_in), sizeof(struct fuse_attr_out)},
    {FUSE_READLINK, "READLINK", 0, 0},
    {FUSE_SYMLINK, "SYMLINK", 0, sizeof(struct fuse_entry_out)},
    {FUSE_MKNOD, "MKNOD", sizeof(struct fuse_mknod_in), sizeof(struct fuse_entry_out)},
    {FUSE_MKDIR, "MKDIR", sizeof(struct fuse_mkdir_in), sizeof(struct fuse_entry_out)},
    {FUSE_UNLINK, "UNLINK", 0, 0},
    {FUSE_RMDIR, "RMDIR", 0, 0},
    {FUSE_RENAME, "RENAME", sizeof(struct fuse_rename_in), 0},
    {FUSE_LINK, "LINK", sizeof(struct fuse_link_in), sizeof(struct fuse_entry_out)},
    {FUSE_OPEN, "OPEN", sizeof(struct fuse_open_in), sizeof(struct fuse_open_out)},
    {FUSE_READ, "READ", sizeof(struct fuse_read_in), 0},
    {FUSE_WRITE, "WRITE", sizeof(struct fuse_write_in), sizeof(struct fuse_write_out)},
    {FUSE_STATFS, "STATFS", 0, sizeof(struct fuse_statfs_out)},
    {FUSE_RELEASE, "RELEASE", sizeof(struct fuse_release_in), 0},
    {FUSE_FSYNC, "FSYNC", sizeof(struct fuse_fsync_in), 0},
    {FUSE_SETXATTR, "SETXATTR", sizeof(struct fuse_setxattr_in), 0},
    {FUSE_GETXATTR, "GETXATTR", sizeof(struct fuse_getxattr_in), 0},
    {FUSE_LISTXATTR, "LISTXATTR", sizeof(struct fuse_getxattr_in), 0},
    {FUSE_REMOVEXATTR, "REMOVEXATTR", 0, 0},
    {FUSE_FLUSH, "FLUSH", sizeof(struct fuse_flush_in), 0},
    {FUSE_INIT, "INIT", 8, sizeof(struct fuse_init_out)},
    {FUSE_OPENDIR, "OPENDIR", sizeof(struct fuse_open_in), sizeof(struct fuse_open_out)},
    {FUSE_READDIR, "READDIR", sizeof(struct fuse_read_in), 0},
    {FUSE_RELEASEDIR, "RELEASEDIR", sizeof(struct fuse_release_in), 0},
    {FUSE_FSYNCDIR, "FSYNCDIR", sizeof(struct fuse_fsync_in), 0},
    {FUSE_GETLK, "GETLK", sizeof(struct fuse_lk_in), sizeof(struct fuse_lk_out)},
    {FUSE_SETLK, "SETLK", sizeof(struct fuse_lk_in), 0},
    {FUSE_SETLKW, "SETLKW", sizeof(struct fuse_lk_in), 0},
    {FUSE_ACCESS, "ACCESS", sizeof(struct fuse_access_in), 0},
    {FUSE_CREATE, "CREATE", sizeof(struct fuse_create_in),
     sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)},
    {FUSE_INTERRUPT, "INTERRUPT", sizeof(struct fuse_interrupt_in), 0},
    {FUSE_BMAP, "BMAP", sizeof(struct fuse_bmap_in), sizeof(struct fuse_bmap_out)},
    {FUSE_DESTROY, "DESTROY", 0, 0},
    {FUSE_IOCTL, "IOCTL", sizeof(struct fuse_ioctl_in), sizeof(struct fuse_ioctl_out)},
    {FUSE_POLL, "POLL", sizeof(struct fuse_poll_in), sizeof(struct fuse_poll_out)},
    {FUSE_NOTIFY_REPLY, "NOTIFY_REPLY", sizeof(struct fuse_notify_retrieve_in), 0},
    {FUSE_BATCH_FORGET, "BATCH_FORGET", sizeof(struct fuse_batch_forget_in), 0},
    {FUSE_FALLOCATE, "FALLOCATE", sizeof(struct fuse_fallocate_in), 0},
    {FUSE_READDIRPLUS, "READDIRPLUS", sizeof(struct fuse_read_in), 0},
    {FUSE_RENAME2, "RENAME2", sizeof(struct fuse_rename2_in), 0},
    {FUSE_LSEEK, "LSEEK", sizeof(struct fuse_lseek_in), sizeof(struct fuse_lseek_out)},
    {FUSE_COPY_FILE_RANGE, "COPY_FILE_RANGE", sizeof(struct fuse_copy_file_range_in), sizeof(struct fuse_write_out)},
    {FUSE_SETUPMAPPING, "SETUPMAPPING", sizeof(struct fuse_setupmapping_in), 0},
    {FUSE_REMOVEMAPPING, "REMOVEMAPPING", sizeof(struct fuse_removemapping_in), 0},
    {FUSE_SYNCFS, "SYNCFS", sizeof(struct fuse_syncfs_in), 0},
    {FUSE_TMPFILE, "TMPFILE", sizeof(struct fuse_create_in),
     sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)},
    {52, "STATX", 24, 288},
    {53, "COPY_FILE_RANGE_64", sizeof(struct fuse_copy_file_range_in), 8},
};

static void sizes_and_names_are_those_of_linux(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const struct virtiofs_fuse_op *op = virtiofs_fuse_op(expected[i].opcode);
    assert_non_null(op);
    assert_non_null(op->decode);
    assert_string_equal(virtiofs_fuse_opcode_name(expected[i].opcode), expected[i].name);
    assert_int_equal(op->in_size, expected[i].in);
    assert_true(op->in_size <= sizeof(union virtiofs_wire_in));
    if (virtiofs_fuse_has_reply(expected[i].opcode))
      assert_int_equal(virtiofs_fuse_reply_room(&spoken, expected[i].opcode), 16 + expected[i].out);
  }
}

static void every_opcode_is_served_and_no_other(void **state) {
  (void)state;
  size_t served = 0;
  for (uint32_t opcode = 0; opcode < 100; opcode++) {
    const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
    bool named = opcode >= 1 && opcode <= 53 && opcode != 7 && opcode != 19;
    assert_int_equal(op != NULL, named);
    if (!named)
      assert_string_equal(virtiofs_fuse_opcode_name(opcode), "?");
    served += op != NULL;
  }
  assert_int_equal(served, sizeof expected / sizeof expected[0]);
  assert_string_equal(virtiofs_fuse_opcode_name(CUSE_INIT), "?");
  assert_string_equal(virtiofs_fuse_opcode_name(UINT32_MAX), "?");
}

static void all_but_three_have_a_reply(void **state) {
  (void)state;
  for (uint32_t opcode = 0; opcode < 100; opcode++) {
    bool silent = opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_NOTIFY_REPLY;
    assert_int_equal(virtiofs_fuse_has_reply(opcode), !silent);
    if (silent)
      assert_int_equal(virtiofs_fuse_reply_room(&spoken, opcode), 0);
    else
      assert_true(virtiofs_fuse_reply_room(&spoken, opcode) >= 16);
  }
  assert_true(virtiofs_fuse_has_reply(UINT32_MAX));
}

static void creating_requests_may_carry_extensions(void **state) {
  (void)state;
  for (uint32_t opcode = 1; opcode < 60; opcode++) {
    const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
    if (op == NULL)
      continue;
    bool creates = opcode == FUSE_CREATE || opcode == FUSE_MKNOD || opcode == FUSE_MKDIR || opcode == FUSE_SYMLINK ||
                   opcode == FUSE_TMPFILE;
    assert_int_equal(op->extensions, creates);
  }
}

static struct virtiofs_fuse_request request;

static uint64_t reply_max(uint32_t opcode, uint32_t size) {
  request.header.opcode = opcode;
  request.in = (union virtiofs_fuse_in){.nodeid = 1};
  switch (opcode) {
  case FUSE_READ:
    request.in.read.size = size;
    break;
  case FUSE_READDIR:
  case FUSE_READDIRPLUS:
    request.in.readdir.size = size;
    break;
  case FUSE_GETXATTR:
    request.in.getxattr.size = size;
    break;
  case FUSE_LISTXATTR:
    request.in.listxattr.size = size;
    break;
  default:
    request.in.ioctl.out_size = size;
    break;
  }
  return virtiofs_fuse_reply_max(&spoken, &request);
}

static void the_largest_reply_has_all_that_was_asked_for(void **state) {
  (void)state;
  static const uint32_t variable[] = {FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_GETXATTR, FUSE_LISTXATTR};
  for (size_t i = 0; i < 5; i++)
    assert_int_equal(reply_max(variable[i], UINT32_MAX), 16 + (uint64_t)UINT32_MAX);
  assert_int_equal(reply_max(FUSE_GETXATTR, 0), 16 + sizeof(struct fuse_getxattr_out));
  assert_int_equal(reply_max(FUSE_LISTXATTR, 0), 16 + sizeof(struct fuse_getxattr_out));
  assert_int_equal(reply_max(FUSE_IOCTL, 100), 32 + 100);
  assert_int_equal(reply_max(FUSE_READLINK, 0), 16 + VIRTIOFS_TARGET_MAX);
  assert_int_equal(reply_max(FUSE_LOOKUP, 0), 144);
  assert_int_equal(reply_max(FUSE_FORGET, 0), 0);
  assert_int_equal(reply_max(1000, 0), 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_and_names_are_those_of_linux),
      cmocka_unit_test(every_opcode_is_served_and_no_other),
      cmocka_unit_test(all_but_three_have_a_reply),
      cmocka_unit_test(creating_requests_may_carry_extensions),
      cmocka_unit_test(the_largest_reply_has_all_that_was_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
