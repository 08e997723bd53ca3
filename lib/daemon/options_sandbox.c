/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

/* Above the keys that a program may use, and those of options.c. */
enum { KEY_SANDBOX = 0x10100, KEY_SECCOMP, KEY_MODCAPS, KEY_NOFILE };

static const char *const modes[] = {"namespace", "chroot", "none", NULL};
static const char *const filters[] = {"kill", "trap", "log", "none", NULL};

/* Which of the names, which are in the enum's order; -1: none of them. */
static int one_of(const char *const *names, const char *text) {
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(text, names[i]) == 0)
      return i;
  return -1;
}

static error_t set_mode(const struct argp_state *state, struct virtiofs_daemon_sandbox_options *options,
                        const char *text) {
  int mode = one_of(modes, text);
  if (mode < 0)
    return virtiofs_daemon_option_error(state, "--sandbox must be namespace, chroot or none, not '%s'", text);
  options->mode = (enum virtiofs_sandbox_mode)mode;
  options->mode_said = true;
  return 0;
}

static error_t set_seccomp(const struct argp_state *state, struct virtiofs_daemon_sandbox_options *options,
                           const char *text) {
  int filter = one_of(filters, text);
  if (filter < 0)
    return virtiofs_daemon_option_error(state, "--seccomp must be kill, trap, log or none, not '%s'", text);
  options->seccomp = (enum virtiofs_sandbox_seccomp)filter;
  return 0;
}

static error_t set_open_files(const struct argp_state *state, struct virtiofs_daemon_sandbox_options *options,
                              const char *text) {
  char *end;
  errno = 0;
  options->open_files = strtoull(text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != 0 || options->open_files > INT32_MAX)
    return virtiofs_daemon_option_error(state, "--rlimit-nofile must be a number of descriptors, not '%s'", text);
  options->open_files_said = true;
  return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_sandbox_options *options = state->input;
  if (key < KEY_SANDBOX || key > KEY_NOFILE)
    return ARGP_ERR_UNKNOWN;
  if ((state->flags & ARGP_NO_EXIT) != 0)
    return virtiofs_daemon_option_error(state, "the sandbox is the process's, not one of several shares'");
  if (key == KEY_SANDBOX)
    return set_mode(state, options, arg);
  if (key == KEY_SECCOMP)
    return set_seccomp(state, options, arg);
  if (key == KEY_NOFILE)
    return set_open_files(state, options, arg);
  if (virtiofs_sandbox_modcaps(arg, &options->add_capabilities, &options->remove_capabilities) != 0)
    return virtiofs_daemon_option_error(state, "--modcaps must be like +sys_admin:-chown, not '%s'", arg);
  return 0;
}

static const struct argp_option argp_options[] = {
    {"sandbox", KEY_SANDBOX, "MODE", 0,
     "What the server sees of the host: namespace (what it serves, the default), chroot (the same, for root in a "
     "container without namespaces), or none (all; the default with --mountpoint)",
     0},
    {"seccomp", KEY_SECCOMP, "MODE", 0,
     "What becomes of a server that makes a system call that it has no need of: kill (it dies, the default), trap (and "
     "says which), log (the kernel's log has it) or none (nothing)",
     0},
    {"modcaps", KEY_MODCAPS, "+A:-B", 0, "Keep capability A too, and give B up: +sys_admin:-chown, for example", 0},
    {"rlimit-nofile", KEY_NOFILE, "N", 0,
     "Most open descriptors; 0: as it is (default 1000000, or what the host allows at most)", 0},
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
