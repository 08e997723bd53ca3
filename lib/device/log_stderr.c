/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <unistd.h>

#include <virtiofs/log.h>

#define LINE_MAX_BYTES 1024

static const char *level_name(enum virtiofs_log_level level) {
  static const char *const names[] = {"", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
  return level >= VIRTIOFS_LOG_ERROR && level <= VIRTIOFS_LOG_TRACE ? names[level] : "?";
}

void virtiofs_log_stderr(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  char line[LINE_MAX_BYTES];
  (void)ctx;
  int head = snprintf(line, sizeof(line), "%s %s: ", level_name(level), tag);
  size_t at = head > 0 && (size_t)head < sizeof(line) ? (size_t)head : 0;
  int body = vsnprintf(line + at, sizeof(line) - at - 1, format, args);
  if (body > 0)
    at += (size_t)body < sizeof(line) - at - 1 ? (size_t)body : sizeof(line) - at - 2;
  line[at++] = '\n';
  ssize_t written = write(STDERR_FILENO, line, at);
  (void)written;
}
