/* SPDX-License-Identifier: BSD-3-Clause */
/** What a guest may use up of the host, and what it has. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_LIMITS_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_LIMITS_H

#include <virtiofs/metrics.h>

/** limits_metrics - virtiofs_daemon_config.metrics of a virtiofs_passthrough. */
void limits_metrics(void *fs, struct virtiofs_metrics *metrics);

#endif
