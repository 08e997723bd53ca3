/* SPDX-License-Identifier: BSD-3-Clause */
/* What a success gives the guest, and that nothing is lost where it can't be given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/session_bench.h"

static void a_node_has_one_id(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_entry_out out;
  uint64_t id = session_bench_lookup(b, "7");
  assert_int_equal(session_bench_lookup(b, "7"), id);
  assert_int_not_equal(session_bench_lookup(b, "8"), id);
  fuse_request_link(&r, id, FUSE_ROOT_ID, "7");
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.nodeid, id);
  session_bench_forget(b, 1, id, 2);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 0);
  session_bench_forget(b, 1, id, 1);
  session_bench_reap(b);
  assert_int_equal(b->fs.forgets[7], 1);
  assert_int_equal(b->fs.last_replies[7], 3);
}

static void each_maker_gives_a_node(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r[3];
  struct fuse_entry_out out;
  fuse_request_symlink(&r[0], FUSE_ROOT_ID, "20", "target");
  fuse_request_mknod(&r[1], FUSE_ROOT_ID, "20", 0100644);
  fuse_request_mkdir(&r[2], FUSE_ROOT_ID, "20", 0755);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(session_bench_get(b, &r[i], &out, sizeof out), 0);
    assert_int_equal(out.attr.ino, 20);
    assert_int_equal(session_bench_lookup(b, "20"), out.nodeid);
    session_bench_forget(b, 1, out.nodeid, 2);
    session_bench_reap(b);
    assert_int_equal(b->fs.forgets[20], i + 1);
  }
}

static void a_name_that_is_not_there(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_entry_out out;
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "none");
  assert_int_equal(session_bench_ask(b, &r), -ENOENT);
  fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "never");
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.nodeid, 0);
  assert_true(out.entry_valid > 1000000000);
  assert_true(out.entry_valid_nsec < 1000000000);
  /* Only a LOOKUP may say so. */
  fuse_request_mkdir(&r, FUSE_ROOT_ID, "never", 0755);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request_mknod(&r, FUSE_ROOT_ID, "never", 0100644);
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request_symlink(&r, FUSE_ROOT_ID, "never", "x");
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request_link(&r, FUSE_ROOT_ID, FUSE_ROOT_ID, "never");
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  fuse_request_create(&r, FUSE_ROOT_ID, "never");
  assert_int_equal(session_bench_ask(b, &r), -EIO);
  /* The file that was opened is closed again. */
  assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), 1);
}

static void the_root_is_given_for_ever(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  assert_int_equal(session_bench_lookup(b, "1"), FUSE_ROOT_ID);
  session_bench_forget(b, 0, FUSE_ROOT_ID, 1000);
  session_bench_reap(b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_ask(b, &r), 0);
  assert_int_equal(b->fs.forgets[1], 0);
  b->fs.given[1] = 0; /* never told */
}

static void a_root_of_the_backends_choice(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  struct fuse_attr_out out;
  session_bench_init(&b);
  b.fs.root = 42;
  b.fs.given[42] = 1;
  session_bench_start(&b);
  fuse_request_getattr(&r, FUSE_ROOT_ID, NULL);
  assert_int_equal(session_bench_get(&b, &r, &out, sizeof out), 0);
  assert_int_equal(out.attr.ino, 42);
  assert_int_equal(session_bench_lookup(&b, "42"), FUSE_ROOT_ID);
  virtiofs_session_reset(b.session);
  assert_int_equal(b.fs.forgets[42], 0);
  b.fs.given[42] = 0;
  session_bench_fini(&b);
}

static int spoil(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)req;
  uint32_t how = *(uint32_t *)fs->hook_ctx;
  switch (opcode) {
  case FUSE_LOOKUP:
  case FUSE_MKDIR:
  case FUSE_MKNOD:
  case FUSE_SYMLINK:
  case FUSE_LINK:
  case FUSE_CREATE: {
    struct virtiofs_attr *attr = &((struct virtiofs_entry_out *)out)->attr;
    if (how == 0)
      attr->mode = 0644;
    else if (how == 1)
      attr->size = UINT64_MAX;
    else if (how == 2)
      attr->mtime.nsec = 1000000000;
    else
      attr->rdev_minor = UINT32_MAX;
    return rc;
  }
  case FUSE_GETATTR:
    ((struct virtiofs_attr_out *)out)->attr.mode = 0;
    return rc;
  case FUSE_READ:
    ((struct virtiofs_read_out *)out)->size = how + 101;
    return rc;
  case FUSE_WRITE:
    ((struct virtiofs_write_out *)out)->size = how + 1;
    return rc;
  case FUSE_READLINK:
    ((struct virtiofs_readlink_out *)out)->len = how == 0 ? UINT32_MAX : VIRTIOFS_TARGET_MAX + how;
    return rc;
  case FUSE_LSEEK:
    ((struct virtiofs_lseek_out *)out)->offset = UINT64_MAX - how;
    return rc;
  default:
    return rc;
  }
}

/* A backend's mistake is an error for the guest, and what the reply was to give goes back. */
static void replies_that_are_not_sound(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  uint32_t how;
  b->fs.hook = spoil;
  b->fs.hook_ctx = &how;
  for (how = 0; how < 4; how++) {
    fuse_request_named(&r, FUSE_LOOKUP, FUSE_ROOT_ID, "20");
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_mkdir(&r, FUSE_ROOT_ID, "21", 0755);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_mknod(&r, FUSE_ROOT_ID, "22", 0100644);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_symlink(&r, FUSE_ROOT_ID, "23", "x");
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_link(&r, file, FUSE_ROOT_ID, "7");
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_create(&r, FUSE_ROOT_ID, "24");
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_getattr(&r, file, NULL);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_read(&r, FUSE_READ, file, fh, 0, 100);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_write(&r, file, fh, 0, 0);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request(&r, FUSE_READLINK, file);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    fuse_request_lseek(&r, file, fh, 3);
    assert_int_equal(session_bench_ask(b, &r), -EIO);
    session_bench_reap(b);
    for (unsigned node = 20; node <= 24; node++)
      assert_int_equal(b->fs.given[node], 0);
    assert_int_equal(script_fs_calls(&b->fs, FUSE_RELEASE), how + 1);
  }
  /* The link's lost reply has not cost the guest what it had before. */
  b->fs.hook = NULL;
  fuse_request_getattr(&r, file, NULL);
  assert_int_equal(session_bench_ask(b, &r), 0);
}

static int write_less(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)req;
  if (opcode == FUSE_WRITE)
    ((struct virtiofs_write_out *)out)->size--;
  return rc;
}

/* A program hears how much was written; of pages that are written back nobody does. */
static void pages_are_written_as_a_whole(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_write_out out;
  unsigned char bytes[8];
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  for (unsigned i = 0; i < sizeof bytes; i++)
    bytes[i] = script_fs_byte(i);
  for (uint32_t less = 0; less < 2; less++) {
    for (uint32_t flags = 0; flags < 2; flags++) {
      struct fuse_write_in in = {.fh = fh, .size = sizeof bytes, .write_flags = flags * FUSE_WRITE_CACHE};
      b->fs.hook = less != 0 ? write_less : NULL;
      fuse_request(&r, FUSE_WRITE, file);
      fuse_request_put(&r, &in, sizeof in);
      fuse_request_put(&r, bytes, sizeof bytes);
      assert_int_equal(session_bench_get(b, &r, &out, sizeof out), less != 0 && flags != 0 ? -EIO : 0);
      if (less == 0 || flags == 0)
        assert_int_equal(out.size, sizeof bytes - less);
    }
  }
  b->fs.hook = NULL;
}

static void bench_with_limits(struct session_bench *b, uint64_t nodes, uint64_t handles) {
  session_bench_init(b);
  b->config.max_nodes = nodes;
  b->config.max_handles = handles;
  session_bench_start(b);
}

static void no_more_nodes_than_allowed(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r[5];
  bench_with_limits(&b, 3, 100);
  uint64_t file = session_bench_lookup(&b, "7");
  (void)session_bench_lookup(&b, "8");
  (void)session_bench_lookup(&b, "9");
  fuse_request_symlink(&r[0], FUSE_ROOT_ID, "20", "target");
  fuse_request_mknod(&r[1], FUSE_ROOT_ID, "20", 0100644);
  fuse_request_mkdir(&r[2], FUSE_ROOT_ID, "20", 0755);
  fuse_request_create(&r[3], FUSE_ROOT_ID, "20");
  for (unsigned i = 0; i < 4; i++)
    assert_int_equal(session_bench_ask(&b, &r[i]), -ENFILE);
  /* Nothing was made that the guest could then not have. */
  assert_int_equal(script_fs_calls(&b.fs, FUSE_SYMLINK) + script_fs_calls(&b.fs, FUSE_MKNOD) +
                       script_fs_calls(&b.fs, FUSE_MKDIR) + script_fs_calls(&b.fs, FUSE_CREATE),
                   0);
  /* A LOOKUP changes nothing, and only its reply tells whether the node is a new one. */
  fuse_request_named(&r[4], FUSE_LOOKUP, FUSE_ROOT_ID, "20");
  assert_int_equal(session_bench_ask(&b, &r[4]), -ENFILE);
  assert_int_equal(b.fs.forgets[20], 1);
  assert_int_equal(session_bench_lookup(&b, "7"), file);
  session_bench_forget(&b, 1, file, 2);
  session_bench_reap(&b);
  (void)session_bench_lookup(&b, "20");
  session_bench_fini(&b);
}

static void no_more_handles_than_allowed(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  bench_with_limits(&b, 100, 2);
  uint64_t fh = session_bench_openfile(&b, FUSE_OPEN, FUSE_ROOT_ID);
  (void)session_bench_openfile(&b, FUSE_OPENDIR, FUSE_ROOT_ID);
  unsigned before = b.fs.handles;
  fuse_request_open(&r, FUSE_OPEN, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(&b, &r), -ENFILE);
  fuse_request_open(&r, FUSE_OPENDIR, FUSE_ROOT_ID);
  assert_int_equal(session_bench_ask(&b, &r), -ENFILE);
  fuse_request_create(&r, FUSE_ROOT_ID, "20");
  assert_int_equal(session_bench_ask(&b, &r), -ENFILE);
  assert_int_equal(b.fs.handles, before);
  fuse_request_release(&r, FUSE_RELEASE, FUSE_ROOT_ID, fh);
  assert_int_equal(session_bench_ask(&b, &r), 0);
  (void)session_bench_openfile(&b, FUSE_OPEN, FUSE_ROOT_ID);
  session_bench_fini(&b);
}

/* The limit is looked at before, but several that wait at once may pass that look. */
static void the_last_place_is_taken_meanwhile(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  bench_with_limits(&b, 2, 1);
  b.fs.pend = UINT64_C(1) << FUSE_CREATE;
  fuse_request_create(&r, FUSE_ROOT_ID, "20");
  struct fuse_message *first = session_bench_send(&b, 1, &r, NULL);
  fuse_request_create(&r, FUSE_ROOT_ID, "21");
  struct fuse_message *second = session_bench_send(&b, 2, &r, NULL);
  script_fs_answer(&b.fs, 0);
  script_fs_answer(&b.fs, 0);
  assert_int_equal(fuse_message_error(first), 0);
  assert_int_equal(fuse_message_error(second), -ENFILE);
  assert_int_equal(script_fs_calls(&b.fs, FUSE_RELEASE), 1);
  /* The file that was made is the guest's to look up; its node of this reply has gone back without being asked for. */
  session_bench_reap(&b);
  assert_int_equal(b.fs.given[21], 0);
  fuse_message_free(first);
  fuse_message_free(second);
  session_bench_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, session_bench_setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_node_has_one_id),
      TEST(each_maker_gives_a_node),
      TEST(a_name_that_is_not_there),
      TEST(the_root_is_given_for_ever),
      cmocka_unit_test(a_root_of_the_backends_choice),
      TEST(replies_that_are_not_sound),
      TEST(pages_are_written_as_a_whole),
      cmocka_unit_test(no_more_nodes_than_allowed),
      cmocka_unit_test(no_more_handles_than_allowed),
      cmocka_unit_test(the_last_place_is_taken_meanwhile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
