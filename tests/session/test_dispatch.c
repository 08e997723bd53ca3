/* SPDX-License-Identifier: BSD-3-Clause */
/* From ids to the backend's values, and where data goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/session_bench.h"

static void unknown_nodes_are_stale(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t node = session_bench_lookup(b, "7"), forged[] = {0, 2, node + 1, node ^ UINT64_C(1) << 32, UINT64_MAX};
  for (unsigned i = 0; i < sizeof forged / sizeof forged[0]; i++) {
    fuse_request_getattr(&r, forged[i], NULL);
    if (forged[i] != node)
      assert_int_equal(session_bench_ask(b, &r), -ESTALE);
    fuse_request_rename(&r, FUSE_ROOT_ID, "a", forged[i], "b");
    if (forged[i] != node)
      assert_int_equal(session_bench_ask(b, &r), -ESTALE);
    fuse_request_link(&r, forged[i], FUSE_ROOT_ID, "b");
    if (forged[i] != node)
      assert_int_equal(session_bench_ask(b, &r), -ESTALE);
  }
  session_bench_forget(b, 1, node, 1);
  session_bench_reap(b);
  fuse_request_getattr(&r, node, NULL);
  assert_int_equal(session_bench_ask(b, &r), -ESTALE);
  /* The slot is used again, and the old id still means nothing. */
  uint64_t again = session_bench_lookup(b, "7");
  assert_int_not_equal(again, node);
  assert_int_equal(session_bench_ask(b, &r), -ESTALE);
}

/* Requests about an open file, by their index. */
static uint32_t handle_request(struct fuse_request *r, unsigned index, uint64_t node, uint64_t fh) {
  switch (index) {
  case 0:
    fuse_request_read(r, FUSE_READ, node, fh, 0, 10);
    return FUSE_READ;
  case 1:
    fuse_request_write(r, node, fh, 0, 0);
    return FUSE_WRITE;
  case 2:
    fuse_request_fsync(r, FUSE_FSYNC, node, fh);
    return FUSE_FSYNC;
  case 3:
    fuse_request_flush(r, node, fh);
    return FUSE_FLUSH;
  case 4:
    fuse_request_fallocate(r, node, fh, 10);
    return FUSE_FALLOCATE;
  case 5:
    fuse_request_lseek(r, node, fh, 3);
    return FUSE_LSEEK;
  case 6:
    fuse_request_setattr(r, node, FATTR_FH | FATTR_SIZE, fh);
    return FUSE_SETATTR;
  case 7:
    fuse_request_release(r, FUSE_RELEASE, node, fh);
    return FUSE_RELEASE;
  case 8:
    fuse_request_read(r, FUSE_READDIR, node, fh, 0, 1000);
    return FUSE_READDIR;
  case 9:
    fuse_request_read(r, FUSE_READDIRPLUS, node, fh, 0, 1000);
    return FUSE_READDIRPLUS;
  case 10:
    fuse_request_fsync(r, FUSE_FSYNCDIR, node, fh);
    return FUSE_FSYNCDIR;
  default:
    fuse_request_release(r, FUSE_RELEASEDIR, node, fh);
    return FUSE_RELEASEDIR;
  }
}
enum { HANDLE_REQUESTS = 12, FILE_REQUESTS = 8 };

static void forged_handles(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7"), other = session_bench_lookup(b, "8");
  uint64_t fh = session_bench_openfile(b, FUSE_OPEN, file), dh = session_bench_openfile(b, FUSE_OPENDIR, file);
  uint64_t gone = session_bench_openfile(b, FUSE_OPEN, file);
  fuse_request_release(&r, FUSE_RELEASE, file, gone);
  assert_int_equal(session_bench_ask(b, &r), 0);
  for (unsigned i = 0; i < HANDLE_REQUESTS; i++) {
    bool is_file = i < FILE_REQUESTS;
    uint64_t right = is_file ? fh : dh, wrong = is_file ? dh : fh;
    uint64_t bad[] = {0, 1, wrong, gone, right + 1, right ^ UINT64_C(1) << 32, UINT64_MAX, SCRIPT_NODES};
    uint32_t op = handle_request(&r, i, file, right);
    unsigned before = script_fs_calls(&b->fs, op);
    for (unsigned j = 0; j < sizeof bad / sizeof bad[0]; j++) {
      if (bad[j] == fh || bad[j] == dh)
        bad[j] = wrong;
      handle_request(&r, i, file, bad[j]);
      assert_int_equal(session_bench_ask(b, &r), -EBADF);
    }
    /* A handle is good for its own node alone. */
    handle_request(&r, i, other, right);
    assert_int_equal(session_bench_ask(b, &r), -EBADF);
    assert_int_equal(script_fs_calls(&b->fs, op), before);
  }
  for (unsigned i = 0; i < HANDLE_REQUESTS; i++) {
    uint32_t op = handle_request(&r, i, file, i < FILE_REQUESTS ? fh : dh);
    unsigned before = script_fs_calls(&b->fs, op);
    assert_int_equal(session_bench_ask(b, &r), 0);
    assert_int_equal(script_fs_calls(&b->fs, op), before + 1);
  }
}

/* GETATTR of an open directory: the backend's operation knows files only, and has the node. */
static void getattr_with_handles(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  struct fuse_attr_out out;
  uint64_t dir = session_bench_lookup(b, "200"), dh = session_bench_openfile(b, FUSE_OPENDIR, dir), none = 0;
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  fuse_request_getattr(&r, dir, &dh);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  assert_int_equal(out.attr.ino, 200);
  fuse_request_getattr(&r, file, &fh);
  assert_int_equal(session_bench_ask(b, &r), 0);
  fuse_request_getattr(&r, file, &dh);
  assert_int_equal(session_bench_ask(b, &r), -EBADF);
  fuse_request_getattr(&r, file, &none);
  assert_int_equal(session_bench_ask(b, &r), -EBADF);
  fuse_request_setattr(&r, dir, FATTR_FH, dh);
  assert_int_equal(session_bench_ask(b, &r), -EBADF);
  /* Without the bit the field is noise. */
  fuse_request_setattr(&r, file, FATTR_MODE, 0x1234);
  assert_int_equal(session_bench_ask(b, &r), 0);
}

/* Without open the guest asks for none, after it was told ENOSYS, and its handles are 0. */
static void without_open_handles_are_zero(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  uint64_t none = 0;
  session_bench_init(&b);
  b.ops.open = NULL;
  b.ops.opendir = NULL;
  session_bench_start(&b);
  uint64_t file = session_bench_lookup(&b, "7");
  fuse_request_open(&r, FUSE_OPEN, file);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_open(&r, FUSE_OPENDIR, file);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  for (unsigned i = 0; i < HANDLE_REQUESTS; i++) {
    uint32_t op = handle_request(&r, i, file, 0);
    bool releases = op == FUSE_RELEASE || op == FUSE_RELEASEDIR;
    assert_int_equal(session_bench_ask(&b, &r), releases ? -EBADF : 0);
    handle_request(&r, i, file, 2);
    assert_int_equal(session_bench_ask(&b, &r), -EBADF);
  }
  fuse_request_getattr(&r, file, &none);
  assert_int_equal(session_bench_ask(&b, &r), 0);
  session_bench_fini(&b);
}

static void missing_operations(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  session_bench_init(&b);
  b.ops = (struct virtiofs_ops){.size = sizeof b.ops, .lookup = b.ops.lookup};
  session_bench_start(&b);
  uint64_t file = session_bench_lookup(&b, "7");
  for (unsigned i = 0; i < HANDLE_REQUESTS; i++) {
    uint32_t op = handle_request(&r, i, file, 0);
    bool releases = op == FUSE_RELEASE || op == FUSE_RELEASEDIR;
    assert_int_equal(session_bench_ask(&b, &r), releases ? -EBADF : -ENOSYS);
  }
  fuse_request_getattr(&r, file, NULL);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request(&r, FUSE_READLINK, file);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request(&r, FUSE_STATFS, file);
  assert_int_equal(session_bench_ask(&b, &r), 0); /* see test_without */
  fuse_request_symlink(&r, FUSE_ROOT_ID, "a", "b");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_mknod(&r, FUSE_ROOT_ID, "a", 0100644);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_mkdir(&r, FUSE_ROOT_ID, "a", 0755);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_create(&r, FUSE_ROOT_ID, "a");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_named(&r, FUSE_UNLINK, FUSE_ROOT_ID, "a");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_named(&r, FUSE_RMDIR, FUSE_ROOT_ID, "a");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_rename(&r, FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "b");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_link(&r, file, FUSE_ROOT_ID, "b");
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  fuse_request_open(&r, FUSE_OPEN, file);
  assert_int_equal(session_bench_ask(&b, &r), -ENOSYS);
  /* There is no forget to call. */
  session_bench_forget(&b, 0, file, 1);
  session_bench_reap(&b);
  b.fs.given[7] = 0;
  session_bench_fini(&b);
}

static void assert_file_bytes(const unsigned char *bytes, size_t size, uint64_t offset) {
  for (size_t i = 0; i < size; i++)
    assert_int_equal(bytes[i], script_fs_byte(offset + i));
}

/* READ with header and data cut at each byte, in one segment and in many. */
static void read_into_any_segments(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  enum { SIZE = 64 };
  fuse_request_read(&r, FUSE_READ, file, fh, 100, SIZE);
  for (size_t first = 1; first <= 16 + SIZE; first++) {
    for (size_t piece = 0; piece <= 17; piece++) {
      struct fuse_shape shape = {.room = 16 + SIZE, .out_first = first, .out_piece = piece};
      struct fuse_message *m = session_bench_send(b, 1, &r, &shape);
      const unsigned char *bytes = fuse_message_args(m);
      assert_int_equal(fuse_message_size(m), SIZE);
      assert_file_bytes(bytes, SIZE, 100);
      fuse_message_free(m);
    }
  }
}

/* More room than asked for, and less. */
static void read_is_cut_to_the_room(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  for (size_t room = 16; room < 140; room++) {
    for (size_t piece = 0; piece < 40; piece += 13) {
      fuse_request_read(&r, FUSE_READ, file, fh, 0, 100);
      struct fuse_shape shape = {.room = room, .out_piece = piece};
      size_t want = room - 16 < 100 ? room - 16 : 100;
      b->fs.max_size = 0;
      struct fuse_message *m = session_bench_send(b, 1, &r, &shape);
      assert_int_equal(fuse_message_size(m), want);
      assert_file_bytes(fuse_message_args(m), want, 0);
      assert_int_equal(b->fs.max_size, want);
      fuse_message_free(m);
    }
  }
  /* A number of the guest's is no reason to allocate or to run past the room. */
  fuse_request_read(&r, FUSE_READ, file, fh, 0, UINT32_MAX);
  struct fuse_message *m = session_bench_send(b, 1, &r, &(struct fuse_shape){.room = 500, .out_piece = 7});
  assert_int_equal(fuse_message_size(m), 484);
  fuse_message_free(m);
  /* At the end of the file less comes than there is room for. */
  fuse_request_read(&r, FUSE_READ, file, fh, SCRIPT_FILE_SIZE - 5, 100);
  m = session_bench_send(b, 1, &r, NULL);
  assert_int_equal(fuse_message_size(m), 5);
  assert_file_bytes(fuse_message_args(m), 5, SCRIPT_FILE_SIZE - 5);
  fuse_message_free(m);
}

static int fail_read(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)req;
  (void)out;
  return opcode == FUSE_READ ? -EACCES : rc;
}

static int look_at_nothing(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  (void)req;
  (void)out;
  /* Backends add the count to it, which C wants an address for. */
  return in->data.iov != NULL && in->data.count == 0 && in->data.size == 0 ? 0 : -EIO;
}

static void a_read_of_nothing_has_an_address(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  session_bench_init(&b);
  b.ops.read = look_at_nothing;
  session_bench_start(&b);
  uint64_t file = session_bench_lookup(&b, "7"), fh = session_bench_openfile(&b, FUSE_OPEN, file);
  fuse_request_read(&r, FUSE_READ, file, fh, 100, 0);
  assert_int_equal(session_bench_ask(&b, &r), 0);
  session_bench_fini(&b);
}

static unsigned listed;

static int list_nothing(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                        struct virtiofs_xattr_out *out) {
  (void)req;
  (void)in;
  listed++;
  out->size = 100;
  return 0;
}

static void the_size_of_a_list_has_to_fit(void **state) {
  (void)state;
  struct session_bench b;
  struct fuse_request r;
  const struct fuse_getxattr_in in = {.size = 0};
  session_bench_init(&b);
  b.ops.listxattr = list_nothing;
  session_bench_start(&b);
  uint64_t file = session_bench_lookup(&b, "7");
  fuse_request(&r, FUSE_LISTXATTR, file);
  fuse_request_put(&r, &in, sizeof in);
  for (uint32_t room = 16; room <= 24; room++) {
    listed = 0;
    struct fuse_message *m = session_bench_send(&b, 1, &r, &(struct fuse_shape){.room = room});
    assert_int_equal(fuse_message_error(m), room < 24 ? -EIO : 0);
    assert_int_equal(listed, room == 24);
    fuse_message_free(m);
  }
  session_bench_fini(&b);
}

/* The reply's header lies in the segment that was cut for the data. */
static void a_failed_read_has_its_header(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  b->fs.hook = fail_read;
  fuse_request_read(&r, FUSE_READ, file, fh, 0, 20);
  for (size_t first = 1; first < 40; first++)
    assert_int_equal(session_bench_ask_on(b, 1, &r, &(struct fuse_shape){.room = 60, .out_first = first}), -EACCES);
  b->fs.hook = NULL;
}

static void write_from_any_segments(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  unsigned char data[300];
  uint64_t file = session_bench_lookup(b, "7"), fh = session_bench_openfile(b, FUSE_OPEN, file);
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = script_fs_byte(1000 + i);
  for (size_t first = 1; first < 80 + sizeof data; first++) {
    fuse_request_write(&r, file, fh, 1000, sizeof data);
    fuse_request_more(&r, sizeof data);
    struct fuse_shape shape = {.data = data, .data_len = sizeof data, .in_first = first, .in_piece = first % 50};
    struct fuse_message *m = session_bench_send(b, 1, &r, &shape);
    const struct fuse_write_out *out = fuse_message_args(m);
    assert_int_equal(out->size, sizeof data);
    fuse_message_free(m);
  }
  /* The data has to be as long as the request says. */
  fuse_request_write(&r, file, fh, 1000, sizeof data + 1);
  fuse_request_more(&r, sizeof data);
  struct fuse_shape shape = {.data = data, .data_len = sizeof data};
  assert_int_equal(session_bench_ask_on(b, 1, &r, &shape), -EINVAL);
}

static void readlink_target(void **state) {
  struct session_bench *b = *state;
  struct fuse_request r;
  uint64_t file = session_bench_lookup(b, "7");
  fuse_request(&r, FUSE_READLINK, file);
  for (size_t piece = 0; piece < 30; piece += 3) {
    struct fuse_message *m = session_bench_send(b, 1, &r, &(struct fuse_shape){.room = 200, .out_piece = piece});
    const char *target = fuse_message_args(m);
    assert_int_equal(fuse_message_size(m), 100);
    for (unsigned i = 0; i < 100; i++)
      assert_int_equal(target[i], 't');
    fuse_message_free(m);
  }
  assert_int_equal(session_bench_ask_on(b, 1, &r, &(struct fuse_shape){.room = 115}), -EIO);
  assert_int_equal(session_bench_ask_on(b, 1, &r, &(struct fuse_shape){.room = 116}), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, session_bench_setup, session_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(unknown_nodes_are_stale),
      TEST(forged_handles),
      TEST(getattr_with_handles),
      cmocka_unit_test(without_open_handles_are_zero),
      cmocka_unit_test(missing_operations),
      TEST(read_into_any_segments),
      TEST(read_is_cut_to_the_room),
      TEST(a_failed_read_has_its_header),
      cmocka_unit_test(a_read_of_nothing_has_an_address),
      cmocka_unit_test(the_size_of_a_list_has_to_fit),
      TEST(write_from_any_segments),
      TEST(readlink_target),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
