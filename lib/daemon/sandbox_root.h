/* SPDX-License-Identifier: BSD-3-Clause */
/** Another root directory for the calling process. */
#ifndef VIRTIOFS_LIB_DAEMON_SANDBOX_ROOT_H
#define VIRTIOFS_LIB_DAEMON_SANDBOX_ROOT_H

#include <virtiofs/sandbox.h>

/**
 * Opens what will be needed, as the user who has started the program. @root: what virtiofs_sandbox_root_change() takes.
 * With VIRTIOFS_SANDBOX_NAMESPACE in a mount namespace of the process's own. 0; -errno after a line in the log.
 */
int virtiofs_sandbox_root_open(const struct virtiofs_sandbox_config *config, struct virtiofs_sandbox_inside *inside,
                               int *root);

/* Takes @root. The working directory is inside->proc_fd then. 0; -errno after a line in the log. */
int virtiofs_sandbox_root_change(const struct virtiofs_sandbox_config *config,
                                 const struct virtiofs_sandbox_inside *inside, int root);

/* Only the descriptors of config->trees, for who stays where he is. */
int virtiofs_sandbox_trees_open(const struct virtiofs_sandbox_config *config);

#endif
