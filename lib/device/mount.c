/* SPDX-License-Identifier: BSD-3-Clause */
/* The device served to this host's kernel: one worker a channel of /dev/fuse. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/fusedev.h>

#include "base/config.h"
#include "base/probe.h"
#include "device/clock.h"
#include "device/device.h"
#include "device/thread.h"

#define TAG "mount"
#define SECOND UINT64_C(1000000000)

struct virtiofs_host;

/* One channel, which is a lane of the session. */
struct worker {
  struct virtiofs_host *host;
  struct virtiofs_fusedev_channel *channel;
  uint32_t lane;
  atomic_uint in_flight;
  atomic_bool starved; /* all messages are in flight */
  int wake_fd;
  bool running;
  pthread_t thread;
};

/* A mount that is served. What was answered in the backend's place may keep it until the device is freed. */
struct virtiofs_host {
  struct virtiofs_device *dev;
  struct virtiofs_fusedev *mount;
  struct virtiofs_host *next;
  int end_fd;       /* readable: workers have to end */
  int gone_fd;      /* readable: the connection has ended */
  atomic_bool ends; /* @idle is waited for */
  sem_t idle;       /* posted when a lane has nothing in flight any more */
  atomic_int error; /* why the connection has ended */
  uint32_t count, abandoned;
  struct worker workers[VIRTIOFS_REQUEST_QUEUES_MAX];
};

/* A request: the message's own data. */
struct item {
  struct virtiofs_slot slot;
  struct worker *worker;
};

static void ring(int fd) {
  uint64_t one = 1;
  ssize_t written = write(fd, &one, sizeof(one));
  (void)written; /* a full counter rings too */
}

static void count(const struct item *item, const struct virtiofs_message *msg, size_t used) {
  const struct virtiofs_slot *slot = &item->slot;
  struct virtiofs_counters *counters = item->worker->host->dev->queues[item->worker->lane].counters;
  struct virtiofs_counted counted = {.opcode = virtiofs_session_opcode(&slot->req),
                                     .error = virtiofs_session_error(&slot->req),
                                     .in_bytes = msg->in_len,
                                     .out_bytes = used,
                                     .ns = counters->timed ? virtiofs_clock_ns() - slot->taken_ns : 0};
  virtiofs_counters_give(counters, &counted);
}

/* Completion; any thread. */
static void complete(struct virtiofs_message *msg, size_t used) {
  struct item *item = virtiofs_fusedev_message_data(msg);
  struct worker *worker = item->worker;
  struct virtiofs_host *host = worker->host;
  struct virtiofs_device *dev = host->dev;
  atomic_fetch_add(&dev->completing, 1);
  if (dev->has_tap)
    dev->tap.reply(dev->tap_ctx, worker->lane, msg, used, item->slot.token);
  count(item, msg, used);
  if (dev->rate != NULL) /* the kernel says of no reply how large it may be */
    virtiofs_rate_take(&dev->rate->bytes, virtiofs_clock_ns(), used);
  virtiofs_fusedev_reply(msg, used);
  if (virtiofs_session_abandoned(&item->slot.req)) {
    pthread_mutex_lock(&dev->late.lock);
    dev->late.count++;
    host->abandoned++;
    pthread_mutex_unlock(&dev->late.lock);
  } else {
    virtiofs_fusedev_message_free(msg);
    if (atomic_load(&worker->starved))
      ring(worker->wake_fd);
  }
  if (atomic_fetch_sub(&worker->in_flight, 1) == 1 && atomic_load(&host->ends))
    sem_post(&host->idle);
  atomic_fetch_sub(&dev->completing, 1);
}

static void submit(struct worker *worker, struct virtiofs_message *msg) {
  struct virtiofs_device *dev = worker->host->dev;
  struct item *item = virtiofs_fusedev_message_data(msg);
  item->worker = worker;
  item->slot.slots = NULL;
  msg->complete = complete;
  struct virtiofs_counters *counters = dev->queues[worker->lane].counters;
  virtiofs_counters_take(counters);
  VIRTIOFS_PROBE_TAKE(worker->lane, msg, msg->in_len, msg->out_len);
  if (dev->rate != NULL) {
    uint64_t now = virtiofs_clock_ns();
    virtiofs_rate_take(&dev->rate->ops, now, 1);
    virtiofs_rate_take(&dev->rate->bytes, now, msg->in_len);
  }
  item->slot.taken_ns = counters->timed ? virtiofs_clock_ns() : 0;
  if (dev->has_tap)
    item->slot.token = dev->tap.request(dev->tap_ctx, worker->lane, msg);
  atomic_fetch_add(&worker->in_flight, 1);
  /* Other workers may be waiting for the one that this one would have to read. */
  bool defer = dev->pool_threads != 0;
  if (virtiofs_session_submit(dev->session, worker->lane, &item->slot.req, msg, defer) == VIRTIOFS_SUBMIT_DEFER)
    virtiofs_pool_run(&dev->pool, &item->slot);
}

/* Sleeps until there is a request, or a message for one, or the end: false. */
static bool wait(struct worker *worker, bool starved) {
  int fd = starved ? worker->wake_fd : virtiofs_fusedev_channel_fd(worker->channel);
  struct pollfd fds[2] = {{.fd = worker->host->end_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  uint64_t count;
  while (poll(fds, 2, -1) < 0)
    continue;
  if (starved && fds[1].revents != 0 && read(fd, &count, sizeof(count)) < 0)
    return true; /* somebody will ring again */
  return fds[0].revents == 0;
}

/* Until the device's rate lets something be read. False: the end. */
static bool wait_turn(const struct worker *worker) {
  const struct virtiofs_device *dev = worker->host->dev;
  struct pollfd end = {.fd = worker->host->end_fd, .events = POLLIN};
  uint64_t wait;
  while (dev->rate != NULL &&
         (wait = virtiofs_rate_wait(dev->rate, virtiofs_clock_ns(), virtiofs_session_running(dev->session))) != 0) {
    struct timespec most = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)};
    if (ppoll(&end, 1, &most, NULL) > 0)
      return false;
    virtiofs_counters_delay(dev->queues[worker->lane].counters, wait);
  }
  return true;
}

static void *work(void *arg) {
  struct worker *worker = arg;
  struct virtiofs_host *host = worker->host;
  int rc = 0;
  for (bool on = true; on && !atomic_load(&host->ends);) {
    struct virtiofs_message *msg;
    if (!wait_turn(worker))
      break;
    rc = virtiofs_fusedev_read(worker->channel, &msg);
    if (rc == -ENOBUFS) {
      /* Look again: one may have come back before we said that we wait. */
      atomic_store(&worker->starved, true);
      rc = virtiofs_fusedev_read(worker->channel, &msg);
    }
    if (rc > 0)
      submit(worker, msg);
    else if (rc == 0 || rc == -ENOBUFS)
      on = wait(worker, rc == -ENOBUFS);
    else
      break;
    if (rc != -ENOBUFS)
      atomic_store(&worker->starved, false);
  }
  if (rc < 0 && rc != -ENOBUFS) {
    if (rc != -ENODEV)
      atomic_store(&host->error, rc);
    ring(host->gone_fd);
  }
  return NULL;
}

static int start_worker(struct virtiofs_host *host, uint32_t i) {
  struct worker *worker = &host->workers[i];
  char name[16];
  worker->host = host;
  worker->lane = i + 1;
  worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (worker->wake_fd < 0)
    return -errno;
  int rc = virtiofs_fusedev_channel_new(&worker->channel, host->mount);
  (void)snprintf(name, sizeof(name), "vfs-mount%u", i % 100);
  if (rc == 0)
    rc = virtiofs_thread_start(&worker->thread, name, work, worker);
  worker->running = rc == 0;
  return rc;
}

static struct timespec deadline_of(const struct virtiofs_device *dev) {
  struct timespec when;
  clock_gettime(CLOCK_REALTIME, &when);
  when.tv_sec += dev->drain_ms / 1000;
  when.tv_nsec += (long)(dev->drain_ms % 1000) * 1000000L;
  if (when.tv_nsec >= 1000000000L) {
    when.tv_sec++;
    when.tv_nsec -= 1000000000L;
  }
  return when;
}

/* Tells what is pending that it isn't wanted. How much there is. */
static uint32_t cancel(struct virtiofs_host *host) {
  uint32_t in_flight = 0;
  for (uint32_t i = 0; i < host->count; i++) {
    virtiofs_session_cancel(host->dev->session, host->workers[i].lane);
    in_flight += atomic_load(&host->workers[i].in_flight);
  }
  return in_flight;
}

/* Until nothing is in flight. After the deadline answers are given in the backend's place, as often as it takes. */
static void drain(struct virtiofs_host *host) {
  struct virtiofs_device *dev = host->dev;
  struct timespec deadline = deadline_of(dev);
  while (cancel(host) != 0) {
    if (sem_timedwait(&host->idle, &deadline) == 0 || errno != ETIMEDOUT)
      continue;
    virtiofs_log_write(&dev->log, VIRTIOFS_LOG_WARN, TAG,
                       "requests are not given up after %u ms; answering in their place", dev->drain_ms);
    for (uint32_t i = 0; i < host->count; i++)
      virtiofs_session_abandon(dev->session, host->workers[i].lane);
    deadline = deadline_of(dev);
  }
}

/* Workers take what the kernel has to say to an unmount, and nothing after that. */
static void stop_workers(struct virtiofs_host *host) {
  atomic_store(&host->ends, true);
  ring(host->end_fd);
  drain(host);
  for (uint32_t i = 0; i < host->count; i++)
    if (host->workers[i].running)
      pthread_join(host->workers[i].thread, NULL);
  /* What a worker was just reading. */
  drain(host);
  while (atomic_load(&host->dev->completing) != 0)
    sched_yield();
}

static void host_free(struct virtiofs_host *host) {
  for (uint32_t i = 0; i < host->count; i++) {
    virtiofs_fusedev_channel_free(host->workers[i].channel);
    if (host->workers[i].wake_fd >= 0)
      close(host->workers[i].wake_fd);
  }
  if (host->end_fd >= 0)
    close(host->end_fd);
  if (host->gone_fd >= 0)
    close(host->gone_fd);
  sem_destroy(&host->idle);
  free(host);
}

void virtiofs_device_free_mounts(struct virtiofs_device *dev) {
  while (dev->left != NULL) {
    struct virtiofs_host *host = dev->left;
    dev->left = host->next;
    host_free(host);
  }
}

/* The connection ends here at the latest: who still has a file open there gets ENOTCONN. */
static void leave(struct virtiofs_host *host) {
  struct virtiofs_device *dev = host->dev;
  stop_workers(host);
  for (uint32_t i = 0; i < host->count; i++)
    if (host->workers[i].channel != NULL)
      virtiofs_fusedev_channel_close(host->workers[i].channel);
  virtiofs_fusedev_free(host->mount);
  virtiofs_reaper_stop(&dev->reaper);
  virtiofs_session_reset(dev->session);
  pthread_mutex_lock(&dev->late.lock);
  bool kept = host->abandoned != 0;
  pthread_mutex_unlock(&dev->late.lock);
  if (!kept) {
    host_free(host);
    return;
  }
  host->next = dev->left;
  dev->left = host;
}

static int wait_for_end(struct virtiofs_host *host) {
  struct virtiofs_device *dev = host->dev;
  struct pollfd fds[2] = {{.fd = dev->stop_fd, .events = POLLIN}, {.fd = host->gone_fd, .events = POLLIN}};
  while (poll(fds, 2, -1) < 0)
    continue;
  if (fds[1].revents != 0)
    return atomic_load(&host->error);
  if (virtiofs_fusedev_unmount(host->mount) == -EBUSY)
    virtiofs_log_write(&dev->log, VIRTIOFS_LOG_WARN, TAG, "somebody uses files there; cutting them off");
  return -ECANCELED;
}

static int host_new(struct virtiofs_host **out, struct virtiofs_device *dev) {
  struct virtiofs_host *host = calloc(1, sizeof(*host));
  *out = host;
  if (host == NULL)
    return -ENOMEM;
  host->dev = dev;
  for (uint32_t i = 0; i < VIRTIOFS_REQUEST_QUEUES_MAX; i++)
    host->workers[i].wake_fd = -1;
  sem_init(&host->idle, 0, 0);
  host->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  host->gone_fd = host->end_fd >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
  return host->gone_fd >= 0 ? 0 : -errno;
}

int virtiofs_device_mount(struct virtiofs_device *dev, const struct virtiofs_fusedev_config *given) {
  struct virtiofs_fusedev_config config;
  struct virtiofs_host *host;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc != 0)
    return rc;
  config.size = sizeof(config);
  config.max_write = dev->max_write;
  config.message_data = sizeof(struct item);
  if (dev->max_in_flight != 0)
    config.messages = dev->max_in_flight;
  virtiofs_device_share_counters(dev, true);
  if (!dev->pool.started)
    rc = virtiofs_pool_start(&dev->pool, dev->pool_threads);
  if (rc == 0)
    rc = virtiofs_reaper_start(&dev->reaper);
  if (rc != 0)
    return rc;
  rc = host_new(&host, dev);
  if (rc == 0)
    rc = virtiofs_fusedev_new(&host->mount, &config);
  for (uint32_t i = 0; rc == 0 && i < dev->vrings - 1; i++) {
    host->count++;
    rc = start_worker(host, i);
  }
  if (rc == 0) {
    virtiofs_log_write(&dev->log, VIRTIOFS_LOG_INFO, TAG, "mounted at %s", config.mountpoint);
    rc = wait_for_end(host);
  }
  if (host != NULL)
    leave(host);
  else
    virtiofs_reaper_stop(&dev->reaper);
  return rc;
}
