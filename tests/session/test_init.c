/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT and DESTROY: what is agreed on, and that they wait for all others. */
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

static int open_bench(void **state) {
  struct session_bench *b = malloc(sizeof *b);
  assert_non_null(b);
  session_bench_init(b);
  session_bench_open(b);
  *state = b;
  return 0;
}

static int init_error(struct session_bench *b, uint32_t major, uint32_t minor) {
  struct fuse_request r;
  fuse_request_init(&r, major, minor, UINT64_MAX);
  return session_bench_ask(b, &r);
}

static bool is_mounted(struct session_bench *b) {
  struct fuse_request r;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  int error = session_bench_ask(b, &r);
  assert_true(error == 0 || error == -EIO);
  return error == 0;
}

static void what_is_agreed(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_init_out out;
  fuse_request_init(&r, 7, 45, UINT64_MAX);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.major, 7);
  assert_int_equal(out.minor, 45);
  assert_int_equal(out.max_readahead, 131072);
  assert_int_equal(out.max_write, 65536);
  assert_int_equal(out.max_pages, 16);
  assert_int_equal(out.time_gran, 1);
  uint32_t want = FUSE_ASYNC_READ | FUSE_FILE_OPS | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA | FUSE_ASYNC_DIO |
                  FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO;
  assert_int_equal(out.flags, want);
  assert_int_equal(out.flags2, 0);
  /* Nothing that the driver doesn't offer. */
  fuse_request_init(&r, 7, 31, FUSE_ASYNC_READ);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.flags, FUSE_ASYNC_READ);
  assert_int_equal(out.minor, 45);
}

static void what_operations_offer(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  struct fuse_init_out out;
  session_bench_init(&b);
  b.ops.open = NULL;
  b.ops.opendir = NULL;
  b.ops.readdirplus = NULL;
  b.ops.init = NULL;
  b.ops.destroy = NULL;
  session_bench_open(&b);
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(session_bench_get(&b, &r, &out, sizeof out), 0);
  assert_int_equal(out.flags & (FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO), 0);
  assert_int_equal(~out.flags & (FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT), 0);
  assert_true(is_mounted(&b));
  session_bench_fini(&b);
}

static void versions(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_init_out out;
  /* A newer major: it is told ours, and sends another INIT. */
  fuse_request_init(&r, 8, 0, UINT64_MAX);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.major, 7);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 0);
  assert_false(is_mounted(b));
  assert_int_equal(init_error(b, 7, 38), 0);
  assert_true(is_mounted(b));
  /* An older one: no mount, and the old one is over. */
  assert_int_not_equal(init_error(b, 6, 38), 0);
  assert_false(is_mounted(b));
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  assert_int_not_equal(init_error(b, 0, 0), 0);
  assert_false(is_mounted(b));
  for (uint32_t minor = 0; minor < 50; minor++) {
    assert_int_equal(init_error(b, 7, minor), 0);
    assert_true(is_mounted(b));
  }
  assert_int_equal(init_error(b, 7, UINT32_MAX), 0);
}

/* Traps 79. What isn't there is zero. */
static void inits_of_any_length(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  for (uint32_t len = 40; len <= 40 + 64; len++) {
    fuse_request_init(&r, 7, 38, UINT64_MAX);
    r.len = len;
    r.header.len = len;
    struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
    if (len < 48) {
      assert_int_equal(fuse_message_error(m), -EINVAL);
      assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 0);
    } else {
      const struct fuse_init_out *out = fuse_message_args(m);
      assert_int_equal(fuse_message_size(m), sizeof *out);
      if (len < 52)
        assert_int_equal(out->flags, 0);
    }
    fuse_message_free(m);
  }
  fuse_request_init(&r, 7, 38, 0);
  assert_int_equal(session_bench_ask_on(b, 1, &r, &(struct fuse_shape){.room = 79}), -EIO);
}

static int init_hook(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  struct virtiofs_init_out *want = fs->hook_ctx, *init = out;
  (void)req;
  if (opcode != FUSE_INIT)
    return rc;
  if (init->root != VIRTIOFS_ROOT_NODE || init->time_gran != 1 || init->max_write != 65536)
    abort();
  *init = *want;
  return (int)want->time_gran == 7 ? -EACCES : (int)want->time_gran == 8 ? VIRTIOFS_PENDING : 0;
}

static void backends_that_are_wrong(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_init_out reply;
  struct virtiofs_init_out good = {.root = 1, .time_gran = 1, .max_write = 65536};
  struct {
    struct virtiofs_init_out out;
    int error;
  } cases[] = {{{.root = 0, .time_gran = 1, .max_write = 65536}, -EIO},
               {{.root = 1, .time_gran = 0, .max_write = 65536}, -EIO},
               {{.root = 1, .time_gran = 1000000001, .max_write = 65536}, -EIO},
               {{.root = 1, .time_gran = 1, .max_write = 65537}, -EIO},
               {{.root = 1, .time_gran = 1, .max_write = 4095}, -EIO},
               {{.root = 1, .time_gran = 7, .max_write = 65536}, -EACCES},
               {{.root = 1, .time_gran = 8, .max_write = 65536}, -EIO}};
  b->fs.hook = init_hook;
  unsigned destroyed = 0;
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    b->fs.hook_ctx = &cases[i].out;
    assert_int_equal(init_error(b, 7, 38), cases[i].error);
    b->fs.hook_ctx = &good;
    assert_false(is_mounted(b));
    /* destroy comes for each init that was well, as what it made has to go. */
    destroyed += i < 5;
    assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), destroyed);
  }
  good = (struct virtiofs_init_out){.root = 1, .time_gran = 1000000000, .max_write = 4096};
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  assert_int_equal(session_bench_get(b, &r, &reply, sizeof reply), 0);
  assert_int_equal(reply.max_write, 4096);
  assert_int_equal(reply.max_pages, 1);
  assert_int_equal(reply.time_gran, 1000000000);
}

/* A guest that reboots sends no FORGET and no RELEASE. */
static void a_second_init_takes_everything_back(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  session_bench_mount(b);
  uint64_t file = session_bench_lookup(b, "7"), dir = session_bench_lookup(b, "200");
  (void)session_bench_lookup(b, "7");
  uint64_t fh = session_bench_openfile(b, FUSE_OPEN, file);
  (void)session_bench_openfile(b, FUSE_OPEN, file);
  (void)session_bench_openfile(b, FUSE_OPENDIR, dir);
  session_bench_mount(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 2);
  assert_int_equal(b->fs.forgets[200], 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 2);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 2);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASEDIR), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 2);
  fuse_request_getattr(&r, file, NULL);
  assert_int_equal(session_bench_ask(b, &r), -ESTALE);
  uint64_t again = session_bench_lookup(b, "7");
  assert_int_not_equal(again, file);
  fuse_request_read(&r, FUSE_READ, again, fh, 0, 10);
  assert_int_equal(session_bench_ask(b, &r), -EBADF);
}

static void destroy_ends_it(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  session_bench_mount(b);
  uint64_t file = session_bench_lookup(b, "7");
  fuse_request(&r, FUSE_DESTROY, 0);
  assert_int_equal(session_bench_ask(b, &r), 0);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  assert_false(is_mounted(b));
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  session_bench_mount(b);
  assert_true(is_mounted(b));
  assert_int_not_equal(session_bench_lookup(b, "7"), file);
}

/* ---- what is parked ---- */

static atomic_uint cancels;

static void note_cancel(struct virtiofs_req *req) {
  (void)req;
  atomic_fetch_add(&cancels, 1);
}

static int cancellable(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)out;
  if (opcode != FUSE_INIT)
    virtiofs_req_on_cancel(req, note_cancel);
  return rc;
}

static int open_slow(void **state) {
  open_bench(state);
  struct session_bench *b = *state;
  session_bench_mount(b);
  atomic_store(&cancels, 0);
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR;
  b->fs.hook = cancellable;
  return 0;
}

static void an_init_waits_for_what_is_pending(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  struct fuse_message *first = session_bench_send(b, 1, &r, NULL), *second = session_bench_send(b, 2, &r, NULL);
  assert_int_equal(atomic_load(&cancels), 0);
  fuse_request_init(&r, 7, 38, 0);
  struct fuse_message *init = session_bench_send(b, 3, &r, NULL);
  assert_int_equal(atomic_load(&cancels), 2);
  assert_false(fuse_message_is_answered(init));
  assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 1);
  /* Nothing is served meanwhile, and no second one waits. */
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request(&r, FUSE_DESTROY, 0);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  assert_int_equal(init_error(b, 7, 38), -EIO);
  script_fs_answer(&b->fs, -EINTR);
  assert_false(fuse_message_is_answered(init));
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 0);
  script_fs_answer(&b->fs, 0);
  assert_int_equal(fuse_message_error(init), 0);
  assert_int_equal(fuse_message_error(first), -EINTR);
  assert_int_equal(fuse_message_error(second), 0);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), 2);
  b->fs.pend = 0;
  assert_true(is_mounted(b));
  fuse_message_free(first);
  fuse_message_free(second);
  fuse_message_free(init);
}

static void *answer_all(void *arg) {
  struct session_bench *b = arg;
  for (unsigned i = 0; i < 3; i++)
    script_fs_answer(&b->fs, 0);
  return NULL;
}

static void an_init_runs_where_the_last_answer_comes(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_message *m[3];
  for (unsigned round = 0; round < 200; round++) {
    uint64_t id = session_bench_lookup(b, "7");
    fuse_request_getattr(&r, id, NULL);
    for (unsigned i = 0; i < 3; i++)
      m[i] = session_bench_send(b, 1 + i, &r, NULL);
    pthread_t thread = session_bench_thread(answer_all, b);
    fuse_request_init(&r, 7, 38, 0);
    struct fuse_message *init = session_bench_send(b, 1, &r, NULL);
    fuse_message_wait(init);
    assert_int_equal(fuse_message_error(init), 0);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < 3; i++) {
      assert_int_equal(fuse_message_error(m[i]), 0);
      fuse_message_free(m[i]);
    }
    fuse_message_free(init);
    assert_int_equal(b->fs.forgets[7], round + 1);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_INIT), round + 2);
  }
}

struct rival {
  struct session_bench *b;
  uint32_t lane;
  pthread_barrier_t *barrier;
  unsigned won;
};

enum { DUELS = 500 };

static void *duel(void *arg) {
  struct rival *rival = arg;
  for (unsigned i = 0; i < DUELS; i++) {
    struct fuse_request r;
    if ((i + rival->lane) % 3 == 0)
      fuse_request(&r, FUSE_DESTROY, 0);
    else
      fuse_request_init(&r, 7, 38, 0);
    struct fuse_message *m = fuse_message_new(&r, &(struct fuse_shape){.room = 100});
    pthread_barrier_wait(rival->barrier);
    (void)virtiofs_session_submit(rival->b->session, rival->lane, m->req, &m->msg, false);
    pthread_barrier_wait(rival->barrier);
    /* One of them may have been answered by another thread, but all by now. */
    if (!fuse_message_is_answered(m))
      abort();
    rival->won += fuse_message_error(m) == 0;
    fuse_message_free(m);
  }
  return NULL;
}

/* Each mount is a line in the log, but not all of those of a guest that does nothing else. */
static void a_guest_that_mounts_without_end(void **state) {
  struct session_bench *b = *state;
  unsigned lines = atomic_load(&b->lines);
  for (unsigned i = 0; i < 130; i++)
    assert_int_equal(init_error(b, 6, 38), -EPROTO);
  assert_in_range(atomic_load(&b->lines) - lines, 60, 66);
}

/* An INIT that comes while another runs is refused, or waits and is run; it is never left behind. */
static void inits_at_once(void **state) {
  struct session_bench *b = *state;
  pthread_barrier_t barrier;
  struct rival rivals[3] = {{b, 1, &barrier, 0}, {b, 2, &barrier, 0}, {b, 3, &barrier, 0}};
  pthread_t threads[3];
  pthread_barrier_init(&barrier, NULL, 3);
  for (unsigned i = 0; i < 3; i++)
    threads[i] = session_bench_thread(duel, &rivals[i]);
  for (unsigned i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
  b->fs.pend = 0;
  session_bench_mount(b);
  assert_true(is_mounted(b));
  assert_true(rivals[0].won + rivals[1].won + rivals[2].won >= DUELS / 3);
}

/* Runs in the midst of a change of session, where the backend hears of what is over. */
static struct fuse_message *intruder;
static struct session_bench *intruded;

static int intrude(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  struct fuse_request r;
  (void)fs;
  (void)req;
  (void)out;
  if (opcode != FUSE_INIT || intruder != NULL)
    return rc;
  fuse_request_init(&r, 7, 38, 0);
  intruder = session_bench_send(intruded, 2, &r, NULL);
  return rc;
}

static void an_init_within_an_init(void **state) {
  struct session_bench *b = *state;
  intruder = NULL;
  intruded = b;
  b->fs.hook = intrude;
  b->fs.pend = 0;
  session_bench_mount(b);
  assert_int_equal(fuse_message_error(intruder), -EIO);
  fuse_message_free(intruder);
  assert_true(is_mounted(b));
}

/* The reaper is at work when the guest mounts again: the node is told of once, in the old session. */
static void *reap_always(void *arg) {
  struct session_bench *b = arg;
  while (script_fs_calls(&b->fs, FUSE_INIT) < 300)
    virtiofs_session_reclaim(b->session);
  return NULL;
}

static void an_init_while_the_reaper_works(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  pthread_t thread = session_bench_thread(reap_always, b);
  for (unsigned i = 1; i < 300; i++) {
    uint64_t id = session_bench_lookup(b, "7");
    (void)session_bench_lookup(b, "8");
    session_bench_forget(b, 0, id, 1);
    fuse_request_init(&r, 7, 38, 0);
    struct fuse_message *init = session_bench_send(b, 1, &r, NULL);
    fuse_message_wait(init);
    assert_int_equal(fuse_message_error(init), 0);
    fuse_message_free(init);
    assert_int_equal(b->fs.forgets[7], i);
    assert_int_equal(b->fs.forgets[8], i);
  }
  pthread_join(thread, NULL);
}

#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_bench, session_bench_teardown)
#define SLOW(name) cmocka_unit_test_setup_teardown(name, open_slow, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      OPEN(what_is_agreed),
      cmocka_unit_test(what_operations_offer),
      OPEN(versions),
      OPEN(inits_of_any_length),
      OPEN(backends_that_are_wrong),
      OPEN(a_second_init_takes_everything_back),
      OPEN(destroy_ends_it),
      OPEN(a_guest_that_mounts_without_end),
      SLOW(an_init_waits_for_what_is_pending),
      SLOW(an_init_runs_where_the_last_answer_comes),
      SLOW(inits_at_once),
      SLOW(an_init_within_an_init),
      SLOW(an_init_while_the_reaper_works),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
