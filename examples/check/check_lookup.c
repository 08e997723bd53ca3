/* SPDX-License-Identifier: BSD-3-Clause */
/* LOOKUP, FORGET, BATCH_FORGET. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- LOOKUP ---- */

static void finds_file(struct test *t) {
  (void)make_file(t, "file", "12345");
  good(t, fs_lookup(t, t->dir, "file"));
  const struct virtiofs_entry_out *entry = &t->got.entry;
  expect(t, entry->node > VIRTIOFS_FUSE_ROOT, "the nodeid is %llu", (unsigned long long)entry->node);
  is(t, "the type", entry->attr.mode & S_IFMT, S_IFREG);
  is(t, "the size", entry->attr.size, 5);
  is(t, "the count of links", entry->attr.nlink, 1);
}

static void finds_dir(struct test *t) {
  (void)make_dir(t, "dir");
  good(t, fs_lookup(t, t->dir, "dir"));
  is(t, "the type", t->got.entry.attr.mode & S_IFMT, S_IFDIR);
}

static void finds_nothing(struct test *t) {
  struct virtiofs_lookup_in *in = &begin(t, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "nothing", .len = 7};
  int rc = call(t, NULL, 0);
  if (rc == 0)
    is(t, "the nodeid of what isn't there", t->got.entry.node, 0);
  else
    REFUSED(t, rc, ENOENT);
}

static void same_node(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_lookup(t, t->dir, "file"));
  uint64_t first = t->got.entry.node;
  good(t, fs_lookup(t, t->dir, "file"));
  is(t, "the second LOOKUP's nodeid", t->got.entry.node, first);
}

static void made_is_looked_up(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  good(t, fs_lookup(t, t->dir, "file"));
  is(t, "LOOKUP's nodeid of what CREATE has made", t->got.entry.node, node);
  node = make_dir(t, "dir");
  good(t, fs_lookup(t, t->dir, "dir"));
  is(t, "LOOKUP's nodeid of what MKDIR has made", t->got.entry.node, node);
}

static void same_attr(struct test *t) {
  (void)make_file(t, "file", "abc");
  good(t, fs_lookup(t, t->dir, "file"));
  struct virtiofs_attr looked = t->got.entry.attr;
  struct virtiofs_attr asked = attr_of(t, t->got.entry.node);
  is(t, "the inode number", asked.ino, looked.ino);
  is(t, "the mode", asked.mode, looked.mode);
  is(t, "the size", asked.size, looked.size);
  is(t, "the mtime", (uint64_t)asked.mtime.sec, (uint64_t)looked.mtime.sec);
  is(t, "the mtime's nanoseconds", asked.mtime.nsec, looked.mtime.nsec);
}

static void in_file(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  REFUSED(t, fs_lookup(t, node, "below"), ENOTDIR);
}

static void in_stale(struct test *t) {
  bad(t, fs_lookup(t, stale_node(t), "below"));
}

static void name_255(struct test *t) {
  char name[256];
  memset(name, 'n', 255);
  name[255] = 0;
  uint64_t node = make_file(t, name, "");
  good(t, fs_lookup(t, t->dir, name));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void name_256(struct test *t) {
  char name[257];
  memset(name, 'n', 256);
  name[256] = 0;
  REFUSED(t, fs_lookup(t, t->dir, name), ENAMETOOLONG);
}

static void name_4096(struct test *t) {
  char name[4097];
  memset(name, 'n', 4096);
  name[4096] = 0;
  raw_begin(t, VIRTIOFS_FUSE_LOOKUP, t->dir);
  raw_string(t, name);
  REFUSED(t, send_raw(t), ENAMETOOLONG, EINVAL);
}

static void name_slash(struct test *t) {
  make_in(t, make_dir(t, "dir"), "file");
  bad(t, fs_lookup(t, t->dir, "dir/file"));
  bad(t, fs_lookup(t, t->dir, "dir/"));
  bad(t, fs_lookup(t, t->dir, "/dir"));
}

static void name_outside(struct test *t) {
  bad(t, fs_lookup(t, t->dir, "../../../../../../../../../../etc/passwd"));
  bad(t, fs_lookup(t, VIRTIOFS_FUSE_ROOT, "../etc"));
  bad(t, fs_lookup(t, VIRTIOFS_FUSE_ROOT, "/etc"));
}

static void name_empty(struct test *t) {
  raw_begin(t, VIRTIOFS_FUSE_LOOKUP, t->dir);
  raw_string(t, "");
  REFUSED(t, send_raw(t), ENOENT, EINVAL);
}

static void name_with_nul(struct test *t) {
  uint64_t node = make_file(t, "a", "");
  raw_begin(t, VIRTIOFS_FUSE_LOOKUP, t->dir);
  raw_bytes(t, "a\0b", 4);
  int rc = send_raw(t);
  if (rc == 0) { /* what is behind the NUL is not the name's */
    track_node(t, reply_u64(t, 0));
    is(t, "the nodeid", reply_u64(t, 0), node);
  } else {
    bad(t, rc);
  }
}

static void name_bytes(struct test *t) {
  static const char name[] = "\xff\xfe \t\x01*?\\";
  uint64_t node = make_file(t, name, "odd");
  good(t, fs_lookup(t, t->dir, name));
  is(t, "the nodeid", t->got.entry.node, node);
}

static void name_case(struct test *t) {
  (void)make_file(t, "Name", "");
  absent(t, t->dir, "name");
}

static void dot(struct test *t) {
  uint64_t node = make_dir(t, "dir");
  int rc = fs_lookup(t, node, ".");
  if (!agreed(t, VIRTIOFS_FUSE_EXPORT_SUPPORT)) {
    bad(t, rc);
    return;
  }
  good(t, rc);
  is(t, "the nodeid of '.'", t->got.entry.node, node);
}

static void dotdot(struct test *t) {
  uint64_t node = make_dir(t, "dir");
  int rc = fs_lookup(t, node, "..");
  if (!agreed(t, VIRTIOFS_FUSE_EXPORT_SUPPORT)) {
    bad(t, rc);
    return;
  }
  good(t, rc);
  is(t, "the nodeid of '..'", t->got.entry.node, t->dir);
}

static void dotdot_of_root(struct test *t) {
  uint64_t ino = attr_of(t, VIRTIOFS_FUSE_ROOT).ino;
  int rc = fs_lookup(t, VIRTIOFS_FUSE_ROOT, "..");
  if (rc == 0)
    is(t, "the inode number of the root's '..'", t->got.entry.attr.ino, ino);
}

static void symlink_itself(struct test *t) {
  (void)make_file(t, "file", "");
  good(t, fs_symlink(t, t->dir, "link", "file"));
  good(t, fs_lookup(t, t->dir, "link"));
  is(t, "the type", t->got.entry.attr.mode & S_IFMT, S_IFLNK);
}

static const struct check lookup_checks[] = {
    {"file",
     "FUSE LOOKUP: a name that is there gives an entry with a nodeid that is neither 0 nor the root's, and its "
     "attributes",
     finds_file, MOUNTED, 0, 0},
    {"dir", "FUSE LOOKUP: a directory's entry says so in its mode", finds_dir, MOUNTED, 0, 0},
    {"nothing", "FUSE LOOKUP: a name that is not there is answered ENOENT, or nodeid 0 with a time", finds_nothing,
     MOUNTED | ANYWHERE, 0, 0},
    {"same-node", "FUSE LOOKUP: a node that the guest holds keeps its nodeid", same_node, MOUNTED, 0, 0},
    {"made-node", "FUSE CREATE, MKDIR: what was made has the nodeid that LOOKUP gives", made_is_looked_up, MOUNTED, 0,
     0},
    {"attributes", "FUSE LOOKUP: an entry's attributes are those of GETATTR", same_attr, MOUNTED, 0, 0},
    {"in-file", "POSIX: a name below a file is answered ENOTDIR", in_file, MOUNTED, 0, 0},
    {"in-stale", "FUSE FORGET: a nodeid that was forgotten is not resolved by luck", in_stale, MOUNTED, 0, 0},
    {"name-255", "POSIX NAME_MAX: a name of 255 bytes is a name", name_255, MOUNTED, 0, 0},
    {"name-256", "POSIX NAME_MAX: a name of 256 bytes is answered ENAMETOOLONG", name_256, MOUNTED, 0, 0},
    {"name-4096", "FUSE limits: a name longer than 4095 bytes is refused", name_4096, MOUNTED | HOSTILE, 0, 0},
    {"name-slash", "FUSE names: a name with '/' is refused, not walked", name_slash, MOUNTED, 0, 0},
    {"name-outside", "FUSE names: no name leads out of the share", name_outside, MOUNTED | ANYWHERE, 0, 0},
    {"name-empty", "FUSE names: an empty name is refused", name_empty, MOUNTED | ANYWHERE | HOSTILE, 0, 0},
    {"name-with-nul", "FUSE LOOKUP: a name ends at its NUL", name_with_nul, MOUNTED | HOSTILE, 0, 0},
    {"name-bytes", "POSIX: a name is any bytes but NUL and '/', not text of one encoding", name_bytes, MOUNTED, 0, 0},
    {"name-case", "POSIX: names that differ in case are different", name_case, MOUNTED, 0, 0},
    {"dot", "FUSE INIT: '.' is the directory itself with EXPORT_SUPPORT, and refused without", dot, MOUNTED, 0, 0},
    {"dotdot", "FUSE INIT: '..' is the parent with EXPORT_SUPPORT, and refused without", dotdot, MOUNTED, 0, 0},
    {"dotdot-of-root", "FUSE names: '..' of the root is the root, or refused: never a directory outside",
     dotdot_of_root, MOUNTED | ANYWHERE, 0, 0},
    {"symlink", "FUSE LOOKUP: a symbolic link is not followed", symlink_itself, MOUNTED, VIRTIOFS_FUSE_SYMLINK, 0},
};
const struct group lookup_group = CHECKS("lookup", lookup_checks);

/* ---- FORGET ---- */

static void buffer_back(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  fs_forget(t, node, 1);
  expect(t, t->answered, "the buffer did not come back");
  is(t, "the used length", (uint64_t)t->used, 0);
}

static void with_room(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  good(t, fs_lookup(t, t->dir, "file"));
  begin(t, VIRTIOFS_FUSE_FORGET)->forget = (struct virtiofs_fuse_forget_in){.nodeid = node, .nlookup = 1};
  encode(t, NULL, 0);
  t->room = 128;
  (void)send_raw(t);
  good(t, fs_getattr(t, node));
}

static void on_request_queue(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  begin(t, VIRTIOFS_FUSE_FORGET)->forget = (struct virtiofs_fuse_forget_in){.nodeid = node, .nlookup = 1};
  t->queue = 1;
  encode(t, NULL, 0);
  t->node_count = 0;
  (void)send_raw(t);
  good(t, fs_lookup(t, t->dir, "file"));
}

/* Queues are served at once, so the node may live a moment longer: a reply on the same queue orders nothing. */
static void expect_gone(struct test *t, uint64_t node) {
  for (int i = 0; i < 1000; i++)
    if (fs_getattr(t, node) != 0)
      return;
  fail(t, "nodeid %llu is still good after FORGET has come back and 1000 GETATTRs", (unsigned long long)node);
}

static void gone(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  fs_forget(t, node, 1);
  expect_gone(t, node);
}

static void counts(struct test *t) {
  uint64_t node = make_file(t, "file", ""); /* one */
  for (int i = 0; i < 3; i++)
    good(t, fs_lookup(t, t->dir, "file"));
  fs_forget(t, node, 3);
  good(t, fs_getattr(t, node));
  fs_forget(t, node, 1);
  expect_gone(t, node);
}

static void found_again(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  fs_forget(t, node, 1);
  good(t, fs_lookup(t, t->dir, "file"));
  is(t, "the size", attr_of(t, t->got.entry.node).size, 3);
}

static void none(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  fs_forget(t, node, 0);
  good(t, fs_getattr(t, node));
}

static void parent_first(struct test *t) {
  uint64_t dir = make_dir(t, "dir");
  good(t, fs_mkdir(t, dir, "below", 0755));
  uint64_t below = t->got.entry.node;
  fs_forget(t, dir, 1);
  good(t, fs_getattr(t, below));
}

struct one {
  uint64_t nodeid, nlookup;
};

static void batch(struct test *t, const struct one *entries, uint32_t count) {
  begin(t, VIRTIOFS_FUSE_BATCH_FORGET)->batch_forget.count = count;
  (void)call(t, entries, count * sizeof(entries[0]));
}

static void batch_of_three(struct test *t) {
  struct one entries[3];
  static const char *const names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++)
    entries[i] = (struct one){.nodeid = make_file(t, names[i], ""), .nlookup = 1};
  t->node_count = 0;
  batch(t, entries, 3);
  for (int i = 0; i < 3; i++)
    expect_gone(t, entries[i].nodeid);
}

static void batch_of_none(struct test *t) {
  batch(t, NULL, 0);
  still_alive(t);
}

static void batch_unknown(struct test *t) {
  uint64_t stale = stale_node(t);
  struct one entries[2] = {{.nodeid = stale, .nlookup = 1}, {.nodeid = make_file(t, "file", ""), .nlookup = 1}};
  t->node_count = 0;
  batch(t, entries, 2);
  expect_gone(t, entries[1].nodeid);
}

static void ring_is_not_used_up(struct test *t) {
  for (int i = 0; i < 1000; i++) {
    good(t, fs_lookup(t, t->server->work, "check"));
    fs_forget(t, t->dir, 1);
  }
  good(t, fs_getattr(t, t->dir));
}

static const struct check forget_checks[] = {
    {"buffer-back", "FUSE FORGET has no reply, but its buffer goes back to the used ring, with length 0", buffer_back,
     MOUNTED, 0, 0},
    {"with-room", "FUSE FORGET: nothing is written, even where there is room", with_room, MOUNTED, 0, 0},
    {"on-request-queue", "FUSE FORGET: Linux sends some FORGETs on a request queue; they count as others do",
     on_request_queue, MOUNTED, 0, 0},
    {"gone", "FUSE FORGET: a node whose count is 0 is not known any more", gone, MOUNTED, 0, 0},
    {"counts", "FUSE FORGET: each reply with the node counts one, and FORGET takes as many as it says", counts, MOUNTED,
     0, 0},
    {"found-again", "FUSE FORGET: a name whose node was forgotten is found again", found_again, MOUNTED, 0, 0},
    {"none", "FUSE FORGET: a FORGET of 0 lookups changes nothing", none, MOUNTED, 0, 0},
    {"parent-first", "FUSE FORGET: a node outlives its parent's nodeid", parent_first, MOUNTED, 0, 0},
    {"batch", "FUSE BATCH_FORGET forgets each node it names", batch_of_three, MOUNTED, 0, 0},
    {"batch-empty", "FUSE BATCH_FORGET may name none", batch_of_none, MOUNTED | ANYWHERE, 0, 0},
    {"batch-unknown", "FUSE BATCH_FORGET: an unknown nodeid does not keep it from the others", batch_unknown, MOUNTED,
     0, 0},
    {"ring", "virtio 2.7.8: every buffer comes back, or the ring runs dry after as many as it has", ring_is_not_used_up,
     MOUNTED, 0, 0},
};
const struct group forget_group = CHECKS("forget", forget_checks);
