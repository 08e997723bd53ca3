/* SPDX-License-Identifier: BSD-3-Clause */
/* What a driver must not take from a server. That sound replies are read, test_roundtrip.c says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "fuse/table.h"
#include "support/shred.h"

static unsigned char bytes[4096];
static union virtiofs_fuse_out got;

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 45};
static const struct virtiofs_entry_out entry = {.node = 2, .attr = {.ino = 3, .size = 4, .mode = 0100644}};

/* A sound reply of any opcode. */
static size_t build(uint32_t opcode) {
  static char target[] = "target";
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = 0x1122334455667788};
  union virtiofs_fuse_out out;
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  memset(&out, 0, sizeof out);
  memset(&got, 0, sizeof got);
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  if (op->out_size == sizeof(struct virtiofs_wire_create_out))
    out.create.entry = entry;
  else if (op->out_size == sizeof(struct virtiofs_wire_entry_out))
    out.entry = entry;
  else if (op->out_size == sizeof(struct virtiofs_wire_attr_out))
    out.attr.attr = entry.attr;
  else if (opcode == VIRTIOFS_FUSE_STATX)
    out.statx.statx.attr = entry.attr;
  else if (opcode == VIRTIOFS_FUSE_READLINK)
    out.readlink = (struct virtiofs_readlink_out){.target = target, .len = 6};
  else if (opcode == VIRTIOFS_FUSE_READ)
    out.read.size = 5;
  else if (opcode == VIRTIOFS_FUSE_GETXATTR || opcode == VIRTIOFS_FUSE_LISTXATTR)
    out.xattr.size_only = got.xattr.size_only = true;
  memset(bytes, 0, sizeof bytes);
  return (size_t)virtiofs_fuse_reply_encode(&spoken, &header, 0, &out, &iov, 1);
}

static int decode(uint32_t opcode, size_t len, size_t used) {
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = 0x1122334455667788};
  struct shred shred;
  shred_two(&shred, bytes, len, len);
  int rc = virtiofs_fuse_reply_decode(&spoken, &header, &got, shred.iov, shred.count, used);
  shred_free(&shred);
  return rc;
}

static void put32(size_t at, uint32_t value) { memcpy(bytes + at, &value, sizeof value); }
static void put64(size_t at, uint64_t value) { memcpy(bytes + at, &value, sizeof value); }

static bool variable(uint32_t opcode) {
  switch (opcode) {
  case VIRTIOFS_FUSE_READ:
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
  case VIRTIOFS_FUSE_READLINK:
  case VIRTIOFS_FUSE_IOCTL:
    return true;
  default:
    return false;
  }
}

static void what_is_cut_off_is_missed(void **state) {
  (void)state;
  for (uint32_t opcode = 1; opcode <= 53; opcode++) {
    if (virtiofs_fuse_op(opcode) == NULL || !virtiofs_fuse_has_reply(opcode))
      continue;
    size_t len = build(opcode);
    for (size_t cut = 0; cut < len; cut++) {
      build(opcode);
      assert_int_equal(decode(opcode, cut, cut), -EPROTO);
      assert_int_equal(decode(opcode, cut, len), -EPROTO);
      assert_int_equal(decode(opcode, len, cut), -EPROTO);
      if (cut < 4)
        continue;
      put32(0, (uint32_t)cut); /* the server says so itself */
      int rc = decode(opcode, cut, cut);
      bool shorter = cut >= 16U + virtiofs_fuse_op(opcode)->out_size && variable(opcode);
      bool init = opcode == VIRTIOFS_FUSE_INIT && (cut == 24 || cut == 40);
      if (opcode == VIRTIOFS_FUSE_READLINK && cut == 16)
        shorter = false;
      assert_int_equal(rc, shorter || init ? 0 : -EPROTO);
    }
  }
}

static void bytes_too_many_are_seen(void **state) {
  (void)state;
  for (uint32_t opcode = 1; opcode <= 53; opcode++) {
    if (virtiofs_fuse_op(opcode) == NULL || !virtiofs_fuse_has_reply(opcode))
      continue;
    size_t len = build(opcode);
    put32(0, (uint32_t)len + 1);
    assert_int_equal(decode(opcode, len + 1, len + 1), variable(opcode) ? 0 : -EPROTO);
    build(opcode);
    assert_int_equal(decode(opcode, len + 1, len + 1), -EPROTO);
    assert_int_equal(decode(opcode, len + 1, len), 0); /* room, not reply */
  }
}

static void the_header_is_checked(void **state) {
  (void)state;
  size_t len = build(VIRTIOFS_FUSE_FLUSH);
  assert_int_equal(decode(VIRTIOFS_FUSE_FLUSH, len, len), 0);
  static const uint32_t lengths[] = {0, 15, 17, 0x10000010, UINT32_MAX};
  for (size_t i = 0; i < 5; i++) {
    put32(0, lengths[i]);
    assert_int_equal(decode(VIRTIOFS_FUSE_FLUSH, len, len), -EPROTO);
  }
  static const int32_t errors[] = {1, 5, INT32_MAX, -512, -1000, INT32_MIN};
  for (size_t i = 0; i < 6; i++) {
    build(VIRTIOFS_FUSE_FLUSH);
    put32(4, (uint32_t)errors[i]);
    assert_int_equal(decode(VIRTIOFS_FUSE_FLUSH, len, len), -EPROTO);
  }
  for (size_t byte = 8; byte < 16; byte++) {
    build(VIRTIOFS_FUSE_FLUSH);
    bytes[byte] ^= 1;
    assert_int_equal(decode(VIRTIOFS_FUSE_FLUSH, len, len), -EPROTO);
  }
  /* An error has no arguments. */
  len = build(VIRTIOFS_FUSE_GETATTR);
  put32(4, (uint32_t)-ENOENT);
  assert_int_equal(decode(VIRTIOFS_FUSE_GETATTR, len, len), -EPROTO);
  put32(0, 16);
  assert_int_equal(decode(VIRTIOFS_FUSE_GETATTR, len, 16), -ENOENT);
}

static void some_requests_have_no_reply(void **state) {
  (void)state;
  static const uint32_t silent[] = {VIRTIOFS_FUSE_FORGET, VIRTIOFS_FUSE_BATCH_FORGET, VIRTIOFS_FUSE_NOTIFY_REPLY};
  for (size_t i = 0; i < 3; i++) {
    size_t len = build(VIRTIOFS_FUSE_FLUSH);
    assert_int_equal(decode(silent[i], len, len), -EPROTO);
    put32(4, (uint32_t)-EIO);
    assert_int_equal(decode(silent[i], len, len), -EPROTO);
  }
  size_t len = build(VIRTIOFS_FUSE_FLUSH);
  assert_int_equal(decode(1000, len, len), -EPROTO);
  put32(4, (uint32_t)-ENOSYS);
  assert_int_equal(decode(1000, len, len), -ENOSYS);
}

/* One wrong number at one place of an entry's or an attribute's reply. */
static void refused32(uint32_t opcode, size_t at, uint32_t value) {
  size_t len = build(opcode);
  assert_int_equal(decode(opcode, len, len), 0);
  put32(at, value);
  assert_int_equal(decode(opcode, len, len), -EPROTO);
}

static void refused64(uint32_t opcode, size_t at, uint64_t value) {
  size_t len = build(opcode);
  assert_int_equal(decode(opcode, len, len), 0);
  put64(at, value);
  assert_int_equal(decode(opcode, len, len), -EPROTO);
}

static void unsound_attributes_are_refused(void **state) {
  (void)state;
  static const struct {
    uint32_t opcode;
    size_t attr;
  } replies[] = {{VIRTIOFS_FUSE_LOOKUP, 56},  {VIRTIOFS_FUSE_SYMLINK, 56}, {VIRTIOFS_FUSE_MKNOD, 56},
                 {VIRTIOFS_FUSE_MKDIR, 56},   {VIRTIOFS_FUSE_LINK, 56},    {VIRTIOFS_FUSE_CREATE, 56},
                 {VIRTIOFS_FUSE_TMPFILE, 56}, {VIRTIOFS_FUSE_GETATTR, 32}, {VIRTIOFS_FUSE_SETATTR, 32}};
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    size_t attr = replies[i].attr;
    refused64(replies[i].opcode, attr + 8, (uint64_t)INT64_MAX + 1);
    refused32(replies[i].opcode, attr + 48, 1000000000);
    refused32(replies[i].opcode, attr + 52, 1000000000);
    refused32(replies[i].opcode, attr + 56, UINT32_MAX);
    refused32(replies[i].opcode, attr + 60, 0644);
    refused32(replies[i].opcode, attr + 60, 0170644);
    refused32(replies[i].opcode, attr == 32 ? 24 : 48, 1000000000);
    if (attr == 56)
      refused32(replies[i].opcode, 52, 1000000000);
  }
}

static void a_node_that_is_made_is_not_0(void **state) {
  (void)state;
  refused64(VIRTIOFS_FUSE_SYMLINK, 16, 0);
  refused64(VIRTIOFS_FUSE_MKNOD, 16, 0);
  refused64(VIRTIOFS_FUSE_MKDIR, 16, 0);
  refused64(VIRTIOFS_FUSE_LINK, 16, 0);
  refused64(VIRTIOFS_FUSE_CREATE, 16, 0);
  refused64(VIRTIOFS_FUSE_TMPFILE, 16, 0);
  size_t len = build(VIRTIOFS_FUSE_LOOKUP);
  put64(16, 0);
  memset(bytes + 56, 0xff, 88); /* there are no attributes then */
  memset(&got, 0xee, sizeof got);
  assert_int_equal(decode(VIRTIOFS_FUSE_LOOKUP, len, len), 0);
  assert_int_equal(got.entry.node, 0);
  assert_int_equal(got.entry.attr.mode, 0);
  assert_int_equal(got.entry.attr_valid_ns, 0);
}

static void unsound_numbers_are_refused(void **state) {
  (void)state;
  const size_t statx = 48;
  refused32(VIRTIOFS_FUSE_STATX, 24, 1000000000);
  refused64(VIRTIOFS_FUSE_STATX, statx + 40, UINT64_MAX);
  for (size_t at = 64; at < 128; at += 16)
    refused32(VIRTIOFS_FUSE_STATX, statx + at + 8, 1000000000);
  refused32(VIRTIOFS_FUSE_STATX, statx + 28, 0);
  refused32(VIRTIOFS_FUSE_STATX, statx + 128, 4096);
  refused32(VIRTIOFS_FUSE_STATX, statx + 132, 1 << 20);
  refused64(VIRTIOFS_FUSE_LSEEK, 16, (uint64_t)INT64_MAX + 1);
  refused64(VIRTIOFS_FUSE_COPY_FILE_RANGE_64, 16, UINT64_MAX);
  refused64(VIRTIOFS_FUSE_GETLK, 16, 1); /* ends before it begins */
  refused64(VIRTIOFS_FUSE_GETLK, 24, (uint64_t)INT64_MAX + 1);
  refused32(VIRTIOFS_FUSE_GETLK, 32, 3);
}

static void times_may_be_without_end(void **state) {
  (void)state;
  size_t len = build(VIRTIOFS_FUSE_LOOKUP);
  put64(32, UINT64_MAX);
  put64(40, UINT64_MAX / 1000000000);
  put32(52, 709551615);
  assert_int_equal(decode(VIRTIOFS_FUSE_LOOKUP, len, len), 0);
  assert_true(got.entry.entry_valid_ns == VIRTIOFS_FOREVER);
  assert_true(got.entry.attr_valid_ns == UINT64_MAX);
}

static void a_size_alone_has_its_struct(void **state) {
  (void)state;
  size_t len = build(VIRTIOFS_FUSE_GETXATTR);
  put32(16, 12);
  assert_int_equal(len, 24);
  assert_int_equal(decode(VIRTIOFS_FUSE_GETXATTR, len, len), 0);
  assert_int_equal(got.xattr.size, 12);
  got.xattr.size_only = false;
  assert_int_equal(decode(VIRTIOFS_FUSE_GETXATTR, len, len), 0);
  assert_int_equal(got.xattr.size, 8);
}

static void a_target_is_not_too_long(void **state) {
  (void)state;
  static unsigned char big[16 + VIRTIOFS_TARGET_MAX + 1];
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_READLINK};
  for (uint32_t over = 0; over < 2; over++) {
    uint32_t len = 16 + VIRTIOFS_TARGET_MAX + over;
    memcpy(big, &len, sizeof len);
    struct iovec iov = {.iov_base = big, .iov_len = len};
    assert_int_equal(virtiofs_fuse_reply_decode(&spoken, &header, &got, &iov, 1, len), over != 0 ? -EPROTO : 0);
  }
}

static void errors_come_out_as_they_went_in(void **unused) {
  (void)unused;
  for (int swapped = 0; swapped < 2; swapped++) {
    struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 38, .swapped = swapped != 0};
    struct virtiofs_fuse_header header = {
        .opcode = VIRTIOFS_FUSE_LOOKUP, .unique = 0x0102030405060708, .swapped = swapped != 0};
    for (int error = 1; error < 512; error++) {
      unsigned char header_only[16];
      union virtiofs_fuse_out out;
      struct iovec iov = {.iov_base = header_only, .iov_len = sizeof header_only};
      assert_int_equal(virtiofs_fuse_reply_encode(&proto, &header, -error, NULL, &iov, 1), 16);
      assert_int_equal(virtiofs_fuse_reply_decode(&proto, &header, &out, &iov, 1, 16), -error);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_come_out_as_they_went_in),
      cmocka_unit_test(what_is_cut_off_is_missed),
      cmocka_unit_test(bytes_too_many_are_seen),
      cmocka_unit_test(the_header_is_checked),
      cmocka_unit_test(some_requests_have_no_reply),
      cmocka_unit_test(unsound_attributes_are_refused),
      cmocka_unit_test(a_node_that_is_made_is_not_0),
      cmocka_unit_test(unsound_numbers_are_refused),
      cmocka_unit_test(times_may_be_without_end),
      cmocka_unit_test(a_size_alone_has_its_struct),
      cmocka_unit_test(a_target_is_not_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
