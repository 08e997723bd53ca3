/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums by operation: counts, bytes, and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/summary.h"

static struct summary *summary;

static int setup(void **state) {
  (void)state;
  summary = summary_new();
  return summary != NULL ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  summary_free(summary);
  return 0;
}

static void add(uint32_t opcode, uint64_t us, int error) {
  struct exchange exchange = {.kind = VIRTIOFS_RECORD_REQUEST,
                              .start_ns = 5,
                              .end_ns = 5 + us * 1000,
                              .opcode = opcode,
                              .in_len = 50,
                              .out_len = 16,
                              .answered = true,
                              .error = error};
  assert_int_equal(summary_add(summary, &exchange), 0);
}

static void print(void (*how)(struct summary *, FILE *), char *text, size_t size) {
  FILE *file = fmemopen(text, size, "w");
  assert_non_null(file);
  how(summary, file);
  (void)fclose(file);
}

static void assert_has(const char *text, const char *words) {
  if (strstr(text, words) == NULL)
    fail_msg("expected '%s' in '%s'", words, text);
}

static void times_are_ranked(void **state) {
  char text[4000];
  (void)state;
  /* 1 .. 100 us, neither in order nor the other way round. */
  for (unsigned i = 0; i < 100; i++)
    add(VIRTIOFS_FUSE_LOOKUP, 1 + i * 37 % 100, i < 3 ? -ENOENT : 0);
  add(VIRTIOFS_FUSE_READ, 7, 0);
  print(summary_print_json, text, sizeof text);
  assert_has(text,
             "{\"operation\": \"LOOKUP\", \"count\": 100, \"errors\": 3, \"bytes_in\": 5000, \"bytes_out\": 1600, "
             "\"latency_ns\": {\"min\": 1000, \"avg\": 50500, \"p50\": 50000, \"p99\": 99000, \"max\": 100000}}");
  assert_has(text, "\"operation\": \"READ\", \"count\": 1, \"errors\": 0, \"bytes_in\": 50, \"bytes_out\": 16, "
                   "\"latency_ns\": {\"min\": 7000, \"avg\": 7000, \"p50\": 7000, \"p99\": 7000, \"max\": 7000}}");
  assert_has(text, "{\"requests\": 101, \"notifications\": 0, \"unanswered\": 0, \"unparsed\": 0,");
  print(summary_print, text, sizeof text);
  assert_has(text, "LOOKUP                   100        3         5000         1600        1.0       50.5       50.0"
                   "       99.0      100.0\n");
  assert_has(text, "101 requests, 0 notifications, 0 unanswered, 0 unparsed\n");
}

/* Unknown opcodes are one operation; what was not answered has no time. */
static void what_is_odd(void **state) {
  char text[4000];
  struct exchange unanswered = {.kind = VIRTIOFS_RECORD_REQUEST, .opcode = VIRTIOFS_FUSE_SETLKW, .in_len = 88};
  struct exchange nonsense = {.kind = VIRTIOFS_RECORD_REQUEST, .unparsed = true, .answered = true};
  struct exchange notification = {.kind = VIRTIOFS_RECORD_NOTIFICATION, .out_len = 40};
  (void)state;
  assert_int_equal(summary_add(summary, &unanswered), 0);
  assert_int_equal(summary_add(summary, &nonsense), 0);
  assert_int_equal(summary_add(summary, &notification), 0);
  add(UINT32_MAX, 1, -ENOSYS);
  add(7, 1, -ENOSYS);
  print(summary_print_json, text, sizeof text);
  assert_has(text, "{\"requests\": 4, \"notifications\": 1, \"unanswered\": 1, \"unparsed\": 1,");
  assert_has(text, "\"operation\": \"SETLKW\", \"count\": 1, \"errors\": 0, \"bytes_in\": 88, \"bytes_out\": 0, "
                   "\"latency_ns\": {\"min\": 0, \"avg\": 0, \"p50\": 0, \"p99\": 0, \"max\": 0}}");
  assert_has(text, "\"operation\": \"?\", \"count\": 3, \"errors\": 2,");
}

static void nothing_at_all(void **state) {
  char text[4000];
  (void)state;
  print(summary_print_json, text, sizeof text);
  assert_string_equal(
      text, "{\"requests\": 0, \"notifications\": 0, \"unanswered\": 0, \"unparsed\": 0, \"operations\": []}\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(times_are_ranked, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_odd, setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_at_all, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
