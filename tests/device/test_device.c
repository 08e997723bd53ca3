/* SPDX-License-Identifier: BSD-3-Clause */
/* Making, stopping and ending a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/device_bench.h"

static void assert_refused(struct device_bench *b, int error) {
  struct virtiofs_device *dev = (void *)b;
  unsigned fds = vhost_frontend_count_fds();
  assert_int_equal(virtiofs_device_new(&dev, &b->config), error);
  assert_null(dev);
  /* None is left, and none was closed that was somebody else's. */
  assert_int_equal(vhost_frontend_count_fds(), fds);
  assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

static void bad_configs(void **state) {
  struct device_bench *b = *state;
  const struct virtiofs_device_config good = b->config;
  struct virtiofs_device *dev;
  assert_int_equal(virtiofs_device_new(&dev, NULL), -EINVAL);
#define REFUSE(field, value, error)                                                                                    \
  do {                                                                                                                 \
    b->config = good;                                                                                                  \
    b->config.field = (value);                                                                                         \
    assert_refused(b, error);                                                                                          \
  } while (0)
  REFUSE(size, 0, -EINVAL);
  REFUSE(size, 4, -EINVAL);
  REFUSE(ops, NULL, -EINVAL);
  REFUSE(tag, "", -EINVAL);
  REFUSE(tag, "a tag of more than thirty-six bytes is not a tag", -EINVAL);
  REFUSE(tag, "a\n", -EINVAL);
  REFUSE(request_queues, 65, -EINVAL);
  REFUSE(request_queues, UINT32_MAX, -EINVAL);
  REFUSE(pool_threads, 65, -EINVAL);
  REFUSE(max_write, 4095, -EINVAL);
  REFUSE(max_write, (1 << 20) + 1, -EINVAL);
  REFUSE(poll_us, VIRTIOFS_POLL_MAX + 1, -EINVAL);
  REFUSE(max_nodes, (UINT64_C(1) << 31) + 1, -EINVAL);
  REFUSE(max_handles, UINT64_MAX, -EINVAL);
  b->config = good;
  b->ops.size = 0;
  assert_refused(b, -EINVAL);
  b->ops.size = sizeof b->ops;
  device_bench_new(b);
}

static void newer_programs(void **state) {
  struct device_bench *b = *state;
  struct {
    struct virtiofs_device_config config;
    uint64_t unknown;
  } newer = {.config = b->config};
  struct virtiofs_device *dev;
  newer.config.size = sizeof newer;
  newer.unknown = 1;
  assert_int_equal(virtiofs_device_new(&dev, &newer.config), -E2BIG);
  newer.unknown = 0;
  assert_int_equal(virtiofs_device_new(&dev, &newer.config), 0);
  virtiofs_device_free(dev);
  struct {
    struct virtiofs_ops ops;
    uint64_t unknown;
  } newer_ops = {.ops = script_fs_ops, .unknown = 1};
  newer_ops.ops.size = sizeof newer_ops;
  b->config.ops = &newer_ops.ops;
  assert_refused(b, -E2BIG);
}

static void largest_and_smallest(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_device *dev;
  b->config.request_queues = VIRTIOFS_REQUEST_QUEUES_MAX;
  b->config.max_write = 4096;
  b->config.tag = "0123456789abcdefghijklmnopqrstuvwxyz";
  assert_int_equal(virtiofs_device_new(&dev, &b->config), 0);
  virtiofs_device_free(dev);
  b->config = (struct virtiofs_device_config){.size = sizeof b->config, .ops = &b->ops, .fs = &b->fs};
  assert_int_equal(virtiofs_device_new(&dev, &b->config), 0);
  virtiofs_device_free(dev);
  virtiofs_device_free(NULL);
}

/* Too few descriptors are to be had: an error, and nothing is lost. */
static void no_descriptors(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_device *dev;
  struct rlimit before, few;
  unsigned refused = 0;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  assert_true(next >= 0);
  close(next);
  for (rlim_t more = 0; more < 20; more++) {
    few = (struct rlimit){.rlim_cur = (rlim_t)next + more, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int rc = virtiofs_device_new(&dev, &b->config);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (rc == 0)
      break;
    assert_int_equal(rc, -EMFILE);
    assert_null(dev);
    assert_int_equal(vhost_frontend_count_fds(), b->fds);
    refused++;
  }
  virtiofs_device_free(dev);
  assert_int_equal(refused, 1 + GUEST_QUEUES);
}

static void stopped_from_another_thread(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 3, 0);
  struct pollfd stop = {.fd = virtiofs_device_stop_fd(b->dev), .events = POLLIN};
  assert_false(virtiofs_device_stopped(b->dev));
  assert_int_equal(poll(&stop, 1, 0), 0);
  (void)device_open(b, 1, device_lookup(b, 1, "7"));
  virtiofs_device_stop(b->dev);
  assert_int_equal(device_bench_join(b), -ECANCELED);
  assert_true(virtiofs_device_stopped(b->dev));
  assert_int_equal(poll(&stop, 1, 0), 1);
  /* The guest has nothing any more, and nobody is served from now on. */
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  vhost_frontend_fini(&b->g.fe);
  device_bench_connect(b, DEVICE_RING, 0);
  assert_int_equal(device_bench_join(b), -ECANCELED);
}

static void stopped_before_it_serves(void **state) {
  struct device_bench *b = *state;
  device_bench_new(b);
  virtiofs_device_stop(b->dev);
  virtiofs_device_stop(b->dev);
  device_bench_connect(b, DEVICE_RING, 0);
  assert_int_equal(device_bench_join(b), -ECANCELED);
}

static void a_socket_that_is_none(void **state) {
  struct device_bench *b = *state;
  device_bench_new(b);
  int fds[2];
  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  close(fds[1]);
  assert_true(virtiofs_device_serve(b->dev, fds[0]) < 0);
  assert_true(fcntl(fds[0], F_GETFD) < 0);
}

static void threads_come_and_go(void **state) {
  struct device_bench *b = *state;
  b->config.pool_threads = 5;
  device_bench_new(b);
  guest_wait_threads(b->threads);
  device_bench_connect(b, DEVICE_RING, 0);
  guest_start(&b->g, 3, 4);
  device_mount(b, 3);
  /* The control thread, four queues, the reaper, the pool. */
  guest_wait_threads(b->threads + 1 + 4 + 1 + 5);
  assert_int_equal(device_bench_hang_up(b), 0);
  /* The pool stays for the next front-end. */
  guest_wait_threads(b->threads + 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_bench_setup, device_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(bad_configs),
      TEST(newer_programs),
      TEST(largest_and_smallest),
      TEST(no_descriptors),
      TEST(stopped_from_another_thread),
      TEST(stopped_before_it_serves),
      TEST(a_socket_that_is_none),
      TEST(threads_come_and_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
