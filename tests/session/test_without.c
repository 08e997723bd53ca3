/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations that a backend has, and does without for one mount; and open files that are released in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>
#include <virtiofs/request.h>

#include "support/session_bench.h"

static struct virtiofs_init_out wanted;

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  (void)req, (void)in;
  assert_int_equal(out->without, 0); /* each mount begins with all */
  out->without = wanted.without;
  out->semantics = wanted.semantics;
  return 0;
}

static int setlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in) {
  (void)req, (void)in;
  return 0;
}

static int getlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in, struct virtiofs_getlk_out *out) {
  (void)req, (void)in, (void)out;
  return 0;
}

static int setup(void **state) {
  static struct session_bench bench;
  session_bench_init(&bench);
  bench.ops.init = init;
  bench.ops.blocking = VIRTIOFS_BLOCKING_FLUSH;
  bench.ops.getlk = getlk;
  bench.ops.setlk = bench.ops.setlkw = setlk;
  wanted = (struct virtiofs_init_out){.without = 0};
  session_bench_open(&bench);
  *state = &bench;
  return 0;
}

static int teardown(void **state) {
  session_bench_fini(*state);
  return 0;
}

static uint64_t mount(struct session_bench *b, uint64_t without, uint64_t semantics) {
  struct fuse_request r;
  struct fuse_init_out out;
  wanted = (struct virtiofs_init_out){.without = without, .semantics = semantics};
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  return (uint64_t)out.flags2 << 32 | out.flags;
}

static int ask(struct session_bench *b, uint32_t opcode) {
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  struct fuse_lk_in in = {.fh = fh, .lk = {.end = INT64_MAX}};
  if (opcode == FUSE_RENAME2) {
    fuse_request_rename2(&r, FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b", 0);
  } else if (opcode == FUSE_RENAME) {
    fuse_request_rename(&r, FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b");
  } else {
    fuse_request(&r, opcode, id);
    fuse_request_put(&r, &in, sizeof in);
  }
  return session_bench_ask(b, &r);
}

static void as_if_they_were_not_there(void **state) {
  struct session_bench *b = *state;
  uint64_t flags = mount(b, 0, 0);
  assert_true((flags & VIRTIOFS_FUSE_POSIX_LOCKS) != 0 && (flags & VIRTIOFS_FUSE_DO_READDIRPLUS) != 0);
  assert_int_equal(ask(b, FUSE_SETLK), 0);
  assert_int_equal(ask(b, FUSE_RENAME), 0);

  flags = mount(b, VIRTIOFS_BLOCKING_GETLK | VIRTIOFS_BLOCKING_READDIRPLUS, VIRTIOFS_SEMANTICS_FLOCK_LOCKS);
  assert_true((flags & VIRTIOFS_FUSE_POSIX_LOCKS) == 0 && (flags & VIRTIOFS_FUSE_FLOCK_LOCKS) != 0);
  assert_true((flags & (VIRTIOFS_FUSE_DO_READDIRPLUS | VIRTIOFS_FUSE_READDIRPLUS_AUTO)) == 0);
  (void)mount(b, VIRTIOFS_BLOCKING_GETLK, 0); /* script_fs is strict about promises */
  assert_int_equal(ask(b, FUSE_GETLK), -ENOSYS);
  assert_int_equal(ask(b, FUSE_SETLK), 0);

  unsigned calls = script_fs_calls(&b->fs, FUSE_RENAME);
  (void)mount(b, VIRTIOFS_BLOCKING_RENAME, 0);
  assert_int_equal(ask(b, FUSE_RENAME), -ENOSYS);
  assert_int_equal(ask(b, FUSE_RENAME2), -ENOSYS); /* the same operation */
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RENAME), calls);

  flags = mount(b, 0, 0); /* the next mount has them again */
  assert_true((flags & VIRTIOFS_FUSE_POSIX_LOCKS) != 0);
  assert_int_equal(ask(b, FUSE_RENAME2), 0);
}

/* Linux takes no ENOSYS for it: df(1) would fail. */
static void statfs_is_always_there(void **state) {
  struct fuse_statfs_out out;
  struct fuse_request r;
  struct session_bench *b = *state, none;
  (void)mount(b, 0, 0);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_not_equal(out.st.bsize, 512);
  unsigned calls = script_fs_calls(&b->fs, FUSE_STATFS);
  (void)mount(b, VIRTIOFS_BLOCKING_STATFS, 0);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_STATFS), calls);
  assert_int_equal(out.st.bsize, 512);

  session_bench_init(&none);
  none.ops.statfs = NULL;
  session_bench_start(&none);
  memset(&out, 1, sizeof out);
  assert_int_equal(session_bench_get(&none, &r, &out, sizeof out), 0);
  struct fuse_statfs_out expected = {.st = {.bsize = 512, .frsize = 512, .namelen = 255}};
  assert_memory_equal(&out, &expected, sizeof out);
  r.header.nodeid = 4711;
  assert_int_equal(session_bench_ask(&none, &r), -ESTALE);
  session_bench_fini(&none);
}

/* A promise needs what is not there any more; and some operations can't be missed. */
static void what_can_not_be(void **state) {
  static const struct virtiofs_init_out bad[] = {
      {.without = VIRTIOFS_BLOCKING_SETLKW, .semantics = VIRTIOFS_SEMANTICS_FLOCK_LOCKS},
      {.without = VIRTIOFS_BLOCKING_OPEN},
      {.without = VIRTIOFS_BLOCKING_LOOKUP},
      {.without = VIRTIOFS_BLOCKING_RELEASEDIR},
      {.without = UINT64_MAX},
  };
  struct session_bench *b = *state;
  struct fuse_request r;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    wanted = bad[i];
    fuse_request_init(&r, 7, 38, UINT64_MAX);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
  }
  (void)mount(b, 0, 0);
  assert_int_equal(ask(b, FUSE_RENAME), 0);
}

/* ---- a release while something on the open file is pending ---- */

static struct virtiofs_req *told;
static bool told_interrupted;

static void give_up(struct virtiofs_req *req) {
  told = req;
  told_interrupted = virtiofs_req_interrupted(req);
  script_fs_answer_req(virtiofs_req_fs(req), req, -EINTR);
}

static int ask_to_be_told(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs, (void)opcode, (void)out;
  if (rc == VIRTIOFS_PENDING)
    virtiofs_req_on_cancel(req, give_up);
  return rc;
}

static void release(struct session_bench *b, uint64_t id, uint64_t fh) {
  struct fuse_request r;
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(session_bench_ask(b, &r), 0);
}

static struct fuse_message *flush(struct session_bench *b, uint64_t id, uint64_t fh) {
  struct fuse_request r;
  fuse_request_flush(&r, id, fh);
  return session_bench_send(b, 2, &r, NULL);
}

static void finish(struct fuse_message *m, int rc) {
  assert_true(fuse_message_is_answered(m));
  assert_int_equal(fuse_message_error(m), rc);
  fuse_message_free(m);
}

static void release_gives_up_what_is_pending(void **state) {
  struct session_bench *b = *state;
  (void)mount(b, 0, 0);
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id),
           other = session_bench_openfile(b, FUSE_OPEN, id);
  b->fs.pend = UINT64_C(1) << FUSE_FLUSH;
  b->fs.hook = ask_to_be_told;
  struct fuse_message *one = flush(b, id, fh), *two = flush(b, id, other), *three = flush(b, id, fh);
  release(b, id, fh);
  finish(one, -EINTR);
  finish(three, -EINTR);
  assert_false(told_interrupted);
  assert_false(fuse_message_is_answered(two));
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  script_fs_answer(&b->fs, 0);
  finish(two, 0);
  release(b, id, other);
}

static struct session_bench *bench_of_hook;
static uint64_t hook_id, hook_fh;

/* The release comes after the operation was called and before it is pending. */
static int release_now(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  if (opcode == FUSE_FLUSH) {
    struct fuse_request r;
    fuse_request_release(&r, FUSE_RELEASE, hook_id, hook_fh);
    assert_int_equal(session_bench_ask_on(bench_of_hook, 1, &r, NULL), 0);
  }
  return ask_to_be_told(fs, req, opcode, rc, out);
}

static void released_before_it_is_pending(void **state) {
  struct session_bench *b = bench_of_hook = *state;
  (void)mount(b, 0, 0);
  hook_id = session_bench_lookup(b, "7");
  hook_fh = session_bench_openfile(b, FUSE_OPEN, hook_id);
  b->fs.pend = UINT64_C(1) << FUSE_FLUSH;
  b->fs.hook = release_now;
  told = NULL;
  finish(flush(b, hook_id, hook_fh), -EINTR);
  assert_non_null(told);
}

/* ---- an interrupt that is quicker than what it is about ---- */

static uint64_t interrupted;

static void interrupt(struct session_bench *b, uint64_t unique) {
  struct fuse_request r;
  struct fuse_interrupt_in in = {.unique = unique};
  fuse_request(&r, FUSE_INTERRUPT, 0);
  fuse_request_put(&r, &in, sizeof in);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), 0);
}

static int interrupt_now(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  if (opcode == FUSE_FLUSH)
    interrupt(bench_of_hook, interrupted);
  return ask_to_be_told(fs, req, opcode, rc, out);
}

static void interrupted_before_it_is_pending(void **state) {
  struct session_bench *b = bench_of_hook = *state;
  struct fuse_request r;
  (void)mount(b, 0, 0);
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  b->fs.pend = UINT64_C(1) << FUSE_FLUSH;
  b->fs.hook = interrupt_now;
  /* Within its operation. */
  fuse_request_flush(&r, id, fh);
  interrupted = r.header.unique;
  told_interrupted = false;
  finish(session_bench_send(b, 2, &r, NULL), -EINTR);
  assert_true(told_interrupted);
  /* Before it came, on another queue; others aren't meant. */
  b->fs.hook = ask_to_be_told;
  fuse_request_flush(&r, id, fh);
  interrupt(b, r.header.unique);
  struct fuse_message *other = flush(b, id, fh);
  told_interrupted = false;
  finish(session_bench_send(b, 2, &r, NULL), -EINTR);
  assert_true(told_interrupted);
  assert_false(fuse_message_is_answered(other));
  /* The same, and its operation is called by the pool. */
  fuse_request_flush(&r, id, fh);
  interrupt(b, r.header.unique);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  assert_false(fuse_message_is_answered(m));
  told_interrupted = false;
  virtiofs_session_run(m->req);
  finish(m, -EINTR);
  assert_true(told_interrupted);
  /* A new mount knows of none. */
  fuse_request_flush(&r, id, fh);
  interrupt(b, r.header.unique);
  script_fs_answer(&b->fs, 0);
  finish(other, 0);
  (void)mount(b, 0, 0);
  id = session_bench_lookup(b, "7");
  fh = session_bench_openfile(b, FUSE_OPEN, id);
  uint64_t unique = r.header.unique;
  fuse_request_flush(&r, id, fh);
  r.header.unique = unique;
  m = session_bench_send(b, 2, &r, NULL);
  assert_false(fuse_message_is_answered(m));
  script_fs_answer(&b->fs, 0);
  finish(m, 0);
}

/* Nothing is needed for an answer, so there may be no room for one; and there is no half of one. */
static void interrupted_without_a_word(void **state) {
  static const struct fuse_shape rooms[] = {{.no_room = true}, {.room = 15}};
  struct session_bench *b = *state;
  struct fuse_interrupt_in in;
  struct fuse_request r;
  (void)mount(b, 0, 0);
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  b->fs.pend = UINT64_C(1) << FUSE_FLUSH;
  b->fs.hook = ask_to_be_told;
  unsigned lines = atomic_load(&b->lines);
  for (unsigned i = 0; i < 2; i++) {
    fuse_request_flush(&r, id, fh);
    struct fuse_message *m = session_bench_send(b, 2, &r, NULL);
    in.unique = r.header.unique;
    fuse_request(&r, FUSE_INTERRUPT, 0);
    fuse_request_put(&r, &in, sizeof in);
    struct fuse_message *silent = session_bench_send(b, 0, &r, &rooms[i]);
    assert_int_equal(silent->used, 0);
    fuse_message_free(silent);
    finish(m, -EINTR);
  }
  assert_int_equal(atomic_load(&b->lines), lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(statfs_is_always_there),
      TEST(as_if_they_were_not_there),
      TEST(what_can_not_be),
      TEST(release_gives_up_what_is_pending),
      TEST(released_before_it_is_pending),
      TEST(interrupted_before_it_is_pending),
      TEST(interrupted_without_a_word),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
