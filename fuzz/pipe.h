/* SPDX-License-Identifier: BSD-3-Clause */
/** vhost-user messages without a socket: those that an input describes, one after the other. */
#ifndef VIRTIOFS_FUZZ_PIPE_H
#define VIRTIOFS_FUZZ_PIPE_H

#include <stdbool.h>

#include "target.h"
#include "vhost/transport.h"

/* Where the front-end has the guest's memory, in its own addresses. */
#define FUZZ_UVA UINT64_C(0x7f0000000000)

struct fuzz_pipe {
  struct virtiofs_vhost_transport transport;
  const struct virtiofs_vhost_user_message *next; /* NULL: the front-end has gone */
  bool closed;
  uint32_t replies;
  struct virtiofs_vhost_user_message reply; /* the last one */
};

void fuzz_pipe_init(struct fuzz_pipe *pipe);

/* The next message of an input, with descriptors that belong to who takes it. */
void fuzz_message(struct fuzz_input *in, struct virtiofs_vhost_user_message *msg);

/* Closes what it has. */
void fuzz_message_drop(struct virtiofs_vhost_user_message *msg);

#endif
