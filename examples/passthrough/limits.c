/* SPDX-License-Identifier: BSD-3-Clause */
#include "limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <virtiofs/daemon.h>

#define LOCKS_MAX (1U << 20)

/* Options that have no letter; those of the program's other files have other keys. */
enum { MAX_LOCKS = 0x700 };

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *value) {
  char *end;
  errno = 0;
  unsigned long long got = strtoull(text, &end, 10);
  *value = got;
  return errno == 0 && *text >= '0' && *text <= '9' && *end == 0 && got >= least && got <= most;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct limits *limits = state->input;
  uint64_t value;
  switch (key) {
  case MAX_LOCKS:
    if (!number(arg, 1, LOCKS_MAX, &value))
      return virtiofs_daemon_option_error(state, "--max-locks must be 1 to %u, not '%s'", LOCKS_MAX, arg);
    limits->max_locks = (uint32_t)value;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"max-locks", MAX_LOCKS, "N", 0, "Ranges of files that one guest may have locked, 1 to 1048576 (default 8192)", 0},
    {0},
};

const struct argp limits_argp = {.options = options, .parser = parse};

void limits_into(const struct limits *limits, struct virtiofs_passthrough_config *config) {
  config->max_locks = limits->max_locks;
}

void limits_metrics(void *fs, struct virtiofs_metrics *metrics) {
  struct virtiofs_passthrough_usage usage;
  virtiofs_passthrough_usage(fs, &usage, sizeof usage);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_inodes", "Files that are known or locked.", usage.inodes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors", "Descriptors that are kept for the guest.",
                         usage.descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors_limit", "Descriptors that may be kept for it.",
                         usage.max_descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_locks", "Ranges of files that are locked.", usage.locks);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_locks_limit", "Ranges that one guest may have locked.",
                         usage.max_locks);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters", "Locks that are waited for.",
                         usage.lock_waiters);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters_limit", "Locks that may be waited for.",
                         usage.max_lock_waiters);
}
