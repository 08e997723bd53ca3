/* SPDX-License-Identifier: BSD-3-Clause */
/* A device on packed rings, which stop, move and break as split ones do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

#include "support/device_bench.h"

#define RING_NUM 13U
#define REQUEST (guest_region(1))
#define REPLY (guest_region(1) + 4096)
#define UVA UINT64_C(0x7f0000000000)

static struct virtiofs_driverq *q;

static void start_ring(struct device_bench *b, uint32_t base) {
  struct guest_ring *ring = &b->g.rings[1];
  struct vhost_frontend *fe = &b->g.fe;
  vhost_frontend_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, RING_NUM);
  vhost_frontend_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, 1, base);
  vhost_frontend_addr(fe, 1, UVA + ring->desc, UVA + ring->avail, UVA + ring->used);
  vhost_frontend_vring_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, ring->call_fd);
  vhost_frontend_vring_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 1, ring->err_fd);
  vhost_frontend_vring_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 1, ring->kick_fd);
  vhost_frontend_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1);
}

static uint32_t stop_ring(struct device_bench *b) {
  vhost_frontend_state(&b->g.fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1, 0);
  return vhost_frontend_reply_state(&b->g.fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1);
}

static void begin(struct device_bench *b, uint64_t features) {
  struct guest_ring *ring = &b->g.rings[1];
  device_bench_new(b);
  device_bench_connect(b, DEVICE_RING, features | DEVICE_F_PACKED);
  ring = &b->g.rings[1];
  vhost_frontend_u64(&b->g.fe, VIRTIOFS_VHOST_USER_SET_FEATURES,
                     b->g.features | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  guest_set_memory(&b->g, 2);
  assert_int_equal(virtiofs_driverq_new(&q, RING_NUM, b->g.features), 0);
  assert_int_equal(
      virtiofs_driverq_map(q, guest_at(&b->g, ring->desc), guest_at(&b->g, ring->avail), guest_at(&b->g, ring->used)),
      0);
  assert_int_equal(virtiofs_driverq_start(q, VIRTIOFS_VIRTQ_PACKED_BASE), 0);
  start_ring(b, VIRTIOFS_VIRTQ_PACKED_BASE);
}

static int teardown(void **state) {
  virtiofs_driverq_free(q);
  q = NULL;
  return device_bench_teardown(state);
}

static void send(struct device_bench *b, const struct fuse_request *r) {
  const struct virtiofs_driverq_part parts[] = {
      {REQUEST, 40}, {REQUEST + 40, (uint32_t)r->len - 40}, {REPLY, 16}, {REPLY + 16, 200}};
  uint64_t one = 1;
  memcpy(guest_at(&b->g, REQUEST), r->bytes, r->len);
  assert_int_equal(virtiofs_driverq_add(q, parts, 2, 2, b), 0);
  if (virtiofs_driverq_publish(q))
    assert_int_equal(write(b->g.rings[1].kick_fd, &one, sizeof one), sizeof one);
}

static void wait_for(struct device_bench *b, const struct fuse_request *r) {
  struct virtiofs_driverq_done done;
  struct fuse_out_header header;
  int rc;
  while ((rc = virtiofs_driverq_take(q, &done)) == 0) {
    if (!virtiofs_driverq_want_call(q))
      guest_wait_fd(b->g.rings[1].call_fd);
    virtiofs_driverq_no_call(q);
  }
  assert_int_equal(rc, 1);
  assert_ptr_equal(done.cookie, b);
  memcpy(&header, guest_at(&b->g, REPLY), sizeof header);
  assert_int_equal(header.len, done.len);
  assert_int_equal(header.unique, r->header.unique);
  assert_int_equal(header.error, 0);
}

static void ask(struct device_bench *b, const struct fuse_request *r) {
  send(b, r);
  wait_for(b, r);
}

static void mount(struct device_bench *b) {
  struct fuse_request r;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  ask(b, &r);
}

/* Four descriptors a time in a ring of 13: the base is anywhere in it, in both laps. */
static void restart_from_the_base(struct device_bench *b, uint64_t features) {
  struct fuse_request r;
  begin(b, features);
  mount(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < 60; i++) {
    for (unsigned j = 0; j <= i % 3; j++)
      ask(b, &r);
    uint32_t base = stop_ring(b);
    assert_int_equal(base, virtiofs_driverq_base(q));
    send(b, &r); /* while it is stopped: taken at once afterwards, kick or no kick */
    start_ring(b, base);
    wait_for(b, &r);
  }
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 0);
}

static void restarts_by_flag(void **state) {
  restart_from_the_base(*state, 0);
}

static void restarts_by_position(void **state) {
  restart_from_the_base(*state, DEVICE_F_EVENT_IDX);
}

static void memory_comes_and_goes(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  begin(b, DEVICE_F_EVENT_IDX);
  mount(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (uint32_t i = 0; i < 30; i++) {
    guest_set_memory(&b->g, 2 + i % 3);
    ask(b, &r);
  }
}

static void a_broken_ring_is_said_once_and_begins_anew(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  const struct virtiofs_driverq_part part = {REQUEST, 100};
  const uint16_t id = RING_NUM;
  begin(b, DEVICE_F_EVENT_IDX);
  mount(b);
  unsigned char *desc = guest_at(&b->g, b->g.rings[1].desc);
  desc += 16 * (virtiofs_driverq_base(q) & 0x7fff);
  assert_int_equal(virtiofs_driverq_add(q, &part, 1, 0, b), 0);
  memcpy(desc + 12, &id, sizeof id); /* which none of the ring has */
  uint64_t one = 1;
  (void)!virtiofs_driverq_publish(q);
  assert_int_equal(write(b->g.rings[1].kick_fd, &one, sizeof one), sizeof one);
  guest_wait_fd(b->g.rings[1].err_fd);
  assert_int_equal(atomic_load(&b->warnings), 1);
  /* To whoever asks later, too. */
  int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_true(err >= 0);
  vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 1, err);
  guest_sync(&b->g);
  guest_wait_fd(err);
  close(err);
  (void)stop_ring(b);
  void *cookie;
  assert_int_equal(virtiofs_driverq_reset(q, RING_NUM), 0);
  assert_int_equal(virtiofs_driverq_reclaim(q, &cookie), 1);
  struct guest_ring *ring = &b->g.rings[1];
  assert_int_equal(
      virtiofs_driverq_map(q, guest_at(&b->g, ring->desc), guest_at(&b->g, ring->avail), guest_at(&b->g, ring->used)),
      0);
  assert_int_equal(virtiofs_driverq_start(q, 0x00050005), 0);
  start_ring(b, 0x00050005);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  ask(b, &r);
}

/* A base that no ring of this size can have is the guest's affair: the ring doesn't run, and the connection stays. */
static void a_base_beyond_the_ring_does_not_run(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  begin(b, 0);
  mount(b);
  uint32_t base = stop_ring(b);
  start_ring(b, RING_NUM | RING_NUM << 16);
  guest_sync(&b->g);
  assert_true(atomic_load(&b->warnings) > 0);
  assert_int_equal(stop_ring(b), RING_NUM | RING_NUM << 16);
  start_ring(b, base);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  ask(b, &r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_bench_setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(restarts_by_flag),
      TEST(restarts_by_position),
      TEST(memory_comes_and_goes),
      TEST(a_broken_ring_is_said_once_and_begins_anew),
      TEST(a_base_beyond_the_ring_does_not_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
