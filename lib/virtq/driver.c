/* SPDX-License-Identifier: BSD-3-Clause */
/* What the driver side of both layouts has in common. */
#include "virtq/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_size(const struct virtiofs_driverq *q, uint32_t num) {
  return num <= q->num_max && virtiofs_virtq_size_valid(num, q->packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0);
}

int virtiofs_driverq_new(struct virtiofs_driverq **out, uint32_t num, uint64_t features) {
  *out = NULL;
  if (!virtiofs_virtq_size_valid(num, features))
    return -EINVAL;
  bool in_order = (features & VIRTIOFS_VIRTQ_F_IN_ORDER) != 0;
  size_t words = num * (in_order ? 2U : 1U);
  struct virtiofs_driverq *q = calloc(1, sizeof(*q) + num * sizeof(q->flights[0]) + words * sizeof(uint16_t));
  if (q == NULL)
    return -ENOMEM;
  q->num = q->num_max = num;
  q->packed = (features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  q->event_idx = (features & VIRTIOFS_VIRTQ_F_EVENT_IDX) != 0;
  q->indirect = (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0;
  q->in_order = in_order;
  q->next = (uint16_t *)(void *)&q->flights[num];
  q->order = q->next + num;
  *out = q;
  return 0;
}

void virtiofs_driverq_free(struct virtiofs_driverq *q) {
  free(q);
}

static bool is_aligned(const void *at, uintptr_t to) {
  return ((uintptr_t)at & (to - 1)) == 0;
}

int virtiofs_driverq_map(struct virtiofs_driverq *q, void *desc, void *driver, void *device) {
  if (q->started || !is_aligned(desc, 16) || !is_aligned(driver, q->packed ? 4 : 2) || !is_aligned(device, 4))
    return -EINVAL;
  q->desc = desc;
  if (q->packed) {
    q->driver_event = driver;
    q->device_event = device;
  } else {
    q->avail = driver;
    q->used = device;
  }
  return 0;
}

int virtiofs_driverq_set_tables(struct virtiofs_driverq *q, void *memory, uint64_t addr, uint32_t entries) {
  if (q->in_flight > 0)
    return -EINVAL;
  if (memory == NULL) {
    q->tables = NULL;
    q->table_entries = 0;
    return 0;
  }
  uint64_t bytes = (uint64_t)entries * q->num_max * sizeof(struct virtiofs_ring_desc);
  if (!q->indirect || entries < 2 || entries > VIRTIOFS_VIRTQ_SIZE_MAX || !is_aligned(memory, 16) || addr % 16 != 0 ||
      addr + bytes - 1 < addr)
    return -EINVAL;
  q->tables = memory;
  q->tables_addr = addr;
  q->table_entries = entries;
  return 0;
}

int virtiofs_driverq_start(struct virtiofs_driverq *q, uint32_t base) {
  struct virtiofs_packed_pos pos = virtiofs_packed_pos_decode((uint16_t)base);
  bool fits = q->packed ? pos.at < q->num && base >> 16 == (base & 0xffff) : base <= UINT16_MAX;
  if (q->desc == NULL || !fits)
    return -EINVAL;
  memset(q->flights, 0, q->num_max * sizeof(q->flights[0]));
  for (uint32_t i = 0; i < q->num; i++)
    q->next[i] = (uint16_t)(i + 1 < q->num ? i + 1 : 0);
  q->free_head = 0;
  q->free_count = q->num;
  q->in_flight = 0;
  q->added = q->published = 0;
  q->order_first = q->order_count = q->batch = 0;
  q->kicked = false;
  q->fault = VIRTIOFS_VIRTQ_OK;
  if (q->packed)
    virtiofs_driver_packed_start(q, pos);
  else
    virtiofs_driver_split_start(q, (uint16_t)base);
  q->started = q->ready = true;
  return 0;
}

uint32_t virtiofs_driverq_base(const struct virtiofs_driverq *q) {
  if (!q->packed)
    return q->avail_idx;
  return virtiofs_packed_pos_encode(q->next_avail) | (uint32_t)virtiofs_packed_pos_encode(q->next_used) << 16;
}

int virtiofs_driverq_reset(struct virtiofs_driverq *q, uint32_t num) {
  if (!is_size(q, num) || (num != q->num && q->in_flight > 0))
    return -EINVAL;
  q->started = q->ready = false;
  q->fault = VIRTIOFS_VIRTQ_OK;
  q->num = num;
  q->desc = NULL;
  q->avail = NULL;
  q->used = NULL;
  q->driver_event = NULL;
  q->device_event = NULL;
  q->reclaimed = 0;
  return 0;
}

int virtiofs_driverq_reclaim(struct virtiofs_driverq *q, void **cookie) {
  if (q->started)
    return 0;
  for (; q->in_flight > 0 && q->reclaimed < q->num; q->reclaimed++) {
    struct virtiofs_driver_flight *flight = &q->flights[q->reclaimed];
    if (!flight->busy)
      continue;
    flight->busy = false;
    q->in_flight--;
    *cookie = flight->cookie;
    return 1;
  }
  return 0;
}

enum virtiofs_virtq_fault virtiofs_driverq_fault(const struct virtiofs_driverq *q) {
  return q->fault;
}

uint32_t virtiofs_driverq_free_count(const struct virtiofs_driverq *q) {
  return q->started ? q->free_count : 0;
}

uint32_t virtiofs_driverq_in_flight(const struct virtiofs_driverq *q) {
  return q->in_flight;
}

int virtiofs_driver_break(struct virtiofs_driverq *q, enum virtiofs_virtq_fault fault) {
  q->fault = fault;
  q->ready = false;
  return -EPROTO;
}

static void remember(struct virtiofs_driverq *q, uint16_t head, uint32_t slots, uint64_t room, void *cookie) {
  struct virtiofs_driver_flight *flight = &q->flights[head];
  flight->cookie = cookie;
  flight->serial = q->added++;
  flight->room = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
  flight->slots = (uint16_t)slots;
  flight->busy = true;
  if (q->in_order) {
    uint32_t at = q->order_first + q->order_count++;
    q->order[at >= q->num ? at - q->num : at] = head;
  }
  q->free_count -= slots;
  q->in_flight++;
}

int virtiofs_driverq_add(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts, uint32_t readable,
                         uint32_t writable, void *cookie) {
  uint64_t count = (uint64_t)readable + writable, bytes = 0, room = 0;
  if (!q->ready)
    return q->fault != VIRTIOFS_VIRTQ_OK ? -EPROTO : -EINVAL;
  bool table = count > 1 && count <= q->table_entries;
  uint32_t slots = table ? 1 : (uint32_t)count;
  if (count == 0 || (count > q->num && !table))
    return -EINVAL;
  if (slots > q->free_count)
    return -ENOSPC;
  const struct virtiofs_driverq_part *part = parts, *middle = parts + readable, *end = parts + count;
  while (part < middle)
    bytes += (part++)->len;
  while (part < end)
    room += (part++)->len;
  if (bytes + room > UINT64_C(1) << 32)
    return -EINVAL;

  uint16_t head;
  if (q->packed)
    head = table ? virtiofs_driver_packed_add_table(q, parts, readable, (uint32_t)count)
                 : virtiofs_driver_packed_add(q, parts, readable, (uint32_t)count);
  else
    head = table ? virtiofs_driver_split_add_table(q, parts, readable, (uint32_t)count)
                 : virtiofs_driver_split_add(q, parts, readable, (uint32_t)count);
  remember(q, head, slots, room, cookie);
  return 0;
}

bool virtiofs_driverq_publish(struct virtiofs_driverq *q) {
  if (!q->ready || q->published == q->added)
    return false;
  q->published = q->added;
  return q->packed ? virtiofs_driver_packed_publish(q) : virtiofs_driver_split_publish(q);
}

uint32_t virtiofs_driverq_notify_data(const struct virtiofs_driverq *q, uint16_t index) {
  return (virtiofs_driverq_base(q) & 0xffff) << 16 | index;
}

int virtiofs_driver_refuse(struct virtiofs_driverq *q, uint32_t id, uint32_t len) {
  if (id >= q->num)
    return virtiofs_driver_break(q, VIRTIOFS_VIRTQ_USED_ID);
  const struct virtiofs_driver_flight *flight = &q->flights[id];
  if (!flight->busy || flight->serial >= q->published)
    return virtiofs_driver_break(q, VIRTIOFS_VIRTQ_USED_TWICE);
  return virtiofs_driver_break(q, len > flight->room ? VIRTIOFS_VIRTQ_USED_LENGTH : VIRTIOFS_VIRTQ_USED_ORDER);
}

uint32_t virtiofs_driver_turns(const struct virtiofs_driverq *q, uint32_t id, uint32_t most) {
  for (uint32_t i = 0; i < q->order_count && i < most; i++)
    if (virtiofs_driver_turn(q, i) == id)
      return i + 1;
  return 0;
}

/* All but the last of them have been used to their end, which is why the device has left them out. */
uint16_t virtiofs_driver_finish_turn(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done) {
  uint16_t head = virtiofs_driver_turn(q, 0);
  q->order_first = q->order_first + 1 == q->num ? 0 : q->order_first + 1;
  q->order_count--;
  q->batch--;
  (void)virtiofs_driver_finish(q, head, q->batch == 0 ? q->batch_len : q->flights[head].room, done);
  return head;
}

int virtiofs_driverq_take_batch(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done, uint32_t count) {
  if (!q->ready)
    return q->fault != VIRTIOFS_VIRTQ_OK ? -EPROTO : 0;
  return q->packed ? virtiofs_driver_packed_take(q, done, count) : virtiofs_driver_split_take(q, done, count);
}

int virtiofs_driverq_take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done) {
  return virtiofs_driverq_take_batch(q, done, 1);
}

static void ask(struct virtiofs_driverq *q, bool calls) {
  if (!q->started)
    return;
  if (q->packed)
    virtiofs_driver_packed_ask(q, calls);
  else
    virtiofs_driver_split_ask(q, calls);
}

bool virtiofs_driverq_want_call(struct virtiofs_driverq *q) {
  ask(q, true);
  if (!q->ready)
    return false;
  if (q->batch > 0)
    return true;
  return q->packed ? virtiofs_driver_packed_pending(q) : virtiofs_driver_split_pending(q);
}

void virtiofs_driverq_no_call(struct virtiofs_driverq *q) {
  ask(q, false);
}
