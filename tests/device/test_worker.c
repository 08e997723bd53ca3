/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest at work: requests through real rings, in every manner that a driver has, and those that it hasn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/device_bench.h"

static const uint64_t all_features[] = {0, DEVICE_F_INDIRECT, DEVICE_F_EVENT_IDX,
                                        DEVICE_F_INDIRECT | DEVICE_F_EVENT_IDX};

static void fill(struct device_bench *b, uint64_t gpa, uint32_t len, uint64_t offset) {
  for (uint32_t i = 0; i < len; i++)
    *(unsigned char *)guest_at(&b->g, gpa + i) = script_fs_byte(offset + i);
}

static void assert_filled(struct device_bench *b, uint64_t gpa, uint32_t len, uint64_t offset) {
  for (uint32_t i = 0; i < len; i++)
    assert_int_equal(*(unsigned char *)guest_at(&b->g, gpa + i), script_fs_byte(offset + i));
}

/* Everyday life, and then so many requests that the ring is gone through again and again. */
static void work(struct device_bench *b, uint32_t queue) {
  struct fuse_request r;
  uint64_t id = device_lookup(b, queue, "7"), fh = device_open(b, queue, id);
  /* The data lies in two regions that are neighbours. */
  uint64_t crossing = guest_region(2) - 1000;
  fuse_request_write(&r, id, fh, 3, 3000);
  fuse_request_more(&r, 3000);
  fill(b, crossing, 3000, 3);
  struct device_call call = device_send_data(b, queue, &r, crossing, 3000, false);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), 0);
  assert_int_equal(call.used, 24);
  memset(guest_at(&b->g, crossing), 0, 1000);
  memset(guest_at(&b->g, guest_region(2)), 0, 3000);
  fuse_request_read(&r, FUSE_READ, id, fh, 100, 4000);
  call = device_send_data(b, queue, &r, crossing, 4000, true);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), 0);
  assert_int_equal(call.used, 4016);
  assert_filled(b, crossing, 4000, 100);
  for (unsigned i = 0; i < 3000; i++) {
    fuse_request_getattr(&r, id, &fh);
    assert_int_equal(device_ask(b, queue, &r, NULL, 0), 0);
  }
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(device_ask(b, queue, &r, NULL, 0), 0);
  fuse_request_forget(&r, id, 1);
  assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
}

static void all_kinds_of_rings(void **state) {
  struct device_bench *b = *state;
  device_bench_new(b);
  for (unsigned i = 0; i < 4; i++) {
    device_bench_connect(b, DEVICE_RING, all_features[i]);
    b->g.features = all_features[i] | DEVICE_F_VERSION_1;
    guest_start(&b->g, 3, 2);
    device_mount(b, 1);
    work(b, 1);
    assert_int_equal(device_bench_hang_up(b), 0);
    assert_int_equal(script_fs_forgets(&b->fs, 7), i + 1);
  }
  assert_int_equal(atomic_load(&b->warnings), 0);
}

/* As many at once as the ring holds, in any order. */
static void many_at_once(void **state) {
  struct device_bench *b = *state;
  b->config.pool_threads = 2;
  b->ops.blocking = VIRTIOFS_BLOCKING_ALL;
  device_bench_start(b, 2, DEVICE_F_INDIRECT | DEVICE_F_EVENT_IDX);
  uint64_t id = device_lookup(b, 1, "7");
  struct device_call calls[DEVICE_RING] = {0};
  for (unsigned i = 0; i < DEVICE_RING; i++) {
    struct fuse_request r;
    fuse_request_getattr(&r, id, NULL);
    calls[i] = device_send(b, 1, &r);
  }
  for (unsigned i = 0; i < 2000; i++) {
    struct fuse_request r;
    unsigned done = device_wait(b, calls, DEVICE_RING);
    assert_int_equal(device_error(b, &calls[done]), 0);
    fuse_request_getattr(&r, id, NULL);
    calls[done] = device_send(b, 1, &r);
  }
  for (unsigned i = 0; i < DEVICE_RING; i++) {
    unsigned done = device_wait(b, calls, DEVICE_RING);
    assert_int_equal(device_error(b, &calls[done]), 0);
    calls[done].unique = 0;
  }
}

static void two_queues_at_once(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 3, DEVICE_F_EVENT_IDX);
  uint64_t id = device_lookup(b, 1, "7");
  /* A request of the first waits in the backend, and the others go on. */
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_STATFS);
  struct fuse_request r;
  fuse_request(&r, FUSE_STATFS, id);
  struct device_call slow = device_send(b, 1, &r);
  script_fs_wait_pending(&b->fs, 1);
  for (unsigned i = 0; i < 500; i++) {
    fuse_request_getattr(&r, id, NULL);
    struct device_call other[2] = {device_send(b, 2, &r)};
    other[1] = device_send(b, 1, &r);
    (void)device_wait(b, &other[0], 1);
    (void)device_wait(b, &other[1], 1);
    assert_int_equal(device_error(b, &other[0]), 0);
    assert_int_equal(device_error(b, &other[1]), 0);
  }
  fuse_request_forget(&r, id, 1);
  assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
  assert_false(guest_has_used(&b->g, 1));
  script_fs_answer(&b->fs, 0);
  (void)device_wait(b, &slow, 1);
  assert_int_equal(device_error(b, &slow), 0);
  script_fs_wait_calls(&b->fs, FUSE_FORGET, 1);
}

/* ---- drivers that break the rules ---- */

/* What a driver does wrong on queue 2, by number; @busy is a head that the device has. Return: what is said of it; NULL
 * if there is no such rule. */
static const char *break_rule(struct device_bench *b, unsigned rule, uint16_t busy) {
  struct guest_desc *table = guest_table(&b->g, 2);
  uint64_t at = guest_region(1);
  switch (rule) {
  case 0:
    guest_publish(&b->g, 2, DEVICE_RING);
    return "vq2: ring broken by the driver: head index out of range";
  case 1:
    b->g.rings[2].avail_idx = (uint16_t)(b->g.rings[2].avail_idx + DEVICE_RING + 1);
    guest_publish(&b->g, 2, 8);
    return "vq2: ring broken by the driver: more buffers available than the ring has";
  case 2:
    table[8] = (struct guest_desc){at, 40, 1, 9};
    table[9] = (struct guest_desc){at, 40, 1, 8};
    guest_publish(&b->g, 2, 8);
    return "vq2: ring broken by the driver: chain too long or a loop";
  case 3:
    table[8] = (struct guest_desc){at, 40, 1, DEVICE_RING};
    guest_publish(&b->g, 2, 8);
    return "vq2: ring broken by the driver: next index out of range";
  case 4:
    table[8] = (struct guest_desc){at, 40, 1 | 2, 9};
    table[9] = (struct guest_desc){at, 40, 0, 0};
    guest_publish(&b->g, 2, 8);
    return "vq2: ring broken by the driver: readable descriptor behind a writable one";
  case 5:
    table[8] = (struct guest_desc){at, 32, 4, 0};
    guest_publish(&b->g, 2, 8);
    return "vq2: ring broken by the driver: indirect table without the feature";
  case 6:
    guest_publish(&b->g, 2, busy);
    return "vq2: ring broken by the driver: head that is in flight already";
  default:
    return NULL;
  }
}

static void assert_last_warning(struct device_bench *b, const char *line, unsigned count) {
  assert_int_equal(atomic_load(&b->warnings), count);
  pthread_mutex_lock(&b->lock);
  int same = strcmp(b->line, line);
  pthread_mutex_unlock(&b->lock);
  assert_int_equal(same, 0);
}

static void broken_rings(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  unsigned rule = 0;
  device_bench_start(b, 3, 0);
  uint64_t id = device_lookup(b, 1, "7");
  for (;; rule++) {
    script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
    fuse_request_getattr(&r, id, NULL);
    struct device_call before = device_send(b, 2, &r);
    script_fs_wait_pending(&b->fs, 1);
    const char *said = break_rule(b, rule, before.head);
    if (said == NULL)
      break;
    guest_kick(&b->g, 2);
    guest_wait_fd(b->g.rings[2].err_fd);
    assert_last_warning(b, said, rule + 1);
    /* Nothing is taken any more, nothing more is said, the others go on. */
    guest_publish(&b->g, 2, 5);
    guest_kick(&b->g, 2);
    fuse_request(&r, FUSE_STATFS, id);
    assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
    /* What was taken before is whole, and comes back. */
    script_fs_answer(&b->fs, 0);
    (void)device_wait(b, &before, 1);
    assert_int_equal(device_error(b, &before), 0);
    assert_false(guest_has_used(&b->g, 2));
    assert_last_warning(b, said, rule + 1);
    /* The driver resets its queue, and it is as good as new. */
    (void)guest_stop_ring(&b->g, 2);
    guest_reset_ring(&b->g, 2);
    guest_start_ring(&b->g, 2, 0);
    assert_int_equal(device_ask(b, 2, &r, NULL, 0), 0);
  }
  assert_int_equal(rule, 7);
  script_fs_answer(&b->fs, 0);
}

/* A program of the guest reads a file into another one's mapping, perhaps of another device: no memory that we know. */
static void buffers_that_are_nowhere(void **state) {
  struct device_bench *b = *state;
  struct fuse_request r;
  uint32_t len;
  device_bench_start(b, 3, 0);
  /* Also amid the buffer, and at an address that wraps. */
  const uint64_t nowhere[] = {UINT64_C(1) << 40, guest_region(2) + GUEST_REGION - 8, UINT64_MAX - 7};
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  unsigned reads = script_fs_calls(&b->fs, FUSE_READ), writes = script_fs_calls(&b->fs, FUSE_WRITE);
  for (unsigned i = 0; i < 6; i++) {
    if (i % 2 == 0)
      fuse_request_read(&r, FUSE_READ, id, fh, 0, 4096);
    else
      fuse_request_write(&r, id, fh, 0, 4096);
    struct device_call call = device_send_data(b, 1, &r, nowhere[i / 2], 4096, i % 2 == 0);
    (void)device_wait(b, &call, 1);
    assert_int_equal(device_error(b, &call), -EFAULT);
    assert_int_equal(call.used, 16);
  }
  assert_int_equal(script_fs_calls(&b->fs, FUSE_READ), reads);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_WRITE), writes);
  /* The request itself, with no room for an answer: its buffer comes back. */
  guest_table(&b->g, 2)[8] = (struct guest_desc){nowhere[0], 40, 0, 0};
  guest_publish(&b->g, 2, 8);
  guest_kick(&b->g, 2);
  assert_int_equal(guest_wait_used(&b->g, 2, &len), 8);
  assert_int_equal(len, 0);
  assert_int_equal(atomic_load(&b->warnings), 0);
  fuse_request_getattr(&r, id, NULL);
  assert_int_equal(device_ask(b, 1, &r, NULL, 0), 0);
  assert_int_equal(device_ask(b, 2, &r, NULL, 0), 0);
}

/* Is the worker of queue 1 asleep? */
static bool worker_sleeps(void) {
  DIR *dir = opendir("/proc/self/task");
  const struct dirent *entry;
  bool sleeps = false;
  assert_non_null(dir);
  while ((entry = readdir(dir)) != NULL) {
    char path[300], stat[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
      continue;
    if (fgets(stat, sizeof stat, file) != NULL && strstr(stat, "(vfs-vq1) S") != NULL)
      sleeps = true;
    (void)fclose(file);
  }
  closedir(dir);
  return sleeps;
}

/* A driver offers more than its ring holds, while all of it is in flight: the worker must not spin till one is done. */
static void a_full_ring_and_one_more(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, DEVICE_F_INDIRECT);
  struct guest_ring *ring = &b->g.rings[1];
  struct device_call calls[DEVICE_RING];
  struct fuse_request r;
  int kick = ring->kick_fd, none = eventfd(0, EFD_CLOEXEC);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < DEVICE_RING; i++) {
    if (i == DEVICE_RING - 1) {
      script_fs_wait_pending(&b->fs, i);
      ring->kick_fd = none;
    }
    calls[i] = device_send(b, 1, &r);
  }
  guest_publish(&b->g, 1, calls[DEVICE_RING - 1].head);
  ring->kick_fd = kick;
  close(none);
  guest_kick(&b->g, 1);
  script_fs_wait_pending(&b->fs, DEVICE_RING);
  time_t deadline = time(NULL) + 60;
  while (!worker_sleeps())
    assert_true(time(NULL) < deadline);
  /* With a place free it looks, and sees what it is. */
  script_fs_answer(&b->fs, 0);
  guest_wait_fd(ring->err_fd);
  for (unsigned i = 0; i < DEVICE_RING - 1; i++)
    script_fs_answer(&b->fs, 0);
  for (unsigned i = 0; i < DEVICE_RING; i++)
    calls[device_wait(b, calls, DEVICE_RING)].unique = 0;
}

/* Traps 63: a chain with nothing to read, or nothing of sense, comes back all the same. */
static void chains_without_sense(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  static const uint32_t used[] = {0, 16, 16, 0, 16};
  for (unsigned i = 0; i < 200; i++) {
    uint32_t len, queue = i % 2;
    uint64_t at = guest_region(2) + queue * 4096;
    const struct guest_piece pieces[][2] = {
        {{at, 0, false}, {at, 0, false}},       {{at, 16, true}, {at, 0, true}},
        {{at, 39, false}, {at + 64, 16, true}}, {{at, 39, false}, {at + 64, 15, true}},
        {{at, 4, false}, {at + 64, 400, true}},
    };
    memset(guest_at(&b->g, at), 0xff, 64);
    uint16_t head = guest_add(&b->g, queue, pieces[i % 5], 2, 0);
    guest_kick(&b->g, queue);
    assert_int_equal(guest_wait_used(&b->g, queue, &len), head);
    assert_int_equal(len, used[i % 5]);
  }
  (void)device_lookup(b, 1, "7");
}

/* ---- memory ---- */

static void memory_comes_and_is_used_at_once(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  for (unsigned i = 0; i < 100; i++) {
    fuse_request_read(&r, FUSE_READ, id, fh, i, 4000);
    guest_set_memory(&b->g, 4);
    guest_sync(&b->g);
    struct device_call call = device_send_data(b, 1, &r, guest_region(3) + 500, 4000, true);
    (void)device_wait(b, &call, 1);
    assert_int_equal(device_error(b, &call), 0);
    assert_filled(b, guest_region(3) + 500, 4000, i);
    guest_set_memory(&b->g, 3);
    guest_sync(&b->g);
  }
  assert_int_equal(atomic_load(&b->warnings), 0);
}

/* A READ holds the memory that it was given, as it may still write there. */
static void memory_goes_under_a_request(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct fuse_request r;
  uint64_t id = device_lookup(b, 1, "7"), fh = device_open(b, 1, id);
  unsigned maps = b->maps + 1 + 3; /* the guest's own, and one for each region */
  guest_wait_maps(maps);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_READ);
  guest_set_memory(&b->g, 4);
  guest_sync(&b->g);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 4000);
  struct device_call call = device_send_data(b, 1, &r, guest_region(3), 4000, true);
  script_fs_wait_pending(&b->fs, 1);
  guest_set_memory(&b->g, 3);
  guest_sync(&b->g);
  (void)device_lookup(b, 1, "8");
  assert_true(vhost_frontend_count_maps() > maps);
  script_fs_answer(&b->fs, 0);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), 0);
  assert_filled(b, guest_region(3), 4000, 0);
  /* It is gone with the request, and its address means nothing any more. */
  guest_wait_maps(maps);
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 4000);
  call = device_send_data(b, 1, &r, guest_region(3), 4000, true);
  (void)device_wait(b, &call, 1);
  assert_int_equal(device_error(b, &call), -EFAULT);
}

static void a_new_call_descriptor(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_true(fd >= 0);
  int old = b->g.rings[1].call_fd;
  vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, fd);
  guest_sync(&b->g);
  /* What was signalled to the old one may have been missed. */
  guest_wait_fd(fd);
  b->g.rings[1].call_fd = fd;
  for (unsigned i = 0; i < 100; i++)
    (void)device_lookup(b, 1, "7");
  /* None at all: the driver looks by itself. */
  vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, -1);
  guest_sync(&b->g);
  struct fuse_request r;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  (void)device_send(b, 1, &r);
  while (!guest_has_used(&b->g, 1))
    sched_yield();
  b->g.rings[1].call_fd = old;
  close(fd);
}

/* Nobody is waited for who doesn't read what he is notified by: an eventfd that is full, a pipe. */
static void a_call_descriptor_that_nobody_reads(void **state) {
  struct device_bench *b = *state;
  int ends[2];
  uint64_t most = UINT64_MAX - 1;
  device_bench_start(b, 2, 0);
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  while (write(ends[1], &most, sizeof most) > 0)
    continue;
  assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
  int fds[] = {eventfd(0, EFD_CLOEXEC), ends[1]};
  assert_int_equal(write(fds[0], &most, sizeof most), sizeof most);
  for (unsigned i = 0; i < 2; i++) {
    vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, fds[i]);
    vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 1, fds[i]);
    for (unsigned k = 0; k < 3; k++) {
      struct fuse_request r;
      fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
      struct device_call call = device_send(b, 1, &r);
      while (!guest_has_used(&b->g, 1))
        sched_yield();
      (void)device_wait(b, &call, 1);
    }
    uint16_t base = guest_stop_ring(&b->g, 1);
    guest_start_ring(&b->g, 1, base); /* with the guest's own */
    (void)device_lookup(b, 1, "7");
  }
  for (unsigned i = 0; i < 2; i++)
    close(fds[i]);
  close(ends[0]);
}

/* The front-end has no kick descriptor: the device looks by itself. */
static void a_ring_without_kicks(void **state) {
  struct device_bench *b = *state;
  device_bench_start(b, 2, 0);
  struct guest_ring *ring = &b->g.rings[1];
  (void)guest_stop_ring(&b->g, 1);
  vhost_frontend_vring_fd(&b->g.fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 1, -1);
  guest_sync(&b->g);
  int kick = ring->kick_fd;
  ring->kick_fd = eventfd(0, EFD_CLOEXEC);
  for (unsigned i = 0; i < 50; i++)
    (void)device_lookup(b, 1, "7");
  close(ring->kick_fd);
  ring->kick_fd = kick;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_bench_setup, device_bench_teardown)

/* What is beyond waits in the ring, and no longer than that. */
static void no_more_at_once_than_allowed(void **state) {
  struct device_bench *b = *state;
  enum { COUNT = 7, MOST = 3 };
  struct fuse_request r;
  struct device_call calls[COUNT];
  b->config.max_in_flight = MOST;
  device_bench_start(b, 2, DEVICE_F_INDIRECT);
  script_fs_pend(&b->fs, UINT64_C(1) << FUSE_GETATTR);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  for (unsigned i = 0; i < COUNT; i++)
    calls[i] = device_send(b, 1, &r);
  for (unsigned i = 0; i < COUNT; i++) {
    unsigned left = COUNT - i < MOST ? COUNT - i : MOST;
    script_fs_wait_pending(&b->fs, left);
    fuse_request_forget(&r, 12345, 1); /* the high-priority queue has no limit */
    assert_int_equal(device_ask(b, 0, &r, NULL, 0), 0);
    assert_int_equal(script_fs_pending(&b->fs), left);
    script_fs_answer(&b->fs, 0);
    (void)device_wait(b, calls, COUNT);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(no_more_at_once_than_allowed, device_bench_setup, device_bench_teardown),
      TEST(all_kinds_of_rings),
      TEST(many_at_once),
      TEST(two_queues_at_once),
      TEST(broken_rings),
      TEST(buffers_that_are_nowhere),
      TEST(a_full_ring_and_one_more),
      TEST(chains_without_sense),
      TEST(memory_comes_and_is_used_at_once),
      TEST(memory_goes_under_a_request),
      TEST(a_new_call_descriptor),
      TEST(a_call_descriptor_that_nobody_reads),
      TEST(a_ring_without_kicks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
