/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a queue has done, counted while it does it; virtiofs/stats.h says what is counted.
 *
 * A queue's counters lie by themselves, and one thread writes them, so that counting is a load and a store. Only a
 * mount's are written by several: whoever answers. Anybody may read.
 */
#ifndef VIRTIOFS_LIB_DEVICE_COUNTERS_H
#define VIRTIOFS_LIB_DEVICE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>

#include <virtiofs/stats.h>

struct virtiofs_counters_op {
  _Atomic uint64_t count, errors, in_bytes, out_bytes, time_ns;
  _Atomic uint64_t buckets[VIRTIOFS_STATS_BUCKETS];
};

struct virtiofs_counters {
  _Alignas(64) _Atomic uint64_t taken;
  _Atomic uint64_t delays, delayed_ns;
  struct virtiofs_counters_op ops[VIRTIOFS_STATS_OPCODES];
  bool timed;  /* constant */
  bool shared; /* several threads write; of those alone */
};

/* One request that goes back to the guest. */
struct virtiofs_counted {
  uint32_t opcode;
  int error;
  uint64_t in_bytes, out_bytes;
  uint64_t ns; /* since it was taken; only if @timed */
};

/* 0 or -ENOMEM. */
int virtiofs_counters_new(struct virtiofs_counters **out, bool timed);
void virtiofs_counters_free(struct virtiofs_counters *counters);

/* Which bucket a time belongs to. */
static inline uint32_t virtiofs_counters_bucket(uint64_t ns) {
  enum { FIRST_BITS = 8 }; /* the first ends at 256 ns */
  uint32_t bits = ns == 0 ? 0 : 64U - (uint32_t)__builtin_clzll(ns);
  if (bits <= FIRST_BITS)
    return 0;
  return bits - FIRST_BITS < VIRTIOFS_STATS_BUCKETS ? bits - FIRST_BITS : VIRTIOFS_STATS_BUCKETS - 1;
}

static inline void virtiofs_counters_add(_Atomic uint64_t *counter, uint64_t by, bool shared) {
  if (shared)
    (void)atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
  else
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* A request was taken. */
static inline void virtiofs_counters_take(struct virtiofs_counters *counters) {
  virtiofs_counters_add(&counters->taken, 1, counters->shared);
}

/* What could be taken had to wait. */
static inline void virtiofs_counters_delay(struct virtiofs_counters *counters, uint64_t ns) {
  virtiofs_counters_add(&counters->delays, 1, counters->shared);
  virtiofs_counters_add(&counters->delayed_ns, ns, counters->shared);
}

/* One goes back. */
static inline void virtiofs_counters_give(struct virtiofs_counters *counters, const struct virtiofs_counted *counted) {
  uint32_t opcode = counted->opcode < VIRTIOFS_STATS_OPCODES ? counted->opcode : 0;
  struct virtiofs_counters_op *op = &counters->ops[opcode];
  bool shared = counters->shared;
  virtiofs_counters_add(&op->count, 1, shared);
  if (counted->error != 0)
    virtiofs_counters_add(&op->errors, 1, shared);
  virtiofs_counters_add(&op->in_bytes, counted->in_bytes, shared);
  virtiofs_counters_add(&op->out_bytes, counted->out_bytes, shared);
  if (!counters->timed)
    return;
  virtiofs_counters_add(&op->time_ns, counted->ns, shared);
  virtiofs_counters_add(&op->buckets[virtiofs_counters_bucket(counted->ns)], 1, shared);
}

#endif
