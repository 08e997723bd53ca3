/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in the caller's process: answers from elsewhere, stopping, going on, the end. */
#include "attach_bench.h"

static void *answer(void *arg) {
  struct bench *b = arg;
  script_fs_answer(&b->fs, 0);
  return NULL;
}

/* A request that another thread answers makes the descriptors readable, each time. */
static void answers_show_on_the_descriptor(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call;
  pthread_t thread;
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_STATFS);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  for (int i = 0; i < 20; i++) {
    send(b, 1, &r, &call);
    settle(b);
    assert_int_equal(receive(b, 1), 0);
    assert_false(readable(virtiofs_device_poll_fd(b->dev), 0));
    assert_int_equal(pthread_create(&thread, NULL, answer, b), 0);
    assert_true(readable(i % 2 == 0 ? virtiofs_device_poll_fd(b->dev) : virtiofs_device_queue_fd(b->dev, 1), 60000));
    settle(b);
    pthread_join(thread, NULL);
    settle(b);
    assert_int_equal(receive(b, 1), 1);
    assert_int_equal(error_of(&call), 0);
  }
  script_fs_pend(&b->fs, 0);
}

/* What the guest forgets the backend hears of with no thread to tell it. */
static void forgetting(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call;
  start(b);
  uint64_t id = lookup(b, 1, "7");
  fuse_request_forget(&r, id, 1);
  send(b, 0, &r, &call);
  assert_true(virtiofs_device_process_queue(b->dev, 0) > 0);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  assert_int_equal(receive(b, 0), 1);
  assert_int_equal(call.used, 0);

  /* Forgotten while an operation works on it: heard of when that is over. */
  id = lookup(b, 1, "7");
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, id, NULL);
  send(b, 1, &r, &call);
  settle(b);
  struct call other;
  fuse_request_forget(&r, id, 1);
  send(b, 0, &r, &other);
  settle(b);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, answer, b), 0);
  pthread_join(thread, NULL);
  assert_true(readable(virtiofs_device_poll_fd(b->dev), 60000));
  settle(b);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 2);
  assert_int_equal(receive(b, 1), 1);
  script_fs_pend(&b->fs, 0);
}

/* It goes on where it was, and so does the mount. */
static void stopping_and_going_on(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call;
  uint32_t base;
  start(b);
  uint64_t id = lookup(b, 1, "7");
  for (int i = 0; i < 3; i++) {
    fuse_request_getattr(&r, id, NULL);
    send(b, 1, &r, &call); /* not taken any more */
    assert_int_equal(virtiofs_device_queue_stop(b->dev, 1, &base), 0);
    assert_int_equal(base, 2 + i);
    assert_int_equal(virtiofs_device_process(b->dev), 0);
    struct virtiofs_transport_queue queue = {.num = NUM,
                                             .base = base,
                                             .desc = b->queues[1].desc,
                                             .driver = b->queues[1].driver,
                                             .device = b->queues[1].device};
    assert_int_equal(virtiofs_device_queue_start(b->dev, 1, &queue), 0);
    settle(b);
    assert_int_equal(receive(b, 1), 1);
    assert_int_equal(error_of(&call), 0);
  }
}

/* Who is answered by the thread that waits is answered EINTR in its place, and comes too late. */
static void stopping_with_something_pending(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call call;
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_STATFS);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  send(b, 1, &r, &call);
  settle(b);
  assert_int_equal(script_fs_pending(&b->fs), 1);
  assert_int_equal(virtiofs_device_queue_stop(b->dev, 1, NULL), 0);
  assert_int_equal(receive(b, 1), 1);
  assert_int_equal(error_of(&call), -EINTR);
  script_fs_answer(&b->fs, 0);
  start_ring(b, 1, 0);
  script_fs_pend(&b->fs, 0);
  assert_int_equal(ask(b, 1, &r, NULL, 0), 0);
}

/* The guest's driver comes again: nothing of the first is left. */
static void detaching(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  start(b);
  uint64_t id = lookup(b, 1, "7");
  virtiofs_device_detach(b->dev);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  assert_int_equal(virtiofs_device_process(b->dev), 0);
  assert_int_equal(virtiofs_device_attach(b->dev, &b->driver), 0);
  for (uint32_t i = 0; i < QUEUES; i++)
    start_ring(b, i, 0);
  mount(b);
  fuse_request_getattr(&r, id, NULL);
  assert_int_equal(ask(b, 1, &r, NULL, 0), -ESTALE);
  (void)lookup(b, 1, "8"); /* freed while attached */
}

/* Blocking operations at depth, if the caller wants threads for them. */
static void with_a_pool(void **state) {
  struct bench *b = *state;
  struct call calls[4];
  struct fuse_request r;
  b->config.pool_threads = 2;
  b->ops.blocking = VIRTIOFS_BLOCKING_ALL;
  start(b);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  for (int i = 0; i < 200; i++) {
    unsigned done = 0;
    for (int k = 0; k < 4; k++)
      send(b, 1, &r, &calls[k]);
    while (done < 4) {
      settle(b);
      unsigned now = receive(b, 1);
      done += now;
      if (now == 0)
        assert_true(readable(virtiofs_device_poll_fd(b->dev), 60000));
    }
  }
}

#define ATTACH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      ATTACH_TEST(answers_show_on_the_descriptor),  ATTACH_TEST(forgetting), ATTACH_TEST(stopping_and_going_on),
      ATTACH_TEST(stopping_with_something_pending), ATTACH_TEST(detaching),  ATTACH_TEST(with_a_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
