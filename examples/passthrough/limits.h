/* SPDX-License-Identifier: BSD-3-Clause */
/** Options about what a guest may use up of the host, and what it has. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_LIMITS_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_LIMITS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/metrics.h>
#include <virtiofs/passthrough.h>

/** What they say; input of limits_argp, all zero at first. */
struct limits {
  uint32_t max_locks;
  uint64_t quota_bytes, quota_inodes;
  bool quota_scan;
  uint64_t max_dirty;
};

extern const struct argp limits_argp;

/** limits_into - put it into the server's config. */
void limits_into(const struct limits *limits, struct virtiofs_passthrough_config *config);

/** limits_metrics - virtiofs_daemon_config.metrics of a virtiofs_passthrough. */
void limits_metrics(void *fs, struct virtiofs_metrics *metrics);

#endif
