/* SPDX-License-Identifier: BSD-3-Clause */
/** Sockets that a service manager has made: sd_listen_fds(3), by hand. */
#ifndef VIRTIOFS_LIB_DAEMON_ACTIVATION_H
#define VIRTIOFS_LIB_DAEMON_ACTIVATION_H

/**
 * virtiofs_daemon_activation_fd - the socket that this process was started with
 * @program: begins the line on stderr
 * @name:    which of several; NULL: none is wanted by name
 *
 * The variables of the environment are taken away, as are the sockets that it isn't; programs that are run don't get
 * any of it. Once, before other descriptors are opened.
 *
 * Return: a descriptor; -ENOENT if none were passed, or to another process; -EINVAL after a line on stderr.
 */
int virtiofs_daemon_activation_fd(const char *program, const char *name);

#endif
