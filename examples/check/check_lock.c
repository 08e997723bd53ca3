/* SPDX-License-Identifier: BSD-3-Clause */
/* GETLK, SETLK; ACCESS, STATX, TMPFILE, INTERRUPT and what is left. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

enum { RDLCK = 0, WRLCK = 1, UNLCK = 2, GETLK = VIRTIOFS_FUSE_GETLK, SETLK = VIRTIOFS_FUSE_SETLK };

static int lock(struct test *t, struct file file, uint64_t owner, uint32_t type, uint64_t start, uint64_t last) {
  struct virtiofs_lock l = {.start = start, .end = last, .type = type, .pid = 1};
  return fs_lock(t, SETLK, file, owner, &l, false);
}

static uint32_t who(struct test *t, struct file file, uint64_t owner) {
  struct virtiofs_lock l = {.start = 0, .end = INT64_MAX, .type = WRLCK}; /* who asks has no pid, as Linux has it */
  good(t, fs_lock(t, GETLK, file, owner, &l, false));
  return t->got.getlk.lock.type;
}

static void is_free(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  is(t, "the type", who(t, file, 1), UNLCK);
}

static void in_the_way(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, lock(t, file, 1, WRLCK, 10, 19));
  is(t, "the type that another owner sees", who(t, other, 2), WRLCK);
  is(t, "its start", t->got.getlk.lock.start, 10);
  is(t, "its last byte", t->got.getlk.lock.end, 19);
  is(t, "the type that the owner sees", who(t, file, 1), UNLCK);
}

static void conflict(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, lock(t, file, 1, WRLCK, 0, 9));
  REFUSED(t, lock(t, other, 2, WRLCK, 5, 5), EAGAIN, EACCES);
  good(t, lock(t, other, 2, WRLCK, 10, 20));
}

static void shared(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, lock(t, file, 1, RDLCK, 0, 9));
  good(t, lock(t, other, 2, RDLCK, 0, 9));
  REFUSED(t, lock(t, other, 2, WRLCK, 0, 9), EAGAIN, EACCES);
}

static void unlocked(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, lock(t, file, 1, WRLCK, 0, INT64_MAX));
  good(t, lock(t, file, 1, UNLCK, 0, INT64_MAX));
  good(t, lock(t, other, 2, WRLCK, 0, INT64_MAX));
}

static void same_file_two_owners(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, lock(t, file, 1, WRLCK, 0, 9));
  REFUSED(t, lock(t, file, 2, WRLCK, 0, 9), EAGAIN, EACCES);
}

static void dropped_by_flush(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, lock(t, file, 1, WRLCK, 0, 9));
  good(t, fs_flush(t, file, 1));
  good(t, lock(t, other, 2, WRLCK, 0, 9));
}

static int flock_by(struct test *t, struct file file, uint64_t owner, uint32_t type) {
  struct virtiofs_lock l = {.start = 0, .end = INT64_MAX, .type = type, .pid = 1};
  return fs_lock(t, SETLK, file, owner, &l, true);
}

static void flock_conflict(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, flock_by(t, file, 1, WRLCK));
  REFUSED(t, flock_by(t, other, 2, WRLCK), EAGAIN, EWOULDBLOCK);
  good(t, flock_by(t, file, 1, UNLCK));
  good(t, flock_by(t, other, 2, WRLCK));
}

static void flock_released(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = open_file(t, file.node, O_RDWR);
  good(t, flock_by(t, file, 1, WRLCK));
  struct virtiofs_release_in *in = &begin(t, VIRTIOFS_FUSE_RELEASE)->release;
  *in = (struct virtiofs_release_in){
      .node = file.node, .handle = file.handle, .release_flags = VIRTIOFS_RELEASE_FLOCK_UNLOCK, .lock_owner = 1};
  untrack_handle(t, file.handle);
  good(t, call(t, NULL, 0));
  good(t, flock_by(t, other, 2, WRLCK));
}

#define POSIX VIRTIOFS_FUSE_POSIX_LOCKS
#define FLOCK VIRTIOFS_FUSE_FLOCK_LOCKS
static const struct check lock_checks[] = {
    {"free", "FUSE GETLK answers F_UNLCK where nothing is in the way", is_free, MOUNTED, 0, POSIX},
    {"in-the-way", "FUSE GETLK shows another owner's lock", in_the_way, MOUNTED, 0, POSIX},
    {"conflict", "FUSE SETLK never waits: EAGAIN", conflict, MOUNTED, 0, POSIX},
    {"shared", "fcntl(2): read locks go together", shared, MOUNTED, 0, POSIX},
    {"unlocked", "FUSE SETLK with F_UNLCK gives a range free", unlocked, MOUNTED, 0, POSIX},
    {"owners", "FUSE SETLK: locks belong to lock_owner, not to the server's process or the handle",
     same_file_two_owners, MOUNTED, 0, POSIX},
    {"flush", "FUSE FLUSH drops the locks of its lock_owner", dropped_by_flush, MOUNTED, 0, POSIX},
    {"flock", "FUSE SETLK with LK_FLOCK locks the whole file", flock_conflict, MOUNTED, 0, FLOCK},
    {"flock-released", "FUSE RELEASE with FLOCK_UNLOCK drops the open file's lock", flock_released, MOUNTED, 0, FLOCK},
};
const struct group lock_group = CHECKS("lock", lock_checks);

/* ---- what is left ---- */

static void access_mode(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  begin(t, VIRTIOFS_FUSE_ACCESS)->access = (struct virtiofs_access_in){.node = node, .mask = 4};
  good(t, call(t, NULL, 0));
  begin(t, VIRTIOFS_FUSE_ACCESS)->access = (struct virtiofs_access_in){.node = node, .mask = 0};
  good(t, call(t, NULL, 0));
}

static void access_stale(struct test *t) {
  uint64_t node = stale_node(t);
  begin(t, VIRTIOFS_FUSE_ACCESS)->access = (struct virtiofs_access_in){.node = node, .mask = 4};
  bad(t, call(t, NULL, 0));
}

static void statx_file(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct virtiofs_attr attr = attr_of(t, node);
  begin(t, VIRTIOFS_FUSE_STATX)->statx = (struct virtiofs_statx_in){.node = node, .mask = 0x7ff};
  good(t, call(t, NULL, 0));
  const struct virtiofs_statx *statx = &t->got.statx.statx;
  is(t, "the reply's length", t->len, 16 + 288);
  is(t, "the mask's basic bits", statx->mask & 0x7ff, 0x7ff);
  is(t, "the inode number", statx->attr.ino, attr.ino);
  is(t, "the mode", statx->attr.mode, attr.mode);
  is(t, "the size", statx->attr.size, 3);
}

static void statx_handle(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_unlink(t, t->dir, "file"));
  begin(t, VIRTIOFS_FUSE_STATX)->statx =
      (struct virtiofs_statx_in){.node = file.node, .handle = file.handle, .has_handle = true, .mask = 0x7ff};
  good(t, call(t, NULL, 0));
  is(t, "the count of links", t->got.statx.statx.attr.nlink, 0);
}

static void tmpfile_made(struct test *t) {
  struct virtiofs_tmpfile_in *in = &begin(t, VIRTIOFS_FUSE_TMPFILE)->tmpfile;
  in->parent = t->dir;
  in->flags = O_RDWR;
  in->mode = S_IFREG | 0600;
  able(t, call(t, NULL, 0));
  struct file file = {.node = t->got.create.entry.node, .handle = t->got.create.open.handle};
  track_node(t, file.node);
  track_handle(t, file.node, file.handle, false);
  is(t, "the mode", t->got.create.entry.attr.mode, S_IFREG | 0600);
  good(t, fs_write(t, file, 0, "abc", 3));
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
  static struct listed entries[LISTED_MAX];
  is(t, "the count of names", list_all(t, VIRTIOFS_FUSE_READDIR, open_dir(t, t->dir), 0, 4096, entries), 0);
}

static void interrupt_on(struct test *t, uint32_t queue) {
  begin(t, VIRTIOFS_FUSE_INTERRUPT)->interrupt.unique = UINT64_C(0x7777777777777776);
  t->queue = queue;
  encode(t, NULL, 0);
  t->room = 16;
  int rc = send_raw(t);
  if (rc != 0)
    REFUSED(t, rc, EAGAIN, ENOSYS, EIO);
  still_alive(t);
}

static void interrupt_unknown(struct test *t) {
  interrupt_on(t, 0);
}

static void interrupt_request_queue(struct test *t) {
  interrupt_on(t, 1);
}

static void interrupt_no_room(struct test *t) {
  begin(t, VIRTIOFS_FUSE_INTERRUPT)->interrupt.unique = UINT64_C(0x7777777777777776);
  encode(t, NULL, 0);
  t->room = 0;
  (void)send_raw(t);
  still_alive(t);
}

static void bmap(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  begin(t, VIRTIOFS_FUSE_BMAP)->bmap = (struct virtiofs_bmap_in){.node = node, .block = 0, .blocksize = 4096};
  (void)call(t, NULL, 0);
  still_alive(t);
}

static void ioctl_unknown(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  struct virtiofs_ioctl_in *in = &begin(t, VIRTIOFS_FUSE_IOCTL)->ioctl;
  *in = (struct virtiofs_ioctl_in){.node = file.node, .handle = file.handle, .cmd = 0x12345678};
  int rc = call(t, NULL, 0);
  if (rc != 0)
    REFUSED(t, rc, ENOTTY, EOPNOTSUPP, EINVAL, EPERM);
}

static void poll_file(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  begin(t, VIRTIOFS_FUSE_POLL)->poll = (struct virtiofs_poll_in){.node = file.node, .handle = file.handle, .events = 5};
  good(t, call(t, NULL, 0));
  expect(t, (t->got.poll.revents & 5) == 5, "a file is ready for %#x only", t->got.poll.revents);
}

static void node_of_other_handle(struct test *t) {
  struct file one = new_file(t, "one", "one"), two = new_file(t, "two", "two");
  struct file crossed = {.node = one.node, .handle = two.handle};
  int rc = fs_read(t, crossed, 0, 10);
  if (rc == 0) /* the handle counts, or it is refused */
    holds(t, "two");
}

static const struct check misc_checks[] = {
    {"access", "FUSE ACCESS answers a bare header", access_mode, MOUNTED, VIRTIOFS_FUSE_ACCESS, 0},
    {"access-forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", access_stale, MOUNTED,
     VIRTIOFS_FUSE_ACCESS, 0},
    {"statx", "FUSE STATX answers 288 bytes that agree with GETATTR", statx_file, MOUNTED, VIRTIOFS_FUSE_STATX, 0},
    {"statx-handle", "FUSE STATX of an open file without a name", statx_handle, MOUNTED, VIRTIOFS_FUSE_STATX, 0},
    {"tmpfile", "FUSE TMPFILE: a file that has no name; its request's name means nothing", tmpfile_made, MOUNTED,
     VIRTIOFS_FUSE_TMPFILE, 0},
    {"interrupt", "FUSE INTERRUPT of what isn't there: no reply, EAGAIN or ENOSYS", interrupt_unknown,
     MOUNTED | ANYWHERE, 0, 0},
    {"interrupt-elsewhere",
     "virtio-fs: an INTERRUPT on a request queue, which is not its place, is answered or goes back",
     interrupt_request_queue, MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"interrupt-no-room", "FUSE INTERRUPT without room for a reply: its buffer goes back with length 0",
     interrupt_no_room, MOUNTED | ANYWHERE, 0, 0},
    {"bmap", "FUSE BMAP is answered, one way or the other", bmap, MOUNTED, VIRTIOFS_FUSE_BMAP, 0},
    {"ioctl", "FUSE IOCTL: an unknown command is answered ENOTTY or the like", ioctl_unknown, MOUNTED,
     VIRTIOFS_FUSE_IOCTL, 0},
    {"poll", "FUSE POLL: a regular file is ready", poll_file, MOUNTED, VIRTIOFS_FUSE_POLL, 0},
    {"crossed", "FUSE ids: a handle with another file's nodeid is refused, or counts alone", node_of_other_handle,
     MOUNTED, 0, 0},
};
const struct group misc_group = CHECKS("misc", misc_checks);
