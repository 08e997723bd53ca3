/* SPDX-License-Identifier: BSD-3-Clause */
/** What a process that acts for others has to be like. */
#ifndef VIRTIOFS_LIB_DAEMON_PROCESS_H
#define VIRTIOFS_LIB_DAEMON_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* umask, groups, SIGPIPE. 0, or -errno after a line on stderr that begins with @program. */
int virtiofs_daemon_process_prepare(const char *program);

/**
 * How many descriptors it may have, while it may still have more. @said: is there a wish, @count, of which 0 means to
 * leave it as it is; else as many as are good for a server. 0, or -errno after a line on stderr.
 */
int virtiofs_daemon_process_files(const char *program, bool said, uint64_t count);

/**
 * From here on the signals that end the program wait for virtiofs_daemon_signals_start(). Before anything is made that
 * has to be removed in the end, and before any thread is started.
 */
void virtiofs_daemon_signals_hold(void);

/* A thread that waits for the signals that end the program, and stops then what is to be stopped. */
struct virtiofs_daemon_signals {
  void (*report)(void *ctx); /* at each SIGUSR1, on the same thread; to be set before that is started */
  void *report_ctx;
  atomic_bool ending; /* nobody is to be told any more */
  int got;            /* which has ended it, after virtiofs_daemon_signals_end(); 0: none */
  void (*stop)(void *ctx);
  void *ctx;
  pthread_t thread;
};

/* @stop is called once, on that thread. 0 or -errno. */
int virtiofs_daemon_signals_start(struct virtiofs_daemon_signals *signals, void (*stop)(void *ctx), void *ctx);
/* @stop has been called when it returns. */
void virtiofs_daemon_signals_end(struct virtiofs_daemon_signals *signals);

#endif
