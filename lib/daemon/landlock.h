/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_LIB_DAEMON_LANDLOCK_H
#define VIRTIOFS_LIB_DAEMON_LANDLOCK_H

#include <virtiofs/sandbox.h>

/**
 * Files outside of the root and of config->trees, TCP, sockets and processes of others are refused from here on, to the
 * calling thread and those that it starts. Who has no new privileges may do that. @by_handle: files will be opened by
 * file handle, which Landlock can't tell the place of, and refuses. Sets inside->landlock. 0; -errno after a line in
 * the log.
 */
int virtiofs_sandbox_landlock(struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *config,
                              bool by_handle);

#endif
