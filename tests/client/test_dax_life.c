/* SPDX-License-Identifier: BSD-3-Clause */
/* Two guests with a window each over one directory: what one stores the other has, who cuts a file cuts it for both,
 * and nothing is left when they go, or come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/passthrough.h>

#include "support/vhost_frontend.h"

#define PAGE 4096U
#define PAGES 8U /* of the window, and of the file */
#define BOTH_WAYS (VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE)
enum { GUESTS = 2 };

struct guest {
  char path[96];
  int listen_fd;
  struct virtiofs_passthrough *fs;
  struct virtiofs_device *dev;
  pthread_t server;
  sem_t served; /* front-ends that have gone */
  struct virtiofs_client *client;
  unsigned char *window;
  uint64_t node;
};

static struct bench {
  char dir[64], path[80];
  int host; /* the file, by the host */
  struct guest guests[GUESTS];
  unsigned fds; /* while nobody is connected */
} bench;

/* One front-end after the other. */
static void *serve(void *arg) {
  struct guest *g = arg;
  while (!virtiofs_device_stopped(g->dev)) {
    int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
      break;
    (void)virtiofs_device_serve(g->dev, fd);
    sem_post(&g->served);
  }
  return NULL;
}

static struct virtiofs_client_request *request(const struct guest *g, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(g->client, 1);
  assert_non_null(req);
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static int run(struct virtiofs_client_request *req) {
  int rc = virtiofs_client_request_run(req);
  virtiofs_client_request_give(req);
  return rc;
}

/* The window is empty then. */
static void mount_guest(struct guest *g) {
  uint64_t len;
  assert_int_equal(virtiofs_client_init(g->client, NULL, NULL), 0);
  g->window = virtiofs_client_window(g->client, &len);
  assert_non_null(g->window);
  assert_int_equal(len, PAGES * PAGE);
  struct virtiofs_client_request *req = request(g, VIRTIOFS_FUSE_LOOKUP, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = "f", .len = 1};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  g->node = req->out.entry.node;
  virtiofs_client_request_give(req);
}

static void map(const struct guest *g, uint64_t page, uint64_t count, uint64_t file_page, uint64_t flags) {
  struct virtiofs_client_request *req = request(g, VIRTIOFS_FUSE_SETUPMAPPING, g->node);
  req->fuse.in.setupmapping = (struct virtiofs_setupmapping_in){.node = g->node,
                                                                .handle = UINT64_MAX,
                                                                .offset = file_page * PAGE,
                                                                .len = count * PAGE,
                                                                .flags = flags,
                                                                .window_offset = page * PAGE};
  assert_int_equal(run(req), 0);
}

/* A page's first byte; -1: a look there would end the test. */
static int byte_at(const struct guest *g, uint32_t page) {
  unsigned char byte;
  struct iovec here = {.iov_base = &byte, .iov_len = 1}, there = {.iov_base = g->window + page * PAGE, .iov_len = 1};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 ? byte : -1;
}

static void connect_guest(struct guest *g) {
  struct virtiofs_client_config config = {
      .size = sizeof(config), .socket_path = g->path, .max_data = 65536, .timeout_ms = 60000, .window = true};
  assert_int_equal(virtiofs_client_new(&g->client, &config), 0);
  mount_guest(g);
}

static void start(struct guest *g, int index) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(g->path, sizeof(g->path), "%s/s%d", bench.dir, index);
  (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", g->path);
  g->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(g->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
  assert_int_equal(listen(g->listen_fd, 1), 0);
  assert_int_equal(sem_init(&g->served, 0, 0), 0);
  struct virtiofs_passthrough_config fs = {.size = sizeof(fs), .shared_dir = bench.dir};
  assert_int_equal(virtiofs_passthrough_new(&g->fs, &fs), 0);
  struct virtiofs_device_config config = {
      .size = sizeof(config), .ops = virtiofs_passthrough_ops(), .fs = g->fs, .window_len = PAGES * PAGE};
  assert_int_equal(virtiofs_device_new(&g->dev, &config), 0);
}

static void leave(struct guest *g) {
  if (g->client == NULL)
    return;
  virtiofs_client_free(g->client);
  g->client = NULL;
  sem_wait(&g->served);
}

static int setup(void **state) {
  (void)state;
  bench = (struct bench){.dir = "/tmp/virtiofs-dax-XXXXXX"};
  if (mkdtemp(bench.dir) == NULL)
    return -1;
  (void)snprintf(bench.path, sizeof(bench.path), "%s/f", bench.dir);
  bench.host = open(bench.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  for (unsigned char i = 0; i < PAGES; i++)
    assert_int_equal(pwrite(bench.host, &(unsigned char){(unsigned char)(i + 1)}, 1, (off_t)i * PAGE), 1);
  assert_int_equal(ftruncate(bench.host, (off_t)PAGES * PAGE), 0);
  for (int i = 0; i < GUESTS; i++)
    start(&bench.guests[i], i);
  bench.fds = vhost_frontend_count_fds();
  for (int i = 0; i < GUESTS; i++)
    assert_int_equal(pthread_create(&bench.guests[i].server, NULL, serve, &bench.guests[i]), 0);
  for (int i = 0; i < GUESTS; i++)
    connect_guest(&bench.guests[i]);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < GUESTS; i++)
    leave(&bench.guests[i]);
  assert_int_equal(vhost_frontend_count_fds(), bench.fds);
  for (int i = 0; i < GUESTS; i++) {
    struct guest *g = &bench.guests[i];
    virtiofs_device_stop(g->dev);
    (void)shutdown(g->listen_fd, SHUT_RDWR);
    pthread_join(g->server, NULL);
    virtiofs_device_free(g->dev);
    virtiofs_passthrough_free(g->fs);
    close(g->listen_fd);
    sem_destroy(&g->served);
    (void)unlink(g->path);
  }
  close(bench.host);
  (void)unlink(bench.path);
  return rmdir(bench.dir);
}

/* ---- tests ---- */

static void at_once(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  map(one, 0, PAGES, 0, BOTH_WAYS);
  map(other, 3, 2, 1, BOTH_WAYS);
  assert_int_equal(byte_at(other, 2), -1);
  assert_int_equal(byte_at(other, 5), -1);
  for (unsigned i = 0; i < 1000; i++) {
    unsigned char host, byte = (unsigned char)i, *mine = one->window + PAGE + i, *its = other->window + 3 * PAGE + i;
    *mine = byte;
    assert_int_equal(*its, byte);
    *its = (unsigned char)(byte + 1);
    assert_int_equal(*mine, (unsigned char)(byte + 1));
    assert_int_equal(pread(bench.host, &host, 1, PAGE + i), 1);
    assert_int_equal(host, (unsigned char)(byte + 1));
    host = 77;
    assert_int_equal(pwrite(bench.host, &host, 1, PAGE + i), 1);
    assert_int_equal(*mine, 77);
    assert_int_equal(*its, 77);
  }
}

static int set_size(const struct guest *g, uint64_t size) {
  struct virtiofs_client_request *req = request(g, VIRTIOFS_FUSE_SETATTR, g->node);
  req->fuse.in.setattr.node = g->node;
  req->fuse.in.setattr.valid = VIRTIOFS_SET_SIZE;
  req->fuse.in.setattr.size = size;
  return run(req);
}

/* By the host or by a guest: what is behind the end is there for nobody, and zero when it comes back. */
static void cut(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  map(one, 0, PAGES, 0, BOTH_WAYS);
  map(other, 0, PAGES, 0, VIRTIOFS_MAP_READ);
  for (unsigned by_host = 0; by_host < 2; by_host++) {
    for (unsigned i = 1; i < PAGES; i++)
      one->window[i * PAGE] = (unsigned char)(i + 1);
    assert_int_equal(by_host ? ftruncate(bench.host, 2 * PAGE + 1) : set_size(one, 2 * PAGE + 1), 0);
    for (int i = 0; i < GUESTS; i++) {
      assert_int_equal(byte_at(&bench.guests[i], 1), 2);
      assert_int_equal(byte_at(&bench.guests[i], 2), 3); /* the last page, in part */
      assert_int_equal(byte_at(&bench.guests[i], 3), -1);
      assert_int_equal(byte_at(&bench.guests[i], PAGES - 1), -1);
    }
    assert_int_equal(by_host ? ftruncate(bench.host, PAGES * PAGE) : set_size(other, PAGES * PAGE), 0);
    for (int i = 0; i < GUESTS; i++) {
      assert_int_equal(byte_at(&bench.guests[i], 2), 3);
      assert_int_equal(byte_at(&bench.guests[i], 3), 0);
      assert_int_equal(byte_at(&bench.guests[i], PAGES - 1), 0);
    }
  }
}

/* A name more or less is nothing to what is mapped. */
static void unlinked(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  map(one, 0, 1, 3, BOTH_WAYS);
  map(other, 0, 1, 3, BOTH_WAYS);
  assert_int_equal(unlink(bench.path), 0);
  one->window[0] = 55;
  assert_int_equal(byte_at(other, 0), 55);
  map(one, 1, 1, 3, VIRTIOFS_MAP_READ); /* the node is known still */
  assert_int_equal(byte_at(one, 1), 55);
  leave(other);
  assert_int_equal(byte_at(one, 0), 55);
}

/* It comes back while files are mapped: its window is empty, the other's as it was. */
static void comes_back(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  map(other, 0, PAGES, 0, BOTH_WAYS);
  for (unsigned i = 0; i < 20; i++) {
    map(one, 0, 3, 0, BOTH_WAYS);
    map(one, 5, 1, i % PAGES, VIRTIOFS_MAP_READ);
    one->window[PAGE] = (unsigned char)i;
    assert_int_equal(virtiofs_client_reconnect(one->client), 0);
    sem_wait(&one->served);
    mount_guest(one);
    for (uint32_t page = 0; page < PAGES; page++)
      assert_int_equal(byte_at(one, page), -1);
    assert_int_equal(byte_at(other, 1), i);
  }
}

/* Whoever goes leaves nothing, however much it had mapped; the teardown counts. */
static void goes(void **state) {
  struct guest *one = bench.guests;
  (void)state;
  unsigned both = vhost_frontend_count_fds();
  for (unsigned i = 0; i < 10; i++) {
    for (uint32_t page = 0; page < PAGES; page++)
      map(one, page, 1, (page + i) % PAGES, page % 2 == 0 ? VIRTIOFS_MAP_READ : BOTH_WAYS);
    leave(one);
    connect_guest(one);
    assert_int_equal(vhost_frontend_count_fds(), both);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(at_once), TEST(cut), TEST(unlinked), TEST(comes_back), TEST(goes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
