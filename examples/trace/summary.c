/* SPDX-License-Identifier: BSD-3-Clause */
#include "summary.h"

#include <inttypes.h>
#include <stdlib.h>

/* The last one is for what has no known opcode. */
#define KNOWN 64U

struct op {
  uint64_t count, errors, in, out;
  uint64_t *latencies; /* ns, of those that were answered */
  size_t answered, room;
};

struct summary {
  uint64_t unanswered, unparsed, notifications;
  struct op ops[KNOWN + 1];
};

/* What is shown of the latencies of one operation, ns. */
struct shown {
  uint64_t min, avg, p50, p99, max;
};

struct summary *summary_new(void) {
  return calloc(1, sizeof(struct summary));
}

static int add_latency(struct op *op, uint64_t ns) {
  if (op->answered == op->room) {
    size_t room = op->room == 0 ? 64 : op->room * 2;
    uint64_t *latencies = reallocarray(op->latencies, room, sizeof(*latencies));
    if (latencies == NULL)
      return -1;
    op->latencies = latencies;
    op->room = room;
  }
  op->latencies[op->answered++] = ns;
  return 0;
}

static const char *name_of(uint32_t opcode) {
  return opcode < KNOWN ? virtiofs_fuse_opcode_name(opcode) : "?";
}

int summary_add(struct summary *summary, const struct exchange *exchange) {
  summary->unparsed += exchange->unparsed;
  if (exchange->kind == VIRTIOFS_RECORD_NOTIFICATION) {
    summary->notifications++;
    return 0;
  }
  bool known = exchange->opcode < KNOWN && name_of(exchange->opcode)[0] != '?';
  struct op *op = &summary->ops[known ? exchange->opcode : KNOWN];
  op->count++;
  op->errors += exchange->error != 0;
  op->in += exchange->in_len;
  op->out += exchange->out_len;
  summary->unanswered += !exchange->answered;
  return exchange->answered ? add_latency(op, exchange->end_ns - exchange->start_ns) : 0;
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

/* The smallest latency that @percent of all are not above. */
static uint64_t percentile(const struct op *op, unsigned percent) {
  size_t rank = (op->answered / 100) * percent + (op->answered % 100 * percent + 99) / 100;
  return op->latencies[rank > 0 ? rank - 1 : 0];
}

static struct shown show(struct op *op) {
  long double sum = 0;
  if (op->answered == 0)
    return (struct shown){0};
  qsort(op->latencies, op->answered, sizeof(op->latencies[0]), compare);
  for (size_t i = 0; i < op->answered; i++)
    sum += (long double)op->latencies[i];
  return (struct shown){.min = op->latencies[0],
                        .avg = (uint64_t)(sum / (long double)op->answered),
                        .p50 = percentile(op, 50),
                        .p99 = percentile(op, 99),
                        .max = op->latencies[op->answered - 1]};
}

static double us(uint64_t ns) {
  return (double)ns / 1000;
}

static uint64_t requests(const struct summary *summary) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i <= KNOWN; i++)
    sum += summary->ops[i].count;
  return sum;
}

void summary_print(struct summary *summary, FILE *to) {
  (void)fprintf(to, "%-18s %9s %8s %12s %12s %10s %10s %10s %10s %10s\n", "operation", "count", "errors", "bytes in",
                "bytes out", "min/us", "avg/us", "p50/us", "p99/us", "max/us");
  for (uint32_t i = 0; i <= KNOWN; i++) {
    struct op *op = &summary->ops[i];
    if (op->count == 0)
      continue;
    struct shown ns = show(op);
    (void)fprintf(to, "%-18s %9" PRIu64 " %8" PRIu64 " %12" PRIu64 " %12" PRIu64, name_of(i), op->count, op->errors,
                  op->in, op->out);
    (void)fprintf(to, " %10.1f %10.1f %10.1f %10.1f %10.1f\n", us(ns.min), us(ns.avg), us(ns.p50), us(ns.p99),
                  us(ns.max));
  }
  (void)fprintf(to, "%" PRIu64 " requests, %" PRIu64 " notifications, %" PRIu64 " unanswered, %" PRIu64 " unparsed\n",
                requests(summary), summary->notifications, summary->unanswered, summary->unparsed);
}

void summary_print_json(struct summary *summary, FILE *to) {
  const char *comma = "";
  (void)fprintf(to,
                "{\"requests\": %" PRIu64 ", \"notifications\": %" PRIu64 ", \"unanswered\": %" PRIu64
                ", \"unparsed\": %" PRIu64 ", \"operations\": [",
                requests(summary), summary->notifications, summary->unanswered, summary->unparsed);
  for (uint32_t i = 0; i <= KNOWN; i++) {
    struct op *op = &summary->ops[i];
    if (op->count == 0)
      continue;
    struct shown ns = show(op);
    (void)fprintf(to,
                  "%s\n  {\"operation\": \"%s\", \"count\": %" PRIu64 ", \"errors\": %" PRIu64
                  ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", ",
                  comma, name_of(i), op->count, op->errors, op->in, op->out);
    (void)fprintf(to,
                  "\"latency_ns\": {\"min\": %" PRIu64 ", \"avg\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64
                  ", \"max\": %" PRIu64 "}}",
                  ns.min, ns.avg, ns.p50, ns.p99, ns.max);
    comma = ",";
  }
  (void)fprintf(to, "]}\n");
}

void summary_free(struct summary *summary) {
  if (summary == NULL)
    return;
  for (uint32_t i = 0; i <= KNOWN; i++)
    free(summary->ops[i].latencies);
  free(summary);
}
