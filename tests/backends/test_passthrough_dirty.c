/* SPDX-License-Identifier: BSD-3-Clause */
/* How much is written that the host hasn't begun to write to its disk. The oracle is the host's page cache. */
#include "passthrough_share.h"

#include <linux/magic.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum { KIB = 1024, CHUNK = 64 * KIB, MOST = 4 * CHUNK, FILES = 5 };

static void serve(struct share *s) {
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.max_dirty = MOST});
}

static uint64_t counted(const struct share *s) {
  struct virtiofs_passthrough_usage u;
  virtiofs_passthrough_usage(s->fs, &u, sizeof u);
  assert_int_equal(u.max_dirty, MOST);
  return u.dirty;
}

/* cachestat(2), since Linux 6.5: bytes of a file that are dirty; -1: this host can't tell, or never writes anything. */
static long on_host(const struct share *s, const char *name) {
  struct {
    uint64_t off, len;
  } range = {0, 0};
  struct {
    uint64_t cache, dirty, writeback, evicted, recently_evicted;
  } pages = {0};
  enum { CACHESTAT = 451 };
  struct statfs st;
  int fd = openat(s->fd, name, O_RDONLY);
  assert_true(fd >= 0);
  long rc = fstatfs(fd, &st) == 0 && st.f_type != TMPFS_MAGIC ? syscall(CACHESTAT, fd, &range, &pages, 0) : -1;
  close(fd);
  return rc == 0 ? (long)pages.dirty * sysconf(_SC_PAGESIZE) : -1;
}

static struct virtiofs_create_out create(struct share *s, const char *name) {
  struct virtiofs_create_out out;
  assert_int_equal(share_try_create(s, name, O_RDWR | O_EXCL, 0644, &out), 0);
  return out;
}

static void put(struct share *s, const struct virtiofs_create_out *f, uint64_t offset) {
  static _Thread_local char text[CHUNK + 1];
  memset(text, 'x', CHUNK);
  s->opened = f->entry.node;
  assert_int_equal(share_write(s, f->open.handle, offset, text, 0, 0), CHUNK);
}

static void close_file(struct share *s, const struct virtiofs_create_out *f) {
  share_release(s, f->open.handle);
  share_forget(s, f->entry.node, 1);
}

static void never_more_than_that(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out files[FILES];
  char name[8];
  serve(s);
  for (unsigned i = 0; i < FILES; i++) {
    (void)snprintf(name, sizeof name, "f%u", i);
    files[i] = create(s, name);
  }
  /* By turns, and then only one; so others' have to be written out, too. */
  for (unsigned i = 0; i < 60; i++) {
    put(s, &files[i < 40 ? i % FILES : 0], i * (uint64_t)CHUNK);
    assert_true(counted(s) <= MOST);
    long dirty = 0;
    for (unsigned f = 0; f < FILES; f++) {
      (void)snprintf(name, sizeof name, "f%u", f);
      long bytes = on_host(s, name);
      if (bytes < 0)
        break;
      dirty += bytes;
    }
    assert_true(dirty <= MOST);
  }
  for (unsigned i = 0; i < FILES; i++)
    close_file(s, &files[i]);
  assert_int_equal(counted(s), 0);
}

static void what_is_on_the_disk_does_not_count(void **state) {
  struct share *s = *state;
  serve(s);
  struct virtiofs_create_out f = create(s, "f"), g = create(s, "g");
  put(s, &f, 0);
  put(s, &g, 0);
  assert_int_equal(counted(s), 2 * CHUNK);
  struct virtiofs_fsync_in in = {.node = f.entry.node, .handle = f.open.handle};
  assert_int_equal(s->ops->fsync(&s->req, &in), 0);
  assert_int_equal(counted(s), CHUNK);
  /* Written through. */
  s->opened = f.entry.node;
  assert_int_equal(share_write(s, f.open.handle, 0, "text", O_RDWR | O_SYNC, 0), 4);
  assert_int_equal(counted(s), CHUNK);
  close_file(s, &g);
  assert_int_equal(counted(s), 0);
  assert_true(on_host(s, "g") <= 0);
  close_file(s, &f);
}

static _Atomic(int) disk_error;

/* The disk fails if it is to. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags) {
  if (disk_error == 0)
    return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
  errno = disk_error;
  return -1;
}

/* The host says once for each open file that its disk has failed: who has the file written out early hears it, and the
 * guest's fsync(2) has to. */
static void errors_are_told(void **state) {
  struct share *s = *state;
  serve(s);
  struct virtiofs_create_out f = create(s, "f"), g = create(s, "g");
  struct virtiofs_fsync_in in_f = {.node = f.entry.node, .handle = f.open.handle};
  struct virtiofs_fsync_in in_g = {.node = g.entry.node, .handle = g.open.handle};
  static const int errors[] = {EIO, ENOSPC, EDQUOT};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    put(s, &g, 0);
    disk_error = errors[i];
    for (unsigned n = 0; n <= MOST / CHUNK; n++)
      put(s, &f, n * (uint64_t)CHUNK);
    disk_error = 0;
    assert_int_equal(s->ops->fsync(&s->req, &in_g), 0);
    assert_int_equal(s->ops->fsync(&s->req, &in_f), -errors[i]);
    assert_int_equal(s->ops->fsync(&s->req, &in_f), 0);
  }
  /* Not for the next one that has the number. */
  disk_error = EIO;
  for (unsigned n = 0; n <= MOST / CHUNK; n++)
    put(s, &f, n * (uint64_t)CHUNK);
  disk_error = 0;
  share_release(s, f.open.handle);
  uint64_t again = share_open(s, f.entry.node, O_RDWR);
  assert_int_equal(again, f.open.handle);
  assert_int_equal(s->ops->fsync(&s->req, &in_f), 0);
  share_release(s, again);
  share_forget(s, f.entry.node, 1);
  close_file(s, &g);
}

enum { THREADS = 4, ROUNDS = 40 };

struct writer {
  pthread_t thread;
  struct share share;
  struct virtiofs_create_out file;
};

static void *write_on(void *arg) {
  struct writer *w = arg;
  for (unsigned i = 0; i < ROUNDS; i++)
    put(&w->share, &w->file, i % 8 * (uint64_t)CHUNK);
  share_release(&w->share, w->file.open.handle);
  return NULL;
}

static void several_at_once(void **state) {
  struct share *s = *state;
  static struct writer writers[THREADS];
  char name[8];
  serve(s);
  for (unsigned i = 0; i < THREADS; i++) {
    (void)snprintf(name, sizeof name, "f%u", i);
    writers[i].file = create(s, name);
    writers[i].share = *s;
    assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(writers[i].thread, NULL);
  assert_int_equal(counted(s), 0);
  for (unsigned i = 0; i < THREADS; i++)
    share_forget(s, writers[i].file.entry.node, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(never_more_than_that),
      share_test(errors_are_told),
      share_test(what_is_on_the_disk_does_not_count),
      share_test(several_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
