/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/fuse_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void complete(struct virtiofs_message *msg, size_t used) {
  struct fuse_message *m = (struct fuse_message *)(void *)((unsigned char *)msg - offsetof(struct fuse_message, msg));
  if (atomic_fetch_add(&m->completions, 1) != 0 || used > m->out_len)
    abort();
  m->used = used;
  m->abandoned = virtiofs_session_abandoned(m->req);
  sem_post(&m->answered);
}

/* Cuts @len bytes into blocks; @bytes NULL: filled with a pattern, so that what isn't written shows. */
static uint32_t cut(struct iovec *iov, const unsigned char *bytes, size_t len, size_t first, size_t piece) {
  uint32_t count = 0;
  for (size_t at = 0; at < len; count++) {
    size_t want = count == 0 && first != 0 ? first : piece != 0 ? piece : len;
    size_t here = want < len - at ? want : len - at;
    iov[count].iov_base = malloc(here);
    iov[count].iov_len = here;
    assert_non_null(iov[count].iov_base);
    if (bytes != NULL)
      memcpy(iov[count].iov_base, bytes + at, here);
    else
      memset(iov[count].iov_base, 0xa5, here);
    at += here;
  }
  return count;
}

struct fuse_message *fuse_message_new(const struct fuse_request *request, const struct fuse_shape *given) {
  static const struct fuse_shape plain;
  const struct fuse_shape *shape = given != NULL ? given : &plain;
  struct fuse_message *m = calloc(1, sizeof *m);
  assert_non_null(m);
  size_t len = request->len + shape->data_len;
  unsigned char *bytes = malloc(len + 1);
  assert_non_null(bytes);
  memcpy(bytes, request->bytes, request->len);
  if (shape->data_len != 0)
    memcpy(bytes + request->len, shape->data, shape->data_len);
  m->out_len = shape->no_room ? 0 : shape->room != 0 ? shape->room : FUSE_MESSAGE_ROOM;
  m->segments = calloc(len + m->out_len + 1, sizeof m->segments[0]);
  assert_non_null(m->segments);
  m->in_count = cut(m->segments, bytes, len, shape->in_first, shape->in_piece);
  m->out_count = cut(m->segments + m->in_count, NULL, m->out_len, shape->out_first, shape->out_piece);
  free(bytes);
  size_t count = m->in_count + m->out_count;
  m->iov = malloc((count != 0 ? count : 1) * sizeof m->iov[0]);
  m->req = malloc(sizeof *m->req);
  assert_true(m->iov != NULL && m->req != NULL);
  memcpy(m->iov, m->segments, count * sizeof m->iov[0]);
  memset(m->req, 0xb6, sizeof *m->req);
  m->unique = request->header.unique;
  m->opcode = request->header.opcode;
  sem_init(&m->answered, 0, 0);
  virtiofs_message_init(&m->msg, m->iov, m->in_count, m->out_count, complete);
  return m;
}

void fuse_message_free(struct fuse_message *m) {
  if (m == NULL)
    return;
  assert_int_equal(atomic_load(&m->completions), 1);
  for (uint32_t i = 0; i < m->in_count + m->out_count; i++)
    free(m->segments[i].iov_base);
  sem_destroy(&m->answered);
  free(m->segments);
  free(m->iov);
  free(m->req);
  free(m->reply);
  free(m);
}

bool fuse_message_is_answered(struct fuse_message *m) {
  return atomic_load(&m->completions) != 0;
}

void fuse_message_wait(struct fuse_message *m) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += FUSE_MESSAGE_DEADLINE_S;
  int rc;
  do
    rc = sem_timedwait(&m->answered, &deadline);
  while (rc != 0 && errno == EINTR);
  assert_int_equal(rc, 0);
  sem_post(&m->answered);
}

/* Collects the reply and checks what holds for each. NULL if there is none. */
static const struct fuse_out_header *header_of(struct fuse_message *m) {
  assert_int_equal(atomic_load(&m->completions), 1);
  if (m->used == 0)
    return NULL;
  if (m->reply == NULL) {
    m->reply = malloc(m->used);
    assert_non_null(m->reply);
    const struct iovec *out = m->segments + m->in_count;
    for (size_t at = 0; at < m->used; out++) {
      size_t here = out->iov_len < m->used - at ? out->iov_len : m->used - at;
      memcpy(m->reply + at, out->iov_base, here);
      at += here;
    }
  }
  const struct fuse_out_header *header = (const void *)m->reply;
  assert_true(m->used >= sizeof *header);
  assert_int_equal(header->len, m->used);
  assert_int_equal(header->unique, m->unique);
  assert_true(header->error <= 0 && header->error > -512);
  if (header->error != 0)
    assert_int_equal(header->len, sizeof *header);
  return header;
}

int fuse_message_error(struct fuse_message *m) {
  const struct fuse_out_header *header = header_of(m);
  bool none = m->opcode == FUSE_FORGET || m->opcode == FUSE_BATCH_FORGET || m->opcode == FUSE_NOTIFY_REPLY;
  assert_int_equal(header == NULL, none);
  return header != NULL ? header->error : 0;
}

size_t fuse_message_size(struct fuse_message *m) {
  assert_non_null(header_of(m));
  return m->used - sizeof(struct fuse_out_header);
}

const void *fuse_message_args(struct fuse_message *m) {
  assert_int_equal(fuse_message_error(m), 0);
  return m->reply + sizeof(struct fuse_out_header);
}
