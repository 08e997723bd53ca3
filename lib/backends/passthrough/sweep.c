/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/sweep.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "backends/passthrough/share.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

int virtiofs_passthrough_sweeper_init(struct sweeper *sweeper, uint32_t period_ms) {
  pthread_condattr_t attr;
  sweeper->period_ms = period_ms;
  if (pthread_mutex_init(&sweeper->lock, NULL) != 0)
    return -ENOMEM;
  if (pthread_condattr_init(&attr) != 0) {
    pthread_mutex_destroy(&sweeper->lock);
    return -ENOMEM;
  }
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&sweeper->wake, &attr);
  pthread_condattr_destroy(&attr);
  if (rc != 0)
    pthread_mutex_destroy(&sweeper->lock);
  return rc == 0 ? 0 : -ENOMEM;
}

void virtiofs_passthrough_sweeper_fini(struct sweeper *sweeper) {
  pthread_mutex_lock(&sweeper->lock);
  bool running = sweeper->running;
  sweeper->stop = true;
  pthread_cond_signal(&sweeper->wake);
  pthread_mutex_unlock(&sweeper->lock);
  if (running)
    pthread_join(sweeper->thread, NULL);
  pthread_cond_destroy(&sweeper->wake);
  pthread_mutex_destroy(&sweeper->lock);
}

static struct timespec in_ms(uint32_t ms) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  ts.tv_sec += ms / MS_PER_S;
  ts.tv_nsec += (long)(ms % MS_PER_S) * NS_PER_MS;
  if (ts.tv_nsec >= NS_PER_S) {
    ts.tv_nsec -= NS_PER_S;
    ts.tv_sec++;
  }
  return ts;
}

/* A whole period, unless it is to stop. The lock is held. */
static void wait_period(struct sweeper *sweeper) {
  struct timespec until = in_ms(sweeper->period_ms);
  while (!sweeper->stop && pthread_cond_timedwait(&sweeper->wake, &sweeper->lock, &until) == 0)
    continue;
}

static bool sweep(struct virtiofs_passthrough *fs) {
  pthread_mutex_unlock(&fs->sweeper.lock);
  bool more = virtiofs_passthrough_fdcache_sweep(fs);
  pthread_mutex_lock(&fs->sweeper.lock);
  return more;
}

static void *run(void *arg) {
  struct virtiofs_passthrough *fs = arg;
  struct sweeper *sweeper = &fs->sweeper;
  (void)pthread_setname_np(pthread_self(), "vfs-idle");
  pthread_mutex_lock(&sweeper->lock);
  while (!sweeper->stop) {
    if (!atomic_load(&sweeper->awake)) {
      pthread_cond_wait(&sweeper->wake, &sweeper->lock);
      continue;
    }
    wait_period(sweeper);
    if (sweeper->stop || sweep(fs))
      continue;
    /* Who puts one in first does that and then looks whether we are awake; so we look once more. */
    atomic_store(&sweeper->awake, false);
    if (!virtiofs_passthrough_fdcache_empty(&fs->fds))
      atomic_store(&sweeper->awake, true);
  }
  pthread_mutex_unlock(&sweeper->lock);
  return NULL;
}

/* Signals are for the program's own threads, but for a sandbox's word about a system call. Without a thread nothing is closed but what has to make room. */
static void start(struct virtiofs_passthrough *fs) {
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGSYS);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  fs->sweeper.running = pthread_create(&fs->sweeper.thread, NULL, run, fs) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void virtiofs_passthrough_sweeper_wake(struct virtiofs_passthrough *fs) {
  struct sweeper *sweeper = &fs->sweeper;
  if (sweeper->period_ms == UINT32_MAX || atomic_load(&sweeper->awake))
    return;
  pthread_mutex_lock(&sweeper->lock);
  if (!sweeper->running && !sweeper->stop)
    start(fs);
  atomic_store(&sweeper->awake, true);
  pthread_cond_signal(&sweeper->wake);
  pthread_mutex_unlock(&sweeper->lock);
}
