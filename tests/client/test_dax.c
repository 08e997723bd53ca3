/* SPDX-License-Identifier: BSD-3-Clause */
/* Files in a DAX window, whose maker is this process's device or one behind a socket: each byte of it, at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/memfs.h>

#include "support/seeded.h"

#define PAGE 4096U
#define PAGES 32U /* of the window */
#define FILES 4U
#define FILE_PAGES 16U
#define MOST_RANGES 300U

static unsigned rounds = 1500;

struct file {
  uint64_t node, handle;
  unsigned char bytes[FILE_PAGES * PAGE];
};

/* What is in a page of the window: a page of a file, or nothing. */
struct page {
  bool mapped, writable;
  uint32_t file, at;
};

struct bench {
  struct virtiofs_memfs *memfs;
  struct virtiofs_device *dev;
  struct virtiofs_client *client;
  struct virtiofs_client_config config;
  unsigned char *window;
  pthread_t server;
  bool served;
  int fd;
  struct file files[FILES];
  struct page pages[PAGES];
};

static void *serve(void *arg) {
  struct bench *b = arg;
  (void)virtiofs_device_serve(b->dev, b->fd);
  return NULL;
}

static struct virtiofs_client_request *take(struct bench *b, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(b->client, 1);
  assert_non_null(req);
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static int finish(struct virtiofs_client_request *req) {
  int rc = virtiofs_client_request_run(req);
  virtiofs_client_request_give(req);
  return rc;
}

static int write_file(struct bench *b, uint32_t file, uint64_t offset, const void *bytes, uint32_t size) {
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_WRITE, b->files[file].node);
  req->fuse.in.write.node = b->files[file].node;
  req->fuse.in.write.handle = b->files[file].handle;
  req->fuse.in.write.offset = offset;
  req->fuse.in.write.size = size;
  req->fuse.in.write.data.size = size;
  memcpy(req->data, bytes, size);
  int rc = virtiofs_client_request_run(req);
  if (rc == 0)
    assert_int_equal(req->out.write.size, size);
  virtiofs_client_request_give(req);
  return rc;
}

static void read_file(struct bench *b, uint32_t file, uint64_t offset, uint32_t size) {
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_READ, b->files[file].node);
  req->fuse.in.read.node = b->files[file].node;
  req->fuse.in.read.handle = b->files[file].handle;
  req->fuse.in.read.offset = offset;
  req->fuse.in.read.size = size;
  assert_int_equal(virtiofs_client_request_run(req), 0);
  assert_memory_equal(req->data, b->files[file].bytes + offset, size);
  virtiofs_client_request_give(req);
}

static void make_file(struct bench *b, uint32_t i) {
  char name[] = {'f', (char)('0' + i), 0};
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_CREATE, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.create.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.create.name = (struct virtiofs_name){.str = name, .len = 2};
  req->fuse.in.create.flags = O_RDWR;
  req->fuse.in.create.mode = 0600;
  assert_int_equal(virtiofs_client_request_run(req), 0);
  b->files[i].node = req->out.create.entry.node;
  b->files[i].handle = req->out.create.open.handle;
  virtiofs_client_request_give(req);
  seeded_fill(b->files[i].bytes, sizeof(b->files[i].bytes));
  assert_int_equal(write_file(b, i, 0, b->files[i].bytes, sizeof(b->files[i].bytes)), 0);
}

static int map(struct bench *b, uint64_t node, uint64_t window_offset, uint64_t len, uint64_t offset, uint64_t flags) {
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_SETUPMAPPING, node);
  req->fuse.in.setupmapping = (struct virtiofs_setupmapping_in){
      .node = node, .handle = UINT64_MAX, .offset = offset, .len = len, .flags = flags, .window_offset = window_offset};
  return finish(req);
}

static int unmap(struct bench *b, uint64_t node, uint64_t (*ranges)[2], uint32_t count) {
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_REMOVEMAPPING, node);
  req->fuse.in.removemapping.node = node;
  req->fuse.in.removemapping.count = count;
  memcpy(req->data, ranges, count * sizeof(ranges[0]));
  return finish(req);
}

/* Can it be read? Asked of the kernel: a look would end the test. */
static bool is_mapped(const struct bench *b, uint32_t page) {
  char byte;
  struct iovec here = {.iov_base = &byte, .iov_len = 1}, there = {.iov_base = b->window + page * PAGE, .iov_len = 1};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

static void check(const struct bench *b) {
  for (uint32_t i = 0; i < PAGES; i++) {
    const struct page *page = &b->pages[i];
    assert_int_equal(is_mapped(b, i), page->mapped);
    if (page->mapped)
      assert_memory_equal(b->window + i * PAGE, b->files[page->file].bytes + page->at * PAGE, PAGE);
  }
}

static void start(struct bench *b) {
  uint64_t len;
  struct virtiofs_fuse_init_out got;
  assert_int_equal(virtiofs_client_new(&b->client, &b->config), 0);
  assert_int_equal(virtiofs_client_init(b->client, NULL, &got), 0);
  assert_true((got.flags & VIRTIOFS_FUSE_MAP_ALIGNMENT) != 0);
  assert_int_equal(got.map_alignment, 12);
  b->window = virtiofs_client_window(b->client, &len);
  assert_non_null(b->window);
  assert_int_equal(len, PAGES * PAGE);
  for (uint32_t i = 0; i < FILES; i++)
    make_file(b, i);
}

static struct bench *make(void) {
  struct bench *b = calloc(1, sizeof(*b));
  assert_non_null(b);
  struct virtiofs_memfs_config memfs = {.size = sizeof(memfs)};
  assert_int_equal(virtiofs_memfs_new(&b->memfs, &memfs), 0);
  struct virtiofs_device_config config = {.size = sizeof(config),
                                          .ops = virtiofs_memfs_ops(),
                                          .fs = b->memfs,
                                          .window_len = PAGES * PAGE,
                                          .max_mappings = 20};
  assert_int_equal(virtiofs_device_new(&b->dev, &config), 0);
  b->config = (struct virtiofs_client_config){
      .size = sizeof(b->config), .max_data = 65536, .timeout_ms = 60000, .window = true};
  return b;
}

static int setup(void **state) {
  struct bench *b = make();
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  b->fd = fds[0];
  b->config.fd = fds[1];
  assert_int_equal(pthread_create(&b->server, NULL, serve, b), 0);
  b->served = true;
  *state = b;
  return 0;
}

static int setup_here(void **state) {
  struct bench *b = make();
  b->config.transport = virtiofs_device_transport();
  b->config.device = b->dev;
  b->config.window_len = PAGES * PAGE;
  *state = b;
  return 0;
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_client_free(b->client);
  if (b->served)
    pthread_join(b->server, NULL);
  virtiofs_device_free(b->dev);
  virtiofs_memfs_free(b->memfs);
  free(b);
  return 0;
}

/* A range of the window and of a file. */
struct choice {
  uint32_t page, count, file, at;
  bool writable;
};

static struct choice choose(void) {
  struct choice c = {.file = (uint32_t)seeded_below(FILES), .writable = seeded_below(2) == 0};
  c.count = 1 + (uint32_t)seeded_below(6);
  c.page = (uint32_t)seeded_below(PAGES - c.count + 1);
  c.at = (uint32_t)seeded_below(FILE_PAGES - c.count + 1);
  return c;
}

static void map_some(struct bench *b) {
  struct choice c = choose();
  uint64_t flags = VIRTIOFS_MAP_READ | (c.writable ? VIRTIOFS_MAP_WRITE : 0);
  int rc = map(b, b->files[c.file].node, c.page * PAGE, c.count * PAGE, c.at * PAGE, flags);
  assert_true(rc == 0 || rc == -ENOMEM); /* the window has its limit */
  for (uint32_t i = 0; rc == 0 && i < c.count; i++)
    b->pages[c.page + i] = (struct page){true, c.writable, c.file, c.at + i};
}

static void unmap_some(struct bench *b) {
  struct choice c = choose(), d = choose();
  uint64_t ranges[2][2] = {{c.page * PAGE, c.count * PAGE}, {d.page * PAGE, d.count * PAGE}};
  int rc = unmap(b, b->files[0].node, ranges, 2);
  if (rc == -ENOMEM)
    return; /* which of the two couldn't be cut isn't said */
  assert_int_equal(rc, 0);
  for (uint32_t i = 0; i < c.count; i++)
    b->pages[c.page + i].mapped = false;
  for (uint32_t i = 0; i < d.count; i++)
    b->pages[d.page + i].mapped = false;
}

static void unmap_all(struct bench *b) {
  uint64_t all[1][2] = {{0, PAGES * PAGE}};
  assert_int_equal(unmap(b, b->files[0].node, all, 1), 0);
  memset(b->pages, 0, sizeof(b->pages));
}

/* Bytes in through the window, or by a message; both see them. */
static void store_some(struct bench *b) {
  uint32_t i = (uint32_t)seeded_below(PAGES), at = (uint32_t)seeded_below(PAGE - 8);
  uint64_t value = seeded_any();
  struct page *page = &b->pages[i];
  if (page->mapped && page->writable) {
    memcpy(b->window + i * PAGE + at, &value, sizeof(value));
    memcpy(b->files[page->file].bytes + page->at * PAGE + at, &value, sizeof(value));
    read_file(b, page->file, page->at * PAGE, PAGE);
  } else {
    uint32_t file = (uint32_t)seeded_below(FILES);
    uint64_t offset = seeded_below(FILE_PAGES) * PAGE + at;
    memcpy(b->files[file].bytes + offset, &value, sizeof(value));
    assert_int_equal(write_file(b, file, offset, &value, sizeof(value)), 0);
  }
}

static void any(void **state) {
  struct bench *b = *state;
  start(b);
  check(b);
  for (unsigned i = 0; i < rounds; i++) {
    uint64_t what = seeded_below(10);
    if (what < 4)
      map_some(b);
    else if (what < 6 && i % 2 == 0)
      unmap_some(b);
    else if (what < 6 && seeded_below(8) == 0)
      unmap_all(b);
    else
      store_some(b);
    check(b);
  }
}

static void refused(void **state) {
  struct bench *b = *state;
  start(b);
  const uint64_t node = b->files[0].node, all = PAGES * PAGE, RW = VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE;
  assert_int_equal(map(b, node, all, PAGE, 0, RW), -EINVAL);
  assert_int_equal(map(b, node, all - PAGE, 2 * PAGE, 0, RW), -EINVAL);
  assert_int_equal(map(b, node, 0, all + PAGE, 0, RW), -EINVAL);
  assert_int_equal(map(b, node, 1, PAGE, 0, RW), -EINVAL);
  assert_int_equal(map(b, node, 0, PAGE + 1, 0, RW), -EINVAL);
  assert_int_equal(map(b, node, 0, PAGE, 1, RW), -EINVAL);
  assert_int_equal(map(b, node, 0, PAGE, 0, 0), -EINVAL);
  assert_int_equal(map(b, node, 0, PAGE, 0, 4), -EINVAL);
  assert_int_equal(map(b, node, 0, PAGE, (uint64_t)1 << 63, RW), -EINVAL);
  assert_int_equal(map(b, VIRTIOFS_FUSE_ROOT, 0, PAGE, 0, RW), -EOPNOTSUPP); /* a directory */
  assert_int_equal(map(b, 12345, 0, PAGE, 0, RW), -ESTALE);
  /* All ranges are looked at before the first is unmapped. */
  assert_int_equal(map(b, node, 0, PAGE, 0, VIRTIOFS_MAP_READ), 0);
  b->pages[0] = (struct page){.mapped = true};
  uint64_t second[2][2] = {{0, PAGE}, {all, PAGE}};
  assert_int_equal(unmap(b, node, second, 2), -EINVAL);
  uint64_t many[MOST_RANGES][2];
  for (unsigned i = 0; i < MOST_RANGES; i++)
    many[i][0] = 0, many[i][1] = PAGE;
  assert_int_equal(unmap(b, node, many, MOST_RANGES), -EINVAL);
  assert_int_equal(unmap(b, node, many, 0), -EINVAL);
  check(b);
  assert_int_equal(unmap(b, node, many, 256), 0);
  b->pages[0].mapped = false;
  check(b);
}

/* Past the end of the file there may be a mapping, as Linux maps 2 MiB of whatever there is. */
static void past_the_end(void **state) {
  struct bench *b = *state;
  start(b);
  assert_int_equal(map(b, b->files[1].node, 0, PAGES * PAGE, 0, VIRTIOFS_MAP_READ), 0);
  assert_true(is_mapped(b, FILE_PAGES - 1));
  assert_false(is_mapped(b, FILE_PAGES)); /* SIGBUS there */
  assert_memory_equal(b->window, b->files[1].bytes, FILE_PAGES * PAGE);
  /* It grows under the mapping. */
  static const unsigned char more[PAGE] = {1, 2, 3};
  assert_int_equal(write_file(b, 1, FILE_PAGES * PAGE, more, PAGE), 0);
  assert_memory_equal(b->window + FILE_PAGES * PAGE, more, PAGE);
}

/* A new mount finds an empty window, whatever the old one has left. */
static void again(void **state) {
  struct bench *b = *state;
  start(b);
  for (unsigned i = 0; i < 10; i++)
    map_some(b);
  check(b);
  assert_int_equal(virtiofs_client_init(b->client, NULL, NULL), 0);
  memset(b->pages, 0, sizeof(b->pages));
  check(b);
  struct virtiofs_client_request *req = take(b, VIRTIOFS_FUSE_LOOKUP, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = "f2", .len = 2};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  b->files[2].node = req->out.entry.node;
  virtiofs_client_request_give(req);
  assert_int_equal(map(b, b->files[2].node, 0, PAGE, 0, VIRTIOFS_MAP_READ), 0);
  b->pages[0] = (struct page){.mapped = true, .file = 2};
  check(b);
  assert_int_equal(finish(take(b, VIRTIOFS_FUSE_DESTROY, 0)), 0);
  b->pages[0].mapped = false;
  check(b);
}

/* Chunks of a page: half as many as the files have, so that many give way. */
static void by_chunks(void **state) {
  struct bench *b = *state;
  struct virtiofs_client_dax *dax;
  struct virtiofs_client_dax_range held = {.addr = NULL};
  static unsigned char bytes[3 * PAGE];
  uint32_t held_at = 0;
  start(b);
  assert_int_equal(virtiofs_client_dax_new(&dax, b->client, 1, 12), 0);
  for (unsigned i = 0; i < rounds; i++) {
    uint32_t file = (uint32_t)seeded_below(FILES), size = 1 + (uint32_t)seeded_below(sizeof(bytes));
    uint32_t offset = (uint32_t)seeded_below(FILE_PAGES * PAGE - size);
    unsigned char *want = b->files[file].bytes + offset;
    uint64_t what = seeded_below(10);
    if (what < 5) {
      assert_int_equal(virtiofs_client_dax_read(dax, b->files[file].node, offset, bytes, size), size);
      assert_memory_equal(bytes, want, size);
    } else if (what < 8 && file > 0) {
      seeded_fill(want, size);
      assert_int_equal(virtiofs_client_dax_write(dax, b->files[file].node, offset, want, size), size);
      read_file(b, file, offset / PAGE * PAGE, PAGE);
    } else if (what == 8) {
      assert_int_equal(virtiofs_client_dax_forget(dax, b->files[file].node), 0);
    } else if (held.addr != NULL) {
      assert_memory_equal(held.addr, b->files[0].bytes + held_at, held.len);
      virtiofs_client_dax_unmap(dax, &held);
      held.addr = NULL;
    } else {
      held_at = offset;
      assert_int_equal(virtiofs_client_dax_map(dax, b->files[0].node, offset, false, &held), 0);
      assert_int_equal(held.len, PAGE - offset % PAGE);
    }
  }
  assert_int_equal(virtiofs_client_dax_read(dax, 12345, 0, bytes, 1), -ESTALE);
  virtiofs_client_dax_free(dax);
}

/* Who didn't ask for a window has none, and the device says so. */
static void unwanted(void **state) {
  struct bench *b = *state;
  struct virtiofs_fuse_init_in offer;
  struct virtiofs_fuse_init_out got;
  b->config.window = false;
  virtiofs_fuse_init_offer(&offer, VIRTIOFS_FUSE_MINOR, true);
  assert_int_equal(virtiofs_client_new(&b->client, &b->config), 0);
  assert_int_equal(virtiofs_client_init(b->client, &offer, &got), 0);
  assert_null(virtiofs_client_window(b->client, NULL));
  assert_int_equal(got.flags & VIRTIOFS_FUSE_MAP_ALIGNMENT, 0);
  make_file(b, 0);
  assert_int_equal(map(b, b->files[0].node, 0, PAGE, 0, VIRTIOFS_MAP_READ), -ENOSYS);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown), HERE(test)
#define HERE(test)                                                                                                     \
  { #test " here", test, setup_here, teardown, NULL }

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {BOTH(any),   BOTH(refused),   BOTH(past_the_end),
                                     BOTH(again), BOTH(by_chunks), BOTH(unwanted)};
  if (argc > 1)
    rounds = (unsigned)strtoul(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
