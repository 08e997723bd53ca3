/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost/vring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <virtiofs/virtq.h>

static void fd_close(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static void say(const struct virtiofs_vhost_vrings *vrings, enum virtiofs_log_level level, uint32_t index,
                const char *what) {
  char tag[16];
  (void)snprintf(tag, sizeof tag, "vq%u", (unsigned)index);
  virtiofs_log_write(vrings->log, level, tag, "%s", what);
}

/* The guest decides where its rings are, so it can cause this line as often as it likes. */
static void say_not_started(struct virtiofs_vhost_vrings *vrings, uint32_t index, const char *why) {
  uint64_t times;
  if (virtiofs_log_limit_pass(&vrings->not_started, &times))
    say(vrings, VIRTIOFS_LOG_WARN, index, why);
}

/* Who isn't ready to be written to knows already, or doesn't listen. */
static void signal_error(int fd) {
  struct pollfd pfd = {.fd = fd, .events = POLLOUT};
  uint64_t one = 1;
  if (fd < 0 || poll(&pfd, 1, 0) <= 0 || pfd.revents != POLLOUT)
    return;
  ssize_t written = write(fd, &one, sizeof one);
  (void)written;
}

/* The ring can't run as the guest has set it up: said by its err descriptor, once until it has run or was stopped. */
static void fail(struct virtiofs_vhost_vring *ring) {
  if (!ring->failed)
    signal_error(ring->err_fd);
  ring->failed = true;
}

static bool is_complete(const struct virtiofs_vhost_vring *ring) {
  return ring->started && ring->enabled && ring->num != 0 && ring->have_addr;
}

static bool lies_in(const struct virtiofs_vhost_vrings *vrings, const struct virtiofs_vhost_vring *ring,
                    const struct virtiofs_memory *map) {
  uint64_t features = vrings->features;
  return map != NULL && virtiofs_memory_uva(map, ring->desc, virtiofs_virtq_desc_bytes(ring->num)) != NULL &&
         virtiofs_memory_uva(map, ring->avail, virtiofs_virtq_driver_bytes(ring->num, features)) != NULL &&
         virtiofs_memory_uva(map, ring->used, virtiofs_virtq_device_bytes(ring->num, features)) != NULL;
}

/* Front-ends need not say where a ring begins that begins anew. */
static uint32_t first_base(const struct virtiofs_vhost_vrings *vrings) {
  return (vrings->features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0 ? VIRTIOFS_VIRTQ_PACKED_BASE : 0;
}

static int ring_start(struct virtiofs_vhost_vrings *vrings, uint32_t index) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  if (!ring->have_base)
    ring->base = first_base(vrings);
  if (!lies_in(vrings, ring, vrings->map)) {
    say_not_started(vrings, index, "not started: the ring is not in the guest's memory");
    /* Front-ends tell of the memory when they like, and may begin by taking it all away. */
    if (vrings->map != NULL && virtiofs_memory_count(vrings->map) > 0)
      fail(ring);
    return 0;
  }
  int rc = vrings->events->ring_start(vrings->ctx, index, ring);
  if (rc == -EPROTO) {
    say_not_started(vrings, index, "not started: the device can't use it as the guest has set it up");
    fail(ring);
    return 0;
  }
  if (rc != 0)
    return rc;
  ring->running = true;
  ring->failed = false;
  say(vrings, VIRTIOFS_LOG_DEBUG, index, "started");
  return 0;
}

static int ring_stop(struct virtiofs_vhost_vrings *vrings, uint32_t index) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  uint32_t base = ring->base;
  int rc = vrings->events->ring_stop(vrings->ctx, index, &base);
  ring->running = false;
  if (rc != 0)
    return rc;
  ring->base = base;
  ring->have_base = true;
  say(vrings, VIRTIOFS_LOG_DEBUG, index, "stopped");
  return 0;
}

static int ring_stop_if_running(struct virtiofs_vhost_vrings *vrings, uint32_t index) {
  return vrings->rings[index].running ? ring_stop(vrings, index) : 0;
}

/* Bring a ring into line with what has been said of it. */
static int ring_update(struct virtiofs_vhost_vrings *vrings, uint32_t index) {
  const struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  if (ring->running == is_complete(ring))
    return 0;
  return ring->running ? ring_stop(vrings, index) : ring_start(vrings, index);
}

/* All rings, also after an error of one. Return: the first error. */
static int update_all(struct virtiofs_vhost_vrings *vrings) {
  int first = 0;
  for (uint32_t i = 0; i < vrings->count; i++) {
    int rc = ring_update(vrings, i);
    if (first == 0)
      first = rc;
  }
  return first;
}

int virtiofs_vhost_vrings_init(struct virtiofs_vhost_vrings *vrings,
                               const struct virtiofs_vhost_backend_config *config) {
  memset(vrings, 0, sizeof *vrings);
  vrings->rings = calloc(config->vrings, sizeof *vrings->rings);
  if (vrings->rings == NULL)
    return -ENOMEM;
  vrings->events = config->events;
  vrings->ctx = config->ctx;
  vrings->log = config->log;
  vrings->count = config->vrings;
  for (uint32_t i = 0; i < vrings->count; i++) {
    struct virtiofs_vhost_vring *ring = &vrings->rings[i];
    ring->kick_fd = ring->call_fd = ring->err_fd = -1;
  }
  return 0;
}

void virtiofs_vhost_vrings_fini(struct virtiofs_vhost_vrings *vrings) {
  for (uint32_t i = 0; i < vrings->count; i++) {
    struct virtiofs_vhost_vring *ring = &vrings->rings[i];
    (void)ring_stop_if_running(vrings, i);
    fd_close(&ring->kick_fd);
    fd_close(&ring->call_fd);
    fd_close(&ring->err_fd);
  }
  virtiofs_memory_unref(vrings->map);
  free(vrings->rings);
  vrings->map = NULL;
  vrings->rings = NULL;
  vrings->count = 0;
}

void virtiofs_vhost_vrings_features(struct virtiofs_vhost_vrings *vrings, uint64_t acked) {
  vrings->features = acked;
}

int virtiofs_vhost_vrings_num(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t num) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  ring->num = num;
  if (num == 0)
    fail(ring);
  return ring_update(vrings, index);
}

int virtiofs_vhost_vrings_addr(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint64_t desc, uint64_t avail,
                               uint64_t used) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  int rc = 0;
  if (ring->desc != desc || ring->avail != avail || ring->used != used)
    rc = ring_stop_if_running(vrings, index);
  if (rc != 0)
    return rc;
  ring->desc = desc;
  ring->avail = avail;
  ring->used = used;
  ring->have_addr = true;
  return ring_update(vrings, index);
}

int virtiofs_vhost_vrings_addr_forget(struct virtiofs_vhost_vrings *vrings, uint32_t index) {
  vrings->rings[index].have_addr = false;
  fail(&vrings->rings[index]);
  return ring_update(vrings, index);
}

int virtiofs_vhost_vrings_base(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t base) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  /*
   * While a ring runs its base is where it began. The same one may come after the message that started the ring, and
   * what the ring has taken since must not be taken twice.
   */
  if (ring->base == base && (ring->have_base || ring->running)) {
    ring->have_base = true;
    return 0;
  }
  int rc = ring_stop_if_running(vrings, index);
  if (rc != 0)
    return rc;
  ring->base = base;
  ring->have_base = true;
  return ring_update(vrings, index);
}

int virtiofs_vhost_vrings_kick(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  int rc = ring_stop_if_running(vrings, index);
  fd_close(&ring->kick_fd);
  ring->kick_fd = take_fd;
  ring->started = true;
  return rc != 0 ? rc : ring_update(vrings, index);
}

/* The device may use the old descriptor until it has been told of the new one. */
static int replace_fd(struct virtiofs_vhost_vrings *vrings, uint32_t index, int *slot, int take_fd) {
  const struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  int unused = *slot;
  *slot = take_fd;
  int rc = ring->running ? vrings->events->ring_fds(vrings->ctx, index, ring) : 0;
  if (rc != 0) {
    *slot = unused;
    unused = take_fd;
  }
  fd_close(&unused);
  return rc;
}

int virtiofs_vhost_vrings_call(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) {
  return replace_fd(vrings, index, &vrings->rings[index].call_fd, take_fd);
}

int virtiofs_vhost_vrings_err(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  int rc = replace_fd(vrings, index, &ring->err_fd, take_fd);
  if (rc == 0 && ring->failed)
    signal_error(ring->err_fd);
  return rc;
}

int virtiofs_vhost_vrings_enable(struct virtiofs_vhost_vrings *vrings, uint32_t index, bool on) {
  vrings->rings[index].enabled = on;
  return ring_update(vrings, index);
}

int virtiofs_vhost_vrings_enable_all(struct virtiofs_vhost_vrings *vrings) {
  for (uint32_t i = 0; i < vrings->count; i++)
    vrings->rings[i].enabled = true;
  return update_all(vrings);
}

int virtiofs_vhost_vrings_stop(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t *base) {
  struct virtiofs_vhost_vring *ring = &vrings->rings[index];
  int rc = ring_stop_if_running(vrings, index);
  ring->started = ring->failed = false;
  fd_close(&ring->kick_fd);
  *base = ring->have_base ? ring->base : first_base(vrings);
  return rc;
}

int virtiofs_vhost_vrings_reset(struct virtiofs_vhost_vrings *vrings) {
  int first = 0;
  for (uint32_t i = 0; i < vrings->count; i++) {
    struct virtiofs_vhost_vring *ring = &vrings->rings[i];
    int rc = ring_stop_if_running(vrings, i);
    if (first == 0)
      first = rc;
    fd_close(&ring->kick_fd);
    *ring = (struct virtiofs_vhost_vring){.kick_fd = -1, .call_fd = ring->call_fd, .err_fd = ring->err_fd};
  }
  return first;
}

static int stop_outside(struct virtiofs_vhost_vrings *vrings, const struct virtiofs_memory *map) {
  for (uint32_t i = 0; i < vrings->count; i++) {
    const struct virtiofs_vhost_vring *ring = &vrings->rings[i];
    int rc = ring->running && !lies_in(vrings, ring, map) ? ring_stop(vrings, i) : 0;
    if (rc != 0)
      return rc;
  }
  return 0;
}

int virtiofs_vhost_vrings_memory(struct virtiofs_vhost_vrings *vrings, struct virtiofs_memory *take_map) {
  int rc = stop_outside(vrings, take_map);
  if (rc == 0)
    rc = vrings->events->memory(vrings->ctx, take_map);
  if (rc == 0) {
    struct virtiofs_memory *old = vrings->map;
    vrings->map = take_map;
    virtiofs_memory_unref(old);
    return update_all(vrings);
  }
  virtiofs_memory_unref(take_map);
  /* The old memory stays, and so may the rings in it; the first error is the one to tell. */
  (void)update_all(vrings);
  return rc;
}
