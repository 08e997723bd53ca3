/* SPDX-License-Identifier: BSD-3-Clause */
/** The clock by which waits and requests are measured. */
#ifndef VIRTIOFS_LIB_DEVICE_CLOCK_H
#define VIRTIOFS_LIB_DEVICE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t virtiofs_clock_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

#endif
