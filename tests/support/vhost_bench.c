/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/vhost_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static void tell(struct vhost_device *device, const char *word, uint64_t value) {
  size_t used = strlen(device->trace);
  int n = snprintf(device->trace + used, sizeof device->trace - used, "%s%s%llu", used > 0 ? " " : "", word,
                   (unsigned long long)value);
  assert_true(n > 0 && (size_t)n < sizeof device->trace - used);
}

static void assert_open(int fd) {
  assert_true(fd < 0 || fcntl(fd, F_GETFD) >= 0);
}

static void see_ring(struct vhost_device *device, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  assert_true(index < VHOST_BENCH_RINGS);
  assert_open(vring->kick_fd);
  assert_open(vring->call_fd);
  assert_open(vring->err_fd);
  /* The old ones may still be in use by the device while it is being told of the new ones. */
  if (device->started[index].running) {
    assert_open(device->started[index].call_fd);
    assert_open(device->started[index].err_fd);
  }
  device->started[index] = *vring;
}

static int on_features(void *ctx, uint64_t acked) {
  struct vhost_device *device = ctx;
  tell(device, "features=", acked);
  device->acked = acked;
  return device->features_rc;
}

static int on_memory(void *ctx, struct virtiofs_memory *map) {
  struct vhost_device *device = ctx;
  tell(device, "memory=", virtiofs_memory_count(map));
  if (device->memory_rc == 0) {
    virtiofs_memory_unref(device->map);
    device->map = virtiofs_memory_ref(map);
  }
  return device->memory_rc;
}

static int on_ring_start(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct vhost_device *device = ctx;
  tell(device, "start", index);
  assert_false(vring->running);
  see_ring(device, index, vring);
  device->started[index].running = device->start_rc == 0;
  return device->start_rc;
}

static int on_ring_stop(void *ctx, uint32_t index, uint32_t *base) {
  struct vhost_device *device = ctx;
  tell(device, "stop", index);
  assert_true(device->started[index].running);
  device->started[index].running = false;
  *base = device->stop_base;
  return device->stop_rc;
}

static int on_ring_fds(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct vhost_device *device = ctx;
  tell(device, "fds", index);
  assert_true(vring->running);
  see_ring(device, index, vring);
  return device->fds_rc;
}

static int on_config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  struct vhost_device *device = ctx;
  tell(device, "config", offset);
  memset(data, 'c', size);
  return device->config_rc;
}

static int on_reset(void *ctx) {
  struct vhost_device *device = ctx;
  tell(device, "reset", 0);
  return device->reset_rc;
}

const struct virtiofs_vhost_events vhost_device_events = {
    .features = on_features,
    .memory = on_memory,
    .ring_start = on_ring_start,
    .ring_stop = on_ring_stop,
    .ring_fds = on_ring_fds,
    .config = on_config,
    .reset = on_reset,
};

void vhost_device_told(struct vhost_device *device, const char *words) {
  assert_string_equal(device->trace, words);
  device->trace[0] = '\0';
}

void vhost_device_fini(struct vhost_device *device) {
  virtiofs_memory_unref(device->map);
  device->map = NULL;
}

__attribute__((__format__(__printf__, 4, 0))) static void on_line(void *ctx, enum virtiofs_log_level level,
                                                                  const char *tag, const char *format, va_list args) {
  struct vhost_device *device = ctx;
  assert_non_null(tag);
  device->lines++;
  device->errors += level == VIRTIOFS_LOG_ERROR;
  (void)vsnprintf(device->line, sizeof device->line, format, args);
}

int vhost_bench_setup(void **state) {
  unsigned fds = vhost_frontend_count_fds(), maps = vhost_frontend_count_maps();
  struct vhost_bench *bench = calloc(1, sizeof *bench);
  assert_non_null(bench);
  bench->fds = fds;
  bench->maps = maps;
  bench->log = (struct virtiofs_log){.fn = on_line, .ctx = &bench->device};
  virtiofs_vhost_socket_init(&bench->socket, vhost_frontend_init(&bench->fe));
  bench->event_fd = eventfd(0, EFD_CLOEXEC);
  bench->memory_fd = vhost_frontend_memfd(0x100000);
  struct virtiofs_vhost_backend_config config = {
      .transport = &bench->socket.transport,
      .events = &vhost_device_events,
      .ctx = &bench->device,
      .log = &bench->log,
      .features = VHOST_BENCH_FEATURES,
      .has_config = true,
      .vrings = VHOST_BENCH_RINGS,
  };
  assert_int_equal(virtiofs_vhost_backend_new(&bench->backend, &config), 0);
  *state = bench;
  return 0;
}

int vhost_bench_teardown(void **state) {
  struct vhost_bench *bench = *state;
  virtiofs_vhost_backend_free(bench->backend);
  for (uint32_t i = 0; i < VHOST_BENCH_RINGS; i++)
    assert_false(bench->device.started[i].running);
  vhost_device_fini(&bench->device);
  vhost_frontend_fini(&bench->fe);
  close(bench->event_fd);
  close(bench->memory_fd);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds);
  assert_int_equal(vhost_frontend_count_maps(), bench->maps);
  free(bench);
  return 0;
}

void vhost_bench_step(struct vhost_bench *bench, int rc) {
  assert_int_equal(virtiofs_vhost_backend_process(bench->backend), rc);
}

struct virtiofs_vhost_user_region vhost_bench_region(uint32_t n) {
  return (struct virtiofs_vhost_user_region){
      .gpa = UINT64_C(0x100000) * n, .size = 0x100000, .uva = 0x7000000 + UINT64_C(0x100000) * n};
}

void vhost_bench_acks(struct vhost_bench *bench) {
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK);
  vhost_bench_step(bench, 0);
  bench->fe.flags = VHOST_NEED_REPLY;
}

void vhost_bench_memory(struct vhost_bench *bench) {
  struct virtiofs_vhost_user_region region = vhost_bench_region(0);
  vhost_frontend_table(&bench->fe, &region, &bench->memory_fd, 1);
  vhost_bench_step(bench, 0);
}

void vhost_bench_addr(struct vhost_bench *bench, uint32_t index) {
  uint64_t at = 0x7000000 + UINT64_C(0x1000) * index;
  vhost_frontend_addr(&bench->fe, index, at, at + 0x100, at + 0x200);
  vhost_bench_step(bench, 0);
}

void vhost_bench_kick(struct vhost_bench *bench, uint32_t index) {
  vhost_frontend_vring_fd(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, index, bench->event_fd);
  vhost_bench_step(bench, 0);
}

void vhost_bench_run(struct vhost_bench *bench, uint32_t index) {
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  vhost_bench_step(bench, 0);
  vhost_bench_memory(bench);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, 8);
  vhost_bench_step(bench, 0);
  vhost_bench_addr(bench, index);
  vhost_bench_kick(bench, index);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, 1);
  vhost_bench_step(bench, 0);
  assert_true(bench->device.started[index].running);
  bench->device.trace[0] = '\0';
}

void vhost_bench_hang_up(struct vhost_bench *bench) {
  vhost_frontend_fini(&bench->fe);
}
