/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Speaking to a server that has a control socket (--control): shares are added to it and removed while it runs. In
 * libvirtiofs-daemon. docs/control.md has what can be said; virtiofs-ctl(1) is a program that says it.
 */
#ifndef VIRTIOFS_CONTROL_H
#define VIRTIOFS_CONTROL_H

#include <stddef.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most descriptors that go with one request. */
#define VIRTIOFS_CONTROL_FDS_MAX 8U

/**
 * virtiofs_control_connect - to a server's control socket
 *
 * Return: a descriptor, the caller's; -ENAMETOOLONG; what connect(2) says. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_control_connect(const char *path);

/**
 * virtiofs_control_call - ask, and wait for the reply
 * @fd:       what virtiofs_control_connect() has given
 * @request:  one JSON object without a newline
 * @fds:      sent along; they stay the caller's
 * @fd_count: 0 .. VIRTIOFS_CONTROL_FDS_MAX
 * @reply:    one JSON object without a newline, for free(3); NULL after an error
 *
 * The reply to a removal may take as long as a virtual machine runs.
 *
 * Return: 0, whatever the reply says; -EINVAL for a @request with a newline in it or too many descriptors; -EPIPE if
 * the server has gone; -ENOMEM; -errno. After an error the connection is of no use any more. Threads: one at a time for
 * one connection.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_control_call(int fd, const char *request, const int *fds,
                                                            size_t fd_count, char **reply);

/**
 * virtiofs_control_listen - make the socket of a share for a server that can't do it itself, as it is in a sandbox
 * @fd:      to the server that will have it: whose process id is written to PATH.pid
 * @program: begins the line on stderr
 * @path:    where; a socket that nobody serves any more is replaced
 * @fds:     the socket and the lock on PATH.pid: to be sent along with `add` as "socket" and "lock", then closed
 *
 * Return: 0; -errno after a line on stderr, with nothing made: -EADDRINUSE if it is served, what socket(2), bind(2),
 * open(2) say. Threads: no other may make files meanwhile, as the umask changes.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_control_listen(int fd, const char *program, const char *path,
                                                              int fds[2]);

/**
 * virtiofs_control_unlisten - take away what virtiofs_control_listen() has made at @path, once the share is removed
 *
 * Return: 0, also if there is nothing; -errno after a line on stderr if it is still served, or can't be removed.
 * Threads: as above.
 */
VIRTIOFS_EXPORT int virtiofs_control_unlisten(const char *program, const char *path);

#ifdef __cplusplus
}
#endif

#endif
