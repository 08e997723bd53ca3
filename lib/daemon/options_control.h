/* SPDX-License-Identifier: BSD-3-Clause */
/** The options about several shares in one process. */
#ifndef VIRTIOFS_LIB_DAEMON_OPTIONS_CONTROL_H
#define VIRTIOFS_LIB_DAEMON_OPTIONS_CONTROL_H

#include <argp.h>

/* Its input is the struct virtiofs_daemon_options. */
extern const struct argp virtiofs_daemon_options_control;

#endif
