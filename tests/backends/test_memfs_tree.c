/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, directories and renaming, where the host's own tools don't get; those do the rest (alike.c). */
#include "memfs_tree.h"

#define FILE_MODE (VIRTIOFS_S_IFREG | 0644)

static void configs_are_checked(void **state) {
  (void)state;
  struct virtiofs_memfs *fs;
  struct {
    struct virtiofs_memfs_config config;
    uint64_t more;
  } longer = {.config = {.size = sizeof longer}};
  assert_int_equal(virtiofs_memfs_new(&fs, &longer.config), 0);
  virtiofs_memfs_free(fs);
  longer.more = 1;
  assert_int_equal(virtiofs_memfs_new(&fs, &longer.config), -E2BIG);
  assert_null(fs);
  struct virtiofs_memfs_config bad[] = {
      {.size = 1},
      {.size = sizeof *bad, .max_bytes = (UINT64_C(1) << 62) + 1},
      {.size = sizeof *bad, .max_nodes = (UINT64_C(1) << 30) + 1},
      {.size = sizeof *bad, .mode = 010000},
      {.size = sizeof *bad, .uid = UINT32_MAX},
      {.size = sizeof *bad, .gid = UINT32_MAX},
      {.size = sizeof *bad, .shared = true, .writeback = true},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(virtiofs_memfs_new(&fs, &bad[i]), -EINVAL);
  assert_int_equal(virtiofs_memfs_new(&fs, NULL), 0);
  virtiofs_memfs_free(fs);
  virtiofs_memfs_free(NULL);
}

static void the_root_is_as_configured(void **state) {
  struct tree *t = *state;
  assert_int_equal(tree_attr(t, t->root).mode, VIRTIOFS_S_IFDIR | 0755);
  tree_serve(t, (struct virtiofs_memfs_config){.mode = 01777, .uid = 4, .gid = 5});
  struct virtiofs_attr attr = tree_attr(t, t->root);
  assert_int_equal(attr.mode, VIRTIOFS_S_IFDIR | 01777);
  assert_int_equal(attr.uid, 4);
  assert_int_equal(attr.gid, 5);
  assert_int_equal(attr.nlink, 2);
}

static void what_may_be_believed(void **state) {
  struct tree *t = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_lookup_in in = {.parent = t->root, .name = tree_name("missing")};
  out = (struct virtiofs_entry_out){.node = 0};
  assert_int_equal(t->ops->lookup(&t->req, &in, &out), 0);
  assert_true(out.node == 0 && out.entry_valid_ns == VIRTIOFS_FOREVER);
  assert_int_equal(tree_try_mknod(t, t->root, "f", FILE_MODE, &out), 0);
  assert_true(out.entry_valid_ns == VIRTIOFS_FOREVER && out.attr_valid_ns == VIRTIOFS_FOREVER);
  tree_forget(t, out.node, 1);
  /* A write takes set-user-id away, and then the guest must look again before it runs the program. */
  assert_int_equal(tree_try_mknod(t, t->root, "g", FILE_MODE | 04000, &out), 0);
  assert_int_equal(out.attr_valid_ns, 0);
  tree_forget(t, out.node, 1);
  assert_true((t->req.semantics & VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA) != 0);

  tree_serve(t, (struct virtiofs_memfs_config){.shared = true, .entry_valid_ns = 3, .attr_valid_ns = 4});
  in.parent = t->root;
  assert_int_equal(t->ops->lookup(&t->req, &in, &out), -ENOENT);
  assert_int_equal(tree_try_mknod(t, t->root, "f", FILE_MODE, &out), 0);
  assert_true(out.entry_valid_ns == 3 && out.attr_valid_ns == 4);
  tree_forget(t, out.node, 1);
  assert_true((t->req.semantics & VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA) == 0);
}

static void names_have_limits(void **state) {
  struct tree *t = *state;
  char name[300];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  tree_forget(t, tree_mknod(t, t->root, name, FILE_MODE), 1);
  assert_true(tree_has(t, t->root, name));
  name[255] = 'n';
  name[256] = 0;
  struct virtiofs_entry_out out;
  assert_int_equal(tree_try_mknod(t, t->root, name, FILE_MODE, &out), -ENAMETOOLONG);
  assert_int_equal(tree_try_lookup(t, t->root, name, &out), -ENAMETOOLONG);
  assert_int_equal(tree_rename(t, t->root, "x", t->root, name, 0), -ENOENT);
  uint64_t file = tree_mknod(t, t->root, "x", FILE_MODE);
  assert_int_equal(tree_rename(t, t->root, "x", t->root, name, 0), -ENAMETOOLONG);
  assert_int_equal(tree_link(t, file, t->root, name), -ENAMETOOLONG);
  tree_forget(t, file, 1);
}

static void nodes_have_a_limit(void **state) {
  struct tree *t = *state;
  tree_serve(t, (struct virtiofs_memfs_config){.max_nodes = 4});
  struct virtiofs_entry_out out;
  uint64_t a = tree_mknod(t, t->root, "a", FILE_MODE);
  assert_int_equal(tree_link(t, a, t->root, "b"), 0); /* further names count too */
  tree_forget(t, tree_mkdir(t, t->root, "c", 0755), 1);
  assert_int_equal(tree_free_nodes(t), 0);
  assert_int_equal(tree_try_mknod(t, t->root, "d", FILE_MODE, &out), -ENOSPC);
  assert_int_equal(tree_link(t, a, t->root, "d"), -ENOSPC);
  assert_int_equal(tree_attr(t, a).nlink, 2);
  assert_int_equal(tree_unlink(t, t->root, "a"), 0);
  assert_int_equal(tree_free_nodes(t), 1);
  assert_int_equal(tree_unlink(t, t->root, "b"), 0);
  assert_int_equal(tree_free_nodes(t), 1); /* the guest still has it */
  tree_forget(t, a, 1);
  assert_int_equal(tree_free_nodes(t), 2);
  assert_int_equal(tree_rmdir(t, t->root, "c"), 0);
  assert_int_equal(tree_free_nodes(t), 3);
}

/* A removed directory stays for who has it, and so does the one that it was in. */
static void removed_trees_go_at_last(void **state) {
  struct tree *t = *state;
  uint64_t before = tree_free_nodes(t);
  uint64_t a = tree_mkdir(t, t->root, "a", 0755);
  uint64_t b = tree_mkdir(t, a, "b", 0755);
  struct virtiofs_entry_out out;
  assert_int_equal(tree_rmdir(t, t->root, "a"), -ENOTEMPTY);
  assert_int_equal(tree_rmdir(t, a, "b"), 0);
  assert_int_equal(tree_rmdir(t, t->root, "a"), 0);
  assert_int_equal(tree_attr(t, b).nlink, 0);
  assert_int_equal(tree_try_mknod(t, b, "f", FILE_MODE, &out), -ENOENT);
  assert_int_equal(tree_rename(t, t->root, "x", b, "y", 0), -ENOENT);
  tree_forget(t, a, 1);
  assert_int_equal(tree_attr(t, b).mode, VIRTIOFS_S_IFDIR | 0755);
  uint64_t handle = tree_opendir(t, b);
  assert_int_equal(tree_list(t, b, handle, 0, 4096, false), 0);
  assert_int_equal(t->list.count, 0);
  tree_releasedir(t, handle);
  assert_int_equal(tree_free_nodes(t), before - 2);
  tree_forget(t, b, 1);
  assert_int_equal(tree_free_nodes(t), before);
}

/* Deeper than a recursion would go. */
static void deep_trees_can_be_freed(void **state) {
  struct tree *t = *state;
  const unsigned depth = 200000;
  tree_serve(t, (struct virtiofs_memfs_config){.max_nodes = depth + 1});
  uint64_t dir = t->root;
  for (unsigned i = 0; i < depth; i++) {
    uint64_t child = tree_mkdir(t, dir, "d", 0755);
    tree_forget(t, dir == t->root ? 0 : dir, 1);
    dir = child;
  }
  tree_forget(t, dir, 1);
  assert_int_equal(tree_free_nodes(t), 0);
}

static void no_directory_into_itself(void **state) {
  struct tree *t = *state;
  uint64_t a = tree_mkdir(t, t->root, "a", 0755);
  uint64_t b = tree_mkdir(t, a, "b", 0755);
  uint64_t c = tree_mkdir(t, b, "c", 0755);
  assert_int_equal(tree_rename(t, t->root, "a", a, "x", 0), -EINVAL);
  assert_int_equal(tree_rename(t, t->root, "a", b, "x", 0), -EINVAL);
  assert_int_equal(tree_rename(t, t->root, "a", c, "x", 0), -EINVAL);
  assert_int_equal(tree_rename(t, b, "c", t->root, "a", 0), -ENOTEMPTY);
  assert_int_equal(tree_rename(t, b, "c", t->root, "a", VIRTIOFS_RENAME_EXCHANGE), -EINVAL);
  assert_int_equal(tree_rename(t, t->root, "a", b, "c", VIRTIOFS_RENAME_EXCHANGE), -EINVAL);
  assert_int_equal(tree_rename(t, b, "c", t->root, "c", 0), 0);
  assert_int_equal(tree_attr(t, b).nlink, 2);
  assert_int_equal(tree_attr(t, t->root).nlink, 4);
  /* Now it is beside, and the other may come to lie in it. */
  assert_int_equal(tree_rename(t, t->root, "a", c, "a", 0), 0);
  assert_int_equal(tree_rename(t, t->root, "c", b, "x", 0), -EINVAL);
  tree_forget(t, a, 1);
  tree_forget(t, b, 1);
  tree_forget(t, c, 1);
}

static void flags_that_contradict(void **state) {
  struct tree *t = *state;
  uint32_t both = VIRTIOFS_RENAME_EXCHANGE | VIRTIOFS_RENAME_NOREPLACE;
  tree_forget(t, tree_mknod(t, t->root, "a", FILE_MODE), 1);
  assert_int_equal(tree_rename(t, t->root, "a", t->root, "b", both), -EINVAL);
  both = VIRTIOFS_RENAME_EXCHANGE | VIRTIOFS_RENAME_WHITEOUT;
  assert_int_equal(tree_rename(t, t->root, "a", t->root, "b", both), -EINVAL);
}

/* Within a directory, between two, over something: a character device 0:0 stays behind. */
static void whiteouts(void **state) {
  struct tree *t = *state;
  uint64_t dir = tree_mkdir(t, t->root, "dir", 0755);
  uint64_t before = tree_free_nodes(t);
  const uint64_t parents[] = {t->root, dir};
  for (int i = 0; i < 4; i++) {
    uint64_t file = tree_mknod(t, t->root, "from", FILE_MODE), over = 0;
    if (i / 2 == 1)
      over = tree_mknod(t, parents[i % 2], "to", FILE_MODE);
    assert_int_equal(tree_rename(t, t->root, "from", parents[i % 2], "to", VIRTIOFS_RENAME_WHITEOUT), 0);
    uint64_t left = tree_lookup(t, t->root, "from"), came = tree_lookup(t, parents[i % 2], "to");
    struct virtiofs_attr attr = tree_attr(t, left);
    assert_int_equal(attr.mode, VIRTIOFS_S_IFCHR);
    assert_true(attr.rdev_major == 0 && attr.rdev_minor == 0 && attr.uid == 1000);
    assert_int_equal(came, file);
    assert_int_equal(tree_unlink(t, t->root, "from"), 0);
    assert_int_equal(tree_unlink(t, parents[i % 2], "to"), 0);
    tree_forget(t, left, 1);
    tree_forget(t, file, 2);
    tree_forget(t, over, 1);
    assert_int_equal(tree_free_nodes(t), before);
  }
  tree_forget(t, dir, 1);
}

/* ---- making ---- */

static int create(struct tree *t, const char *name, uint32_t flags, struct virtiofs_create_out *out) {
  struct virtiofs_create_in in = {.parent = t->root, .name = tree_name(name), .flags = flags | O_CREAT, .mode = 0666};
  in.umask = 027;
  *out = (struct virtiofs_create_out){.open = {.handle = 0}};
  return t->ops->create(&t->req, &in, out);
}

/* CREATE of a name that is there: another guest may have made it. The caller's rights count then. */
static void creating_what_is_there(void **state) {
  struct tree *t = *state;
  struct virtiofs_create_out out, again;
  assert_int_equal(create(t, "f", O_RDWR, &out), 0);
  assert_int_equal(out.entry.attr.mode, VIRTIOFS_S_IFREG | 0640);
  assert_int_equal(tree_write(t, out.open.handle, 0, "text"), 4);
  assert_int_equal(create(t, "f", O_RDWR | O_EXCL, &again), -EEXIST);
  assert_int_equal(create(t, "f", O_RDWR, &again), 0);
  assert_int_equal(again.entry.node, out.entry.node);
  assert_int_equal(again.entry.attr.size, 4);
  tree_release(t, again.open.handle);

  t->req.caller = (struct virtiofs_caller){.uid = 2000, .gid = 1000};
  assert_int_equal(create(t, "f", O_RDWR, &again), -EACCES);
  assert_int_equal(create(t, "f", O_TRUNC, &again), -EACCES);
  assert_int_equal(create(t, "f", O_RDONLY, &again), 0);
  tree_release(t, again.open.handle);
  t->req.caller.gid = 2000;
  assert_int_equal(create(t, "f", O_RDONLY, &again), -EACCES);
  t->req.caller.uid = 0;
  assert_int_equal(create(t, "f", O_RDWR | O_TRUNC, &again), 0);
  assert_int_equal(again.entry.attr.size, 0);
  tree_release(t, again.open.handle);
  tree_forget(t, tree_mkdir(t, t->root, "d", 0755), 1);
  tree_forget(t, tree_mknod(t, t->root, "p", VIRTIOFS_S_IFIFO | 0644), 1);
  assert_int_equal(create(t, "d", O_RDONLY, &again), -EISDIR);
  assert_int_equal(create(t, "p", O_RDONLY, &again), -ESTALE); /* only the guest can say what that means */
  tree_release(t, out.open.handle);
  tree_forget(t, out.entry.node, 4);
}

/* It takes no room to open what is there, which this guest doesn't know of. */
static void creating_what_is_there_when_full(void **state) {
  struct tree *t = *state;
  struct virtiofs_create_out out, again;
  tree_serve(t, (struct virtiofs_memfs_config){.max_nodes = 2});
  assert_int_equal(create(t, "f", O_RDWR, &out), 0);
  assert_int_equal(tree_free_nodes(t), 0);
  assert_int_equal(create(t, "f", O_RDWR, &again), 0);
  assert_int_equal(again.entry.node, out.entry.node);
  assert_int_equal(create(t, "g", O_RDWR, &out), -ENOSPC);
  assert_int_equal(create(t, "f", O_RDWR | O_EXCL, &out), -ENOSPC);
  tree_release(t, again.open.handle);
  tree_release(t, again.open.handle);
  tree_forget(t, again.entry.node, 2);
  assert_int_equal(tree_unlink(t, t->root, "f"), 0);
  assert_int_equal(tree_free_nodes(t), 1);
}

static void nobody_owns_nothing(void **state) {
  struct tree *t = *state;
  struct virtiofs_entry_out out;
  t->req.caller.uid = UINT32_MAX;
  assert_int_equal(tree_try_mknod(t, t->root, "f", FILE_MODE, &out), -EIO);
  t->req.caller = (struct virtiofs_caller){.uid = 1, .gid = UINT32_MAX};
  assert_int_equal(tree_try_mknod(t, t->root, "f", FILE_MODE, &out), -EIO);
}

/* A program that runs for a group is made by its members alone; the guest says who is one. */
static void set_group_id_for_members(void **state) {
  struct tree *t = *state;
  tree_serve(t, (struct virtiofs_memfs_config){.mode = 02777, .gid = 50});
  struct {
    uint32_t size, type, count, gids[2], padding;
  } groups = {.size = 24, .type = 32, .count = 2, .gids = {7, 50}}; /* as the guest sends it */
  struct virtiofs_mknod_in in = {.parent = t->root, .mode = VIRTIOFS_S_IFREG | 02755};
  struct virtiofs_entry_out out = {.node = 0};
  in.name = tree_name("stranger");
  assert_int_equal(t->ops->mknod(&t->req, &in, &out), 0);
  assert_int_equal(out.attr.mode & 07777, 0755);
  assert_int_equal(out.attr.gid, 50);
  tree_forget(t, out.node, 1);
  in.name = tree_name("member");
  in.extensions = (struct virtiofs_extensions){.bytes = &groups, .size = sizeof groups};
  assert_int_equal(t->ops->mknod(&t->req, &in, &out), 0);
  assert_int_equal(out.attr.mode & 07777, 02755);
  tree_forget(t, out.node, 1);
  groups.gids[1] = 51;
  in.name = tree_name("other");
  assert_int_equal(t->ops->mknod(&t->req, &in, &out), 0);
  assert_int_equal(out.attr.mode & 07777, 0755);
  tree_forget(t, out.node, 1);
}

static void security_contexts_are_there_at_once(void **state) {
  struct tree *t = *state;
  struct {
    uint32_t size, contexts, value, padding;
    char text[24];
  } context = {.size = 40, .contexts = 1, .value = 4, .text = "security.selinux\0abcd"};
  struct virtiofs_mkdir_in in = {.parent = t->root, .name = tree_name("d"), .mode = 0755};
  struct virtiofs_entry_out out = {.node = 0};
  in.extensions = (struct virtiofs_extensions){.bytes = &context, .size = sizeof context};
  assert_int_equal(t->ops->mkdir(&t->req, &in, &out), 0);
  char buf[8] = "";
  struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf};
  struct virtiofs_getxattr_in get = {.node = out.node,
                                     .name = tree_name("security.selinux"),
                                     .size = sizeof buf,
                                     .data = {.iov = &iov, .count = 1, .size = sizeof buf}};
  struct virtiofs_xattr_out got = {.size = 0};
  assert_int_equal(t->ops->getxattr(&t->req, &get, &got), 0);
  assert_int_equal(got.size, 4);
  assert_string_equal(buf, "abcd");
  tree_forget(t, out.node, 1);
}

static void files_without_a_name(void **state) {
  struct tree *t = *state;
  uint64_t before = tree_free_nodes(t);
  struct virtiofs_tmpfile_in in = {.parent = t->root, .flags = O_RDWR | O_TMPFILE, .mode = 0600};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  assert_int_equal(t->ops->tmpfile(&t->req, &in, &out), 0);
  assert_int_equal(out.entry.attr.nlink, 0);
  assert_int_equal(tree_write(t, out.open.handle, 0, "text"), 4);
  assert_int_equal(tree_link(t, out.entry.node, t->root, "named"), 0);
  assert_int_equal(tree_attr(t, out.entry.node).nlink, 1);
  assert_int_equal(tree_free_nodes(t), before - 1);
  tree_release(t, out.open.handle);
  tree_forget(t, out.entry.node, 1);
  assert_true(tree_has(t, t->root, "named"));

  in.flags |= O_EXCL;
  assert_int_equal(t->ops->tmpfile(&t->req, &in, &out), 0);
  assert_int_equal(tree_link(t, out.entry.node, t->root, "never"), -ENOENT);
  tree_forget(t, out.entry.node, 1); /* the handle keeps it */
  assert_int_equal(tree_free_nodes(t), before - 2);
  tree_release(t, out.open.handle);
  assert_int_equal(tree_free_nodes(t), before - 1);
  /* What was removed can't come back. */
  uint64_t named = tree_lookup(t, t->root, "named");
  uint64_t plain = tree_mknod(t, t->root, "plain", FILE_MODE);
  assert_int_equal(tree_unlink(t, t->root, "plain"), 0);
  assert_int_equal(tree_link(t, plain, t->root, "back"), -ENOENT);
  tree_forget(t, plain, 1);
  tree_forget(t, named, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(configs_are_checked),
      tree_test(the_root_is_as_configured),
      tree_test(what_may_be_believed),
      tree_test(names_have_limits),
      tree_test(nodes_have_a_limit),
      tree_test(removed_trees_go_at_last),
      tree_test(deep_trees_can_be_freed),
      tree_test(no_directory_into_itself),
      tree_test(flags_that_contradict),
      tree_test(whiteouts),
      tree_test(creating_what_is_there),
      tree_test(creating_what_is_there_when_full),
      tree_test(nobody_owns_nothing),
      tree_test(set_group_id_for_members),
      tree_test(security_contexts_are_there_at_once),
      tree_test(files_without_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
