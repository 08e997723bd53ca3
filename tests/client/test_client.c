/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of a device of ours, in one process and over a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/driverq.h>

#include "client/client.h"
#include "support/script_fs.h"

enum { QUEUES = 3, DEADLINE_MS = 60000 };

struct bench {
  struct script_fs fs;
  struct virtiofs_device *dev;
  struct virtiofs_client *client;
  struct virtiofs_client_config config;
  pthread_t server;
  bool joined;
  int fd;
};

static void *serve(void *arg) {
  struct bench *b = arg;
  (void)virtiofs_device_serve(b->dev, b->fd);
  return NULL;
}

static int setup(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  int fds[2];
  assert_non_null(b);
  script_fs_init(&b->fs);
  b->fs.records = 50;
  struct virtiofs_device_config config = {
      .size = sizeof config, .ops = &script_fs_ops, .fs = &b->fs, .tag = "bench", .request_queues = QUEUES};
  assert_int_equal(virtiofs_device_new(&b->dev, &config), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  b->fd = fds[0];
  b->config = (struct virtiofs_client_config){.size = sizeof b->config,
                                              .fd = fds[1],
                                              .request_queues = QUEUES,
                                              .max_data = 65536,
                                              .memory = 100000,
                                              .timeout_ms = DEADLINE_MS};
  assert_int_equal(pthread_create(&b->server, NULL, serve, b), 0);
  *state = b;
  return 0;
}

/* The device in this process, without a thread and a socket. */
static int setup_here(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  script_fs_init(&b->fs);
  b->fs.records = 50;
  struct virtiofs_device_config config = {
      .size = sizeof config, .ops = &script_fs_ops, .fs = &b->fs, .tag = "bench", .request_queues = QUEUES};
  assert_int_equal(virtiofs_device_new(&b->dev, &config), 0);
  b->config = (struct virtiofs_client_config){.size = sizeof b->config,
                                              .request_queues = QUEUES,
                                              .max_data = 65536,
                                              .memory = 100000,
                                              .timeout_ms = DEADLINE_MS,
                                              .transport = virtiofs_device_transport(),
                                              .device = b->dev};
  b->joined = true;
  *state = b;
  return 0;
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_client_free(b->client);
  if (!b->joined)
    pthread_join(b->server, NULL);
  while (script_fs_pending(&b->fs) != 0)
    script_fs_answer(&b->fs, -EIO);
  virtiofs_device_free(b->dev);
  script_fs_fini(&b->fs);
  free(b);
  return 0;
}

static void start(struct bench *b) {
  assert_int_equal(virtiofs_client_new(&b->client, &b->config), 0);
  assert_int_equal(virtiofs_client_init(b->client, NULL, NULL), 0);
}

static struct virtiofs_client_request *take(struct bench *b, uint32_t queue, uint32_t opcode) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(b->client, queue);
  assert_non_null(req);
  req->fuse.header.opcode = opcode;
  return req;
}

static uint64_t lookup(struct bench *b, uint32_t queue, const char *name) {
  struct virtiofs_client_request *req = take(b, queue, VIRTIOFS_FUSE_LOOKUP);
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = name, .len = (uint32_t)strlen(name)};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  uint64_t node = req->out.entry.node;
  virtiofs_client_request_give(req);
  return node;
}

static void read_file(struct bench *b, uint32_t queue) {
  uint64_t node = lookup(b, queue, "17");
  struct virtiofs_client_request *req = take(b, queue, VIRTIOFS_FUSE_OPEN);
  req->fuse.in.open.node = node;
  req->fuse.in.open.flags = O_RDONLY;
  assert_int_equal(virtiofs_client_request_run(req), 0);
  uint64_t handle = req->out.open.handle;
  for (uint32_t size = 1; size <= 20000; size = size * 3 + 1) {
    req->fuse.header.opcode = VIRTIOFS_FUSE_READ;
    req->fuse.in.read = (struct virtiofs_read_in){.node = node, .handle = handle, .offset = 1, .size = size};
    assert_int_equal(virtiofs_client_request_run(req), 0);
    uint32_t there = size < SCRIPT_FILE_SIZE - 1 ? size : SCRIPT_FILE_SIZE - 1;
    assert_int_equal(req->out.read.size, there);
    for (uint32_t i = 0; i < there; i++)
      assert_int_equal(((unsigned char *)req->data)[i], script_fs_byte(1 + i));
  }
  req->fuse.header.opcode = VIRTIOFS_FUSE_RELEASE;
  req->fuse.in.release = (struct virtiofs_release_in){.node = node, .handle = handle};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  virtiofs_client_request_give(req);
}

static void list(struct bench *b) {
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_OPENDIR);
  unsigned names = 0;
  req->fuse.in.opendir.node = VIRTIOFS_FUSE_ROOT;
  assert_int_equal(virtiofs_client_request_run(req), 0);
  uint64_t handle = req->out.open.handle, offset = 0;
  for (bool more = true; more;) {
    req->fuse.header.opcode = VIRTIOFS_FUSE_READDIR;
    req->fuse.in.readdir =
        (struct virtiofs_readdir_in){.node = VIRTIOFS_FUSE_ROOT, .handle = handle, .offset = offset, .size = 512};
    assert_int_equal(virtiofs_client_request_run(req), 0);
    const struct iovec iov = {.iov_base = req->data, .iov_len = req->out.read.size};
    struct virtiofs_data page = {.iov = &iov, .count = 1, .size = iov.iov_len};
    char name[VIRTIOFS_FUSE_NAME_MAX];
    struct virtiofs_dirent entry;
    ssize_t len;
    more = page.size > 0;
    for (size_t at = 0;
         (len = virtiofs_fuse_dirent_decode(virtiofs_client_proto(b->client), &page, at, name, &entry, NULL)) > 0;
         at += (size_t)len) {
      offset = entry.next;
      names++;
    }
  }
  assert_int_equal(names, 50);
  req->fuse.header.opcode = VIRTIOFS_FUSE_RELEASEDIR;
  req->fuse.in.release = (struct virtiofs_release_in){.node = VIRTIOFS_FUSE_ROOT, .handle = handle};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  virtiofs_client_request_give(req);
}

/* Gives back what the reads have looked up, on the queue for that. */
static void forget(struct bench *b, uint64_t node, uint64_t count) {
  struct virtiofs_client_request *req = take(b, 0, VIRTIOFS_FUSE_BATCH_FORGET);
  uint64_t pair[2] = {node, count};
  req->fuse.in.batch_forget.count = 1;
  memcpy(req->data, pair, sizeof pair);
  assert_int_equal(virtiofs_client_request_run(req), 0);
  virtiofs_client_request_give(req);
}

static void everything_once(struct bench *b) {
  char tag[VIRTIOFS_CLIENT_TAG_MAX + 1];
  start(b);
  assert_int_equal(virtiofs_client_tag(b->client, tag), 0);
  assert_string_equal(tag, "bench");
  for (uint32_t queue = 1; queue <= QUEUES; queue++)
    read_file(b, queue);
  list(b);
  uint64_t node = lookup(b, 1, "17");
  forget(b, node, QUEUES + 1);
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_GETATTR);
  req->fuse.in.getattr.node = node;
  assert_int_equal(virtiofs_client_request_run(req), -ESTALE); /* forgotten */
  virtiofs_client_request_give(req);
}

static void rings_of_each_kind(void **state) {
  everything_once(*state);
}

static void with_polling(void **state) {
  struct bench *b = *state;
  b->config.poll = true;
  everything_once(b);
  assert_int_equal(virtiofs_client_fd(b->client, 1) >= 0, 1);
}

static void with_packed_rings(void **state) {
  struct bench *b = *state;
  b->config.features = VIRTIOFS_VIRTQ_F_RING_PACKED | VIRTIOFS_VIRTQ_F_INDIRECT_DESC;
  everything_once(b);
  assert_true((virtiofs_client_features(b->client) & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0);
}

static void with_bare_rings(void **state) {
  struct bench *b = *state;
  b->config.features = UINT64_C(1) << 32;
  everything_once(b);
  assert_int_equal(virtiofs_client_features(b->client), UINT64_C(1) << 32);
}

struct thread {
  struct bench *b;
  uint32_t queue;
  pthread_t thread;
};

static void *read_often(void *arg) {
  struct thread *t = arg;
  for (int i = 0; i < 20; i++)
    read_file(t->b, t->queue);
  return NULL;
}

static void queues_have_threads_of_their_own(void **state) {
  struct bench *b = *state;
  struct thread threads[QUEUES];
  start(b);
  for (uint32_t i = 0; i < QUEUES; i++) {
    threads[i] = (struct thread){.b = b, .queue = i + 1};
    assert_int_equal(pthread_create(&threads[i].thread, NULL, read_often, &threads[i]), 0);
  }
  for (uint32_t i = 0; i < QUEUES; i++)
    pthread_join(threads[i].thread, NULL);
}

static unsigned done_count;

static void count_done(struct virtiofs_client_request *req) {
  assert_int_equal(req->error, req->user == NULL ? 0 : -EACCES);
  done_count++;
}

static void many_in_flight(void **state) {
  struct bench *b = *state;
  struct virtiofs_client_request *reqs[16];
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << VIRTIOFS_FUSE_GETATTR);
  done_count = 0;
  for (unsigned i = 0; i < 16; i++) {
    reqs[i] = take(b, 2, VIRTIOFS_FUSE_GETATTR);
    reqs[i]->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
    reqs[i]->done = count_done;
    reqs[i]->user = i % 2 != 0 ? b : NULL;
    assert_int_equal(virtiofs_client_request_send(reqs[i]), 0);
  }
  assert_null(virtiofs_client_request_take(b->client, 2));
  assert_int_equal(virtiofs_client_in_flight(b->client, 2), 16);
  virtiofs_client_kick(b->client, 2);
  script_fs_wait_pending(&b->fs, 16);
  assert_int_equal(virtiofs_client_process(b->client, 2), 0);
  for (unsigned i = 0; i < 16; i++)
    script_fs_answer(&b->fs, i % 2 != 0 ? -EACCES : 0);
  for (int rc = 0; done_count < 16; done_count == 16 || rc >= 0 ? (void)0 : fail())
    rc = virtiofs_client_wait(b->client, 2);
  assert_int_equal(virtiofs_client_wait(b->client, 2), 0);
  for (unsigned i = 0; i < 16; i++)
    virtiofs_client_request_give(reqs[i]);
  script_fs_pend(&b->fs, 0);
}

/* Somebody else's loop. */
static void notifications_for_poll(void **state) {
  struct bench *b = *state;
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << VIRTIOFS_FUSE_GETATTR);
  done_count = 0;
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_GETATTR);
  req->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
  req->done = count_done;
  assert_int_equal(virtiofs_client_request_send(req), 0);
  virtiofs_client_kick(b->client, 1);
  script_fs_wait_pending(&b->fs, 1);
  assert_false(virtiofs_client_arm(b->client, 1));
  script_fs_answer(&b->fs, 0);
  struct pollfd pfd = {.fd = virtiofs_client_fd(b->client, 1), .events = POLLIN};
  assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
  assert_int_equal(virtiofs_client_process(b->client, 1), 1);
  assert_int_equal(done_count, 1);
  virtiofs_client_request_give(req);
  script_fs_pend(&b->fs, 0);
}

static void what_cannot_be_sent(void **state) {
  struct bench *b = *state;
  start(b);
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_WRITE);
  req->fuse.in.write.data.size = 65537;
  assert_int_equal(virtiofs_client_request_send(req), -EMSGSIZE);
  req->fuse.header.opcode = VIRTIOFS_FUSE_READ;
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  req->fuse.in.read.size = 65537;
  assert_int_equal(virtiofs_client_request_send(req), -EMSGSIZE);
  req->fuse.header.opcode = 1000;
  assert_int_equal(virtiofs_client_request_send(req), -ENOSYS);
  req->fuse.header.opcode = VIRTIOFS_FUSE_LOOKUP;
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  assert_int_equal(virtiofs_client_request_send(req), -EINVAL);
  char outside[100];
  const struct iovec iov = {.iov_base = outside, .iov_len = sizeof outside};
  struct virtiofs_client_call call = {.in = &iov, .in_count = 1};
  assert_int_equal(virtiofs_client_submit(b->client, 1, &call), -EINVAL);
  assert_int_equal(virtiofs_client_in_flight(b->client, 1), 0);
  virtiofs_client_request_give(req);
}

static int64_t call_used;

static void call_done(struct virtiofs_client_call *call, int64_t used) {
  (void)call;
  call_used = used;
}

/* A message of the caller's own making, in memory of his own. */
static void calls_are_raw(void **state) {
  struct bench *b = *state;
  start(b);
  unsigned char *memory = virtiofs_client_alloc(b->client, 8192);
  assert_non_null(memory);
  assert_null(virtiofs_client_alloc(b->client, 1000000));
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_STATFS, .unique = 77};
  union virtiofs_fuse_in in;
  memset(&in, 0, sizeof in);
  in.nodeid = VIRTIOFS_FUSE_ROOT;
  ssize_t len = virtiofs_fuse_request_encode(virtiofs_client_proto(b->client), &header, &in, memory, 4096);
  assert_int_equal(len, 40);
  const struct iovec iov[3] = {{.iov_base = memory, .iov_len = 17},
                               {.iov_base = memory + 17, .iov_len = 23},
                               {.iov_base = memory + 4096, .iov_len = 200}};
  struct virtiofs_client_call call = {.in = iov, .in_count = 2, .out = iov + 2, .out_count = 1, .done = call_done};
  assert_int_equal(virtiofs_client_submit(b->client, 3, &call), 0);
  assert_int_equal(virtiofs_client_wait(b->client, 3), 1);
  assert_int_equal(call_used, 96);
  uint64_t unique;
  memcpy(&unique, memory + 4096 + 8, sizeof unique);
  assert_int_equal(unique, 77);
}

static void too_many_for_the_ring_wait(void **state) {
  struct bench *b = *state;
  b->config.queue_size = 8;
  b->config.features = UINT64_C(1) << 32; /* each piece takes a descriptor */
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << VIRTIOFS_FUSE_GETATTR);
  struct virtiofs_client_request *reqs[5];
  for (int i = 0; i < 5; i++) {
    reqs[i] = take(b, 1, VIRTIOFS_FUSE_GETATTR);
    reqs[i]->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
    assert_int_equal(virtiofs_client_request_send(reqs[i]), i < 4 ? 0 : -ENOSPC);
  }
  virtiofs_client_kick(b->client, 1);
  script_fs_wait_pending(&b->fs, 4);
  for (int i = 0; i < 4; i++)
    script_fs_answer(&b->fs, 0);
  script_fs_pend(&b->fs, 0);
  while (virtiofs_client_in_flight(b->client, 1) > 0)
    assert_true(virtiofs_client_wait(b->client, 1) >= 0);
  assert_int_equal(virtiofs_client_request_run(reqs[4]), 0);
  for (int i = 0; i < 5; i++)
    virtiofs_client_request_give(reqs[i]);
}

/* The device goes away: what is in flight gets the error, and so does all that follows. */
static void a_device_that_hangs_up(void **state) {
  struct bench *b = *state;
  start(b);
  script_fs_pend(&b->fs, UINT64_C(1) << VIRTIOFS_FUSE_GETATTR);
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_GETATTR);
  req->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
  assert_int_equal(virtiofs_client_request_send(req), 0);
  virtiofs_client_kick(b->client, 1);
  script_fs_wait_pending(&b->fs, 1);
  /* It answers what is pending and closes the socket. */
  virtiofs_device_stop(b->dev);
  script_fs_answer(&b->fs, 0);
  while (req->in_flight)
    (void)virtiofs_client_wait(b->client, 1);
  assert_true(req->error == 0 || req->error == -ECONNRESET);
  script_fs_pend(&b->fs, 0);
  pthread_join(b->server, NULL);
  b->joined = true;
  assert_int_equal(virtiofs_client_request_run(req), -ECONNRESET);
  assert_int_equal(virtiofs_client_request_run(req), -ECONNRESET);
  virtiofs_client_request_give(req);
}

static void a_server_that_never_answers(void **state) {
  struct bench *b = *state;
  start(b);
  b->client->config.timeout_ms = 100; /* for what is never answered alone */
  script_fs_pend(&b->fs, UINT64_C(1) << VIRTIOFS_FUSE_GETATTR);
  struct virtiofs_client_request *req = take(b, 1, VIRTIOFS_FUSE_GETATTR);
  req->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
  assert_int_equal(virtiofs_client_request_run(req), -ETIMEDOUT);
  assert_int_equal(virtiofs_client_in_flight(b->client, 1), 0);
  script_fs_wait_pending(&b->fs, 1);
  script_fs_answer(&b->fs, 0);
  script_fs_pend(&b->fs, 0);
  /* What it says after all is nobody's. */
  assert_int_equal(virtiofs_client_process(b->client, 1), -ETIMEDOUT);
  assert_int_equal(virtiofs_client_in_flight(b->client, 1), 0);
}

static void bad_configs(void **state) {
  struct bench *b = *state;
  struct virtiofs_client_config config = b->config;
  config.socket_path = "/nothing/there";
  assert_int_equal(virtiofs_client_new(&b->client, &config), -ENOENT);
  config.request_queues = 65;
  assert_int_equal(virtiofs_client_new(&b->client, &config), -EINVAL);
  config.request_queues = 1;
  config.queue_size = 100;
  assert_int_equal(virtiofs_client_new(&b->client, &config), -EINVAL);
  config.queue_size = 0;
  config.max_data = 4095;
  assert_int_equal(virtiofs_client_new(&b->client, &config), -EINVAL);
  b->config.request_queues = QUEUES + 1; /* more than the device has */
  assert_int_equal(virtiofs_client_new(&b->client, &b->config), -ENOTSUP);
  assert_null(b->client);
}

/* One after the other, over one device. */
static void devices_have_one_driver(void **state) {
  struct bench *b = *state;
  struct virtiofs_client *other;
  start(b);
  assert_int_equal(virtiofs_client_new(&other, &b->config), -EBUSY);
  (void)lookup(b, 1, "17");
  virtiofs_client_free(b->client);
  assert_int_equal(script_fs_forgets(&b->fs, 17), 1); /* nothing of it is left */
  start(b);
  (void)lookup(b, 1, "17");
  assert_int_equal(virtiofs_client_reconnect(b->client), -EINVAL);
}

#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define HERE_TEST(test)                                                                                                \
  { .name = #test "_here", .test_func = test, .setup_func = setup_here, .teardown_func = teardown }

int main(void) {
  const struct CMUnitTest tests[] = {
      CLIENT_TEST(rings_of_each_kind),
      CLIENT_TEST(with_polling),
      CLIENT_TEST(with_packed_rings),
      CLIENT_TEST(with_bare_rings),
      CLIENT_TEST(queues_have_threads_of_their_own),
      CLIENT_TEST(many_in_flight),
      CLIENT_TEST(notifications_for_poll),
      CLIENT_TEST(what_cannot_be_sent),
      CLIENT_TEST(calls_are_raw),
      CLIENT_TEST(too_many_for_the_ring_wait),
      CLIENT_TEST(a_device_that_hangs_up),
      CLIENT_TEST(a_server_that_never_answers),
      CLIENT_TEST(bad_configs),
      HERE_TEST(rings_of_each_kind),
      HERE_TEST(with_polling),
      HERE_TEST(with_packed_rings),
      HERE_TEST(with_bare_rings),
      HERE_TEST(queues_have_threads_of_their_own),
      HERE_TEST(many_in_flight),
      HERE_TEST(notifications_for_poll),
      HERE_TEST(calls_are_raw),
      HERE_TEST(too_many_for_the_ring_wait),
      HERE_TEST(a_server_that_never_answers),
      HERE_TEST(devices_have_one_driver),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
