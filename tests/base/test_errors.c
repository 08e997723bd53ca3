/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/errors.h"

static void names_are_linuxs(void **state) {
  (void)state;
  assert_string_equal(virtiofs_errno_name(ENOENT), "ENOENT");
  assert_string_equal(virtiofs_errno_name(EPERM), "EPERM");
  assert_string_equal(virtiofs_errno_name(EAGAIN), "EAGAIN");
  assert_string_equal(virtiofs_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
  assert_string_equal(virtiofs_errno_name(ENOSYS), "ENOSYS");
  assert_string_equal(virtiofs_errno_name(ESTALE), "ESTALE");
  assert_string_equal(virtiofs_errno_name(EHWPOISON), "EHWPOISON");
}

static void others_have_none(void **state) {
  (void)state;
  static const int none[] = {0, -1, 41, 58, 134, 511, 512, INT_MAX, INT_MIN};
  for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++)
    assert_string_equal(virtiofs_errno_name(none[i]), "E?");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_linuxs),
      cmocka_unit_test(others_have_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
