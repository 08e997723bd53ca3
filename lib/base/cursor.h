/* SPDX-License-Identifier: BSD-3-Clause */
/** A bounded position in bytes that are spread over segments of guest memory. */
#ifndef VIRTIOFS_LIB_BASE_CURSOR_H
#define VIRTIOFS_LIB_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/guest.h"

struct virtiofs_cursor {
  const struct iovec *iov; /* the segment that the position is in */
  uint32_t count;          /* segments from there on */
  size_t at;               /* offset in that segment, less than its length while @left is not 0 */
  size_t left;             /* bytes from the position to the end */
};

/* Bytes in all segments. */
static inline size_t virtiofs_iov_len(const struct iovec *iov, uint32_t count) {
  size_t len = 0;
  for (uint32_t i = 0; i < count; i++)
    len += iov[i].iov_len;
  return len;
}

/* Begins at the first byte; @len is what virtiofs_iov_len() says. */
static inline void virtiofs_cursor_init(struct virtiofs_cursor *cur, const struct iovec *iov, uint32_t count,
                                        size_t len) {
  *cur = (struct virtiofs_cursor){.iov = iov, .count = count, .left = len};
}

/* For what lies in several segments; as the two below. */
bool virtiofs_cursor_read_far(struct virtiofs_cursor *cur, void *dst, size_t len);
bool virtiofs_cursor_write_far(struct virtiofs_cursor *cur, const void *src, size_t len);

/* Does it lie in the present segment? Then it can be copied at once. */
static inline bool virtiofs_cursor_near(const struct virtiofs_cursor *cur, size_t len) {
  return len <= cur->left && cur->left > 0 && len <= cur->iov->iov_len - cur->at;
}

/* Each returns false, and has not moved, if fewer than @len bytes are left. */
static inline bool virtiofs_cursor_read(struct virtiofs_cursor *cur, void *dst, size_t len) {
  if (!virtiofs_cursor_near(cur, len))
    return virtiofs_cursor_read_far(cur, dst, len);
  virtiofs_guest_read(dst, (const unsigned char *)cur->iov->iov_base + cur->at, len);
  cur->at += len;
  cur->left -= len;
  return true;
}

static inline bool virtiofs_cursor_write(struct virtiofs_cursor *cur, const void *src, size_t len) {
  if (!virtiofs_cursor_near(cur, len))
    return virtiofs_cursor_write_far(cur, src, len);
  virtiofs_guest_write((unsigned char *)cur->iov->iov_base + cur->at, src, len);
  cur->at += len;
  cur->left -= len;
  return true;
}

bool virtiofs_cursor_zero(struct virtiofs_cursor *cur, size_t len);
bool virtiofs_cursor_skip_far(struct virtiofs_cursor *cur, size_t len);

static inline bool virtiofs_cursor_skip(struct virtiofs_cursor *cur, size_t len) {
  if (!virtiofs_cursor_near(cur, len))
    return virtiofs_cursor_skip_far(cur, len);
  cur->at += len;
  cur->left -= len;
  return true;
}

/**
 * Reads up to @cap bytes and stops behind the first NUL, which is copied too.
 * Returns the text's length; -1, and has not moved, if there is no NUL within @cap bytes or the end.
 */
ptrdiff_t virtiofs_cursor_read_string(struct virtiofs_cursor *cur, char *dst, size_t cap);

/**
 * Makes an array of segments begin at the cursor and hold @len bytes, at most those left.
 * @iov must be the array that the cursor was made for; its entries are changed. Returns the number of entries from
 * *@first on.
 */
uint32_t virtiofs_cursor_cut(const struct virtiofs_cursor *cur, struct iovec *iov, size_t len, struct iovec **first);

#endif
