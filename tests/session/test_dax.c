/* SPDX-License-Identifier: BSD-3-Clause */
/* A window whose steps are done later: who waits for whom, and who doesn't any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>
#include <virtiofs/request.h>

#include "support/session_bench.h"

#define PAGE 4096U
#define PAGES 16U
#define FIRST_FD 1000

/* Whoever has the window: a step lies there until it is answered. */
struct mapper {
  bool at_once;
  bool waits;
  struct virtiofs_dax_step step;
  unsigned steps, maps;
  int next_fd, open; /* descriptors are numbers here */
  bool refuses;      /* the backend */
};

static struct mapper mapper;

static int step(void *ctx, const struct virtiofs_dax_step *s) {
  (void)ctx;
  assert_false(mapper.waits); /* one at a time */
  mapper.steps++;
  mapper.maps += s->map;
  mapper.step = *s;
  if (s->map)
    assert_in_range(s->fd, FIRST_FD, mapper.next_fd - 1);
  mapper.waits = !mapper.at_once;
  return mapper.at_once ? 0 : VIRTIOFS_PENDING;
}

static void answer(struct session_bench *b, int rc) {
  assert_true(mapper.waits);
  mapper.waits = false;
  virtiofs_session_step_done(b->session, rc);
}

static void close_fd(void *ctx, int fd) {
  (void)ctx;
  assert_in_range(fd, FIRST_FD, mapper.next_fd - 1);
  mapper.open--;
}

static int setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                        struct virtiofs_setupmapping_out *out) {
  (void)req, (void)in;
  if (mapper.refuses)
    return -EACCES;
  out->fd = mapper.next_fd++;
  mapper.open++;
  return 0;
}

static const struct virtiofs_session_window_config window = {
    .len = PAGES * PAGE, .max_mappings = 8, .step = step, .close = close_fd};

static int setup(void **state) {
  static struct session_bench bench;
  session_bench_init(&bench);
  bench.ops.setupmapping = setupmapping;
  bench.ops.blocking = VIRTIOFS_BLOCKING_SETUPMAPPING | UINT64_C(1) << FUSE_REMOVEMAPPING;
  session_bench_open(&bench);
  mapper = (struct mapper){.next_fd = FIRST_FD};
  assert_int_equal(virtiofs_session_set_window(bench.session, &window), 0);
  virtiofs_session_use_window(bench.session, true);
  session_bench_mount(&bench);
  *state = &bench;
  return 0;
}

static int teardown(void **state) {
  struct session_bench *b = *state;
  virtiofs_session_reset(b->session);
  virtiofs_session_remove_window(b->session);
  assert_int_equal(mapper.open, 0);
  session_bench_fini(b);
  return 0;
}

static struct fuse_message *map(struct session_bench *b, uint64_t id, uint64_t page, uint64_t flags) {
  struct fuse_request r;
  struct fuse_setupmapping_in in = {.fh = UINT64_MAX, .len = PAGE, .flags = flags, .moffset = page * PAGE};
  fuse_request(&r, FUSE_SETUPMAPPING, id);
  fuse_request_put(&r, &in, sizeof in);
  return session_bench_send(b, 1, &r, NULL);
}

static struct fuse_message *unmap(struct session_bench *b, uint64_t id, uint64_t page, uint64_t pages) {
  struct fuse_request r;
  struct fuse_removemapping_in in = {.count = 1};
  struct fuse_removemapping_one one = {.moffset = page * PAGE, .len = pages * PAGE};
  fuse_request(&r, FUSE_REMOVEMAPPING, id);
  fuse_request_put(&r, &in, sizeof in);
  fuse_request_put(&r, &one, sizeof one);
  return session_bench_send(b, 2, &r, NULL);
}

static void over(struct fuse_message *m, int error) {
  assert_true(fuse_message_is_answered(m));
  assert_int_equal(fuse_message_error(m), error);
  fuse_message_free(m);
}

static struct fuse_message *init(struct session_bench *b) {
  struct fuse_request r;
  fuse_request_init(&r, 7, 38, UINT64_MAX);
  return session_bench_send(b, 3, &r, NULL);
}

static void one_after_the_other(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  struct fuse_message *first = map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ);
  struct fuse_message *second = map(b, id, 1, FUSE_SETUPMAPPING_FLAG_READ);
  struct fuse_message *third = unmap(b, id, 0, 2);
  assert_int_equal(mapper.steps, 1);
  assert_false(fuse_message_is_answered(first));
  answer(b, 0);
  over(first, 0);
  assert_int_equal(mapper.step.window_offset, PAGE);
  assert_int_equal(mapper.step.fd, FIRST_FD); /* one file, one descriptor */
  answer(b, 0);
  over(second, 0);
  assert_false(mapper.step.map);
  answer(b, 0);
  assert_int_equal(mapper.open, 1);
  answer(b, 0);
  over(third, 0);
  assert_int_equal(mapper.open, 0);
}

static void refused(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  mapper.refuses = true;
  over(map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ), -EACCES);
  mapper.refuses = false;
  struct fuse_message *m = map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ);
  answer(b, -EIO);
  over(m, -EIO);
  assert_int_equal(mapper.open, 0);
  over(map(b, id, PAGES, FUSE_SETUPMAPPING_FLAG_READ), -EINVAL);
  over(unmap(b, id, PAGES, 1), -EINVAL);
  assert_int_equal(mapper.open, 0);
  virtiofs_session_use_window(b->session, false);
  over(map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ), -ENOSYS);
  over(unmap(b, id, 0, 1), -ENOSYS);
}

/* Whoever gives up is answered at once, and what was begun goes on. */
static void given_up(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  struct fuse_message *first = map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ);
  struct fuse_message *second = map(b, id, 1, FUSE_SETUPMAPPING_FLAG_READ);
  struct fuse_message *other = unmap(b, id, 5, 1);
  virtiofs_session_cancel(b->session, 1);
  over(first, -EINTR);
  over(second, -EINTR);
  assert_false(fuse_message_is_answered(other));
  assert_int_equal(mapper.steps, 1);
  answer(b, 0);
  over(other, 0);
  assert_int_equal(mapper.steps, 1); /* nothing was at 5 */
  assert_int_equal(mapper.open, 1);  /* the first is mapped all the same */
}

/* A new mount waits until nothing is mapped, what is under way too. */
static void a_new_mount(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  struct fuse_message *m = map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ);
  answer(b, 0);
  over(m, 0);
  m = map(b, id, 4, FUSE_SETUPMAPPING_FLAG_READ);
  struct fuse_message *again = init(b);
  over(m, -EINTR);
  assert_false(fuse_message_is_answered(again));
  answer(b, 0);
  for (unsigned i = 0; i < 2; i++) {
    assert_false(fuse_message_is_answered(again));
    assert_false(mapper.step.map);
    answer(b, i == 0 ? -EIO : 0); /* whatever it says */
  }
  over(again, 0);
  assert_int_equal(mapper.open, 0);
  assert_int_equal(mapper.steps, 4);
  mapper.at_once = true;
  id = session_bench_lookup(b, "7");
  over(map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE), 0);
  over(init(b), 0);
  assert_int_equal(mapper.steps, 6);
}

/* The rings stop and INIT comes: the device was reset. Another request: it was a pause. */
static void after_a_reset(void **state) {
  struct session_bench *b = *state;
  mapper.at_once = true;
  uint64_t id = session_bench_lookup(b, "7");
  over(map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  virtiofs_session_rings_stopped(b->session);
  over(init(b), 0);
  assert_int_equal(mapper.steps, 1);
  assert_int_equal(mapper.open, 0);
  id = session_bench_lookup(b, "7");
  over(map(b, id, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  virtiofs_session_rings_stopped(b->session);
  (void)session_bench_lookup(b, "7");
  over(init(b), 0);
  assert_int_equal(mapper.steps, 3);
  assert_int_equal(mapper.open, 0);
}

/* The front-end drops everything while a step is under way. */
static void forgotten(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  struct fuse_message *m = map(b, id, 3, FUSE_SETUPMAPPING_FLAG_READ);
  virtiofs_session_cancel(b->session, 1);
  over(m, -EINTR);
  virtiofs_session_forget_window(b->session);
  assert_int_equal(mapper.open, 1); /* the step has it */
  answer(b, 0);
  assert_int_equal(mapper.open, 0);
  /* It may have been mapped after the rest was dropped. */
  assert_false(mapper.step.map);
  assert_int_equal(mapper.step.window_offset, 3 * PAGE);
  assert_int_equal(mapper.step.len, PAGE);
  m = map(b, id, 3, FUSE_SETUPMAPPING_FLAG_READ);
  assert_int_equal(mapper.steps, 2);
  answer(b, -EIO); /* it wasn't */
  assert_true(mapper.step.map);
  answer(b, 0);
  over(m, 0);
  virtiofs_session_forget_window(b->session);
  assert_int_equal(mapper.open, 0);
  /* What was refused isn't there. */
  m = map(b, id, 3, FUSE_SETUPMAPPING_FLAG_READ);
  virtiofs_session_forget_window(b->session);
  answer(b, -EIO);
  over(m, -EIO);
  assert_false(mapper.waits);
}

/* The same at a reboot, of which the rings' stop and INIT tell; INIT waits for it. */
static void forgotten_at_a_reset(void **state) {
  struct session_bench *b = *state;
  uint64_t id = session_bench_lookup(b, "7");
  struct fuse_message *m = map(b, id, 3, FUSE_SETUPMAPPING_FLAG_READ);
  virtiofs_session_cancel(b->session, 1);
  over(m, -EINTR);
  virtiofs_session_rings_stopped(b->session);
  struct fuse_message *again = init(b);
  answer(b, 0);
  assert_false(fuse_message_is_answered(again));
  assert_false(mapper.step.map);
  answer(b, 0);
  over(again, 0);
  assert_int_equal(mapper.steps, 2);
  assert_int_equal(mapper.open, 0);
}

/* Its ranges lie in guest memory, which is kept for as long as it may be read: nobody else answers meanwhile. */
static void ranges_in_guest_memory(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_removemapping_in in = {.count = 1};
  struct fuse_removemapping_one one = {.len = PAGE};
  fuse_request(&r, FUSE_REMOVEMAPPING, session_bench_lookup(b, "7"));
  fuse_request_put(&r, &in, sizeof in);
  fuse_request_put(&r, &one, sizeof one);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_cancel(b->session, 1);
  virtiofs_session_abandon(b->session, 1);
  assert_false(fuse_message_is_answered(m));
  virtiofs_session_run(m->req);
  over(m, -EINTR);
}

/* Told to give up before it stood anywhere, where it could be taken from. */
static void given_up_before_it_began(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_setupmapping_in in = {.fh = UINT64_MAX, .len = PAGE, .flags = FUSE_SETUPMAPPING_FLAG_READ};
  fuse_request(&r, FUSE_SETUPMAPPING, session_bench_lookup(b, "7"));
  fuse_request_put(&r, &in, sizeof in);
  struct fuse_message *m = session_bench_defer(b, 1, &r);
  virtiofs_session_cancel(b->session, 1);
  virtiofs_session_run(m->req);
  over(m, -EINTR);
  assert_int_equal(mapper.steps, 0);
}

/* As a thread of the pool does, which nobody waits for. */
static void *run(void *arg) {
  virtiofs_session_run(((struct fuse_message *)arg)->req);
  return NULL;
}

/* Who waits for the last answer may end everything, while the thread that gave it is on its way out. */
static void the_end_right_after_an_answer(void **state) {
  struct session_bench *b = *state;
  mapper.at_once = true;
  for (unsigned i = 0; i < 300; i++) {
    struct fuse_request r;
    struct fuse_setupmapping_in in = {.fh = UINT64_MAX, .len = PAGE, .flags = FUSE_SETUPMAPPING_FLAG_READ};
    fuse_request(&r, FUSE_SETUPMAPPING, session_bench_lookup(b, "7"));
    fuse_request_put(&r, &in, sizeof in);
    struct fuse_message *sent = session_bench_defer(b, 1, &r);
    pthread_t thread = session_bench_thread(run, sent);
    fuse_message_wait(sent);
    virtiofs_session_reset(b->session);
    virtiofs_session_remove_window(b->session);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fuse_message_error(sent), 0);
    fuse_message_free(sent);
    assert_int_equal(mapper.open, 0);
    assert_int_equal(virtiofs_session_set_window(b->session, &window), 0);
    virtiofs_session_use_window(b->session, true);
    session_bench_mount(b);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(one_after_the_other),
                                     TEST(refused),
                                     TEST(given_up),
                                     TEST(given_up_before_it_began),
                                     TEST(a_new_mount),
                                     TEST(after_a_reset),
                                     TEST(the_end_right_after_an_answer),
                                     TEST(ranges_in_guest_memory),
                                     TEST(forgotten),
                                     TEST(forgotten_at_a_reset)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
