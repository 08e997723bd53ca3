/* SPDX-License-Identifier: BSD-3-Clause */
/* open(2) and creat(2). */
#include "posix.h"

static void making(void) {
  topic("O_CREAT");
  IS(opens("a", O_RDWR, 0), -ENOENT);
  IS(opens("a", O_RDWR | O_CREAT, 0640), 0);
  IS(mode_of("a"), 0640);
  IS(type_of("a"), S_IFREG);
  IS(size_of("a"), 0);
  IS(links_of("a"), 1);
  IS(opens("a", O_RDWR | O_CREAT, 0777), 0);
  IS(mode_of("a"), 0640);
  IS(opens("a", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
  IS(opens("b", O_RDONLY | O_CREAT | O_EXCL, 07777), 0);
  IS(mode_of("b"), 07777);
  IS(opens("c", O_WRONLY | O_CREAT, 0), 0); /* its mode is for others and later */
  IS(mode_of("c"), 0);
  IS(opens("a/x", O_RDWR | O_CREAT, 0600), -ENOTDIR);
  IS(opens("none/x", O_RDWR | O_CREAT, 0600), -ENOENT);
  IS(opens("", O_RDONLY, 0), -ENOENT);
  topic("creat");
  IS(fill("a", "text"), 0);
  int fd = creat("a", 0600);
  IS(fd >= 0, 1);
  IS(size_of("a"), 0);
  char c;
  IS(e(read(fd, &c, 1)), -EBADF);
  close(fd);
}

static void owners(void) {
  topic("who owns it");
  IS(dir("open", 0777), 0);
  IS(AS(alice, opens("open/a", O_RDWR | O_CREAT, 0600)), 0);
  IS(uid_of("open/a"), ALICE_ID);
  IS(gid_of("open/a"), ALICE_ID);
  IS(AS(bob, opens("open/b", O_RDWR | O_CREAT, 04755)), 0);
  IS(uid_of("open/b"), BOB_ID);
  IS(mode_of("open/b"), 04755);
  topic("set-group-id directory");
  IS(dir("team", 0777), 0);
  IS(e(chown("team", 0, TEAM_ID)), 0);
  IS(e(chmod("team", 02777)), 0);
  IS(AS(alice, opens("team/a", O_RDWR | O_CREAT, 0600)), 0);
  IS(gid_of("team/a"), TEAM_ID);
  IS(AS(bob, opens("team/b", O_RDWR | O_CREAT, 0600)), 0);
  IS(gid_of("team/b"), TEAM_ID);
  IS(AS(bob, opens("team/s", O_RDWR | O_CREAT, 02755)), 0); /* bob is not in it */
  IS(mode_of("team/s"), 0755);
  IS(AS(alice, opens("team/t", O_RDWR | O_CREAT, 02755)), 0);
  IS(mode_of("team/t"), 02755);
}

static void rights(void) {
  static const struct {
    mode_t mode;
    long read, write, both;
  } cases[] = {{0000, -EACCES, -EACCES, -EACCES},
               {0004, 0, -EACCES, -EACCES},
               {0002, -EACCES, 0, -EACCES},
               {0006, 0, 0, 0},
               {0770, -EACCES, -EACCES, -EACCES}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    topic("another's file of mode %04o", cases[i].mode);
    IS(file("f", cases[i].mode), 0);
    IS(AS(bob, opens("f", O_RDONLY, 0)), cases[i].read);
    IS(AS(bob, opens("f", O_WRONLY, 0)), cases[i].write);
    IS(AS(bob, opens("f", O_RDWR, 0)), cases[i].both);
    IS(opens("f", O_RDWR, 0), 0); /* root */
    IS(e(unlink("f")), 0);
  }
  topic("directories without rights");
  IS(dir("closed", 0755), 0);
  IS(AS(bob, opens("closed/x", O_RDWR | O_CREAT, 0600)), -EACCES);
  IS(file("closed/f", 0666), 0);
  IS(AS(bob, opens("closed/f", O_RDWR, 0)), 0);
  IS(AS(bob, opens("closed/f", O_RDWR | O_CREAT, 0600)), 0);
  IS(e(chmod("closed", 0744)), 0);
  IS(AS(bob, opens("closed/f", O_RDWR, 0)), -EACCES);
  IS(AS(bob, opens("closed", O_RDONLY | O_DIRECTORY, 0)), 0);
  IS(e(chmod("closed", 0711)), 0);
  IS(AS(bob, opens("closed/f", O_RDWR, 0)), 0);
  IS(AS(bob, opens("closed", O_RDONLY | O_DIRECTORY, 0)), -EACCES);
}

static void times(void) {
  topic("times");
  age(".");
  IS(opens("t", O_RDWR | O_CREAT, 0600), 0);
  IS(mtime_moved("."), 1);
  age(".");
  IS(opens("t", O_RDWR | O_CREAT, 0600), 0);
  IS(mtime_moved("."), 0);
  age("t");
  IS(opens("t", O_RDWR, 0), 0);
  IS(mtime_moved("t"), 0);
  IS(opens("t", O_RDWR | O_TRUNC, 0), 0);
  IS(mtime_moved("t"), 1);
}

void test_open(void) {
  making();
  owners();
  rights();
  times();
}

static void types(void) {
  for (int i = 0; i < KINDS; i++) {
    topic("a %s", kinds[i].name);
    mode_t type = kinds[i].type;
    IS(make_kind("x", type, 0666), 0);
    bool is_dir = type == S_IFDIR, is_link = type == S_IFLNK, is_socket = type == S_IFSOCK;
    IS(opens("x", O_RDONLY | O_NONBLOCK, 0), is_link ? -ENOENT : is_socket ? -ENXIO : 0);
    IS(opens("x", O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0), is_link ? -ELOOP : is_socket ? -ENXIO : 0);
    IS(opens("x", O_RDONLY | O_NONBLOCK | O_DIRECTORY, 0), is_dir ? 0 : is_link ? -ENOENT : -ENOTDIR);
    IS(opens("x", O_WRONLY | O_NONBLOCK, 0), is_dir ? -EISDIR : is_link ? -ENOENT : type == S_IFREG ? 0 : -ENXIO);
    IS(opens("x", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
    IS(opens("x", O_PATH | O_NOFOLLOW, 0), 0);
    IS(e(remove("x")), 0);
  }
}

static void flags(void) {
  char buf[16];
  topic("O_APPEND");
  IS(fill("a", "0123"), 0);
  int fd = open("a", O_RDWR | O_APPEND), other = open("a", O_RDWR);
  IS(e(write(fd, "45", 2)), 2);
  IS(e(pwrite(other, "6789", 4, 6)), 4);
  IS(e(write(fd, "ab", 2)), 2);
  IS(holds("a", "0123456789ab"), 1);
  IS(e(lseek(fd, 0, SEEK_CUR)), 12);
  IS(e(fcntl(fd, F_SETFL, 0)), 0);
  IS(e(pwrite(fd, "xx", 2, 0)), 2);
  IS(holds("a", "xx23456789ab"), 1);
  close(fd);
  close(other);
  topic("O_TRUNC");
  IS(opens("a", O_WRONLY | O_TRUNC, 0), 0);
  IS(size_of("a"), 0);
  IS(fill("a", "0123"), 0);
  IS(e(chmod("a", 0444)), 0);
  IS(AS(bob, opens("a", O_WRONLY | O_TRUNC, 0)), -EACCES);
  IS(size_of("a"), 4);
  topic("the wrong way");
  fd = open("a", O_RDONLY);
  IS(e(write(fd, "x", 1)), -EBADF);
  IS(e(ftruncate(fd, 0)), -EINVAL);
  close(fd);
  fd = open("a", O_WRONLY);
  IS(e(read(fd, buf, 1)), -EBADF);
  close(fd);
  fd = open(".", O_RDONLY | O_DIRECTORY);
  IS(e(read(fd, buf, 1)), -EISDIR);
  close(fd);
  topic("O_NOATIME");
  IS(opens("a", O_RDONLY | O_NOATIME, 0), 0);
  IS(AS(bob, opens("a", O_RDONLY | O_NOATIME, 0)), -EPERM);
}

/* An open file stays what it was, whatever happens to its name and its mode. */
static void open_files(void) {
  char buf[8];
  topic("open and removed");
  IS(fill("gone", "text"), 0);
  int fd = open("gone", O_RDWR);
  struct stat st = {.st_mode = 0};
  IS(e(unlink("gone")), 0);
  IS(e(fstat(fd, &st)), 0);
  IS(st.st_nlink, 0);
  IS(e(pread(fd, buf, sizeof buf, 0)), 4);
  IS(e(pwrite(fd, "more", 4, 4)), 4);
  IS(e(fstat(fd, &st)), 0);
  IS(st.st_size, 8);
  IS(e(fchmod(fd, 0640)), 0);
  IS(e(fstat(fd, &st)), 0);
  IS(st.st_mode, S_IFREG | 0640);
  IS(e(ftruncate(fd, 2)), 0);
  IS(e(pread(fd, buf, sizeof buf, 0)), 2);
  close(fd);
  topic("open and replaced");
  IS(fill("one", "one"), 0);
  IS(fill("two", "two"), 0);
  fd = open("one", O_RDWR);
  IS(e(rename("two", "one")), 0);
  IS(e(pread(fd, buf, sizeof buf, 0)), 3);
  IS(memcmp(buf, "one", 3), 0);
  close(fd);
  topic("open and closed to us");
  IS(fill("mine", "text"), 0);
  IS(e(chown("mine", ALICE_ID, ALICE_ID)), 0);
  be(&alice);
  fd = open("mine", O_RDWR);
  be(&root);
  IS(e(chmod("mine", 0)), 0);
  IS(AS(alice, e(pwrite(fd, "x", 1, 0))), 1);
  IS(AS(alice, e(pread(fd, buf, 4, 0))), 4);
  IS(AS(alice, e(ftruncate(fd, 1))), 0);
  IS(AS(alice, opens("mine", O_RDONLY, 0)), -EACCES);
  close(fd);
}

void test_open_flags(void) {
  types();
  flags();
  open_files();
}
