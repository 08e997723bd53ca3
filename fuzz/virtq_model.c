/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: both sides of a ring against each other and against the model of tests/support/ring_model.c.
 * Input: ring size, features, base; then the choices that the model has to make. */
#include <virtiofs/virtq.h>

#include "support/ring_model.h"
#include "support/ring_pair.h"
#include "target.h"

static uint32_t choose(void *ctx, uint32_t limit) {
  return limit <= 256 ? fuzz_u8(ctx) % limit : fuzz_u16(ctx) % limit;
}

static bool more(void *ctx) {
  const struct fuzz_input *in = ctx;
  return in->left > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  struct ring_model_choices choices = {.choose = choose, .more = more, .ctx = &in};
  uint32_t shape = fuzz_u8(&in), bits = fuzz_u8(&in), base = fuzz_u16(&in), num = 2U << shape % 6;
  uint64_t features = (uint64_t)(bits & 3) << 28; /* INDIRECT_DESC, EVENT_IDX */
  if ((bits & 4) != 0)
    features |= VIRTIOFS_VIRTQ_F_IN_ORDER;
  if ((bits & 8) != 0) {
    num = 2 + shape % 64;
    features |= VIRTIOFS_VIRTQ_F_RING_PACKED;
    base = ((base & 0x7fff) % num | (base & 0x8000)) * 0x10001;
  }
  ring_model_run(num, features, base, (bits & 1) != 0, UINT64_MAX, &choices);
  return 0;
}
