/* SPDX-License-Identifier: BSD-3-Clause */
/** As much of HTTP as a scrape needs. Pure. */
#ifndef VIRTIOFS_LIB_DAEMON_HTTP_H
#define VIRTIOFS_LIB_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define VIRTIOFS_HTTP_REQUEST_MAX 4096U

enum virtiofs_http {
  VIRTIOFS_HTTP_MORE, /* not all of it has come */
  VIRTIOFS_HTTP_GET,  /* /metrics is asked for */
  VIRTIOFS_HTTP_HEAD, /* only what stands before it is */
  VIRTIOFS_HTTP_BAD,
  VIRTIOFS_HTTP_NO_PATH,
  VIRTIOFS_HTTP_NO_METHOD,
  VIRTIOFS_HTTP_TOO_LONG,
};

/* What the first @len bytes of a request ask for. Of its fields none is looked at. */
enum virtiofs_http virtiofs_http_parse(const char *bytes, size_t len);

/* The line that answers it: "200 OK" and so on. */
const char *virtiofs_http_status(enum virtiofs_http http);

#endif
