/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's rate in the caller's own loop: its descriptors say when to go on. */
#include "attach_bench.h"

enum { PER_SECOND = 10, COUNT = 4 };

static void descriptors_say_when(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call calls[COUNT];
  b->config.rate_ops = PER_SECOND;
  b->config.rate_burst_ms = 1;
  start(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < COUNT; i++)
    send(b, 1 + i % 2, &r, &calls[i]);
  unsigned waits = 0, got = 0;
  while (got < COUNT) {
    while (virtiofs_device_process(b->dev) > 0)
      continue;
    got += receive(b, 1) + receive(b, 2);
    if (got == COUNT)
      break;
    int fd = waits % 2 == 0 ? virtiofs_device_poll_fd(b->dev)
                            : virtiofs_device_queue_fd(b->dev, calls[0].done && calls[2].done ? 2 : 1);
    assert_true(readable(fd, 60000));
    waits++;
  }
  assert_true(waits >= COUNT - 2);
  for (unsigned i = 0; i < COUNT; i++)
    assert_int_equal(error_of(&calls[i]), 0);
  /* It is asked for again, but then there is an end. */
  for (int i = 0; readable(virtiofs_device_poll_fd(b->dev), 2 * 1000 / PER_SECOND); i++) {
    assert_true(i < 10);
    settle(b);
  }
}

/* The high-priority queue, and the end, wait for nothing. */
static void nobody_waits_with_them(void **state) {
  struct bench *b = *state;
  struct fuse_request r;
  struct call late, forget;
  b->config.rate_bytes = 1024;
  b->config.rate_burst_ms = 60000;
  start(b);
  uint64_t id = lookup(b, 1, "7");
  fuse_request_getattr(&r, id, NULL);
  for (unsigned i = 0; i < 1000; i++) {
    send(b, 1, &r, &late);
    if (virtiofs_device_process(b->dev) == 0)
      break;
    assert_int_equal(receive(b, 1), 1);
  }
  assert_false(late.done);
  fuse_request_forget(&r, id, 1);
  send(b, 0, &r, &forget);
  assert_true(virtiofs_device_process(b->dev) > 0);
  assert_int_equal(receive(b, 0), 1);
  settle(b);
  assert_int_equal(script_fs_forgets(&b->fs, 7), 1);
  assert_false(late.done);
  virtiofs_device_detach(b->dev);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(descriptors_say_when, setup, teardown),
      cmocka_unit_test_setup_teardown(nobody_waits_with_them, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
