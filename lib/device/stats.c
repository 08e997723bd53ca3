/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/stats.h>

#include <errno.h>
#include <string.h>

#include "device/device.h"

#define FIRST_BOUND UINT64_C(256)

uint64_t virtiofs_stats_bound(uint32_t bucket) {
  return bucket < VIRTIOFS_STATS_BUCKETS - 1 ? FIRST_BOUND << bucket : UINT64_MAX;
}

static uint64_t load(const _Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

/* To a caller whose struct may be of another release. */
static void hand_over(void *out, size_t size, const void *ours, size_t our_size) {
  memset(out, 0, size);
  memcpy(out, ours, size < our_size ? size : our_size);
}

int virtiofs_stats_read_op(const struct virtiofs_device *dev, uint32_t queue, uint32_t opcode,
                           struct virtiofs_stats_op *out, size_t size) {
  if (queue >= dev->vrings || opcode >= VIRTIOFS_STATS_OPCODES)
    return -EINVAL;
  const struct virtiofs_counters_op *op = &dev->queues[queue].counters->ops[opcode];
  struct virtiofs_stats_op stats = {.count = load(&op->count),
                                    .errors = load(&op->errors),
                                    .in_bytes = load(&op->in_bytes),
                                    .out_bytes = load(&op->out_bytes),
                                    .time_ns = load(&op->time_ns)};
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++)
    stats.buckets[i] = load(&op->buckets[i]);
  hand_over(out, size, &stats, sizeof(stats));
  return 0;
}

int virtiofs_stats_read_queue(const struct virtiofs_device *dev, uint32_t queue, struct virtiofs_stats_queue *out,
                              size_t size) {
  if (queue >= dev->vrings)
    return -EINVAL;
  const struct virtiofs_counters *counters = dev->queues[queue].counters;
  struct virtiofs_stats_queue stats = {
      .taken = load(&counters->taken), .delays = load(&counters->delays), .delayed_ns = load(&counters->delayed_ns)};
  uint64_t given = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_OPCODES; i++)
    given += load(&counters->ops[i].count);
  /* Some may have come and gone since the first look. */
  stats.in_flight = stats.taken > given ? stats.taken - given : 0;
  hand_over(out, size, &stats, sizeof(stats));
  return 0;
}

void virtiofs_stats_read_usage(const struct virtiofs_device *dev, struct virtiofs_stats_usage *out, size_t size) {
  struct virtiofs_session_usage usage;
  virtiofs_session_usage(dev->session, &usage);
  struct virtiofs_stats_usage stats = {.nodes = usage.nodes,
                                       .max_nodes = usage.max_nodes,
                                       .handles = usage.handles,
                                       .max_handles = usage.max_handles,
                                       .mappings = usage.mappings,
                                       .max_mappings = usage.max_mappings};
  hand_over(out, size, &stats, sizeof(stats));
}
