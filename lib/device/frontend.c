/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread: what a front-end says, carried over to the queues. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "device/device.h"
#include "vhost/backend.h"

#define TAG "device"

/* Rings that run keep what they were started with. */
static int on_features(void *ctx, uint64_t acked) {
  struct virtiofs_device *dev = ctx;
  dev->features = acked;
  return 0;
}

static int on_memory(void *ctx, struct virtiofs_memory *map) {
  struct virtiofs_device *dev = ctx;
  struct virtiofs_memory *old = dev->map;
  dev->map = virtiofs_memory_ref(map);
  virtiofs_memory_unref(old);
  for (uint32_t i = 0; i < dev->vrings; i++) {
    if (!dev->queues[i].running)
      continue;
    int rc = virtiofs_queue_memory(&dev->queues[i], map);
    if (rc != 0)
      return rc;
  }
  return 0;
}

static int on_ring_start(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct virtiofs_device *dev = ctx;
  struct virtiofs_queue_setup setup = {
      .num = vring->num,
      .base = vring->base,
      .features = dev->features,
      .desc = vring->desc,
      .driver = vring->avail,
      .device = vring->used,
      .kick_fd = vring->kick_fd,
      .call_fd = vring->call_fd,
      .err_fd = vring->err_fd,
      .map = dev->map,
  };
  int rc = virtiofs_queue_start(&dev->queues[index], &setup);
  if (rc != 0)
    virtiofs_log_write(&dev->log, virtiofs_log_limit_level(&dev->queues[index].refusals, VIRTIOFS_LOG_WARN),
                       dev->queues[index].tag, "can't start: error %d", -rc);
  else
    virtiofs_log_write(&dev->log, VIRTIOFS_LOG_DEBUG, dev->queues[index].tag, "started: size %u, base %u", vring->num,
                       vring->base);
  return rc;
}

static int on_ring_stop(void *ctx, uint32_t index, uint32_t *base) {
  struct virtiofs_device *dev = ctx;
  *base = virtiofs_queue_stop(&dev->queues[index]);
  bool runs = false;
  for (uint32_t i = 0; i < dev->vrings; i++)
    runs |= dev->queues[i].running;
  if (!runs)
    virtiofs_session_rings_stopped(dev->session);
  virtiofs_log_write(&dev->log, VIRTIOFS_LOG_DEBUG, dev->queues[index].tag, "stopped: base %u", *base);
  return 0;
}

static int on_ring_fds(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct virtiofs_device *dev = ctx;
  return virtiofs_queue_fds(&dev->queues[index], vring->call_fd, vring->err_fd);
}

static int on_config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  struct virtiofs_device *dev = ctx;
  return virtiofs_config_space_read(&dev->config, offset, size, data);
}

static int on_window(void *ctx, int fd) {
  struct virtiofs_device *dev = ctx;
  return virtiofs_device_window_start(&dev->window, fd);
}

static int start_reaper(struct virtiofs_device *dev) {
  return dev->stepped ? 0 : virtiofs_reaper_start(&dev->reaper);
}

/* The front-end drops what it has mapped. */
static int on_reset(void *ctx) {
  struct virtiofs_device *dev = ctx;
  virtiofs_reaper_stop(&dev->reaper);
  virtiofs_session_reset(dev->session);
  virtiofs_session_forget_window(dev->session);
  return start_reaper(dev);
}

static const struct virtiofs_vhost_events events = {
    .features = on_features,
    .memory = on_memory,
    .ring_start = on_ring_start,
    .ring_stop = on_ring_stop,
    .ring_fds = on_ring_fds,
    .config = on_config,
    .window = on_window,
    .reset = on_reset,
};

/* Messages until the connection ends. */
static int talk(struct virtiofs_device *dev, struct virtiofs_vhost_backend *backend, int fd) {
  for (;;) {
    struct pollfd fds[2] = {{.fd = dev->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR)
        continue;
      return -errno;
    }
    if (fds[0].revents != 0)
      return -ECANCELED;
    int rc = virtiofs_vhost_backend_process(backend);
    if (rc != 0)
      return rc == -ECONNRESET ? 0 : rc;
  }
}

/* Not written where it stays: requests of an earlier front-end may still be answered, by threads that read it. */
static void set_stepped(struct virtiofs_device *dev, bool stepped) {
  if (dev->stepped == stepped)
    return;
  dev->stepped = stepped;
  for (uint32_t i = 0; i < dev->vrings; i++)
    dev->queues[i].stepped = stepped;
}

int virtiofs_device_frontend_open(struct virtiofs_device *dev, struct virtiofs_vhost_transport *transport, bool stepped,
                                  struct virtiofs_vhost_backend **out) {
  struct virtiofs_vhost_backend_config config = {
      .transport = transport,
      .events = &events,
      .ctx = dev,
      .log = &dev->log,
      .features = VIRTIOFS_DEVICE_FEATURES,
      .has_config = dev->has_tag,
      .window_len = dev->window.len,
      .vrings = dev->vrings,
  };
  int rc = virtiofs_vhost_backend_new(out, &config);
  if (rc != 0)
    return rc;
  set_stepped(dev, stepped);
  rc = virtiofs_device_window_offer(&dev->window);
  if (rc == 0)
    rc = start_reaper(dev);
  if (rc != 0) {
    virtiofs_session_remove_window(dev->session);
    virtiofs_vhost_backend_free(*out);
    *out = NULL;
    set_stepped(dev, false);
    return rc;
  }
  virtiofs_log_write(&dev->log, VIRTIOFS_LOG_INFO, TAG, "front-end connected");
  return 0;
}

void virtiofs_device_frontend_close(struct virtiofs_device *dev, struct virtiofs_vhost_backend *backend) {
  /* First: queues that stop wait for what it is asked. */
  virtiofs_device_window_stop(&dev->window);
  virtiofs_vhost_backend_free(backend);
  virtiofs_reaper_stop(&dev->reaper);
  virtiofs_session_reset(dev->session);
  virtiofs_session_remove_window(dev->session);
  virtiofs_memory_unref(dev->map);
  dev->map = NULL;
  dev->features = 0;
  set_stepped(dev, false);
  virtiofs_log_write(&dev->log, VIRTIOFS_LOG_INFO, TAG, "front-end gone");
}

static int serve(struct virtiofs_device *dev, struct virtiofs_vhost_socket *sock) {
  struct virtiofs_vhost_backend *backend;
  int fd = sock->fd;
  int rc = virtiofs_device_frontend_open(dev, &sock->transport, false, &backend);
  if (rc != 0)
    return rc;
  rc = talk(dev, backend, fd);
  virtiofs_device_frontend_close(dev, backend);
  return rc;
}

int virtiofs_device_serve(struct virtiofs_device *dev, int take_fd) {
  struct virtiofs_vhost_socket sock;
  virtiofs_device_share_counters(dev, false);
  virtiofs_vhost_socket_init(&sock, take_fd);
  /* The pool stays between front-ends: one of its threads may be stuck in an operation that was answered long ago. */
  if (!dev->pool.started) {
    int rc = virtiofs_pool_start(&dev->pool, dev->pool_threads);
    if (rc != 0) {
      sock.transport.ops->close(&sock.transport);
      return rc;
    }
  }
  return serve(dev, &sock);
}
