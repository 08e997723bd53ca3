/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/config.h"

#define MAX_WRITE (1U << 20)
#define WINDOW_PAGE 4096U
#define MIN_WRITE 4096U
#define DEFAULT_NODES (UINT64_C(1) << 20)
#define DEFAULT_HANDLES (UINT64_C(1) << 16)
#define DEFAULT_DRAIN_MS 5000U
#define DEFAULT_BURST_MS 100U
#define BURST_MS_MAX 60000U
#define NS_OF_MS UINT64_C(1000000)
#define RATE_OPS_MAX 10000000U
#define RATE_BYTES_MIN 1024U
#define RATE_BYTES_MAX (UINT64_C(1) << 50)
#define CHARGE_MORE 4096U /* what a request has beside its data counts up to so much */

static void wants_reclaim(void *ctx) {
  struct virtiofs_device *dev = ctx;
  if (atomic_load(&dev->attached) || dev->stepped)
    virtiofs_device_wants_reclaim(dev);
  else
    virtiofs_reaper_wake(&dev->reaper);
}

/* A request that was answered in the backend's place is over at last. */
static void late(void *ctx, struct virtiofs_req *req) {
  struct virtiofs_device *dev = ctx;
  virtiofs_slots_unref(virtiofs_slot_of_req(req)->slots);
  pthread_mutex_lock(&dev->late.lock);
  dev->late.count--;
  pthread_cond_broadcast(&dev->late.changed);
  pthread_mutex_unlock(&dev->late.lock);
}

static bool is_rate(const struct virtiofs_device_config *config) {
  return config->rate_ops <= RATE_OPS_MAX && config->rate_bytes <= RATE_BYTES_MAX &&
         (config->rate_bytes == 0 || config->rate_bytes >= RATE_BYTES_MIN) && config->rate_burst_ms <= BURST_MS_MAX;
}

/* Fills in defaults and checks ranges. */
static int complete_config(struct virtiofs_device_config *config) {
  if (config->request_queues == 0)
    config->request_queues = 1;
  if (config->max_write == 0)
    config->max_write = MAX_WRITE;
  if (config->drain_ms == 0)
    config->drain_ms = DEFAULT_DRAIN_MS;
  if (config->max_nodes == 0)
    config->max_nodes = DEFAULT_NODES;
  if (config->max_handles == 0)
    config->max_handles = DEFAULT_HANDLES;
  if (config->rate_burst_ms == 0)
    config->rate_burst_ms = DEFAULT_BURST_MS;
  if (config->poll_us == 0)
    config->poll_us = VIRTIOFS_POLL_DEFAULT;
  else if (config->poll_us == VIRTIOFS_POLL_NONE)
    config->poll_us = 0;
  if (!is_rate(config) || config->max_in_flight > VIRTIOFS_QUEUE_MAX_SIZE)
    return -EINVAL;
  if (config->ops == NULL || config->request_queues > VIRTIOFS_REQUEST_QUEUES_MAX ||
      config->pool_threads > VIRTIOFS_POOL_MAX || config->max_write < MIN_WRITE || config->max_write > MAX_WRITE ||
      config->poll_us > VIRTIOFS_POLL_MAX || config->window_len % WINDOW_PAGE != 0 ||
      config->max_mappings > VIRTIOFS_DAX_MAPPINGS_MAX || config->max_nodes > VIRTIOFS_IDS_MAX ||
      config->max_handles > VIRTIOFS_IDS_MAX)
    return -EINVAL;
  return 0;
}

static int copy_tap(struct virtiofs_tap *tap, const struct virtiofs_tap *given) {
  if (given == NULL)
    return 0;
  int rc = virtiofs_config_copy(tap, sizeof(*tap), given, given->size);
  return rc == 0 && (tap->request == NULL || tap->reply == NULL) ? -EINVAL : rc;
}

static int make_session(struct virtiofs_device *dev, const struct virtiofs_device_config *config) {
  struct virtiofs_session_config session = {
      .ops = config->ops,
      .fs = config->fs,
      .lanes = dev->vrings,
      .max_write = config->max_write,
      .max_nodes = config->max_nodes,
      .max_handles = config->max_handles,
      .log = config->log,
      .wants_reclaim = wants_reclaim,
      .late = late,
      .ctx = dev,
  };
  return virtiofs_session_new(&dev->session, &session);
}

static int make_queues(struct virtiofs_device *dev, const struct virtiofs_device_config *config) {
  for (uint32_t i = 0; i < dev->vrings; i++) {
    struct virtiofs_queue *queue = &dev->queues[i];
    queue->session = dev->session;
    queue->pool = config->pool_threads != 0 ? &dev->pool : NULL;
    queue->log = &dev->log;
    queue->tap = config->tap != NULL ? &dev->tap : NULL;
    queue->tap_ctx = config->tap_ctx;
    queue->late = &dev->late;
    queue->rate = i != VIRTIOFS_LANE_HIPRIO ? dev->rate : NULL;
    queue->max_in_flight = i != VIRTIOFS_LANE_HIPRIO ? config->max_in_flight : 0;
    queue->charge_max = config->max_write + CHARGE_MORE;
    queue->index = i;
    queue->drain_ms = config->drain_ms;
    queue->poll_us = config->poll_us;
    (void)snprintf(queue->tag, sizeof(queue->tag), "vq%u", i % 1000);
    int rc = virtiofs_counters_new(&queue->counters, config->timed);
    if (rc == 0)
      rc = virtiofs_queue_init(queue);
    if (rc != 0)
      return rc;
  }
  return 0;
}

int virtiofs_device_new(struct virtiofs_device **out, const struct virtiofs_device_config *given) {
  struct virtiofs_device_config config;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc == 0)
    rc = complete_config(&config);
  if (rc != 0)
    return rc;
  struct virtiofs_device *dev = calloc(1, sizeof(*dev));
  if (dev == NULL)
    return -ENOMEM;
  dev->log = config.log;
  dev->has_tap = config.tap != NULL;
  dev->tap_ctx = config.tap_ctx;
  dev->has_tag = config.tag != NULL;
  dev->pool_threads = config.pool_threads;
  dev->max_write = config.max_write;
  dev->drain_ms = config.drain_ms;
  dev->max_in_flight = config.max_in_flight;
  dev->vrings = 1 + config.request_queues;
  dev->poll_fd = -1;
  /* Not made yet, which is not descriptor 0. */
  for (uint32_t i = 0; i < dev->vrings; i++)
    dev->queues[i].wake_fd = -1;
  pthread_mutex_init(&dev->late.lock, NULL);
  pthread_cond_init(&dev->late.changed, NULL);
  dev->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  rc = dev->stop_fd >= 0 ? 0 : -errno;
  if (rc == 0)
    rc = copy_tap(&dev->tap, config.tap);
  if (rc == 0)
    rc = virtiofs_config_space_init(&dev->config, config.tag, config.request_queues);
  if (rc == 0)
    rc = make_session(dev, &config);
  virtiofs_reaper_init(&dev->reaper, dev->session);
  virtiofs_device_window_init(&dev->window, dev->session, &dev->log);
  dev->window.len = config.window_len;
  dev->window.max_mappings = config.max_mappings;
  if (rc == 0 && (config.rate_ops != 0 || config.rate_bytes != 0))
    rc = virtiofs_rate_new(&dev->rate, config.rate_ops, config.rate_bytes, (uint64_t)config.rate_burst_ms * NS_OF_MS);
  if (rc == 0)
    rc = make_queues(dev, &config);
  if (rc != 0) {
    virtiofs_device_free(dev);
    return rc;
  }
  *out = dev;
  return 0;
}

void virtiofs_device_share_counters(struct virtiofs_device *dev, bool shared) {
  for (uint32_t i = 0; i < dev->vrings; i++)
    dev->queues[i].counters->shared = shared;
}

void virtiofs_device_stop(struct virtiofs_device *dev) {
  int before = errno;
  uint64_t one = 1;
  atomic_store(&dev->stopped, true);
  ssize_t written = write(dev->stop_fd, &one, sizeof(one));
  (void)written;
  errno = before;
}

bool virtiofs_device_stopped(const struct virtiofs_device *dev) {
  return atomic_load(&dev->stopped);
}

int virtiofs_device_stop_fd(const struct virtiofs_device *dev) {
  return dev->stop_fd;
}

void virtiofs_device_free(struct virtiofs_device *dev) {
  if (dev == NULL)
    return;
  virtiofs_device_detach(dev);
  pthread_mutex_lock(&dev->late.lock);
  while (dev->late.count != 0)
    pthread_cond_wait(&dev->late.changed, &dev->late.lock);
  pthread_mutex_unlock(&dev->late.lock);
  virtiofs_pool_stop(&dev->pool);
  virtiofs_device_free_mounts(dev);
  virtiofs_session_free(dev->session);
  virtiofs_device_window_fini(&dev->window);
  virtiofs_reaper_fini(&dev->reaper);
  for (uint32_t i = 0; i < dev->vrings; i++) {
    virtiofs_queue_fini(&dev->queues[i]);
    virtiofs_counters_free(dev->queues[i].counters);
  }
  virtiofs_rate_free(dev->rate);
  if (dev->stop_fd >= 0)
    close(dev->stop_fd);
  pthread_cond_destroy(&dev->late.changed);
  pthread_mutex_destroy(&dev->late.lock);
  free(dev);
}
