/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/window.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <virtiofs/request.h>

#include "base/log.h"
#include "device/thread.h"
#include "session/session.h"
#include "vhost/shmem.h"

#define TAG "window"
/* How long the front-end may take for an answer. */
#define PATIENCE_MS 5000U

void virtiofs_device_window_init(struct virtiofs_device_window *window, struct virtiofs_session *session,
                                 const struct virtiofs_log *log) {
  window->session = session;
  window->log = log;
  window->patience_ms = PATIENCE_MS;
  window->fd = window->timer_fd = window->stop_fd = -1;
  pthread_mutex_init(&window->lock, NULL);
}

void virtiofs_device_window_fini(struct virtiofs_device_window *window) {
  pthread_mutex_destroy(&window->lock);
}

void virtiofs_device_window_close(void *ctx, int fd) {
  (void)ctx;
  close(fd);
}

/* 0: for ever. */
static void set_timer(const struct virtiofs_device_window *window, uint32_t ms) {
  struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};
  (void)timerfd_settime(window->timer_fd, 0, &when, NULL);
}

static int send_step(const struct virtiofs_device_window *window, const struct virtiofs_dax_step *step,
                     uint32_t request) {
  struct virtiofs_vhost_user_header header = {.request = request,
                                              .flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY,
                                              .size = sizeof(struct virtiofs_vhost_user_mmap)};
  struct virtiofs_vhost_user_mmap mmap = {.fd_offset = step->file_offset,
                                          .shm_offset = step->window_offset,
                                          .len = step->len,
                                          .flags = step->writable ? VIRTIOFS_VHOST_USER_MMAP_WRITE : 0};
  return virtiofs_vhost_shmem_send(window->fd, &header, &mmap, step->map ? step->fd : -1);
}

/* One at a time, by whichever thread. */
static int carry_out(void *ctx, const struct virtiofs_dax_step *step) {
  struct virtiofs_device_window *window = ctx;
  uint32_t request = step->map ? VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP : VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP;
  int rc = VIRTIOFS_PENDING;
  pthread_mutex_lock(&window->lock);
  if (window->dead || send_step(window, step, request) != 0) {
    window->dead = true;
    rc = -EIO;
  } else {
    window->waits_for = request;
    set_timer(window, window->patience_ms);
  }
  pthread_mutex_unlock(&window->lock);
  return rc;
}

/* The answer that was waited for has come, or never will; nothing happens if none was. */
static void answered(struct virtiofs_device_window *window, int rc, bool dies) {
  pthread_mutex_lock(&window->lock);
  bool waited = window->waits_for != 0;
  window->waits_for = 0;
  window->dead |= dies;
  if (waited)
    set_timer(window, 0);
  pthread_mutex_unlock(&window->lock);
  if (waited)
    virtiofs_session_step_done(window->session, rc);
}

/* False: it is none. */
static bool is_expected(struct virtiofs_device_window *window, const struct virtiofs_vhost_user_header *header) {
  pthread_mutex_lock(&window->lock);
  uint32_t request = window->waits_for;
  pthread_mutex_unlock(&window->lock);
  return request != 0 && header->request == request && header->size == sizeof(uint64_t) &&
         (header->flags & ~VIRTIOFS_VHOST_USER_NEED_REPLY) == (VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY);
}

/* What has come of an answer is kept until the rest has. False: there will be no answers any more. */
static bool hear(struct virtiofs_device_window *window) {
  struct virtiofs_vhost_user_header header;
  uint64_t failed;
  ssize_t n = recv(window->fd, window->answer + window->heard, sizeof(window->answer) - window->heard, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return true;
  window->heard += n > 0 ? (uint32_t)n : 0;
  if (n > 0 && window->heard < sizeof(header))
    return true;
  memcpy(&header, window->answer, sizeof(header));
  if (n <= 0 || !is_expected(window, &header)) {
    virtiofs_log_write(window->log, n == 0 ? VIRTIOFS_LOG_DEBUG : VIRTIOFS_LOG_WARN, TAG,
                       n == 0 ? "the front-end has closed the channel" : "no answer to what was asked");
    answered(window, -EIO, true);
    return false;
  }
  if (window->heard < sizeof(window->answer))
    return true;
  window->heard = 0;
  memcpy(&failed, window->answer + sizeof(header), sizeof(failed));
  if (failed != 0)
    virtiofs_log_write(window->log, virtiofs_log_limit_level(&window->refusals, VIRTIOFS_LOG_WARN), TAG,
                       "the front-end refuses message %u", header.request);
  answered(window, failed == 0 ? 0 : -EIO, false);
  return true;
}

static void *listen_on(void *arg) {
  struct virtiofs_device_window *window = arg;
  bool goes_on = true;
  while (goes_on) {
    struct pollfd fds[3] = {{.fd = window->stop_fd, .events = POLLIN},
                            {.fd = window->fd, .events = POLLIN},
                            {.fd = window->timer_fd, .events = POLLIN}};
    if (poll(fds, 3, -1) < 0)
      continue;
    if (fds[0].revents != 0) {
      goes_on = false;
    } else if (fds[1].revents != 0) {
      goes_on = hear(window);
    } else if (fds[2].revents != 0) {
      virtiofs_log_write(window->log, VIRTIOFS_LOG_WARN, TAG, "the front-end doesn't answer");
      goes_on = false;
    }
  }
  answered(window, -EIO, true);
  return NULL;
}

int virtiofs_device_window_offer(struct virtiofs_device_window *window) {
  struct virtiofs_session_window_config config = {.len = window->len,
                                                  .page_shift = 12,
                                                  .max_mappings = window->max_mappings,
                                                  .step = carry_out,
                                                  .close = virtiofs_device_window_close,
                                                  .ctx = window};
  return window->len != 0 ? virtiofs_session_set_window(window->session, &config) : 0;
}

static void close_all(struct virtiofs_device_window *window) {
  int *fds[] = {&window->fd, &window->timer_fd, &window->stop_fd};
  for (unsigned i = 0; i < 3; i++) {
    if (*fds[i] >= 0)
      close(*fds[i]);
    *fds[i] = -1;
  }
}

int virtiofs_device_window_start(struct virtiofs_device_window *window, int fd) {
  window->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  window->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  window->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  window->dead = false;
  window->waits_for = 0;
  window->heard = 0;
  int rc = window->fd < 0 || window->timer_fd < 0 || window->stop_fd < 0 ? -errno : 0;
  if (rc == 0)
    rc = virtiofs_thread_start(&window->thread, "vfs-window", listen_on, window);
  if (rc != 0) {
    close_all(window);
    return rc;
  }
  window->running = true;
  virtiofs_session_use_window(window->session, true);
  virtiofs_log_write(window->log, VIRTIOFS_LOG_INFO, TAG, "the front-end has a window of %llu bytes",
                     (unsigned long long)window->len);
  return 0;
}

void virtiofs_device_window_stop(struct virtiofs_device_window *window) {
  uint64_t one = 1;
  if (!window->running)
    return;
  virtiofs_session_use_window(window->session, false);
  ssize_t written = write(window->stop_fd, &one, sizeof(one));
  (void)written;
  pthread_join(window->thread, NULL);
  window->running = false;
  close_all(window);
}
