/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_SIZE 4096U

static bool make_room(struct virtiofs_daemon_text *text, size_t len) {
  size_t size = text->size != 0 ? text->size : FIRST_SIZE;
  while (size - text->len <= len)
    size *= 2;
  if (size == text->size)
    return true;
  char *bytes = realloc(text->bytes, size);
  if (bytes == NULL)
    return false;
  text->bytes = bytes;
  text->size = size;
  return true;
}

void virtiofs_daemon_text_add(struct virtiofs_daemon_text *text, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  text->failed |= len < 0 || !make_room(text, (size_t)len);
  if (!text->failed) {
    (void)vsnprintf(text->bytes + text->len, text->size - text->len, format, again);
    text->len += (size_t)len;
  }
  va_end(again);
}

void virtiofs_daemon_text_free(struct virtiofs_daemon_text *text) {
  free(text->bytes);
  *text = (struct virtiofs_daemon_text){0};
}
