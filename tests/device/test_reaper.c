/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that tells the backend what the guest has given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/reaper.h"
#include "support/guest_driver.h"
#include "support/session_bench.h"

struct rig {
  struct session_bench b;
  struct virtiofs_reaper reaper;
};

static void wake(void *ctx) {
  struct rig *rig = ctx;
  virtiofs_reaper_wake(&rig->reaper);
}

static int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  session_bench_init(&rig->b);
  rig->b.config.wants_reclaim = wake;
  rig->b.config.ctx = rig;
  session_bench_open(&rig->b);
  virtiofs_reaper_init(&rig->reaper, rig->b.session);
  session_bench_mount(&rig->b);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  session_bench_fini(&rig->b);
  virtiofs_reaper_fini(&rig->reaper);
  free(rig);
  return 0;
}

static void give_and_forget(struct rig *rig) {
  session_bench_forget(&rig->b, 0, session_bench_lookup(&rig->b, "7"), 1);
}

/* On a thread of its own, without being asked twice. */
static void each_is_told(void **state) {
  struct rig *rig = *state;
  assert_int_equal(virtiofs_reaper_start(&rig->reaper), 0);
  for (unsigned i = 0; i < 500; i++) {
    give_and_forget(rig);
    script_fs_wait_calls(&rig->b.fs, FUSE_FORGET, i + 1);
  }
  virtiofs_reaper_stop(&rig->reaper);
}

static void what_came_while_it_was_stopped(void **state) {
  struct rig *rig = *state;
  unsigned before = guest_first_threads();
  give_and_forget(rig);
  for (unsigned i = 0; i < 50; i++) {
    assert_int_equal(virtiofs_reaper_start(&rig->reaper), 0);
    script_fs_wait_calls(&rig->b.fs, FUSE_FORGET, i + 1);
    virtiofs_reaper_stop(&rig->reaper);
    guest_wait_threads(before);
    give_and_forget(rig);
    assert_int_equal(script_fs_calls(&rig->b.fs, FUSE_FORGET), i + 1);
  }
}

static void started_and_stopped_at_once(void **state) {
  struct rig *rig = *state;
  for (unsigned i = 0; i < 200; i++) {
    assert_int_equal(virtiofs_reaper_start(&rig->reaper), 0);
    virtiofs_reaper_stop(&rig->reaper);
  }
  /* Stopped twice, or never started: as after a thread that could not be had. */
  virtiofs_reaper_stop(&rig->reaper);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(each_is_told),
      TEST(what_came_while_it_was_stopped),
      TEST(started_and_stopped_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
