/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_virtq_start, virtiofs_virtq_take, virtiofs_virtq_put, virtiofs_virtq_publish, virtiofs_memory_gpa,
 * virtiofs_memory_window; split and packed.
 * Input: ring size, layout, features, base; then what is in guest memory, the ring first. */
#include <stdlib.h>

#include <virtiofs/virtq.h>

#include "target.h"

#define RING_BYTES 4096U
#define MORE_BYTES 1000U
#define SEGMENTS 48U

static void must(bool so) {
  if (!so)
    abort();
}

/* What was taken is memory, and what was counted is what there is. */
static void touch(const struct virtiofs_virtq_chain *chain) {
  uint64_t in = 0, out = 0;
  must(chain->in_count + chain->out_count <= SEGMENTS);
  for (uint32_t i = 0; i < chain->in_count + chain->out_count; i++) {
    volatile unsigned char *at = chain->iov[i].iov_base;
    size_t len = chain->iov[i].iov_len;
    must(len > 0);
    if (i < chain->in_count) {
      (void)at[0];
      (void)at[len - 1];
      in += len;
    } else {
      at[0] = at[len - 1];
      out += len;
    }
  }
  must(in == chain->in_bytes && out == chain->out_bytes);
}

static void run(struct virtiofs_virtq *vq, const struct virtiofs_memory *map, uint32_t num) {
  struct iovec iov[SEGMENTS];
  struct virtiofs_virtq_chain chain = {.iov = iov, .capacity = SEGMENTS};
  uint32_t kept = 0;
  for (unsigned i = 0; i < 256; i++) {
    int rc = virtiofs_virtq_take(vq, map, &chain);
    must((rc < 0) == (virtiofs_virtq_fault(vq) != VIRTIOFS_VIRTQ_OK));
    if (rc != 1)
      break;
    touch(&chain);
    if (i % 3 != 0) {
      must(virtiofs_virtq_put(vq, chain.ticket, chain.out_bytes > i ? i : 0) == 0);
      must(virtiofs_virtq_put(vq, chain.ticket, 0) != 0);
    } else {
      must(++kept <= num);
    }
    (void)!virtiofs_virtq_publish(vq);
  }
  (void)!virtiofs_virtq_want_kick(vq);
  virtiofs_virtq_no_kick(vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint32_t shape = fuzz_u8(&in);
  uint64_t features = (uint64_t)(fuzz_u8(&in) & 3) << 28; /* INDIRECT_DESC, EVENT_IDX */
  uint32_t num = 2U << shape % 6, base = fuzz_u16(&in);
  if (shape >= 128) {
    num = 2 + shape % 64;
    features |= VIRTIOFS_VIRTQ_F_RING_PACKED;
    base = ((base & 0x7fff) % num | (base & 0x8000)) * 0x10001;
  }
  if (shape % 128 >= 64)
    features |= VIRTIOFS_VIRTQ_F_IN_ORDER;
  unsigned char *ring = aligned_alloc(16, RING_BYTES), *more = malloc(MORE_BYTES);
  struct virtiofs_memory *map;
  struct virtiofs_virtq *vq;
  must(ring != NULL && more != NULL);
  fuzz_take(&in, ring, RING_BYTES);
  fuzz_take(&in, more, MORE_BYTES);
  /* The second region follows the first in the guest, and lies elsewhere here; behind it is a window. */
  struct virtiofs_memory_region regions[] = {
      {.gpa = 0, .size = RING_BYTES, .uva = 0x10000, .host = ring},
      {.gpa = RING_BYTES, .size = MORE_BYTES, .uva = 0x40000, .host = more},
      {.gpa = RING_BYTES + MORE_BYTES, .size = 1000},
  };
  must(virtiofs_memory_new(&map, regions, 3, NULL) == 0);
  must(virtiofs_virtq_new(&vq, num, features) == 0);
  unsigned char *driver = ring + virtiofs_virtq_desc_bytes(num);
  unsigned char *device = driver + ((virtiofs_virtq_driver_bytes(num, features) + 3) & ~UINT64_C(3));
  must(virtiofs_virtq_map(vq, ring, driver, device) == 0);
  if (virtiofs_virtq_start(vq, base) == 0)
    run(vq, map, num);
  virtiofs_virtq_free(vq);
  virtiofs_memory_unref(map);
  free(more);
  free(ring);
  return 0;
}
