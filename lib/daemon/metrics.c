/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/metrics.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/address.h"
#include "daemon/http.h"
#include "daemon/listen.h"
#include "device/thread.h"

#define TAG "metrics"
#define BACKLOG 8

/* Clients are answered one after the other: how long one may take, and how long a process without descriptors waits. */
#define CLIENT_MS 5000
#define PAUSE_MS 100

struct virtiofs_daemon_metrics {
  struct virtiofs_log log;
  struct virtiofs_daemon_listener listener; /* its fd is -1 without a socket */
  int stop_fd;
  bool running;
  pthread_t thread;
  pthread_mutex_t lock; /* for the list, and held while it is told of */
  struct virtiofs_daemon_source *sources;
};

/* ---- the socket ---- */

static int fail(const char *program, const char *where, int error) {
  (void)fprintf(stderr, "%s: cannot listen on %s: %s\n", program, where,
                error == EACCES ? "others than this host could reach it" : strerror(error));
  return -error;
}

static int listen_address(struct virtiofs_daemon_metrics *metrics, const char *program, const char *where) {
  struct sockaddr_storage addr;
  socklen_t len;
  int on = 1, rc = virtiofs_daemon_address_parse(where, &addr, &len);
  if (rc != 0)
    return fail(program, where, -rc);
  int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return fail(program, where, errno);
  metrics->listener.fd = fd;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, (const struct sockaddr *)&addr, len) != 0 || listen(fd, BACKLOG) != 0)
    return fail(program, where, errno == EACCES ? EPERM : errno);
  return 0;
}

int virtiofs_daemon_metrics_open(struct virtiofs_daemon_metrics **out, const char *program, const char *where,
                                 const struct virtiofs_log *log) {
  int rc = 0;
  struct virtiofs_daemon_metrics *metrics = calloc(1, sizeof(*metrics));
  *out = NULL;
  if (metrics == NULL)
    return -ENOMEM;
  metrics->log = *log;
  metrics->listener = (struct virtiofs_daemon_listener){.fd = -1, .lock_fd = -1};
  metrics->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&metrics->lock, NULL);
  if (metrics->stop_fd < 0) {
    rc = -errno;
    (void)fprintf(stderr, "%s: cannot make an eventfd: %s\n", program, strerror(-rc));
  }
  if (rc == 0 && where != NULL && virtiofs_daemon_address_is_path(where))
    rc = virtiofs_daemon_listen_path(&metrics->listener, program, where, NULL);
  else if (rc == 0 && where != NULL)
    rc = listen_address(metrics, program, where);
  if (rc != 0) {
    virtiofs_daemon_metrics_close(metrics);
    return rc;
  }
  *out = metrics;
  return 0;
}

void virtiofs_daemon_metrics_inside(struct virtiofs_daemon_metrics *metrics) {
  virtiofs_daemon_listen_inside(&metrics->listener);
}

void virtiofs_daemon_metrics_outside(struct virtiofs_daemon_metrics *metrics) {
  virtiofs_daemon_listen_outside(&metrics->listener);
}

/* ---- a client ---- */

static int left_ms(const struct timespec *deadline) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long ms = (deadline->tv_sec - now.tv_sec) * 1000LL + (deadline->tv_nsec - now.tv_nsec) / 1000000;
  return ms > 0 ? (int)ms : 0;
}

/* Until @fd can go on. False: it is too late, or all is to end. */
static bool wait_for(const struct virtiofs_daemon_metrics *metrics, int fd, short events,
                     const struct timespec *deadline) {
  struct pollfd fds[2] = {{.fd = metrics->stop_fd, .events = POLLIN}, {.fd = fd, .events = events}};
  for (;;) {
    int ms = left_ms(deadline);
    int count = poll(fds, 2, ms);
    if (count > 0)
      return fds[0].revents == 0;
    if (ms == 0 || (count < 0 && errno != EINTR))
      return false;
  }
}

/* What is asked for; VIRTIOFS_HTTP_MORE: nothing, by now. */
static enum virtiofs_http hear(const struct virtiofs_daemon_metrics *metrics, int fd, const struct timespec *deadline) {
  char bytes[VIRTIOFS_HTTP_REQUEST_MAX];
  enum virtiofs_http http = VIRTIOFS_HTTP_MORE;
  size_t len = 0;
  while (http == VIRTIOFS_HTTP_MORE) {
    if (!wait_for(metrics, fd, POLLIN, deadline))
      break;
    ssize_t got = read(fd, bytes + len, sizeof(bytes) - len);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      break;
    len += got > 0 ? (size_t)got : 0;
    http = virtiofs_http_parse(bytes, len);
  }
  return http;
}

static bool say(const struct virtiofs_daemon_metrics *metrics, int fd, const char *bytes, size_t len,
                const struct timespec *deadline) {
  while (len > 0) {
    ssize_t put = write(fd, bytes, len);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
      return false;
    if (put > 0) {
      bytes += put;
      len -= (size_t)put;
    } else if (!wait_for(metrics, fd, POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

static void answer(struct virtiofs_daemon_metrics *metrics, int fd, enum virtiofs_http http,
                   const struct timespec *deadline) {
  bool right = http == VIRTIOFS_HTTP_GET || http == VIRTIOFS_HTTP_HEAD;
  struct virtiofs_daemon_text head = {0}, body = {0};
  if (right) {
    pthread_mutex_lock(&metrics->lock);
    virtiofs_daemon_metrics_text(&body, metrics->sources);
    pthread_mutex_unlock(&metrics->lock);
  } else {
    virtiofs_daemon_text_add(&body, "%s\n", virtiofs_http_status(http));
  }
  const char *status = body.failed ? "503 Service Unavailable" : virtiofs_http_status(http);
  if (body.failed)
    body.len = 0;
  virtiofs_daemon_text_add(&head,
                           "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                           "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                           status, body.len);
  if (!head.failed && say(metrics, fd, head.bytes, head.len, deadline) && http != VIRTIOFS_HTTP_HEAD)
    (void)say(metrics, fd, body.bytes, body.len, deadline);
  virtiofs_daemon_text_free(&head);
  virtiofs_daemon_text_free(&body);
}

static void serve(struct virtiofs_daemon_metrics *metrics, int fd) {
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += CLIENT_MS / 1000;
  enum virtiofs_http http = hear(metrics, fd, &deadline);
  if (http != VIRTIOFS_HTTP_MORE)
    answer(metrics, fd, http, &deadline);
  /* What is read no more must not make the kernel throw the answer away. */
  (void)shutdown(fd, SHUT_WR);
  close(fd);
}

static void *work(void *arg) {
  struct virtiofs_daemon_metrics *metrics = arg;
  for (;;) {
    struct pollfd fds[2] = {{.fd = metrics->stop_fd, .events = POLLIN}, {.fd = metrics->listener.fd, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[0].revents != 0)
      return NULL;
    int fd = accept4(metrics->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
      serve(metrics, fd);
    else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
      (void)poll(fds, 1, PAUSE_MS);
  }
}

int virtiofs_daemon_metrics_start(struct virtiofs_daemon_metrics *metrics) {
  if (metrics->listener.fd < 0)
    return 0;
  int rc = virtiofs_thread_start(&metrics->thread, "vfs-metrics", work, metrics);
  metrics->running = rc == 0;
  return rc;
}

/* ---- shares ---- */

bool virtiofs_daemon_metrics_wanted(const struct virtiofs_daemon_metrics *metrics) {
  return metrics->listener.fd >= 0;
}

void virtiofs_daemon_metrics_add(struct virtiofs_daemon_metrics *metrics, struct virtiofs_daemon_source *source) {
  pthread_mutex_lock(&metrics->lock);
  struct virtiofs_daemon_source **last = &metrics->sources;
  while (*last != NULL)
    last = &(*last)->next;
  source->next = NULL;
  *last = source;
  pthread_mutex_unlock(&metrics->lock);
}

void virtiofs_daemon_metrics_remove(struct virtiofs_daemon_metrics *metrics, struct virtiofs_daemon_source *source) {
  pthread_mutex_lock(&metrics->lock);
  struct virtiofs_daemon_source **at = &metrics->sources;
  while (*at != NULL && *at != source)
    at = &(*at)->next;
  if (*at != NULL)
    *at = source->next;
  pthread_mutex_unlock(&metrics->lock);
}

/* A line of the log for each of the text's. */
static void log_lines(const struct virtiofs_log *log, char *lines) {
  char *rest = lines;
  for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
    virtiofs_log_write(log, VIRTIOFS_LOG_INFO, TAG, "%s", line);
}

void virtiofs_daemon_metrics_log(struct virtiofs_daemon_metrics *metrics) {
  struct virtiofs_log log = metrics->log;
  log.level = VIRTIOFS_LOG_INFO;
  pthread_mutex_lock(&metrics->lock);
  for (const struct virtiofs_daemon_source *source = metrics->sources; source != NULL; source = source->next) {
    struct virtiofs_daemon_text text = {0};
    virtiofs_log_write(&log, VIRTIOFS_LOG_INFO, TAG, "share '%s':", source->share);
    virtiofs_daemon_metrics_summary(&text, source);
    if (!text.failed)
      log_lines(&log, text.bytes);
    virtiofs_daemon_text_free(&text);
  }
  pthread_mutex_unlock(&metrics->lock);
}

void virtiofs_daemon_metrics_close(struct virtiofs_daemon_metrics *metrics) {
  uint64_t one = 1;
  if (metrics == NULL)
    return;
  if (metrics->running) {
    ssize_t written = write(metrics->stop_fd, &one, sizeof(one));
    (void)written; /* an empty eventfd has room */
    pthread_join(metrics->thread, NULL);
  }
  virtiofs_daemon_listen_end(&metrics->listener);
  if (metrics->stop_fd >= 0)
    close(metrics->stop_fd);
  pthread_mutex_destroy(&metrics->lock);
  free(metrics);
}
