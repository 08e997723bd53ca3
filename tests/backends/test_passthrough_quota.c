/* SPDX-License-Identifier: BSD-3-Clause */
/* A quota: what is added is charged for, once, and what is given back isn't any more. The oracle is what the host says
 * that the files have. */
#include "passthrough_quota.h"

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
  uint64_t all = host_bytes(s, "a") + host_bytes(s, "b") + DEEP * (uint64_t)share_stat(s, "d").st_blocks * 512;
  assert_int_equal(usage(s).quota_bytes, all);
  assert_int_equal(usage(s).quota_inodes, 5 + DEEP);
  assert_int_equal(unlink_name(s, "a"), 0);
  assert_int_equal(unlink_name(s, "link"), 0);
  assert_int_equal(usage(s).quota_inodes, 3 + DEEP);
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

/* Files are written to, cut off, deleted, replaced and given more names by all threads under the same few names. */
static void *churn(void *arg) {
  struct worker *w = arg;
  struct share *s = &w->share;
  for (unsigned i = 0; i < ROUNDS; i++) {
    char name[8], other[8];
    struct virtiofs_create_out out;
    struct virtiofs_entry_out entry, linked;
    w->seed = w->seed * 1103515245 + 12345;
    unsigned r = w->seed >> 16;
    (void)snprintf(name, sizeof name, "n%u", r % FILES);
    (void)snprintf(other, sizeof other, "n%u", (r >> 3) % FILES);
    switch ((r >> 6) % 5) {
    case 2:
      if (share_try_lookup(s, s->root, name, &entry) != 0)
        break;
      (void)link_name(s, entry.node, other, &linked);
      share_forget(s, entry.node, 1);
      if (linked.node != 0)
        share_forget(s, linked.node, 1);
      break;
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

/* Does a name before that one stand for the same file? */
static bool is_counted(const struct share *s, unsigned number) {
  char name[16];
  (void)snprintf(name, sizeof name, "n%u", number);
  ino_t ino = share_stat(s, name).st_ino;
  bool found = false;
  for (unsigned i = 0; i < number && !found; i++) {
    (void)snprintf(name, sizeof name, "n%u", i);
    found = share_has(s, name) && share_stat(s, name).st_ino == ino;
  }
  return found;
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
      bytes += is_counted(s, i) ? 0 : host_bytes(s, name);
      files++;
    }
  }
  assert_true(usage(s).quota_bytes >= bytes);
  assert_true(usage(s).quota_inodes >= files);
  /* A name that was replaced between two looks was never given back; of contents nothing is lost. */
  assert_true(usage(s).quota_bytes <= 2 * MIB);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(contents_are_charged),        share_test(holes_are_free_until_they_are_filled),
      share_test(room_may_be_made_first),      share_test(copies_are_charged),
      share_test(what_is_open_is_paid_for),    share_test(nothing_is_won_by_deleting_what_was_there),
      share_test(all_that_is_there_may_count), share_test(quotas_that_cannot_be),
      share_test(in_the_end_it_is_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
