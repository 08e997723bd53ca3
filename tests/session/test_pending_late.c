/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are answered in the backend's place, and what comes of them later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/session_bench.h"

#define ALL_BLOCK VIRTIOFS_BLOCKING_ALL

static int setup(void **state) {
  struct session_bench *b = malloc(sizeof *b);
  assert_non_null(b);
  session_bench_init(b);
  b->ops.blocking = ALL_BLOCK & ~VIRTIOFS_BLOCKING_LOOKUP;
  session_bench_start(b);
  *state = b;
  return 0;
}

static struct fuse_message *getattr_on(struct session_bench *b, uint32_t lane, uint64_t id) {
  struct fuse_request r;
  fuse_request_getattr(&r, id, NULL);
  return session_bench_send(b, lane, &r, NULL);
}

static void finish(struct fuse_message *m, int error) {
  fuse_message_wait(m);
  assert_int_equal(fuse_message_error(m), error);
  fuse_message_free(m);
}

static void abandoned(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  struct fuse_message *first = getattr_on(b, 1, id), *other = getattr_on(b, 2, id);
  virtiofs_session_abandon(b->session, 1);
  assert_int_equal(fuse_message_error(first), -EINTR);
  assert_true(first->abandoned);
  assert_false(fuse_message_is_answered(other));
  /* The operation goes on, and so its node is still in use. */
  session_bench_forget(b, 0, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 0);
  assert_int_equal(atomic_load(&b->late), 0);
  struct virtiofs_req *req = first->req;
  script_fs_answer(&b->fs, 0);
  assert_int_equal(atomic_load(&b->late), 1);
  assert_ptr_equal(b->late_req, req);
  script_fs_answer(&b->fs, 0);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_false(other->abandoned);
  fuse_message_free(first);
  finish(other, 0);
  virtiofs_session_abandon(b->session, 1);
  assert_int_equal(atomic_load(&b->late), 1);
}

/* The guest was told EINTR and has no ids: what the operations give goes back at once. */
static void what_comes_late_goes_back(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r[5];
  struct fuse_message *m[5];
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_MAX;
  fuse_request_named(&r[0], FUSE_LOOKUP, FUSE_ROOT_ID, "7");
  fuse_request_mkdir(&r[1], FUSE_ROOT_ID, "201", 0755);
  fuse_request_open(&r[2], FUSE_OPEN, id);
  fuse_request_create(&r[3], FUSE_ROOT_ID, "30");
  fuse_request_open(&r[4], FUSE_OPENDIR, FUSE_ROOT_ID);
  for (unsigned i = 0; i < 5; i++)
    m[i] = session_bench_send(b, 1, &r[i], NULL);
  virtiofs_session_abandon(b->session, 1);
  for (unsigned i = 0; i < 5; i++) {
    assert_int_equal(fuse_message_error(m[i]), -EINTR);
    script_fs_answer(&b->fs, 0);
  }
  session_bench_reap(b);
  assert_int_equal(atomic_load(&b->late), 5);
  assert_int_equal(b->fs.given[201], 0);
  assert_int_equal(b->fs.given[30], 0);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 2);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASEDIR), 1);
  /* The node that it had before is its own still. */
  assert_int_equal(b->fs.forgets[7], 0);
  b->fs.pend = 0;
  finish(getattr_on(b, 1, id), 0);
  session_bench_forget(b, 0, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 2);
  for (unsigned i = 0; i < 5; i++)
    fuse_message_free(m[i]);
}

static void late_errors_and_nonsense(void **state) {
  struct session_bench *b = *state;
  static const int rcs[] = {-EINTR, -ENOENT, 5, -100000};
  b->fs.pend = UINT64_C(1) << FUSE_LOOKUP;
  for (unsigned i = 0; i < 4; i++) {
    struct fuse_request r;
    fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "9");
    struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
    virtiofs_session_abandon(b->session, 1);
    script_fs_answer(&b->fs, rcs[i]);
    assert_int_equal(atomic_load(&b->late), i + 1);
    finish(m, -EINTR);
  }
}

static void deferred_and_abandoned_is_not_run(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  fuse_request_mkdir(&r, FUSE_ROOT_ID, "201", 0755);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_abandon(b->session, 1);
  assert_int_equal(fuse_message_error(m), -EINTR);
  assert_int_equal(atomic_load(&b->late), 0);
  virtiofs_session_run(m->req);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_MKDIR), 0);
  assert_int_equal(atomic_load(&b->late), 1);
  fuse_message_free(m);
}

/* RELEASE answers nothing that a guest would look at, and comes once: not run, the file would stay open. */
static void a_release_is_run_all_the_same(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_abandon(b->session, 1);
  assert_int_equal(fuse_message_error(m), -EINTR);
  virtiofs_session_run(m->req);
  assert_int_equal(atomic_load(&b->late), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  fuse_message_free(m);
}

/* Somebody may still touch the guest's memory. */
static void data_is_waited_for(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r[4];
  struct fuse_message *m[4];
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  uint64_t dh = session_bench_openfile(b, FUSE_OPENDIR, id);
  b->fs.pend = UINT64_MAX;
  fuse_request_read(&r[0], FUSE_READ, id, fh, 0, 10);
  fuse_request_write(&r[1], id, fh, 0, 0);
  fuse_request_read(&r[2], FUSE_READDIR, id, dh, 0, 100);
  fuse_request_read(&r[3], FUSE_READDIRPLUS, id, dh, 0, 100);
  for (unsigned i = 0; i < 4; i++)
    m[i] = session_bench_send(b, 1, &r[i], NULL);
  virtiofs_session_abandon(b->session, 1);
  for (unsigned i = 0; i < 4; i++) {
    assert_false(fuse_message_is_answered(m[i]));
    script_fs_answer(&b->fs, 0);
    finish(m[i], 0);
  }
}

/* A queue that stops has the INIT itself that waits for another queue's silent backend. */
static void a_parked_init_is_given_up(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  struct fuse_message *silent = getattr_on(b, 2, id);
  fuse_request_init(&r, 7, 38, 0);
  struct fuse_message *init = session_bench_send(b, 1, &r, NULL);
  assert_false(fuse_message_is_answered(init));
  virtiofs_session_abandon(b->session, 3);
  assert_false(fuse_message_is_answered(init));
  virtiofs_session_abandon(b->session, 1);
  assert_true(fuse_message_is_answered(init));
  assert_false(init->abandoned);
  finish(init, -EINTR);
  /* The session goes on as if it had not come. */
  assert_int_equal(session_bench_lookup(b, "7"), id);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 1);
  script_fs_answer(&b->fs, 0);
  finish(silent, 0);
  b->fs.pend = 0;
  session_bench_mount(b);
}

/* On its own queue the request that it waits for is given up too, and so it runs. */
static void an_init_behind_an_abandoned_request(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  struct fuse_message *silent = getattr_on(b, 2, id);
  fuse_request_init(&r, 7, 38, 0);
  struct fuse_message *init = session_bench_send(b, 1, &r, NULL);
  virtiofs_session_abandon(b->session, 2);
  finish(init, 0);
  /* The old session's node is in use still, by an operation that nobody waits for. */
  assert_int_equal(b->fs.forgets[7], 0);
  assert_int_not_equal(session_bench_lookup(b, "7"), id);
  script_fs_answer(&b->fs, 0);
  assert_int_equal(atomic_load(&b->late), 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 1);
  fuse_message_free(silent);
}

enum { LATES = 300, LATE_OPS = 4 };

struct late_race {
  struct session_bench *b;
  pthread_barrier_t barrier;
};

static void *answer_late(void *arg) {
  struct late_race *race = arg;
  for (unsigned round = 0; round < LATES; round++) {
    pthread_barrier_wait(&race->barrier);
    for (unsigned i = 0; i < LATE_OPS; i++)
      script_fs_answer(&race->b->fs, 0);
    pthread_barrier_wait(&race->barrier);
  }
  return NULL;
}

/* Late answers come when they come, also in the midst of a change of session: what they give is still counted. */
static void late_answers_race_with_a_reset(void **state) {
  struct session_bench *b = *state;
  struct late_race race = {.b = b};
  pthread_barrier_init(&race.barrier, NULL, 2);
  pthread_t thread = session_bench_thread(answer_late, &race);
  for (unsigned round = 0; round < LATES; round++) {
    struct fuse_request r[LATE_OPS];
    struct fuse_message *m[LATE_OPS];
    for (unsigned i = 2; i < 40; i++) {
      char name[8];
      (void)snprintf(name, sizeof name, "%u", i);
      (void)session_bench_lookup(b, name);
    }
    b->fs.pend = UINT64_MAX;
    b->fs.handles = 0;
    memset(b->fs.released, 0, sizeof b->fs.released);
    fuse_request_named(&r[0], FUSE_LOOKUP, FUSE_ROOT_ID, "39");
    fuse_request_create(&r[1], FUSE_ROOT_ID, "100");
    fuse_request_open(&r[2], FUSE_OPEN, FUSE_ROOT_ID);
    fuse_request_named(&r[3], FUSE_LOOKUP, FUSE_ROOT_ID, "101");
    for (unsigned i = 0; i < LATE_OPS; i++)
      m[i] = session_bench_send(b, 1, &r[i], NULL);
    virtiofs_session_abandon(b->session, 1);
    b->fs.pend = 0;
    pthread_barrier_wait(&race.barrier);
    virtiofs_session_reset(b->session);
    session_bench_mount(b);
    pthread_barrier_wait(&race.barrier);
    session_bench_reap(b);
    assert_int_equal(atomic_load(&b->late), (round + 1) * LATE_OPS);
    for (unsigned i = 0; i < SCRIPT_NODES; i++)
      assert_int_equal(b->fs.given[i], 0);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), (round + 1) * 2);
    for (unsigned i = 0; i < LATE_OPS; i++)
      finish(m[i], -EINTR);
  }
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&race.barrier);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(abandoned),
      TEST(what_comes_late_goes_back),
      TEST(late_errors_and_nonsense),
      TEST(deferred_and_abandoned_is_not_run),
      TEST(a_release_is_run_all_the_same),
      TEST(data_is_waited_for),
      TEST(a_parked_init_is_given_up),
      TEST(an_init_behind_an_abandoned_request),
      TEST(late_answers_race_with_a_reset),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
