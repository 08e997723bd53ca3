/* SPDX-License-Identifier: BSD-3-Clause */
/* Both sides against each other, next to a model; test_model [COUNT] sends that many buffers in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <virtiofs/virtq.h>

#include "support/ring_model.h"
#include "support/ring_pair.h"
#include "support/seeded.h"

static uint64_t total = 200000;

static uint32_t choose(void *ctx, uint32_t limit) {
  (void)ctx;
  return (uint32_t)((seeded_any() >> 16) % limit);
}

static const struct ring_model_choices choices = {.choose = choose};

static const uint32_t split_sizes[] = {2, 4, 8, 64, 256, 1024, 32768};
static const uint32_t packed_sizes[] = {2, 3, 7, 8, 100, 333, 1024, 32767, 32768};
enum {
  SPLIT_SIZES = sizeof split_sizes / sizeof split_sizes[0],
  PACKED_SIZES = sizeof packed_sizes / sizeof packed_sizes[0]
};

/* Somewhere, with nothing in flight. */
static uint32_t any_base(bool packed, uint32_t num) {
  uint32_t base = choose(NULL, packed ? num : 65536);
  return packed ? (base | choose(NULL, 2) << 15) * 0x10001 : base;
}

static void run(bool packed, const uint32_t *sizes, uint32_t count) {
  uint64_t each = total / 2 / 8 / count;
  for (uint32_t i = 0; i < count; i++) {
    for (uint32_t bits = 0; bits < 8; bits++) {
      uint64_t features = packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0;
      features |= (bits & 1) != 0 ? VIRTIOFS_VIRTQ_F_INDIRECT_DESC : 0;
      features |= (bits & 2) != 0 ? VIRTIOFS_VIRTQ_F_EVENT_IDX : 0;
      features |= (bits & 4) != 0 ? VIRTIOFS_VIRTQ_F_IN_ORDER : 0;
      ring_model_run(sizes[i], features, ring_pair_first(features), (bits & 1) != 0, each / 2 + 1, &choices);
      ring_model_run(sizes[i], features, any_base(packed, sizes[i]), (bits & 1) != 0, each / 2 + 1, &choices);
    }
  }
}

static void a_split_ring_does_what_the_model_says(void **state) {
  (void)state;
  run(false, split_sizes, SPLIT_SIZES);
}

static void a_packed_ring_does_what_the_model_says(void **state) {
  (void)state;
  run(true, packed_sizes, PACKED_SIZES);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_split_ring_does_what_the_model_says),
      cmocka_unit_test(a_packed_ring_does_what_the_model_says),
  };
  if (argc > 1)
    total = strtoull(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
