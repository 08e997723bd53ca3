/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's end of INIT, and both ends together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "fuse/init.h"
#include "fuse/init_flags.h"
#include "support/seeded.h"

static struct virtiofs_fuse_init_in in;
static struct virtiofs_fuse_init_out out;
static struct virtiofs_fuse_proto proto;

static void what_linux_offers(void **state) {
  (void)state;
  virtiofs_fuse_init_offer(&in, 5, true);
  assert_int_equal(in.major, 7);
  assert_int_equal(in.minor, 5);
  assert_true(in.flags == 0 && in.max_readahead == 0);
  virtiofs_fuse_init_offer(&in, 7, true);
  assert_true(in.flags == (VIRTIOFS_FUSE_ASYNC_READ | VIRTIOFS_FUSE_POSIX_LOCKS));
  assert_true(in.max_readahead > 0);
  /* As a 5.4 guest says on a device with and without a window. */
  virtiofs_fuse_init_offer(&in, 31, false);
  assert_true(in.flags == 0x3fffffb);
  virtiofs_fuse_init_offer(&in, 31, true);
  assert_true(in.flags == 0x7fffffb);
  /* As Debian 12's said, but for CREATE_SUPP_GROUP, which came later in the same minor. */
  virtiofs_fuse_init_offer(&in, 38, false);
  assert_true((in.flags & ~VIRTIOFS_FUSE_CREATE_SUPP_GROUP) == 0xb7bfffffb);
  virtiofs_fuse_init_offer(&in, 45, false);
  assert_true(in.flags == 0x7ff7bfffffb);
  virtiofs_fuse_init_offer(&in, UINT32_MAX, true);
  assert_int_equal(in.minor, 45);
  assert_true(in.flags == 0x7ff7ffffffb);
}

/* A reply as good as any, to a driver that offers everything. */
static void good(void) {
  virtiofs_fuse_init_offer(&in, 45, true);
  out = (struct virtiofs_fuse_init_out){.major = 7,
                                        .minor = 45,
                                        .max_readahead = 4096,
                                        .flags = VIRTIOFS_FUSE_MAX_PAGES | VIRTIOFS_FUSE_ASYNC_READ,
                                        .max_background = 100,
                                        .congestion_threshold = 75,
                                        .max_write = 65536,
                                        .time_gran = 100,
                                        .max_pages = 16};
}

static void takes(void) {
  proto = (struct virtiofs_fuse_proto){.minor = 99};
  assert_int_equal(virtiofs_fuse_init_accept(&in, &out, &proto), 0);
  assert_true(proto.agreed);
  assert_true(proto.flags == out.flags);
}

static void refuses(void) {
  proto = (struct virtiofs_fuse_proto){.agreed = true, .swapped = true, .minor = 99, .flags = UINT64_MAX};
  assert_int_equal(virtiofs_fuse_init_accept(&in, &out, &proto), -EPROTO);
  assert_false(proto.agreed);
  assert_true(proto.flags == 0);
}

static void majors(void **state) {
  (void)state;
  for (uint32_t major = 0; major < 20; major++) {
    good();
    out.major = major;
    if (major == 7)
      takes();
    else
      refuses();
  }
  /* A newer driver is told ours, whatever else stands there. */
  good();
  memset(&out, 0xff, sizeof out);
  in.major = 8;
  out.major = 7;
  proto.swapped = true;
  assert_int_equal(virtiofs_fuse_init_accept(&in, &out, &proto), 0);
  assert_false(proto.agreed);
  assert_true(proto.swapped);
  out.major = 8;
  refuses();
  good();
  in.major = 6;
  refuses();
}

static void the_lower_minor_is_spoken(void **state) {
  (void)state;
  for (uint32_t ours = 5; ours <= 45; ours++)
    for (uint32_t theirs = 5; theirs < 50; theirs++) {
      good();
      in.minor = ours;
      out.minor = theirs;
      takes();
      assert_int_equal(proto.minor, ours < theirs ? ours : theirs);
    }
  good();
  in.minor = UINT32_MAX;
  out.minor = UINT32_MAX;
  takes();
  assert_int_equal(proto.minor, 45);
}

static void only_what_was_offered(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    uint64_t flag = UINT64_C(1) << bit, second = bit >= 32 ? VIRTIOFS_FUSE_INIT_EXT : 0;
    good();
    in.flags = ~flag;
    out.flags = flag | second;
    refuses();
    in.flags = flag | second;
    takes();
    assert_true(proto.flags == (flag | second));
    if (bit < 32)
      continue;
    /* Both ends say that there is a second word. */
    in.flags = flag;
    out.flags = flag | second;
    refuses();
    in.flags = flag | second;
    out.flags = flag;
    refuses();
  }
}

static void sizes_are_within_their_limits(void **state) {
  (void)state;
  static const struct {
    uint32_t max_write, max_pages, time_gran, map_alignment, ok;
  } cases[] = {
      {4096, 1, 1, 0, 1},          {4095, 1, 1, 0, 0},          {0, 1, 1, 0, 0},     {UINT32_MAX, 1, 1, 0, 1},
      {4096, 0, 1, 0, 0},          {4096, 65535, 1, 0, 1},      {4096, 1, 0, 0, 1},  {4096, 1, 1000000000, 0, 1},
      {4096, 1, 1000000001, 0, 0}, {4096, 1, UINT32_MAX, 0, 0}, {4096, 1, 1, 21, 1}, {4096, 1, 1, 22, 0},
      {4096, 1, 1, 65535, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    good();
    out.flags = VIRTIOFS_FUSE_MAX_PAGES | VIRTIOFS_FUSE_MAP_ALIGNMENT;
    out.max_write = cases[i].max_write;
    out.max_pages = (uint16_t)cases[i].max_pages;
    out.time_gran = cases[i].time_gran;
    out.map_alignment = (uint16_t)cases[i].map_alignment;
    if (cases[i].ok == 0) {
      refuses();
      continue;
    }
    takes();
    assert_true(out.max_write >= 4096 && out.max_write <= out.max_pages * 4096U);
    assert_true(out.time_gran >= 1 && out.time_gran <= 1000000000);
  }
}

static void what_is_not_said_is_what_linux_takes(void **state) {
  (void)state;
  good();
  memset(&out.max_background, 0xff, sizeof out - offsetof(struct virtiofs_fuse_init_out, max_background));
  out.flags = 0;
  out.time_gran = 1;
  out.max_readahead = UINT32_MAX;
  takes();
  assert_int_equal(out.max_pages, 32);
  assert_int_equal(out.max_write, 128 << 10);
  assert_int_equal(out.max_readahead, in.max_readahead);
  assert_true(out.map_alignment == 0 && out.max_stack_depth == 0 && out.request_timeout == 0);
  /* As short a reply as there is. */
  good();
  out = (struct virtiofs_fuse_init_out){.major = 7, .minor = 4};
  takes();
  assert_int_equal(proto.minor, 4);
  assert_int_equal(out.max_write, 4096);
  assert_int_equal(out.time_gran, 1);
  assert_int_equal(out.max_readahead, in.max_readahead);
  assert_int_equal(out.max_background, 12);
  assert_int_equal(out.congestion_threshold, 9);
  /* More than so old a server can mean. */
  good();
  memset(&out, 0xff, sizeof out);
  out.major = 7;
  out.minor = 4;
  takes();
  assert_true(proto.flags == 0);
  assert_int_equal(out.max_write, 4096);
  assert_int_equal(out.max_background, 12);
}

/* ---- both ends ---- */

/* What is agreed on by the one is, on its way as bytes, what is agreed on by the other. */
static void agree(const struct virtiofs_fuse_init_wants *wants) {
  static struct virtiofs_fuse_request req;
  unsigned char bytes[200], reply[80];
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_INIT, .unique = 2};
  struct virtiofs_fuse_proto device, driver = {.swapped = wants->swapped};
  const struct virtiofs_fuse_proto nothing = {.agreed = false};
  union virtiofs_fuse_in args = {.init = in};
  union virtiofs_fuse_out answer, got;
  memset(&answer, 0, sizeof answer);
  memset(&got, 0, sizeof got);
  ssize_t len = virtiofs_fuse_request_encode(&driver, &header, &args, bytes, sizeof bytes);
  assert_true(len > 0);
  struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
  assert_int_equal(virtiofs_fuse_request_decode(&req, &nothing, &iov, 1), 0);
  assert_int_equal(req.header.swapped, wants->swapped);
  assert_int_equal(virtiofs_fuse_init_negotiate(&req.in.init, wants, &answer.init, &device), 0);
  assert_true(device.agreed);
  iov = (struct iovec){.iov_base = reply, .iov_len = sizeof reply};
  len = virtiofs_fuse_reply_encode(&device, &req.header, 0, &answer, &iov, 1);
  assert_int_equal(len, 16 + (in.minor < 5 ? 8 : in.minor < 23 ? 24 : 64));
  assert_int_equal(virtiofs_fuse_reply_decode(&driver, &header, &got, &iov, 1, (size_t)len), 0);
  assert_int_equal(virtiofs_fuse_init_accept(&in, &got.init, &driver), 0);
  assert_true(driver.agreed && driver.minor == device.minor && driver.swapped == device.swapped);
  assert_true(driver.flags == device.flags);
  assert_int_equal(got.init.max_write, answer.init.max_write);
  assert_int_equal(got.init.max_pages, (device.flags & VIRTIOFS_FUSE_MAX_PAGES) != 0 ? answer.init.max_pages : 32);
  assert_int_equal(got.init.time_gran, in.minor < 23 ? 1 : wants->time_gran);
  assert_int_equal(got.init.map_alignment, answer.init.map_alignment);
  assert_int_equal(got.init.request_timeout, answer.init.request_timeout);
  /* Nothing that one of them did not say. */
  uint64_t replies = virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_REPLY);
  assert_true((driver.flags & ~in.flags) == 0);
  assert_true((driver.flags & ~(wants->flags | replies)) == 0);
}

static void both_ends_agree(void **state) {
  (void)state;
  const uint64_t promises = virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPT_IN);
  for (uint32_t minor = 0; minor <= 45; minor++) {
    for (unsigned round = 0; round < 400; round++) {
      struct virtiofs_fuse_init_wants wants = {.max_write = 4096 + (uint32_t)seeded_below(4 << 20),
                                               .time_gran = 1 + (uint32_t)seeded_below(1000000000),
                                               .map_alignment = (uint16_t)seeded_below(22),
                                               .request_timeout = (uint16_t)seeded_below(3),
                                               .swapped = (round & 1) != 0};
      uint64_t semantics = round % 4 == 0 ? promises : round % 4 == 1 ? 0 : seeded_any() & promises;
      wants.flags = virtiofs_fuse_init_wanted(seeded_any(), semantics);
      virtiofs_fuse_init_offer(&in, minor, round % 3 == 0);
      if (round % 5 == 1)
        in.flags = seeded_any(); /* a driver like no other */
      else if (round % 5 == 2)
        in.flags &= seeded_any();
      if ((in.flags & VIRTIOFS_FUSE_INIT_EXT) == 0)
        in.flags &= UINT32_MAX;
      agree(&wants);
    }
  }
}

/* One promise at a time, to every driver of Linux's: it holds since the minor it came with, or where its messages are
 * as they should be. */
static void a_promise_holds_for_drivers_that_know_it(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    const struct virtiofs_fuse_init_flag *row = virtiofs_fuse_init_flag(bit);
    if (row->rule != VIRTIOFS_FUSE_INIT_OPT_IN)
      continue;
    for (uint32_t minor = 0; minor <= 45; minor++) {
      uint64_t flag = UINT64_C(1) << bit;
      struct virtiofs_fuse_init_wants wants = {.max_write = 4096, .time_gran = 1, .map_alignment = 12};
      wants.flags = virtiofs_fuse_init_wanted(UINT64_MAX, flag | row->demands);
      virtiofs_fuse_init_offer(&in, minor, true);
      assert_int_equal(virtiofs_fuse_init_negotiate(&in, &wants, &out, &proto), 0);
      assert_int_equal((proto.flags & flag) != 0, minor >= (bit == 32 ? 38 : row->since));
    }
  }
}

/* Whatever the server says: refused, or sound. */
static void anything_may_come(void **state) {
  (void)state;
  for (unsigned round = 0; round < 200000; round++) {
    virtiofs_fuse_init_offer(&in, (uint32_t)seeded_below(46), seeded_below(2) != 0);
    uint64_t words[6];
    for (unsigned i = 0; i < 6; i++)
      words[i] = seeded_any();
    memcpy(&out, words, sizeof out < sizeof words ? sizeof out : sizeof words);
    out.major = seeded_below(8) == 0 ? (uint32_t)seeded_any() : 7;
    out.minor = (uint32_t)seeded_below(60);
    if (seeded_below(2) != 0)
      out.flags &= in.flags;
    if (seeded_below(2) != 0)
      out.time_gran %= 1000000000;
    if (seeded_below(2) != 0)
      out.map_alignment %= 22;
    proto = (struct virtiofs_fuse_proto){0};
    if (virtiofs_fuse_init_accept(&in, &out, &proto) != 0) {
      assert_false(proto.agreed);
      continue;
    }
    assert_true(proto.agreed && proto.minor <= in.minor && (proto.flags & ~in.flags) == 0);
    assert_true(out.max_write >= 4096 && out.max_pages > 0 && out.max_write <= out.max_pages * 4096U);
    assert_true(out.time_gran >= 1 && out.time_gran <= 1000000000 && out.map_alignment <= 21);
    assert_true(out.max_background > 0 && out.congestion_threshold > 0 && out.max_readahead <= in.max_readahead);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_linux_offers),
      cmocka_unit_test(majors),
      cmocka_unit_test(the_lower_minor_is_spoken),
      cmocka_unit_test(only_what_was_offered),
      cmocka_unit_test(sizes_are_within_their_limits),
      cmocka_unit_test(what_is_not_said_is_what_linux_takes),
      cmocka_unit_test(both_ends_agree),
      cmocka_unit_test(a_promise_holds_for_drivers_that_know_it),
      cmocka_unit_test(anything_may_come),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
