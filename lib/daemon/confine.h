/* SPDX-License-Identifier: BSD-3-Clause */
/** A server's way into its sandbox. */
#ifndef VIRTIOFS_LIB_DAEMON_CONFINE_H
#define VIRTIOFS_LIB_DAEMON_CONFINE_H

#include "daemon/control.h"
#include "daemon/metrics.h"
#include "daemon/ready.h"
#include "daemon/share.h"

/** What the process has when it goes there. */
struct virtiofs_daemon_confined {
  const struct virtiofs_daemon_share_setup *setup;
  struct virtiofs_daemon_share *share;     /* the only one, or NULL: */
  struct virtiofs_daemon_control *control; /* there are several; or neither, if it wasn't made */
  struct virtiofs_daemon_ready *ready;
  struct virtiofs_sandbox_config config; /* set, as the rest */
  struct virtiofs_sandbox_inside inside;
};

/**
 * Returns in the process that serves. The one outside removes what was made, tells who wants to know that the server is
 * ready, and never returns. To be there as long as the server. 0; -errno after a line on stderr or in the log.
 */
int virtiofs_daemon_confine(struct virtiofs_daemon_confined *confined);

/* Gives up capabilities. 0; -errno after a line in the log. */
int virtiofs_daemon_confine_more(struct virtiofs_daemon_confined *confined);

/* All is made that the server will need: no other system calls than those for guests. 0; -errno after a line in the
 * log. */
int virtiofs_daemon_confine_last(const struct virtiofs_daemon_confined *confined);

/* The server is ready: in place of virtiofs_daemon_ready_tell(). */
void virtiofs_daemon_confined_ready(const struct virtiofs_daemon_confined *confined);

#endif
