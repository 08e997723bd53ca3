/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/share.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtiofs/stats.h>

#include "daemon/listen.h"
#include "daemon/metrics.h"
#include "daemon/record.h"

#define TAG "daemon"
#define MOUNT_THREADS 4U

enum { TAG_MAX = 96, COMPLAINT_MAX = 256 };

struct virtiofs_daemon_share {
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_log log; /* its own: with its name before */
  int level;               /* of what it says; by atomic loads and stores */
  struct virtiofs_daemon_listener listener;
  struct virtiofs_daemon_record *record; /* NULL: none */
  atomic_bool started;                   /* what the program has begun it has to end */
  void *fs;                              /* what its start has left */
  atomic_flag complained;
  char complaint[COMPLAINT_MAX];

  pthread_mutex_t lock; /* of what follows */
  struct virtiofs_device *dev;
  bool stopped, draining, connected;
  struct virtiofs_daemon_source source; /* of numbers about it */
};

/* ---- What it says ---- */

/* The name first, so that lines of several shares can be told apart, and looked for. */
static void log_named(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args)
    VIRTIOFS_PRINTF(4, 0);

static void log_named(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  struct virtiofs_daemon_share *share = ctx;
  char full[TAG_MAX];
  if (level == VIRTIOFS_LOG_ERROR && !share->started && !atomic_flag_test_and_set(&share->complained)) {
    va_list again;
    va_copy(again, args);
    (void)vsnprintf(share->complaint, sizeof(share->complaint), format, again);
    va_end(again);
  }
  (void)snprintf(full, sizeof(full), "%s/%s", share->setup.name, tag);
  if (share->setup.log.fn != NULL)
    share->setup.log.fn(share->setup.log.ctx, level, full, format, args);
}

static void set_log(struct virtiofs_daemon_share *share) {
  share->log = share->setup.log;
  share->level = (int)share->setup.log.level;
  if (share->setup.name != NULL)
    share->log = (struct virtiofs_log){.fn = log_named, .ctx = share, .current = &share->level};
}

static void say(struct virtiofs_daemon_share *share, const char *format, ...) VIRTIOFS_PRINTF(2, 3);

/* Of the only share it is said as of the program. */
static void say(struct virtiofs_daemon_share *share, const char *format, ...) {
  char text[COMPLAINT_MAX];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (share->setup.name == NULL)
    (void)fprintf(stderr, "%s: %s\n", share->setup.program, text);
  else
    virtiofs_log_write(&share->log, VIRTIOFS_LOG_ERROR, TAG, "%s", text);
}

void virtiofs_daemon_share_level(struct virtiofs_daemon_share *share, enum virtiofs_log_level level) {
  __atomic_store_n(&share->level, (int)level, __ATOMIC_RELAXED);
}

const char *virtiofs_daemon_share_complaint(const struct virtiofs_daemon_share *share) {
  return share->complaint;
}

/* ---- Its life ---- */

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
                                     &share->log);
}

int virtiofs_daemon_share_open(struct virtiofs_daemon_share **out, const struct virtiofs_daemon_share_setup *setup) {
  *out = NULL;
  struct virtiofs_daemon_share *share = calloc(1, sizeof(*share));
  if (share == NULL) {
    (void)fprintf(stderr, "%s: no memory\n", setup->program);
    return -ENOMEM;
  }
  pthread_mutex_init(&share->lock, NULL);
  share->setup = *setup;
  share->listener = (struct virtiofs_daemon_listener){.fd = -1, .lock_fd = -1};
  set_log(share);
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
  struct virtiofs_device *dev;
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
      .max_mappings = limits->max_mappings,
      .max_in_flight = limits->max_in_flight,
      .rate_ops = limits->rate_ops,
      .rate_bytes = limits->rate_bytes,
      .rate_burst_ms = limits->rate_burst_ms,
      .timed = virtiofs_daemon_metrics_wanted(share->setup.metrics),
      .log = share->log,
      .tap = share->record != NULL ? &virtiofs_daemon_record_tap : NULL,
      .tap_ctx = share->record,
  };
  int rc = virtiofs_device_new(&dev, &device);
  if (rc != 0) {
    say(share, "cannot make the device: %s", strerror(-rc));
    return rc;
  }
  pthread_mutex_lock(&share->lock);
  share->dev = dev;
  if (share->stopped)
    virtiofs_device_stop(dev);
  pthread_mutex_unlock(&share->lock);
  return 0;
}

static const char *name_of(const struct virtiofs_daemon_share_setup *setup) {
  const struct virtiofs_daemon_options *options = setup->options;
  if (setup->name != NULL)
    return setup->name;
  if (options->tag != NULL)
    return options->tag;
  const char *path = options->socket_path != NULL ? options->socket_path : options->mountpoint;
  return path != NULL ? path : "";
}

static void begin_to_tell(struct virtiofs_daemon_share *share) {
  share->source = (struct virtiofs_daemon_source){
      .share = name_of(&share->setup), .dev = share->dev, .metrics = share->setup.config->metrics, .fs = share->fs};
  virtiofs_daemon_metrics_add(share->setup.metrics, &share->source);
}

int virtiofs_daemon_share_start(struct virtiofs_daemon_share *share) {
  const struct virtiofs_daemon_config *config = share->setup.config;
  share->fs = share->setup.fs;
  int rc = config->start != NULL ? config->start(&share->fs, &share->log) : 0;
  share->started = rc == 0;
  if (rc == 0)
    rc = make_device(share);
  if (rc == 0)
    begin_to_tell(share);
  return rc;
}

/* False: it is to end, and nobody may come any more. */
static bool set_connected(struct virtiofs_daemon_share *share, bool connected) {
  pthread_mutex_lock(&share->lock);
  bool goes_on = !share->draining && !share->stopped;
  share->connected = connected && goes_on;
  pthread_mutex_unlock(&share->lock);
  return goes_on;
}

static int serve_one(struct virtiofs_daemon_share *share, int fd) {
  if (!set_connected(share, true)) {
    close(fd);
    return -ECANCELED;
  }
  int rc = virtiofs_device_serve(share->dev, fd);
  return set_connected(share, false) ? rc : -ECANCELED;
}

/* Front-ends, one after the other; or one alone. */
static int serve_all(struct virtiofs_daemon_share *share) {
  struct virtiofs_daemon_listener *listener = &share->listener;
  if (listener->connected) {
    int fd = listener->fd;
    listener->fd = -1;
    return serve_one(share, fd);
  }
  for (;;) {
    int fd = virtiofs_daemon_accept(listener, virtiofs_device_stop_fd(share->dev));
    if (fd < 0)
      return fd;
    int rc = serve_one(share, fd);
    if (rc == -ECANCELED)
      return rc;
    if (rc != 0)
      virtiofs_log_write(&share->log, VIRTIOFS_LOG_WARN, TAG, "connection ended: %s", strerror(-rc));
    if (share->setup.options->once)
      return rc;
  }
}

static int serve_mount(struct virtiofs_daemon_share *share) {
  const char *mountpoint = share->setup.options->mountpoint;
  struct virtiofs_fusedev_config mount = {
      .size = sizeof(mount), .mountpoint = mountpoint, .source = share->setup.program};
  if (!set_connected(share, true))
    return -ECANCELED;
  int rc = virtiofs_device_mount(share->dev, &mount);
  (void)set_connected(share, false);
  if (rc != 0 && rc != -ECANCELED)
    say(share, "cannot mount at '%s': %s", mountpoint, strerror(-rc));
  return rc;
}

int virtiofs_daemon_share_serve(struct virtiofs_daemon_share *share) {
  int rc;
  if (share->setup.name != NULL)
    virtiofs_log_write(&share->log, VIRTIOFS_LOG_INFO, TAG, "started");
  if (share->setup.options->mountpoint != NULL) {
    rc = serve_mount(share);
  } else {
    rc = serve_all(share);
    if (rc != 0 && rc != -ECANCELED)
      say(share, "cannot go on: %s", strerror(-rc));
  }
  if (share->setup.name != NULL)
    virtiofs_log_write(&share->log, VIRTIOFS_LOG_INFO, TAG, "ended");
  return rc == -ECANCELED ? 0 : rc;
}

void virtiofs_daemon_share_stop(struct virtiofs_daemon_share *share) {
  pthread_mutex_lock(&share->lock);
  share->stopped = true;
  if (share->dev != NULL)
    virtiofs_device_stop(share->dev);
  pthread_mutex_unlock(&share->lock);
}

void virtiofs_daemon_share_drain(struct virtiofs_daemon_share *share) {
  pthread_mutex_lock(&share->lock);
  share->draining = true;
  bool busy = share->connected;
  /* Who would wait for a turn that doesn't come is told so. */
  if (busy && share->listener.fd >= 0)
    (void)shutdown(share->listener.fd, SHUT_RDWR);
  pthread_mutex_unlock(&share->lock);
  if (!busy)
    virtiofs_daemon_share_stop(share);
}

void virtiofs_daemon_share_info(struct virtiofs_daemon_share *share, struct virtiofs_daemon_share_info *info) {
  struct virtiofs_stats_usage usage = {0};
  pthread_mutex_lock(&share->lock);
  *info = (struct virtiofs_daemon_share_info){
      .connected = share->connected,
      .draining = share->draining,
      .level = (enum virtiofs_log_level)__atomic_load_n(&share->level, __ATOMIC_RELAXED)};
  if (share->dev != NULL)
    virtiofs_stats_read_usage(share->dev, &usage, sizeof(usage));
  info->nodes = usage.nodes;
  info->handles = usage.handles;
  pthread_mutex_unlock(&share->lock);
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
  pthread_mutex_destroy(&share->lock);
  free(share);
}
