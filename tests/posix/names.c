/* SPDX-License-Identifier: BSD-3-Clause */
/* link(2), unlink(2), symlink(2), readlink(2). */
#include "posix.h"

static void linking(void) {
  topic("names of one file");
  IS(fill("a", "text"), 0);
  note_ctime("a");
  age(".");
  IS(e(link("a", "b")), 0);
  IS(links_of("a"), 2);
  IS(links_of("b"), 2);
  IS(same_file("a", "b"), 1);
  IS(ctime_moved("a"), 1);
  IS(mtime_moved("."), 1);
  IS(e(chmod("b", 0601)), 0);
  IS(mode_of("a"), 0601);
  IS(e(chown("a", ALICE_ID, BOB_ID)), 0);
  IS(uid_of("b"), ALICE_ID);
  IS(fill("b", "other"), 0);
  IS(holds("a", "other"), 1);
  IS(e(link("a", "c")), 0);
  IS(links_of("b"), 3);
  IS(e(unlink("a")), 0);
  IS(links_of("b"), 2);
  IS(e(link("b", "c")), -EEXIST);
  IS(e(link("a", "d")), -ENOENT);
  IS(e(link("b", "none/x")), -ENOENT);
  IS(e(link("b", "c/x")), -ENOTDIR);
  IS(e(link("c/x", "d")), -ENOTDIR);
  IS(e(unlink("b")), 0);
  IS(holds("c", "other"), 1);
  IS(links_of("c"), 1);
}

static void linking_types(void) {
  for (int i = 0; i < KINDS; i++) {
    bool is_dir = kinds[i].type == S_IFDIR;
    topic("a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0640), 0);
    IS(e(link("x", "y")), is_dir ? -EPERM : 0);
    IS(links_of("x") > 1, 1);
    IS(same_file("x", "y"), is_dir ? -ENOENT : 1);
    IS(e(link("c", "x")), -EEXIST);
    IS(e(remove("x")), 0);
    IS(e(unlink("y")), is_dir ? -ENOENT : 0);
  }
  topic("through a symbolic link");
  IS(e(symlink("c", "s")), 0);
  IS(e(linkat(AT_FDCWD, "s", AT_FDCWD, "t", 0)), 0);
  IS(type_of("t"), S_IFLNK);
  IS(e(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW)), 0);
  IS(same_file("u", "c"), 1);
}

static void linking_rights(void) {
  topic("rights");
  IS(dir("alices", 0755), 0);
  IS(e(chown("alices", ALICE_ID, ALICE_ID)), 0);
  IS(AS(alice, file("alices/f", 0666)), 0);
  IS(AS(alice, e(link("alices/f", "alices/g"))), 0);
  IS(AS(bob, e(link("alices/f", "alices/h"))), -EACCES);
  IS(AS(alice, e(link("alices/f", "f"))), -EACCES);
  IS(e(chmod("alices", 0700)), 0);
  IS(dir("bobs", 0777), 0);
  IS(AS(bob, e(link("alices/f", "bobs/f"))), -EACCES);
}

void test_link(void) {
  linking();
  linking_types();
  linking_rights();
}

static void removing(void) {
  for (int i = 0; i < KINDS; i++) {
    bool is_dir = kinds[i].type == S_IFDIR;
    topic("a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0640), 0);
    age(".");
    IS(e(unlink("x")), is_dir ? -EISDIR : 0);
    IS(mtime_moved("."), !is_dir);
    IS(type_of("x"), is_dir ? S_IFDIR : -ENOENT);
    IS(e(unlinkat(AT_FDCWD, "x", AT_REMOVEDIR)), is_dir ? 0 : -ENOENT);
  }
  topic("what is not there");
  IS(e(unlink("none")), -ENOENT);
  IS(e(unlink("none/x")), -ENOENT);
  IS(fill("f", ""), 0);
  IS(e(unlink("f/x")), -ENOTDIR);
  IS(e(unlink("f/")), -ENOTDIR);
  IS(e(unlink("")), -ENOENT);
  IS(e(unlink(".")), -EISDIR);
  topic("one of two names");
  IS(e(link("f", "g")), 0);
  note_ctime("f");
  IS(e(unlink("g")), 0);
  IS(ctime_moved("f"), 1);
  IS(links_of("f"), 1);
  topic("rights");
  IS(dir("d", 0755), 0);
  IS(file("d/f", 0666), 0);
  IS(AS(bob, e(unlink("d/f"))), -EACCES);
  IS(e(chmod("d", 0777)), 0);
  IS(e(chmod("d/f", 0)), 0);
  IS(AS(bob, e(unlink("d/f"))), 0); /* the directory's rights count, not the file's */
  IS(file("d/f", 0666), 0);
  IS(e(chmod("d", 0776)), 0);
  IS(AS(bob, e(unlink("d/f"))), -EACCES);
}

void test_unlink(void) {
  removing();
}

static long target_is(const char *path, const char *target) {
  char buf[5000];
  ssize_t n = readlink(path, buf, sizeof buf);
  return n < 0 ? -errno : n == (ssize_t)strlen(target) && memcmp(buf, target, strlen(target)) == 0;
}

static void symlinks(void) {
  char buf[4];
  topic("symbolic links");
  age(".");
  IS(e(symlink("target", "s")), 0);
  IS(mtime_moved("."), 1);
  IS(type_of("s"), S_IFLNK);
  IS(mode_of("s"), 0777);
  IS(size_of("s"), 6);
  IS(target_is("s", "target"), 1);
  IS(e(readlink("s", buf, sizeof buf)), 4);
  IS(memcmp(buf, "targ", 4), 0);
  IS(e(symlink("target", "s")), -EEXIST);
  IS(e(symlink("target", "none/s")), -ENOENT);
  IS(e(symlink("", "t")), -ENOENT);
  IS(fill("f", "text"), 0);
  IS(e(symlink("x", "f")), -EEXIST);
  IS(e(symlink("x", "f/s")), -ENOTDIR);
  IS(target_is("f", ""), -EINVAL);
  IS(target_is(".", ""), -EINVAL);
  IS(target_is("none", ""), -ENOENT);
  topic("long targets");
  IS(e(symlink(name_of(4095), "long")), 0);
  IS(target_is("long", name_of(4095)), 1);
  IS(size_of("long"), 4095);
  IS(e(symlink(name_of(4096), "longer")), -ENAMETOOLONG);
  topic("following");
  IS(opens("s", O_RDONLY, 0), -ENOENT);
  IS(opens("s", O_RDWR | O_CREAT, 0640), 0);
  IS(type_of("target"), S_IFREG);
  IS(e(symlink("f", "to-f")), 0);
  IS(holds("to-f", "text"), 1);
  IS(dir("d", 0755), 0);
  IS(e(symlink("d", "to-d")), 0);
  IS(fill("to-d/x", "in d"), 0);
  IS(holds("d/x", "in d"), 1);
  IS(e(symlink("../f", "d/up")), 0);
  IS(holds("to-d/up", "text"), 1);
  IS(e(symlink("loop", "loop")), 0);
  IS(opens("loop", O_RDONLY, 0), -ELOOP);
  IS(opens("loop/x", O_RDONLY, 0), -ELOOP);
  IS(e(chmod("loop", 0600)), -ELOOP);
  topic("owners");
  IS(e(chmod("d", 0777)), 0);
  IS(AS(alice, e(symlink("../f", "d/alices"))), 0);
  IS(uid_of("d/alices"), ALICE_ID);
  IS(gid_of("d/alices"), ALICE_ID);
  IS(AS(bob, e(symlink("x", "s2"))), -EACCES);
}

void test_symlink(void) {
  symlinks();
}
