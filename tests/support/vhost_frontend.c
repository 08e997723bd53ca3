/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/vhost_frontend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int vhost_frontend_init(struct vhost_frontend *fe) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  *fe = (struct vhost_frontend){.fd = fds[0], .flags = VIRTIOFS_VHOST_USER_VERSION};
  return fds[1];
}

void vhost_frontend_fini(struct vhost_frontend *fe) {
  if (fe->fd >= 0)
    close(fe->fd);
  fe->fd = -1;
}

void vhost_frontend_raw(struct vhost_frontend *fe, const void *bytes, size_t size, const int *fds, uint32_t fd_count) {
  /* Room for more descriptors than a message may have. */
  union {
    char bytes[CMSG_SPACE(32 * sizeof(int))];
    struct cmsghdr align;
  } control;
  assert_true(fd_count <= 32);
  memset(&control, 0, sizeof control);
  struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
  struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
  if (fd_count > 0) {
    hdr.msg_control = control.bytes;
    hdr.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  assert_int_equal(sendmsg(fe->fd, &hdr, MSG_NOSIGNAL), (ssize_t)size);
}

void vhost_frontend_send(struct vhost_frontend *fe, uint32_t request, const void *payload, uint32_t size,
                         const int *fds, uint32_t fd_count) {
  char bytes[12 + 4096];
  uint32_t header[3] = {request, fe->flags, size};
  assert_true(size <= 4096);
  memcpy(bytes, header, 12);
  if (size > 0)
    memcpy(bytes + 12, payload, size);
  vhost_frontend_raw(fe, bytes, 12 + size, fds, fd_count);
}

void vhost_frontend_empty(struct vhost_frontend *fe, uint32_t request) {
  vhost_frontend_send(fe, request, NULL, 0, NULL, 0);
}

void vhost_frontend_u64(struct vhost_frontend *fe, uint32_t request, uint64_t value) {
  vhost_frontend_send(fe, request, &value, sizeof value, NULL, 0);
}

void vhost_frontend_state(struct vhost_frontend *fe, uint32_t request, uint32_t index, uint32_t num) {
  uint32_t state[2] = {index, num};
  vhost_frontend_send(fe, request, state, sizeof state, NULL, 0);
}

void vhost_frontend_addr(struct vhost_frontend *fe, uint32_t index, uint64_t desc, uint64_t avail, uint64_t used) {
  uint64_t words[5] = {index, desc, used, avail, 0};
  vhost_frontend_send(fe, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, words, sizeof words, NULL, 0);
}

void vhost_frontend_vring_fd(struct vhost_frontend *fe, uint32_t request, uint32_t index, int fd) {
  uint64_t value = index | (fd < 0 ? 0x100U : 0U);
  vhost_frontend_send(fe, request, &value, sizeof value, &fd, fd < 0 ? 0 : 1);
}

void vhost_frontend_table(struct vhost_frontend *fe, const struct virtiofs_vhost_user_region *regions, const int *fds,
                          uint32_t count) {
  uint64_t words[1 + 4 * 8] = {count};
  assert_true(count <= 8);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t *word = &words[1 + 4 * i];
    word[0] = regions[i].gpa;
    word[1] = regions[i].size;
    word[2] = regions[i].uva;
    word[3] = regions[i].mmap_offset;
  }
  vhost_frontend_send(fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, words, 8 + 32 * count, fds, count);
}

void vhost_frontend_region(struct vhost_frontend *fe, uint32_t request, const struct virtiofs_vhost_user_region *region,
                           int fd) {
  uint64_t words[5] = {0, region->gpa, region->size, region->uva, region->mmap_offset};
  vhost_frontend_send(fe, request, words, sizeof words, &fd, fd < 0 ? 0 : 1);
}

static int read_whole(int fd, void *data, size_t size) {
  ssize_t n = size > 0 ? recv(fd, data, size, MSG_WAITALL) : 0;
  if (n == 0 && size > 0)
    return -1;
  assert_int_equal(n, (ssize_t)size);
  return 1;
}

int vhost_frontend_receive(struct vhost_frontend *fe, struct virtiofs_vhost_user_message *msg) {
  struct pollfd poll_fd = {.fd = fe->fd, .events = POLLIN};
  memset(msg, 0, sizeof *msg);
  int ready = poll(&poll_fd, 1, fe->timeout_ms);
  assert_true(ready >= 0);
  if (ready == 0)
    return 0;
  if (read_whole(fe->fd, &msg->header, 12) < 0)
    return -1;
  assert_true(msg->header.size <= sizeof msg->payload);
  return read_whole(fe->fd, &msg->payload, msg->header.size);
}

static void receive_reply(struct vhost_frontend *fe, uint32_t request, struct virtiofs_vhost_user_message *msg) {
  assert_int_equal(vhost_frontend_receive(fe, msg), 1);
  assert_int_equal(msg->header.request, request);
  assert_int_equal(msg->header.flags, 5);
}

uint64_t vhost_frontend_reply_u64(struct vhost_frontend *fe, uint32_t request) {
  struct virtiofs_vhost_user_message msg;
  receive_reply(fe, request, &msg);
  assert_int_equal(msg.header.size, 8);
  return msg.payload.u64;
}

uint32_t vhost_frontend_reply_state(struct vhost_frontend *fe, uint32_t request, uint32_t index) {
  struct virtiofs_vhost_user_message msg;
  receive_reply(fe, request, &msg);
  assert_int_equal(msg.header.size, 8);
  assert_int_equal(msg.payload.state.index, index);
  return msg.payload.state.num;
}

void vhost_frontend_no_reply(struct vhost_frontend *fe) {
  struct virtiofs_vhost_user_message msg;
  assert_int_equal(vhost_frontend_receive(fe, &msg), 0);
}

int vhost_frontend_memfd(uint64_t size) {
  int fd = memfd_create("vhost-frontend-memory", MFD_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  return fd;
}

unsigned vhost_frontend_count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  unsigned count = 0;
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

unsigned vhost_frontend_count_maps(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  assert_non_null(maps);
  unsigned count = 0;
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL)
    count += strstr(line, "vhost-frontend-memory") != NULL;
  fclose(maps);
  return count;
}
