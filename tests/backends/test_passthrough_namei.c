/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: lookup, forget, unlink, rmdir, rename, link. */
#include "passthrough_share.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void lookup_gives_attributes(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  share_put_file(s, "file", "text", 0640);
  assert_int_equal(share_try_lookup(s, s->root, "file", &out), 0);
  struct stat st = share_stat(s, "file");
  share_assert_attr(&out.attr, &st);
  assert_int_equal(out.entry_valid_ns, 5);
  assert_int_equal(out.attr_valid_ns, 7);
  assert_int_equal(share_lookup(s, "file"), out.node);
  share_forget(s, out.node, 2);
}

static void lookup_says_no(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  char name[300];
  memset(name, 'n', sizeof name);
  name[256] = 0;
  share_put_file(s, "file", "", 0600);
  uint64_t file = share_lookup(s, "file");
  assert_int_equal(share_try_lookup(s, s->root, "nothing", &out), -ENOENT);
  assert_int_equal(share_try_lookup(s, file, "x", &out), -ENOTDIR);
  assert_int_equal(share_try_lookup(s, s->root, name, &out), -ENAMETOOLONG);
  share_forget(s, file, 1);
}

static void symlinks_are_not_followed(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  uint64_t handle;
  assert_int_equal(symlinkat("..", s->fd, "up"), 0);
  assert_int_equal(symlinkat("/etc", s->fd, "etc"), 0);
  assert_int_equal(symlinkat("/etc/passwd", s->fd, "passwd"), 0);
  static const char *const names[] = {"up", "etc", "passwd"};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(share_try_lookup(s, s->root, names[i], &out), 0);
    assert_int_equal(out.attr.mode & S_IFMT, S_IFLNK);
    uint64_t node = out.node;
    assert_int_equal(share_try_lookup(s, node, "share", &out), -ENOTDIR);
    assert_int_equal(share_try_lookup(s, node, "passwd", &out), -ENOTDIR);
    assert_int_equal(share_try_mkdir(s, node, "new", 0700, &out), -ENOTDIR);
    assert_int_equal(share_try_open(s, node, O_RDONLY, &handle), -ELOOP);
    struct virtiofs_opendir_in in = {.node = node};
    struct virtiofs_open_out open_out;
    assert_int_equal(s->ops->opendir(&s->req, &in, &open_out), -ENOTDIR);
    share_forget(s, node, 1);
  }
}

static void replaced_file_is_another_node(void **state) {
  struct share *s = *state;
  char buf[8] = "";
  share_put_file(s, "file", "old", 0600);
  uint64_t old = share_lookup(s, "file");
  share_put_file(s, "file.new", "new", 0600);
  assert_int_equal(renameat(s->fd, "file.new", s->fd, "file"), 0);
  uint64_t new = share_lookup(s, "file"), handle;
  assert_int_not_equal(old, new);
  if (share_has_handles()) {
    share_await_stale(s, old);
    assert_int_equal(share_try_open(s, old, O_RDONLY, &handle), -ESTALE);
  } else {
    handle = share_open(s, old, O_RDONLY);
    assert_int_equal(share_read(s, handle, 0, buf, sizeof buf), 3);
    assert_string_equal(buf, "old");
    share_release(s, handle);
  }
  share_forget(s, old, 1);
  share_forget(s, new, 1);
}

/* The host gives a number to the next file as soon as nobody holds the old one: a descriptor holds it. Without one
 * test_passthrough_handles.c has what happens then. */
static void number_is_not_reused_while_known(void **state) {
  struct share *s = *state;
  if (share_has_handles())
    skip();
  share_put_file(s, "file", "", 0600);
  uint64_t node = share_lookup(s, "file");
  ino_t ino = share_stat(s, "file").st_ino;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(unlinkat(s->fd, "file", 0), 0);
    share_put_file(s, "file", "", 0600);
    assert_int_not_equal(share_stat(s, "file").st_ino, ino);
  }
  share_forget(s, node, 1);
}

static void forget_counts(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "", 0600);
  int before = share_open_fds();
  uint64_t node = share_lookup(s, "file");
  assert_int_equal(share_lookup(s, "file"), node);
  assert_int_equal(share_lookup(s, "file"), node);
  assert_int_equal(share_open_fds(), before + share_inode_fds(1));
  share_forget(s, node, 2);
  assert_int_equal(share_open_fds(), before + share_inode_fds(1));
  share_forget(s, node, 1);
  assert_int_equal(share_open_fds(), before);
  node = share_lookup(s, "file");
  fake_log_count = 0;
  share_forget(s, node, UINT64_MAX);
  assert_int_equal(fake_log_count, 1);
  assert_int_equal(share_open_fds(), before);
}

static void hard_links_are_one_node(void **state) {
  struct share *s = *state;
  share_put_file(s, "one", "", 0600);
  assert_int_equal(linkat(s->fd, "one", s->fd, "two", 0), 0);
  uint64_t node = share_lookup(s, "one");
  assert_int_equal(share_lookup(s, "two"), node);
  share_forget(s, node, 2);
}

/* Two file systems have the same numbers; a bind mount has even the same device. All are nodes of their own. */
static int walk_mounts(struct share *s) {
  char a[300], b[300], bound[300];
  struct stat st[3];
  uint64_t nodes[3];
  snprintf(a, sizeof a, "%s/a", s->dir);
  snprintf(b, sizeof b, "%s/b", s->dir);
  snprintf(bound, sizeof bound, "%s/bound", s->dir);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", a, "tmpfs", 0, NULL) != 0 || mount("none", b, "tmpfs", 0, NULL) != 0 ||
      mount(a, bound, NULL, MS_BIND, NULL) != 0)
    return 77;
  close(s->fd); /* the old namespace's */
  s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  static const char *const names[] = {"a", "b", "bound"};
  for (int i = 0; i < 3; i++) {
    st[i] = share_stat(s, names[i]);
    nodes[i] = share_lookup(s, names[i]);
  }
  bool same_numbers = st[0].st_ino == st[1].st_ino && st[0].st_ino == st[2].st_ino && st[0].st_dev == st[2].st_dev;
  return same_numbers && nodes[0] != nodes[1] && nodes[0] != nodes[2] && nodes[1] != nodes[2] ? 0 : 1;
}

static void mounts_are_places_of_their_own(void **state) {
  struct share *s = *state;
  assert_int_equal(mkdirat(s->fd, "a", 0700) | mkdirat(s->fd, "b", 0700) | mkdirat(s->fd, "bound", 0700), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    _exit(walk_mounts(s));
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    skip(); /* may not mount */
  assert_int_equal(WEXITSTATUS(status), 0);
}

static int unlink_name(struct share *s, const char *name) {
  struct virtiofs_unlink_in in = {.parent = s->root, .name = share_name(name)};
  return s->ops->unlink(&s->req, &in);
}

static int rmdir_name(struct share *s, const char *name) {
  struct virtiofs_rmdir_in in = {.parent = s->root, .name = share_name(name)};
  return s->ops->rmdir(&s->req, &in);
}

static void removing(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "", 0600);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  assert_int_equal(mkdirat(s->fd, "dir/sub", 0700), 0);
  assert_int_equal(symlinkat("file", s->fd, "link"), 0);
  assert_int_equal(unlink_name(s, "nothing"), -ENOENT);
  assert_int_equal(unlink_name(s, "dir"), -EISDIR);
  assert_int_equal(rmdir_name(s, "file"), -ENOTDIR);
  assert_int_equal(rmdir_name(s, "link"), -ENOTDIR);
  assert_int_equal(rmdir_name(s, "dir"), -ENOTEMPTY);
  assert_int_equal(unlink_name(s, "link"), 0);
  assert_true(share_has(s, "file"));
  assert_int_equal(unlink_name(s, "file"), 0);
  assert_int_equal(unlinkat(s->fd, "dir/sub", AT_REMOVEDIR), 0);
  assert_int_equal(rmdir_name(s, "dir"), 0);
  assert_false(share_has(s, "file") || share_has(s, "link") || share_has(s, "dir"));
}

static void unlinked_file_lives_on(void **state) {
  struct share *s = *state;
  char buf[8] = "";
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file");
  uint64_t handle = share_open(s, node, O_RDWR);
  assert_int_equal(unlink_name(s, "file"), 0);
  assert_int_equal(share_read(s, handle, 0, buf, 4), 4);
  assert_string_equal(buf, "text");
  struct virtiofs_getattr_in in = {.node = node};
  struct virtiofs_attr_out out;
  assert_int_equal(s->ops->getattr(&s->req, &in, &out), 0);
  assert_int_equal(out.attr.nlink, 0);
  uint64_t again = share_open(s, node, O_RDONLY);
  share_release(s, again);
  struct virtiofs_link_in link_in = {.new_parent = s->root, .node = node, .name = share_name("back")};
  struct virtiofs_entry_out entry;
  assert_int_equal(s->ops->link(&s->req, &link_in, &entry), -ENOENT); /* as linkat(2) of a file without a name */
  share_release(s, handle);
  share_forget(s, node, 1);
}

static int rename_names(struct share *s, uint64_t from, const char *name, uint64_t to, const char *new_name,
                        uint32_t flags) {
  struct virtiofs_rename_in in = {
      .parent = from, .new_parent = to, .name = share_name(name), .new_name = share_name(new_name), .flags = flags};
  return s->ops->rename(&s->req, &in);
}

static void renaming(void **state) {
  struct share *s = *state;
  share_put_file(s, "a", "a", 0600);
  share_put_file(s, "b", "b", 0600);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  uint64_t dir = share_lookup(s, "dir");
  uint64_t node = share_lookup(s, "a");
  ino_t a = share_stat(s, "a").st_ino, b = share_stat(s, "b").st_ino;

  assert_int_equal(rename_names(s, s->root, "nothing", s->root, "c", 0), -ENOENT);
  assert_int_equal(rename_names(s, s->root, "a", s->root, "b", VIRTIOFS_RENAME_NOREPLACE), -EEXIST);
  assert_int_equal(rename_names(s, s->root, "a", s->root, "b", VIRTIOFS_RENAME_EXCHANGE), 0);
  assert_int_equal(share_stat(s, "b").st_ino, a);
  assert_int_equal(share_stat(s, "a").st_ino, b);
  assert_int_equal(rename_names(s, s->root, "a", s->root, "nothing", VIRTIOFS_RENAME_EXCHANGE), -ENOENT);
  assert_int_equal(rename_names(s, s->root, "b", s->root, "dir", 0), -EISDIR);
  assert_int_equal(rename_names(s, s->root, "dir", dir, "sub", 0), -EINVAL);
  assert_int_equal(rename_names(s, s->root, "b", dir, "c", 0), 0);
  assert_int_equal(share_stat(s, "dir/c").st_ino, a);
  struct virtiofs_entry_out out;
  assert_int_equal(share_try_lookup(s, dir, "c", &out), 0);
  assert_int_equal(out.node, node);
  share_forget(s, node, 2);
  share_forget(s, dir, 1);
}

static void whiteout_is_left_behind(void **state) {
  struct share *s = *state;
  share_put_file(s, "a", "a", 0600);
  share_put_file(s, "oracle", "", 0600);
  if (renameat2(s->fd, "oracle", s->fd, "oracle2", RENAME_WHITEOUT) != 0)
    skip(); /* the file system has none */
  if (geteuid() == 0)
    s->req.caller.uid = s->req.caller.gid = 1234;
  assert_int_equal(rename_names(s, s->root, "a", s->root, "b", VIRTIOFS_RENAME_WHITEOUT), 0);
  struct stat st = share_stat(s, "a");
  assert_int_equal(st.st_mode & S_IFMT, S_IFCHR);
  assert_int_equal(st.st_rdev, 0);
  assert_int_equal(st.st_uid, s->req.caller.uid);
  assert_int_equal(share_stat(s, "b").st_size, 1);
}

static void linking(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  assert_int_equal(symlinkat("/etc/passwd", s->fd, "link"), 0);
  uint64_t file = share_lookup(s, "file");
  uint64_t link = share_lookup(s, "link");
  struct virtiofs_entry_out out;
  struct virtiofs_link_in in = {.new_parent = s->root, .node = file, .name = share_name("file2")};
  assert_int_equal(s->ops->link(&s->req, &in, &out), 0);
  assert_int_equal(out.node, file);
  assert_int_equal(out.attr.nlink, 2);
  assert_int_equal(share_stat(s, "file2").st_ino, share_stat(s, "file").st_ino);
  assert_int_equal(s->ops->link(&s->req, &in, &out), -EEXIST);
  share_forget(s, file, 1);
  assert_int_equal(share_lookup(s, "file2"), file); /* still known: link's reply counts */
  share_forget(s, file, 2);

  in = (struct virtiofs_link_in){.new_parent = s->root, .node = link, .name = share_name("link2")};
  assert_int_equal(s->ops->link(&s->req, &in, &out), 0);
  assert_int_equal(share_stat(s, "link2").st_ino, share_stat(s, "link").st_ino); /* the link itself, not its target */
  share_forget(s, link, 2);

  in = (struct virtiofs_link_in){.new_parent = s->root, .node = s->root, .name = share_name("dir2")};
  assert_int_equal(s->ops->link(&s->req, &in, &out), -EPERM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(lookup_gives_attributes),
      share_test(lookup_says_no),
      share_test(symlinks_are_not_followed),
      share_test(replaced_file_is_another_node),
      share_test(number_is_not_reused_while_known),
      share_test(forget_counts),
      share_test(hard_links_are_one_node),
      share_test(mounts_are_places_of_their_own),
      share_test(removing),
      share_test(unlinked_file_lives_on),
      share_test(renaming),
      share_test(whiteout_is_left_behind),
      share_test(linking),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
