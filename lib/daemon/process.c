/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/process.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of which no more than a host has to give is ever in use; a guest that needs more files than that has file handles. */
enum { MANY_FILES = 1000000 };

int virtiofs_daemon_process_prepare(const char *program) {
  /* The guest has applied its own. */
  umask(0);
  /* Groups of the server's must not count for what it does in a guest's name. */
  if (geteuid() == 0 && setgroups(0, NULL) != 0 && errno != EPERM) {
    int error = errno;
    (void)fprintf(stderr, "%s: cannot drop supplementary groups: %s\n", program, strerror(error));
    return -error;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  /* A guest that writes past RLIMIT_FSIZE is to get EFBIG, not to end the server. */
  (void)signal(SIGXFSZ, SIG_IGN);
  return 0;
}

/* What Linux lets nobody go beyond. */
static rlim_t most_files(void) {
  unsigned long long most = 0;
  FILE *file = fopen("/proc/sys/fs/nr_open", "re");
  if (file != NULL && fscanf(file, "%llu", &most) != 1)
    most = 0;
  if (file != NULL)
    (void)fclose(file);
  return most != 0 ? (rlim_t)most : MANY_FILES;
}

int virtiofs_daemon_process_files(const char *program, bool said, uint64_t count) {
  struct rlimit files, wanted;
  if (said && count == 0)
    return 0;
  rlim_t most = most_files();
  rlim_t limit = said ? (rlim_t)count : most < MANY_FILES ? most : MANY_FILES;
  wanted = (struct rlimit){.rlim_cur = limit, .rlim_max = limit};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
    return 0;
  int error = errno;
  if (said) {
    (void)fprintf(stderr, "%s: cannot have %llu descriptors: %s\n", program, (unsigned long long)count,
                  strerror(error));
    return -error;
  }
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  return 0;
}

static void ending(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
}

/* Those that have a meaning for this program. */
static void known(sigset_t *set) {
  ending(set);
  sigaddset(set, SIGUSR1);
}

static void *wait_for_one(void *arg) {
  struct virtiofs_daemon_signals *signals = arg;
  sigset_t set;
  known(&set);
  for (;;) {
    int got;
    if (sigwait(&set, &got) != 0)
      continue;
    if (got == SIGUSR1) {
      signals->report(signals->report_ctx);
      continue;
    }
    if (!atomic_load(&signals->ending))
      signals->got = got;
    break;
  }
  signals->stop(signals->ctx);
  return NULL;
}

void virtiofs_daemon_signals_hold(void) {
  sigset_t set;
  known(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int virtiofs_daemon_signals_start(struct virtiofs_daemon_signals *signals, void (*stop)(void *ctx), void *ctx) {
  atomic_init(&signals->ending, false);
  signals->got = 0;
  signals->stop = stop;
  signals->ctx = ctx;
  return -pthread_create(&signals->thread, NULL, wait_for_one, signals);
}

void virtiofs_daemon_signals_end(struct virtiofs_daemon_signals *signals) {
  atomic_store(&signals->ending, true);
  (void)pthread_kill(signals->thread, SIGTERM);
  pthread_join(signals->thread, NULL);
}
