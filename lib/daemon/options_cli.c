/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_cli.h"

#include "daemon/options.h"

enum { SOCKET_GROUP = 0x10400, SYSLOG, ONCE, STAY, DAEMONIZE };

static const struct argp_option options[] = {
    {"socket-group", SOCKET_GROUP, "GROUP", 0, "Let this group connect to the socket of --socket-path", 0},
    {"once", ONCE, NULL, 0, "End when the front-end leaves", 0},
    {"stay", STAY, NULL, 0, "Wait for the next front-end when one leaves", 0},
    {"daemonize", DAEMONIZE, NULL, 0, "Go on in the background once the socket is there", 0},
    {"syslog", SYSLOG, NULL, 0, "Log to the system's log, not to standard error", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_options *said = state->input;
  const bool share = (state->flags & ARGP_NO_EXIT) != 0;
  if (share && (key == SYSLOG || key == DAEMONIZE))
    return virtiofs_daemon_option_error(state, "--daemonize and --syslog are not for one of several shares");
  switch (key) {
  case SOCKET_GROUP:
    said->socket_group = arg;
    return 0;
  case SYSLOG:
    said->syslog = true;
    return 0;
  case ONCE:
  case STAY:
    said->once = key == ONCE;
    return 0;
  case DAEMONIZE:
    said->daemonize = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp virtiofs_daemon_options_cli = {.options = options, .parser = parse};
