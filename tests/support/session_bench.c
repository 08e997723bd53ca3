/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/session_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void wants_reclaim(void *ctx) {
  struct session_bench *b = ctx;
  atomic_fetch_add(&b->wanted, 1);
}

static void late(void *ctx, struct virtiofs_req *req) {
  struct session_bench *b = ctx;
  b->late_req = req;
  atomic_fetch_add(&b->late, 1);
}

__attribute__((__format__(__printf__, 4, 0))) static void on_line(void *ctx, enum virtiofs_log_level level,
                                                                  const char *tag, const char *format, va_list args) {
  struct session_bench *b = ctx;
  char line[512];
  if (level <= VIRTIOFS_LOG_WARN)
    atomic_fetch_add(&b->lines, 1);
  if (tag == NULL || vsnprintf(line, sizeof line, format, args) < 0)
    abort();
}

void session_bench_init(struct session_bench *b) {
  memset(b, 0, sizeof *b);
  script_fs_init(&b->fs);
  b->ops = script_fs_ops;
  b->config = (struct virtiofs_session_config){
      .ops = &b->ops,
      .fs = &b->fs,
      .lanes = SESSION_BENCH_LANES,
      .max_write = 65536,
      .max_nodes = 100000, /* those that wait for the reaper count */
      .max_handles = 1000,
      .log = {.fn = on_line, .ctx = b, .level = VIRTIOFS_LOG_TRACE},
      .wants_reclaim = wants_reclaim,
      .late = late,
      .ctx = b,
  };
}

void session_bench_open(struct session_bench *b) {
  assert_int_equal(virtiofs_session_new(&b->session, &b->config), 0);
}

void session_bench_start(struct session_bench *b) {
  session_bench_open(b);
  session_bench_mount(b);
}

void session_bench_fini(struct session_bench *b) {
  virtiofs_session_free(b->session);
  script_fs_fini(&b->fs);
}

int session_bench_setup(void **state) {
  struct session_bench *b = malloc(sizeof *b);
  assert_non_null(b);
  session_bench_init(b);
  session_bench_start(b);
  *state = b;
  return 0;
}

int session_bench_teardown(void **state) {
  session_bench_fini(*state);
  free(*state);
  return 0;
}

struct fuse_message *session_bench_send(struct session_bench *b, uint32_t lane, const struct fuse_request *r,
                                        const struct fuse_shape *shape) {
  struct fuse_message *m = fuse_message_new(r, shape);
  assert_int_equal(virtiofs_session_submit(b->session, lane, m->req, &m->msg, false), VIRTIOFS_SUBMIT_TAKEN);
  return m;
}

struct fuse_message *session_bench_defer(struct session_bench *b, uint32_t lane, const struct fuse_request *r) {
  struct fuse_message *m = fuse_message_new(r, NULL);
  assert_int_equal(virtiofs_session_submit(b->session, lane, m->req, &m->msg, true), VIRTIOFS_SUBMIT_DEFER);
  return m;
}

int session_bench_ask_on(struct session_bench *b, uint32_t lane, const struct fuse_request *r,
                         const struct fuse_shape *shape) {
  struct fuse_message *m = session_bench_send(b, lane, r, shape);
  int error = fuse_message_error(m);
  fuse_message_free(m);
  return error;
}

int session_bench_ask(struct session_bench *b, const struct fuse_request *r) {
  return session_bench_ask_on(b, 1, r, NULL);
}

int session_bench_get(struct session_bench *b, const struct fuse_request *r, void *args, size_t size) {
  struct fuse_message *m = session_bench_send(b, 1, r, NULL);
  int error = fuse_message_error(m);
  if (error == 0) {
    assert_int_equal(fuse_message_size(m), size);
    memcpy(args, fuse_message_args(m), size);
  }
  fuse_message_free(m);
  return error;
}

void session_bench_mount(struct session_bench *b) {
  struct fuse_request r;
  struct fuse_init_out out;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.major, 7);
}

uint64_t session_bench_lookup(struct session_bench *b, const char *name) {
  struct fuse_request r;
  struct fuse_entry_out out;
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, name);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  return out.nodeid;
}

uint64_t session_bench_openfile(struct session_bench *b, uint32_t op, uint64_t nodeid) {
  struct fuse_request r;
  struct fuse_open_out out;
  fuse_request_open(&r, op, nodeid);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  return out.fh;
}

void session_bench_forget(struct session_bench *b, uint32_t lane, uint64_t nodeid, uint64_t count) {
  struct fuse_request r;
  fuse_request_forget(&r, nodeid, count);
  assert_int_equal(session_bench_ask_on(b, lane, &r, &(struct fuse_shape){.no_room = true}), 0);
}

void session_bench_reap(struct session_bench *b) {
  if (atomic_exchange(&b->wanted, 0) != 0)
    virtiofs_session_reclaim(b->session);
}

pthread_t session_bench_thread(void *(*fn)(void *), void *arg) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
  return thread;
}
