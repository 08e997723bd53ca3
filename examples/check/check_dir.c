/* SPDX-License-Identifier: BSD-3-Clause */
/* READDIR, READDIRPLUS. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

enum { PLAIN = VIRTIOFS_FUSE_READDIR, PLUS = VIRTIOFS_FUSE_READDIRPLUS, MANY = 120 };

static struct listed entries[LISTED_MAX], others[LISTED_MAX];

/* A directory with files f0 to f@count - 1, open. */
static struct file filled(struct test *t, unsigned count) {
  uint64_t node = make_dir(t, "listed");
  for (unsigned i = 0; i < count; i++) {
    char name[32];
    (void)snprintf(name, sizeof(name), "f%u", i);
    make_in(t, node, name);
  }
  return open_dir(t, node);
}

static void each_once(struct test *t, const struct listed *list, unsigned count, unsigned wanted) {
  bool seen[LISTED_MAX] = {false};
  for (unsigned i = 0; i < count; i++) {
    unsigned n = (unsigned)strtoul(list[i].name + 1, NULL, 10);
    expect(t, list[i].name[0] == 'f' && n < wanted, "'%s' is listed, and isn't there", list[i].name);
    expect(t, !seen[n], "'%s' is listed twice", list[i].name);
    seen[n] = true;
  }
  is(t, "the count of names", count, wanted);
}

static void once(struct test *t, uint32_t opcode, uint32_t size) {
  struct file dir = filled(t, MANY);
  each_once(t, entries, list_all(t, opcode, dir, 0, size, entries), MANY);
}

static void plain_all(struct test *t) {
  once(t, PLAIN, 65536);
}

static void plain_small(struct test *t) {
  once(t, PLAIN, 100);
}

static void plain_odd(struct test *t) {
  once(t, PLAIN, 301);
}

static void plus_all(struct test *t) {
  once(t, PLUS, 65536);
}

static void plus_small(struct test *t) {
  once(t, PLUS, 240);
}

static void plus_odd(struct test *t) {
  once(t, PLUS, 1001);
}

static void an_empty_one(struct test *t) {
  struct file dir = filled(t, 0);
  is(t, "the count of names", list_all(t, PLAIN, dir, 0, 4096, entries), 0);
  is(t, "the last reply's length", t->len, 16);
}

/* From the position after each name on there are exactly the names that follow. */
static void resumed(struct test *t, uint32_t opcode, struct file dir, struct file other) {
  unsigned count = list_all(t, opcode, dir, 0, 65536, entries);
  for (unsigned i = 0; i < count; i += 7) {
    unsigned rest = list_all(t, opcode, other, entries[i].next, 65536, others);
    is(t, "the count of names from a position in the middle on", rest, count - i - 1);
    if (rest > 0)
      expect(t, strcmp(others[0].name, entries[i + 1].name) == 0, "'%s' comes after '%s', not '%s'", others[0].name,
             entries[i].name, entries[i + 1].name);
  }
}

static void plain_resumed(struct test *t) {
  struct file dir = filled(t, MANY);
  resumed(t, PLAIN, dir, dir);
}

static void plain_resumed_elsewhere(struct test *t) {
  struct file dir = filled(t, MANY);
  resumed(t, PLAIN, dir, open_dir(t, dir.node));
}

static void plus_resumed(struct test *t) {
  struct file dir = filled(t, MANY);
  resumed(t, PLUS, dir, dir);
}

static void mixed(struct test *t) {
  struct file dir = filled(t, MANY);
  unsigned count = list_all(t, PLAIN, dir, 0, 65536, entries);
  unsigned rest = list_all(t, PLUS, dir, entries[count / 2].next, 65536, others);
  is(t, "the count of names that READDIRPLUS gives from READDIR's position on", rest, count - count / 2 - 1);
}

static void rewound(struct test *t) {
  struct file dir = filled(t, 3);
  (void)list_all(t, PLAIN, dir, 0, 4096, entries);
  make_in(t, dir.node, "f3");
  each_once(t, entries, list_all(t, PLAIN, dir, 0, 4096, entries), 4);
}

static void removed_meanwhile(struct test *t) {
  struct file dir = filled(t, MANY);
  unsigned count = list_all(t, PLAIN, dir, 0, 65536, entries);
  uint64_t half = entries[count / 2].next;
  for (unsigned i = 0; i <= count / 2; i += 2)
    good(t, fs_unlink(t, dir.node, entries[i].name));
  unsigned rest = list_all(t, PLAIN, dir, half, 65536, others);
  is(t, "the count of names behind a position, once some before it are gone", rest, count - count / 2 - 1);
}

static void positions(struct test *t) {
  struct file dir = filled(t, 20);
  unsigned count = list_all(t, PLAIN, dir, 0, 65536, entries);
  for (unsigned i = 0; i < count; i++) {
    expect(t, entries[i].next != 0 && entries[i].next <= INT64_MAX, "the position after '%s' is %#llx", entries[i].name,
           (unsigned long long)entries[i].next);
    expect(t, entries[i].ino != 0, "'%s' has inode number 0", entries[i].name);
  }
}

static void no_room(struct test *t, uint32_t opcode) {
  struct file dir = filled(t, 3);
  REFUSED(t, fs_readdir(t, opcode, dir, 0, 16), EINVAL);
}

static void plain_no_room(struct test *t) {
  no_room(t, PLAIN);
}

static void plus_no_room(struct test *t) {
  no_room(t, PLUS);
}

static void types(struct test *t) {
  uint64_t node = make_dir(t, "listed");
  good(t, fs_mkdir(t, node, "dir", 0755));
  make_in(t, node, "file");
  good(t, fs_symlink(t, node, "link", "x"));
  unsigned count = list_all(t, PLAIN, open_dir(t, node), 0, 4096, entries);
  is(t, "the count of names", count, 3);
  for (unsigned i = 0; i < count; i++) {
    char first = entries[i].name[0];
    uint32_t type = first == 'd' ? S_IFDIR : first == 'f' ? S_IFREG : S_IFLNK;
    expect(t, entries[i].type == type || entries[i].type == 0, "'%s' has type %#o", entries[i].name, entries[i].type);
  }
}

static void long_names(struct test *t) {
  char name[256];
  uint64_t node = make_dir(t, "listed");
  for (char c = 'a'; c < 'k'; c++) {
    memset(name, c, 255);
    name[255] = 0;
    make_in(t, node, name);
  }
  unsigned count = list_all(t, PLAIN, open_dir(t, node), 0, 600, entries);
  is(t, "the count of names", count, 10);
  for (unsigned i = 0; i < count; i++)
    is(t, "a name's length", strlen(entries[i].name), 255);
}

static void inode_numbers(struct test *t) {
  struct file dir = filled(t, 5);
  unsigned count = list_all(t, PLAIN, dir, 0, 4096, entries);
  for (unsigned i = 0; i < count; i++) {
    good(t, fs_lookup(t, dir.node, entries[i].name));
    is(t, "the inode number", t->got.entry.attr.ino, entries[i].ino);
  }
}

static void record_padding(struct test *t) {
  struct file dir = filled(t, 12);
  good(t, fs_readdir(t, PLAIN, dir, 0, 4096));
  is(t, "the records' bytes modulo 8", t->size % 8, 0);
  for (size_t at = 0; at + 24 <= t->size;) {
    uint32_t len = reply_u32(t, at + 16);
    size_t end = (at + 24 + len + 7) / 8 * 8;
    for (size_t i = at + 24 + len; i < end && i < t->size; i++)
      is(t, "a byte of padding", t->bytes[i], 0);
    at = end;
  }
}

static void file_handle(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  bad(t, fs_readdir(t, PLAIN, file, 0, 4096));
}

static void released_handle(struct test *t) {
  struct file dir = filled(t, 1);
  good(t, fs_releasedir(t, dir));
  bad(t, fs_readdir(t, PLAIN, dir, 0, 4096));
}

static void removed_dir(struct test *t) {
  struct file dir = filled(t, 0);
  good(t, fs_rmdir(t, t->dir, "listed"));
  int rc = fs_readdir(t, PLAIN, dir, 0, 4096);
  if (rc != 0)
    REFUSED(t, rc, ENOENT);
}

static void odd_position(struct test *t) {
  struct file dir = filled(t, 3);
  (void)fs_readdir(t, PLAIN, dir, UINT64_C(0x123456789abcdef), 4096); /* anything, but an answer */
  each_once(t, entries, list_all(t, PLAIN, dir, 0, 4096, entries), 3);
}

static const struct check readdir_checks[] = {
    {"all", "FUSE READDIR lists each name once", plain_all, MOUNTED, 0, 0},
    {"small", "FUSE READDIR: in replies that hold a few records, each name once", plain_small, MOUNTED, 0, 0},
    {"odd-size", "FUSE READDIR: records are never split, whatever the size", plain_odd, MOUNTED, 0, 0},
    {"empty", "FUSE READDIR: a bare header is the end", an_empty_one, MOUNTED, 0, 0},
    {"resumed", "FUSE READDIR: from a record's position on the next ones come", plain_resumed, MOUNTED, 0, 0},
    {"resumed-elsewhere", "FUSE READDIR: a position is good in another handle of the directory",
     plain_resumed_elsewhere, MOUNTED, 0, 0},
    {"rewound", "POSIX rewinddir: from the beginning on, with what has come meanwhile", rewound, MOUNTED, 0, 0},
    {"removed-meanwhile", "FUSE READDIR: positions don't shift when names go", removed_meanwhile, MOUNTED, 0, 0},
    {"positions", "FUSE READDIR: positions are 1 to INT64_MAX, inode numbers not 0", positions, MOUNTED, 0, 0},
    {"odd-position", "FUSE READDIR: a position that was never given does no harm", odd_position, MOUNTED, 0, 0},
    {"no-room", "FUSE READDIR: where not even one record fits the answer is EINVAL, as nothing would be the end",
     plain_no_room, MOUNTED, 0, 0},
    {"types", "FUSE dirent: the type is the file's, or 0", types, MOUNTED, 0, 0},
    {"long-names", "FUSE dirent: names of 255 bytes", long_names, MOUNTED, 0, 0},
    {"inode-numbers", "FUSE dirent: the inode number is LOOKUP's", inode_numbers, MOUNTED, 0, 0},
    {"padding", "FUSE dirent: records are padded with zeros to 8 bytes", record_padding, MOUNTED, 0, 0},
    {"file-handle", "FUSE ids: a file's handle is no directory's", file_handle, MOUNTED, 0, 0},
    {"released", "FUSE ids: a handle that was released is refused", released_handle, MOUNTED, 0, 0},
    {"removed-dir", "POSIX readdir: a directory that was removed is empty, or ENOENT", removed_dir, MOUNTED, 0, 0},
};
const struct group readdir_group = CHECKS("readdir", readdir_checks);

/* ---- READDIRPLUS ---- */

static void plus_nodes(struct test *t) {
  struct file dir = filled(t, 5);
  unsigned count = list_all(t, PLUS, dir, 0, 4096, entries);
  for (unsigned i = 0; i < count; i++) {
    if (entries[i].node == 0)
      continue;
    is(t, "the inode number by GETATTR", attr_of(t, entries[i].node).ino, entries[i].ino);
    good(t, fs_lookup(t, dir.node, entries[i].name));
    is(t, "LOOKUP's nodeid", t->got.entry.node, entries[i].node);
  }
}

static void plus_attr(struct test *t) {
  uint64_t node = make_dir(t, "listed");
  good(t, fs_mkdir(t, node, "d", 0711));
  good(t, fs_create(t, node, "f", 2, 0640));
  struct file file = {.node = t->got.create.entry.node, .handle = t->got.create.open.handle};
  good(t, fs_write(t, file, 0, "12345", 5));
  unsigned count = list_all(t, PLUS, open_dir(t, node), 0, 4096, entries);
  is(t, "the count of names", count, 2);
  for (unsigned i = 0; i < count; i++) {
    if (entries[i].node == 0)
      continue;
    bool dir = entries[i].name[0] == 'd';
    is(t, "the mode", entries[i].attr.mode, dir ? S_IFDIR | 0711 : S_IFREG | 0640);
    is(t, "the record's inode number", entries[i].attr.ino, entries[i].ino);
    if (!dir)
      is(t, "the size", entries[i].attr.size, 5);
  }
}

static void expect_gone(struct test *t, uint64_t node) {
  for (int i = 0; i < 1000; i++)
    if (fs_getattr(t, node) != 0)
      return;
  fail(t, "nodeid %llu is still good after FORGET", (unsigned long long)node);
}

/* What was listed is known exactly once, also what a small reply had no room for at first. */
static void counted(struct test *t, uint32_t size) {
  struct file dir = filled(t, 10);
  t->node_count = 0;
  for (unsigned i = 0; i < 10; i++) { /* making it has counted it */
    char name[32];
    (void)snprintf(name, sizeof(name), "f%u", i);
    good(t, fs_lookup(t, dir.node, name));
    fs_forget(t, t->got.entry.node, 2);
  }
  unsigned count = list_all(t, PLUS, dir, 0, size, entries);
  for (unsigned i = 0; i < count; i++)
    if (entries[i].node != 0) {
      good(t, fs_getattr(t, entries[i].node));
      fs_forget(t, entries[i].node, 1);
      expect_gone(t, entries[i].node);
    }
}

static void plus_counts(struct test *t) {
  counted(t, 4096);
}

static void plus_counts_small(struct test *t) {
  counted(t, 450);
}

static void plus_dots(struct test *t) {
  struct file dir = filled(t, 1);
  size_t at = 0;
  struct listed entry;
  good(t, fs_readdir(t, PLUS, dir, 0, 4096));
  while (next_record(t, PLUS, &at, &entry))
    if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
      is(t, "the nodeid of a dot", entry.node, 0);
}

static void plus_root(struct test *t) {
  struct file dir = open_dir(t, VIRTIOFS_FUSE_ROOT);
  uint64_t ino = attr_of(t, VIRTIOFS_FUSE_ROOT).ino;
  size_t at = 0;
  struct listed entry;
  good(t, fs_readdir(t, PLUS, dir, 0, 4096));
  while (next_record(t, PLUS, &at, &entry))
    if (strcmp(entry.name, "..") == 0)
      is(t, "the inode number of the root's '..'", entry.ino, ino);
}

static const struct check readdirplus_checks[] = {
    {"all", "FUSE READDIRPLUS lists each name once", plus_all, MOUNTED, PLUS, 0},
    {"small", "FUSE READDIRPLUS: in replies that hold a record, each name once", plus_small, MOUNTED, PLUS, 0},
    {"odd-size", "FUSE READDIRPLUS: records are never split, whatever the size", plus_odd, MOUNTED, PLUS, 0},
    {"resumed", "FUSE READDIRPLUS: from a record's position on the next ones come", plus_resumed, MOUNTED, PLUS, 0},
    {"mixed", "FUSE INIT: with READDIRPLUS_AUTO both listings have the same positions", mixed, MOUNTED, PLUS,
     VIRTIOFS_FUSE_READDIRPLUS_AUTO},
    {"nodes", "FUSE READDIRPLUS: a record's nodeid is LOOKUP's", plus_nodes, MOUNTED, PLUS, 0},
    {"attributes", "FUSE READDIRPLUS: a record's attributes are the file's", plus_attr, MOUNTED, PLUS, 0},
    {"counts", "FUSE READDIRPLUS: each record with a nodeid counts as one LOOKUP", plus_counts, MOUNTED, PLUS, 0},
    {"counts-small", "FUSE READDIRPLUS: records that did not fit count nothing", plus_counts_small, MOUNTED, PLUS, 0},
    {"dots", "FUSE READDIRPLUS: '.' and '..' carry nodeid 0", plus_dots, MOUNTED, PLUS, 0},
    {"dotdot-of-root", "FUSE names: '..' of the root shows the root's own inode number", plus_root, MOUNTED | ANYWHERE,
     PLUS, 0},
    {"no-room", "FUSE READDIR: where not even one record fits the answer is EINVAL, as nothing would be the end",
     plus_no_room, MOUNTED, PLUS, 0},
};
const struct group readdirplus_group = CHECKS("readdirplus", readdirplus_checks);
