/* SPDX-License-Identifier: BSD-3-Clause */
/* What a changed file loses: set-user-id, and set-group-id where the group may execute. */
#include "posix.h"

static long writes(void) {
  int fd = open("s", O_WRONLY);
  long rc = e(write(fd, "x", 1));
  close(fd);
  return rc == 1 ? 0 : rc;
}

static long appends(void) {
  int fd = open("s", O_WRONLY | O_APPEND);
  long rc = e(write(fd, "x", 1));
  close(fd);
  return rc == 1 ? 0 : rc;
}

static long truncates(void) {
  return e(truncate("s", 1));
}

static long truncates_open(void) {
  int fd = open("s", O_WRONLY);
  long rc = e(ftruncate(fd, 100));
  close(fd);
  return rc;
}

static long opens_truncating(void) {
  return opens("s", O_WRONLY | O_TRUNC, 0);
}
static long creates_over(void) {
  return opens("s", O_WRONLY | O_CREAT | O_TRUNC, 0644);
}

static long allocates(void) {
  int fd = open("s", O_WRONLY);
  long rc = e(fallocate(fd, 0, 0, 5000));
  close(fd);
  return rc;
}

static long punches(void) {
  int fd = open("s", O_WRONLY);
  long rc = e(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  close(fd);
  return rc;
}

static long copies(void) {
  int from = open("from", O_RDONLY), fd = open("s", O_WRONLY);
  long rc = e(copy_file_range(from, NULL, fd, NULL, 4, 0));
  close(from);
  close(fd);
  return rc == 4 ? 0 : rc;
}

static long reads(void) {
  return holds("s", "text") ? 0 : -EIO;
}

static const struct {
  const char *name;
  long (*run)(void);
  bool changes;
} actions[] = {
    {"write", writes, true},
    {"append", appends, true},
    {"truncate", truncates, true},
    {"ftruncate", truncates_open, true},
    {"O_TRUNC", opens_truncating, true},
    {"O_CREAT and O_TRUNC", creates_over, true},
    {"fallocate", allocates, true},
    {"punch", punches, true},
    {"copy_file_range", copies, true},
    {"read", reads, false},
};

/* Whose set-group-id is taken depends on the group only where the group may not execute. */
static const struct {
  mode_t before, after;
} modes[] = {{06777, 0777}, {04766, 0766}, {02777, 0777}, {01777, 01777}, {0777, 0777}};

static void by_change(void) {
  IS(fill("from", "from"), 0);
  for (size_t a = 0; a < sizeof actions / sizeof *actions; a++) {
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
      topic("%s, mode %05o", actions[a].name, modes[m].before);
      IS(fill("s", "text"), 0);
      IS(e(chmod("s", modes[m].before)), 0);
      IS(AS(bob, actions[a].run()), 0);
      IS(mode_of("s"), actions[a].changes ? modes[m].after : modes[m].before);
      IS(fill("s", "text"), 0);
      IS(e(chmod("s", modes[m].before)), 0);
      IS(actions[a].run(), 0); /* root keeps them */
      IS(mode_of("s"), modes[m].before);
      IS(e(unlink("s")), 0);
    }
  }
}

static void by_owner(void) {
  static const struct {
    mode_t before, after;
  } cases[] = {{06777, 0777}, {06755, 0755}, {04700, 0700}, {02770, 0770}, {02666, 02666}, {01777, 01777}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    topic("chown, mode %05o", cases[i].before);
    IS(file("s", 0), 0);
    IS(e(chmod("s", cases[i].before)), 0);
    IS(e(chown("s", ALICE_ID, ALICE_ID)), 0);
    IS(mode_of("s"), cases[i].after);
    topic("chgrp by the owner, mode %05o", cases[i].before);
    IS(e(chmod("s", cases[i].before)), 0);
    IS(AS(alice, e(chown("s", (uid_t)-1, TEAM_ID))), 0);
    IS(mode_of("s"), cases[i].after);
    IS(e(unlink("s")), 0);
  }
  topic("chown of a directory");
  IS(dir("d", 0755), 0);
  IS(e(chmod("d", 06755)), 0);
  IS(e(chown("d", ALICE_ID, TEAM_ID)), 0);
  IS(mode_of("d"), 06755);
}

/* One after the other, through files that stay open: the right of one must not become the other's. */
static void taking_turns(void) {
  topic("taking turns");
  IS(file("a", 0777), 0);
  IS(file("b", 0777), 0);
  int a = open("a", O_WRONLY), b = open("b", O_WRONLY);
  for (int i = 0; i < 3; i++) {
    IS(e(chmod("a", 06777)) | e(chmod("b", 06777)), 0);
    IS(AS(bob, e(pwrite(a, "x", 1, 0))), 1);
    IS(e(pwrite(b, "x", 1, 0)), 1);
    IS(mode_of("a"), 0777);
    IS(mode_of("b"), 06777);
  }
  topic("and no more than that");
  IS(AS(bob, e(chmod("b", 0777))), -EPERM);
  IS(mode_of("b"), 06777);
  close(a);
  close(b);
}

/* After somebody's write, others keep what they have the right to. */
static void others_keep(void) {
  topic("set-group-id given by root, not of its group");
  IS(fill("s", "text"), 0);
  IS(e(chown("s", ALICE_ID, TEAM_ID)), 0);
  IS(e(chmod("s", 0666)), 0);
  IS(AS(bob, writes()), 0);
  IS(e(chmod("s", 02755)), 0);
  IS(mode_of("s"), 02755);
  IS(AS(bob, opens("s", O_WRONLY, 0)), -EACCES);
  IS(mode_of("s"), 02755);
  topic("set-group-id by an owner who is no member");
  IS(e(chown("s", BOB_ID, TEAM_ID)), 0);
  IS(AS(bob, e(chmod("s", 02755))), 0);
  IS(mode_of("s"), 0755);
}

void test_privs(void) {
  by_change();
  by_owner();
  taking_turns();
  others_keep();
}
