/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT, DESTROY, and what is between them. */
#include <errno.h>
#include <string.h>

#include "check.h"

#define LINUX_FLAGS 0x73fffffbU /* what Linux 6.x offers in the first word, with INIT_EXT */
#define EXT (1U << 30)

/* Sends INIT of @size bytes behind the header; the reply's bytes are in @t->bytes. */
static int init_of(struct test *t, uint32_t major, uint32_t minor, uint32_t flags, uint32_t flags2, size_t size) {
  unsigned char args[64] = {0};
  const uint32_t words[5] = {major, minor, 131072, flags, flags2};
  memcpy(args, words, sizeof(words));
  raw_begin(t, VIRTIOFS_FUSE_INIT, 0);
  raw_bytes(t, args, size);
  t->room = 16 + 64;
  return send_raw(t);
}

static uint32_t major_of(const struct test *t) {
  return reply_u32(t, 0);
}

static uint32_t flags_of(const struct test *t) {
  return reply_u32(t, 12);
}

static uint32_t flags2_of(const struct test *t) {
  return reply_u32(t, 32);
}

static int getattr_raw(struct test *t, uint64_t node) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, node);
  raw_zeros(t, 16);
  return send_raw(t);
}

static void good_linux(struct test *t) {
  good(t, init_of(t, 7, 38, LINUX_FLAGS, 0xff, 64));
}

static void version(struct test *t) {
  good_linux(t);
  is(t, "the major number", major_of(t), 7);
  expect(t, reply_u32(t, 4) >= 27, "the minor number is %u, older than any virtio-fs", reply_u32(t, 4));
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

/* A driver of an older minor: the reply's size; a server may say that it is too old. */
static void size_for(struct test *t, uint32_t minor, size_t in, size_t size) {
  int rc = init_of(t, 7, minor, in > 8 ? 1U << 5 : 0, 0, in);
  if (rc == -EPROTO)
    skip(t, "the server refuses drivers of 7.%u", minor);
  good(t, rc);
  is(t, "the reply's bytes behind its header", t->size, size);
  is(t, "the major number", major_of(t), 7);
}

static void reply_64(struct test *t) {
  size_for(t, 31, 16, 64);
}

static void reply_24(struct test *t) {
  size_for(t, 22, 16, 24);
}

static void reply_8(struct test *t) {
  size_for(t, 4, 8, 8);
}

static void all_minors(struct test *t) {
  for (uint32_t minor = 31; minor <= 45; minor++) {
    int rc = init_of(t, 7, minor, minor >= 36 ? LINUX_FLAGS : LINUX_FLAGS & ~EXT, 0, minor >= 36 ? 64 : 16);
    if (rc != 0)
      fail(t, "a driver of 7.%u is answered %s", minor, strerror(-rc));
    good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
  }
}

static void newer_minor(struct test *t) {
  good(t, init_of(t, 7, 99, LINUX_FLAGS, 0, 64));
  is(t, "the major number", major_of(t), 7);
  expect(t, reply_u32(t, 4) < 99, "the server says that it is of 7.99, too");
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void newer_major(struct test *t) {
  good(t, init_of(t, 8, 0, LINUX_FLAGS, 0, 64));
  is(t, "the major number", major_of(t), 7);
  bad(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
  good_linux(t);
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void older_major(struct test *t) {
  REFUSED(t, init_of(t, 6, 1, 0, 0, 16), EPROTO);
  good_linux(t);
}

static void subset(struct test *t) {
  const uint32_t offer = 1U << 0 | 1U << 5; /* ASYNC_READ, BIG_WRITES */
  good(t, init_of(t, 7, 31, offer, 0, 16));
  expect(t, (flags_of(t) & ~offer) == 0, "flags %#x were not offered", flags_of(t) & ~offer);
}

static void no_flags(struct test *t) {
  good(t, init_of(t, 7, 31, 0, 0, 16));
  is(t, "the flags", flags_of(t), 0);
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void unknown_flags(struct test *t) {
  good(t, init_of(t, 7, 38, UINT32_MAX, UINT32_MAX, 64));
  is(t, "the reserved flag, bit 31", flags_of(t) & 1U << 31, 0);
  expect(t, (flags2_of(t) & ~0x7ffU) == 0, "flags2 %#x has flags that nobody knows", flags2_of(t));
}

static void flags2_without_ext(struct test *t) {
  good(t, init_of(t, 7, 38, LINUX_FLAGS & ~EXT, UINT32_MAX, 64));
  is(t, "INIT_EXT", flags_of(t) & EXT, 0);
  is(t, "flags2", flags2_of(t), 0);
}

static void ext_without_flags2(struct test *t) {
  int rc = init_of(t, 7, 36, LINUX_FLAGS, 0, 16);
  if (rc == 0)
    is(t, "flags2", flags2_of(t), 0);
  good_linux(t);
}

static void ext_with_flags2(struct test *t) {
  good(t, init_of(t, 7, 38, LINUX_FLAGS, UINT32_MAX, 64));
  expect(t, flags2_of(t) == 0 || (flags_of(t) & EXT) != 0, "flags2 is %#x, and INIT_EXT is not set", flags2_of(t));
}

static void device_flags(struct test *t) {
  good(t, init_of(t, 7, 45, UINT32_MAX, UINT32_MAX, 64));
  is(t, "OVER_IO_URING", flags2_of(t) & 1U << 9, 0);
  is(t, "PASSTHROUGH", flags2_of(t) & 1U << 5, 0);
}

static void opposites(struct test *t) {
  good(t, init_of(t, 7, 38, LINUX_FLAGS, UINT32_MAX, 64));
  bool both = (flags_of(t) & 1U << 4) != 0 && (flags2_of(t) & 1U << 6) != 0;
  expect(t, !both, "EXPORT_SUPPORT and NO_EXPORT_SUPPORT together");
}

static void max_write(struct test *t) {
  good_linux(t);
  expect(t, reply_u32(t, 20) >= 4096, "max_write is %u, less than 4096", reply_u32(t, 20));
}

static void max_pages(struct test *t) {
  good_linux(t);
  if ((flags_of(t) & 1U << 22) == 0)
    skip(t, "MAX_PAGES was not agreed on");
  uint32_t pages = reply_u16(t, 28), write = reply_u32(t, 20);
  expect(t, pages >= (write + 4095) / 4096, "max_pages %u is less than max_write %u", pages, write);
}

static void time_gran(struct test *t) {
  good_linux(t);
  uint32_t gran = reply_u32(t, 24);
  expect(t, gran >= 1 && gran <= 1000000000, "time_gran is %u", gran);
}

static void readahead(struct test *t) {
  good_linux(t);
  expect(t, reply_u32(t, 8) <= 131072, "max_readahead is %u, more than was offered", reply_u32(t, 8));
}

static void map_alignment(struct test *t) {
  good_linux(t);
  bool window = (flags_of(t) & 1U << 26) != 0;
  uint32_t alignment = reply_u16(t, 30);
  expect(t, !window || (alignment >= 12 && alignment <= 21), "map_alignment is %u, and Linux maps 2 MiB", alignment);
}

static void unused_is_zero(struct test *t) {
  good_linux(t);
  for (size_t at = 44; at < t->size; at++)
    is(t, "a byte that means nothing", t->bytes[at], 0);
}

static void before(struct test *t) {
  bad(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
  good_linux(t);
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void forget_before(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_FORGET, 77);
  raw_u64(t, 1);
  t->queue = 0;
  t->room = 0;
  (void)send_raw(t);
  good_linux(t);
}

static void again(struct test *t) {
  good_linux(t);
  raw_begin(t, VIRTIOFS_FUSE_OPENDIR, VIRTIOFS_FUSE_ROOT);
  raw_u64(t, 0);
  int rc = send_raw(t);
  if (rc == -ENOSYS)
    skip(t, "the server has no OPENDIR");
  good(t, rc);
  uint64_t handle = reply_u64(t, 0);
  good_linux(t);
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
  raw_begin(t, VIRTIOFS_FUSE_READDIR, VIRTIOFS_FUSE_ROOT);
  raw_u64(t, handle);
  raw_u64(t, 0);
  raw_u32(t, 4096);
  raw_zeros(t, 20);
  bad(t, send_raw(t));
}

static void forgets_nodes(struct test *t) {
  good_linux(t);
  raw_begin(t, VIRTIOFS_FUSE_MKDIR, VIRTIOFS_FUSE_ROOT);
  raw_u32(t, 0755);
  raw_u32(t, 0);
  raw_string(t, t->server->name);
  int rc = send_raw(t);
  if (rc != 0)
    skip(t, "nothing can be made in the root: MKDIR is answered %s", strerror(-rc));
  uint64_t node = reply_u64(t, 0);
  t->server->dirty = true;
  good(t, getattr_raw(t, node));
  good_linux(t);
  bad(t, getattr_raw(t, node));
}

static void destroy(struct test *t) {
  good_linux(t);
  raw_begin(t, VIRTIOFS_FUSE_DESTROY, 0);
  good(t, send_raw(t));
  is(t, "the reply's length", t->len, 16);
  bad(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
  good_linux(t);
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void on_high_priority(struct test *t) {
  unsigned char args[64] = {7, 0, 0, 0, 38};
  raw_begin(t, VIRTIOFS_FUSE_INIT, 0);
  raw_bytes(t, args, 64);
  t->queue = 0;
  t->room = 80;
  (void)send_raw(t); /* an error or the reply, but an answer */
  good_linux(t);
}

static void on_second(struct test *t) {
  if (t->server->queues < 2)
    skip(t, "there is one request queue only");
  raw_begin(t, VIRTIOFS_FUSE_INIT, 0);
  const uint32_t words[16] = {7, 38, 131072, LINUX_FLAGS};
  raw_bytes(t, words, sizeof(words));
  t->queue = 2;
  t->room = 80;
  good(t, send_raw(t));
  good(t, getattr_raw(t, VIRTIOFS_FUSE_ROOT));
}

static void truncated(struct test *t) {
  for (size_t size = 0; size < 8; size++)
    bad(t, init_of(t, 7, 38, 0, 0, size));
  good_linux(t);
}

static const struct check init_checks[] = {
    {"version", "FUSE INIT: a driver of 7 is answered 7", version, CONNECTED, 0, 0},
    {"reply-64", "FUSE INIT: 64 bytes for a driver since 7.23", reply_64, CONNECTED, 0, 0},
    {"reply-24", "FUSE INIT: 24 bytes for a driver of 7.5 to 7.22", reply_24, CONNECTED, 0, 0},
    {"reply-8", "FUSE INIT: 8 bytes for a driver before 7.5, which has sent 8", reply_8, CONNECTED, 0, 0},
    {"minors", "FUSE INIT: each minor number that Linux has had with virtio-fs is served, one after the other",
     all_minors, CONNECTED, 0, 0},
    {"newer-minor", "FUSE INIT: a newer minor number is answered by the server's own", newer_minor, CONNECTED, 0, 0},
    {"newer-major", "FUSE INIT: a newer major number is answered 7, and the driver sends INIT again", newer_major,
     CONNECTED, 0, 0},
    {"older-major", "FUSE INIT: an older major number is answered EPROTO", older_major, CONNECTED, 0, 0},
    {"subset", "FUSE INIT: only flags that were offered are answered", subset, CONNECTED, 0, 0},
    {"no-flags", "FUSE INIT: a driver that offers nothing is served", no_flags, CONNECTED, 0, 0},
    {"unknown-flags", "FUSE INIT: flags that the server doesn't know are not echoed, nor is bit 31", unknown_flags,
     CONNECTED, 0, 0},
    {"flags2-without-ext", "FUSE INIT: without INIT_EXT the second word means nothing, both ways", flags2_without_ext,
     CONNECTED, 0, 0},
    {"ext-without-flags2",
     "FUSE INIT: a request of 16 bytes has no second word, whatever INIT_EXT says; or it is refused",
     ext_without_flags2, CONNECTED | HOSTILE, 0, 0},
    {"ext-with-flags2", "FUSE INIT: a reply with flags2 has INIT_EXT", ext_with_flags2, CONNECTED, 0, 0},
    {"device-flags", "FUSE INIT: what needs /dev/fuse is not agreed on over virtio", device_flags, CONNECTED, 0, 0},
    {"opposites", "FUSE INIT: EXPORT_SUPPORT and NO_EXPORT_SUPPORT exclude each other", opposites, CONNECTED, 0, 0},
    {"max-write", "FUSE INIT: max_write is at least 4096", max_write, CONNECTED, 0, 0},
    {"max-pages", "FUSE INIT: with MAX_PAGES there are as many as max_write needs", max_pages, CONNECTED, 0, 0},
    {"time-gran", "FUSE INIT: time_gran is 1 to 1,000,000,000 ns", time_gran, CONNECTED, 0, 0},
    {"readahead", "FUSE INIT: max_readahead is no more than was offered", readahead, CONNECTED, 0, 0},
    {"map-alignment", "FUSE INIT: with MAP_ALIGNMENT it is 12 to 21", map_alignment, CONNECTED, 0, 0},
    {"unused", "FUSE INIT: what is not used in the reply is zero", unused_is_zero, CONNECTED, 0, 0},
    {"before", "FUSE: before INIT a request is answered by an error, and INIT is still good", before, CONNECTED, 0, 0},
    {"forget-before", "FUSE: a FORGET before INIT goes back", forget_before, CONNECTED, 0, 0},
    {"again", "FUSE INIT: another INIT ends the session: what was open is closed", again, CONNECTED, 0, 0},
    {"again-nodes", "FUSE INIT: another INIT ends the session: nodeids are forgotten", forgets_nodes, CONNECTED, 0, 0},
    {"destroy", "FUSE DESTROY is answered a bare header, and after it only INIT is served", destroy, CONNECTED, 0, 0},
    {"second-queue", "virtio-fs: INIT on any request queue is for all of them", on_second, CONNECTED, 0, 0},
    {"high-priority", "virtio-fs: INIT on the high-priority queue is answered, one way or the other", on_high_priority,
     CONNECTED | HOSTILE, 0, 0},
    {"short", "FUSE INIT: fewer than 8 bytes are refused, and a good INIT is still good", truncated,
     CONNECTED | HOSTILE, 0, 0},
};
const struct group init_group = CHECKS("init", init_checks);
