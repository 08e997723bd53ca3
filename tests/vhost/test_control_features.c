/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_bench.h"

#define BIT_30 VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES
#define LOG_ALL VIRTIOFS_VHOST_USER_F_LOG_ALL

static uint64_t ask(struct vhost_bench *bench, uint32_t request) {
  vhost_frontend_empty(&bench->fe, request);
  vhost_bench_step(bench, 0);
  return vhost_frontend_reply_u64(&bench->fe, request);
}

static void set_features(struct vhost_bench *bench, uint64_t features, int rc) {
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, features);
  vhost_bench_step(bench, rc);
}

static void features_are_the_devices_and_bit_30(void **state) {
  struct vhost_bench *bench = *state;
  assert_int_equal(ask(bench, VIRTIOFS_VHOST_USER_GET_FEATURES), VHOST_BENCH_FEATURES | BIT_30);
}

/* Of what stands in the reference for fs, that which there is: no logging, no inflight region, no window. */
static void protocol_features_are_those_that_are_served(void **state) {
  struct vhost_bench *bench = *state;
  assert_int_equal(ask(bench, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES), 0xa229);
}

static void queues_and_slots_are_counted(void **state) {
  struct vhost_bench *bench = *state;
  assert_int_equal(ask(bench, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM), VHOST_BENCH_RINGS);
  assert_int_equal(ask(bench, VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS), VIRTIOFS_MEMORY_REGIONS_MAX);
}

static void the_device_gets_the_drivers_features_alone(void **state) {
  struct vhost_bench *bench = *state;
  set_features(bench, UINT64_C(0x120000000) | BIT_30 | LOG_ALL, 0);
  assert_int_equal(bench->device.acked, UINT64_C(0x120000000));
  set_features(bench, 0, 0);
  assert_int_equal(bench->device.acked, 0);
}

static void features_that_were_not_offered_are_refused(void **state) {
  struct vhost_bench *bench = *state;
  set_features(bench, 1, -EPROTO);
  set_features(bench, UINT64_C(1) << 63, -EPROTO);
  vhost_device_told(&bench->device, "");
  vhost_bench_acks(bench);
  set_features(bench, UINT64_C(1) << 35, 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES), 0);
}

static void protocol_features_that_were_not_offered_are_refused(void **state) {
  struct vhost_bench *bench = *state;
  bench->fe.flags = VHOST_NEED_REPLY;
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES,
                     VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK | UINT64_C(1) << 14);
  vhost_bench_step(bench, -EPROTO);
  vhost_frontend_no_reply(&bench->fe);
}

static void a_device_that_refuses_features_is_heard(void **state) {
  struct vhost_bench *bench = *state;
  bench->device.features_rc = -EINVAL;
  set_features(bench, 0, -EINVAL);
  vhost_device_told(&bench->device, "features=0");
}

/* All that QEMU before 7.2 sends for a ring; it never enables one. */
static void rings_run_at_once_without_bit_30(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_acks(bench);
  bench->fe.flags = VIRTIOFS_VHOST_USER_VERSION;
  set_features(bench, UINT64_C(1) << 32, 0);
  vhost_bench_memory(bench);
  for (uint32_t i = 0; i < 2; i++) {
    vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, i, 8);
    vhost_bench_step(bench, 0);
    vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, i, 0);
    vhost_bench_step(bench, 0);
    vhost_bench_addr(bench, i);
    vhost_bench_kick(bench, i);
  }
  vhost_device_told(&bench->device, "features=4294967296 memory=1 start0 start1");
}

static void rings_that_wait_run_once_features_come_without_bit_30(void **state) {
  struct vhost_bench *bench = *state;
  set_features(bench, BIT_30, 0);
  vhost_bench_memory(bench);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 2, 8);
  vhost_bench_step(bench, 0);
  vhost_bench_addr(bench, 2);
  vhost_bench_kick(bench, 2);
  vhost_device_told(&bench->device, "features=0 memory=1");
  set_features(bench, 0, 0);
  vhost_device_told(&bench->device, "features=0 start2");
}

/* Features first, then the rings: EVENT_IDX has to be known when a ring starts. */
static void features_are_told_before_rings_start(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_memory(bench);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 0, 8);
  vhost_bench_step(bench, 0);
  vhost_bench_addr(bench, 0);
  vhost_bench_kick(bench, 0);
  set_features(bench, UINT64_C(1) << 29, 0);
  vhost_device_told(&bench->device, "memory=1 features=536870912 start0");
}

static void toggling_features_leaves_rings_running(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  set_features(bench, BIT_30 | LOG_ALL, 0);
  set_features(bench, BIT_30, 0);
  set_features(bench, 0, 0);
  set_features(bench, BIT_30, 0);
  vhost_device_told(&bench->device, "features=0 features=0 features=0 features=0");
}

static void owners_come_and_go(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vhost_bench_acks(bench);
  static const uint32_t requests[] = {VIRTIOFS_VHOST_USER_SET_OWNER, VIRTIOFS_VHOST_USER_RESET_OWNER};
  for (size_t i = 0; i < 2; i++)
    assert_int_equal(ask(bench, requests[i]), 0);
  vhost_device_told(&bench->device, "");
}

static bool peer_has_hung_up(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void the_back_ends_socket_is_kept_open(void **state) {
  struct vhost_bench *bench = *state;
  int first[2], second[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
  vhost_frontend_send(&bench->fe, VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &first[1], 1);
  close(first[1]);
  vhost_bench_step(bench, 0);
  assert_false(peer_has_hung_up(first[0]));
  vhost_frontend_send(&bench->fe, VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &second[1], 1);
  close(second[1]);
  vhost_bench_step(bench, 0);
  assert_true(peer_has_hung_up(first[0]));
  assert_false(peer_has_hung_up(second[0]));
  close(first[0]);
  close(second[0]);
}

static void reset_stops_all_and_keeps_memory(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 1);
  vhost_bench_run(bench, 2);
  bench->device.trace[0] = '\0';
  vhost_bench_acks(bench);
  assert_int_equal(ask(bench, VIRTIOFS_VHOST_USER_RESET_DEVICE), 0);
  vhost_device_told(&bench->device, "stop1 stop2 reset0");
  bench->fe.flags = VIRTIOFS_VHOST_USER_VERSION;
  /* A ring begins anew: base 0, and nothing of what was said before. The memory is still there. */
  vhost_bench_kick(bench, 1);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1);
  vhost_bench_step(bench, 0);
  vhost_bench_addr(bench, 1);
  vhost_device_told(&bench->device, "");
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 8);
  vhost_bench_step(bench, 0);
  vhost_device_told(&bench->device, "start1");
  assert_int_equal(bench->device.started[1].base, 0);
}

static void a_reset_that_fails_is_heard(void **state) {
  struct vhost_bench *bench = *state;
  bench->device.reset_rc = -EIO;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_RESET_DEVICE);
  vhost_bench_step(bench, -EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(features_are_the_devices_and_bit_30),
      TEST(protocol_features_are_those_that_are_served),
      TEST(queues_and_slots_are_counted),
      TEST(the_device_gets_the_drivers_features_alone),
      TEST(features_that_were_not_offered_are_refused),
      TEST(protocol_features_that_were_not_offered_are_refused),
      TEST(a_device_that_refuses_features_is_heard),
      TEST(rings_run_at_once_without_bit_30),
      TEST(rings_that_wait_run_once_features_come_without_bit_30),
      TEST(features_are_told_before_rings_start),
      TEST(toggling_features_leaves_rings_running),
      TEST(owners_come_and_go),
      TEST(the_back_ends_socket_is_kept_open),
      TEST(reset_stops_all_and_keeps_memory),
      TEST(a_reset_that_fails_is_heard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
