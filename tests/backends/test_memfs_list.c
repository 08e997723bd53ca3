/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings while the directory changes, and extended attributes. */
#include "memfs_tree.h"

#define FILE_MODE (VIRTIOFS_S_IFREG | 0644)

static void make_files(struct tree *t, const char *prefix, int count) {
  char name[32];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%s%d", prefix, i);
    tree_forget(t, tree_mknod(t, t->root, name, FILE_MODE), 1);
  }
}

/* What a program does with each name while it lists. */
typedef void meanwhile(struct tree *t, const char *name, int index);

/* Lists by small pieces; how often each of f0 .. f(@count - 1) or its new name was seen must be 1. */
static void list_all(struct tree *t, int count, bool plus, meanwhile *fn) {
  int seen[200] = {0}, names = 0;
  uint64_t handle = tree_opendir(t, t->root), offset = 0;
  for (;;) {
    assert_int_equal(tree_list(t, t->root, handle, offset, 700, plus), 0);
    if (t->list.count == 0)
      break;
    for (uint32_t i = 0; i < t->list.count; i++) {
      const struct fake_record record = t->list.records[i];
      offset = record.next;
      if (record.name[0] == '.')
        continue;
      assert_true(++names < 1000);
      int index = atoi(record.name + 1);
      if (record.name[0] == 'f' && index < count)
        seen[index]++;
      if (fn != NULL)
        fn(t, record.name, index);
    }
  }
  for (int i = 0; i < count; i++)
    assert_int_equal(seen[i], 1);
  tree_releasedir(t, handle);
}

static void remove_it(struct tree *t, const char *name, int index) {
  (void)index;
  assert_int_equal(tree_unlink(t, t->root, name), 0);
}

static void make_another(struct tree *t, const char *name, int index) {
  char other[32];
  (void)name;
  snprintf(other, sizeof other, "new%d", index);
  struct virtiofs_entry_out out;
  if (tree_try_mknod(t, t->root, other, FILE_MODE, &out) == 0)
    tree_forget(t, out.node, 1);
}

static void rename_it(struct tree *t, const char *name, int index) {
  char other[300];
  (void)index;
  snprintf(other, sizeof other, "%s-renamed", name);
  assert_int_equal(tree_rename(t, t->root, name, t->root, other, 0), 0);
}

static void replace_it(struct tree *t, const char *name, int index) {
  (void)index;
  tree_forget(t, tree_mknod(t, t->root, "temporary", FILE_MODE), 1);
  assert_int_equal(tree_rename(t, t->root, "temporary", t->root, name, 0), 0);
}

/* Removes those that were listed long ago, so that the table closes its gaps under the listing. */
static void remove_behind(struct tree *t, const char *name, int index) {
  char other[32];
  (void)name;
  snprintf(other, sizeof other, "f%d", index - 3);
  if (index >= 3)
    assert_int_equal(tree_unlink(t, t->root, other), 0);
}

static void each_name_once(void **state) {
  struct tree *t = *state;
  meanwhile *const all[] = {NULL, remove_it, make_another, rename_it, replace_it, remove_behind};
  for (size_t i = 0; i < 2 * sizeof all / sizeof all[0]; i++) {
    tree_serve(t, (struct virtiofs_memfs_config){.max_nodes = 1000});
    make_files(t, "f", 100);
    list_all(t, 100, i % 2 == 1, all[i / 2]);
  }
}

static void rewinding_shows_what_is_new(void **state) {
  struct tree *t = *state;
  uint64_t handle = tree_opendir(t, t->root);
  tree_forget(t, tree_mknod(t, t->root, "new", FILE_MODE), 1);
  assert_int_equal(tree_list(t, t->root, handle, 2, 4096, false), 0);
  assert_int_equal(t->list.count, 0); /* it came after the opening */
  assert_int_equal(tree_list(t, t->root, handle, 0, 4096, false), 0);
  assert_int_equal(t->list.count, 3);
  assert_string_equal(t->list.records[2].name, "new");
  tree_releasedir(t, handle);
}

static void offsets_from_elsewhere(void **state) {
  struct tree *t = *state;
  make_files(t, "f", 10);
  uint64_t first = tree_opendir(t, t->root), second = tree_opendir(t, t->root);
  assert_int_equal(tree_list(t, t->root, first, 0, 4096, false), 0);
  assert_int_equal(t->list.count, 12);
  uint64_t offset = t->list.records[6].next;
  assert_int_equal(tree_unlink(t, t->root, "f4"), 0);
  assert_int_equal(tree_list(t, t->root, second, offset, 4096, true), 0);
  assert_int_equal(t->list.count, 5);
  assert_string_equal(t->list.records[0].name, "f5");
  assert_int_equal(tree_list(t, t->root, second, INT64_MAX, 4096, true), 0);
  assert_int_equal(t->list.count, 0);
  assert_int_equal(tree_list(t, t->root, second, 0, 16, false), -EINVAL); /* not even the first has room */
  tree_releasedir(t, first);
  tree_releasedir(t, second);
}

static void dots(void **state) {
  struct tree *t = *state;
  uint64_t a = tree_mkdir(t, t->root, "a", 0755), b = tree_mkdir(t, a, "b", 0755);
  const uint64_t dirs[] = {t->root, a, b}, parents[] = {t->root, t->root, a};
  for (int i = 0; i < 3; i++) {
    uint64_t handle = tree_opendir(t, dirs[i]);
    assert_int_equal(tree_list(t, dirs[i], handle, 0, 4096, true), 0);
    assert_string_equal(t->list.records[0].name, ".");
    assert_int_equal(t->list.records[0].ino, tree_attr(t, dirs[i]).ino);
    assert_string_equal(t->list.records[1].name, "..");
    assert_int_equal(t->list.records[1].ino, tree_attr(t, parents[i]).ino);
    assert_int_equal(t->list.records[1].node, 0);
    tree_releasedir(t, handle);
  }
  /* After a move, too. */
  assert_int_equal(tree_rename(t, a, "b", t->root, "b", 0), 0);
  uint64_t handle = tree_opendir(t, b);
  assert_int_equal(tree_list(t, b, handle, 0, 4096, true), 0);
  assert_int_equal(t->list.records[1].ino, tree_attr(t, t->root).ino);
  tree_releasedir(t, handle);
  tree_forget(t, a, 1);
  tree_forget(t, b, 1);
}

/* ---- extended attributes ---- */

static int set(struct tree *t, uint64_t node, const char *name, uint32_t size, uint32_t flags) {
  static char value[VIRTIOFS_XATTR_MAX];
  struct iovec iov = {.iov_base = value, .iov_len = size};
  struct virtiofs_setxattr_in in = {
      .node = node, .name = tree_name(name), .flags = flags, .value = {.iov = &iov, .count = 1, .size = size}};
  return t->ops->setxattr(&t->req, &in);
}

static int get(struct tree *t, uint64_t node, const char *name, uint32_t size) {
  static char value[VIRTIOFS_XATTR_MAX];
  struct iovec iov = {.iov_base = value, .iov_len = size};
  struct virtiofs_getxattr_in in = {
      .node = node, .name = tree_name(name), .size = size, .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_xattr_out out = {.size = 0};
  int rc = t->ops->getxattr(&t->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static int list(struct tree *t, uint64_t node, char *names, uint32_t size) {
  struct iovec iov = {.iov_base = names, .iov_len = size};
  struct virtiofs_listxattr_in in = {.node = node, .size = size, .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_xattr_out out = {.size = 0};
  int rc = t->ops->listxattr(&t->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static void xattrs_and_their_sizes(void **state) {
  struct tree *t = *state;
  char names[64];
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE);
  assert_int_equal(set(t, f, "user.a", 10, XATTR_REPLACE), -ENODATA);
  assert_int_equal(set(t, f, "user.a", 10, XATTR_CREATE), 0);
  assert_int_equal(set(t, f, "user.a", 10, XATTR_CREATE), -EEXIST);
  assert_int_equal(set(t, f, "user.a", 20, XATTR_REPLACE), 0);
  assert_int_equal(set(t, f, "user.a", 20, 4), -EINVAL);
  assert_int_equal(set(t, f, "user.empty", 0, 0), 0);
  assert_int_equal(get(t, f, "user.a", 0), 20);
  assert_int_equal(get(t, f, "user.a", 19), -ERANGE);
  assert_int_equal(get(t, f, "user.a", 20), 20);
  assert_int_equal(get(t, f, "user.empty", 5), 0);
  assert_int_equal(get(t, f, "user.b", 5), -ENODATA);
  assert_int_equal(get(t, f, "system.posix_acl_access", 5), -EOPNOTSUPP);
  assert_int_equal(set(t, f, "odd", 5, 0), -EOPNOTSUPP);
  assert_int_equal(set(t, f, "user.", 5, 0), -EINVAL);
  assert_int_equal(list(t, f, names, 0), 18);
  assert_int_equal(list(t, f, names, 17), -ERANGE);
  assert_int_equal(list(t, f, names, 18), 18);
  assert_memory_equal(names, "user.empty\0user.a", 18);
  assert_int_equal(set(t, f, "trusted.a", 5, 0), 0);
  assert_int_equal(list(t, f, names, 64), 18); /* not for everybody */
  t->req.caller.uid = 0;
  assert_int_equal(list(t, f, names, 64), 28);
  tree_forget(t, f, 1);
}

static void xattrs_have_limits(void **state) {
  struct tree *t = *state;
  char name[300] = "user.";
  tree_serve(t, (struct virtiofs_memfs_config){.max_bytes = 1 << 20, .max_xattr = 3000});
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE);
  memset(name + 5, 'n', 250);
  assert_int_equal(set(t, f, name, 5, 0), 0);
  name[255] = 'n';
  assert_int_equal(set(t, f, name, 5, 0), -ERANGE);
  assert_int_equal(set(t, f, "user.large", 3000, 0), -ENOSPC);
  assert_int_equal(set(t, f, "user.large", 2000, 0), 0);
  assert_int_equal(set(t, f, "user.more", 700, 0), -ENOSPC);
  assert_int_equal(set(t, f, "user.large", 2100, 0), 0); /* in its place */
  assert_int_equal(get(t, f, "user.large", 0), 2100);
  struct virtiofs_removexattr_in in = {.node = f, .name = tree_name("user.large")};
  assert_int_equal(t->ops->removexattr(&t->req, &in), 0);
  assert_int_equal(t->ops->removexattr(&t->req, &in), -ENODATA);
  assert_int_equal(set(t, f, "user.more", 700, 0), 0);
  assert_int_equal(tree_unlink(t, t->root, "f"), 0);
  tree_forget(t, f, 1);
  assert_int_equal(tree_free_pages(t), (1 << 20) / (uint64_t)sysconf(_SC_PAGESIZE));

  tree_serve(t, (struct virtiofs_memfs_config){.max_bytes = 4096});
  f = tree_mknod(t, t->root, "f", FILE_MODE);
  assert_int_equal(set(t, f, "user.a", 3000, 0), 0);
  assert_int_equal(set(t, f, "user.b", 3000, 0), -ENOSPC);
  assert_int_equal(get(t, f, "user.a", 0), 3000);
  tree_forget(t, f, 1);
}

/* It is lost to any change of the contents or the owner, whoever asks. */
static void capabilities_go(void **state) {
  struct tree *t = *state;
  uint64_t f = tree_mknod(t, t->root, "f", FILE_MODE), h = tree_open(t, f, O_RDWR);
  t->req.caller.uid = 0;
  for (int i = 0; i < 5; i++) {
    assert_int_equal(set(t, f, "security.capability", 20, 0), 0);
    assert_int_equal(tree_read(t, h, 0, &(char[1]){0}, 1), i > 0 ? 1 : 0);
    assert_int_equal(get(t, f, "security.capability", 0), 20);
    if (i == 0)
      assert_int_equal(tree_write(t, h, 0, "x"), 1);
    else if (i == 1)
      assert_int_equal(tree_resize(t, f, 2), 0);
    else if (i == 2)
      assert_int_equal(tree_fallocate(t, h, 0, 0, 10), 0);
    else if (i == 3)
      assert_int_equal(tree_setattr(t, (struct virtiofs_setattr_in){.node = f, .valid = VIRTIOFS_SET_GID, .gid = 7}),
                       0);
    else
      tree_release(t, tree_open(t, f, O_RDWR | O_TRUNC));
    assert_int_equal(get(t, f, "security.capability", 0), -ENODATA);
  }
  tree_release(t, h);
  tree_forget(t, f, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      tree_test(each_name_once),         tree_test(rewinding_shows_what_is_new),
      tree_test(offsets_from_elsewhere), tree_test(dots),
      tree_test(xattrs_and_their_sizes), tree_test(xattrs_have_limits),
      tree_test(capabilities_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
