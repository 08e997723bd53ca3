/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/device_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

__attribute__((__format__(__printf__, 4, 0))) static void on_line(void *ctx, enum virtiofs_log_level level,
                                                                  const char *tag, const char *format, va_list args) {
  struct device_bench *b = ctx;
  char line[sizeof b->line];
  int at = snprintf(line, sizeof line, "%s: ", tag);
  (void)vsnprintf(line + at, sizeof line - (size_t)at, format, args);
  if (level > VIRTIOFS_LOG_WARN)
    return;
  pthread_mutex_lock(&b->lock);
  memcpy(b->line, line, sizeof line);
  pthread_mutex_unlock(&b->lock);
  atomic_fetch_add(&b->warnings, 1);
}

int device_bench_setup(void **state) {
  unsigned fds = vhost_frontend_count_fds(), threads = guest_first_threads(), maps = vhost_frontend_count_maps();
  struct device_bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  b->fds = fds;
  b->threads = threads;
  b->maps = maps;
  pthread_mutex_init(&b->lock, NULL);
  script_fs_init(&b->fs);
  b->ops = script_fs_ops;
  b->config = (struct virtiofs_device_config){
      .size = sizeof b->config,
      .ops = &b->ops,
      .fs = &b->fs,
      .tag = "bench",
      .request_queues = GUEST_QUEUES - 1,
      .drain_ms = 60000, /* what is said of one that is over is a warning, and a slow host is none */
      .log = {.fn = on_line, .ctx = b, .level = VIRTIOFS_LOG_TRACE},
  };
  *state = b;
  return 0;
}

int device_bench_teardown(void **state) {
  struct device_bench *b = *state;
  /* Left by a test that failed, which would wait here and never say why. */
  while (script_fs_pending(&b->fs) > 0)
    script_fs_answer(&b->fs, -EINTR);
  if (b->connected)
    (void)device_bench_hang_up(b);
  virtiofs_device_free(b->dev);
  script_fs_fini(&b->fs);
  if (b->g.memory != NULL)
    guest_fini(&b->g);
  pthread_mutex_destroy(&b->lock);
  assert_int_equal(vhost_frontend_count_fds(), b->fds);
  guest_wait_threads(b->threads);
  assert_int_equal(vhost_frontend_count_maps(), b->maps);
  free(b);
  return 0;
}

void device_bench_new(struct device_bench *b) {
  assert_int_equal(virtiofs_device_new(&b->dev, &b->config), 0);
}

static void *serve(void *arg) {
  struct device_bench *b = arg;
  b->rc = virtiofs_device_serve(b->dev, b->fd);
  return NULL;
}

void device_bench_connect(struct device_bench *b, uint32_t num, uint64_t features) {
  memset(b->busy, 0, sizeof b->busy);
  b->fd = b->g.memory == NULL ? guest_init(&b->g, num, features | DEVICE_F_VERSION_1) : guest_connect(&b->g);
  b->indirect = (features & DEVICE_F_INDIRECT) != 0;
  assert_int_equal(pthread_create(&b->server, NULL, serve, b), 0);
  b->connected = true;
}

void device_bench_start(struct device_bench *b, uint32_t queues, uint64_t features) {
  device_bench_new(b);
  device_bench_connect(b, DEVICE_RING, features);
  guest_start(&b->g, 3, queues);
  device_mount(b, 1);
}

int device_bench_join(struct device_bench *b) {
  pthread_join(b->server, NULL);
  b->connected = false;
  return b->rc;
}

int device_bench_hang_up(struct device_bench *b) {
  vhost_frontend_fini(&b->g.fe);
  return device_bench_join(b);
}

/* Requests go to region 1, tables to the upper half of region 0. */
static uint32_t slot_index(const struct device_bench *b, uint32_t queue) {
  return queue * DEVICE_SLOTS + b->slot[queue];
}

/* The next place that is free. */
static void choose_slot(struct device_bench *b, uint32_t queue) {
  for (unsigned i = 0; i < DEVICE_SLOTS; i++) {
    b->slot[queue] = (b->slot[queue] + 1) % DEVICE_SLOTS;
    if (!b->busy[slot_index(b, queue)])
      return;
  }
  fail_msg("too many requests at once");
}

static uint64_t slot_gpa(const struct device_bench *b, uint32_t queue) {
  return guest_region(1) + (uint64_t)slot_index(b, queue) * DEVICE_SLOT;
}

static struct device_call send_pieces(struct device_bench *b, uint32_t queue, const struct fuse_request *r,
                                      const struct guest_piece *pieces, uint32_t count, uint32_t room) {
  struct device_call call = {.queue = queue,
                             .out = slot_gpa(b, queue) + DEVICE_ROOM,
                             .room = room,
                             .unique = r->header.unique,
                             .opcode = r->header.opcode};
  uint64_t table = b->indirect ? guest_region(0) + GUEST_REGION / 2 + slot_index(b, queue) * 1024U : 0;
  assert_true(r->len <= DEVICE_ROOM);
  memcpy(guest_at(&b->g, slot_gpa(b, queue)), r->bytes, r->len);
  memset(guest_at(&b->g, call.out), 0xa5, DEVICE_ROOM);
  call.head = guest_add(&b->g, queue, pieces, count, table);
  b->busy[slot_index(b, queue)] = true;
  guest_kick(&b->g, queue);
  return call;
}

struct device_call device_send(struct device_bench *b, uint32_t queue, const struct fuse_request *r) {
  choose_slot(b, queue);
  uint64_t in = slot_gpa(b, queue), out = in + DEVICE_ROOM;
  struct guest_piece pieces[4];
  uint32_t count = 0;
  pieces[count++] = (struct guest_piece){in, 40, false};
  if (r->len > 40)
    pieces[count++] = (struct guest_piece){in + 40, (uint32_t)r->len - 40, false};
  if (r->header.opcode == FUSE_FORGET || r->header.opcode == FUSE_BATCH_FORGET)
    return send_pieces(b, queue, r, pieces, count, 0);
  pieces[count++] = (struct guest_piece){out, 16, true};
  pieces[count++] = (struct guest_piece){out + 16, 400, true};
  return send_pieces(b, queue, r, pieces, count, 416);
}

struct device_call device_send_data(struct device_bench *b, uint32_t queue, const struct fuse_request *r, uint64_t gpa,
                                    uint32_t len, bool write) {
  choose_slot(b, queue);
  uint64_t in = slot_gpa(b, queue), out = in + DEVICE_ROOM;
  struct guest_piece data = {gpa, len, write}, pieces[4];
  uint32_t count = 0;
  pieces[count++] = (struct guest_piece){in, (uint32_t)r->len, false};
  if (!write)
    pieces[count++] = data;
  pieces[count++] = (struct guest_piece){out, write ? 16 : 24, true};
  if (write)
    pieces[count++] = data;
  return send_pieces(b, queue, r, pieces, count, write ? 16 + len : 24);
}

unsigned device_wait(struct device_bench *b, struct device_call *calls, unsigned count) {
  uint32_t used, queue = calls[0].queue;
  uint16_t head = guest_wait_used(&b->g, queue, &used);
  for (unsigned i = 0; i < count; i++) {
    if (calls[i].queue == queue && calls[i].head == head && calls[i].unique != 0) {
      calls[i].used = used;
      b->busy[(calls[i].out - guest_region(1)) / DEVICE_SLOT] = false;
      return i;
    }
  }
  fail_msg("a buffer came back that nobody waits for: %u", (unsigned)head);
  return 0;
}

int device_error(struct device_bench *b, const struct device_call *call) {
  struct fuse_out_header header;
  memcpy(&header, guest_at(&b->g, call->out), sizeof header);
  assert_true(call->used >= sizeof header && call->used <= call->room);
  assert_int_equal(header.len, call->used);
  assert_int_equal(header.unique, call->unique);
  if (header.error != 0)
    assert_int_equal(header.len, sizeof header);
  return header.error;
}

int device_ask(struct device_bench *b, uint32_t queue, const struct fuse_request *r, void *args, size_t size) {
  struct device_call call = device_send(b, queue, r);
  (void)device_wait(b, &call, 1);
  if (r->header.opcode == FUSE_FORGET || r->header.opcode == FUSE_BATCH_FORGET) {
    assert_int_equal(call.used, 0);
    return 0;
  }
  int error = device_error(b, &call);
  if (error == 0 && size != 0) {
    assert_int_equal(call.used, 16 + size);
    memcpy(args, guest_at(&b->g, call.out + 16), size);
  }
  return error;
}

void device_mount(struct device_bench *b, uint32_t queue) {
  struct fuse_request r;
  struct fuse_init_out out;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(device_ask(b, queue, &r, &out, sizeof out), 0);
  assert_int_equal(out.major, 7);
}

uint64_t device_lookup(struct device_bench *b, uint32_t queue, const char *name) {
  struct fuse_request r;
  struct fuse_entry_out out;
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, name);
  assert_int_equal(device_ask(b, queue, &r, &out, sizeof out), 0);
  return out.nodeid;
}

uint64_t device_open(struct device_bench *b, uint32_t queue, uint64_t nodeid) {
  struct fuse_request r;
  struct fuse_open_out out;
  fuse_request_open(&r, FUSE_OPEN, nodeid);
  assert_int_equal(device_ask(b, queue, &r, &out, sizeof out), 0);
  return out.fh;
}
