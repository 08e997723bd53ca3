/* SPDX-License-Identifier: BSD-3-Clause */
/* What a front-end says, carried over to the queues; and front-ends that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/device_bench.h"

static void what_is_offered(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_vhost_user_message msg;
  uint32_t ask[3] = {0, 40, 0};
  unsigned char config[12 + 40] = {0};
  device_bench_new(b);
  device_bench_connect(b, DEVICE_RING, 0);
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_GET_FEATURES);
  assert_int_equal(vhost_frontend_reply_u64(&b->g.fe, VIRTIOFS_VHOST_USER_GET_FEATURES),
                   DEVICE_F_VERSION_1 | DEVICE_F_INDIRECT | DEVICE_F_EVENT_IDX | DEVICE_F_PACKED |
                       VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  uint64_t protocol = vhost_frontend_reply_u64(&b->g.fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  assert_true((protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG) != 0);
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM);
  assert_int_equal(vhost_frontend_reply_u64(&b->g.fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM), GUEST_QUEUES);
  memcpy(config, ask, sizeof ask);
  vhost_frontend_send(&b->g.fe, VIRTIOFS_VHOST_USER_GET_CONFIG, config, sizeof config, NULL, 0);
  assert_int_equal(vhost_frontend_receive(&b->g.fe, &msg), 1);
  assert_int_equal(msg.header.size, 52);
  assert_string_equal((const char *)msg.payload.config.data, "bench");
  assert_int_equal(msg.payload.config.data[36], GUEST_QUEUES - 1);
}

static void without_a_tag_there_is_no_config(void **state) {
  struct device_bench *b = *state;
  b->config.tag = NULL;
  device_bench_new(b);
  device_bench_connect(b, DEVICE_RING, 0);
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  uint64_t protocol = vhost_frontend_reply_u64(&b->g.fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  assert_int_equal(protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG, 0);
}

static void one_front_end_after_the_other(void **state) {
  struct device_bench *b = *state;
  uint64_t id = 0;
  device_bench_new(b);
  for (unsigned i = 0; i < 20; i++) {
    struct fuse_request r;
    device_bench_connect(b, DEVICE_RING, 0);
    guest_start(&b->g, 3, 4);
    device_mount(b, 1 + i % 3);
    /* What another guest had means nothing to this one. */
    fuse_request_getattr(&r, id, NULL);
    assert_int_equal(device_ask(b, 2, &r, NULL, 0), -ESTALE);
    id = device_lookup(b, 2, "7");
    (void)device_open(b, 3, id);
    assert_int_equal(device_bench_hang_up(b), 0);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), i + 1);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), i + 1);
    assert_int_equal(script_fs_forgets(&b->fs, 7), i + 1);
    guest_wait_threads(b->threads);
    assert_int_equal(vhost_frontend_count_maps(), b->maps + 1); /* the guest's own */
  }
}

static void it_says_nothing_and_goes(void **state) {
  struct device_bench *b = *state;
  device_bench_new(b);
  for (unsigned i = 0; i < 20; i++) {
    device_bench_connect(b, DEVICE_RING, 0);
    assert_int_equal(device_bench_hang_up(b), 0);
  }
}

static void it_breaks_the_protocol(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  (void)device_lookup(b, 1, "7");
  uint32_t header[3] = {1, 7, 0};
  vhost_frontend_raw(&b->g.fe, header, sizeof header, NULL, 0);
  assert_int_equal(device_bench_join(b), -EPROTO);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  vhost_frontend_fini(&b->g.fe);
  device_bench_connect(b, DEVICE_RING, 0);
  guest_start(&b->g, 3, 2);
  device_mount(b, 1);
}

static void give_up(struct virtiofs_req *req) {
  script_fs_answer_req(virtiofs_req_fs(req), req, -EINTR);
}

static int can_give_up(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)opcode;
  (void)out;
  if (rc == VIRTIOFS_PENDING)
    virtiofs_req_on_cancel(req, give_up);
  return rc;
}

static void gone_amid_requests(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  b->config.drain_ms = 60000;
  device_bench_start(b, 3, 0);
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  script_fs_set_hook(&b->fs, can_give_up, NULL);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR | UINT64_C(1) << FUSE_READ);
  fuse_request_getattr(&r, id, &fh);
  (void)device_send(b, 1, &r);
  (void)device_send(b, 2, &r);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 1000);
  (void)device_send_data(b, 2, &r, guest_region(2), 1000, true);
  script_fs_wait_pending(&b->fs, 3);
  assert_int_equal(device_bench_hang_up(b), 0);
  assert_int_equal(script_fs_pending(&b->fs), 0);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
}

static void reset_device(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 3, 0);
  for (unsigned i = 0; i < 10; i++) {
    struct fuse_request r;
    uint64_t id = device_lookup(b, 1, "7");
    (void)device_open(b, 2, id);
    vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_RESET_DEVICE);
    guest_sync(&b->g);
    assert_int_equal(script_fs_forgets(&b->fs, 7), i + 1);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), i + 1);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), i + 1);
    /* The driver begins anew. */
    for (uint32_t queue = 0; queue < 3; queue++)
      guest_reset_ring(&b->g, queue);
    guest_start(&b->g, 3, 3);
    fuse_request_getattr(&r, id, NULL);
    assert_int_equal(device_ask(b, 1, &r, NULL, 0), -EIO);
    device_mount(b, 2);
    assert_int_equal(device_ask(b, 1, &r, NULL, 0), -ESTALE);
    /* The reaper is at work again. */
    id = device_lookup(b, 1, "8");
    fuse_request_forget(&r, id, 1);
    assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
    script_fs_wait_calls(&b->fs, FUSE_FORGET, 2 * (i + 1));
  }
}

/* A ring whose size or place is nonsense is the guest's affair: the front-end goes on, and so do other rings. */
static void rings_that_cannot_run(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 3, 0);
  (void)guest_stop_ring(&b->g, 2);
  struct guest_ring *ring = &b->g.rings[2];
  uint32_t num = ring->num;
  ring->num = 2048; /* more than this device has */
  guest_start_ring(&b->g, 2, 0);
  guest_sync(&b->g);
  (void)device_lookup(b, 1, "7");
  assert_int_equal(guest_stop_ring(&b->g, 2), 0);
  ring->num = num;
  uint64_t desc = ring->desc;
  ring->desc = UINT64_C(1) << 40;
  guest_start_ring(&b->g, 2, 0);
  guest_sync(&b->g);
  (void)device_lookup(b, 1, "7");
  assert_int_equal(guest_stop_ring(&b->g, 2), 0);
  ring->desc = desc;
  guest_reset_ring(&b->g, 2);
  guest_start_ring(&b->g, 2, 0);
  (void)device_lookup(b, 2, "7");
}

/* The front-end disables and enables rings, as when a VM is paused, while the guest goes on sending. */
static void disabled_and_enabled(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, DEVICE_F_EVENT_IDX);
  for (unsigned i = 0; i < 100; i++) {
    struct fuse_request r;
    vhost_frontend_state(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 0);
    guest_sync(&b->g);
    fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
    struct device_call call = device_send(b, 1, &r);
    vhost_frontend_state(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1);
    (void)device_wait(b, &call, 1);
    assert_int_equal(device_error(b, &call), 0);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_bench_setup, device_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_is_offered),
      TEST(without_a_tag_there_is_no_config),
      TEST(one_front_end_after_the_other),
      TEST(it_says_nothing_and_goes),
      TEST(it_breaks_the_protocol),
      TEST(gone_amid_requests),
      TEST(reset_device),
      TEST(rings_that_cannot_run),
      TEST(disabled_and_enabled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
