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

#define ACK VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK

static void nothing_happens_before_a_message(void **state) {
  struct vhost_bench *bench = *state;
  vhost_device_told(&bench->device, "");
  assert_int_equal(bench->device.lines, 0);
}

static void a_hang_up_is_no_error(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_hang_up(bench);
  vhost_bench_step(bench, -ECONNRESET);
  assert_int_equal(bench->device.lines, 0);
}

static void a_hang_up_amid_a_message_is_an_error(void **state) {
  struct vhost_bench *bench = *state;
  uint32_t words[4] = {VIRTIOFS_VHOST_USER_SET_VRING_KICK, 1, 8, 0};
  vhost_frontend_raw(&bench->fe, words, sizeof words, &bench->event_fd, 1);
  vhost_bench_hang_up(bench);
  vhost_bench_step(bench, -EPROTO);
  assert_int_equal(bench->device.errors, 1);
}

static void a_hang_up_before_the_reply_is_no_error(void **state) {
  struct vhost_bench *bench = *state;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_GET_FEATURES);
  vhost_bench_hang_up(bench);
  vhost_bench_step(bench, -ECONNRESET);
  assert_int_equal(bench->device.lines, 0);
}

static void broken_messages_end_the_connection_with_one_line(void **state) {
  struct vhost_bench *bench = *state;
  const int fds[2] = {bench->event_fd, bench->memory_fd};
  const uint64_t value = 0, table = 2;
  vhost_bench_acks(bench);
  static const struct {
    uint32_t request, size, fds;
  } broken[] = {
      {VIRTIOFS_VHOST_USER_GET_FEATURES, 0, 1},       {VIRTIOFS_VHOST_USER_SET_FEATURES, 4, 0},
      {VIRTIOFS_VHOST_USER_SET_VRING_KICK, 8, 0},     {VIRTIOFS_VHOST_USER_SET_VRING_KICK, 8, 2},
      {VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, 0, 0}, {VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, 0, 2},
  };
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    vhost_frontend_send(&bench->fe, broken[i].request, &value, broken[i].size, fds, broken[i].fds);
    vhost_bench_step(bench, -EPROTO);
    assert_int_equal(bench->device.errors, i + 1);
    assert_int_equal(bench->device.lines, i + 1);
  }
  vhost_frontend_send(&bench->fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, &table, 8, fds, 2);
  vhost_bench_step(bench, -EPROTO);
  vhost_device_told(&bench->device, "");
  vhost_frontend_no_reply(&bench->fe);
}

static void an_oversize_message_ends_the_connection(void **state) {
  struct vhost_bench *bench = *state;
  uint32_t words[3] = {VIRTIOFS_VHOST_USER_SET_MEM_TABLE, 1, 265};
  vhost_frontend_raw(&bench->fe, words, sizeof words, &bench->memory_fd, 1);
  vhost_bench_step(bench, -EPROTO);
  assert_int_equal(bench->device.errors, 1);
}

static void a_wrong_version_ends_the_connection(void **state) {
  struct vhost_bench *bench = *state;
  bench->fe.flags = 2;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, -EPROTO);
  assert_int_equal(bench->device.errors, 1);
}

static void an_ack_needs_both_the_feature_and_the_flag(void **state) {
  struct vhost_bench *bench = *state;
  bench->fe.flags = VHOST_NEED_REPLY;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  vhost_frontend_no_reply(&bench->fe);
  bench->fe.flags = VIRTIOFS_VHOST_USER_VERSION;
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, ACK);
  vhost_bench_step(bench, 0);
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  vhost_frontend_no_reply(&bench->fe);
  bench->fe.flags = VHOST_NEED_REPLY;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER), 0);
  vhost_frontend_no_reply(&bench->fe);
  /* And off again. */
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, 0);
  vhost_bench_step(bench, 0);
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  vhost_frontend_no_reply(&bench->fe);
}

/* cloud-hypervisor restores a guest like this: no GET before, and each message asks. */
static void protocol_features_may_come_first_and_ask(void **state) {
  struct vhost_bench *bench = *state;
  bench->fe.flags = VHOST_NEED_REPLY;
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, ACK);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES), 0);
  vhost_bench_memory(bench);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE), 0);
  vhost_frontend_no_reply(&bench->fe);
}

static void a_message_with_a_reply_gives_only_that(void **state) {
  struct vhost_bench *bench = *state;
  static const uint32_t requests[] = {VIRTIOFS_VHOST_USER_GET_FEATURES, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES,
                                      VIRTIOFS_VHOST_USER_GET_QUEUE_NUM, VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS};
  vhost_bench_acks(bench);
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    vhost_frontend_empty(&bench->fe, requests[i]);
    vhost_bench_step(bench, 0);
    assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, requests[i]), 0);
    vhost_frontend_no_reply(&bench->fe);
  }
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1, 0);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_reply_state(&bench->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1), 0);
  vhost_frontend_no_reply(&bench->fe);
}

static void a_failure_is_told_who_asks_and_ends_the_connection_else(void **state) {
  struct vhost_bench *bench = *state;
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, VHOST_BENCH_RINGS, 0);
  vhost_bench_step(bench, -EPROTO);
  assert_int_equal(bench->device.errors, 1);
  assert_int_equal(bench->device.lines, 1);
  vhost_bench_acks(bench);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, VHOST_BENCH_RINGS, 0);
  vhost_bench_step(bench, 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE), 0);
  assert_int_equal(bench->device.errors, 1);
  assert_int_equal(bench->device.lines, 2);
  assert_non_null(strstr(bench->device.line, "SET_VRING_BASE"));
  assert_non_null(strstr(bench->device.line, "no ring"));
  /* The device's own refusal is not explained by the last one. */
  bench->device.features_rc = -EIO;
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, 0);
  vhost_bench_step(bench, 0);
  assert_null(strstr(bench->device.line, "no ring"));
}

static void an_unknown_message_is_ignored_with_one_line(void **state) {
  struct vhost_bench *bench = *state;
  static const uint32_t requests[] = {0, 6, 7, 19, 32, 35, 39, 46, 255, UINT32_MAX};
  const int fds[8] = {bench->event_fd, bench->event_fd, bench->event_fd, bench->event_fd,
                      bench->event_fd, bench->event_fd, bench->event_fd, bench->event_fd};
  char payload[272] = {0};
  for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    vhost_frontend_send(&bench->fe, requests[i], payload, sizeof payload, fds, 8);
    vhost_bench_step(bench, 0);
    vhost_frontend_no_reply(&bench->fe);
    assert_int_equal(bench->device.lines, i + 1);
  }
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4);
  vhost_device_told(&bench->device, "");
  vhost_bench_acks(bench);
  for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    vhost_frontend_empty(&bench->fe, requests[i]);
    vhost_bench_step(bench, 0);
    assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, requests[i]), 0);
  }
}

static void each_message_is_said_at_debug_only(void **state) {
  struct vhost_bench *bench = *state;
  bench->log.level = VIRTIOFS_LOG_DEBUG;
  vhost_frontend_empty(&bench->fe, VIRTIOFS_VHOST_USER_SET_OWNER);
  vhost_bench_step(bench, 0);
  assert_string_equal(bench->device.line, "SET_OWNER");
}

/* Freed with everything in use: the teardown counts what is left. */
static void freeing_stops_and_closes_all(void **state) {
  struct vhost_bench *bench = *state;
  for (uint32_t i = 0; i < VHOST_BENCH_RINGS; i++) {
    vhost_bench_run(bench, i);
    vhost_frontend_vring_fd(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, i, bench->event_fd);
    vhost_bench_step(bench, 0);
    vhost_frontend_vring_fd(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, i, bench->event_fd);
    vhost_bench_step(bench, 0);
  }
  bench->device.trace[0] = '\0';
  virtiofs_vhost_backend_free(bench->backend);
  bench->backend = NULL;
  vhost_device_told(&bench->device, "stop0 stop1 stop2");
  struct virtiofs_vhost_user_message msg;
  assert_int_equal(vhost_frontend_receive(&bench->fe, &msg), -1);
  virtiofs_vhost_backend_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_happens_before_a_message),
      TEST(a_hang_up_is_no_error),
      TEST(a_hang_up_amid_a_message_is_an_error),
      TEST(a_hang_up_before_the_reply_is_no_error),
      TEST(broken_messages_end_the_connection_with_one_line),
      TEST(an_oversize_message_ends_the_connection),
      TEST(a_wrong_version_ends_the_connection),
      TEST(an_ack_needs_both_the_feature_and_the_flag),
      TEST(protocol_features_may_come_first_and_ask),
      TEST(a_message_with_a_reply_gives_only_that),
      TEST(a_failure_is_told_who_asks_and_ends_the_connection_else),
      TEST(an_unknown_message_is_ignored_with_one_line),
      TEST(each_message_is_said_at_debug_only),
      TEST(freeing_stops_and_closes_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
