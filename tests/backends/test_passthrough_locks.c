/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks between owners, guests and the host, that nobody waits for. */
#include "passthrough_locks.h"

static void between_owners(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&f, B, F_WRLCK, 9, 9), -EAGAIN); /* not the handle's, not the process's: the owner's */
  assert_int_equal(lock(&g, B, F_RDLCK, 0, 0), -EAGAIN);
  assert_int_equal(lock(&g, B, F_WRLCK, 10, 19), 0);
  assert_int_equal(lock(&g, A, F_RDLCK, 0, 9), 0); /* by another handle, and for less */
  assert_int_equal(lock(&f, B, F_RDLCK, 5, 5), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), -EAGAIN);
  assert_int_equal(lock(&f, B, F_UNLCK, 0, INT64_MAX), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, INT64_MAX), 0);
  assert_int_equal(lock(&f, C, F_UNLCK, 0, 5), 0); /* of which there are none */
  file_close(&f);
  file_close(&g);
}

static void who_is_in_the_way(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  assert_int_equal(who(&f, A).type, F_UNLCK);
  assert_int_equal(lock(&f, A, F_RDLCK, 10, 19), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 30, INT64_MAX), 0);
  assert_int_equal(who(&f, A).type, F_UNLCK);
  struct virtiofs_lock found = who(&f, B);
  assert_int_equal(found.type, F_RDLCK);
  assert_int_equal(found.start, 10);
  assert_int_equal(found.end, 19);
  assert_int_equal(found.pid, A + 5000);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 29), 0);
  found = who(&f, B);
  assert_int_equal(found.type, F_WRLCK);
  assert_int_equal(found.start, 30);
  assert_int_equal(found.end, INT64_MAX);
  int other;
  s->req.session = &other; /* another guest, to whom that number means nothing */
  assert_int_equal(who(&f, A).type, F_WRLCK);
  assert_int_equal(who(&f, A).pid, 0);
  s->req.session = NULL;
  file_close(&f);
}

static void the_host_sees_them(void **state) {
  struct file f = file_open(*state, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 10, 19), 0);
  struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  assert_int_equal(fcntl(f.host, F_OFD_GETLK, &fl), 0);
  assert_int_equal(fl.l_type, F_WRLCK);
  assert_int_equal(fl.l_start, 10);
  assert_int_equal(fl.l_len, 10);
  assert_int_equal(host_lock(&f, F_RDLCK, 15, 1), -EAGAIN);
  assert_int_equal(host_lock(&f, F_WRLCK, 20, 0), 0);
  struct virtiofs_lock found = who(&f, A);
  assert_int_equal(found.type, F_WRLCK);
  assert_int_equal(found.start, 20);
  assert_int_equal(found.end, INT64_MAX);
  assert_int_equal(found.pid, 0);
  assert_int_equal(lock(&f, A, F_RDLCK, 0, INT64_MAX), -EAGAIN);
  assert_int_equal(host_lock(&f, F_UNLCK, 0, 0), 0);
  assert_int_equal(lock(&f, A, F_RDLCK, 0, INT64_MAX), 0);
  assert_int_equal(host_lock(&f, F_RDLCK, 0, 0), 0);
  file_close(&f);
}

/* Two guests of one server may call their owners by the same number. */
static void between_guests(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  int other;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  s->req.session = &other;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), -EAGAIN);
  assert_int_equal(lock(&f, A, F_WRLCK, 10, 19), 0);
  file_flush(&f, A);
  s->req.session = NULL;
  assert_int_equal(lock(&f, B, F_WRLCK, 0, 9), -EAGAIN);
  assert_int_equal(lock(&f, B, F_WRLCK, 10, 19), 0);
  file_close(&f);
}

static void between_servers(void **state) {
  struct share *s = *state;
  struct share other = *s;
  share_serve(&other, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  struct file f = file_open(s, "f", O_RDWR), g = file_open(&other, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&g, A, F_WRLCK, 0, 9), -EAGAIN);
  assert_int_equal(flock_by(&f, F_WRLCK), 0);
  assert_int_equal(flock_by(&g, F_RDLCK), -EAGAIN);
  file_close(&f);
  assert_int_equal(lock(&g, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(flock_by(&g, F_RDLCK), 0);
  file_close(&g);
  virtiofs_passthrough_free(other.fs);
}

/* close(2) of any descriptor drops a process's locks on that file, and nobody else's. */
static void flush_drops_the_owner(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR),
              h = file_open(*state, "h", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&h, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&f, B, F_WRLCK, 10, 19), 0);
  file_flush(&g, A); /* another descriptor */
  assert_int_equal(lock(&f, C, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 10, 19), -EAGAIN);
  assert_int_equal(lock(&h, C, F_WRLCK, 0, 9), -EAGAIN);
  file_flush(&f, 77);
  file_close(&f);
  file_close(&g);
  file_close(&h);
}

/* What a guest's program has locked by F_OFD_SETLK goes when the open file does: no FLUSH names such an owner. */
static void release_drops_what_came_by_it(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 40, 49), 0);
  assert_int_equal(lock(&g, B, F_WRLCK, 10, 19), 0);
  file_flush(&f, 77);
  assert_int_equal(lock(&g, B, F_WRLCK, 0, 9), -EAGAIN);
  file_release(&f);
  assert_int_equal(lock(&g, B, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&g, B, F_WRLCK, 40, 49), 0);
  assert_int_equal(host_lock(&g, F_WRLCK, 10, 1), -EAGAIN);
  file_close(&f);
  file_close(&g);
}

/* A process whose locks were dropped by closing one open file has its new ones by another. */
static void release_of_a_file_that_was_flushed(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  file_flush(&f, A);
  assert_int_equal(lock(&g, A, F_WRLCK, 0, 9), 0);
  file_release(&f);
  assert_int_equal(host_lock(&g, F_WRLCK, 0, 1), -EAGAIN);
  file_close(&f);
  file_close(&g);
}

/* A lease for reading is given as long as nobody has the file open for writing. */
static bool nobody_writes(struct share *s, const char *name) {
  int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);
  int rc = fcntl(fd, F_SETLEASE, F_RDLCK);
  close(fd);
  return rc == 0;
}

static void open_for_no_more_than_it_takes(void **state) {
  struct share *s = *state;
  struct file r = file_open(s, "f", O_RDONLY);
  close(r.host);
  assert_int_equal(lock(&r, A, F_RDLCK, 0, 9), 0);
  assert_true(nobody_writes(s, "f"));
  assert_int_equal(lock(&r, A, F_WRLCK, 0, 9), -EBADF);
  r.host = openat(s->fd, "f", O_RDWR | O_CLOEXEC);
  struct file w = file_open(s, "f", O_WRONLY);
  assert_int_equal(lock(&w, A, F_RDLCK, 0, 9), -EBADF);
  assert_int_equal(lock(&w, B, F_WRLCK, 9, 9), -EAGAIN);
  assert_int_equal(lock(&w, A, F_WRLCK, 20, 29), 0); /* what was read-locked stays so */
  assert_int_equal(host_lock(&w, F_WRLCK, 0, 1), -EAGAIN);
  assert_int_equal(host_lock(&w, F_RDLCK, 0, 1), 0);
  assert_int_equal(host_lock(&w, F_RDLCK, 20, 1), -EAGAIN);
  assert_int_equal(host_lock(&w, F_RDLCK, 30, 1), 0);
  file_close(&r);
  file_close(&w);
}

static void forgotten_while_open(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  int host = f.host;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  share_forget(s, f.node, 1);
  assert_int_equal(host_lock(&f, F_WRLCK, 0, 1), -EAGAIN);
  share_release(s, f.handle);
  assert_int_equal(host_lock(&f, F_WRLCK, 0, 1), 0);
  close(host);
}

/* ---- limits ---- */

static void ranges_end_cleanly(void **state) {
  struct file f = file_open(*state, "f", O_RDWR);
  for (uint64_t i = 0; i < LOCK_MAX; i++)
    assert_int_equal(lock(&f, A + i % 2, F_WRLCK, i * 2, i * 2), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 1000000, 1000000), -ENOLCK);
  assert_int_equal(lock(&f, A, F_RDLCK, 0, 0), 0); /* no more than before */
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 1), 0);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 1), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 1000000, 1000010), 0);
  assert_int_equal(lock(&f, C, F_UNLCK, 1000005, 1000005), -ENOLCK); /* would be two of one */
  file_flush(&f, A);
  assert_int_equal(lock(&f, C, F_UNLCK, 1000005, 1000005), 0);
  file_close(&f);
}

static void a_limit_of_ones_own(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough_usage usage;
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.max_locks = 3});
  struct file f = file_open(s, "f", O_RDWR);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(lock(&f, A, F_WRLCK, i * 2, i * 2), 0);
  virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
  assert_int_equal(usage.locks, 3);
  assert_int_equal(usage.max_locks, 3);
  assert_int_equal(usage.max_lock_waiters, LOCK_WAITERS);
  assert_int_equal(usage.inodes, 2); /* the root, and it */
  assert_true(usage.descriptors >= 1 && usage.descriptors <= usage.max_descriptors);
  assert_int_equal(lock(&f, A, F_WRLCK, 100, 100), -ENOLCK);
  assert_int_equal(lock(&f, B, F_WRLCK, 100, 100), -ENOLCK);
  /* Another guest has its own. */
  int other;
  s->req.session = &other;
  assert_int_equal(lock(&f, B, F_WRLCK, 100, 100), 0);
  file_flush(&f, B);
  s->req.session = NULL;
  file_flush(&f, A);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(lock(&f, A + i, F_RDLCK, 0, 0), 0);
  assert_int_equal(lock(&f, A + 3, F_RDLCK, 0, 0), -ENOLCK);
  file_close(&f);
  virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
  assert_int_equal(usage.locks, 0);
}

static void owners_end_cleanly(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  int before = share_open_fds();
  s->fs->fd_limit = atomic_load(&s->fs->fd_count) + 3;
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(lock(&f, A + i, F_RDLCK, 0, 0), 0);
  assert_int_equal(lock(&f, 4, F_RDLCK, 0, 0), -ENOLCK); /* no descriptor left */
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 5), 0);
  assert_int_equal(share_open_fds(), before + 2); /* none is kept for nothing */
  assert_int_equal(lock(&f, 4, F_RDLCK, 0, 0), 0);
  s->fs->fd_limit = 100000;
  for (uint64_t i = 0; i < LOCK_MAX - 3; i++)
    if (lock(&f, 100000 + i, F_RDLCK, 0, 0) != 0) {
      assert_int_equal(lock(&f, 100000 + i, F_RDLCK, 0, 0), -ENOLCK); /* this process has no more either */
      break;
    }
  assert_int_equal(lock(&f, 5, F_RDLCK, 0, 0), -ENOLCK);
  file_close(&f);
}

/* ---- flock(2) ---- */

static void flock_is_the_open_files(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDONLY);
  int before = share_open_fds();
  assert_int_equal(flock_by(&f, F_WRLCK), 0);
  assert_int_equal(share_open_fds(), before);
  assert_int_equal(flock_by(&g, F_RDLCK), -EAGAIN);
  assert_int_equal(flock(f.host, LOCK_SH | LOCK_NB), -1);
  assert_int_equal(lock(&g, A, F_RDLCK, 0, 9), 0); /* another kind, which doesn't mind */
  assert_int_equal(flock_by(&f, F_RDLCK), 0);
  assert_int_equal(flock_by(&g, F_RDLCK), 0);
  assert_int_equal(flock_by(&f, F_UNLCK), 0);
  assert_int_equal(flock(f.host, LOCK_SH | LOCK_NB), 0);
  assert_int_equal(flock_by(&g, F_WRLCK), -EAGAIN);
  assert_int_equal(flock(f.host, LOCK_UN), 0);
  assert_int_equal(flock_by(&g, F_WRLCK), 0);
  file_flush(&g, A);
  assert_int_equal(flock_by(&f, F_WRLCK), -EAGAIN); /* close(2) of a duplicate is not the end of it */
  file_release(&g);
  assert_int_equal(flock_by(&f, F_WRLCK), 0);
  file_close(&f);
  file_close(&g);
}

/* ---- switched off ---- */

static struct virtiofs_init_out served_with(struct share *s, bool no_posix_lock, bool no_flock) {
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.semantics = 0};
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.no_posix_lock = no_posix_lock, .no_flock = no_flock});
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  return out;
}

static void left_to_the_guest(void **state) {
  struct share *s = *state;
  const uint64_t set = VIRTIOFS_BLOCKING_SETLK | VIRTIOFS_BLOCKING_SETLKW;
  struct virtiofs_init_out out = served_with(s, false, false);
  assert_int_equal(out.without & (set | VIRTIOFS_BLOCKING_GETLK), 0);
  assert_true((out.semantics & VIRTIOFS_SEMANTICS_FLOCK_LOCKS) != 0);

  out = served_with(s, true, false);
  assert_int_equal(out.without & (set | VIRTIOFS_BLOCKING_GETLK), VIRTIOFS_BLOCKING_GETLK);
  assert_true((out.semantics & VIRTIOFS_SEMANTICS_FLOCK_LOCKS) != 0);
  struct file f = file_open(s, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), -ENOSYS);
  assert_int_equal(flock_by(&f, F_WRLCK), 0);
  file_close(&f);

  out = served_with(s, false, true);
  assert_int_equal(out.without & (set | VIRTIOFS_BLOCKING_GETLK), 0);
  assert_true((out.semantics & VIRTIOFS_SEMANTICS_FLOCK_LOCKS) == 0);
  f = file_open(s, "f", O_RDWR);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(flock_by(&f, F_WRLCK), -ENOSYS);
  file_close(&f);

  out = served_with(s, true, true);
  assert_int_equal(out.without & (set | VIRTIOFS_BLOCKING_GETLK), set | VIRTIOFS_BLOCKING_GETLK);
  f = file_open(s, "f", O_RDWR);
  file_flush(&f, A);
  file_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(between_owners),
      share_test(who_is_in_the_way),
      share_test(the_host_sees_them),
      share_test(between_guests),
      share_test(between_servers),
      share_test(flush_drops_the_owner),
      share_test(release_drops_what_came_by_it),
      share_test(release_of_a_file_that_was_flushed),
      share_test(open_for_no_more_than_it_takes),
      share_test(forgotten_while_open),
      share_test(ranges_end_cleanly),
      share_test(a_limit_of_ones_own),
      share_test(owners_end_cleanly),
      share_test(flock_is_the_open_files),
      share_test(left_to_the_guest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
