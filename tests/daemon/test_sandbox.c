/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages one by one, as a program takes them that isn't one of virtiofs_main(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/sandbox.h>

/* What a process inside ends with: the line where it was not as it should be, modulo 256, or this. */
enum { RIGHT = 42 };
#define NEEDS(right)                                                                                                   \
  do {                                                                                                                 \
    if (!(right))                                                                                                      \
      _exit(__LINE__ % 256);                                                                                           \
  } while (0)

static char share[] = "/tmp/virtiofs-sandbox-XXXXXX", other[] = "/tmp/virtiofs-sandbox-XXXXXX";
static int outside_fd; /* of what lies outside */

static struct virtiofs_sandbox_config config_of(enum virtiofs_sandbox_mode mode) {
  return (struct virtiofs_sandbox_config){.size = sizeof(struct virtiofs_sandbox_config),
                                          .mode = mode,
                                          .root = share,
                                          .seccomp = VIRTIOFS_SANDBOX_SECCOMP_NONE};
}

static void write_file(const char *dir, const char *name) {
  char path[100];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, name, strlen(name)), strlen(name));
  close(fd);
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(share) == NULL || mkdtemp(other) == NULL)
    return -1;
  write_file(share, "inside");
  write_file(other, "outside");
  outside_fd = open(other, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return outside_fd >= 0 ? 0 : -1;
}

static int clean_up(void **state) {
  char command[100];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s %s", share, other);
  return system(command);
}

/* Runs it in a process that becomes one outside and one inside. Return: how the first one ends. */
static int run(void (*act)(struct virtiofs_sandbox_config *config), struct virtiofs_sandbox_config *config) {
  int status;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    act(config);
    _exit(RIGHT);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static void assert_right(int status) {
  if (!WIFEXITED(status) || WEXITSTATUS(status) != RIGHT)
    fail_msg("status %x, which is line %d", (unsigned)status, WEXITSTATUS(status));
}

static bool may_make_namespaces(void) {
  pid_t pid = fork();
  int status = 0;
  if (pid == 0)
    _exit(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool reads(int dir, const char *name) {
  char byte;
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
  bool read_it = fd >= 0 && read(fd, &byte, 1) == 1;
  if (fd >= 0)
    close(fd);
  return read_it;
}

/* ---- where it is ---- */

static void see_root(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  char name[16], path[100];
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(inside.other && strcmp(inside.root, "/") == 0 && inside.channel == -1);
  NEEDS(reads(AT_FDCWD, "/inside") && !reads(AT_FDCWD, other) && access("/proc", F_OK) != 0);
  /* Descriptors by their numbers: the working directory's, and no way up from it. */
  int fd = open("/inside", O_PATH | O_CLOEXEC);
  snprintf(name, sizeof name, "%d", fd);
  NEEDS(reads(AT_FDCWD, name) && reads(inside.proc_fd, name));
  snprintf(path, sizeof path, "../../..%s/outside", other);
  NEEDS(!reads(AT_FDCWD, path));
  snprintf(path, sizeof path, "../../../../../../..%s/outside", other);
  NEEDS(!reads(AT_FDCWD, path) && !reads(inside.proc_fd, path));
}

static void a_root(void **state) {
  (void)state;
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_CHROOT; mode++) {
    struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)mode);
    assert_right(run(see_root, &config));
  }
}

static void see_read_only(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(reads(AT_FDCWD, "/inside") && mkdir("/new", 0755) != 0 && errno == EROFS);
}

static void a_root_to_read(void **state) {
  struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_NAMESPACE);
  (void)state;
  config.read_only = true;
  assert_right(run(see_read_only, &config));
}

static void see_trees(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  struct virtiofs_sandbox_tree tree = {.path = other};
  config->trees = &tree;
  config->tree_count = 1;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(virtiofs_sandbox_drop(&inside, config) == 0);
  NEEDS(tree.fd >= 0 && reads(tree.fd, "outside"));
  NEEDS(config->mode == VIRTIOFS_SANDBOX_NONE || !reads(AT_FDCWD, other));
}

static void other_directories(void **state) {
  (void)state;
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_NONE; mode++) {
    struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)mode);
    assert_right(run(see_trees, &config));
  }
}

static void fail_to_enter(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  struct virtiofs_sandbox_tree tree = {.path = "/no/such/directory"};
  config->trees = &tree;
  config->tree_count = 1;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == -ENOENT);
  NEEDS(inside.other == (config->mode != VIRTIOFS_SANDBOX_NONE));
}

static void what_is_not_there(void **state) {
  struct virtiofs_sandbox_inside inside;
  struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)99);
  (void)state;
  assert_int_equal(virtiofs_sandbox_enter(&inside, NULL), -EINVAL);
  assert_int_equal(virtiofs_sandbox_enter(&inside, &config), -EINVAL);
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_NONE; mode++) {
    config = config_of((enum virtiofs_sandbox_mode)mode);
    assert_right(run(fail_to_enter, &config));
  }
}

/* ---- the two processes ---- */

static int answer(void *ctx, int channel) {
  char word;
  (void)ctx;
  if (recv(channel, &word, 1, MSG_DONTWAIT) != 1)
    return -EPROTO;
  word++;
  return send(channel, &word, 1, MSG_NOSIGNAL) == 1 ? 0 : -EPROTO;
}

static void ended(void *ctx, int status) {
  /* It is outside: what the one inside can't reach is there. */
  _exit(status == *(const int *)ctx && access(other, F_OK) == 0 ? RIGHT : 1);
}

static void ask(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  static const int expected = 7;
  char word = 'a';
  config->outside =
      (struct virtiofs_sandbox_outside){.ctx = (void *)(uintptr_t)&expected, .request = answer, .ended = ended};
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(send(inside.channel, &word, 1, MSG_NOSIGNAL) == 1 && recv(inside.channel, &word, 1, 0) == 1 && word == 'b');
  _exit(expected);
}

static void who_is_outside_answers(void **state) {
  (void)state;
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_CHROOT; mode++) {
    struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)mode);
    assert_right(run(ask, &config));
  }
}

static void die(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  (void)signal(SIGABRT, SIG_DFL);
  abort();
}

static void it_ends_alike(void **state) {
  struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_NAMESPACE);
  (void)state;
  int status = run(die, &config);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- Landlock ---- */

static bool has_landlock(void) {
  return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

/* The directory outside is still open, and root's capabilities are all there: only Landlock stands before it. */
static void reach_out(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  config->capabilities = UINT64_MAX;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(reads(outside_fd, "outside"));
  NEEDS(virtiofs_sandbox_drop(&inside, config) == 0);
  bool files = !config->by_handle && !config->more_directories;
  NEEDS(inside.landlock == (files               ? VIRTIOFS_SANDBOX_LANDLOCK_FILES
                            : config->by_handle ? VIRTIOFS_SANDBOX_LANDLOCK_REST
                                                : VIRTIOFS_SANDBOX_LANDLOCK_MORE));
  NEEDS(reads(outside_fd, "outside") == !files && reads(AT_FDCWD, "/inside"));
  NEEDS(mkdir("/dir", 0755) == 0 && rename("/inside", "/dir/inside") == 0 && rename("/dir/inside", "/inside") == 0);
  NEEDS(rmdir("/dir") == 0);
  NEEDS((mkdirat(outside_fd, "new", 0755) == 0) == !files);
  if (!files)
    NEEDS(unlinkat(outside_fd, "new", AT_REMOVEDIR) == 0);
}

static void landlock(void **state) {
  (void)state;
  if (!has_landlock())
    skip();
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_CHROOT; mode++) {
    struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)mode);
    assert_right(run(reach_out, &config));
    config.by_handle = true;
    assert_right(run(reach_out, &config));
    config.by_handle = false;
    config.more_directories = true;
    assert_right(run(reach_out, &config));
  }
}

/* Who may not open by handle has nothing to lose. */
static void without_the_right(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  config->by_handle = true;
  config->capabilities = UINT64_C(1) << CAP_CHOWN;
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(virtiofs_sandbox_drop(&inside, config) == 0);
  NEEDS(inside.landlock == VIRTIOFS_SANDBOX_LANDLOCK_FILES);
}

static void landlock_or_handles(void **state) {
  struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_NAMESPACE);
  (void)state;
  if (!has_landlock())
    skip();
  assert_right(run(without_the_right, &config));
}

/* ---- other file systems ---- */

static union {
  struct file_handle it;
  unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} program;

/* Of this program's file: any descriptor on its file system, and the right to open by handle, reach all of that. */
static bool opens_program(int fd) {
  int file = open_by_handle_at(fd, &program.it, O_PATH);
  if (file >= 0)
    close(file);
  return file >= 0;
}

static void reach_another(struct virtiofs_sandbox_config *config) {
  struct virtiofs_sandbox_inside inside;
  char exe[40];
  int mount_id;
  program.it.handle_bytes = MAX_HANDLE_SZ;
  close(outside_fd);
  if (name_to_handle_at(AT_FDCWD, "/proc/self/exe", &program.it, &mount_id, AT_SYMLINK_FOLLOW) != 0 ||
      mount("tmpfs", share, "tmpfs", 0, NULL) != 0)
    _exit(0);
  config->capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_DAC_OVERRIDE;
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  NEEDS(opens_program(self));
  close(self);
  NEEDS(virtiofs_sandbox_enter(&inside, config) == 0);
  NEEDS(virtiofs_sandbox_drop(&inside, config) == 0);
  for (int fd = STDERR_FILENO + 1; fd < 100; fd++)
    NEEDS(!opens_program(fd));
  /* What a process runs is a file of the host's, and a link to it stands beside what threads have. */
  snprintf(exe, sizeof exe, "%ld/exe", (long)syscall(SYS_gettid));
  NEEDS(inside.task_fd < 0 || !opens_program(openat(inside.task_fd, exe, O_RDONLY | O_CLOEXEC)));
}

static void no_other_file_system(void **state) {
  (void)state;
  for (int mode = VIRTIOFS_SANDBOX_NAMESPACE; mode <= VIRTIOFS_SANDBOX_CHROOT; mode++) {
    struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_mode)mode);
    config.by_handle = config.close_inherited = true;
    int status = run(reach_another, &config);
    (void)umount2(share, MNT_DETACH);
    if (status == 0)
      skip();
    assert_right(status);
  }
}

/* ---- names ---- */

static void modcaps(void **state) {
  uint64_t add = 0, remove = 0;
  (void)state;
  assert_int_equal(virtiofs_sandbox_modcaps("+sys_admin:-CAP_CHOWN:+kill:-kill", &add, &remove), 0);
  assert_int_equal(add, UINT64_C(1) << CAP_SYS_ADMIN);
  assert_int_equal(remove, UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_KILL);
  assert_int_equal(virtiofs_sandbox_modcaps("+chown", &add, &remove), 0);
  assert_int_equal(remove, UINT64_C(1) << CAP_KILL);
  assert_int_equal(virtiofs_sandbox_modcaps("", &add, &remove), 0);
  static const char *const wrong[] = {
      "chown", "+", "+:", ":", "+chown:", "+chown,-kill", "+nothing", "*chown", "+cap_"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(virtiofs_sandbox_modcaps(wrong[i], &add, &remove), -EINVAL);
}

int main(void) {
  const struct CMUnitTest all[] = {
      cmocka_unit_test(a_root),
      cmocka_unit_test(a_root_to_read),
      cmocka_unit_test(other_directories),
      cmocka_unit_test(what_is_not_there),
      cmocka_unit_test(who_is_outside_answers),
      cmocka_unit_test(it_ends_alike),
      cmocka_unit_test(landlock),
      cmocka_unit_test(landlock_or_handles),
      cmocka_unit_test(no_other_file_system),
      cmocka_unit_test(modcaps),
  };
  const struct CMUnitTest some[] = {cmocka_unit_test(modcaps)};
  if (geteuid() == 0 && may_make_namespaces())
    return cmocka_run_group_tests(all, set_up, clean_up);
  return cmocka_run_group_tests(some, NULL, NULL);
}
