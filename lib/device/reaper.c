/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/reaper.h"

#include "device/thread.h"

static void *work(void *arg) {
  struct virtiofs_reaper *reaper = arg;
  while (!atomic_load(&reaper->stop)) {
    while (sem_wait(&reaper->wanted) != 0)
      continue;
    virtiofs_session_reclaim(reaper->session);
  }
  return NULL;
}

void virtiofs_reaper_init(struct virtiofs_reaper *reaper, struct virtiofs_session *session) {
  reaper->session = session;
  reaper->running = false;
  sem_init(&reaper->wanted, 0, 0);
}

void virtiofs_reaper_fini(struct virtiofs_reaper *reaper) {
  sem_destroy(&reaper->wanted);
}

int virtiofs_reaper_start(struct virtiofs_reaper *reaper) {
  atomic_store(&reaper->stop, false);
  int rc = virtiofs_thread_start(&reaper->thread, "vfs-reaper", work, reaper);
  reaper->running = rc == 0;
  return rc;
}

void virtiofs_reaper_stop(struct virtiofs_reaper *reaper) {
  if (!reaper->running)
    return;
  atomic_store(&reaper->stop, true);
  sem_post(&reaper->wanted);
  pthread_join(reaper->thread, NULL);
  reaper->running = false;
}

void virtiofs_reaper_wake(struct virtiofs_reaper *reaper) {
  sem_post(&reaper->wanted);
}
