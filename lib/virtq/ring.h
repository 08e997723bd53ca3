/* SPDX-License-Identifier: BSD-3-Clause */
/** What a split ring looks like in guest memory; virtio 1.3, 2.7. All fields are little-endian. */
#ifndef VIRTIOFS_LIB_VIRTQ_RING_H
#define VIRTIOFS_LIB_VIRTQ_RING_H

#include <stdint.h>

#define VIRTIOFS_DESC_F_NEXT 1U
#define VIRTIOFS_DESC_F_WRITE 2U
#define VIRTIOFS_DESC_F_INDIRECT 4U

#define VIRTIOFS_AVAIL_F_NO_INTERRUPT 1U
#define VIRTIOFS_USED_F_NO_NOTIFY 1U

struct virtiofs_ring_desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags;
  uint16_t next;
};

/* Behind the ring stands used_event. */
struct virtiofs_ring_avail {
  uint16_t flags;
  uint16_t idx;
  uint16_t ring[];
};

struct virtiofs_ring_used_elem {
  uint32_t id;
  uint32_t len;
};

/* Behind the ring stands avail_event. */
struct virtiofs_ring_used {
  uint16_t flags;
  uint16_t idx;
  struct virtiofs_ring_used_elem ring[];
};

_Static_assert(sizeof(struct virtiofs_ring_desc) == 16, "virtio 1.3, 2.7.5");
_Static_assert(sizeof(struct virtiofs_ring_used_elem) == 8, "virtio 1.3, 2.7.8");

#endif
