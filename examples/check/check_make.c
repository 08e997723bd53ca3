/* SPDX-License-Identifier: BSD-3-Clause */
/* UNLINK, MKDIR, RMDIR, MKNOD. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- UNLINK ---- */

static void removed(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_unlink(t, t->dir, "file"));
  absent(t, t->dir, "file");
}

static void unlink_missing(struct test *t) {
  REFUSED(t, fs_unlink(t, t->dir, "file"), ENOENT);
}

static void unlink_dir(struct test *t) {
  (void)make_dir(t, "dir");
  REFUSED(t, fs_unlink(t, t->dir, "dir"), EISDIR, EPERM);
  good(t, fs_lookup(t, t->dir, "dir"));
}

static void unlink_symlink(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_symlink(t, t->dir, "link", "file"));
  good(t, fs_unlink(t, t->dir, "link"));
  good(t, fs_lookup(t, t->dir, "file"));
}

static void unlink_slash(struct test *t) {
  uint64_t dir = make_dir(t, "dir");
  make_in(t, dir, "file");
  bad(t, fs_unlink(t, t->dir, "dir/file"));
  good(t, fs_lookup(t, dir, "file"));
}

static void new_node(struct test *t) {
  struct file file = new_file(t, "file", "old");
  good(t, fs_unlink(t, t->dir, "file"));
  uint64_t again = make_file(t, "file", "newer");
  expect(t, again != file.node, "the new file has the nodeid of the old, which is still open");
  good(t, fs_read(t, file, 0, 10));
  holds(t, "old");
}

static void not_resurrected(struct test *t) {
  uint64_t node = make_file(t, "file", "old");
  struct virtiofs_attr old = attr_of(t, node);
  good(t, fs_unlink(t, t->dir, "file"));
  (void)make_file(t, "file", "newer");
  int rc = fs_getattr(t, node); /* the guest holds it still */
  if (rc == 0)
    is(t, "the size of the removed file", t->got.attr.attr.size, old.size);
}

static const struct check unlink_checks[] = {
    {"removed", "FUSE UNLINK removes a name", removed, MOUNTED, 0, 0},
    {"missing", "POSIX unlink: what is not there is answered ENOENT", unlink_missing, MOUNTED, 0, 0},
    {"dir", "POSIX unlink: a directory stays", unlink_dir, MOUNTED, 0, 0},
    {"symlink", "POSIX unlink: a symbolic link goes, its target stays", unlink_symlink, MOUNTED, 0, 0},
    {"slash", "FUSE names: a name with '/' is refused", unlink_slash, MOUNTED, 0, 0},
    {"new-node", "FUSE nodeids: a file that takes the name of one that is open has another nodeid", new_node, MOUNTED,
     0, 0},
    {"other-file", "FUSE ids: a nodeid that the guest holds never becomes another file", not_resurrected, MOUNTED, 0,
     0},
};
const struct group unlink_group = CHECKS("unlink", unlink_checks);

/* ---- MKDIR, RMDIR ---- */

static void made(struct test *t) {
  good(t, fs_mkdir(t, t->dir, "dir", 0750));
  is(t, "the mode", t->got.entry.attr.mode, S_IFDIR | 0750);
  expect(t, t->got.entry.node > VIRTIOFS_FUSE_ROOT, "the nodeid is %llu", (unsigned long long)t->got.entry.node);
}

static void mkdir_existing(struct test *t) {
  (void)make_file(t, "name", "");
  REFUSED(t, fs_mkdir(t, t->dir, "name", 0755), EEXIST);
}

static void mkdir_umask(struct test *t) {
  struct virtiofs_mkdir_in *in = &begin(t, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "dir", .len = 3};
  in->mode = 0777;
  in->umask = 027;
  good(t, call(t, NULL, 0));
  track_node(t, t->got.entry.node);
  is(t, "the mode", t->got.entry.attr.mode & 07777, 0750);
}

static void mkdir_names(struct test *t) {
  (void)make_dir(t, "dir");
  bad(t, fs_mkdir(t, t->dir, ".", 0755));
  bad(t, fs_mkdir(t, t->dir, "..", 0755));
  bad(t, fs_mkdir(t, t->dir, "dir/x", 0755));
  bad(t, fs_mkdir(t, t->dir, "../x", 0755));
  absent(t, t->server->work, "x");
}

static void mkdir_empty_name(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_MKDIR, t->dir);
  raw_u32(t, 0755);
  raw_u32(t, 0);
  raw_string(t, "");
  REFUSED(t, send_raw(t), EINVAL, ENOENT, EEXIST);
}

static void mkdir_in_removed(struct test *t) {
  uint64_t dir = make_dir(t, "dir");
  good(t, fs_rmdir(t, t->dir, "dir"));
  REFUSED(t, fs_mkdir(t, dir, "below", 0755), ENOENT, ESTALE);
}

static void rmdir_empty(struct test *t) {
  (void)make_dir(t, "dir");
  good(t, fs_rmdir(t, t->dir, "dir"));
  absent(t, t->dir, "dir");
}

static void rmdir_full(struct test *t) {
  make_in(t, make_dir(t, "dir"), "file");
  REFUSED(t, fs_rmdir(t, t->dir, "dir"), ENOTEMPTY, EEXIST);
}

static void rmdir_file(struct test *t) {
  (void)make_file(t, "file", "");
  REFUSED(t, fs_rmdir(t, t->dir, "file"), ENOTDIR);
}

static void rmdir_missing(struct test *t) {
  REFUSED(t, fs_rmdir(t, t->dir, "dir"), ENOENT);
}

static void rmdir_dots(struct test *t) {
  uint64_t dir = make_dir(t, "dir");
  bad(t, fs_rmdir(t, dir, "."));
  bad(t, fs_rmdir(t, dir, ".."));
  good(t, fs_lookup(t, t->dir, "dir"));
}

static void deep(struct test *t) {
  uint64_t node = t->dir;
  for (int i = 0; i < 12; i++) {
    good(t, fs_mkdir(t, node, "d", 0755));
    node = t->got.entry.node;
  }
  make_in(t, node, "file");
  good(t, fs_lookup(t, node, "file"));
}

static const struct check mkdir_checks[] = {
    {"made", "FUSE MKDIR makes a directory of the mode that was asked for", made, MOUNTED, 0, 0},
    {"existing", "POSIX mkdir: a name that is there is answered EEXIST", mkdir_existing, MOUNTED, 0, 0},
    {"umask", "FUSE INIT: with DONT_MASK the server takes the request's umask off the mode", mkdir_umask, MOUNTED, 0,
     VIRTIOFS_FUSE_DONT_MASK},
    {"names", "FUSE names: '.', '..' and names with '/' are refused", mkdir_names, MOUNTED, 0, 0},
    {"empty-name", "FUSE names: an empty name is refused", mkdir_empty_name, MOUNTED, 0, 0},
    {"in-removed", "POSIX mkdir: nothing can be made in a directory that was removed", mkdir_in_removed, MOUNTED, 0, 0},
    {"deep", "FUSE MKDIR: directories below directories", deep, MOUNTED, 0, 0},
    {"rmdir", "FUSE RMDIR removes an empty directory", rmdir_empty, MOUNTED, 0, 0},
    {"rmdir-full", "POSIX rmdir: a directory that is not empty stays", rmdir_full, MOUNTED, 0, 0},
    {"rmdir-file", "POSIX rmdir: a file is answered ENOTDIR", rmdir_file, MOUNTED, 0, 0},
    {"rmdir-missing", "POSIX rmdir: what is not there is answered ENOENT", rmdir_missing, MOUNTED, 0, 0},
    {"rmdir-dots", "FUSE names: '.' and '..' are no names to remove", rmdir_dots, MOUNTED, 0, 0},
};
const struct group mkdir_group = CHECKS("mkdir", mkdir_checks);

/* ---- MKNOD ---- */

static void node_of(struct test *t, uint32_t type) {
  int rc = fs_mknod(t, t->dir, "node", type | 0640, 0);
  able(t, rc);
  is(t, "the mode", t->got.entry.attr.mode, type | 0640);
  good(t, fs_lookup(t, t->dir, "node"));
  is(t, "the mode by LOOKUP", t->got.entry.attr.mode, type | 0640);
}

static void regular(struct test *t) {
  node_of(t, S_IFREG);
  struct file file = open_file(t, t->got.entry.node, O_RDWR);
  good(t, fs_write(t, file, 0, "abc", 3));
}

static void fifo(struct test *t) {
  node_of(t, S_IFIFO);
}

static void sock(struct test *t) {
  node_of(t, S_IFSOCK);
}

static void device(struct test *t) {
  int rc = fs_mknod(t, t->dir, "null", S_IFCHR | 0600, 3);
  if (rc != 0) {
    REFUSED(t, rc, EPERM, EACCES, EINVAL, EOPNOTSUPP);
    return;
  }
  uint64_t node = t->got.entry.node;
  is(t, "the type", t->got.entry.attr.mode & S_IFMT, S_IFCHR);
  is(t, "the major number", t->got.entry.attr.rdev_major, 1);
  is(t, "the minor number", t->got.entry.attr.rdev_minor, 3);
  bad(t, fs_open(t, node, O_RDWR));
}

static void mknod_existing(struct test *t) {
  (void)make_dir(t, "name");
  REFUSED(t, fs_mknod(t, t->dir, "name", S_IFREG | 0644, 0), EEXIST);
}

static void mknod_dir(struct test *t) {
  int rc = fs_mknod(t, t->dir, "dir", S_IFDIR | 0755, 0);
  bad(t, rc);
}

#define MKNOD VIRTIOFS_FUSE_MKNOD
static const struct check mknod_checks[] = {
    {"regular", "FUSE MKNOD makes regular files, too", regular, MOUNTED, MKNOD, 0},
    {"fifo", "FUSE MKNOD: a FIFO is one", fifo, MOUNTED, MKNOD, 0},
    {"socket", "FUSE MKNOD: a socket is one", sock, MOUNTED, MKNOD, 0},
    {"device", "CVE-2020-35517: a device node is refused; or it is one, and the server never opens it", device, MOUNTED,
     MKNOD, 0},
    {"existing", "POSIX mknod: a name that is there is answered EEXIST", mknod_existing, MOUNTED, MKNOD, 0},
    {"dir", "POSIX mknod: directories are MKDIR's", mknod_dir, MOUNTED, MKNOD, 0},
};
const struct group mknod_group = CHECKS("mknod", mknod_checks);
