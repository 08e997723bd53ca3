/* SPDX-License-Identifier: BSD-3-Clause */
/* Listing directories. */
#include "passthrough_share.h"

#include "backends/passthrough/share.h"

enum { FILES = 700 };

static void fill(struct share *s, int files) {
  char name[64];
  for (int i = 0; i < files; i++) {
    snprintf(name, sizeof name, "file-with-a-number-%d", i);
    share_put_file(s, name, "", 0600);
  }
}

static const struct fake_record *find(const struct share *s, const char *name) {
  for (uint32_t i = 0; i < s->list.count; i++) {
    if (strcmp(s->list.records[i].name, name) == 0)
      return &s->list.records[i];
  }
  return NULL;
}

/* Lists all, @size bytes at a time; each name of the host's listing must come once and nothing else. */
static void list_all(struct share *s, uint64_t handle, uint32_t size, bool plus) {
  int expected = 0, got = 0;
  DIR *oracle = opendir(s->dir);
  for (const struct dirent *e; (e = readdir(oracle)) != NULL;)
    expected++;
  closedir(oracle);
  char *seen = calloc(FILES, 1);
  uint64_t offset = 0;
  for (;;) {
    assert_int_equal(share_list(s, s->root, handle, offset, size, plus), 0);
    if (s->list.count == 0)
      break;
    for (uint32_t i = 0; i < s->list.count; i++) {
      const struct fake_record *r = &s->list.records[i];
      int number;
      got++;
      offset = r->next;
      bool dots = strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0;
      assert_int_equal(r->node != 0, plus && !dots);
      if (r->node != 0)
        share_forget(s, r->node, 1);
      assert_int_equal(r->type, dots ? S_IFDIR : S_IFREG);
      if (dots)
        continue;
      assert_int_equal(sscanf(r->name, "file-with-a-number-%d", &number), 1);
      assert_int_equal(seen[number]++, 0);
    }
  }
  free(seen);
  assert_int_equal(got, expected);
}

static void listing(void **state) {
  struct share *s = *state;
  fill(s, FILES);
  int before = share_open_fds();
  uint64_t handle = share_opendir(s, s->root);
  assert_int_equal(share_open_fds(), before + 1);
  static const uint32_t sizes[] = {1 << 20, 4096, 200};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    list_all(s, handle, sizes[i], false);
    list_all(s, handle, sizes[i], true);
  }
  share_releasedir(s, handle);
  assert_int_equal(share_open_fds(), before);
}

/* A guest that opens directories and keeps them gets no memory for each; how they are listed is the same. */
static void many_are_open(void **state) {
  struct share *s = *state;
  enum { HANDLES = 700 };
  static uint64_t handles[HANDLES];
  fill(s, FILES);
  for (unsigned i = 0; i < HANDLES; i++) {
    handles[i] = share_opendir(s, s->root);
    assert_int_equal(share_list(s, s->root, handles[i], 0, 4096, false), 0);
  }
  assert_int_equal(s->fs->dir_windows, PASSTHROUGH_DIR_WINDOWS);
  static const uint32_t sizes[] = {1 << 20, 4096};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    list_all(s, handles[HANDLES - 1], sizes[i], false);
    list_all(s, handles[HANDLES - 1], sizes[i], true);
  }
  for (unsigned i = 0; i < HANDLES; i++)
    share_releasedir(s, handles[i]);
  assert_int_equal(s->fs->dir_windows, 0);
}

static void attributes_come_with_names(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0640);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  assert_int_equal(symlinkat("x", s->fd, "link"), 0);
  uint64_t known = share_lookup(s, "file");
  uint64_t handle = share_opendir(s, s->root);
  assert_int_equal(share_list(s, s->root, handle, 0, 4096, true), 0);
  assert_int_equal(s->list.count, 5);
  static const char *const names[] = {"file", "dir", "link"};
  for (int i = 0; i < 3; i++) {
    const struct fake_record *r = find(s, names[i]);
    struct stat st = share_stat(s, names[i]);
    assert_non_null(r);
    share_assert_attr(&r->attr, &st);
    assert_int_equal(r->ino, st.st_ino);
    assert_int_equal(r->type, st.st_mode & S_IFMT);
    assert_int_equal(share_lookup(s, names[i]), r->node);
    share_forget(s, r->node, 2);
  }
  assert_int_equal(find(s, "file")->node, known);
  share_forget(s, known, 1);
  share_releasedir(s, handle);
}

static void nothing_above_the_root_shows(void **state) {
  struct share *s = *state;
  uint64_t handle = share_opendir(s, s->root);
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  for (int plus = 0; plus < 2; plus++) {
    assert_int_equal(share_list(s, s->root, handle, 0, 4096, plus), 0);
    assert_int_equal(find(s, "..")->ino, share_stat(s, ".").st_ino);
    assert_int_equal(find(s, "..")->node, 0);
    assert_int_equal(find(s, ".")->ino, share_stat(s, ".").st_ino);
    if (plus)
      share_forget(s, find(s, "dir")->node, 1);
  }
  share_releasedir(s, handle);
  uint64_t dir = share_lookup(s, "dir");
  handle = share_opendir(s, dir);
  assert_int_equal(share_list(s, dir, handle, 0, 4096, false), 0);
  assert_int_equal(find(s, "..")->ino, share_stat(s, ".").st_ino);
  assert_int_equal(find(s, ".")->ino, share_stat(s, "dir").st_ino);
  share_releasedir(s, handle);
}

static void name_without_room_comes_again(void **state) {
  struct share *s = *state;
  share_put_file(s, "some-name-that-is-longer-than-two-dots", "", 0600);
  uint64_t handle = share_opendir(s, s->root);
  int before = share_open_fds();
  fake_handed_back = 0;
  for (int plus = 0; plus < 2; plus++) {
    assert_int_equal(share_list(s, s->root, handle, 0, 20, plus), -EINVAL);
    assert_int_equal(share_list(s, s->root, handle, 0, 0, plus), -EINVAL);
    uint64_t offset = 0;
    int names = 0;
    for (int i = 0; i < 10; i++) {
      /* Room for one: never for none. */
      int rc = share_list(s, s->root, handle, offset, plus ? 200 : 64, plus);
      assert_int_equal(rc, 0);
      for (uint32_t r = 0; r < s->list.count; r++) {
        names++;
        offset = s->list.records[r].next;
        if (s->list.records[r].node != 0)
          share_forget(s, s->list.records[r].node, 1);
      }
    }
    assert_int_equal(names, 3);
  }
  assert_int_equal(fake_handed_back, 0); /* what does not fit is not even looked up */
  assert_int_equal(share_open_fds(), before);
  share_releasedir(s, handle);
}

static void offsets_outlive_handles(void **state) {
  struct share *s = *state;
  fill(s, FILES);
  uint64_t one = share_opendir(s, s->root);
  assert_int_equal(share_list(s, s->root, one, 0, 1 << 20, false), 0);
  static struct virtiofs_readdir_out whole;
  whole = s->list;
  assert_int_equal(whole.count, FILES + 2);
  share_releasedir(s, one);

  uint64_t two = share_opendir(s, s->root);
  for (uint32_t at = FILES - 3; at > 3; at = at * 2 / 3) {
    assert_int_equal(share_list(s, s->root, two, whole.records[at].next, 100, false), 0);
    assert_string_equal(s->list.records[0].name, whole.records[at + 1].name);
    /* And on from there, out of the buffer. */
    assert_int_equal(share_list(s, s->root, two, s->list.records[0].next, 100, false), 0);
    assert_string_equal(s->list.records[0].name, whole.records[at + 2].name);
    /* Twice the same: not out of the buffer. */
    assert_int_equal(share_list(s, s->root, two, whole.records[at].next, 100, false), 0);
    assert_string_equal(s->list.records[0].name, whole.records[at + 1].name);
  }
  share_releasedir(s, two);
}

static void offsets_nobody_gave(void **state) {
  struct share *s = *state;
  fill(s, 20);
  uint64_t handle = share_opendir(s, s->root);
  int host = openat(s->fd, ".", O_RDONLY | O_DIRECTORY);
  static const uint64_t offsets[] = {1, 12345, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    int oracle = lseek(host, (off_t)offsets[i], SEEK_SET) < 0 ? -errno : 0;
    assert_int_equal(share_list(s, s->root, handle, offsets[i], 4096, false), oracle);
  }
  close(host);
  list_all(s, handle, 4096, false); /* and is well after it */
  share_releasedir(s, handle);
}

static void rewinding_shows_what_is_new(void **state) {
  struct share *s = *state;
  uint64_t handle = share_opendir(s, s->root);
  assert_int_equal(share_list(s, s->root, handle, 0, 4096, false), 0);
  assert_int_equal(s->list.count, 2);
  share_put_file(s, "new", "", 0600);
  assert_int_equal(share_list(s, s->root, handle, 0, 4096, false), 0);
  assert_int_equal(s->list.count, 3);

  /* Nor out of the buffer, where a first try had too little room. */
  assert_int_equal(share_list(s, s->root, handle, 0, 8, false), -EINVAL);
  share_put_file(s, "newer", "", 0600);
  assert_int_equal(share_list(s, s->root, handle, 0, 4096, false), 0);
  assert_int_equal(s->list.count, 4);
  share_releasedir(s, handle);
}

/* Deleting what was listed, as rm -r does, neither skips nor repeats what is left. */
static void removing_while_listing(void **state) {
  struct share *s = *state;
  fill(s, FILES);
  uint64_t handle = share_opendir(s, s->root), offset = 0;
  int removed = 0;
  for (;;) {
    assert_int_equal(share_list(s, s->root, handle, offset, 1000, false), 0);
    if (s->list.count == 0)
      break;
    for (uint32_t i = 0; i < s->list.count; i++) {
      offset = s->list.records[i].next;
      if (s->list.records[i].type == S_IFREG) {
        assert_int_equal(unlinkat(s->fd, s->list.records[i].name, 0), 0);
        removed++;
      }
    }
  }
  assert_int_equal(removed, FILES);
  share_releasedir(s, handle);
}

/* Names that went away after the host listed them: they are in the handle's buffer still. */
static void names_that_are_gone_have_no_node(void **state) {
  struct share *s = *state;
  fill(s, 3);
  uint64_t handle = share_opendir(s, s->root);
  assert_int_equal(share_list(s, s->root, handle, 0, 160, true), 0);
  assert_int_equal(s->list.count, 0 + 1); /* the host's names are all in the buffer now */
  uint64_t offset = s->list.records[0].next;
  if (s->list.records[0].node != 0)
    share_forget(s, s->list.records[0].node, 1);
  for (int i = 0; i < 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "file-with-a-number-%d", i);
    assert_int_equal(unlinkat(s->fd, name, 0), 0);
  }
  assert_int_equal(share_list(s, s->root, handle, offset, 4096, true), 0);
  assert_true(s->list.count >= 3);
  for (uint32_t i = 0; i < s->list.count; i++)
    assert_int_equal(s->list.records[i].node, 0);
  share_releasedir(s, handle);
}

static void errors(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "", 0600);
  struct virtiofs_opendir_in in = {.node = share_lookup(s, "file")};
  struct virtiofs_open_out out;
  assert_int_equal(s->ops->opendir(&s->req, &in, &out), -ENOTDIR);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  in.node = share_lookup(s, "fifo");
  assert_int_equal(s->ops->opendir(&s->req, &in, &out), -ENOTDIR);

  assert_int_equal(mkdirat(s->fd, "gone", 0700), 0);
  uint64_t gone = share_lookup(s, "gone");
  uint64_t handle = share_opendir(s, gone);
  struct virtiofs_fsync_in fsync_in = {.handle = handle};
  assert_int_equal(s->ops->fsyncdir(&s->req, &fsync_in), 0);
  fsync_in.data_only = true;
  assert_int_equal(s->ops->fsyncdir(&s->req, &fsync_in), 0);
  assert_int_equal(unlinkat(s->fd, "gone", AT_REMOVEDIR), 0);
  int rc = share_list(s, gone, handle, 0, 4096, false);
  assert_true(rc == 0 || rc == -ENOENT);
  assert_true(rc != 0 || s->list.count <= 2);
  share_releasedir(s, handle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(listing),
      share_test(many_are_open),
      share_test(attributes_come_with_names),
      share_test(nothing_above_the_root_shows),
      share_test(name_without_room_comes_again),
      share_test(offsets_outlive_handles),
      share_test(offsets_nobody_gave),
      share_test(rewinding_shows_what_is_new),
      share_test(removing_while_listing),
      share_test(names_that_are_gone_have_no_node),
      share_test(errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
