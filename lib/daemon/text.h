/* SPDX-License-Identifier: BSD-3-Clause */
/** Text that grows. */
#ifndef VIRTIOFS_LIB_DAEMON_TEXT_H
#define VIRTIOFS_LIB_DAEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <virtiofs/log.h>

/* All zero at first. */
struct virtiofs_daemon_text {
  char *bytes; /* NUL-terminated once something was added */
  size_t len, size;
  bool failed; /* there was no memory: it is not whole */
};

void virtiofs_daemon_text_add(struct virtiofs_daemon_text *text, const char *format, ...) VIRTIOFS_PRINTF(2, 3);
void virtiofs_daemon_text_free(struct virtiofs_daemon_text *text);

#endif
