/* SPDX-License-Identifier: BSD-3-Clause */
/** Threads of the library take no signals: those are the calling program's business. */
#ifndef VIRTIOFS_LIB_DEVICE_THREAD_H
#define VIRTIOFS_LIB_DEVICE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#define VIRTIOFS_THREAD_NAME 16

/*
 * 0 or -errno. The new thread has the name that this one has for the moment: to name another thread the C library opens
 * a file below /proc, and in a sandbox that may be something that a guest has put there. SIGSYS comes through: it is
 * how a sandbox says of which system call it died.
 */
static inline int virtiofs_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg) {
  char own[VIRTIOFS_THREAD_NAME] = "";
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGSYS);
  bool named =
      pthread_getname_np(pthread_self(), own, sizeof(own)) == 0 && pthread_setname_np(pthread_self(), name) == 0;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(thread, NULL, fn, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (named)
    (void)pthread_setname_np(pthread_self(), own);
  return -rc;
}

#endif
