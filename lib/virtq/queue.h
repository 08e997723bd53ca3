/* SPDX-License-Identifier: BSD-3-Clause */
/** What the device side of a ring is made of. queue.c has what both layouts share, split.c and packed.c the rest. */
#ifndef VIRTIOFS_LIB_VIRTQ_QUEUE_H
#define VIRTIOFS_LIB_VIRTQ_QUEUE_H

#include <stddef.h>

#include <virtiofs/virtq.h>

#include "virtq/ring.h"
#include "virtq/walk.h"

enum virtiofs_flight_state {
  VIRTIOFS_FLIGHT_NONE,
  VIRTIOFS_FLIGHT_TAKEN,
  VIRTIOFS_FLIGHT_PUT, /* with IN_ORDER: waits for those before it */
};

/* A buffer that the device has, by its head or id. */
struct virtiofs_flight {
  uint64_t room; /* writable bytes */
  uint32_t len;  /* bytes written, once it was put */
  uint16_t slots;
  uint8_t state;
  bool whole; /* the driver's room is what @room says */
};

struct virtiofs_virtq {
  /* the ring, in this process */
  unsigned char *desc;
  const struct virtiofs_ring_avail *avail; /* split */
  struct virtiofs_ring_used *used;
  const uint32_t *driver_event; /* packed */
  uint32_t *device_event;

  uint32_t num, num_max;
  uint32_t hint; /* region of the last translation */
  bool packed, event_idx, indirect, in_order;
  bool started; /* it has a position, and may be looked at */
  bool ready;   /* it is started and not broken */
  enum virtiofs_virtq_fault fault;
  uint16_t generation; /* of tickets: those of another life are void */

  /* split: indices that run freely */
  uint16_t taken;        /* of the next buffer to take */
  uint16_t avail_seen;   /* the driver's index when it was last looked at */
  uint16_t put;          /* of the next used element */
  uint16_t published;    /* what the driver has been shown */
  uint16_t signalled_at; /* used index when a notification was last thought about */
  bool signalled;        /* a notification was thought about since the start */

  /* packed */
  struct virtiofs_packed_pos next_avail, next_used;
  uint32_t slots;       /* of the ring, that the device has */
  uint32_t unpublished; /* slots of used descriptors that the driver wasn't shown */
  uint16_t first_at;    /* the first of them, whose flags were held back */
  uint16_t first_flags;

  /* with IN_ORDER: heads as they were taken, a circle */
  uint16_t *order;
  uint32_t order_first, order_count;

  const struct virtiofs_memory_log *log;
  uint64_t log_desc, log_device;

  struct virtiofs_flight flights[]; /* @num_max */
};

/* The one exit for everything that a driver can do wrong: nothing has been taken. */
int virtiofs_virtq_break(struct virtiofs_virtq *vq, enum virtiofs_virtq_fault fault);

/* @index counted around the circle of heads. */
static inline uint16_t *virtiofs_virtq_order(const struct virtiofs_virtq *vq, uint32_t index) {
  uint32_t at = vq->order_first + index;
  return &vq->order[at >= vq->num ? at - vq->num : at];
}

/* A chain was taken whole. */
static inline void virtiofs_virtq_accept(struct virtiofs_virtq *vq, struct virtiofs_virtq_chain *chain, uint16_t head,
                                         uint16_t slots) {
  struct virtiofs_flight *flight = &vq->flights[head];
  flight->room = chain->out_bytes;
  flight->slots = slots;
  flight->state = VIRTIOFS_FLIGHT_TAKEN;
  flight->whole = !chain->cut;
  if (vq->in_order)
    *virtiofs_virtq_order(vq, vq->order_count++) = head;
  chain->ticket = (uint32_t)vq->generation << 16 | head;
}

static inline void virtiofs_virtq_log(const struct virtiofs_virtq *vq, uint64_t gpa, uint64_t len) {
  if (vq->log != NULL)
    virtiofs_memory_log_mark(vq->log, gpa, len);
}

/* ---- split.c, packed.c ---- */

bool virtiofs_split_pending(const struct virtiofs_virtq *vq);
int virtiofs_split_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                        struct virtiofs_virtq_chain *chains, uint32_t count);
/* Writes one used element for @buffers, of @slots together, the last of them @head. */
void virtiofs_split_use(struct virtiofs_virtq *vq, uint16_t head, uint32_t len, uint32_t buffers);
bool virtiofs_split_publish(struct virtiofs_virtq *vq);
void virtiofs_split_ask(struct virtiofs_virtq *vq, bool kicks);

bool virtiofs_packed_pending(const struct virtiofs_virtq *vq);
int virtiofs_packed_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                         struct virtiofs_virtq_chain *chains, uint32_t count);
void virtiofs_packed_use(struct virtiofs_virtq *vq, uint16_t id, uint32_t len, uint32_t slots);
bool virtiofs_packed_publish(struct virtiofs_virtq *vq);
void virtiofs_packed_ask(struct virtiofs_virtq *vq, bool kicks);

#endif
