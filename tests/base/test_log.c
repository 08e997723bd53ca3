/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

struct heard {
  int lines;
  enum virtiofs_log_level level;
  char tag[16], text[64];
};

static void hear(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args)
    VIRTIOFS_PRINTF(4, 0);

static void hear(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  struct heard *heard = ctx;
  heard->lines++;
  heard->level = level;
  (void)snprintf(heard->tag, sizeof heard->tag, "%s", tag);
  (void)vsnprintf(heard->text, sizeof heard->text, format, args);
}

static void a_line_arrives_with_its_arguments(void **state) {
  (void)state;
  struct heard heard = {0};
  struct virtiofs_log log = {.fn = hear, .ctx = &heard};
  virtiofs_log_write(&log, VIRTIOFS_LOG_WARN, "vq1", "%s is %d", "this", 42);
  assert_int_equal(heard.lines, 1);
  assert_int_equal(heard.level, VIRTIOFS_LOG_WARN);
  assert_string_equal(heard.tag, "vq1");
  assert_string_equal(heard.text, "this is 42");
}

static void lines_above_the_level_are_not_made(void **state) {
  (void)state;
  for (int limit = 0; limit <= VIRTIOFS_LOG_TRACE; limit++) {
    struct heard heard = {0};
    struct virtiofs_log log = {.fn = hear, .ctx = &heard, .level = (enum virtiofs_log_level)limit};
    int effective = limit == 0 ? VIRTIOFS_LOG_INFO : limit;
    for (int level = VIRTIOFS_LOG_ERROR; level <= VIRTIOFS_LOG_TRACE; level++) {
      virtiofs_log_write(&log, (enum virtiofs_log_level)level, "t", "x");
      assert_int_equal(virtiofs_log_wants(&log, (enum virtiofs_log_level)level), level <= effective);
    }
    assert_int_equal(heard.lines, effective);
  }
}

static void nobody_listens(void **state) {
  (void)state;
  struct virtiofs_log none = {0};
  virtiofs_log_write(NULL, VIRTIOFS_LOG_ERROR, "t", "x");
  virtiofs_log_write(&none, VIRTIOFS_LOG_ERROR, "t", "x");
  assert_false(virtiofs_log_wants(NULL, VIRTIOFS_LOG_ERROR));
  assert_false(virtiofs_log_wants(&none, VIRTIOFS_LOG_ERROR));
}

static void repeated_lines_thin_out(void **state) {
  (void)state;
  struct virtiofs_log_limit limit = {0};
  uint64_t count, said = 0;
  for (uint64_t i = 1; i <= 1024; i++) {
    bool pass = virtiofs_log_limit_pass(&limit, &count);
    assert_int_equal(count, i);
    if (pass)
      assert_int_equal(i, UINT64_C(1) << said++);
  }
  assert_int_equal(said, 11);
}

/* What is worth a line each time, as long as it doesn't come too often. */
static void many_lines_become_less_important(void **state) {
  (void)state;
  struct virtiofs_log_limit limit = {0};
  for (uint64_t i = 1; i <= 1024; i++) {
    bool said = virtiofs_log_limit_level(&limit, VIRTIOFS_LOG_WARN) == VIRTIOFS_LOG_WARN;
    assert_int_equal(said, i <= 64 || i == 128 || i == 256 || i == 512 || i == 1024);
  }
  assert_int_equal(virtiofs_log_limit_level(&limit, VIRTIOFS_LOG_INFO), VIRTIOFS_LOG_DEBUG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_arrives_with_its_arguments),
      cmocka_unit_test(lines_above_the_level_are_not_made),
      cmocka_unit_test(nobody_listens),
      cmocka_unit_test(repeated_lines_thin_out),
      cmocka_unit_test(many_lines_become_less_important),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
