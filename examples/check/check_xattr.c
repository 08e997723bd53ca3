/* SPDX-License-Identifier: BSD-3-Clause */
/* SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

#define CREATE 1U
#define REPLACE 2U

static uint64_t with(struct test *t, const char *name, const void *value, size_t size) {
  uint64_t node = make_file(t, "file", "");
  able(t, fs_setxattr(t, node, name, value, size, 0));
  return node;
}

static void set_and_get(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_getxattr(t, node, "user.one", 100));
  holds(t, "value");
}

static void asked_size(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_getxattr(t, node, "user.one", 0));
  is(t, "the reply's length", t->len, 16 + 8);
  is(t, "the size", t->got.xattr.size, 5);
}

static void exact_size(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_getxattr(t, node, "user.one", 5));
  holds(t, "value");
}

static void too_small(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  REFUSED(t, fs_getxattr(t, node, "user.one", 4), ERANGE);
}

static void missing(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  REFUSED(t, fs_getxattr(t, node, "user.two", 100), ENODATA);
}

static void replaced(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_setxattr(t, node, "user.one", "longer value", 12, 0));
  good(t, fs_getxattr(t, node, "user.one", 100));
  holds(t, "longer value");
}

static void empty(struct test *t) {
  uint64_t node = with(t, "user.one", "", 0);
  good(t, fs_getxattr(t, node, "user.one", 100));
  is(t, "the reply's length", t->len, 16);
}

static void binary(struct test *t) {
  static const char value[] = "a\0b\xff\n";
  uint64_t node = with(t, "user.one", value, sizeof(value));
  good(t, fs_getxattr(t, node, "user.one", 100));
  is(t, "the size", t->size, sizeof(value));
  expect(t, memcmp(t->bytes, value, sizeof(value)) == 0, "the value is another");
}

static void create(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  REFUSED(t, fs_setxattr(t, node, "user.one", "x", 1, CREATE), EEXIST);
  good(t, fs_setxattr(t, node, "user.two", "x", 1, CREATE));
}

static void replace(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  REFUSED(t, fs_setxattr(t, node, "user.two", "x", 1, REPLACE), ENODATA);
  good(t, fs_setxattr(t, node, "user.one", "x", 1, REPLACE));
}

static void removed(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_removexattr(t, node, "user.one"));
  REFUSED(t, fs_getxattr(t, node, "user.one", 100), ENODATA);
  REFUSED(t, fs_removexattr(t, node, "user.one"), ENODATA);
}

static bool listed(const struct test *t, const char *name) {
  for (size_t at = 0; at < t->size;) {
    size_t len = strnlen((const char *)t->bytes + at, t->size - at);
    if (len == strlen(name) && memcmp(t->bytes + at, name, len) == 0)
      return true;
    at += len + 1;
  }
  return false;
}

static void list(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_setxattr(t, node, "user.two", "x", 1, 0));
  good(t, fs_listxattr(t, node, 4096));
  expect(t, listed(t, "user.one") && listed(t, "user.two"), "a name is not listed");
  expect(t, t->bytes[t->size - 1] == 0, "the list doesn't end in a NUL");
}

static void list_size(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_listxattr(t, node, 4096));
  size_t size = t->size;
  good(t, fs_listxattr(t, node, 0));
  is(t, "the reply's length", t->len, 16 + 8);
  is(t, "the size", t->got.xattr.size, size);
}

static void list_too_small(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  REFUSED(t, fs_listxattr(t, node, 3), ERANGE);
}

static void of_dir(struct test *t) {
  uint64_t node = make_dir(t, "dir");
  able(t, fs_setxattr(t, node, "user.one", "value", 5, 0));
  good(t, fs_getxattr(t, node, "user.one", 100));
  holds(t, "value");
}

static void of_symlink(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  good(t, fs_symlink(t, t->dir, "link", "file"));
  int rc = fs_getxattr(t, t->got.entry.node, "user.one", 100);
  expect(t, rc != 0, "the target's value was given for the symbolic link");
  good(t, fs_getxattr(t, node, "user.one", 100));
}

static void less_there(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  raw_begin(t, VIRTIOFS_FUSE_SETXATTR, node);
  raw_u32(t, 50);
  raw_u32(t, 0);
  if (agreed(t, VIRTIOFS_FUSE_SETXATTR_EXT))
    raw_u64(t, 0);
  raw_string(t, "user.one");
  raw_bytes(t, "abc", 3);
  bad(t, send_raw(t));
  good(t, fs_getxattr(t, node, "user.one", 100));
  holds(t, "value");
}

static void not_enosys(struct test *t) {
  uint64_t node = with(t, "user.one", "value", 5);
  int rc = fs_setxattr(t, node, "nonsense.one", "value", 5, 0);
  if (rc != 0)
    bad(t, rc);
  rc = fs_getxattr(t, node, "nonsense.one", 100);
  if (rc != 0)
    bad(t, rc);
}

#define OP VIRTIOFS_FUSE_SETXATTR
static const struct check xattr_checks[] = {
    {"get", "FUSE GETXATTR gives what SETXATTR has set", set_and_get, MOUNTED, OP, 0},
    {"size", "FUSE GETXATTR of size 0 asks how long the value is: 8 bytes behind the header", asked_size, MOUNTED, OP,
     0},
    {"exact", "FUSE GETXATTR: room for exactly the value is enough", exact_size, MOUNTED, OP, 0},
    {"too-small", "FUSE GETXATTR: a value longer than the size is answered ERANGE", too_small, MOUNTED, OP, 0},
    {"missing", "getxattr(2): what is not there is answered ENODATA", missing, MOUNTED, OP, 0},
    {"replaced", "FUSE SETXATTR replaces a value", replaced, MOUNTED, OP, 0},
    {"empty", "FUSE SETXATTR: a value may be empty", empty, MOUNTED, OP, 0},
    {"binary", "FUSE SETXATTR: a value is any bytes", binary, MOUNTED, OP, 0},
    {"create", "setxattr(2): with XATTR_CREATE a name that is there is answered EEXIST", create, MOUNTED, OP, 0},
    {"replace", "setxattr(2): with XATTR_REPLACE a name that is not there is answered ENODATA", replace, MOUNTED, OP,
     0},
    {"removed", "FUSE REMOVEXATTR removes a value, once", removed, MOUNTED, OP, 0},
    {"list", "FUSE LISTXATTR: names, each with its NUL", list, MOUNTED, OP, 0},
    {"list-size", "FUSE LISTXATTR of size 0 asks how long the list is", list_size, MOUNTED, OP, 0},
    {"list-too-small", "FUSE LISTXATTR: a list longer than the size is answered ERANGE", list_too_small, MOUNTED, OP,
     0},
    {"dir", "FUSE SETXATTR: directories have attributes, too", of_dir, MOUNTED, OP, 0},
    {"symlink", "FUSE GETXATTR: a symbolic link is not followed to its target's attributes", of_symlink, MOUNTED, OP,
     0},
    {"less-data", "FUSE SETXATTR: a size larger than what is there is refused", less_there, MOUNTED | HOSTILE, OP, 0},
    {"unknown-namespace",
     "FUSE errors: what a file system can't do is not ENOSYS, which turns attributes off for the mount", not_enosys,
     MOUNTED, OP, 0},
};
const struct group xattr_group = CHECKS("xattr", xattr_checks);
