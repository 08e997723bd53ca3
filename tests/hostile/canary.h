/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A tree of files that nobody may touch while it is watched: not opened, read, listed or changed.
 *
 * fanotify tells who opens, reads or changes a file or directory; what is changed also shows in what stat(2) says
 * before and after. Numbers of its inodes tell whether a guest was given one.
 */
#ifndef VIRTIOFS_TESTS_HOSTILE_CANARY_H
#define VIRTIOFS_TESTS_HOSTILE_CANARY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { CANARY_FILES = 64, CANARY_HANDLE = 128 };

/* What the files hold, each. */
#define CANARY_TEXT "nobody reads this"

struct canary_file {
  char path[512];
  int fd; /* a path may mean something else later */
  struct stat st;
  unsigned char handle[CANARY_HANDLE]; /* as fanotify names it; zeros behind it */
  bool in_share;                       /* a special file: a guest may know it, and change what isn't its contents */
  bool moves;                          /* the host itself changes what stat(2) says of it */
};

struct canary {
  pid_t server; /* whose touch counts, and that of the processes below it; 0: anybody's but our own */
  int fd;       /* of fanotify */
  bool by_path; /* the file system has no handles: special files are not watched, as only those tell of them */
  unsigned count;
  struct canary_file files[CANARY_FILES];
};

/* Watches all below @outside, @share's parent and what is beside it, and what is neither file, directory nor link in
 * @share; for @server. False: the host can't. */
bool canary_watch(struct canary *canary, const char *outside, const char *share, pid_t server);

/* Ends the program with a message if it was touched. Whoever else walks through all of the host's temporary files is
 * not the server. */
void canary_check(struct canary *canary);

bool canary_has_ino(const struct canary *canary, uint64_t ino);

void canary_end(struct canary *canary);

#endif
