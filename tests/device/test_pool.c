/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads for operations that block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/pool.h"
#include "support/guest_driver.h"
#include "support/session_bench.h"

enum { SLOTS = 64 };

struct rig {
  struct session_bench b;
  struct virtiofs_pool pool;
  struct virtiofs_slot *slots[SLOTS];
  struct iovec iov[SLOTS][2];
  struct fuse_request r[SLOTS];
  unsigned char reply[SLOTS][256];
  atomic_uint done, wrong_signals;
};

static struct rig *the_rig;

static void completed(struct virtiofs_message *msg, size_t used) {
  sigset_t mask;
  (void)msg;
  assert_true(used >= 16);
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  if (sigismember(&mask, SIGTERM) != 1 || sigismember(&mask, SIGUSR1) != 1)
    atomic_fetch_add(&the_rig->wrong_signals, 1);
  atomic_fetch_add(&the_rig->done, 1);
}

static int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  session_bench_init(&rig->b);
  rig->b.ops.blocking = VIRTIOFS_BLOCKING_ALL;
  session_bench_start(&rig->b);
  for (unsigned i = 0; i < SLOTS; i++) {
    rig->slots[i] = calloc(1, sizeof *rig->slots[i]);
    assert_non_null(rig->slots[i]);
  }
  the_rig = rig;
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  session_bench_fini(&rig->b);
  for (unsigned i = 0; i < SLOTS; i++)
    free(rig->slots[i]);
  free(rig);
  return 0;
}

static void hand_in(struct rig *rig, unsigned i) {
  fuse_request_getattr(&rig->r[i], FUSE_ROOT_ID, NULL);
  rig->iov[i][0] = (struct iovec){rig->r[i].bytes, rig->r[i].len};
  rig->iov[i][1] = (struct iovec){rig->reply[i], sizeof rig->reply[i]};
  virtiofs_message_init(&rig->slots[i]->msg, rig->iov[i], 1, 1, completed);
  assert_int_equal(virtiofs_session_submit(rig->b.session, 1 + i % 3, &rig->slots[i]->req, &rig->slots[i]->msg, true),
                   VIRTIOFS_SUBMIT_DEFER);
  virtiofs_pool_run(&rig->pool, rig->slots[i]);
}

static void all_is_done_when_it_has_stopped(void **state) {
  struct rig *rig = *state;
  static const uint32_t threads[] = {1, 2, 7, VIRTIOFS_POOL_MAX};
  unsigned before = guest_first_threads();
  for (unsigned round = 0; round < 4; round++) {
    assert_int_equal(virtiofs_pool_start(&rig->pool, threads[round]), 0);
    guest_wait_threads(before + threads[round]);
    for (unsigned i = 0; i < SLOTS; i++)
      hand_in(rig, i);
    virtiofs_pool_stop(&rig->pool);
    guest_wait_threads(before);
    assert_int_equal(atomic_load(&rig->done), (round + 1) * SLOTS);
    assert_int_equal(script_fs_calls(&rig->b.fs, FUSE_GETATTR), (round + 1) * SLOTS);
  }
  /* Signals are the program's affair. */
  assert_int_equal(atomic_load(&rig->wrong_signals), 0);
}

static void none_at_all(void **state) {
  struct rig *rig = *state;
  virtiofs_pool_stop(&rig->pool);
  assert_int_equal(virtiofs_pool_start(&rig->pool, 0), 0);
  virtiofs_pool_stop(&rig->pool);
  virtiofs_pool_stop(&rig->pool);
}

struct order {
  pthread_barrier_t both;
};

static int meet(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  struct order *order = fs->hook_ctx;
  (void)req;
  (void)out;
  if (opcode == FUSE_GETATTR)
    pthread_barrier_wait(&order->both);
  return rc;
}

/* Each operation waits for another one: with one thread, or a thread that waits for its turn, it would never end. */
static void at_the_same_time(void **state) {
  struct rig *rig = *state;
  struct order order;
  pthread_barrier_init(&order.both, NULL, 4);
  rig->b.fs.hook_ctx = &order;
  rig->b.fs.hook = meet;
  assert_int_equal(virtiofs_pool_start(&rig->pool, 4), 0);
  for (unsigned i = 0; i < SLOTS; i++)
    hand_in(rig, i);
  virtiofs_pool_stop(&rig->pool);
  assert_int_equal(atomic_load(&rig->done), SLOTS);
  pthread_barrier_destroy(&order.both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(all_is_done_when_it_has_stopped),
      TEST(none_at_all),
      TEST(at_the_same_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
