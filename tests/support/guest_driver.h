/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The driver's side of split rings over a memfd, and the front-end that hands them to a device. Written apart from
 * lib/virtq.
 *
 * Memory is up to GUEST_REGIONS regions of GUEST_REGION bytes, of one file. The first holds the rings, the others are
 * for buffers. A buffer's place is its guest-physical address. Fails the test when something doesn't come in time.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_GUEST_DRIVER_H
#define VIRTIOFS_TESTS_SUPPORT_GUEST_DRIVER_H

#include <stdbool.h>

#include "support/vhost_frontend.h"

enum { GUEST_QUEUES = 4, GUEST_REGION = 1 << 20, GUEST_REGIONS = 4, GUEST_CHAIN = 64, GUEST_DEADLINE_MS = 60000 };

/** Guest-physical address of a region; only the second and the third are neighbours. */
uint64_t guest_region(uint32_t n);

struct guest_desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags, next;
};

/** One piece of a chain. */
struct guest_piece {
  uint64_t gpa;
  uint32_t len;
  bool write;
};

struct guest_ring {
  uint32_t num;
  uint64_t desc, avail, used; /**< guest-physical */
  uint16_t avail_idx;         /**< as published */
  uint16_t used_seen;
  int kick_fd, call_fd, err_fd;
  uint16_t free_head; /**< of the list in the descriptors' next fields */
  uint32_t free_count;
  uint32_t kicks, calls; /**< how many there were */
};

struct guest {
  struct vhost_frontend fe;
  int memory_fd;
  unsigned char *memory;
  uint32_t regions; /**< that the device knows */
  uint64_t features;
  struct guest_ring rings[GUEST_QUEUES];
};

/** Makes memory and rings of @num entries, and a socket; the other end's descriptor is the caller's. */
int guest_init(struct guest *g, uint32_t num, uint64_t features);
void guest_fini(struct guest *g);
/** Another front-end over the same memory; rings begin anew. */
int guest_connect(struct guest *g);

/** Features, memory of @regions regions, and the rings 0 .. @queues - 1 run. */
void guest_start(struct guest *g, uint32_t regions, uint32_t queues);
void guest_set_memory(struct guest *g, uint32_t regions);
/** The driver forgets the ring, which must not run. */
void guest_reset_ring(struct guest *g, uint32_t queue);
void guest_start_ring(struct guest *g, uint32_t queue, uint16_t base);
/** GET_VRING_BASE: what it says. */
uint16_t guest_stop_ring(struct guest *g, uint32_t queue);
/** Waits until the device has done all that was sent. */
void guest_sync(struct guest *g);

/** Where an address lies in this process. */
void *guest_at(struct guest *g, uint64_t gpa);
struct guest_desc *guest_table(struct guest *g, uint32_t queue);

/** Makes a chain available; @indirect: gpa of a table, 0: none. Return: its head. Doesn't kick. */
uint16_t guest_add(struct guest *g, uint32_t queue, const struct guest_piece *pieces, uint32_t count,
                   uint64_t indirect);
/** Makes any head available. */
void guest_publish(struct guest *g, uint32_t queue, uint16_t head);
/** Kicks if the device wants it. */
void guest_kick(struct guest *g, uint32_t queue);
/** Waits for the next used element. Return: its head; *len is what it says. */
uint16_t guest_wait_used(struct guest *g, uint32_t queue, uint32_t *len);
/** The same if it is there. */
bool guest_has_used(struct guest *g, uint32_t queue);

/** Waits until an eventfd was signalled, and clears it. */
void guest_wait_fd(int fd);

/** Threads of this process; those of a sanitizer, which come with the first one, are there already. */
unsigned guest_first_threads(void);
/** Waits until there are so many: a thread that was joined may be seen a moment longer. */
void guest_wait_threads(unsigned count);
/** Waits until so many mappings of guest memory are left: each queue lets go of old memory by itself. */
void guest_wait_maps(unsigned count);

#endif
