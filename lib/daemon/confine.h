/* SPDX-License-Identifier: BSD-3-Clause */
/** A server's way into its sandbox. */
#ifndef VIRTIOFS_LIB_DAEMON_CONFINE_H
#define VIRTIOFS_LIB_DAEMON_CONFINE_H

#include <virtiofs/sandbox.h>

#include "daemon/listen.h"
#include "daemon/share.h"

struct virtiofs_daemon_ready;

/** What the process outside has to know. */
struct virtiofs_daemon_outside {
  struct virtiofs_daemon_listener *const *listeners; /* which it doesn't answer, and takes away in the end */
  size_t count;
  const struct virtiofs_daemon_ready *ready; /* the terminal is let go there too */
};

/**
 * Returns in the process that serves. The one outside never returns.
 * @inside: to be there as long as the server. 0; -errno after a line on stderr or in the log.
 */
int virtiofs_daemon_confine(struct virtiofs_sandbox_inside *inside, const struct virtiofs_daemon_share_setup *setup,
                            const struct virtiofs_daemon_outside *outside);

#endif
