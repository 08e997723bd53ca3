/* SPDX-License-Identifier: BSD-3-Clause */
/** A front-end that says what it likes, and split rings that are written by hand. */
#ifndef VIRTIOFS_TESTS_HOSTILE_FRONT_H
#define VIRTIOFS_TESTS_HOSTILE_FRONT_H

#include <virtiofs/vhost_user.h>

#include "hostile.h"

enum { FRONT_MEMORY = 1 << 20, FRONT_NUM = 16, FRONT_RING = 0x4000, FRONT_BUFFERS = 0x10000 };

#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U

struct desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags, next;
};

struct front_ring {
  volatile struct desc *desc;
  volatile uint16_t *avail, *used; /* flags, idx, entries */
  uint16_t next, seen;
  int kick_fd, call_fd;
};

struct front {
  int fd, memory_fd;
  unsigned char *memory; /* guest-physical 0 */
  struct front_ring rings[2];
};

/* Connects; nothing is said. */
void front_connect(struct front *front, const char *socket_path);
void front_close(struct front *front);

/* A message, with any descriptors. False: the server has hung up. */
bool front_say(struct front *front, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
               const int *fds, uint32_t fd_count);

/* One that is always answered: the server has come that far, if it is there. False: it has hung up. */
bool front_sync(struct front *front);

/* Features, memory, two rings; @call_fd and @kick_fd of ring 1: -1 for eventfds. */
void front_up(struct front *front, int kick_fd, int call_fd);

/* Begins ring 1 anew. */
void front_ring_again(struct front *front);

/* Puts a request in ring 1 and says so. */
void front_put(struct front *front, uint16_t head);
void front_kick(struct front *front);

/* Waits until something is used. False: nothing for @ms. */
bool front_used(struct front *front, int ms);

/* A whole INIT, so that other requests are looked at. */
void front_init(struct front *front);

#endif
