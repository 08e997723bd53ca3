/* SPDX-License-Identifier: BSD-3-Clause */
/** Addresses of this host alone. Pure. */
#ifndef VIRTIOFS_LIB_DAEMON_ADDRESS_H
#define VIRTIOFS_LIB_DAEMON_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* "127.0.0.1:PORT" or "[::1]:PORT", in numbers; PORT 0: any. 0; -EINVAL: it is none; -EACCES: others could reach it. */
int virtiofs_daemon_address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len);

/* Is it a file's name rather than one of these? */
bool virtiofs_daemon_address_is_path(const char *text);

#endif
