/* SPDX-License-Identifier: BSD-3-Clause */
/* Other file systems that are mounted below the directory. Each test has a mount namespace of its own. */
#include "passthrough_share.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* cmocka's assertions don't work in a child: the first that is wrong ends it. */
#define EXPECT(condition) expect(condition, #condition, __LINE__)

static void expect(bool right, const char *what, int line) {
  if (right)
    return;
  fprintf(stderr, "line %d: not so: %s\n", line, what);
  _exit(1);
}

static void mount_tmpfs(const struct share *s, const char *name, const char *options) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  EXPECT(mkdirat(s->fd, name, 0755) == 0);
  EXPECT(mount("none", path, "tmpfs", 0, options) == 0);
}

static bool unmount(const struct share *s, const char *name) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  return umount(path) == 0;
}

static void in_namespace(struct share *s, void (*body)(struct share *)) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
      _exit(77);
    virtiofs_passthrough_free(s->fs); /* it is of the old namespace */
    close(s->fd);
    s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    body(s);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    skip(); /* may not mount */
  assert_int_equal(status, 0);
}

static struct virtiofs_entry_out look(struct share *s, uint64_t parent, const char *name) {
  struct virtiofs_entry_out out;
  EXPECT(share_try_lookup(s, parent, name, &out) == 0);
  return out;
}

static bool announced(const struct virtiofs_attr *attr) {
  return (attr->flags & VIRTIOFS_ATTR_SUBMOUNT) != 0;
}

static bool getattr_announces(struct share *s, uint64_t node) {
  struct virtiofs_getattr_in in = {.node = node};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  EXPECT(s->ops->getattr(&s->req, &in, &out) == 0);
  return announced(&out.attr);
}

static uint64_t blocks_at(struct share *s, uint64_t node) {
  struct virtiofs_statfs_in in = {.node = node};
  struct virtiofs_statfs_out out = {.blocks = 0};
  EXPECT(s->ops->statfs(&s->req, &in, &out) == 0);
  struct virtiofs_syncfs_in sync_in = {.node = node};
  EXPECT(s->ops->syncfs(&s->req, &sync_in) == 0);
  return out.blocks * out.frsize;
}

/* A file system, one in it, a bind mount of a directory of ours, and one of a file. */
static void make_mounts(struct share *s) {
  char from[300], to[300];
  mount_tmpfs(s, "a", "size=1M");
  mount_tmpfs(s, "a/b", "size=2M");
  EXPECT(mkdirat(s->fd, "plain", 0755) == 0 && mkdirat(s->fd, "bound", 0755) == 0);
  snprintf(from, sizeof from, "%s/plain", s->dir);
  snprintf(to, sizeof to, "%s/bound", s->dir);
  EXPECT(mount(from, to, NULL, MS_BIND, NULL) == 0);
  share_put_file(s, "file", "", 0600);
  share_put_file(s, "other", "", 0600);
  snprintf(from, sizeof from, "%s/file", s->dir);
  snprintf(to, sizeof to, "%s/other", s->dir);
  EXPECT(mount(from, to, NULL, MS_BIND, NULL) == 0);
}

static void check_announced(struct share *s) {
  make_mounts(s);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  struct virtiofs_entry_out a = look(s, s->root, "a"), b = look(s, a.node, "b"), plain = look(s, s->root, "plain"),
                            bound = look(s, s->root, "bound"), other = look(s, s->root, "other");
  EXPECT(announced(&a.attr) && announced(&b.attr) && announced(&bound.attr));
  EXPECT(!announced(&plain.attr) && !announced(&other.attr));
  EXPECT(getattr_announces(s, a.node) && getattr_announces(s, b.node) && getattr_announces(s, bound.node));
  EXPECT(!getattr_announces(s, s->root) && !getattr_announces(s, plain.node));
  EXPECT(plain.attr.ino == bound.attr.ino && plain.node != bound.node);
  EXPECT(blocks_at(s, a.node) == 1 << 20 && blocks_at(s, b.node) == 2 << 20);
  EXPECT(blocks_at(s, s->root) == blocks_at(s, plain.node));
  struct virtiofs_entry_out dir;
  EXPECT(share_try_mkdir(s, a.node, "dir", 0755, &dir) == 0 && !announced(&dir.attr));
  struct virtiofs_rename_in in = {
      .parent = a.node, .new_parent = s->root, .name = share_name("dir"), .new_name = share_name("dir")};
  EXPECT(s->ops->rename(&s->req, &in) == -EXDEV);
  struct virtiofs_rmdir_in rmdir_in = {.parent = s->root, .name = share_name("a")};
  EXPECT(s->ops->rmdir(&s->req, &rmdir_in) == -EBUSY);
}

static void mounts_are_announced(void **state) {
  in_namespace(*state, check_announced);
}

static void check_listing(struct share *s) {
  make_mounts(s);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  uint64_t handle = share_opendir(s, s->root);
  EXPECT(share_list(s, s->root, handle, 0, 1 << 16, true) == 0);
  unsigned mounts = 0;
  for (unsigned i = 0; i < s->list.count; i++) {
    const struct fake_record *record = &s->list.records[i];
    bool mount = strcmp(record->name, "a") == 0 || strcmp(record->name, "bound") == 0;
    if (record->node != 0)
      EXPECT(announced(&record->attr) == mount);
    mounts += mount;
  }
  EXPECT(mounts == 2);
  share_releasedir(s, handle);
}

static void listings_announce_them(void **state) {
  in_namespace(*state, check_listing);
}

static void check_offer(struct share *s) {
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  for (int hide = 0; hide < 2; hide++) {
    struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE};
    share_serve(s, (struct virtiofs_passthrough_config){.hide_submounts = hide != 0});
    EXPECT(s->ops->init(&s->req, &in, &out) == 0);
    EXPECT(((out.semantics & VIRTIOFS_SEMANTICS_SUBMOUNTS) != 0) == (hide == 0));
    virtiofs_passthrough_free(s->fs);
  }
}

static void guests_are_told_unless_it_is_unwanted(void **state) {
  in_namespace(*state, check_offer);
}

/* What is mounted later is another directory; and a mount in which nothing is known any more can be unmounted. */
static void check_coming_and_going(struct share *s) {
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  EXPECT(mkdirat(s->fd, "a", 0755) == 0);
  struct virtiofs_entry_out before = look(s, s->root, "a");
  EXPECT(!announced(&before.attr));
  EXPECT(unlinkat(s->fd, "a", AT_REMOVEDIR) == 0);
  for (int round = 0; round < 3; round++) {
    int fds = share_all_fds();
    mount_tmpfs(s, "a", NULL);
    share_put_file(s, "a/file", "text", 0600);
    struct virtiofs_entry_out a = look(s, s->root, "a"), file = look(s, a.node, "file");
    EXPECT(announced(&a.attr) && a.node != before.node);
    uint64_t handle = share_open(s, file.node, O_RDONLY);
    EXPECT(!unmount(s, "a"));
    share_release(s, handle);
    share_forget(s, file.node, 1);
    EXPECT(!unmount(s, "a"));
    share_forget(s, a.node, 1);
    EXPECT(unmount(s, "a"));
    EXPECT(share_all_fds() == fds);
    EXPECT(unlinkat(s->fd, "a", AT_REMOVEDIR) == 0);
  }
}

static void mounts_come_and_go(void **state) {
  in_namespace(*state, check_coming_and_going);
}

/* procfs has no file handles: each of its files keeps a descriptor, or there is none of them. */
static void check_without_handles(struct share *s) {
  char path[300];
  snprintf(path, sizeof path, "%s/proc", s->dir);
  EXPECT(mkdirat(s->fd, "proc", 0755) == 0 && mount("proc", path, "proc", 0, NULL) == 0);
  share_serve_as(s, (struct virtiofs_passthrough_config){.inode_fds = 1});
  struct virtiofs_entry_out proc, out;
  int fds = share_all_fds();
  proc = look(s, s->root, "proc");
  out = look(s, proc.node, "version");
  EXPECT(share_all_fds() == fds + 2);
  share_forget(s, out.node, 1);
  share_forget(s, proc.node, 1);
  EXPECT(share_all_fds() == fds);
  virtiofs_passthrough_free(s->fs);
  share_serve_as(s, (struct virtiofs_passthrough_config){.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY,
                                                         .inode_fds = 1});
  fds = share_all_fds();
  EXPECT(share_try_lookup(s, s->root, "proc", &out) == -EOPNOTSUPP);
  EXPECT(share_all_fds() == fds);
}

static void one_may_have_no_handles(void **state) {
  in_namespace(*state, check_without_handles);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(mounts_are_announced),
      share_test(listings_announce_them),
      share_test(guests_are_told_unless_it_is_unwanted),
      share_test(mounts_come_and_go),
      share_test(one_may_have_no_handles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
