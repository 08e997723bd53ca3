/* SPDX-License-Identifier: BSD-3-Clause */
/* CREATE, OPEN, RELEASE. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- CREATE ---- */

static void create(struct test *t) {
  good(t, fs_create(t, t->dir, "file", O_RDWR | O_EXCL, 0640));
  const struct virtiofs_entry_out *entry = &t->got.create.entry;
  is(t, "the reply's length", t->len, 16 + 128 + 16);
  expect(t, entry->node > VIRTIOFS_FUSE_ROOT, "the nodeid is %llu", (unsigned long long)entry->node);
  is(t, "the mode", entry->attr.mode, S_IFREG | 0640);
  is(t, "the size", entry->attr.size, 0);
}

static void create_opens(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
}

static void create_excl(struct test *t) {
  (void)make_file(t, "file", "abc");
  REFUSED(t, fs_create(t, t->dir, "file", O_RDWR | O_EXCL, 0644), EEXIST);
}

static void create_existing(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  good(t, fs_create(t, t->dir, "file", O_RDWR, 0600));
  is(t, "the nodeid", t->got.create.entry.node, node);
  is(t, "the size", t->got.create.entry.attr.size, 3);
  is(t, "the mode", t->got.create.entry.attr.mode & 07777, 0644);
}

static void create_trunc(struct test *t) {
  (void)make_file(t, "file", "abc");
  good(t, fs_create(t, t->dir, "file", O_RDWR | O_TRUNC, 0644));
  is(t, "the size", attr_of(t, t->got.create.entry.node).size, 0);
}

static void create_trunc_attr(struct test *t) {
  (void)make_file(t, "file", "abc");
  good(t, fs_create(t, t->dir, "file", O_RDWR | O_TRUNC, 0644));
  is(t, "the size in the reply", t->got.create.entry.attr.size, 0);
}

static void create_in_file(struct test *t) {
  REFUSED(t, fs_create(t, make_file(t, "file", ""), "below", O_RDWR, 0644), ENOTDIR);
}

static void create_over_dir(struct test *t) {
  (void)make_dir(t, "dir");
  REFUSED(t, fs_create(t, t->dir, "dir", O_RDWR, 0644), EISDIR, EEXIST);
}

static void create_over_symlink(struct test *t) {
  good(t, fs_symlink(t, t->dir, "link", "target"));
  bad(t, fs_create(t, t->dir, "link", O_RDWR, 0644));
  absent(t, t->dir, "target");
}

static void create_slash(struct test *t) {
  (void)make_dir(t, "dir");
  bad(t, fs_create(t, t->dir, "dir/file", O_RDWR, 0644));
  good(t, fs_lookup(t, t->dir, "dir"));
  absent(t, t->got.entry.node, "file");
}

static void create_dots(struct test *t) {
  bad(t, fs_create(t, t->dir, ".", O_RDWR, 0644));
  bad(t, fs_create(t, t->dir, "..", O_RDWR, 0644));
}

static void create_umask(struct test *t) {
  struct virtiofs_create_in *in = &begin(t, VIRTIOFS_FUSE_CREATE)->create;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "file", .len = 4};
  in->flags = O_CREAT | O_RDWR;
  in->mode = S_IFREG | 0666;
  in->umask = 027;
  good(t, call(t, NULL, 0));
  track_node(t, t->got.create.entry.node);
  track_handle(t, t->got.create.entry.node, t->got.create.open.handle, false);
  is(t, "the mode", t->got.create.entry.attr.mode & 07777, 0640);
}

static void create_mask_done(struct test *t) {
  if (agreed(t, VIRTIOFS_FUSE_DONT_MASK))
    skip(t, "DONT_MASK was agreed on");
  struct virtiofs_create_in *in = &begin(t, VIRTIOFS_FUSE_CREATE)->create;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "file", .len = 4};
  in->flags = O_CREAT | O_RDWR;
  in->mode = S_IFREG | 0666;
  in->umask = 0;
  good(t, call(t, NULL, 0));
  track_node(t, t->got.create.entry.node);
  track_handle(t, t->got.create.entry.node, t->got.create.open.handle, false);
  is(t, "the mode", t->got.create.entry.attr.mode & 07777, 0666);
}

static const struct check create_checks[] = {
    {"new", "FUSE CREATE makes a file and answers its entry and what is open, 160 bytes", create, MOUNTED, 0, 0},
    {"open", "FUSE CREATE: what it has opened can be read and written", create_opens, MOUNTED, 0, 0},
    {"excl", "POSIX O_EXCL: a name that is there is answered EEXIST", create_excl, MOUNTED, 0, 0},
    {"existing", "POSIX O_CREAT: without O_EXCL a file that is there is opened as it is", create_existing, MOUNTED, 0,
     0},
    {"trunc", "POSIX O_TRUNC: CREATE of a file that is there empties it", create_trunc, MOUNTED, 0, 0},
    {"trunc-attributes", "FUSE CREATE: the attributes in the reply are those after it was done", create_trunc_attr,
     MOUNTED, 0, 0},
    {"in-file", "POSIX: a file below a file is answered ENOTDIR", create_in_file, MOUNTED, 0, 0},
    {"over-dir", "POSIX: a directory can't be opened for writing", create_over_dir, MOUNTED, 0, 0},
    {"over-symlink", "FUSE links: the server never follows a symbolic link", create_over_symlink, MOUNTED, 0, 0},
    {"slash", "FUSE names: a name with '/' is refused, and nothing is made", create_slash, MOUNTED, 0, 0},
    {"dots", "FUSE names: '.' and '..' are no names to make", create_dots, MOUNTED, 0, 0},
    {"umask", "FUSE INIT: with DONT_MASK the server takes the request's umask off the mode", create_umask, MOUNTED, 0,
     VIRTIOFS_FUSE_DONT_MASK},
    {"mode", "FUSE CREATE: without DONT_MASK the mode is taken as it is, whatever the server's own umask",
     create_mask_done, MOUNTED, 0, 0},
};
const struct group create_group = CHECKS("create", create_checks);

/* ---- OPEN, RELEASE ---- */

static void open_reply(struct test *t) {
  (void)open_file(t, make_file(t, "file", "abc"), O_RDONLY);
  is(t, "the reply's length", t->len, 16 + 16);
}

static void open_stale(struct test *t) {
  bad(t, fs_open(t, stale_node(t), O_RDONLY));
}

static void read_only(struct test *t) {
  struct file file = open_file(t, make_file(t, "file", "abc"), O_RDONLY);
  REFUSED(t, fs_write(t, file, 0, "x", 1), EBADF, EPERM, EACCES);
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
}

static void write_only(struct test *t) {
  struct file file = open_file(t, make_file(t, "file", "abc"), O_WRONLY);
  good(t, fs_write(t, file, 1, "X", 1));
  int rc = fs_read(t, file, 0, 10);
  /* With a write-back cache the guest reads what it hasn't written whole. */
  if (!agreed(t, VIRTIOFS_FUSE_WRITEBACK_CACHE))
    REFUSED(t, rc, EBADF, EPERM, EACCES);
  else
    good(t, rc);
}

static void open_trunc(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  (void)open_file(t, node, O_RDWR | O_TRUNC);
  is(t, "the size", attr_of(t, node).size, 0);
}

static void open_append(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct file file = open_file(t, node, O_RDWR | O_APPEND);
  good(t, fs_write(t, file, 3, "def", 3));
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abcdef");
}

static void two_handles(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct file one = open_file(t, node, O_RDWR), two = open_file(t, node, O_RDWR);
  good(t, fs_write(t, one, 0, "X", 1));
  good(t, fs_release(t, one));
  good(t, fs_read(t, two, 0, 10));
  holds(t, "Xbc");
}

static void released(struct test *t) {
  struct file file = open_file(t, make_file(t, "file", "abc"), O_RDWR);
  good(t, fs_release(t, file));
  bad(t, fs_read(t, file, 0, 10));
  bad(t, fs_write(t, file, 0, "x", 1));
}

static void released_twice(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct file file = open_file(t, node, O_RDWR);
  good(t, fs_release(t, file));
  struct file other = open_file(t, node, O_RDWR);
  (void)fs_release(t, file); /* an error, which nobody looks at */
  if (other.handle != file.handle) {
    good(t, fs_read(t, other, 0, 10));
    holds(t, "abc");
  }
}

static void dir_by_open(struct test *t) {
  uint64_t node = make_dir(t, "dir");
  REFUSED(t, fs_open(t, node, O_RDWR), EISDIR, EBADF, EINVAL);
}

static void symlink_by_open(struct test *t) {
  (void)make_file(t, "file", "abc");
  good(t, fs_symlink(t, t->dir, "link", "file"));
  bad(t, fs_open(t, t->got.entry.node, O_RDONLY));
}

static void fifo_by_open(struct test *t) {
  int rc = fs_mknod(t, t->dir, "fifo", S_IFIFO | 0644, 0);
  able(t, rc);
  uint64_t node = t->got.entry.node;
  (void)fs_open(t, node, O_RDONLY);
  still_alive(t);
  (void)fs_open(t, node, O_WRONLY);
  still_alive(t);
}

static void opendir_of_file(struct test *t) {
  REFUSED(t, fs_opendir(t, make_file(t, "file", "")), ENOTDIR);
}

static void unlinked_while_open(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_unlink(t, t->dir, "file"));
  good(t, fs_write(t, file, 3, "def", 3));
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abcdef");
}

static void reopened_unlinked(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_unlink(t, t->dir, "file"));
  struct file again = open_file(t, file.node, O_RDONLY);
  good(t, fs_read(t, again, 0, 10));
  holds(t, "abc");
}

static void many(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct file files[200];
  for (unsigned i = 0; i < 200; i++)
    files[i] = open_file(t, node, O_RDONLY);
  for (unsigned i = 0; i < 200; i += 2)
    good(t, fs_release(t, files[i]));
  for (unsigned i = 1; i < 200; i += 2) {
    good(t, fs_read(t, files[i], 0, 10));
    holds(t, "abc");
  }
}

static void kill_suid(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  struct virtiofs_setattr_in mode = {.node = node, .valid = VIRTIOFS_SET_MODE, .mode = S_IFREG | 06777};
  good(t, fs_setattr(t, &mode));
  struct virtiofs_open_in *in = &begin(t, VIRTIOFS_FUSE_OPEN)->open;
  in->node = node;
  in->flags = O_RDWR | O_TRUNC;
  in->open_flags = VIRTIOFS_OPEN_KILL_SUIDGID;
  good(t, call(t, NULL, 0));
  track_handle(t, node, t->got.open.handle, false);
  is(t, "the mode", attr_of(t, node).mode & 07777, 0777);
}

static const struct check open_checks[] = {
    {"reply", "FUSE OPEN answers 16 bytes behind the header", open_reply, MOUNTED, 0, 0},
    {"forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", open_stale, MOUNTED, 0, 0},
    {"read-only", "POSIX O_RDONLY: what is open for reading can't be written", read_only, MOUNTED, 0, 0},
    {"write-only", "POSIX O_WRONLY: what is open for writing can't be read, but for a write-back cache", write_only,
     MOUNTED, 0, 0},
    {"trunc", "FUSE INIT: with ATOMIC_O_TRUNC, OPEN with O_TRUNC empties the file", open_trunc, MOUNTED, 0,
     VIRTIOFS_FUSE_ATOMIC_O_TRUNC},
    {"append", "POSIX O_APPEND: a write at the end appends", open_append, MOUNTED, 0, 0},
    {"two-handles", "FUSE OPEN: each OPEN is a handle of its own, closed by its own RELEASE", two_handles, MOUNTED, 0,
     0},
    {"many-handles", "FUSE OPEN: handles don't get mixed up", many, MOUNTED, 0, 0},
    {"released", "FUSE ids: a handle that was released is refused", released, MOUNTED, 0, 0},
    {"released-twice", "FUSE ids: a second RELEASE does not close what is another's", released_twice, MOUNTED, 0, 0},
    {"dir", "POSIX: a directory can't be opened for writing", dir_by_open, MOUNTED, 0, 0},
    {"symlink", "FUSE links: OPEN of a symbolic link is refused, not followed", symlink_by_open, MOUNTED,
     VIRTIOFS_FUSE_SYMLINK, 0},
    {"fifo", "CVE-2020-35517: OPEN of a FIFO does not hang the server", fifo_by_open, MOUNTED, VIRTIOFS_FUSE_MKNOD, 0},
    {"opendir-of-file", "POSIX: OPENDIR of a file is answered ENOTDIR", opendir_of_file, MOUNTED, 0, 0},
    {"unlinked", "POSIX unlink: what is open stays until it is closed", unlinked_while_open, MOUNTED, 0, 0},
    {"unlinked-again", "FUSE OPEN: a node that the guest holds can be opened after its name has gone",
     reopened_unlinked, MOUNTED, 0, 0},
    {"kill-suidgid",
     "FUSE INIT: with HANDLE_KILLPRIV_V2, O_TRUNC with OPEN_KILL_SUIDGID clears set-user-id and "
     "set-group-id",
     kill_suid, MOUNTED, 0, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2 | VIRTIOFS_FUSE_ATOMIC_O_TRUNC},
};
const struct group open_group = CHECKS("open", open_checks);
