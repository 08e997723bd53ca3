/* SPDX-License-Identifier: BSD-3-Clause */
/* RENAME, RENAME2, LINK, SYMLINK, READLINK. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- RENAME ---- */

static void to_new(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  good(t, fs_rename(t, t->dir, "a", t->dir, "b"));
  absent(t, t->dir, "a");
  good(t, fs_lookup(t, t->dir, "b"));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void over_file(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  (void)make_file(t, "b", "xyz12");
  good(t, fs_rename(t, t->dir, "a", t->dir, "b"));
  good(t, fs_lookup(t, t->dir, "b"));
  is(t, "the nodeid", t->got.entry.node, node);
  is(t, "the size", t->got.entry.attr.size, 3);
}

static void to_other_dir(struct test *t) {
  uint64_t node = make_file(t, "a", "abc"), dir = make_dir(t, "dir");
  good(t, fs_rename(t, t->dir, "a", dir, "b"));
  absent(t, t->dir, "a");
  good(t, fs_lookup(t, dir, "b"));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void node_stays(struct test *t) {
  struct file file = new_file(t, "a", "abc");
  good(t, fs_rename(t, t->dir, "a", t->dir, "b"));
  good(t, fs_getattr(t, file.node));
  good(t, fs_write(t, file, 3, "d", 1));
  struct file again = open_file(t, file.node, 0);
  good(t, fs_read(t, again, 0, 10));
  holds(t, "abcd");
}

static void dir_with_contents(struct test *t) {
  uint64_t dir = make_dir(t, "a");
  good(t, fs_mkdir(t, dir, "below", 0755));
  uint64_t below = t->got.entry.node;
  good(t, fs_rename(t, t->dir, "a", t->dir, "b"));
  good(t, fs_getattr(t, below));
  good(t, fs_mkdir(t, below, "more", 0755));
}

static void dir_over_empty(struct test *t) {
  uint64_t node = make_dir(t, "a");
  (void)make_dir(t, "b");
  good(t, fs_rename(t, t->dir, "a", t->dir, "b"));
  good(t, fs_lookup(t, t->dir, "b"));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void dir_over_full(struct test *t) {
  (void)make_dir(t, "a");
  make_in(t, make_dir(t, "b"), "file");
  REFUSED(t, fs_rename(t, t->dir, "a", t->dir, "b"), ENOTEMPTY, EEXIST);
}

static void file_over_dir(struct test *t) {
  (void)make_file(t, "a", "");
  (void)make_dir(t, "b");
  REFUSED(t, fs_rename(t, t->dir, "a", t->dir, "b"), EISDIR);
}

static void dir_over_file(struct test *t) {
  (void)make_dir(t, "a");
  (void)make_file(t, "b", "");
  REFUSED(t, fs_rename(t, t->dir, "a", t->dir, "b"), ENOTDIR);
}

static void missing(struct test *t) {
  REFUSED(t, fs_rename(t, t->dir, "a", t->dir, "b"), ENOENT);
}

static void into_itself(struct test *t) {
  uint64_t dir = make_dir(t, "a");
  REFUSED(t, fs_rename(t, t->dir, "a", dir, "b"), EINVAL);
}

static void same_name(struct test *t) {
  (void)make_file(t, "a", "abc");
  good(t, fs_rename(t, t->dir, "a", t->dir, "a"));
  good(t, fs_lookup(t, t->dir, "a"));
}

static void slash(struct test *t) {
  (void)make_dir(t, "dir");
  (void)make_file(t, "a", "");
  bad(t, fs_rename(t, t->dir, "a", t->dir, "dir/b"));
  bad(t, fs_rename(t, t->dir, "dir/../a", t->dir, "b"));
  good(t, fs_lookup(t, t->dir, "a"));
}

static void dots(struct test *t) {
  (void)make_dir(t, "a");
  bad(t, fs_rename(t, t->dir, "a", t->dir, ".."));
  bad(t, fs_rename(t, t->dir, ".", t->dir, "b"));
  good(t, fs_lookup(t, t->dir, "a"));
}

static void one_name(struct test *t) {
  (void)make_file(t, "a", "");
  raw_begin(t, VIRTIOFS_FUSE_RENAME, t->dir);
  raw_u64(t, t->dir);
  raw_string(t, "a");
  bad(t, send_raw(t));
  good(t, fs_lookup(t, t->dir, "a"));
}

static void by_flags_0(struct test *t) {
  (void)make_file(t, "a", "");
  good(t, fs_rename2(t, t->dir, "a", t->dir, "b", 0));
  absent(t, t->dir, "a");
}

static void noreplace(struct test *t) {
  uint64_t node = make_file(t, "a", "");
  (void)make_file(t, "b", "");
  REFUSED(t, fs_rename2(t, t->dir, "a", t->dir, "b", VIRTIOFS_RENAME_NOREPLACE), EEXIST);
  good(t, fs_rename2(t, t->dir, "a", t->dir, "c", VIRTIOFS_RENAME_NOREPLACE));
  good(t, fs_lookup(t, t->dir, "c"));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void exchange(struct test *t) {
  uint64_t a = make_file(t, "a", ""), b = make_dir(t, "b");
  able(t, fs_rename2(t, t->dir, "a", t->dir, "b", VIRTIOFS_RENAME_EXCHANGE));
  good(t, fs_lookup(t, t->dir, "a"));
  is(t, "the nodeid of a", t->got.entry.node, b);
  good(t, fs_lookup(t, t->dir, "b"));
  is(t, "the nodeid of b", t->got.entry.node, a);
}

static void exchange_missing(struct test *t) {
  (void)make_file(t, "a", "");
  REFUSED(t, fs_rename2(t, t->dir, "a", t->dir, "b", VIRTIOFS_RENAME_EXCHANGE), ENOENT);
}

static void both_flags(struct test *t) {
  (void)make_file(t, "a", "");
  REFUSED(t, fs_rename2(t, t->dir, "a", t->dir, "b", VIRTIOFS_RENAME_NOREPLACE | VIRTIOFS_RENAME_EXCHANGE), EINVAL);
}

static void unknown_flags(struct test *t) {
  (void)make_file(t, "a", "");
  REFUSED(t, fs_rename2(t, t->dir, "a", t->dir, "b", 1U << 30), EINVAL);
  good(t, fs_lookup(t, t->dir, "a"));
}

#define RENAME2 VIRTIOFS_FUSE_RENAME2
static const struct check rename_checks[] = {
    {"new-name", "FUSE RENAME gives a file another name; its nodeid stays", to_new, MOUNTED, 0, 0},
    {"over-file", "POSIX rename: a file that has the name is replaced", over_file, MOUNTED, 0, 0},
    {"other-dir", "FUSE RENAME to another directory", to_other_dir, MOUNTED, 0, 0},
    {"open-file", "FUSE RENAME: nodeids and handles are not bound to names", node_stays, MOUNTED, 0, 0},
    {"dir", "FUSE RENAME: what is below a directory moves with it", dir_with_contents, MOUNTED, 0, 0},
    {"dir-over-empty", "POSIX rename: an empty directory is replaced by a directory", dir_over_empty, MOUNTED, 0, 0},
    {"dir-over-full", "POSIX rename: a directory that is not empty stays", dir_over_full, MOUNTED, 0, 0},
    {"file-over-dir", "POSIX rename: a directory is not replaced by a file", file_over_dir, MOUNTED, 0, 0},
    {"dir-over-file", "POSIX rename: a file is not replaced by a directory", dir_over_file, MOUNTED, 0, 0},
    {"missing", "POSIX rename: what is not there is answered ENOENT", missing, MOUNTED, 0, 0},
    {"into-itself", "POSIX rename: a directory can't go below itself", into_itself, MOUNTED, 0, 0},
    {"same-name", "POSIX rename to the same name changes nothing", same_name, MOUNTED, 0, 0},
    {"slash", "FUSE names: names with '/' are refused", slash, MOUNTED, 0, 0},
    {"dots", "FUSE names: '.' and '..' are no names to rename", dots, MOUNTED, 0, 0},
    {"one-name", "FUSE RENAME has two names, each with its NUL; one is malformed", one_name, MOUNTED | HOSTILE, 0, 0},
    {"flags-0", "FUSE RENAME2 without flags is RENAME", by_flags_0, MOUNTED, RENAME2, 0},
    {"noreplace", "FUSE RENAME2: with NOREPLACE a name that is there is answered EEXIST", noreplace, MOUNTED, RENAME2,
     0},
    {"exchange", "FUSE RENAME2: EXCHANGE swaps two names of any kind", exchange, MOUNTED, RENAME2, 0},
    {"exchange-missing", "FUSE RENAME2: EXCHANGE needs both", exchange_missing, MOUNTED, RENAME2, 0},
    {"both-flags", "renameat2(2): NOREPLACE and EXCHANGE together are answered EINVAL", both_flags, MOUNTED, RENAME2,
     0},
    {"unknown-flags", "FUSE RENAME2: unknown flags are answered EINVAL", unknown_flags, MOUNTED, RENAME2, 0},
};
const struct group rename_group = CHECKS("rename", rename_checks);

/* ---- LINK ---- */

static void link_counts(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  good(t, fs_link(t, node, t->dir, "b"));
  is(t, "the nodeid", t->got.entry.node, node);
  is(t, "the count of links", t->got.entry.attr.nlink, 2);
  is(t, "the count of links by GETATTR", attr_of(t, node).nlink, 2);
}

static void link_lookup(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  good(t, fs_link(t, node, t->dir, "b"));
  good(t, fs_lookup(t, t->dir, "b"));
  is(t, "the nodeid by the other name", t->got.entry.node, node);
}

static void link_counts_lookup(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  good(t, fs_link(t, node, t->dir, "b"));
  fs_forget(t, node, 1);
  good(t, fs_getattr(t, node));
}

static void link_existing(struct test *t) {
  uint64_t node = make_file(t, "a", "");
  (void)make_file(t, "b", "");
  REFUSED(t, fs_link(t, node, t->dir, "b"), EEXIST);
}

static void link_dir(struct test *t) {
  REFUSED(t, fs_link(t, make_dir(t, "a"), t->dir, "b"), EPERM, EISDIR);
}

static void link_stale(struct test *t) {
  bad(t, fs_link(t, stale_node(t), t->dir, "b"));
}

static void link_symlink(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_symlink(t, t->dir, "a", "file"));
  able(t, fs_link(t, t->got.entry.node, t->dir, "b"));
  is(t, "the type", t->got.entry.attr.mode & S_IFMT, S_IFLNK);
}

static void link_outlives(struct test *t) {
  uint64_t node = make_file(t, "a", "abc");
  good(t, fs_link(t, node, t->dir, "b"));
  good(t, fs_unlink(t, t->dir, "a"));
  is(t, "the count of links", attr_of(t, node).nlink, 1);
  struct file file = open_file(t, node, 0);
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
}

static void link_slash(struct test *t) {
  uint64_t node = make_file(t, "a", "");
  (void)make_dir(t, "dir");
  bad(t, fs_link(t, node, t->dir, "dir/b"));
}

#define LINK VIRTIOFS_FUSE_LINK
static const struct check link_checks[] = {
    {"count", "FUSE LINK answers the old node, with one link more", link_counts, MOUNTED, LINK, 0},
    {"lookup", "FUSE LINK: both names are the same node", link_lookup, MOUNTED, LINK, 0},
    {"lookup-count", "FUSE LINK counts as a LOOKUP of the node", link_counts_lookup, MOUNTED, LINK, 0},
    {"existing", "POSIX link: a name that is there is answered EEXIST", link_existing, MOUNTED, LINK, 0},
    {"dir", "POSIX link: directories can't be linked", link_dir, MOUNTED, LINK, 0},
    {"forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", link_stale, MOUNTED, LINK, 0},
    {"symlink", "FUSE links: the server does not follow a symbolic link to link it", link_symlink, MOUNTED, LINK, 0},
    {"outlives", "POSIX unlink: the other name stays", link_outlives, MOUNTED, LINK, 0},
    {"slash", "FUSE names: a name with '/' is refused", link_slash, MOUNTED, LINK, 0},
};
const struct group link_group = CHECKS("link", link_checks);

/* ---- SYMLINK, READLINK ---- */

static void target(struct test *t, const char *text) {
  good(t, fs_symlink(t, t->dir, "link", text));
  uint64_t node = t->got.entry.node;
  is(t, "the type", t->got.entry.attr.mode & S_IFMT, S_IFLNK);
  good(t, fs_readlink(t, node));
  holds(t, text);
}

static void plain_target(struct test *t) {
  target(t, "target");
}

static void path_target(struct test *t) {
  target(t, "/../../etc/./passwd//x");
}

static void long_target(struct test *t) {
  char text[4001];
  memset(text, 'x', 4000);
  for (int i = 100; i < 4000; i += 101)
    text[i] = '/';
  text[4000] = 0;
  target(t, text);
}

static void symlink_existing(struct test *t) {
  (void)make_file(t, "a", "");
  REFUSED(t, fs_symlink(t, t->dir, "a", "x"), EEXIST);
}

static void symlink_slash(struct test *t) {
  (void)make_dir(t, "dir");
  bad(t, fs_symlink(t, t->dir, "dir/link", "x"));
  bad(t, fs_symlink(t, t->dir, "..", "x"));
}

static void empty_target(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_SYMLINK, t->dir);
  raw_string(t, "link");
  raw_string(t, "");
  REFUSED(t, send_raw(t), ENOENT, EINVAL);
}

static void readlink_of_file(struct test *t) {
  uint64_t node = make_file(t, "a", "");
  REFUSED(t, fs_readlink(t, node), EINVAL);
}

static void no_target(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_SYMLINK, t->dir);
  raw_string(t, "link");
  bad(t, send_raw(t));
  absent(t, t->dir, "link");
}

#define SYMLINK VIRTIOFS_FUSE_SYMLINK
static const struct check symlink_checks[] = {
    {"target", "FUSE READLINK gives the target as it was set, without a NUL", plain_target, MOUNTED, SYMLINK, 0},
    {"path", "FUSE SYMLINK: the target is any text, it is the guest's to follow", path_target, MOUNTED, SYMLINK, 0},
    {"long", "POSIX SYMLINK_MAX: targets of thousands of bytes", long_target, MOUNTED, SYMLINK, 0},
    {"existing", "POSIX symlink: a name that is there is answered EEXIST", symlink_existing, MOUNTED, SYMLINK, 0},
    {"slash", "FUSE names: a name with '/', or '..', is refused", symlink_slash, MOUNTED, SYMLINK, 0},
    {"empty-target", "POSIX symlink: an empty target is refused", empty_target, MOUNTED | HOSTILE, SYMLINK, 0},
    {"no-target", "FUSE SYMLINK has a name and a target, each with its NUL; one is malformed", no_target,
     MOUNTED | HOSTILE, SYMLINK, 0},
    {"readlink-of-file", "POSIX readlink: what is no symbolic link is answered EINVAL", readlink_of_file, MOUNTED,
     VIRTIOFS_FUSE_READLINK, 0},
};
const struct group symlink_group = CHECKS("symlink", symlink_checks);
