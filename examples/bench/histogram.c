/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#define SUB_BITS 5U

static unsigned bucket_of(uint64_t ns) {
  if (ns < 1U << SUB_BITS)
    return (unsigned)ns;
  unsigned top = 63U - (unsigned)__builtin_clzll(ns);
  return (top - SUB_BITS + 1) << SUB_BITS | ((unsigned)(ns >> (top - SUB_BITS)) & ((1U << SUB_BITS) - 1));
}

/* The largest value that falls into it. */
static uint64_t bucket_end(unsigned bucket) {
  if (bucket < 1U << SUB_BITS)
    return bucket;
  unsigned shift = (bucket >> SUB_BITS) - 1;
  uint64_t mantissa = 1U << SUB_BITS | (bucket & ((1U << SUB_BITS) - 1));
  return ((mantissa + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns) {
  h->counts[bucket_of(ns)]++;
  h->total++;
}

void histogram_merge(struct histogram *to, const struct histogram *from) {
  for (unsigned i = 0; i < sizeof(to->counts) / sizeof(to->counts[0]); i++)
    to->counts[i] += from->counts[i];
  to->total += from->total;
}

uint64_t histogram_quantile(const struct histogram *h, double share) {
  uint64_t seen = 0, want = (uint64_t)(share * (double)h->total);
  for (unsigned i = 0; i < sizeof(h->counts) / sizeof(h->counts[0]); i++) {
    seen += h->counts[i];
    if (seen > want)
      return bucket_end(i);
  }
  return 0;
}
