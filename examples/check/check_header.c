/* SPDX-License-Identifier: BSD-3-Clause */
/* What holds for every message, whatever it asks. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

static void uniques(struct test *t) {
  static const uint64_t values[] = {1, 2, 3, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 62, UINT64_MAX - 1};
  for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
    begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
    t->req.header.unique = values[i];
    good(t, call(t, NULL, 0)); /* which compares them */
  }
}

static void resent(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  t->req.header.unique |= UINT64_C(1) << 63;
  encode(t, NULL, 0);
  (void)send_raw(t); /* may be done or refused, but its reply has the unique as it was */
  still_alive(t);
}

static void lengths(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  is(t, "the length of WRITE's reply", t->len, 16 + 8);
  good(t, fs_lookup(t, t->dir, "file"));
  is(t, "the length of LOOKUP's reply", t->len, 16 + 128);
  good(t, fs_getattr(t, file.node));
  is(t, "the length of GETATTR's reply", t->len, 16 + 104);
  good(t, fs_setattr(t, &(struct virtiofs_setattr_in){.node = file.node}));
  is(t, "the length of SETATTR's reply", t->len, 16 + 104);
  good(t, fs_mkdir(t, t->dir, "dir", 0755));
  is(t, "the length of MKDIR's reply", t->len, 16 + 128);
  good(t, fs_rmdir(t, t->dir, "dir"));
  is(t, "the length of RMDIR's reply", t->len, 16);
  good(t, fs_release(t, file));
  is(t, "the length of RELEASE's reply", t->len, 16);
  good(t, fs_unlink(t, t->dir, "file"));
  is(t, "the length of UNLINK's reply", t->len, 16);
}

static void bare_errors(struct test *t) {
  uint64_t file = make_file(t, "file", "");
  struct virtiofs_lookup_in *in = &begin(t, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = file;
  in->name = (struct virtiofs_name){.str = "below", .len = 5};
  encode(t, NULL, 0);
  t->room = 4096;
  REFUSED(t, send_raw(t), ENOTDIR);
  is(t, "the reply's length", t->len, 16);
}

static void unknown(struct test *t, uint32_t opcode) {
  raw_begin(t, opcode, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 64);
  REFUSED(t, send_raw(t), ENOSYS);
}

static void unknown_opcode(struct test *t) {
  unknown(t, 4000);
  unknown(t, UINT32_MAX);
  unknown(t, 54 + 64);
}

static void unused_opcodes(struct test *t) {
  unknown(t, 0);
  unknown(t, 7);
  unknown(t, 19);
}

static void cuse(struct test *t) {
  unknown(t, 4096);
}

static void unknown_no_room(struct test *t) {
  raw_begin(t, 4000, VIRTIOFS_FUSE_ROOT);
  t->room = 0;
  (void)send_raw(t);
  raw_begin(t, 4000, VIRTIOFS_FUSE_ROOT);
  t->room = 8;
  (void)send_raw(t);
  still_alive(t);
}

static void newer_fields(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 16 + 24);
  good(t, send_raw(t));
  is(t, "the reply's length", t->len, 16 + 104);
}

static void behind_the_end(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 16 + 24);
  raw_len(t, 40 + 16);
  int rc = send_raw(t);
  if (rc != 0) /* a message has one length */
    REFUSED(t, rc, EINVAL, EIO, EPROTO);
  still_alive(t);
}

static void exact_room(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  encode(t, NULL, 0);
  t->room = 16 + 104;
  good(t, send_raw(t));
}

static void much_room(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  encode(t, NULL, 0);
  t->room = 65536;
  good(t, send_raw(t));
  is(t, "the reply's length", t->len, 16 + 104);
}

static void no_pid(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  t->req.header.pid = 0;
  good(t, call(t, NULL, 0));
}

static void padding(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 16);
  memset(t->server->in + 38, 0xad, 2);
  good(t, send_raw(t));
}

static void extensions_elsewhere(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 16 + 16);
  uint16_t units = 2;
  memcpy(t->server->in + 36, &units, sizeof(units));
  (void)send_raw(t); /* ignored or refused */
  still_alive(t);
}

static void high_priority(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  t->queue = 0;
  encode(t, NULL, 0);
  (void)send_raw(t); /* the driver's fault: an error or the reply, but an answer */
  still_alive(t);
}

static void root_generation(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  good(t, fs_lookup(t, t->dir, "file"));
  uint64_t generation = reply_u64(t, 8);
  good(t, fs_lookup(t, t->dir, "file"));
  is(t, "the nodeid", t->got.entry.node, node);
  is(t, "the generation by the second LOOKUP", reply_u64(t, 8), generation);
}

static void valid_times(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_lookup(t, t->dir, "file"));
  expect(t, reply_u32(t, 32) < 1000000000 && reply_u32(t, 36) < 1000000000, "nanoseconds are %u and %u",
         reply_u32(t, 32), reply_u32(t, 36));
  expect(t, reply_u32(t, 40 + 48) < 1000000000 && reply_u32(t, 40 + 52) < 1000000000, "a time's nanoseconds are %u",
         reply_u32(t, 40 + 48));
}

static const struct check header_checks[] = {
    {"unique", "FUSE: a reply carries its request's unique, all 64 bits", uniques, MOUNTED | ANYWHERE, 0, 0},
    {"unique-resent", "FUSE: also with the bit that says a request is sent again", resent, MOUNTED | ANYWHERE, 0, 0},
    {"lengths", "FUSE: a reply has exactly the bytes of its operation, its header and the used ring say the same",
     lengths, MOUNTED, 0, 0},
    {"bare-errors", "FUSE: a reply with an error is a bare header", bare_errors, MOUNTED, 0, 0},
    {"unknown-opcode", "FUSE: an unknown opcode is answered ENOSYS", unknown_opcode, MOUNTED | ANYWHERE, 0, 0},
    {"unused-opcodes", "FUSE: the opcodes 0, 7 and 19 are not used: ENOSYS", unused_opcodes, MOUNTED | ANYWHERE, 0, 0},
    {"cuse", "FUSE: CUSE_INIT is not for virtio-fs: ENOSYS", cuse, MOUNTED | ANYWHERE, 0, 0},
    {"unknown-no-room", "virtio 2.7.8: a request without room for an answer goes back, too", unknown_no_room,
     MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"newer-fields", "FUSE: newer drivers append fields; what is behind the known ones is ignored", newer_fields,
     MOUNTED | ANYWHERE, 0, 0},
    {"behind-the-end", "FUSE: bytes behind the header's length mean nothing; or the message is refused", behind_the_end,
     MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"exact-room", "FUSE: room for exactly the reply is enough", exact_room, MOUNTED | ANYWHERE, 0, 0},
    {"much-room", "FUSE: the reply's length is its own, not the room's", much_room, MOUNTED | ANYWHERE, 0, 0},
    {"pid-0", "FUSE header: a pid of 0 is no error", no_pid, MOUNTED | ANYWHERE, 0, 0},
    {"padding", "FUSE: padding is ignored when it is read", padding, MOUNTED | ANYWHERE, 0, 0},
    {"extensions", "FUSE: extensions on a request that has none are ignored or refused", extensions_elsewhere,
     MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"high-priority", "virtio-fs: a normal request on the high-priority queue is answered", high_priority,
     MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"generation", "FUSE entry_out: a node's generation stays the same", root_generation, MOUNTED, 0, 0},
    {"nanoseconds", "FUSE: nanoseconds are less than a second", valid_times, MOUNTED, 0, 0},
};
const struct group header_group = CHECKS("header", header_checks);
