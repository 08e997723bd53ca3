/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting and stopping a queue, with backends that take their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "support/device_bench.h"

static void restart_from_the_base(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, DEVICE_F_EVENT_IDX);
  for (unsigned i = 0; i < 40; i++) {
    for (unsigned j = 0; j < 5; j++)
      (void)device_lookup(b, 1, "7");
    uint16_t base = guest_stop_ring(&b->g, 1);
    assert_int_equal(base, b->g.rings[1].avail_idx);
    /* What was made available meanwhile is taken at once, kick or no kick. */
    struct fuse_request r;
    fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
    struct device_call call = device_send(b, 1, &r);
    guest_start_ring(&b->g, 1, base);
    (void)device_wait(b, &call, 1);
    assert_int_equal(device_error(b, &call), 0);
  }
  /* A stopped queue is no end of the session. */
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 0);
}

/* Indices beyond 65535. */
static void the_base_wraps(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, DEVICE_F_EVENT_IDX);
  (void)guest_stop_ring(&b->g, 1);
  guest_reset_ring(&b->g, 1);
  b->g.rings[1].avail_idx = b->g.rings[1].used_seen = 65500;
  uint16_t *avail = guest_at(&b->g, b->g.rings[1].avail), *used = guest_at(&b->g, b->g.rings[1].used);
  avail[1] = used[1] = 65500;
  guest_start_ring(&b->g, 1, 65500);
  for (unsigned i = 0; i < 100; i++)
    (void)device_lookup(b, 1, "7");
  assert_int_equal(guest_stop_ring(&b->g, 1), (65500 + 100) % 65536);
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

static void a_drain_cancels(void **state) {
  struct device_bench *b = *state;
  b->config.drain_ms = 60000;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  struct device_call calls[3];
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  script_fs_set_hook(&b->fs, can_give_up, NULL);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < 3; i++)
    calls[i] = device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 3);
  (void)guest_stop_ring(&b->g, 1);
  for (unsigned i = 0; i < 3; i++) {
    assert_true(guest_has_used(&b->g, 1));
    unsigned done = device_wait(b, calls, 3);
    assert_int_equal(device_error(b, &calls[done]), -EINTR);
  }
}

static void *answer_soon(void *arg) {
  struct device_bench *b = arg;
  /* Perhaps the queue is stopped between them. */
  for (unsigned i = 0; i < 2; i++) {
    script_fs_wait_pending(&b->fs, 1);
    script_fs_answer(&b->fs, 0);
  }
  return NULL;
}

/* Whatever the order of the answer and the drain, both replies are in the ring when the queue has stopped. */
static void a_drain_waits_for_answers(void **state) {
  struct device_bench *b = *state;
  b->config.drain_ms = 60000;
  device_bench_start(b, 2, 0);
  for (unsigned round = 0; round < 100; round++) {
    struct fuse_request r;
    struct device_call calls[2];
    pthread_t thread;
    script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
    assert_int_equal(pthread_create(&thread, NULL, answer_soon, b), 0);
    fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
    calls[0] = device_send(b, 1, &r);
    calls[1] = device_send(b, 1, &r);
    if (round % 2 == 0)
      script_fs_wait_calls(&b->fs, FUSE_GETATTR, 2 * round + 2);
    uint16_t base = guest_stop_ring(&b->g, 1);
    if (base != b->g.rings[1].avail_idx)
      guest_start_ring(&b->g, 1, base); /* it was stopped before it took them */
    for (unsigned i = 0; i < 2; i++)
      assert_int_equal(device_error(b, &calls[device_wait(b, calls, 2)]), 0);
    pthread_join(thread, NULL);
    base = guest_stop_ring(&b->g, 1);
    assert_int_equal(base, b->g.rings[1].avail_idx);
    guest_start_ring(&b->g, 1, base);
  }
}

/* Nobody answers: after the deadline the guest is told EINTR, and what comes late does no harm. */
static void a_silent_backend(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  struct device_call calls[3];
  uint64_t id = device_lookup(b, 1, "7");
  script_fs_pend(&b->fs, UINT64_MAX);
  fuse_request_getattr(&r, id, NULL);
  calls[0] = device_send(b, 1, &r);
  fuse_request_create(&r, FUSE_ROOT_ID, "30");
  calls[1] = device_send(b, 1, &r);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "31");
  calls[2] = device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 3);
  uint16_t base = guest_stop_ring(&b->g, 1);
  for (unsigned i = 0; i < 3; i++) {
    assert_true(guest_has_used(&b->g, 1));
    assert_int_equal(device_error(b, &calls[device_wait(b, calls, 3)]), -EINTR);
  }
  assert_int_equal(atomic_load(&b->warnings), 1);
  guest_start_ring(&b->g, 1, base);
  script_fs_pend(&b->fs, 0);
  assert_int_equal(device_lookup(b, 1, "7"), id);
  for (unsigned i = 0; i < 3; i++)
    script_fs_answer(&b->fs, 0);
  script_fs_wait_calls(&b->fs, FUSE_FORGET, 2);
  assert_int_equal(script_fs_forgets(&b->fs, 30), 1);
  assert_int_equal(script_fs_forgets(&b->fs, 31), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  assert_int_equal(device_lookup(b, 1, "7"), id);
  assert_false(guest_has_used(&b->g, 1));
}

/* ... and when even the front-end is gone: the device isn't freed under the backend. */
static void *free_device(void *arg) {
  struct device_bench *b = arg;
  virtiofs_device_free(b->dev);
  return NULL;
}

static void a_backend_that_outlives_the_front_end(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  pthread_t thread;
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_CREATE);
  fuse_request_create(&r, FUSE_ROOT_ID, "30");
  (void)device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 1);
  assert_int_equal(device_bench_hang_up(b), 0);
  /* The next one is served meanwhile. */
  script_fs_pend(&b->fs, 0);
  device_bench_connect(b, DEVICE_RING, 0);
  guest_start(&b->g, 3, 2);
  device_mount(b, 1);
  (void)device_lookup(b, 1, "30");
  assert_int_equal(device_bench_hang_up(b), 0);
  assert_int_equal(pthread_create(&thread, NULL, free_device, b), 0);
  script_fs_answer(&b->fs, 0);
  pthread_join(thread, NULL);
  b->dev = NULL;
  assert_int_equal(b->fs.given[30], 0);
  assert_int_equal(script_fs_forgets(&b->fs, 30), 2);
}

/* A READ that is under way may still write to the guest's memory: it is waited for, however long it takes. */
static void *answer_read(void *arg) {
  struct device_bench *b = arg;
  while (atomic_load(&b->warnings) == 0)
    sched_yield();
  script_fs_answer(&b->fs, 0);
  return NULL;
}

static void data_is_waited_for(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  pthread_t thread;
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_READ);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 1000);
  struct device_call call = device_send_data(b, 1, &r, guest_region(2), 1000, true);
  script_fs_wait_pending(&b->fs, 1);
  /* Not before the deadline has passed, which is said. */
  assert_int_equal(pthread_create(&thread, NULL, answer_read, b), 0);
  (void)guest_stop_ring(&b->g, 1);
  pthread_join(thread, NULL);
  assert_true(guest_has_used(&b->g, 1));
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), 0);
  assert_int_equal(call.used, 1016);
}

static uint64_t cpu_ms(clockid_t clock) {
  struct timespec ts;
  assert_int_equal(clock_gettime(clock, &ts), 0);
  return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* It had just been busy, and looks for more: that it is to stop is not what it looks for. */
static void a_worker_that_waits_for_an_answer_sleeps(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  pthread_t thread;
  clockid_t worker;
  b->config.drain_ms = 200;
  device_bench_start(b, 2, 0);
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  for (unsigned i = 0; i < 100; i++)
    (void)device_lookup(b, 1, "7");
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_READ);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 1000);
  struct device_call call = device_send_data(b, 1, &r, guest_region(2), 1000, true);
  script_fs_wait_pending(&b->fs, 1);
  assert_int_equal(pthread_getcpuclockid(b->dev->queues[1].thread, &worker), 0);
  uint64_t before = cpu_ms(worker);
  vhost_frontend_state(&b->g.fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1, 0);
  while (atomic_load(&b->warnings) == 0)
    sched_yield();
  uint64_t used = cpu_ms(worker) - before;
  assert_int_equal(pthread_create(&thread, NULL, answer_read, b), 0);
  (void)vhost_frontend_reply_state(&b->g.fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1);
  pthread_join(thread, NULL);
  (void)device_wait(b, &call, 1);
  assert_in_range(used, 0, 20); /* of 200 */
}

/* An INIT waits for another queue's request, and its own queue is to stop. */
static void an_init_that_waits_is_given_up(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 3, 0);
  struct fuse_request r;
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct device_call silent = device_send(b, 2, &r);
  script_fs_wait_pending(&b->fs, 1);
  fuse_request_init(&r, 7, 38, 0);
  struct device_call init = device_send(b, 1, &r);
  /* Refused for the INIT, so it was taken. */
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  struct device_call calls[2] = {init, device_send(b, 1, &r)};
  assert_int_equal(device_wait(b, calls, 2), 1);
  assert_int_equal(device_error(b, &calls[1]), -EIO);
  (void)guest_stop_ring(&b->g, 1);
  (void)device_wait(b, calls, 1);
  assert_int_equal(device_error(b, &calls[0]), -EINTR);
  (void)guest_stop_ring(&b->g, 2);
  (void)device_wait(b, &silent, 1);
  assert_int_equal(device_error(b, &silent), -EINTR);
  script_fs_answer(&b->fs, 0);
}

/* ---- an operation that is still being called at the deadline, and becomes pending only then ---- */

struct gate {
  atomic_bool inside, open;
};

static int at_gate(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  struct gate *gate = fs->hook_ctx;
  (void)req;
  (void)out;
  if (opcode != FUSE_GETATTR)
    return rc;
  atomic_store(&gate->inside, true);
  while (!atomic_load(&gate->open))
    sched_yield();
  return rc;
}

static void *open_gate(void *arg) {
  struct device_bench *b = arg;
  struct gate *gate = b->fs.hook_ctx;
  while (atomic_load(&b->warnings) == 0)
    sched_yield();
  atomic_store(&gate->open, true);
  return NULL;
}

static void pending_after_the_deadline(void **state) {
  struct device_bench *b = *state;
  struct gate gate = {0};
  struct fuse_request r;
  pthread_t thread;
  device_bench_start(b, 2, 0);
  script_fs_set_hook(&b->fs, at_gate, &gate);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct device_call call = device_send(b, 1, &r);
  while (!atomic_load(&gate.inside))
    sched_yield();
  assert_int_equal(pthread_create(&thread, NULL, open_gate, b), 0);
  (void)guest_stop_ring(&b->g, 1);
  pthread_join(thread, NULL);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), -EINTR);
  script_fs_answer(&b->fs, 0);
}

/* ---- the pool, with requests of a queue that stops ---- */

/* One thread is held; behind it wait requests of two queues, in turn. Those of the one that stops are given up, and the
 * others have to be run nevertheless. */
static void a_queue_stops_while_its_requests_wait_for_the_pool(void **state) {
  struct device_bench *b = *state;
  struct gate gate = {0};
  struct fuse_request r;
  struct device_call stopped[8], others[8];
  b->config.pool_threads = 1;
  b->ops.blocking = VIRTIOFS_BLOCKING_GETATTR | VIRTIOFS_BLOCKING_STATFS;
  device_bench_start(b, 4, DEVICE_F_INDIRECT);
  script_fs_set_hook(&b->fs, at_gate, &gate);
  /* The first of a queue is called on its worker: two at once, and the second goes to the pool. */
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_LOOKUP);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
  struct device_call first[3];
  for (uint32_t queue = 1; queue <= 3; queue++) {
    first[queue - 1] = device_send(b, queue, &r);
    script_fs_wait_pending(&b->fs, queue);
  }
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct device_call held = device_send(b, 3, &r);
  while (!atomic_load(&gate.inside))
    sched_yield();
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  for (unsigned i = 0; i < 3; i++) {
    stopped[i] = device_send(b, 1, &r);
    others[i] = device_send(b, 2, &r);
    /* Each is taken before the next comes, so that they alternate: a refused one, answered after it, tells. */
    for (uint32_t queue = 1; queue <= 2; queue++) {
      struct fuse_request bad;
      fuse_request_named(&bad, FUSE_LOOKUP, 99, "x");
      struct device_call call = device_send(b, queue, &bad);
      (void)device_wait(b, &call, 1);
      assert_int_equal(device_error(b, &call), -ESTALE);
    }
  }
  (void)guest_stop_ring(&b->g, 1);
  atomic_store(&gate.open, true);
  for (unsigned i = 0; i < 3; i++) {
    unsigned done = device_wait(b, others, 3);
    assert_int_equal(device_error(b, &others[done]), 0);
    others[done].unique = 0;
  }
  (void)device_wait(b, &held, 1);
  assert_int_equal(device_error(b, &held), 0);
  stopped[3] = first[0];
  for (unsigned i = 0; i < 4; i++) {
    unsigned done = device_wait(b, stopped, 4);
    assert_int_equal(device_error(b, &stopped[done]), -EINTR);
    stopped[done].unique = 0;
  }
  assert_int_equal(script_fs_calls(&b->fs, FUSE_STATFS), 3);
  script_fs_pend(&b->fs, 0);
  for (unsigned i = 0; i < 3; i++)
    script_fs_answer(&b->fs, 0);
  for (unsigned i = 1; i < 3; i++)
    (void)device_wait(b, &first[i], 1);
}

/* Most are about what is over. */
static int setup(void **state) {
  int rc = device_bench_setup(state);
  ((struct device_bench *)*state)->config.drain_ms = 50;
  return rc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(restart_from_the_base),
      TEST(the_base_wraps),
      TEST(a_drain_cancels),
      TEST(a_drain_waits_for_answers),
      TEST(a_silent_backend),
      TEST(a_backend_that_outlives_the_front_end),
      TEST(data_is_waited_for),
      TEST(a_worker_that_waits_for_an_answer_sleeps),
      TEST(an_init_that_waits_is_given_up),
      TEST(pending_after_the_deadline),
      TEST(a_queue_stops_while_its_requests_wait_for_the_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
