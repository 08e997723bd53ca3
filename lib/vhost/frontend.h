/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The front-end's end of vhost-user: what a client says to a device, one message after the other.
 *
 * The back-end is not trusted: replies are checked, and it has to give them in time. After an error the connection is
 * of no use any more. One thread at a time.
 */
#ifndef VIRTIOFS_LIB_VHOST_FRONTEND_H
#define VIRTIOFS_LIB_VHOST_FRONTEND_H

#include <virtiofs/vhost_user.h>

#include "vhost/transport.h"

struct virtiofs_vhost_frontend {
  struct virtiofs_vhost_socket sock;
  int timeout_ms;             /* for a reply; -1: as long as it takes */
  uint64_t features;          /* accepted, with vhost-user's own */
  uint64_t protocol_features; /* accepted */
};

/* Features of virtio's own that a driver wants, in both words. */
struct virtiofs_vhost_wants {
  uint64_t features; /* what the device has of it is accepted */
  uint64_t required; /* -ENOTSUP if it lacks one */
  bool window;       /* files are mapped for the device if it has a window */
};

/* A ring, ready to be looked at. Addresses are those of this process. */
struct virtiofs_vhost_ring {
  uint32_t num, base;
  const void *desc, *driver, *device;
  int kick_fd, call_fd, err_fd; /* borrowed; -1: none */
};

/* The socket is closed by virtiofs_vhost_frontend_close(). */
void virtiofs_vhost_frontend_init(struct virtiofs_vhost_frontend *fe, int take_fd, int timeout_ms);
void virtiofs_vhost_frontend_close(struct virtiofs_vhost_frontend *fe);

/**
 * All return 0 or -errno: -ECONNRESET if the back-end is gone, -ETIMEDOUT, -EPROTO for what is no reply to what was
 * asked, -EREMOTEIO if it said no.
 */

/* Features, protocol features and ownership. */
int virtiofs_vhost_frontend_negotiate(struct virtiofs_vhost_frontend *fe, const struct virtiofs_vhost_wants *wants);

/* The channel on which the back-end asks for mappings, our end of it, and how large its window is. -ENOTSUP if it has
 * none, or that wasn't wanted. */
int virtiofs_vhost_frontend_window(struct virtiofs_vhost_frontend *fe, int *channel, uint64_t *len);

/* How many rings there are at most; 0 if the back-end doesn't say. */
int virtiofs_vhost_frontend_queues(struct virtiofs_vhost_frontend *fe, uint64_t *count);

/* -ENOTSUP if the back-end has no configuration space. */
int virtiofs_vhost_frontend_config(struct virtiofs_vhost_frontend *fe, uint32_t offset, uint32_t size, void *data);

/* One region, of @fd from its first byte on, which lies at @host here and at @gpa for the device. */
int virtiofs_vhost_frontend_memory(struct virtiofs_vhost_frontend *fe, int fd, uint64_t gpa, const void *host,
                                   uint64_t size);

int virtiofs_vhost_frontend_ring_start(struct virtiofs_vhost_frontend *fe, uint32_t index,
                                       const struct virtiofs_vhost_ring *ring);

/* Waits until nothing is in flight. */
int virtiofs_vhost_frontend_ring_stop(struct virtiofs_vhost_frontend *fe, uint32_t index, uint32_t *base);

#endif
