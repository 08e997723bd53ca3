/* SPDX-License-Identifier: BSD-3-Clause */
/* One line a call, whole, however long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/log.h>

static const struct virtiofs_log to_stderr = {.fn = virtiofs_log_stderr, .level = VIRTIOFS_LOG_TRACE};

/* What one call writes. */
static size_t line_of(char *text, size_t size, enum virtiofs_log_level level, const char *tag, const char *words) {
  int fds[2], saved = dup(STDERR_FILENO);
  assert_true(saved >= 0);
  assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
  virtiofs_log_write(&to_stderr, level, tag, "%s", words);
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  ssize_t n = read(fds[0], text, size - 1);
  close(saved);
  close(fds[0]);
  close(fds[1]);
  assert_true(n > 0);
  text[n] = 0;
  return (size_t)n;
}

static void levels(void **state) {
  static const char *const want[] = {"ERROR vq1: words\n", "WARN vq1: words\n", "INFO vq1: words\n",
                                     "DEBUG vq1: words\n", "TRACE vq1: words\n"};
  char text[256];
  (void)state;
  for (unsigned i = 0; i < 5; i++) {
    (void)line_of(text, sizeof text, (enum virtiofs_log_level)(VIRTIOFS_LOG_ERROR + i), "vq1", "words");
    assert_string_equal(text, want[i]);
  }
}

static void any_length(void **state) {
  char text[8192], words[4096], tag[2048];
  (void)state;
  for (size_t len = 0; len < sizeof words; len += len < 980 || len > 1060 ? 97 : 1) {
    memset(words, 'w', len);
    words[len] = 0;
    size_t n = line_of(text, sizeof text, VIRTIOFS_LOG_INFO, "session", words);
    assert_true(n <= 1024);
    assert_memory_equal(text, "INFO session: ", 14);
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), &text[n - 1]);
    assert_int_equal(strspn(text + 14, "w"), n - 15);
    assert_true(n == 15 + len || n >= 1022);
  }
  memset(tag, 't', sizeof tag - 1);
  tag[sizeof tag - 1] = 0;
  size_t n = line_of(text, sizeof text, VIRTIOFS_LOG_INFO, tag, "words");
  assert_int_equal(text[n - 1], '\n');
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(levels), cmocka_unit_test(any_length)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
