/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings, tables and requests that are written while the server reads them. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "front.h"

enum { REQUESTS = 3000, PATIENCE_MS = 2, TABLE_AT = 0x8000, REQUEST_AT = 0x20000, REQUEST_STEP = 0x2000 };

struct scribbler {
  struct front *front;
  pthread_t thread;
  atomic_bool stop;
  uint64_t seed;
};

static uint64_t draw(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

/* Numbers that lengths, indices and addresses have where something ends. */
static uint32_t odd_number(uint64_t n) {
  static const uint32_t odd[] = {0,      1,      2,          15,         16,         17,         4095,         4096,
                                 0xffff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, FRONT_MEMORY, 40};
  return n % 3 == 0 ? (uint32_t)(n >> 32) : odd[n >> 8 & 15];
}

static void *scribble(void *arg) {
  struct scribbler *s = arg;
  unsigned char *memory = s->front->memory;
  while (!atomic_load(&s->stop)) {
    uint64_t n = draw(&s->seed);
    size_t at;
    switch (n >> 56 & 7) {
    case 0: /* the ring's own */
      at = FRONT_RING + (n >> 16 & 0xff);
      break;
    case 1:
      at = FRONT_RING + 0x1000 + (n >> 16 & 0x3f);
      break;
    case 2: /* tables */
      at = TABLE_AT + (n >> 16 & 0xff);
      break;
    default: /* headers, arguments, names */
      at = REQUEST_AT + (n >> 16) % FRONT_NUM / 2 * REQUEST_STEP + (n >> 24 & 0x7f);
      break;
    }
    volatile unsigned char *to = memory + at;
    uint32_t value = odd_number(draw(&s->seed));
    if (n % 2 == 0)
      *to = (unsigned char)value;
    else
      *(volatile uint32_t *)(void *)(memory + (at & ~(size_t)3)) = value;
  }
  return NULL;
}

/* Request @slot, whole, as it should be: a WRITE, a LOOKUP, a READDIRPLUS, ... */
static void write_request(struct front *front, unsigned slot, uint64_t n) {
  static const uint32_t opcodes[] = {VIRTIOFS_FUSE_LOOKUP,      VIRTIOFS_FUSE_GETATTR,  VIRTIOFS_FUSE_WRITE,
                                     VIRTIOFS_FUSE_READ,        VIRTIOFS_FUSE_SETXATTR, VIRTIOFS_FUSE_BATCH_FORGET,
                                     VIRTIOFS_FUSE_READDIRPLUS, VIRTIOFS_FUSE_RENAME2,  VIRTIOFS_FUSE_CREATE,
                                     VIRTIOFS_FUSE_STATFS};
  uint64_t at = REQUEST_AT + (uint64_t)slot * REQUEST_STEP;
  uint32_t len = 40 + 64, words[26] = {len, opcodes[n % 10], (uint32_t)n, 0, VIRTIOFS_FUSE_ROOT_ID};
  memcpy(words + 24, "spare\0x", 8);
  memcpy(front->memory + at, words, sizeof(words));
  bool table = (n >> 32) % 3 == 0;
  volatile struct desc *desc = table ? (volatile struct desc *)(void *)(front->memory + TABLE_AT + slot * 32)
                                     : front->rings[1].desc + (size_t)slot * 2;
  desc[0].addr = at;
  desc[0].len = len;
  desc[0].flags = DESC_NEXT;
  desc[0].next = (uint16_t)(table ? 1 : slot * 2 + 1);
  desc[1].addr = at + 0x1000;
  desc[1].len = 0x1000;
  desc[1].flags = DESC_WRITE;
  if (!table)
    return;
  front->rings[1].desc[slot * 2].addr = TABLE_AT + slot * 32;
  front->rings[1].desc[slot * 2].len = 32;
  front->rings[1].desc[slot * 2].flags = DESC_INDIRECT;
}

/* Goes on with whatever the server makes of it; where it takes no more, the ring begins anew. */
static void send_requests(struct hostile *h, struct front *front, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    unsigned slot = i % (FRONT_NUM / 2);
    write_request(front, slot, next_number(h));
    front_put(front, (uint16_t)(slot * 2));
    front_kick(front);
    if (slot == FRONT_NUM / 2 - 1 && !front_used(front, PATIENCE_MS))
      front_ring_again(front);
  }
}

void attack_rings(struct hostile *h) {
  for (unsigned round = 0; round < h->rounds; round++) {
    struct front front;
    struct scribbler scribbler = {.front = &front, .seed = next_number(h)};
    front_connect(&front, h->socket);
    front_up(&front, -1, -1);
    front_init(&front);
    if (pthread_create(&scribbler.thread, NULL, scribble, &scribbler) != 0)
      fail("no thread");
    send_requests(h, &front, REQUESTS);
    atomic_store(&scribbler.stop, true);
    pthread_join(scribbler.thread, NULL);
    /* The front-end has done nothing wrong: it is still served. */
    front_ring_again(&front);
    front_init(&front);
    front_close(&front);
  }
}
