/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include <virtiofs/types.h>

static bool is(const char *str, uint32_t len, const char *text) {
  struct virtiofs_name name = {.str = str, .len = len};
  return virtiofs_name_is(&name, text);
}

static void the_same_bytes_are_the_same_name(void **state) {
  (void)state;
  assert_true(is("hello", 5, "hello"));
  assert_true(is("", 0, ""));
  assert_true(is("\xff\x80", 2, "\xff\x80"));
}

static void a_part_is_another_name(void **state) {
  (void)state;
  assert_false(is("hello", 5, "hell"));
  assert_false(is("hello", 5, "hello!"));
  assert_false(is("hello", 4, "hello"));
  assert_false(is("hello", 5, ""));
  assert_false(is("", 0, "h"));
  assert_false(is("Hello", 5, "hello"));
}

static void the_length_counts_and_not_a_nul(void **state) {
  (void)state;
  assert_false(is("ab\0cd", 5, "ab"));
  assert_true(is("abcd", 2, "ab"));
}

static void the_version_is_that_of_the_headers(void **state) {
  (void)state;
  assert_string_equal(virtiofs_version_string(), VIRTIOFS_VERSION_STRING);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_bytes_are_the_same_name),
      cmocka_unit_test(a_part_is_another_name),
      cmocka_unit_test(the_length_counts_and_not_a_nul),
      cmocka_unit_test(the_version_is_that_of_the_headers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
