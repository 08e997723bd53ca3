/* SPDX-License-Identifier: BSD-3-Clause */
/** What the shares of a process have done, as Prometheus has it (text format 0.0.4), and in a few lines for people. */
#ifndef VIRTIOFS_LIB_DAEMON_METRICS_TEXT_H
#define VIRTIOFS_LIB_DAEMON_METRICS_TEXT_H

#include <virtiofs/metrics.h>
#include <virtiofs/stats.h>

#include "daemon/text.h"

/** One share. The pointers are borrowed. */
struct virtiofs_daemon_source {
  const char *share; /* its name: the tag; no two have the same */
  const struct virtiofs_device *dev;
  void (*metrics)(void *fs, struct virtiofs_metrics *metrics); /* NULL: the program tells nothing */
  void *fs;
  struct virtiofs_daemon_source *next;
};

void virtiofs_daemon_metrics_text(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources);

/* Lines of one share, each ended by a newline: those of what was done at all. */
void virtiofs_daemon_metrics_summary(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *source);

#endif
