/* SPDX-License-Identifier: BSD-3-Clause */
/* GETATTR, SETATTR. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void the_root(struct test *t) {
  struct virtiofs_attr attr = attr_of(t, VIRTIOFS_FUSE_ROOT);
  is(t, "the type", attr.mode & S_IFMT, S_IFDIR);
  expect(t, attr.nlink > 0, "the root has no link");
  expect(t, (attr.blksize & (attr.blksize - 1)) == 0, "blksize %u is not a power of two", attr.blksize);
  expect(t, (attr.flags & VIRTIOFS_ATTR_SUBMOUNT) == 0, "the root is called a submount");
}

static void a_file(struct test *t) {
  struct virtiofs_attr attr = attr_of(t, make_file(t, "file", "abcdefg"));
  is(t, "the mode", attr.mode, S_IFREG | 0644);
  is(t, "the size", attr.size, 7);
  is(t, "the owner", attr.uid, getuid());
}

static void by_handle(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_getattr_of(t, file));
  is(t, "the size", t->got.attr.attr.size, 3);
  is(t, "the inode number", t->got.attr.attr.ino, attr_of(t, file.node).ino);
}

static void by_bad_handle(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_release(t, file));
  int rc = fs_getattr_of(t, file); /* the node alone is enough */
  if (rc == 0)
    is(t, "the size", t->got.attr.attr.size, 3);
  else
    bad(t, rc);
}

static void unlinked(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_unlink(t, t->dir, "file"));
  good(t, fs_getattr_of(t, file));
  is(t, "the count of links", t->got.attr.attr.nlink, 0);
  is(t, "the size", t->got.attr.attr.size, 3);
  good(t, fs_getattr(t, file.node));
}

static void unknown_node(struct test *t) {
  bad(t, fs_getattr(t, stale_node(t)));
}

static void of_symlink(struct test *t) {
  good(t, fs_symlink(t, t->dir, "link", "twelve bytes"));
  struct virtiofs_attr attr = attr_of(t, t->got.entry.node);
  is(t, "the type", attr.mode & S_IFMT, S_IFLNK);
  is(t, "the size", attr.size, 12);
}

static void padding(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_ROOT);
  raw_zeros(t, 16);
  good(t, send_raw(t));
  is(t, "the reply's bytes behind its header", t->size, 104);
  is(t, "the reply's padding", reply_u32(t, 12), 0);
}

static const struct check getattr_checks[] = {
    {"root", "FUSE GETATTR: the root is a directory, its blksize a power of two or 0", the_root, MOUNTED | ANYWHERE, 0,
     0},
    {"file", "FUSE GETATTR: mode, size and owner of a file are what they were made to be", a_file, MOUNTED, 0, 0},
    {"handle", "FUSE GETATTR: with GETATTR_FH the open file is asked", by_handle, MOUNTED, 0, 0},
    {"released-handle", "FUSE GETATTR: a handle that is not open is an error, or the node alone is looked at",
     by_bad_handle, MOUNTED, 0, 0},
    {"unlinked", "POSIX fstat: a file without a name that is open has 0 links and keeps its size", unlinked, MOUNTED, 0,
     0},
    {"forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", unknown_node, MOUNTED, 0, 0},
    {"symlink", "POSIX lstat: a symbolic link's size is its target's length", of_symlink, MOUNTED,
     VIRTIOFS_FUSE_SYMLINK, 0},
    {"reply", "FUSE attr_out has 104 bytes since 7.9, and its padding is zero", padding, MOUNTED | ANYWHERE, 0, 0},
};
const struct group getattr_group = CHECKS("getattr", getattr_checks);

/* ---- SETATTR ---- */

static struct virtiofs_attr set(struct test *t, const struct virtiofs_setattr_in *in) {
  good(t, fs_setattr(t, in));
  return t->got.attr.attr;
}

static void mode(struct test *t) {
  struct virtiofs_setattr_in in = {
      .node = make_file(t, "file", ""), .valid = VIRTIOFS_SET_MODE, .mode = S_IFREG | 0741};
  is(t, "the reply's mode", set(t, &in).mode, S_IFREG | 0741);
  is(t, "the mode afterwards", attr_of(t, in.node).mode, S_IFREG | 0741);
}

static void mode_of_dir(struct test *t) {
  struct virtiofs_setattr_in in = {.node = make_dir(t, "dir"), .valid = VIRTIOFS_SET_MODE, .mode = S_IFDIR | 01711};
  is(t, "the mode", set(t, &in).mode, S_IFDIR | 01711);
}

static void owner_by(struct test *t, uint32_t valid, uint32_t uid, uint32_t gid) {
  uint64_t node = make_file(t, "file", "");
  struct virtiofs_attr before = attr_of(t, node);
  struct virtiofs_setattr_in in = {.node = node, .valid = valid, .uid = uid, .gid = gid};
  int rc = fs_setattr(t, &in);
  if (rc == -EPERM && getuid() != 0)
    skip(t, "only root may give files away");
  good(t, rc);
  is(t, "the owner", t->got.attr.attr.uid, (valid & VIRTIOFS_SET_UID) != 0 ? uid : before.uid);
  is(t, "the group", t->got.attr.attr.gid, (valid & VIRTIOFS_SET_GID) != 0 ? gid : before.gid);
}

static void uid(struct test *t) {
  owner_by(t, VIRTIOFS_SET_UID, 4321, 77);
}

static void gid(struct test *t) {
  owner_by(t, VIRTIOFS_SET_GID, 77, 1234);
}

static void both_ids(struct test *t) {
  owner_by(t, VIRTIOFS_SET_UID | VIRTIOFS_SET_GID, 11, 12);
}

static void size_to(struct test *t, uint64_t size, const char *contents) {
  struct file file = new_file(t, "file", "abcdef");
  struct virtiofs_setattr_in in = {.node = file.node, .valid = VIRTIOFS_SET_SIZE, .size = size};
  is(t, "the reply's size", set(t, &in).size, size);
  good(t, fs_read(t, file, 0, 100));
  is(t, "the size that is read", t->size, size);
  expect(t, memcmp(t->bytes, contents, size) == 0, "the contents are not what they should be");
}

static void shrink(struct test *t) {
  size_to(t, 3, "abc");
}

static void grow(struct test *t) {
  size_to(t, 10, "abcdef\0\0\0\0");
}

static void size_zero(struct test *t) {
  size_to(t, 0, "");
}

static void size_by_handle(struct test *t) {
  struct file file = new_file(t, "file", "abcdef");
  good(t, fs_unlink(t, t->dir, "file"));
  struct virtiofs_setattr_in in = {
      .node = file.node, .handle = file.handle, .has_handle = true, .valid = VIRTIOFS_SET_SIZE, .size = 2};
  is(t, "the size", set(t, &in).size, 2);
}

static void size_of_dir(struct test *t) {
  struct virtiofs_setattr_in in = {.node = make_dir(t, "dir"), .valid = VIRTIOFS_SET_SIZE, .size = 0};
  REFUSED(t, fs_setattr(t, &in), EISDIR, EINVAL, EBADF, EPERM);
}

static void times_to(struct test *t, uint32_t valid, struct virtiofs_time atime, struct virtiofs_time mtime) {
  uint64_t node = make_file(t, "file", "");
  struct virtiofs_attr before = attr_of(t, node);
  struct virtiofs_setattr_in in = {.node = node, .valid = valid, .atime = atime, .mtime = mtime};
  (void)set(t, &in);
  struct virtiofs_attr after = attr_of(t, node);
  struct virtiofs_time a = (valid & VIRTIOFS_SET_ATIME) != 0 ? atime : before.atime;
  struct virtiofs_time m = (valid & VIRTIOFS_SET_MTIME) != 0 ? mtime : before.mtime;
  is(t, "the atime", (uint64_t)after.atime.sec, (uint64_t)a.sec);
  is(t, "the mtime", (uint64_t)after.mtime.sec, (uint64_t)m.sec);
  uint32_t gran = t->server->init.time_gran != 0 ? t->server->init.time_gran : 1;
  is(t, "the atime's nanoseconds", after.atime.nsec / gran, a.nsec / gran);
  is(t, "the mtime's nanoseconds", after.mtime.nsec / gran, m.nsec / gran);
}

static const struct virtiofs_time early = {.sec = 86400, .nsec = 123456789}, later = {.sec = 1000000000, .nsec = 7};

static void atime(struct test *t) {
  times_to(t, VIRTIOFS_SET_ATIME, early, later);
}

static void mtime(struct test *t) {
  times_to(t, VIRTIOFS_SET_MTIME, early, later);
}

static void both_times(struct test *t) {
  times_to(t, VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME, early, later);
}

static void before_1970(struct test *t) {
  struct virtiofs_time ancient = {.sec = -86400, .nsec = 5};
  times_to(t, VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME, ancient, ancient);
}

/* The server's clock need not be ours: it is enough that what was set long ago is not there any more. */
static void now_by(struct test *t, uint32_t valid) {
  uint64_t node = make_file(t, "file", "");
  struct virtiofs_setattr_in in = {
      .node = node, .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME, .atime = early, .mtime = early};
  (void)set(t, &in);
  in.valid = valid;
  struct virtiofs_attr attr = set(t, &in);
  bool a = (valid & VIRTIOFS_SET_ATIME_NOW) != 0, m = (valid & VIRTIOFS_SET_MTIME_NOW) != 0;
  expect(t, (attr.atime.sec > later.sec) == a, "the atime is %lld", (long long)attr.atime.sec);
  expect(t, (attr.mtime.sec > later.sec) == m, "the mtime is %lld", (long long)attr.mtime.sec);
}

static void atime_now(struct test *t) {
  now_by(t, VIRTIOFS_SET_ATIME | VIRTIOFS_SET_ATIME_NOW);
}

static void mtime_now(struct test *t) {
  now_by(t, VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW);
}

static void both_now(struct test *t) {
  now_by(t, VIRTIOFS_SET_ATIME | VIRTIOFS_SET_ATIME_NOW | VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW);
}

static void nothing(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct virtiofs_attr before = attr_of(t, node);
  struct virtiofs_setattr_in in = {.node = node, .mode = 0777, .uid = 9, .gid = 9, .size = 1, .atime = early};
  (void)set(t, &in);
  struct virtiofs_attr after = attr_of(t, node);
  is(t, "the mode", after.mode, before.mode);
  is(t, "the owner", after.uid, before.uid);
  is(t, "the group", after.gid, before.gid);
  is(t, "the size", after.size, before.size);
  is(t, "the atime", (uint64_t)after.atime.sec, (uint64_t)before.atime.sec);
}

static void several(struct test *t) {
  uint64_t node = make_file(t, "file", "abcdef");
  struct virtiofs_setattr_in in = {.node = node,
                                   .valid = VIRTIOFS_SET_MODE | VIRTIOFS_SET_SIZE | VIRTIOFS_SET_MTIME,
                                   .mode = S_IFREG | 0600,
                                   .size = 4,
                                   .mtime = early};
  (void)set(t, &in);
  struct virtiofs_attr after = attr_of(t, node);
  is(t, "the mode", after.mode, S_IFREG | 0600);
  is(t, "the size", after.size, 4);
  is(t, "the mtime", (uint64_t)after.mtime.sec, (uint64_t)early.sec);
}

static void of_stale(struct test *t) {
  struct virtiofs_setattr_in in = {.node = stale_node(t), .valid = VIRTIOFS_SET_MODE, .mode = 0600};
  bad(t, fs_setattr(t, &in));
}

static void huge_size(struct test *t) {
  struct virtiofs_setattr_in in = {
      .node = make_file(t, "file", "abc"), .valid = VIRTIOFS_SET_SIZE, .size = UINT64_C(1) << 63};
  REFUSED(t, fs_setattr(t, &in), EINVAL, EFBIG);
}

static void kill_suid(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_MODE, .mode = S_IFREG | 06777};
  (void)set(t, &in);
  in = (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_KILL_SUIDGID, .size = 1};
  is(t, "the mode", set(t, &in).mode & 07777, 0777);
}

static const struct check setattr_checks[] = {
    {"mode", "FUSE SETATTR: FATTR_MODE sets the permissions, and the reply shows them", mode, MOUNTED, 0, 0},
    {"mode-of-dir", "FUSE SETATTR: a directory keeps the sticky bit", mode_of_dir, MOUNTED, 0, 0},
    {"uid", "FUSE SETATTR: FATTR_UID sets the owner and not the group", uid, MOUNTED, 0, 0},
    {"gid", "FUSE SETATTR: FATTR_GID sets the group and not the owner", gid, MOUNTED, 0, 0},
    {"uid-and-gid", "FUSE SETATTR: owner and group at once", both_ids, MOUNTED, 0, 0},
    {"shrink", "FUSE SETATTR: FATTR_SIZE cuts a file off", shrink, MOUNTED, 0, 0},
    {"grow", "POSIX ftruncate: what a file has grown by reads as zeros", grow, MOUNTED, 0, 0},
    {"empty", "FUSE SETATTR: a size of 0 is a size", size_zero, MOUNTED, 0, 0},
    {"size-by-handle", "FUSE SETATTR: FATTR_FH works on an open file that has no name any more", size_by_handle,
     MOUNTED, 0, 0},
    {"size-of-dir", "POSIX truncate: a directory has no size to set", size_of_dir, MOUNTED, 0, 0},
    {"size-2^63", "FUSE limits: a size over INT64_MAX is refused", huge_size, MOUNTED | HOSTILE, 0, 0},
    {"atime", "FUSE SETATTR: FATTR_ATIME sets the atime to the nanosecond, and nothing else", atime, MOUNTED, 0, 0},
    {"mtime", "FUSE SETATTR: FATTR_MTIME sets the mtime to the nanosecond, and nothing else", mtime, MOUNTED, 0, 0},
    {"both-times", "FUSE SETATTR: both times at once", both_times, MOUNTED, 0, 0},
    {"before-1970", "FUSE times: times are signed", before_1970, MOUNTED, 0, 0},
    {"atime-now", "FUSE SETATTR: FATTR_ATIME_NOW takes the server's clock", atime_now, MOUNTED, 0, 0},
    {"mtime-now", "FUSE SETATTR: FATTR_MTIME_NOW takes the server's clock", mtime_now, MOUNTED, 0, 0},
    {"both-now", "FUSE SETATTR: both by the server's clock", both_now, MOUNTED, 0, 0},
    {"nothing", "FUSE SETATTR: fields whose bit is not set mean nothing", nothing, MOUNTED, 0, 0},
    {"several", "FUSE SETATTR: all bits that are set count", several, MOUNTED, 0, 0},
    {"forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", of_stale, MOUNTED, 0, 0},
    {"kill-suidgid",
     "FUSE INIT: with HANDLE_KILLPRIV_V2, truncating with KILL_SUIDGID clears set-user-id and "
     "set-group-id",
     kill_suid, MOUNTED, 0, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2},
};
const struct group setattr_group = CHECKS("setattr", setattr_checks);
