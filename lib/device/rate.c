/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

int virtiofs_rate_new(struct virtiofs_rate **out, uint64_t ops_per_second, uint64_t bytes_per_second,
                      uint64_t burst_ns) {
  struct virtiofs_rate *rate = aligned_alloc(_Alignof(struct virtiofs_rate), sizeof(*rate));
  *out = rate;
  if (rate == NULL)
    return -ENOMEM;
  memset(rate, 0, sizeof(*rate));
  rate->ops.per_second = ops_per_second;
  rate->bytes.per_second = bytes_per_second;
  rate->ops.burst_ns = rate->bytes.burst_ns = burst_ns;
  return 0;
}

void virtiofs_rate_free(struct virtiofs_rate *rate) {
  free(rate);
}

/* The product fits, since so much is never taken at once. */
static uint64_t product(uint64_t count) {
  return (count < VIRTIOFS_RATE_TAKE_MAX ? count : VIRTIOFS_RATE_TAKE_MAX) * SECOND;
}

void virtiofs_rate_take(struct virtiofs_rate_bucket *bucket, uint64_t now_ns, uint64_t count) {
  if (bucket->per_second == 0 || count == 0)
    return;
  uint64_t cost = (product(count) - 1) / bucket->per_second + 1, next;
  uint64_t paid = atomic_load_explicit(&bucket->paid_ns, memory_order_relaxed);
  do {
    uint64_t from = paid > now_ns ? paid : now_ns;
    next = cost < UINT64_MAX / 2 - from ? from + cost : UINT64_MAX / 2;
  } while (!atomic_compare_exchange_weak_explicit(&bucket->paid_ns, &paid, next, memory_order_relaxed,
                                                  memory_order_relaxed));
}

void virtiofs_rate_give(struct virtiofs_rate_bucket *bucket, uint64_t count) {
  if (bucket->per_second == 0 || count == 0)
    return;
  uint64_t cost = product(count) / bucket->per_second, next;
  uint64_t paid = atomic_load_explicit(&bucket->paid_ns, memory_order_relaxed);
  do
    next = paid > cost ? paid - cost : 0;
  while (!atomic_compare_exchange_weak_explicit(&bucket->paid_ns, &paid, next, memory_order_relaxed,
                                                memory_order_relaxed));
}
