/* SPDX-License-Identifier: BSD-3-Clause */
/* The device side of a split ring. */
#include <stddef.h>

#include "base/guest.h"
#include "virtq/queue.h"

static const uint16_t *used_event(const struct virtiofs_virtq *vq) {
  return &vq->avail->ring[vq->num];
}

static uint16_t *avail_event(struct virtiofs_virtq *vq) {
  return (uint16_t *)(void *)&vq->used->ring[vq->num];
}

bool virtiofs_split_pending(const struct virtiofs_virtq *vq) {
  return vq->avail_seen != vq->taken || virtiofs_guest_load16_sync(&vq->avail->idx) != vq->taken;
}

/* 1 if there is a buffer, 0 if not. One load tells of a whole batch. */
static int look(struct virtiofs_virtq *vq) {
  if (vq->avail_seen != vq->taken)
    return 1;
  vq->avail_seen = virtiofs_guest_load16_acquire(&vq->avail->idx);
  uint16_t more = (uint16_t)(vq->avail_seen - vq->taken);
  if (more > vq->num) {
    vq->avail_seen = vq->taken;
    return virtiofs_virtq_break(vq, VIRTIOFS_VIRTQ_AVAIL_JUMP);
  }
  return more != 0;
}

VIRTIOFS_WALK_INLINE int take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                              struct virtiofs_virtq_chain *chain) {
  int rc = look(vq);
  if (rc <= 0)
    return rc;
  uint16_t head = virtiofs_guest_load16(&vq->avail->ring[vq->taken & (vq->num - 1)]);
  if (head >= vq->num)
    return virtiofs_virtq_break(vq, VIRTIOFS_VIRTQ_HEAD_RANGE);
  if (vq->flights[head].state != VIRTIOFS_FLIGHT_NONE)
    return virtiofs_virtq_break(vq, VIRTIOFS_VIRTQ_HEAD_TWICE);

  struct virtiofs_walk_start start = {.map = map, .desc = vq->desc, .num = vq->num, .at = head, .hint = vq->hint};
  struct virtiofs_walk walk;
  start.indirect_allowed = vq->indirect;
  virtiofs_walk_begin(&walk, &start, chain);
  virtiofs_walk_all(&walk, false);
  if (walk.fault != VIRTIOFS_VIRTQ_OK)
    return virtiofs_virtq_break(vq, walk.fault);
  virtiofs_walk_finish(&walk, chain);
  vq->hint = walk.hint;
  virtiofs_virtq_accept(vq, chain, head, 1);
  vq->taken++;
  return 1;
}

int virtiofs_split_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                        struct virtiofs_virtq_chain *chains, uint32_t count) {
  uint32_t taken = 0;
  int rc = 0;
  while (taken < count && (rc = take(vq, map, &chains[taken])) == 1)
    taken++;
  return taken > 0 ? (int)taken : rc;
}

void virtiofs_split_use(struct virtiofs_virtq *vq, uint16_t head, uint32_t len, uint32_t buffers) {
  uint32_t at = vq->put & (vq->num - 1);
  struct virtiofs_ring_used_elem *elem = &vq->used->ring[at];
  virtiofs_guest_store32(&elem->id, head);
  virtiofs_guest_store32(&elem->len, len);
  virtiofs_virtq_log(vq, vq->log_device + offsetof(struct virtiofs_ring_used, ring) + at * sizeof(*elem),
                     sizeof(*elem));
  vq->put = (uint16_t)(vq->put + buffers);
}

bool virtiofs_split_publish(struct virtiofs_virtq *vq) {
  if (vq->published == vq->put)
    return false;
  vq->published = vq->put;
  /* The driver first says that it wants to be notified, then looks at the index: so we first store it, then look. */
  virtiofs_guest_store16_sync(&vq->used->idx, vq->put);
  virtiofs_virtq_log(vq, vq->log_device + offsetof(struct virtiofs_ring_used, idx), sizeof(uint16_t));
  if (!vq->event_idx)
    return (virtiofs_guest_load16_sync(&vq->avail->flags) & VIRTIOFS_AVAIL_F_NO_INTERRUPT) == 0;
  bool wanted =
      !vq->signalled || virtiofs_ring_passed(virtiofs_guest_load16_sync(used_event(vq)), vq->put, vq->signalled_at);
  vq->signalled = true;
  vq->signalled_at = vq->put;
  return wanted;
}

/* With EVENT_IDX there is nothing to say against kicks: the event index was passed long ago, which says it already. */
void virtiofs_split_ask(struct virtiofs_virtq *vq, bool kicks) {
  if (!vq->event_idx) {
    virtiofs_guest_store16_sync(&vq->used->flags, (uint16_t)(kicks ? 0U : VIRTIOFS_USED_F_NO_NOTIFY));
    virtiofs_virtq_log(vq, vq->log_device, sizeof(uint16_t));
  } else if (kicks) {
    virtiofs_guest_store16_sync(avail_event(vq), vq->taken);
    virtiofs_virtq_log(vq,
                       vq->log_device + offsetof(struct virtiofs_ring_used, ring) +
                           vq->num * sizeof(struct virtiofs_ring_used_elem),
                       sizeof(uint16_t));
  }
}
