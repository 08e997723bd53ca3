/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/virtq.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/guest.h"
#include "virtq/ring.h"
#include "virtq/walk.h"

struct virtiofs_virtq {
  const unsigned char *desc;
  const struct virtiofs_ring_avail *avail;
  struct virtiofs_ring_used *used;
  uint32_t num;
  uint32_t hint; /* region of the last translation */
  bool event_idx;
  bool indirect;
  bool signalled;            /* @signalled_at means something */
  uint16_t taken;            /* index of the next buffer to take */
  uint16_t avail_seen;       /* the driver's index when it was last looked at */
  uint16_t put;              /* index of the next used element */
  uint16_t published;        /* what the driver has been shown */
  uint16_t signalled_at;     /* used index when a notification was last thought about */
  enum virtiofs_virtq_fault fault;
  uint64_t in_flight[]; /* one bit a head */
};

int virtiofs_virtq_new(struct virtiofs_virtq **out, uint32_t num, uint64_t features) {
  *out = NULL;
  if (num < 2 || num > VIRTIOFS_VIRTQ_SIZE_MAX || (num & (num - 1)) != 0)
    return -EPROTO;
  struct virtiofs_virtq *vq = calloc(1, sizeof(*vq) + (num + 63) / 64 * sizeof(vq->in_flight[0]));
  if (vq == NULL)
    return -ENOMEM;
  vq->num = num;
  vq->event_idx = (features & VIRTIOFS_VIRTQ_F_EVENT_IDX) != 0;
  vq->indirect = (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0;
  *out = vq;
  return 0;
}

void virtiofs_virtq_free(struct virtiofs_virtq *vq) {
  free(vq);
}

uint64_t virtiofs_virtq_desc_bytes(uint32_t num) {
  return (uint64_t)num * sizeof(struct virtiofs_ring_desc);
}

/* Both event fields are there whether or not EVENT_IDX is on. */
uint64_t virtiofs_virtq_avail_bytes(uint32_t num) {
  return sizeof(struct virtiofs_ring_avail) + ((uint64_t)num + 1) * sizeof(uint16_t);
}

uint64_t virtiofs_virtq_used_bytes(uint32_t num) {
  return sizeof(struct virtiofs_ring_used) + (uint64_t)num * sizeof(struct virtiofs_ring_used_elem) + sizeof(uint16_t);
}

static const uint16_t *used_event(const struct virtiofs_virtq *vq) {
  return &vq->avail->ring[vq->num];
}

static uint16_t *avail_event(struct virtiofs_virtq *vq) {
  return (uint16_t *)(void *)&vq->used->ring[vq->num];
}

int virtiofs_virtq_map(struct virtiofs_virtq *vq, void *desc, void *avail, void *used) {
  if (((uintptr_t)desc & 15) != 0 || ((uintptr_t)avail & 1) != 0 || ((uintptr_t)used & 3) != 0)
    return -EPROTO;
  vq->desc = desc;
  vq->avail = avail;
  vq->used = used;
  return 0;
}

void virtiofs_virtq_start(struct virtiofs_virtq *vq, uint16_t base) {
  vq->taken = base;
  vq->avail_seen = base;
  vq->put = virtiofs_guest_load16(&vq->used->idx);
  vq->published = vq->put;
  vq->signalled = false;
  vq->fault = VIRTIOFS_VIRTQ_OK;
  memset(vq->in_flight, 0, (vq->num + 63) / 64 * sizeof(vq->in_flight[0]));
}

uint16_t virtiofs_virtq_base(const struct virtiofs_virtq *vq) {
  return vq->taken;
}

bool virtiofs_virtq_pending(const struct virtiofs_virtq *vq) {
  if (vq->fault != VIRTIOFS_VIRTQ_OK)
    return false;
  return vq->avail_seen != vq->taken || virtiofs_guest_load16_sync(&vq->avail->idx) != vq->taken;
}

static bool in_flight(const struct virtiofs_virtq *vq, uint16_t head) {
  return (vq->in_flight[head / 64] >> (head % 64) & 1) != 0;
}

/* The one exit for everything that a driver can do wrong: nothing has been taken. */
static int broken(struct virtiofs_virtq *vq, enum virtiofs_virtq_fault fault) {
  vq->fault = fault;
  return -EPROTO;
}

/* 1 if there is a buffer, 0 if not. */
static int look(struct virtiofs_virtq *vq) {
  if (vq->avail_seen != vq->taken)
    return 1;
  vq->avail_seen = virtiofs_guest_load16_acquire(&vq->avail->idx);
  uint16_t more = (uint16_t)(vq->avail_seen - vq->taken);
  if (more > vq->num) {
    vq->avail_seen = vq->taken;
    return broken(vq, VIRTIOFS_VIRTQ_AVAIL_JUMP);
  }
  return more != 0;
}

int virtiofs_virtq_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                        struct virtiofs_virtq_chain *chain) {
  if (vq->fault != VIRTIOFS_VIRTQ_OK)
    return -EPROTO;
  int rc = look(vq);
  if (rc <= 0)
    return rc;
  uint16_t head = virtiofs_guest_load16(&vq->avail->ring[vq->taken & (vq->num - 1)]);
  if (head >= vq->num)
    return broken(vq, VIRTIOFS_VIRTQ_HEAD_RANGE);
  if (in_flight(vq, head))
    return broken(vq, VIRTIOFS_VIRTQ_HEAD_TWICE);

  struct virtiofs_walk walk = {.map = map, .hint = &vq->hint, .chain = chain, .indirect_allowed = vq->indirect};
  enum virtiofs_walk_result result;
  virtiofs_walk_begin(&walk, vq->desc, vq->num, head);
  do {
    result = virtiofs_walk_step(&walk);
  } while (result == VIRTIOFS_WALK_MORE);
  if (result == VIRTIOFS_WALK_FAULT)
    return broken(vq, walk.fault);

  chain->head = head;
  vq->in_flight[head / 64] |= UINT64_C(1) << (head % 64);
  vq->taken++;
  return 1;
}

enum virtiofs_virtq_fault virtiofs_virtq_fault(const struct virtiofs_virtq *vq) {
  return vq->fault;
}

void virtiofs_virtq_mend(struct virtiofs_virtq *vq) {
  vq->fault = VIRTIOFS_VIRTQ_OK;
}

void virtiofs_virtq_put(struct virtiofs_virtq *vq, uint16_t head, uint32_t len) {
  struct virtiofs_ring_used_elem *elem = &vq->used->ring[vq->put & (vq->num - 1)];
  virtiofs_guest_store32(&elem->id, head);
  virtiofs_guest_store32(&elem->len, len);
  vq->in_flight[head / 64] &= ~(UINT64_C(1) << (head % 64));
  vq->put++;
}

/* virtio 1.3, 2.7.7.2. */
static bool passed(uint16_t event, uint16_t now, uint16_t before) {
  return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool virtiofs_virtq_publish(struct virtiofs_virtq *vq) {
  if (vq->published == vq->put)
    return false;
  vq->published = vq->put;
  /* The driver first says that it wants to be notified, then looks at the index: so we first store it, then look. */
  virtiofs_guest_store16_sync(&vq->used->idx, vq->put);
  if (!vq->event_idx)
    return (virtiofs_guest_load16_sync(&vq->avail->flags) & VIRTIOFS_AVAIL_F_NO_INTERRUPT) == 0;
  bool wanted = !vq->signalled || passed(virtiofs_guest_load16_sync(used_event(vq)), vq->put, vq->signalled_at);
  vq->signalled = true;
  vq->signalled_at = vq->put;
  return wanted;
}

bool virtiofs_virtq_want_kick(struct virtiofs_virtq *vq) {
  if (vq->event_idx)
    virtiofs_guest_store16_sync(avail_event(vq), vq->taken);
  else
    virtiofs_guest_store16_sync(&vq->used->flags, 0);
  return virtiofs_virtq_pending(vq);
}

/* With EVENT_IDX the event index that was passed long ago says it already. */
void virtiofs_virtq_no_kick(struct virtiofs_virtq *vq) {
  if (!vq->event_idx)
    virtiofs_guest_store16(&vq->used->flags, VIRTIOFS_USED_F_NO_NOTIFY);
}
