/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To be preloaded: reads and writes move fewer bytes than they were asked to, and every few calls a signal seems to
 * come in between (EINTR), as POSIX lets any of them be. Counted, not by chance: two runs are the same.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { EVERY = 3, PIECES = 64 };

#define EXPORT __attribute__((visibility("default")))

static atomic_uint calls;

static bool interrupted(void) {
  if (atomic_fetch_add(&calls, 1) % EVERY != EVERY - 1)
    return false;
  errno = EINTR;
  return true;
}

static void *real(const char *name) {
  void *fn = dlsym(RTLD_NEXT, name);
  if (fn == NULL)
    abort();
  return fn;
}

/* The first half, or one byte. Return: how many pieces. */
static int shorter(const struct iovec *iov, int count, struct iovec pieces[PIECES]) {
  size_t all = 0, kept = 0;
  for (int i = 0; i < count; i++)
    all += iov[i].iov_len;
  const size_t wanted = atomic_load(&calls) % 2 == 0 ? all / 2 + (all > 0) : all > 0;
  int n = 0;
  for (; n < count && n < PIECES && kept < wanted; n++) {
    pieces[n] = iov[n];
    if (pieces[n].iov_len > wanted - kept)
      pieces[n].iov_len = wanted - kept;
    kept += pieces[n].iov_len;
  }
  return n;
}

/* So that a test knows that it was there. */
__attribute__((destructor)) static void tell(void) {
  (void)fprintf(stderr, "short_io: %u calls were short or interrupted\n", atomic_load(&calls));
}

typedef ssize_t preadv_fn(int, const struct iovec *, int, off_t);
typedef ssize_t pwritev2_fn(int, const struct iovec *, int, off_t, int);

static ssize_t short_read(const char *name, int fd, const struct iovec *iov, int count, off_t offset) {
  struct iovec pieces[PIECES];
  if (interrupted())
    return -1;
  preadv_fn *next;
  *(void **)&next = real(name);
  return next(fd, pieces, shorter(iov, count, pieces), offset);
}

static ssize_t short_write(const char *name, int fd, const struct iovec *iov, int count, off_t offset, int flags) {
  struct iovec pieces[PIECES];
  if (interrupted())
    return -1;
  pwritev2_fn *next;
  *(void **)&next = real(name);
  return next(fd, pieces, shorter(iov, count, pieces), offset, flags);
}

/* What programs of 64-bit offsets call. */
EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t preadv64(int fd, const struct iovec *iov, int count, off_t offset) {
  return short_read("preadv64", fd, iov, count, offset);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
  return short_write("pwritev64v2", fd, iov, count, offset, flags);
}

EXPORT int ftruncate64(int fd, off_t size);
int ftruncate64(int fd, off_t size) {
  int (*next)(int, off_t);
  *(void **)&next = real("ftruncate64");
  return interrupted() ? -1 : next(fd, size);
}

EXPORT int fallocate64(int fd, int mode, off_t offset, off_t len);
int fallocate64(int fd, int mode, off_t offset, off_t len) {
  int (*next)(int, int, off_t, off_t);
  *(void **)&next = real("fallocate64");
  return interrupted() ? -1 : next(fd, mode, offset, len);
}
