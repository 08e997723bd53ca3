/* SPDX-License-Identifier: BSD-3-Clause */
/* A share that is only for reading: whatever would change something is refused, also if a guest's kernel would never
 * ask so, and what looks changes nothing either. */
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <time.h>

#include "passthrough_share.h"

static const struct virtiofs_passthrough_config readonly = {.readonly = true, .xattr = true};

/* What was there before, and has not been read for long. */
static int setup(void **state) {
  if (share_setup(state) != 0)
    return -1;
  struct share *s = *state;
  const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
  virtiofs_passthrough_free(s->fs);
  share_put_file(s, "file", "0123456789", 0644);
  assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
  assert_int_equal(symlinkat("file", s->fd, "link"), 0);
  assert_int_equal(utimensat(s->fd, "file", times, 0), 0);
  assert_int_equal(utimensat(s->fd, "dir", times, 0), 0);
  share_serve(s, readonly);
  return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, share_teardown)

/* All that can be seen from outside, in order to see that it stays. */
struct seen {
  struct stat file, dir, root, link;
  char text[32];
  int entries;
};

static struct seen see(const struct share *s) {
  struct seen seen;
  memset(&seen, 0, sizeof seen);
  seen.file = share_stat(s, "file");
  seen.dir = share_stat(s, "dir");
  seen.root = share_stat(s, ".");
  seen.link = share_stat(s, "link");
  int fd = openat(s->fd, "file", O_RDONLY | O_NOATIME);
  assert_true(fd >= 0 && read(fd, seen.text, sizeof seen.text) >= 0);
  close(fd);
  DIR *dir = opendir(s->dir);
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    seen.entries++;
  closedir(dir);
  return seen;
}

static void same_but_root_atime(const struct seen *before, const struct seen *after) {
  struct seen a = *before, b = *after;
  a.root.st_atim = b.root.st_atim = (struct timespec){0}; /* our own look */
  assert_memory_equal(&a, &b, sizeof a);
}

static void names(void **state) {
  struct share *s = *state;
  struct seen before = see(s);
  struct virtiofs_entry_out entry;
  struct virtiofs_create_out created;
  uint64_t file = share_lookup(s, "file"), dir = share_lookup(s, "dir");
  assert_int_equal(share_try_mkdir(s, s->root, "new", 0755, &entry), -EROFS);
  assert_int_equal(share_try_symlink(s, "new", "x", &entry), -EROFS);
  assert_int_equal(share_try_mknod(s, "new", S_IFREG | 0644, 0, 0, &entry), -EROFS);
  assert_int_equal(share_try_mknod(s, "new", S_IFIFO | 0644, 0, 0, &entry), -EROFS);
  assert_int_equal(share_try_create(s, "new", O_RDWR, 0644, &created), -EROFS);
  assert_int_equal(share_try_create(s, "file", O_RDONLY, 0644, &created), -EROFS);
  assert_int_equal(share_try_create(s, "file", O_RDONLY | O_TRUNC, 0644, &created), -EROFS);
  struct virtiofs_tmpfile_in unnamed = {.parent = s->root, .flags = O_RDWR | O_TMPFILE, .mode = S_IFREG | 0600};
  assert_int_equal(s->ops->tmpfile(&s->req, &unnamed, &created), -EROFS);
  struct virtiofs_link_in link = {.node = file, .new_parent = s->root, .name = share_name("new")};
  assert_int_equal(s->ops->link(&s->req, &link, &entry), -EROFS);
  struct virtiofs_unlink_in unlink = {.parent = s->root, .name = share_name("file")};
  assert_int_equal(s->ops->unlink(&s->req, &unlink), -EROFS);
  struct virtiofs_rmdir_in rmdir = {.parent = s->root, .name = share_name("dir")};
  assert_int_equal(s->ops->rmdir(&s->req, &rmdir), -EROFS);
  struct virtiofs_rename_in rename = {
      .parent = s->root, .new_parent = dir, .name = share_name("file"), .new_name = share_name("new")};
  assert_int_equal(s->ops->rename(&s->req, &rename), -EROFS);
  struct seen after = see(s);
  same_but_root_atime(&before, &after);
}

static void attributes(void **state) {
  struct share *s = *state;
  struct seen before = see(s);
  struct virtiofs_attr_out out;
  uint64_t file = share_lookup(s, "file");
  static const uint32_t valid[] = {VIRTIOFS_SET_MODE,
                                   VIRTIOFS_SET_UID,
                                   VIRTIOFS_SET_GID,
                                   VIRTIOFS_SET_SIZE,
                                   VIRTIOFS_SET_ATIME,
                                   VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW,
                                   0};
  for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
    struct virtiofs_setattr_in in = {.node = file, .valid = valid[i], .mode = 0777};
    assert_int_equal(s->ops->setattr(&s->req, &in, &out), -EROFS);
  }
  struct iovec value = {.iov_base = (char[]){"b"}, .iov_len = 1};
  struct virtiofs_setxattr_in set = {
      .node = file, .name = share_name("user.a"), .value = {.iov = &value, .count = 1, .size = 1}};
  assert_int_equal(s->ops->setxattr(&s->req, &set), -EROFS);
  struct virtiofs_removexattr_in remove = {.node = file, .name = share_name("user.a")};
  assert_int_equal(s->ops->removexattr(&s->req, &remove), -EROFS);
  struct seen after = see(s);
  same_but_root_atime(&before, &after);
}

static void contents(void **state) {
  struct share *s = *state;
  struct seen before = see(s);
  uint64_t file = share_lookup(s, "file"), handle;
  static const uint32_t writes[] = {O_WRONLY, O_RDWR, O_ACCMODE, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND};
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
    assert_int_equal(share_try_open(s, file, writes[i], &handle), -EROFS);
  handle = share_open(s, file, O_RDONLY);
  assert_int_equal(share_write(s, handle, 0, "x", 0, 0), -EROFS);
  struct virtiofs_fallocate_in allocate = {.node = file, .handle = handle, .length = 100};
  assert_int_equal(s->ops->fallocate(&s->req, &allocate), -EROFS);
  struct virtiofs_copy_file_range_in copy = {
      .node = file, .handle = handle, .node_out = file, .handle_out = handle, .offset_out = 20, .len = 5};
  struct virtiofs_copy_file_range_out copied;
  assert_int_equal(s->ops->copy_file_range(&s->req, &copy, &copied), -EROFS);
  int flags = FS_NOATIME_FL;
  struct iovec iov = {.iov_base = &flags, .iov_len = sizeof flags};
  const uint32_t sets[] = {(uint32_t)FS_IOC_SETFLAGS, (uint32_t)FS_IOC32_SETFLAGS, (uint32_t)FS_IOC_FSSETXATTR, 0};
  for (size_t i = 0; i < 4; i++) {
    struct virtiofs_ioctl_in in = {
        .node = file, .handle = handle, .cmd = sets[i], .data = {.iov = &iov, .count = 1, .size = sizeof flags}};
    struct virtiofs_ioctl_out done;
    assert_int_equal(s->ops->ioctl(&s->req, &in, &done), -EROFS);
  }
  share_release(s, handle);
  struct seen after = see(s);
  same_but_root_atime(&before, &after);
}

/* A front-end maps for writing what it can, whatever it is asked: it must not be able to. */
static void mappings(void **state) {
  struct share *s = *state;
  uint64_t file = share_lookup(s, "file");
  struct virtiofs_setupmapping_in in = {.node = file, .len = 4096, .flags = VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE};
  struct virtiofs_setupmapping_out out = {.fd = -1};
  assert_int_equal(s->ops->setupmapping(&s->req, &in, &out), -EROFS);
  in.flags = VIRTIOFS_MAP_READ;
  assert_int_equal(s->ops->setupmapping(&s->req, &in, &out), 0);
  assert_int_equal(fcntl(out.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
  close(out.fd);
}

static void looking_changes_nothing(void **state) {
  struct share *s = *state;
  struct seen before = see(s);
  uint64_t file = share_lookup(s, "file"), dir = share_lookup(s, "dir");
  char text[16];
  uint64_t handle = share_open(s, file, O_RDONLY);
  assert_int_equal(share_read(s, handle, 0, text, sizeof text), 10);
  assert_memory_equal(text, "0123456789", 10);
  struct virtiofs_fsync_in sync = {.node = file, .handle = handle};
  assert_int_equal(s->ops->fsync(&s->req, &sync), 0);
  int flags = 0;
  struct iovec iov = {.iov_base = &flags, .iov_len = sizeof flags};
  struct virtiofs_ioctl_in get = {.node = file,
                                  .handle = handle,
                                  .cmd = (uint32_t)FS_IOC_GETFLAGS,
                                  .out_size = sizeof flags,
                                  .out = {.iov = &iov, .count = 1, .size = sizeof flags}};
  struct virtiofs_ioctl_out got;
  assert_int_not_equal(s->ops->ioctl(&s->req, &get, &got), -EROFS);
  share_release(s, handle);
  handle = share_opendir(s, dir);
  assert_int_equal(share_list(s, dir, handle, 0, 4096, false), 0);
  share_releasedir(s, handle);
  struct seen after = see(s);
  same_but_root_atime(&before, &after);
  assert_int_equal(after.file.st_atim.tv_sec, 1000);
  assert_int_equal(after.dir.st_atim.tv_sec, 1000);
}

/* Where it is not asked for, O_NOATIME is left out, as some hosts would refuse it; where it is, it is the host's. */
static void a_guests_noatime(void **state) {
  struct share *s = *state;
  for (unsigned kept = 0; kept < 2; kept++) {
    virtiofs_passthrough_free(s->fs);
    share_serve(s, (struct virtiofs_passthrough_config){.preserve_noatime = kept != 0});
    uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDONLY | O_NOATIME);
    assert_int_equal((fcntl((int)handle, F_GETFL) & O_NOATIME) != 0, kept);
    share_release(s, handle);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(names),
      TEST(attributes),
      TEST(contents),
      TEST(mappings),
      TEST(looking_changes_nothing),
      TEST(a_guests_noatime),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
