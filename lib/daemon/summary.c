/* SPDX-License-Identifier: BSD-3-Clause */
/* The same for people: a line for each opcode, all queues together. */
#include <inttypes.h>
#include <string.h>

#include <virtiofs/fuse.h>

#include "daemon/collect.h"
#include "daemon/metrics_text.h"

#define MICROSECOND 1000U
#define MILLISECOND 1000000U

static void add_up(struct virtiofs_stats_op *sum, const struct virtiofs_stats_op *op) {
  sum->count += op->count;
  sum->errors += op->errors;
  sum->in_bytes += op->in_bytes;
  sum->out_bytes += op->out_bytes;
  sum->time_ns += op->time_ns;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++)
    sum->buckets[i] += op->buckets[i];
}

/* In which so many of a thousand took less than so many nanoseconds. */
static uint64_t below(const struct virtiofs_stats_op *op, uint64_t count, unsigned thousandths) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++) {
    sum += op->buckets[i];
    if (sum * 1000 >= count * thousandths)
      return virtiofs_stats_bound(i);
  }
  return UINT64_MAX;
}

static void show_times(struct virtiofs_daemon_text *text, const struct virtiofs_stats_op *op) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++)
    count += op->buckets[i];
  if (count == 0)
    return;
  virtiofs_daemon_text_add(text, ", mean %" PRIu64 " us", op->time_ns / count / MICROSECOND);
  static const unsigned parts[] = {500, 990, 999};
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    uint64_t bound = below(op, count, parts[i]);
    if (bound == UINT64_MAX)
      virtiofs_daemon_text_add(text, ", %u.%u %% in more than %" PRIu64 " s", parts[i] / 10, parts[i] % 10,
                               virtiofs_stats_bound(VIRTIOFS_STATS_BUCKETS - 2) / UINT64_C(1000000000));
    else
      virtiofs_daemon_text_add(text, ", %u.%u %% below %" PRIu64 ".%03" PRIu64 " us", parts[i] / 10, parts[i] % 10,
                               bound / MICROSECOND, bound % MICROSECOND);
  }
}

static void show_op(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *source, uint32_t opcode) {
  struct virtiofs_stats_op sum = {0}, op;
  uint32_t queues = virtiofs_device_queues(source->dev);
  for (uint32_t queue = 0; queue < queues; queue++)
    if (virtiofs_stats_read_op(source->dev, queue, opcode, &op, sizeof(op)) == 0)
      add_up(&sum, &op);
  if (sum.count == 0)
    return;
  virtiofs_daemon_text_add(text, "%s: %" PRIu64 " requests, %" PRIu64 " errors, %" PRIu64 " bytes in, %" PRIu64 " out",
                           opcode != 0 ? virtiofs_fuse_opcode_name(opcode) : "other", sum.count, sum.errors,
                           sum.in_bytes, sum.out_bytes);
  show_times(text, &sum);
  virtiofs_daemon_text_add(text, "\n");
}

static void show_collected(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *source) {
  struct virtiofs_daemon_source alone = *source;
  struct virtiofs_metrics metrics;
  alone.next = NULL;
  text->failed |= virtiofs_daemon_collect(&metrics, &alone) != 0;
  for (size_t i = 0; i < metrics.count; i++)
    virtiofs_daemon_text_add(text, "%s: %" PRIu64 "\n", metrics.list[i].name, metrics.list[i].value);
  virtiofs_daemon_collect_free(&metrics);
}

void virtiofs_daemon_metrics_summary(struct virtiofs_daemon_text *text, const struct virtiofs_daemon_source *source) {
  struct virtiofs_stats_usage usage;
  virtiofs_stats_read_usage(source->dev, &usage, sizeof(usage));
  virtiofs_daemon_text_add(
      text,
      "%" PRIu64 " of %" PRIu64 " files known, %" PRIu64 " of %" PRIu64 " open, %" PRIu64 " of %" PRIu64 " mappings\n",
      usage.nodes, usage.max_nodes, usage.handles, usage.max_handles, usage.mappings, usage.max_mappings);
  uint32_t queues = virtiofs_device_queues(source->dev);
  for (uint32_t queue = 0; queue < queues; queue++) {
    struct virtiofs_stats_queue stats;
    (void)virtiofs_stats_read_queue(source->dev, queue, &stats, sizeof(stats));
    virtiofs_daemon_text_add(text, "queue %" PRIu32 ": %" PRIu64 " requests, %" PRIu64 " in flight", queue, stats.taken,
                             stats.in_flight);
    if (stats.delays != 0)
      virtiofs_daemon_text_add(text, ", %" PRIu64 " times delayed, %" PRIu64 " ms in all", stats.delays,
                               stats.delayed_ns / MILLISECOND);
    virtiofs_daemon_text_add(text, "\n");
  }
  for (uint32_t opcode = 0; opcode < VIRTIOFS_STATS_OPCODES; opcode++)
    show_op(text, source, opcode);
  show_collected(text, source);
}
