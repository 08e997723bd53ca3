/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes: getattr, setattr, readlink, statfs. */
#include "passthrough_share.h"

#include <sys/statvfs.h>

static int set(struct share *s, struct virtiofs_setattr_in in, const char *name) {
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  int rc = s->ops->setattr(&s->req, &in, &out);
  if (rc != 0)
    return rc;
  struct stat st = share_stat(s, name);
  share_assert_attr(&out.attr, &st);
  assert_int_equal(out.attr_valid_ns, 7);
  return 0;
}

static void getting(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0640);
  struct virtiofs_getattr_in in = {.node = share_lookup(s, "file")};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  share_put_file(s, "file", "longer text", 0604);
  assert_int_equal(s->ops->getattr(&s->req, &in, &out), 0);
  struct stat st = share_stat(s, "file");
  share_assert_attr(&out.attr, &st);
  assert_int_equal(out.attr_valid_ns, 7);
}

static void setting_mode(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "", 0600);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  static const char *const names[] = {"file", "dir", "fifo"};
  for (int i = 0; i < 3; i++) {
    struct virtiofs_setattr_in in = {.node = share_lookup(s, names[i]), .valid = VIRTIOFS_SET_MODE, .mode = 01751};
    assert_int_equal(set(s, in, names[i]), 0);
    assert_int_equal(share_stat(s, names[i]).st_mode & 07777, 01751);
  }
  share_put_file(s, "target", "", 0600);
  assert_int_equal(symlinkat("target", s->fd, "link"), 0);
  struct virtiofs_setattr_in in = {.node = share_lookup(s, "link"), .valid = VIRTIOFS_SET_MODE, .mode = 0777};
  assert_int_equal(set(s, in, "link"), -EOPNOTSUPP);
  assert_int_equal(share_stat(s, "target").st_mode & 07777, 0600);
  struct stat before = share_stat(s, "link");
  in.valid |= VIRTIOFS_SET_UID;
  in.uid = geteuid();
  assert_int_equal(set(s, in, "link"), -EOPNOTSUPP);
  struct stat after = share_stat(s, "link"); /* refused before anything was done */
  assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
}

static void setting_owner(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  share_put_file(s, "file", "", 06755);
  assert_int_equal(symlinkat("file", s->fd, "link"), 0);
  uint64_t file = share_lookup(s, "file"), link = share_lookup(s, "link");
  assert_int_equal(set(s, (struct virtiofs_setattr_in){.node = link, .valid = VIRTIOFS_SET_UID, .uid = 11}, "link"), 0);
  assert_int_equal(share_stat(s, "link").st_uid, 11);
  assert_int_equal(share_stat(s, "file").st_uid, 0);
  struct virtiofs_setattr_in in = {.node = file,
                                   .valid = VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_MODE,
                                   .uid = 12,
                                   .gid = 13,
                                   .mode = 04700};
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_uid, 12);
  assert_int_equal(share_stat(s, "file").st_gid, 13);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 04700);
  in = (struct virtiofs_setattr_in){.node = file, .valid = VIRTIOFS_SET_GID, .gid = 14};
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_uid, 12);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0700); /* dropped by chown, as locally */

  in = (struct virtiofs_setattr_in){
      .node = file, .valid = VIRTIOFS_SET_UID | VIRTIOFS_SET_MODE, .uid = UINT32_MAX, .mode = 0777};
  assert_int_equal(set(s, in, "file"), -EINVAL);
  in = (struct virtiofs_setattr_in){.node = file, .valid = VIRTIOFS_SET_GID, .gid = UINT32_MAX};
  assert_int_equal(set(s, in, "file"), -EINVAL);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0700); /* nothing of it was done */
}

static void setting_size(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "some text", 0600);
  uint64_t node = share_lookup(s, "file");
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_SIZE, .size = 4};
  int before = share_open_fds();
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_size, 4);
  in.size = UINT64_C(1) << 32;
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_size, INT64_C(1) << 32);
  assert_int_equal(share_open_fds(), before);

  share_put_file(s, "oracle", "", 0600);
  int oracle = openat(s->fd, "oracle", O_WRONLY);
  in.size = INT64_MAX;
  int rc = ftruncate(oracle, INT64_MAX) == 0 ? 0 : -errno;
  close(oracle);
  assert_int_equal(set(s, in, "file"), rc);

  in = (struct virtiofs_setattr_in){.node = s->root, .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_MODE, .mode = 0700};
  assert_int_equal(set(s, in, "."), -EISDIR);
  assert_int_equal(share_stat(s, ".").st_mode & 07777, 0777);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  in.node = share_lookup(s, "fifo");
  alarm(100);
  assert_int_equal(set(s, in, "fifo"), -EINVAL);
  alarm(0);
}

/* By a handle, ftruncate(2) works on a file that may not be opened for writing any more, and not by one for reading. */
static void setting_size_by_handle(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "some text", 0600);
  uint64_t node = share_lookup(s, "file");
  uint64_t writing = share_open(s, node, O_WRONLY), reading = share_open(s, node, O_RDONLY);
  struct virtiofs_setattr_in in = {
      .node = node, .has_handle = true, .handle = writing, .valid = VIRTIOFS_SET_SIZE, .size = 4};
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_size, 4);
  in.handle = reading;
  assert_int_equal(set(s, in, "file"), -EINVAL);
  share_release(s, writing);
  share_release(s, reading);
}

static void killing_suid(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 06755);
  share_put_file(s, "lock", "text", 06745);
  uint64_t node = share_lookup(s, "file");
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_KILL_SUIDGID, .size = 1};
  assert_int_equal(set(s, in, "file"), 0);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0755);
  in.node = share_lookup(s, "lock");
  assert_int_equal(set(s, in, "lock"), 0);
  assert_int_equal(share_stat(s, "lock").st_mode & 07777, 02745);
}

static void setting_times(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  assert_int_equal(symlinkat("file", s->fd, "link"), 0);
  struct stat file = share_stat(s, "file");
  static const char *const names[] = {"link", "file"};
  for (int i = 0; i < 2; i++) {
    uint64_t node = share_lookup(s, names[i]);
    struct virtiofs_setattr_in in = {.node = node,
                                     .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME,
                                     .atime = {.sec = -5, .nsec = 999999999},
                                     .mtime = {.sec = 4000000000, .nsec = 1}};
    assert_int_equal(set(s, in, names[i]), 0);
    struct stat st = share_stat(s, names[i]);
    assert_int_equal(st.st_atim.tv_sec, -5);
    assert_int_equal(st.st_atim.tv_nsec, 999999999);
    assert_int_equal(st.st_mtim.tv_sec, 4000000000);

    in = (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW};
    assert_int_equal(set(s, in, names[i]), 0);
    st = share_stat(s, names[i]);
    assert_int_equal(st.st_atim.tv_sec, -5); /* not named, not touched */
    assert_true(st.st_mtim.tv_sec >= file.st_mtim.tv_sec && st.st_mtim.tv_sec < file.st_mtim.tv_sec + 1000);

    in = (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_ATIME_NOW};
    assert_int_equal(set(s, in, names[i]), 0);
    assert_true(share_stat(s, names[i]).st_atim.tv_sec >= file.st_mtim.tv_sec);
    if (i == 0) {
      st = share_stat(s, "file");
      assert_int_equal(st.st_mtim.tv_sec, file.st_mtim.tv_sec);
      assert_int_equal(st.st_mtim.tv_nsec, file.st_mtim.tv_nsec);
    }
  }
}

/* A new size changes the time; the time that the same request names must stand at the end. */
static void setting_all_at_once(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  struct virtiofs_setattr_in in = {.node = share_lookup(s, "file"),
                                   .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MODE,
                                   .size = 2,
                                   .mode = 0400,
                                   .mtime = {.sec = 77, .nsec = 7}};
  assert_int_equal(set(s, in, "file"), 0);
  struct stat st = share_stat(s, "file");
  assert_int_equal(st.st_size, 2);
  assert_int_equal(st.st_mode & 07777, 0400);
  assert_int_equal(st.st_mtim.tv_sec, 77);
}

static void reading_links(void **state) {
  struct share *s = *state;
  static char longest[VIRTIOFS_TARGET_MAX + 1];
  char buf[VIRTIOFS_TARGET_MAX];
  memset(longest, 'x', VIRTIOFS_TARGET_MAX);
  assert_int_equal(symlinkat("../etc", s->fd, "link"), 0);
  share_put_file(s, "file", "", 0600);
  struct virtiofs_readlink_in in = {.node = share_lookup(s, "link")};
  struct virtiofs_readlink_out out = {.target = buf};
  assert_int_equal(s->ops->readlink(&s->req, &in, &out), 0);
  assert_int_equal(out.len, 6);
  assert_memory_equal(buf, "../etc", 6);
  in.node = share_lookup(s, "file");
  assert_int_equal(s->ops->readlink(&s->req, &in, &out), -EINVAL);
  in.node = s->root;
  assert_int_equal(s->ops->readlink(&s->req, &in, &out), -EINVAL);
  if (symlinkat(longest, s->fd, "long") == 0) {
    in.node = share_lookup(s, "long");
    assert_int_equal(s->ops->readlink(&s->req, &in, &out), 0);
    assert_int_equal(out.len, VIRTIOFS_TARGET_MAX);
    assert_memory_equal(buf, longest, VIRTIOFS_TARGET_MAX);
  }
}

static void file_system_sizes(void **state) {
  struct share *s = *state;
  struct virtiofs_statfs_in in = {.node = s->root};
  struct virtiofs_statfs_out out;
  struct statvfs st;
  assert_int_equal(s->ops->statfs(&s->req, &in, &out), 0);
  assert_int_equal(statvfs(s->dir, &st), 0);
  assert_int_equal(out.blocks, st.f_blocks);
  assert_int_equal(out.files, st.f_files);
  assert_int_equal(out.bsize, st.f_bsize);
  assert_int_equal(out.frsize, st.f_frsize);
  assert_int_equal(out.namelen, st.f_namemax);
  assert_true(out.bavail <= out.bfree && out.bfree <= out.blocks && out.bfree > 0 && out.ffree <= out.files);
}

static void getting_more(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0640);
  struct virtiofs_statx_in in = {
      .node = share_lookup(s, "file"), .flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, .mask = STATX_BTIME};
  struct virtiofs_statx_out out = {.attr_valid_ns = 0};
  assert_int_equal(s->ops->statx(&s->req, &in, &out), 0);
  struct stat st = share_stat(s, "file");
  struct statx stx;
  assert_int_equal(statx(s->fd, "file", 0, STATX_BASIC_STATS | STATX_BTIME, &stx), 0);
  share_assert_attr(&out.statx.attr, &st);
  assert_int_equal(out.statx.mask, stx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
  assert_int_equal(out.statx.btime.sec, (stx.stx_mask & STATX_BTIME) != 0 ? stx.stx_btime.tv_sec : 0);
  assert_int_equal(out.statx.btime.nsec, (stx.stx_mask & STATX_BTIME) != 0 ? stx.stx_btime.tv_nsec : 0);
  assert_int_equal(out.statx.dev_major, stx.stx_dev_major);
  assert_int_equal(out.statx.dev_minor, stx.stx_dev_minor);
  assert_int_equal(out.statx.attributes_mask & ~stx.stx_attributes_mask, 0);
  assert_int_equal(out.attr_valid_ns, 7);

  struct virtiofs_statx_in root = {.node = s->root};
  assert_int_equal(s->ops->statx(&s->req, &root, &out), 0);
  assert_int_equal(out.statx.attributes & STATX_ATTR_MOUNT_ROOT, 0); /* of the host's mounts, which the guest has not */
}

static void syncing_all(void **state) {
  struct share *s = *state;
  assert_int_equal(symlinkat("target", s->fd, "link"), 0);
  struct virtiofs_syncfs_in in = {.node = s->root};
  assert_int_equal(s->ops->syncfs(&s->req, &in), 0);
  in.node = share_lookup(s, "link");
  assert_int_equal(s->ops->syncfs(&s->req, &in), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(getting),
      share_test(getting_more),
      share_test(syncing_all),
      share_test(setting_mode),
      share_test(setting_owner),
      share_test(setting_size),
      share_test(setting_size_by_handle),
      share_test(killing_suid),
      share_test(setting_times),
      share_test(setting_all_at_once),
      share_test(reading_links),
      share_test(file_system_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
