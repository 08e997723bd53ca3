/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost/frontend.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WANTED_PROTOCOL                                                                                                \
  (VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK |                                      \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG | VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE)

/* What a window takes. */
#define WINDOW_PROTOCOL                                                                                                \
  (VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM | VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ |                                 \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD)

void virtiofs_vhost_frontend_init(struct virtiofs_vhost_frontend *fe, int take_fd, int timeout_ms) {
  *fe = (struct virtiofs_vhost_frontend){.timeout_ms = timeout_ms};
  virtiofs_vhost_socket_init(&fe->sock, take_fd);
}

void virtiofs_vhost_frontend_close(struct virtiofs_vhost_frontend *fe) {
  fe->sock.transport.ops->close(&fe->sock.transport);
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Exactly @size bytes by the deadline, or for ever if that is negative. No descriptors are expected, so none come. */
static int receive_all(const struct virtiofs_vhost_frontend *fe, void *data, size_t size, int64_t deadline) {
  char *at = data;
  while (size > 0) {
    struct pollfd pfd = {.fd = fe->sock.fd, .events = POLLIN};
    int64_t left = deadline < 0 ? -1 : deadline - now_ms();
    int ready = deadline >= 0 && left <= 0 ? 0 : poll(&pfd, 1, (int)left);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return ready == 0 ? -ETIMEDOUT : -errno;
    ssize_t n = recv(fe->sock.fd, at, size, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (n <= 0)
      return n == 0 || errno == ECONNRESET ? -ECONNRESET : -errno;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

/* A reply to @request of at least @min bytes; what it has beyond is zero. */
static int receive(const struct virtiofs_vhost_frontend *fe, uint32_t request, uint32_t min,
                   struct virtiofs_vhost_user_message *msg) {
  int64_t deadline = fe->timeout_ms < 0 ? -1 : now_ms() + fe->timeout_ms;
  memset(msg, 0, sizeof(*msg));
  int rc = receive_all(fe, &msg->header, sizeof(msg->header), deadline);
  if (rc != 0)
    return rc;
  uint32_t flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY;
  size_t max =
      request == VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG ? sizeof(msg->payload.shmem) : sizeof(msg->payload.config);
  if (msg->header.request != request || (msg->header.flags & ~VIRTIOFS_VHOST_USER_NEED_REPLY) != flags ||
      msg->header.size > max)
    return -EPROTO;
  rc = receive_all(fe, &msg->payload, msg->header.size, deadline);
  return rc == 0 && msg->header.size < min ? -EPROTO : rc;
}

static int send_message(struct virtiofs_vhost_frontend *fe, struct virtiofs_vhost_user_message *msg) {
  int rc = fe->sock.transport.ops->send(&fe->sock.transport, msg);
  return rc == -EPIPE ? -ECONNRESET : rc;
}

/* A message that has no reply of its own; the back-end says whether it liked it, if it can. */
static int tell(struct virtiofs_vhost_frontend *fe, struct virtiofs_vhost_user_message *msg, uint32_t request,
                uint32_t size) {
  struct virtiofs_vhost_user_message ack;
  bool acked = (fe->protocol_features & VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
  msg->header = (struct virtiofs_vhost_user_header){.request = request,
                                                    .flags = VIRTIOFS_VHOST_USER_VERSION |
                                                             (acked ? VIRTIOFS_VHOST_USER_NEED_REPLY : 0U),
                                                    .size = size};
  int rc = send_message(fe, msg);
  if (rc != 0 || !acked)
    return rc;
  rc = receive(fe, request, sizeof(ack.payload.u64), &ack);
  if (rc == 0 && ack.payload.u64 != 0)
    rc = -EREMOTEIO;
  return rc;
}

/* A message that has one, of at least @min bytes. */
static int ask(struct virtiofs_vhost_frontend *fe, struct virtiofs_vhost_user_message *msg, uint32_t request,
               uint32_t size, uint32_t min) {
  msg->header =
      (struct virtiofs_vhost_user_header){.request = request, .flags = VIRTIOFS_VHOST_USER_VERSION, .size = size};
  msg->fd_count = 0;
  int rc = send_message(fe, msg);
  return rc == 0 ? receive(fe, request, min, msg) : rc;
}

static int ask_u64(struct virtiofs_vhost_frontend *fe, uint32_t request, uint64_t *value) {
  struct virtiofs_vhost_user_message msg = {.fd_count = 0};
  int rc = ask(fe, &msg, request, 0, sizeof(msg.payload.u64));
  *value = rc == 0 ? msg.payload.u64 : 0;
  return rc;
}

static int tell_u64(struct virtiofs_vhost_frontend *fe, uint32_t request, uint64_t value) {
  struct virtiofs_vhost_user_message msg = {.payload.u64 = value};
  return tell(fe, &msg, request, sizeof(msg.payload.u64));
}

static int tell_state(struct virtiofs_vhost_frontend *fe, uint32_t request, uint32_t index, uint32_t num) {
  struct virtiofs_vhost_user_message msg = {.payload.state = {.index = index, .num = num}};
  return tell(fe, &msg, request, sizeof(msg.payload.state));
}

static int tell_fd(struct virtiofs_vhost_frontend *fe, uint32_t request, uint32_t index, int fd) {
  struct virtiofs_vhost_user_message msg = {.payload.u64 = index};
  if (fd >= 0) {
    msg.fds[0] = fd;
    msg.fd_count = 1;
  } else {
    msg.payload.u64 |= VIRTIOFS_VHOST_USER_VRING_NOFD;
  }
  return tell(fe, &msg, request, sizeof(msg.payload.u64));
}

int virtiofs_vhost_frontend_negotiate(struct virtiofs_vhost_frontend *fe, const struct virtiofs_vhost_wants *wants) {
  struct virtiofs_vhost_user_message owner = {.fd_count = 0};
  uint64_t offered, protocol = 0;
  int rc = ask_u64(fe, VIRTIOFS_VHOST_USER_GET_FEATURES, &offered);
  if (rc != 0)
    return rc;
  if ((wants->required & ~offered) != 0)
    return -ENOTSUP;
  fe->features = offered & (wants->features | wants->required | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  if ((offered & VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES) != 0) {
    rc = ask_u64(fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);
    protocol &= WANTED_PROTOCOL | (wants->window ? WINDOW_PROTOCOL : 0);
    if (rc == 0)
      rc = tell_u64(fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
    fe->protocol_features = protocol;
  }
  if (rc == 0)
    rc = tell(fe, &owner, VIRTIOFS_VHOST_USER_SET_OWNER, 0);
  return rc == 0 ? tell_u64(fe, VIRTIOFS_VHOST_USER_SET_FEATURES, fe->features) : rc;
}

static int open_channel(struct virtiofs_vhost_frontend *fe, int *channel) {
  struct virtiofs_vhost_user_message msg = {.fd_count = 1};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return -errno;
  msg.fds[0] = ends[1];
  int rc = tell(fe, &msg, VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, 0);
  close(ends[1]);
  if (rc == 0)
    *channel = ends[0];
  else
    close(ends[0]);
  return rc;
}

int virtiofs_vhost_frontend_window(struct virtiofs_vhost_frontend *fe, int *channel, uint64_t *len) {
  const uint64_t needed = WINDOW_PROTOCOL | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK;
  struct virtiofs_vhost_user_message msg = {.fd_count = 0};
  *channel = -1;
  if ((fe->protocol_features & needed) != needed)
    return -ENOTSUP;
  int rc = open_channel(fe, channel);
  if (rc == 0)
    rc = ask(fe, &msg, VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG, 0, sizeof(msg.payload.shmem));
  *len = msg.payload.shmem.sizes[0];
  if (rc == 0 && (msg.payload.shmem.count == 0 || *len == 0))
    rc = -ENOTSUP;
  if (rc != 0 && *channel >= 0)
    close(*channel);
  return rc;
}

int virtiofs_vhost_frontend_queues(struct virtiofs_vhost_frontend *fe, uint64_t *count) {
  *count = 0;
  if ((fe->protocol_features & VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ) == 0)
    return 0;
  return ask_u64(fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM, count);
}

int virtiofs_vhost_frontend_config(struct virtiofs_vhost_frontend *fe, uint32_t offset, uint32_t size, void *data) {
  uint32_t head = (uint32_t)offsetof(struct virtiofs_vhost_user_config, data);
  struct virtiofs_vhost_user_message msg = {.payload.config = {.offset = offset, .size = size}};
  if ((fe->protocol_features & VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG) == 0)
    return -ENOTSUP;
  if (size > VIRTIOFS_VHOST_USER_CONFIG_MAX)
    return -EINVAL;
  int rc = ask(fe, &msg, VIRTIOFS_VHOST_USER_GET_CONFIG, head + size, 0);
  if (rc == 0 && msg.header.size == 0)
    return -EREMOTEIO;
  if (rc == 0 && msg.header.size < head + size)
    return -EPROTO;
  if (rc == 0)
    memcpy(data, msg.payload.config.data, size);
  return rc;
}

int virtiofs_vhost_frontend_memory(struct virtiofs_vhost_frontend *fe, int fd, uint64_t gpa, const void *host,
                                   uint64_t size) {
  struct virtiofs_vhost_user_message msg = {
      .payload.table = {.count = 1, .regions = {{.gpa = gpa, .size = size, .uva = (uintptr_t)host}}},
      .fd_count = 1,
      .fds = {fd}};
  uint32_t bytes = (uint32_t)offsetof(struct virtiofs_vhost_user_mem_table, regions[1]);
  return tell(fe, &msg, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, bytes);
}

int virtiofs_vhost_frontend_ring_start(struct virtiofs_vhost_frontend *fe, uint32_t index,
                                       const struct virtiofs_vhost_ring *ring) {
  struct virtiofs_vhost_user_message msg = {.payload.addr = {.index = index,
                                                             .desc = (uintptr_t)ring->desc,
                                                             .avail = (uintptr_t)ring->driver,
                                                             .used = (uintptr_t)ring->device}};
  int rc = tell_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, ring->num);
  if (rc == 0)
    rc = tell_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, index, ring->base);
  if (rc == 0)
    rc = tell(fe, &msg, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, sizeof(msg.payload.addr));
  if (rc == 0 && ring->err_fd >= 0)
    rc = tell_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, index, ring->err_fd);
  if (rc == 0)
    rc = tell_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, index, ring->call_fd);
  if (rc == 0)
    rc = tell_fd(fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, index, ring->kick_fd);
  if (rc == 0 && (fe->features & VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES) != 0)
    rc = tell_state(fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, 1);
  return rc;
}

int virtiofs_vhost_frontend_ring_stop(struct virtiofs_vhost_frontend *fe, uint32_t index, uint32_t *base) {
  struct virtiofs_vhost_user_message msg = {.payload.state = {.index = index}};
  int rc = ask(fe, &msg, VIRTIOFS_VHOST_USER_GET_VRING_BASE, sizeof(msg.payload.state), sizeof(msg.payload.state));
  if (rc == 0 && msg.payload.state.index != index)
    rc = -EPROTO;
  *base = rc == 0 ? msg.payload.state.num : 0;
  return rc;
}
