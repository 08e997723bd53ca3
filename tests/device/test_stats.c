/* SPDX-License-Identifier: BSD-3-Clause */
/* Each request is counted once, by what it was and how it ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/stats.h>

#include "device/counters.h"
#include "support/device_bench.h"

static struct virtiofs_stats_op op_of(const struct device_bench *b, uint32_t queue, uint32_t opcode) {
  struct virtiofs_stats_op op;
  assert_int_equal(virtiofs_stats_read_op(b->dev, queue, opcode, &op, sizeof op), 0);
  return op;
}

static struct virtiofs_stats_queue queue_of(const struct device_bench *b, uint32_t queue) {
  struct virtiofs_stats_queue stats;
  assert_int_equal(virtiofs_stats_read_queue(b->dev, queue, &stats, sizeof stats), 0);
  return stats;
}

static struct virtiofs_stats_usage usage_of(const struct device_bench *b) {
  struct virtiofs_stats_usage usage;
  virtiofs_stats_read_usage(b->dev, &usage, sizeof usage);
  return usage;
}

static uint64_t in_buckets(const struct virtiofs_stats_op *op) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS; i++)
    sum += op->buckets[i];
  return sum;
}

/* ---- counters alone ---- */

static void a_time_is_in_the_bucket_that_says_so(void **state) {
  (void)state;
  assert_int_equal(virtiofs_counters_bucket(0), 0);
  assert_int_equal(virtiofs_counters_bucket(UINT64_MAX), VIRTIOFS_STATS_BUCKETS - 1);
  assert_true(virtiofs_stats_bound(VIRTIOFS_STATS_BUCKETS - 1) == UINT64_MAX);
  for (uint32_t i = 0; i < VIRTIOFS_STATS_BUCKETS - 1; i++) {
    uint64_t bound = virtiofs_stats_bound(i);
    assert_int_equal(virtiofs_counters_bucket(bound - 1), i);
    assert_int_equal(virtiofs_counters_bucket(bound), i + 1);
  }
}

static void every_number_is_added(void **state) {
  struct virtiofs_counters *counters;
  struct virtiofs_counted counted = {.opcode = 5, .error = -EIO, .in_bytes = 3, .out_bytes = 4, .ns = 300};
  (void)state;
  for (int shared = 0; shared < 2; shared++) {
    assert_int_equal(virtiofs_counters_new(&counters, true), 0);
    counters->shared = shared == 1;
    for (unsigned i = 0; i < 3; i++)
      virtiofs_counters_give(counters, &counted);
    counted.opcode = 4096; /* CUSE_INIT, which nobody sends */
    virtiofs_counters_give(counters, &counted);
    counted.opcode = 5;
    assert_int_equal(counters->ops[5].count, 3);
    assert_int_equal(counters->ops[5].errors, 3);
    assert_int_equal(counters->ops[5].in_bytes, 9);
    assert_int_equal(counters->ops[5].out_bytes, 12);
    assert_int_equal(counters->ops[5].time_ns, 900);
    assert_int_equal(counters->ops[5].buckets[1], 3);
    assert_int_equal(counters->ops[0].count, 1);
    virtiofs_counters_free(counters);
  }
}

/* ---- a device's ---- */

static void requests_are_counted(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  device_bench_start(b, 3, 0);
  struct virtiofs_stats_op op = op_of(b, 1, FUSE_INIT);
  assert_int_equal(op.count, 1);
  assert_int_equal(op.errors, 0);

  uint64_t id = device_lookup(b, 2, "7");
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "none");
  assert_int_equal(device_ask(b, 2, &r, NULL, 0), -ENOENT);
  op = op_of(b, 2, FUSE_LOOKUP);
  assert_int_equal(op.count, 2);
  assert_int_equal(op.errors, 1);
  assert_int_equal(op.in_bytes, 42 + 45);
  assert_int_equal(op.out_bytes, 16 + sizeof(struct fuse_entry_out) + 16);
  assert_int_equal(op_of(b, 1, FUSE_LOOKUP).count, 0);

  uint64_t fh = device_open(b, 1, id);
  fuse_request_read(&r, FUSE_READ, id, fh, 100, 24);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
  assert_int_equal(op_of(b, 1, FUSE_READ).out_bytes, 16 + 24);

  struct virtiofs_stats_usage usage = usage_of(b);
  assert_int_equal(usage.nodes, 1);
  assert_int_equal(usage.handles, 1);
  assert_int_equal(usage.max_nodes, 1 << 20);
  assert_int_equal(usage.max_handles, 1 << 16);
  assert_int_equal(usage.max_mappings, 0);
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
  assert_int_equal(usage_of(b).handles, 0);

  fuse_request_forget(&r, id, 1);
  assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
  op = op_of(b, 0, FUSE_FORGET);
  assert_int_equal(op.count, 1);
  assert_int_equal(op.errors, 0);
  assert_int_equal(op.out_bytes, 0);
  assert_int_equal(queue_of(b, 0).taken, 1);
  assert_int_equal(queue_of(b, 0).in_flight, 0);
  /* Nobody has asked for times. */
  assert_int_equal(op_of(b, 1, FUSE_INIT).time_ns, 0);
  op = op_of(b, 1, FUSE_INIT);
  assert_int_equal(in_buckets(&op), 0);
}

static void times_are_measured(void **state) {
  struct device_bench *b = *state;
  b->config.timed = true;
  device_bench_start(b, 2, 0);
  for (unsigned i = 0; i < 10; i++)
    (void)device_lookup(b, 1, "7");
  struct virtiofs_stats_op op = op_of(b, 1, FUSE_LOOKUP);
  assert_int_equal(op.count, 10);
  assert_int_equal(in_buckets(&op), 10);
  assert_true(op.time_ns > 0);
  assert_true(op.time_ns < UINT64_C(1000000000) * GUEST_DEADLINE_MS / 1000);
}

static void what_is_no_request_is_counted_as_none(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r = {.len = 5};
  device_bench_start(b, 2, 0);
  memcpy(r.bytes, "hello", 5);
  struct device_call call = device_send(b, 1, &r);
  call.unique = 1;
  (void)device_wait(b, &call, 1);
  fuse_request(&r, 63, FUSE_ROOT_ID);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), -ENOSYS);
  fuse_request(&r, 1000, FUSE_ROOT_ID);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), -ENOSYS);
  assert_int_equal(op_of(b, 1, 63).errors, 1);
  assert_int_equal(op_of(b, 1, 0).count, 2);
  assert_int_equal(op_of(b, 1, 0).errors, 2);
}

static void pending_ones_are_in_flight(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  device_bench_start(b, 2, 0);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct device_call call = device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 1);
  assert_int_equal(queue_of(b, 1).in_flight, 1);
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).count, 0);
  script_fs_answer(&b->fs, -EACCES);
  (void)device_wait(b, &call, 1);
  assert_int_equal(queue_of(b, 1).in_flight, 0);
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).errors, 1);
}

static void answers_in_the_backends_place_are_errors(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  b->config.drain_ms = 50;
  device_bench_start(b, 2, 0);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  (void)device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 1);
  (void)device_bench_hang_up(b);
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).count, 1);
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).errors, 1);
  script_fs_answer(&b->fs, 0);
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).count, 1);
}

/* While the queues are at work somebody reads: each number only grows, and in the end all are there. */
static void anybody_may_read_meanwhile(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  enum { ROUNDS = 200 };
  device_bench_start(b, 3, 0);
  uint64_t before = 0;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < ROUNDS; i++) {
    struct device_call calls[2] = {device_send(b, 1, &r), device_send(b, 2, &r)};
    uint64_t now = op_of(b, 1, FUSE_GETATTR).count + op_of(b, 2, FUSE_GETATTR).count;
    assert_true(now >= before && now <= 2 * (i + 1));
    before = now;
    (void)device_wait(b, &calls[0], 1);
    (void)device_wait(b, &calls[1], 1);
  }
  assert_int_equal(op_of(b, 1, FUSE_GETATTR).count, ROUNDS);
  assert_int_equal(op_of(b, 2, FUSE_GETATTR).count, ROUNDS);
}

static void bounds_and_other_releases(void **state) {
  struct device_bench *b = *state;
  struct {
    struct virtiofs_stats_queue stats;
    uint64_t unknown;
  } newer = {.unknown = 5};
  uint64_t taken = 77;
  struct virtiofs_stats_op op;
  device_bench_start(b, 2, 0);
  assert_int_equal(virtiofs_stats_read_op(b->dev, GUEST_QUEUES, 1, &op, sizeof op), -EINVAL);
  assert_int_equal(virtiofs_stats_read_op(b->dev, 1, VIRTIOFS_STATS_OPCODES, &op, sizeof op), -EINVAL);
  assert_int_equal(virtiofs_stats_read_queue(b->dev, GUEST_QUEUES, &newer.stats, sizeof newer.stats), -EINVAL);
  assert_int_equal(virtiofs_stats_read_queue(b->dev, 1, &newer.stats, sizeof newer), 0);
  assert_int_equal(newer.unknown, 0);
  assert_int_equal(newer.stats.taken, 1);
  assert_int_equal(virtiofs_stats_read_queue(b->dev, 1, (struct virtiofs_stats_queue *)(void *)&taken, sizeof taken),
                   0);
  assert_int_equal(taken, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_time_is_in_the_bucket_that_says_so),
      cmocka_unit_test(every_number_is_added),
      cmocka_unit_test_setup_teardown(requests_are_counted, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(times_are_measured, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(what_is_no_request_is_counted_as_none, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(pending_ones_are_in_flight, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(answers_in_the_backends_place_are_errors, device_bench_setup,
                                      device_bench_teardown),
      cmocka_unit_test_setup_teardown(anybody_may_read_meanwhile, device_bench_setup, device_bench_teardown),
      cmocka_unit_test_setup_teardown(bounds_and_other_releases, device_bench_setup, device_bench_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
