/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is shown the messages sees each one once on its way in and once on its way out, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/device_bench.h"

/* On a thread that isn't the test's. */
static void must(bool so) {
  if (!so)
    abort();
}

enum { SEEN = 64, HEAD = 40 };

/* One message as it was seen. The token of the one at index i is i + 1000. */
struct seen {
  uint32_t queue;
  size_t in_len, out_len, used;
  unsigned requests, replies;
  unsigned char in[HEAD], out[HEAD];
};

struct watcher {
  pthread_mutex_t lock;
  unsigned count;
  struct seen seen[SEEN];
};

static void copy(unsigned char *to, const struct iovec *iov, uint32_t count, size_t len) {
  size_t at = 0;
  for (uint32_t i = 0; i < count && at < HEAD && at < len; i++) {
    size_t piece = iov[i].iov_len < HEAD - at ? iov[i].iov_len : HEAD - at;
    memcpy(to + at, iov[i].iov_base, piece);
    at += piece;
  }
}

static uint64_t on_request(void *ctx, uint32_t queue, const struct virtiofs_message *msg) {
  struct watcher *w = ctx;
  pthread_mutex_lock(&w->lock);
  must(w->count < SEEN);
  unsigned index = w->count++;
  struct seen *seen = &w->seen[index];
  seen->queue = queue;
  seen->in_len = msg->in_len;
  seen->out_len = msg->out_len;
  seen->requests++;
  copy(seen->in, msg->in, msg->in_count, msg->in_len);
  pthread_mutex_unlock(&w->lock);
  return 1000 + index;
}

static void on_reply(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t token) {
  struct watcher *w = ctx;
  pthread_mutex_lock(&w->lock);
  must(token >= 1000 && token - 1000 < w->count);
  struct seen *seen = &w->seen[token - 1000];
  must(seen->queue == queue && msg->out_len == seen->out_len);
  seen->used = used;
  seen->replies++;
  copy(seen->out, msg->out, msg->out_count, used);
  pthread_mutex_unlock(&w->lock);
}

static const struct virtiofs_tap tap = {.size = sizeof tap, .request = on_request, .reply = on_reply};

static int setup(void **state) {
  struct watcher *w = calloc(1, sizeof *w);
  assert_non_null(w);
  assert_int_equal(device_bench_setup(state), 0);
  struct device_bench *b = *state;
  pthread_mutex_init(&w->lock, NULL);
  b->config.tap = &tap;
  b->config.tap_ctx = w;
  return 0;
}

static int teardown(void **state) {
  struct device_bench *b = *state;
  struct watcher *w = b->config.tap_ctx;
  int rc = device_bench_teardown(state);
  pthread_mutex_destroy(&w->lock);
  free(w);
  return rc;
}

/* The last one, once it has been seen on its way out: its reply is here only after that. */
static struct seen *last(struct device_bench *b) {
  struct watcher *w = b->config.tap_ctx;
  pthread_mutex_lock(&w->lock);
  unsigned count = w->count;
  pthread_mutex_unlock(&w->lock);
  assert_true(count > 0);
  struct seen *seen = &w->seen[count - 1];
  assert_int_equal(seen->requests, 1);
  assert_int_equal(seen->replies, 1);
  return seen;
}

static void each_message_is_seen(void **state) {
  struct device_bench *b = *state;
  struct fuse_out_header out;
  struct fuse_request r;
  device_bench_start(b, 3, DEVICE_F_INDIRECT);
  struct seen *seen = last(b);
  assert_int_equal(seen->queue, 1);
  assert_int_equal(((struct fuse_in_header *)(void *)seen->in)->opcode, FUSE_INIT);

  uint64_t id = device_lookup(b, 2, "7");
  seen = last(b);
  assert_int_equal(seen->queue, 2);
  assert_int_equal(seen->in_len, 42);
  assert_int_equal(seen->out_len, 416);
  assert_int_equal(seen->used, 16 + sizeof(struct fuse_entry_out));
  assert_int_equal(((struct fuse_in_header *)(void *)seen->in)->opcode, FUSE_LOOKUP);
  memcpy(&out, seen->out, sizeof out);
  assert_int_equal(out.len, seen->used);
  assert_int_equal(out.error, 0);

  /* No reply is one too. */
  fuse_request_forget(&r, id, 1);
  assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
  seen = last(b);
  assert_int_equal(seen->queue, 0);
  assert_int_equal(seen->used, 0);
  assert_int_equal(((struct watcher *)b->config.tap_ctx)->count, 3);
}

/* READ's data lies in a segment that the session cuts meanwhile. */
static void data_is_where_it_was(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  device_bench_start(b, 2, 0);
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  fuse_request_read(&r, FUSE_READ, id, fh, 100, 24);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
  struct seen *seen = last(b);
  assert_int_equal(seen->out_len, 416);
  assert_int_equal(seen->used, HEAD);
  for (unsigned i = 0; i < 24; i++)
    assert_int_equal(seen->out[16 + i], script_fs_byte(100 + i));
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
}

/* What can't be read as a request is shown as it came. */
static void nonsense_is_seen(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r = {.len = 5};
  device_bench_start(b, 2, 0);
  memcpy(r.bytes, "hello", 5);
  struct device_call call = device_send(b, 1, &r);
  call.unique = 1;
  (void)device_wait(b, &call, 1);
  struct seen *seen = last(b);
  assert_true(seen->in_len >= 5);
  assert_memory_equal(seen->in, "hello", 5);
  assert_int_equal(seen->used, 16);
}

/* What the backend never answers is answered in its place, and that is seen. */
static void answers_in_the_backends_place_are_seen(void **state) {
  struct device_bench *b = *state;
  struct fuse_out_header out;
  struct fuse_request r;
  b->config.drain_ms = 50;
  device_bench_start(b, 2, 0);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  (void)device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 1);
  (void)device_bench_hang_up(b);
  struct seen *seen = last(b);
  assert_int_equal(seen->used, 16);
  memcpy(&out, seen->out, sizeof out);
  assert_int_equal(out.error, -EINTR);
  script_fs_answer(&b->fs, 0);
}

static void bad_taps(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_device *dev;
  struct {
    struct virtiofs_tap tap;
    uint64_t unknown;
  } newer = {.tap = tap, .unknown = 1};
  struct virtiofs_tap bad = tap;
  b->config.tap = &bad;
  bad.request = NULL;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  bad = tap;
  bad.reply = NULL;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  bad = tap;
  bad.size = 0;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  newer.tap.size = sizeof newer;
  b->config.tap = &newer.tap;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -E2BIG);
  assert_null(dev);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_message_is_seen, setup, teardown),
      cmocka_unit_test_setup_teardown(data_is_where_it_was, setup, teardown),
      cmocka_unit_test_setup_teardown(nonsense_is_seen, setup, teardown),
      cmocka_unit_test_setup_teardown(answers_in_the_backends_place_are_seen, setup, teardown),
      cmocka_unit_test_setup_teardown(bad_taps, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
