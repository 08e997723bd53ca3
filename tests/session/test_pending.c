/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are answered later: by whom, when, and how they are cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/req.h"
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

static void answered_after_the_operation(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  struct fuse_message *m[3];
  for (unsigned i = 0; i < 3; i++)
    m[i] = getattr_on(b, 1, id);
  struct virtiofs_req *second = m[1]->req;
  assert_false(fuse_message_is_answered(m[1]));
  script_fs_answer_req(&b->fs, second, 0);
  assert_true(fuse_message_is_answered(m[1]));
  assert_false(fuse_message_is_answered(m[0]) || fuse_message_is_answered(m[2]));
  script_fs_answer(&b->fs, -EPERM);
  script_fs_answer(&b->fs, 5);
  finish(m[0], -EPERM);
  finish(m[1], 0);
  finish(m[2], -EIO);
}

static int answer_within(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)opcode;
  (void)out;
  if (rc == VIRTIOFS_PENDING)
    script_fs_answer_req(fs, req, *(int *)fs->hook_ctx);
  return rc;
}

static void answered_before_the_operation_returns(void **state) {
  struct session_bench *b = *state;
  int rc = 0;
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR | UINT64_C(1) << FUSE_LOOKUP;
  b->fs.hook = answer_within;
  b->fs.hook_ctx = &rc;
  uint64_t id = session_bench_lookup(b, "7");
  finish(getattr_on(b, 1, id), 0);
  rc = -ENOMEM;
  finish(getattr_on(b, 1, id), -ENOMEM);
  session_bench_forget(b, 1, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
}

enum { ANSWERS = 3000 };

static void *answer_many(void *arg) {
  struct session_bench *b = arg;
  for (unsigned i = 0; i < ANSWERS; i++) {
    script_fs_wait_pending(&b->fs, 1);
    script_fs_answer(&b->fs, 0);
  }
  return NULL;
}

/* Another thread may be quicker than the operation's return. */
static void answered_by_another_thread(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  pthread_t thread = session_bench_thread(answer_many, b);
  for (unsigned i = 0; i < ANSWERS; i++)
    finish(getattr_on(b, 1, id), 0);
  pthread_join(thread, NULL);
}

/* ---- cancelling ---- */

static atomic_uint cancels;
static virtiofs_req_cancel_fn *told;

static void only_note(struct virtiofs_req *req) {
  if (virtiofs_req_data(req) == NULL)
    abort();
  atomic_fetch_add(&cancels, 1);
}

static void give_up(struct virtiofs_req *req) {
  atomic_fetch_add(&cancels, 1);
  script_fs_answer_req(virtiofs_req_fs(req), req, -EINTR);
}

static int ask_to_be_told(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)opcode;
  (void)out;
  virtiofs_req_set_data(req, fs);
  if (rc == VIRTIOFS_PENDING)
    virtiofs_req_on_cancel(req, told);
  return rc;
}

static void slow_getattr(struct session_bench *b, virtiofs_req_cancel_fn *fn) {
  atomic_store(&cancels, 0);
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  b->fs.hook = ask_to_be_told;
  told = fn;
}

static void cancelled_once(void **state) {
  struct session_bench *b = *state;
  slow_getattr(b, only_note);
  struct fuse_message *first = getattr_on(b, 1, FUSE_ROOT_ID), *other = getattr_on(b, 2, FUSE_ROOT_ID);
  virtiofs_session_cancel(b->session, 1);
  assert_int_equal(atomic_load(&cancels), 1);
  virtiofs_session_cancel(b->session, 1);
  virtiofs_session_cancel(b->session, 3);
  assert_int_equal(atomic_load(&cancels), 1);
  assert_false(fuse_message_is_answered(first));
  /* It may have a result all the same. */
  script_fs_answer(&b->fs, 0);
  finish(first, 0);
  script_fs_answer(&b->fs, 0);
  finish(other, 0);
  virtiofs_session_cancel(b->session, 2);
  assert_int_equal(atomic_load(&cancels), 1);
}

static void gives_up_within(void **state) {
  struct session_bench *b = *state;
  slow_getattr(b, give_up);
  struct fuse_message *m[5];
  for (unsigned i = 0; i < 5; i++)
    m[i] = getattr_on(b, 1, FUSE_ROOT_ID);
  virtiofs_session_cancel(b->session, 1);
  assert_int_equal(atomic_load(&cancels), 5);
  for (unsigned i = 0; i < 5; i++)
    finish(m[i], -EINTR);
}

/* Its slot's index was that of a file that is closed now. */
static void another_file_is_released(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  slow_getattr(b, only_note);
  fuse_request_getattr(&r, id, &fh);
  struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
  virtiofs_req_cancel_handle(b->session, (uint64_t)7 << 32 | (uint32_t)fh);
  assert_int_equal(atomic_load(&cancels), 0);
  script_fs_answer(&b->fs, 0);
  finish(m, 0);
}

/* Nobody is to be told: it is just waited for. */
static void not_to_be_told(void **state) {
  struct session_bench *b = *state;
  slow_getattr(b, NULL);
  struct fuse_message *m = getattr_on(b, 1, FUSE_ROOT_ID);
  virtiofs_session_cancel(b->session, 1);
  assert_false(fuse_message_is_answered(m));
  script_fs_answer(&b->fs, 0);
  finish(m, 0);
}

/* An INIT came before the operation has said that it wants to be told. */
static void cancelled_before_it_asks(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  slow_getattr(b, give_up);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_cancel(b->session, 1);
  assert_int_equal(atomic_load(&cancels), 0);
  virtiofs_session_run(m->req);
  assert_int_equal(atomic_load(&cancels), 1);
  finish(m, -EINTR);
}

enum { CANCELS = 2000 };

static void *answer_or_find_none(void *arg) {
  struct session_bench *b = arg;
  for (unsigned i = 0; i < CANCELS; i++) {
    script_fs_wait_pending(&b->fs, 1);
    script_fs_answer(&b->fs, 0);
  }
  return NULL;
}

static void *cancel_always(void *arg) {
  struct session_bench *b = arg;
  while (script_fs_calls(&b->fs, FUSE_STATFS) == 0)
    virtiofs_session_cancel(b->session, 1);
  return NULL;
}

/* The function runs, or has run, or will not run: never after the answer. TSan sees the request freed under it. */
static void cancel_races_with_the_answer(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  slow_getattr(b, only_note);
  pthread_t first = session_bench_thread(answer_or_find_none, b), second = session_bench_thread(cancel_always, b);
  for (unsigned i = 0; i < CANCELS; i++)
    finish(getattr_on(b, 1, FUSE_ROOT_ID), 0);
  pthread_join(first, NULL);
  assert_true(atomic_load(&cancels) <= CANCELS);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(b, &r), 0);
  pthread_join(second, NULL);
}

/* Two threads cancel, and each request is told once: else script_fs finds none to answer. */
static void cancels_race_with_each_other(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  slow_getattr(b, give_up);
  pthread_t first = session_bench_thread(cancel_always, b), second = session_bench_thread(cancel_always, b);
  for (unsigned i = 0; i < CANCELS; i++)
    finish(getattr_on(b, 1, FUSE_ROOT_ID), -EINTR);
  assert_int_equal(atomic_load(&cancels), CANCELS);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(b, &r), 0);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
}

/* ---- deferring ---- */

static void deferred_and_run(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  fuse_request_read(&r, FUSE_READ, id, fh, 3, 50);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_READ), 0);
  /* What it was looked up for stays until then. */
  session_bench_forget(b, 0, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 0);
  virtiofs_session_run(m->req);
  const unsigned char *bytes = fuse_message_args(m);
  assert_int_equal(bytes[0], script_fs_byte(3));
  finish(m, 0);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  /* What is refused is not put off, and neither is what doesn't block. */
  fuse_request_getattr(&r, id, NULL);
  m = fuse_message_new(&r, NULL);
  assert_int_equal(virtiofs_session_submit(b->session, 1, m->req, &m->msg, true), VIRTIOFS_SUBMIT_TAKEN);
  finish(m, -ESTALE);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "none");
  m = fuse_message_new(&r, NULL);
  assert_int_equal(virtiofs_session_submit(b->session, 1, m->req, &m->msg, true), VIRTIOFS_SUBMIT_TAKEN);
  finish(m, -ENOENT);
  /* RENAME2 blocks if RENAME does. */
  fuse_request_rename2(&r, FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b", 0);
  m = session_bench_defer(b, 1, &r);
  virtiofs_session_run(m->req);
  finish(m, 0);
}

static void deferred_and_then_pending(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_run(m->req);
  assert_false(fuse_message_is_answered(m));
  script_fs_answer(&b->fs, -EAGAIN);
  finish(m, -EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(answered_after_the_operation),
      TEST(answered_before_the_operation_returns),
      TEST(answered_by_another_thread),
      TEST(cancelled_once),
      TEST(gives_up_within),
      TEST(another_file_is_released),
      TEST(not_to_be_told),
      TEST(cancelled_before_it_asks),
      TEST(cancel_races_with_the_answer),
      TEST(cancels_race_with_each_other),
      TEST(deferred_and_run),
      TEST(deferred_and_then_pending),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
