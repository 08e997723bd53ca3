/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/spin.h"

#define THREADS 4
#define ROUNDS 20000

static struct virtiofs_spin spin;
static uint64_t counter; /* guarded by @spin and by nothing else */

static void *count(void *arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    virtiofs_spin_lock(&spin);
    counter++;
    virtiofs_spin_unlock(&spin);
  }
  return NULL;
}

static void one_thread_at_a_time(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(counter, THREADS * ROUNDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread_at_a_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
