/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above the keys that a program may use, and those of options.c. */
enum { KEY_SANDBOX = 0x10100 };

_Noreturn static void fail(const struct argp_state *state, const char *what, const char *value) {
  (void)fprintf(stderr, value != NULL ? "%s: %s '%s'\n" : "%s: %s\n", state->name, what, value);
  exit(EXIT_FAILURE);
}

/* Which of the names, which are in the enum's order. */
static unsigned one_of(const struct argp_state *state, const char *const *names, const char *what, const char *text) {
  for (unsigned i = 0; names[i] != NULL; i++)
    if (strcmp(text, names[i]) == 0)
      return i;
  fail(state, what, text);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  static const char *const modes[] = {"namespace", "chroot", "none", NULL};
  struct virtiofs_daemon_sandbox_options *options = state->input;
  switch (key) {
  case KEY_SANDBOX:
    options->mode =
        (enum virtiofs_sandbox_mode)one_of(state, modes, "--sandbox must be namespace, chroot or none, not", arg);
    options->mode_said = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
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
    fail(state, "--sandbox must be none with --mountpoint: a mount made in a sandbox is not seen outside", NULL);
  if (mounts)
    options->mode = VIRTIOFS_SANDBOX_NONE;
}
