/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <virtiofs/null.h>

#include "../support/fake_req.h"

struct bench {
  struct virtiofs_null *fs;
  const struct virtiofs_ops *ops;
  struct virtiofs_req req;
  uint64_t root;
  struct virtiofs_readdir_out list;
};

static void serve(struct bench *b, struct virtiofs_null_config config) {
  config.size = sizeof config;
  assert_int_equal(virtiofs_null_new(&b->fs, &config), 0);
  b->req.fs = b->fs;
  b->ops = virtiofs_null_ops();
  struct virtiofs_init_in in = {.major = 7};
  struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE};
  assert_int_equal(b->ops->init(&b->req, &in, &out), 0);
  b->root = out.root;
}

static int setup(void **state) {
  *state = calloc(1, sizeof(struct bench));
  return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_null_free(b->fs);
  free(b);
  return 0;
}

static struct virtiofs_name name_of(const char *str) {
  return (struct virtiofs_name){.str = str, .len = (uint32_t)strlen(str)};
}

static int lookup(struct bench *b, uint64_t parent, const char *name, struct virtiofs_entry_out *out) {
  struct virtiofs_lookup_in in = {.parent = parent, .name = name_of(name)};
  *out = (struct virtiofs_entry_out){.node = 0};
  return b->ops->lookup(&b->req, &in, out);
}

static uint32_t type_of(struct bench *b, uint64_t node) {
  struct virtiofs_getattr_in in = {.node = node};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  assert_int_equal(b->ops->getattr(&b->req, &in, &out), 0);
  return out.attr.mode & VIRTIOFS_S_IFMT;
}

static void configs_are_checked(void **state) {
  (void)state;
  struct virtiofs_null *fs;
  struct {
    struct virtiofs_null_config config;
    uint64_t more;
  } longer = {.config = {.size = sizeof longer}};
  assert_int_equal(virtiofs_null_new(&fs, &longer.config), 0);
  virtiofs_null_free(fs);
  longer.more = 1;
  assert_int_equal(virtiofs_null_new(&fs, &longer.config), -E2BIG);
  assert_null(fs);
  assert_int_equal(virtiofs_null_new(&fs, &(struct virtiofs_null_config){.size = 1}), -EINVAL);
  struct virtiofs_null_config large = {.size = sizeof large, .file_size = (uint64_t)INT64_MAX + 1};
  assert_int_equal(virtiofs_null_new(&fs, &large), -EINVAL);
  assert_int_equal(virtiofs_null_new(&fs, NULL), 0);
  virtiofs_null_free(fs);
  virtiofs_null_free(NULL);
}

static void names_say_what_they_are(void **state) {
  struct bench *b = *state;
  struct virtiofs_entry_out out, again;
  serve(b, (struct virtiofs_null_config){.file_size = 5000, .entry_valid_ns = 3, .attr_valid_ns = 4});
  assert_int_equal(type_of(b, b->root), VIRTIOFS_S_IFDIR);

  assert_int_equal(lookup(b, b->root, "file", &out), 0);
  assert_int_equal(out.attr.mode & VIRTIOFS_S_IFMT, VIRTIOFS_S_IFREG);
  assert_int_equal(out.attr.size, 5000);
  assert_int_equal(out.attr.blocks, 10);
  assert_int_equal(out.entry_valid_ns, 3);
  assert_int_equal(out.attr_valid_ns, 4);
  assert_int_equal(type_of(b, out.node), VIRTIOFS_S_IFREG);
  assert_int_equal(lookup(b, b->root, "file", &again), 0);
  assert_int_equal(again.node, out.node);
  assert_int_equal(again.attr.ino, out.attr.ino);
  assert_int_equal(lookup(b, out.node, "file", &again), -ENOTDIR);

  assert_int_equal(lookup(b, b->root, "dir", &out), 0);
  assert_int_equal(type_of(b, out.node), VIRTIOFS_S_IFDIR);
  assert_int_equal(lookup(b, out.node, "file", &again), 0);
  assert_int_equal(lookup(b, b->root, "file", &out), 0);
  assert_int_not_equal(again.node, out.node);
  assert_int_equal(lookup(b, b->root, "new-one", &out), -ENOENT);
}

static void what_is_made_is_what_was_asked_for(void **state) {
  struct bench *b = *state;
  serve(b, (struct virtiofs_null_config){.entries = 0});
  struct virtiofs_entry_out out = {.node = 0};
  struct virtiofs_mkdir_in mkdir = {.parent = b->root, .name = name_of("new")};
  assert_int_equal(b->ops->mkdir(&b->req, &mkdir, &out), 0);
  assert_int_equal(type_of(b, out.node), VIRTIOFS_S_IFDIR);
  struct virtiofs_symlink_in symlink = {.parent = b->root, .name = name_of("new"), .target = name_of("x")};
  assert_int_equal(b->ops->symlink(&b->req, &symlink, &out), 0);
  assert_int_equal(type_of(b, out.node), VIRTIOFS_S_IFLNK);
  struct virtiofs_mknod_in mknod = {.parent = b->root, .name = name_of("new"), .mode = VIRTIOFS_S_IFIFO};
  assert_int_equal(b->ops->mknod(&b->req, &mknod, &out), 0);
  assert_int_equal(type_of(b, out.node), VIRTIOFS_S_IFIFO);
  struct virtiofs_create_in create = {.parent = b->root, .name = name_of("new")};
  struct virtiofs_create_out made = {.open = {.handle = 0}};
  assert_int_equal(b->ops->create(&b->req, &create, &made), 0);
  assert_int_equal(type_of(b, made.entry.node), VIRTIOFS_S_IFREG);
  struct virtiofs_unlink_in unlink = {.parent = b->root, .name = name_of("new")};
  assert_int_equal(b->ops->unlink(&b->req, &unlink), 0);
  struct virtiofs_link_in link = {.new_parent = b->root, .node = made.entry.node, .name = name_of("new")};
  assert_int_equal(b->ops->link(&b->req, &link, &out), 0);
  assert_int_equal(out.node, made.entry.node);
}

static int read_at(struct bench *b, uint64_t offset, char *buf, uint32_t first, uint32_t second) {
  struct iovec iov[2] = {{.iov_base = buf, .iov_len = first}, {.iov_base = buf + first, .iov_len = second}};
  struct virtiofs_read_in in = {
      .offset = offset, .size = first + second, .data = {.iov = iov, .count = 2, .size = first + second}};
  struct virtiofs_read_out out = {.size = 0};
  assert_int_equal(b->ops->read(&b->req, &in, &out), 0);
  return (int)out.size;
}

static void reads_are_zeros_up_to_the_size(void **state) {
  struct bench *b = *state;
  char buf[64];
  serve(b, (struct virtiofs_null_config){.file_size = 100});
  memset(buf, 'x', sizeof buf);
  assert_int_equal(read_at(b, 0, buf, 3, 5), 8);
  assert_memory_equal(buf, "\0\0\0\0\0\0\0\0xx", 10);
  memset(buf, 'x', sizeof buf);
  assert_int_equal(read_at(b, 95, buf, 3, 40), 5);
  assert_memory_equal(buf, "\0\0\0\0\0xx", 7);
  assert_int_equal(read_at(b, 100, buf, 3, 5), 0);
  assert_int_equal(read_at(b, 101, buf, 3, 5), 0);
}

static void reads_may_leave_the_bytes(void **state) {
  struct bench *b = *state;
  char buf[8] = "xxxxxxx";
  serve(b, (struct virtiofs_null_config){.leave_bytes = true});
  assert_int_equal(read_at(b, 0, buf, 3, 5), 8);
  assert_string_equal(buf, "xxxxxxx");
}

static uint32_t list_from(struct bench *b, uint64_t offset, uint32_t size, bool plus) {
  struct virtiofs_readdir_in in = {.node = b->root, .offset = offset, .size = size};
  b->list.ops = b->ops;
  b->list.req = &b->req;
  b->list.plus = plus;
  b->list.room = size;
  b->list.count = 0;
  assert_int_equal((plus ? b->ops->readdirplus : b->ops->readdir)(&b->req, &in, &b->list), 0);
  return b->list.count;
}

static void listings_have_so_many_names(void **state) {
  struct bench *b = *state;
  struct virtiofs_entry_out out;
  serve(b, (struct virtiofs_null_config){.entries = 1000});
  for (int plus = 0; plus <= 1; plus++) {
    uint32_t names = 0;
    uint64_t offset = 0;
    while (list_from(b, offset, 2000, plus) > 0) {
      for (uint32_t i = 0; i < b->list.count; i++) {
        assert_int_equal(lookup(b, b->root, b->list.records[i].name, &out), 0);
        assert_int_equal(out.attr.ino, b->list.records[i].ino);
        assert_int_equal(plus ? out.node : 0, b->list.records[i].node);
      }
      names += b->list.count;
      offset = b->list.records[b->list.count - 1].next;
    }
    assert_int_equal(names, 1000);
  }
  assert_string_equal((list_from(b, 999, 2000, false), b->list.records[0].name), "entry-000000000999");
  assert_int_equal(list_from(b, UINT64_MAX, 2000, false), 0);
  assert_int_equal(fake_handed_back, 0);
}

static void holes_are_at_the_end(void **state) {
  struct bench *b = *state;
  serve(b, (struct virtiofs_null_config){.file_size = 100});
  struct virtiofs_lseek_in in = {.offset = 7, .whence = SEEK_DATA};
  struct virtiofs_lseek_out out = {.offset = 0};
  assert_int_equal(b->ops->lseek(&b->req, &in, &out), 0);
  assert_int_equal(out.offset, 7);
  in.whence = SEEK_HOLE;
  assert_int_equal(b->ops->lseek(&b->req, &in, &out), 0);
  assert_int_equal(out.offset, 100);
  in.offset = 100;
  assert_int_equal(b->ops->lseek(&b->req, &in, &out), -ENXIO);
  in.whence = SEEK_CUR;
  assert_int_equal(b->ops->lseek(&b->req, &in, &out), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(configs_are_checked),
      cmocka_unit_test_setup_teardown(names_say_what_they_are, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_made_is_what_was_asked_for, setup, teardown),
      cmocka_unit_test_setup_teardown(reads_are_zeros_up_to_the_size, setup, teardown),
      cmocka_unit_test_setup_teardown(reads_may_leave_the_bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(listings_have_so_many_names, setup, teardown),
      cmocka_unit_test_setup_teardown(holes_are_at_the_end, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
