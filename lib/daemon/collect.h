/* SPDX-License-Identifier: BSD-3-Clause */
/** Numbers that the shares' programs tell. */
#ifndef VIRTIOFS_LIB_DAEMON_COLLECT_H
#define VIRTIOFS_LIB_DAEMON_COLLECT_H

#include <stdbool.h>

#include "daemon/metrics_text.h"

#define VIRTIOFS_COLLECT_MAX 64U /* names of one share */

struct virtiofs_metric {
  const char *name, *help, *share;
  bool counter;
  uint64_t value;
};

struct virtiofs_metrics {
  const char *share;
  size_t count, share_begin; /* where the share's own begin */
  size_t max;
  struct virtiofs_metric *list;
};

/* Those of all shares, the same names together. 0 or -ENOMEM. */
int virtiofs_daemon_collect(struct virtiofs_metrics *metrics, const struct virtiofs_daemon_source *sources);
void virtiofs_daemon_collect_free(struct virtiofs_metrics *metrics);

#endif
