/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a share, its limits, and what is left after it is closed. */
#include "passthrough_share.h"

#include <sys/resource.h>

static void config_is_checked(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs = (void *)s;
  struct {
    struct virtiofs_passthrough_config ours;
    uint64_t newer;
  } config = {.ours = {.size = sizeof config, .shared_dir = s->dir}};
  assert_int_equal(virtiofs_passthrough_new(&fs, NULL), -EINVAL);
  assert_null(fs);
  assert_int_equal(virtiofs_passthrough_new(&fs, &config.ours), 0);
  virtiofs_passthrough_free(fs);
  config.newer = 1;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config.ours), -E2BIG);
  config.ours.size = offsetof(struct virtiofs_passthrough_config, entry_valid_ns);
  assert_int_equal(virtiofs_passthrough_new(&fs, &config.ours), 0);
  virtiofs_passthrough_free(fs);
  config.ours.size = sizeof config.ours.size;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config.ours), -EINVAL);
  config.ours.size = 0;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config.ours), -EINVAL);
  virtiofs_passthrough_free(NULL);
}

static void directory_is_checked(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  char path[300];
  share_put_file(s, "file", "", 0600);
  struct virtiofs_passthrough_config config = {.size = sizeof config, .shared_dir = path};
  snprintf(path, sizeof path, "%s/file", s->dir);
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -ENOTDIR);
  snprintf(path, sizeof path, "%s/nothing", s->dir);
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -ENOENT);
  assert_null(fs);
}

/* It is served wherever it has gone, whatever has its name now, and by a descriptor that is ours alone. */
static void directory_by_descriptor(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  char old[300], new[300];
  snprintf(old, sizeof old, "%s/dir", s->dir);
  snprintf(new, sizeof new, "%s/moved", s->dir);
  assert_int_equal(mkdir(old, 0700), 0);
  struct virtiofs_passthrough_config config = {.size = sizeof config, .shared_fd = open(old, O_PATH | O_CLOEXEC)};
  assert_true(config.shared_fd > 0);
  assert_int_equal(rename(old, new), 0);
  struct stat st = share_stat(s, "moved");
  for (unsigned named = 0; named < 2; named++) {
    config.shared_dir = named != 0 ? "/nowhere" : NULL;
    assert_int_equal(virtiofs_passthrough_new(&fs, &config), 0);
    if (named != 0)
      close(config.shared_fd);
    struct virtiofs_req req = {.fs = fs};
    struct virtiofs_init_out init = {.root = 0};
    struct virtiofs_attr_out out = {.attr_valid_ns = 0};
    assert_int_equal(s->ops->init(&req, &(struct virtiofs_init_in){.flags = 0}, &init), 0);
    assert_int_equal(s->ops->getattr(&req, &(struct virtiofs_getattr_in){.node = init.root}, &out), 0);
    assert_int_equal(out.attr.ino, st.st_ino);
    virtiofs_passthrough_free(fs);
  }
  config.shared_fd = 1 << 20; /* there is none */
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -ENOENT);
  config.shared_fd = -1;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
  share_put_file(s, "file", "", 0600);
  config.shared_fd = openat(s->fd, "file", O_RDONLY | O_CLOEXEC);
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -ENOTDIR);
  close(config.shared_fd);
}

/* One guest's part of what the process may have. */
static void fewer_descriptors(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough_usage usage;
  virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
  uint64_t all = usage.max_descriptors;
  for (uint32_t max = 100; max <= 1 << 24; max <<= 6) {
    virtiofs_passthrough_free(s->fs);
    share_serve(s, (struct virtiofs_passthrough_config){.max_fds = max});
    virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
    assert_int_equal(usage.max_descriptors, max < all ? max : all);
  }
}

#define AT(op) offsetof(struct virtiofs_ops, op)

/* Those that it leaves to the guest, or that a host directory has no use for. */
static bool left_out(size_t at) {
  static const size_t offsets[] = {AT(destroy), AT(access), AT(bmap), AT(poll)};
  for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
    if (offsets[i] == at)
      return true;
  return false;
}

static void it_has_the_operations_of_a_file_system(void **state) {
  (void)state;
  struct virtiofs_ops ops = *virtiofs_passthrough_ops();
  assert_int_equal(ops.size, sizeof ops);
  assert_true((ops.blocking & VIRTIOFS_BLOCKING_READ) != 0);
  assert_true((ops.blocking & VIRTIOFS_BLOCKING_GETATTR) == 0);
  for (size_t at = offsetof(struct virtiofs_ops, init); at < sizeof ops; at += sizeof ops.init) {
    void (*op)(void);
    memcpy(&op, (char *)&ops + at, sizeof op);
    assert_int_equal(op != NULL, !left_out(at));
  }
}

static void root_is_permanent(void **state) {
  struct share *s = *state;
  struct virtiofs_getattr_in in = {.node = s->root};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  share_forget(s, s->root, UINT64_MAX);
  assert_int_equal(s->ops->getattr(&s->req, &in, &out), 0);
  struct stat st = share_stat(s, ".");
  share_assert_attr(&out.attr, &st);
}

static void open_what_guest_left_is_closed(void **state) {
  struct share *s = *state; /* teardown counts descriptors; nothing is forgotten here */
  char name[16];
  for (int i = 0; i < 5000; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "", 0600);
    share_lookup(s, name);
  }
}

static void inodes_come_and_go(void **state) {
  struct share *s = *state;
  enum { COUNT = 6000 };
  static uint64_t nodes[COUNT];
  char name[16];
  int before = share_open_fds();
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "", 0600);
    nodes[i] = share_lookup(s, name);
  }
  assert_int_equal(share_open_fds(), before + share_inode_fds(COUNT));
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "f%d", i);
    assert_int_equal(share_lookup(s, name), nodes[i]);
    share_forget(s, nodes[i], 2);
  }
  assert_int_equal(share_open_fds(), before);
}

/* With 40 descriptors a quarter is kept back; the root has one of the other 30. */
static void budget_ends_cleanly(void **state) {
  struct share *s = *state;
  struct rlimit old, small;
  if (share_has_handles())
    skip(); /* test_passthrough_handles.c */
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  small = (struct rlimit){.rlim_cur = 40, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

  uint64_t nodes[29];
  char name[16];
  for (int i = 0; i < 29; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "text", 0600);
    nodes[i] = share_lookup(s, name);
  }
  share_put_file(s, "more", "text", 0600);
  struct virtiofs_entry_out entry;
  struct virtiofs_create_out created;
  uint64_t handle;
  fake_log_count = 0;
  assert_int_equal(share_try_lookup(s, s->root, "more", &entry), -ENFILE);
  assert_int_equal(fake_log_count, 1);
  assert_int_equal(share_try_open(s, nodes[0], O_RDONLY, &handle), -ENFILE);
  struct virtiofs_opendir_in opendir_in = {.node = s->root};
  struct virtiofs_open_out opendir_out;
  assert_int_equal(s->ops->opendir(&s->req, &opendir_in, &opendir_out), -ENFILE);
  assert_int_equal(fake_log_count, 2); /* the third time is not said */
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0700, &entry), -ENFILE);
  assert_false(share_has(s, "dir"));
  assert_int_equal(share_try_create(s, "new", O_RDWR, 0600, &created), -ENFILE);
  assert_false(share_has(s, "new"));
  assert_int_equal(share_lookup(s, "f3"), nodes[3]); /* what is known needs nothing */

  share_forget(s, nodes[0], 1);
  assert_int_equal(share_try_create(s, "new", O_RDWR, 0600, &created), -ENFILE); /* needs two */
  assert_false(share_has(s, "new"));
  handle = share_open(s, nodes[1], O_RDONLY);
  share_release(s, handle);
  share_lookup(s, "more");
  assert_int_equal(share_try_lookup(s, s->root, "f0", &entry), -ENFILE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(config_is_checked),       share_test(directory_is_checked),
      share_test(directory_by_descriptor), share_test(it_has_the_operations_of_a_file_system),
      share_test(root_is_permanent),       share_test(open_what_guest_left_is_closed),
      share_test(inodes_come_and_go),      share_test(budget_ends_cleanly),
      share_test(fewer_descriptors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
