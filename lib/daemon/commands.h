/* SPDX-License-Identifier: BSD-3-Clause */
/** What the requests on a control socket do: docs/control.md. */
#ifndef VIRTIOFS_LIB_DAEMON_COMMANDS_H
#define VIRTIOFS_LIB_DAEMON_COMMANDS_H

#include "daemon/connection.h"
#include "daemon/reply.h"
#include "daemon/shares.h"

/** What they do it to. */
struct virtiofs_daemon_commands {
  struct virtiofs_daemon_shares *shares;
  struct virtiofs_daemon_process_view process;
  bool stop; /* somebody wants the process to end */
};

/**
 * Does what a line asks for. The reply is sent, or waits in @c for a share; then no other line of @c is to be looked at
 * until it has got it.
 */
void virtiofs_daemon_command_run(struct virtiofs_daemon_commands *commands, struct virtiofs_daemon_connection *c,
                                 const char *line, size_t len);

/* A share has started or ended: the reply to who has waited for that. Return: is it sent? */
bool virtiofs_daemon_command_finish(struct virtiofs_daemon_connection *c,
                                    const struct virtiofs_daemon_share_view *view);

#endif
