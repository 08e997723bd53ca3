/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in the caller's process: attaching, rings, notifications. */
#include "attach_bench.h"

static void what_a_driver_must_bring(void **state) {
  struct bench *b = *state;
  char tag[36];
  struct {
    struct virtiofs_transport_driver driver;
    uint64_t more;
  } longer = {.driver = b->driver, .more = 1};
  assert_int_equal(virtiofs_device_new(&b->dev, &b->config), 0);
  assert_int_equal(virtiofs_device_queues(b->dev), QUEUES);
  assert_int_equal(virtiofs_device_features(b->dev) & FEATURES, FEATURES);
  assert_int_equal(virtiofs_device_config_read(b->dev, 0, sizeof tag, tag), 0);
  assert_memory_equal(tag, "here\0\0", 6);
  assert_int_equal(virtiofs_device_config_read(b->dev, 34, 11, tag), -EINVAL);
  assert_int_equal(virtiofs_device_poll_fd(b->dev), -1);
  assert_int_equal(virtiofs_device_process(b->dev), 0);

  assert_int_equal(virtiofs_device_attach(b->dev, NULL), -EINVAL);
  longer.driver.size = sizeof longer;
  assert_int_equal(virtiofs_device_attach(b->dev, &longer.driver), -E2BIG);
  struct virtiofs_transport_driver driver = b->driver;
  driver.features &= ~VIRTIOFS_TRANSPORT_F_VERSION_1;
  assert_int_equal(virtiofs_device_attach(b->dev, &driver), -EINVAL);
  driver.features = FEATURES | UINT64_C(1) << 60;
  assert_int_equal(virtiofs_device_attach(b->dev, &driver), -EINVAL);
  driver = b->driver;
  driver.map = NULL;
  assert_int_equal(virtiofs_device_attach(b->dev, &driver), -EINVAL);
  struct virtiofs_transport_queue queue = place_ring(b, 1, 0);
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EINVAL); /* not attached */
  assert_int_equal(virtiofs_device_memory(b->dev, b->map), -EINVAL);
  assert_int_equal(virtiofs_device_attach(b->dev, &b->driver), 0);
  assert_int_equal(virtiofs_device_attach(b->dev, &b->driver), -EBUSY);
  assert_int_equal(virtiofs_device_queue_start(b->dev, QUEUES, &queue), -EINVAL);
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), 0);
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EINVAL); /* runs */
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 2, NULL), -EINVAL);    /* doesn't */
  virtiofs_device_detach(b->dev);
  virtiofs_device_detach(b->dev);
  assert_int_equal(virtiofs_device_poll_fd(b->dev), -1);
}

/* A ring has to be in memory, in one region, and not in a window. */
static void rings_elsewhere(void **state) {
  struct bench *b = *state;
  assert_int_equal(virtiofs_device_new(&b->dev, &b->config), 0);
  struct virtiofs_memory_region regions[] = {
      {.gpa = GPA, .size = MEMORY / 2 + 100, .uva = 1, .host = b->memory},
      {.gpa = GPA + MEMORY / 2 + 100, .size = MEMORY, .uva = 0}, /* a window */
  };
  struct virtiofs_memory *map;
  assert_int_equal(virtiofs_memory_new(&map, regions, 2, NULL), 0);
  struct virtiofs_transport_driver driver = b->driver;
  driver.map = map;
  assert_int_equal(virtiofs_device_attach(b->dev, &driver), 0);
  virtiofs_memory_unref(map);
  struct virtiofs_transport_queue good = place_ring(b, 1, 0), queue = good;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EPROTO);
  assert_int_equal(virtiofs_device_memory(b->dev, b->map), 0);
  queue.device = GPA + MEMORY - 8;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EPROTO);
  queue.device = UINT64_MAX - 8;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EPROTO);
  queue = good;
  queue.num = 2048;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EPROTO);
  queue.num = NUM + 1;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), -EPROTO);
  assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &good), 0);
}

static void work(struct bench *b) {
  struct fuse_request r;
  start(b);
  for (unsigned i = 0; i < 5 * NUM; i++) {
    uint64_t id = lookup(b, 1 + i % 2, "7");
    fuse_request_getattr(&r, id, NULL);
    assert_int_equal(ask(b, 2 - i % 2, &r, NULL, 0), 0);
    fuse_request_getattr(&r, id + 1, NULL);
    assert_int_equal(ask(b, 1, &r, NULL, 0), -ESTALE);
  }
  settle(b);
  assert_int_equal(receive(b, 1) + receive(b, 2), 0);
}

static void split_rings(void **state) {
  work(*state);
}

static void packed_rings(void **state) {
  struct bench *b = *state;
  b->driver.features |= VIRTIOFS_VIRTQ_F_RING_PACKED;
  work(b);
}

static void who_polls(void **state) {
  struct bench *b = *state;
  b->driver.polls = true;
  b->driver.notify = NULL;
  b->driver.broken = NULL;
  work(b);
}

/* Many in one call: one notification, and only if the driver wants it. */
static void notifications(void **state) {
  struct bench *b = *state;
  struct call calls[5];
  struct fuse_request r;
  start(b);
  settle(b);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_false(virtiofs_driverq_want_call(b->queues[1].ring));
  unsigned before = b->notified[1];
  for (int i = 0; i < 5; i++)
    send(b, 1, &r, &calls[i]);
  assert_int_equal(virtiofs_device_process_queue(b->dev, 2), 0); /* not its business */
  assert_int_equal(virtiofs_device_process_queue(b->dev, 1), 5);
  assert_int_equal(b->notified[1], before + 1);
  assert_int_equal(receive(b, 1), 5);
  virtiofs_driverq_no_call(b->queues[1].ring);
  send(b, 1, &r, &calls[0]);
  send(b, 1, &r, &calls[1]);
  assert_true(virtiofs_device_process(b->dev) > 0);
  assert_int_equal(b->notified[1], before + 1);
  assert_int_equal(receive(b, 1), 2);
  assert_int_equal(b->notified[2], 0);
}

/* The caller's loop sleeps on one descriptor. */
static void kicks_show_on_the_descriptor(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call;
  start(b);
  settle(b);
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 2, NULL), 0);
  int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), poll_fd = virtiofs_device_poll_fd(b->dev);
  struct virtiofs_transport_queue queue = place_ring(b, 2, 0);
  queue.has_kick_fd = true;
  queue.kick_fd = kick;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 2, &queue), 0);
  close(kick); /* it has one of its own */
  kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 2, NULL), 0);
  queue = place_ring(b, 2, 0);
  queue.has_kick_fd = true;
  queue.kick_fd = kick;
  assert_int_equal(virtiofs_device_queue_start(b->dev, 2, &queue), 0);
  settle(b);
  for (int i = 0; i < 3 * NUM; i++) {
    assert_false(readable(poll_fd, 0));
    fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
    send(b, 2, &r, &call);
    assert_int_equal(eventfd_write(kick, 1), 0);
    assert_true(readable(poll_fd, 0));
    settle(b);
    assert_int_equal(receive(b, 2), 1);
    assert_int_equal(error_of(&call), 0);
  }
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 2, NULL), 0);
  assert_int_equal(eventfd_write(kick, 1), 0);
  assert_false(readable(poll_fd, 0)); /* not its any more */
  close(kick);
}

static void broken_rings(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call = {.reply = b->memory};
  start(b);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  struct virtiofs_driverq_part parts[2] = {{GPA + MEMORY - 10, 40}, {GPA, ROOM}};
  assert_int_equal(virtiofs_driverq_add(b->queues[2].ring, parts, 1, 1, &call), 0);
  (void)!virtiofs_driverq_publish(b->queues[2].ring);
  settle(b);
  assert_int_equal(receive(b, 2), 1); /* there is no memory, but that breaks nothing */
  assert_int_equal(error_of(&call), -EFAULT);
  assert_int_equal(virtiofs_driverq_add(b->queues[2].ring, parts, 1, 1, &call), 0);
  memset(b->memory + (b->queues[2].desc - GPA), 0xff, NUM * 16);
  (void)!virtiofs_driverq_publish(b->queues[2].ring);
  settle(b);
  settle(b);
  assert_int_equal(b->broken[2], 1);
  assert_int_equal(receive(b, 2), 0);
  assert_int_equal(ask(b, 1, &r, NULL, 0), 0); /* the others go on */
  assert_int_equal(b->broken[1], 0);
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 2, NULL), 0);
  start_ring(b, 2, 0);
  assert_int_equal(ask(b, 2, &r, NULL, 0), 0);
}

static void memory_that_changes(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  b->driver.features &= ~VIRTIOFS_VIRTQ_F_EVENT_IDX; /* whether to kick is written where it is read */
  start(b);
  struct virtiofs_memory *more = map_of(b, MEMORY), *less = map_of(b, MEMORY / 2 + 100);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(virtiofs_device_memory(b->dev, more), 0);
  virtiofs_memory_unref(more);
  assert_int_equal(ask(b, 1, &r, NULL, 0), 0);
  assert_int_equal(b->broken[1], 0);
  assert_int_equal(virtiofs_device_memory(b->dev, less), 0); /* without the rings */
  virtiofs_memory_unref(less);
  settle(b);
  for (int i = 0; i < QUEUES; i++)
    assert_int_equal(b->broken[i], 1);
  /* Nobody may touch what isn't the guest's any more, and may not be there. */
  memset(b->memory + MEMORY / 2, 0x5a, MEMORY / 2);
  settle(b);
  settle(b);
  for (int i = 0; i < QUEUES; i++)
    assert_int_equal(virtiofs_device_queue_stop(b->dev, (uint32_t)i, NULL), 0);
  for (size_t i = MEMORY / 2; i < MEMORY; i++)
    assert_int_equal(b->memory[i], 0x5a);
}

#define ATTACH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      ATTACH_TEST(what_a_driver_must_bring),
      ATTACH_TEST(rings_elsewhere),
      ATTACH_TEST(split_rings),
      ATTACH_TEST(packed_rings),
      ATTACH_TEST(who_polls),
      ATTACH_TEST(notifications),
      ATTACH_TEST(kicks_show_on_the_descriptor),
      ATTACH_TEST(broken_rings),
      ATTACH_TEST(memory_that_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
