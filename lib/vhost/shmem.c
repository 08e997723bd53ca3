/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/shmem.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "base/rights.h"
#include "vhost/shmem.h"

struct virtiofs_shmem {
  int fd; /* our end of the channel */
  struct virtiofs_host_window *window;
  struct virtiofs_dax_window *map; /* what is mapped */
  uint64_t mappings;               /* how many there ever were, which gives each a file's number */

  /* The request that comes. */
  uint32_t received; /* bytes of it */
  int received_fd;   /* -1: none yet */
  bool wrong_fds;    /* more than one */
  struct virtiofs_vhost_user_header header;
  struct virtiofs_vhost_user_mmap mmap;
};

#define DEFAULT_MAPPINGS 65536U

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

/* Mappings don't need their descriptors. */
static void close_none(void *ctx, int fd) {
  (void)ctx;
  (void)fd;
}

static int create(struct virtiofs_shmem **out, const struct virtiofs_shmem_config *config) {
  struct virtiofs_dax_window_config window = {.size = sizeof(window),
                                              .max_mappings =
                                                  config->max_mappings != 0 ? config->max_mappings : DEFAULT_MAPPINGS,
                                              .close = close_none};
  window.max_files = window.max_mappings; /* each of a file of its own */
  if (config->window == NULL || config->take_fd < 0)
    return -EINVAL;
  window.len = virtiofs_host_window_len(config->window);
  struct virtiofs_shmem *shmem = calloc(1, sizeof(*shmem));
  if (shmem == NULL)
    return -ENOMEM;
  shmem->fd = config->take_fd;
  shmem->received_fd = -1;
  shmem->window = config->window;
  int rc = virtiofs_dax_window_new(&shmem->map, &window);
  if (rc != 0) {
    free(shmem);
    return rc;
  }
  *out = shmem;
  return 0;
}

int virtiofs_shmem_new(struct virtiofs_shmem **out, const struct virtiofs_shmem_config *given) {
  struct virtiofs_shmem_config config;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc != 0)
    return rc;
  rc = create(out, &config);
  if (rc != 0 && config.take_fd >= 0)
    close(config.take_fd);
  return rc;
}

/* Ready for the next request. */
static void drop_request(struct virtiofs_shmem *shmem) {
  if (shmem->received_fd >= 0)
    close(shmem->received_fd);
  shmem->received_fd = -1;
  shmem->received = 0;
  shmem->wrong_fds = false;
}

int virtiofs_vhost_shmem_send(int channel, const struct virtiofs_vhost_user_header *header, const void *payload,
                              int fd) {
  struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
                         {.iov_base = (void *)(uintptr_t)payload, .iov_len = header->size}};
  struct msghdr hdr = {.msg_iov = iov, .msg_iovlen = 2};
  size_t control[VIRTIOFS_RIGHTS_WORDS(1)];
  virtiofs_rights_attach(&hdr, control, &fd, fd >= 0);
  ssize_t n;
  do
    n = sendmsg(channel, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return -errno;
  /* So little goes whole, or somebody reads nothing of what we send. */
  return (size_t)n == sizeof(*header) + header->size ? 0 : -EPIPE;
}

/* Each descriptor that came is the request's, or closed. There is room for more than one: of padding. */
static void take_fds(struct virtiofs_shmem *shmem, struct msghdr *hdr) {
  if ((hdr->msg_flags & MSG_CTRUNC) != 0)
    shmem->wrong_fds = true;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
      if (shmem->received_fd < 0) {
        shmem->received_fd = fd;
        continue;
      }
      close(fd);
      shmem->wrong_fds = true;
    }
  }
}

/* Some bytes more, @size at most: 1; 0: there are none now; -errno. */
static int receive_some(struct virtiofs_shmem *shmem, void *data, size_t size) {
  union control control;
  struct iovec iov = {.iov_base = data, .iov_len = size};
  struct msghdr hdr = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
  ssize_t n;
  do
    n = recvmsg(shmem->fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return errno == EAGAIN ? 0 : -errno;
  take_fds(shmem, &hdr);
  shmem->received += (uint32_t)n;
  return n > 0 ? 1 : -ECONNRESET;
}

/* 1 and a whole request; 0; -errno. A request may come in pieces: libvhost-user sends header and payload apart. */
static int receive(struct virtiofs_shmem *shmem) {
  const struct virtiofs_vhost_user_header *header = &shmem->header;
  const uint32_t head = sizeof(*header);
  int rc = 1;
  while (rc == 1 && shmem->received < head)
    rc = receive_some(shmem, (char *)&shmem->header + shmem->received, head - shmem->received);
  if (rc != 1)
    return rc;
  /* Where the next one begins isn't known otherwise. */
  if (header->size > sizeof(shmem->mmap) ||
      (header->flags & ~VIRTIOFS_VHOST_USER_NEED_REPLY) != VIRTIOFS_VHOST_USER_VERSION)
    return -EPROTO;
  while (rc == 1 && shmem->received < head + header->size) {
    uint32_t at = shmem->received - head;
    rc = receive_some(shmem, (char *)&shmem->mmap + at, header->size - at);
  }
  return rc;
}

/* The window's own step, and nothing that was there before has to give way for it. */
static int carry_out(struct virtiofs_shmem *shmem, int fd) {
  struct virtiofs_dax_step step;
  while (virtiofs_dax_window_step(shmem->map, &step)) {
    if (step.map)
      step.fd = fd;
    virtiofs_dax_window_done(shmem->map, virtiofs_host_window_step(shmem->window, &step));
  }
  return virtiofs_dax_window_end(shmem->map);
}

static int map(struct virtiofs_shmem *shmem, const struct virtiofs_vhost_user_mmap *m, int fd) {
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

static int unmap(struct virtiofs_shmem *shmem, const struct virtiofs_vhost_user_mmap *m, int fd) {
  struct virtiofs_dax_mapping there;
  if (fd >= 0)
    return -EINVAL;
  if (!virtiofs_dax_window_find(shmem->map, m->shm_offset, &there) || there.window_offset != m->shm_offset ||
      there.len != m->len)
    return -ENOENT;
  int rc = virtiofs_dax_window_unmap(shmem->map, m->shm_offset, m->len);
  return rc == 0 ? carry_out(shmem, -1) : rc;
}

static int act(struct virtiofs_shmem *shmem) {
  if (shmem->header.size != sizeof(shmem->mmap) || shmem->wrong_fds || shmem->mmap.shmid != 0 ||
      (shmem->mmap.flags & ~VIRTIOFS_VHOST_USER_MMAP_WRITE) != 0)
    return -EINVAL;
  switch (shmem->header.request) {
  case VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP:
    return map(shmem, &shmem->mmap, shmem->received_fd);
  case VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP:
    return unmap(shmem, &shmem->mmap, shmem->received_fd);
  default:
    return -ENOSYS;
  }
}

int virtiofs_shmem_process(struct virtiofs_shmem *shmem) {
  int rc = receive(shmem);
  if (rc == 0)
    return 0;
  if (rc == 1) {
    struct virtiofs_vhost_user_header reply = {.request = shmem->header.request,
                                               .flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY,
                                               .size = sizeof(uint64_t)};
    uint64_t failed = act(shmem) != 0;
    bool asked = (shmem->header.flags & VIRTIOFS_VHOST_USER_NEED_REPLY) != 0;
    if (asked && virtiofs_vhost_shmem_send(shmem->fd, &reply, &failed, -1) != 0)
      rc = -ECONNRESET;
  }
  drop_request(shmem);
  return rc;
}

int virtiofs_shmem_clear(struct virtiofs_shmem *shmem) {
  struct virtiofs_dax_step all = {.fd = -1, .len = virtiofs_host_window_len(shmem->window)};
  int rc = virtiofs_dax_window_count(shmem->map) != 0 ? virtiofs_host_window_step(shmem->window, &all) : 0;
  if (rc == 0)
    virtiofs_dax_window_forget(shmem->map);
  return rc;
}

void virtiofs_shmem_free(struct virtiofs_shmem *shmem) {
  if (shmem == NULL)
    return;
  drop_request(shmem);
  (void)virtiofs_shmem_clear(shmem);
  virtiofs_dax_window_free(shmem->map);
  close(shmem->fd);
  free(shmem);
}

int virtiofs_shmem_fd(const struct virtiofs_shmem *shmem) {
  return shmem->fd;
}

uint32_t virtiofs_shmem_count(const struct virtiofs_shmem *shmem) {
  return virtiofs_dax_window_count(shmem->map);
}
