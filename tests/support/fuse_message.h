/* SPDX-License-Identifier: BSD-3-Clause */
/** A request for a session, in segments that each are a heap block, so that a sanitizer sees a step past one. */
#ifndef VIRTIOFS_TESTS_SUPPORT_FUSE_MESSAGE_H
#define VIRTIOFS_TESTS_SUPPORT_FUSE_MESSAGE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <virtiofs/message.h>

#include "session/req.h"
#include "support/fuse_request.h"

enum { FUSE_MESSAGE_DEADLINE_S = 60, FUSE_MESSAGE_ROOM = 8192 };

/** How a message is cut into segments. Zero: one for the request, one of FUSE_MESSAGE_ROOM for the reply. */
struct fuse_shape {
  const void *data; /**< goes behind the request */
  size_t data_len;
  size_t room;      /**< bytes for the reply */
  bool no_room;     /**< none at all */
  size_t in_first, out_first; /**< bytes of the first segment; 0: all */
  size_t in_piece, out_piece; /**< bytes of each further segment; 0: all the rest */
};

struct fuse_message {
  struct virtiofs_message msg;
  struct virtiofs_req *req; /**< a block of its own */
  struct iovec *iov;        /**< as the session gets it, and changes it */
  struct iovec *segments;   /**< as it was */
  uint32_t in_count, out_count;
  size_t out_len;
  uint64_t unique;
  uint32_t opcode;
  sem_t answered;
  atomic_uint completions;
  size_t used;
  bool abandoned;       /**< as virtiofs_session_abandoned() said then */
  unsigned char *reply; /**< in one piece, once it was asked for */
};

struct fuse_message *fuse_message_new(const struct fuse_request *request, const struct fuse_shape *shape);
/** Fails the test if it was not answered. NULL is fine. */
void fuse_message_free(struct fuse_message *m);

bool fuse_message_is_answered(struct fuse_message *m);
/** Waits until it is, and fails the test after the deadline. */
void fuse_message_wait(struct fuse_message *m);
/** The reply: its error, after its header has been checked; 0 with no reply only where @m's opcode has none. */
int fuse_message_error(struct fuse_message *m);
/** Bytes of the reply behind its header. */
size_t fuse_message_size(struct fuse_message *m);
const void *fuse_message_args(struct fuse_message *m);

#endif
