/* SPDX-License-Identifier: BSD-3-Clause */
/** The command line that every server has. */
#ifndef VIRTIOFS_LIB_DAEMON_OPTIONS_H
#define VIRTIOFS_LIB_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/daemon.h>

#include "daemon/compat.h"
#include "daemon/options_metrics.h"
#include "daemon/options_sandbox.h"
#include "daemon/request.h"

struct virtiofs_daemon_options {
  const char *socket_path; /* one of the three: NULL, */
  int fd;                  /* -1, */
  const char *mountpoint;  /* or NULL if it isn't it */
  const char *tag;         /* NULL: none */
  uint32_t queues;         /* 0: not said */
  uint32_t pool_threads;
  uint32_t pool_asked; /* what was said, which may be more */
  uint64_t cache_size; /* of the DAX window; 0: none */
  uint32_t poll_us;    /* as struct virtiofs_device_config has it */
  const char *record;  /* NULL: nothing is recorded */
  uint32_t record_data;
  enum virtiofs_log_level log_level;
  bool log_off; /* nothing is said at all */
  bool syslog;
  bool print_capabilities;
  struct virtiofs_daemon_sandbox_options sandbox;
  bool once;                            /* ends when the front-end leaves */
  bool daemonize;                       /* goes on in the background */
  const char *socket_group;             /* who may connect to socket_path; NULL: its owner */
  const char *control;                  /* socket by which shares are added; NULL: none */
  const char *shares;                   /* file that has those from the start; NULL: none */
  struct virtiofs_daemon_compat compat; /* the strings above are in there */
  struct virtiofs_daemon_limits limits;
};

/* Fills @options, to be given to virtiofs_daemon_options_free(). Ends the process for --help, --usage, --version, and
 * with status 1 and a line on stderr for what is wrong. */
void virtiofs_daemon_options_parse(struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                                   int argc, char **argv);

/**
 * The same for one of several shares: with what @options has already, and @input for the program's parser. @argv may be
 * reordered; @options points into it. 0; -EINVAL, -ENOMEM and @error.
 */
int virtiofs_daemon_options_parse_share(struct virtiofs_daemon_options *options,
                                        const struct virtiofs_daemon_config *config, void *input, int argc, char **argv,
                                        struct virtiofs_daemon_error *error);
void virtiofs_daemon_options_free(struct virtiofs_daemon_options *options);

#endif
