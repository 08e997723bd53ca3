/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_bench.h"
#include "vhost/memory_table.h"
#include "vhost/vring.h"

struct rig {
  struct vhost_device device;
  struct virtiofs_log log;
  struct virtiofs_vhost_vrings vrings;
  unsigned fds;
};

static int setup(void **state) {
  unsigned fds = vhost_frontend_count_fds();
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  rig->fds = fds;
  struct virtiofs_vhost_backend_config config = {
      .events = &vhost_device_events, .ctx = &rig->device, .log = &rig->log, .vrings = VHOST_BENCH_RINGS};
  assert_int_equal(virtiofs_vhost_vrings_init(&rig->vrings, &config), 0);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  virtiofs_vhost_vrings_fini(&rig->vrings);
  for (uint32_t i = 0; i < VHOST_BENCH_RINGS; i++)
    assert_false(rig->device.started[i].running);
  vhost_device_fini(&rig->device);
  assert_int_equal(vhost_frontend_count_fds(), rig->fds);
  assert_int_equal(vhost_frontend_count_maps(), 0);
  free(rig);
  return 0;
}

static int new_fd(void) {
  int fd = eventfd(0, EFD_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

/* Memory of @count regions, one MiB each. */
static struct virtiofs_memory *memory_of(uint32_t count) {
  struct virtiofs_vhost_user_mem_table table = {.count = count};
  int fds[8] = {0};
  for (uint32_t i = 0; i < count; i++) {
    table.regions[i] = vhost_bench_region(i);
    fds[i] = vhost_frontend_memfd(0x100000);
  }
  struct virtiofs_memory *map;
  assert_int_equal(virtiofs_vhost_memory_table_set(&map, &table, fds), 0);
  for (uint32_t i = 0; i < count; i++)
    close(fds[i]);
  return map;
}

static int set_memory(struct rig *rig, uint32_t count) {
  return virtiofs_vhost_vrings_memory(&rig->vrings, memory_of(count));
}

enum step { NUM, ADDR, BASE, KICK, CALL, ENABLE, MEMORY, STEPS };

static int take_step(struct rig *rig, enum step step) {
  switch (step) {
  case NUM:
    return virtiofs_vhost_vrings_num(&rig->vrings, 0, 8);
  case ADDR:
    return virtiofs_vhost_vrings_addr(&rig->vrings, 0, 0x7000000, 0x7000100, 0x7000200);
  case BASE:
    return virtiofs_vhost_vrings_base(&rig->vrings, 0, 0);
  case KICK:
    return virtiofs_vhost_vrings_kick(&rig->vrings, 0, new_fd());
  case CALL:
    return virtiofs_vhost_vrings_call(&rig->vrings, 0, new_fd());
  case ENABLE:
    return virtiofs_vhost_vrings_enable(&rig->vrings, 0, true);
  default:
    return set_memory(rig, 1);
  }
}

static void run_ring(struct rig *rig) {
  for (enum step step = NUM; step < STEPS; step++)
    assert_int_equal(take_step(rig, step), 0);
  vhost_device_told(&rig->device, "memory=1 start0");
  assert_true(rig->vrings.rings[0].running);
}

static void nothing_runs_while_one_thing_is_missing(void **state) {
  struct rig *rig = *state;
  static const enum step needed[] = {NUM, ADDR, KICK, ENABLE, MEMORY};
  for (size_t missing = 0; missing < 5; missing++) {
    for (size_t i = 0; i < 5; i++) {
      if (i != missing)
        assert_int_equal(take_step(rig, needed[i]), 0);
    }
    assert_false(rig->vrings.rings[0].running);
    vhost_device_told(&rig->device, missing == 4 ? "" : "memory=1");
    assert_int_equal(take_step(rig, needed[missing]), 0);
    assert_true(rig->vrings.rings[0].running);
    vhost_device_told(&rig->device, missing == 4 ? "memory=1 start0" : "start0");
    virtiofs_vhost_vrings_fini(&rig->vrings);
    vhost_device_told(&rig->device, "stop0");
    struct virtiofs_vhost_backend_config config = {
        .events = &vhost_device_events, .ctx = &rig->device, .vrings = VHOST_BENCH_RINGS};
    assert_int_equal(virtiofs_vhost_vrings_init(&rig->vrings, &config), 0);
  }
}

static void next_permutation(enum step *order) {
  int i = STEPS - 2, j = STEPS - 1;
  while (i >= 0 && order[i] > order[i + 1])
    i--;
  if (i < 0)
    return;
  while (order[j] < order[i])
    j--;
  enum step swap = order[i];
  order[i] = order[j];
  order[j] = swap;
  for (int a = i + 1, b = STEPS - 1; a < b; a++, b--) {
    swap = order[a];
    order[a] = order[b];
    order[b] = swap;
  }
}

/* All 5040 orders: it starts once, with all that was said; what comes later is passed on. */
static void any_order_starts_a_ring_once(void **state) {
  struct rig *rig = *state;
  enum step order[STEPS] = {NUM, ADDR, BASE, KICK, CALL, ENABLE, MEMORY};
  for (unsigned n = 0; n < 5040; n++, next_permutation(order)) {
    for (size_t i = 0; i < STEPS; i++)
      assert_int_equal(take_step(rig, order[i]), 0);
    const struct virtiofs_vhost_vring *ring = &rig->vrings.rings[0];
    assert_true(ring->running);
    assert_int_equal(rig->device.started[0].call_fd, ring->call_fd);
    assert_true(ring->call_fd >= 0 && ring->kick_fd >= 0);
    const char *start = strstr(rig->device.trace, "start0");
    assert_non_null(start);
    assert_null(strstr(start + 1, "start0"));
    assert_null(strstr(rig->device.trace, "stop0"));
    rig->device.trace[0] = '\0';
    virtiofs_vhost_vrings_fini(&rig->vrings);
    rig->device.trace[0] = '\0';
    struct virtiofs_vhost_backend_config config = {
        .events = &vhost_device_events, .ctx = &rig->device, .vrings = VHOST_BENCH_RINGS};
    assert_int_equal(virtiofs_vhost_vrings_init(&rig->vrings, &config), 0);
  }
}

static void a_ring_starts_with_what_was_said_of_it(void **state) {
  struct rig *rig = *state;
  assert_int_equal(virtiofs_vhost_vrings_base(&rig->vrings, 0, 77), 0);
  for (enum step step = NUM; step < STEPS; step++) {
    if (step != BASE)
      assert_int_equal(take_step(rig, step), 0);
  }
  const struct virtiofs_vhost_vring *seen = &rig->device.started[0];
  assert_int_equal(seen->num, 8);
  assert_int_equal(seen->base, 77);
  assert_int_equal(seen->desc, 0x7000000);
  assert_int_equal(seen->avail, 0x7000100);
  assert_int_equal(seen->used, 0x7000200);
  assert_int_equal(seen->kick_fd, rig->vrings.rings[0].kick_fd);
  assert_int_equal(seen->err_fd, -1);
}

static void stopping_gives_the_base_and_keeps_the_rest(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 1234;
  uint32_t base = 0;
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 0, &base), 0);
  assert_int_equal(base, 1234);
  vhost_device_told(&rig->device, "stop0");
  assert_int_equal(rig->vrings.rings[0].kick_fd, -1);
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 0, &base), 0);
  assert_int_equal(base, 1234);
  vhost_device_told(&rig->device, "");
  assert_int_equal(take_step(rig, ENABLE), 0);
  vhost_device_told(&rig->device, "");
  /* A kick is enough to go on. */
  assert_int_equal(take_step(rig, KICK), 0);
  vhost_device_told(&rig->device, "start0");
  assert_int_equal(rig->device.started[0].base, 1234);
}

static void a_ring_that_never_ran_has_the_base_it_was_told(void **state) {
  struct rig *rig = *state;
  uint32_t base = 99;
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 1, &base), 0);
  assert_int_equal(base, 0);
  assert_int_equal(virtiofs_vhost_vrings_base(&rig->vrings, 1, 55), 0);
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 1, &base), 0);
  assert_int_equal(base, 55);
  vhost_device_told(&rig->device, "");
}

static void disabling_pauses(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 3;
  assert_int_equal(virtiofs_vhost_vrings_enable(&rig->vrings, 0, false), 0);
  assert_int_equal(virtiofs_vhost_vrings_enable(&rig->vrings, 0, false), 0);
  vhost_device_told(&rig->device, "stop0");
  assert_int_equal(virtiofs_vhost_vrings_enable(&rig->vrings, 0, true), 0);
  assert_int_equal(virtiofs_vhost_vrings_enable(&rig->vrings, 0, true), 0);
  vhost_device_told(&rig->device, "start0");
  assert_int_equal(rig->device.started[0].base, 3);
}

static void a_new_kick_descriptor_restarts_where_the_ring_was(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 6;
  int fd = new_fd();
  assert_int_equal(virtiofs_vhost_vrings_kick(&rig->vrings, 0, fd), 0);
  vhost_device_told(&rig->device, "stop0 start0");
  assert_int_equal(rig->device.started[0].kick_fd, fd);
  assert_int_equal(rig->device.started[0].base, 6);
  assert_int_equal(virtiofs_vhost_vrings_kick(&rig->vrings, 0, -1), 0);
  assert_int_equal(rig->device.started[0].kick_fd, -1);
  vhost_device_told(&rig->device, "stop0 start0");
}

static void a_late_base_moves_the_ring_unless_it_began_there(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 5;
  assert_int_equal(virtiofs_vhost_vrings_base(&rig->vrings, 0, 0), 0);
  vhost_device_told(&rig->device, "");
  assert_int_equal(virtiofs_vhost_vrings_base(&rig->vrings, 0, 40), 0);
  vhost_device_told(&rig->device, "stop0 start0");
  assert_int_equal(rig->device.started[0].base, 40);
}

static void new_addresses_move_a_running_ring(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 9;
  assert_int_equal(take_step(rig, ADDR), 0);
  vhost_device_told(&rig->device, "");
  assert_int_equal(virtiofs_vhost_vrings_addr(&rig->vrings, 0, 0x7000000, 0x7000100, 0x7000400), 0);
  vhost_device_told(&rig->device, "stop0 start0");
  assert_int_equal(rig->device.started[0].used, 0x7000400);
  assert_int_equal(rig->device.started[0].base, 9);
  assert_int_equal(virtiofs_vhost_vrings_addr_forget(&rig->vrings, 0), 0);
  vhost_device_told(&rig->device, "stop0");
}

static void a_running_ring_is_told_of_new_descriptors(void **state) {
  struct rig *rig = *state;
  int early = new_fd();
  assert_int_equal(virtiofs_vhost_vrings_err(&rig->vrings, 0, early), 0);
  vhost_device_told(&rig->device, "");
  run_ring(rig);
  assert_int_equal(rig->device.started[0].err_fd, early);
  int call = new_fd(), err = new_fd();
  assert_int_equal(virtiofs_vhost_vrings_call(&rig->vrings, 0, call), 0);
  assert_int_equal(rig->device.started[0].call_fd, call);
  assert_int_equal(virtiofs_vhost_vrings_err(&rig->vrings, 0, err), 0);
  assert_int_equal(rig->device.started[0].err_fd, err);
  assert_int_equal(virtiofs_vhost_vrings_call(&rig->vrings, 0, -1), 0);
  assert_int_equal(rig->device.started[0].call_fd, -1);
  vhost_device_told(&rig->device, "fds0 fds0 fds0");
}

static void a_refused_descriptor_leaves_the_old_one(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  int old = rig->vrings.rings[0].call_fd;
  rig->device.fds_rc = -EMFILE;
  assert_int_equal(virtiofs_vhost_vrings_call(&rig->vrings, 0, new_fd()), -EMFILE);
  assert_int_equal(rig->vrings.rings[0].call_fd, old);
  assert_int_equal(vhost_frontend_count_fds(), rig->fds + 2);
}

static void new_memory_leaves_a_ring_in_it_running(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  assert_int_equal(set_memory(rig, 2), 0);
  vhost_device_told(&rig->device, "memory=2");
  assert_int_equal(virtiofs_memory_count(rig->vrings.map), 2);
  assert_int_equal(vhost_frontend_count_maps(), 2);
}

static void memory_without_the_ring_pauses_it(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_base = 11;
  assert_int_equal(set_memory(rig, 0), 0);
  vhost_device_told(&rig->device, "stop0 memory=0");
  assert_int_equal(set_memory(rig, 1), 0);
  vhost_device_told(&rig->device, "memory=1 start0");
  assert_int_equal(rig->device.started[0].base, 11);
}

/* Each part whole: the last byte of the memory is the last that may be used. */
static void all_parts_must_lie_in_memory(void **state) {
  struct rig *rig = *state;
  static const struct {
    uint64_t desc, avail, used;
    bool starts;
  } cases[] = {
      {0x7100000 - 128, 0x7000100, 0x7000200, true},
      {0x7100000 - 112, 0x7000100, 0x7000200, false},
      {0x7000000, 0x7100000 - 22, 0x7000200, true},
      {0x7000000, 0x7100000 - 20, 0x7000200, false},
      {0x7000000, 0x7000100, 0x7100000 - 72, true},
      {0x7000000, 0x7000100, 0x7100000 - 68, false},
      {0xfffffffffffffff0, 0x7000100, 0x7000200, false},
      {0x7000000, 0xfffffffffffffffe, 0x7000200, false},
      {0x7000000, 0x7000100, 0, false},
  };
  run_ring(rig);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(virtiofs_vhost_vrings_addr(&rig->vrings, 0, cases[i].desc, cases[i].avail, cases[i].used), 0);
    assert_int_equal(rig->vrings.rings[0].running, cases[i].starts);
  }
}

static void refused_memory_leaves_the_old(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.memory_rc = -ENOMEM;
  assert_int_equal(set_memory(rig, 2), -ENOMEM);
  assert_int_equal(virtiofs_memory_count(rig->vrings.map), 1);
  vhost_device_told(&rig->device, "memory=2");
  assert_int_equal(set_memory(rig, 0), -ENOMEM);
  vhost_device_told(&rig->device, "stop0 memory=0 start0");
  assert_int_equal(vhost_frontend_count_maps(), 1);
}

static void a_guests_nonsense_is_no_error_and_is_tried_again(void **state) {
  struct rig *rig = *state;
  rig->device.start_rc = -EPROTO;
  for (enum step step = NUM; step < STEPS; step++)
    assert_int_equal(take_step(rig, step), 0);
  vhost_device_told(&rig->device, "memory=1 start0");
  assert_false(rig->vrings.rings[0].running);
  uint32_t base;
  assert_int_equal(take_step(rig, NUM), 0);
  vhost_device_told(&rig->device, "start0");
  rig->device.start_rc = 0;
  assert_int_equal(set_memory(rig, 1), 0);
  vhost_device_told(&rig->device, "memory=1 start0");
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 0, &base), 0);
}

static void what_the_host_lacks_is_an_error(void **state) {
  struct rig *rig = *state;
  rig->device.start_rc = -ENOMEM;
  for (enum step step = NUM; step < MEMORY; step++)
    assert_int_equal(take_step(rig, step), 0);
  assert_int_equal(take_step(rig, MEMORY), -ENOMEM);
  assert_false(rig->vrings.rings[0].running);
  assert_int_equal(take_step(rig, ENABLE), -ENOMEM);
}

static void a_failed_stop_counts_as_stopped(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  rig->device.stop_rc = -ETIMEDOUT;
  uint32_t base = 0;
  assert_int_equal(virtiofs_vhost_vrings_stop(&rig->vrings, 0, &base), -ETIMEDOUT);
  assert_false(rig->vrings.rings[0].running);
  vhost_device_told(&rig->device, "stop0");
}

static void reset_forgets_all_but_notifications(void **state) {
  struct rig *rig = *state;
  run_ring(rig);
  int call = rig->vrings.rings[0].call_fd;
  assert_int_equal(virtiofs_vhost_vrings_reset(&rig->vrings), 0);
  vhost_device_told(&rig->device, "stop0");
  const struct virtiofs_vhost_vring *ring = &rig->vrings.rings[0];
  assert_false(ring->started || ring->enabled || ring->have_addr || ring->running);
  assert_int_equal(ring->num + ring->base, 0);
  assert_int_equal(ring->kick_fd, -1);
  assert_int_equal(ring->call_fd, call);
  assert_int_equal(virtiofs_memory_count(rig->vrings.map), 1);
}

static void enabling_all_starts_those_that_can(void **state) {
  struct rig *rig = *state;
  for (enum step step = NUM; step < STEPS; step++) {
    if (step != ENABLE)
      assert_int_equal(take_step(rig, step), 0);
  }
  assert_int_equal(virtiofs_vhost_vrings_kick(&rig->vrings, 2, -1), 0);
  vhost_device_told(&rig->device, "memory=1");
  assert_int_equal(virtiofs_vhost_vrings_enable_all(&rig->vrings), 0);
  vhost_device_told(&rig->device, "start0");
  assert_true(rig->vrings.rings[2].enabled);
  assert_int_equal(virtiofs_vhost_vrings_enable_all(&rig->vrings), 0);
  vhost_device_told(&rig->device, "");
}

static unsigned lines;

__attribute__((__format__(__printf__, 4, 0))) static void
count_line(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  (void)ctx;
  (void)args;
  assert_int_equal(level, VIRTIOFS_LOG_WARN);
  assert_string_equal(tag, "vq0");
  assert_string_equal(format, "%s");
  lines++;
}

static void lines_a_guest_can_cause_are_thinned_out(void **state) {
  struct rig *rig = *state;
  rig->log.fn = count_line;
  lines = 0;
  rig->device.start_rc = -EPROTO;
  for (enum step step = NUM; step < STEPS; step++)
    assert_int_equal(take_step(rig, step), 0);
  for (unsigned i = 1; i < 64; i++) {
    assert_int_equal(take_step(rig, NUM), 0);
    rig->device.trace[0] = '\0';
  }
  assert_int_equal(lines, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_runs_while_one_thing_is_missing),
      TEST(any_order_starts_a_ring_once),
      TEST(a_ring_starts_with_what_was_said_of_it),
      TEST(stopping_gives_the_base_and_keeps_the_rest),
      TEST(a_ring_that_never_ran_has_the_base_it_was_told),
      TEST(disabling_pauses),
      TEST(a_new_kick_descriptor_restarts_where_the_ring_was),
      TEST(a_late_base_moves_the_ring_unless_it_began_there),
      TEST(new_addresses_move_a_running_ring),
      TEST(a_running_ring_is_told_of_new_descriptors),
      TEST(a_refused_descriptor_leaves_the_old_one),
      TEST(new_memory_leaves_a_ring_in_it_running),
      TEST(memory_without_the_ring_pauses_it),
      TEST(all_parts_must_lie_in_memory),
      TEST(refused_memory_leaves_the_old),
      TEST(a_guests_nonsense_is_no_error_and_is_tried_again),
      TEST(lines_a_guest_can_cause_are_thinned_out),
      TEST(what_the_host_lacks_is_an_error),
      TEST(a_failed_stop_counts_as_stopped),
      TEST(reset_forgets_all_but_notifications),
      TEST(enabling_all_starts_those_that_can),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
