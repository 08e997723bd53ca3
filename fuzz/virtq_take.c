/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_virtq_take, virtiofs_virtq_put, virtiofs_virtq_publish, virtiofs_memory_gpa.
 * Input: ring size, features, base; then what is in guest memory, the ring first. */
#include <stdlib.h>

#include <virtiofs/virtq.h>

#include "target.h"

#define RING_BYTES 4096U
#define MORE_BYTES 1000U
#define SEGMENTS 48U

static void touch(const struct virtiofs_virtq_chain *chain) {
  for (uint32_t i = 0; i < chain->in_count + chain->out_count; i++) {
    volatile unsigned char *at = chain->iov[i].iov_base;
    size_t len = chain->iov[i].iov_len;
    if (len == 0)
      abort();
    at[0] = at[len - 1];
  }
}

static void run(struct virtiofs_virtq *vq, const struct virtiofs_memory *map) {
  struct iovec iov[SEGMENTS];
  struct virtiofs_virtq_chain chain = {.iov = iov, .capacity = SEGMENTS};
  for (unsigned i = 0; i < 256; i++) {
    if (virtiofs_virtq_take(vq, map, &chain) != 1)
      break;
    if (chain.in_count + chain.out_count > SEGMENTS)
      abort();
    touch(&chain);
    if (i % 3 != 0)
      (void)virtiofs_virtq_put(vq, chain.ticket, i);
    (void)!virtiofs_virtq_publish(vq);
  }
  (void)!virtiofs_virtq_want_kick(vq);
  virtiofs_virtq_no_kick(vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint32_t num = 2U << fuzz_u8(&in) % 6;
  uint64_t features = (uint64_t)fuzz_u8(&in) << 28;
  uint16_t base = fuzz_u16(&in);
  unsigned char *ring = aligned_alloc(16, RING_BYTES), *more = malloc(MORE_BYTES);
  struct virtiofs_memory *map;
  struct virtiofs_virtq *vq;
  if (ring == NULL || more == NULL)
    abort();
  fuzz_take(&in, ring, RING_BYTES);
  fuzz_take(&in, more, MORE_BYTES);
  /* The second region follows the first in the guest, and lies elsewhere here. */
  struct virtiofs_memory_region regions[] = {
      {.gpa = 0, .size = RING_BYTES, .uva = 0x10000, .host = ring},
      {.gpa = RING_BYTES, .size = MORE_BYTES, .uva = 0x40000, .host = more},
  };
  if (virtiofs_memory_new(&map, regions, 2, NULL) != 0 || virtiofs_virtq_new(&vq, num, features) != 0)
    abort();
  unsigned char *avail = ring + virtiofs_virtq_desc_bytes(num);
  unsigned char *used = avail + ((virtiofs_virtq_driver_bytes(num, 0) + 3) & ~UINT64_C(3));
  if (virtiofs_virtq_map(vq, ring, avail, used) != 0)
    abort();
  if (virtiofs_virtq_start(vq, base) != 0)
    abort();
  run(vq, map);
  virtiofs_virtq_free(vq);
  virtiofs_memory_unref(map);
  free(more);
  free(ring);
  return 0;
}
