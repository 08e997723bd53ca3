/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/listen.h"
#include "daemon/metrics.h"
#include "daemon/record.h"

#define TAG "daemon"
#define MOUNT_THREADS 4U

struct virtiofs_daemon_share {
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_daemon_listener listener;
  struct virtiofs_daemon_record *record; /* NULL: none */
  bool started;                          /* what the program has begun it has to end */
  void *fs;                              /* what its start has left */
  struct virtiofs_device *dev;
  struct virtiofs_daemon_source source; /* of numbers about it */
};

/* Where it lies need not be a place that the program can write to later. */
static int open_listener(struct virtiofs_daemon_share *share) {
  const struct virtiofs_daemon_options *options = share->setup.options;
  if (options->socket_path != NULL)
    return virtiofs_daemon_listen_path(&share->listener, share->setup.program, options->socket_path,
                                       options->socket_group);
  if (options->fd >= 0)
    return virtiofs_daemon_listen_fd(&share->listener, share->setup.program, options->fd);
  return 0;
}

static int open_record(struct virtiofs_daemon_share *share) {
  const struct virtiofs_daemon_options *options = share->setup.options;
  if (options->record == NULL)
    return 0;
  return virtiofs_daemon_record_open(&share->record, share->setup.program, options->record, options->record_data,
                                     &share->setup.log);
}

int virtiofs_daemon_share_open(struct virtiofs_daemon_share **out, const struct virtiofs_daemon_share_setup *setup) {
  *out = NULL;
  struct virtiofs_daemon_share *share = calloc(1, sizeof(*share));
  if (share == NULL) {
    (void)fprintf(stderr, "%s: no memory\n", setup->program);
    return -ENOMEM;
  }
  share->setup = *setup;
  share->listener = (struct virtiofs_daemon_listener){.fd = -1, .lock_fd = -1};
  int rc = open_record(share);
  if (rc == 0)
    rc = open_listener(share);
  if (rc != 0) {
    virtiofs_daemon_share_free(share);
    return rc;
  }
  *out = share;
  return 0;
}

void virtiofs_daemon_share_inside(struct virtiofs_daemon_share *share) {
  virtiofs_daemon_listen_inside(&share->listener);
}

void virtiofs_daemon_share_outside(struct virtiofs_daemon_share *share) {
  virtiofs_daemon_listen_outside(&share->listener);
  virtiofs_daemon_record_close(share->record);
  share->record = NULL;
}

static int make_device(struct virtiofs_daemon_share *share) {
  const struct virtiofs_daemon_options *options = share->setup.options;
  const struct virtiofs_daemon_limits *limits = &options->limits;
  struct virtiofs_device_config device = {
      .size = sizeof(device),
      .ops = share->setup.ops,
      .fs = share->fs,
      .tag = options->tag,
      .request_queues = options->queues != 0 || options->mountpoint == NULL ? options->queues : MOUNT_THREADS,
      .pool_threads = options->pool_threads,
      .poll_us = options->poll_us,
      .window_len = options->cache_size,
      .max_nodes = limits->max_inodes != 0 ? limits->max_inodes : share->setup.config->max_nodes,
      .max_handles = limits->max_handles != 0 ? limits->max_handles : share->setup.config->max_handles,
      .max_in_flight = limits->max_in_flight,
      .rate_ops = limits->rate_ops,
      .rate_bytes = limits->rate_bytes,
      .rate_burst_ms = limits->rate_burst_ms,
      .timed = virtiofs_daemon_metrics_wanted(share->setup.metrics),
      .log = share->setup.log,
      .tap = share->record != NULL ? &virtiofs_daemon_record_tap : NULL,
      .tap_ctx = share->record,
  };
  int rc = virtiofs_device_new(&share->dev, &device);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot make the device: %s\n", share->setup.program, strerror(-rc));
  return rc;
}

static const char *name_of(const struct virtiofs_daemon_options *options) {
  if (options->tag != NULL)
    return options->tag;
  const char *path = options->socket_path != NULL ? options->socket_path : options->mountpoint;
  return path != NULL ? path : "";
}

static void begin_to_tell(struct virtiofs_daemon_share *share) {
  share->source = (struct virtiofs_daemon_source){.share = name_of(share->setup.options),
                                                  .dev = share->dev,
                                                  .metrics = share->setup.config->metrics,
                                                  .fs = share->fs};
  virtiofs_daemon_metrics_add(share->setup.metrics, &share->source);
}

int virtiofs_daemon_share_start(struct virtiofs_daemon_share *share) {
  const struct virtiofs_daemon_config *config = share->setup.config;
  share->fs = share->setup.fs;
  int rc = config->start != NULL ? config->start(&share->fs, &share->setup.log) : 0;
  share->started = rc == 0;
  if (rc == 0)
    rc = make_device(share);
  if (rc == 0)
    begin_to_tell(share);
  return rc;
}

/* Front-ends, one after the other; or one alone. */
static int serve_all(struct virtiofs_daemon_share *share) {
  struct virtiofs_daemon_listener *listener = &share->listener;
  if (listener->connected) {
    int fd = listener->fd;
    listener->fd = -1;
    return virtiofs_device_serve(share->dev, fd);
  }
  for (;;) {
    int fd = virtiofs_daemon_accept(listener, virtiofs_device_stop_fd(share->dev));
    if (fd < 0)
      return fd;
    int rc = virtiofs_device_serve(share->dev, fd);
    if (rc == -ECANCELED)
      return rc;
    if (rc != 0)
      virtiofs_log_write(&share->setup.log, VIRTIOFS_LOG_WARN, TAG, "connection ended: %s", strerror(-rc));
    if (share->setup.options->once)
      return rc;
  }
}

static int serve_mount(struct virtiofs_daemon_share *share) {
  const char *mountpoint = share->setup.options->mountpoint;
  struct virtiofs_fusedev_config mount = {
      .size = sizeof(mount), .mountpoint = mountpoint, .source = share->setup.program};
  int rc = virtiofs_device_mount(share->dev, &mount);
  if (rc != 0 && rc != -ECANCELED)
    (void)fprintf(stderr, "%s: cannot mount at '%s': %s\n", share->setup.program, mountpoint, strerror(-rc));
  return rc;
}

int virtiofs_daemon_share_serve(struct virtiofs_daemon_share *share) {
  int rc;
  if (share->setup.options->mountpoint != NULL) {
    rc = serve_mount(share);
  } else {
    rc = serve_all(share);
    if (rc != 0 && rc != -ECANCELED)
      (void)fprintf(stderr, "%s: cannot go on: %s\n", share->setup.program, strerror(-rc));
  }
  return rc == -ECANCELED ? 0 : rc;
}

void virtiofs_daemon_share_stop(struct virtiofs_daemon_share *share) {
  virtiofs_device_stop(share->dev);
}

void virtiofs_daemon_share_free(struct virtiofs_daemon_share *share) {
  if (share == NULL)
    return;
  virtiofs_daemon_metrics_remove(share->setup.metrics, &share->source);
  virtiofs_device_free(share->dev);
  if (share->started && share->setup.config->stop != NULL)
    share->setup.config->stop(share->fs);
  virtiofs_daemon_listen_end(&share->listener);
  virtiofs_daemon_record_close(share->record);
  free(share);
}
