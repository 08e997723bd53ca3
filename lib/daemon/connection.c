/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/connection.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/request.h"

enum { IN_SIZE = VIRTIOFS_DAEMON_LINE_MAX + 1, FIRST_FD = 3 };

int virtiofs_daemon_connection_init(struct virtiofs_daemon_connection *c, int take_fd) {
  *c = (struct virtiofs_daemon_connection){.fd = take_fd};
  c->in = malloc(IN_SIZE);
  return c->in != NULL ? 0 : -ENOMEM;
}

void virtiofs_daemon_connection_fini(struct virtiofs_daemon_connection *c) {
  virtiofs_daemon_connection_drop_fds(c);
  cJSON_Delete(c->wait.id);
  free(c->in);
  free(c->out);
  close(c->fd);
}

void virtiofs_daemon_connection_drop_fds(struct virtiofs_daemon_connection *c) {
  while (c->fd_count > 0)
    close(c->fds[--c->fd_count]);
}

/* Where a program looks for its standard streams nothing else is to be. */
static int above_standard(int fd) {
  if (fd >= FIRST_FD)
    return fd;
  int again = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
  close(fd);
  return again;
}

static int keep_fds(struct virtiofs_daemon_connection *c, const struct cmsghdr *cmsg) {
  const unsigned char *data = CMSG_DATA(cmsg);
  size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  int rc = 0;
  for (size_t i = 0; i < count; i++) {
    int fd;
    memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
    fd = above_standard(fd);
    if (fd < 0 || c->fd_count == VIRTIOFS_DAEMON_CONNECTION_FDS)
      rc = fd < 0 ? -EMFILE : -E2BIG;
    else
      c->fds[c->fd_count++] = fd;
    if (rc == -E2BIG)
      close(fd);
  }
  return rc;
}

static int keep_all_fds(struct virtiofs_daemon_connection *c, struct msghdr *msg) {
  int rc = (msg->msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : 0;
  for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
    if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
      continue;
    int kept = keep_fds(c, cmsg);
    rc = rc != 0 ? rc : kept;
  }
  return rc;
}

static void move_to_front(struct virtiofs_daemon_connection *c) {
  c->in_len -= c->in_at;
  memmove(c->in, c->in + c->in_at, c->in_len);
  c->in_at = 0;
}

int virtiofs_daemon_connection_receive(struct virtiofs_daemon_connection *c) {
  /* Room for one more than may come: then it is known that there were too many, and not only that some are missing. */
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * (VIRTIOFS_DAEMON_CONNECTION_FDS + 1))];
  } control;
  move_to_front(c);
  struct iovec iov = {.iov_base = c->in + c->in_len, .iov_len = IN_SIZE - c->in_len};
  struct msghdr msg = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  c->in_len += (size_t)n;
  c->ended = n == 0;
  int rc = keep_all_fds(c, &msg);
  bool full = c->in_len == IN_SIZE && memchr(c->in, '\n', IN_SIZE) == NULL;
  return rc == 0 && full ? -EMSGSIZE : rc;
}

bool virtiofs_daemon_connection_line(struct virtiofs_daemon_connection *c, const char **line, size_t *len) {
  const char *from = c->in + c->in_at;
  const char *end = memchr(from, '\n', c->in_len - c->in_at);
  if (end == NULL)
    return false;
  *line = from;
  *len = (size_t)(end - from);
  c->in_at += *len + 1;
  return true;
}

bool virtiofs_daemon_connection_take_fds(struct virtiofs_daemon_connection *c, int *fds, size_t count) {
  if (c->fd_count < count)
    return false;
  memcpy(fds, c->fds, count * sizeof(*fds));
  c->fd_count -= count;
  memmove(c->fds, c->fds + count, c->fd_count * sizeof(*fds));
  return true;
}

static bool reserve(struct virtiofs_daemon_connection *c, size_t more) {
  if (c->out_size - c->out_len >= more)
    return true;
  size_t size = (c->out_len + more) * 2;
  char *out = realloc(c->out, size);
  if (out == NULL)
    return false;
  c->out = out;
  c->out_size = size;
  return true;
}

void virtiofs_daemon_connection_send(struct virtiofs_daemon_connection *c, const char *text) {
  size_t len = strlen(text);
  if (!reserve(c, len + 1)) {
    c->closing = true;
    return;
  }
  memcpy(c->out + c->out_len, text, len);
  c->out[c->out_len + len] = '\n';
  c->out_len += len + 1;
}

int virtiofs_daemon_connection_flush(struct virtiofs_daemon_connection *c) {
  while (c->out_at < c->out_len) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN ? 0 : -errno;
    c->out_at += (size_t)n;
  }
  c->out_at = c->out_len = 0;
  return 0;
}

bool virtiofs_daemon_connection_pending(const struct virtiofs_daemon_connection *c) {
  return c->out_at < c->out_len;
}
