/* SPDX-License-Identifier: BSD-3-Clause */
/* Front-ends that hang up half-way, say nothing, say anything, or send descriptors that are not what they should be. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "front.h"

enum { CONNECTIONS = 150, MESSAGES = 40, GARBAGE = 100, WAITING = 20, REGIONS = 1200 };

#define ASK VIRTIOFS_VHOST_USER_VERSION

/* ---- connections ---- */

static int connect_only(const struct hostile *h) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", h->socket);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* Many that are there and say nothing, which the server has to get past; some have begun a message. */
static void half_open(struct hostile *h) {
  int fds[WAITING];
  for (unsigned i = 0; i < WAITING; i++) {
    fds[i] = connect_only(h);
    if (fds[i] >= 0 && i % 2 == 0)
      (void)send(fds[i], "\1\0\0\0\1\0\0\0\0\0", i % 10, MSG_NOSIGNAL);
  }
  for (unsigned i = 0; i < WAITING; i++)
    if (fds[i] >= 0)
      close(fds[i]);
}

/* Who stops amid a message is given up after a while, and the next one is served. */
static void stall(struct hostile *h) {
  struct front silent, next;
  front_connect(&silent, h->socket);
  (void)send(silent.fd, "\2\0\0\0\1\0\0\0\10\0\0\0\0", 13, MSG_NOSIGNAL);
  front_connect(&next, h->socket);
  if (!front_sync(&next))
    fail("a front-end that stops amid a message holds up the next one");
  front_close(&next);
  front_close(&silent);
}

/* Amid a message, at each byte. */
static void hang_up(struct hostile *h) {
  unsigned char message[12 + 40] = {VIRTIOFS_VHOST_USER_SET_VRING_ADDR, 0, 0, 0, 1, 0, 0, 0, 40};
  for (size_t len = 0; len < sizeof(message); len++) {
    struct front front;
    front_connect(&front, h->socket);
    (void)send(front.fd, message, len, MSG_NOSIGNAL);
    front_close(&front);
  }
}

/* Any bytes, and any messages that look like some. */
static void garbage(struct hostile *h) {
  for (unsigned i = 0; i < GARBAGE; i++) {
    uint64_t bytes[256];
    struct front front;
    front_connect(&front, h->socket);
    for (unsigned k = 0; k < 256; k++)
      bytes[k] = next_number(h);
    (void)send(front.fd, bytes, next_number(h) % sizeof(bytes), MSG_NOSIGNAL);
    front_close(&front);
  }
}

/* Each number with sizes and flags that may be right, in any order, with two descriptors more than it should have. */
static void messages(struct hostile *h) {
  static const uint32_t sizes[] = {0, 8, 8, 8, 40, 40, 12, 264, 2056, 2057, UINT32_MAX};
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    struct front front;
    front_connect(&front, h->socket);
    if (i % 2 == 0)
      front_up(&front, -1, -1);
    for (unsigned k = 0; k < MESSAGES; k++) {
      uint64_t n = next_number(h), payload[264];
      for (unsigned word = 0; word < 264; word++)
        payload[word] = word < 2 ? n >> 40 & 3 : next_number(h);
      int fds[2] = {front.memory_fd, front.rings[0].call_fd};
      uint32_t size = sizes[n >> 16 & 7] <= sizeof(payload) ? sizes[n >> 16 & 7] : 8;
      if (!front_say(&front, (uint32_t)(n % 47), n % 3 == 0 ? ASK | 8U : ASK, payload, size, fds,
                     (uint32_t)(n >> 8 & 3) % 3))
        break;
    }
    front_close(&front);
  }
}

/* As many regions of memory as the server takes, all the same file. */
static void regions(struct hostile *h) {
  struct front front;
  front_connect(&front, h->socket);
  front_up(&front, -1, -1);
  for (unsigned i = 0; i < REGIONS; i++) {
    struct virtiofs_vhost_user_mem_region region = {.region = {.gpa = (UINT64_C(1) << 40) + i * UINT64_C(8192),
                                                               .size = 4096,
                                                               .uva = (UINT64_C(1) << 41) + i * UINT64_C(8192)}};
    if (!front_say(&front, VIRTIOFS_VHOST_USER_ADD_MEM_REG, ASK, &region, sizeof(region), &front.memory_fd, 1))
      break;
  }
  (void)front_sync(&front);
  front_close(&front);
}

void attack_frontends(struct hostile *h) {
  if (h->rounds > 1)
    stall(h);
  for (unsigned i = 0; i < h->rounds; i++) {
    half_open(h);
    hang_up(h);
    garbage(h);
    messages(h);
    regions(h);
    struct front front;
    front_connect(&front, h->socket);
    if (!front_sync(&front))
      fail("the next front-end is not served");
    front_close(&front);
  }
}

/* ---- descriptors ---- */

enum { STRANGE = 16 };

/* What can be had here, and is not an eventfd nor memory. */
static unsigned open_strange(int *fds, int *others) {
  int pair[2];
  unsigned count = 0;
  fds[count++] = open("/dev/null", O_RDWR | O_CLOEXEC);
  fds[count++] = open("/dev/zero", O_RDWR | O_CLOEXEC);
  fds[count++] = open("/dev/full", O_RDWR | O_CLOEXEC);
  fds[count++] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fds[count++] = open("/", O_PATH | O_CLOEXEC);
  fds[count++] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  fds[count++] = memfd_create("short", MFD_CLOEXEC);
  fds[count++] = epoll_create1(EPOLL_CLOEXEC);
  /* Full, and nobody will ever read them: who writes waits for ever. */
  fds[count] = eventfd(0, EFD_CLOEXEC);
  uint64_t most = UINT64_MAX - 1;
  if (write(fds[count++], &most, sizeof(most)) < 0)
    fail("eventfd: %s", strerror(errno));
  if (pipe2(pair, O_CLOEXEC) != 0)
    fail("pipe: %s", strerror(errno));
  (void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
  while (write(pair[1], &most, sizeof(most)) > 0)
    continue;
  (void)fcntl(pair[1], F_SETFL, 0);
  fds[count++] = pair[0];
  fds[count++] = pair[1];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    fail("socketpair: %s", strerror(errno));
  while (send(pair[0], &most, sizeof(most), MSG_DONTWAIT) > 0)
    continue;
  fds[count++] = pair[0];
  *others = pair[1];
  /* Whose other end is closed. */
  if (pipe2(pair, O_CLOEXEC) != 0)
    fail("pipe: %s", strerror(errno));
  close(pair[0]);
  fds[count++] = pair[1];
  return count;
}

static void as_memory(struct hostile *h, int fd) {
  struct virtiofs_vhost_user_mem_table table = {.count = 1, .regions = {{.size = 4096, .uva = 0x1000}}};
  struct virtiofs_vhost_user_mem_region region = {.region = {.size = 1 << 20, .uva = 0x1000}};
  struct front front;
  front_connect(&front, h->socket);
  if (front_say(&front, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, ASK, &table, 8 + sizeof(table.regions[0]), &fd, 1))
    (void)front_sync(&front);
  front_close(&front);
  front_connect(&front, h->socket);
  front_up(&front, -1, -1);
  (void)front_say(&front, VIRTIOFS_VHOST_USER_ADD_MEM_REG, ASK, &region, sizeof(region), &fd, 1);
  (void)front_sync(&front);
  front_close(&front);
}

/* Requests are answered, or not; but the server neither waits for the descriptor nor is caught when it's over. */
static void as_eventfd(struct hostile *h, int kick_fd, int call_fd) {
  struct virtiofs_vhost_user_vring_state state = {.index = 1};
  struct front front;
  front_connect(&front, h->socket);
  front_up(&front, kick_fd, call_fd);
  front.rings[1].desc[0].addr = FRONT_BUFFERS;
  front.rings[1].desc[0].len = 4096;
  front_put(&front, 0);
  front_kick(&front);
  /* The worker has the ring by then, and has seen what is in it. */
  for (int i = 0; i < 200 && call_fd >= 0 && front.rings[1].used[1] == 0; i++)
    (void)usleep(1000);
  (void)front_say(&front, VIRTIOFS_VHOST_USER_GET_VRING_BASE, ASK, &state, sizeof(state), NULL, 0);
  struct pollfd pfd = {.fd = front.fd, .events = POLLIN};
  if (poll(&pfd, 1, ANSWER_MS) != 1)
    fail("a ring with a strange descriptor doesn't stop");
  front_close(&front);
}

void attack_descriptors(struct hostile *h) {
  int fds[STRANGE], other;
  unsigned count = open_strange(fds, &other);
  for (unsigned i = 0; i < count; i++) {
    if (fds[i] < 0)
      continue;
    as_memory(h, fds[i]);
    as_eventfd(h, fds[i], -1);
    as_eventfd(h, -1, fds[i]);
  }
  struct front front;
  front_connect(&front, h->socket);
  if (!front_sync(&front))
    fail("the next front-end is not served");
  front_close(&front);
  for (unsigned i = 0; i < count; i++)
    if (fds[i] >= 0)
      close(fds[i]);
  close(other);
}
