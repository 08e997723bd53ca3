/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The back-end's end of vhost-user: takes messages, keeps what the front-end has said, and tells the device what
 * changes.
 *
 * Knows rings only as numbers and descriptors; what a ring is, is the device's business. All calls are made by
 * one thread, the device's control thread.
 */
#ifndef VIRTIOFS_LIB_VHOST_BACKEND_H
#define VIRTIOFS_LIB_VHOST_BACKEND_H

#include <virtiofs/log.h>
#include <virtiofs/memory.h>
#include <virtiofs/vhost_user.h>

#include "vhost/transport.h"

/** What the front-end has said of a ring. */
struct virtiofs_vhost_vring {
  uint32_t num;  /**< size; 0: not told */
  uint32_t base; /**< where the ring begins, as SET_VRING_BASE writes it; when it starts without being told: at first */
  bool have_base; /**< the base is known */
  bool have_addr; /**< the addresses are known */
  bool started;   /**< SET_VRING_KICK came and GET_VRING_BASE has not since */
  bool enabled;
  bool failed;                /**< the guest has set it up so that it can't run, which @err_fd has told the front-end */
  bool running;               /**< the device was told ring_start and not ring_stop since */
  uint64_t desc, avail, used; /**< the front-end's addresses */
  int kick_fd, call_fd, err_fd; /**< the vring's own; -1: none */
};

/**
 * What the device does when something changes. Each returns 0 or -errno, which is the front-end's answer where it asked
 * for one, and ends the connection where it did not. None may be NULL.
 */
struct virtiofs_vhost_events {
  /** Virtio feature bits that the guest's driver has accepted, without those of vhost-user's own. May come while rings
   * run. */
  int (*features)(void *ctx, uint64_t acked);

  /**
   * The guest's memory is now @map; the device takes a reference if it keeps it. May come while rings run: those whose
   * parts don't lie in it have been stopped before, and are started again when memory comes that they lie in.
   */
  int (*memory)(void *ctx, struct virtiofs_memory *map);

  /**
   * A ring is to run: it is started, enabled and told all it needs. @vring stays as it is until ring_stop or the next
   * event about this ring. The device duplicates descriptors that it wants to keep longer. An error leaves the ring
   * stopped. -EPROTO: the guest has set the ring up wrongly. That is the guest's affair: it is logged, the front-end is
   * told by the ring's err descriptor alone, and the ring is tried again when the next thing about it or the memory
   * changes.
   */
  int (*ring_start)(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring);

  /** A running ring is to stop, after its requests in flight are answered; @base gets where it is. */
  int (*ring_stop)(void *ctx, uint32_t index, uint32_t *base);

  /** The call or err descriptor of a running ring has changed. The guest is to be notified once. */
  int (*ring_fds)(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring);

  /** Read @size bytes of config space from @offset. -EINVAL outside of it. */
  int (*config)(void *ctx, uint32_t offset, uint32_t size, void *data);

  /**
   * The front-end maps what it is asked to on this socket, from now on: it has asked how large the window is, and
   * answers. @fd: borrowed for the call. At most once for a connection; may be NULL if there is no window.
   */
  int (*window)(void *ctx, int fd);

  /** RESET_DEVICE: all rings have been stopped; the guest's session is over. */
  int (*reset)(void *ctx);
};

struct virtiofs_vhost_backend;

struct virtiofs_vhost_backend_config {
  struct virtiofs_vhost_transport *transport; /**< taken, closed by virtiofs_vhost_backend_free() */
  const struct virtiofs_vhost_events *events; /**< borrowed */
  void *ctx;                                  /**< of @events */
  const struct virtiofs_log *log;             /**< borrowed; may be NULL */
  uint64_t features;                          /**< virtio features that are offered */
  bool has_config;                            /**< offer the CONFIG protocol feature */
  uint64_t window_len;                        /**< of the DAX window, in bytes; 0: none */
  uint32_t vrings;                            /**< how many there are, 1 .. 256 */
};

/** Return: 0; -ENOMEM, then the transport is closed too. */
int virtiofs_vhost_backend_new(struct virtiofs_vhost_backend **out,
                               const struct virtiofs_vhost_backend_config *config) VIRTIOFS_MUST_USE;

/**
 * virtiofs_vhost_backend_process - take one message and act on it
 *
 * Return: 0; -ECONNRESET if the front-end has closed the connection; another -errno if the connection must be closed,
 * after one line in the log.
 */
int virtiofs_vhost_backend_process(struct virtiofs_vhost_backend *backend) VIRTIOFS_MUST_USE;

/** Stops the rings that run (by ring_stop), drops the memory, closes every descriptor and the transport. NULL is fine.
 */
void virtiofs_vhost_backend_free(struct virtiofs_vhost_backend *backend);

#endif
