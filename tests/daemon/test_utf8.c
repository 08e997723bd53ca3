/* SPDX-License-Identifier: BSD-3-Clause */
/* What is UTF-8 and what isn't, as RFC 3629 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/utf8.h"

/* The other way round: each character that there is, written by the definition. */
static size_t write_one(uint32_t code, char *to) {
  if (code < 0x80)
    return (size_t)sprintf(to, "%c", (int)code) + (code == 0);
  if (code < 0x800)
    return (size_t)sprintf(to, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
  if (code < 0x10000)
    return (size_t)sprintf(to, "%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 63)),
                           (int)(0x80 | (code & 63)));
  return (size_t)sprintf(to, "%c%c%c%c", (int)(0xf0 | code >> 18), (int)(0x80 | (code >> 12 & 63)),
                         (int)(0x80 | (code >> 6 & 63)), (int)(0x80 | (code & 63)));
}

static void each_character(void **state) {
  char text[8];
  (void)state;
  for (uint32_t code = 1; code < 0x1fffff; code++) {
    size_t len = write_one(code, text);
    bool right = code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
    if (virtiofs_daemon_utf8_span(text, len) != (right ? len : 0))
      fail_msg("%x", code);
    /* Nothing of it is taken if it isn't there as a whole. */
    for (size_t part = 1; part < len; part++)
      assert_int_equal(virtiofs_daemon_utf8_span(text, part), 0);
  }
}

/* All pairs of bytes: a shorter character in a longer form is none. */
static void longer_forms(void **state) {
  (void)state;
  assert_int_equal(virtiofs_daemon_utf8_span("\xc0\x80", 2), 0);
  assert_int_equal(virtiofs_daemon_utf8_span("\xc1\xbf", 2), 0);
  assert_int_equal(virtiofs_daemon_utf8_span("\xe0\x9f\xbf", 3), 0);
  assert_int_equal(virtiofs_daemon_utf8_span("\xf0\x8f\xbf\xbf", 4), 0);
  assert_int_equal(virtiofs_daemon_utf8_span("\x80", 1), 0);
  assert_int_equal(virtiofs_daemon_utf8_span("a\xff", 2), 1);
  assert_int_equal(virtiofs_daemon_utf8_span("a\xc3\xa4z\xc3", 5), 4);
  assert_int_equal(virtiofs_daemon_utf8_span("", 0), 0);
}

static void cleaned(void **state) {
  static const char *const pairs[][2] = {
      {"", ""},
      {"plain", "plain"},
      {"\xc3\xa4", "\xc3\xa4"},
      {"a\xc3", "a?"},
      {"\xff\xfe"
       "b",
       "??b"},
      {"a\nb\x7f\t", "a?b??"},
      {"\xe2\x82", "??"},
  };
  char text[32];
  (void)state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    (void)strcpy(text, pairs[i][0]);
    virtiofs_daemon_utf8_clean(text);
    assert_string_equal(text, pairs[i][1]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_character),
      cmocka_unit_test(longer_forms),
      cmocka_unit_test(cleaned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
