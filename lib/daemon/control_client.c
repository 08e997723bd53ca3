/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/control.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/rights.h"
#include "daemon/listen.h"

enum { FIRST_SIZE = 4096, REPLY_MAX = 16 << 20 };

int virtiofs_control_connect(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len >= sizeof(addr.sun_path))
    return -ENAMETOOLONG;
  memcpy(addr.sun_path, path, len);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
    return fd;
  int rc = -errno;
  close(fd);
  return rc;
}

/* The descriptors go with the first byte. */
static int send_all(int fd, struct msghdr *msg) {
  while (msg->msg_iov[0].iov_len + msg->msg_iov[1].iov_len > 0) {
    ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    msg->msg_control = NULL;
    msg->msg_controllen = 0;
    for (unsigned i = 0; i < 2; i++) {
      size_t part = (size_t)n < msg->msg_iov[i].iov_len ? (size_t)n : msg->msg_iov[i].iov_len;
      msg->msg_iov[i].iov_base = (char *)msg->msg_iov[i].iov_base + part;
      msg->msg_iov[i].iov_len -= part;
      n -= (ssize_t)part;
    }
  }
  return 0;
}

static int send_request(int fd, const char *request, const int *fds, size_t fd_count) {
  char newline = '\n';
  struct iovec iov[2] = {{.iov_base = (char *)(uintptr_t)request, .iov_len = strlen(request)},
                         {.iov_base = &newline, .iov_len = 1}};
  size_t control[VIRTIOFS_RIGHTS_WORDS(VIRTIOFS_CONTROL_FDS_MAX)];
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
  virtiofs_rights_attach(&msg, control, fds, fd_count);
  return send_all(fd, &msg);
}

/* Up to the newline, behind which nothing comes before the next request. */
static int receive(int fd, char **reply) {
  size_t len = 0, size = FIRST_SIZE;
  char *text = malloc(size);
  int rc = text == NULL ? -ENOMEM : 0;
  while (rc == 0 && (len == 0 || text[len - 1] != '\n')) {
    if (len == size) {
      char *more = size < REPLY_MAX ? realloc(text, size * 2) : NULL;
      rc = more == NULL ? -ENOMEM : 0;
      text = more != NULL ? more : text;
      size *= rc == 0 ? 2 : 1;
      continue;
    }
    ssize_t n = recv(fd, text + len, size - len, 0);
    if (n > 0)
      len += (size_t)n;
    else if (n == 0 || errno != EINTR)
      rc = n == 0 ? -EPIPE : -errno;
  }
  if (rc != 0) {
    free(text);
    return rc;
  }
  text[len - 1] = 0;
  *reply = text;
  return 0;
}

int virtiofs_control_call(int fd, const char *request, const int *fds, size_t fd_count, char **reply) {
  *reply = NULL;
  if (fd_count > VIRTIOFS_CONTROL_FDS_MAX || strchr(request, '\n') != NULL)
    return -EINVAL;
  int rc = send_request(fd, request, fds, fd_count);
  /* Who is shut out has been told why, and may read that. */
  return rc == 0 || rc == -EPIPE ? receive(fd, reply) : rc;
}

static int fail(const char *program, const char *what, const char *path, int rc) {
  (void)fprintf(stderr, "%s: %s %s: %s\n", program, what, path, strerror(-rc));
  return rc;
}

/* Whoever looks for the server finds it there, and not the program that has made the socket and is gone. */
static int write_pid(int fd, int lock_fd) {
  struct ucred server;
  socklen_t len = sizeof(server);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &len) != 0 || ftruncate(lock_fd, 0) != 0)
    return -errno;
  char line[32];
  int n = snprintf(line, sizeof(line), "%ld\n", (long)server.pid);
  return pwrite(lock_fd, line, (size_t)n, 0) == n ? 0 : -EIO;
}

int virtiofs_control_listen(int fd, const char *program, const char *path, int fds[2]) {
  struct virtiofs_daemon_listener listener;
  fds[0] = fds[1] = -1;
  int rc = virtiofs_daemon_listen_path(&listener, program, path, NULL);
  if (rc != 0)
    return rc;
  rc = write_pid(fd, listener.lock_fd);
  if (rc != 0) {
    virtiofs_daemon_listen_end(&listener);
    return fail(program, "cannot write the process id for", path, rc);
  }
  fds[0] = listener.fd;
  fds[1] = listener.lock_fd;
  return 0;
}

/* Who gets the lock is alone with what lies there. */
int virtiofs_control_unlisten(const char *program, const char *path) {
  struct virtiofs_daemon_listener listener;
  struct stat st;
  if (lstat(path, &st) != 0)
    return errno == ENOENT ? 0 : fail(program, "cannot look at", path, -errno);
  if (!S_ISSOCK(st.st_mode))
    return fail(program, "there is something that is no socket at", path, -EEXIST);
  int rc = virtiofs_daemon_listen_path(&listener, program, path, NULL);
  if (rc == 0)
    virtiofs_daemon_listen_end(&listener);
  return rc;
}
