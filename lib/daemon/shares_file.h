/* SPDX-License-Identifier: BSD-3-Clause */
/** The shares that a process has from the start: --shares. */
#ifndef VIRTIOFS_LIB_DAEMON_SHARES_FILE_H
#define VIRTIOFS_LIB_DAEMON_SHARES_FILE_H

#include "daemon/shares.h"

/* Adds those in the file at @path. 0; -errno after a line on stderr. */
int virtiofs_daemon_shares_file_add(struct virtiofs_daemon_shares *shares, const char *program, const char *path);

#endif
