/* SPDX-License-Identifier: BSD-3-Clause */
/** --metrics and SIGUSR1: what the shares of this process do, for whoever asks on this host. */
#ifndef VIRTIOFS_LIB_DAEMON_METRICS_H
#define VIRTIOFS_LIB_DAEMON_METRICS_H

#include <virtiofs/log.h>

#include "daemon/metrics_text.h"

struct virtiofs_daemon_metrics;

/**
 * Makes the socket, before the process gives up its rights. @where: a path, or "127.0.0.1:PORT", "[::1]:PORT"; NULL:
 * none, and only virtiofs_daemon_metrics_log() works. 0; -errno, after a line on stderr that begins with @program.
 */
int virtiofs_daemon_metrics_open(struct virtiofs_daemon_metrics **out, const char *program, const char *where,
                                 const struct virtiofs_log *log);

/* As virtiofs_daemon_listen_inside() and _outside(). */
void virtiofs_daemon_metrics_inside(struct virtiofs_daemon_metrics *metrics);
void virtiofs_daemon_metrics_outside(struct virtiofs_daemon_metrics *metrics);

/* Starts the thread that answers. 0 or -errno. */
int virtiofs_daemon_metrics_start(struct virtiofs_daemon_metrics *metrics);

/* Does anybody want to know how long requests take? */
bool virtiofs_daemon_metrics_wanted(const struct virtiofs_daemon_metrics *metrics);

/* From now on @source is told of, until it is removed; it stays the caller's. Any thread. */
void virtiofs_daemon_metrics_add(struct virtiofs_daemon_metrics *metrics, struct virtiofs_daemon_source *source);

/* Nobody looks at @source any more when it returns. Nothing happens if it wasn't added. Any thread. */
void virtiofs_daemon_metrics_remove(struct virtiofs_daemon_metrics *metrics, struct virtiofs_daemon_source *source);

/* Writes a summary of each share to the log, whatever its level. Any thread. */
void virtiofs_daemon_metrics_log(struct virtiofs_daemon_metrics *metrics);

/* Ends the thread, removes the socket. NULL is fine. */
void virtiofs_daemon_metrics_close(struct virtiofs_daemon_metrics *metrics);

#endif
