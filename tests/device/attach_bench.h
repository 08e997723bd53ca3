/* SPDX-License-Identifier: BSD-3-Clause */
/** A device in the caller's process, over a script_fs: a driver made of driverq.h, and no thread but the test's. */
#ifndef VIRTIOFS_TESTS_DEVICE_ATTACH_BENCH_H
#define VIRTIOFS_TESTS_DEVICE_ATTACH_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <virtiofs/device.h>
#include <virtiofs/driverq.h>

#include "support/fuse_request.h"
#include "support/script_fs.h"
#include "support/vhost_frontend.h"

enum { QUEUES = 3, NUM = 16, PLACES = 2 * NUM, PLACE = 8192, ROOM = 4096, MEMORY = 1 << 20 };
#define GPA UINT64_C(0x7f0000000)
#define FEATURES (VIRTIOFS_TRANSPORT_F_VERSION_1 | VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX)

struct driver {
  struct virtiofs_driverq *ring;
  uint64_t desc, driver, device; /* guest-physical */
  unsigned next;
};

struct bench {
  struct script_fs fs;
  struct virtiofs_ops ops;
  struct virtiofs_device_config config;
  struct virtiofs_device *dev;
  struct virtiofs_transport_driver driver;
  struct driver queues[QUEUES];
  unsigned char *memory;
  struct virtiofs_memory *map;
  unsigned fds;
  unsigned notified[QUEUES], broken[QUEUES];
};

/* A request under way. */
struct call {
  unsigned char *reply;
  uint32_t used;
  bool done;
};

static inline void on_notify(void *ctx, uint32_t queue) {
  struct bench *b = ctx;
  b->notified[queue]++;
}

static inline void on_broken(void *ctx, uint32_t queue) {
  struct bench *b = ctx;
  b->broken[queue]++;
}

static inline struct virtiofs_memory *map_of(struct bench *b, uint64_t size) {
  struct virtiofs_memory_region region = {.gpa = GPA, .size = size, .uva = 1, .host = b->memory};
  struct virtiofs_memory *map;
  assert_int_equal(virtiofs_memory_new(&map, &region, 1, NULL), 0);
  return map;
}

static inline int setup(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  b->fds = vhost_frontend_count_fds();
  b->memory = aligned_alloc(4096, MEMORY);
  assert_non_null(b->memory);
  memset(b->memory, 0, MEMORY);
  script_fs_init(&b->fs);
  b->ops = script_fs_ops;
  b->config = (struct virtiofs_device_config){.size = sizeof b->config,
                                              .ops = &b->ops,
                                              .fs = &b->fs,
                                              .tag = "here",
                                              .request_queues = QUEUES - 1,
                                              .drain_ms = 50};
  b->map = map_of(b, MEMORY);
  b->driver = (struct virtiofs_transport_driver){.size = sizeof b->driver,
                                                 .features = FEATURES,
                                                 .map = b->map,
                                                 .notify = on_notify,
                                                 .broken = on_broken,
                                                 .ctx = b};
  *state = b;
  return 0;
}

static inline int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_device_free(b->dev);
  script_fs_fini(&b->fs);
  for (int i = 0; i < QUEUES; i++)
    virtiofs_driverq_free(b->queues[i].ring);
  virtiofs_memory_unref(b->map);
  free(b->memory);
  assert_int_equal(vhost_frontend_count_fds(), b->fds);
  free(b);
  return 0;
}

/* ---- the driver ---- */

static inline struct virtiofs_transport_queue place_ring(struct bench *b, uint32_t index, uint32_t base) {
  struct driver *q = &b->queues[index];
  uint64_t at = MEMORY / 2 + index * UINT64_C(32768);
  q->desc = GPA + at;
  q->driver = GPA + at + 8192;
  q->device = GPA + at + 16384;
  virtiofs_driverq_free(q->ring);
  assert_int_equal(virtiofs_driverq_new(&q->ring, NUM, b->driver.features), 0);
  assert_int_equal(virtiofs_driverq_map(q->ring, b->memory + at, b->memory + at + 8192, b->memory + at + 16384), 0);
  assert_int_equal(virtiofs_driverq_start(q->ring, base), 0);
  return (struct virtiofs_transport_queue){
      .num = NUM, .base = base, .desc = q->desc, .driver = q->driver, .device = q->device};
}

static inline void start_ring(struct bench *b, uint32_t index, uint32_t base) {
  struct virtiofs_transport_queue queue = place_ring(b, index, base);
  assert_int_equal(virtiofs_device_queue_start(b->dev, index, &queue), 0);
}

static inline void send(struct bench *b, uint32_t queue, const struct fuse_request *r, struct call *call) {
  struct driver *q = &b->queues[queue];
  uint64_t at = queue * (uint64_t)(PLACES / 4) * PLACE + q->next++ % (PLACES / 4) * (uint64_t)PLACE;
  *call = (struct call){.reply = b->memory + at + ROOM};
  memcpy(b->memory + at, r->bytes, r->len);
  struct virtiofs_driverq_part parts[2] = {{GPA + at, (uint32_t)r->len}, {GPA + at + ROOM, ROOM}};
  assert_int_equal(virtiofs_driverq_add(q->ring, parts, 1, 1, call), 0);
  (void)!virtiofs_driverq_publish(q->ring);
}

/* Takes back what was used. How many. */
static inline unsigned receive(struct bench *b, uint32_t queue) {
  struct virtiofs_driverq_done done;
  unsigned count = 0;
  while (virtiofs_driverq_take(b->queues[queue].ring, &done) == 1) {
    struct call *call = done.cookie;
    call->used = done.len;
    call->done = true;
    count++;
  }
  return count;
}

static inline int error_of(const struct call *call) {
  struct fuse_out_header header;
  assert_true(call->done && call->used >= sizeof header);
  memcpy(&header, call->reply, sizeof header);
  assert_int_equal(header.len, call->used);
  return header.error;
}

static inline int ask(struct bench *b, uint32_t queue, const struct fuse_request *r, void *args, size_t size) {
  struct call call;
  send(b, queue, r, &call);
  assert_true(virtiofs_device_process(b->dev) > 0);
  assert_int_equal(receive(b, queue), 1);
  if (args != NULL && error_of(&call) == 0)
    memcpy(args, call.reply + sizeof(struct fuse_out_header), size);
  return error_of(&call);
}

static inline void mount(struct bench *b) {
  struct fuse_request r;
  fuse_request_init(&r, 7, 38, 0);
  assert_int_equal(ask(b, 1, &r, NULL, 0), 0);
}

static inline uint64_t lookup(struct bench *b, uint32_t queue, const char *name) {
  struct fuse_request r;
  struct fuse_entry_out out;
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, name);
  assert_int_equal(ask(b, queue, &r, &out, sizeof out), 0);
  return out.nodeid;
}

static inline void start(struct bench *b) {
  bool packed = (b->driver.features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  assert_int_equal(virtiofs_device_new(&b->dev, &b->config), 0);
  assert_int_equal(virtiofs_device_attach(b->dev, &b->driver), 0);
  for (uint32_t i = 0; i < QUEUES; i++)
    start_ring(b, i, packed ? VIRTIOFS_VIRTQ_PACKED_BASE : 0);
  mount(b);
}

static inline bool readable(int fd, int timeout_ms) {
  struct pollfd pfd = {.fd = fd, .events = POLLIN};
  return poll(&pfd, 1, timeout_ms) == 1;
}

/* Until the device has nothing to do. */
static inline void settle(struct bench *b) {
  int rounds = 0;
  while (virtiofs_device_process(b->dev) > 0)
    assert_true(++rounds < 100);
}

#endif
