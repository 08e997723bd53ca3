/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_LIB_DAEMON_CAPABILITIES_H
#define VIRTIOFS_LIB_DAEMON_CAPABILITIES_H

/* One JSON object on stdout, as QEMU's docs/interop/vhost-user.json has it. 0, -ENOMEM or -EIO. */
int virtiofs_daemon_print_capabilities(const char *const *features);

#endif
