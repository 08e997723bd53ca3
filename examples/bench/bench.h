/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of virtiofs-bench share. */
#ifndef VIRTIOFS_BENCH_H
#define VIRTIOFS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <virtiofs/client.h>

enum { SLOTS_MAX = 256, NAME_MAX_BYTES = 64 };

/* ---- latencies ---- */

/* Counts by power of two and 1/32 of it: 3 % off at most. */
struct histogram {
  uint64_t counts[64 * 32];
  uint64_t total;
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* ns that @share of all, 0 .. 1, took at most. */
uint64_t histogram_quantile(const struct histogram *h, double share);

/* ---- what is measured ---- */

struct files {
  uint64_t root, file, handle; /* of a file that is there, open */
  uint64_t dir;                /* a directory of @dir_entries names */
  uint64_t file_size;
  uint32_t dir_entries;
  char name[NAME_MAX_BYTES]; /* of the bench's own directory, which is @root */
};

/* Nodes to be given back, a batch at a time, on the queue for that. */
enum { FORGETS = 64 };
struct forgets {
  struct virtiofs_client *client;
  uint64_t nodes[FORGETS];
  unsigned count;
};

void forget(struct forgets *forgets, uint64_t node);
/* What is left of a batch; any thread. */
void forget_all(struct forgets *forgets);

/* One request in flight, and the steps of an operation. */
struct slot {
  struct virtiofs_client_request *req;
  const struct op *op;
  const struct files *files;
  struct forgets *forgets;
  uint64_t begun, random, offset;
  uint32_t step, number;
  bool ran; /* each slot does it once at least, however short the time is */
  uint64_t node, handle;
  char name[NAME_MAX_BYTES], other[NAME_MAX_BYTES];
};

struct op {
  const char *name;
  uint32_t bytes; /* of contents in each; 0: none */
  bool writes, random;
  /* Fills the next request of the operation. False: it is over. @slot->step counts from 0. */
  bool (*next)(struct slot *slot);
};

extern const struct op ops[];
extern const unsigned ops_count;

/* 0 or -errno, after a line on stderr. */
int files_make(struct virtiofs_client *client, struct files *files, uint64_t file_size, uint32_t dir_entries);
void files_remove(struct virtiofs_client *client, const struct files *files);

/* ---- a run ---- */

struct run_options {
  uint32_t queues, depth, threads;
  double seconds;
  long server_pid; /* 0: not known */
  bool progress;
};

struct result {
  const struct op *op;
  uint64_t count, errors;
  double seconds;
  double client_cpu, server_cpu; /* s; the server's is negative if it isn't known */
  struct histogram latency;
};

/* 0 or -errno. */
int run(struct virtiofs_client *client, const struct files *files, const struct op *op,
        const struct run_options *options, struct result *result);

/* ---- reports ---- */

void report_head(FILE *to);
void report_line(FILE *to, const struct result *result);
/* False after an error. */
bool report_json(FILE *to, const struct result *results, unsigned count, const struct run_options *options);
bool report_svg(const char *path, const struct result *results, unsigned count);

static inline double result_rate(const struct result *result) {
  return result->seconds > 0 ? (double)result->count / result->seconds : 0;
}

uint64_t now_ns(void);

#endif
