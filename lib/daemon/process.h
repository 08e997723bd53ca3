/* SPDX-License-Identifier: BSD-3-Clause */
/** What a process that acts for others has to be like. */
#ifndef VIRTIOFS_LIB_DAEMON_PROCESS_H
#define VIRTIOFS_LIB_DAEMON_PROCESS_H

#include <pthread.h>

#include <virtiofs/device.h>

/* umask, groups, descriptors, SIGPIPE. 0, or -errno after a line on stderr that begins with @program. */
int virtiofs_daemon_process_prepare(const char *program);

/**
 * From here on the signals that end the program wait for virtiofs_daemon_signals_start(). Before anything is made that
 * has to be removed in the end, and before any thread is started.
 */
void virtiofs_daemon_signals_hold(void);

/* A thread that waits for the signals that end the program, and stops the device then. */
struct virtiofs_daemon_signals {
  struct virtiofs_device *dev;
  pthread_t thread;
};

/* 0 or -errno. */
int virtiofs_daemon_signals_start(struct virtiofs_daemon_signals *signals, struct virtiofs_device *dev);
void virtiofs_daemon_signals_end(struct virtiofs_daemon_signals *signals);

#endif
