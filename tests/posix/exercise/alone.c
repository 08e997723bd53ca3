/* SPDX-License-Identifier: BSD-3-Clause */
/* One process, one file, and a model of its bytes. */
#include "exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 600 * 1000, LEN_MAX = 140 * 1000, PAGE = 4096, PIECES = 5 };

/** The file and what it should be. */
struct file {
  const struct plan *plan;
  struct chance chance;
  char path[300], other[300], host[300];
  int fd, append_fd;
  size_t size;
  bool mmap_works, falloc_works, copy_works;
  unsigned char model[SIZE_MAX_BYTES]; /* zeros behind @size */
  unsigned char buf[SIZE_MAX_BYTES];
};

static size_t below(struct file *f, size_t limit) {
  return chance_below(&f->chance, limit);
}

/* Near a page's end and small, or anywhere and large. */
static size_t any_offset(struct file *f, size_t limit) {
  size_t at = below(f, limit);
  if (below(f, 3) == 0)
    at = at / PAGE * PAGE + (PAGE - 3 + below(f, 6)) % PAGE;
  return at < limit ? at : limit - 1;
}

static size_t any_len(struct file *f, size_t at) {
  static const size_t most[] = {16, 200, PAGE + 8, 20000, LEN_MAX};
  size_t len = 1 + below(f, most[below(f, sizeof most / sizeof *most)]);
  return len < SIZE_MAX_BYTES - at ? len : SIZE_MAX_BYTES - at;
}

static void random_bytes(struct file *f, unsigned char *to, size_t len) {
  for (size_t i = 0; i < len; i += 4) {
    uint32_t word = chance_next(&f->chance);
    memcpy(to + i, &word, len - i < 4 ? len - i : 4);
  }
}

static void compare(const struct file *f, size_t at, const unsigned char *got, size_t len, const char *what) {
  if (memcmp(f->model + at, got, len) == 0)
    return;
  size_t first = 0, wrong = 0;
  while (f->model[at + first] == got[first])
    first++;
  for (size_t i = first; i < len; i++)
    wrong += f->model[at + i] != got[i];
  fail("%s: byte %zu is %02x, not %02x; %zu of %zu from %zu on are wrong; the file has %zu", what, at + first,
       got[first], f->model[at + first], wrong, len, at, f->size);
}

static void grow_to(struct file *f, size_t end) {
  if (end > f->size)
    f->size = end;
}

/* ---- steps ---- */

static void step_read(struct file *f) {
  size_t at = any_offset(f, SIZE_MAX_BYTES), len = any_len(f, at);
  size_t wanted = at >= f->size ? 0 : len < f->size - at ? len : f->size - at;
  note("read %zu + %zu", at, len);
  ssize_t n = pread(f->fd, f->buf, len, (off_t)at);
  need(n >= 0, "pread");
  if ((size_t)n != wanted)
    fail("read %zu + %zu gave %zd of %zu bytes; the file has %zu", at, len, n, wanted, f->size);
  compare(f, at, f->buf, wanted, "read");
}

static void step_write(struct file *f) {
  size_t at = any_offset(f, SIZE_MAX_BYTES), len = any_len(f, at);
  note("write %zu + %zu", at, len);
  random_bytes(f, f->model + at, len);
  ssize_t n = pwrite(f->fd, f->model + at, len, (off_t)at);
  need(n == (ssize_t)len, "pwrite");
  grow_to(f, at + len);
}

static void step_writev(struct file *f) {
  struct iovec iov[PIECES];
  size_t at = any_offset(f, SIZE_MAX_BYTES), len = 0;
  int count = 0;
  for (; count < PIECES && at + len < SIZE_MAX_BYTES; count++) {
    size_t piece = any_len(f, at + len);
    random_bytes(f, f->model + at + len, piece);
    iov[count] = (struct iovec){f->model + at + len, piece};
    len += piece;
  }
  note("writev %zu + %zu in %d pieces", at, len, count);
  need(pwritev(f->fd, iov, count, (off_t)at) == (ssize_t)len, "pwritev");
  grow_to(f, at + len);
}

static void step_append(struct file *f) {
  if (f->size >= SIZE_MAX_BYTES)
    return;
  size_t len = any_len(f, f->size);
  note("append %zu to %zu", len, f->size);
  random_bytes(f, f->model + f->size, len);
  need(write(f->append_fd, f->model + f->size, len) == (ssize_t)len, "write");
  f->size += len;
}

static void step_truncate(struct file *f) {
  size_t size = below(f, 8) == 0 ? 0 : any_offset(f, SIZE_MAX_BYTES);
  bool by_path = below(f, 2) == 0;
  note("truncate %zu to %zu%s", f->size, size, by_path ? " by path" : "");
  need((by_path ? truncate(f->path, (off_t)size) : ftruncate(f->fd, (off_t)size)) == 0, "truncate");
  if (size < f->size)
    memset(f->model + size, 0, f->size - size);
  f->size = size;
}

static void step_allocate(struct file *f) {
  static const struct {
    int mode;
    bool zeros, grows;
  } modes[] = {{0, false, true},
               {FALLOC_FL_KEEP_SIZE, false, false},
               {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true, false},
               {FALLOC_FL_ZERO_RANGE, true, true},
               {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, true, false}};
  size_t m = below(f, sizeof modes / sizeof *modes), at = any_offset(f, SIZE_MAX_BYTES), len = any_len(f, at);
  note("fallocate %d, %zu + %zu", modes[m].mode, at, len);
  if (fallocate(f->fd, modes[m].mode, (off_t)at, (off_t)len) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSPC)
      fail("fallocate: %s", strerror(errno));
    return;
  }
  if (modes[m].zeros)
    memset(f->model + at, 0, len);
  if (modes[m].grows)
    grow_to(f, at + len);
}

/* Within the file; the two ranges don't overlap. */
static void step_copy(struct file *f) {
  if (f->size < 2 || !f->copy_works)
    return;
  size_t from = below(f, f->size), len = any_len(f, from), to = any_offset(f, SIZE_MAX_BYTES);
  if (len > f->size - from)
    len = f->size - from;
  if (len > SIZE_MAX_BYTES - to)
    len = SIZE_MAX_BYTES - to;
  if (from < to + len && to < from + len)
    return;
  note("copy %zu + %zu to %zu", from, len, to);
  while (len > 0) {
    loff_t in = (loff_t)from, out = (loff_t)to;
    ssize_t n = copy_file_range(f->fd, &in, f->fd, &out, len, 0);
    if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == ENOSYS)) {
      f->copy_works = false;
      return;
    }
    need(n > 0, "copy_file_range");
    memcpy(f->model + to, f->model + from, (size_t)n);
    grow_to(f, to + (size_t)n);
    from += (size_t)n;
    to += (size_t)n;
    len -= (size_t)n;
  }
}

static void step_mapped(struct file *f) {
  if (!f->mmap_works || f->size == 0)
    return;
  size_t at = below(f, f->size), start = at / PAGE * PAGE, len = any_len(f, at);
  bool writes = below(f, 2) == 0;
  if (len > f->size - at)
    len = f->size - at;
  note("mapped %s %zu + %zu", writes ? "write" : "read", at, len);
  unsigned char *map =
      mmap(NULL, at - start + len, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, f->fd, (off_t)start);
  if (map == MAP_FAILED && (errno == ENODEV || errno == EINVAL)) {
    f->mmap_works = false; /* the mount doesn't allow it */
    return;
  }
  need(map != MAP_FAILED, "mmap");
  compare(f, at, map + (at - start), len, "mapped");
  if (writes) {
    random_bytes(f, f->model + at, len);
    memcpy(map + (at - start), f->model + at, len);
    if (below(f, 3) == 0)
      need(msync(map, at - start + len, MS_SYNC) == 0, "msync");
  }
  need(munmap(map, at - start + len) == 0, "munmap");
}

static void step_sync(struct file *f) {
  bool data_only = below(f, 2) == 0;
  note("%s", data_only ? "fdatasync" : "fsync");
  need((data_only ? fdatasync(f->fd) : fsync(f->fd)) == 0, "fsync");
}

static void step_size(struct file *f) {
  struct stat st, by_path;
  note("stat");
  need(fstat(f->fd, &st) == 0 && stat(f->path, &by_path) == 0, "stat");
  if ((size_t)st.st_size != f->size || st.st_size != by_path.st_size)
    fail("size %jd, by path %jd, expected %zu", (intmax_t)st.st_size, (intmax_t)by_path.st_size, f->size);
}

/* What is said to be a hole has to be zeros. */
static void step_holes(struct file *f) {
  if (f->size == 0)
    return;
  size_t at = below(f, f->size);
  note("holes from %zu", at);
  off_t data = lseek(f->fd, (off_t)at, SEEK_DATA);
  if (data < 0 && errno == ENXIO)
    data = (off_t)f->size;
  need(data >= (off_t)at, "SEEK_DATA");
  for (size_t i = at; i < (size_t)data && i < f->size; i++)
    if (f->model[i] != 0)
      fail("byte %zu is said to be in a hole and is %02x", i, f->model[i]);
}

static void open_files(struct file *f, int flags) {
  f->fd = open(f->path, O_RDWR | O_CLOEXEC | flags, 0600);
  need(f->fd >= 0, f->path);
  f->append_fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
  need(f->append_fd >= 0, f->path);
}

static void step_reopen(struct file *f) {
  bool drop = below(f, 2) == 0;
  note("reopen%s", drop ? ", dropping pages" : "");
  if (drop)
    (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
  need(close(f->fd) == 0 && close(f->append_fd) == 0, "close");
  if (below(f, 4) == 0) {
    need(rename(f->path, f->other) == 0 && link(f->other, f->path) == 0 && unlink(f->other) == 0, "rename and link");
    note("renamed and linked");
  }
  open_files(f, 0);
}

/* As the host has it, when all is written. */
static void compare_with_host(struct file *f) {
  struct stat st;
  if (f->plan->share == NULL)
    return;
  note("the host's view");
  need(fsync(f->fd) == 0, "fsync");
  int fd = open(f->host, O_RDONLY | O_CLOEXEC);
  need(fd >= 0 && fstat(fd, &st) == 0, f->host);
  if ((size_t)st.st_size != f->size)
    fail("the host has %jd bytes, not %zu", (intmax_t)st.st_size, f->size);
  ssize_t n = pread(fd, f->buf, f->size, 0);
  need(n == (ssize_t)f->size, "the host's read");
  compare(f, 0, f->buf, f->size, "the host's view");
  close(fd);
}

static const struct {
  void (*run)(struct file *);
  unsigned weight;
} steps[] = {{step_read, 20},    {step_write, 20}, {step_writev, 3},      {step_append, 4}, {step_truncate, 4},
             {step_allocate, 6}, {step_copy, 4},   {step_mapped, 12},     {step_sync, 1},   {step_size, 6},
             {step_holes, 2},    {step_reopen, 2}, {compare_with_host, 1}};
enum { STEPS = sizeof steps / sizeof *steps };

static void one_step(struct file *f) {
  size_t all = 0, s = 0;
  for (size_t i = 0; i < STEPS; i++)
    all += steps[i].weight;
  size_t at = below(f, all);
  while (at >= steps[s].weight)
    at -= steps[s++].weight;
  steps[s].run(f);
}

void work_alone(const struct plan *plan, unsigned number) {
  struct file *f = calloc(1, sizeof *f);
  need(f != NULL, "memory");
  f->plan = plan;
  f->chance.state = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + number + 1;
  f->mmap_works = !plan->no_mmap;
  f->copy_works = true;
  (void)snprintf(f->path, sizeof f->path, "%s/exercise-%u", plan->dir, number);
  (void)snprintf(f->other, sizeof f->other, "%s/exercise-%u-other", plan->dir, number);
  (void)snprintf(f->host, sizeof f->host, "%s/exercise-%u", plan->share != NULL ? plan->share : "", number);
  note("seed %ju, process %u", (uintmax_t)plan->seed, number);
  open_files(f, O_CREAT | O_TRUNC);
  for (unsigned long i = 0; i < plan->ops; i++)
    one_step(f);
  compare_with_host(f);
  ssize_t n = pread(f->fd, f->buf, SIZE_MAX_BYTES, 0);
  if (n != (ssize_t)f->size)
    fail("the end: %zd bytes, not %zu", n, f->size);
  compare(f, 0, f->buf, f->size, "the end");
  if (!plan->no_mmap && !f->mmap_works)
    (void)printf("process %u: no shared mappings here\n", number);
  need(close(f->fd) == 0 && close(f->append_fd) == 0 && unlink(f->path) == 0, "the end");
  free(f);
}
