/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "quota.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 16 << 10, LARGE = 2 << 20, FIRST = 256 << 10, MANY = 64, TRIES = 200, PAUSE_NS = 50000000 };

static char piece[PIECE], large[LARGE];

void say(const char *what, long result) {
  const char *name = result < 0 ? strerrorname_np(errno) : NULL;
  if (result < 0)
    printf("%s: %s\n", what, name != NULL ? name : "an error");
  else
    printf("%s: %ld\n", what, result);
}

/* Each piece tells where it belongs. */
static void prepare(long at) {
  for (unsigned i = 0; i < PIECE; i++)
    piece[i] = (char)((at / PIECE + i) % 251);
}

/* Up to @most, or until it fails. Return: how many bytes there are; errno is the error. */
static long fill(int fd, long at, long most) {
  errno = 0;
  while (at < most) {
    prepare(at / PIECE * PIECE);
    ssize_t n = pwrite(fd, piece + at % PIECE, (size_t)(PIECE - at % PIECE), at);
    if (n < 0)
      break;
    at += n;
  }
  return at;
}

/* How many bytes are as they were written. */
static long intact(const char *name, long most) {
  static char found[PIECE];
  int fd = open(name, O_RDONLY);
  long at = 0;
  for (; at < most; at += PIECE) {
    ssize_t n = pread(fd, found, PIECE, at);
    prepare(at);
    for (ssize_t i = 0; i < n; i++)
      if (found[i] != piece[i]) {
        close(fd);
        return at + i;
      }
    if (n < PIECE) {
      at += n > 0 ? n : 0;
      break;
    }
  }
  close(fd);
  return at;
}

static long size_of(const char *name) {
  struct stat st;
  return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

static int make(const char *name) {
  int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
  if (fd < 0)
    err(2, "%s", name);
  return fd;
}

static void clean(const char *name) {
  if (unlink(name) != 0 && errno != ENOENT)
    err(2, "removing %s", name);
}

static void blocks(void) {
  int fd = make("f");
  long at = fill(fd, 0, LARGE);
  say("write", at < LARGE ? -1 : at);
  say("written", at);
  say("the next byte", pwrite(fd, "x", 1, (at + 4095) / 4096 * 4096));
  say("fsync", fsync(fd));
  say("again over what is there", pwrite(fd, large, FIRST, 0));
  prepare(0);
  for (long i = 0; i < FIRST; i += PIECE) {
    prepare(i);
    if (pwrite(fd, piece, PIECE, i) != PIECE)
      warn("over what is there");
  }
  say("close", close(fd));
  say("intact", intact("f", at));
  say("size", size_of("f"));
  say("mkdir", mkdir("d", 0755));
  say("rename", rename("f", "g"));
  fd = open("g", O_RDWR);
  say("truncate", ftruncate(fd, FIRST));
  say("written then", pwrite(fd, piece, PIECE, FIRST));
  close(fd);
  clean("g");
}

static void at_once(void) {
  int fd = make("f");
  memset(large, 'l', LARGE);
  long n = write(fd, large, LARGE);
  say("one large write", n);
  say("size after one large write", size_of("f"));
  close(fd);
  clean("f");
}

static void before_writing(void) {
  int fd = make("f");
  say("fallocate", fallocate(fd, 0, 0, FIRST));
  say("fallocate of too much", fallocate(fd, 0, FIRST, LARGE));
  long size = size_of("f");
  say("size after it", size);
  say("fallocate behind the end", fallocate(fd, FALLOC_FL_KEEP_SIZE, size, LARGE));
  say("written into it", pwrite(fd, piece, PIECE, 0));
  close(fd);
  clean("f");
}

static void copies(void) {
  int from = make("f"), to = make("t");
  off_t at = 0, there = 0;
  long all = 0;
  ssize_t n = 0;
  say("written", fill(from, 0, 3 * FIRST));
  while (all < 3 * FIRST && (n = copy_file_range(from, &at, to, &there, (size_t)(3 * FIRST - all), 0)) > 0)
    all += n;
  say("the copy ends by", n);
  say("copied", all);
  close(from);
  close(to);
  say("intact", intact("t", all));
  clean("f");
  clean("t");
}

/* What is deleted is given back when nobody has it any more, which is a moment later. */
static long in_the_end(const char *name) {
  const struct timespec pause = {.tv_nsec = PAUSE_NS};
  for (unsigned i = 0; i < TRIES; i++) {
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    if (fd >= 0)
      return close(fd);
    nanosleep(&pause, NULL);
  }
  return -1;
}

static void files(void) {
  char name[16];
  unsigned count = 0;
  int fd;
  for (; count < MANY; count++) {
    (void)snprintf(name, sizeof name, "n%u", count);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0)
      break;
    close(fd);
  }
  say("the last file", count < MANY ? -1 : 0);
  say("files", count);
  say("mkdir", mkdir("d", 0755));
  say("symlink", symlink("x", "s"));
  say("mkfifo", mkfifo("p", 0644));
  say("without a name", open(".", O_TMPFILE | O_RDWR, 0644));
  say("a second name", link("n0", "l"));
  say("rename over a file", rename("l", "n1"));
  errno = 0;
  say("open for making", (fd = open("n0", O_WRONLY | O_CREAT, 0644)) >= 0 ? 0 : -1);
  close(fd);
  clean("n2");
  say("in the end", in_the_end("n2"));
  for (unsigned i = 0; i < count; i++) {
    (void)snprintf(name, sizeof name, "n%u", i);
    clean(name);
  }
  clean("l");
}

static void room(void) {
  struct statvfs st;
  if (statvfs(".", &st) != 0)
    err(2, "statvfs");
  say("room in KiB", (long)(st.f_blocks * st.f_frsize / 1024));
  say("room for files", (long)st.f_files);
}

/* What was kept by fsync(2) stays, and what comes of the rest is told once, by the next one. */
static void told_by_fsync(void) {
  int fd = make("f");
  say("the first bytes", fill(fd, 0, FIRST));
  say("fsync of them", fsync(fd));
  say("far more", fill(fd, FIRST, LARGE) > FIRST);
  say("fsync of that", fsync(fd));
  say("close", close(fd));
  say("intact", intact("f", FIRST));
  clean("f");
}

static void told_by_close(void) {
  int fd = make("f");
  (void)fill(fd, 0, LARGE);
  say("close without fsync", close(fd));
  clean("f");
}

static void told_by_msync(void) {
  int fd = make("f");
  char *map = ftruncate(fd, LARGE) == 0 ? mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (map == MAP_FAILED)
    err(2, "mmap");
  memset(map, 'm', LARGE);
  say("msync of a mapping", msync(map, LARGE, MS_SYNC));
  munmap(map, LARGE);
  close(fd);
  clean("f");
}

case_fn *const cases_at_once[] = {room, blocks, at_once, before_writing, copies, files, NULL};
case_fn *const cases_late[] = {told_by_fsync, told_by_close, told_by_msync, NULL};
