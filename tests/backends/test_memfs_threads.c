/* SPDX-License-Identifier: BSD-3-Clause */
/* Many threads on the same few names; to be run under TSan. cmocka's assertions belong to the first thread: others
 * count. */
#include "memfs_tree.h"

#include <pthread.h>
#include <stdatomic.h>

/* Directories are locked in the order of the tree, which renaming changes: what looks like a circle over time is none.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "detect_deadlocks=0";
}

enum { THREADS = 8, ROUNDS = 20000, DIRS = 6, NAMES = 5 };

static atomic_int wrong;
static uint64_t dirs[DIRS]; /* the guest has them, wherever they are */

struct worker {
  struct tree *t;
  struct virtiofs_req req;
  unsigned number;
  uint64_t random;
  struct virtiofs_readdir_out list;
};

static void expect(bool good) {
  if (!good)
    atomic_fetch_add(&wrong, 1);
}

static unsigned below(struct worker *w, unsigned n) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return (unsigned)(w->random % n);
}

static void run(struct tree *t, void *(*body)(void *)) {
  pthread_t threads[THREADS];
  struct worker *workers = calloc(THREADS, sizeof *workers);
  assert_non_null(workers);
  atomic_store(&wrong, 0);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i].t = t;
    workers[i].req = t->req;
    workers[i].number = i;
    workers[i].random = i + 1;
    assert_int_equal(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  free(workers);
  assert_int_equal(atomic_load(&wrong), 0);
}

static struct virtiofs_name some_name(struct worker *w) {
  static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};
  return tree_name(names[below(w, NAMES)]);
}

static void forget(struct worker *w, uint64_t node) {
  struct virtiofs_forget_in in = {.node = node, .replies = 1};
  if (node != 0)
    w->t->ops->forget(&w->req, &in);
}

/* ---- names ---- */

static void do_make(struct worker *w, uint64_t dir) {
  const struct virtiofs_ops *ops = w->t->ops;
  struct virtiofs_entry_out out = {.node = 0};
  struct virtiofs_mkdir_in mkdir = {.parent = dir, .name = some_name(w), .mode = 0755};
  struct virtiofs_mknod_in mknod = {.parent = dir, .name = some_name(w), .mode = VIRTIOFS_S_IFREG | 0644};
  int rc = below(w, 2) == 0 ? ops->mkdir(&w->req, &mkdir, &out) : ops->mknod(&w->req, &mknod, &out);
  expect(rc == 0 || rc == -EEXIST || rc == -ENOENT);
  forget(w, rc == 0 ? out.node : 0);
}

static void do_remove(struct worker *w, uint64_t dir) {
  const struct virtiofs_ops *ops = w->t->ops;
  struct virtiofs_unlink_in unlink = {.parent = dir, .name = some_name(w)};
  struct virtiofs_rmdir_in rmdir = {.parent = dir, .name = some_name(w)};
  int rc = below(w, 2) == 0 ? ops->unlink(&w->req, &unlink) : ops->rmdir(&w->req, &rmdir);
  expect(rc == 0 || rc == -ENOENT || rc == -EISDIR || rc == -ENOTDIR || rc == -ENOTEMPTY);
}

static void do_move(struct worker *w, uint64_t dir) {
  static const uint32_t flags[] = {0, 0, 0, VIRTIOFS_RENAME_NOREPLACE, VIRTIOFS_RENAME_EXCHANGE};
  struct virtiofs_rename_in in = {.parent = dir,
                                  .new_parent = below(w, 3) == 0 ? dir : dirs[below(w, DIRS)],
                                  .name = some_name(w),
                                  .new_name = some_name(w),
                                  .flags = flags[below(w, 5)]};
  int rc = w->t->ops->rename(&w->req, &in);
  expect(rc == 0 || rc == -ENOENT || rc == -EISDIR || rc == -ENOTDIR || rc == -ENOTEMPTY || rc == -EEXIST ||
         rc == -EINVAL);
}

static void do_look(struct worker *w, uint64_t dir) {
  struct virtiofs_lookup_in in = {.parent = dir, .name = some_name(w)};
  struct virtiofs_entry_out out = {.node = 0};
  expect(w->t->ops->lookup(&w->req, &in, &out) == 0);
  if (out.node == 0)
    return;
  struct virtiofs_link_in link = {.new_parent = dirs[below(w, DIRS)], .node = out.node, .name = some_name(w)};
  struct virtiofs_entry_out linked = {.node = 0};
  if ((out.attr.mode & VIRTIOFS_S_IFMT) == VIRTIOFS_S_IFREG && w->t->ops->link(&w->req, &link, &linked) == 0)
    forget(w, linked.node);
  forget(w, out.node);
}

static void do_list(struct worker *w, uint64_t dir) {
  struct virtiofs_opendir_in opendir = {.node = dir};
  struct virtiofs_open_out open = {.handle = 0};
  expect(w->t->ops->opendir(&w->req, &opendir, &open) == 0);
  struct virtiofs_readdir_in in = {.node = dir, .handle = open.handle, .size = 1000};
  w->list.ops = w->t->ops;
  w->list.req = &w->req;
  w->list.plus = true;
  w->list.room = 1000;
  w->list.count = 0;
  expect(w->t->ops->readdirplus(&w->req, &in, &w->list) == 0);
  for (uint32_t i = 0; i < w->list.count; i++)
    forget(w, w->list.records[i].node);
  struct virtiofs_release_in release = {.handle = open.handle};
  w->t->ops->releasedir(&w->req, &release);
}

static void *do_anything(void *arg) {
  struct worker *w = arg;
  void (*const all[])(struct worker *, uint64_t) = {do_make, do_remove, do_move, do_move, do_look, do_list};
  for (unsigned i = 0; i < ROUNDS; i++)
    all[below(w, 6)](w, dirs[below(w, DIRS)]);
  return NULL;
}

/* Removes what is in a directory; its links have to be what is in it. */
static void empty(struct tree *t, uint64_t dir) {
  uint64_t handle = tree_opendir(t, dir);
  uint32_t subdirs = 0;
  assert_int_equal(tree_list(t, dir, handle, 0, 100000, false), 0);
  struct virtiofs_readdir_out *list = malloc(sizeof *list);
  assert_non_null(list);
  memcpy(list, &t->list, sizeof *list);
  for (uint32_t i = 0; i < list->count; i++)
    subdirs += list->records[i].type == VIRTIOFS_S_IFDIR && list->records[i].name[0] != '.' ? 1 : 0;
  assert_int_equal(tree_attr(t, dir).nlink, 2 + subdirs);
  for (uint32_t i = 0; i < list->count; i++) {
    const char *name = list->records[i].name;
    if (name[0] == '.')
      continue;
    uint64_t node = tree_lookup(t, dir, name);
    if (list->records[i].type == VIRTIOFS_S_IFDIR) {
      empty(t, node);
      assert_int_equal(tree_rmdir(t, dir, name), 0);
    } else {
      assert_int_equal(tree_unlink(t, dir, name), 0);
    }
    tree_forget(t, node, 1);
  }
  free(list);
  tree_releasedir(t, handle);
}

static void names(void **state) {
  struct tree *t = *state;
  static const char *const first[DIRS] = {"a", "b", "c", "d", "e", "f"};
  uint64_t before = tree_free_nodes(t);
  for (int i = 0; i < DIRS; i++)
    dirs[i] = tree_mkdir(t, i < 3 ? t->root : dirs[i - 3], first[i], 0755);
  run(t, do_anything);
  empty(t, t->root);
  for (int i = 0; i < DIRS; i++)
    tree_forget(t, dirs[i], 1);
  assert_int_equal(tree_free_nodes(t), before);
}

/* ---- contents ---- */

static uint64_t files[2];

static void *append(void *arg) {
  struct worker *w = arg;
  char text[2] = {(char)('a' + w->number), 0};
  struct iovec iov = {.iov_base = text, .iov_len = 1};
  for (int i = 0; i < 1000; i++) {
    struct virtiofs_write_in in = {.node = files[0],
                                   .handle = files[0],
                                   .size = 1,
                                   .flags = O_APPEND,
                                   .data = {.iov = &iov, .count = 1, .size = 1}};
    struct virtiofs_write_out out = {.size = 0};
    expect(w->t->ops->write(&w->req, &in, &out) == 0 && out.size == 1);
  }
  return NULL;
}

static void appending(void **state) {
  struct tree *t = *state;
  static char buf[THREADS * 1000 + 1];
  int counts[THREADS] = {0};
  files[0] = tree_mknod(t, t->root, "f", VIRTIOFS_S_IFREG | 0644);
  run(t, append);
  uint64_t handle = tree_open(t, files[0], O_RDONLY);
  assert_int_equal(tree_read(t, handle, 0, buf, sizeof buf), THREADS * 1000);
  for (int i = 0; i < THREADS * 1000; i++)
    counts[buf[i] - 'a']++;
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(counts[i], 1000);
  tree_release(t, handle);
  tree_forget(t, files[0], 1);
}

/* Back and forth between two files, and all else that changes how much they take. */
static void *copy_and_cut(void *arg) {
  struct worker *w = arg;
  const struct virtiofs_ops *ops = w->t->ops;
  for (int i = 0; i < 1500; i++) {
    unsigned from = below(w, 2);
    struct virtiofs_copy_file_range_in copy = {.node = files[from],
                                               .handle = files[from],
                                               .node_out = files[1 - from],
                                               .handle_out = files[1 - from],
                                               .offset = below(w, 50000),
                                               .offset_out = below(w, 50000),
                                               .len = below(w, 50000) + 1};
    struct virtiofs_copy_file_range_out copied = {.size = 0};
    struct virtiofs_setattr_in cut = {.node = files[from], .valid = VIRTIOFS_SET_SIZE, .size = below(w, 70000)};
    struct virtiofs_attr_out attr = {.attr_valid_ns = 0};
    struct virtiofs_fallocate_in hole = {.node = files[from],
                                         .handle = files[from],
                                         .offset = below(w, 50000),
                                         .length = below(w, 50000) + 1,
                                         .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
    struct virtiofs_getattr_in look = {.node = files[from]};
    if (i % 3 == 0)
      expect(ops->copy_file_range(&w->req, &copy, &copied) == 0);
    else if (i % 3 == 1)
      expect(ops->setattr(&w->req, &cut, &attr) == 0);
    else
      expect(ops->fallocate(&w->req, &hole) == 0);
    expect(ops->getattr(&w->req, &look, &attr) == 0);
  }
  return NULL;
}

static void copying_and_cutting(void **state) {
  struct tree *t = *state;
  uint64_t before = tree_free_pages(t);
  files[0] = tree_mknod(t, t->root, "f", VIRTIOFS_S_IFREG | 0644);
  files[1] = tree_mknod(t, t->root, "g", VIRTIOFS_S_IFREG | 0644);
  run(t, copy_and_cut);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(tree_resize(t, files[i], 0), 0);
    tree_forget(t, files[i], 1);
  }
  assert_int_equal(tree_free_pages(t), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {tree_test(names), tree_test(appending), tree_test(copying_and_cutting)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
