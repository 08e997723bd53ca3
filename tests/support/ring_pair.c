/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/ring_pair.h"

#include <stdlib.h>
#include <string.h>

static void must(bool so) {
  if (!so)
    abort();
}

/* A block whose size need not be a multiple of its alignment. */
static void *block(uint64_t size) {
  void *memory = NULL;
  must(posix_memalign(&memory, 64, size > 0 ? (size_t)size : 1) == 0);
  return memset(memory, 0xa5, (size_t)size);
}

uint32_t ring_pair_first(uint64_t features) {
  return (features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0 ? VIRTIOFS_VIRTQ_PACKED_BASE : 0;
}

static void map_areas(struct ring_pair *pair, uint32_t num, uint32_t base) {
  uint64_t features = pair->config.features;
  pair->num = num;
  for (int i = 0; i < 3; i++)
    free(pair->areas[i]);
  pair->areas[0] = block(virtiofs_virtq_desc_bytes(num));
  pair->areas[1] = block(virtiofs_virtq_driver_bytes(num, features));
  pair->areas[2] = block(virtiofs_virtq_device_bytes(num, features));
  must(virtiofs_driverq_map(pair->driver, pair->areas[0], pair->areas[1], pair->areas[2]) == 0);
  must(virtiofs_driverq_start(pair->driver, base) == 0);
  must(virtiofs_virtq_map(pair->device, pair->areas[0], pair->areas[1], pair->areas[2]) == 0);
  must(virtiofs_virtq_start(pair->device, base) == 0);
}

static void add_region(struct ring_pair *pair, uint32_t index, uint64_t gpa, uint64_t size, bool window) {
  pair->regions[index] = (struct virtiofs_memory_region){
      .gpa = gpa, .size = size, .uva = gpa + UINT64_C(0x7f0000000000), .host = window ? NULL : block(size)};
}

void ring_pair_init(struct ring_pair *pair, const struct ring_pair_config *config) {
  *pair = (struct ring_pair){.config = *config};
  uint64_t tables = (uint64_t)config->table_entries * config->num * 16;
  add_region(pair, 0, PAIR_TABLES, tables > 0 ? tables : 16, false);
  add_region(pair, 1, PAIR_DATA, config->data / 2, false);
  add_region(pair, 2, PAIR_DATA + config->data / 2, config->data - config->data / 2, false);
  add_region(pair, 3, PAIR_DATA + config->data, 0x1000, true);
  must(virtiofs_memory_new(&pair->map, pair->regions, PAIR_REGIONS, NULL) == 0);
  must(virtiofs_driverq_new(&pair->driver, config->num, config->features) == 0);
  must(virtiofs_virtq_new(&pair->device, config->num, config->features) == 0);
  if (tables > 0)
    must(virtiofs_driverq_set_tables(pair->driver, pair->regions[0].host, PAIR_TABLES, config->table_entries) == 0);
  map_areas(pair, config->num, config->base);
}

void ring_pair_fini(struct ring_pair *pair) {
  virtiofs_driverq_free(pair->driver);
  virtiofs_virtq_free(pair->device);
  virtiofs_memory_unref(pair->map);
  for (uint32_t i = 0; i < PAIR_REGIONS; i++)
    free(pair->regions[i].host);
  for (int i = 0; i < 3; i++)
    free(pair->areas[i]);
  *pair = (struct ring_pair){0};
}

void ring_pair_restart(struct ring_pair *pair, uint32_t num, uint32_t base) {
  must(virtiofs_driverq_reset(pair->driver, num) == 0);
  must(virtiofs_virtq_reset(pair->device, num) == 0);
  map_areas(pair, num, base);
}

void ring_pair_migrate(struct ring_pair *pair) {
  uint32_t base = virtiofs_virtq_base(pair->device);
  virtiofs_virtq_free(pair->device);
  must(virtiofs_virtq_new(&pair->device, pair->config.num, pair->config.features) == 0);
  must(virtiofs_virtq_reset(pair->device, pair->num) == 0);
  must(virtiofs_virtq_map(pair->device, pair->areas[0], pair->areas[1], pair->areas[2]) == 0);
  must(virtiofs_virtq_start(pair->device, base) == 0);
}

uint64_t ring_pair_seam(const struct ring_pair *pair) {
  return pair->regions[2].gpa;
}

uint64_t ring_pair_window(const struct ring_pair *pair) {
  return pair->regions[3].gpa;
}

unsigned char *ring_pair_at(const struct ring_pair *pair, uint64_t gpa) {
  const struct virtiofs_memory_region *r = &pair->regions[gpa < ring_pair_seam(pair) ? 1 : 2];
  must(gpa >= r->gpa && gpa - r->gpa < r->size);
  return (unsigned char *)r->host + (gpa - r->gpa);
}
