/* SPDX-License-Identifier: BSD-3-Clause */
/* A request from its coming in to its answer: what is refused before anything has happened, and how a reply is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/session_bench.h"

static void before_init_all_but_init_is_refused(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  session_bench_init(&b);
  session_bench_open(&b);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
  assert_int_equal(session_bench_ask(&b, &r), -EIO);
  fuse_request(&r, FUSE_DESTROY, 0);
  assert_int_equal(session_bench_ask(&b, &r), -EIO);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(&b, &r), -EIO);
  /* Nothing to say, but the buffer comes back. */
  session_bench_forget(&b, 0, 2, 1);
  session_bench_mount(&b);
  fuse_request(&r, FUSE_STATFS, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(&b, &r), 0);
  session_bench_fini(&b);
}

static void unknown_opcodes(void **state) {
  struct session_bench *b = *state;
  static const uint32_t none[] = {0,   7,    19,   FUSE_GETXATTR, FUSE_SETLKW,     FUSE_INTERRUPT, FUSE_SYNCFS,
                                  100, 4096, 1u << 31, UINT32_MAX,  FUSE_SETUPMAPPING, FUSE_TMPFILE};
  struct fuse_request r;
  for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
    fuse_request_named(&r, none[i], FUSE_ROOT_ID, "name");
    assert_int_equal(session_bench_ask(b, &r), -ENOSYS);
  }
  /* Has no reply, whatever becomes of it. */
  fuse_request(&r, FUSE_NOTIFY_REPLY, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(b, &r), 0);
}

static void hiprio_serves_nothing_slow(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t node = session_bench_lookup(b, "7");
  fuse_request_getattr(&r, node, NULL);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), -EIO);
  fuse_request_init(&r, 7, 38, 0);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), -EIO);
  fuse_request(&r, FUSE_DESTROY, 0);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), -EIO);
  fuse_request(&r, FUSE_INTERRUPT, 0);
  assert_int_equal(session_bench_ask_on(b, 0, &r, NULL), -ENOSYS);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_GETATTR), 0);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_DESTROY), 0);
  session_bench_forget(b, 0, node, 1);
  session_bench_reap(b);
  assert_int_equal(script_fs_calls(&b->fs, FUSE_FORGET), 1);
}

struct room {
  struct fuse_request r;
  uint32_t args;
};

/* Each opcode whose reply has a size, with that. */
static unsigned all_rooms(struct session_bench *b, struct room *rooms) {
  uint64_t file = session_bench_lookup(b, "7"), dir = session_bench_lookup(b, "200");
  uint64_t fh = session_bench_openfile(b, FUSE_OPEN, file), dh = session_bench_openfile(b, FUSE_OPENDIR, dir);
  unsigned n = 0;
  fuse_request_named(&rooms[n].r, FUSE_LOOKUP, FUSE_ROOT_ID, "8");
  rooms[n++].args = 128;
  fuse_request_getattr(&rooms[n].r, file, &fh);
  rooms[n++].args = 104;
  fuse_request_setattr(&rooms[n].r, file, FATTR_MODE, 0);
  rooms[n++].args = 104;
  fuse_request_symlink(&rooms[n].r, FUSE_ROOT_ID, "9", "target");
  rooms[n++].args = 128;
  fuse_request_mknod(&rooms[n].r, FUSE_ROOT_ID, "10", 0100644);
  rooms[n++].args = 128;
  fuse_request_mkdir(&rooms[n].r, FUSE_ROOT_ID, "201", 0755);
  rooms[n++].args = 128;
  fuse_request_named(&rooms[n].r, FUSE_UNLINK, FUSE_ROOT_ID, "8");
  rooms[n++].args = 0;
  fuse_request_named(&rooms[n].r, FUSE_RMDIR, FUSE_ROOT_ID, "8");
  rooms[n++].args = 0;
  fuse_request_rename(&rooms[n].r, FUSE_ROOT_ID, "8", dir, "9");
  rooms[n++].args = 0;
  fuse_request_rename2(&rooms[n].r, dir, "8", FUSE_ROOT_ID, "9", 1);
  rooms[n++].args = 0;
  fuse_request_link(&rooms[n].r, file, dir, "7");
  rooms[n++].args = 128;
  fuse_request_open(&rooms[n].r, FUSE_OPEN, file);
  rooms[n++].args = 16;
  fuse_request_open(&rooms[n].r, FUSE_OPENDIR, dir);
  rooms[n++].args = 16;
  fuse_request_create(&rooms[n].r, FUSE_ROOT_ID, "11");
  rooms[n++].args = 144;
  fuse_request_write(&rooms[n].r, file, fh, 0, 0);
  rooms[n++].args = 8;
  fuse_request(&rooms[n].r, FUSE_STATFS, file);
  rooms[n++].args = 80;
  fuse_request_fsync(&rooms[n].r, FUSE_FSYNC, file, fh);
  rooms[n++].args = 0;
  fuse_request_fsync(&rooms[n].r, FUSE_FSYNCDIR, dir, dh);
  rooms[n++].args = 0;
  fuse_request_flush(&rooms[n].r, file, fh);
  rooms[n++].args = 0;
  fuse_request_fallocate(&rooms[n].r, file, fh, 10);
  rooms[n++].args = 0;
  fuse_request_lseek(&rooms[n].r, file, fh, 3);
  rooms[n++].args = 8;
  fuse_request_release(&rooms[n].r, FUSE_RELEASE, file, fh);
  rooms[n++].args = 0;
  fuse_request_release(&rooms[n].r, FUSE_RELEASEDIR, dir, dh);
  rooms[n++].args = 0;
  return n;
}

enum { ROOMS = 32 };

static unsigned called(struct session_bench *b) {
  unsigned sum = 0;
  for (unsigned i = 0; i < SCRIPT_OPS; i++)
    sum += script_fs_calls(&b->fs, i);
  return sum;
}

/* Traps 90: a side effect is done and then the reply doesn't fit. */
static void too_little_room_has_no_side_effect(void **state) {
  struct session_bench *b = *state;
  struct room *rooms = calloc(ROOMS, sizeof rooms[0]);
  assert_non_null(rooms);
  unsigned n = all_rooms(b, rooms), before = called(b);
  for (unsigned i = 0; i < n; i++) {
    uint32_t need = 16 + rooms[i].args;
    for (uint32_t room = 0; room < need; room += room < 14 ? 7 : 1) {
      struct fuse_shape shape = {.room = room, .no_room = room == 0};
      struct fuse_message *m = session_bench_send(b, 1, &rooms[i].r, &shape);
      if (room < 16)
        assert_int_equal(m->used, 0);
      else
        assert_int_equal(fuse_message_error(m), -EIO);
      fuse_message_free(m);
    }
    assert_int_equal(called(b), before);
  }
  /* One byte more, and each is served, with a reply of just that size. */
  for (unsigned i = 0; i < n; i++) {
    struct fuse_message *m = session_bench_send(b, 1, &rooms[i].r, &(struct fuse_shape){.room = 16 + rooms[i].args});
    assert_int_equal(fuse_message_error(m), 0);
    assert_int_equal(fuse_message_size(m), rooms[i].args);
    fuse_message_free(m);
    assert_int_equal(called(b), before + i + 1);
  }
  free(rooms);
}

static void any_cut_of_the_segments(void **state) {
  struct session_bench *b = *state;
  struct room *rooms = calloc(ROOMS, sizeof rooms[0]);
  assert_non_null(rooms);
  unsigned n = all_rooms(b, rooms) - 2; /* those two can be had only once */
  for (unsigned i = 0; i < n; i++) {
    for (size_t piece = 1; piece < 60; piece += piece < 20 ? 1 : 13) {
      struct fuse_shape shape = {.room = 400, .in_piece = piece, .out_piece = 60 - piece};
      struct fuse_message *m = session_bench_send(b, 1, &rooms[i].r, &shape);
      assert_int_equal(fuse_message_error(m), 0);
      assert_int_equal(fuse_message_size(m), rooms[i].args);
      fuse_message_free(m);
    }
  }
  free(rooms);
}

/* Traps 68: each byte of a reply is one that was written, and none behind it. */
static void a_reply_ends_where_it_says(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_entry_out out;
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
  struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
  memcpy(&out, fuse_message_args(m), sizeof out);
  assert_int_equal(out.attr.flags, 0);
  assert_int_equal(out.generation, 0);
  const unsigned char *bytes = m->segments[m->in_count].iov_base;
  for (size_t i = m->used; i < m->out_len; i++)
    assert_int_equal(bytes[i], 0xa5);
  fuse_message_free(m);
}

static void malformed_requests(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  for (size_t len = 0; len < 40; len++) {
    fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
    r.len = len;
    struct fuse_message *m = session_bench_send(b, 1, &r, NULL);
    if (len < 16)
      m->unique = 0; /* it wasn't there */
    assert_int_equal(fuse_message_error(m), -EIO);
    fuse_message_free(m);
  }
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  fuse_request_more(&r, 1);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  r.header.len = 39;
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request(&r, FUSE_GETATTR, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(b, &r), -EINVAL);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "..");
  assert_int_equal(session_bench_ask(b, &r), -EINVAL);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "a/b");
  assert_int_equal(session_bench_ask(b, &r), -EINVAL);
  /* Said, but not once for each: the 1st, 2nd, 4th, 8th, 16th, 32nd. */
  assert_int_equal(atomic_load(&b->lines), 6);
  assert_int_equal(called(b), 1);
}

static int give_hook_rc(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)req;
  (void)out;
  return opcode != FUSE_INIT ? *(int *)fs->hook_ctx : rc;
}

/* Traps 49: what is no error of Linux's is none that a guest sees. */
static void errors_are_clamped(void **state) {
  struct session_bench *b = *state;
  static const int cases[][2] = {{0, 0},       {-1, -1},  {-ENOENT, -ENOENT}, {-511, -511},   {-512, -EIO},
                                 {-1000, -EIO}, {2, -EIO}, {INT_MIN, -EIO},    {INT_MAX, -EIO}};
  static int rc;
  struct fuse_request r;
  b->fs.hook = give_hook_rc;
  b->fs.hook_ctx = &rc;
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rc = cases[i][0];
    fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
    assert_int_equal(session_bench_ask(b, &r), cases[i][1]);
    fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "7");
    assert_int_equal(session_bench_ask(b, &r), cases[i][1]);
    fuse_request_open(&r, FUSE_OPEN, FUSE_ROOT_ID);
    assert_int_equal(session_bench_ask(b, &r), cases[i][1]);
  }
}

static int see_request(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)opcode;
  (void)out;
  struct virtiofs_caller caller = virtiofs_req_caller(req);
  assert_ptr_equal(virtiofs_req_fs(req), fs);
  assert_int_equal(caller.uid, 7);
  assert_int_equal(caller.gid, 8);
  assert_int_equal(caller.pid, 9);
  assert_null(virtiofs_req_data(req));
  virtiofs_req_set_data(req, &rc);
  assert_ptr_equal(virtiofs_req_data(req), &rc);
  return rc;
}

static void what_a_request_says_of_itself(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  b->fs.hook = see_request;
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_ask(b, &r), 0);
  assert_int_equal(session_bench_ask(b, &r), 0);
  b->fs.hook = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, session_bench_setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(before_init_all_but_init_is_refused),
      TEST(unknown_opcodes),
      TEST(hiprio_serves_nothing_slow),
      TEST(too_little_room_has_no_side_effect),
      TEST(any_cut_of_the_segments),
      TEST(a_reply_ends_where_it_says),
      TEST(malformed_requests),
      TEST(errors_are_clamped),
      TEST(what_a_request_says_of_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
