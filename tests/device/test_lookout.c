/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a worker looks before it sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/lookout.h"

#define LIMIT 100000U

static void none(void **state) {
  struct virtiofs_lookout l;
  (void)state;
  virtiofs_lookout_init(&l, 0);
  for (unsigned i = 0; i < 10; i++) {
    virtiofs_lookout_waited(&l, i);
    assert_int_equal(l.ns, 0);
  }
}

static void grows_while_it_pays(void **state) {
  struct virtiofs_lookout l;
  (void)state;
  virtiofs_lookout_init(&l, LIMIT);
  assert_int_equal(l.ns, 0); /* a queue that was never used costs nothing */
  uint64_t before = 0;
  for (unsigned i = 0; i < 20; i++) {
    virtiofs_lookout_waited(&l, LIMIT);
    assert_true(l.ns > before || l.ns == LIMIT);
    assert_true(l.ns <= LIMIT);
    before = l.ns;
  }
  assert_int_equal(l.ns, LIMIT);
}

/* No longer than it takes. */
static void stays(void **state) {
  struct virtiofs_lookout l;
  (void)state;
  virtiofs_lookout_init(&l, LIMIT);
  while (l.ns < 20000)
    virtiofs_lookout_waited(&l, 20000);
  uint64_t enough = l.ns;
  assert_true(enough < 2 * 20000);
  for (unsigned i = 0; i < 10; i++)
    virtiofs_lookout_waited(&l, 20000);
  assert_int_equal(l.ns, enough);
}

static void shrinks_to_none(void **state) {
  struct virtiofs_lookout l;
  (void)state;
  virtiofs_lookout_init(&l, LIMIT);
  for (unsigned i = 0; i < 20; i++)
    virtiofs_lookout_waited(&l, LIMIT);
  uint64_t before = l.ns;
  for (unsigned i = 0; i < 20; i++) {
    virtiofs_lookout_waited(&l, LIMIT + 1);
    assert_true(l.ns < before || l.ns == 0);
    before = l.ns;
  }
  assert_int_equal(l.ns, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(none),
      cmocka_unit_test(grows_while_it_pays),
      cmocka_unit_test(stays),
      cmocka_unit_test(shrinks_to_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
