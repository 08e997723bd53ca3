/* SPDX-License-Identifier: BSD-3-Clause */
/* A quota: what is added is charged for, once, and what is given back isn't any more. The oracle is what the host says
 * that the files have. */
#include "passthrough_share.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <sys/resource.h>

enum { KIB = 1024, MIB = 1024 * KIB, CHUNK = 64 * KIB };

static struct virtiofs_passthrough_usage usage(const struct share *s) {
  struct virtiofs_passthrough_usage u;
  virtiofs_passthrough_usage(s->fs, &u, sizeof u);
  return u;
}

static void serve(struct share *s, uint64_t bytes, uint64_t inodes, bool scan) {
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){
                     .quota_bytes = bytes, .quota_inodes = inodes, .quota_scan = scan, .xattr = true});
}

/* What XFS sets aside behind the end of a file that grows isn't charged, but for a little. */
static uint64_t host_bytes(const struct share *s, const char *name) {
  struct stat st = share_stat(s, name);
  uint64_t blocks = (uint64_t)st.st_blocks * 512, unit = (uint64_t)st.st_blksize;
  uint64_t most = ((uint64_t)st.st_size / unit + 1) * unit + CHUNK;
  return blocks < most ? blocks : most;
}

/* A chunk at @offset; what write said. */
static int put(struct share *s, uint64_t handle, uint64_t offset, size_t size) {
  static _Thread_local char text[CHUNK + 1];
  memset(text, 'x', size);
  text[size] = 0;
  return share_write(s, handle, offset, text, 0, 0);
}

/* Until there is no more room. How much. */
static uint64_t fill(struct share *s, uint64_t handle) {
  uint64_t at = 0;
  int rc;
  while ((rc = put(s, handle, at, CHUNK)) == CHUNK)
    at += CHUNK;
  assert_int_equal(rc, -EDQUOT);
  return at;
}

static int set_size(struct share *s, uint64_t node, uint64_t size) {
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_SIZE, .size = size};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  return s->ops->setattr(&s->req, &in, &out);
}

static int unlink_name(struct share *s, const char *name) {
  struct virtiofs_unlink_in in = {.parent = s->root, .name = share_name(name)};
  return s->ops->unlink(&s->req, &in);
}

static int rename_name(struct share *s, const char *from, const char *to, uint32_t flags) {
  struct virtiofs_rename_in in = {
      .parent = s->root, .name = share_name(from), .new_parent = s->root, .new_name = share_name(to), .flags = flags};
  return s->ops->rename(&s->req, &in);
}

static int link_name(struct share *s, uint64_t node, const char *name, struct virtiofs_entry_out *out) {
  struct virtiofs_link_in in = {.node = node, .new_parent = s->root, .name = share_name(name)};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->link(&s->req, &in, out);
}

static int allocate(struct share *s, uint64_t node, uint64_t handle, uint32_t mode, uint64_t offset, uint64_t length) {
  struct virtiofs_fallocate_in in = {.node = node, .handle = handle, .mode = mode, .offset = offset, .length = length};
  return s->ops->fallocate(&s->req, &in);
}

static struct virtiofs_create_out create(struct share *s, const char *name) {
  struct virtiofs_create_out out;
  assert_int_equal(share_try_create(s, name, O_RDWR | O_EXCL, 0644, &out), 0);
  return out;
}

static struct virtiofs_statfs_out statfs_of(struct share *s) {
  struct virtiofs_statfs_in in = {.node = s->root};
  struct virtiofs_statfs_out out = {.blocks = 0};
  assert_int_equal(s->ops->statfs(&s->req, &in, &out), 0);
  return out;
}

/* ---- contents ---- */

static void contents_are_charged(void **state) {
  struct share *s = *state;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f");
  uint64_t handle = f.open.handle, node = f.entry.node;
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  uint64_t size = fill(s, handle);
  assert_true(size >= MIB - 3 * CHUNK && size <= MIB);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  assert_int_equal(usage(s).max_quota_bytes, MIB);
  struct virtiofs_statfs_out st = statfs_of(s);
  assert_true(st.blocks * st.frsize <= MIB);
  assert_true(st.bavail * st.frsize <= 2 * CHUNK && st.bavail <= st.bfree && st.bfree <= st.blocks);
  /* What is there may be written again, to the last byte. */
  for (uint64_t at = 0; at < size; at += CHUNK)
    assert_int_equal(put(s, handle, at, CHUNK), CHUNK);
  assert_int_equal(put(s, handle, size - 1, 1), 1);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  /* And what is given back. */
  assert_int_equal(set_size(s, node, 0), 0);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  assert_true(usage(s).quota_bytes < CHUNK);
  assert_true(fill(s, handle) >= MIB - 3 * CHUNK);
  share_release(s, handle);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  /* Opening may cut it off, too. */
  handle = share_open(s, node, O_WRONLY | O_TRUNC);
  assert_true(usage(s).quota_bytes < CHUNK);
  share_release(s, handle);
  share_forget(s, node, 1);
}

static void holes_are_free_until_they_are_filled(void **state) {
  struct share *s = *state;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f");
  assert_int_equal(set_size(s, f.entry.node, 100 * (uint64_t)MIB), 0);
  assert_int_equal(put(s, f.open.handle, 99 * (uint64_t)MIB, CHUNK), CHUNK);
  assert_true(usage(s).quota_bytes < 3 * CHUNK);
  (void)fill(s, f.open.handle);
  assert_int_equal(put(s, f.open.handle, 50 * (uint64_t)MIB, CHUNK), -EDQUOT);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
  if (allocate(s, f.entry.node, f.open.handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * CHUNK) == 0) {
    assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
    assert_int_equal(put(s, f.open.handle, 50 * (uint64_t)MIB, CHUNK), CHUNK);
  }
  share_release(s, f.open.handle);
  share_forget(s, f.entry.node, 1);
}

static void room_may_be_made_first(void **state) {
  struct share *s = *state;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f"), g = create(s, "g");
  assert_int_equal(allocate(s, f.entry.node, f.open.handle, 0, 0, INT64_MAX / 2), -EDQUOT);
  assert_int_equal(allocate(s, f.entry.node, f.open.handle, 0, 0, MIB + 1), -EDQUOT);
  assert_int_equal(allocate(s, f.entry.node, f.open.handle, FALLOC_FL_KEEP_SIZE, 0, CHUNK), -EOPNOTSUPP);
  if (allocate(s, f.entry.node, f.open.handle, 0, 0, MIB / 2) == 0) {
    assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f"));
    s->opened = g.entry.node;
    (void)fill(s, g.open.handle);
    s->opened = f.entry.node;
    int rc = put(s, f.open.handle, MIB / 4, CHUNK); /* paid for, though never written */
    assert_true(rc == CHUNK || rc == -EDQUOT);      /* a host that can't tell (tmpfs) says no */
    assert_int_equal(put(s, f.open.handle, MIB, CHUNK), -EDQUOT);
  }
  share_release(s, f.open.handle);
  share_release(s, g.open.handle);
  share_forget(s, f.entry.node, 1);
  share_forget(s, g.entry.node, 1);
}

static void copies_are_charged(void **state) {
  struct share *s = *state;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f"), g = create(s, "g");
  s->opened = f.entry.node;
  for (uint64_t at = 0; at < MIB * 3 / 4; at += CHUNK)
    assert_int_equal(put(s, f.open.handle, at, CHUNK), CHUNK);
  struct virtiofs_copy_file_range_in in = {.node = f.entry.node,
                                           .handle = f.open.handle,
                                           .node_out = g.entry.node,
                                           .handle_out = g.open.handle,
                                           .len = UINT32_MAX};
  struct virtiofs_copy_file_range_out out = {.size = 0};
  assert_int_equal(s->ops->copy_file_range(&s->req, &in, &out), -EDQUOT);
  in.len = MIB / 8;
  int rc = s->ops->copy_file_range(&s->req, &in, &out);
  assert_true(rc == 0 || rc == -EOPNOTSUPP || rc == -EXDEV);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "f") + host_bytes(s, "g"));
  in.offset = MIB * 3 / 4 - 100; /* to the end there is less than is asked for */
  in.len = UINT32_MAX;
  if (rc == 0) {
    assert_int_equal(s->ops->copy_file_range(&s->req, &in, &out), 0);
    assert_int_equal(out.size, 100);
  }
  share_release(s, f.open.handle);
  share_release(s, g.open.handle);
  share_forget(s, f.entry.node, 1);
  share_forget(s, g.entry.node, 1);
}

/* ---- files ---- */

/* Whoever has it open pays for it, whatever the guest says that it has forgotten. */
static void what_is_open_is_paid_for(void **state) {
  struct share *s = *state;
  serve(s, MIB, 0, false);
  for (int forgets_first = 0; forgets_first < 2; forgets_first++) {
    struct virtiofs_create_out f = create(s, "f");
    uint64_t size = fill(s, f.open.handle);
    assert_int_equal(unlink_name(s, "f"), 0);
    assert_true(usage(s).quota_bytes >= size);
    if (forgets_first != 0)
      share_forget(s, f.entry.node, 1);
    else
      share_release(s, f.open.handle);
    assert_true(usage(s).quota_bytes >= size);
    assert_int_equal(usage(s).quota_inodes, 1);
    if (forgets_first != 0)
      share_release(s, f.open.handle);
    else
      share_forget(s, f.entry.node, 1);
    assert_int_equal(usage(s).quota_bytes, 0);
    assert_int_equal(usage(s).quota_inodes, 0);
  }
}

static void names_come_and_go(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out entry;
  serve(s, MIB, 0, false);
  struct virtiofs_create_out f = create(s, "f");
  assert_int_equal(put(s, f.open.handle, 0, CHUNK), CHUNK);
  share_release(s, f.open.handle);
  assert_int_equal(link_name(s, f.entry.node, "second", &entry), 0);
  share_forget(s, entry.node, 1);
  share_forget(s, f.entry.node, 1);
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

/* ---- what was there before ---- */

static void nothing_is_won_by_deleting_what_was_there(void **state) {
  struct share *s = *state;
  char text[8193];
  memset(text, 'x', 8192);
  text[8192] = 0;
  share_put_file(s, "old", text, 0644);
  serve(s, MIB, 0, false);
  assert_int_equal(usage(s).quota_bytes, 0);
  assert_int_equal(unlink_name(s, "old"), 0);
  assert_int_equal(usage(s).quota_bytes, 0);
  assert_int_equal(usage(s).quota_inodes, 0);
  struct virtiofs_create_out f = create(s, "f");
  assert_true(fill(s, f.open.handle) <= MIB);
  share_release(s, f.open.handle);
  share_forget(s, f.entry.node, 1);
}

static void all_that_is_there_may_count(void **state) {
  struct share *s = *state;
  enum { DEEP = 3000 }; /* longer than any path may be */
  share_put_file(s, "a", "text", 0644);
  share_put_file(s, "b", "text", 0644);
  assert_int_equal(linkat(s->fd, "a", s->fd, "a2", 0), 0);
  assert_int_equal(symlinkat("a", s->fd, "link"), 0);
  int dirs[2] = {dup(s->fd), -1};
  for (int i = 0; i < DEEP; i++) {
    assert_int_equal(mkdirat(dirs[0], "d", 0755), 0);
    dirs[1] = openat(dirs[0], "d", O_RDONLY | O_DIRECTORY);
    assert_true(dirs[1] >= 0);
    close(dirs[0]);
    dirs[0] = dirs[1];
  }
  assert_int_equal(linkat(s->fd, "b", dirs[0], "b2", 0), 0);
  close(dirs[0]);
  serve(s, MIB, 2 * DEEP, true);
  assert_int_equal(usage(s).quota_bytes, host_bytes(s, "a") + host_bytes(s, "b"));
  assert_int_equal(usage(s).quota_inodes, 3 + DEEP);
  assert_int_equal(unlink_name(s, "a"), 0);
  assert_int_equal(unlink_name(s, "link"), 0);
  assert_int_equal(usage(s).quota_inodes, 2 + DEEP);
  /* For who clears up. */
  for (int i = DEEP; i > 0; i--) {
    int dir = openat(s->fd, "d", O_RDONLY | O_DIRECTORY);
    (void)unlinkat(dir, "b2", 0);
    if (i > 1)
      assert_int_equal(renameat(dir, "d", s->fd, "next"), 0);
    close(dir);
    assert_int_equal(unlinkat(s->fd, "d", AT_REMOVEDIR), 0);
    if (i > 1)
      assert_int_equal(renameat(s->fd, "next", s->fd, "d"), 0);
  }
}

static void quotas_that_cannot_be(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  struct virtiofs_passthrough_config config = {.size = sizeof config, .shared_dir = s->dir, .quota_inodes = 5};
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
  config = (struct virtiofs_passthrough_config){.size = sizeof config, .shared_dir = s->dir, .quota_scan = true};
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
}

/* ---- all at once ---- */

enum { THREADS = 4, ROUNDS = 150, FILES = 6 };

struct worker {
  pthread_t thread;
  struct share share;
  unsigned seed;
};

/* Files are written to, cut off, deleted and replaced by all threads under the same few names. */
static void *churn(void *arg) {
  struct worker *w = arg;
  struct share *s = &w->share;
  for (unsigned i = 0; i < ROUNDS; i++) {
    char name[8], other[8];
    struct virtiofs_create_out out;
    w->seed = w->seed * 1103515245 + 12345;
    unsigned r = w->seed >> 16;
    (void)snprintf(name, sizeof name, "n%u", r % FILES);
    (void)snprintf(other, sizeof other, "n%u", (r >> 3) % FILES);
    switch ((r >> 6) % 4) {
    case 0:
      (void)unlink_name(s, name);
      break;
    case 1:
      (void)rename_name(s, name, other, 0);
      break;
    default:
      if (share_try_create(s, name, O_RDWR, 0644, &out) != 0)
        break;
      int rc = put(s, out.open.handle, r % 8 * CHUNK, 1 + r % CHUNK);
      if (rc < 0 && rc != -EDQUOT)
        abort();
      if ((r >> 9) % 2 == 0)
        (void)set_size(s, out.entry.node, r % CHUNK);
      share_release(s, out.open.handle);
      share_forget(s, out.entry.node, 1);
    }
  }
  return NULL;
}

static void in_the_end_it_is_right(void **state) {
  struct share *s = *state;
  static struct worker workers[THREADS];
  uint64_t bytes = 0, files = 0;
  serve(s, MIB, 0, false);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.share = *s, .seed = i + 1};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, churn, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(workers[i].thread, NULL);
  for (unsigned i = 0; i < FILES; i++) {
    char name[8];
    (void)snprintf(name, sizeof name, "n%u", i);
    if (share_has(s, name)) {
      bytes += host_bytes(s, name);
      files++;
    }
  }
  assert_true(usage(s).quota_bytes >= bytes);
  assert_true(usage(s).quota_inodes >= files);
  /* A name that was replaced between two looks was never given back; of contents nothing is lost. */
  assert_true(usage(s).quota_bytes <= 2 * MIB);
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
      share_test(contents_are_charged),        share_test(holes_are_free_until_they_are_filled),
      share_test(room_may_be_made_first),      share_test(copies_are_charged),
      share_test(what_is_open_is_paid_for),    share_test(names_come_and_go),
      share_test(files_without_a_name),        share_test(files_are_counted),
      share_test(what_fails_is_not_charged),   share_test(nothing_is_won_by_deleting_what_was_there),
      share_test(all_that_is_there_may_count), share_test(quotas_that_cannot_be),
      share_test(in_the_end_it_is_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
