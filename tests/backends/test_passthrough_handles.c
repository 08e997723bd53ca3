/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are known by handle: what is on the host in the meantime, and how many descriptors that takes. */
#include "passthrough_share.h"

#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "backends/passthrough/handle.h"
#include "backends/passthrough/share.h"

enum { CACHED = 4 };

/* Of the first setup's server nothing is wanted but the directory. */
static int setup(void **state) {
  if (share_setup(state) != 0)
    return -1;
  struct share *s = *state;
  virtiofs_passthrough_free(s->fs);
  share_serve_as(s, (struct virtiofs_passthrough_config){.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY,
                                                         .inode_fds = CACHED});
  return 0;
}

static int getattr(struct share *s, uint64_t node, struct virtiofs_attr_out *out) {
  struct virtiofs_getattr_in in = {.node = node};
  *out = (struct virtiofs_attr_out){.attr_valid_ns = 0};
  return s->ops->getattr(&s->req, &in, out);
}

static int try_getattr(struct share *s, uint64_t node) {
  struct virtiofs_attr_out out;
  return getattr(s, node, &out);
}

/* So that the others' descriptors have to go. */
static void use_others(struct share *s) {
  static const char *const names[] = {"other0", "other1", "other2", "other3", "other4", "other5", "other6", "other7"};
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 2 * CACHED; i++) {
      if (round == 0)
        share_put_file(s, names[i], "", 0600);
      uint64_t node = share_lookup(s, names[i]);
      assert_int_equal(try_getattr(s, node), 0);
      assert_int_equal(try_getattr(s, node), 0);
    }
  }
}

static void deleted_file_is_stale(void **state) {
  struct share *s = *state;
  uint64_t handle;
  share_put_file(s, "file", "old", 0600);
  uint64_t old = share_lookup(s, "file");
  ino_t ino = share_stat(s, "file").st_ino;
  assert_int_equal(unlinkat(s->fd, "file", 0), 0);
  share_await_stale(s, old);
  bool reused = false;
  char name[16];
  for (int i = 0; i < 100 && !reused; i++) { /* the number is another file's soon */
    snprintf(name, sizeof name, "new%d", i);
    share_put_file(s, name, "new", 0600);
    reused = share_stat(s, name).st_ino == ino;
  }
  if (!reused)
    print_message("the number was not used again\n");
  uint64_t new = share_lookup(s, name);
  assert_int_not_equal(new, old);
  assert_int_equal(try_getattr(s, new), 0);
  assert_int_equal(try_getattr(s, old), -ESTALE);
  assert_int_equal(share_try_open(s, old, O_RDONLY, &handle), -ESTALE);
  struct virtiofs_setattr_in in = {.node = old, .valid = VIRTIOFS_SET_SIZE};
  struct virtiofs_attr_out out;
  assert_int_equal(s->ops->setattr(&s->req, &in, &out), -ESTALE);
  assert_int_equal(share_stat(s, name).st_size, 3);
  assert_int_equal(share_lookup(s, name), new);
  share_forget(s, old, 1);
  assert_int_equal(share_lookup(s, name), new);
  share_forget(s, new, 3);
}

static void renamed_file_is_the_same(void **state) {
  struct share *s = *state;
  char buf[8] = "";
  assert_int_equal(mkdirat(s->fd, "a", 0700) | mkdirat(s->fd, "a/b", 0700), 0);
  share_put_file(s, "a/b/file", "text", 0600);
  uint64_t a = share_lookup(s, "a");
  struct virtiofs_entry_out b, file;
  assert_int_equal(share_try_lookup(s, a, "b", &b), 0);
  assert_int_equal(share_try_lookup(s, b.node, "file", &file), 0);
  use_others(s);
  assert_int_equal(renameat(s->fd, "a/b/file", s->fd, "a/b/moved"), 0);
  assert_int_equal(renameat(s->fd, "a/b", s->fd, "c"), 0);
  uint64_t handle = share_open(s, file.node, O_RDONLY);
  assert_int_equal(share_read(s, handle, 0, buf, 4), 4);
  assert_string_equal(buf, "text");
  share_release(s, handle);
  assert_int_equal(share_lookup(s, "c"), b.node);
  struct virtiofs_entry_out moved;
  assert_int_equal(share_try_lookup(s, b.node, "moved", &moved), 0);
  assert_int_equal(moved.node, file.node);
}

/* An open file lives on without a name, and without the node's descriptor. */
static void unlinked_file_lives_while_it_is_open(void **state) {
  struct share *s = *state;
  struct virtiofs_attr_out out;
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file");
  uint64_t handle = share_open(s, node, O_RDWR);
  struct virtiofs_unlink_in in = {.parent = s->root, .name = share_name("file")};
  assert_int_equal(s->ops->unlink(&s->req, &in), 0);
  use_others(s);
  assert_int_equal(getattr(s, node, &out), 0);
  assert_int_equal(out.attr.nlink, 0);
  assert_int_equal(out.attr.size, 4);
  share_release(s, handle);
  use_others(s);
  share_await_stale(s, node);
}

/* Between the look at a name and the taking of its handle it may be replaced, and even with a file of another type. */
static void handle_of_another_file_is_stale(void **state) {
  struct share *s = *state;
  struct statx stx;
  struct handle handle;
  struct inode *inode;
  share_put_file(s, "file", "", 0600);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  assert_int_equal(statx(s->fd, "file", 0, PASSTHROUGH_STATX_MASK, &stx), 0);
  assert_int_equal(virtiofs_passthrough_handle_of(s->fd, "fifo", &handle), 0);
  struct inode_parts parts = {.stx = &stx,
                              .mount =
                                  virtiofs_passthrough_mount_get(s->fs, s->fs->root, virtiofs_passthrough_mnt_id(&stx)),
                              .handle = &handle};
  assert_non_null(parts.mount);
  assert_int_equal(virtiofs_passthrough_inode_enter(s->fs, &parts, &inode), 0);
  uint64_t node = (uintptr_t)inode, opened;
  assert_int_equal(try_getattr(s, node), -ESTALE);
  assert_int_equal(share_try_open(s, node, O_RDONLY, &opened), -ESTALE);
  uint64_t file = share_lookup(s, "file");
  assert_int_not_equal(file, node);
  assert_int_equal(try_getattr(s, file), 0);
  share_forget(s, file, 1);
  share_forget(s, node, 1);
}

static void few_descriptors_serve_many_files(void **state) {
  struct share *s = *state;
  enum { COUNT = 300 };
  static uint64_t nodes[COUNT];
  struct virtiofs_attr_out out;
  char name[16];
  int before = share_all_fds();
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, i % 2 ? "x" : "", 0600);
    nodes[i] = share_lookup(s, name);
  }
  assert_int_equal(share_all_fds(), before); /* a look takes none */
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < COUNT; i++) {
      assert_int_equal(getattr(s, nodes[i], &out), 0);
      assert_int_equal(out.attr.size, i % 2);
    }
    assert_int_equal(share_all_fds(), before + CACHED);
  }
  for (int i = 0; i < COUNT; i++)
    share_forget(s, nodes[i], 1);
  assert_int_equal(share_all_fds(), before);
}

/* With 40 descriptors a quarter is kept back; the root and its mount have two of the other 30. What is only cached
 * makes room for open files; and when these have all, files that are known can be used none the less. */
static void open_files_come_first(void **state) {
  struct share *s = *state;
  struct rlimit old, small;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  small = (struct rlimit){.rlim_cur = 40, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
  virtiofs_passthrough_free(s->fs);
  share_serve_as(s, (struct virtiofs_passthrough_config){.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY,
                                                         .inode_fds = 20});
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

  enum { FILES = 28 };
  uint64_t nodes[FILES], handles[FILES], handle;
  char name[16];
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "text", 0600);
    nodes[i] = share_lookup(s, name);
    assert_int_equal(try_getattr(s, nodes[i]), 0);
  }
  fake_log_count = 0;
  for (int i = 0; i < FILES; i++)
    handles[i] = share_open(s, nodes[i], O_RDONLY);
  assert_int_equal(fake_log_count, 0);
  assert_int_equal(share_try_open(s, nodes[0], O_RDONLY, &handle), -ENFILE);
  assert_int_equal(fake_log_count, 1);
  struct virtiofs_create_out created;
  assert_int_equal(share_try_create(s, "new", O_RDWR, 0600, &created), -ENFILE);
  assert_false(share_has(s, "new"));
  struct virtiofs_entry_out dir;
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0700, &dir), 0);
  for (int i = 0; i < FILES; i++) {
    assert_int_equal(try_getattr(s, nodes[i]), 0);
    share_release(s, handles[i]);
  }
  assert_int_equal(share_try_create(s, "new", O_RDWR, 0600, &created), 0);
  share_release(s, created.open.handle);
}

static void serve_idle(struct share *s, uint32_t idle_ms) {
  virtiofs_passthrough_free(s->fs);
  share_serve_as(s, (struct virtiofs_passthrough_config){.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY,
                                                         .inode_idle_ms = idle_ms});
}

static bool fds_fall_to(int wanted) {
  const struct timespec pause = {.tv_nsec = 1000 * 1000};
  for (int i = 0; i < 20000 && share_all_fds() > wanted; i++)
    nanosleep(&pause, NULL); /* nothing tells when another thread closes something */
  return share_all_fds() == wanted;
}

/* And it begins again when something is there again. */
static void unused_descriptors_are_closed(void **state) {
  struct share *s = *state;
  enum { COUNT = 500 };
  char name[16];
  serve_idle(s, 1);
  int before = share_all_fds();
  uint64_t nodes[COUNT];
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "", 0600);
    nodes[i] = share_lookup(s, name);
  }
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < COUNT; i++)
      assert_int_equal(try_getattr(s, nodes[i]), 0);
    assert_true(fds_fall_to(before));
  }
}

/* Borrowed by other threads all the time: never closed under their feet, and all answers are right. */
static atomic_bool done_using;

static void *use_all_the_time(void *arg) {
  struct share *s = arg;
  struct virtiofs_req req = s->req;
  struct virtiofs_getattr_in in = {.node = s->opened};
  struct virtiofs_attr_out out;
  uintptr_t wrong = 0;
  while (!atomic_load(&done_using)) {
    out = (struct virtiofs_attr_out){.attr_valid_ns = 0};
    wrong += s->ops->getattr(&req, &in, &out) != 0 || out.attr.size != 4;
  }
  return (void *)wrong;
}

static void what_is_used_is_not_closed(void **state) {
  struct share *s = *state;
  enum { USERS = 3, ROUNDS = 300 };
  pthread_t threads[USERS];
  void *wrong;
  serve_idle(s, 1);
  share_put_file(s, "file", "text", 0600);
  share_put_file(s, "other", "text", 0600);
  s->opened = share_lookup(s, "file");
  uint64_t other = share_lookup(s, "other");
  atomic_store(&done_using, false);
  for (int i = 0; i < USERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, use_all_the_time, s), 0);
  for (int i = 0; i < ROUNDS; i++) {
    assert_int_equal(try_getattr(s, other), 0);
    (void)virtiofs_passthrough_fdcache_sweep(s->fs);
  }
  atomic_store(&done_using, true);
  for (int i = 0; i < USERS; i++) {
    pthread_join(threads[i], &wrong);
    assert_null(wrong);
  }
}

/* procfs has no file handles. */
static void without_handles_it_depends(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  struct virtiofs_passthrough_config config = {
      .size = sizeof config, .shared_dir = "/proc", .inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY};
  fake_log_count = 0;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EOPNOTSUPP);
  assert_int_equal(fake_log_count, 1);
  config.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_PREFER;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), 0);
  assert_int_equal(fake_log_count, 2);
  assert_non_null(strstr(fake_log_last, "keeps a descriptor"));
  struct virtiofs_req req = {.fs = fs, .caller = s->req.caller};
  struct virtiofs_init_in init_in = {.major = 7, .minor = 38};
  struct virtiofs_init_out init_out = {.root = VIRTIOFS_ROOT_NODE};
  assert_int_equal(s->ops->init(&req, &init_in, &init_out), 0);
  struct virtiofs_lookup_in in = {.parent = init_out.root, .name = share_name("version")};
  struct virtiofs_entry_out out;
  int before = share_all_fds();
  assert_int_equal(s->ops->lookup(&req, &in, &out), 0);
  assert_int_equal(share_all_fds(), before + 1);
  virtiofs_passthrough_free(fs);
  config.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_NEVER;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), 0);
  assert_int_equal(fake_log_count, 2); /* nobody has asked for them */
  virtiofs_passthrough_free(fs);
  config.inode_file_handles = (enum virtiofs_passthrough_handles)3;
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, share_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(deleted_file_is_stale),
      TEST(renamed_file_is_the_same),
      TEST(unlinked_file_lives_while_it_is_open),
      TEST(handle_of_another_file_is_stale),
      TEST(few_descriptors_serve_many_files),
      TEST(open_files_come_first),
      TEST(unused_descriptors_are_closed),
      TEST(what_is_used_is_not_closed),
      TEST(without_handles_it_depends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
