/* SPDX-License-Identifier: BSD-3-Clause */
/** What the driver side of a ring is made of. driver.c has what both layouts share, driver_split.c and driver_packed.c
 * the rest. */
#ifndef VIRTIOFS_LIB_VIRTQ_DRIVER_H
#define VIRTIOFS_LIB_VIRTQ_DRIVER_H

#include <virtiofs/driverq.h>

#include "base/guest.h"
#include "virtq/ring.h"

/* A buffer that was added, by its head or id. */
struct virtiofs_driver_flight {
  void *cookie;
  uint64_t serial; /* which one since the start */
  uint32_t room;   /* writable bytes, at most UINT32_MAX */
  uint16_t slots;  /* descriptors of the ring */
  uint16_t tail;   /* split: the last of them */
  bool busy;
};

struct virtiofs_driverq {
  /* the ring, in this process */
  unsigned char *desc;
  struct virtiofs_ring_avail *avail; /* split */
  const struct virtiofs_ring_used *used;
  uint32_t *driver_event; /* packed */
  const uint32_t *device_event;

  unsigned char *tables; /* for indirect tables, one for each head or id; NULL: none */
  uint64_t tables_addr;
  uint32_t table_entries;

  uint32_t num, num_max;
  bool packed, event_idx, indirect, in_order;
  bool started;
  bool ready;  /* started and not broken */
  bool kicked; /* a notification was thought about since the start */
  enum virtiofs_virtq_fault fault;

  uint64_t added, published; /* buffers since the start */
  uint32_t in_flight;
  uint32_t free_count; /* descriptors of the ring */
  uint16_t free_head;  /* the first free one; packed: the first free id */
  uint16_t *next;      /* behind each descriptor, or free id; a circle with IN_ORDER, as then they come in turn */

  /* split: indices that run freely */
  uint16_t avail_idx; /* of the next buffer to make available */
  uint16_t shown;     /* what the device has been shown */
  uint16_t used_idx;  /* of the next used element */
  uint16_t used_seen; /* the device's index when it was last looked at */

  /* packed */
  struct virtiofs_packed_pos next_avail, next_used;
  uint32_t unpublished; /* slots that the device wasn't shown */
  uint16_t first_at;    /* the first of them, whose flags were held back */
  uint16_t first_flags;

  /* with IN_ORDER: heads as they were added, a circle */
  uint16_t *order;
  uint32_t order_first, order_count;
  uint32_t batch;     /* buffers that one used element stands for and that were not handed out */
  uint32_t batch_len; /* of the last of them */

  uint32_t reclaimed; /* heads that virtiofs_driverq_reclaim() has seen */

  struct virtiofs_driver_flight flights[]; /* @num_max */
};

/* A descriptor of either layout, by two stores: its address, and what is behind that as a little-endian number. */
static inline void virtiofs_driver_write_desc(void *at, uint64_t addr, uint64_t rest) {
  uint64_t *words = at;
  virtiofs_guest_store64(&words[0], addr);
  virtiofs_guest_store64(&words[1], rest);
}

/* The indirect table of a head or id, here and for the device. */
static inline void *virtiofs_driver_table(const struct virtiofs_driverq *q, uint16_t head, uint64_t *addr) {
  uint64_t offset = (uint64_t)head * q->table_entries * sizeof(struct virtiofs_ring_desc);
  *addr = q->tables_addr + offset;
  return q->tables + offset;
}

/* The one exit for everything that a device can do wrong. */
int virtiofs_driver_break(struct virtiofs_driverq *q, enum virtiofs_virtq_fault fault);

/* A used element was loaded and something is wrong with it: says what, and breaks the ring. */
int virtiofs_driver_refuse(struct virtiofs_driverq *q, uint32_t id, uint32_t len);

/* With IN_ORDER: how many buffers, at most @most, an element with this id stands for; 0: it is out of turn. */
uint32_t virtiofs_driver_turns(const struct virtiofs_driverq *q, uint32_t id, uint32_t most);

/* With IN_ORDER: the head whose turn it is, @index of them behind it. */
static inline uint16_t virtiofs_driver_turn(const struct virtiofs_driverq *q, uint32_t index) {
  uint32_t at = q->order_first + index;
  return q->order[at >= q->num ? at - q->num : at];
}

/* Is it an id that the device has, and has it written no more than it may? */
static inline bool virtiofs_driver_accepts(const struct virtiofs_driverq *q, uint32_t id, uint32_t len) {
  if (id >= q->num)
    return false;
  const struct virtiofs_driver_flight *flight = &q->flights[id];
  return flight->busy && flight->serial < q->published && len <= flight->room;
}

/* Hands out a buffer that was checked. Its descriptors are the layout's to take back. */
static inline struct virtiofs_driver_flight *virtiofs_driver_finish(struct virtiofs_driverq *q, uint32_t head,
                                                                    uint32_t len, struct virtiofs_driverq_done *done) {
  struct virtiofs_driver_flight *flight = &q->flights[head];
  done->cookie = flight->cookie;
  done->len = len;
  flight->busy = false;
  q->free_count += flight->slots;
  q->in_flight--;
  return flight;
}

/* With IN_ORDER: the next of the buffers that one element stands for. Gives its head. */
uint16_t virtiofs_driver_finish_turn(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done);

/* ---- driver_split.c, driver_packed.c ---- */

void virtiofs_driver_split_start(struct virtiofs_driverq *q, uint16_t base);
/* What fits, the readable ones first. The head or id. */
uint16_t virtiofs_driver_split_add(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                   uint32_t readable, uint32_t count);
uint16_t virtiofs_driver_split_add_table(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                         uint32_t readable, uint32_t count);
bool virtiofs_driver_split_publish(struct virtiofs_driverq *q);
bool virtiofs_driver_split_pending(const struct virtiofs_driverq *q);
int virtiofs_driver_split_take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done, uint32_t count);
void virtiofs_driver_split_ask(struct virtiofs_driverq *q, bool calls);

void virtiofs_driver_packed_start(struct virtiofs_driverq *q, struct virtiofs_packed_pos base);
uint16_t virtiofs_driver_packed_add(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                    uint32_t readable, uint32_t count);
uint16_t virtiofs_driver_packed_add_table(struct virtiofs_driverq *q, const struct virtiofs_driverq_part *parts,
                                          uint32_t readable, uint32_t count);
bool virtiofs_driver_packed_publish(struct virtiofs_driverq *q);
bool virtiofs_driver_packed_pending(const struct virtiofs_driverq *q);
int virtiofs_driver_packed_take(struct virtiofs_driverq *q, struct virtiofs_driverq_done *done, uint32_t count);
void virtiofs_driver_packed_ask(struct virtiofs_driverq *q, bool calls);

#endif
