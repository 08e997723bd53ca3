/* SPDX-License-Identifier: BSD-3-Clause */
/* chmod(2), chown(2), utimensat(2), truncate(2). */
#include "posix.h"

#include <time.h>

void test_chmod(void) {
  static const mode_t modes[] = {0, 0777, 07777, 04000, 02010, 01000, 0644};
  for (int kind = 0; kind < 4; kind++) {
    topic("a %s", kinds[kind].name);
    IS(make_kind("x", kinds[kind].type, 0600), 0);
    note_ctime("x");
    age(".");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
      IS(e(chmod("x", modes[i])), 0);
      IS(mode_of("x"), modes[i]);
    }
    IS(type_of("x"), kinds[kind].type);
    IS(ctime_moved("x"), 1);
    IS(mtime_moved("."), 0);
    IS(e(remove("x")), 0);
  }
  topic("names");
  IS(e(chmod("none", 0644)), -ENOENT);
  IS(file("f", 0644), 0);
  IS(e(chmod("f/x", 0644)), -ENOTDIR);
  IS(e(symlink("f", "s")), 0);
  IS(e(chmod("s", 0604)), 0);
  IS(mode_of("f"), 0604);
  IS(mode_of("s"), 0777);
  topic("rights");
  IS(e(chown("f", ALICE_ID, ALICE_ID)), 0);
  IS(AS(alice, e(chmod("f", 04755))), 0);
  IS(AS(bob, e(chmod("f", 0777))), -EPERM);
  IS(mode_of("f"), 04755);
  topic("set-group-id of a group that is not ours");
  IS(e(chown("f", ALICE_ID, BOB_ID)), 0);
  IS(AS(alice, e(chmod("f", 02755))), 0);
  IS(mode_of("f"), 0755);
  IS(e(chown("f", ALICE_ID, TEAM_ID)), 0);
  IS(AS(alice, e(chmod("f", 02755))), 0);
  IS(mode_of("f"), 02755);
  IS(e(chmod("f", 02755)), 0);
}

void test_chown(void) {
  for (int kind = 0; kind < KINDS; kind++) {
    topic("a %s", kinds[kind].name);
    IS(make_kind("x", kinds[kind].type, 0640), 0);
    note_ctime("x");
    IS(e(lchown("x", ALICE_ID, BOB_ID)), 0);
    IS(uid_of("x"), ALICE_ID);
    IS(gid_of("x"), BOB_ID);
    IS(ctime_moved("x"), 1);
    IS(e(lchown("x", (uid_t)-1, 0)), 0);
    IS(uid_of("x"), ALICE_ID);
    IS(gid_of("x"), 0);
    IS(e(lchown("x", 0, (gid_t)-1)), 0);
    IS(uid_of("x"), 0);
    IS(e(lchown("x", 0x7fffffff, 0x7ffffffe)), 0);
    IS(uid_of("x"), 0x7fffffff);
    IS(gid_of("x"), 0x7ffffffe);
    IS(e(remove("x")), 0);
  }
  topic("rights");
  IS(file("f", 0644), 0);
  IS(e(chown("f", ALICE_ID, ALICE_ID)), 0);
  IS(AS(alice, e(chown("f", BOB_ID, (gid_t)-1))), -EPERM);
  IS(AS(alice, e(chown("f", (uid_t)-1, BOB_ID))), -EPERM);
  IS(AS(alice, e(chown("f", ALICE_ID, TEAM_ID))), 0);
  IS(gid_of("f"), TEAM_ID);
  IS(AS(alice, e(chown("f", (uid_t)-1, ALICE_ID))), 0);
  IS(AS(bob, e(chown("f", BOB_ID, BOB_ID))), -EPERM);
  IS(AS(bob, e(chown("f", (uid_t)-1, (gid_t)-1))), 0);
  IS(e(chown("none", 0, 0)), -ENOENT);
  topic("set-user-id goes");
  static const struct {
    mode_t before, after;
  } cases[] = {{06755, 0755}, {02755, 0755}, {02745, 02745}, {04644, 0644}, {01755, 01755}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    IS(e(chown("f", ALICE_ID, ALICE_ID)), 0);
    IS(e(chmod("f", cases[i].before)), 0);
    IS(AS(alice, e(chown("f", (uid_t)-1, TEAM_ID))), 0);
    IS(mode_of("f"), cases[i].after);
    IS(e(chmod("f", cases[i].before)), 0);
    IS(e(chown("f", BOB_ID, BOB_ID)), 0);
    IS(mode_of("f"), cases[i].after);
  }
  topic("a directory keeps it");
  IS(dir("d", 0755), 0);
  IS(e(chmod("d", 06755)), 0);
  IS(e(chown("d", ALICE_ID, ALICE_ID)), 0);
  IS(mode_of("d"), 06755);
}

static bool times_are(const char *path, struct timespec atime, struct timespec mtime) {
  struct stat st;
  return lstat(path, &st) == 0 && st.st_atim.tv_sec == atime.tv_sec && st.st_atim.tv_nsec == atime.tv_nsec &&
         st.st_mtim.tv_sec == mtime.tv_sec && st.st_mtim.tv_nsec == mtime.tv_nsec;
}

static long set_times(const char *path, struct timespec atime, struct timespec mtime) {
  const struct timespec times[2] = {atime, mtime};
  return e(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

static bool is_recent(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec < 3600 && time(NULL) - st.st_atim.tv_sec < 3600;
}

void test_utimens(void) {
  const struct timespec a = {1234567890, 123456789}, b = {987654321, 987654321}, early = {-1000, 0},
                        late = {4000000000, 0};
  const struct timespec omit = {0, UTIME_OMIT}, now = {0, UTIME_NOW}, wrong = {0, 1000000000};
  for (int kind = 0; kind < KINDS; kind++) {
    topic("a %s", kinds[kind].name);
    IS(make_kind("x", kinds[kind].type, 0640), 0);
    note_ctime("x");
    IS(set_times("x", a, b), 0);
    IS(times_are("x", a, b), 1);
    IS(ctime_moved("x"), 1);
    IS(set_times("x", omit, a), 0);
    IS(times_are("x", a, a), 1);
    IS(set_times("x", b, omit), 0);
    IS(times_are("x", b, a), 1);
    IS(set_times("x", now, now), 0);
    IS(is_recent("x"), 1);
    IS(e(remove("x")), 0);
  }
  topic("what is a time");
  IS(file("f", 0644), 0);
  IS(set_times("f", early, late), 0);
  IS(times_are("f", early, late), 1);
  IS(set_times("f", wrong, a), -EINVAL);
  IS(set_times("none", a, a), -ENOENT);
  topic("rights");
  IS(e(chown("f", ALICE_ID, ALICE_ID)), 0);
  IS(AS(alice, set_times("f", a, b)), 0);
  IS(AS(bob, set_times("f", a, b)), -EPERM);
  IS(AS(bob, set_times("f", now, now)), -EACCES);
  IS(AS(bob, e(utimensat(AT_FDCWD, "f", NULL, 0))), -EACCES);
  IS(e(chmod("f", 0666)), 0);
  IS(AS(bob, set_times("f", now, now)), 0);
  IS(AS(bob, set_times("f", now, omit)), -EPERM);
  IS(AS(bob, set_times("f", a, b)), -EPERM);
  IS(AS(bob, set_times("f", omit, omit)), 0);
}

void test_truncate(void) {
  static const long sizes[] = {0, 1, 4095, 4096, 4097, 1000000, 5000000000, 3};
  topic("sizes");
  IS(fill("f", "0123456789"), 0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    age("f");
    IS(e(truncate("f", sizes[i])), 0);
    IS(size_of("f"), sizes[i]);
    IS(mtime_moved("f"), 1);
  }
  topic("what is cut off stays away");
  IS(fill("f", "0123456789"), 0);
  IS(e(truncate("f", 3)), 0);
  IS(holds("f", "012"), 1);
  IS(e(truncate("f", 5)), 0);
  int fd = open("f", O_RDWR);
  char buf[8] = "xxxxxxx";
  IS(e(read(fd, buf, 8)), 5);
  IS(memcmp(buf, "012\0\0", 5), 0);
  topic("open");
  IS(e(ftruncate(fd, 100)), 0);
  IS(size_of("f"), 100);
  IS(e(ftruncate(fd, -1)), -EINVAL);
  close(fd);
  topic("what can't be");
  IS(e(truncate("f", -1)), -EINVAL);
  IS(e(truncate("none", 0)), -ENOENT);
  IS(e(truncate("f/x", 0)), -ENOTDIR);
  IS(e(truncate(".", 0)), -EISDIR);
  IS(e(mkfifo("p", 0600)), 0);
  IS(e(truncate("p", 0)), -EINVAL);
  IS(e(symlink("f", "s")), 0);
  IS(e(truncate("s", 7)), 0);
  IS(size_of("f"), 7);
  topic("rights");
  IS(e(chmod("f", 0644)), 0);
  IS(AS(bob, e(truncate("f", 0))), -EACCES);
  IS(e(chmod("f", 06777)), 0);
  IS(AS(bob, e(truncate("f", 0))), 0);
  IS(mode_of("f"), 0777);
  IS(size_of("f"), 0);
}
