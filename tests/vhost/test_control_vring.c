/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_bench.h"

static void state_of(struct vhost_bench *bench, uint32_t request, uint32_t index, uint32_t num, int rc) {
  vhost_frontend_state(&bench->fe, request, index, num);
  vhost_bench_step(bench, rc);
}

static void vring_fd(struct vhost_bench *bench, uint32_t request, uint32_t index, int fd) {
  vhost_frontend_vring_fd(&bench->fe, request, index, fd);
  vhost_bench_step(bench, 0);
}

/* What QEMU sends from 7.2 on, with the placeholder descriptors of its start. Ends with both rings running. */
static void start_like_qemu(struct vhost_bench *bench, uint32_t base) {
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, VHOST_BENCH_FEATURES | 1U << 30);
  vhost_bench_step(bench, 0);
  vhost_bench_memory(bench);
  for (uint32_t i = 0; i < 2; i++) {
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, i, 8, 0);
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_BASE, i, base, 0);
    vhost_bench_addr(bench, i);
    vhost_bench_kick(bench, i);
    vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_CALL, i, bench->event_fd);
  }
  for (uint32_t i = 0; i < 2; i++)
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, i, 1, 0);
}

static void stop_like_qemu(struct vhost_bench *bench, uint32_t base) {
  for (uint32_t i = 0; i < 2; i++)
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, i, 0, 0);
  for (uint32_t i = 0; i < 2; i++) {
    state_of(bench, VIRTIOFS_VHOST_USER_GET_VRING_BASE, i, 0, 0);
    assert_int_equal(vhost_frontend_reply_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, i), base);
  }
}

static void qemu_starts_stops_and_starts_again(void **state) {
  struct vhost_bench *bench = *state;
  static const uint32_t questions[] = {VIRTIOFS_VHOST_USER_GET_FEATURES, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES,
                                       VIRTIOFS_VHOST_USER_GET_QUEUE_NUM, VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS};
  for (size_t i = 0; i < 4; i++) {
    vhost_frontend_empty(&bench->fe, questions[i]);
    vhost_bench_step(bench, 0);
    (void)vhost_frontend_reply_u64(&bench->fe, questions[i]);
  }
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, 0x8009);
  vhost_bench_step(bench, 0);
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  for (uint32_t i = 0; i < 2; i++) {
    vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_CALL, i, bench->event_fd);
    vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_ERR, i, bench->event_fd);
  }
  start_like_qemu(bench, 0);
  vhost_device_told(&bench->device, "features=22280142848 memory=1 start0 start1");
  bench->device.stop_base = 500;
  stop_like_qemu(bench, 500);
  vhost_device_told(&bench->device, "stop0 stop1");
  start_like_qemu(bench, 500);
  vhost_device_told(&bench->device, "features=22280142848 memory=1 start0 start1");
  const struct virtiofs_vhost_vring *seen = &bench->device.started[1];
  assert_int_equal(seen->base, 500);
  assert_int_equal(seen->desc, 0x7001000);
  assert_int_equal(seen->avail, 0x7001100);
  assert_int_equal(seen->used, 0x7001200);
  assert_true(seen->enabled && seen->started && seen->have_addr);
  /* A reboot looks the same, but that the base is 0. */
  stop_like_qemu(bench, 500);
  start_like_qemu(bench, 0);
  assert_int_equal(bench->device.started[1].base, 0);
  assert_int_equal(bench->device.lines, 0);
}

static void a_ring_of_no_such_number_is_refused(void **state) {
  struct vhost_bench *bench = *state;
  static const uint32_t requests[] = {VIRTIOFS_VHOST_USER_SET_VRING_NUM, VIRTIOFS_VHOST_USER_SET_VRING_BASE,
                                      VIRTIOFS_VHOST_USER_GET_VRING_BASE, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE};
  static const uint32_t indexes[] = {VHOST_BENCH_RINGS, 255, 256, 0x10000, UINT32_MAX};
  for (size_t i = 0; i < 5; i++) {
    for (size_t r = 0; r < 4; r++)
      state_of(bench, requests[r], indexes[i], 1, -EPROTO);
    vhost_frontend_addr(&bench->fe, indexes[i], 0, 0, 0);
    vhost_bench_step(bench, -EPROTO);
  }
  for (uint32_t request = VIRTIOFS_VHOST_USER_SET_VRING_KICK; request <= VIRTIOFS_VHOST_USER_SET_VRING_ERR; request++) {
    vhost_frontend_vring_fd(&bench->fe, request, VHOST_BENCH_RINGS, bench->event_fd);
    vhost_bench_step(bench, -EPROTO);
    vhost_frontend_vring_fd(&bench->fe, request, VHOST_BENCH_RINGS, -1);
    vhost_bench_step(bench, -EPROTO);
  }
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4);
  vhost_frontend_no_reply(&bench->fe);
}

/* It has no way to say no but to end. */
static void a_base_of_no_such_ring_ends_the_connection_even_if_asked(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_acks(bench);
  state_of(bench, VIRTIOFS_VHOST_USER_GET_VRING_BASE, VHOST_BENCH_RINGS, 0, -EPROTO);
  vhost_frontend_no_reply(&bench->fe);
}

static void sizes_are_powers_of_two(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 1);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 0, 0);
  vhost_bench_acks(bench);
  for (uint32_t i = 1; i <= 15; i++) {
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 1U << i, 0);
    assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM), 0);
  }
  static const uint32_t wrong[] = {0, 1, 3, 6, 129, 32767, 65536, 0x80000000U, UINT32_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, wrong[i], 0);
    assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM), 0);
  }
  vhost_device_told(&bench->device, "stop1");
}

/* A guest can write any number into its device, and front-ends pass it on: that must not end the connection. */
static void a_guests_bad_size_only_keeps_its_ring_from_running(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 1);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 0, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 7, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1, 0);
  vhost_device_told(&bench->device, "stop1");
  assert_int_equal(bench->device.lines, 1);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 4, 0);
  vhost_device_told(&bench->device, "start1");
  assert_int_equal(bench->device.started[1].num, 4);
}

static void a_running_ring_keeps_its_size(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 0, 8, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 0, 16, -EPROTO);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 0, 7, -EPROTO);
  vhost_device_told(&bench->device, "");
}

static void addresses_are_aligned(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_acks(bench);
  static const struct {
    uint64_t desc, avail, used, answer;
  } cases[] = {
      {0x10, 0x2, 0x4, 0}, {0x8, 0x2, 0x4, 1},  {0x11, 0x2, 0x4, 1},
      {0x10, 0x1, 0x4, 1}, {0x10, 0x2, 0x2, 1}, {0x10, 0x2, 0x5, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    vhost_frontend_addr(&bench->fe, 0, cases[i].desc, cases[i].avail, cases[i].used);
    vhost_bench_step(bench, 0);
    assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ADDR), cases[i].answer);
  }
}

/* And the ring must not go on with the addresses that it had before. */
static void a_guests_bad_addresses_only_stop_its_ring(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vhost_frontend_addr(&bench->fe, 0, 0x7000008, 0x7000100, 0x7000200);
  vhost_bench_step(bench, 0);
  vhost_device_told(&bench->device, "stop0");
  vhost_bench_kick(bench, 0);
  vhost_device_told(&bench->device, "");
  assert_int_equal(bench->device.errors, 0);
  assert_int_equal(bench->device.lines, 1);
}

static void a_ring_outside_of_memory_does_not_start(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vhost_bench_acks(bench);
  vhost_frontend_addr(&bench->fe, 0, 0x9000000, 0x9000100, 0x9000200);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ADDR), 0);
  vhost_device_told(&bench->device, "stop0");
  /* Guest-physical addresses are no addresses of the front-end's. */
  vhost_frontend_addr(&bench->fe, 0, 0x0, 0x100, 0x200);
  vhost_bench_step(bench, 0);
  vhost_device_told(&bench->device, "");
}

static void a_ring_that_the_device_refuses_is_the_guests_affair(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 0, 0, 0);
  bench->device.start_rc = -EPROTO;
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 0, 1, 0);
  vhost_bench_kick(bench, 0);
  vhost_device_told(&bench->device, "stop0 start0 start0");
  assert_int_equal(bench->device.errors, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0, 0, 0);
  assert_int_equal(vhost_frontend_reply_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0), 0);
}

static void what_the_host_lacks_ends_the_connection(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 0, 0, 0);
  bench->device.start_rc = -ENOMEM;
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 0, 1, -ENOMEM);
  assert_int_equal(bench->device.errors, 1);
  vhost_bench_acks(bench);
  vhost_bench_kick(bench, 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK), 0);
  bench->device.start_rc = 0;
  vhost_bench_kick(bench, 0);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK), 0);
}

static void a_base_that_cant_be_had_ends_the_connection(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vhost_bench_acks(bench);
  bench->device.stop_rc = -ETIMEDOUT;
  state_of(bench, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0, 0, -ETIMEDOUT);
  vhost_frontend_no_reply(&bench->fe);
}

static void a_base_has_16_bits(void **state) {
  struct vhost_bench *bench = *state;
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 0, 65535, 0);
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 0, 65536, -EPROTO);
  state_of(bench, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0, 0, 0);
  assert_int_equal(vhost_frontend_reply_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 0), 65535);
}

static void enabling_is_yes_or_no(void **state) {
  struct vhost_bench *bench = *state;
  state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 0, 2, -EPROTO);
}

static void descriptors_of_a_running_ring_change(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 0, bench->event_fd);
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 0, bench->event_fd);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4 + 3);
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 0, -1);
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 0, -1);
  vhost_device_told(&bench->device, "fds0 fds0 fds0 fds0");
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 0, bench->event_fd);
  vring_fd(bench, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 0, -1);
  vhost_device_told(&bench->device, "stop0 start0 stop0 start0");
  assert_int_equal(bench->device.started[0].kick_fd, -1);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4);
}

static void a_descriptor_that_the_device_refuses_is_told(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  bench->device.fds_rc = -EMFILE;
  vhost_frontend_vring_fd(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 0, bench->event_fd);
  vhost_bench_step(bench, -EMFILE);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4 + 1);
}

static void lines_a_guest_can_cause_are_thinned_out(void **state) {
  struct vhost_bench *bench = *state;
  for (unsigned i = 0; i < 64; i++)
    state_of(bench, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 0, 7, 0);
  assert_int_equal(bench->device.lines, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(qemu_starts_stops_and_starts_again),
      TEST(a_ring_of_no_such_number_is_refused),
      TEST(a_base_of_no_such_ring_ends_the_connection_even_if_asked),
      TEST(sizes_are_powers_of_two),
      TEST(a_guests_bad_size_only_keeps_its_ring_from_running),
      TEST(a_running_ring_keeps_its_size),
      TEST(addresses_are_aligned),
      TEST(a_guests_bad_addresses_only_stop_its_ring),
      TEST(a_ring_outside_of_memory_does_not_start),
      TEST(a_ring_that_the_device_refuses_is_the_guests_affair),
      TEST(what_the_host_lacks_ends_the_connection),
      TEST(a_base_that_cant_be_had_ends_the_connection),
      TEST(a_base_has_16_bits),
      TEST(enabling_is_yes_or_no),
      TEST(descriptors_of_a_running_ring_change),
      TEST(a_descriptor_that_the_device_refuses_is_told),
      TEST(lines_a_guest_can_cause_are_thinned_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
