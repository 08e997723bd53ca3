/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_frontend.h"
#include "vhost/transport.h"

struct pair {
  struct vhost_frontend fe;
  struct virtiofs_vhost_socket sock;
  struct virtiofs_vhost_user_message msg; /* received last */
  int fds[9];                             /* of the front-end, to be sent */
  unsigned count;
};

static int setup(void **state) {
  unsigned count = vhost_frontend_count_fds();
  struct pair *pair = calloc(1, sizeof *pair);
  assert_non_null(pair);
  pair->count = count;
  virtiofs_vhost_socket_init(&pair->sock, vhost_frontend_init(&pair->fe));
  for (size_t i = 0; i < 9; i++)
    pair->fds[i] = vhost_frontend_memfd(i);
  *state = pair;
  return 0;
}

static int teardown(void **state) {
  struct pair *pair = *state;
  pair->sock.transport.ops->close(&pair->sock.transport);
  vhost_frontend_fini(&pair->fe);
  for (size_t i = 0; i < 9; i++)
    close(pair->fds[i]);
  assert_int_equal(vhost_frontend_count_fds(), pair->count);
  free(pair);
  return 0;
}

/* Takes a message whose result is @rc. After an error no descriptor may be open. */
static void receive(struct pair *pair, int rc) {
  unsigned before = vhost_frontend_count_fds();
  memset(&pair->msg, 0x55, sizeof pair->msg);
  assert_int_equal(pair->sock.transport.ops->receive(&pair->sock.transport, &pair->msg), rc);
  if (rc != 0)
    assert_int_equal(vhost_frontend_count_fds(), before);
}

static void close_received(struct pair *pair) {
  for (uint32_t i = 0; i < pair->msg.fd_count; i++)
    close(pair->msg.fds[i]);
}

static void a_message_arrives_whole(void **state) {
  struct pair *pair = *state;
  vhost_frontend_u64(&pair->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, 0x1122334455667788);
  receive(pair, 0);
  assert_int_equal(pair->msg.header.request, 2);
  assert_int_equal(pair->msg.header.size, 8);
  assert_int_equal(pair->msg.payload.u64, 0x1122334455667788);
  assert_int_equal(pair->msg.fd_count, 0);
}

static void messages_are_kept_apart(void **state) {
  struct pair *pair = *state;
  vhost_frontend_u64(&pair->fe, 2, 1);
  vhost_frontend_empty(&pair->fe, 3);
  vhost_frontend_vring_fd(&pair->fe, 12, 1, pair->fds[0]);
  vhost_frontend_u64(&pair->fe, 2, 2);
  receive(pair, 0);
  receive(pair, 0);
  assert_int_equal(pair->msg.header.request, 3);
  receive(pair, 0);
  assert_int_equal(pair->msg.fd_count, 1);
  close_received(pair);
  receive(pair, 0);
  assert_int_equal(pair->msg.payload.u64, 2);
  assert_int_equal(pair->msg.fd_count, 0);
}

static void descriptors_keep_their_order_and_close_on_exec(void **state) {
  struct pair *pair = *state;
  struct virtiofs_vhost_user_region regions[8] = {{.gpa = 0}};
  vhost_frontend_table(&pair->fe, regions, pair->fds, 8);
  receive(pair, 0);
  assert_int_equal(pair->msg.fd_count, 8);
  for (uint32_t i = 0; i < 8; i++) {
    assert_int_equal(lseek(pair->msg.fds[i], 0, SEEK_END), i);
    assert_int_equal(fcntl(pair->msg.fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
  close_received(pair);
}

static void a_ninth_descriptor_is_fatal(void **state) {
  struct pair *pair = *state;
  vhost_frontend_send(&pair->fe, 3, NULL, 0, pair->fds, 9);
  receive(pair, -EPROTO);
}

static void pieces_of_one_byte_make_a_message(void **state) {
  struct pair *pair = *state;
  char bytes[20];
  uint32_t words[5] = {2, 1, 8, 0x01020304, 0x05060708};
  memcpy(bytes, words, sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; i++)
    vhost_frontend_raw(&pair->fe, bytes + i, 1, pair->fds, i == 0 ? 1 : 0);
  receive(pair, 0);
  assert_int_equal(pair->msg.payload.u64, 0x0506070801020304);
  assert_int_equal(pair->msg.fd_count, 1);
  close_received(pair);
}

static void descriptors_after_the_first_byte_are_fatal(void **state) {
  struct pair *pair = *state;
  uint32_t words[5] = {2, 1, 8, 0, 0};
  vhost_frontend_raw(&pair->fe, words, 12, NULL, 0);
  vhost_frontend_raw(&pair->fe, words + 3, 8, pair->fds, 1);
  receive(pair, -EPROTO);
}

static void a_hang_up_between_messages_is_none_amid_one(void **state) {
  struct pair *pair = *state;
  vhost_frontend_empty(&pair->fe, 3);
  vhost_frontend_fini(&pair->fe);
  receive(pair, 0);
  receive(pair, -ECONNRESET);
}

static void a_hang_up_amid_a_message_is_an_error(void **state) {
  struct pair *pair = *state;
  uint32_t words[5] = {2, 1, 8, 0, 0};
  for (size_t size = 1; size < sizeof words; size++) {
    struct vhost_frontend fe;
    struct virtiofs_vhost_socket sock;
    virtiofs_vhost_socket_init(&sock, vhost_frontend_init(&fe));
    vhost_frontend_raw(&fe, words, size, pair->fds, 2);
    vhost_frontend_fini(&fe);
    unsigned before = vhost_frontend_count_fds();
    assert_int_equal(sock.transport.ops->receive(&sock.transport, &pair->msg), -EPROTO);
    assert_int_equal(vhost_frontend_count_fds(), before);
    sock.transport.ops->close(&sock.transport);
  }
}

static void a_bad_header_closes_its_descriptors(void **state) {
  struct pair *pair = *state;
  uint32_t wrong_version[3] = {3, 2, 0};
  vhost_frontend_raw(&pair->fe, wrong_version, 12, pair->fds, 3);
  receive(pair, -EPROTO);
}

static void an_oversize_payload_is_not_read(void **state) {
  struct pair *pair = *state;
  uint32_t words[3] = {2, 1, 0xfffffff0U};
  vhost_frontend_raw(&pair->fe, words, 12, pair->fds, 1);
  receive(pair, -EPROTO);
}

static void an_unserved_message_arrives_too(void **state) {
  struct pair *pair = *state;
  char payload[sizeof(union virtiofs_vhost_user_payload)] = {0};
  vhost_frontend_send(&pair->fe, 99, payload, sizeof payload, pair->fds, 8);
  vhost_frontend_empty(&pair->fe, 3);
  receive(pair, 0);
  assert_int_equal(pair->msg.fd_count, 8);
  close_received(pair);
  receive(pair, 0);
  assert_int_equal(pair->msg.header.request, 3);
  vhost_frontend_send(&pair->fe, 99, payload, sizeof payload, NULL, 0);
  receive(pair, 0);
}

static void a_payload_leaves_nothing_of_the_last_one(void **state) {
  struct pair *pair = *state;
  vhost_frontend_state(&pair->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 2);
  receive(pair, 0);
  static const char zeros[sizeof pair->msg.payload - 8];
  assert_memory_equal((char *)&pair->msg.payload + 8, zeros, sizeof zeros);
}

static void a_non_blocking_socket_is_made_blocking(void **state) {
  struct pair *pair = *state;
  struct virtiofs_vhost_socket sock;
  int fd = dup(pair->fe.fd);
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  virtiofs_vhost_socket_init(&sock, fd);
  assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  sock.transport.ops->close(&sock.transport);
}

static void a_reply_goes_out_whole(void **state) {
  struct pair *pair = *state;
  struct virtiofs_vhost_user_message out = {.header = {24, 5, 268}, .fd_count = 1, .fds = {pair->fds[5]}};
  out.payload.config.data[255] = 7;
  assert_int_equal(pair->sock.transport.ops->send(&pair->sock.transport, &out), 0);
  assert_int_equal(fcntl(pair->fds[5], F_GETFD), FD_CLOEXEC);
  struct virtiofs_vhost_socket other = {.transport = pair->sock.transport, .fd = pair->fe.fd};
  out.header.flags = 1;
  assert_int_equal(pair->sock.transport.ops->send(&pair->sock.transport, &out), 0);
  struct virtiofs_vhost_user_message in;
  assert_int_equal(vhost_frontend_receive(&pair->fe, &in), 1);
  assert_int_equal(in.payload.config.data[255], 7);
  /* The second one is no reply, so that our own end can read it with its descriptor. */
  assert_int_equal(other.transport.ops->receive(&other.transport, &pair->msg), 0);
  assert_int_equal(pair->msg.fd_count, 1);
  assert_int_equal(lseek(pair->msg.fds[0], 0, SEEK_END), 5);
  close_received(pair);
}

static void sending_to_nobody_is_an_error_and_no_signal(void **state) {
  struct pair *pair = *state;
  struct virtiofs_vhost_user_message out = {.header = {1, 5, 8}};
  vhost_frontend_fini(&pair->fe);
  assert_int_equal(pair->sock.transport.ops->send(&pair->sock.transport, &out), -EPIPE);
}

static void sending_nonsense_is_refused(void **state) {
  struct pair *pair = *state;
  struct virtiofs_vhost_user_message out = {.header = {1, 5, sizeof out.payload + 1}};
  assert_int_equal(pair->sock.transport.ops->send(&pair->sock.transport, &out), -EINVAL);
  out.header.size = 8;
  out.fd_count = 9;
  assert_int_equal(pair->sock.transport.ops->send(&pair->sock.transport, &out), -EINVAL);
  vhost_frontend_no_reply(&pair->fe);
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct trickle {
  int fd;
  atomic_bool over;
};

enum { PATIENCE_MS = 300, BYTE_MS = 5 };

/* The longest message, one byte after the other: each in time, all of them not. Nothing is sent in a hurry that is
 * late, and whoever reads would have to be late by all of it to find it whole. */
static void *send_by_bytes(void *arg) {
  static const struct virtiofs_vhost_user_header header = {99, 1, sizeof(union virtiofs_vhost_user_payload)};
  struct trickle *trickle = arg;
  unsigned char bytes[sizeof header + sizeof(union virtiofs_vhost_user_payload)] = {0};
  memcpy(bytes, &header, sizeof header);
  for (unsigned i = 0; i < sizeof bytes && !atomic_load(&trickle->over); i++) {
    (void)!send(trickle->fd, &bytes[i], 1, MSG_NOSIGNAL);
    int64_t sent = now_ms();
    while (now_ms() < sent + BYTE_MS && !atomic_load(&trickle->over))
      sched_yield();
  }
  return NULL;
}

static void a_message_that_comes_in_drops(void **state) {
  struct pair *pair = *state;
  struct trickle trickle = {.fd = pair->fe.fd};
  pthread_t thread;
  pair->sock.patience_ms = PATIENCE_MS;
  assert_int_equal(pthread_create(&thread, NULL, send_by_bytes, &trickle), 0);
  receive(pair, -ETIMEDOUT);
  atomic_store(&trickle.over, true);
  pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_message_arrives_whole),
      TEST(messages_are_kept_apart),
      TEST(descriptors_keep_their_order_and_close_on_exec),
      TEST(a_ninth_descriptor_is_fatal),
      TEST(pieces_of_one_byte_make_a_message),
      TEST(a_message_that_comes_in_drops),
      TEST(descriptors_after_the_first_byte_are_fatal),
      TEST(a_hang_up_between_messages_is_none_amid_one),
      TEST(a_hang_up_amid_a_message_is_an_error),
      TEST(a_bad_header_closes_its_descriptors),
      TEST(an_oversize_payload_is_not_read),
      TEST(an_unserved_message_arrives_too),
      TEST(a_payload_leaves_nothing_of_the_last_one),
      TEST(a_non_blocking_socket_is_made_blocking),
      TEST(a_reply_goes_out_whole),
      TEST(sending_to_nobody_is_an_error_and_no_signal),
      TEST(sending_nonsense_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
