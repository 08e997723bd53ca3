/* SPDX-License-Identifier: BSD-3-Clause */
/* Each side on a thread of its own, asleep whenever it may be; test_threads [COUNT] sends that many buffers a ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

#include "support/ring_pair.h"

enum { NUM = 8, SLOT = 64, BATCH = 4, DEADLINE_MS = 60000 };

static uint64_t total = 20000;

struct side {
  int fd;           /* where it sleeps */
  atomic_bool bell; /* or, to be quicker, what it looks at until that is rung */
  uint64_t sleeps, notified;
};

static struct ring_pair pair;
static struct side driver, device;
static bool spins; /* nobody really sleeps: the two sides meet far more often in the few instructions that matter */

static void must(bool so, const char *what) {
  if (so)
    return;
  (void)fprintf(stderr, "%s\n", what);
  abort();
}

static void ring(struct side *side) {
  uint64_t one = 1;
  side->notified++;
  if (spins)
    atomic_store_explicit(&side->bell, true, memory_order_release);
  else
    must(write(side->fd, &one, sizeof one) == sizeof one, "an eventfd takes no more");
}

static void spin_on(struct side *side) {
  struct timespec begin, now;
  (void)clock_gettime(CLOCK_MONOTONIC, &begin);
  for (uint32_t i = 0; !atomic_exchange_explicit(&side->bell, false, memory_order_acquire); i++) {
    if (i % 1024 != 1023)
      continue;
    (void)sched_yield();
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    must(now.tv_sec - begin.tv_sec < DEADLINE_MS / 1000, "a wake-up was lost");
  }
}

static void sleep_on(struct side *side) {
  struct pollfd fd = {.fd = side->fd, .events = POLLIN};
  uint64_t value;
  side->sleeps++;
  if (spins) {
    spin_on(side);
    return;
  }
  must(poll(&fd, 1, DEADLINE_MS) == 1, "a wake-up was lost");
  must(read(side->fd, &value, sizeof value) == sizeof value, "an eventfd that can't be read");
}

static uint64_t *slot(uint64_t number) {
  return (uint64_t *)(void *)ring_pair_at(&pair, PAIR_DATA + number % NUM * SLOT);
}

/* Adds 0 in the first word, and writes it to the second one. */
static void *run_device(void *arg) {
  struct iovec iov[4];
  struct virtiofs_virtq_chain chain = {.iov = iov, .capacity = 4};
  (void)arg;
  for (uint64_t served = 0; served < total;) {
    virtiofs_virtq_no_kick(pair.device);
    uint32_t batch = 0;
    while (batch < BATCH && virtiofs_virtq_take(pair.device, pair.map, &chain) == 1) {
      *(uint64_t *)iov[1].iov_base = *(const uint64_t *)iov[0].iov_base;
      must(virtiofs_virtq_put(pair.device, chain.ticket, 8) == 0, "a chain that can't be put");
      batch++;
    }
    served += batch;
    if (virtiofs_virtq_publish(pair.device))
      ring(&driver);
    if (batch == 0 && !virtiofs_virtq_want_kick(pair.device))
      sleep_on(&device);
  }
  return NULL;
}

static uint32_t collect(uint64_t done) {
  struct virtiofs_driverq_done back[BATCH];
  int count = virtiofs_driverq_take_batch(pair.driver, back, BATCH);
  must(count >= 0, "a device that breaks the rules");
  for (int i = 0; i < count; i++) {
    uint64_t number = (uint64_t)(uintptr_t)back[i].cookie;
    must(back[i].len == 8 && slot(number)[0] == number && slot(number)[1] == number,
         "a buffer with something else in it");
    must(number == done + (uint64_t)i, "a buffer out of turn");
  }
  return (uint32_t)count;
}

/* As many at once as the numbers of the buffers say; the device serves them in turn. */
static void run_driver(void) {
  uint64_t added = 0, done = 0;
  while (done < total) {
    virtiofs_driverq_no_call(pair.driver);
    uint32_t more = 0, most = 1 + (uint32_t)(added * 7 / 3 % BATCH);
    while (more < most && added < total && added - done < NUM) {
      uint64_t at = PAIR_DATA + added % NUM * SLOT;
      const struct virtiofs_driverq_part parts[] = {{at, 8}, {at + 8, 8}};
      slot(added)[0] = added;
      slot(added)[1] = 0;
      int rc = virtiofs_driverq_add(pair.driver, parts, 1, 1, (void *)(uintptr_t)added);
      must(rc == 0 || rc == -ENOSPC, "a buffer that can't be added");
      if (rc != 0)
        break;
      added++;
      more++;
    }
    if (virtiofs_driverq_publish(pair.driver))
      ring(&device);
    uint32_t back = collect(done);
    done += back;
    if (back == 0 && more == 0 && !virtiofs_driverq_want_call(pair.driver))
      sleep_on(&driver);
  }
}

static void run(uint64_t features) {
  struct ring_pair_config config = {
      .num = NUM, .features = features, .base = ring_pair_first(features), .data = 2 * NUM * SLOT};
  pthread_t thread;
  config.table_entries = (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0 ? 2 : 0;
  ring_pair_init(&pair, &config);
  driver.fd = eventfd(0, EFD_CLOEXEC);
  device.fd = eventfd(0, EFD_CLOEXEC);
  driver.sleeps = driver.notified = device.sleeps = device.notified = 0;
  atomic_store(&driver.bell, false);
  atomic_store(&device.bell, false);
  assert_true(driver.fd >= 0 && device.fd >= 0);
  assert_int_equal(pthread_create(&thread, NULL, run_device, NULL), 0);
  run_driver();
  assert_int_equal(pthread_join(thread, NULL), 0);
  (void)printf("%llu buffers; driver slept %llu times, was called %llu times; device %llu, %llu\n",
               (unsigned long long)total, (unsigned long long)driver.sleeps, (unsigned long long)driver.notified,
               (unsigned long long)device.sleeps, (unsigned long long)device.notified);
  /* If nobody ever slept, nothing was shown. */
  assert_true(driver.sleeps + device.sleeps > 0);
  close(driver.fd);
  close(device.fd);
  ring_pair_fini(&pair);
}

static void run_layout(uint64_t layout) {
  run(layout);
  run(layout | VIRTIOFS_VIRTQ_F_EVENT_IDX);
  run(layout | VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX);
  run(layout | VIRTIOFS_VIRTQ_F_IN_ORDER | VIRTIOFS_VIRTQ_F_EVENT_IDX);
}

static void run_all(void) {
  run_layout(0);
  run_layout(VIRTIOFS_VIRTQ_F_RING_PACKED);
}

static void no_wake_up_of_a_sleeper_is_lost(void **state) {
  (void)state;
  spins = false;
  run_all();
}

static void no_wake_up_of_a_spinner_is_lost(void **state) {
  (void)state;
  spins = true;
  run_all();
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_wake_up_of_a_sleeper_is_lost),
      cmocka_unit_test(no_wake_up_of_a_spinner_is_lost),
  };
  if (argc > 1)
    total = strtoull(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
