/* SPDX-License-Identifier: BSD-3-Clause */
/** What the tests of requests that are answered later share. */
#ifndef VIRTIOFS_TESTS_SESSION_PENDING_BENCH_H
#define VIRTIOFS_TESTS_SESSION_PENDING_BENCH_H

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

static inline int setup(void **state) {
  struct session_bench *b = malloc(sizeof *b);
  assert_non_null(b);
  session_bench_init(b);
  b->ops.blocking = ALL_BLOCK & ~VIRTIOFS_BLOCKING_LOOKUP;
  session_bench_start(b);
  *state = b;
  return 0;
}

static inline struct fuse_message *getattr_on(struct session_bench *b, uint32_t lane, uint64_t id) {
  struct fuse_request r;
  fuse_request_getattr(&r, id, NULL);
  return session_bench_send(b, lane, &r, NULL);
}

static inline void finish(struct fuse_message *m, int error) {
  fuse_message_wait(m);
  assert_int_equal(fuse_message_error(m), error);
  fuse_message_free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, session_bench_teardown)

#endif
