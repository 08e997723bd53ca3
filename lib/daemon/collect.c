/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  size_t first = strspn(name, letters);
  return first > 0 && first + strspn(name + first, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") ==
                          strlen(name);
}

static void add(struct virtiofs_metrics *metrics, const struct virtiofs_metric *metric) {
  bool room = metrics->count < metrics->max && metrics->count - metrics->share_begin < VIRTIOFS_COLLECT_MAX;
  if (!room || !is_name(metric->name))
    return;
  for (size_t i = metrics->share_begin; i < metrics->count; i++)
    if (strcmp(metrics->list[i].name, metric->name) == 0)
      return;
  metrics->list[metrics->count] = *metric;
  metrics->list[metrics->count++].share = metrics->share;
}

void virtiofs_metrics_gauge(struct virtiofs_metrics *metrics, const char *name, const char *help, uint64_t value) {
  add(metrics, &(struct virtiofs_metric){.name = name, .help = help, .value = value});
}

void virtiofs_metrics_counter(struct virtiofs_metrics *metrics, const char *name, const char *help, uint64_t value) {
  add(metrics, &(struct virtiofs_metric){.name = name, .help = help, .counter = true, .value = value});
}

static int by_name(const void *a, const void *b) {
  const struct virtiofs_metric *one = a, *other = b;
  int rc = strcmp(one->name, other->name);
  return rc != 0 ? rc : strcmp(one->share, other->share);
}

int virtiofs_daemon_collect(struct virtiofs_metrics *metrics, const struct virtiofs_daemon_source *sources) {
  size_t shares = 0;
  *metrics = (struct virtiofs_metrics){0};
  for (const struct virtiofs_daemon_source *source = sources; source != NULL; source = source->next)
    shares++;
  metrics->max = shares * VIRTIOFS_COLLECT_MAX;
  metrics->list = calloc(metrics->max + 1, sizeof(metrics->list[0]));
  if (metrics->list == NULL)
    return -ENOMEM;
  for (const struct virtiofs_daemon_source *source = sources; source != NULL; source = source->next) {
    metrics->share = source->share;
    metrics->share_begin = metrics->count;
    if (source->metrics != NULL)
      source->metrics(source->fs, metrics);
  }
  qsort(metrics->list, metrics->count, sizeof(metrics->list[0]), by_name);
  return 0;
}

void virtiofs_daemon_collect_free(struct virtiofs_metrics *metrics) {
  free(metrics->list);
  metrics->list = NULL;
}
