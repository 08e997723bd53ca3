/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/compat.h"

#define OLD(old, option)                                                                                               \
  { old, option, NULL, VIRTIOFS_DAEMON_SPELLING_OLD }
#define ALIAS(old, option)                                                                                             \
  { old, option, NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS }
#define IGNORED(old, why)                                                                                              \
  { old, NULL, why, VIRTIOFS_DAEMON_SPELLING_IGNORED }
#define REFUSED(old, why)                                                                                              \
  { old, NULL, why, VIRTIOFS_DAEMON_SPELLING_REFUSED }

static const char no_migration[] = "this server can't be migrated yet";

/* The Rust virtiofsd spells it loglevel, the C one log_level. */
const struct virtiofs_daemon_spelling virtiofs_daemon_spellings[] = {
    ALIAS("-h", "--help"),
    ALIAS("--num-request-queues=", "--queues="),
    OLD("--socket=", "--socket-path="),
    OLD("-d", "--log-level=debug"),
    OLD("--debug", "--log-level=debug"),
    OLD("-o debug", "--log-level=debug"),
    OLD("-o loglevel=", "--log-level="),
    OLD("-o log_level=", "--log-level="),
    IGNORED("-f", "the server stays in the foreground without it"),
    IGNORED("-o max_idle_threads=", "--thread-pool-size says how many threads there are"),
    REFUSED("--migration-mode=", no_migration),
    REFUSED("--migration-on-error=", no_migration),
    REFUSED("--migration-verify-handles", no_migration),
    REFUSED("--migration-confirm-paths", no_migration),
    {0},
};
