/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost/shmem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request. */
struct message {
  struct virtiofs_vhost_user_header header;
  struct virtiofs_vhost_user_mmap mmap;
};

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

/* Mappings don't need their descriptors. */
static void close_none(void *ctx, int fd) {
  (void)ctx;
  (void)fd;
}

int virtiofs_vhost_shmem_init(struct virtiofs_vhost_shmem *shmem, int take_fd, uint64_t len) {
  struct virtiofs_dax_window_config config = {
      .size = sizeof(config), .len = len, .max_files = 65536, .close = close_none};
  *shmem = (struct virtiofs_vhost_shmem){.fd = take_fd};
  int rc = virtiofs_host_window_new(&shmem->window, len);
  return rc == 0 ? virtiofs_dax_window_new(&shmem->map, &config) : rc;
}

void virtiofs_vhost_shmem_fini(struct virtiofs_vhost_shmem *shmem) {
  virtiofs_dax_window_free(shmem->map);
  virtiofs_host_window_free(shmem->window);
  if (shmem->fd >= 0)
    close(shmem->fd);
  *shmem = (struct virtiofs_vhost_shmem){.fd = -1};
}

int virtiofs_vhost_shmem_send(int channel, const struct virtiofs_vhost_user_header *header, const void *payload,
                              int fd) {
  struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
                         {.iov_base = (void *)(uintptr_t)payload, .iov_len = header->size}};
  struct msghdr hdr = {.msg_iov = iov, .msg_iovlen = 2};
  union control control;
  if (fd >= 0) {
    memset(&control, 0, sizeof(control));
    hdr.msg_control = control.bytes;
    hdr.msg_controllen = sizeof(control.bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  }
  ssize_t n;
  do
    n = sendmsg(channel, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return -errno;
  /* So little goes whole, or somebody reads nothing of what we send. */
  return (size_t)n == sizeof(*header) + header->size ? 0 : -EPIPE;
}

/* The descriptor that came; -1: none. */
static int take_fd(struct msghdr *hdr) {
  int fd = -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
      memcpy(&fd, CMSG_DATA(c), sizeof(fd));
  }
  return fd;
}

/* 1 and a message; 0; -errno. */
static int receive(const struct virtiofs_vhost_shmem *shmem, struct message *msg, int *fd) {
  union control control;
  struct iovec iov[2] = {{.iov_base = &msg->header, .iov_len = sizeof(msg->header)},
                         {.iov_base = &msg->mmap, .iov_len = sizeof(msg->mmap)}};
  struct msghdr hdr = {
      .msg_iov = iov, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  ssize_t n;
  *fd = -1;
  do
    n = recvmsg(shmem->fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return errno == EAGAIN ? 0 : -errno;
  if (n == 0)
    return -ECONNRESET;
  *fd = take_fd(&hdr);
  /* Both messages are of one size. */
  bool whole = (size_t)n == sizeof(msg->header) + sizeof(msg->mmap) && (hdr.msg_flags & MSG_CTRUNC) == 0 &&
               msg->header.size == sizeof(msg->mmap) &&
               (msg->header.flags & ~VIRTIOFS_VHOST_USER_NEED_REPLY) == VIRTIOFS_VHOST_USER_VERSION;
  return whole ? 1 : -EPROTO;
}

/* The window's own step, and nothing that was there before has to give way for it. */
static int carry_out(struct virtiofs_vhost_shmem *shmem, int fd) {
  struct virtiofs_dax_step step;
  while (virtiofs_dax_window_step(shmem->map, &step)) {
    if (step.map)
      step.fd = fd;
    virtiofs_dax_window_done(shmem->map, virtiofs_host_window_step(shmem->window, &step));
  }
  return virtiofs_dax_window_end(shmem->map);
}

static int map(struct virtiofs_vhost_shmem *shmem, const struct virtiofs_vhost_user_mmap *m, int fd) {
  struct virtiofs_dax_mapping there;
  if (fd < 0 || virtiofs_dax_window_check(shmem->map, m->shm_offset, m->len) != 0)
    return -EINVAL;
  if (virtiofs_dax_window_find(shmem->map, m->shm_offset, &there) && there.window_offset < m->shm_offset + m->len)
    return -EEXIST;
  struct virtiofs_dax_map want = {.window_offset = m->shm_offset,
                                  .len = m->len,
                                  .file_offset = m->fd_offset,
                                  .file = shmem->mappings++,
                                  .writable = (m->flags & VIRTIOFS_VHOST_USER_MMAP_WRITE) != 0,
                                  .take_fd = fd};
  int rc = virtiofs_dax_window_map(shmem->map, &want);
  return rc == 0 ? carry_out(shmem, fd) : rc;
}

static int unmap(struct virtiofs_vhost_shmem *shmem, const struct virtiofs_vhost_user_mmap *m) {
  struct virtiofs_dax_mapping there;
  if (!virtiofs_dax_window_find(shmem->map, m->shm_offset, &there) || there.window_offset != m->shm_offset ||
      there.len != m->len)
    return -ENOENT;
  int rc = virtiofs_dax_window_unmap(shmem->map, m->shm_offset, m->len);
  return rc == 0 ? carry_out(shmem, -1) : rc;
}

static int act(struct virtiofs_vhost_shmem *shmem, const struct message *msg, int fd) {
  if (msg->mmap.shmid != 0)
    return -EINVAL;
  switch (msg->header.request) {
  case VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP:
    return map(shmem, &msg->mmap, fd);
  case VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP:
    return unmap(shmem, &msg->mmap);
  default:
    return -ENOSYS;
  }
}

int virtiofs_vhost_shmem_process(struct virtiofs_vhost_shmem *shmem) {
  struct message msg;
  int fd, rc = receive(shmem, &msg, &fd);
  if (rc == 1) {
    bool asked = (msg.header.flags & VIRTIOFS_VHOST_USER_NEED_REPLY) != 0;
    uint64_t failed = act(shmem, &msg, fd) != 0;
    msg.header.flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY;
    msg.header.size = sizeof(failed);
    if (asked && virtiofs_vhost_shmem_send(shmem->fd, &msg.header, &failed, -1) != 0)
      rc = -ECONNRESET;
  }
  if (fd >= 0)
    close(fd);
  return rc;
}
