/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_control.h"

#include "daemon/options.h"

enum { KEY_CONTROL = 0x10300, KEY_SHARES };

static const struct argp_option options[] = {
    {"control", KEY_CONTROL, "PATH", 0, "Add and remove shares by this UNIX socket, with virtiofs-ctl", 0},
    {"shares", KEY_SHARES, "FILE", 0, "Serve all shares that this file says in JSON; the man page has its form", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_options *parsed = state->input;
  switch (key) {
  case KEY_CONTROL:
    parsed->control = arg;
    return 0;
  case KEY_SHARES:
    parsed->shares = arg;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp virtiofs_daemon_options_control = {.options = options, .parser = parse};
