/* SPDX-License-Identifier: BSD-3-Clause */
/** The device: its queues, its session, and the front-end that it serves. */
#ifndef VIRTIOFS_LIB_DEVICE_DEVICE_H
#define VIRTIOFS_LIB_DEVICE_DEVICE_H

#include <virtiofs/device.h>

#include "device/config.h"
#include "device/queue.h"
#include "device/reaper.h"
#include "device/window.h"

#define VIRTIOFS_VRINGS_MAX (1U + VIRTIOFS_REQUEST_QUEUES_MAX)

struct virtiofs_device {
  struct virtiofs_log log;
  bool has_tap;
  struct virtiofs_tap tap;
  void *tap_ctx;
  struct virtiofs_session *session;
  struct virtiofs_reaper reaper;
  struct virtiofs_pool pool;
  struct virtiofs_late late;
  struct virtiofs_rate *rate; /* NULL: none */
  struct virtiofs_device_window window;
  struct virtiofs_config_space config;
  bool has_tag;
  uint32_t pool_threads;
  uint32_t max_write, drain_ms, max_in_flight;
  uint32_t vrings; /* the high-priority queue and the request queues */
  int stop_fd;
  atomic_bool stopped;

  /* ---- attach.c: a driver in this process ---- */
  atomic_bool attached;
  struct virtiofs_transport_driver driver;
  atomic_uint processing; /* threads in virtiofs_device_process_queue() */
  atomic_bool reclaim;    /* the backend has to be told what the guest has given back */
  int poll_fd;            /* an epoll of the queues' descriptors; -1: not attached */
  uint32_t kick_fds;      /* how many of these are the driver's */

  /* ---- frontend.c ---- */
  bool stepped; /* a front-end is served without a thread; nobody else is by this device */

  /* the control thread's, while a front-end is served */
  struct virtiofs_memory *map;
  uint64_t features; /* accepted by the driver */

  /* ---- mount.c ---- */
  atomic_uint completing;     /* threads that complete a request of a mount */
  struct virtiofs_host *left; /* what requests that were answered in the backend's place keep */

  struct virtiofs_queue queues[VIRTIOFS_VRINGS_MAX];
};

/* What the device has of virtio's features. */
#define VIRTIOFS_DEVICE_FEATURES                                                                                       \
  (VIRTIOFS_TRANSPORT_F_VERSION_1 | VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX |                      \
   VIRTIOFS_VIRTQ_F_RING_PACKED)

/* Something is to be reclaimed, and there is no reaper. Any thread. */
void virtiofs_device_wants_reclaim(struct virtiofs_device *dev);

struct virtiofs_vhost_backend;
struct virtiofs_vhost_transport;

/**
 * A front-end's messages come by @transport, which is taken, also after an error. What it says is acted on in
 * virtiofs_vhost_backend_process().
 * @stepped: no thread is started, and queues are worked on in virtiofs_device_process_queue() alone
 * Return: 0 or -errno. One at a time.
 */
int virtiofs_device_frontend_open(struct virtiofs_device *dev, struct virtiofs_vhost_transport *transport, bool stepped,
                                  struct virtiofs_vhost_backend **out);

/* It is gone. Nothing of the guest is left afterwards. */
void virtiofs_device_frontend_close(struct virtiofs_device *dev, struct virtiofs_vhost_backend *backend);

/* Do several threads answer a queue's requests, as a mount's? While the device serves nobody. */
void virtiofs_device_share_counters(struct virtiofs_device *dev, bool shared);

/* Nothing is late any more. */
void virtiofs_device_free_mounts(struct virtiofs_device *dev);

#endif
