/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <virtiofs/virtq.h>

#include "support/vhost_bench.h"

/* What differs when the driver has accepted packed rings: sizes, alignment, and what a base is. */

static void features(struct vhost_bench *bench, uint64_t bits) {
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, bits | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  vhost_bench_step(bench, 0);
  if (bench->fe.flags == VHOST_NEED_REPLY)
    assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES), 0);
}

/* What the back-end answers to. */
static uint64_t state_of(struct vhost_bench *bench, uint32_t request, uint32_t num) {
  vhost_frontend_state(&bench->fe, request, 0, num);
  vhost_bench_step(bench, 0);
  return vhost_frontend_reply_u64(&bench->fe, request);
}

static uint64_t addr(struct vhost_bench *bench, uint64_t desc, uint64_t driver, uint64_t device) {
  vhost_frontend_addr(&bench->fe, 0, desc, driver, device);
  vhost_bench_step(bench, 0);
  return vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ADDR);
}

static uint32_t stop(struct vhost_bench *bench) {
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0, 0);
  vhost_bench_step(bench, 0);
  return vhost_frontend_reply_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0);
}

static int setup(void **state) {
  int rc = vhost_bench_setup(state);
  vhost_bench_memory(*state);
  vhost_bench_acks(*state);
  return rc;
}

static void start(struct vhost_bench *bench) {
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1), 0);
  vhost_frontend_vring_fd(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 0, bench->event_fd);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK), 0);
}

static void sizes_need_not_be_powers_of_two(void **state) {
  struct vhost_bench *bench = *state;
  features(bench, VIRTIOFS_VIRTQ_F_RING_PACKED);
  static const uint32_t right[] = {2, 3, 100, 32767, 32768}, wrong[] = {0, 1, 32769, UINT32_MAX};
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
    assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, right[i]), 0);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_not_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, wrong[i]), 0);
}

static void event_areas_are_aligned_to_four(void **state) {
  struct vhost_bench *bench = *state;
  assert_int_equal(addr(bench, 0x7000000, 0x7000102, 0x7000204), 0);
  features(bench, VIRTIOFS_VIRTQ_F_RING_PACKED);
  assert_int_equal(addr(bench, 0x7000000, 0x7000104, 0x7000204), 0);
  assert_int_not_equal(addr(bench, 0x7000000, 0x7000102, 0x7000204), 0);
  assert_int_not_equal(addr(bench, 0x7000000, 0x7000104, 0x7000202), 0);
  assert_int_not_equal(addr(bench, 0x7000008, 0x7000104, 0x7000204), 0);
}

/* The areas are small: a ring at the end of memory fits where a split one wouldn't. */
static void a_ring_lies_in_memory_by_its_layout(void **state) {
  struct vhost_bench *bench = *state;
  uint64_t end = 0x7000000 + 0x100000;
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 8), 0);
  assert_int_equal(addr(bench, end - 128 - 16, end - 4, end - 8), 0);
  start(bench);
  (void)stop(bench);
  assert_int_equal(bench->device.started[0].num, 0); /* it never ran */
  features(bench, VIRTIOFS_VIRTQ_F_RING_PACKED);
  start(bench);
  assert_true(bench->device.started[0].running);
}

/* Both positions and both wrap counters; without being told, a ring begins where rings begin. */
static void a_base_has_32_bits(void **state) {
  struct vhost_bench *bench = *state;
  features(bench, VIRTIOFS_VIRTQ_F_RING_PACKED);
  assert_int_equal(stop(bench), 0x80008000);
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 8), 0);
  assert_int_equal(addr(bench, 0x7000000, 0x7000100, 0x7000200), 0);
  start(bench);
  assert_int_equal(bench->device.started[0].base, 0x80008000);
  bench->device.stop_base = 0x80050006;
  assert_int_equal(stop(bench), 0x80050006);
  start(bench);
  assert_int_equal(bench->device.started[0].base, 0x80050006);
  bench->device.stop_base = 0x00010001;
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 0), 0);
  assert_int_equal(bench->device.started[0].base, 0); /* told, it is no beginning but a position in the second lap */
  assert_int_equal(stop(bench), 0x00010001);
}

static void a_split_base_has_16_bits(void **state) {
  struct vhost_bench *bench = *state;
  features(bench, 0);
  assert_int_equal(stop(bench), 0);
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 0xffff), 0);
  assert_int_equal(stop(bench), 0xffff);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 0, 0x10000);
  vhost_bench_step(bench, 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE), 0);
}

/* A guest that boots into another driver: the features are those of the last one. */
static void the_layout_is_that_of_the_last_features(void **state) {
  struct vhost_bench *bench = *state;
  features(bench, VIRTIOFS_VIRTQ_F_RING_PACKED);
  assert_int_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 7), 0);
  features(bench, 0);
  assert_int_not_equal(state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 7), 0);
  assert_int_equal(stop(bench), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sizes_need_not_be_powers_of_two),
      TEST(event_areas_are_aligned_to_four),
      TEST(a_ring_lies_in_memory_by_its_layout),
      TEST(a_base_has_32_bits),
      TEST(a_split_base_has_16_bits),
      TEST(the_layout_is_that_of_the_last_features),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
