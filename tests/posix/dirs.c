/* SPDX-License-Identifier: BSD-3-Clause */
/* mkdir(2), rmdir(2), mknod(2), listing, the sticky bit. */
#include "posix.h"

#include <dirent.h>

void test_mkdir(void) {
  static const mode_t modes[] = {0755, 0, 0777, 0700, 01777};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    topic("mode %04o", modes[i]);
    age(".");
    IS(e(mkdir("d", modes[i])), 0);
    IS(mode_of("d"), modes[i]);
    IS(type_of("d"), S_IFDIR);
    IS(mtime_moved("."), 1);
    IS(e(rmdir("d")), 0);
  }
  for (int i = 0; i < KINDS; i++) {
    topic("over a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0755), 0);
    IS(e(mkdir("x", 0755)), -EEXIST);
    IS(e(mkdir("x/y", 0755)), kinds[i].type == S_IFDIR ? 0 : kinds[i].type == S_IFLNK ? -ENOENT : -ENOTDIR);
    IS(kinds[i].type != S_IFDIR || rmdir("x/y") == 0, 1);
    IS(e(remove("x")), 0);
  }
  topic("names");
  IS(e(mkdir("", 0755)), -ENOENT);
  IS(e(mkdir(".", 0755)), -EEXIST);
  IS(e(mkdir("..", 0755)), -EEXIST);
  IS(e(mkdir("none/d", 0755)), -ENOENT);
  IS(e(mkdir("slash/", 0755)), 0);
  topic("owners");
  IS(dir("open", 0777), 0);
  IS(AS(alice, e(mkdir("open/a", 0755))), 0);
  IS(uid_of("open/a"), ALICE_ID);
  IS(gid_of("open/a"), ALICE_ID);
  IS(AS(bob, e(mkdir("open/a/b", 0755))), -EACCES);
  topic("set-group-id is inherited");
  IS(dir("team", 0777), 0);
  IS(e(chown("team", 0, TEAM_ID)), 0);
  IS(e(chmod("team", 02777)), 0);
  IS(AS(bob, e(mkdir("team/b", 0755))), 0);
  IS(gid_of("team/b"), TEAM_ID);
  IS(mode_of("team/b"), 02755);
  IS(AS(alice, e(mkdir("team/a", 0700))), 0);
  IS(mode_of("team/a"), 02700);
}

void test_rmdir(void) {
  for (int i = 0; i < KINDS; i++) {
    bool is_dir = kinds[i].type == S_IFDIR;
    topic("a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0755), 0);
    age(".");
    IS(e(rmdir("x")), is_dir ? 0 : -ENOTDIR);
    IS(mtime_moved("."), is_dir);
    IS(e(unlink("x")), is_dir ? -ENOENT : 0);
  }
  topic("not empty");
  IS(dir("d", 0755), 0);
  IS(file("d/f", 0644), 0);
  IS(e(rmdir("d")), -ENOTEMPTY);
  IS(e(unlink("d/f")), 0);
  IS(dir("d/sub", 0755), 0);
  IS(e(rmdir("d")), -ENOTEMPTY);
  IS(e(rmdir("d/sub")), 0);
  IS(e(rmdir("d")), 0);
  topic("names");
  IS(e(rmdir("none")), -ENOENT);
  IS(e(rmdir("")), -ENOENT);
  IS(e(rmdir(".")), -EINVAL);
  IS(dir("e", 0755), 0);
  IS(e(rmdir("e/.")), -EINVAL);
  IS(e(rmdir("e/..")), -ENOTEMPTY);
  IS(e(rmdir("e/")), 0);
  topic("open and removed");
  IS(dir("gone", 0755), 0);
  int fd = open("gone", O_RDONLY | O_DIRECTORY);
  IS(e(rmdir("gone")), 0);
  IS(e(openat(fd, "x", O_RDWR | O_CREAT, 0600)), -ENOENT);
  IS(e(mkdirat(fd, "x", 0700)), -ENOENT);
  close(fd);
  topic("rights");
  IS(dir("p", 0755), 0);
  IS(dir("p/d", 0777), 0);
  IS(AS(bob, e(rmdir("p/d"))), -EACCES);
  IS(e(chmod("p", 0777)), 0);
  IS(AS(bob, e(rmdir("p/d"))), 0);
}

void test_mknod(void) {
  static const struct kind made[] = {{"file", S_IFREG}, {"fifo", S_IFIFO}, {"socket", S_IFSOCK}};
  IS(dir("open", 0777), 0);
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    topic("a %s", made[i].name);
    IS(AS(alice, e(mknod("open/x", made[i].type | 0617, 0))), 0);
    IS(type_of("open/x"), made[i].type);
    IS(mode_of("open/x"), 0617);
    IS(uid_of("open/x"), ALICE_ID);
    IS(gid_of("open/x"), ALICE_ID);
    IS(links_of("open/x"), 1);
    IS(e(mknod("open/x", made[i].type | 0600, 0)), -EEXIST);
    IS(e(mknod("none/x", made[i].type | 0600, 0)), -ENOENT);
    IS(e(mknod("open/x/y", made[i].type | 0600, 0)), -ENOTDIR);
    IS(AS(bob, e(mknod("x", made[i].type | 0600, 0))), -EACCES);
    IS(e(unlink("open/x")), 0);
  }
  topic("what can't be made");
  IS(AS(alice, e(mknod("open/x", S_IFCHR | 0600, 0x103))), -EPERM);
  IS(AS(alice, e(mknod("open/x", S_IFBLK | 0600, 0x800))), -EPERM);
  IS(e(mknod("x", S_IFDIR | 0700, 0)), -EPERM);
  IS(e(mknod("x", S_IFLNK | 0700, 0)), -EINVAL);
  topic("a plain one");
  IS(e(mknod("plain", 0604, 0)), 0);
  IS(type_of("plain"), S_IFREG);
}

static long listed(const char *path, const char *name) {
  DIR *list = opendir(path);
  if (list == NULL)
    return -errno;
  long found = 0;
  for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
    found += name == NULL || strcmp(entry->d_name, name) == 0;
  closedir(list);
  return found;
}

static void telling(void) {
  topic("telldir and seekdir");
  char third[256] = "", again[256] = "";
  long before = 0;
  DIR *list = opendir("many");
  for (int i = 0; i < 40; i++) {
    if (i == 30)
      before = telldir(list);
    struct dirent *entry = readdir(list);
    if (i == 30)
      strcpy(third, entry->d_name);
  }
  seekdir(list, before);
  strcpy(again, readdir(list)->d_name);
  IS(strcmp(third, again), 0);
  IS(third[0] != '\0', 1);
  rewinddir(list);
  long names = 0;
  while (readdir(list) != NULL)
    names++;
  IS(names, 1002);
  closedir(list);
}

void test_readdir(void) {
  char name[32];
  topic("an empty directory");
  IS(dir("d", 0755), 0);
  IS(listed("d", NULL), 2);
  IS(listed("d", "."), 1);
  IS(listed("d", ".."), 1);
  topic("a thousand names");
  IS(dir("many", 0755), 0);
  for (int i = 0; i < 1000; i++) {
    snprintf(name, sizeof name, "many/%d-%d", i, i * 7919);
    if (file(name, 0644) != 0)
      break;
  }
  IS(listed("many", NULL), 1002);
  IS(listed("many", "999-7911081"), 1);
  telling();
  topic("while it changes");
  long left = 0;
  DIR *list = opendir("many");
  for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
    left += unlinkat(dirfd(list), entry->d_name, 0) == 0;
  closedir(list);
  IS(left, 1000);
  IS(e(rmdir("many")), 0);
  topic("types");
  for (int i = 0; i < KINDS; i++)
    IS(make_kind(kinds[i].name, kinds[i].type, 0700), 0);
  list = opendir(".");
  for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    for (int i = 0; i < KINDS; i++) {
      if (strcmp(entry->d_name, kinds[i].name) == 0)
        IS(entry->d_type == DT_UNKNOWN || DTTOIF(entry->d_type) == (int)kinds[i].type, 1);
    }
  }
  closedir(list);
  topic("rights");
  IS(dir("closed", 0711), 0);
  IS(AS(bob, listed("closed", NULL)), -EACCES);
  IS(listed("file", NULL), -ENOTDIR);
  IS(listed("none", NULL), -ENOENT);
}

/* In such a directory a name is its file's owner's, the directory's owner's and root's to take away. */
static void sticky(const struct user *who, const char *name, bool may) {
  topic("%s's name, removed by %s", name, who == &root ? "root" : who == &alice ? "alice" : "bob");
  char path[64], other[64];
  uid_t owner = strcmp(name, "alice") == 0 ? ALICE_ID : strcmp(name, "bob") == 0 ? BOB_ID : 0;
  snprintf(path, sizeof path, "tmp/%s", name);
  snprintf(other, sizeof other, "tmp/%s-other", name);
  for (int i = 0; i < 2; i++) {
    mode_t type = i == 0 ? S_IFREG : S_IFDIR;
    IS(make_kind(path, type, 0777), 0);
    IS(e(chown(path, owner, owner)), 0);
    long may_rename = AS(*who, e(rename(path, other)));
    IS(may_rename, may ? 0 : -EPERM);
    if (may_rename == 0)
      IS(e(rename(other, path)), 0);
    IS(AS(*who, e(remove(path))), may ? 0 : -EPERM);
    if (!may)
      IS(e(remove(path)), 0);
  }
}

void test_sticky(void) {
  topic("a directory of alice's");
  IS(dir("tmp", 01777), 0);
  IS(e(chown("tmp", ALICE_ID, ALICE_ID)), 0);
  IS(mode_of("tmp"), 01777);
  sticky(&alice, "alice", true);
  sticky(&alice, "bob", true);
  sticky(&bob, "bob", true);
  sticky(&bob, "alice", false);
  sticky(&bob, "root", false);
  sticky(&root, "bob", true);
  topic("replacing");
  IS(e(chown("tmp", 0, 0)), 0);
  IS(AS(alice, file("tmp/a", 0666)), 0);
  IS(AS(bob, file("tmp/b", 0666)), 0);
  IS(AS(bob, e(rename("tmp/b", "tmp/a"))), -EPERM);
  IS(AS(bob, e(link("tmp/b", "tmp/a"))), -EEXIST);
  IS(AS(bob, e(rename("tmp/b", "tmp/c"))), 0);
}
