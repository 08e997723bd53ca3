/* SPDX-License-Identifier: BSD-3-Clause */
/** Which system calls a server makes. */
#ifndef VIRTIOFS_LIB_DAEMON_CALLS_H
#define VIRTIOFS_LIB_DAEMON_CALLS_H

/*
 * Names as libseccomp knows them; what an architecture doesn't have is left out there. Both forms of a call are in the
 * lists where C libraries differ in which they use. Each list ends with NULL.
 */

/* Whatever their arguments: the kernel has a map of them, and doesn't look any further. */
extern const char *const virtiofs_daemon_calls[];

/* What a mount by /dev/fuse takes besides. */
extern const char *const virtiofs_daemon_calls_to_mount[];

/* What it takes to listen on a new UNIX socket. */
extern const char *const virtiofs_daemon_calls_to_listen[];

/* What a sanitizer does by itself; empty unless this was built with one. */
extern const char *const virtiofs_daemon_calls_of_sanitizers[];

/* Newer forms of old calls, which C libraries try first, and do without where there is none of them. */
extern const char *const virtiofs_daemon_calls_not_there[];

#endif
