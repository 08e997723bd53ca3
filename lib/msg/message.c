/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/message.h>

#include <assert.h>

/* Moves the non-empty ones of @count segments to @to; returns how many. */
static uint32_t pack(struct iovec *to, const struct iovec *from, uint32_t count, size_t *len) {
  uint32_t kept = 0;
  *len = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (from[i].iov_len == 0)
      continue;
    to[kept++] = from[i];
    *len += from[i].iov_len;
  }
  return kept;
}

void virtiofs_message_init(struct virtiofs_message *msg, struct iovec *segments, uint32_t in_count, uint32_t out_count,
                           virtiofs_message_complete_fn *complete) {
  msg->in = segments;
  msg->in_count = pack(segments, segments, in_count, &msg->in_len);
  msg->out = segments + in_count;
  msg->out_count = pack(msg->out, msg->out, out_count, &msg->out_len);
  msg->complete = complete;
  msg->cut = false;
}

void virtiofs_message_complete(struct virtiofs_message *msg, size_t used) {
  assert(used <= msg->out_len);
  msg->complete(msg, used);
}
