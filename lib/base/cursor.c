/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cursor.h"

#include <string.h>

#include "base/guest.h"

/* The longest piece in one segment from here, at most @len > 0 bytes. */
static size_t piece(struct virtiofs_cursor *cur, size_t len, unsigned char **base) {
  while (cur->at == cur->iov->iov_len) {
    cur->iov++;
    cur->count--;
    cur->at = 0;
  }
  size_t here = cur->iov->iov_len - cur->at;
  *base = (unsigned char *)cur->iov->iov_base + cur->at;
  return here < len ? here : len;
}

static void advance(struct virtiofs_cursor *cur, size_t len) {
  cur->at += len;
  cur->left -= len;
}

bool virtiofs_cursor_read_far(struct virtiofs_cursor *cur, void *dst, size_t len) {
  if (cur->left < len)
    return false;
  unsigned char *to = dst;
  while (len > 0) {
    unsigned char *from;
    size_t n = piece(cur, len, &from);
    virtiofs_guest_read(to, from, n);
    advance(cur, n);
    to += n;
    len -= n;
  }
  return true;
}

bool virtiofs_cursor_write_far(struct virtiofs_cursor *cur, const void *src, size_t len) {
  if (cur->left < len)
    return false;
  const unsigned char *from = src;
  while (len > 0) {
    unsigned char *to;
    size_t n = piece(cur, len, &to);
    virtiofs_guest_write(to, from, n);
    advance(cur, n);
    from += n;
    len -= n;
  }
  return true;
}

bool virtiofs_cursor_zero(struct virtiofs_cursor *cur, size_t len) {
  if (cur->left < len)
    return false;
  while (len > 0) {
    unsigned char *to;
    size_t n = piece(cur, len, &to);
    memset(to, 0, n);
    advance(cur, n);
    len -= n;
  }
  return true;
}

bool virtiofs_cursor_skip_far(struct virtiofs_cursor *cur, size_t len) {
  if (cur->left < len)
    return false;
  while (len > 0) {
    unsigned char *base;
    size_t n = piece(cur, len, &base);
    advance(cur, n);
    len -= n;
  }
  return true;
}

ptrdiff_t virtiofs_cursor_read_string(struct virtiofs_cursor *cur, char *dst, size_t cap) {
  struct virtiofs_cursor ahead = *cur;
  size_t want = ahead.left < cap ? ahead.left : cap;
  size_t have = 0;
  while (have < want) {
    unsigned char *from;
    size_t n = piece(&ahead, want - have, &from);
    virtiofs_guest_read(dst + have, from, n);
    const char *end = memchr(dst + have, 0, n);
    if (end != NULL) {
      size_t len = (size_t)(end - dst);
      virtiofs_cursor_skip(cur, len + 1);
      return (ptrdiff_t)len;
    }
    advance(&ahead, n);
    have += n;
  }
  return -1;
}

uint32_t virtiofs_cursor_cut(const struct virtiofs_cursor *cur, struct iovec *iov, size_t len, struct iovec **first) {
  if (len > cur->left)
    len = cur->left;
  struct virtiofs_cursor here = *cur;
  unsigned char *base;
  if (len == 0) {
    *first = iov;
    return 0;
  }
  piece(&here, len, &base);
  struct iovec *begin = iov + (here.iov - iov);
  *first = begin;
  begin->iov_base = base;
  begin->iov_len -= here.at;
  for (struct iovec *seg = begin;; seg++) {
    if (seg->iov_len >= len) {
      seg->iov_len = len;
      return (uint32_t)(seg - begin) + 1;
    }
    len -= seg->iov_len;
  }
}
