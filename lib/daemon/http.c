/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/http.h"

#include <string.h>

/* Is there an empty line? */
static bool is_whole(const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != '\n')
      continue;
    if (i + 1 < len && bytes[i + 1] == '\n')
      return true;
    if (i + 2 < len && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
      return true;
  }
  return false;
}

static bool begins(const char *bytes, size_t len, const char *with) {
  size_t size = strlen(with);
  return len >= size && memcmp(bytes, with, size) == 0;
}

/* "METHOD PATH HTTP/1.x", without its end. */
static enum virtiofs_http parse_line(const char *line, size_t len) {
  static const char path[] = "/metrics";
  const char *space = memchr(line, ' ', len);
  if (space == NULL || space == line)
    return VIRTIOFS_HTTP_BAD;
  size_t method = (size_t)(space - line), left = len - method - 1;
  const char *target = space + 1, *end = memchr(target, ' ', left);
  if (end == NULL || !begins(end + 1, left - (size_t)(end + 1 - target), "HTTP/1."))
    return VIRTIOFS_HTTP_BAD;
  size_t size = (size_t)(end - target);
  bool get = method == 3 && memcmp(line, "GET", 3) == 0, head = method == 4 && memcmp(line, "HEAD", 4) == 0;
  if (!get && !head)
    return VIRTIOFS_HTTP_NO_METHOD;
  if (!begins(target, size, path) || (size > strlen(path) && target[strlen(path)] != '?'))
    return VIRTIOFS_HTTP_NO_PATH;
  return get ? VIRTIOFS_HTTP_GET : VIRTIOFS_HTTP_HEAD;
}

enum virtiofs_http virtiofs_http_parse(const char *bytes, size_t len) {
  if (!is_whole(bytes, len))
    return len >= VIRTIOFS_HTTP_REQUEST_MAX ? VIRTIOFS_HTTP_TOO_LONG : VIRTIOFS_HTTP_MORE;
  size_t line = (size_t)((const char *)memchr(bytes, '\n', len) - bytes);
  if (line > 0 && bytes[line - 1] == '\r')
    line--;
  return parse_line(bytes, line);
}

const char *virtiofs_http_status(enum virtiofs_http http) {
  switch (http) {
  case VIRTIOFS_HTTP_GET:
  case VIRTIOFS_HTTP_HEAD:
    return "200 OK";
  case VIRTIOFS_HTTP_NO_PATH:
    return "404 Not Found";
  case VIRTIOFS_HTTP_NO_METHOD:
    return "405 Method Not Allowed";
  case VIRTIOFS_HTTP_TOO_LONG:
    return "431 Request Header Fields Too Large";
  case VIRTIOFS_HTTP_MORE:
  case VIRTIOFS_HTTP_BAD:
    break;
  }
  return "400 Bad Request";
}
