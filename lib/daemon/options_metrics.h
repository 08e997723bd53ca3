/* SPDX-License-Identifier: BSD-3-Clause */
/** Options about what a guest may use up, and about watching it. */
#ifndef VIRTIOFS_LIB_DAEMON_OPTIONS_METRICS_H
#define VIRTIOFS_LIB_DAEMON_OPTIONS_METRICS_H

#include <argp.h>
#include <stdint.h>

/* Input of virtiofs_daemon_metrics_argp; all zero at first. */
struct virtiofs_daemon_limits {
  const char *metrics;              /* where to tell; NULL: nowhere */
  uint64_t rate_ops, rate_bytes;    /* a second; 0: any */
  uint32_t rate_burst_ms;           /* 0: default */
  uint32_t max_in_flight;           /* of a queue; 0: any */
  uint32_t max_mappings;            /* in the window; 0: default */
  uint64_t max_inodes, max_handles; /* 0: as the program has it */
};

extern const struct argp virtiofs_daemon_metrics_argp;

#endif
