/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_LIB_DAEMON_TRAP_H
#define VIRTIOFS_LIB_DAEMON_TRAP_H

/* From now on a system call that is trapped is told on stderr, by number and name, before the process dies of SIGSYS.
 * 0 or -errno. */
int virtiofs_sandbox_trap(void);

#endif
