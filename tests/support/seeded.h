/* SPDX-License-Identifier: BSD-3-Clause */
/** Numbers that look random and are the same in each run. */
#ifndef VIRTIOFS_TESTS_SUPPORT_SEEDED_H
#define VIRTIOFS_TESTS_SUPPORT_SEEDED_H

#include <stddef.h>
#include <stdint.h>

static uint64_t seeded_state = 1;

static inline uint64_t seeded_any(void) {
  seeded_state ^= seeded_state << 13;
  seeded_state ^= seeded_state >> 7;
  seeded_state ^= seeded_state << 17;
  return seeded_state;
}

/* 0 .. @n - 1. */
static inline uint64_t seeded_below(uint64_t n) {
  return seeded_any() % n;
}

static inline void seeded_fill(void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++)
    ((unsigned char *)bytes)[i] = (unsigned char)seeded_any();
}

#endif
