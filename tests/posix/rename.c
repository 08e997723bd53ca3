/* SPDX-License-Identifier: BSD-3-Clause */
/* rename(2) and renameat2(2). */
#include "posix.h"

static long rename2(const char *from, const char *to, unsigned flags) {
  return e(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static void moving(void) {
  for (int i = 0; i < KINDS; i++) {
    topic("a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0640), 0);
    long inode = inode_of("x");
    note_ctime("x");
    age(".");
    IS(e(rename("x", "y")), 0);
    IS(type_of("x"), -ENOENT);
    IS(type_of("y"), kinds[i].type);
    IS(inode_of("y") == inode, 1);
    IS(mtime_moved("."), 1);
    IS(e(rename("y", "y")), 0);
    IS(e(remove("y")), 0);
  }
}

/* Over what: the new name is there already. */
static void replacing(void) {
  for (int from = 0; from < KINDS; from++) {
    for (int to = 0; to < KINDS; to++) {
      bool from_dir = kinds[from].type == S_IFDIR, to_dir = kinds[to].type == S_IFDIR;
      topic("a %s over a %s", kinds[from].name, kinds[to].name);
      IS(make_kind("x", kinds[from].type, 0640), 0);
      IS(make_kind("y", kinds[to].type, 0640), 0);
      IS(rename2("x", "y", RENAME_NOREPLACE), -EEXIST);
      IS(e(rename("x", "y")), from_dir == to_dir ? 0 : to_dir ? -EISDIR : -ENOTDIR);
      IS(type_of("y"), kinds[from_dir == to_dir ? from : to].type);
      IS(from_dir == to_dir || remove("x") == 0, 1);
      IS(e(remove("y")), 0);
    }
  }
}

static void directories(void) {
  topic("directories");
  IS(dir("d", 0755), 0);
  IS(dir("d/sub", 0755), 0);
  IS(fill("d/sub/f", "text"), 0);
  IS(dir("full", 0755), 0);
  IS(fill("full/f", ""), 0);
  IS(dir("empty", 0755), 0);
  IS(e(rename("d", "full")), -ENOTEMPTY);
  IS(e(rename("d", "d/sub/d")), -EINVAL);
  IS(e(rename("d", "d/d")), -EINVAL);
  IS(e(rename("d/sub", "d")), -ENOTEMPTY);
  IS(e(rename("d", "empty")), 0);
  IS(holds("empty/sub/f", "text"), 1);
  IS(e(rename("empty/sub", "sub")), 0);
  IS(holds("sub/f", "text"), 1);
  IS(same_file("sub/..", "."), 1);
  IS(e(rename(".", "x")), -EBUSY);
  IS(e(rename("sub", "..")), -EBUSY);
  IS(e(rename("sub/.", "x")), -EBUSY);
  IS(e(rename("sub/", "sub2")), 0);
  IS(e(rename("sub2/f", "f/")), -ENOTDIR);
  topic("what is not there");
  IS(e(rename("none", "x")), -ENOENT);
  IS(e(rename("sub2", "none/x")), -ENOENT);
  IS(e(rename("none/x", "x")), -ENOENT);
  IS(e(rename("sub2/f/x", "x")), -ENOTDIR);
  IS(e(rename("sub2", "sub2/f/x")), -ENOTDIR);
  topic("two names of one file");
  IS(e(link("sub2/f", "g")), 0);
  IS(e(rename("g", "sub2/f")), 0);
  IS(links_of("g"), 2);
  topic("the name is short for a moment");
  IS(e(rename("g", name_of(255))), 0);
  IS(e(rename(name_of(255), name_of(256))), -ENAMETOOLONG);
  IS(e(rename(name_of(255), "g")), 0);
}

static void flags(void) {
  topic("NOREPLACE");
  IS(fill("a", "a"), 0);
  IS(fill("b", "b"), 0);
  IS(dir("dir", 0755), 0);
  IS(fill("dir/f", "f"), 0);
  IS(rename2("a", "b", RENAME_NOREPLACE), -EEXIST);
  IS(holds("b", "b"), 1);
  IS(rename2("a", "c", RENAME_NOREPLACE), 0);
  IS(holds("c", "a"), 1);
  topic("EXCHANGE");
  IS(rename2("b", "c", RENAME_EXCHANGE), 0);
  IS(holds("b", "a"), 1);
  IS(holds("c", "b"), 1);
  IS(rename2("b", "dir", RENAME_EXCHANGE), 0);
  IS(holds("dir", "a"), 1);
  IS(holds("b/f", "f"), 1);
  IS(rename2("b", "none", RENAME_EXCHANGE), -ENOENT);
  IS(rename2("b", "b/f", RENAME_EXCHANGE), -EINVAL);
  topic("no such flags");
  IS(rename2("b", "c", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
  IS(rename2("b", "c", 1U << 10), -EINVAL);
  topic("WHITEOUT");
  IS(rename2("c", "w", RENAME_WHITEOUT), 0);
  IS(holds("w", "b"), 1);
  IS(type_of("c"), S_IFCHR);
}

void test_rename(void) {
  moving();
  replacing();
  directories();
  flags();
}

void test_rename_users(void) {
  topic("rights");
  IS(dir("alices", 0755), 0);
  IS(e(chown("alices", ALICE_ID, ALICE_ID)), 0);
  IS(dir("open", 0777), 0);
  IS(AS(alice, fill("alices/f", "text")), 0);
  IS(AS(bob, e(rename("alices/f", "alices/g"))), -EACCES);
  IS(AS(bob, e(rename("alices/f", "open/f"))), -EACCES);
  IS(AS(bob, fill("open/b", "bob")), 0);
  IS(AS(bob, e(rename("open/b", "alices/b"))), -EACCES);
  IS(AS(alice, e(rename("alices/f", "open/f"))), 0);
  IS(AS(bob, e(rename("open/f", "open/g"))), 0);
  IS(AS(alice, e(rename("open/b", "alices/b"))), 0);
  IS(uid_of("alices/b"), BOB_ID);
  topic("a directory that is not ours, to another place"); /* its ".." would be written */
  IS(AS(alice, dir("open/d", 0755)), 0);
  IS(dir("open/to", 0777), 0);
  IS(AS(bob, e(rename("open/d", "open/to/d"))), -EACCES);
  IS(AS(bob, e(rename("open/d", "open/e"))), 0);
  IS(AS(alice, e(rename("open/e", "open/to/e"))), 0);
  topic("without the right to search");
  IS(e(chmod("open", 0666)), 0);
  IS(AS(alice, e(rename("open/g", "alices/g"))), -EACCES);
}
