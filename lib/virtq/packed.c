/* SPDX-License-Identifier: BSD-3-Clause */
/* The device side of a packed ring. */
#include <stddef.h>

#include "base/guest.h"
#include "virtq/queue.h"

static struct virtiofs_packed_desc *desc_at(const struct virtiofs_virtq *vq, uint16_t at) {
  return (struct virtiofs_packed_desc *)(void *)vq->desc + at;
}

/* What the driver can have: neither with us nor given back unseen. Of the rest nothing is available, whatever stands
 * there. */
static uint32_t drivers(const struct virtiofs_virtq *vq) {
  return vq->num - vq->slots - vq->unpublished;
}

bool virtiofs_packed_pending(const struct virtiofs_virtq *vq) {
  if (drivers(vq) == 0)
    return false;
  uint16_t flags = virtiofs_guest_load16_sync(&desc_at(vq, vq->next_avail.at)->flags);
  return virtiofs_packed_is_avail(flags, vq->next_avail.wrap);
}

VIRTIOFS_WALK_INLINE int take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                              struct virtiofs_virtq_chain *chain) {
  uint32_t limit = drivers(vq);
  if (limit == 0)
    return 0;
  uint16_t flags = virtiofs_guest_load16_acquire(&desc_at(vq, vq->next_avail.at)->flags);
  if (!virtiofs_packed_is_avail(flags, vq->next_avail.wrap))
    return 0;

  struct virtiofs_walk_start start = {.map = map, .desc = vq->desc, .num = vq->num, .hint = vq->hint, .packed = true};
  struct virtiofs_walk walk;
  start.at = vq->next_avail.at;
  start.indirect_allowed = vq->indirect;
  start.flags = flags;
  start.limit = limit;
  virtiofs_walk_begin(&walk, &start, chain);
  virtiofs_walk_all(&walk, true);
  if (walk.fault != VIRTIOFS_VIRTQ_OK)
    return virtiofs_virtq_break(vq, walk.fault);
  if (walk.id >= vq->num)
    return virtiofs_virtq_break(vq, VIRTIOFS_VIRTQ_HEAD_RANGE);
  if (vq->flights[walk.id].state != VIRTIOFS_FLIGHT_NONE)
    return virtiofs_virtq_break(vq, VIRTIOFS_VIRTQ_HEAD_TWICE);
  virtiofs_walk_finish(&walk, chain);
  vq->hint = walk.hint;
  uint32_t slots = walk.indirect ? 1 : limit - walk.left;
  virtiofs_virtq_accept(vq, chain, walk.id, (uint16_t)slots);
  virtiofs_packed_advance(&vq->next_avail, slots, vq->num);
  vq->slots += slots;
  return 1;
}

int virtiofs_packed_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                         struct virtiofs_virtq_chain *chains, uint32_t count) {
  uint32_t taken = 0;
  int rc = 0;
  while (taken < count && (rc = take(vq, map, &chains[taken])) == 1)
    taken++;
  return taken > 0 ? (int)taken : rc;
}

/*
 * The driver looks at one place for what is used next. The flags there are held back until all that was put with it is
 * written: then one store shows the whole batch.
 */
void virtiofs_packed_use(struct virtiofs_virtq *vq, uint16_t id, uint32_t len, uint32_t slots) {
  struct virtiofs_packed_desc *desc = desc_at(vq, vq->next_used.at);
  uint16_t flags = (uint16_t)(virtiofs_packed_used_flags(vq->next_used.wrap) | (len > 0 ? VIRTIOFS_DESC_F_WRITE : 0U));
  virtiofs_guest_store32(&desc->len, len);
  virtiofs_guest_store16(&desc->id, id);
  if (vq->unpublished == 0) {
    vq->first_at = vq->next_used.at;
    vq->first_flags = flags;
  } else {
    virtiofs_guest_store16(&desc->flags, flags);
  }
  virtiofs_virtq_log(vq, vq->log_desc + vq->next_used.at * sizeof(*desc), sizeof(*desc));
  vq->unpublished += slots;
  vq->slots -= slots;
  virtiofs_packed_advance(&vq->next_used, slots, vq->num);
}

bool virtiofs_packed_publish(struct virtiofs_virtq *vq) {
  uint32_t moved = vq->unpublished;
  if (moved == 0)
    return false;
  vq->unpublished = 0;
  /* As in a split ring: first show, then look whether the driver wants to hear of it. */
  virtiofs_guest_store16_sync(&desc_at(vq, vq->first_at)->flags, vq->first_flags);
  virtiofs_virtq_log(vq, vq->log_desc + vq->first_at * sizeof(struct virtiofs_packed_desc),
                     sizeof(struct virtiofs_packed_desc));
  uint32_t event = virtiofs_guest_load32_sync(vq->driver_event);
  bool by_position = vq->event_idx && vq->signalled;
  vq->signalled = true;
  return virtiofs_packed_wants(event, vq->next_used, moved, vq->num, by_position);
}

void virtiofs_packed_ask(struct virtiofs_virtq *vq, bool kicks) {
  uint32_t event = VIRTIOFS_EVENT_DISABLE;
  if (kicks)
    event = vq->event_idx ? VIRTIOFS_EVENT_DESC | virtiofs_packed_pos_encode(vq->next_avail) : VIRTIOFS_EVENT_ENABLE;
  virtiofs_guest_store32_sync(vq->device_event, event);
  virtiofs_virtq_log(vq, vq->log_device, sizeof(event));
}
