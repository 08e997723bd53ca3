/* SPDX-License-Identifier: BSD-3-Clause */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UVA UINT64_C(0x10000000)
#define ASK VIRTIOFS_VHOST_USER_VERSION

void front_connect(struct front *front, const char *socket_path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  memset(front, 0, sizeof(*front));
  (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", socket_path);
  front->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (front->fd < 0 || connect(front->fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
    fail("nobody takes a connection: %s", strerror(errno));
  front->memory_fd = memfd_create("hostile", MFD_CLOEXEC);
  if (front->memory_fd < 0 || ftruncate(front->memory_fd, FRONT_MEMORY) != 0)
    fail("no memory: %s", strerror(errno));
  front->memory = mmap(NULL, FRONT_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, front->memory_fd, 0);
  if (front->memory == MAP_FAILED)
    fail("no memory: %s", strerror(errno));
  for (unsigned i = 0; i < 2; i++) {
    struct front_ring *ring = &front->rings[i];
    unsigned char *at = front->memory + (size_t)i * FRONT_RING;
    ring->desc = (volatile struct desc *)(void *)at;
    ring->avail = (volatile uint16_t *)(void *)(at + 0x1000);
    ring->used = (volatile uint16_t *)(void *)(at + 0x2000);
    ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
}

void front_close(struct front *front) {
  close(front->fd);
  close(front->memory_fd);
  (void)munmap(front->memory, FRONT_MEMORY);
  for (unsigned i = 0; i < 2; i++) {
    close(front->rings[i].kick_fd);
    close(front->rings[i].call_fd);
  }
}

bool front_say(struct front *front, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
               const int *fds, uint32_t fd_count) {
  struct virtiofs_vhost_user_header header = {.request = request, .flags = flags, .size = size};
  union {
    char bytes[CMSG_SPACE(16 * sizeof(int))];
    struct cmsghdr align;
  } control = {.bytes = {0}};
  struct iovec iov[2] = {{.iov_base = &header, .iov_len = sizeof(header)},
                         {.iov_base = (void *)(uintptr_t)payload, .iov_len = size}};
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = payload != NULL && size > 0 ? 2 : 1};
  if (fd_count > 0) {
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  ssize_t n;
  do
    n = sendmsg(front->fd, &msg, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

bool front_sync(struct front *front) {
  unsigned char reply[20];
  size_t have = 0;
  if (!front_say(front, VIRTIOFS_VHOST_USER_GET_FEATURES, ASK, NULL, 0, NULL, 0))
    return false;
  while (have < sizeof(reply)) {
    struct pollfd pfd = {.fd = front->fd, .events = POLLIN};
    if (poll(&pfd, 1, ANSWER_MS) != 1)
      fail("a front-end is neither answered nor hung up on");
    ssize_t n = recv(front->fd, reply + have, sizeof(reply) - have, 0);
    if (n <= 0)
      return false;
    have += (size_t)n;
  }
  return true;
}

static void say_u64(struct front *front, uint32_t request, uint64_t value) {
  (void)front_say(front, request, ASK, &value, sizeof(value), NULL, 0);
}

static void say_state(struct front *front, uint32_t request, uint32_t index, uint32_t num) {
  struct virtiofs_vhost_user_vring_state state = {.index = index, .num = num};
  (void)front_say(front, request, ASK, &state, sizeof(state), NULL, 0);
}

static void say_fd(struct front *front, uint32_t request, uint64_t index, int fd) {
  (void)front_say(front, request, ASK, &index, sizeof(index), &fd, 1);
}

static void say_ring(struct front *front, uint32_t index, int kick_fd, int call_fd) {
  uint64_t at = UVA + (uint64_t)index * FRONT_RING;
  struct virtiofs_vhost_user_vring_addr addr = {.index = index, .desc = at, .avail = at + 0x1000, .used = at + 0x2000};
  say_state(front, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, FRONT_NUM);
  say_state(front, VIRTIOFS_VHOST_USER_SET_VRING_BASE, index, 0);
  (void)front_say(front, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, ASK, &addr, sizeof(addr), NULL, 0);
  say_fd(front, VIRTIOFS_VHOST_USER_SET_VRING_CALL, index, call_fd >= 0 ? call_fd : front->rings[index].call_fd);
  say_fd(front, VIRTIOFS_VHOST_USER_SET_VRING_KICK, index, kick_fd >= 0 ? kick_fd : front->rings[index].kick_fd);
  say_state(front, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, 1);
}

void front_up(struct front *front, int kick_fd, int call_fd) {
  struct virtiofs_vhost_user_mem_table table = {.count = 1, .regions = {{.size = FRONT_MEMORY, .uva = UVA}}};
  say_u64(front, VIRTIOFS_VHOST_USER_SET_FEATURES,
          UINT64_C(1) << 32 | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES | UINT64_C(1) << 28);
  (void)front_say(front, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, ASK, &table, 8 + sizeof(table.regions[0]),
                  &front->memory_fd, 1);
  say_ring(front, 0, -1, -1);
  say_ring(front, 1, kick_fd, call_fd);
}

void front_ring_again(struct front *front) {
  struct front_ring *ring = &front->rings[1];
  unsigned char reply[20];
  size_t have = 0;
  say_state(front, VIRTIOFS_VHOST_USER_GET_VRING_BASE, 1, 0);
  while (have < sizeof(reply)) {
    struct pollfd pfd = {.fd = front->fd, .events = POLLIN};
    ssize_t n = poll(&pfd, 1, ANSWER_MS) == 1 ? recv(front->fd, reply + have, sizeof(reply) - have, 0) : -1;
    if (n <= 0)
      fail("a ring doesn't stop");
    have += (size_t)n;
  }
  memset(front->memory + FRONT_RING, 0, FRONT_RING);
  ring->next = ring->seen = 0;
  say_ring(front, 1, -1, -1);
}

void front_put(struct front *front, uint16_t head) {
  struct front_ring *ring = &front->rings[1];
  ring->avail[2 + ring->next++ % FRONT_NUM] = head;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  ring->avail[1] = ring->next;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void front_kick(struct front *front) {
  uint64_t one = 1;
  (void)!write(front->rings[1].kick_fd, &one, sizeof(one));
}

bool front_used(struct front *front, int ms) {
  struct front_ring *ring = &front->rings[1];
  for (;;) {
    struct pollfd pfd = {.fd = ring->call_fd, .events = POLLIN};
    uint64_t value;
    if (ring->used[1] != ring->seen) {
      ring->seen = ring->used[1];
      return true;
    }
    if (poll(&pfd, 1, ms) != 1)
      return ring->used[1] != ring->seen;
    (void)!read(ring->call_fd, &value, sizeof(value));
  }
}

void front_init(struct front *front) {
  uint32_t init[26] = {104, VIRTIOFS_FUSE_INIT, 2, 0, 0, 0, 0, 0, 0, 0, 7, 38, 0, 0};
  volatile struct desc *desc = front->rings[1].desc;
  memcpy(front->memory + FRONT_BUFFERS, init, sizeof(init));
  desc[0].addr = FRONT_BUFFERS;
  desc[0].len = sizeof(init);
  desc[0].flags = DESC_NEXT;
  desc[0].next = 1;
  desc[1].addr = FRONT_BUFFERS + 0x1000;
  desc[1].len = 0x1000;
  desc[1].flags = DESC_WRITE;
  front_put(front, 0);
  front_kick(front);
  if (!front_used(front, ANSWER_MS))
    fail("INIT is not answered");
}
