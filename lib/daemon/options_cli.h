/* SPDX-License-Identifier: BSD-3-Clause */
/** Options of every server about its surroundings: who may connect, when it ends, where its lines go. */
#ifndef VIRTIOFS_LIB_DAEMON_OPTIONS_CLI_H
#define VIRTIOFS_LIB_DAEMON_OPTIONS_CLI_H

#include <argp.h>

/** Its input is a struct virtiofs_daemon_options. */
extern const struct argp virtiofs_daemon_options_cli;

#endif
