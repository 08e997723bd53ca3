/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and ending a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/session_bench.h"

static void ops_of_another_size(void **state) {
  (void)state;
  struct {
    struct virtiofs_ops ops;
    void *unknown[2];
  } newer = {.ops = script_fs_ops};
  struct virtiofs_session *session = (void *)state;
  struct session_bench b;
  session_bench_init(&b);
  b.config.ops = NULL;
  assert_int_equal(virtiofs_session_new(&session, &b.config), -EINVAL);
  assert_null(session);
  b.config.ops = &newer.ops;
  newer.ops.size = 0;
  assert_int_equal(virtiofs_session_new(&session, &b.config), -EINVAL);
  newer.ops.size = sizeof newer;
  newer.unknown[1] = &b;
  assert_int_equal(virtiofs_session_new(&session, &b.config), -E2BIG);
  assert_null(session);
  newer.unknown[1] = NULL;
  assert_int_equal(virtiofs_session_new(&session, &b.config), 0);
  virtiofs_session_free(session);
  script_fs_fini(&b.fs);
}

/* An older program has fewer operations, and what is behind its struct is not ours to read. */
static void older_ops_lack_the_last(void **state) {
  (void)state;
  size_t size = offsetof(struct virtiofs_ops, lookup);
  struct virtiofs_ops *ops = malloc(size);
  struct session_bench b;
  struct fuse_request r;
  assert_non_null(ops);
  session_bench_init(&b);
  memcpy((void *)ops, &script_fs_ops, size);
  memcpy((void *)ops, &size, sizeof size); /* all of a struct isn't there */
  b.config.ops = ops;
  session_bench_start(&b);
  free(ops);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  assert_int_equal(script_fs_calls(&b.fs, FUSE_INIT), 1);
  session_bench_fini(&b);
}

static void free_without_a_mount(void **state) {
  (void)state;
  struct session_bench b;
  virtiofs_session_free(NULL);
  session_bench_init(&b);
  session_bench_open(&b);
  session_bench_fini(&b);
  assert_int_equal(b.fs.calls[FUSE_INIT] + b.fs.calls[FUSE_DESTROY], 0);
}

static void free_takes_everything_back(void **state) {
  struct session_bench *b = malloc(sizeof *b);
  (void)state;
  assert_non_null(b);
  session_bench_init(b);
  session_bench_start(b);
  uint64_t file = session_bench_lookup(b, "7"), dir = session_bench_lookup(b, "200");
  assert_int_equal(session_bench_lookup(b, "7"), file);
  (void)session_bench_openfile(b, FUSE_OPEN, file);
  (void)session_bench_openfile(b, FUSE_OPENDIR, dir);
  session_bench_fini(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 2);
  assert_int_equal(b->fs.forgets[200], 1);
  assert_int_equal(b->fs.calls[FUSE_FORGET], 2);
  assert_int_equal(b->fs.calls[FUSE_RELEASE], 1);
  assert_int_equal(b->fs.calls[FUSE_RELEASEDIR], 1);
  assert_int_equal(b->fs.calls[FUSE_DESTROY], 1);
  /* The library closed it: nothing else is known of it. */
  assert_int_equal(b->fs.last_release.node, 0);
  assert_int_equal(b->fs.last_release.flags, 0);
  free(b);
}

/* As RESET_DEVICE and the end of a front-end do. */
static void reset_ends_the_mount(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7");
  uint64_t fh = session_bench_openfile(b, FUSE_OPEN, file);
  virtiofs_session_reset(b->session);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  virtiofs_session_reset(b->session);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 1);
  session_bench_mount(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_ask(b, &r), 0);
  fuse_request_getattr(&r, file, NULL);
  assert_int_equal(session_bench_ask(b, &r), -ESTALE);
  fuse_request_read(&r, FUSE_READ, session_bench_lookup(b, "7"), fh, 0, 10);
  assert_int_equal(session_bench_ask(b, &r), -EBADF);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ops_of_another_size),
      cmocka_unit_test(older_ops_lack_the_last),
      cmocka_unit_test(free_without_a_mount),
      cmocka_unit_test(free_takes_everything_back),
      cmocka_unit_test_setup_teardown(reset_ends_the_mount, session_bench_setup, session_bench_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
