/* SPDX-License-Identifier: BSD-3-Clause */
/** A process with several shares, and the socket by which they are added and removed: docs/control.md. */
#ifndef VIRTIOFS_LIB_DAEMON_CONTROL_H
#define VIRTIOFS_LIB_DAEMON_CONTROL_H

#include <virtiofs/sandbox.h>

#include "daemon/share.h"

struct virtiofs_daemon_control;

/**
 * What has to be done before the process gives up its rights: the control socket, and those of the shares that are
 * there from the start. @setup: of the process; borrowed until the end. 0; -errno, after a line on stderr.
 */
int virtiofs_daemon_control_open(struct virtiofs_daemon_control **out, const struct virtiofs_daemon_share_setup *setup);

/**
 * Until it is stopped, or without a control socket until all shares have ended. 0; -errno, after a line on stderr or in
 * the log: a share that is there from the start can't be started, or all have failed. @started is called when those
 * have all started.
 */
int virtiofs_daemon_control_run(struct virtiofs_daemon_control *control, void (*started)(void *ctx), void *ctx);

/* From any thread; also before it runs. */
void virtiofs_daemon_control_stop(struct virtiofs_daemon_control *control);

/* ---- The way into a sandbox: confine.h ---- */

/** Longest message to the process outside. */
#define VIRTIOFS_DAEMON_CONTROL_WORDS 16U

/* What the shares that are there need of the host; @config is the program's to fill in then. 0 or -errno. */
int virtiofs_daemon_control_sandbox(struct virtiofs_daemon_control *control, struct virtiofs_sandbox_config *config);

/* It is entered: the shares get their directories. */
void virtiofs_daemon_control_entered(struct virtiofs_daemon_control *control);

/* As virtiofs_daemon_listen_inside() and _outside(), for each of the sockets. @channel: to the process outside, or -1.
 */
void virtiofs_daemon_control_inside(struct virtiofs_daemon_control *control, int channel);
void virtiofs_daemon_control_outside(struct virtiofs_daemon_control *control);

/* Outside: the one inside has said something else than that it is ready. 0, or -errno if it makes no sense. */
int virtiofs_daemon_control_hear(struct virtiofs_daemon_control *control, int channel, const char *words, size_t len);

/* NULL is fine. */
void virtiofs_daemon_control_free(struct virtiofs_daemon_control *control);

#endif
