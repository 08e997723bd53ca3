/* SPDX-License-Identifier: BSD-3-Clause */
/** Storage for the requests that a queue has in flight: made once, touched as far as it is used. */
#ifndef VIRTIOFS_LIB_DEVICE_SLOTS_H
#define VIRTIOFS_LIB_DEVICE_SLOTS_H

#include <virtiofs/memory.h>
#include <virtiofs/message.h>

#include "session/req.h"

/* Descriptors of one chain, and some more for buffers that cross regions of memory. */
#define VIRTIOFS_SEGMENTS_EXTRA 64U

/* A memory map that requests of one queue were parsed against; counted by the queue's worker alone. */
struct virtiofs_hold {
  struct virtiofs_memory *map;
  uint32_t users;
};

struct virtiofs_queue;

struct virtiofs_slot {
  struct virtiofs_message msg;
  struct virtiofs_queue *queue;
  struct virtiofs_slots *slots;
  struct virtiofs_hold *hold;
  struct virtiofs_slot *next; /* on the list of the answered */
  struct virtiofs_slot
      *behind; /* waits for the pool behind this one; a request may be given up and answered meanwhile */
  size_t used;
  uint64_t taken_ns; /* when it was taken, if the queue measures */
  uint32_t room;     /* for the reply, as the device's rate was charged for it */
  int error;         /* that the guest is told */
  uint64_t token;    /* the tap's */
  uint32_t ticket;   /* of the chain */
  bool abandoned;    /* answered in the backend's place: the storage is not free yet */
  struct virtiofs_req req;
};

/* Counted: an abandoned request keeps it when its queue is gone. */
struct virtiofs_slots {
  atomic_uint refs;
  uint32_t segments; /* of each slot */
  uint32_t free_count;
  uint16_t *free; /* indices, the last used one on top */
  size_t stride, size;
  unsigned char *memory;
};

/* For @num requests. 0 or -ENOMEM. */
int virtiofs_slots_new(struct virtiofs_slots **out, uint32_t num);
void virtiofs_slots_unref(struct virtiofs_slots *slots);

/* The queue's worker: NULL if all are in use. */
struct virtiofs_slot *virtiofs_slots_take(struct virtiofs_slots *slots);
void virtiofs_slots_give(struct virtiofs_slots *slots, struct virtiofs_slot *slot);

static inline struct iovec *virtiofs_slot_segments(struct virtiofs_slot *slot) {
  return (struct iovec *)(void *)(slot + 1);
}

static inline struct virtiofs_slot *virtiofs_slot_of_message(struct virtiofs_message *msg) {
  return (struct virtiofs_slot *)(void *)((unsigned char *)msg - offsetof(struct virtiofs_slot, msg));
}

static inline struct virtiofs_slot *virtiofs_slot_of_req(struct virtiofs_req *req) {
  return (struct virtiofs_slot *)(void *)((unsigned char *)req - offsetof(struct virtiofs_slot, req));
}

#endif
