/* SPDX-License-Identifier: BSD-3-Clause */
/** What the two ends agree on by INIT: the server's end. The driver's is public (virtiofs/fuse.h). */
#ifndef VIRTIOFS_LIB_FUSE_INIT_H
#define VIRTIOFS_LIB_FUSE_INIT_H

#include <virtiofs/fuse.h>

/* What the server would like. */
struct virtiofs_fuse_init_wants {
  uint64_t flags;           /* virtiofs_fuse_init_wanted(); those that say what the reply has follow from below */
  uint32_t max_write;       /* bytes, >= 4096 */
  uint32_t time_gran;       /* ns */
  uint16_t map_alignment;   /* of the DAX window, log2 of bytes; 0: there is no window */
  uint16_t request_timeout; /* s; 0: none */
  bool swapped;             /* the driver has the other byte order */
};

/**
 * Makes the reply. 0, and @proto is what is spoken from now on, or nothing is agreed on yet if the driver has to send
 * INIT again with our major number; -EPROTO for a driver that is too old.
 */
int virtiofs_fuse_init_negotiate(const struct virtiofs_fuse_init_in *in, const struct virtiofs_fuse_init_wants *wants,
                                 struct virtiofs_fuse_init_out *out, struct virtiofs_fuse_proto *proto);

#endif
