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

int virtiofs_daemon_process_prepare(const char *program) {
  struct rlimit files;
  /* The guest has applied its own. */
  umask(0);
  /* Groups of the server's must not count for what it does in a guest's name. */
  if (geteuid() == 0 && setgroups(0, NULL) != 0 && errno != EPERM) {
    int error = errno;
    (void)fprintf(stderr, "%s: cannot drop supplementary groups: %s\n", program, strerror(error));
    return -error;
  }
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  (void)signal(SIGPIPE, SIG_IGN);
  /* A guest that writes past RLIMIT_FSIZE is to get EFBIG, not to end the server. */
  (void)signal(SIGXFSZ, SIG_IGN);
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
