/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process dies of, once it is locked, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/sandbox.h>

enum { TEXT = 4096, FIRST_NEW = 451, LAST_NEW = 511, NOT_THERE = 435 /* clone3 */ };

/* How it ended, as waitpid(2) has it, and what it said on stderr. */
struct outcome {
  int status;
  char said[TEXT];
};

static void lock_with(const struct virtiofs_sandbox_config *config) {
  const struct virtiofs_sandbox_inside inside = {.proc_fd = -1};
  if (virtiofs_sandbox_lock(&inside, config) != 0)
    _exit(99);
}

/* Does it, locked, in a process of its own. */
static struct outcome run(void (*act)(void), const struct virtiofs_sandbox_config *config) {
  struct outcome out = {.status = -1};
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    (void)dup2(fds[1], STDERR_FILENO);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGSYS, SIG_DFL);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    lock_with(config);
    act();
    _exit(0);
  }
  close(fds[1]);
  size_t len = 0;
  for (ssize_t n; (n = read(fds[0], out.said + len, TEXT - 1 - len)) > 0;)
    len += (size_t)n;
  close(fds[0]);
  assert_int_equal(waitpid(pid, &out.status, 0), pid);
  return out;
}

static struct virtiofs_sandbox_config config_of(enum virtiofs_sandbox_seccomp seccomp) {
  return (struct virtiofs_sandbox_config){.size = sizeof(struct virtiofs_sandbox_config), .seccomp = seccomp};
}

static void needs(bool right) {
  if (!right)
    _exit(1);
}

/* ---- what it dies of ---- */

static void do_execve(void) {
  char *args[] = {(char *)(uintptr_t) "/bin/true", NULL};
  (void)execve(args[0], args, NULL);
}

static void do_inet(void) {
  (void)socket(AF_INET, SOCK_STREAM, 0);
}

static void do_unix(void) {
  (void)socket(AF_UNIX, SOCK_STREAM, 0);
}

static void do_mount(void) {
  (void)mount("tmpfs", "/nowhere", "tmpfs", 0, NULL);
}

static void do_umount(void) {
  (void)umount2("/nowhere", MNT_DETACH);
}

static void do_open_tree(void) {
  (void)open_tree(AT_FDCWD, "/", 0);
}

static void do_unshare(void) {
  (void)unshare(CLONE_NEWUSER);
}

static void do_chroot(void) {
  (void)chroot("/");
}

static void do_setns(void) {
  (void)setns(0, 0);
}

static void do_bpf(void) {
  (void)syscall(SYS_bpf, 0, NULL, 0);
}

static void do_io_uring(void) {
  (void)syscall(SYS_io_uring_setup, 1, NULL);
}

static void do_module(void) {
  (void)syscall(SYS_init_module, NULL, 0, "");
}

static void do_keyctl(void) {
  (void)syscall(SYS_keyctl, 0, 0);
}

/* Signals to others, by whom the kernel asks what user it is: in a chroot root's processes are all there. */
static void do_signal(void) {
  (void)syscall(SYS_tgkill, 1, 1, 0);
}

static void do_owner(void) {
  (void)fcntl(STDIN_FILENO, F_SETOWN, 1);
}

static void do_sigio(void) {
  (void)fcntl(STDIN_FILENO, F_SETSIG, SIGKILL);
}

#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
#if !defined(__has_feature)
#define UNSANITIZED
#elif !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define UNSANITIZED
#endif
#endif
#endif

/* What sanitizers do themselves. */
#ifdef UNSANITIZED
static void do_ptrace(void) {
  (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void do_tiocsti(void) {
  char byte = 'x';
  (void)ioctl(STDIN_FILENO, TIOCSTI, &byte);
}

static void do_fork(void) {
  (void)fork();
}

/* The kernel wants more flags for a thread; who looks only at this one would let it through. */
static void do_clone_namespace(void) {
  (void)syscall(SYS_clone, CLONE_THREAD | CLONE_NEWNS, NULL, NULL, NULL, 0);
}

static void do_exec_map(void) {
  (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_exec_protect(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  needs(page != MAP_FAILED);
  (void)mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void do_setrlimit(void) {
  const struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void do_dumpable(void) {
  (void)prctl(PR_SET_DUMPABLE, 1);
}
#endif

static const struct {
  const char *name;
  void (*act)(void);
} killed[] = {
    {"execve", do_execve},
    {"socket", do_inet},
    {"socket", do_unix},
    {"mount", do_mount},
    {"umount2", do_umount},
    {"open_tree", do_open_tree},
    {"unshare", do_unshare},
    {"chroot", do_chroot},
    {"setns", do_setns},
    {"bpf", do_bpf},
    {"io_uring_setup", do_io_uring},
    {"init_module", do_module},
    {"keyctl", do_keyctl},
    {"fcntl", do_owner},
    {"fcntl", do_sigio},
    {"tgkill", do_signal},
#ifdef UNSANITIZED
    {"ptrace", do_ptrace},
    {"clone", do_fork},
    {"clone", do_clone_namespace},
    {"mmap", do_exec_map},
    {"mprotect", do_exec_protect},
    {"prctl", do_dumpable},
    {"ioctl", do_tiocsti},
    {"prlimit64", do_setrlimit},
#endif
};

static void others_kill(void **state) {
  const struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_SECCOMP_KILL);
  (void)state;
  for (size_t i = 0; i < sizeof killed / sizeof killed[0]; i++) {
    struct outcome out = run(killed[i].act, &config);
    if (!WIFSIGNALED(out.status) || WTERMSIG(out.status) != SIGSYS)
      fail_msg("%s: status %x", killed[i].name, (unsigned)out.status);
  }
}

static void a_trap_names_them(void **state) {
  const struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_SECCOMP_TRAP);
  char line[120];
  (void)state;
  for (size_t i = 0; i < sizeof killed / sizeof killed[0]; i++) {
    struct outcome out = run(killed[i].act, &config);
    assert_true(WIFSIGNALED(out.status) && WTERMSIG(out.status) == SIGSYS);
    snprintf(line, sizeof line, " (%s) is not allowed\n", killed[i].name);
    if (strncmp(out.said, "ERROR sandbox: system call ", 27) != 0 || strstr(out.said, line) == NULL)
      fail_msg("%s: it says '%s'", killed[i].name, out.said);
  }
}

static void *in_a_thread(void *arg) {
  (void)arg;
  do_inet();
  return NULL;
}

static void do_in_a_thread(void) {
  pthread_t thread;
  needs(pthread_create(&thread, NULL, in_a_thread, NULL) == 0);
  pthread_join(thread, NULL);
}

static void threads_are_in_it(void **state) {
  const struct virtiofs_sandbox_config kill = config_of(VIRTIOFS_SANDBOX_SECCOMP_KILL);
  const struct virtiofs_sandbox_config trap = config_of(VIRTIOFS_SANDBOX_SECCOMP_TRAP);
  (void)state;
  assert_int_equal(WTERMSIG(run(do_in_a_thread, &kill).status), SIGSYS);
  struct outcome out = run(do_in_a_thread, &trap);
  assert_int_equal(WTERMSIG(out.status), SIGSYS);
  assert_non_null(strstr(out.said, "(socket)"));
}

/* ---- what it doesn't ---- */

static void do_allowed(void) {
  struct rlimit limit;
  for (size_t size = 1; size < (size_t)64 << 20; size *= 4) {
    char *bytes = malloc(size);
    needs(bytes != NULL);
    bytes[size - 1] = 1;
    free(bytes);
  }
  needs(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  needs(pthread_setname_np(pthread_self(), "name") == 0);
}

static void do_newer(void) {
  for (long number = FIRST_NEW; number <= LAST_NEW; number++)
    needs(syscall(number, -1, -1, -1, -1, -1, -1) == -1 && errno == ENOSYS);
  needs(syscall(NOT_THERE, NULL, 0) == -1 && errno == ENOSYS);
}

static void servers_own_are_left(void **state) {
  const struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_SECCOMP_KILL);
  (void)state;
  assert_int_equal(run(do_allowed, &config).status, 0);
  assert_int_equal(run(do_newer, &config).status, 0);
}

static void a_config_adds_some(void **state) {
  static const char *const calls[] = {"socket", "no_such_call", NULL};
  struct virtiofs_sandbox_config config = config_of(VIRTIOFS_SANDBOX_SECCOMP_KILL);
  (void)state;
  config.calls = calls;
  assert_int_equal(run(do_inet, &config).status, 0);
  assert_int_equal(WTERMSIG(run(do_mount, &config).status), SIGSYS);
  config.calls = NULL;
  config.mounts = true;
  assert_int_equal(run(do_mount, &config).status, 0);
  assert_int_equal(run(do_umount, &config).status, 0);
  assert_int_equal(WTERMSIG(run(do_inet, &config).status), SIGSYS);
}

static void log_and_none_let_all_through(void **state) {
  const struct virtiofs_sandbox_config log = config_of(VIRTIOFS_SANDBOX_SECCOMP_LOG);
  const struct virtiofs_sandbox_config none = config_of(VIRTIOFS_SANDBOX_SECCOMP_NONE);
  (void)state;
  assert_int_equal(run(do_unix, &log).status, 0);
  assert_int_equal(run(do_unix, &none).status, 0);
}

static void broken_configs(void **state) {
  const struct virtiofs_sandbox_inside inside = {.proc_fd = -1};
  struct virtiofs_sandbox_config config = config_of((enum virtiofs_sandbox_seccomp)99);
  (void)state;
  assert_int_equal(virtiofs_sandbox_lock(&inside, NULL), -EINVAL);
  assert_int_equal(virtiofs_sandbox_lock(&inside, &config), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(others_kill),        cmocka_unit_test(a_trap_names_them),
      cmocka_unit_test(threads_are_in_it),  cmocka_unit_test(servers_own_are_left),
      cmocka_unit_test(a_config_adds_some), cmocka_unit_test(log_and_none_let_all_through),
      cmocka_unit_test(broken_configs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
