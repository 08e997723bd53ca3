/* SPDX-License-Identifier: BSD-3-Clause */
#include "limits.h"

#include <virtiofs/passthrough.h>

void limits_metrics(void *fs, struct virtiofs_metrics *metrics) {
  struct virtiofs_passthrough_usage usage;
  virtiofs_passthrough_usage(fs, &usage, sizeof usage);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_inodes", "Files that are known or locked.", usage.inodes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors", "Descriptors that are kept for the guest.",
                         usage.descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors_limit", "Descriptors that may be kept for it.",
                         usage.max_descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_locks", "Ranges of files that are locked.", usage.locks);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters", "Locks that are waited for.",
                         usage.lock_waiters);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters_limit", "Locks that may be waited for.",
                         usage.max_lock_waiters);
}
