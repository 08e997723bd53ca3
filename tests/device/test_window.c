/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end with a window: it answers late, wrongly, twice, unasked or never, and goes amid all this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "support/device_bench.h"

#define PAGE 4096U
#define PAGES 16U
enum { MAP = VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP, UNMAP = VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP };
enum { ANSWER = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY, IMPATIENT_MS = 50 };

#define PROTOCOL                                                                                                       \
  (VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK |                                      \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |                       \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM | VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE)

static int file = -1, channel = -1;
static uint64_t node;
static uint32_t patience_ms; /* the device's own */

static int setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                        struct virtiofs_setupmapping_out *out) {
  (void)req, (void)in;
  out->fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
  return out->fd >= 0 ? 0 : -errno;
}

static void close_channel(void) {
  if (channel >= 0)
    close(channel);
  channel = -1;
}

static int setup(void **state) {
  if (device_bench_setup(state) != 0)
    return -1;
  struct device_bench *b = *state;
  file = vhost_frontend_memfd(PAGES * PAGE);
  b->ops.setupmapping = setupmapping;
  b->config.window_len = PAGES * PAGE;
  device_bench_new(b);
  patience_ms = b->dev->window.patience_ms;
  b->dev->window.patience_ms = GUEST_DEADLINE_MS; /* where nobody is silent */
  return 0;
}

static int teardown(void **state) {
  close(file);
  close_channel();
  return device_bench_teardown(state);
}

static void give_channel(struct device_bench *b) {
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  close_channel();
  channel = ends[0];
  vhost_frontend_send(&b->g.fe, VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &ends[1], 1);
  close(ends[1]);
}

/* INIT's flag for a window, and what goes with it. */
static bool mount_guest(struct device_bench *b) {
  struct fuse_request r;
  struct fuse_init_out out;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(device_ask(b, 1, &r, &out, sizeof out), 0);
  bool has = (out.flags & FUSE_MAP_ALIGNMENT) != 0;
  assert_int_equal(out.map_alignment, has ? 12 : 0);
  return has;
}

static void connect_without(struct device_bench *b) {
  device_bench_connect(b, DEVICE_RING, 0);
  b->g.fe.timeout_ms = GUEST_DEADLINE_MS;
  vhost_frontend_u64(&b->g.fe, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, PROTOCOL);
  give_channel(b);
  guest_start(&b->g, 3, 3);
}

static void ask_len(struct device_bench *b) {
  struct virtiofs_vhost_user_message msg;
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG);
  assert_int_equal(vhost_frontend_receive(&b->g.fe, &msg), 1);
  assert_int_equal(msg.payload.shmem.count, 1);
  assert_int_equal(msg.payload.shmem.sizes[0], PAGES * PAGE);
}

static void start(struct device_bench *b) {
  connect_without(b);
  ask_len(b);
  assert_true(mount_guest(b));
  node = device_lookup(b, 1, "7");
}

static void again(struct device_bench *b) {
  assert_int_equal(device_bench_hang_up(b), 0);
  start(b);
}

static struct device_call map(struct device_bench *b, uint32_t queue, uint64_t page) {
  struct fuse_request r;
  struct fuse_setupmapping_in in = {
      .fh = UINT64_MAX, .len = PAGE, .flags = FUSE_SETUPMAPPING_FLAG_READ, .moffset = page * PAGE};
  fuse_request(&r, FUSE_SETUPMAPPING, node);
  fuse_request_put(&r, &in, sizeof in);
  return device_send(b, queue, &r);
}

static struct device_call unmap(struct device_bench *b, uint32_t queue, uint64_t page, uint64_t pages) {
  struct fuse_request r;
  struct fuse_removemapping_in in = {.count = 1};
  struct fuse_removemapping_one one = {.moffset = page * PAGE, .len = pages * PAGE};
  fuse_request(&r, FUSE_REMOVEMAPPING, node);
  fuse_request_put(&r, &in, sizeof in);
  fuse_request_put(&r, &one, sizeof one);
  return device_send(b, queue, &r);
}

static int result(struct device_bench *b, struct device_call call) {
  (void)device_wait(b, &call, 1);
  return device_error(b, &call);
}

/* What the device asks for next is this. */
static void is_asked(uint32_t request, uint64_t page) {
  struct {
    struct virtiofs_vhost_user_header header;
    unsigned char payload[sizeof(struct virtiofs_vhost_user_mmap)];
  } msg;
  struct virtiofs_vhost_user_mmap mmap;
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec iov = {.iov_base = &msg, .iov_len = sizeof msg};
  struct msghdr hdr = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct pollfd pfd = {.fd = channel, .events = POLLIN};
  assert_int_equal(poll(&pfd, 1, GUEST_DEADLINE_MS), 1);
  assert_int_equal(recvmsg(channel, &hdr, MSG_CMSG_CLOEXEC), sizeof msg);
  struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
  assert_true((c != NULL) == (request == MAP));
  if (c != NULL) {
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    close(fd);
  }
  memcpy(&mmap, msg.payload, sizeof mmap);
  assert_int_equal(msg.header.request, request);
  assert_int_equal(msg.header.flags, VHOST_NEED_REPLY);
  assert_int_equal(msg.header.size, sizeof mmap);
  assert_int_equal(mmap.shmid, 0);
  assert_int_equal(mmap.shm_offset, page * PAGE);
  assert_int_equal(mmap.len, PAGE);
}

static void is_not_asked(void) {
  struct pollfd pfd = {.fd = channel, .events = POLLIN};
  assert_int_equal(poll(&pfd, 1, 0), 0);
}

struct answer {
  struct virtiofs_vhost_user_header header;
  unsigned char payload[16];
};

static struct answer answer_of(uint32_t request, uint64_t value) {
  struct answer a = {.header = {.request = request, .flags = ANSWER, .size = sizeof value}};
  memcpy(a.payload, &value, sizeof value);
  return a;
}

static void say(const struct answer *a) {
  size_t size = sizeof a->header + a->header.size;
  assert_int_equal(send(channel, a, size, MSG_NOSIGNAL), size);
}

static void answer(uint32_t request, uint64_t value) {
  struct answer a = answer_of(request, value);
  say(&a);
}

static void must_map(struct device_bench *b, uint64_t page) {
  struct device_call call = map(b, 1, page);
  is_asked(MAP, page);
  answer(MAP, 0);
  assert_int_equal(result(b, call), 0);
}

/* Nothing is asked any more, and the guest hears so at once. */
static void is_dead(struct device_bench *b) {
  assert_int_equal(result(b, map(b, 1, 9)), -EIO);
  (void)device_lookup(b, 1, "8");
}

static void asked_and_answered(void **state) {
  struct device_bench *b = *state;
  start(b);
  must_map(b, 3);
  must_map(b, 4);
  struct device_call call = map(b, 1, 5);
  is_asked(MAP, 5);
  answer(MAP, 1);
  assert_int_equal(result(b, call), -EIO);
  call = unmap(b, 1, 0, PAGES);
  is_asked(UNMAP, 3);
  answer(UNMAP, 0);
  is_asked(UNMAP, 4);
  answer(UNMAP, 0);
  assert_int_equal(result(b, call), 0);
  is_not_asked();
}

static void in_pieces(void **state) {
  struct device_bench *b = *state;
  struct answer a = answer_of(MAP, 0);
  start(b);
  for (size_t cut = 1; cut < sizeof a.header + sizeof(uint64_t); cut++) {
    struct device_call call = map(b, 1, cut % PAGES);
    is_asked(MAP, cut % PAGES);
    assert_int_equal(send(channel, &a, cut, MSG_NOSIGNAL), cut);
    (void)device_lookup(b, 2, "9"); /* other queues go on, and the window's thread has had its time */
    size_t left = sizeof a.header + sizeof(uint64_t) - cut;
    assert_int_equal(send(channel, (char *)&a + cut, left, MSG_NOSIGNAL), left);
    assert_int_equal(result(b, call), 0);
    call = unmap(b, 1, cut % PAGES, 1);
    is_asked(UNMAP, cut % PAGES);
    answer(UNMAP, 0);
    assert_int_equal(result(b, call), 0);
  }
}

static void never(void **state) {
  struct device_bench *b = *state;
  struct virtiofs_device_window *window = &b->dev->window;
  assert_in_range(patience_ms, 1000, 10000);
  start(b);
  must_map(b, 0);
  pthread_mutex_lock(&window->lock);
  window->patience_ms = IMPATIENT_MS;
  pthread_mutex_unlock(&window->lock);
  struct device_call call = map(b, 1, 1);
  is_asked(MAP, 1);
  struct device_call other = map(b, 2, 2);
  assert_int_equal(result(b, call), -EIO);
  assert_int_equal(result(b, other), -EIO);
  answer(MAP, 0); /* too late */
  is_dead(b);
  is_not_asked();
  assert_true(mount_guest(b)); /* it doesn't wait for the mapping that can't be undone */
  assert_int_equal(device_bench_hang_up(b), 0);
  window->patience_ms = GUEST_DEADLINE_MS;
  start(b);
  must_map(b, 0);
}

static void wrong(void **state) {
  struct device_bench *b = *state;
  start(b);
  for (unsigned i = 0; i < 9; i++) {
    struct answer a = answer_of(MAP, 0);
    switch (i) {
    case 0:
      a.header.request = UNMAP;
      break;
    case 1:
      a.header.request = 0;
      break;
    case 2:
      a.header.flags = VIRTIOFS_VHOST_USER_VERSION;
      break;
    case 3:
      a.header.flags = 2 | VIRTIOFS_VHOST_USER_REPLY;
      break;
    default:
      a.header.size = (uint32_t[]){0, 4, 7, 9, 16}[i - 4];
    }
    must_map(b, 0);
    struct device_call call = map(b, 1, 1);
    is_asked(MAP, 1);
    say(&a);
    assert_int_equal(result(b, call), -EIO);
    is_dead(b);
    is_not_asked();
    again(b);
  }
}

static void wait_warnings(struct device_bench *b, unsigned count) {
  while (atomic_load(&b->warnings) < count)
    (void)device_lookup(b, 1, "8");
}

/* Nobody waits for what it says. */
static void unasked(void **state) {
  struct device_bench *b = *state;
  for (unsigned i = 0; i < 2; i++) {
    start(b);
    if (i == 1)
      must_map(b, 0); /* and then the answer once more */
    answer(MAP, 0);
    wait_warnings(b, i + 1);
    is_dead(b);
    is_not_asked();
    assert_int_equal(device_bench_hang_up(b), 0);
  }
}

static void closed(void **state) {
  struct device_bench *b = *state;
  start(b);
  must_map(b, 0);
  struct device_call call = map(b, 1, 1);
  is_asked(MAP, 1);
  struct device_call other = unmap(b, 2, 0, 1);
  close_channel();
  assert_int_equal(result(b, call), -EIO);
  assert_int_equal(result(b, other), -EIO);
  is_dead(b);
  again(b);
  must_map(b, 0);
}

/* Bit 22 alone, as QEMU's virtio-fs device acknowledges it, is no window. */
static void len_not_asked(void **state) {
  struct device_bench *b = *state;
  connect_without(b);
  assert_false(mount_guest(b));
  node = device_lookup(b, 1, "7");
  assert_int_equal(result(b, map(b, 1, 0)), -ENOSYS);
  assert_int_equal(result(b, unmap(b, 1, 0, 1)), -ENOSYS);
  is_not_asked();
}

/* QEMU sends its memory table, and waits for the answer, before it answers itself. */
static void memory_meanwhile(void **state) {
  struct device_bench *b = *state;
  start(b);
  b->g.fe.flags = VHOST_NEED_REPLY;
  for (unsigned i = 0; i < 20; i++) {
    struct device_call call = i % 2 == 0 ? map(b, 1, 1) : unmap(b, 1, 1, 1);
    is_asked(i % 2 == 0 ? MAP : UNMAP, 1);
    guest_set_memory(&b->g, 2 + i % 2);
    assert_int_equal(vhost_frontend_reply_u64(&b->g.fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE), 0);
    (void)device_lookup(b, 2, "7");
    answer(i % 2 == 0 ? MAP : UNMAP, 0);
    assert_int_equal(result(b, call), 0);
  }
  b->g.fe.flags = VIRTIOFS_VHOST_USER_VERSION;
}

/* A ring that stops doesn't wait for the front-end, which waits for the ring. */
static void ring_stops_meanwhile(void **state) {
  struct device_bench *b = *state;
  start(b);
  struct device_call call = map(b, 1, 1);
  is_asked(MAP, 1);
  (void)guest_stop_ring(&b->g, 1);
  assert_int_equal(result(b, call), -EINTR);
  answer(MAP, 0);
  guest_reset_ring(&b->g, 1);
  guest_start_ring(&b->g, 1, 0);
  (void)device_lookup(b, 1, "7");
  call = unmap(b, 1, 1, 1); /* it was mapped all the same */
  is_asked(UNMAP, 1);
  answer(UNMAP, 0);
  assert_int_equal(result(b, call), 0);
}

static void reset(struct device_bench *b) {
  vhost_frontend_empty(&b->g.fe, VIRTIOFS_VHOST_USER_RESET_DEVICE);
  guest_sync(&b->g);
  for (uint32_t queue = 0; queue < 3; queue++)
    guest_reset_ring(&b->g, queue);
  guest_start(&b->g, 3, 3);
}

/* The front-end drops what is mapped by itself. */
static void reset_device(void **state) {
  struct device_bench *b = *state;
  start(b);
  for (unsigned i = 0; i < 10; i++) {
    must_map(b, 0);
    must_map(b, 5);
    if (i % 2 == 1) {
      (void)map(b, 1, 7);
      is_asked(MAP, 7);
    }
    reset(b);
    memset(b->busy, 0, sizeof b->busy);
    if (i % 2 == 1) {
      answer(MAP, 0); /* perhaps before the reset, perhaps after */
      is_asked(UNMAP, 7);
      answer(UNMAP, 1);
    }
    assert_true(mount_guest(b));
    is_not_asked();
    node = device_lookup(b, 1, "7");
  }
}

/* The guest mounts anew: all that it had is unmapped before it hears. */
static void mounted_again(void **state) {
  struct device_bench *b = *state;
  start(b);
  must_map(b, 0);
  must_map(b, 5);
  struct fuse_request r;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  struct device_call call = device_send(b, 1, &r);
  is_asked(UNMAP, 0);
  answer(UNMAP, 0);
  is_asked(UNMAP, 5);
  assert_false(guest_has_used(&b->g, 1));
  answer(UNMAP, 0);
  assert_int_equal(result(b, call), 0);
}

/* Mappings, one that is asked for, and others that wait for their turn: nothing is left of them. */
static void gone_meanwhile(void **state) {
  struct device_bench *b = *state;
  for (unsigned i = 0; i < 10; i++) {
    start(b);
    must_map(b, 0);
    (void)map(b, 1, 1);
    is_asked(MAP, 1);
    (void)map(b, 1, 2);
    (void)map(b, 2, 3);
    if (i % 2 == 1)
      close_channel();
    assert_int_equal(device_bench_hang_up(b), 0);
    guest_wait_threads(b->threads);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(asked_and_answered),
                                     TEST(in_pieces),
                                     TEST(never),
                                     TEST(wrong),
                                     TEST(unasked),
                                     TEST(closed),
                                     TEST(len_not_asked),
                                     TEST(memory_meanwhile),
                                     TEST(ring_stops_meanwhile),
                                     TEST(reset_device),
                                     TEST(mounted_again),
                                     TEST(gone_meanwhile)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
