/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"

struct ours {
  size_t size;
  uint32_t a, b;
};

/* A caller's struct in a block of exactly its size. */
static int copy(struct ours *to, size_t size, size_t filled, unsigned char tail) {
  unsigned char *from = malloc(size != 0 ? size : 1);
  assert_non_null(from);
  memset(from, 0, size);
  struct ours told = {.size = size, .a = 7, .b = 9};
  memcpy(from, &told, size < sizeof told ? size : sizeof told);
  if (filled < size)
    from[filled] = tail;
  memset(to, 0xee, sizeof *to);
  int rc = virtiofs_config_copy(to, sizeof *to, from, size);
  free(from);
  return rc;
}

static void the_same_size_is_copied(void **state) {
  (void)state;
  struct ours got;
  assert_int_equal(copy(&got, sizeof got, SIZE_MAX, 0), 0);
  assert_int_equal(got.a, 7);
  assert_int_equal(got.b, 9);
}

static void a_shorter_one_is_filled_with_zeros(void **state) {
  (void)state;
  struct ours got;
  assert_int_equal(copy(&got, offsetof(struct ours, b), SIZE_MAX, 0), 0);
  assert_int_equal(got.a, 7);
  assert_int_equal(got.b, 0);
  assert_int_equal(copy(&got, sizeof(size_t), SIZE_MAX, 0), 0);
  assert_int_equal(got.a, 0);
}

static void a_longer_one_has_to_end_in_zeros(void **state) {
  (void)state;
  struct ours got;
  assert_int_equal(copy(&got, sizeof got + 40, SIZE_MAX, 0), 0);
  assert_int_equal(got.b, 9);
  for (size_t i = sizeof got; i < sizeof got + 40; i++)
    assert_int_equal(copy(&got, sizeof got + 40, i, 1), -E2BIG);
}

static void one_without_a_size_is_refused(void **state) {
  (void)state;
  struct ours got;
  for (size_t size = 0; size < sizeof(size_t); size++)
    assert_int_equal(copy(&got, size, SIZE_MAX, 0), -EINVAL);
  assert_int_equal(virtiofs_config_copy(&got, sizeof got, NULL, sizeof got), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_size_is_copied),
      cmocka_unit_test(a_shorter_one_is_filled_with_zeros),
      cmocka_unit_test(a_longer_one_has_to_end_in_zeros),
      cmocka_unit_test(one_without_a_size_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
