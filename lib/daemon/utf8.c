/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool goes_on(unsigned char byte) {
  return (byte & 0xc0) == 0x80;
}

/* The length of the character that begins there; 0: none does. */
static size_t one(const unsigned char *at, size_t left) {
  if (at[0] < 0x80)
    return 1;
  if (at[0] < 0xc2 || at[0] > 0xf4 || left < 2 || !goes_on(at[1]))
    return 0;
  if (at[0] < 0xe0)
    return 2;
  if (left < 3 || !goes_on(at[2]))
    return 0;
  /* Neither what a shorter form has, nor halves of pairs. */
  if (at[0] < 0xf0)
    return (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) ? 0 : 3;
  if (left < 4 || !goes_on(at[3]))
    return 0;
  return (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90) ? 0 : 4;
}

size_t virtiofs_daemon_utf8_span(const char *text, size_t len) {
  size_t at = 0;
  while (at < len) {
    size_t n = one((const unsigned char *)text + at, len - at);
    if (n == 0)
      break;
    at += n;
  }
  return at;
}

void virtiofs_daemon_utf8_clean(char *text) {
  size_t len = strlen(text), at = 0;
  while ((at += virtiofs_daemon_utf8_span(text + at, len - at)) < len)
    text[at++] = '?';
  for (char *c = text; *c != 0; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = '?';
}
