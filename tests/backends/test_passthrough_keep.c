/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that stay whoever they were last (keep_ids). As root. Each test is a process, as its thread ends as somebody
 * else. */
#include "passthrough_share.h"

#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { USER = 1234, OTHER = 1235, GROUP = 1236, THREADS = 4, ROUNDS = 200 };

#define EXPECT(condition) expect(condition, #condition, __LINE__)

static void expect(bool right, const char *what, int line) {
  if (right)
    return;
  fprintf(stderr, "line %d: not so: %s\n", line, what);
  _exit(1);
}

static void be_guest_user(struct share *s, uint32_t uid) {
  s->req.caller = (struct virtiofs_caller){.uid = uid, .gid = uid == 0 ? 0 : GROUP, .pid = 1};
}

/** The calling thread as the kernel has it. */
struct who {
  uid_t uid;
  gid_t gid;
  uint64_t caps;
};

static struct who who_am_i(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};
  EXPECT(syscall(SYS_capget, &header, caps) == 0);
  return (struct who){.uid = (uid_t)syscall(SYS_geteuid),
                      .gid = (gid_t)syscall(SYS_getegid),
                      .caps = (uint64_t)caps[1].effective << 32 | caps[0].effective};
}

static bool same(struct who a, struct who b) {
  return a.uid == b.uid && a.gid == b.gid && a.caps == b.caps;
}

static bool has(struct who who, int cap) {
  return (who.caps >> cap & 1) != 0;
}

/* Serves again with ids kept, in a child. */
static void in_child(struct share *s, struct virtiofs_passthrough_config config, void (*body)(struct share *)) {
  if (geteuid() != 0)
    skip();
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    virtiofs_passthrough_free(s->fs);
    config.keep_ids = true;
    share_serve(s, config);
    EXPECT(fchmod(s->fd, 0777) == 0);
    body(s);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    skip();
  assert_int_equal(status, 0);
}

static uint64_t make_dir(struct share *s, uint32_t uid, const char *name) {
  struct virtiofs_entry_out out = {.node = 0};
  be_guest_user(s, uid);
  EXPECT(share_try_mkdir(s, s->root, name, 0755, &out) == 0);
  EXPECT(out.attr.uid == uid);
  return out.node;
}

static void stay(struct share *s) {
  const struct who server = who_am_i();
  struct virtiofs_entry_out entry;
  struct virtiofs_create_out file;
  uint64_t node = make_dir(s, USER, "a");
  const struct who user = who_am_i();
  EXPECT(user.uid == USER && user.gid == GROUP);
  EXPECT(has(server, CAP_FSETID) && has(server, CAP_CHOWN) && has(server, CAP_FOWNER));
  EXPECT(!has(user, CAP_FSETID) && !has(user, CAP_CHOWN) && !has(user, CAP_FOWNER) && !has(user, CAP_MKNOD));
  make_dir(s, USER, "b");
  EXPECT(same(who_am_i(), user));
  /* Whoever asks: for these it doesn't count. */
  be_guest_user(s, OTHER);
  struct virtiofs_getattr_in getattr_in = {.node = node};
  struct virtiofs_attr_out attr;
  EXPECT(s->ops->getattr(&s->req, &getattr_in, &attr) == 0);
  EXPECT(share_try_lookup(s, node, "none", &entry) == -ENOENT);
  EXPECT(share_try_lookup(s, s->root, "b", &entry) == 0);
  EXPECT(same(who_am_i(), user));
  be_guest_user(s, USER);
  EXPECT(share_try_create(s, "file", O_RDWR, 0600, &file) == 0);
  EXPECT(same(who_am_i(), user));
  EXPECT(share_write(s, file.open.handle, 0, "text", 0, VIRTIOFS_WRITE_KILL_SUIDGID) == 4);
  char text[4];
  EXPECT(share_read(s, file.open.handle, 0, text, 4) == 4);
  EXPECT(same(who_am_i(), user));
  share_release(s, file.open.handle);
  make_dir(s, OTHER, "c");
  EXPECT(who_am_i().uid == OTHER);
  make_dir(s, 0, "d");
  EXPECT(same(who_am_i(), server));
}

static void thread_stays_who_it_was(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.killpriv_v2 = true}, stay);
}

/** A file that only root may touch, in a directory that only root may enter. */
struct locked {
  uint64_t dir, file;
};

static struct locked lock_away(struct share *s) {
  struct virtiofs_entry_out dir, file;
  EXPECT(mkdirat(s->fd, "locked", 01700) == 0);
  share_put_file(s, "locked/file", "text", 0600);
  make_dir(s, USER, "lookup");
  EXPECT(share_try_lookup(s, s->root, "locked", &dir) == 0);
  EXPECT(share_try_lookup(s, dir.node, "file", &file) == 0);
  EXPECT(who_am_i().uid == USER);
  return (struct locked){.dir = dir.node, .file = file.node};
}

static void change(struct share *s, struct virtiofs_setattr_in in, struct virtiofs_attr *attr) {
  struct virtiofs_attr_out out;
  static int number;
  char name[16];
  snprintf(name, sizeof name, "change%d", number++);
  make_dir(s, USER, name);
  EXPECT(s->ops->setattr(&s->req, &in, &out) == 0);
  *attr = out.attr;
}

/* Each operation, by a thread that has just made something for a user. */
static void change_as_server(struct share *s) {
  const struct who server = who_am_i();
  const struct locked locked = lock_away(s);
  struct virtiofs_attr attr;
  change(s, (struct virtiofs_setattr_in){.node = locked.file, .valid = VIRTIOFS_SET_MODE, .mode = 06711}, &attr);
  EXPECT((attr.mode & 07777) == 06711);
  change(s, (struct virtiofs_setattr_in){.node = locked.file, .valid = VIRTIOFS_SET_UID, .uid = 1}, &attr);
  EXPECT(attr.uid == 1);
  change(s, (struct virtiofs_setattr_in){.node = locked.file, .valid = VIRTIOFS_SET_MTIME, .mtime = {.sec = 1}}, &attr);
  EXPECT(attr.mtime.sec == 1);
  change(s, (struct virtiofs_setattr_in){.node = locked.file, .valid = VIRTIOFS_SET_SIZE, .size = 2}, &attr);
  EXPECT(attr.size == 2);
  EXPECT(same(who_am_i(), server));
  make_dir(s, USER, "setxattr");
  struct iovec value = {.iov_base = (void *)(uintptr_t) "v", .iov_len = 1};
  struct virtiofs_setxattr_in setxattr_in = {
      .node = locked.file, .name = share_name("user.x"), .value = {.iov = &value, .count = 1, .size = 1}};
  int rc = s->ops->setxattr(&s->req, &setxattr_in);
  EXPECT(rc == 0 || rc == -EOPNOTSUPP);
  EXPECT(same(who_am_i(), server));
}

static void open_as_server(struct share *s) {
  const struct who server = who_am_i();
  const struct locked locked = lock_away(s);
  uint64_t handle;
  EXPECT(share_try_open(s, locked.file, O_RDWR, &handle) == 0);
  EXPECT(same(who_am_i(), server));
  make_dir(s, USER, "opendir");
  struct virtiofs_opendir_in opendir_in = {.node = locked.dir};
  struct virtiofs_open_out open_out = {.handle = 0};
  EXPECT(s->ops->opendir(&s->req, &opendir_in, &open_out) == 0);
  struct virtiofs_release_in releasedir_in = {.handle = open_out.handle};
  s->ops->releasedir(&s->req, &releasedir_in);
  make_dir(s, USER, "map");
  struct virtiofs_setupmapping_in map_in = {.node = locked.file, .flags = VIRTIOFS_MAP_WRITE, .len = 4096};
  struct virtiofs_setupmapping_out map_out = {.fd = -1};
  EXPECT(s->ops->setupmapping(&s->req, &map_in, &map_out) == 0);
  close(map_out.fd);
  make_dir(s, USER, "lock");
  struct virtiofs_lk_in lock = {
      .node = locked.file, .handle = handle, .owner = 1, .lock = {.type = F_WRLCK, .start = 0, .end = 1}};
  EXPECT(s->ops->setlk(&s->req, &lock) == 0);
  EXPECT(same(who_am_i(), server));
  share_release(s, handle);
}

static void rename_as_server(struct share *s) {
  const struct who server = who_am_i();
  const struct locked locked = lock_away(s);
  struct virtiofs_entry_out entry;
  struct virtiofs_link_in link_in = {.new_parent = locked.dir, .node = locked.file, .name = share_name("link")};
  EXPECT(s->ops->link(&s->req, &link_in, &entry) == 0);
  EXPECT(same(who_am_i(), server));
  make_dir(s, USER, "rename");
  struct virtiofs_rename_in rename_in = {
      .parent = locked.dir, .name = share_name("link"), .new_parent = s->root, .new_name = share_name("out")};
  EXPECT(s->ops->rename(&s->req, &rename_in) == 0);
  make_dir(s, USER, "unlink");
  struct virtiofs_unlink_in unlink_in = {.parent = locked.dir, .name = share_name("file")};
  EXPECT(s->ops->unlink(&s->req, &unlink_in) == 0);
  make_dir(s, USER, "rmdir");
  struct virtiofs_rmdir_in rmdir_in = {.parent = s->root, .name = share_name("locked")};
  EXPECT(s->ops->rmdir(&s->req, &rmdir_in) == 0);
  EXPECT(same(who_am_i(), server));
}

static void server_changes(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.xattr = true}, change_as_server);
}

static void server_opens(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.xattr = false}, open_as_server);
}

static void server_renames(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.xattr = false}, rename_as_server);
}

/* A file that is there already is opened with nothing kept, and that isn't what the next request finds. */
static void existing(struct share *s) {
  const struct who server = who_am_i();
  struct virtiofs_create_out out;
  share_put_file(s, "secret", "secret", 0600);
  share_put_file(s, "public", "public", 0644);
  make_dir(s, USER, "a");
  EXPECT(share_try_create(s, "secret", O_RDONLY, 0644, &out) == -EACCES);
  EXPECT(same(who_am_i(), server));
  make_dir(s, USER, "b");
  EXPECT(share_try_create(s, "public", O_RDONLY, 0644, &out) == 0);
  EXPECT(same(who_am_i(), server));
  share_release(s, out.open.handle);
}

static void existing_file_is_opened_as_guest_user(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.killpriv_v2 = false}, existing);
}

/* ---- several threads, each with users of its own ---- */

struct turn {
  struct share share;
  int number;
};

static void *take_turns(void *arg) {
  struct turn *turn = arg;
  struct share *s = &turn->share;
  for (int i = 0; i < ROUNDS; i++) {
    char name[32];
    struct virtiofs_create_out out;
    const uint32_t uid = i % 7 == 0 ? 0 : USER + (uint32_t)(turn->number + i / 3) % 3;
    snprintf(name, sizeof name, "%d-%d", turn->number, i);
    be_guest_user(s, uid);
    EXPECT(share_try_create(s, name, O_RDWR, 06755, &out) == 0);
    EXPECT(out.entry.attr.uid == uid);
    const bool kill = i % 2 == 0;
    EXPECT(share_write(s, out.open.handle, 0, "x", 0, kill ? VIRTIOFS_WRITE_KILL_SUIDGID : 0) == 1);
    EXPECT((share_stat(s, name).st_mode & 07777) == (kill ? 0755 : 06755));
    share_release(s, out.open.handle);
    struct virtiofs_unlink_in in = {.parent = s->root, .name = share_name(name)};
    EXPECT(i % 5 != 0 || s->ops->unlink(&s->req, &in) == 0);
    share_forget(s, out.entry.node, 1);
  }
  return NULL;
}

static void threads(struct share *s) {
  static struct turn turns[THREADS];
  pthread_t all[THREADS];
  s->req.semantics = VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2;
  EXPECT(fchmod(s->fd, 01777) == 0);
  for (int i = 0; i < THREADS; i++) {
    turns[i] = (struct turn){.share = *s, .number = i};
    EXPECT(pthread_create(&all[i], NULL, take_turns, &turns[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(all[i], NULL);
}

static void threads_are_apart(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.killpriv_v2 = true}, threads);
}

/* Two shares take turns on a thread: one that keeps ids and one that doesn't; then both do. */
static void two_shares(struct share *s) {
  const struct who server = who_am_i();
  struct share other = *s;
  struct virtiofs_entry_out out;
  share_serve(&other, (struct virtiofs_passthrough_config){.keep_ids = false});
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "%d", i);
    make_dir(s, USER, name);
    EXPECT(who_am_i().uid == USER);
    EXPECT(share_try_lookup(&other, other.root, name, &out) == 0);
    EXPECT(same(who_am_i(), server));
  }
  virtiofs_passthrough_free(other.fs);
  share_serve(&other, (struct virtiofs_passthrough_config){.keep_ids = true});
  make_dir(s, USER, "first");
  make_dir(&other, OTHER, "second");
  EXPECT(who_am_i().uid == OTHER);
  make_dir(s, 0, "third");
  EXPECT(same(who_am_i(), server));
}

static void shares_are_apart(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.killpriv_v2 = false}, two_shares);
}

/* Where another than this kernel may ask who it is, nobody but the server looks around. */
static void elsewhere(struct share *s) {
  char path[300];
  struct virtiofs_entry_out out;
  const struct who server = who_am_i();
  virtiofs_passthrough_free(s->fs);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    _exit(77);
  close(s->fd);
  s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  snprintf(path, sizeof path, "%s/ramfs", s->dir);
  if (mkdirat(s->fd, "ramfs", 0755) != 0 || mount("none", path, "ramfs", 0, "mode=755") != 0)
    _exit(77);
  share_serve_as(s, (struct virtiofs_passthrough_config){.keep_ids = true});
  make_dir(s, USER, "a");
  EXPECT(who_am_i().uid == USER);
  EXPECT(share_try_lookup(s, s->root, "ramfs", &out) == 0); /* gets to know it */
  EXPECT(same(who_am_i(), server));
  make_dir(s, USER, "b");
  EXPECT(same(who_am_i(), server));
}

static void other_file_systems_see_the_server(void **state) {
  in_child(*state, (struct virtiofs_passthrough_config){.killpriv_v2 = false}, elsewhere);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(thread_stays_who_it_was),
      share_test(server_changes),
      share_test(server_opens),
      share_test(server_renames),
      share_test(existing_file_is_opened_as_guest_user),
      share_test(threads_are_apart),
      share_test(shares_are_apart),
      share_test(other_file_systems_see_the_server),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
