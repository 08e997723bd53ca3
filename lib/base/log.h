/* SPDX-License-Identifier: BSD-3-Clause */
/** Thinning out of log lines that a guest can cause. */
#ifndef VIRTIOFS_LIB_BASE_LOG_H
#define VIRTIOFS_LIB_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/log.h>

/* Counts one kind of line. All zero at first. */
struct virtiofs_log_limit {
  _Atomic uint64_t count;
};

/* True for the 1st, 2nd, 4th, 8th ... call; *@count gets the number of calls. Threads: any. */
bool virtiofs_log_limit_pass(struct virtiofs_log_limit *limit, uint64_t *count);

/* The level of a line that tells of one thing each time, and that a guest can have as often as it likes: @level for the
 * first 64, and for the 128th, 256th ...; else VIRTIOFS_LOG_DEBUG. Threads: any. */
enum virtiofs_log_level virtiofs_log_limit_level(struct virtiofs_log_limit *limit, enum virtiofs_log_level level);

/* Would a line of this level be written? For lines that are costly to make. */
bool virtiofs_log_wants(const struct virtiofs_log *log, enum virtiofs_log_level level);

#endif
