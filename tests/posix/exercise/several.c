/* SPDX-License-Identifier: BSD-3-Clause */
/* Several processes in one file: at once in pieces of their own, or in turns on mounts of their own. */
#include "exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * ---- together: process P has the pieces P, P + N, P + 2N ... of a file ----
 *
 * By read(2) and write(2) pieces are no pages, so that several processes are in one; with mappings each has pages of
 * its own, since Linux's FUSE doesn't promise that a write(2) into a page is not lost to who has it mapped.
 */

enum { PAGE = 4096, ODD = 1000, ROWS = 40 };

struct work {
  const struct plan *plan;
  size_t piece;
};
static struct work work; /* set before the processes begin */

static size_t piece_at(unsigned number, size_t row) {
  return (row * work.plan->processes + number) * work.piece;
}

static int open_common(const struct plan *plan, char *path, size_t size) {
  (void)snprintf(path, size, "%s/exercise-common", plan->dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  need(fd >= 0, path);
  return fd;
}

static void check_piece(const unsigned char *got, const unsigned char *wanted, size_t at, const char *what) {
  for (size_t i = 0; i < work.piece; i++)
    if (got[i] != wanted[i])
      fail("%s: byte %zu is %02x, not %02x: somebody else was there", what, at + i, got[i], wanted[i]);
}

static void write_piece(struct chance *chance, int fd, unsigned char *mine, size_t at) {
  size_t first = chance_below(chance, work.piece), len = 1 + chance_below(chance, work.piece - first);
  for (size_t i = 0; i < len; i++)
    mine[first + i] = (unsigned char)chance_next(chance);
  note("write %zu + %zu", at + first, len);
  need(pwrite(fd, mine + first, len, (off_t)(at + first)) == (ssize_t)len, "pwrite");
}

static void read_piece(int fd, const unsigned char *mine, size_t at) {
  unsigned char got[PAGE];
  note("read %zu", at);
  need(pread(fd, got, work.piece, (off_t)at) == (ssize_t)work.piece, "pread");
  check_piece(got, mine, at, "read");
}

static void map_piece(struct chance *chance, int fd, unsigned char *mine, size_t at, bool *works) {
  note("mapped %zu", at);
  unsigned char *map = mmap(NULL, work.piece, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
  if (map == MAP_FAILED) {
    *works = false;
    return;
  }
  check_piece(map, mine, at, "mapped");
  size_t i = chance_below(chance, work.piece);
  map[i] = mine[i] = (unsigned char)chance_next(chance);
  need(munmap(map, work.piece) == 0, "munmap");
}

static void work_in_pieces(const struct plan *plan, unsigned number) {
  static unsigned char mine[ROWS][PAGE];
  char path[300];
  struct chance chance = {.state = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + number + 77};
  bool maps = work.piece == PAGE;
  int fd = open_common(plan, path, sizeof path);
  for (unsigned long i = 0; i < plan->ops; i++) {
    size_t row = chance_below(&chance, ROWS), at = piece_at(number, row);
    switch (chance_below(&chance, maps ? 6 : 4)) {
    case 0:
    case 1:
      write_piece(&chance, fd, mine[row], at);
      break;
    case 2:
    case 3:
      read_piece(fd, mine[row], at);
      break;
    default:
      map_piece(&chance, fd, mine[row], at, &maps);
    }
  }
  for (size_t row = 0; row < ROWS; row++)
    read_piece(fd, mine[row], piece_at(number, row));
  need(fsync(fd) == 0 && close(fd) == 0, "close");
  if (plan->share == NULL)
    return;
  (void)snprintf(path, sizeof path, "%s/exercise-common", plan->share);
  fd = open(path, O_RDONLY | O_CLOEXEC);
  need(fd >= 0, path);
  for (size_t row = 0; row < ROWS; row++)
    read_piece(fd, mine[row], piece_at(number, row));
  close(fd);
}

void work_together(const struct plan *plan) {
  static const size_t pieces[] = {ODD, PAGE};
  char path[300];
  for (int i = 0; i < (plan->no_mmap ? 1 : 2); i++) {
    work = (struct work){.plan = plan, .piece = pieces[i]};
    int fd = open_common(plan, path, sizeof path);
    need(ftruncate(fd, (off_t)(ROWS * work.piece * plan->processes)) == 0 && close(fd) == 0, path);
    bool good = run_processes(plan->processes, work_in_pieces, plan);
    need(unlink(path) == 0, path);
    if (!good)
      exit(EXIT_FAILURE);
  }
}

/* ---- turns: a token goes around with what the file is to be ---- */

enum { TURN_SIZE = 50000 };

/** In memory that all processes share. */
struct common {
  struct chance chance;
  size_t size;
  unsigned char bytes[TURN_SIZE]; /* zeros behind @size */
};

/* What the others did is there, for who opens the file now. */
static void look(const struct common *common, int fd) {
  static unsigned char got[TURN_SIZE];
  struct stat st;
  need(fstat(fd, &st) == 0, "fstat");
  if ((size_t)st.st_size != common->size)
    fail("size %jd, not %zu", (intmax_t)st.st_size, common->size);
  ssize_t n = pread(fd, got, TURN_SIZE, 0);
  if (n != (ssize_t)common->size)
    fail("read %zd of %zu bytes", n, common->size);
  for (size_t i = 0; i < common->size; i++)
    if (got[i] != common->bytes[i])
      fail("byte %zu of %zu is %02x, not %02x", i, common->size, got[i], common->bytes[i]);
}

static void change(struct common *common, int fd) {
  struct chance *chance = &common->chance;
  size_t at = chance_below(chance, TURN_SIZE), len = 1 + chance_below(chance, TURN_SIZE - at);
  if (chance_below(chance, 4) == 0) {
    note("truncate to %zu", at);
    need(ftruncate(fd, (off_t)at) == 0, "ftruncate");
    if (at < common->size)
      memset(common->bytes + at, 0, common->size - at);
    common->size = at;
    return;
  }
  note("write %zu + %zu", at, len);
  for (size_t i = 0; i < len; i++)
    common->bytes[at + i] = (unsigned char)chance_next(chance);
  need(pwrite(fd, common->bytes + at, len, (off_t)at) == (ssize_t)len, "pwrite");
  if (at + len > common->size)
    common->size = at + len;
}

/* The name may stand for another file than when a mount saw it last. */
static void maybe_replace(struct common *common, const char *dir, const char *path) {
  char other[300];
  (void)snprintf(other, sizeof other, "%s/exercise-other", dir);
  if (chance_below(&common->chance, 10) != 0)
    return;
  note("replace");
  int fd = open(other, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(fd >= 0 && pwrite(fd, common->bytes, common->size, 0) == (ssize_t)common->size && close(fd) == 0, other);
  need(rename(other, path) == 0, "rename");
}

static void take_turns(struct common *common, const char *dir, const int token[2]) {
  char path[300], byte;
  (void)snprintf(path, sizeof path, "%s/exercise-turns", dir);
  while (read(token[0], &byte, 1) == 1) {
    note("turn on %s", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    need(fd >= 0, path);
    look(common, fd);
    change(common, fd);
    need(close(fd) == 0, "close");
    maybe_replace(common, dir, path);
    need(write(token[1], "", 1) == 1, "token");
  }
}

enum { MOUNTS = 16 };

/* A process that works whenever a byte comes down @way. */
static void start_one(struct common *common, const char *dir, int ways[MOUNTS][2], unsigned number, int back) {
  need(pipe(ways[number]) == 0, "pipe");
  pid_t child = fork();
  need(child >= 0, "fork");
  if (child == 0) {
    for (unsigned k = 0; k <= number; k++)
      close(ways[k][1]); /* the end of the way is the end of the work */
    take_turns(common, dir, (int[]){ways[number][0], back});
    exit(EXIT_SUCCESS);
  }
  close(ways[number][0]);
}

static bool end_all(int ways[MOUNTS][2], unsigned count) {
  bool good = true;
  for (unsigned i = 0; i < count; i++)
    close(ways[i][1]);
  for (unsigned i = 0; i < count; i++) {
    int status;
    need(wait(&status) > 0, "wait");
    good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return good;
}

void work_in_turns(const struct plan *plan, char **dirs, unsigned count) {
  struct common *common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int ways[MOUNTS][2], back[2];
  char path[300], byte;
  need(common != MAP_FAILED && count <= MOUNTS && pipe(back) == 0, "memory");
  (void)signal(SIGPIPE, SIG_IGN);
  common->chance.state = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 5;
  (void)snprintf(path, sizeof path, "%s/exercise-turns", dirs[0]);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(fd >= 0 && close(fd) == 0, path);
  (void)fflush(NULL);
  for (unsigned i = 0; i < count; i++)
    start_one(common, dirs[i], ways, i, back[1]);
  close(back[1]);
  bool going = true; /* who fails has said why */
  for (unsigned long n = 0; n < plan->ops && going; n++) {
    unsigned who = chance_next(&common->chance) % count;
    going = write(ways[who][1], "", 1) == 1 && read(back[0], &byte, 1) == 1;
  }
  bool good = end_all(ways, count) && going;
  (void)unlink(path);
  if (!good)
    exit(EXIT_FAILURE);
}
