/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/raw_request.h"
#include "support/shred.h"

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38};
static struct virtiofs_fuse_request got;
static struct fuse_request req;

/* ---- one whole request of each kind, and what it has to become ---- */

#define ADD(...) fuse_request_add(&req, &(__VA_ARGS__), sizeof(__VA_ARGS__))

static void assert_name(const struct virtiofs_name *name, const char *text) {
  assert_int_equal(name->len, strlen(text));
  assert_string_equal(name->str, text);
  assert_true(name->str >= got.storage && name->str + name->len < got.storage + sizeof got.storage);
}

static void build_name(void) { fuse_request_name(&req, "file"); }
static void check_name(void) { assert_name(&got.in.lookup.name, "file"); }
static void build_nothing(void) {}
static void check_nothing(void) {}

static void build_forget(void) { ADD((struct fuse_forget_in){.nlookup = 9}); }
static void check_forget(void) { assert_int_equal(got.in.forget.nlookup, 9); }

static void build_batch(void) {
  ADD((struct fuse_batch_forget_in){.count = 2});
  ADD((struct fuse_forget_one){.nodeid = 5, .nlookup = 6});
  ADD((struct fuse_forget_one){.nodeid = 7, .nlookup = UINT64_MAX});
}
static void check_batch(void) {
  struct virtiofs_fuse_forget_in one;
  assert_int_equal(got.in.batch_forget.count, 2);
  assert_true(virtiofs_fuse_forget_next(&got.in.batch_forget, &one));
  assert_int_equal(one.nodeid, 5);
  assert_int_equal(one.nlookup, 6);
  assert_true(virtiofs_fuse_forget_next(&got.in.batch_forget, &one));
  assert_int_equal(one.nodeid, 7);
  assert_int_equal(one.nlookup, UINT64_MAX);
  assert_false(virtiofs_fuse_forget_next(&got.in.batch_forget, &one));
  assert_false(virtiofs_fuse_forget_next(&got.in.batch_forget, &one));
}

static void build_getattr(void) { ADD((struct fuse_getattr_in){.getattr_flags = FUSE_GETATTR_FH, .fh = 77}); }
static void check_getattr(void) {
  assert_true(got.in.getattr.has_handle);
  assert_int_equal(got.in.getattr.handle, 77);
}

static void build_setattr(void) {
  ADD((struct fuse_setattr_in){.valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME |
                                        FATTR_FH | FATTR_CTIME | FATTR_LOCKOWNER,
                               .fh = 78,
                               .size = 1000,
                               .atime = (uint64_t)-5,
                               .mtime = 6,
                               .ctime = 7,
                               .atimensec = 999999999,
                               .mtimensec = 1,
                               .ctimensec = 2,
                               .mode = 0100644,
                               .uid = 11,
                               .gid = 12});
}
static void check_setattr(void) {
  const struct virtiofs_setattr_in *in = &got.in.setattr;
  assert_true(in->has_handle);
  assert_int_equal(in->handle, 78);
  assert_int_equal(in->valid, VIRTIOFS_SET_MODE | VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_SIZE |
                                  VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME | VIRTIOFS_SET_CTIME);
  assert_int_equal(in->mode, 0644);
  assert_int_equal(in->uid, 11);
  assert_int_equal(in->gid, 12);
  assert_int_equal(in->size, 1000);
  assert_int_equal(in->atime.sec, -5);
  assert_int_equal(in->atime.nsec, 999999999);
  assert_int_equal(in->mtime.sec, 6);
  assert_int_equal(in->ctime.nsec, 2);
}

static void build_symlink(void) {
  fuse_request_name(&req, "link");
  fuse_request_name(&req, "../a/target");
}
static void check_symlink(void) {
  assert_name(&got.in.symlink.name, "link");
  assert_name(&got.in.symlink.target, "../a/target");
}

static void build_mknod(void) {
  ADD((struct fuse_mknod_in){.mode = 0020600, .rdev = 0x12345678, .umask = 0xffff0012});
  fuse_request_name(&req, "dev");
}
static void check_mknod(void) {
  assert_int_equal(got.in.mknod.mode, 0020600);
  assert_int_equal(got.in.mknod.umask, 0022);
  assert_int_equal(got.in.mknod.rdev_major, 0x456);
  assert_int_equal(got.in.mknod.rdev_minor, 0x12378);
  assert_name(&got.in.mknod.name, "dev");
}

static void build_mkdir(void) {
  ADD((struct fuse_mkdir_in){.mode = 0041755, .umask = 022});
  fuse_request_name(&req, "dir");
}
static void check_mkdir(void) {
  assert_int_equal(got.in.mkdir.mode, 01755);
  assert_int_equal(got.in.mkdir.umask, 022);
  assert_name(&got.in.mkdir.name, "dir");
}

static void build_rename(void) {
  ADD((struct fuse_rename_in){.newdir = 31});
  fuse_request_name(&req, "old");
  fuse_request_name(&req, "newer");
}
static void check_rename(void) {
  assert_int_equal(got.in.rename.new_parent, 31);
  assert_int_equal(got.in.rename.flags, 0);
  assert_name(&got.in.rename.name, "old");
  assert_name(&got.in.rename.new_name, "newer");
}

static void build_rename2(void) {
  ADD((struct fuse_rename2_in){.newdir = 32, .flags = VIRTIOFS_RENAME_EXCHANGE});
  fuse_request_name(&req, "old");
  fuse_request_name(&req, "newer");
}
static void check_rename2(void) {
  assert_int_equal(got.in.rename.new_parent, 32);
  assert_int_equal(got.in.rename.flags, VIRTIOFS_RENAME_EXCHANGE);
  assert_name(&got.in.rename.name, "old");
  assert_name(&got.in.rename.new_name, "newer");
}

static void build_link(void) {
  ADD((struct fuse_link_in){.oldnodeid = 33});
  fuse_request_name(&req, "hard");
}
static void check_link(void) {
  assert_int_equal(got.in.link.new_parent, FUSE_REQUEST_NODE);
  assert_int_equal(got.in.link.node, 33);
  assert_name(&got.in.link.name, "hard");
}

static void build_open(void) { ADD((struct fuse_open_in){.flags = 02}); }
static void check_open(void) { assert_int_equal(got.in.open.flags, 02); }

static void build_create(void) {
  ADD((struct fuse_create_in){.flags = 0302, .mode = 0100640, .umask = 027});
  fuse_request_name(&req, "new");
}
static void check_create(void) {
  assert_int_equal(got.in.create.flags, 0302);
  assert_int_equal(got.in.create.mode, 0100640);
  assert_int_equal(got.in.create.umask, 027);
  assert_name(&got.in.create.name, "new");
}

static void build_read(void) { ADD((struct fuse_read_in){.fh = 41, .offset = 42, .size = 43, .flags = 44}); }
static void check_read(void) {
  assert_int_equal(got.in.read.handle, 41);
  assert_int_equal(got.in.read.offset, 42);
  assert_int_equal(got.in.read.size, 43);
  assert_int_equal(got.in.read.flags, 44);
  assert_int_equal(got.in.read.data.count, 0);
}
static void check_readdir(void) {
  assert_int_equal(got.in.readdir.handle, 41);
  assert_int_equal(got.in.readdir.offset, 42);
  assert_int_equal(got.in.readdir.size, 43);
}

#define WRITTEN "some bytes of a file"
static void build_write(void) {
  ADD((struct fuse_write_in){.fh = 51, .offset = 52, .size = sizeof WRITTEN, .flags = 54, .write_flags = 4});
  fuse_request_name(&req, WRITTEN);
}
static void check_write(void) {
  char text[sizeof WRITTEN + 1];
  assert_int_equal(got.in.write.handle, 51);
  assert_int_equal(got.in.write.offset, 52);
  assert_int_equal(got.in.write.size, sizeof WRITTEN);
  assert_int_equal(got.in.write.flags, 54);
  assert_int_equal(got.in.write.write_flags, VIRTIOFS_WRITE_KILL_SUIDGID);
  assert_int_equal(got.in.write.data.size, sizeof WRITTEN);
  assert_int_equal(virtiofs_data_copy(&got.in.write.data, 0, text, sizeof text), sizeof WRITTEN);
  assert_string_equal(text, WRITTEN);
}

static void build_release(void) {
  ADD((struct fuse_release_in){.fh = 61, .flags = 62, .release_flags = 2, .lock_owner = 64});
}
static void check_release(void) {
  assert_int_equal(got.in.release.handle, 61);
  assert_int_equal(got.in.release.flags, 62);
  assert_int_equal(got.in.release.release_flags, VIRTIOFS_RELEASE_FLOCK_UNLOCK);
  assert_int_equal(got.in.release.lock_owner, 64);
}

static void build_fsync(void) { ADD((struct fuse_fsync_in){.fh = 71, .fsync_flags = 1}); }
static void check_fsync(void) {
  assert_int_equal(got.in.fsync.handle, 71);
  assert_true(got.in.fsync.data_only);
}

static void build_flush(void) { ADD((struct fuse_flush_in){.fh = 81, .lock_owner = 82}); }
static void check_flush(void) {
  assert_int_equal(got.in.flush.handle, 81);
  assert_int_equal(got.in.flush.lock_owner, 82);
}

static void build_fallocate(void) { ADD((struct fuse_fallocate_in){.fh = 91, .offset = 92, .length = 93, .mode = 3}); }
static void check_fallocate(void) {
  assert_int_equal(got.in.fallocate.handle, 91);
  assert_int_equal(got.in.fallocate.offset, 92);
  assert_int_equal(got.in.fallocate.length, 93);
  assert_int_equal(got.in.fallocate.mode, 3);
}

static void build_lseek(void) { ADD((struct fuse_lseek_in){.fh = 95, .offset = 96, .whence = 4}); }
static void check_lseek(void) {
  assert_int_equal(got.in.lseek.handle, 95);
  assert_int_equal(got.in.lseek.offset, 96);
  assert_int_equal(got.in.lseek.whence, 4);
}

static const struct kind {
  uint32_t opcode;
  void (*build)(void);
  void (*check)(void);
} kinds[] = {
    {FUSE_LOOKUP, build_name, check_name},
    {FUSE_FORGET, build_forget, check_forget},
    {FUSE_GETATTR, build_getattr, check_getattr},
    {FUSE_SETATTR, build_setattr, check_setattr},
    {FUSE_READLINK, build_nothing, check_nothing},
    {FUSE_SYMLINK, build_symlink, check_symlink},
    {FUSE_MKNOD, build_mknod, check_mknod},
    {FUSE_MKDIR, build_mkdir, check_mkdir},
    {FUSE_UNLINK, build_name, check_name},
    {FUSE_RMDIR, build_name, check_name},
    {FUSE_RENAME, build_rename, check_rename},
    {FUSE_LINK, build_link, check_link},
    {FUSE_OPEN, build_open, check_open},
    {FUSE_READ, build_read, check_read},
    {FUSE_WRITE, build_write, check_write},
    {FUSE_STATFS, build_nothing, check_nothing},
    {FUSE_RELEASE, build_release, check_release},
    {FUSE_FSYNC, build_fsync, check_fsync},
    {FUSE_FLUSH, build_flush, check_flush},
    {FUSE_OPENDIR, build_open, check_open},
    {FUSE_READDIR, build_read, check_readdir},
    {FUSE_RELEASEDIR, build_release, check_release},
    {FUSE_FSYNCDIR, build_fsync, check_fsync},
    {FUSE_CREATE, build_create, check_create},
    {FUSE_DESTROY, build_nothing, check_nothing},
    {FUSE_BATCH_FORGET, build_batch, check_batch},
    {FUSE_FALLOCATE, build_fallocate, check_fallocate},
    {FUSE_READDIRPLUS, build_read, check_readdir},
    {FUSE_RENAME2, build_rename2, check_rename2},
    {FUSE_LSEEK, build_lseek, check_lseek},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static void build(const struct kind *kind) {
  fuse_request_begin(&req, kind->opcode);
  kind->build();
}

/* The first @len bytes in way number @way; @check: look at the arguments while the segments are there. */
static int decode(size_t len, size_t way, void (*check)(void)) {
  struct shred shred;
  shred_way(&shred, req.bytes, len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &spoken, shred.iov, shred.count);
  if (check != NULL && rc == 0)
    check();
  shred_free(&shred);
  return rc;
}

static void check_header(uint32_t opcode) {
  assert_int_equal(got.header.len, req.len);
  assert_int_equal(got.header.opcode, opcode);
  assert_int_equal(got.header.unique, FUSE_REQUEST_UNIQUE);
  assert_int_equal(got.header.nodeid, FUSE_REQUEST_NODE);
  assert_int_equal(got.header.uid, 1000);
  assert_int_equal(got.header.gid, 1001);
  assert_int_equal(got.header.pid, 1002);
}

static void each_request_is_read_however_it_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    build(&kinds[i]);
    for (size_t way = 0; way < shred_ways(req.len); way++) {
      assert_int_equal(decode(req.len, way, kinds[i].check), 0);
      check_header(kinds[i].opcode);
      assert_int_equal(got.in.nodeid, FUSE_REQUEST_NODE);
    }
  }
}

/* Only the reply's address is known of such a message. */
static void check_only_unique(size_t len) {
  struct virtiofs_fuse_header expected = {.unique = len >= 16 ? FUSE_REQUEST_UNIQUE : 0};
  assert_int_equal(got.header.unique, expected.unique);
  assert_int_equal(got.header.opcode, 0);
  assert_int_equal(got.header.nodeid, 0);
  assert_int_equal(got.header.len, 0);
}

static void a_message_shorter_than_it_says_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    build(&kinds[i]);
    for (size_t len = 0; len < req.len; len++) {
      assert_int_equal(decode(len, 0, NULL), -EPROTO);
      check_only_unique(len);
      assert_int_equal(decode(len, len, NULL), -EPROTO);
      check_only_unique(len);
    }
  }
}

static void arguments_cut_at_any_byte_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    for (size_t len = sizeof(struct fuse_in_header);; len++) {
      build(&kinds[i]);
      if (len >= req.len)
        break;
      fuse_request_lie(&req, (uint32_t)len);
      assert_int_equal(decode(len, 0, NULL), -EINVAL);
      assert_int_equal(got.header.opcode, kinds[i].opcode);
      assert_int_equal(decode(req.len, 0, NULL), -EINVAL);
    }
  }
}

static void a_length_below_a_header_is_refused(void **state) {
  (void)state;
  for (uint32_t len = 0; len < sizeof(struct fuse_in_header); len++) {
    build(&kinds[2]);
    fuse_request_lie(&req, len);
    assert_int_equal(decode(req.len, 0, NULL), -EPROTO);
    check_only_unique(req.len);
  }
  fuse_request_lie(&req, UINT32_MAX);
  assert_int_equal(decode(req.len, 0, NULL), -EPROTO);
}

static void bytes_behind_the_message_mean_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    build(&kinds[i]);
    uint32_t len = (uint32_t)req.len;
    fuse_request_fill(&req, 'x', 21);
    fuse_request_lie(&req, len);
    assert_int_equal(decode(req.len, 0, kinds[i].check), 0);
    assert_int_equal(decode(req.len, len, kinds[i].check), 0);
    assert_int_equal(decode(req.len, shred_ways(req.len) - 1, kinds[i].check), 0);
  }
}

/* Newer drivers append fields; file contents and lists have no room for that. */
static void fields_behind_the_known_ones_mean_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    build(&kinds[i]);
    fuse_request_fill(&req, 'x', 16);
    assert_int_equal(decode(req.len, 0, kinds[i].check), kinds[i].opcode == FUSE_WRITE ? -EINVAL : 0);
  }
}

static void before_init_there_is_only_init(void **state) {
  (void)state;
  const struct virtiofs_fuse_proto silent = {0};
  for (uint32_t opcode = 0; opcode < 70; opcode++) {
    fuse_request_begin(&req, opcode);
    fuse_request_fill(&req, 0, 100);
    struct iovec iov = {.iov_base = req.bytes, .iov_len = req.len};
    int rc = virtiofs_fuse_request_decode(&got, &silent, &iov, 1);
    assert_int_equal(rc, opcode == FUSE_INIT ? 0 : -EIO);
    assert_int_equal(got.header.unique, FUSE_REQUEST_UNIQUE);
  }
}

static void unknown_opcodes_are_said_to_be_so(void **state) {
  (void)state;
  static const uint32_t unknown[] = {
      0, 7, 19, 54, 100, CUSE_INIT, FUSE_INIT << 24 | 1, CUSE_INIT << 8, 0x80000001, UINT32_MAX};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    fuse_request_begin(&req, unknown[i]);
    fuse_request_fill(&req, 0, 64);
    assert_int_equal(decode(req.len, 0, NULL), -ENOSYS);
    check_header(unknown[i]);
  }
}

/* ---- extensions ---- */

static bool may_carry(uint32_t opcode) {
  return opcode == FUSE_CREATE || opcode == FUSE_MKNOD || opcode == FUSE_MKDIR || opcode == FUSE_SYMLINK;
}

static void extensions_are_behind_the_names(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    if (!may_carry(kinds[i].opcode))
      continue;
    build(&kinds[i]);
    ADD((const uint32_t[]){24, 33, 1, 2, 3, 4}); /* of a kind that nobody knows */
    fuse_request_extlen(&req, 3);
    for (size_t way = 0; way < shred_ways(req.len); way++)
      assert_int_equal(decode(req.len, way, kinds[i].check), 0);
    assert_int_equal(got.header.total_extlen, 3);
    fuse_request_extlen(&req, 4); /* takes the end of the name, and its NUL, away */
    assert_int_equal(decode(req.len, 0, NULL), -EINVAL);
  }
}

static void extensions_longer_than_the_message_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < KINDS; i++) {
    build(&kinds[i]);
    size_t units = (req.len - sizeof(struct fuse_in_header)) / 8 + 1;
    fuse_request_extlen(&req, (uint16_t)units);
    assert_int_equal(decode(req.len, 0, kinds[i].check), may_carry(kinds[i].opcode) ? -EINVAL : 0);
    fuse_request_extlen(&req, UINT16_MAX);
    assert_int_equal(decode(req.len, 0, kinds[i].check), may_carry(kinds[i].opcode) ? -EINVAL : 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_request_is_read_however_it_is_cut),
      cmocka_unit_test(a_message_shorter_than_it_says_is_refused),
      cmocka_unit_test(arguments_cut_at_any_byte_are_refused),
      cmocka_unit_test(a_length_below_a_header_is_refused),
      cmocka_unit_test(bytes_behind_the_message_mean_nothing),
      cmocka_unit_test(fields_behind_the_known_ones_mean_nothing),
      cmocka_unit_test(before_init_there_is_only_init),
      cmocka_unit_test(unknown_opcodes_are_said_to_be_so),
      cmocka_unit_test(extensions_are_behind_the_names),
      cmocka_unit_test(extensions_longer_than_the_message_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
