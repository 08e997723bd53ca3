/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_metrics.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <virtiofs/daemon.h>

#define IDS_MAX (UINT64_C(1) << 27)
#define SHOWN_MAX 100

/* Beside those of options.c. */
enum {
  KEY_METRICS = 0x10200,
  KEY_MAX_INODES,
  KEY_MAX_HANDLES,
};

static const struct argp_option argp_options[] = {
    {"metrics", KEY_METRICS, "PATH|ADDR", 0,
     "Tell what is done, and how long it takes, as Prometheus text on this UNIX socket, 127.0.0.1:PORT or [::1]:PORT",
     0},
    {"max-inodes", KEY_MAX_INODES, "N", 0, "Files that a guest may know, 1 to 134217728 (default 1048576)", 0},
    {"max-handles", KEY_MAX_HANDLES, "N", 0, "Files that a guest may have open, 1 to 134217728 (default 65536)", 0},
    {0},
};

static error_t fail(const struct argp_state *state, const char *what, const char *value) {
  return virtiofs_daemon_option_error(state, "%s '%.*s'", what, SHOWN_MAX, value);
}

/* Decimal digits and nothing else, no less than @low and no more than @high. */
static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *value) {
  char *end;
  errno = 0;
  unsigned long long got = strtoull(text, &end, 10);
  *value = got;
  return errno == 0 && isdigit((unsigned char)text[0]) && *end == 0 && got >= low && got <= high;
}

/* One of several in the process. */
static bool is_share(const struct argp_state *state) {
  return (state->flags & ARGP_NO_EXIT) != 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_limits *limits = state->input;
  switch (key) {
  case KEY_METRICS:
    if (is_share(state))
      return virtiofs_daemon_option_error(state, "no --metrics for one of several shares: the process has it");
    limits->metrics = arg;
    return arg[0] != 0 ? 0 : fail(state, "--metrics must be a path, 127.0.0.1:PORT or [::1]:PORT, not", arg);
  case KEY_MAX_INODES:
    return number(arg, 1, IDS_MAX, &limits->max_inodes) ? 0
                                                        : fail(state, "--max-inodes must be 1 to 134217728, not", arg);
  case KEY_MAX_HANDLES:
    return number(arg, 1, IDS_MAX, &limits->max_handles)
               ? 0
               : fail(state, "--max-handles must be 1 to 134217728, not", arg);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp virtiofs_daemon_metrics_argp = {.options = argp_options, .parser = parse};
