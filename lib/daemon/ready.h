/* SPDX-License-Identifier: BSD-3-Clause */
/** Telling whoever started the server that front-ends may come: a shell that waits, or a service manager. */
#ifndef VIRTIOFS_LIB_DAEMON_READY_H
#define VIRTIOFS_LIB_DAEMON_READY_H

#include <stdbool.h>

struct virtiofs_daemon_ready {
  int parent_fd;  /* of --daemonize; -1: none waits */
  int null_fd;    /* of that, too: what becomes of the terminal */
  int manager_fd; /* connected to $NOTIFY_SOCKET; -1: there is none */
};

/**
 * virtiofs_daemon_ready_prepare - before anything is made that is this process's own
 * @background: go on in a child, whose parent ends with status 0 when virtiofs_daemon_ready_tell() is called, or with
 *              the child's own status if it ends before
 *
 * Return: 0; -errno after a line on stderr that begins with @program. Threads: there may be no other.
 */
int virtiofs_daemon_ready_prepare(struct virtiofs_daemon_ready *ready, bool background, const char *program);

/** virtiofs_daemon_ready_inside - another process tells them; this one lets go of the terminal when it is ready. */
void virtiofs_daemon_ready_inside(struct virtiofs_daemon_ready *ready);

/** virtiofs_daemon_ready_tell - now. In the background that is the end of standard input, output and error. */
void virtiofs_daemon_ready_tell(struct virtiofs_daemon_ready *ready);

/** virtiofs_daemon_ready_end - if it was never told, it won't be. */
void virtiofs_daemon_ready_end(struct virtiofs_daemon_ready *ready);

#endif
