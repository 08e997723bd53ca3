/* SPDX-License-Identifier: BSD-3-Clause */
/* Contents: what they take, limits, copies, privileges. alike.c compares the contents themselves with the host's. */
#include "memfs_tree.h"

#include <signal.h>
#include <sys/resource.h>

#define PAGE 4096
#define FILE_MODE (VIRTIOFS_S_IFREG | 0644)

static char bytes[1 << 20];

/* 256 pages in all. */
static int setup(void **state) {
  int rc = tree_setup(state);
  if (rc == 0 && sysconf(_SC_PAGESIZE) != PAGE)
    tree_serve(*state, (struct virtiofs_memfs_config){.max_bytes = 256 * (uint64_t)sysconf(_SC_PAGESIZE)});
  return rc;
}

static bool odd_page(void) {
  return sysconf(_SC_PAGESIZE) != PAGE;
}

static void check_taken(struct tree *t, uint64_t file, uint64_t pages) {
  assert_int_equal(tree_attr(t, file).blocks, pages * (PAGE / 512));
  assert_int_equal(tree_free_pages(t), 256 - pages);
}

static void space_is_counted(void **state) {
  struct tree *t = *state;
  if (odd_page())
    skip();
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  check_taken(t, f, 0);
  assert_int_equal(tree_write(t, h, 0, "x"), 1);
  check_taken(t, f, 1);
  assert_int_equal(tree_write_bytes(t, h, 1, bytes, PAGE, 0, 0), PAGE);
  check_taken(t, f, 2);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 2 * PAGE, 0, 0), 2 * PAGE);
  check_taken(t, f, 2);
  assert_int_equal(tree_write(t, h, 10 * PAGE + 1, "x"), 1); /* behind a hole */
  check_taken(t, f, 3);
  assert_int_equal(tree_write(t, h, 3 * PAGE - 1, "xx"), 2); /* two pages in the hole */
  check_taken(t, f, 5);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE), 0);
  check_taken(t, f, 3);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_KEEP_SIZE, 0, 20 * PAGE), 0);
  check_taken(t, f, 20);
  assert_int_equal(tree_attr(t, f).size, 10 * PAGE + 2);
  assert_int_equal(tree_resize(t, f, 10 * PAGE + 2), 0);
  assert_int_equal(tree_resize(t, f, 4 * PAGE + 1), 0);
  check_taken(t, f, 5);
  assert_int_equal(tree_resize(t, f, 100 * PAGE), 0);
  check_taken(t, f, 5);
  assert_int_equal(tree_fallocate(t, h, 0, 99 * PAGE, 2 * PAGE), 0);
  check_taken(t, f, 7);
  assert_int_equal(tree_attr(t, f).size, 101 * PAGE);
  assert_int_equal(tree_resize(t, f, 0), 0);
  check_taken(t, f, 0);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 7 * PAGE, 0, 0), 7 * PAGE);
  check_taken(t, f, 7);
  assert_int_equal(tree_unlink(t, t->root, "f"), 0);
  check_taken(t, f, 7);
  tree_forget(t, f, 1);
  tree_release(t, h);
  assert_int_equal(tree_free_pages(t), 256);
}

static void full_is_full(void **state) {
  struct tree *t = *state;
  if (odd_page())
    skip();
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 255 * PAGE, 0, 0), 255 * PAGE);
  assert_int_equal(tree_write_bytes(t, h, 255 * PAGE, bytes, 2 * PAGE, 0, 0), -ENOSPC);
  check_taken(t, f, 255);
  assert_int_equal(tree_write_bytes(t, h, 255 * PAGE, bytes, PAGE, 0, 0), PAGE);
  assert_int_equal(tree_write(t, h, 256 * PAGE, "x"), -ENOSPC);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 256 * PAGE, 0, 0), 256 * PAGE); /* what is there may be changed */
  check_taken(t, f, 256);
  assert_int_equal(tree_resize(t, f, INT64_MAX), 0); /* holes are free */
  assert_int_equal(tree_write(t, h, INT64_MAX / 2, "x"), -ENOSPC);
  uint64_t g = tree_mknod(t, t->root, "g", FILE_MODE);
  struct virtiofs_entry_out out = {.node = 0};
  struct virtiofs_symlink_in in = {.parent = t->root, .name = tree_name("l"), .target = tree_name("target")};
  assert_int_equal(t->ops->symlink(&t->req, &in, &out), -ENOSPC);
  assert_int_equal(tree_resize(t, f, 255 * PAGE), 0);
  assert_int_equal(t->ops->symlink(&t->req, &in, &out), 0);
  assert_int_equal(tree_free_pages(t), 0); /* begun is not free */
  assert_int_equal(tree_unlink(t, t->root, "l"), 0);
  tree_forget(t, out.node, 1);
  assert_int_equal(tree_free_pages(t), 1);
  tree_forget(t, g, 1);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* With holes there is no telling beforehand what a write takes: the last pages are had all the same. */
static void sparse_files_get_the_last_pages(void **state) {
  struct tree *t = *state;
  if (odd_page())
    skip();
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  assert_int_equal(tree_write_bytes(t, h, 4 * PAGE, bytes, 250 * PAGE, 0, 0), 250 * PAGE);
  check_taken(t, f, 250);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 254 * PAGE, 0, 0), 254 * PAGE);
  check_taken(t, f, 254);
  assert_int_equal(tree_write_bytes(t, h, 252 * PAGE, bytes, 5 * PAGE, 0, 0), -ENOSPC);
  check_taken(t, f, 254);
  assert_int_equal(tree_attr(t, f).size, 254 * PAGE);
  assert_int_equal(tree_fallocate(t, h, 0, 0, 257 * PAGE), -ENOSPC);
  check_taken(t, f, 254);
  assert_int_equal(tree_fallocate(t, h, 0, 0, 256 * PAGE), 0);
  check_taken(t, f, 256);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* What fallocate has given is there when the file system is full. */
static void reserved_is_reserved(void **state) {
  struct tree *t = *state;
  char buf[8];
  if (odd_page())
    skip();
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  uint64_t g = tree_mknod(t, t->root, "g", FILE_MODE), other = tree_open(t, g, O_RDWR);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_KEEP_SIZE, PAGE, 20 * PAGE), 0);
  assert_int_equal(tree_fallocate(t, h, 0, 40 * PAGE, 20 * PAGE), 0);
  assert_int_equal(tree_write_bytes(t, other, 0, bytes, 216 * PAGE, 0, 0), 216 * PAGE);
  assert_int_equal(tree_free_pages(t), 0);
  assert_int_equal(tree_write(t, h, 0, "x"), -ENOSPC);
  assert_int_equal(tree_write_bytes(t, h, 50 * PAGE, bytes, 5 * PAGE, 0, 0), 5 * PAGE);
  /* A range that is not all reserved is refused whole, and leaves the contents as they are. */
  assert_int_equal(tree_write_bytes(t, h, 50 * PAGE, bytes, 11 * PAGE, 0, 0), -ENOSPC);
  assert_int_equal(tree_attr(t, f).size, 60 * PAGE);
  assert_int_equal(tree_read(t, h, 50 * PAGE, buf, 8), 8);
  assert_memory_equal(buf, bytes, 8);
  assert_true(tree_free_pages(t) <= 10);
  tree_release(t, other);
  tree_forget(t, g, 1);
  assert_int_equal(tree_unlink(t, t->root, "g"), 0);
  assert_int_equal(tree_resize(t, f, 0), 0);
  assert_int_equal(tree_free_pages(t), 256);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

static void ranges_can_be_zeroed(void **state) {
  struct tree *t = *state;
  char buf[3 * PAGE];
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  memset(bytes, 'x', sizeof bytes);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 3 * PAGE, 0, 0), 3 * PAGE);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_ZERO_RANGE, 100, PAGE), 0);
  assert_int_equal(tree_read(t, h, 0, buf, sizeof buf), sizeof buf);
  for (int i = 0; i < 3 * PAGE; i++)
    assert_int_equal(buf[i], i >= 100 && i < 100 + PAGE ? 0 : 'x');
  assert_int_equal(tree_attr(t, f).blocks, 24);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 2 * PAGE, 2 * PAGE), 0);
  assert_int_equal(tree_attr(t, f).size, 3 * PAGE);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_ZERO_RANGE, 2 * PAGE, 3 * PAGE), 0);
  assert_int_equal(tree_attr(t, f).size, 5 * PAGE);
  assert_int_equal(tree_attr(t, f).blocks, 40);
  assert_int_equal(tree_fallocate(t, h, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), -EOPNOTSUPP);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* More segments than a system call takes. */
static void many_segments(void **state) {
  struct tree *t = *state;
  enum { SEGMENTS = 2500, EACH = 7 };
  static struct iovec iov[SEGMENTS];
  static char out_bytes[SEGMENTS * EACH];
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  for (int i = 0; i < SEGMENTS * EACH; i++)
    bytes[i] = (char)(i * 7 % 251);
  for (int i = 0; i < SEGMENTS; i++)
    iov[i] = (struct iovec){.iov_base = bytes + i * EACH, .iov_len = EACH};
  struct virtiofs_data data = {.iov = iov, .count = SEGMENTS, .size = SEGMENTS * EACH};
  struct virtiofs_write_in in = {.node = f, .handle = h, .offset = 5, .size = SEGMENTS * EACH, .data = data};
  struct virtiofs_write_out out = {.size = 0};
  assert_int_equal(t->ops->write(&t->req, &in, &out), 0);
  assert_int_equal(out.size, SEGMENTS * EACH);
  for (int i = 0; i < SEGMENTS; i++)
    iov[i].iov_base = out_bytes + i * EACH;
  struct virtiofs_read_in read = {.node = f, .handle = h, .offset = 5, .size = SEGMENTS * EACH, .data = data};
  struct virtiofs_read_out got = {.size = 0};
  assert_int_equal(t->ops->read(&t->req, &read, &got), 0);
  assert_int_equal(got.size, SEGMENTS * EACH);
  assert_memory_equal(out_bytes, bytes, SEGMENTS * EACH);
  read.offset += 100;
  assert_int_equal(t->ops->read(&t->req, &read, &got), 0);
  assert_int_equal(got.size, SEGMENTS * EACH - 100);
  assert_memory_equal(out_bytes, bytes + 100, SEGMENTS * EACH - 100);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* The host stops half-way. Linux looks only for an error when it writes its page cache back. */
static void all_of_the_cache_or_an_error(void **state) {
  struct tree *t = *state;
  struct rlimit before, limit;
  if (odd_page())
    skip();
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = before;
  limit.rlim_cur = PAGE;
  void (*signalled)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  int back = tree_write_bytes(t, h, 0, bytes, 2 * PAGE, 0, VIRTIOFS_WRITE_CACHE);
  int through = tree_write_bytes(t, h, 0, bytes, 2 * PAGE, 0, 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)signal(SIGXFSZ, signalled);
  assert_int_equal(back, -EFBIG);
  assert_int_equal(through, PAGE);
  assert_int_equal(tree_attr(t, f).size, PAGE);
  check_taken(t, f, 1);
  assert_int_equal(tree_write_bytes(t, h, 0, bytes, 2 * PAGE, 0, VIRTIOFS_WRITE_CACHE), 2 * PAGE);
  check_taken(t, f, 2);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

static void appends(void **state) {
  struct tree *t = *state;
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  assert_int_equal(tree_write(t, h, 0, "12345"), 5);
  assert_int_equal(tree_write_bytes(t, h, 1, "67", 2, O_APPEND, 0), 2);
  assert_int_equal(tree_attr(t, f).size, 7);
  /* A page of the guest's cache goes where it belongs. */
  assert_int_equal(tree_write_bytes(t, h, 1, "ab", 2, O_APPEND, VIRTIOFS_WRITE_CACHE), 2);
  t->req.semantics |= VIRTIOFS_SEMANTICS_WRITEBACK_CACHE; /* then the guest knows where */
  assert_int_equal(tree_write_bytes(t, h, 3, "cd", 2, O_APPEND, 0), 2);
  char buf[9] = "";
  assert_int_equal(tree_read(t, h, 0, buf, 8), 7);
  assert_string_equal(buf, "1abcd67");
  t->req.semantics &= ~VIRTIOFS_SEMANTICS_WRITEBACK_CACHE;
  assert_int_equal(tree_resize(t, f, INT64_MAX), 0);
  assert_int_equal(tree_write_bytes(t, h, 0, "x", 1, O_APPEND, 0), -EFBIG);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

static int64_t copy(struct tree *t, uint64_t from, uint64_t offset, uint64_t to, uint64_t offset_out, uint64_t len) {
  struct virtiofs_copy_file_range_in in = {.node = from & ~UINT64_C(3),
                                           .handle = from,
                                           .node_out = to & ~UINT64_C(3),
                                           .handle_out = to,
                                           .offset = offset,
                                           .offset_out = offset_out,
                                           .len = len};
  struct virtiofs_copy_file_range_out out = {.size = 0};
  int rc = t->ops->copy_file_range(&t->req, &in, &out);
  return rc != 0 ? rc : (int64_t)out.size;
}

static void copies(void **state) {
  struct tree *t = *state;
  char buf[16] = "";
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  uint64_t g = tree_mknod(t, t->root, "g", FILE_MODE), other = tree_open(t, g, O_RDWR);
  assert_int_equal(tree_write(t, h, 0, "0123456789"), 10);
  assert_int_equal(copy(t, h, 2, other, 5, 4), 4);
  assert_int_equal(copy(t, h, 8, other, 9, 100), 2);
  assert_int_equal(copy(t, h, 10, other, 0, 100), 0);
  assert_int_equal(tree_read(t, other, 0, buf, 16), 11);
  assert_memory_equal(buf,
                      "\0\0\0\0\0"
                      "234589",
                      11);
  assert_int_equal(copy(t, h, 0, h, 5, 5), 5); /* the same file */
  assert_int_equal(copy(t, h, 0, h, 4, 5), -EINVAL);
  assert_int_equal(copy(t, other, 0, other, 20, INT64_MAX / 2), 11);
  assert_int_equal(copy(t, h, 0, h, 0, 0), 0);
  assert_int_equal(tree_read(t, h, 0, buf, 16), 10);
  assert_memory_equal(buf, "0123401234", 10);
  assert_int_equal(copy(t, h, 0, other, (uint64_t)300 << 20, 10), 10);
  tree_release(t, h);
  tree_release(t, other);
  tree_forget(t, f, 1);
  tree_forget(t, g, 1);
}

static int64_t to_ns(struct virtiofs_time t) {
  return t.sec * 1000000000 + t.nsec;
}

/* As a mount with relatime: where it says something new. */
static void times_of_access(void **state) {
  struct tree *t = *state;
  char byte;
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  struct virtiofs_setattr_in old = {.node = f, .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME};
  assert_int_equal(tree_setattr(t, old), 0);
  struct virtiofs_attr attr = tree_attr(t, f);
  assert_true(attr.atime.sec == 0 && attr.mtime.sec == 0);
  int64_t ctime = to_ns(attr.ctime);
  struct virtiofs_read_in in = {.node = f, .handle = h, .flags = O_NOATIME};
  struct virtiofs_read_out out = {.size = 0};
  assert_int_equal(t->ops->read(&t->req, &in, &out), 0);
  assert_int_equal(tree_attr(t, f).atime.sec, 0);
  assert_int_equal(tree_read(t, h, 0, &byte, 1), 0);
  int64_t first = to_ns(tree_attr(t, f).atime);
  assert_true(first >= ctime);
  assert_int_equal(to_ns(tree_attr(t, f).ctime), ctime);
  assert_int_equal(tree_read(t, h, 0, &byte, 1), 0);
  assert_int_equal(to_ns(tree_attr(t, f).atime), first);
  assert_int_equal(tree_write(t, h, 0, "x"), 1);
  assert_int_equal(tree_read(t, h, 0, &byte, 1), 1);
  assert_true(to_ns(tree_attr(t, f).atime) > first);
  /* As far away as a guest can say. */
  old.atime.sec = INT64_MAX;
  assert_int_equal(tree_setattr(t, old), 0);
  assert_int_equal(tree_read(t, h, 0, &byte, 1), 1);
  assert_true(tree_attr(t, f).atime.sec == INT64_MAX);
  old.atime.sec = INT64_MIN;
  assert_int_equal(tree_setattr(t, old), 0);
  assert_int_equal(tree_read(t, h, 0, &byte, 1), 1);
  assert_true(to_ns(tree_attr(t, f).atime) > first);
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* set-user-id goes when the guest says so, and where it can't say it unless root asks. */
static void privileges_go(void **state) {
  struct tree *t = *state;
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  struct virtiofs_setattr_in mode = {.node = f, .valid = VIRTIOFS_SET_MODE, .mode = 06755};
  struct virtiofs_setattr_in cut = {.node = f, .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_KILL_SUIDGID, .size = 1};
  struct virtiofs_setattr_in owner = {.node = f, .valid = VIRTIOFS_SET_UID, .uid = 1};
  struct virtiofs_setattr_in both = {.node = f, .valid = VIRTIOFS_SET_UID | VIRTIOFS_SET_MODE, .uid = 1, .mode = 04711};
  for (int i = 0; i < 8; i++) {
    t->req.caller.uid = i == 7 ? 0 : 1000;
    assert_int_equal(tree_setattr(t, mode), 0);
    if (i == 0)
      assert_int_equal(tree_write(t, h, 0, "x"), 1);
    else if (i == 1)
      assert_int_equal(tree_write_bytes(t, h, 0, "x", 1, 0, VIRTIOFS_WRITE_KILL_SUIDGID), 1);
    else if (i == 2)
      assert_int_equal(tree_resize(t, f, 0), 0);
    else if (i == 3)
      assert_int_equal(tree_setattr(t, cut), 0);
    else if (i == 4)
      assert_int_equal(tree_setattr(t, owner), 0);
    else if (i == 5)
      assert_int_equal(tree_setattr(t, both), 0);
    else
      assert_int_equal(tree_fallocate(t, h, 0, 0, 10), 0);
    const uint32_t expected[] = {06755, 0755, 06755, 0755, 0755, 04711, 0755, 06755};
    assert_int_equal(tree_attr(t, f).mode & 07777, expected[i]);
  }
  tree_release(t, h);
  tree_forget(t, f, 1);
}

/* What a file was opened for counts, whatever the guest says later. */
static void access_modes(void **state) {
  struct tree *t = *state;
  char byte;
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE);
  uint64_t reads = tree_open(t, f, O_RDONLY), writes = tree_open(t, f, O_WRONLY), neither = tree_open(t, f, 3);
  assert_int_equal(tree_write(t, writes, 0, "text"), 4);
  assert_int_equal(tree_write(t, reads, 0, "x"), -EBADF);
  assert_int_equal(tree_write(t, neither, 0, "x"), -EBADF);
  assert_int_equal(tree_read(t, reads, 0, &byte, 1), 1);
  assert_int_equal(tree_read(t, writes, 0, &byte, 1), -EBADF);
  assert_int_equal(tree_read(t, neither, 0, &byte, 1), -EBADF);
  assert_int_equal(tree_fallocate(t, reads, 0, 0, 10), -EBADF);
  assert_int_equal(copy(t, reads, 0, reads, 10, 2), -EBADF);
  assert_int_equal(copy(t, writes, 0, writes, 10, 2), -EBADF);
  assert_int_equal(copy(t, reads, 0, writes, 10, 2), 2);
  struct virtiofs_setattr_in cut = {.node = f, .valid = VIRTIOFS_SET_SIZE, .has_handle = true, .handle = reads};
  assert_int_equal(tree_setattr(t, cut), -EINVAL);
  cut.handle = writes;
  assert_int_equal(tree_setattr(t, cut), 0);
  t->req.semantics |= VIRTIOFS_SEMANTICS_WRITEBACK_CACHE; /* then pages are read before they are changed */
  assert_int_equal(tree_read(t, writes, 0, &byte, 1), 0);
  tree_release(t, reads);
  tree_release(t, writes);
  tree_release(t, neither);
  tree_forget(t, f, 1);
}

static void wrong_things_to_open(void **state) {
  struct tree *t = *state;
  uint64_t handle, dir = tree_mkdir(t, t->root, "d", 0755);
  uint64_t fifo = tree_mknod(t, t->root, "p", VIRTIOFS_S_IFIFO | 0644), f = tree_mknod(t, t->root, "f", FILE_MODE);
  assert_int_equal(tree_try_open(t, dir, O_RDONLY, &handle), -EISDIR);
  assert_int_equal(tree_try_open(t, fifo, O_RDONLY, &handle), -ENXIO);
  assert_int_equal(tree_try_open(t, f, O_DIRECTORY, &handle), -ENOTDIR);
  assert_int_equal(tree_try_open(t, f, O_PATH, &handle), -EINVAL);
  assert_int_equal(tree_resize(t, dir, 1), -EISDIR);
  assert_int_equal(tree_resize(t, fifo, 1), -EINVAL);
  struct virtiofs_setattr_in nobody = {.node = f, .valid = VIRTIOFS_SET_UID, .uid = UINT32_MAX};
  assert_int_equal(tree_setattr(t, nobody), -EINVAL);
  struct virtiofs_readlink_in in = {.node = f};
  struct virtiofs_readlink_out out = {.len = 0};
  assert_int_equal(t->ops->readlink(&t->req, &in, &out), -EINVAL);
  tree_forget(t, dir, 1);
  tree_forget(t, fifo, 1);
  tree_forget(t, f, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(space_is_counted, setup, tree_teardown),
      cmocka_unit_test_setup_teardown(full_is_full, setup, tree_teardown),
      cmocka_unit_test_setup_teardown(sparse_files_get_the_last_pages, setup, tree_teardown),
      cmocka_unit_test_setup_teardown(reserved_is_reserved, setup, tree_teardown),
      tree_test(ranges_can_be_zeroed),
      tree_test(many_segments),
      tree_test(all_of_the_cache_or_an_error),
      tree_test(appends),
      tree_test(copies),
      tree_test(times_of_access),
      tree_test(privileges_go),
      tree_test(access_modes),
      tree_test(wrong_things_to_open),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
