/* SPDX-License-Identifier: BSD-3-Clause */
/** A thread that tells the backend what the guest has given back: that may close files, which no queue should wait for.
 */
#ifndef VIRTIOFS_LIB_DEVICE_REAPER_H
#define VIRTIOFS_LIB_DEVICE_REAPER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "session/session.h"

struct virtiofs_reaper {
  struct virtiofs_session *session;
  sem_t wanted;
  atomic_bool stop;
  bool running; /* the thread is there to be joined */
  pthread_t thread;
};

void virtiofs_reaper_init(struct virtiofs_reaper *reaper, struct virtiofs_session *session);
void virtiofs_reaper_fini(struct virtiofs_reaper *reaper);

/* 0 or -errno. */
int virtiofs_reaper_start(struct virtiofs_reaper *reaper);

/* Returns when the backend is not being told anything any more. Nothing happens if it doesn't run. */
void virtiofs_reaper_stop(struct virtiofs_reaper *reaper);

/* Any thread; does not wait; also while the thread is stopped: then it is done when it starts. */
void virtiofs_reaper_wake(struct virtiofs_reaper *reaper);

#endif
