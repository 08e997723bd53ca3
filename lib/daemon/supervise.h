/* SPDX-License-Identifier: BSD-3-Clause */
/** A process that does nothing but to wait for another one. */
#ifndef VIRTIOFS_LIB_DAEMON_SUPERVISE_H
#define VIRTIOFS_LIB_DAEMON_SUPERVISE_H

#include <signal.h>
#include <sys/types.h>

/* Those that it waits for: blocked before the child is made. */
void virtiofs_supervise_signals(sigset_t *set);

struct virtiofs_supervise {
  pid_t child;
  int channel;                            /* -1: none */
  int (*request)(void *ctx, int channel); /* what to do when it can be read; not 0: close it */
  void *ctx;
  int lines; /* what the child says on its standard error, to be said on ours; O_NONBLOCK; -1: it has ours */
};

/* Passes signals on until the child has ended. Return: its status, as waitpid(2) has it. */
int virtiofs_supervise(struct virtiofs_supervise *supervise);

#endif
