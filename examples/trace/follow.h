/* SPDX-License-Identifier: BSD-3-Clause */
/** Follows the sessions of a record: what was agreed on, and which reply belongs to which request. */
#ifndef VIRTIOFS_EXAMPLES_TRACE_FOLLOW_H
#define VIRTIOFS_EXAMPLES_TRACE_FOLLOW_H

#include <virtiofs/fuse.h>

#include "reader.h"

/* A request with its reply, or a notification. */
struct exchange {
  enum virtiofs_record_kind kind; /* REQUEST or NOTIFICATION */
  unsigned queue;
  uint64_t start_ns, end_ns; /* since recording began; @end_ns never before @start_ns */
  uint64_t unique, node;
  uint32_t opcode;     /* 0: not known, the header couldn't be read */
  uint64_t in_len;     /* bytes of the request */
  uint64_t out_len;    /* bytes of the reply, or of the notification */
  bool answered;       /* given back, perhaps without a reply */
  bool unparsed;       /* the request or the reply is not what FUSE allows */
  int error;           /* the reply's: 0 or -errno */
  const char *request; /* as text; valid during the call */
  const char *reply;   /* as text, NULL if there is none; the same */
};

/* Told of each exchange when it is over; of those without an answer at the end. */
typedef void exchange_fn(void *ctx, const struct exchange *exchange);

struct follow;

/* NULL: no memory. */
struct follow *follow_new(exchange_fn *fn, void *ctx);
/* Takes a record as the reader gives it. 0, or -1 if there is no memory. */
int follow_record(struct follow *follow, const struct virtiofs_record *record, const unsigned char *bytes,
                  size_t stored);
/* Tells of what was never answered, and frees all. */
void follow_end(struct follow *follow);

#endif
