/* SPDX-License-Identifier: BSD-3-Clause */
/* How large old drivers' structs are, both ways, for every minor. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

static unsigned char bytes[8192];
static struct virtiofs_fuse_request got;

/* A request's arguments: @old bytes before 7.@minor. */
static const struct {
  uint32_t opcode;
  size_t old;
  uint32_t minor;
  size_t size;
  bool named;
} requests[] = {
    {VIRTIOFS_FUSE_GETATTR, 0, 9, 16, false},     {VIRTIOFS_FUSE_READ, 24, 9, 40, false},
    {VIRTIOFS_FUSE_READDIR, 24, 9, 40, false},    {VIRTIOFS_FUSE_WRITE, 24, 9, 40, false},
    {VIRTIOFS_FUSE_MKNOD, 8, 12, 16, true},       {VIRTIOFS_FUSE_CREATE, 8, 12, 16, true},
    {VIRTIOFS_FUSE_MKDIR, 8, 0, 8, true},         {VIRTIOFS_FUSE_RELEASE, 16, 8, 24, false},
    {VIRTIOFS_FUSE_RELEASEDIR, 16, 8, 24, false}, {VIRTIOFS_FUSE_GETLK, 40, 9, 48, false},
    {VIRTIOFS_FUSE_SETLK, 40, 9, 48, false},      {VIRTIOFS_FUSE_SETLKW, 40, 9, 48, false},
};

#define LOCKS (VIRTIOFS_FUSE_POSIX_LOCKS | VIRTIOFS_FUSE_FLOCK_LOCKS)

static union virtiofs_fuse_in arguments(uint32_t opcode) {
  union virtiofs_fuse_in in;
  struct virtiofs_name name = {.str = "n", .len = 1};
  memset(&in, 0, sizeof in);
  in.nodeid = 1;
  if (opcode == VIRTIOFS_FUSE_MKNOD)
    in.mknod = (struct virtiofs_mknod_in){.name = name, .mode = 0100644, .umask = 022};
  if (opcode == VIRTIOFS_FUSE_MKDIR)
    in.mkdir = (struct virtiofs_mkdir_in){.name = name, .mode = 0755, .umask = 022};
  if (opcode == VIRTIOFS_FUSE_CREATE)
    in.create = (struct virtiofs_create_in){.name = name, .mode = 0100644, .umask = 022, .open_flags = 1};
  if (opcode == VIRTIOFS_FUSE_RELEASE || opcode == VIRTIOFS_FUSE_RELEASEDIR)
    in.release = (struct virtiofs_release_in){.handle = 7, .flags = 8, .release_flags = 2, .lock_owner = 9};
  if (opcode == VIRTIOFS_FUSE_GETLK)
    in.lk = (struct virtiofs_lk_in){.flock = true};
  return in;
}

static void requests_are_as_long_as_their_minor_says(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    for (uint32_t minor = 0; minor <= 45; minor++) {
      struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor, .flags = LOCKS};
      struct virtiofs_fuse_header header = {.opcode = requests[i].opcode, .unique = 2};
      union virtiofs_fuse_in in = arguments(requests[i].opcode);
      size_t size = minor < requests[i].minor ? requests[i].old : requests[i].size;
      size_t len = 40 + size + (requests[i].named ? 2 : 0);
      assert_int_equal(virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes), len);
      struct iovec iov = {.iov_base = bytes, .iov_len = len};
      assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
      if (len == 40)
        continue;
      uint32_t lie = (uint32_t)len - 1;
      memcpy(bytes, &lie, sizeof lie);
      assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), -EINVAL);
    }
  }
}

/* Encodes and decodes for a minor. */
static void pass(uint32_t minor, uint32_t opcode) {
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor, .flags = LOCKS};
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = 2};
  union virtiofs_fuse_in in = arguments(opcode);
  ssize_t len = virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
  assert_true(len > 0);
  struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
  assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
}

static void what_is_not_there_is_zero(void **state) {
  (void)state;
  pass(11, VIRTIOFS_FUSE_MKNOD);
  assert_int_equal(got.in.mknod.umask, 0);
  pass(12, VIRTIOFS_FUSE_MKNOD);
  assert_int_equal(got.in.mknod.umask, 022);
  pass(11, VIRTIOFS_FUSE_MKDIR);
  assert_int_equal(got.in.mkdir.umask, 0);
  pass(12, VIRTIOFS_FUSE_MKDIR);
  assert_int_equal(got.in.mkdir.umask, 022);
  pass(11, VIRTIOFS_FUSE_CREATE);
  assert_int_equal(got.in.create.umask, 0);
  assert_int_equal(got.in.create.open_flags, 0);
  pass(7, VIRTIOFS_FUSE_RELEASE);
  assert_int_equal(got.in.release.flags, 8);
  assert_int_equal(got.in.release.release_flags, 0);
  assert_int_equal(got.in.release.lock_owner, 0);
  pass(8, VIRTIOFS_FUSE_RELEASE);
  assert_int_equal(got.in.release.release_flags, 2);
  assert_int_equal(got.in.release.lock_owner, 9);
  pass(8, VIRTIOFS_FUSE_GETLK);
  assert_false(got.in.lk.flock);
  pass(9, VIRTIOFS_FUSE_GETLK);
  assert_true(got.in.lk.flock);
  pass(8, VIRTIOFS_FUSE_GETATTR);
  assert_false(got.in.getattr.has_handle);
}

/* What stands where there was padding means nothing. */
static void padding_is_not_looked_at(void **state) {
  (void)state;
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 45};
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_RELEASE, .unique = 2};
  union virtiofs_fuse_in in = arguments(header.opcode);
  ssize_t len = virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
  struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
  proto.minor = 7;
  assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
  assert_int_equal(got.in.release.release_flags, 0);

  header.opcode = VIRTIOFS_FUSE_MKDIR;
  in = arguments(header.opcode);
  proto.minor = 45;
  iov.iov_len = (size_t)virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
  proto.minor = 11;
  assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
  assert_int_equal(got.in.mkdir.umask, 0);

  header.opcode = VIRTIOFS_FUSE_POLL;
  memset(&in, 0, sizeof in);
  in.poll.events = 5;
  proto.minor = 21;
  iov.iov_len = (size_t)virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
  assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
  assert_int_equal(got.in.poll.events, 5);
  proto.minor = 20;
  assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
  assert_int_equal(got.in.poll.events, 0);
}

/* The flag says it, not the minor. */
static void setxattr_grows_by_agreement(void **state) {
  (void)state;
  for (uint32_t minor = 0; minor <= 45; minor++) {
    for (int extended = 0; extended < 2; extended++) {
      struct virtiofs_fuse_proto proto = {
          .agreed = true, .minor = minor, .flags = extended != 0 ? VIRTIOFS_FUSE_SETXATTR_EXT : 0};
      struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_SETXATTR, .unique = 2};
      union virtiofs_fuse_in in = {.setxattr = {.node = 1, .name = {.str = "user.a", .len = 6}, .setxattr_flags = 1}};
      ssize_t len = virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
      assert_int_equal(len, 40 + (extended != 0 ? 16 : 8) + 7);
      struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
      assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
      assert_int_equal(got.in.setxattr.setxattr_flags, extended);
    }
  }
}

/* The locks of flock(2) came with those of fcntl(2) before they had a flag of their own. */
static void flock_is_agreed_on(void **state) {
  (void)state;
  static const uint32_t opcodes[] = {VIRTIOFS_FUSE_GETLK, VIRTIOFS_FUSE_SETLK, VIRTIOFS_FUSE_SETLKW};
  for (uint32_t minor = 9; minor <= 45; minor++) {
    for (unsigned i = 0; i < 9; i++) {
      bool own = i / 3 == 2;
      struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor};
      struct virtiofs_fuse_header header = {.opcode = opcodes[i % 3], .unique = 2};
      union virtiofs_fuse_in in = {.lk = {.node = 1, .flock = true}};
      proto.flags = i / 3 == 0 ? 0 : own ? VIRTIOFS_FUSE_FLOCK_LOCKS : VIRTIOFS_FUSE_POSIX_LOCKS;
      ssize_t len = virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
      struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
      bool good = i / 3 != 0 && own == (minor >= 17);
      assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), good ? 0 : -EINVAL);
      in.lk.flock = false;
      iov.iov_len = (size_t)virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
      assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
    }
  }
}

static void what_open_may_ask_for_is_agreed_on(void **state) {
  (void)state;
  static const uint64_t agreed[] = {0, VIRTIOFS_FUSE_ATOMIC_O_TRUNC, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, UINT64_MAX};
  struct virtiofs_name name = {.str = "n", .len = 1};
  for (unsigned i = 0; i < 4; i++) {
    struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 45, .flags = agreed[i]};
    struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_OPEN, .unique = 2};
    union virtiofs_fuse_in in = {.open = {.node = 1, .flags = 01002, .open_flags = 1}};
    struct iovec iov = {.iov_base = bytes};
    iov.iov_len = (size_t)virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
    assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
    assert_int_equal(got.in.open.flags, (i & 1) != 0 ? 01002 : 2);
    assert_int_equal(got.in.open.open_flags, i >> 1);
    /* A file that is made may always be truncated, as there is nothing in it. */
    header.opcode = VIRTIOFS_FUSE_CREATE;
    in.create = (struct virtiofs_create_in){.parent = 1, .name = name, .flags = 01102, .open_flags = 1};
    iov.iov_len = (size_t)virtiofs_fuse_request_encode(&proto, &header, &in, bytes, sizeof bytes);
    assert_int_equal(virtiofs_fuse_request_decode(&got, &proto, &iov, 1), 0);
    assert_int_equal(got.in.create.flags, 01102);
    assert_int_equal(got.in.create.open_flags, i >> 1);
  }
}

/* Replies: bytes behind the header before 7.9 and so on. */
static uint32_t reply_size(uint32_t opcode, uint32_t m) {
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    return m < 9 ? 120 : 128;
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    return m < 9 ? 136 : 144;
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    return m < 9 ? 96 : 104;
  case VIRTIOFS_FUSE_STATFS:
    return m < 4 ? 48 : 80;
  default:
    return m < 5 ? 8 : m < 23 ? 24 : 64; /* INIT */
  }
}

static void replies_are_as_long_as_their_minor_says(void **state) {
  (void)state;
  static const uint32_t opcodes[] = {VIRTIOFS_FUSE_LOOKUP,  VIRTIOFS_FUSE_SYMLINK, VIRTIOFS_FUSE_MKNOD,
                                     VIRTIOFS_FUSE_MKDIR,   VIRTIOFS_FUSE_LINK,    VIRTIOFS_FUSE_CREATE,
                                     VIRTIOFS_FUSE_TMPFILE, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_SETATTR,
                                     VIRTIOFS_FUSE_STATFS,  VIRTIOFS_FUSE_INIT};
  const struct virtiofs_attr attr = {.ino = 3, .mode = 0100644, .blksize = 4096};
  const struct virtiofs_entry_out entry = {.node = 2, .attr = attr};
  for (size_t i = 0; i < sizeof opcodes / sizeof opcodes[0]; i++) {
    for (uint32_t minor = 0; minor <= 45; minor++) {
      for (int swapped = 0; swapped < 2; swapped++) {
        struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor, .swapped = swapped != 0};
        struct virtiofs_fuse_header header = {.opcode = opcodes[i], .unique = 2, .swapped = swapped != 0};
        union virtiofs_fuse_out out, back;
        uint32_t len = 16 + reply_size(opcodes[i], minor);
        memset(&out, 0, sizeof out);
        memset(&back, 0, sizeof back);
        bool opens = opcodes[i] == VIRTIOFS_FUSE_CREATE || opcodes[i] == VIRTIOFS_FUSE_TMPFILE;
        if (opens)
          out.create = (struct virtiofs_create_out){.entry = entry, .open = {.handle = 0x0908070605040302, .flags = 1}};
        else if (reply_size(opcodes[i], 45) == 128)
          out.entry = entry;
        else if (reply_size(opcodes[i], 45) == 104)
          out.attr.attr = attr;
        assert_int_equal(virtiofs_fuse_reply_room(&proto, opcodes[i]), len);
        struct iovec iov = {.iov_base = bytes, .iov_len = len};
        assert_int_equal(virtiofs_fuse_reply_encode(&proto, &header, 0, &out, &iov, 1), len);
        assert_int_equal(virtiofs_fuse_reply_decode(&proto, &header, &back, &iov, 1, len), 0);
        if (opens) {
          assert_int_equal(back.create.open.handle, 0x0908070605040302);
          assert_int_equal(back.create.entry.attr.blksize, minor < 9 ? 0 : 4096);
        }
        iov.iov_len--;
        assert_int_equal(virtiofs_fuse_reply_encode(&proto, &header, 0, &out, &iov, 1), -ENOSPC);
      }
    }
  }
}

/* Linux keeps such an answer only since 7.4. */
static void not_there_is_an_error_for_the_oldest(void **state) {
  (void)state;
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_LOOKUP, .unique = 2};
  for (uint32_t minor = 0; minor <= 45; minor++) {
    struct virtiofs_fuse_proto proto = {.agreed = true, .minor = minor};
    union virtiofs_fuse_out out = {.entry = {.node = 0, .entry_valid_ns = 5}}, back;
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    ssize_t len = virtiofs_fuse_reply_encode(&proto, &header, 0, &out, &iov, 1);
    assert_int_equal(len, minor < 4 ? 16 : minor < 9 ? 136 : 144);
    int rc = virtiofs_fuse_reply_decode(&proto, &header, &back, &iov, 1, (size_t)len);
    assert_int_equal(rc, minor < 4 ? -ENOENT : 0);
    if (rc == 0)
      assert_int_equal(back.entry.node, 0);
  }
}

/* Before INIT nothing is known of the driver. */
static void the_largest_reply_of_init_is_the_newest(void **state) {
  (void)state;
  struct virtiofs_fuse_proto proto = {.minor = 0};
  got.header = (struct virtiofs_fuse_header){.opcode = VIRTIOFS_FUSE_INIT};
  assert_int_equal(virtiofs_fuse_reply_max(&proto, &got), 80);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_as_long_as_their_minor_says),
      cmocka_unit_test(what_is_not_there_is_zero),
      cmocka_unit_test(padding_is_not_looked_at),
      cmocka_unit_test(setxattr_grows_by_agreement),
      cmocka_unit_test(flock_is_agreed_on),
      cmocka_unit_test(what_open_may_ask_for_is_agreed_on),
      cmocka_unit_test(replies_are_as_long_as_their_minor_says),
      cmocka_unit_test(not_there_is_an_error_for_the_oldest),
      cmocka_unit_test(the_largest_reply_of_init_is_the_newest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
