/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest's side of a device, in the memory of descriptors.h: rings, and FUSE requests in them, as an input says.
 *
 * Knows which nodes and handles the device has given out, so that an input can use them without knowing their numbers.
 */
#ifndef VIRTIOFS_FUZZ_GUEST_H
#define VIRTIOFS_FUZZ_GUEST_H

#include <stdbool.h>

#include <virtiofs/driverq.h>

#include "target.h"

enum { GUEST_QUEUES = 4, GUEST_SLOTS = 16, GUEST_KNOWN = 8 };

struct guest_call {
  uint32_t opcode;
  uint64_t reply; /* where in memory */
  uint32_t room;
};

struct guest {
  uint32_t num; /* of each ring */
  uint64_t features;
  bool swapped; /* its numbers have the other byte order */
  struct virtiofs_driverq *rings[GUEST_QUEUES];
  struct guest_call calls[GUEST_SLOTS];
  unsigned next; /* slot */
  uint64_t unique;
  uint64_t nodes[GUEST_KNOWN]; /* given out lately, as the guest has them; the root at first */
  uint64_t handles[GUEST_KNOWN];
  unsigned node_count, handle_count;
};

void guest_init(struct guest *guest, uint32_t num, uint64_t features, bool swapped);
void guest_fini(struct guest *guest);

/* Writes an empty ring. */
void guest_ring(struct guest *guest, unsigned queue);

/* Where the parts of a ring are, from the beginning of memory. */
void guest_ring_at(const struct guest *guest, unsigned queue, uint64_t *desc, uint64_t *driver, uint64_t *device);

/* Puts the next request of an input into a ring, if there is room. */
void guest_request(struct guest *guest, struct fuzz_input *in);

/* A request of the caller's. */
void guest_send(struct guest *guest, unsigned queue, const void *bytes, uint32_t len, uint32_t room);

/* Takes what is answered. */
void guest_take(struct guest *guest, unsigned queue);

#endif
