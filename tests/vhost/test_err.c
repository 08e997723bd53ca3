/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings that can't run, and how a front-end hears of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_bench.h"
#include "vhost/control.h"
#include "vhost/memory_table.h"

static int new_fd(void) {
  int fd = eventfd(0, EFD_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

/* Of @count regions, one MiB each. */
static int set_memory(struct virtiofs_vhost_vrings *vrings, uint32_t count) {
  struct virtiofs_vhost_user_mem_table table = {.count = count};
  struct virtiofs_memory *map;
  int fds[8] = {0};
  for (uint32_t i = 0; i < count; i++) {
    table.regions[i] = vhost_bench_region(i);
    fds[i] = vhost_frontend_memfd(0x100000);
  }
  assert_int_equal(virtiofs_vhost_memory_table_set(&map, &table, fds), 0);
  for (uint32_t i = 0; i < count; i++)
    close(fds[i]);
  return virtiofs_vhost_vrings_memory(vrings, map);
}

static int good_addr(struct virtiofs_vhost_vrings *vrings) {
  return virtiofs_vhost_vrings_addr(vrings, 0, 0x7000000, 0x7000100, 0x7000200);
}

/* How often it was signalled since the last look. */
static uint64_t signals(int fd) {
  struct pollfd pfd = {.fd = fd, .events = POLLIN};
  uint64_t count = 0;
  if (poll(&pfd, 1, 0) == 1)
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
  return count;
}

static int new_err(struct virtiofs_vhost_vrings *vrings) {
  int err = new_fd();
  assert_int_equal(virtiofs_vhost_vrings_err(vrings, 0, err), 0);
  return err;
}

/* No message is refused for what a guest has done wrong: its err descriptor is how a front-end hears of it. */
static void a_ring_that_can_not_run_says_so(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_vrings *vrings = &bench->backend->vrings;
  int err = new_err(vrings);
  assert_int_equal(virtiofs_vhost_vrings_num(vrings, 0, 8), 0);
  assert_int_equal(virtiofs_vhost_vrings_addr(vrings, 0, 0x9000000, 0x9000100, 0x9000200), 0);
  assert_int_equal(virtiofs_vhost_vrings_kick(vrings, 0, new_fd()), 0);
  assert_int_equal(virtiofs_vhost_vrings_enable(vrings, 0, true), 0);
  assert_int_equal(set_memory(vrings, 0), 0);
  assert_int_equal(signals(err), 0); /* there may be more to come */
  assert_int_equal(set_memory(vrings, 1), 0);
  assert_int_equal(signals(err), 1);
  assert_int_equal(set_memory(vrings, 2), 0);
  assert_int_equal(signals(err), 0); /* known */
  assert_int_equal(signals(err = new_err(vrings)), 1);
  assert_int_equal(good_addr(vrings), 0);
  assert_true(vrings->rings[0].running);
  assert_int_equal(signals(err = new_err(vrings)), 0);

  uint32_t base;
  bench->device.start_rc = -EPROTO;
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(virtiofs_vhost_vrings_stop(vrings, 0, &base), 0);
    assert_int_equal(virtiofs_vhost_vrings_kick(vrings, 0, new_fd()), 0);
    assert_int_equal(signals(err), 1);
  }
  bench->device.start_rc = -ENOMEM; /* that is told by the message's answer */
  assert_int_equal(virtiofs_vhost_vrings_stop(vrings, 0, &base), 0);
  assert_int_equal(virtiofs_vhost_vrings_kick(vrings, 0, new_fd()), -ENOMEM);
  assert_int_equal(signals(err), 0);
  bench->device.start_rc = 0;
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(i == 0 ? virtiofs_vhost_vrings_num(vrings, 0, 8) : good_addr(vrings), 0);
    assert_true(vrings->rings[0].running);
    assert_int_equal(i == 0 ? virtiofs_vhost_vrings_addr_forget(vrings, 0) : virtiofs_vhost_vrings_num(vrings, 0, 0),
                     0);
    assert_int_equal(signals(err), 1);
  }
}

/* A front-end that doesn't listen holds up nobody. */
static void an_err_descriptor_that_nobody_reads(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_vrings *vrings = &bench->backend->vrings;
  uint64_t full = UINT64_MAX - 1;
  int ends[2], err = new_err(vrings);
  vhost_bench_run(bench, 0);
  assert_int_equal(write(err, &full, sizeof full), sizeof full);
  assert_int_equal(virtiofs_vhost_vrings_addr_forget(vrings, 0), 0);
  assert_int_equal(signals(err), full);
  /* A pipe without another end: that would be SIGPIPE. */
  assert_int_equal(pipe(ends), 0);
  close(ends[0]);
  assert_int_equal(virtiofs_vhost_vrings_err(vrings, 0, ends[1]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(a_ring_that_can_not_run_says_so), TEST(an_err_descriptor_that_nobody_reads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
