/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be taken when, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include <cmocka.h>

#include "device/rate.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN (1000 * SECOND) /* of the clock, which is not 0 at first */

static struct virtiofs_rate *rate_new(uint64_t ops, uint64_t bytes, uint64_t burst_ns) {
  struct virtiofs_rate *rate;
  assert_int_equal(virtiofs_rate_new(&rate, ops, bytes, burst_ns), 0);
  return rate;
}

/* How many may be taken one by one until @end, by somebody who takes whenever he may. */
static uint64_t greedy(struct virtiofs_rate *rate, uint64_t *now, uint64_t end) {
  uint64_t taken = 0;
  while (*now <= end) {
    uint64_t wait = virtiofs_rate_wait(rate, *now, true);
    if (wait == 0) {
      virtiofs_rate_take(&rate->ops, *now, 1);
      taken++;
    }
    *now += wait;
  }
  return taken;
}

static void no_limit(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(0, 0, 0);
  for (unsigned i = 0; i < 100; i++) {
    virtiofs_rate_take(&rate->ops, BEGIN, 1);
    virtiofs_rate_take(&rate->bytes, BEGIN, UINT64_MAX);
    assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), 0);
  }
  virtiofs_rate_free(rate);
}

static void as_many_as_there_may_be(void **state) {
  static const uint64_t rates[] = {1, 3, 7, 1000, 99999, 1000000};
  (void)state;
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
    struct virtiofs_rate *rate = rate_new(rates[i], 0, SECOND / 10);
    uint64_t now = BEGIN, seconds = rates[i] < 100 ? 100 : 2;
    uint64_t taken = greedy(rate, &now, BEGIN + seconds * SECOND);
    uint64_t most = rates[i] * seconds + rates[i] / 10 + 2;
    assert_true(taken <= most);
    assert_true(taken >= rates[i] * seconds * 99 / 100);
    virtiofs_rate_free(rate);
  }
}

static void a_pause_saves_no_more_than_the_burst(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(100, 0, SECOND / 10);
  uint64_t now = BEGIN;
  (void)greedy(rate, &now, now);
  now += 1000 * SECOND;
  uint64_t taken = 0;
  while (virtiofs_rate_wait(rate, now, true) == 0) {
    virtiofs_rate_take(&rate->ops, now, 1);
    taken++;
  }
  assert_int_equal(taken, 11); /* 10 in 100 ms, and the one after which there is nothing left */
  virtiofs_rate_free(rate);
}

static void a_debt_is_worked_off(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(0, 1000, 0);
  virtiofs_rate_take(&rate->bytes, BEGIN, 5000);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), 5 * SECOND);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, false), 0);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN + 4 * SECOND, true), SECOND);
  virtiofs_rate_give(&rate->bytes, 2000);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), 3 * SECOND);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN + 3 * SECOND, true), 0);
  virtiofs_rate_free(rate);
}

/* What comes back late is no credit. */
static void nothing_is_won_by_giving_back(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(0, 1000, 0);
  virtiofs_rate_take(&rate->bytes, BEGIN, 1000);
  virtiofs_rate_give(&rate->bytes, UINT64_MAX);
  virtiofs_rate_take(&rate->bytes, BEGIN, 1000);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), SECOND);
  virtiofs_rate_free(rate);
}

static void the_longer_wait_counts(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(1, 1000, 0);
  virtiofs_rate_take(&rate->ops, BEGIN, 1);
  virtiofs_rate_take(&rate->bytes, BEGIN, 500);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), SECOND);
  virtiofs_rate_take(&rate->bytes, BEGIN, 1000);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), 3 * SECOND / 2);
  virtiofs_rate_free(rate);
}

/* Too much to count is very much, and not little. */
static void nothing_wraps(void **state) {
  (void)state;
  struct virtiofs_rate *rate = rate_new(0, 1, 0);
  for (unsigned i = 0; i < 10; i++)
    virtiofs_rate_take(&rate->bytes, BEGIN, UINT64_MAX);
  assert_true(virtiofs_rate_wait(rate, BEGIN, true) > UINT64_C(100) * 365 * 86400 * SECOND);
  virtiofs_rate_free(rate);
}

enum { THREADS = 4, TIMES = 50000 };

static void *take_often(void *arg) {
  struct virtiofs_rate *rate = arg;
  for (unsigned i = 0; i < TIMES; i++)
    virtiofs_rate_take(&rate->ops, BEGIN, 1);
  return NULL;
}

static void several_at_once(void **state) {
  pthread_t threads[THREADS];
  (void)state;
  struct virtiofs_rate *rate = rate_new(1000, 0, 0);
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, take_often, rate), 0);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(virtiofs_rate_wait(rate, BEGIN, true), SECOND / 1000 * THREADS * TIMES);
  virtiofs_rate_free(rate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_limit),
      cmocka_unit_test(as_many_as_there_may_be),
      cmocka_unit_test(a_pause_saves_no_more_than_the_burst),
      cmocka_unit_test(a_debt_is_worked_off),
      cmocka_unit_test(nothing_is_won_by_giving_back),
      cmocka_unit_test(the_longer_wait_counts),
      cmocka_unit_test(nothing_wraps),
      cmocka_unit_test(several_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
