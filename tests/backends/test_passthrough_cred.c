/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose files are made. As root unless a test says otherwise; skipped for others. */
#include "passthrough_share.h"

#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { USER = 1234, GROUP = 1235, TEAM = 4242 };

static void be_guest_user(struct share *s, uint32_t uid, uint32_t gid) {
  s->req.caller = (struct virtiofs_caller){.uid = uid, .gid = gid, .pid = 1};
}

/* What the kernel says of the calling thread: ids, groups, capabilities. */
static void who_am_i(char *text, size_t size) {
  char line[256];
  FILE *file = fopen("/proc/thread-self/status", "re");
  assert_non_null(file);
  *text = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "Uid", 3) == 0 || strncmp(line, "Gid", 3) == 0 || strncmp(line, "Cap", 3) == 0)
      strncat(text, line, size - strlen(text) - 1);
  }
  fclose(file);
}

static void assert_owner(const struct share *s, const char *name, uid_t uid, gid_t gid) {
  struct stat st = share_stat(s, name);
  assert_int_equal(st.st_uid, uid);
  assert_int_equal(st.st_gid, gid);
}

static void make_one_of_each(struct share *s, int expected) {
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &out), expected);
  assert_int_equal(share_try_mknod(s, "fifo", S_IFIFO | 0644, 0, 0, &out), expected);
  assert_int_equal(share_try_mknod(s, "node", S_IFREG | 0644, 0, 0, &out), expected);
  assert_int_equal(share_try_symlink(s, "link", "x", &out), expected);
  assert_int_equal(share_try_create(s, "file", O_RDWR, 0644, &created), expected);
  if (expected == 0)
    share_release(s, created.open.handle);
}

static const char *const each[] = {"dir", "fifo", "node", "link", "file"};

static void nameless_files_belong_to_guest_user(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  be_guest_user(s, USER, GROUP);
  struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = O_RDWR, .mode = S_IFREG | 0600};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  int rc = s->ops->tmpfile(&s->req, &in, &out);
  if (rc == -EOPNOTSUPP)
    skip();
  assert_int_equal(rc, 0);
  assert_int_equal(out.entry.attr.uid, USER);
  assert_int_equal(out.entry.attr.gid, GROUP);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 1);
}

static void files_belong_to_guest_user(void **state) {
  struct share *s = *state;
  static char before[1024], after[1024];
  if (geteuid() != 0)
    skip();
  who_am_i(before, sizeof before);
  be_guest_user(s, USER, GROUP);
  make_one_of_each(s, 0);
  for (size_t i = 0; i < sizeof each / sizeof *each; i++)
    assert_owner(s, each[i], USER, GROUP);
  who_am_i(after, sizeof after);
  assert_string_equal(before, after);
}

static void one_id_alone_differs(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  static char before[1024], after[1024];
  if (geteuid() != 0)
    skip();
  who_am_i(before, sizeof before);
  be_guest_user(s, 0, GROUP);
  assert_int_equal(share_try_mkdir(s, s->root, "a", 0755, &out), 0);
  assert_owner(s, "a", 0, GROUP);
  be_guest_user(s, USER, 0);
  assert_int_equal(share_try_mkdir(s, s->root, "b", 0755, &out), 0);
  assert_owner(s, "b", USER, 0);
  be_guest_user(s, 0, 0);
  assert_int_equal(share_try_mkdir(s, s->root, "c", 0755, &out), 0);
  assert_owner(s, "c", 0, 0);
  who_am_i(after, sizeof after);
  assert_string_equal(before, after);
}

/* The guest has let its user in, say by a group that the host knows nothing of. */
static void what_guest_allowed_is_not_refused(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(fchown(s->fd, 0, TEAM), 0);
  assert_int_equal(fchmod(s->fd, 0770), 0);
  be_guest_user(s, USER, GROUP);
  make_one_of_each(s, 0);
  for (size_t i = 0; i < sizeof each / sizeof *each; i++)
    assert_owner(s, each[i], USER, GROUP);
}

/* Makes @name with set-group-id as a member of @group, and gives its mode. */
static mode_t made_as_member(struct share *s, uint64_t parent, const char *dir, const char *name, uint32_t group) {
  const struct {
    uint32_t size, type, count, gid;
  } ext = {.size = 16, .type = 32, .count = 1, .gid = group}; /* as the guest sends it */
  struct virtiofs_create_in in = {.parent = parent,
                                  .name = share_name(name),
                                  .flags = O_RDWR | O_CREAT,
                                  .mode = S_IFREG | 02755,
                                  .extensions = {.bytes = &ext, .size = sizeof ext}};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  assert_int_equal(s->ops->create(&s->req, &in, &out), 0);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 1);
  char path[64];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  assert_owner(s, path, USER, strcmp(dir, "team") == 0 ? TEAM : GROUP);
  return share_stat(s, path).st_mode & 07777;
}

/* The guest says that its user is in the directory's group: that counts there, and nothing else that it says. */
static void group_of_directory(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(mkdirat(s->fd, "team", 0777) | mkdirat(s->fd, "plain", 0777), 0);
  assert_int_equal(fchownat(s->fd, "team", 0, TEAM, 0) | fchownat(s->fd, "plain", 0, TEAM, 0), 0);
  assert_int_equal(fchmodat(s->fd, "team", 02777, 0), 0);
  assert_true((s->ops->semantics & VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP) != 0);
  be_guest_user(s, USER, GROUP);
  uint64_t team = share_lookup(s, "team"), plain = share_lookup(s, "plain");
  assert_int_equal(made_as_member(s, team, "team", "member", TEAM), 02755);
  assert_int_equal(made_as_member(s, team, "team", "stranger", 0), 0755);
  assert_int_equal(made_as_member(s, plain, "plain", "member", TEAM), 02755);
}

static void nobody_makes_nothing(void **state) {
  struct share *s = *state;
  int before = share_open_fds();
  be_guest_user(s, UINT32_MAX, GROUP);
  make_one_of_each(s, -EIO);
  be_guest_user(s, USER, UINT32_MAX);
  make_one_of_each(s, -EIO);
  be_guest_user(s, UINT32_MAX, UINT32_MAX);
  make_one_of_each(s, -EIO);
  for (size_t i = 0; i < sizeof each / sizeof *each; i++)
    assert_false(share_has(s, each[i]));
  assert_int_equal(share_open_fds(), before);
}

static void errors_leave_no_trace(void **state) {
  struct share *s = *state;
  static char before[1024], after[1024];
  if (geteuid() != 0)
    skip();
  who_am_i(before, sizeof before);
  be_guest_user(s, USER, GROUP);
  make_one_of_each(s, 0);
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &out), -EEXIST);
  assert_int_equal(share_try_create(s, "file", O_RDWR | O_EXCL, 0644, &created), -EEXIST);
  who_am_i(after, sizeof after);
  assert_string_equal(before, after);
}

/* The guest did not know of the file and so has not asked whether its user may open it. */
static void existing_file_is_opened_as_guest_user(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  if (geteuid() != 0)
    skip();
  int before = share_open_fds();
  share_put_file(s, "secret", "secret", 0600);
  share_put_file(s, "public", "public", 0644);
  be_guest_user(s, USER, GROUP);
  assert_int_equal(share_try_create(s, "secret", O_RDONLY, 0644, &out), -EACCES);
  assert_int_equal(share_try_create(s, "public", O_RDWR | O_TRUNC, 0644, &out), -EACCES);
  assert_int_equal(share_stat(s, "public").st_size, 6);
  assert_int_equal(share_open_fds(), before);
  assert_int_equal(share_try_create(s, "public", O_RDONLY, 0644, &out), 0);
  share_release(s, out.open.handle);
}

/* CVE-2022-0358: a user who is no member of the group must not get a set-group-id program of it. */
static void set_group_id_directories(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(fchown(s->fd, 0, TEAM), 0);
  assert_int_equal(fchmod(s->fd, 02777), 0);
  pid_t child = fork(); /* in a process of its own, since the thread's groups change */
  assert_true(child >= 0);
  if (child == 0) {
    const gid_t team = TEAM;
    struct virtiofs_entry_out out;
    struct virtiofs_create_out created;
    int bad = setgroups(1, &team) != 0;
    virtiofs_passthrough_free(s->fs);
    share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
    be_guest_user(s, USER, GROUP);
    bad |= share_try_create(s, "file", O_RDWR, 02775, &created) != 0;
    bad |= share_try_mknod(s, "node", S_IFREG | 02775, 0, 0, &out) != 0;
    bad |= share_try_mkdir(s, s->root, "dir", 0755, &out) != 0;
    _exit(bad);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_owner(s, "file", USER, TEAM);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0775);
  assert_int_equal(share_stat(s, "node").st_mode & 07777, 0775);
  assert_owner(s, "dir", USER, TEAM);
  assert_int_equal(share_stat(s, "dir").st_mode & 07777, 02755);
}

/* A server that is not root serves with what it may do, in its own name. */
static void ordinary_user_serves(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  share_put_file(s, "secret", "secret", 0600);
  assert_int_equal(fchmod(s->fd, 0777), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct virtiofs_entry_out out;
    uint64_t handle;
    int bad = setgroups(0, NULL) != 0 || setgid(GROUP) != 0 || setuid(USER) != 0;
    virtiofs_passthrough_free(s->fs);
    share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
    be_guest_user(s, 0, 0);
    make_one_of_each(s, 0);
    bad |= share_try_open(s, share_lookup(s, "secret"), O_RDONLY, &handle) != -EACCES;
    struct virtiofs_link_in link_in = {
        .new_parent = s->root, .node = share_lookup(s, "file"), .name = share_name("2nd")};
    bad |= s->ops->link(&s->req, &link_in, &out) != 0; /* without CAP_DAC_READ_SEARCH */
    struct virtiofs_setattr_in in = {.node = share_lookup(s, "file"), .valid = VIRTIOFS_SET_UID, .uid = 0};
    struct virtiofs_attr_out attr;
    bad |= s->ops->setattr(&s->req, &in, &attr) != -EPERM;
    in = (struct virtiofs_setattr_in){
        .node = in.node, .valid = VIRTIOFS_SET_MODE | VIRTIOFS_SET_SIZE, .mode = 0400, .size = 3};
    bad |= s->ops->setattr(&s->req, &in, &attr) != 0;
    _exit(bad);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  for (size_t i = 0; i < sizeof each / sizeof *each; i++)
    assert_owner(s, each[i], USER, GROUP);
}

/* Keeps root's capabilities in a process of an ordinary user, as a service manager may start a server. */
static bool become_user_with_caps(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 || setgid(GROUP) != 0 || setuid(USER) != 0 ||
      syscall(SYS_capget, &header, caps) != 0)
    return false;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
    caps[i].effective = caps[i].permitted;
  return syscall(SYS_capset, &header, caps) == 0;
}

/* There the kernel doesn't give back by itself what it took. */
static void user_with_capabilities_serves(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    static char before[1024], after[1024];
    struct virtiofs_entry_out out;
    int bad = !become_user_with_caps();
    virtiofs_passthrough_free(s->fs);
    share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
    who_am_i(before, sizeof before);
    be_guest_user(s, 0, 0);
    bad |= share_try_mkdir(s, s->root, "root", 0755, &out) != 0;
    be_guest_user(s, 777, 778);
    bad |= share_try_mkdir(s, s->root, "other", 0755, &out) != 0;
    who_am_i(after, sizeof after);
    _exit(bad | (strcmp(before, after) != 0));
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_owner(s, "root", 0, 0);
  assert_owner(s, "other", 777, 778);
}

/* ---- many threads, each operation in turn: what one leaves must not be what the next begins with ---- */

enum { THREADS = 4, ROUNDS = 150 };

struct turn {
  struct share share; /* its requests' caller is the thread's own */
  int number, bad;
};

/* Ids and capabilities; CAP_FSETID in effect is a thread's own business between operations. */
static void who_but_fsetid(char *text, size_t size) {
  who_am_i(text, size);
  char *caps = strstr(text, "CapEff:");
  assert_non_null(caps);
  unsigned long long effective = strtoull(caps + 7, NULL, 16) & ~(1ULL << CAP_FSETID);
  snprintf(caps, size - (size_t)(caps - text), "%llx", effective);
}

static int each_in_turn(struct share *s, int i, const char *name) {
  struct virtiofs_entry_out entry;
  struct virtiofs_create_out created;
  struct virtiofs_name n = share_name(name);
  struct virtiofs_unlink_in unlink_in = {.parent = s->root, .name = n};
  struct virtiofs_rmdir_in rmdir_in = {.parent = s->root, .name = n};
  uint64_t handle;
  const uid_t uid = s->req.caller.uid;
  int rc = 0;
  switch (i % 5) {
  case 0:
    rc = share_try_mkdir(s, s->root, name, 0755, &entry);
    rc = rc != 0 || entry.attr.uid != uid ? -1 : s->ops->rmdir(&s->req, &rmdir_in);
    break;
  case 1: /* its owner alone may read it, and the server */
    if (share_try_lookup(s, s->root, "secret", &entry) != 0 || share_try_open(s, entry.node, O_RDONLY, &handle) != 0)
      return -1;
    share_release(s, handle);
    share_forget(s, entry.node, 1);
    return 0;
  case 2: /* as he may himself */
    rc = share_try_create(s, "secret", O_RDWR, 0644, &created);
    return rc == -EACCES ? 0 : -1;
  default:
    rc = share_try_create(s, name, O_RDWR, 06755, &created);
    if (rc != 0 || created.entry.attr.uid != uid)
      return -1;
    s->opened = created.entry.node;
    rc = share_write(s, created.open.handle, 0, "x", 0, i % 5 == 3 ? VIRTIOFS_WRITE_KILL_SUIDGID : 0);
    share_release(s, created.open.handle);
    rc = rc != 1 || share_stat(s, name).st_mode != (S_IFREG | (i % 5 == 3 ? 0755 : 06755))
             ? -1
             : s->ops->unlink(&s->req, &unlink_in);
    entry.node = created.entry.node;
  }
  if (rc == 0)
    share_forget(s, entry.node, 1);
  return rc;
}

static void *take_turns(void *arg) {
  struct turn *turn = arg;
  struct share *s = &turn->share;
  char before[1024], after[1024], name[32];
  who_but_fsetid(before, sizeof before);
  for (int i = 0; i < ROUNDS && turn->bad == 0; i++) {
    snprintf(name, sizeof name, "%d-%d", turn->number, i);
    be_guest_user(s, USER + (uint32_t)(turn->number + i) % 3, GROUP);
    if (each_in_turn(s, i + turn->number, name) != 0)
      turn->bad = i + 1;
    who_but_fsetid(after, sizeof after);
    if (strcmp(before, after) != 0)
      turn->bad = -i - 1;
  }
  return NULL;
}

static void threads_are_the_server_in_between(void **state) {
  struct share *s = *state;
  static struct turn turns[THREADS];
  pthread_t threads[THREADS];
  if (geteuid() != 0)
    skip();
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.killpriv_v2 = true});
  s->req.semantics = VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2;
  share_put_file(s, "secret", "secret", 0600);
  for (int i = 0; i < THREADS; i++) {
    turns[i] = (struct turn){.number = i};
    turns[i].share = *s;
    assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &turns[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(turns[i].bad, 0);
  }
}

/* Two shares take turns on a thread: what the one's last write dropped the other has. */
static void shares_are_apart(void **state) {
  struct share *s = *state, other;
  if (geteuid() != 0)
    skip();
  other = *s;
  share_serve(&other, (struct virtiofs_passthrough_config){.killpriv_v2 = true});
  share_put_file(s, "f", "text", 0666);
  uint64_t mine = share_open(s, share_lookup(s, "f"), O_RDWR);
  uint64_t its = share_open(&other, share_lookup(&other, "f"), O_RDWR);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(fchmodat(s->fd, "f", 06777, 0), 0);
    assert_int_equal(share_write(s, mine, 0, "x", 0, 0), 1);
    assert_int_equal(share_stat(s, "f").st_mode & 07777, 06777);
    assert_int_equal(share_write(&other, its, 0, "x", 0, VIRTIOFS_WRITE_KILL_SUIDGID), 1);
    assert_int_equal(share_stat(s, "f").st_mode & 07777, 0777);
  }
  share_release(s, mine);
  share_release(&other, its);
  virtiofs_passthrough_free(other.fs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(nameless_files_belong_to_guest_user),
      share_test(files_belong_to_guest_user),
      share_test(one_id_alone_differs),
      share_test(what_guest_allowed_is_not_refused),
      share_test(group_of_directory),
      share_test(nobody_makes_nothing),
      share_test(errors_leave_no_trace),
      share_test(existing_file_is_opened_as_guest_user),
      share_test(set_group_id_directories),
      share_test(ordinary_user_serves),
      share_test(user_with_capabilities_serves),
      share_test(threads_are_the_server_in_between),
      share_test(shares_are_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
