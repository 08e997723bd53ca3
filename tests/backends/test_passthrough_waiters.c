/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks that are waited for; to be run under TSan. */
#include "passthrough_locks.h"

static void woken_by_our_own_unlock(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  struct wait w, v;
  assert_int_equal(wait_for(&w, &f, A, F_WRLCK, 0, 9), 0); /* nothing in the way */
  assert_int_equal(wait_for(&w, &f, B, F_WRLCK, 5, 14), VIRTIOFS_PENDING);
  assert_int_equal(wait_for(&v, &f, C, F_WRLCK, 30, 30), 0);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 4), 0);
  assert_int_equal(fake_wait(&w.req, 120), VIRTIOFS_PENDING);
  assert_true(tries(s) <= 1); /* it is known who is in the way: nobody asks the host */
  assert_int_equal(lock(&f, A, F_UNLCK, 5, 9), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  assert_int_equal(lock(&f, A, F_RDLCK, 14, 14), -EAGAIN);
  assert_int_equal(lock(&f, A, F_RDLCK, 4, 4), 0);
  file_close(&f);
}

static void woken_by_less_by_flush_and_by_release(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR);
  struct wait w;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(wait_for(&w, &g, B, F_RDLCK, 0, 9), VIRTIOFS_PENDING);
  assert_int_equal(lock(&f, A, F_RDLCK, 0, 9), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  assert_int_equal(wait_for(&w, &g, B, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  file_flush(&f, A);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  assert_int_equal(lock(&g, B, F_UNLCK, 0, 9), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(wait_for(&w, &g, B, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  file_release(&f);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  file_close(&f);
  file_close(&g);
}

static bool is_settled(const struct share *s) {
  bool settled = true;
  pthread_mutex_lock(&s->fs->locks->lock);
  for (const struct lock_waiter *w = s->fs->locks->first; w != NULL; w = w->next)
    settled &= !w->busy && w->due_ns == UINT64_MAX;
  pthread_mutex_unlock(&s->fs->locks->lock);
  return settled;
}

/* All who were woken have tried, and wait again: who tries just when something is unlocked is quicker than others. */
static void settle(const struct share *s) {
  const struct timespec moment = {.tv_nsec = 1000000};
  for (int i = 0; i < WAIT_MS && !is_settled(s); i++)
    nanosleep(&moment, NULL);
  assert_true(is_settled(s));
}

static void first_come_first_served(void **state) {
  struct file f = file_open(*state, "f", O_RDWR);
  struct wait w[3];
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(wait_for(&w[i], &f, B + i, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  for (uint64_t i = 0; i < 3; i++) {
    assert_int_equal(lock(&f, i == 0 ? A : A + i, F_UNLCK, 0, 9), 0);
    assert_int_equal(fake_wait(&w[i].req, WAIT_MS), 0);
    settle(f.s);
    for (uint64_t j = i + 1; j < 3; j++)
      assert_int_equal(fake_wait(&w[j].req, 0), VIRTIOFS_PENDING);
  }
  file_close(&f);
}

static uint64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* When so many looks have been taken at the earliest: 1, 2, 4 ... 32 ms after each other, and then 50. */
static uint64_t earliest_ms(uint64_t looks) {
  return looks <= 6 ? (UINT64_C(1) << looks) - 1 : 63 + (looks - 6) * 50;
}

/* Nobody tells us: we look. */
static void until_the_host_unlocks(void **state) {
  enum { LOOKS = 8 };
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  struct wait w;
  assert_int_equal(host_lock(&f, F_WRLCK, 0, 0), 0);
  uint64_t so_far = 0, begun = now_ms();
  assert_int_equal(wait_for(&w, &f, A, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  for (int i = 0; i < WAIT_MS / 10 && so_far < LOOKS; i++) {
    assert_int_equal(fake_wait(&w.req, 10), VIRTIOFS_PENDING);
    so_far = tries(s);
  }
  assert_true(so_far >= LOOKS);
  assert_true(now_ms() + 1 - begun >= earliest_ms(so_far)); /* not more often */
  assert_int_equal(host_lock(&f, F_UNLCK, 0, 0), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  assert_int_equal(host_lock(&f, F_WRLCK, 9, 1), -EAGAIN);
  file_close(&f);
}

static void until_another_server_unlocks(void **state) {
  struct share *s = *state;
  struct share other = *s;
  share_serve(&other, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  struct file f = file_open(s, "f", O_RDWR), g = file_open(&other, "f", O_RDWR);
  struct wait w;
  assert_int_equal(lock(&g, A, F_RDLCK, 0, 9), 0);
  assert_int_equal(wait_for(&w, &f, A, F_WRLCK, 0, 0), VIRTIOFS_PENDING);
  file_flush(&g, A);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  file_close(&f);
  file_close(&g);
  virtiofs_passthrough_free(other.fs);
}

static void another_guest_of_the_same_server(void **state) {
  struct share *s = *state;
  struct file f = file_open(s, "f", O_RDWR);
  struct wait w;
  int other;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(wait_begin(&w, &f, &other, lk(&f, A, F_WRLCK, 0, 9)), VIRTIOFS_PENDING);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 9), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), -EAGAIN);
  s->req.session = &other;
  file_close(&f);
}

static void flock_waits_too(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "f", O_RDWR);
  struct wait w;
  struct virtiofs_lk_in in = lk(&g, B, F_WRLCK, 0, INT64_MAX);
  in.flock = true;
  assert_int_equal(flock_by(&f, F_RDLCK), 0);
  assert_int_equal(wait_begin(&w, &g, NULL, in), VIRTIOFS_PENDING);
  assert_int_equal(flock_by(&f, F_UNLCK), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  in.lock.type = F_UNLCK;
  assert_int_equal(wait_begin(&w, &g, NULL, in), 0);
  assert_int_equal(flock(f.host, LOCK_EX), 0);
  in.lock.type = F_RDLCK;
  assert_int_equal(wait_begin(&w, &g, NULL, in), VIRTIOFS_PENDING);
  assert_int_equal(flock(f.host, LOCK_UN), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  in.lock.type = F_UNLCK;
  assert_int_equal(wait_begin(&w, &g, NULL, in), 0);
  assert_int_equal(flock_by(&f, F_WRLCK), 0);
  in.lock.type = F_WRLCK;
  assert_int_equal(wait_begin(&w, &g, NULL, in), VIRTIOFS_PENDING);
  file_release(&f);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  file_close(&f);
  file_close(&g);
}

/* ---- giving up ---- */

static void given_up(void **state) {
  struct file f = file_open(*state, "f", O_RDWR);
  struct wait w;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(wait_for(&w, &f, B, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  w.req.interrupted = true;
  fake_cancel(&w.req);
  assert_int_equal(fake_wait(&w.req, 0), -EINTR);
  assert_int_equal(wait_for(&w, &f, B, F_WRLCK, 0, 9), VIRTIOFS_PENDING);
  fake_cancel(&w.req); /* by a drain */
  assert_int_equal(fake_wait(&w.req, 0), -ENOLCK);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 9), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 0, 9), 0);
  /* Before the operation was called; the lock is not had later either. */
  w = (struct wait){.req = f.s->req, .in = lk(&f, B, F_WRLCK, 0, 9)};
  w.req.cancelled = true;
  assert_int_equal(f.s->ops->setlkw(&w.req, &w.in), -ENOLCK);
  assert_false(w.req.completed);
  assert_int_equal(lock(&f, C, F_UNLCK, 0, 9), 0);
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  file_close(&f);
}

static void waiters_are_limited(void **state) {
  struct share *s = *state;
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.lock_waiters = 3});
  struct file f = file_open(s, "f", O_RDWR);
  struct wait w[4];
  int other;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(wait_for(&w[i], &f, B + i, F_RDLCK, 0, 9), VIRTIOFS_PENDING);
  assert_int_equal(wait_for(&w[3], &f, 77, F_RDLCK, 0, 9), -ENOLCK);
  assert_int_equal(wait_begin(&w[3], &f, &other, lk(&f, B, F_RDLCK, 0, 9)), VIRTIOFS_PENDING);
  fake_cancel(&w[3].req);
  fake_cancel(&w[0].req);
  assert_int_equal(wait_for(&w[0], &f, 77, F_RDLCK, 0, 9), VIRTIOFS_PENDING);
  assert_int_equal(lock(&f, A, F_UNLCK, 0, 9), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fake_wait(&w[i].req, WAIT_MS), 0);
  file_close(&f);
}

/* ---- rings ---- */

static void two_that_wait_for_each_other(void **state) {
  struct file f = file_open(*state, "f", O_RDWR), g = file_open(*state, "g", O_RDWR);
  struct wait w, v;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 9), 0);
  assert_int_equal(lock(&g, B, F_WRLCK, 0, 9), 0);
  assert_int_equal(wait_for(&w, &g, A, F_RDLCK, 9, 9), VIRTIOFS_PENDING);
  assert_int_equal(wait_for(&v, &f, B, F_WRLCK, 100, 100), 0);
  assert_int_equal(wait_for(&v, &f, B, F_WRLCK, 0, 0), -EDEADLK);
  assert_int_equal(lock(&g, B, F_UNLCK, 0, 9), 0);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  file_close(&f);
  file_close(&g);
}

static void three_in_a_ring(void **state) {
  struct file f = file_open(*state, "f", O_RDWR);
  struct wait w, v, u;
  assert_int_equal(lock(&f, A, F_WRLCK, 0, 0), 0);
  assert_int_equal(lock(&f, B, F_WRLCK, 1, 1), 0);
  assert_int_equal(lock(&f, C, F_WRLCK, 2, 2), 0);
  assert_int_equal(wait_for(&w, &f, A, F_WRLCK, 1, 1), VIRTIOFS_PENDING);
  assert_int_equal(wait_for(&v, &f, B, F_WRLCK, 2, 2), VIRTIOFS_PENDING);
  assert_int_equal(wait_for(&u, &f, C, F_WRLCK, 0, 0), -EDEADLK);
  file_flush(&f, C);
  assert_int_equal(fake_wait(&v.req, WAIT_MS), 0);
  file_flush(&f, B);
  assert_int_equal(fake_wait(&w.req, WAIT_MS), 0);
  file_close(&f);
}

/* ---- many threads ---- */

enum { THREADS = 6, ROUNDS = 400 };

static struct file shared;
static int counter; /* of who has the lock */
static atomic_int wrong, given_up_count;

static void *count(void *arg) {
  uint64_t owner = 100 + (uint64_t)(uintptr_t)arg;
  for (unsigned i = 0; i < ROUNDS; i++) {
    struct wait w;
    int rc = wait_for(&w, &shared, owner, F_WRLCK, 0, 9);
    if (rc == VIRTIOFS_PENDING && i % 7 == 0)
      fake_cancel(&w.req);
    if (rc == VIRTIOFS_PENDING)
      rc = fake_wait(&w.req, WAIT_MS);
    if (rc == -ENOLCK) {
      atomic_fetch_add(&given_up_count, 1);
      continue;
    }
    if (rc != 0)
      atomic_fetch_add(&wrong, 1);
    counter++;
    if (i % 3 == 0) {
      struct virtiofs_flush_in in = {.node = shared.node, .handle = shared.handle, .lock_owner = owner};
      struct virtiofs_req req = shared.s->req;
      shared.s->ops->flush(&req, &in);
    } else if (lock(&shared, owner, F_UNLCK, 0, 9) != 0) {
      atomic_fetch_add(&wrong, 1);
    }
  }
  return NULL;
}

static void one_at_a_time(void **state) {
  pthread_t threads[THREADS];
  shared = file_open(*state, "f", O_RDWR);
  counter = 0;
  atomic_store(&wrong, 0);
  atomic_store(&given_up_count, 0);
  for (uintptr_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, count, (void *)i), 0);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&wrong), 0);
  assert_int_equal(counter + atomic_load(&given_up_count), THREADS * ROUNDS);
  file_close(&shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(woken_by_our_own_unlock),
      share_test(woken_by_less_by_flush_and_by_release),
      share_test(first_come_first_served),
      share_test(until_the_host_unlocks),
      share_test(until_another_server_unlocks),
      share_test(another_guest_of_the_same_server),
      share_test(flock_waits_too),
      share_test(given_up),
      share_test(waiters_are_limited),
      share_test(two_that_wait_for_each_other),
      share_test(three_in_a_ring),
      share_test(one_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
