/* SPDX-License-Identifier: BSD-3-Clause */
/** Which bytes a file's name may not hold. */
#ifndef VIRTIOFS_LIB_BASE_TEXT_H
#define VIRTIOFS_LIB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The compiler makes of it what the machine has. */
typedef unsigned char virtiofs_bytes16 __attribute__((vector_size(16)));

/* Is there a NUL or a '/' in these sixteen bytes? */
static inline bool virtiofs_text_bad(uint64_t first, uint64_t second) {
  uint64_t words[2] = {first, second};
  virtiofs_bytes16 bytes;
  memcpy(&bytes, words, sizeof(bytes));
  bytes = (virtiofs_bytes16)((bytes == 0) | (bytes == '/'));
  memcpy(words, &bytes, sizeof(words));
  return (words[0] | words[1]) != 0;
}

static inline uint64_t virtiofs_text_load8(const char *text) {
  uint64_t eight;
  memcpy(&eight, text, sizeof(eight));
  return eight;
}

/* Is there a NUL or a '/' in it? Names are short: sixteen bytes at a time beat two calls of memchr(). */
static inline bool virtiofs_text_has_separator(const char *text, size_t len) {
  const char *end = text + len;
  if (len < 8) {
    while (text < end && *text != 0 && *text != '/')
      text++;
    return text < end;
  }
  if (len <= 16)
    return virtiofs_text_bad(virtiofs_text_load8(text), virtiofs_text_load8(end - 8));
  for (; end - text > 16; text += 16)
    if (virtiofs_text_bad(virtiofs_text_load8(text), virtiofs_text_load8(text + 8)))
      return true;
  return virtiofs_text_bad(virtiofs_text_load8(end - 16), virtiofs_text_load8(end - 8));
}

/* Copies a name without a call, which costs as much as the name. */
static inline void virtiofs_text_copy(void *to, const void *from, size_t len) {
  unsigned char *dst = to;
  const unsigned char *src = from;
  if (len < 8) {
    for (size_t at = 0; at < len; at++)
      dst[at] = src[at];
    return;
  }
  memcpy(dst, src, 8);
  for (size_t at = 8; at + 8 < len; at += 8)
    memcpy(dst + at, src + at, 8);
  memcpy(dst + len - 8, src + len - 8, 8);
}

#endif
