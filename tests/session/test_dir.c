/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings: whole records, and a count for each node that really went out. */
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

struct rig {
  struct session_bench b;
  uint64_t dh;
};

static int setup(void **state) {
  struct rig *rig = malloc(sizeof *rig);
  assert_non_null(rig);
  session_bench_init(&rig->b);
  rig->b.config.max_nodes = 60;
  session_bench_start(&rig->b);
  rig->dh = session_bench_openfile(&rig->b, FUSE_OPENDIR, FUSE_ROOT_ID);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  session_bench_fini(&rig->b);
  free(rig);
  return 0;
}

static struct fuse_message *list(struct rig *rig, uint32_t op, uint64_t offset, uint32_t size, size_t piece) {
  struct fuse_request r;
  fuse_request_read(&r, op, FUSE_ROOT_ID, rig->dh, offset, size);
  struct fuse_shape shape = {.room = 16 + (size != 0 ? size : 1), .out_piece = piece};
  return session_bench_send(&rig->b, 1, &r, &shape);
}

/* Walks along the records; returns how many, and where the listing goes on. */
static unsigned check_records(struct fuse_message *m, bool plus, uint64_t *offset, unsigned *nodes) {
  const unsigned char *at = fuse_message_args(m), *end = at + fuse_message_size(m);
  unsigned count = 0;
  while (at < end) {
    struct fuse_entry_out entry = {0};
    struct fuse_dirent dirent;
    char name[32] = "", want[32];
    assert_true((size_t)(end - at) >= (plus ? sizeof entry : 0) + sizeof dirent);
    if (plus)
      memcpy(&entry, at, sizeof entry);
    at += plus ? sizeof entry : 0;
    memcpy(&dirent, at, FUSE_NAME_OFFSET);
    assert_true(dirent.namelen < sizeof name);
    memcpy(name, at + FUSE_NAME_OFFSET, dirent.namelen);
    (void)snprintf(want, sizeof want, "%llu", (unsigned long long)*offset);
    assert_string_equal(name, want);
    size_t size = (FUSE_NAME_OFFSET + dirent.namelen + 7) & ~(size_t)7;
    for (size_t i = FUSE_NAME_OFFSET + dirent.namelen; i < size; i++)
      assert_int_equal(at[i], 0);
    assert_true((size_t)(end - at) >= size);
    at += size;
    assert_int_equal(dirent.off, *offset + 1);
    *offset = dirent.off;
    *nodes += entry.nodeid != 0;
    if (entry.nodeid != 0)
      assert_int_equal(entry.attr.ino, *offset - 1);
    count++;
  }
  assert_ptr_equal(at, end);
  return count;
}

static int64_t nodes_given(struct rig *rig) {
  int64_t sum = 0;
  for (unsigned i = 0; i < SCRIPT_NODES; i++)
    sum += rig->b.fs.given[i];
  return sum;
}

/* Any room, any cut: each name comes once, and counts are those of the records. */
static void whole_listing(struct rig *rig, uint32_t op, uint32_t size, size_t piece) {
  uint64_t offset = 0;
  unsigned nodes = 0, count;
  do {
    struct fuse_message *m = list(rig, op, offset, size, piece);
    count = check_records(m, op == FUSE_READDIRPLUS, &offset, &nodes);
    fuse_message_free(m);
    session_bench_reap(&rig->b);
    assert_int_equal(nodes_given(rig), nodes);
  } while (count != 0);
  assert_int_equal(offset, rig->b.fs.records);
}

static void readdir_in_any_room(void **state) {
  struct rig *rig = *state;
  rig->b.fs.records = 30;
  for (uint32_t size = 32; size < 200; size += 7)
    for (size_t piece = 0; piece < 60; piece += 11)
      whole_listing(rig, FUSE_READDIR, size, piece);
}

static void readdirplus_in_any_room(void **state) {
  struct rig *rig = *state;
  rig->b.fs.records = 30;
  for (uint32_t size = 160; size < 700; size += 37) {
    whole_listing(rig, FUSE_READDIRPLUS, size, size % 50);
    /* 0 and 1 have no node. */
    assert_int_equal(nodes_given(rig), 28);
    virtiofs_session_reset(rig->b.session);
    assert_int_equal(nodes_given(rig), 0);
    session_bench_mount(&rig->b);
    rig->dh = session_bench_openfile(&rig->b, FUSE_OPENDIR, FUSE_ROOT_ID);
  }
}

/* An empty reply would be the end. */
static void a_first_record_without_room(void **state) {
  struct rig *rig = *state;
  rig->b.fs.records = 30;
  for (uint32_t size = 0; size < 160; size += 5) {
    struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 5, size, 0);
    assert_int_equal(fuse_message_error(m), -EINVAL);
    fuse_message_free(m);
    session_bench_reap(&rig->b);
    assert_int_equal(nodes_given(rig), 0);
  }
  struct fuse_message *m = list(rig, FUSE_READDIR, 5, 31, 0);
  assert_int_equal(fuse_message_error(m), -EINVAL);
  fuse_message_free(m);
  /* The end is the end in any room. */
  m = list(rig, FUSE_READDIRPLUS, 30, 0, 0);
  assert_int_equal(fuse_message_size(m), 0);
  fuse_message_free(m);
  m = list(rig, FUSE_READDIR, UINT64_C(1) << 62, 1000, 0);
  assert_int_equal(fuse_message_size(m), 0);
  fuse_message_free(m);
}

/* What doesn't fit into the table comes without its node; the guest looks it up, and is refused there. */
static void a_full_table(void **state) {
  struct rig *rig = *state;
  uint64_t offset = 0;
  unsigned nodes = 0;
  rig->b.fs.records = 100;
  struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 0, 100 * 200, 0);
  assert_int_equal(check_records(m, true, &offset, &nodes), 100);
  assert_int_equal(nodes, 60);
  assert_int_equal(nodes_given(rig), 60);
  fuse_message_free(m);
}

struct script {
  unsigned step;
  int rc;
};

static void add(struct virtiofs_readdir_out *out, const char *name, uint32_t len, uint64_t node, uint64_t next,
                bool want) {
  struct virtiofs_dirent entry = {.name = name, .len = len, .ino = 5, .next = next, .type = VIRTIOFS_S_IFREG | 0644};
  struct virtiofs_entry_out plus = {.node = node, .attr = {.mode = VIRTIOFS_S_IFREG, .ino = 5}};
  assert_int_equal(virtiofs_readdirplus_add(out, &entry, node != 0 ? &plus : NULL), want);
}

/* Runs in place of the listing, which has no records of its own. */
static int odd_names(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  static char long_name[1100];
  struct script *script = fs->hook_ctx;
  (void)req;
  (void)opcode;
  (void)rc;
  memset(long_name, 'n', sizeof long_name);
  script->step++;
  fs->given[50] += 9; /* 1 is given, 2 go back by "." and "..", 6 with names that break the rules */
  add(out, ".", 1, 50, 1, true);
  add(out, "..", 2, 50, 2, true);
  add(out, "a/b", 3, 50, 3, true);
  add(out, "", 0, 50, 3, true);
  add(out, "a\0b", 3, 50, 3, true);
  add(out, long_name, 1025, 50, 3, true);
  add(out, "x", 1, 50, UINT64_MAX, true);
  struct virtiofs_dirent entry = {.name = "y", .len = 1, .next = 3};
  struct virtiofs_entry_out unsound = {.node = 50, .attr = {.mode = 0}};
  assert_true(virtiofs_readdirplus_add(out, &entry, &unsound));
  add(out, "z", 1, 50, 4, true);
  add(out, "zz", 2, 0, 5, true);
  return script->rc;
}

static int odd_hook(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  return opcode == FUSE_READDIRPLUS ? odd_names(fs, req, opcode, rc, out) : rc;
}

static void dots_and_bad_names(void **state) {
  struct rig *rig = *state;
  struct script script = {0};
  rig->b.fs.hook = odd_hook;
  rig->b.fs.hook_ctx = &script;
  struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 0, 4000, 0);
  assert_int_equal(script.step, 1);
  const unsigned char *at = fuse_message_args(m);
  assert_int_equal(fuse_message_size(m), 4 * 160);
  static const char *const names[] = {".", "..", "z", "zz"};
  for (unsigned i = 0; i < 4; i++) {
    const struct fuse_direntplus *record = (const void *)(at + i * 160);
    assert_int_equal(record->dirent.namelen, strlen(names[i]));
    assert_memory_equal(record->dirent.name, names[i], strlen(names[i]));
    assert_int_equal(record->entry_out.nodeid != 0, i == 2);
    assert_int_equal(record->dirent.type, 8);
  }
  fuse_message_free(m);
  session_bench_reap(&rig->b);
  assert_int_equal(rig->b.fs.given[50], 1);
}

/* Records went in, and then the backend has an error: the guest gets what there is, as it has got the nodes. */
static void an_error_behind_records(void **state) {
  struct rig *rig = *state;
  struct script script = {.rc = -EIO};
  rig->b.fs.hook = odd_hook;
  rig->b.fs.hook_ctx = &script;
  struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 0, 4000, 0);
  assert_int_equal(fuse_message_error(m), 0);
  assert_int_equal(fuse_message_size(m), 4 * 160);
  const struct fuse_direntplus *record = (const void *)((const char *)fuse_message_args(m) + (size_t)2 * 160);
  session_bench_forget(&rig->b, 1, record->entry_out.nodeid, 1);
  session_bench_reap(&rig->b);
  assert_int_equal(rig->b.fs.given[50], 0);
  fuse_message_free(m);
}

static int refuse(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)req;
  (void)out;
  return opcode == FUSE_READDIRPLUS ? -EACCES : rc;
}

static void an_error_before_records(void **state) {
  struct rig *rig = *state;
  rig->b.fs.hook = refuse;
  struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 0, 4000, 7);
  assert_int_equal(fuse_message_error(m), -EACCES);
  fuse_message_free(m);
}

/* Answered later: the records lie in guest memory until then. */
static void a_listing_that_takes_time(void **state) {
  struct rig *rig = *state;
  uint64_t offset = 0;
  unsigned nodes = 0;
  rig->b.fs.records = 30;
  rig->b.fs.pend = UINT64_C(1) << FUSE_READDIRPLUS;
  struct fuse_message *m = list(rig, FUSE_READDIRPLUS, 0, 600, 0);
  assert_false(fuse_message_is_answered(m));
  script_fs_answer(&rig->b.fs, 0);
  assert_int_equal(check_records(m, true, &offset, &nodes), 3);
  session_bench_reap(&rig->b);
  assert_int_equal(nodes_given(rig), nodes);
  fuse_message_free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(readdir_in_any_room),     TEST(readdirplus_in_any_room), TEST(a_first_record_without_room),
      TEST(a_full_table),            TEST(dots_and_bad_names),      TEST(an_error_behind_records),
      TEST(an_error_before_records), TEST(a_listing_that_takes_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
