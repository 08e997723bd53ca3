/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver side of a split ring. */
#include <string.h>

#include "base/guest.h"
#include "virtq/driver.h"

static uint16_t *used_event(struct virtiofs_driverq *q) {
  return &q->avail->ring[q->num];
}

static const uint16_t *avail_event(const struct virtiofs_driverq *q) {
  return (const uint16_t *)(const void *)&q->used->ring[q->num];
}

/* Before the device looks, all of the ring is ours to write. Both events ask for the first notification. */
void virtiofs_driver_split_start(struct virtiofs_driverq *q, uint16_t base) {
  struct virtiofs_ring_used *used = (struct virtiofs_ring_used *)(void *)(uintptr_t)q->used;
  memset(q->desc, 0, (size_t)virtiofs_virtq_desc_bytes(q->num));
  memset(q->avail, 0, (size_t)virtiofs_virtq_driver_bytes(q->num, 0));
  memset(used, 0, (size_t)virtiofs_virtq_device_bytes(q->num, 0));
  q->avail_idx = q->shown = q->used_idx = q->used_seen = base;
  virtiofs_guest_store16(&used->idx, base);
  virtiofs_guest_store16((uint16_t *)(void *)&used->ring[q->num], base);
  virtiofs_guest_store16(used_event(q), base);
  virtiofs_guest_store16_sync(&q->avail->idx, base);
}

static void offer(struct virtiofs_driverq *q, uint16_t head) {
  virtiofs_guest_store16(&q->avail->ring[q->avail_idx & (q->num - 1)], head);
  q->avail_idx++;
}

/* Behind a descriptor's address: its length, the flags, the next one. */
static inline uint64_t word(uint32_t len, uint32_t flags, uint16_t next) {
  return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

static inline uint32_t write_flag(uint32_t readable, uint32_t part) {
  return part < readable ? 0 : VIRTIOFS_DESC_F_WRITE;
}

/* What is behind each descriptor is known from private memory: the device may have written into the table. */
uint16_t virtiofs_driver_split_add(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                   uint32_t readable, uint32_t count) {
  struct virtiofs_ring_desc *table = (struct virtiofs_ring_desc *)(void *)q->desc;
  const uint16_t *next = q->next;
  uint32_t last = count - 1;
  uint16_t head = q->free_head, at = head;
  for (uint32_t i = 0; i < last; i++) {
    uint16_t behind = next[at];
    virtiofs_driver_write_desc(&table[at], parts[i].addr,
                               word(parts[i].len, VIRTIOFS_DESC_F_NEXT | write_flag(readable, i), behind));
    at = behind;
  }
  virtiofs_driver_write_desc(&table[at], parts[last].addr, word(parts[last].len, write_flag(readable, last), 0));
  q->flights[head].tail = at;
  q->free_head = next[at];
  offer(q, head);
  return head;
}

uint16_t virtiofs_driver_split_add_table(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                         uint32_t readable, uint32_t count) {
  struct virtiofs_ring_desc *desc = (struct virtiofs_ring_desc *)(void *)q->desc;
  uint32_t last = count - 1;
  uint16_t head = q->free_head;
  uint64_t addr;
  struct virtiofs_ring_desc *table = virtiofs_driver_table(q, head, &addr);
  for (uint32_t i = 0; i < last; i++)
    virtiofs_driver_write_desc(&table[i], parts[i].addr,
                               word(parts[i].len, VIRTIOFS_DESC_F_NEXT | write_flag(readable, i), (uint16_t)(i + 1)));
  virtiofs_driver_write_desc(&table[last], parts[last].addr, word(parts[last].len, write_flag(readable, last), 0));
  virtiofs_driver_write_desc(&desc[head], addr, word(count * (uint32_t)sizeof(*table), VIRTIOFS_DESC_F_INDIRECT, 0));
  q->flights[head].tail = head;
  q->free_head = q->next[head];
  offer(q, head);
  return head;
}

bool virtiofs_driver_split_publish(struct virtiofs_driverq *q) {
  uint16_t before = q->shown;
  q->shown = q->avail_idx;
  /* The device first says that it wants to be notified, then looks at the index: so we first store it, then look. */
  virtiofs_guest_store16_sync(&q->avail->idx, q->avail_idx);
  if (!q->event_idx)
    return (virtiofs_guest_load16_sync(&q->used->flags) & VIRTIOFS_USED_F_NO_NOTIFY) == 0;
  bool wanted = !q->kicked || virtiofs_ring_passed(virtiofs_guest_load16_sync(avail_event(q)), q->shown, before);
  q->kicked = true;
  return wanted;
}

bool virtiofs_driver_split_pending(const struct virtiofs_driverq *q) {
  return q->used_seen != q->used_idx || virtiofs_guest_load16_sync(&q->used->idx) != q->used_idx;
}

/* 1 if there is a used element, 0 if not. One load tells of a whole batch. */
static inline int look(struct virtiofs_driverq *q) {
  if (q->used_seen != q->used_idx)
    return 1;
  q->used_seen = virtiofs_guest_load16_acquire(&q->used->idx);
  if ((uint16_t)(q->used_seen - q->used_idx) > (uint16_t)(q->shown - q->used_idx)) {
    q->used_seen = q->used_idx;
    return virtiofs_driver_break(q, VIRTIOFS_VIRTQ_USED_JUMP);
  }
  return q->used_seen != q->used_idx;
}

/* The list of descriptors is a circle with IN_ORDER, and what comes back is what was taken from it first. */
static int take_in_order(struct virtiofs_driverq *q, uint32_t id, uint32_t len, struct virtiofs_driverq_done *done) {
  uint32_t count = virtiofs_driver_turns(q, id, (uint16_t)(q->used_seen - q->used_idx));
  if (count == 0)
    return virtiofs_driver_refuse(q, id, len);
  q->used_idx = (uint16_t)(q->used_idx + count);
  q->batch = count;
  q->batch_len = len;
  (void)virtiofs_driver_finish_turn(q, done);
  return 1;
}

static inline int take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done) {
  if (q->batch > 0) {
    (void)virtiofs_driver_finish_turn(q, done);
    return 1;
  }
  int rc = look(q);
  if (rc <= 0)
    return rc;
  const struct virtiofs_ring_used_elem *elem = &q->used->ring[q->used_idx & (q->num - 1)];
  uint32_t id = virtiofs_guest_load32(&elem->id), len = virtiofs_guest_load32(&elem->len);
  if (!virtiofs_driver_accepts(q, id, len))
    return virtiofs_driver_refuse(q, id, len);
  if (q->in_order)
    return take_in_order(q, id, len, done);
  const struct virtiofs_driver_flight *flight = virtiofs_driver_finish(q, id, len, done);
  q->next[flight->tail] = q->free_head;
  q->free_head = (uint16_t)id;
  q->used_idx++;
  return 1;
}

int virtiofs_driver_split_take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done, uint32_t count) {
  uint32_t taken = 0;
  int rc = 0;
  while (taken < count && (rc = take(q, &done[taken])) == 1)
    taken++;
  return taken > 0 ? (int)taken : rc;
}

void virtiofs_driver_split_ask(struct virtiofs_driverq *q, bool calls) {
  if (!q->event_idx)
    virtiofs_guest_store16_sync(&q->avail->flags, (uint16_t)(calls ? 0U : VIRTIOFS_AVAIL_F_NO_INTERRUPT));
  else if (calls)
    virtiofs_guest_store16_sync(used_event(q), q->used_idx);
}
