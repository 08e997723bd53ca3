/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's rate: what comes too soon waits in the ring, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/stats.h>

#include "device/clock.h"
#include "device/device.h"
#include "support/device_bench.h"

#define MS UINT64_C(1000000)

static struct virtiofs_stats_queue queue_of(const struct device_bench *b, uint32_t queue) {
  struct virtiofs_stats_queue stats;
  assert_int_equal(virtiofs_stats_read_queue(b->dev, queue, &stats, sizeof stats), 0);
  return stats;
}

/* All queues together, however they take turns. */
static void requests_wait_for_their_turn(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  enum { COUNT = 8, PER_SECOND = 40 };
  b->config.rate_ops = PER_SECOND;
  b->config.rate_burst_ms = 1;
  uint64_t begun = virtiofs_clock_ns();
  device_bench_start(b, 3, 0); /* INIT is one, too */
  struct device_call calls[2][COUNT / 2];
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < COUNT / 2; i++) {
    calls[0][i] = device_send(b, 1, &r);
    calls[1][i] = device_send(b, 2, &r);
  }
  for (unsigned i = 0; i < COUNT; i++)
    (void)device_wait(b, calls[i % 2], COUNT / 2);
  /* Both queues may have found that there was one left. */
  assert_true(virtiofs_clock_ns() - begun >= (COUNT - 1) * 1000 / PER_SECOND * MS - 2 * MS);
  struct virtiofs_stats_queue one = queue_of(b, 1), two = queue_of(b, 2);
  assert_true(one.delays + two.delays >= COUNT / 2 - 1);
  assert_true(one.delayed_ns + two.delayed_ns >= 50 * MS);
  assert_int_equal(queue_of(b, 0).delays, 0);
}

/* So many bytes that they aren't paid for before the test is out of patience. */
static void make_debt(struct device_bench *b) {
  struct fuse_request r;
  uint32_t size = 128U << 10;
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  unsigned char *data = guest_at(&b->g, guest_region(2));
  for (uint32_t i = 0; i < size; i++)
    data[i] = script_fs_byte(i);
  fuse_request_write(&r, id, fh, 0, size);
  fuse_request_more(&r, size);
  struct device_call call = device_send_data(b, 1, &r, guest_region(2), size, false);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), 0);
}

static void nobody_waits_with_them(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  b->config.rate_bytes = 1024;
  b->config.rate_burst_ms = 5000; /* for what comes before */
  device_bench_start(b, 3, 0);
  make_debt(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  (void)device_send(b, 1, &r);
  (void)device_send(b, 2, &r);
  /* The high-priority queue. */
  for (unsigned i = 0; i < 10; i++) {
    fuse_request_forget(&r, 12345, 1);
    assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
  }
  assert_false(guest_has_used(&b->g, 1));
  assert_false(guest_has_used(&b->g, 2));
  /* The end. */
  assert_int_equal(device_bench_hang_up(b), 0);
  /* And another guest's INIT; then its requests. */
  device_bench_connect(b, DEVICE_RING, 0);
  guest_start(&b->g, 3, 3);
  device_mount(b, 1);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  (void)device_send(b, 2, &r);
  fuse_request_forget(&r, 12345, 1);
  assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
  assert_false(guest_has_used(&b->g, 2));
}

/* A reply that had more room than it needed isn't paid for in full. */
static void room_is_no_debt(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  b->config.rate_bytes = 1 << 20;
  b->config.rate_burst_ms = 1000;
  device_bench_start(b, 2, 0);
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  fuse_request_read(&r, FUSE_READ, id, fh, SCRIPT_FILE_SIZE, 65536);
  for (unsigned i = 0; i < 100; i++) { /* 6 seconds' worth of room; of replies there is next to nothing */
    struct device_call call = device_send_data(b, 1, &r, guest_region(2), 65536, true);
    (void)device_wait(b, &call, 1);
    assert_int_equal(device_error(b, &call), 0);
    assert_int_equal(call.used, 16);
  }
  assert_int_equal(queue_of(b, 1).delays, 0);
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
}

/* Who sends more at once than he should pays for it all the same. */
static void large_requests_are_paid_for(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  b->config.rate_bytes = 65536;
  b->config.rate_burst_ms = 10000; /* for what comes before */
  device_bench_new(b);
  b->dev->queues[1].charge_max = 1024;
  device_bench_connect(b, DEVICE_RING, 0);
  guest_start(&b->g, 3, 2);
  device_mount(b, 1);
  const struct virtiofs_rate_bucket *bytes = &b->dev->rate->bytes;
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id), before = atomic_load(&bytes->paid_ns);
  make_debt(b); /* 2 seconds' worth, and some thousand bytes around it */
  assert_in_range(atomic_load(&bytes->paid_ns) - before, 2000 * MS, 60000 * MS);
  before = atomic_load(&bytes->paid_ns);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, SCRIPT_FILE_SIZE);
  struct device_call call = device_send_data(b, 1, &r, guest_region(2), SCRIPT_FILE_SIZE, true);
  (void)device_wait(b, &call, 1);
  assert_int_equal(call.used, 16 + SCRIPT_FILE_SIZE);
  assert_true(atomic_load(&bytes->paid_ns) - before >= SCRIPT_FILE_SIZE * 1000 / 65536 * MS);
}

static void rates_that_cannot_be(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_device *dev;
  struct virtiofs_device_config good = b->config;
  b->config.rate_ops = 10000001;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  b->config = good;
  b->config.rate_bytes = 1023;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  b->config.rate_bytes = (UINT64_C(1) << 50) + 1;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
  b->config = good;
  b->config.rate_burst_ms = 60001;
  assert_int_equal(virtiofs_device_new(&dev, &b->config), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(requests_wait_for_their_turn, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(nobody_waits_with_them, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(room_is_no_debt, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(large_requests_are_paid_for, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(rates_that_cannot_be, device_bench_setup, device_bench_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
