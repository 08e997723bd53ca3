/* SPDX-License-Identifier: BSD-3-Clause */
/** Threads of the library take no signals: those are the calling program's business. */
#ifndef VIRTIOFS_LIB_DEVICE_THREAD_H
#define VIRTIOFS_LIB_DEVICE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* 0 or -errno. */
static inline int virtiofs_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(thread, NULL, fn, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc == 0)
    (void)pthread_setname_np(*thread, name);
  return -rc;
}

#endif
