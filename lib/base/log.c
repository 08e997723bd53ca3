/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stddef.h>

bool virtiofs_log_limit_pass(struct virtiofs_log_limit *limit, uint64_t *count) {
  uint64_t n = atomic_fetch_add_explicit(&limit->count, 1, memory_order_relaxed) + 1;
  *count = n;
  return (n & (n - 1)) == 0;
}

bool virtiofs_log_wants(const struct virtiofs_log *log, enum virtiofs_log_level level) {
  if (log == NULL || log->fn == NULL)
    return false;
  int most = log->current != NULL ? __atomic_load_n(log->current, __ATOMIC_RELAXED) : (int)log->level;
  return (int)level <= (most != 0 ? most : (int)VIRTIOFS_LOG_INFO);
}

void virtiofs_log_write(const struct virtiofs_log *log, enum virtiofs_log_level level, const char *tag,
                        const char *format, ...) {
  if (!virtiofs_log_wants(log, level))
    return;
  va_list args;
  va_start(args, format);
  log->fn(log->ctx, level, tag, format, args);
  va_end(args);
}
