/* SPDX-License-Identifier: BSD-3-Clause */
/* Making files: mkdir, mknod, symlink, create. */
#include "passthrough_share.h"

#include <sys/sysmacros.h>

static void assert_gives(struct share *s, const char *name, const struct virtiofs_entry_out *out, mode_t mode) {
  struct stat st = share_stat(s, name);
  assert_int_equal(st.st_mode, mode);
  share_assert_attr(&out->attr, &st);
  assert_int_equal(out->entry_valid_ns, 5);
  assert_int_equal(share_lookup(s, name), out->node);
  share_forget(s, out->node, 2);
}

static void making_directories(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  int before = share_open_fds();
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 01751, &out), 0);
  assert_gives(s, "dir", &out, S_IFDIR | 01751);
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0700, &out), -EEXIST);
  assert_int_equal(share_open_fds(), before);
}

static void making_symlinks(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  char buf[64] = "";
  assert_int_equal(share_try_symlink(s, "link", "../../etc/passwd", &out), 0);
  assert_gives(s, "link", &out, S_IFLNK | 0777);
  assert_int_equal(readlinkat(s->fd, "link", buf, sizeof buf), 16);
  assert_string_equal(buf, "../../etc/passwd");
  assert_int_equal(share_try_symlink(s, "link", "x", &out), -EEXIST);
}

static void making_nodes(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  assert_int_equal(share_try_mknod(s, "file", S_IFREG | 0640, 0, 0, &out), 0);
  assert_gives(s, "file", &out, S_IFREG | 0640);
  assert_int_equal(share_try_mknod(s, "plain", 0600, 0, 0, &out), 0);
  assert_gives(s, "plain", &out, S_IFREG | 0600);
  assert_int_equal(share_try_mknod(s, "fifo", S_IFIFO | 0622, 0, 0, &out), 0);
  assert_gives(s, "fifo", &out, S_IFIFO | 0622);
  assert_int_equal(share_try_mknod(s, "socket", S_IFSOCK | 0600, 0, 0, &out), 0);
  assert_gives(s, "socket", &out, S_IFSOCK | 0600);
  assert_int_equal(share_try_mknod(s, "dir", S_IFDIR | 0600, 0, 0, &out), -EINVAL);
  assert_int_equal(share_try_mknod(s, "link", S_IFLNK | 0600, 0, 0, &out), -EINVAL);
  assert_int_equal(share_try_mknod(s, "fifo", S_IFIFO | 0600, 0, 0, &out), -EEXIST);
}

static void devices_are_made_when_asked_for(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  assert_int_equal(share_try_mknod(s, "null", S_IFCHR | 0666, 1, 3, &out), -EPERM);
  assert_int_equal(share_try_mknod(s, "disk", S_IFBLK | 0666, 0, 0, &out), -EPERM);
  assert_false(share_has(s, "null") || share_has(s, "disk"));
  assert_int_equal(share_try_mknod(s, "whiteout", S_IFCHR, 0, 0, &out), 0);
  share_forget(s, out.node, 1);

  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.device_nodes = true});
  int oracle = mknodat(s->fd, "oracle", S_IFCHR | 0666, makedev(1, 3)) == 0 ? 0 : -errno;
  assert_int_equal(share_try_mknod(s, "null", S_IFCHR | 0666, 1, 3, &out), oracle);
  if (oracle != 0)
    return;
  assert_int_equal(share_stat(s, "null").st_rdev, makedev(1, 3));
  assert_int_equal(out.attr.rdev_major, 1);
  assert_int_equal(out.attr.rdev_minor, 3);
  uint64_t handle;
  assert_int_equal(share_try_open(s, out.node, O_RDONLY, &handle), -ENXIO);
  share_forget(s, out.node, 1);
}

static void creating(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  int before = share_open_fds();
  assert_int_equal(share_try_create(s, "file", O_RDWR | O_EXCL, 04755, &out), 0);
  struct stat st = share_stat(s, "file");
  assert_int_equal(st.st_mode, S_IFREG | 04755);
  share_assert_attr(&out.entry.attr, &st);
  assert_int_equal(share_open_fds(), before + 1 + share_inode_fds(1));
  assert_int_equal(share_write(s, out.open.handle, 0, "text", 0, 0), 4);
  assert_int_equal(share_stat(s, "file").st_size, 4);
  assert_int_equal(share_lookup(s, "file"), out.entry.node);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 2);
  assert_int_equal(share_open_fds(), before);

  /* Who makes a file may write it whatever its mode says. */
  assert_int_equal(share_try_create(s, "locked", O_WRONLY, 0, &out), 0);
  assert_int_equal(share_write(s, out.open.handle, 0, "text", 0, 0), 4);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 1);
}

static void creating_what_is_there(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  int before = share_open_fds();
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file");
  assert_int_equal(share_try_create(s, "file", O_RDWR | O_EXCL, 0600, &out), -EEXIST);
  assert_int_equal(share_try_create(s, "file", O_RDWR, 0600, &out), 0);
  assert_int_equal(out.entry.node, node);
  assert_int_equal(out.entry.attr.size, 4);
  share_release(s, out.open.handle);
  assert_int_equal(share_try_create(s, "file", O_RDWR | O_TRUNC, 0600, &out), 0);
  assert_int_equal(out.entry.attr.size, 0);
  share_release(s, out.open.handle);
  share_forget(s, node, 3);
  assert_int_equal(share_open_fds(), before);
}

static void creating_opens_nothing_but_files(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  char outside[300];
  snprintf(outside, sizeof outside, "%s/outside", s->base);
  assert_int_equal(symlinkat(outside, s->fd, "link"), 0);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0666), 0);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  int before = share_open_fds();
  alarm(100); /* an open of the FIFO would wait for ever */
  assert_int_equal(share_try_create(s, "link", O_RDWR, 0600, &out), -ESTALE);
  assert_int_equal(share_try_create(s, "fifo", O_WRONLY, 0600, &out), -ESTALE);
  assert_int_equal(share_try_create(s, "dir", O_RDWR, 0600, &out), -EISDIR);
  assert_int_equal(share_try_create(s, "tmp", O_RDWR | O_TMPFILE, 0600, &out), -EINVAL);
  assert_int_equal(share_try_create(s, "path", O_PATH, 0600, &out), -EINVAL);
  alarm(0);
  assert_int_equal(access(outside, F_OK), -1);
  assert_false(share_has(s, "tmp") || share_has(s, "path"));
  assert_int_equal(share_open_fds(), before);
}

static int try_tmpfile(struct share *s, uint32_t flags, uint32_t mode, struct virtiofs_create_out *out) {
  struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = flags, .mode = S_IFREG | mode};
  *out = (struct virtiofs_create_out){.open = {.handle = 0}};
  int rc = s->ops->tmpfile(&s->req, &in, out);
  s->opened = out->entry.node;
  return rc;
}

static void making_what_has_no_name(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  int before = share_open_fds();
  int oracle = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (oracle < 0)
    skip();
  close(oracle);
  assert_int_equal(try_tmpfile(s, O_TMPFILE | O_RDWR, 04640, &out), 0); /* as Linux sends it */
  assert_int_equal(out.entry.attr.mode, S_IFREG | 04640);
  assert_int_equal(out.entry.attr.nlink, 0);
  assert_int_equal(share_write(s, out.open.handle, 0, "text", 0, 0), 4);
  struct virtiofs_link_in in = {.new_parent = s->root, .node = out.entry.node, .name = share_name("name")};
  struct virtiofs_entry_out entry = {.node = 0};
  assert_int_equal(s->ops->link(&s->req, &in, &entry), 0);
  assert_int_equal(entry.node, out.entry.node);
  assert_int_equal(entry.attr.nlink, 1);
  assert_int_equal(share_stat(s, "name").st_size, 4);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 2);

  assert_int_equal(try_tmpfile(s, O_RDONLY, 0600, &out), -EINVAL); /* as the host says */
  assert_int_equal(try_tmpfile(s, O_PATH, 0600, &out), -EINVAL);
  assert_int_equal(share_open_fds(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(making_directories),
      share_test(making_symlinks),
      share_test(making_nodes),
      share_test(devices_are_made_when_asked_for),
      share_test(making_what_has_no_name),
      share_test(creating),
      share_test(creating_what_is_there),
      share_test(creating_opens_nothing_but_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
