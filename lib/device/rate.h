/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How much a guest may ask for in a time: token buckets, as the time at which all that was taken is paid for (GCRA).
 *
 * Nobody fills them. A bucket is one number that queues change by compare and swap; who must wait does so himself and
 * holds up nobody else. What was taken on credit, since nobody could know its size or since several took at once, is a
 * debt, which is worked off before anything else is taken. Pure: the caller has the clock.
 */
#ifndef VIRTIOFS_LIB_DEVICE_RATE_H
#define VIRTIOFS_LIB_DEVICE_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct virtiofs_rate_bucket {
  _Alignas(64) _Atomic uint64_t paid_ns; /* when all is paid for; in the past: there is something saved */
  uint64_t per_second;                   /* 0: no limit; constant, as the next */
  uint64_t burst_ns;                     /* so much time may be saved */
};

struct virtiofs_rate {
  struct virtiofs_rate_bucket ops, bytes;
};

/* Most that is taken from a bucket at once: more counts as this. */
#define VIRTIOFS_RATE_TAKE_MAX UINT32_MAX

/* 0 or -ENOMEM. @per_second: 0: no limit. */
int virtiofs_rate_new(struct virtiofs_rate **out, uint64_t ops_per_second, uint64_t bytes_per_second,
                      uint64_t burst_ns);
void virtiofs_rate_free(struct virtiofs_rate *rate);

/* How long nothing may be taken from a bucket; 0: something may. */
static inline uint64_t virtiofs_rate_bucket_wait(const struct virtiofs_rate_bucket *bucket, uint64_t now_ns) {
  uint64_t paid = atomic_load_explicit(&bucket->paid_ns, memory_order_relaxed);
  return bucket->per_second != 0 && paid > now_ns + bucket->burst_ns ? paid - bucket->burst_ns - now_ns : 0;
}

/* The same of both; @bytes: is their debt waited for? */
static inline uint64_t virtiofs_rate_wait(const struct virtiofs_rate *rate, uint64_t now_ns, bool bytes) {
  uint64_t ops = virtiofs_rate_bucket_wait(&rate->ops, now_ns);
  uint64_t debt = bytes ? virtiofs_rate_bucket_wait(&rate->bytes, now_ns) : 0;
  return ops > debt ? ops : debt;
}

/* Takes @count, whether it is there or not. */
void virtiofs_rate_take(struct virtiofs_rate_bucket *bucket, uint64_t now_ns, uint64_t count);

/* @count of what was taken wasn't needed. */
void virtiofs_rate_give(struct virtiofs_rate_bucket *bucket, uint64_t count);

#endif
