/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest gives back: told to the backend once, when nothing works on it any more. */
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

static void forget_more_than_held(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  assert_int_equal(session_bench_lookup(b, "7"), id);
  session_bench_forget(b, 0, id, UINT64_MAX);
  session_bench_forget(b, 0, id, UINT64_MAX);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 2);
  /* What it has from now on is not touched by old ids. */
  uint64_t again = session_bench_lookup(b, "7");
  session_bench_forget(b, 0, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  session_bench_forget(b, 0, again, 0);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
}

static void forget_of_what_nobody_holds(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  static const uint64_t ids[] = {0, FUSE_ROOT_ID, 2, 63, 64, 1000000, UINT64_C(1) << 32, UINT64_MAX};
  for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++)
    session_bench_forget(b, i % 2, ids[i], 5);
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 0);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_ask(b, &r), 0);
}

static void batch_forget(void **state) {
  struct session_bench *b = *state;
  struct fuse_forget_one all[40];
  struct fuse_request r;
  for (uint32_t i = 0; i < 40; i++) {
    char name[8];
    (void)snprintf(name, sizeof name, "%u", i + 10);
    all[i] = (struct fuse_forget_one){.nodeid = session_bench_lookup(b, name), .nlookup = 1};
  }
  all[3].nodeid = FUSE_ROOT_ID;
  all[4].nodeid = 12345;
  fuse_request_batch_forget(&r, all, 40);
  for (size_t piece = 1; piece < 30; piece += 7) {
    struct fuse_shape shape = {.no_room = true, .in_piece = piece};
    assert_int_equal(session_bench_ask_on(b, 0, &r, &shape), 0);
  }
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 38);
  /* More than there are: none of them. */
  uint64_t id = session_bench_lookup(b, "60");
  all[0] = (struct fuse_forget_one){.nodeid = id, .nlookup = 1};
  static const uint32_t counts[] = {2, UINT32_MAX, 1u << 28};
  for (unsigned i = 0; i < 3; i++) {
    fuse_request_batch_forget(&r, all, 1);
    memcpy(r.bytes + 40, &counts[i], sizeof counts[i]);
    assert_int_equal(session_bench_ask_on(b, 0, &r, &(struct fuse_shape){.no_room = true}), 0);
  }
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 38);
  fuse_request_batch_forget(&r, all, 0);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), 0);
}

/* Room is no reason to reply to what has no reply. */
static void forget_with_room(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  fuse_request_forget(&r, session_bench_lookup(b, "7"), 1);
  struct fuse_message *m = session_bench_send(b, 0, &r, NULL);
  assert_int_equal(m->used, 0);
  fuse_message_free(m);
}

static void a_node_in_use_is_forgotten_later(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), dir = session_bench_lookup(b, "200");
  b->fs.pend = UINT64_C(1) << FUSE_GETATTR | UINT64_C(1) << FUSE_RENAME;
  fuse_request_getattr(&r, id, NULL);
  struct fuse_message *first = session_bench_send(b, 1, &r, NULL), *second = session_bench_send(b, 2, &r, NULL);
  fuse_request_rename(&r, FUSE_ROOT_ID, "a", dir, "b");
  struct fuse_message *third = session_bench_send(b, 3, &r, NULL);
  session_bench_forget(b, 0, id, 1);
  session_bench_forget(b, 0, dir, 1);
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 0);
  /* The guest can't use it any more, but what it began goes on. */
  assert_int_equal(session_bench_ask(b, &r), -ESTALE);
  script_fs_answer(&b->fs, 0);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 0);
  script_fs_answer(&b->fs, 0);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.forgets[200], 0);
  script_fs_answer(&b->fs, -EPERM);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[200], 1);
  assert_int_equal(fuse_message_error(first), 0);
  assert_int_equal(fuse_message_error(third), -EPERM);
  fuse_message_free(first);
  fuse_message_free(second);
  fuse_message_free(third);
}

/* Traps 50: the file is closed under a READ. */
static void a_handle_in_use_is_closed_later(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  b->fs.pend = UINT64_C(1) << FUSE_READ;
  fuse_request_read(&r, FUSE_READ, id, fh, 0, 10);
  struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(session_bench_ask_on(b, 2, &r, NULL), 0);
  assert_int_equal(session_bench_ask_on(b, 2, &r, NULL), -EBADF);
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 0);
  script_fs_answer(&b->fs, 0);
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  fuse_message_free(m);
}

static void release_says_what_the_guest_says(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t id = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, id);
  fuse_request_release(&r, FUSE_RELEASE, id, fh);
  assert_int_equal(session_bench_ask(b, &r), 0);
  assert_int_equal(b->fs.last_release.node, 7);
  assert_int_equal(b->fs.last_release.flags, 5);
  assert_int_equal(b->fs.last_release.lock_owner, 6);
  /* A driver that forgets first can close all the same. */
  fh = session_bench_openfile(b, FUSE_OPENDIR, id);
  session_bench_forget(b, 0, id, 1);
  session_bench_reap(b);
  fuse_request_release(&r, FUSE_RELEASEDIR, id, fh);
  assert_int_equal(session_bench_ask(b, &r), 0);
  assert_int_equal(b->fs.last_release.node, 0);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASEDIR), 1);
}

/* ---- threads: a guest that does all of it at once ---- */

enum { ROUNDS = 3000, RELEASES = 2000 };

struct race {
  struct session_bench *b;
  _Atomic uint64_t id; /* of node 7, last seen; perhaps forgotten */
  atomic_bool over;
  pthread_barrier_t barrier;
  uint64_t fh;
  atomic_uint inside; /* FSYNCs that have begun */
};

struct lane {
  struct race *race;
  uint32_t number;
};

#define REQUIRE(cond) ((cond) ? (void)0 : abort())

static int quick_ask(struct session_bench *b, uint32_t lane, const struct fuse_request *r, void *args, size_t size) {
  struct fuse_message *m = fuse_message_new(r, &(struct fuse_shape){.room = 200});
  REQUIRE(virtiofs_session_submit(b->session, lane, m->req, &m->msg, false) == VIRTIOFS_SUBMIT_TAKEN);
  int error = fuse_message_error(m);
  if (error == 0 && size != 0)
    memcpy(args, fuse_message_args(m), size);
  fuse_message_free(m);
  return error;
}

/* Uses the node only while it holds it, so nothing may fail. */
static void *honest(void *arg) {
  struct lane *lane = arg;
  struct session_bench *b = lane->race->b;
  struct fuse_request r;
  struct fuse_entry_out out;
  for (unsigned i = 0; i < ROUNDS; i++) {
    fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
    REQUIRE(quick_ask(b, lane->number, &r, &out, sizeof out) == 0);
    atomic_store(&lane->race->id, out.nodeid);
    fuse_request_getattr(&r, out.nodeid, NULL);
    REQUIRE(quick_ask(b, lane->number, &r, NULL, 0) == 0);
    fuse_request_forget(&r, out.nodeid, 1);
    (void)quick_ask(b, lane->number, &r, NULL, 0);
  }
  return NULL;
}

/* Uses what others hold, or have held. */
static void *hostile(void *arg) {
  struct lane *lane = arg;
  struct session_bench *b = lane->race->b;
  struct fuse_request r;
  while (!atomic_load(&lane->race->over)) {
    fuse_request_getattr(&r, atomic_load(&lane->race->id), NULL);
    int error = quick_ask(b, lane->number, &r, NULL, 0);
    REQUIRE(error == 0 || error == -ESTALE);
  }
  return NULL;
}

static void *reaper(void *arg) {
  struct race *race = arg;
  while (!atomic_load(&race->over))
    session_bench_reap(race->b);
  return NULL;
}

static void forget_races_with_lookup(void **state) {
  struct race race = {.b = *state};
  struct lane lanes[3] = {{&race, 1}, {&race, 2}, {&race, 3}};
  pthread_t first = session_bench_thread(honest, &lanes[0]), second = session_bench_thread(honest, &lanes[1]);
  pthread_t third = session_bench_thread(hostile, &lanes[2]), fourth = session_bench_thread(reaper, &race);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
  atomic_store(&race.over, true);
  pthread_join(third, NULL);
  pthread_join(fourth, NULL);
  session_bench_reap(race.b);
  /* Whoever let go last has woken the reaper. */
  assert_int_equal(race.b->fs.given[7], 0);
}

/* Ends a little earlier or later than the RELEASE that comes meanwhile. */
static int linger(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  struct race *race = fs->hook_ctx;
  (void)req;
  (void)out;
  if (opcode != FUSE_FSYNC)
    return rc;
  unsigned round = atomic_fetch_add(&race->inside, 1);
  for (volatile unsigned i = 0; i < round % 64 * 300; i++)
    continue;
  return rc;
}

static void *fsyncer(void *arg) {
  struct race *race = arg;
  struct fuse_request r;
  for (unsigned i = 0; i < RELEASES; i++) {
    pthread_barrier_wait(&race->barrier);
    fuse_request_fsync(&r, FUSE_FSYNC, atomic_load(&race->id), race->fh);
    REQUIRE(quick_ask(race->b, 2, &r, NULL, 0) == 0);
    /* The reaper is as quick as can be: perhaps the handle isn't even on its list. */
    session_bench_reap(race->b);
    pthread_barrier_wait(&race->barrier);
  }
  return NULL;
}

static void release_races_with_use(void **state) {
  struct race race = {.b = *state};
  struct fuse_request r;
  uint64_t id = session_bench_lookup(race.b, "7");
  atomic_store(&race.id, id);
  pthread_barrier_init(&race.barrier, NULL, 2);
  race.b->fs.hook = linger;
  race.b->fs.hook_ctx = &race;
  pthread_t thread = session_bench_thread(fsyncer, &race);
  for (unsigned i = 0; i < RELEASES; i++) {
    race.fh = session_bench_openfile(race.b, FUSE_OPEN, id);
    race.b->fs.handles = (race.b->fs.handles + 1) % 2;
    race.b->fs.released[0] = race.b->fs.released[1] = 0;
    fuse_request_release(&r, FUSE_RELEASE, id, race.fh);
    struct fuse_message *m = fuse_message_new(&r, &(struct fuse_shape){.room = 16});
    pthread_barrier_wait(&race.barrier);
    while (atomic_load(&race.inside) != i + 1)
      continue;
    assert_int_equal(virtiofs_session_submit(race.b->session, 1, m->req, &m->msg, false), VIRTIOFS_SUBMIT_TAKEN);
    assert_int_equal(fuse_message_error(m), 0);
    fuse_message_free(m);
    pthread_barrier_wait(&race.barrier);
    session_bench_reap(race.b);
    assert_int_equal(script_fs_calls(&race.b->fs, FUSE_RELEASE), i + 1);
  }
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&race.barrier);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, session_bench_setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(forget_more_than_held),
      TEST(forget_of_what_nobody_holds),
      TEST(batch_forget),
      TEST(forget_with_room),
      TEST(a_node_in_use_is_forgotten_later),
      TEST(a_handle_in_use_is_closed_later),
      TEST(release_says_what_the_guest_says),
      TEST(forget_races_with_lookup),
      TEST(release_races_with_use),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
