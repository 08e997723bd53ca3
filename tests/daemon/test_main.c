/* SPDX-License-Identifier: BSD-3-Clause */
/* A server on a descriptor that somebody else has made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program.h"
#include "support/vhost_frontend.h"

static const char *const use_fd[] = {"--fd=9", "--tag=hello", NULL};

/* An abstract address: nothing to clean up. */
static int listening(struct sockaddr_un *addr, socklen_t *len) {
  *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
  int n = snprintf(addr->sun_path + 1, sizeof addr->sun_path - 1, "virtiofs-test-main-%ld", (long)getpid());
  *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)addr, *len), 0);
  assert_int_equal(listen(fd, 1), 0);
  return fd;
}

/* It speaks vhost-user, and has the tag in its config space. */
static void assert_served(int fd) {
  struct vhost_frontend fe = {.fd = fd, .flags = VIRTIOFS_VHOST_USER_VERSION, .timeout_ms = 60000};
  vhost_frontend_empty(&fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM);
  assert_int_equal(vhost_frontend_reply_u64(&fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM), 2);
  vhost_frontend_empty(&fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  uint64_t protocol = vhost_frontend_reply_u64(&fe, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  assert_true((protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG) != 0);
}

static void a_listening_socket(void **state) {
  struct sockaddr_un addr;
  socklen_t len;
  struct program p;
  (void)state;
  int fd = listening(&addr, &len);
  program_start(&p, HELLO, use_fd, fd, -1);
  for (unsigned i = 0; i < 5; i++) {
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&addr, len), 0);
    assert_served(client);
    close(client);
  }
  kill(p.pid, SIGTERM);
  assert_int_equal(program_wait(&p), 0);
  close(fd);
}

/* The one front-end itself: the server ends with it. */
static void a_connected_socket(void **state) {
  struct program p;
  int fds[2];
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  program_start(&p, HELLO, use_fd, fds[1], -1);
  close(fds[1]);
  assert_served(fds[0]);
  close(fds[0]);
  assert_int_equal(program_wait(&p), 0);
  /* Or by a signal. */
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  program_start(&p, HELLO, use_fd, fds[1], -1);
  close(fds[1]);
  assert_served(fds[0]);
  kill(p.pid, SIGTERM);
  assert_int_equal(program_wait(&p), 0);
  close(fds[0]);
}

/* A front-end that talks nonsense costs it the connection, and the server nothing. */
static void a_front_end_that_is_none(void **state) {
  struct sockaddr_un addr;
  socklen_t len;
  struct program p;
  (void)state;
  int fd = listening(&addr, &len);
  program_start(&p, HELLO, use_fd, fd, -1);
  for (unsigned i = 0; i < 5; i++) {
    char byte;
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&addr, len), 0);
    assert_int_equal(send(client, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    assert_true(recv(client, &byte, 1, 0) <= 0);
    close(client);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&addr, len), 0);
    assert_served(client);
    close(client);
  }
  kill(p.pid, SIGTERM);
  assert_int_equal(program_wait(&p), 0);
  close(fd);
}

static void assert_refused(int fd) {
  struct program p;
  program_start(&p, HELLO, use_fd, fd, -1);
  assert_int_equal(program_wait(&p), 1);
  assert_int_equal(program_lines(&p, 1), 1);
  assert_memory_equal(p.text[1], "hello: ", 7);
  if (fd >= 0)
    close(fd);
}

static void descriptors_that_are_no_such_socket(void **state) {
  (void)state;
  assert_refused(-1);
  assert_refused(open("/dev/null", O_RDWR | O_CLOEXEC));
  assert_refused(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  assert_refused(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  assert_refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_listening_socket),
      cmocka_unit_test(a_connected_socket),
      cmocka_unit_test(a_front_end_that_is_none),
      cmocka_unit_test(descriptors_that_are_no_such_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
