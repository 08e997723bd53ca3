/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <virtiofs/fuse.h>

#include "daemon/collect.h"

#define SECOND 1e9

/* Room for a tag, or the better part of a path. */
struct label {
  char str[256];
};

static struct label label_of(const char *share) {
  struct label label;
  size_t at = 0;
  for (; *share != 0 && at + 2 < sizeof(label.str); share++) {
    if (*share == '"' || *share == '\\')
      label.str[at++] = '\\';
    label.str[at++] = *share;
  }
  label.str[at] = 0;
  return label;
}

struct op_name {
  char str[24];
};

/* Of what has no name, the number; 0 is all that is counted together. */
static struct op_name op_name(uint32_t opcode) {
  struct op_name name = {"other"};
  const char *known = virtiofs_fuse_opcode_name(opcode);
  if (opcode != 0 && strcmp(known, "?") != 0)
    (void)snprintf(name.str, sizeof(name.str), "%s", known);
  else if (opcode != 0)
    (void)snprintf(name.str, sizeof(name.str), "%" PRIu32, opcode);
  return name;
}

static void begin_family(struct virtiofs_daemon_text *text, const char *name, const char *help, const char *type) {
  virtiofs_daemon_text_add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- by queue and opcode ---- */

/* One queue's requests of one opcode, of which there were some. */
struct place {
  struct label share;
  uint32_t queue;
  struct op_name op;
  struct virtiofs_stats_op stats;
};

typedef void show_op_fn(struct virtiofs_daemon_text *text, const struct place *place);

static void each_op(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources, show_op_fn *show) {
  for (; sources != NULL; sources = sources->next) {
    struct place place = {.share = label_of(sources->share)};
    uint32_t queues = virtiofs_device_queues(sources->dev);
    for (place.queue = 0; place.queue < queues; place.queue++) {
      for (uint32_t opcode = 0; opcode < VIRTIOFS_STATS_OPCODES; opcode++) {
        (void)virtiofs_stats_read_op(sources->dev, place.queue, opcode, &place.stats, sizeof(place.stats));
        place.op = op_name(opcode);
        if (place.stats.count != 0)
          show(text, &place);
      }
    }
  }
}

static void show_op(struct virtiofs_daemon_text *text, const struct place *place, const char *name, uint64_t value) {
  virtiofs_daemon_text_add(text, "%s{share=\"%s\",queue=\"%" PRIu32 "\",opcode=\"%s\"} %" PRIu64 "\n", name,
                           place->share.str, place->queue, place->op.str, value);
}

static void show_count(struct virtiofs_daemon_text *text, const struct place *place) {
  show_op(text, place, "virtiofs_requests_total", place->stats.count);
}

static void show_errors(struct virtiofs_daemon_text *text, const struct place *place) {
  show_op(text, place, "virtiofs_request_errors_total", place->stats.errors);
}

static void show_in_bytes(struct virtiofs_daemon_text *text, const struct place *place) {
  show_op(text, place, "virtiofs_request_in_bytes_total", place->stats.in_bytes);
}

static void show_out_bytes(struct virtiofs_daemon_text *text, const struct place *place) {
  show_op(text, place, "virtiofs_request_out_bytes_total", place->stats.out_bytes);
}

/* A histogram's buckets each hold those before it, too. What came while we read may be in one number and not in
 * another, so the last bucket is the count. */
static void show_duration(struct virtiofs_daemon_text *text, const struct place *place) {
  static const char name[] = "virtiofs_request_duration_seconds";
  uint64_t sum = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++)
    sum += place->stats.buckets[i];
  if (sum == 0)
    return;
  sum = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++) {
    char bound[32] = "+Inf";
    sum += place->stats.buckets[i];
    if (virtiofs_stats_bound(i) != UINT64_MAX)
      (void)snprintf(bound, sizeof(bound), "%.9g", (double)virtiofs_stats_bound(i) / SECOND);
    virtiofs_daemon_text_add(text,
                             "%s_bucket{share=\"%s\",queue=\"%" PRIu32 "\",opcode=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                             name, place->share.str, place->queue, place->op.str, bound, sum);
  }
  virtiofs_daemon_text_add(text, "%s_sum{share=\"%s\",queue=\"%" PRIu32 "\",opcode=\"%s\"} %.9g\n", name,
                           place->share.str, place->queue, place->op.str, (double)place->stats.time_ns / SECOND);
  virtiofs_daemon_text_add(text, "%s_count{share=\"%s\",queue=\"%" PRIu32 "\",opcode=\"%s\"} %" PRIu64 "\n", name,
                           place->share.str, place->queue, place->op.str, sum);
}

static void show_ops(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources) {
  begin_family(text, "virtiofs_requests_total", "Requests that were answered.", "counter");
  each_op(text, sources, show_count);
  begin_family(text, "virtiofs_request_errors_total", "Requests that were answered with an error.", "counter");
  each_op(text, sources, show_errors);
  begin_family(text, "virtiofs_request_in_bytes_total", "Bytes of requests, WRITE's data among them.", "counter");
  each_op(text, sources, show_in_bytes);
  begin_family(text, "virtiofs_request_out_bytes_total", "Bytes of replies, READ's data among them.", "counter");
  each_op(text, sources, show_out_bytes);
  begin_family(text, "virtiofs_request_duration_seconds", "From the taking of a request to its giving back.",
               "histogram");
  each_op(text, sources, show_duration);
}

/* ---- by queue ---- */

typedef uint64_t queue_value_fn(const struct virtiofs_stats_queue *stats);

static uint64_t taken(const struct virtiofs_stats_queue *stats) {
  return stats->taken;
}

static uint64_t delays(const struct virtiofs_stats_queue *stats) {
  return stats->delays;
}

static uint64_t delayed(const struct virtiofs_stats_queue *stats) {
  return stats->delayed_ns;
}

static uint64_t in_flight(const struct virtiofs_stats_queue *stats) {
  return stats->in_flight;
}

static void show_queues(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources) {
  static const struct {
    const char *name, *help, *type;
    queue_value_fn *value;
    bool time; /* in nanoseconds; told in seconds */
  } families[] = {
      {"virtiofs_queue_taken_total", "Requests that were taken from the queue.", "counter", taken, false},
      {"virtiofs_queue_delays_total", "How often requests had to wait for the rate.", "counter", delays, false},
      {"virtiofs_queue_delayed_seconds_total", "How long they had to, in all.", "counter", delayed, true},
      {"virtiofs_queue_in_flight", "Requests that were taken and not answered yet.", "gauge", in_flight, false},
  };
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    begin_family(text, families[i].name, families[i].help, families[i].type);
    for (const struct virtiofs_daemon_source *source = sources; source != NULL; source = source->next) {
      struct label share = label_of(source->share);
      uint32_t queues = virtiofs_device_queues(source->dev);
      for (uint32_t queue = 0; queue < queues; queue++) {
        struct virtiofs_stats_queue stats;
        (void)virtiofs_stats_read_queue(source->dev, queue, &stats, sizeof(stats));
        uint64_t value = families[i].value(&stats);
        virtiofs_daemon_text_add(text, "%s{share=\"%s\",queue=\"%" PRIu32 "\"} ", families[i].name, share.str, queue);
        if (families[i].time)
          virtiofs_daemon_text_add(text, "%.9g\n", (double)value / SECOND);
        else
          virtiofs_daemon_text_add(text, "%" PRIu64 "\n", value);
      }
    }
  }
}

/* ---- by share ---- */

static void show_usage(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources) {
  static const struct {
    const char *name, *help;
    size_t offset;
  } families[] = {
      {"virtiofs_nodes", "Files that the guest knows.", offsetof(struct virtiofs_stats_usage, nodes)},
      {"virtiofs_nodes_limit", "Files that the guest may know.", offsetof(struct virtiofs_stats_usage, max_nodes)},
      {"virtiofs_handles", "Open files of the guest.", offsetof(struct virtiofs_stats_usage, handles)},
      {"virtiofs_handles_limit", "Open files that it may have.", offsetof(struct virtiofs_stats_usage, max_handles)},
      {"virtiofs_mappings", "Mappings in the DAX window.", offsetof(struct virtiofs_stats_usage, mappings)},
      {"virtiofs_mappings_limit", "Mappings that there may be; 0: no window.",
       offsetof(struct virtiofs_stats_usage, max_mappings)},
  };
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    begin_family(text, families[i].name, families[i].help, "gauge");
    for (const struct virtiofs_daemon_source *source = sources; source != NULL; source = source->next) {
      struct virtiofs_stats_usage usage;
      uint64_t value;
      virtiofs_stats_read_usage(source->dev, &usage, sizeof(usage));
      memcpy(&value, (const char *)&usage + families[i].offset, sizeof(value));
      virtiofs_daemon_text_add(text, "%s{share=\"%s\"} %" PRIu64 "\n", families[i].name, label_of(source->share).str,
                               value);
    }
  }
}

/* What the programs tell of themselves. */
static void show_collected(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources) {
  struct virtiofs_metrics metrics;
  text->failed |= virtiofs_daemon_collect(&metrics, sources) != 0;
  for (size_t i = 0; i < metrics.count; i++) {
    const struct virtiofs_metric *metric = &metrics.list[i];
    if (i == 0 || strcmp(metrics.list[i - 1].name, metric->name) != 0)
      begin_family(text, metric->name, metric->help, metric->counter ? "counter" : "gauge");
    virtiofs_daemon_text_add(text, "%s{share=\"%s\"} %" PRIu64 "\n", metric->name, label_of(metric->share).str,
                             metric->value);
  }
  virtiofs_daemon_collect_free(&metrics);
}

void virtiofs_daemon_metrics_text(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *sources) {
  begin_family(text, "virtiofs_build_info", "The library.", "gauge");
  virtiofs_daemon_text_add(text, "virtiofs_build_info{version=\"%s\"} 1\n", virtiofs_version_string());
  show_ops(text, sources);
  show_queues(text, sources);
  show_usage(text, sources);
  show_collected(text, sources);
}
