/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages over a UNIX stream socket: the only socket I/O of this layer. */
#include "vhost/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/rights.h"

/* A front-end that stops amid a message, or sends it byte by byte, must not keep us from being stopped. */
#define STALLED_SECONDS 10

#define FDS_BYTES (VIRTIOFS_VHOST_USER_FDS_MAX * sizeof(int))

/* Room for exactly as many descriptors as a message may have: the kernel reports one more as truncated. */
union control {
  char bytes[CMSG_SPACE(FDS_BYTES)];
  struct cmsghdr align;
};

static const struct virtiofs_vhost_socket *socket_of(const struct virtiofs_vhost_transport *transport) {
  const char *base = (const char *)transport - offsetof(struct virtiofs_vhost_socket, transport);
  return (const struct virtiofs_vhost_socket *)(const void *)base;
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void fds_close(struct virtiofs_vhost_user_message *msg) {
  for (uint32_t i = 0; i < msg->fd_count; i++)
    close(msg->fds[i]);
  msg->fd_count = 0;
}

/* Every descriptor that came now has an owner: the message, or nobody and it is closed. */
static void fds_collect(struct msghdr *hdr, struct virtiofs_vhost_user_message *msg) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (msg->fd_count < VIRTIOFS_VHOST_USER_FDS_MAX)
        msg->fds[msg->fd_count++] = fd;
      else
        close(fd);
    }
  }
}

static ssize_t recvmsg_again(int fd, struct msghdr *hdr) {
  ssize_t n;
  do
    n = recvmsg(fd, hdr, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return errno == EAGAIN ? -ETIMEDOUT : -errno;
  return n;
}

/* Until there is something to read. What is there already is read however late it is. */
static int wait_for_more(int fd, int64_t deadline) {
  struct pollfd pfd = {.fd = fd, .events = POLLIN};
  int ready;
  do {
    int64_t left = deadline - now_ms();
    ready = poll(&pfd, 1, left > 0 ? (int)left : 0);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0)
    return -errno;
  return ready > 0 ? 0 : -ETIMEDOUT;
}

/*
 * The rest of a message that has begun. Descriptors may come with the first byte only; as there is no room for any
 * here, the kernel drops others and says so.
 */
static int receive_rest(int fd, void *data, size_t size, int64_t deadline) {
  char *at = data;
  while (size > 0) {
    struct iovec iov = {.iov_base = at, .iov_len = size};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    int rc = wait_for_more(fd, deadline);
    if (rc != 0)
      return rc;
    ssize_t n = recvmsg_again(fd, &hdr);
    if (n == 0 || n == -ECONNRESET || (hdr.msg_flags & MSG_CTRUNC) != 0)
      return -EPROTO;
    if (n < 0)
      return (int)n;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

static int receive_header(const struct virtiofs_vhost_socket *sock, struct virtiofs_vhost_user_message *msg,
                          int64_t *deadline) {
  union control control;
  struct iovec iov = {.iov_base = &msg->header, .iov_len = sizeof msg->header};
  struct msghdr hdr = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t n = recvmsg_again(sock->fd, &hdr);
  if (n < 0)
    return (int)n;
  *deadline = now_ms() + sock->patience_ms;
  fds_collect(&hdr, msg);
  if (n == 0)
    return -ECONNRESET;
  if ((hdr.msg_flags & MSG_CTRUNC) != 0)
    return -EPROTO;
  return receive_rest(sock->fd, (char *)&msg->header + n, sizeof msg->header - (size_t)n, *deadline);
}

static int socket_receive(struct virtiofs_vhost_transport *transport, struct virtiofs_vhost_user_message *msg) {
  const struct virtiofs_vhost_socket *sock = socket_of(transport);
  int64_t deadline = 0;
  /* Bytes past a short payload are looked at by nobody, and are still not left to chance. */
  memset(msg, 0, sizeof *msg);
  int rc = receive_header(sock, msg, &deadline);
  if (rc == 0)
    rc = virtiofs_vhost_user_header_check(&msg->header);
  if (rc == 0 || rc == -ENOSYS)
    rc = receive_rest(sock->fd, &msg->payload, msg->header.size, deadline);
  if (rc != 0)
    fds_close(msg);
  return rc;
}

static int socket_send(struct virtiofs_vhost_transport *transport, const struct virtiofs_vhost_user_message *msg) {
  if (msg->fd_count > VIRTIOFS_VHOST_USER_FDS_MAX || msg->header.size > sizeof msg->payload)
    return -EINVAL;
  char bytes[sizeof msg->header + sizeof msg->payload];
  memcpy(bytes, &msg->header, sizeof msg->header);
  memcpy(bytes + sizeof msg->header, &msg->payload, msg->header.size);
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof msg->header + msg->header.size};
  size_t control[VIRTIOFS_RIGHTS_WORDS(VIRTIOFS_VHOST_USER_FDS_MAX)];
  struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
  virtiofs_rights_attach(&hdr, control, msg->fds, msg->fd_count);
  while (iov.iov_len > 0) {
    ssize_t n = sendmsg(socket_of(transport)->fd, &hdr, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN ? -ETIMEDOUT : -errno;
    /* The descriptors went with the first byte. */
    hdr.msg_control = NULL;
    hdr.msg_controllen = 0;
    iov.iov_base = (char *)iov.iov_base + n;
    iov.iov_len -= (size_t)n;
  }
  return 0;
}

static void socket_close(struct virtiofs_vhost_transport *transport) {
  char *base = (char *)transport - offsetof(struct virtiofs_vhost_socket, transport);
  struct virtiofs_vhost_socket *sock = (struct virtiofs_vhost_socket *)(void *)base;
  if (sock->fd >= 0)
    close(sock->fd);
  sock->fd = -1;
}

void virtiofs_vhost_socket_init(struct virtiofs_vhost_socket *sock, int take_fd) {
  static const struct virtiofs_vhost_transport_ops ops = {
      .receive = socket_receive, .send = socket_send, .close = socket_close};
  sock->transport.ops = &ops;
  sock->fd = take_fd;
  sock->patience_ms = STALLED_SECONDS * 1000;
  /* Somebody else's socket may be non-blocking, and then a message that comes in pieces would be an error. */
  int flags = fcntl(take_fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0)
    (void)fcntl(take_fd, F_SETFL, flags & ~O_NONBLOCK);
  struct timeval stalled = {.tv_sec = STALLED_SECONDS};
  (void)setsockopt(take_fd, SOL_SOCKET, SO_RCVTIMEO, &stalled, sizeof stalled);
  (void)setsockopt(take_fd, SOL_SOCKET, SO_SNDTIMEO, &stalled, sizeof stalled);
}
