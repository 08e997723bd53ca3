/* SPDX-License-Identifier: BSD-3-Clause */
/* A quota of names and what they take: what is added is charged for, once, and what is given back isn't any more. The
 * oracle is what the host says that the files have. */
#include "passthrough_quota.h"

static void names_come_and_go(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out entry;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f");
  assert_int_equal(put(s, f.open.handle, 0, CHUNK), CHUNK);
  share_release(s, f.open.handle);
  assert_int_equal(link_name(s, f.entry.node, "second", &entry), 0);
  share_forget(s, entry.node, 1);
  assert_int_equal(link_name(s, f.entry.node, "second", &entry), -EEXIST);
  share_forget(s, f.entry.node, 1);
  assert_int_equal(usage(s).quota_inodes, 2);            /* names */
  assert_int_equal(rename_name(s, "f", "second", 0), 0); /* of one file: nothing happens */
  assert_int_equal(usage(s).quota_inodes, 2);
  uint64_t cost = host_bytes(s, "f");
  assert_int_equal(unlink_name(s, "f"), 0);
  assert_int_equal(usage(s).quota_bytes, cost);
  /* Another file is put in its place. */
  f = create(s, "f");
  share_release(s, f.open.handle);
  share_forget(s, f.entry.node, 1);
  assert_int_equal(usage(s).quota_inodes, 2);
  assert_int_equal(rename_name(s, "second", "f", VIRTIOFS_RENAME_NOREPLACE), -EEXIST);
  assert_int_equal(usage(s).quota_inodes, 2);
  assert_int_equal(rename_name(s, "f", "second", 0), 0);
  assert_int_equal(usage(s).quota_inodes, 1);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "second"));
  assert_int_equal(unlink_name(s, "second"), 0);
  assert_int_equal(unlink_name(s, "second"), -ENOENT);
  assert_int_equal(usage(s).quota_inodes, 0);
}

static void files_without_a_name(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out entry;
  serve(s, MIB, 0, false);
  for (int named = 0; named < 2; named++) {
    struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = O_RDWR, .mode = S_IFREG | 0600};
    struct virtiofs_create_out out = {.open = {.handle = 0}};
    int rc = s->ops->tmpfile(&s->req, &in, &out);
    if (rc == -EOPNOTSUPP)
      return;
    assert_int_equal(rc, 0);
    s->opened = out.entry.node;
    assert_int_equal(put(s, out.open.handle, 0, CHUNK), CHUNK);
    assert_true(usage(s).quota_bytes >= CHUNK);
    assert_int_equal(usage(s).quota_inodes, 1);
    if (named != 0) {
      assert_int_equal(link_name(s, out.entry.node, "named", &entry), 0);
      share_forget(s, entry.node, 1);
    }
    share_release(s, out.open.handle);
    share_forget(s, out.entry.node, 1);
    assert_int_equal(usage(s).quota_inodes, named);
    assert_int_equal(usage(s).quota_bytes, named != 0 ? host_bytes(s, "named") : 0);
  }
  assert_int_equal(unlink_name(s, "named"), 0);
  assert_int_equal(usage(s).quota_bytes, 0);
}

static void files_are_counted(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out dir, link;
  struct virtiofs_create_out out;
  serve(s, MIB, 3, false);
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &dir), 0);
  assert_int_equal(share_try_symlink(s, "link", "target", &link), 0);
  struct virtiofs_create_out f = create(s, "f");
  assert_int_equal(usage(s).quota_inodes, 3);
  assert_int_equal(share_try_create(s, "more", O_RDWR | O_EXCL, 0644, &out), -EDQUOT);
  assert_int_equal(share_try_create(s, "more", O_RDWR, 0644, &out), -EDQUOT);
  assert_int_equal(share_try_mknod(s, "more", S_IFIFO | 0600, 0, 0, &link), -EDQUOT);
  assert_int_equal(rename_name(s, "f", "g", VIRTIOFS_RENAME_WHITEOUT), -EDQUOT);
  assert_false(share_has(s, "more"));
  struct virtiofs_statfs_out st = statfs_of(s);
  assert_true(st.files <= 3);
  assert_int_equal(st.ffree, 0);
  /* What is there already may be opened so. */
  share_release(s, f.open.handle);
  assert_int_equal(share_try_create(s, "f", O_RDWR, 0644, &out), 0);
  share_release(s, out.open.handle);
  share_forget(s, f.entry.node, 2);
  share_forget(s, dir.node, 1);
  struct virtiofs_rmdir_in in = {.parent = s->root, .name = share_name("dir")};
  assert_int_equal(s->ops->rmdir(&s->req, &in), 0);
  assert_int_equal(usage(s).quota_inodes, 2);
  assert_int_equal(share_try_mkdir(s, s->root, "f", 0755, &dir), -EEXIST);
  assert_int_equal(usage(s).quota_inodes, 2);
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &dir), 0);
  assert_int_equal(usage(s).quota_inodes, 3);
  share_forget(s, dir.node, 1);
}

/* Replaces the first letters. */
static void number(char *name, int n) {
  for (int i = 6; i >= 0; i--, n /= 10)
    name[i] = (char)('0' + n % 10);
}

/* A name takes room in its directory, which a guest could fill the disk with. */
static void directories_are_charged(void **state) {
  struct share *s = *state;
  enum { NAMES = 12000 };
  struct virtiofs_entry_out dir, out;
  char name[256];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = 0;
  serve(s, CHUNK, NAMES, false);
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &dir), 0);
  assert_int_equal(usage(s).quota_bytes, share_stat(s, "dir").st_blocks * 512);
  struct virtiofs_create_out f = create(s, "f"), g;
  share_release(s, f.open.handle);
  struct virtiofs_link_in in = {.node = f.entry.node, .new_parent = dir.node};
  int rc = 0, count = 0;
  for (; rc == 0 && count < NAMES / 2; count += rc == 0) {
    number(name, count);
    in.name = share_name(name);
    rc = s->ops->link(&s->req, &in, &out);
    if (rc == 0)
      share_forget(s, out.node, 1);
  }
  uint64_t cost = (uint64_t)share_stat(s, "dir").st_blocks * 512;
  assert_int_equal(usage(s).quota_bytes, cost);
  assert_int_equal(usage(s).quota_inodes, 2 + count);
  assert_int_equal(rc, cost > MIB ? -EDQUOT : 0); /* not every file system has directories on its disk */
  if (rc != 0) {
    assert_true(cost <= MIB + 2 * CHUNK);
    assert_int_equal(rename_name(s, "f", "g", 0), -EDQUOT);
    assert_int_equal(share_try_create(s, "g", O_RDWR, 0644, &g), -EDQUOT);
  }
  while (count-- > 0) {
    number(name, count);
    struct virtiofs_unlink_in unlink_in = {.parent = dir.node, .name = share_name(name)};
    assert_int_equal(s->ops->unlink(&s->req, &unlink_in), 0);
  }
  struct virtiofs_rmdir_in rmdir_in = {.parent = s->root, .name = share_name("dir")};
  assert_int_equal(s->ops->rmdir(&s->req, &rmdir_in), 0);
  share_forget(s, dir.node, 1);
  assert_int_equal(usage(s).quota_bytes, 0);
  assert_int_equal(usage(s).quota_inodes, 1);
  assert_int_equal(rename_name(s, "f", "g", 0), 0);
}

/* A process with one descriptor left. Return: the limit as it was. */
static struct rlimit leave_one(void) {
  struct rlimit before, limit;
  int fd = open("/", O_PATH | O_CLOEXEC);
  assert_true(fd >= 0 && close(fd) == 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  limit.rlim_cur = (rlim_t)fd + 1;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return before;
}

/* The host makes the file, and then the server has no descriptor to keep it by. */
static void what_fails_is_not_charged(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  if (share_has_handles())
    skip();
  serve(s, MIB, 0, false);
  struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = O_RDWR, .mode = 0600};
  struct rlimit before = leave_one();
  int nameless = s->ops->tmpfile(&s->req, &in, &out);
  uint64_t without = usage(s).quota_inodes;
  int named = share_try_create(s, "f", O_RDWR | O_EXCL, 0644, &out);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(nameless, -ENFILE);
  assert_int_equal(without, 0);
  /* One with a name is there, is paid for, and can be had. */
  assert_int_equal(named, -ENFILE);
  assert_int_equal(usage(s).quota_inodes, 1);
  assert_int_equal(share_try_create(s, "f", O_RDWR, 0644, &out), 0);
  share_release(s, out.open.handle);
  assert_int_equal(unlink_name(s, "f"), 0);
  share_forget(s, out.entry.node, 1);
  assert_int_equal(usage(s).quota_inodes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(names_come_and_go),       share_test(files_without_a_name),      share_test(files_are_counted),
      share_test(directories_are_charged), share_test(what_fails_is_not_charged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
