/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end that says what it is told to, message by message, right or wrong; and split rings written by hand. */
#ifndef VIRTIOFS_CHECK_WIRE_H
#define VIRTIOFS_CHECK_WIRE_H

#include <virtiofs/vhost_user.h>

#include "check.h"

enum {
  WIRE_RINGS = 3,
  RING_SIZE = 64,
  WIRE_MEMORY = 4 << 20,
  WIRE_MAPPED = 2 * WIRE_MEMORY,
  RING_BYTES = 0x10000,
  BUFFERS = 0x100000
};
#define WIRE_GPA (UINT64_C(1) << 32)

/* Descriptor flags. */
#define DESC_NEXT 1U
#define DESC_WRITE 2U
#define DESC_INDIRECT 4U

struct desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags, next;
};

struct used {
  uint32_t id, len;
};

struct ring {
  struct desc *desc;
  uint16_t *avail; /* flags, idx, heads */
  uint16_t *used;  /* flags, idx, elements */
  uint16_t next;   /* idx of the next buffer */
  uint16_t seen;   /* idx of the next used element */
  int kick_fd, call_fd, err_fd;
};

struct wire {
  struct test *t; /* NULL: nobody is told */
  int fd, timeout_ms;
  uint64_t features, protocol; /* agreed on */
  bool skip_base;              /* SET_VRING_BASE is left out */
  int memory_fd;
  unsigned char *memory; /* WIRE_MAPPED bytes, of which the first WIRE_MEMORY are at WIRE_GPA */
  struct ring rings[WIRE_RINGS];
};

/* ---- messages: 0, a positive number that the back-end says, or -errno ---- */

int wire_send(struct wire *w, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
              uint32_t fd_count);
/* A reply to @request into @payload, which has room for @room bytes; its size into @size. */
int wire_receive(struct wire *w, uint32_t request, void *payload, uint32_t room, uint32_t *size);
int wire_ask(struct wire *w, uint32_t request, uint64_t *value);
/* A message that has no reply of its own: asks for one if REPLY_ACK was agreed on, 1 if it was refused. */
int wire_tell(struct wire *w, uint32_t request, const void *payload, uint32_t size, const int *fds, uint32_t fd_count);
int wire_tell_u64(struct wire *w, uint32_t request, uint64_t value);
int wire_tell_state(struct wire *w, uint32_t request, uint32_t index, uint32_t num);
int wire_tell_fd(struct wire *w, uint32_t request, uint32_t index, int fd);

/* Ends the check: nothing came (0), or an error. */
_Noreturn void wire_fail(struct test *t, int rc, const char *what);

/* ---- steps; the check ends if one fails ---- */

/* Connects; @t->wire is it. */
struct wire *wire_open(struct test *t);
/* The same, and nothing has been said on the connection. */
struct wire *wire_open_unasked(struct test *t);
void wire_close(struct test *t);
/* Features; @want_bit_30: as front-ends since QEMU 7.2. */
void wire_negotiate(struct test *t, uint64_t features, bool want_bit_30);
/* One region for all. */
void wire_memory(struct test *t);
/* Everything of a ring but its kick. */
void wire_ring(struct test *t, uint32_t index, uint16_t base);
void wire_start(struct test *t, uint32_t index);
void wire_enable(struct test *t, uint32_t index, bool on);
/* Negotiates and starts the rings 0 to @count - 1. */
void wire_up(struct test *t, uint64_t features, uint32_t count);
/* GET_VRING_BASE. */
uint32_t wire_stop(struct test *t, uint32_t index);
/* The device is still there: it answers GET_FEATURES. */
void wire_alive(struct test *t);

/* ---- rings ---- */

static inline uint64_t gpa_of(const struct wire *w, const void *at) {
  return WIRE_GPA + (uint64_t)((const unsigned char *)at - w->memory);
}

/* Makes a head available, without a kick. */
void ring_put(struct wire *w, uint32_t index, uint16_t head);
void ring_kick(struct wire *w, uint32_t index);
/* The next used element. 1; 0 if the device has none within @ms, or says that the ring is broken; -errno. */
int ring_take(struct wire *w, uint32_t index, struct used *used, int ms);
bool ring_has_used(const struct wire *w, uint32_t index);

/* A request at BUFFERS + @slot * 4096, its reply's room 2048 behind it: descriptors 2 * @slot and one more. */
void ring_getattr(struct wire *w, uint32_t index, uint32_t slot, uint64_t unique);
/* Its reply is a good one. */
void ring_check_getattr(struct test *t, uint32_t slot, uint64_t unique, const struct used *used);
/* INIT, on ring 1. */
void ring_init(struct test *t);
/* Puts a GETATTR of the root, waits, and checks the reply. */
void ring_works(struct test *t, uint32_t index);
/* After something hostile on ring 1: either it works, or it does after a restart, and the device is there. */
void ring_survived(struct test *t);

#endif
