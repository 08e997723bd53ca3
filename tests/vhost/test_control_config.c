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

static void send_config(struct vhost_bench *bench, uint32_t request, uint32_t offset, uint32_t size, uint32_t flags) {
  struct virtiofs_vhost_user_config config = {.offset = offset, .size = size, .flags = flags};
  memset(config.data, 'x', sizeof config.data);
  vhost_frontend_send(&bench->fe, request, &config, 12 + size, NULL, 0);
  vhost_bench_step(bench, 0);
}

static uint32_t get_config(struct vhost_bench *bench, uint32_t offset, uint32_t size,
                           struct virtiofs_vhost_user_message *reply) {
  send_config(bench, VIRTIOFS_VHOST_USER_GET_CONFIG, offset, size, 0);
  assert_int_equal(vhost_frontend_receive(&bench->fe, reply), 1);
  assert_int_equal(reply->header.request, VIRTIOFS_VHOST_USER_GET_CONFIG);
  assert_int_equal(reply->header.flags, 5);
  return reply->header.size;
}

static void a_config_is_as_long_as_it_was_asked(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_user_message reply;
  char expected[256];
  memset(expected, 'c', sizeof expected);
  static const uint32_t sizes[] = {0, 1, 40, 44, 256};
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(get_config(bench, 4, sizes[i], &reply), 12 + sizes[i]);
    assert_int_equal(reply.payload.config.offset, 4);
    assert_int_equal(reply.payload.config.size, sizes[i]);
    assert_memory_equal(reply.payload.config.data, expected, sizes[i]);
  }
  vhost_device_told(&bench->device, "config4 config4 config4 config4 config4");
}

static void a_config_out_of_range_is_answered_by_nothing(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_user_message reply;
  vhost_bench_acks(bench);
  bench->device.config_rc = -EINVAL;
  assert_int_equal(get_config(bench, 1000, 8, &reply), 0);
  vhost_frontend_no_reply(&bench->fe);
}

static void config_is_read_only_but_for_migration(void **state) {
  struct vhost_bench *bench = *state;
  send_config(bench, VIRTIOFS_VHOST_USER_SET_CONFIG, 0, 36, 0);
  vhost_frontend_no_reply(&bench->fe);
  assert_int_equal(bench->device.lines, 1);
  assert_int_equal(bench->device.errors, 0);
  vhost_bench_acks(bench);
  send_config(bench, VIRTIOFS_VHOST_USER_SET_CONFIG, 0, 36, 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_CONFIG), 0);
  send_config(bench, VIRTIOFS_VHOST_USER_SET_CONFIG, 0, 36, 2);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_CONFIG), 0);
  send_config(bench, VIRTIOFS_VHOST_USER_SET_CONFIG, 0, 36, VIRTIOFS_VHOST_USER_CONFIG_MIGRATION);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_CONFIG), 0);
  vhost_device_told(&bench->device, "");
}

static void a_device_without_config_offers_none(void **state) {
  struct vhost_bench *bench = *state;
  struct vhost_frontend fe;
  struct virtiofs_vhost_socket sock;
  struct virtiofs_vhost_user_message reply;
  virtiofs_vhost_socket_init(&sock, vhost_frontend_init(&fe));
  struct virtiofs_vhost_backend_config config = {
      .transport = &sock.transport, .events = &vhost_device_events, .ctx = &bench->device, .vrings = 1};
  struct virtiofs_vhost_backend *backend;
  assert_int_equal(virtiofs_vhost_backend_new(&backend, &config), 0);
  vhost_frontend_empty(&fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  assert_int_equal(virtiofs_vhost_backend_process(backend), 0);
  assert_int_equal(vhost_frontend_reply_u64(&fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES) &
                       VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG,
                   0);
  const uint32_t ask[4] = {0, 4, 0, 0};
  vhost_frontend_send(&fe, VIRTIOFS_VHOST_USER_GET_CONFIG, ask, sizeof ask, NULL, 0);
  assert_int_equal(virtiofs_vhost_backend_process(backend), 0);
  assert_int_equal(vhost_frontend_receive(&fe, &reply), 1);
  assert_int_equal(reply.header.size, 0);
  vhost_frontend_u64(&fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK);
  assert_int_equal(virtiofs_vhost_backend_process(backend), 0);
  fe.flags = VHOST_NEED_REPLY;
  const uint32_t set[4] = {0, 4, VIRTIOFS_VHOST_USER_CONFIG_MIGRATION, 0};
  vhost_frontend_send(&fe, VIRTIOFS_VHOST_USER_SET_CONFIG, set, sizeof set, NULL, 0);
  assert_int_equal(virtiofs_vhost_backend_process(backend), 0);
  assert_int_not_equal(vhost_frontend_reply_u64(&fe, VIRTIOFS_VHOST_USER_SET_CONFIG), 0);
  fe.flags = VIRTIOFS_VHOST_USER_VERSION;
  vhost_frontend_u64(&fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG);
  assert_int_equal(virtiofs_vhost_backend_process(backend), -EPROTO);
  vhost_device_told(&bench->device, "");
  virtiofs_vhost_backend_free(backend);
  vhost_frontend_fini(&fe);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_config_is_as_long_as_it_was_asked),
      TEST(a_config_out_of_range_is_answered_by_nothing),
      TEST(config_is_read_only_but_for_migration),
      TEST(a_device_without_config_offers_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
