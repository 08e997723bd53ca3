/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's window, and a back-end that asks for what it mustn't have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/shmem.h>

#include "support/vhost_frontend.h"

#define PAGE 4096U
#define PAGES 16U
#define LEN ((uint64_t)PAGES * PAGE)
enum { MAP = VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP, UNMAP = VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP };

struct bench {
  struct virtiofs_host_window *window;
  struct virtiofs_shmem *shmem;
  struct vhost_frontend peer; /* sends anything: here it is the back-end */
  int file;                   /* page i has i + 1 in its first byte */
  bool gone;
  unsigned fds;
};

static int setup(void **state) {
  unsigned fds = vhost_frontend_count_fds();
  struct bench *b = calloc(1, sizeof(*b));
  assert_non_null(b);
  b->fds = fds;
  int fd = vhost_frontend_init(&b->peer);
  assert_int_equal(virtiofs_host_window_new(&b->window, LEN), 0);
  struct virtiofs_shmem_config config = {.size = sizeof(config), .window = b->window, .take_fd = fd, .max_mappings = 8};
  assert_int_equal(virtiofs_shmem_new(&b->shmem, &config), 0);
  assert_int_equal(virtiofs_shmem_fd(b->shmem), fd);
  b->file = vhost_frontend_memfd(LEN);
  for (unsigned char i = 1; i <= PAGES; i++)
    assert_int_equal(pwrite(b->file, &i, 1, (off_t)(i - 1) * PAGE), 1);
  b->peer.flags = VHOST_NEED_REPLY;
  *state = b;
  return 0;
}

/* What the window has, page for page: a file's first byte, or a dot. Asked of the kernel. */
static void shows(const struct bench *b, const char *want) {
  char got[PAGES + 1] = {0};
  for (unsigned i = 0; i < PAGES; i++) {
    unsigned char byte;
    struct iovec here = {.iov_base = &byte, .iov_len = 1};
    struct iovec there = {.iov_base = (char *)virtiofs_host_window_addr(b->window) + i * PAGE, .iov_len = 1};
    got[i] = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 ? (char)('a' + byte - 1) : '.';
  }
  assert_string_equal(got, want);
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_shmem_free(b->shmem);
  shows(b, "................");
  virtiofs_host_window_free(b->window);
  if (!b->gone)
    vhost_frontend_fini(&b->peer);
  close(b->file);
  assert_int_equal(vhost_frontend_count_fds(), b->fds);
  free(b);
  return 0;
}

static struct virtiofs_vhost_user_mmap pages(uint64_t at, uint64_t count, uint64_t file_at) {
  return (struct virtiofs_vhost_user_mmap){
      .shm_offset = at * PAGE, .len = count * PAGE, .fd_offset = file_at * PAGE, .flags = 1};
}

/* All that is there is served. */
static int process(struct bench *b) {
  int rc;
  do
    rc = virtiofs_shmem_process(b->shmem);
  while (rc == 1);
  return rc;
}

/* Asks with any descriptors and any size: what it is told. */
static uint64_t ask(struct bench *b, uint32_t request, const void *payload, uint32_t size, const int *fds,
                    uint32_t count) {
  vhost_frontend_send(&b->peer, request, payload, size, fds, count);
  assert_int_equal(process(b), 0);
  return vhost_frontend_reply_u64(&b->peer, request);
}

static uint64_t ask_map(struct bench *b, struct virtiofs_vhost_user_mmap m) {
  return ask(b, MAP, &m, sizeof(m), &b->file, 1);
}

static uint64_t ask_unmap(struct bench *b, struct virtiofs_vhost_user_mmap m) {
  return ask(b, UNMAP, &m, sizeof(m), NULL, 0);
}

static void mapped_and_unmapped(void **state) {
  struct bench *b = *state;
  shows(b, "................");
  assert_int_equal(ask_map(b, pages(0, 2, 3)), 0);
  assert_int_equal(ask_map(b, pages(15, 1, 0)), 0);
  assert_int_equal(ask_map(b, pages(2, 1, 15)), 0);
  shows(b, "dep............a");
  assert_int_equal(ask_unmap(b, pages(0, 2, 0)), 0);
  shows(b, "..p............a");
  assert_int_equal(ask_map(b, pages(1, 1, 0)), 0);
  shows(b, ".ap............a");
  *((char *)virtiofs_host_window_addr(b->window) + PAGE) = 9;
  shows(b, ".ip............i");
  /* Who doesn't want an answer has none. */
  struct virtiofs_vhost_user_mmap m = pages(4, 1, 1);
  b->peer.flags = VIRTIOFS_VHOST_USER_VERSION;
  vhost_frontend_send(&b->peer, MAP, &m, sizeof(m), &b->file, 1);
  assert_int_equal(process(b), 0);
  vhost_frontend_no_reply(&b->peer);
  shows(b, ".ip.b..........i");
}

static void places_it_may_not_have(void **state) {
  struct bench *b = *state;
  const uint64_t wraps = UINT64_MAX / PAGE; /* + 1 page is nothing */
  const struct virtiofs_vhost_user_mmap wrong[] = {
      pages(16, 1, 0),
      pages(15, 2, 0),
      pages(0, 17, 0),
      pages(0, 0, 0),
      pages(wraps, 1, 0),
      pages(wraps, 2, 0),
      pages(1, wraps, 0),
      pages(0, 1, wraps),
      pages(0, 1, INT64_MAX / PAGE),
      pages(0, 1, (uint64_t)INT64_MAX / PAGE + 1),
      {.shm_offset = 1, .len = PAGE, .flags = 1},
      {.shm_offset = 0, .len = PAGE - 1, .flags = 1},
      {.shm_offset = 0, .len = PAGE, .fd_offset = 7, .flags = 1},
      {.shm_offset = 0, .len = PAGE, .flags = 2},
      {.shm_offset = 0, .len = PAGE, .flags = 1, .shmid = 1},
      pages(4, 1, 0),
      pages(3, 2, 0),
      pages(4, 4, 0),
      pages(7, 2, 0),
      pages(3, 6, 0),
      pages(0, 16, 0),
  };
  assert_int_equal(ask_map(b, pages(4, 4, 0)), 0);
  for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    assert_int_equal(ask_map(b, wrong[i]), 1);
    shows(b, "....abcd........");
  }
}

static void parts_are_not_unmapped(void **state) {
  struct bench *b = *state;
  struct virtiofs_vhost_user_mmap other = pages(4, 4, 0);
  const struct virtiofs_vhost_user_mmap wrong[] = {
      pages(4, 3, 0), pages(5, 3, 0),  pages(4, 5, 0),
      pages(3, 5, 0), pages(0, 16, 0), pages(8, 1, 0),
      pages(4, 0, 0), pages(0, 1, 0),  pages(UINT64_MAX / PAGE, 2, 0),
  };
  assert_int_equal(ask_map(b, other), 0);
  for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    assert_int_equal(ask_unmap(b, wrong[i]), 1);
  other.shmid = 1;
  assert_int_equal(ask_unmap(b, other), 1);
  other.shmid = 0;
  other.flags = 2;
  assert_int_equal(ask_unmap(b, other), 1);
  other.flags = 1;
  assert_int_equal(ask(b, UNMAP, &other, sizeof(other), &b->file, 1), 1);
  shows(b, "....abcd........");
  assert_int_equal(ask_unmap(b, other), 0);
  assert_int_equal(ask_unmap(b, other), 1);
  shows(b, "................");
}

/* None, too many, of the wrong kind: what came is closed, which the teardown counts. */
static void descriptors(void **state) {
  struct bench *b = *state;
  struct virtiofs_vhost_user_mmap m = pages(0, 1, 0);
  int many[8], ends[2];
  for (unsigned i = 0; i < 8; i++)
    many[i] = b->file;
  unsigned before = vhost_frontend_count_fds();
  assert_int_equal(ask(b, MAP, &m, sizeof(m), NULL, 0), 1);
  for (unsigned count = 2; count <= 8; count++) {
    assert_int_equal(ask(b, MAP, &m, sizeof(m), many, count), 1);
    assert_int_equal(vhost_frontend_count_fds(), before);
  }
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(ask(b, MAP, &m, sizeof(m), &ends[0], 1), 1);
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(vhost_frontend_count_fds(), before);
  shows(b, "................");
  assert_int_equal(ask_map(b, m), 0); /* what was wrong before is forgotten */
  assert_int_equal(vhost_frontend_count_fds(), before);
  shows(b, "a...............");
}

static void sizes_and_requests(void **state) {
  struct bench *b = *state;
  struct virtiofs_vhost_user_mmap m = pages(0, 1, 0);
  for (uint32_t size = 0; size < sizeof(m); size++)
    assert_int_equal(ask(b, MAP, &m, size, &b->file, 1), 1);
  for (uint32_t request = 0; request < 20; request++) {
    if (request != MAP && request != UNMAP)
      assert_int_equal(ask(b, request, &m, sizeof(m), &b->file, 1), 1);
  }
  shows(b, "................");
  assert_int_equal(ask_map(b, m), 0);
  shows(b, "a...............");
}

/* After these it isn't known where the next request begins. */
static void no_request(void **state) {
  struct bench *b = *state;
  const struct virtiofs_vhost_user_mmap m = pages(0, 1, 0);
  const struct virtiofs_vhost_user_header wrong[] = {
      {.request = MAP, .flags = VHOST_NEED_REPLY, .size = sizeof(m) + 1},
      {.request = MAP, .flags = VHOST_NEED_REPLY, .size = UINT32_MAX},
      {.request = MAP, .flags = 2, .size = sizeof(m)},
      {.request = MAP, .flags = 0, .size = sizeof(m)},
      {.request = MAP, .flags = VHOST_NEED_REPLY | VIRTIOFS_VHOST_USER_REPLY, .size = sizeof(m)},
  };
  for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    unsigned before = vhost_frontend_count_fds();
    vhost_frontend_raw(&b->peer, &wrong[i], sizeof(wrong[i]), &b->file, 1);
    assert_int_equal(process(b), -EPROTO);
    assert_int_equal(vhost_frontend_count_fds(), before);
    vhost_frontend_no_reply(&b->peer);
  }
  shows(b, "................");
}

/* Cut at each byte; the descriptor comes with the first. */
static void in_pieces(void **state) {
  struct bench *b = *state;
  struct virtiofs_vhost_user_header header = {
      .request = MAP, .flags = VHOST_NEED_REPLY, .size = sizeof(struct virtiofs_vhost_user_mmap)};
  struct virtiofs_vhost_user_mmap m = pages(3, 2, 0);
  char bytes[sizeof(header) + sizeof(m)];
  memcpy(bytes, &header, sizeof(header));
  memcpy(bytes + sizeof(header), &m, sizeof(m));
  for (size_t cut = 1; cut < sizeof(bytes); cut++) {
    for (unsigned waits = 0; waits < 2; waits++) {
      vhost_frontend_raw(&b->peer, bytes, cut, &b->file, 1);
      if (waits == 1)
        assert_int_equal(process(b), 0);
      vhost_frontend_no_reply(&b->peer);
      vhost_frontend_raw(&b->peer, bytes + cut, sizeof(bytes) - cut, NULL, 0);
      assert_int_equal(process(b), 0);
      assert_int_equal(vhost_frontend_reply_u64(&b->peer, MAP), 0);
      shows(b, "...ab...........");
      assert_int_equal(ask_unmap(b, m), 0);
    }
  }
}

static void gone(void **state) {
  struct bench *b = *state;
  struct virtiofs_vhost_user_header header = {
      .request = MAP, .flags = VHOST_NEED_REPLY, .size = sizeof(struct virtiofs_vhost_user_mmap)};
  assert_int_equal(ask_map(b, pages(3, 2, 0)), 0);
  vhost_frontend_raw(&b->peer, &header, sizeof(header), &b->file, 1);
  assert_int_equal(process(b), 0);
  vhost_frontend_fini(&b->peer);
  b->gone = true;
  assert_int_equal(process(b), -ECONNRESET);
  assert_int_equal(process(b), -ECONNRESET);
  shows(b, "...ab..........."); /* the guest may still be at it */
}

/* It asks without end and hears none of the answers: that ends some time, and nobody waits for it. */
static void deaf(void **state) {
  struct bench *b = *state;
  int rc = 0;
  for (unsigned i = 0; i < 1000000 && rc == 0; i++) {
    struct virtiofs_vhost_user_mmap m = pages(0, 17, 0);
    vhost_frontend_send(&b->peer, UNMAP, &m, sizeof(m), NULL, 0);
    rc = process(b);
  }
  assert_int_equal(rc, -ECONNRESET);
}

/* The device is reset: what was mapped is gone, and its places are free. A descriptor is no mapping's. */
static void cleared(void **state) {
  struct bench *b = *state;
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(virtiofs_shmem_count(b->shmem), 0);
    assert_int_equal(ask_map(b, pages(0, 3, 0)), 0);
    assert_int_equal(ask_map(b, pages(9, 1, 3)), 0);
    shows(b, "abc......d......");
    assert_int_equal(virtiofs_shmem_count(b->shmem), 2);
    assert_int_equal(virtiofs_shmem_clear(b->shmem), 0);
    shows(b, "................");
    assert_int_equal(ask_unmap(b, pages(0, 3, 0)), 1);
  }
}

static void too_many(void **state) {
  struct bench *b = *state;
  for (unsigned i = 0; i < 8; i++)
    assert_int_equal(ask_map(b, pages(2 * i, 1, i)), 0);
  assert_int_equal(ask_map(b, pages(1, 1, 0)), 1);
  shows(b, "a.b.c.d.e.f.g.h.");
  assert_int_equal(ask_unmap(b, pages(2, 1, 0)), 0);
  assert_int_equal(ask_map(b, pages(1, 1, 0)), 0);
  shows(b, "aa..c.d.e.f.g.h.");
}

static void configs(void **state) {
  struct bench *b = *state;
  struct virtiofs_shmem *shmem;
  struct {
    struct virtiofs_shmem_config config;
    uint64_t newer;
  } newer = {.config = {.size = sizeof(newer), .window = b->window, .take_fd = -1}, .newer = 1};
  struct virtiofs_shmem_config config = {.size = sizeof(config), .window = b->window, .take_fd = -1};
  assert_int_equal(virtiofs_shmem_new(&shmem, NULL), -EINVAL);
  assert_int_equal(virtiofs_shmem_new(&shmem, &newer.config), -E2BIG);
  assert_int_equal(virtiofs_shmem_new(&shmem, &config), -EINVAL);
  unsigned before = vhost_frontend_count_fds();
  config.take_fd = dup(b->file);
  config.window = NULL;
  assert_int_equal(virtiofs_shmem_new(&shmem, &config), -EINVAL);
  config.take_fd = dup(b->file);
  config.window = b->window;
  config.max_mappings = (1U << 20) + 1;
  assert_int_equal(virtiofs_shmem_new(&shmem, &config), -EINVAL);
  assert_null(shmem);
  assert_int_equal(vhost_frontend_count_fds(), before);
  virtiofs_shmem_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(mapped_and_unmapped),
                                     TEST(places_it_may_not_have),
                                     TEST(parts_are_not_unmapped),
                                     TEST(descriptors),
                                     TEST(sizes_and_requests),
                                     TEST(no_request),
                                     TEST(in_pieces),
                                     TEST(gone),
                                     TEST(deaf),
                                     TEST(cleared),
                                     TEST(too_many),
                                     TEST(configs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
