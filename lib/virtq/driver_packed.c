/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver side of a packed ring. */
#include <string.h>

#include "base/guest.h"
#include "virtq/driver.h"

static struct virtiofs_packed_desc *desc_at(const struct virtiofs_driverq *q, uint16_t at) {
  return (struct virtiofs_packed_desc *)(void *)q->desc + at;
}

/*
 * Before the device looks, all of the ring is ours to write. It looks as if it had been gone around until here:
 * descriptors behind are used, those in front were used the round before. Both events ask for all notifications.
 */
void virtiofs_driver_packed_start(struct virtiofs_driverq *q, struct virtiofs_packed_pos base) {
  memset(q->desc, 0, (size_t)virtiofs_virtq_desc_bytes(q->num));
  for (uint32_t i = 0; i < q->num; i++)
    virtiofs_guest_store16(&desc_at(q, (uint16_t)i)->flags,
                           virtiofs_packed_used_flags(i < base.at ? base.wrap : !base.wrap));
  virtiofs_guest_store32(q->driver_event, VIRTIOFS_EVENT_ENABLE);
  virtiofs_guest_store32_sync((uint32_t *)(uintptr_t)q->device_event, VIRTIOFS_EVENT_ENABLE);
  q->next_avail = q->next_used = base;
  q->unpublished = 0;
}

/* Behind a descriptor's address: its length, the buffer's id, the flags. */
static inline uint64_t word(uint32_t len, uint16_t id, uint32_t flags) {
  return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

/*
 * The device looks at one place for what comes next. The flags there are held back until all that was added with it is
 * written: then one store shows the whole batch.
 */
static inline void write_held_back(struct virtiofs_driverq *q, struct virtiofs_packed_desc *desc, uint64_t addr,
                                   uint64_t rest) {
  virtiofs_guest_store64(&desc->addr, addr);
  virtiofs_guest_store32(&desc->len, (uint32_t)rest);
  virtiofs_guest_store16(&desc->id, (uint16_t)(rest >> 32));
  q->first_at = q->next_avail.at;
  q->first_flags = (uint16_t)(rest >> 48);
}

/* Where descriptors go one behind the other. */
struct cursor {
  struct virtiofs_packed_desc *ring;
  uint32_t at, num;
  bool wrap;
  uint64_t usual; /* what is behind each address but for the length, NEXT and WRITE */
};

static inline void advance(struct cursor *c) {
  if (__builtin_expect(++c->at == c->num, 0)) {
    c->at = 0;
    c->wrap = !c->wrap;
    c->usual ^= word(0, 0, VIRTIOFS_DESC_F_AVAIL | VIRTIOFS_DESC_F_USED);
  }
}

static inline void put(struct cursor *c, const struct virtiofs_driverq_part *part, uint64_t flags) {
  virtiofs_driver_write_desc(&c->ring[c->at], part->addr, c->usual | part->len | flags);
  advance(c);
}

uint16_t virtiofs_driver_packed_add(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                    uint32_t readable, uint32_t count) {
  const uint64_t next = word(0, 0, VIRTIOFS_DESC_F_NEXT), write = word(0, 0, VIRTIOFS_DESC_F_WRITE);
  struct cursor c = {.ring = desc_at(q, 0), .at = q->next_avail.at, .num = q->num, .wrap = q->next_avail.wrap};
  uint32_t i = 0, last = count - 1, middle = readable < last ? readable : last;
  uint16_t id = q->free_head;
  c.usual = word(0, id, virtiofs_packed_avail_flags(c.wrap));
  if (q->unpublished == 0) {
    write_held_back(q, &c.ring[c.at], parts[0].addr,
                    c.usual | parts[0].len | (readable > 0 ? 0 : write) | (last > 0 ? next : 0));
    advance(&c);
    i = 1;
  }
  for (; i < middle; i++)
    put(&c, &parts[i], next);
  for (; i < last; i++)
    put(&c, &parts[i], next | write);
  if (i == last)
    put(&c, &parts[i], readable == count ? 0 : write);
  q->next_avail = (struct virtiofs_packed_pos){.at = (uint16_t)c.at, .wrap = c.wrap};
  q->unpublished += count;
  q->free_head = q->next[id];
  return id;
}

/* Table entries have neither an id nor flags but WRITE. */
uint16_t virtiofs_driver_packed_add_table(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                          uint32_t readable, uint32_t count) {
  const uint64_t write = word(0, 0, VIRTIOFS_DESC_F_WRITE);
  struct virtiofs_packed_desc *desc = desc_at(q, q->next_avail.at);
  uint16_t id = q->free_head;
  uint64_t addr;
  struct virtiofs_packed_desc *table = virtiofs_driver_table(q, id, &addr);
  for (uint32_t i = 0; i < count; i++)
    virtiofs_driver_write_desc(&table[i], parts[i].addr, parts[i].len | (i < readable ? 0 : write));
  uint64_t rest = word(count * (uint32_t)sizeof(*desc), id,
                       virtiofs_packed_avail_flags(q->next_avail.wrap) | VIRTIOFS_DESC_F_INDIRECT);
  if (q->unpublished == 0)
    write_held_back(q, desc, addr, rest);
  else
    virtiofs_driver_write_desc(desc, addr, rest);
  virtiofs_packed_advance(&q->next_avail, 1, q->num);
  q->unpublished++;
  q->free_head = q->next[id];
  return id;
}

bool virtiofs_driver_packed_publish(struct virtiofs_driverq *q) {
  uint32_t moved = q->unpublished;
  q->unpublished = 0;
  /* As in a split ring: first show, then look whether the device wants to hear of it. */
  virtiofs_guest_store16_sync(&desc_at(q, q->first_at)->flags, q->first_flags);
  uint32_t event = virtiofs_guest_load32_sync(q->device_event);
  bool by_position = q->event_idx && q->kicked;
  q->kicked = true;
  return virtiofs_packed_wants(event, q->next_avail, moved, q->num, by_position);
}

bool virtiofs_driver_packed_pending(const struct virtiofs_driverq *q) {
  if (q->in_flight == 0)
    return false;
  uint16_t flags = virtiofs_guest_load16_sync(&desc_at(q, q->next_used.at)->flags);
  return virtiofs_packed_is_used(flags, q->next_used.wrap);
}

static void give_id(struct virtiofs_driverq *q, uint16_t id) {
  q->next[id] = q->free_head;
  q->free_head = id;
}

static int take_in_order(struct virtiofs_driverq *q, uint32_t id, uint32_t len, struct virtiofs_driverq_done *done) {
  uint32_t count = virtiofs_driver_turns(q, id, q->num), slots = 0;
  if (count == 0)
    return virtiofs_driver_refuse(q, id, len);
  for (uint32_t i = 0; i < count; i++)
    slots += q->flights[virtiofs_driver_turn(q, i)].slots;
  virtiofs_packed_advance(&q->next_used, slots, q->num);
  q->batch = count;
  q->batch_len = len;
  give_id(q, virtiofs_driver_finish_turn(q, done));
  return 1;
}

static inline int take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done) {
  if (q->batch > 0) {
    give_id(q, virtiofs_driver_finish_turn(q, done));
    return 1;
  }
  if (q->in_flight == 0)
    return 0;
  const struct virtiofs_packed_desc *desc = desc_at(q, q->next_used.at);
  uint16_t flags = virtiofs_guest_load16_acquire(&desc->flags);
  if (!virtiofs_packed_is_used(flags, q->next_used.wrap))
    return 0;
  uint32_t id = virtiofs_guest_load16(&desc->id);
  /* A device that has written nothing need not say so by a length. */
  uint32_t len = (flags & VIRTIOFS_DESC_F_WRITE) != 0 ? virtiofs_guest_load32(&desc->len) : 0;
  if (!virtiofs_driver_accepts(q, id, len))
    return virtiofs_driver_refuse(q, id, len);
  if (q->in_order)
    return take_in_order(q, id, len, done);
  const struct virtiofs_driver_flight *flight = virtiofs_driver_finish(q, id, len, done);
  virtiofs_packed_advance(&q->next_used, flight->slots, q->num);
  give_id(q, (uint16_t)id);
  return 1;
}

int virtiofs_driver_packed_take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done, uint32_t count) {
  uint32_t taken = 0;
  int rc = 0;
  while (taken < count && (rc = take(q, &done[taken])) == 1)
    taken++;
  return taken > 0 ? (int)taken : rc;
}

void virtiofs_driver_packed_ask(struct virtiofs_driverq *q, bool calls) {
  uint32_t event = VIRTIOFS_EVENT_DISABLE;
  if (calls)
    event = q->event_idx ? VIRTIOFS_EVENT_DESC | virtiofs_packed_pos_encode(q->next_used) : VIRTIOFS_EVENT_ENABLE;
  virtiofs_guest_store32_sync(q->driver_event, event);
}
