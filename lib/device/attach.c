/* SPDX-License-Identifier: BSD-3-Clause */
/* The device in the caller's process: no thread, no socket. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/config.h"
#include "device/device.h"

uint64_t virtiofs_device_features(const struct virtiofs_device *dev) {
  (void)dev;
  return VIRTIOFS_DEVICE_FEATURES;
}

uint32_t virtiofs_device_queues(const struct virtiofs_device *dev) {
  return dev->vrings;
}

int virtiofs_device_config_read(const struct virtiofs_device *dev, uint32_t offset, uint32_t size, void *data) {
  return virtiofs_config_space_read(&dev->config, offset, size, data);
}

void virtiofs_device_wants_reclaim(struct virtiofs_device *dev) {
  atomic_store(&dev->reclaim, true);
  /* Who processes a queue says so before, and looks at this when it has said that it is through. */
  if (atomic_load(&dev->processing) == 0)
    virtiofs_queue_wake(&dev->queues[0]);
}

/* ---- attaching ---- */

static int check_driver(const struct virtiofs_transport_driver *driver) {
  bool fits = (driver->features & ~VIRTIOFS_DEVICE_FEATURES) == 0 &&
              (driver->features & VIRTIOFS_TRANSPORT_F_VERSION_1) != 0 && driver->map != NULL;
  return fits ? 0 : -EINVAL;
}

static int watch(struct virtiofs_device *dev, int fd, uint32_t events) {
  struct epoll_event event = {.events = events};
  return epoll_ctl(dev->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int watch_queues(struct virtiofs_device *dev) {
  int rc = 0;
  dev->poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (dev->poll_fd < 0)
    return -errno;
  for (uint32_t i = 0; rc == 0 && i < dev->vrings; i++)
    rc = watch(dev, virtiofs_queue_ready_fd(&dev->queues[i]), EPOLLIN);
  return rc;
}

static int set_window(struct virtiofs_device *dev, const struct virtiofs_dax_mapper *mapper) {
  if (mapper == NULL)
    return 0;
  struct virtiofs_session_window_config config = {.len = mapper->len,
                                                  .page_shift = mapper->page_shift,
                                                  .max_mappings = mapper->max_mappings,
                                                  .cuts = mapper->cuts,
                                                  .step = mapper->step,
                                                  .close = virtiofs_device_window_close,
                                                  .ctx = mapper->ctx};
  int rc = mapper->step != NULL ? virtiofs_session_set_window(dev->session, &config) : -EINVAL;
  virtiofs_session_use_window(dev->session, rc == 0);
  return rc;
}

static void unwatch_queues(struct virtiofs_device *dev) {
  if (dev->poll_fd >= 0)
    close(dev->poll_fd);
  dev->poll_fd = -1;
}

int virtiofs_device_attach(struct virtiofs_device *dev, const struct virtiofs_transport_driver *given) {
  struct virtiofs_transport_driver driver;
  int rc = virtiofs_config_copy(&driver, sizeof(driver), given, given != NULL ? given->size : 0);
  if (rc == 0)
    rc = check_driver(&driver);
  if (rc == 0 && atomic_load(&dev->attached))
    rc = -EBUSY;
  if (rc == 0 && !dev->pool.started)
    rc = virtiofs_pool_start(&dev->pool, dev->pool_threads);
  if (rc != 0)
    return rc;
  rc = set_window(dev, driver.mapper);
  if (rc == 0)
    rc = watch_queues(dev);
  if (rc != 0) {
    virtiofs_session_remove_window(dev->session);
    unwatch_queues(dev);
    return rc;
  }
  virtiofs_device_share_counters(dev, false);
  dev->driver = driver;
  dev->driver.map = NULL;
  dev->map = virtiofs_memory_ref(driver.map);
  dev->features = driver.features;
  dev->driver.mapper = NULL;
  for (uint32_t i = 0; i < dev->vrings; i++) {
    dev->queues[i].driver_here = &dev->driver;
    dev->queues[i].stepped = true;
  }
  atomic_store(&dev->attached, true);
  return 0;
}

void virtiofs_device_detach(struct virtiofs_device *dev) {
  if (!atomic_load(&dev->attached))
    return;
  for (uint32_t i = 0; i < dev->vrings; i++)
    (void)virtiofs_device_queue_stop(dev, i, NULL);
  virtiofs_session_unmap_window(dev->session);
  virtiofs_session_reset(dev->session);
  virtiofs_session_remove_window(dev->session);
  for (uint32_t i = 0; i < dev->vrings; i++) {
    dev->queues[i].driver_here = NULL;
    dev->queues[i].stepped = false;
  }
  unwatch_queues(dev);
  virtiofs_memory_unref(dev->map);
  dev->map = NULL;
  dev->features = 0;
  atomic_store(&dev->reclaim, false);
  atomic_store(&dev->attached, false);
}

int virtiofs_device_memory(struct virtiofs_device *dev, struct virtiofs_memory *map) {
  if (!atomic_load(&dev->attached) || map == NULL)
    return -EINVAL;
  struct virtiofs_memory *old = dev->map;
  dev->map = virtiofs_memory_ref(map);
  virtiofs_memory_unref(old);
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < dev->vrings; i++) {
    if (dev->queues[i].running)
      rc = virtiofs_queue_memory(&dev->queues[i], map);
  }
  return rc;
}

/* ---- queues ---- */

int virtiofs_device_queue_start(struct virtiofs_device *dev, uint32_t index,
                                const struct virtiofs_transport_queue *given) {
  if (!atomic_load(&dev->attached) || index >= dev->vrings || dev->queues[index].running)
    return -EINVAL;
  struct virtiofs_queue *queue = &dev->queues[index];
  struct virtiofs_queue_setup setup = {
      .num = given->num,
      .base = given->base,
      .features = dev->features,
      .desc = given->desc,
      .driver = given->driver,
      .device = given->device,
      .kick_fd = given->has_kick_fd ? given->kick_fd : -1,
      .call_fd = -1,
      .err_fd = -1,
      .map = dev->map,
  };
  int rc = virtiofs_queue_start(queue, &setup);
  if (rc != 0)
    return rc;
  if (dev->driver.polls)
    virtiofs_virtq_no_kick(queue->vq);
  if (!given->has_kick_fd)
    return 0;
  /* An edge is enough, and nobody has to read it: what was notified before is found in the ring. */
  rc = watch(dev, queue->kick_fd, EPOLLIN | EPOLLET);
  if (rc != 0) {
    (void)virtiofs_queue_stop(queue);
    return rc;
  }
  dev->kick_fds++;
  return 0;
}

int virtiofs_device_queue_stop(struct virtiofs_device *dev, uint32_t index, uint32_t *base) {
  if (!atomic_load(&dev->attached) || index >= dev->vrings || !dev->queues[index].running)
    return -EINVAL;
  struct virtiofs_queue *queue = &dev->queues[index];
  if (queue->kick_fd >= 0) {
    (void)epoll_ctl(dev->poll_fd, EPOLL_CTL_DEL, queue->kick_fd, NULL);
    dev->kick_fds--;
  }
  uint32_t at = virtiofs_queue_stop(queue);
  if (base != NULL)
    *base = at;
  return 0;
}

/* ---- working ---- */

int virtiofs_device_process_queue(struct virtiofs_device *dev, uint32_t index) {
  if (index >= dev->vrings)
    return 0;
  atomic_fetch_add(&dev->processing, 1);
  int done = virtiofs_queue_process(&dev->queues[index]);
  atomic_fetch_sub(&dev->processing, 1);
  if (atomic_load(&dev->reclaim) && atomic_exchange(&dev->reclaim, false)) {
    virtiofs_session_reclaim(dev->session);
    done++;
  }
  return done;
}

int virtiofs_device_process(struct virtiofs_device *dev) {
  struct epoll_event edges[VIRTIOFS_VRINGS_MAX];
  int done = 0;
  /* Before the rings are looked at: what is notified later makes another edge. */
  if (dev->kick_fds != 0)
    (void)epoll_wait(dev->poll_fd, edges, VIRTIOFS_VRINGS_MAX, 0);
  for (uint32_t i = 0; i < dev->vrings; i++)
    done += virtiofs_device_process_queue(dev, i);
  return done;
}

int virtiofs_device_poll_fd(const struct virtiofs_device *dev) {
  return dev->poll_fd;
}

int virtiofs_device_queue_fd(const struct virtiofs_device *dev, uint32_t index) {
  return index < dev->vrings ? virtiofs_queue_ready_fd(&dev->queues[index]) : -1;
}

/* ---- the same as a table ---- */

static uint64_t features(void *device) {
  return virtiofs_device_features(device);
}

static uint32_t queues(void *device) {
  return virtiofs_device_queues(device);
}

static int config(void *device, uint32_t offset, uint32_t size, void *data) {
  return virtiofs_device_config_read(device, offset, size, data);
}

static int start(void *device, const struct virtiofs_transport_driver *driver) {
  return virtiofs_device_attach(device, driver);
}

static int memory(void *device, struct virtiofs_memory *map) {
  return virtiofs_device_memory(device, map);
}

static int queue_start(void *device, uint32_t index, const struct virtiofs_transport_queue *queue) {
  return virtiofs_device_queue_start(device, index, queue);
}

static int queue_stop(void *device, uint32_t index, uint32_t *base) {
  return virtiofs_device_queue_stop(device, index, base);
}

static int process(void *device, uint32_t index) {
  return virtiofs_device_process_queue(device, index);
}

static int queue_fd(void *device, uint32_t index) {
  return virtiofs_device_queue_fd(device, index);
}

static void stop(void *device) {
  virtiofs_device_detach(device);
}

static const struct virtiofs_transport transport = {
    .features = features,
    .queues = queues,
    .config = config,
    .start = start,
    .memory = memory,
    .queue_start = queue_start,
    .queue_stop = queue_stop,
    .process = process,
    .queue_fd = queue_fd,
    .stop = stop,
};

const struct virtiofs_transport *virtiofs_device_transport(void) {
  return &transport;
}
