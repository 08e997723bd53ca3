/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/data.h>

#include "base/cursor.h"

static size_t seek(struct virtiofs_cursor *cur, const struct virtiofs_data *data, size_t offset, size_t len) {
  virtiofs_cursor_init(cur, data->iov, data->count, data->size);
  if (!virtiofs_cursor_skip(cur, offset))
    return 0;
  return len < cur->left ? len : cur->left;
}

size_t virtiofs_data_copy(const struct virtiofs_data *data, size_t offset, void *buf, size_t len) {
  struct virtiofs_cursor cur;
  len = seek(&cur, data, offset, len);
  return virtiofs_cursor_read(&cur, buf, len) ? len : 0;
}

size_t virtiofs_data_fill(const struct virtiofs_data *data, size_t offset, const void *buf, size_t len) {
  struct virtiofs_cursor cur;
  len = seek(&cur, data, offset, len);
  return virtiofs_cursor_write(&cur, buf, len) ? len : 0;
}
