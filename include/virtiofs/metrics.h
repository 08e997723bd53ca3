/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Numbers of a program's own among those that its server tells: on --metrics' socket and for SIGUSR1 (daemon.h). In
 * libvirtiofs-daemon. docs/monitoring.md has those that each server tells.
 */
#ifndef VIRTIOFS_METRICS_H
#define VIRTIOFS_METRICS_H

#include <stdint.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where numbers go while they are collected. Opaque. */
struct virtiofs_metrics;

/**
 * virtiofs_metrics_gauge - a number that goes up and down
 * virtiofs_metrics_counter - one that only grows while the server runs; its name ends in "_total"
 * @name: of letters, digits and '_', as "PROGRAM_what_unit"; one that is not is left out, as is a second of one name
 * @help: one line
 *
 * Both strings must be constants. Which share they are of is added. Threads: the one that asks for them
 * (virtiofs_daemon_config.metrics), within that.
 */
VIRTIOFS_EXPORT void virtiofs_metrics_gauge(struct virtiofs_metrics *metrics, const char *name, const char *help,
                                            uint64_t value);
VIRTIOFS_EXPORT void virtiofs_metrics_counter(struct virtiofs_metrics *metrics, const char *name, const char *help,
                                              uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
