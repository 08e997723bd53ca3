/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device side of both layouts has in common. */
#include "virtq/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/guest.h"

bool virtiofs_virtq_size_valid(uint32_t num, uint64_t features) {
  bool packed = (features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  return num >= VIRTIOFS_VIRTQ_SIZE_MIN && num <= VIRTIOFS_VIRTQ_SIZE_MAX && (packed || (num & (num - 1)) == 0);
}

uint64_t virtiofs_virtq_desc_bytes(uint32_t num) {
  return (uint64_t)num * sizeof(struct virtiofs_ring_desc);
}

/* Both event fields of a split ring are there whether or not EVENT_IDX is on. */
uint64_t virtiofs_virtq_driver_bytes(uint32_t num, uint64_t features) {
  if ((features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0)
    return sizeof(uint32_t);
  return sizeof(struct virtiofs_ring_avail) + ((uint64_t)num + 1) * sizeof(uint16_t);
}

uint64_t virtiofs_virtq_device_bytes(uint32_t num, uint64_t features) {
  if ((features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0)
    return sizeof(uint32_t);
  return sizeof(struct virtiofs_ring_used) + (uint64_t)num * sizeof(struct virtiofs_ring_used_elem) + sizeof(uint16_t);
}

int virtiofs_virtq_new(struct virtiofs_virtq **out, uint32_t num, uint64_t features) {
  *out = NULL;
  if (!virtiofs_virtq_size_valid(num, features))
    return -EPROTO;
  bool in_order = (features & VIRTIOFS_VIRTQ_F_IN_ORDER) != 0;
  size_t order = in_order ? num * sizeof(uint16_t) : 0;
  struct virtiofs_virtq *vq = calloc(1, sizeof(*vq) + num * sizeof(vq->flights[0]) + order);
  if (vq == NULL)
    return -ENOMEM;
  vq->num = vq->num_max = num;
  vq->packed = (features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  vq->event_idx = (features & VIRTIOFS_VIRTQ_F_EVENT_IDX) != 0;
  vq->indirect = (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0;
  vq->in_order = in_order;
  vq->order = (uint16_t *)(void *)&vq->flights[num];
  *out = vq;
  return 0;
}

void virtiofs_virtq_free(struct virtiofs_virtq *vq) {
  free(vq);
}

static bool is_aligned(const void *at, uintptr_t to) {
  return ((uintptr_t)at & (to - 1)) == 0;
}

int virtiofs_virtq_map(struct virtiofs_virtq *vq, void *desc, void *driver, void *device) {
  if (!is_aligned(desc, 16) || !is_aligned(driver, vq->packed ? 4 : 2) || !is_aligned(device, 4))
    return -EPROTO;
  vq->desc = desc;
  if (vq->packed) {
    vq->driver_event = driver;
    vq->device_event = device;
  } else {
    vq->avail = driver;
    vq->used = device;
  }
  return 0;
}

/* Tickets are void from now on. */
static void forget(struct virtiofs_virtq *vq) {
  if (vq->started)
    vq->generation++;
  memset(vq->flights, 0, vq->num_max * sizeof(vq->flights[0]));
  vq->order_first = vq->order_count = 0;
  vq->started = vq->ready = vq->signalled = false;
  vq->fault = VIRTIOFS_VIRTQ_OK;
  vq->put = vq->published;
  vq->unpublished = 0;
}

static int start_split(struct virtiofs_virtq *vq, uint32_t base) {
  if (base > UINT16_MAX)
    return -EPROTO;
  vq->taken = vq->avail_seen = (uint16_t)base;
  vq->put = vq->published = virtiofs_guest_load16(&vq->used->idx);
  return 0;
}

static int start_packed(struct virtiofs_virtq *vq, uint32_t base) {
  struct virtiofs_packed_pos avail = virtiofs_packed_pos_decode((uint16_t)base);
  struct virtiofs_packed_pos used = virtiofs_packed_pos_decode((uint16_t)(base >> 16));
  if (avail.at >= vq->num || used.at >= vq->num)
    return -EPROTO;
  /* What lies between the two is with whoever had the ring before: it is not ours to give back, and takes room. */
  uint32_t slots = avail.at + (avail.wrap != used.wrap ? vq->num : 0U) - used.at;
  if (slots > vq->num)
    return -EPROTO;
  vq->next_avail = avail;
  vq->next_used = used;
  vq->slots = slots;
  return 0;
}

int virtiofs_virtq_start(struct virtiofs_virtq *vq, uint32_t base) {
  if (vq->desc == NULL)
    return -EINVAL;
  forget(vq);
  int rc = vq->packed ? start_packed(vq, base) : start_split(vq, base);
  vq->started = vq->ready = rc == 0;
  return rc;
}

uint32_t virtiofs_virtq_base(const struct virtiofs_virtq *vq) {
  if (!vq->packed)
    return vq->taken;
  return virtiofs_packed_pos_encode(vq->next_avail) | (uint32_t)virtiofs_packed_pos_encode(vq->next_used) << 16;
}

int virtiofs_virtq_reset(struct virtiofs_virtq *vq, uint32_t num) {
  uint64_t layout = vq->packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0;
  if (!virtiofs_virtq_size_valid(num, layout) || num > vq->num_max)
    return -EPROTO;
  forget(vq);
  vq->num = num;
  vq->desc = NULL;
  vq->avail = NULL;
  vq->used = NULL;
  vq->driver_event = NULL;
  vq->device_event = NULL;
  vq->log = NULL;
  return 0;
}

int virtiofs_virtq_break(struct virtiofs_virtq *vq, enum virtiofs_virtq_fault fault) {
  vq->fault = fault;
  vq->ready = false;
  return -EPROTO;
}

enum virtiofs_virtq_fault virtiofs_virtq_fault(const struct virtiofs_virtq *vq) {
  return vq->fault;
}

void virtiofs_virtq_mend(struct virtiofs_virtq *vq) {
  vq->fault = VIRTIOFS_VIRTQ_OK;
  vq->ready = vq->started;
}

void virtiofs_virtq_set_log(struct virtiofs_virtq *vq, const struct virtiofs_memory_log *log, uint64_t desc,
                            uint64_t device) {
  vq->log = log;
  vq->log_desc = desc;
  vq->log_device = device;
}

bool virtiofs_virtq_pending(const struct virtiofs_virtq *vq) {
  if (!vq->ready)
    return false;
  return vq->packed ? virtiofs_packed_pending(vq) : virtiofs_split_pending(vq);
}

int virtiofs_virtq_take_batch(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                              struct virtiofs_virtq_chain *chains, uint32_t count) {
  if (!vq->ready)
    return vq->fault != VIRTIOFS_VIRTQ_OK ? -EPROTO : 0;
  return vq->packed ? virtiofs_packed_take(vq, map, chains, count) : virtiofs_split_take(vq, map, chains, count);
}

int virtiofs_virtq_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                        struct virtiofs_virtq_chain *chain) {
  return virtiofs_virtq_take_batch(vq, map, chain, 1);
}

/* Shows nothing yet: the driver is told of all of it by one publish. */
static void use(struct virtiofs_virtq *vq, uint16_t head, uint32_t len, uint32_t buffers, uint32_t slots) {
  if (vq->packed)
    virtiofs_packed_use(vq, head, len, slots);
  else
    virtiofs_split_use(vq, head, len, buffers);
}

int virtiofs_virtq_put(struct virtiofs_virtq *vq, uint32_t ticket, uint32_t len) {
  uint16_t head = (uint16_t)ticket;
  if (head >= vq->num || ticket >> 16 != vq->generation)
    return -EINVAL;
  struct virtiofs_flight *flight = &vq->flights[head];
  if (flight->state != VIRTIOFS_FLIGHT_TAKEN || len > flight->room)
    return -EINVAL;
  if (vq->in_order) {
    flight->len = len;
    flight->state = VIRTIOFS_FLIGHT_PUT;
    return 0;
  }
  flight->state = VIRTIOFS_FLIGHT_NONE;
  use(vq, head, len, 1, flight->slots);
  return 0;
}

/*
 * Uses what was put as far as it goes in order. One element stands for several buffers where all but the last of them
 * were written to their end, which is what a driver takes those to be that an element leaves out.
 */
static void use_in_order(struct virtiofs_virtq *vq) {
  uint32_t buffers = 0, slots = 0;
  while (vq->order_count > 0) {
    uint16_t head = *virtiofs_virtq_order(vq, 0);
    struct virtiofs_flight *flight = &vq->flights[head];
    if (flight->state != VIRTIOFS_FLIGHT_PUT)
      break;
    flight->state = VIRTIOFS_FLIGHT_NONE;
    buffers++;
    slots += flight->slots;
    vq->order_first = vq->order_first + 1 == vq->num ? 0 : vq->order_first + 1;
    vq->order_count--;
    bool more = vq->order_count > 0 && vq->flights[*virtiofs_virtq_order(vq, 0)].state == VIRTIOFS_FLIGHT_PUT;
    if (more && flight->whole && flight->len == flight->room)
      continue;
    use(vq, head, flight->len, buffers, slots);
    buffers = slots = 0;
  }
}

bool virtiofs_virtq_publish(struct virtiofs_virtq *vq) {
  if (vq->in_order)
    use_in_order(vq);
  return vq->packed ? virtiofs_packed_publish(vq) : virtiofs_split_publish(vq);
}

static void ask(struct virtiofs_virtq *vq, bool kicks) {
  if (!vq->started)
    return;
  if (vq->packed)
    virtiofs_packed_ask(vq, kicks);
  else
    virtiofs_split_ask(vq, kicks);
}

bool virtiofs_virtq_want_kick(struct virtiofs_virtq *vq) {
  ask(vq, true);
  return virtiofs_virtq_pending(vq);
}

void virtiofs_virtq_no_kick(struct virtiofs_virtq *vq) {
  ask(vq, false);
}
