/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_vhost_backend_process and all behind it, virtiofs_vhost_socket's receive. Input: which transport,
 * and what is offered; then messages with descriptors, right or wrong, and what the device says to each event. Whatever
 * a front-end sends, the device is only told of rings that can run, is told of their end, and nothing stays open or
 * mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtiofs/virtq.h>

#include "descriptors.h"
#include "pipe.h"
#include "vhost/backend.h"

#define VRINGS_MAX 4U
#define FEATURES (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 32 | UINT64_C(1) << 34)

struct device {
  struct fuzz_input *in;
  uint32_t vrings;
  bool running[VRINGS_MAX];
  bool window;
  struct virtiofs_memory *map;
  uint64_t features;
};

static void must(bool so) {
  if (!so)
    abort();
}

static int answer(struct device *dev) {
  static const int answers[] = {0, 0, 0, 0, 0, -EPROTO, -ENOMEM, -EMFILE};
  return answers[fuzz_u8(dev->in) % 8];
}

static int on_features(void *ctx, uint64_t acked) {
  struct device *dev = ctx;
  must((acked & ~FEATURES) == 0);
  int rc = answer(dev);
  if (rc == 0)
    dev->features = acked;
  return rc;
}

/* It is there from end to end. */
static void touch(const struct device *dev, uint64_t uva, uint64_t len) {
  volatile unsigned char *at = virtiofs_memory_uva(dev->map, uva, len);
  must(at != NULL);
  at[0] = at[len - 1];
}

static int on_memory(void *ctx, struct virtiofs_memory *map) {
  struct device *dev = ctx;
  int rc = answer(dev);
  if (rc != 0)
    return rc;
  struct virtiofs_memory *old = dev->map;
  dev->map = virtiofs_memory_ref(map);
  virtiofs_memory_unref(old);
  return 0;
}

static int on_ring_start(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct device *dev = ctx;
  must(index < dev->vrings && !dev->running[index]);
  must(vring->started && vring->enabled && vring->num != 0 && vring->have_addr && dev->map != NULL);
  touch(dev, vring->desc, virtiofs_virtq_desc_bytes(vring->num));
  touch(dev, vring->avail, virtiofs_virtq_driver_bytes(vring->num, dev->features));
  touch(dev, vring->used, virtiofs_virtq_device_bytes(vring->num, dev->features));
  must(vring->kick_fd < 0 || fcntl(vring->kick_fd, F_GETFD) >= 0);
  int rc = answer(dev);
  dev->running[index] = rc == 0;
  return rc;
}

static int on_ring_stop(void *ctx, uint32_t index, uint32_t *base) {
  struct device *dev = ctx;
  must(index < dev->vrings && dev->running[index]);
  dev->running[index] = false;
  *base = fuzz_u16(dev->in);
  return answer(dev);
}

static int on_ring_fds(void *ctx, uint32_t index, const struct virtiofs_vhost_vring *vring) {
  struct device *dev = ctx;
  must(index < dev->vrings && dev->running[index]);
  must(vring->call_fd < 0 || fcntl(vring->call_fd, F_GETFD) >= 0);
  must(vring->err_fd < 0 || fcntl(vring->err_fd, F_GETFD) >= 0);
  return answer(dev);
}

static int on_config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  struct device *dev = ctx;
  if (offset > 44 || size > 44 - offset)
    return -EINVAL;
  memset(data, 'c', size);
  return answer(dev);
}

static int on_window(void *ctx, int fd) {
  struct device *dev = ctx;
  must(!dev->window && fcntl(fd, F_GETFD) >= 0);
  dev->window = true;
  return answer(dev);
}

static int on_reset(void *ctx) {
  struct device *dev = ctx;
  for (uint32_t i = 0; i < dev->vrings; i++)
    must(!dev->running[i]);
  return answer(dev);
}

static const struct virtiofs_vhost_events events = {
    .features = on_features,
    .memory = on_memory,
    .ring_start = on_ring_start,
    .ring_stop = on_ring_stop,
    .ring_fds = on_ring_fds,
    .config = on_config,
    .window = on_window,
    .reset = on_reset,
};

static void through_pipe(struct virtiofs_vhost_backend *backend, struct fuzz_pipe *pipe, struct fuzz_input *in) {
  struct virtiofs_vhost_user_message msg;
  while (in->left > 0) {
    uint32_t before = pipe->replies;
    fuzz_message(in, &msg);
    pipe->next = &msg;
    int rc = virtiofs_vhost_backend_process(backend);
    must(pipe->replies - before <= 1);
    if (rc != 0)
      return;
  }
  must(virtiofs_vhost_backend_process(backend) == -ECONNRESET);
}

static void send_with(int fd, const void *data, size_t size, const int *fds, uint32_t fd_count) {
  union {
    char bytes[CMSG_SPACE(VIRTIOFS_VHOST_USER_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
  } control = {.bytes = {0}};
  struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
  if (fd_count != 0) {
    hdr.msg_control = control.bytes;
    hdr.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  (void)!sendmsg(fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* In one piece or two, where the second one may never come, or have descriptors too. False: it is not whole. */
static bool send_one(int fd, struct fuzz_input *in) {
  struct virtiofs_vhost_user_message msg;
  uint8_t how = fuzz_u8(in);
  fuzz_message(in, &msg);
  size_t size = sizeof(msg.header) + msg.header.size, said = size;
  if (size > sizeof(msg.header) + sizeof(msg.payload))
    size = sizeof(msg.header) + sizeof(msg.payload);
  size_t cut = how < 128 ? size : how % size;
  send_with(fd, &msg, cut, msg.fds, msg.fd_count);
  if (cut < size && how % 4 != 0) {
    send_with(fd, (const char *)&msg + cut, size - cut, msg.fds, how % 4 == 1 ? msg.fd_count : 0);
    cut = size;
  }
  fuzz_message_drop(&msg);
  return cut == said;
}

static void through_socket(struct virtiofs_vhost_backend *backend, int fd, struct fuzz_input *in) {
  unsigned char reply[4096];
  int rc = 0;
  while (in->left > 0 && rc == 0) {
    /* Nothing that is waited for comes later than this: there is no other thread. */
    if (!send_one(fd, in) || in->left == 0)
      (void)shutdown(fd, SHUT_WR);
    rc = virtiofs_vhost_backend_process(backend);
    while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
      continue;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  struct device dev = {.in = &in};
  struct fuzz_pipe pipe;
  struct virtiofs_vhost_socket sock;
  struct virtiofs_vhost_backend *backend;
  int pair[2];
  fuzz_descriptors_begin();
  uint8_t shape = fuzz_u8(&in);
  bool socket = (shape & 1) != 0;
  dev.vrings = 1 + (shape >> 1) % VRINGS_MAX;
  struct virtiofs_vhost_backend_config config = {.events = &events,
                                                 .ctx = &dev,
                                                 .features = FEATURES,
                                                 .has_config = (shape & 8) != 0,
                                                 .window_len = (shape & 16) != 0 ? 1 << 21 : 0,
                                                 .vrings = dev.vrings};
  fuzz_pipe_init(&pipe);
  config.transport = &pipe.transport;
  if (socket) {
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    virtiofs_vhost_socket_init(&sock, pair[0]);
    config.transport = &sock.transport;
  }
  must(virtiofs_vhost_backend_new(&backend, &config) == 0);
  if (socket)
    through_socket(backend, pair[1], &in);
  else
    through_pipe(backend, &pipe, &in);
  virtiofs_vhost_backend_free(backend);
  if (socket)
    close(pair[1]);
  for (uint32_t i = 0; i < dev.vrings; i++)
    must(!dev.running[i]);
  virtiofs_memory_unref(dev.map);
  fuzz_descriptors_end();
  return 0;
}
