/* SPDX-License-Identifier: BSD-3-Clause */
/* Back-ends that don't keep to the protocol: a script of replies, some of them wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>
#include <virtiofs/vhost_user.h>

/* How the back-end is wrong, from the message on that it is asked for. */
enum wrong {
  NOT_AT_ALL,
  HANGS_UP,
  SILENT,
  OTHER_REQUEST,
  NO_REPLY_BIT,
  OTHER_VERSION,
  SHORT,
  LONG,
  CUT,
  REFUSES,
};

struct backend {
  int fd;
  uint64_t features, protocol_features, queues;
  uint32_t at; /* request */
  enum wrong wrong;
  pthread_t thread;
};

static void reply(struct backend *b, uint32_t request, uint64_t value) {
  struct {
    struct virtiofs_vhost_user_header header;
    unsigned char payload[600];
  } __attribute__((packed)) msg = {.header = {.request = request, .flags = 5, .size = 8}};
  enum wrong wrong = request == b->at ? b->wrong : NOT_AT_ALL;
  size_t size = sizeof msg.header + 8;
  memcpy(msg.payload, &value, sizeof value);
  if (wrong == OTHER_REQUEST)
    msg.header.request++;
  if (wrong == NO_REPLY_BIT)
    msg.header.flags = 1;
  if (wrong == OTHER_VERSION)
    msg.header.flags = 6;
  if (wrong == SHORT) {
    msg.header.size = 7;
    size--;
  }
  if (wrong == LONG) {
    msg.header.size = 600;
    size = sizeof msg.header + 600;
  }
  if (wrong == CUT)
    size -= 3;
  if (wrong == REFUSES)
    msg.payload[0] ^= 1;
  /* A client that has given up already doesn't hear it. */
  if (wrong != SILENT)
    (void)!send(b->fd, &msg, size, MSG_NOSIGNAL);
}

/* Reads what comes, closes what comes with it, and answers as it has to. */
static void *serve(void *arg) {
  struct backend *b = arg;
  for (;;) {
    struct virtiofs_vhost_user_header header;
    unsigned char payload[600];
    char control[CMSG_SPACE(8 * sizeof(int))];
    struct iovec iov = {.iov_base = &header, .iov_len = sizeof header};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(b->fd, &hdr, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof header)
      break;
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    for (size_t i = 0; c != NULL && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      close(fd);
    }
    if (header.size > sizeof payload ||
        (header.size > 0 && recv(b->fd, payload, header.size, MSG_WAITALL) != (ssize_t)header.size))
      break;
    if (header.request == b->at && b->wrong == HANGS_UP)
      break;
    if (header.request == VIRTIOFS_VHOST_USER_GET_FEATURES)
      reply(b, header.request, b->features);
    else if (header.request == VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES)
      reply(b, header.request, b->protocol_features);
    else if (header.request == VIRTIOFS_VHOST_USER_GET_QUEUE_NUM)
      reply(b, header.request, b->queues);
    else if ((header.flags & VIRTIOFS_VHOST_USER_NEED_REPLY) != 0)
      reply(b, header.request, 0);
  }
  close(b->fd);
  return NULL;
}

/* What a client of such a back-end gets. */
static int try(struct backend *b) {
  int fds[2];
  struct virtiofs_client *client;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  b->fd = fds[0];
  assert_int_equal(pthread_create(&b->thread, NULL, serve, b), 0);
  struct virtiofs_client_config config = {
      .size = sizeof config, .fd = fds[1], .timeout_ms = b->wrong == SILENT || b->wrong == CUT ? 50 : 60000};
  int rc = virtiofs_client_new(&client, &config);
  if (rc == 0) { /* it doesn't look at its rings */
    virtiofs_client_free(client);
  } else {
    assert_null(client);
  }
  pthread_join(b->thread, NULL);
  return rc;
}

#define FEATURES ((UINT64_C(1) << 32) | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL (VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK)

static const struct backend good = {.features = FEATURES, .protocol_features = PROTOCOL, .queues = 2};

static void one_that_is_right(void **state) {
  (void)state;
  struct backend b = good;
  assert_int_equal(try(&b), 0);
  b.protocol_features = 0; /* nothing is acknowledged, and two queues are taken for granted */
  assert_int_equal(try(&b), 0);
  b.features = UINT64_C(1) << 32;
  assert_int_equal(try(&b), 0);
  b.features = UINT64_MAX;
  b.protocol_features = UINT64_MAX;
  assert_int_equal(try(&b), 0);
}

static const uint32_t steps[] = {
    VIRTIOFS_VHOST_USER_GET_FEATURES,   VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM,
    VIRTIOFS_VHOST_USER_SET_FEATURES,   VIRTIOFS_VHOST_USER_SET_MEM_TABLE,         VIRTIOFS_VHOST_USER_SET_VRING_NUM,
    VIRTIOFS_VHOST_USER_SET_VRING_ADDR, VIRTIOFS_VHOST_USER_SET_VRING_KICK,        VIRTIOFS_VHOST_USER_SET_VRING_ENABLE,
};
enum { STEPS = sizeof steps / sizeof steps[0] };

static void each_step_goes_wrong_in_each_way(void **state) {
  (void)state;
  static const int expected[] = {
      [HANGS_UP] = -ECONNRESET,  [SILENT] = -ETIMEDOUT, [OTHER_REQUEST] = -EPROTO, [NO_REPLY_BIT] = -EPROTO,
      [OTHER_VERSION] = -EPROTO, [SHORT] = -EPROTO,     [LONG] = -EPROTO,          [CUT] = -ETIMEDOUT};
  for (unsigned step = 0; step < STEPS; step++)
    for (enum wrong wrong = HANGS_UP; wrong <= CUT; wrong++) {
      struct backend b = good;
      b.at = steps[step];
      b.wrong = wrong;
      assert_int_equal(try(&b), expected[wrong]);
    }
}

static void what_is_refused(void **state) {
  (void)state;
  for (unsigned step = 3; step < STEPS; step++) {
    struct backend b = good;
    b.at = steps[step];
    b.wrong = REFUSES;
    assert_int_equal(try(&b), -EREMOTEIO);
  }
}

static void devices_that_are_not_enough(void **state) {
  (void)state;
  struct backend b = good;
  b.features = VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES; /* a legacy device */
  assert_int_equal(try(&b), -ENOTSUP);
  b = good;
  b.queues = 1;
  assert_int_equal(try(&b), -ENOTSUP);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_that_is_right),
      cmocka_unit_test(each_step_goes_wrong_in_each_way),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(devices_that_are_not_enough),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
