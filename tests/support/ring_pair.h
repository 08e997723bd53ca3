/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Both sides of one ring in one process, and the guest's memory between them.
 *
 * Each area of the ring and each region of memory is a heap block of exactly its size, so that a sanitizer sees an
 * access beyond it. Aborts if the test itself is wrong.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_RING_PAIR_H
#define VIRTIOFS_TESTS_SUPPORT_RING_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/driverq.h>

/* Guest-physical addresses. Data is in two regions that touch each other, though not in this process; behind them
 * follows a window with nothing in it. */
#define PAIR_TABLES UINT64_C(0x10000000)
#define PAIR_DATA UINT64_C(0x40000000)
#define PAIR_REGIONS 4U

struct ring_pair_config {
  uint32_t num;
  uint64_t features;
  uint32_t base;
  uint32_t table_entries; /* of the driver's indirect tables; 0: none */
  uint32_t data;          /* bytes of data, half of them in each region */
};

struct ring_pair {
  struct ring_pair_config config;
  uint32_t num; /* the size now; that of @config is the largest */
  struct virtiofs_driverq *driver;
  struct virtiofs_virtq *device;
  struct virtiofs_memory *map;
  struct virtiofs_memory_region regions[PAIR_REGIONS];
  void *areas[3]; /* descriptors, driver's, device's */
};

/** The base of a ring that begins. */
uint32_t ring_pair_first(uint64_t features);

void ring_pair_init(struct ring_pair *pair, const struct ring_pair_config *config);
void ring_pair_fini(struct ring_pair *pair);

/** Both sides reset to another size, mapped and started; what was in flight must have been reclaimed. */
void ring_pair_restart(struct ring_pair *pair, uint32_t num, uint32_t base);

/** A new device in the place of the old one, from where that was. */
void ring_pair_migrate(struct ring_pair *pair);

/** The first address behind the first region of data, behind the second, and of the window. */
uint64_t ring_pair_seam(const struct ring_pair *pair);
uint64_t ring_pair_window(const struct ring_pair *pair);

/** A byte of data. */
unsigned char *ring_pair_at(const struct ring_pair *pair, uint64_t gpa);

#endif
