/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_LIB_DAEMON_SANDBOX_LOG_H
#define VIRTIOFS_LIB_DAEMON_SANDBOX_LOG_H

#include <virtiofs/sandbox.h>

/* One line about what has been done. */
void virtiofs_sandbox_say(const struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *config);

#endif
