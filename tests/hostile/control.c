/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: any bytes, lines that never end, clients that don't read, descriptors that nobody asked for. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

enum { CLIENTS = 40, LINES = 400, FDS = 12, LINE_MAX_BYTES = 70000 };

static int connect_to(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
    fail("the control socket takes no connection: %s", strerror(errno));
  return fd;
}

static void send_all(int fd, const char *bytes, size_t len, unsigned fd_count) {
  union {
    char bytes[CMSG_SPACE(FDS * sizeof(int))];
    struct cmsghdr align;
  } control = {.bytes = {0}};
  struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  int null_fd = -1;
  if (fd_count > 0) {
    /* Not its own end: with that it would be connected for as long as the server has it, and others take its place. */
    int fds[FDS];
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < FDS; i++)
      fds[i] = null_fd;
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  /* Whoever has sent its replies to nobody for long enough isn't heard any more. */
  (void)sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (null_fd >= 0)
    close(null_fd);
}

/* Somebody who keeps to the rules is heard. */
static void is_served(const char *path) {
  static const char request[] = "{\"command\": \"version\"}\n";
  char reply[4096];
  size_t have = 0;
  int fd = connect_to(path);
  send_all(fd, request, strlen(request), 0);
  while (have == 0 || reply[have - 1] != '\n') {
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    ssize_t n = poll(&pfd, 1, ANSWER_MS) == 1 ? recv(fd, reply + have, sizeof(reply) - 1 - have, 0) : -1;
    if (n <= 0)
      fail("the control socket doesn't answer");
    have += (size_t)n;
  }
  reply[have] = 0;
  if (strstr(reply, "true") == NULL)
    fail("the control socket says %s", reply);
  close(fd);
}

static void garbage(struct hostile *h, const char *path) {
  static char bytes[LINE_MAX_BYTES];
  for (unsigned i = 0; i < CLIENTS; i++) {
    uint64_t n = next_number(h);
    int fd = connect_to(path);
    for (size_t k = 0; k < sizeof(bytes); k += 8) {
      uint64_t word = i % 3 == 0 ? UINT64_C(0x5b5b5b5b5b5b5b5b) : next_number(h); /* "[[[[[[[[" */
      memcpy(bytes + k, &word, 8);
    }
    send_all(fd, bytes, n % sizeof(bytes), (unsigned)(n >> 32) % (FDS + 1));
    close(fd);
  }
}

/* Right and nearly right, with descriptors, and nobody reads the replies. */
static void lines(struct hostile *h, const char *path) {
  static const char *const texts[] = {
      "{\"command\": \"status\"}\n",
      "{\"command\": \"list\", \"id\": 1e999}\n",
      "{\"command\": \"list\", \"name\": \"main\"}\n",
      "{\"command\": \"log-level\", \"level\": \"error\"}\n",
      "{\"command\": \"remove\", \"name\": \"../main\"}\n",
      "{\"command\": \"add\", \"name\": \"x\", \"fds\": [\"socket\", \"lock\", \"shared-dir\"]}\n",
      "{\"command\": \"add\", \"name\": \"y\", \"fds\": [\"lock\"], \"options\": [\"--fd=0\"]}\n",
      "{\"command\": \"add\", \"name\": \"z\", \"socket-path\": \"/proc/self/root/x/y\"}\n",
      "{\"command\": \"add\", \"name\": \"main\", \"options\": [\"--shared-dir=/\"]}\n",
      "{\"command\":",
      "\n\n\n",
      "{\"id\": \"\\ud800\"}\n",
  };
  int fds[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++)
    fds[i] = connect_to(path);
  for (unsigned i = 0; i < LINES; i++) {
    uint64_t n = next_number(h);
    const char *text = texts[n % (sizeof(texts) / sizeof(texts[0]))];
    send_all(fds[n >> 16 & 31], text, strlen(text), (n >> 8 & 3) == 0 ? (unsigned)(n >> 32) % (FDS + 1) : 0);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    close(fds[i]);
}

void attack_control(struct hostile *h) {
  const char *path = getenv("VIRTIOFS_HOSTILE_CONTROL");
  if (path == NULL)
    fail("VIRTIOFS_HOSTILE_CONTROL says no path");
  for (unsigned i = 0; i < h->rounds; i++) {
    garbage(h, path);
    lines(h, path);
    is_served(path);
  }
}
