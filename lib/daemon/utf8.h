/* SPDX-License-Identifier: BSD-3-Clause */
/** What JSON may carry. */
#ifndef VIRTIOFS_LIB_DAEMON_UTF8_H
#define VIRTIOFS_LIB_DAEMON_UTF8_H

#include <stddef.h>

/* How many of @len bytes from the first on are whole characters of UTF-8 (RFC 3629). */
size_t virtiofs_daemon_utf8_span(const char *text, size_t len);

/* Puts '?' for each byte that is part of none, and for control characters. */
void virtiofs_daemon_utf8_clean(char *text);

#endif
