/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include <cmocka.h>

#include "fuse/init.h"
#include "fuse/init_flags.h"
#include "support/raw_request.h"
#include "support/shred.h"

static const struct virtiofs_fuse_proto silent = {0};
static struct virtiofs_fuse_request got;
static struct fuse_request req;

/* INIT with @len bytes of arguments. */
static int decode(const void *args, size_t len, size_t way) {
  struct shred shred;
  fuse_request_begin(&req, FUSE_INIT);
  fuse_request_add(&req, args, len);
  shred_way(&shred, req.bytes, req.len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &silent, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

static const struct fuse_init_in full = {
    .major = 7, .minor = 38, .max_readahead = 0x20000, .flags = FUSE_INIT_EXT | 0x1234567, .flags2 = 0x89abcdef};

/* A field that isn't there whole isn't there. */
static void fields_are_there_as_far_as_the_message_goes(void **state) {
  (void)state;
  for (size_t len = 0; len <= sizeof full; len++) {
    assert_int_equal(decode(&full, len, len), len < 8 ? -EINVAL : 0);
    if (len < 8)
      continue;
    assert_int_equal(got.in.init.major, 7);
    assert_int_equal(got.in.init.minor, 38);
    assert_int_equal(got.in.init.max_readahead, len < 12 ? 0 : full.max_readahead);
    assert_int_equal(got.in.init.flags & UINT32_MAX, len < 16 ? 0 : full.flags);
    assert_int_equal(got.in.init.flags >> 32, len < 20 ? 0 : full.flags2);
  }
}

static void init_is_read_however_it_is_cut(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(40 + sizeof full); way++) {
    assert_int_equal(decode(&full, sizeof full, way), 0);
    assert_int_equal(got.in.init.flags, (uint64_t)full.flags2 << 32 | full.flags);
  }
}

static void the_second_word_of_flags_has_to_be_announced(void **state) {
  (void)state;
  struct fuse_init_in in = full;
  in.flags &= ~(uint32_t)FUSE_INIT_EXT;
  assert_int_equal(decode(&in, sizeof in, 0), 0);
  assert_int_equal(got.in.init.flags, in.flags);
}

static void a_longer_init_is_one_of_a_newer_driver(void **state) {
  (void)state;
  unsigned char args[sizeof full + 64] = {0};
  memcpy(args, &full, sizeof full);
  memset(args + sizeof full, 0xff, 64);
  assert_int_equal(decode(args, sizeof args, 0), 0);
  assert_int_equal(got.in.init.flags, (uint64_t)full.flags2 << 32 | full.flags);
}

/* ---- what is agreed on ---- */

static struct virtiofs_fuse_init_out out;
static struct virtiofs_fuse_proto proto;

static int negotiate(uint32_t major, uint32_t minor, uint64_t flags, uint64_t wanted, uint32_t max_write) {
  struct virtiofs_fuse_init_in in = {.major = major, .minor = minor, .max_readahead = 4711, .flags = flags};
  struct virtiofs_fuse_init_wants wants = {.flags = wanted, .max_write = max_write, .time_gran = 100};
  memset(&out, 0xee, sizeof out);
  proto.minor = 99;
  return virtiofs_fuse_init_negotiate(&in, &wants, &out, &proto);
}

static void the_older_minor_is_spoken(void **state) {
  (void)state;
  for (uint32_t minor = 0; minor < 50; minor++) {
    assert_int_equal(negotiate(7, minor, 0, 0, 4096), 0);
    assert_true(proto.agreed);
    assert_int_equal(proto.minor, minor < 45 ? minor : 45);
    assert_int_equal(out.minor, 45);
  }
  assert_int_equal(negotiate(7, UINT32_MAX, 0, 0, 4096), 0);
  assert_int_equal(proto.minor, 45);
}

static void a_newer_major_is_told_ours_and_asks_again(void **state) {
  (void)state;
  assert_int_equal(negotiate(8, 0, UINT64_MAX, UINT64_MAX, 4096), 0);
  assert_false(proto.agreed);
  assert_int_equal(out.major, 7);
  assert_int_equal(out.flags, 0);
  assert_int_equal(negotiate(UINT32_MAX, 0, 0, 0, 4096), 0);
  assert_false(proto.agreed);
}

static void an_older_major_is_refused(void **state) {
  (void)state;
  for (uint32_t major = 0; major < 7; major++) {
    assert_int_equal(negotiate(major, 99, 0, 0, 4096), -EPROTO);
    assert_false(proto.agreed);
  }
}

/* The bits that a server may take; what the others are for follows from the rest of INIT. */
static bool is_negotiated(unsigned bit) {
  enum virtiofs_fuse_init_rule rule = virtiofs_fuse_init_flag(bit)->rule;
  return rule == VIRTIOFS_FUSE_INIT_ALWAYS || rule == VIRTIOFS_FUSE_INIT_OPS || rule == VIRTIOFS_FUSE_INIT_OPT_IN;
}

static void flags_are_those_of_both(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    const struct virtiofs_fuse_init_flag *row = virtiofs_fuse_init_flag(bit);
    uint64_t flag = UINT64_C(1) << bit, second = bit >= 32 ? VIRTIOFS_FUSE_INIT_EXT : 0;
    uint64_t company = row->demands & ~VIRTIOFS_FUSE_MAP_ALIGNMENT, both = is_negotiated(bit) ? flag : 0;
    if (flag == VIRTIOFS_FUSE_HAS_INODE_DAX)
      both = 0; /* there is no window */
    assert_int_equal(negotiate(7, 38, flag | company | second, UINT64_MAX & ~row->yields, 4096), 0);
    uint64_t sizes = flag == VIRTIOFS_FUSE_MAX_PAGES ? flag : 0;
    assert_true(out.flags == (both | company | sizes | (both != 0 ? second : 0)));
    assert_true(proto.flags == out.flags);
    assert_int_equal(negotiate(7, 38, UINT64_MAX & ~VIRTIOFS_FUSE_MAX_PAGES, flag | company, 4096), 0);
    assert_true(out.flags == (both | company | (both != 0 ? second : 0)));
    assert_int_equal(negotiate(7, 38, ~(flag | VIRTIOFS_FUSE_MAX_PAGES), flag, 4096), 0);
    assert_true(out.flags == 0);
    /* Without a word that says so, there is no second word. */
    assert_int_equal(negotiate(7, 38, (flag | company) & ~VIRTIOFS_FUSE_MAX_PAGES, flag | company, 4096), 0);
    assert_true(out.flags == (bit < 32 ? both | company : 0));
  }
}

/* Fields of the reply bring their flag along. */
static void flags_of_the_reply(void **state) {
  (void)state;
  struct virtiofs_fuse_init_in in = {.major = 7, .minor = 45, .flags = UINT64_MAX};
  const uint64_t window = VIRTIOFS_FUSE_MAP_ALIGNMENT, timeout = VIRTIOFS_FUSE_REQUEST_TIMEOUT;
  for (unsigned i = 0; i < 8; i++) {
    struct virtiofs_fuse_init_wants wants = {.max_write = 4096, .time_gran = 1};
    wants.map_alignment = (i & 1) != 0 ? 12 : 0;
    wants.request_timeout = (i & 2) != 0 ? 60 : 0;
    in.flags = (i & 4) != 0 ? UINT64_MAX : ~(window | timeout);
    assert_int_equal(virtiofs_fuse_init_negotiate(&in, &wants, &out, &proto), 0);
    assert_int_equal((out.flags & window) != 0, (i & 5) == 5);
    assert_int_equal((out.flags & timeout) != 0, (i & 6) == 6);
    assert_int_equal((out.flags & VIRTIOFS_FUSE_INIT_EXT) != 0, (i & 6) == 6);
    assert_int_equal(out.map_alignment, (i & 5) == 5 ? 12 : 0);
    assert_int_equal(out.request_timeout, (i & 6) == 6 ? 60 : 0);
  }
}

/* Before 7.17, locks of fcntl(2) are those of flock(2) too. */
static void old_drivers_lock_both_ways_or_not_at_all(void **state) {
  (void)state;
  const uint64_t locks = VIRTIOFS_FUSE_POSIX_LOCKS, both = locks | VIRTIOFS_FUSE_FLOCK_LOCKS;
  for (uint32_t minor = 7; minor <= 45; minor++) {
    assert_int_equal(negotiate(7, minor, locks, locks, 4096), 0);
    assert_true(out.flags == (minor < 17 ? 0 : locks));
    assert_int_equal(negotiate(7, minor, locks, both, 4096), 0);
    assert_true(out.flags == locks);
    assert_int_equal(negotiate(7, minor, both, both, 4096), 0);
    assert_true(out.flags == both);
  }
}

static void check_write(uint32_t wanted, bool max_pages, uint32_t max_write, uint16_t pages) {
  uint64_t flags = max_pages ? VIRTIOFS_FUSE_MAX_PAGES : 0;
  assert_int_equal(negotiate(7, 38, flags, VIRTIOFS_FUSE_MAX_PAGES, wanted), 0);
  assert_int_equal(out.max_write, max_write);
  assert_int_equal(out.max_pages, pages);
}

static void writes_are_as_large_as_the_pages_say(void **state) {
  (void)state;
  check_write(4096, true, 4096, 1);
  check_write(4097, true, 4097, 2);
  check_write(1 << 20, true, 1 << 20, 256);
  check_write(1 << 20, false, 128 << 10, 32);
  check_write(5000, false, 5000, 2);
  check_write(UINT16_MAX * 4096U, true, UINT16_MAX * 4096U, UINT16_MAX);
  check_write(UINT16_MAX * 4096U + 1, true, UINT16_MAX * 4096U, UINT16_MAX);
  check_write(UINT32_MAX, true, UINT16_MAX * 4096U, UINT16_MAX);
  check_write(UINT32_MAX, false, 128 << 10, 32);
}

static void the_rest_is_passed_on(void **state) {
  (void)state;
  assert_int_equal(negotiate(7, 31, 0, 0, 4096), 0);
  assert_int_equal(out.major, 7);
  assert_int_equal(out.max_readahead, 4711);
  assert_int_equal(out.time_gran, 100);
  assert_true(out.max_background > 0 && out.congestion_threshold > 0);
  assert_true(out.congestion_threshold <= out.max_background);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_are_there_as_far_as_the_message_goes),
      cmocka_unit_test(init_is_read_however_it_is_cut),
      cmocka_unit_test(the_second_word_of_flags_has_to_be_announced),
      cmocka_unit_test(a_longer_init_is_one_of_a_newer_driver),
      cmocka_unit_test(the_older_minor_is_spoken),
      cmocka_unit_test(a_newer_major_is_told_ours_and_asks_again),
      cmocka_unit_test(an_older_major_is_refused),
      cmocka_unit_test(flags_are_those_of_both),
      cmocka_unit_test(flags_of_the_reply),
      cmocka_unit_test(old_drivers_lock_both_ways_or_not_at_all),
      cmocka_unit_test(writes_are_as_large_as_the_pages_say),
      cmocka_unit_test(the_rest_is_passed_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
