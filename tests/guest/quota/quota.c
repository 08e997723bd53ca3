/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a quota of the kernel's says to programs, a line for each thing that is tried; and what it takes to set one.
 * TYPE is u, of a user, or p, of a project; ID is whose.
 *
 *   quota limit TYPE DEVICE ID BYTES FILES    sets hard limits
 *   quota project DIRECTORY ID                has all that is made in an empty directory count for a project
 *   quota own DIRECTORY USER                  as that user: takes the directory out of its project, and says what came
 *   quota run DIRECTORY USER TYPE DEVICE ID   as that user: goes to the limits of ID, each time and in each way
 *   quota late DIRECTORY USER TYPE DEVICE ID  the same where write(2) doesn't know yet
 *
 * `run` tells the same of any two directories with the same limits.
 */
#define _GNU_SOURCE
#include "quota.h"

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OF_USER = 0, OF_PROJECT = 2, BLOCK = 1024, TRIES = 400, PAUSE_NS = 50000000 };

static int number(const char *text) {
  return (int)strtol(text, NULL, 10);
}

/* @whose: TYPE DEVICE ID. */
static void control(int what, char **whose, struct dqblk *block) {
  const int type = *whose[0] == 'p' ? OF_PROJECT : OF_USER;
  if (quotactl(QCMD(what, type), whose[1], number(whose[2]), (caddr_t)block) != 0)
    err(2, "quotactl of %s", whose[1]);
}

static void become(const char *id) {
  if (setgroups(0, NULL) != 0 || setgid((gid_t)number(id)) != 0 || setuid((uid_t)number(id)) != 0)
    err(2, "becoming %s", id);
}

static void set_limit(char **argv) {
  struct dqblk limit = {.dqb_bhardlimit = (uint64_t)number(argv[3]) / BLOCK,
                        .dqb_ihardlimit = (uint64_t)number(argv[4]),
                        .dqb_valid = QIF_LIMITS};
  control(Q_SETQUOTA, argv, &limit);
}

static void set_project(char **argv) {
  struct fsxattr attr;
  int fd = open(argv[0], O_RDONLY | O_DIRECTORY);
  if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr) != 0)
    err(2, "%s", argv[0]);
  attr.fsx_projid = (uint32_t)number(argv[1]);
  attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(fd, FS_IOC_FSSETXATTR, &attr) != 0)
    err(2, "FS_IOC_FSSETXATTR of %s", argv[0]);
  close(fd);
}

static void leave_project(const char *directory) {
  int flags = 0;
  int fd = open(directory, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
    err(2, "%s", directory);
  flags &= ~FS_PROJINHERIT_FL;
  say("leaving the project", ioctl(fd, FS_IOC_SETFLAGS, &flags));
  close(fd);
}

static struct dqblk used_by(char **whose) {
  struct dqblk used;
  sync();
  control(Q_GETQUOTA, whose, &used);
  return used;
}

/* What is deleted is given back once nobody has it any more: a mount's server, or XFS, takes a moment for that. */
static bool is_given_back(const struct dqblk *before, char **whose) {
  const struct timespec pause = {.tv_nsec = PAUSE_NS};
  for (unsigned i = 0; i < TRIES; i++) {
    struct dqblk now = used_by(whose);
    if (now.dqb_curinodes == before->dqb_curinodes && now.dqb_curspace == before->dqb_curspace)
      return true;
    nanosleep(&pause, NULL);
  }
  return false;
}

/* Each by a process of its own, and when all is given back, so that the next one begins with what this one had. */
static void run(case_fn *const *cases, char **argv) {
  struct dqblk before = used_by(argv + 2);
  for (; *cases != NULL; cases++) {
    int status;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      become(argv[1]);
      if (chdir(argv[0]) != 0)
        err(2, "%s", argv[0]);
      (*cases)();
      exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
      errx(2, "a case has failed");
    say("given back", is_given_back(&before, argv + 2));
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (argc == 7 && strcmp(what, "limit") == 0) {
    set_limit(argv + 2);
  } else if (argc == 4 && strcmp(what, "project") == 0) {
    set_project(argv + 2);
  } else if (argc == 4 && strcmp(what, "own") == 0) {
    become(argv[3]);
    leave_project(argv[2]);
  } else if (argc == 7 && strcmp(what, "run") == 0) {
    run(cases_at_once, argv + 2);
  } else if (argc == 7 && strcmp(what, "late") == 0) {
    run(cases_late, argv + 2);
  } else {
    errx(2, "see the first lines of quota.c");
  }
  return 0;
}
