/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and writing: many segments, transfers that stop half-way. preadv and pwritev2 are replaced here, so that the
 * host can be made to give less than asked for.
 */
#include "passthrough_share.h"

#include <sys/syscall.h>
#include <sys/uio.h>

static struct {
  size_t most;        /* bytes that one call moves; 0: no limit */
  unsigned calls;     /* so far */
  unsigned interrupt; /* every n-th call is interrupted; 0: none */
  int fail_after;     /* calls that work before one fails with @error; 0: none fails */
  int error;
  int most_segments; /* largest count seen */
  int flags;         /* of the last pwritev2 */
} host;

static bool host_refuses(int count) {
  host.calls++;
  if (count > host.most_segments)
    host.most_segments = count;
  if (host.interrupt != 0 && host.calls % host.interrupt == 0) {
    errno = EINTR;
    return true;
  }
  if (host.error != 0 && host.calls > (unsigned)host.fail_after) {
    errno = host.error;
    return true;
  }
  return false;
}

/* Shortens a list to host.most bytes. Return: its new length. */
static int shorten(struct iovec *to, const struct iovec *from, int count) {
  size_t left = host.most;
  int used = 0;
  for (; used < count && (host.most == 0 || left > 0); used++) {
    to[used] = from[used];
    if (host.most == 0)
      continue;
    if (to[used].iov_len > left)
      to[used].iov_len = left;
    left -= to[used].iov_len;
  }
  return used;
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset) {
  struct iovec less[1024];
  if (host_refuses(count))
    return -1;
  if (count > 1024)
    return errno = EINVAL, -1;
  count = shorten(less, iov, count);
  return syscall(SYS_preadv, fd, less, (long)count, (long)offset, 0L);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
  struct iovec less[1024];
  host.flags = flags;
  if (host_refuses(count))
    return -1;
  if (count > 1024)
    return errno = EINVAL, -1;
  count = shorten(less, iov, count);
  return syscall(SYS_pwritev2, fd, less, (long)count, (long)offset, 0L, (long)flags);
}

enum { SEGMENTS = 3000, BYTES = 200000 };

static struct {
  char bytes[BYTES];
  struct iovec iov[SEGMENTS];
} guest;

/* Segments of 0 to 122 bytes, some empty, in all at most BYTES. */
static struct virtiofs_data shred(void) {
  struct virtiofs_data data = {.iov = guest.iov, .count = SEGMENTS};
  for (uint32_t i = 0; i < SEGMENTS; i++) {
    size_t len = (i * 31 + i / 7) % 123;
    if (i < 3 || i % 50 == 0 || i == SEGMENTS - 1)
      len = 0;
    guest.iov[i] = (struct iovec){.iov_base = guest.bytes + data.size, .iov_len = len};
    data.size += len;
  }
  assert_true(data.size <= BYTES && data.size > BYTES / 2);
  return data;
}

static char pattern(size_t at) {
  return (char)(at * 7 + at / 251);
}

static int write_shredded(struct share *s, uint64_t handle, uint64_t offset, size_t *written) {
  struct virtiofs_write_in in = {.node = s->opened, .handle = handle, .offset = offset, .data = shred()};
  struct virtiofs_write_out out = {.size = 0};
  in.size = (uint32_t)in.data.size;
  for (size_t i = 0; i < in.size; i++)
    guest.bytes[i] = pattern(i);
  int rc = s->ops->write(&s->req, &in, &out);
  *written = out.size;
  return rc;
}

static int read_shredded(struct share *s, uint64_t handle, uint64_t offset, uint32_t size, size_t *got) {
  struct virtiofs_read_in in = {.node = s->opened, .handle = handle, .offset = offset, .size = size, .data = shred()};
  struct virtiofs_read_out out = {.size = 0};
  memset(guest.bytes, 0, sizeof guest.bytes);
  int rc = s->ops->read(&s->req, &in, &out);
  *got = out.size;
  return rc;
}

static uint64_t open_file(struct share *s) {
  memset(&host, 0, sizeof host);
  share_put_file(s, "file", "", 0600);
  return share_open(s, share_lookup(s, "file"), O_RDWR);
}

static void there_and_back(struct share *s, uint64_t handle) {
  static char direct[BYTES];
  size_t size = shred().size, done;
  assert_int_equal(write_shredded(s, handle, 1000, &done), 0);
  assert_int_equal(done, size);
  assert_int_equal(share_stat(s, "file").st_size, 1000 + size);
  assert_int_equal(pread((int)handle, direct, sizeof direct, 1000), size);
  for (size_t i = 0; i < size; i++)
    assert_int_equal(direct[i], pattern(i));

  assert_int_equal(read_shredded(s, handle, 1000, (uint32_t)size, &done), 0);
  assert_int_equal(done, size);
  for (size_t i = 0; i < size; i++)
    assert_int_equal(guest.bytes[i], pattern(i));
}

static void many_segments(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  there_and_back(s, handle);
  assert_int_equal(host.most_segments, 1024);
  assert_true(host.calls <= 2 * 3 + 2);
  share_release(s, handle);
}

static void short_transfers(void **state) {
  struct share *s = *state;
  static const size_t sizes[] = {1, 61, 700, 65536};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint64_t handle = open_file(s);
    host.most = sizes[i];
    host.interrupt = 3;
    there_and_back(s, handle);
    share_release(s, handle);
  }
}

/* The room may be more than what is asked for: the rest is left alone. */
static void size_is_less_than_room(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  size_t done;
  assert_int_equal(write_shredded(s, handle, 0, &done), 0);
  for (uint32_t size = 0; size < 700; size += 13) {
    assert_int_equal(read_shredded(s, handle, 0, size, &done), 0);
    assert_int_equal(done, size);
    for (size_t i = 0; i < size; i++)
      assert_int_equal(guest.bytes[i], pattern(i));
    for (size_t i = size; i < size + 1000; i++)
      assert_int_equal(guest.bytes[i], 0);
  }
  share_release(s, handle);
}

static void end_of_file(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  size_t size = shred().size, done;
  assert_int_equal(ftruncate((int)handle, 5000), 0);
  assert_int_equal(read_shredded(s, handle, 100, (uint32_t)size, &done), 0);
  assert_int_equal(done, 4900);
  assert_int_equal(read_shredded(s, handle, 5000, (uint32_t)size, &done), 0);
  assert_int_equal(done, 0);
  assert_int_equal(read_shredded(s, handle, INT64_MAX - size, (uint32_t)size, &done), 0);
  assert_int_equal(done, 0);
  share_release(s, handle);
}

/* One call where the guest knows where the file ends, and the right answer where it is wrong about that. */
static void end_of_file_is_known(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  size_t size = shred().size, done;
  struct virtiofs_getattr_in getattr = {.node = s->opened};
  struct virtiofs_attr_out attr;
  assert_int_equal(share_write(s, handle, 0, "12345", 0, 0), 5);
  host.calls = 0;
  assert_int_equal(read_shredded(s, handle, 0, 600, &done), 0);
  assert_int_equal(done, 5);
  assert_int_equal(host.calls, 1);

  assert_int_equal(ftruncate((int)handle, 512), 0); /* somebody else */
  assert_int_equal(read_shredded(s, handle, 0, 600, &done), 0);
  assert_int_equal(done, 512);
  assert_int_equal(s->ops->getattr(&s->req, &getattr, &attr), 0);
  host.calls = 0;
  assert_int_equal(read_shredded(s, handle, 0, 600, &done), 0);
  assert_int_equal(done, 512);
  assert_int_equal(host.calls, 1);

  host.most = 100; /* short, and not the end */
  assert_int_equal(read_shredded(s, handle, 0, 600, &done), 0);
  assert_int_equal(done, 512);
  assert_int_equal(ftruncate((int)handle, 0), 0);
  assert_int_equal(write_shredded(s, handle, 0, &done), 0);
  assert_int_equal(done, size);
  host.most = 512; /* where the file ended once */
  assert_int_equal(read_shredded(s, handle, 0, (uint32_t)size, &done), 0);
  assert_int_equal(done, size);
  share_release(s, handle);
}

static void huge_offsets(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  share_put_file(s, "oracle", "", 0600);
  int oracle = openat(s->fd, "oracle", O_WRONLY);
  static const uint64_t offsets[] = {INT64_MAX - 1, INT64_C(1) << 62, INT64_C(1) << 40};
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    ssize_t n = pwrite(oracle, "x", 1, (off_t)offsets[i]);
    assert_int_equal(share_write(s, handle, offsets[i], "x", 0, 0), n < 0 ? -errno : (int)n);
  }
  assert_int_equal(share_stat(s, "file").st_size, share_stat(s, "oracle").st_size);
  close(oracle);
  share_release(s, handle);
}

/* What was written before the error is told, the error only where nothing was. A READ is never short but at the end of
 * the file: the guest would cut the file off there. */
static void errors_half_way(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  size_t size = shred().size, done;
  assert_int_equal(write_shredded(s, handle, 0, &done), 0);
  static const int errors[] = {EIO, ENOSPC, EDQUOT};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    host.error = errors[i];
    host.most = 700;
    host.calls = 0;
    host.fail_after = 1;
    assert_int_equal(write_shredded(s, handle, 0, &done), 0);
    assert_int_equal(done, 700);
    host.calls = 0;
    assert_int_equal(read_shredded(s, handle, 0, (uint32_t)size, &done), -errors[i]);
    host.fail_after = 0;
    assert_int_equal(write_shredded(s, handle, 0, &done), -errors[i]);
    assert_int_equal(read_shredded(s, handle, 0, (uint32_t)size, &done), -errors[i]);
  }
  host.error = ENOSYS;
  assert_int_equal(write_shredded(s, handle, 0, &done), -EOPNOTSUPP);
  host.error = EMFILE;
  assert_int_equal(write_shredded(s, handle, 0, &done), -ENFILE);
  host.error = 524; /* ENOTSUPP, which is the kernel's own */
  assert_int_equal(write_shredded(s, handle, 0, &done), -EIO);
  share_release(s, handle);
}

/* Linux looks only for an error when it writes its page cache back: what is short would be lost in silence. */
static void all_of_the_cache_or_an_error(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  static const int errors[] = {EIO, ENOSPC, EDQUOT};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    host.error = errors[i];
    host.most = 3;
    host.calls = 0;
    host.fail_after = 1;
    assert_int_equal(share_write(s, handle, 0, "text", O_RDWR, VIRTIOFS_WRITE_CACHE), -errors[i]);
    host.calls = 0;
    assert_int_equal(share_write(s, handle, 0, "text", O_RDWR, 0), 3);
    host.fail_after = host.error = 0;
    assert_int_equal(share_write(s, handle, 0, "text", O_RDWR, VIRTIOFS_WRITE_CACHE), 4);
  }
  share_release(s, handle);
}

/* As durable as the guest's program asked for, when it asked: fcntl(2) may have come after open(2). */
static void each_write_says_how_durable(void **state) {
  struct share *s = *state;
  uint64_t handle = open_file(s);
  assert_int_equal(share_write(s, handle, 0, "x", O_RDWR, 0), 1);
  assert_int_equal(host.flags, 0);
  assert_int_equal(share_write(s, handle, 0, "x", O_RDWR | O_SYNC, 0), 1);
  assert_int_equal(host.flags, RWF_SYNC);
  assert_int_equal(share_write(s, handle, 0, "x", O_RDWR | O_DSYNC | O_APPEND, 0), 1);
  assert_int_equal(host.flags, RWF_DSYNC | RWF_APPEND);
  share_release(s, handle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(many_segments),
      share_test(short_transfers),
      share_test(size_is_less_than_room),
      share_test(end_of_file),
      share_test(end_of_file_is_known),
      share_test(huge_offsets),
      share_test(errors_half_way),
      share_test(all_of_the_cache_or_an_error),
      share_test(each_write_says_how_durable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
