/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what; the umask; limits of names; files without a name. */
#include "posix.h"

#include <signal.h>
#include <sys/resource.h>

/* Each of the three classes alone, for each right. */
static void classes(void) {
  static const struct {
    const char *name;
    uid_t uid;
    gid_t gid;
    int shift;
  } owners[] = {
      {"owner", ALICE_ID, 0, 6}, {"group", 0, ALICE_ID, 3}, {"second group", 0, TEAM_ID, 3}, {"other", 0, 0, 0}};
  static const int rights[] = {R_OK, W_OK, X_OK};
  IS(file("f", 0), 0);
  for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
    IS(e(chown("f", owners[i].uid, owners[i].gid)), 0);
    for (size_t r = 0; r < 3; r++) {
      topic("%s, right %d", owners[i].name, rights[r]);
      mode_t bit = (mode_t)rights[r] << owners[i].shift;
      IS(e(chmod("f", bit)), 0);
      IS(AS(alice, access_as("f", rights[r])), 0);
      IS(e(chmod("f", 0777 & ~bit)), 0);
      IS(AS(alice, access_as("f", rights[r])), -EACCES);
    }
  }
  topic("root");
  IS(e(chmod("f", 0)), 0);
  IS(access_as("f", R_OK | W_OK), 0);
  IS(access_as("f", X_OK), -EACCES);
  IS(e(chmod("f", 010)), 0);
  IS(access_as("f", X_OK), 0);
}

static void ways(void) {
  topic("on the way");
  IS(dir("a", 0755), 0);
  IS(dir("a/b", 0755), 0);
  IS(fill("a/b/f", "text"), 0);
  IS(AS(bob, access_as("a/b/f", R_OK)), 0);
  IS(e(chmod("a", 0)), 0);
  IS(AS(bob, access_as("a/b/f", R_OK)), -EACCES);
  IS(AS(bob, type_of("a/b/f")), -EACCES);
  IS(AS(bob, type_of("a/none")), -EACCES);
  IS(AS(bob, type_of("a")), S_IFDIR);
  IS(type_of("a/b/f"), S_IFREG);
  IS(e(chmod("a", 0711)), 0);
  IS(AS(bob, type_of("a/b/f")), S_IFREG);
  IS(AS(bob, type_of("a/none")), -ENOENT);
  topic("running");
  IS(AS(bob, access_as("a/b/f", X_OK)), -EACCES);
  IS(e(chmod("a/b/f", 0755)), 0);
  IS(AS(bob, access_as("a/b/f", X_OK)), 0);
}

void test_access(void) {
  classes();
  ways();
}

void test_umask(void) {
  static const mode_t masks[] = {0, 022, 077, 0777, 0111};
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
    topic("umask %03o", masks[i]);
    umask(masks[i]);
    IS(opens("f", O_RDWR | O_CREAT, 0666), 0);
    IS(e(mkdir("d", 0777)), 0);
    IS(e(mkfifo("p", 0666)), 0);
    IS(e(mknod("n", S_IFREG | 0666, 0)), 0);
    IS(e(symlink("x", "s")), 0);
    umask(0);
    IS(mode_of("f"), 0666 & ~masks[i]);
    IS(mode_of("d"), 0777 & ~masks[i]);
    IS(mode_of("p"), 0666 & ~masks[i]);
    IS(mode_of("n"), 0666 & ~masks[i]);
    IS(mode_of("s"), 0777);
    IS(e(rmdir("d")) | e(unlink("f")) | e(unlink("p")) | e(unlink("n")) | e(unlink("s")), 0);
  }
}

static void long_names(void) {
  topic("the longest name");
  IS(e(mkdir(name_of(255), 0755)), 0);
  IS(type_of(name_of(255)), S_IFDIR);
  IS(e(rmdir(name_of(255))), 0);
  IS(file(name_of(255), 0644), 0);
  IS(e(symlink("x", name_of(254))), 0);
  IS(e(link(name_of(255), name_of(253))), 0);
  IS(e(rename(name_of(253), name_of(252))), 0);
  IS(e(unlink(name_of(254))) | e(unlink(name_of(252))), 0);
  static const size_t lengths[] = {256, 1000, 1025, 4000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    topic("a name of %zu", lengths[i]);
    const char *name = name_of(lengths[i]);
    IS(type_of(name), -ENAMETOOLONG);
    IS(opens(name, O_RDWR | O_CREAT, 0644), -ENAMETOOLONG);
    IS(e(mkdir(name, 0755)), -ENAMETOOLONG);
    IS(e(mknod(name, S_IFIFO | 0644, 0)), -ENAMETOOLONG);
    IS(e(symlink("x", name)), -ENAMETOOLONG);
    IS(e(link(name_of(255), name)), -ENAMETOOLONG);
    IS(e(rename(name_of(255), name)), -ENAMETOOLONG);
    IS(e(unlink(name)), -ENAMETOOLONG);
    IS(e(rmdir(name)), -ENAMETOOLONG);
  }
  topic("the longest path");
  IS(type_of(name_of(4096)), -ENAMETOOLONG);
}

static void loops(void) {
  char name[32], target[32];
  topic("a chain of links");
  IS(fill("link-0", "end"), 0);
  for (int i = 1; i <= 41; i++) {
    snprintf(name, sizeof name, "link-%d", i);
    snprintf(target, sizeof target, "link-%d", i - 1);
    if (symlink(target, name) != 0)
      break;
  }
  IS(opens("link-40", O_RDONLY, 0), 0);
  IS(opens("link-41", O_RDONLY, 0), -ELOOP);
  IS(type_of("link-41"), S_IFLNK);
  topic("two that name each other");
  IS(e(symlink("pong", "ping")) | e(symlink("ping", "pong")), 0);
  IS(opens("ping", O_RDONLY, 0), -ELOOP);
  IS(e(mkdir("ping/d", 0755)), -ELOOP);
  IS(e(unlink("ping/f")), -ELOOP);
  IS(e(rename("ping/f", "f")), -ELOOP);
  IS(e(truncate("ping", 0)), -ELOOP);
  IS(e(chown("ping", 0, 0)), -ELOOP);
}

static void file_sizes(void) {
  const struct rlimit small = {1 << 20, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
  topic("the process's limit");
  signal(SIGXFSZ, SIG_IGN);
  IS(e(setrlimit(RLIMIT_FSIZE, &small)), 0);
  int fd = open("f", O_RDWR | O_CREAT, 0644);
  IS(e(pwrite(fd, "12345678", 8, (1 << 20) - 4)), 4);
  IS(e(pwrite(fd, "x", 1, 1 << 20)), -EFBIG);
  IS(e(ftruncate(fd, (1 << 20) + 1)), -EFBIG);
  IS(e(truncate("f", (1 << 20) + 1)), -EFBIG);
  IS(e(ftruncate(fd, 1 << 20)), 0);
  IS(e(fallocate(fd, 0, 0, 2 << 20)), -EFBIG);
  IS(e(setrlimit(RLIMIT_FSIZE, &none)), 0);
  IS(e(pwrite(fd, "x", 1, 1 << 20)), 1);
  close(fd);
}

/* Characters mean nothing, but for '/' and NUL. */
static void odd_names(void) {
  static const char *const names[] = {" ", "\n", "-", "*", "...", "\xff\xfe", "\x01", "a\\b", "é", "~", ". "};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    topic("odd name %zu", i);
    IS(fill(names[i], "odd"), 0);
    IS(holds(names[i], "odd"), 1);
    IS(e(unlink(names[i])), 0);
  }
}

void test_limits(void) {
  long_names();
  loops();
  file_sizes();
  odd_names();
}

void test_tmpfile(void) {
  char path[64];
  topic("without a name");
  IS(dir("open", 0777), 0);
  be(&alice);
  int fd = open("open", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
  be(&root);
  struct stat st = {.st_mode = 0};
  IS(e(fstat(fd, &st)), 0);
  IS(st.st_nlink, 0);
  IS(st.st_mode, S_IFREG | 0640);
  IS(st.st_uid, ALICE_ID);
  IS(e(write(fd, "text", 4)), 4);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  IS(e(linkat(AT_FDCWD, path, AT_FDCWD, "open/named", AT_SYMLINK_FOLLOW)), 0);
  IS(holds("open/named", "text"), 1);
  IS(links_of("open/named"), 1);
  close(fd);
  topic("for ever");
  fd = open("open", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0640);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  IS(e(linkat(AT_FDCWD, path, AT_FDCWD, "open/other", AT_SYMLINK_FOLLOW)), -ENOENT);
  close(fd);
  topic("what can't be");
  IS(opens("open", O_TMPFILE | O_RDONLY, 0600), -EINVAL);
  IS(opens("none", O_TMPFILE | O_RDWR, 0600), -ENOENT);
  IS(opens("open/named", O_TMPFILE | O_RDWR, 0600), -ENOTDIR);
  IS(AS(bob, opens(".", O_TMPFILE | O_RDWR, 0600)), -EACCES);
}
