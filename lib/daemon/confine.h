/* SPDX-License-Identifier: BSD-3-Clause */
/** A server's way into its sandbox. */
#ifndef VIRTIOFS_LIB_DAEMON_CONFINE_H
#define VIRTIOFS_LIB_DAEMON_CONFINE_H

#include <virtiofs/daemon.h>
#include <virtiofs/device.h>

#include "daemon/listen.h"
#include "daemon/options_sandbox.h"

/**
 * Returns in the process that serves. The one outside removes what @listener has made, and never returns.
 * @inside: to be there as long as the server. 0; -errno after a line on stderr or in the log.
 */
int virtiofs_daemon_confine(struct virtiofs_sandbox_inside *inside,
                            const struct virtiofs_daemon_sandbox_options *options,
                            const struct virtiofs_daemon_config *config, const struct virtiofs_device_config *device,
                            struct virtiofs_daemon_listener *listener);

#endif
