/* SPDX-License-Identifier: BSD-3-Clause */
/* What a ring costs: a buffer of 2 readable and 2 writable parts goes from the driver to the device and back, both
 * sides on one thread, in cache, with no notification.
 *
 *   virtq [--count N] [--op NAME] [--json]
 *
 * memcpy is the floor: the bytes of the ring that the split round trip writes, copied in and out again.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virtiofs/driverq.h>

enum { NUM = 256, BATCH = 32, ENTRIES = 4, READABLE = 2, WRITABLE = 2, PIECES = 8, RUNS = 5 };

#define DATA UINT64_C(0x100000)
#define TABLES (DATA + 4096)

struct rig {
  struct virtiofs_driverq *driver;
  struct virtiofs_virtq *device;
  struct virtiofs_memory *map;
};

static _Alignas(4096) unsigned char desc[NUM * 16], driver_area[8192], device_area[8192];
static _Alignas(4096) unsigned char data[4096 + NUM * ENTRIES * 16]; /* the tables are behind the first page */

static const struct virtiofs_driverq_part parts[] = {{DATA, 40}, {DATA + 64, 64}, {DATA + 256, 16}, {DATA + 320, 128}};

static void must(bool so) {
  if (!so)
    abort();
}

static void begin(struct rig *rig, bool packed, bool indirect) {
  uint64_t features = VIRTIOFS_VIRTQ_F_EVENT_IDX | VIRTIOFS_VIRTQ_F_INDIRECT_DESC;
  struct virtiofs_memory_region region = {.gpa = DATA, .size = sizeof data, .uva = DATA, .host = data};
  features |= packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0;
  uint32_t base = packed ? VIRTIOFS_VIRTQ_PACKED_BASE : 0;
  must(virtiofs_memory_new(&rig->map, &region, 1, NULL) == 0);
  must(virtiofs_driverq_new(&rig->driver, NUM, features) == 0 && virtiofs_virtq_new(&rig->device, NUM, features) == 0);
  if (indirect)
    must(virtiofs_driverq_set_tables(rig->driver, data + 4096, TABLES, ENTRIES) == 0);
  must(virtiofs_driverq_map(rig->driver, desc, driver_area, device_area) == 0);
  must(virtiofs_driverq_start(rig->driver, base) == 0);
  must(virtiofs_virtq_map(rig->device, desc, driver_area, device_area) == 0);
  must(virtiofs_virtq_start(rig->device, base) == 0);
  virtiofs_driverq_no_call(rig->driver);
  virtiofs_virtq_no_kick(rig->device);
}

static void end(struct rig *rig) {
  virtiofs_driverq_free(rig->driver);
  virtiofs_virtq_free(rig->device);
  virtiofs_memory_unref(rig->map);
}

/* @batch buffers, at most BATCH, one after the other on each side. */
static void round_trip(struct rig *rig, uint32_t batch) {
  static struct iovec iov[BATCH][PIECES];
  static struct virtiofs_virtq_chain chains[BATCH];
  static struct virtiofs_driverq_done done[BATCH];
  for (uint32_t i = 0; i < batch; i++) {
    must(virtiofs_driverq_add(rig->driver, parts, READABLE, WRITABLE, rig) == 0);
    chains[i].iov = iov[i];
    chains[i].capacity = PIECES;
  }
  (void)!virtiofs_driverq_publish(rig->driver);
  must(virtiofs_virtq_take_batch(rig->device, rig->map, chains, batch) == (int)batch);
  for (uint32_t i = 0; i < batch; i++)
    must(virtiofs_virtq_put(rig->device, chains[i].ticket, 144) == 0);
  (void)!virtiofs_virtq_publish(rig->device);
  must(virtiofs_driverq_take_batch(rig->driver, done, batch) == (int)batch);
}

/* Four descriptors, an entry and an index of the available ring, an element and an index of the used one. */
static void copy(void) {
  static unsigned char from[4 * 16 + 2 + 2 + 8 + 2];
  memcpy(data, from, sizeof from);
  __asm__ volatile("" ::: "memory");
  memcpy(from, data, sizeof from);
  __asm__ volatile("" ::: "memory");
}

static double now(void) {
  struct timespec ts;
  must(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
  return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct op {
  const char *name;
  bool memcpy, packed, indirect;
  uint32_t batch;
};

static const struct op ops[] = {
    {"memcpy", true, false, false, 1},           {"split", false, false, false, 1},
    {"split-indirect", false, false, true, 1},   {"split-batch", false, false, false, BATCH},
    {"packed", false, true, false, 1},           {"packed-indirect", false, true, true, 1},
    {"packed-batch", false, true, false, BATCH},
};

/* Nanoseconds a buffer: the best of a few runs, as the others were disturbed. */
static double measure(const struct op *op, unsigned long count) {
  struct rig rig;
  double best = 0;
  begin(&rig, op->packed, op->indirect);
  for (int run = 0; run < RUNS; run++) {
    unsigned long each = count / RUNS > op->batch ? count / RUNS : op->batch;
    double from = now();
    for (unsigned long n = 0; n < each; n += op->batch) {
      if (op->memcpy)
        copy();
      else
        round_trip(&rig, op->batch);
    }
    double ns = (now() - from) / (double)each;
    best = run == 0 || ns < best ? ns : best;
  }
  end(&rig);
  return best;
}

int main(int argc, char **argv) {
  unsigned long count = 5000000;
  const char *only = NULL;
  bool json = false, first = true;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
      count = strtoul(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--op") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else {
      (void)fprintf(stderr, "usage: virtq [--count N] [--op NAME] [--json]\n");
      return 2;
    }
  }
  (void)fputs(json ? "{" : "ring              ns per buffer, there and back\n", stdout);
  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    if (only != NULL && strcmp(only, ops[i].name) != 0)
      continue;
    double each = measure(&ops[i], count);
    if (json)
      (void)printf("%s\"%s\": %.1f", first ? "" : ", ", ops[i].name, each);
    else
      (void)printf("%-16s %8.1f\n", ops[i].name, each);
    first = false;
  }
  (void)fputs(json ? "}\n" : "", stdout);
  return 0;
}
