/* SPDX-License-Identifier: BSD-3-Clause */
/** The options of every server that are about what its process may do. */
#ifndef VIRTIOFS_LIB_DAEMON_OPTIONS_SANDBOX_H
#define VIRTIOFS_LIB_DAEMON_OPTIONS_SANDBOX_H

#include <argp.h>
#include <stdbool.h>

#include <virtiofs/sandbox.h>

/** What they say; input of virtiofs_daemon_sandbox_argp. */
struct virtiofs_daemon_sandbox_options {
  enum virtiofs_sandbox_mode mode;
  bool mode_said;
  enum virtiofs_sandbox_seccomp seccomp;
  uint64_t add_capabilities, remove_capabilities;
  uint64_t open_files; /* RLIMIT_NOFILE; 0: as it is */
  bool open_files_said;
};

extern const struct argp virtiofs_daemon_sandbox_argp;

/* Once all are parsed: virtiofs_daemon_option_error() if they don't go together. */
void virtiofs_daemon_sandbox_options_check(const struct argp_state *state,
                                           struct virtiofs_daemon_sandbox_options *options, bool mounts);

#endif
