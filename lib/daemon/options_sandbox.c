/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_sandbox.h"

#include <string.h>

#include <virtiofs/daemon.h>

/* Above the keys that a program may use, and those of options.c. */
enum { KEY_SANDBOX = 0x10100 };

static const char *const modes[] = {"namespace", "chroot", "none", NULL};

/* Which of the names, which are in the enum's order; -1: none of them. */
static int one_of(const char *const *names, const char *text) {
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(text, names[i]) == 0)
      return i;
  return -1;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_sandbox_options *options = state->input;
  if (key != KEY_SANDBOX)
    return ARGP_ERR_UNKNOWN;
  if ((state->flags & ARGP_NO_EXIT) != 0) /* one of several shares in the process */
    return virtiofs_daemon_option_error(state, "no --sandbox for one of several shares");
  int mode = one_of(modes, arg);
  if (mode < 0)
    return virtiofs_daemon_option_error(state, "--sandbox must be namespace, chroot or none, not '%s'", arg);
  options->mode = (enum virtiofs_sandbox_mode)mode;
  options->mode_said = true;
  return 0;
}

static const struct argp_option argp_options[] = {
    {"sandbox", KEY_SANDBOX, "MODE", 0,
     "What the server sees of the host: namespace (what it serves, the default), chroot (the same, for root in a "
     "container without namespaces), or none (all; the default with --mountpoint)",
     0},
    {0},
};

const struct argp virtiofs_daemon_sandbox_argp = {.options = argp_options, .parser = parse};

void virtiofs_daemon_sandbox_options_check(const struct argp_state *state,
                                           struct virtiofs_daemon_sandbox_options *options, bool mounts) {
  if (mounts && options->mode_said && options->mode != VIRTIOFS_SANDBOX_NONE)
    (void)virtiofs_daemon_option_error(
        state, "--sandbox must be none with --mountpoint: a mount made in a sandbox is not seen outside");
  if (mounts)
    options->mode = VIRTIOFS_SANDBOX_NONE;
}
