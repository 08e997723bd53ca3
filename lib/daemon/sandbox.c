/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Up to three processes. The program's own stays outside, with all that it had. Where there are namespaces its child is
 * the first process in them, which waits. The server is a child of that one, or of the program's own where there are
 * none: not the first itself, since to that one signals of its own, such as abort(3)'s, mean nothing.
 */
#include <virtiofs/sandbox.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "daemon/idmaps.h"
#include "daemon/sandbox_root.h"
#include "daemon/supervise.h"

#define TAG "sandbox"
#define SIGNAL_STATUS 128 /* what a shell adds to a signal's number */

/** What is known before there are several. */
struct plan {
  const struct virtiofs_sandbox_config *config;
  struct virtiofs_sandbox_inside *inside;
  unsigned long flags; /* of clone(2) */
  struct virtiofs_sandbox_idmaps maps;
  int go[2];     /* one byte: the ids are mapped */
  int status[2]; /* from who is between: how the server has ended */
  int channel[2];
  int lines[2];     /* what is said inside on standard error, where that is a file outside */
  pid_t parent;     /* of the server */
  sigset_t signals; /* those that were blocked */
};

static void close_one(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

/* Of the first 32. */
static int keep_caps(uint32_t kept) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{.effective = kept, .permitted = kept}};
  return syscall(SYS_capset, &header, caps) == 0 ? 0 : -errno;
}

/* ---- outside ---- */

/* As the server has. Its core is the one that is worth something. */
_Noreturn static void end_as(const struct plan *plan, int status) {
  const struct virtiofs_sandbox_outside *outside = &plan->config->outside;
  int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  int code = number != 0 ? SIGNAL_STATUS + number : WEXITSTATUS(status);
  if (number != 0)
    virtiofs_log_write(&plan->config->log, VIRTIOFS_LOG_ERROR, TAG, "the server has died of signal %d, %s", number,
                       strsignal(number));
  if (outside->ended != NULL)
    outside->ended(outside->ctx, code);
  if (number != 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
  }
  exit(code);
}

_Noreturn static void stay_outside(struct plan *plan, pid_t child) {
  const struct virtiofs_sandbox_outside *outside = &plan->config->outside;
  struct virtiofs_supervise supervise = {.child = child,
                                         .channel = plan->channel[0],
                                         .request = outside->request,
                                         .ctx = outside->ctx,
                                         .lines = plan->lines[0]};
  int status;
  close_one(&plan->go[0]);
  close_one(&plan->status[1]);
  close_one(&plan->channel[1]);
  close_one(&plan->lines[1]);
  if (outside->begin != NULL)
    outside->begin(outside->ctx);
  int rc = (plan->flags & CLONE_NEWUSER) != 0 ? -virtiofs_sandbox_idmaps_write(&plan->maps, child) : 0;
  if (virtiofs_sandbox_idmaps_written(rc, &plan->config->log) == 0 && plan->go[1] >= 0 &&
      write(plan->go[1], "", 1) != 1)
    virtiofs_log_write(&plan->config->log, VIRTIOFS_LOG_ERROR, TAG, "nobody is inside");
  close_one(&plan->go[1]);
  int seen = virtiofs_supervise(&supervise);
  if (plan->status[0] < 0 || read(plan->status[0], &status, sizeof(status)) != (ssize_t)sizeof(status))
    status = seen;
  end_as(plan, status);
}

/* ---- between ---- */

/* It needs nothing but to signal a child that has become somebody else. */
static void give_all_up(const struct plan *plan) {
  (void)keep_caps(1U << CAP_KILL);
  unsigned keep = (unsigned)plan->status[1];
  if (keep > 0)
    (void)close_range(0, keep - 1, 0);
  (void)close_range(keep + 1, ~0U, 0);
}

_Noreturn static void stay_between(struct plan *plan, pid_t child) {
  struct virtiofs_supervise supervise = {.child = child, .channel = -1, .lines = -1};
  give_all_up(plan);
  int status = virtiofs_supervise(&supervise);
  ssize_t written = write(plan->status[1], &status, sizeof(status));
  _exit(written == (ssize_t)sizeof(status) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* It may have ended before we have asked to be told. Its number is nothing in our namespace; its end of a pipe is. */
static bool is_outside_gone(const struct plan *plan) {
  struct pollfd fd = {.fd = plan->status[1]};
  return poll(&fd, 1, 0) == 1;
}

/* The first of the namespaces. Returns in the server: 0 or -errno. */
static int go_between(struct plan *plan) {
  char byte;
  ssize_t n;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_one(&plan->go[1]);
  close_one(&plan->status[0]);
  do
    n = read(plan->go[0], &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1 || is_outside_gone(plan))
    _exit(EXIT_FAILURE); /* who is outside has said why, or is no more */
  close_one(&plan->go[0]);
  plan->parent = getpid();
  if (chdir("/") != 0) /* where the root goes, it goes too */
    _exit(EXIT_FAILURE);
  pid_t child = fork();
  if (child > 0)
    stay_between(plan, child);
  int rc = child < 0 ? -errno : 0;
  if (rc != 0)
    virtiofs_log_write(&plan->config->log, VIRTIOFS_LOG_ERROR, TAG, "no second process: %s", strerror(-rc));
  close_one(&plan->status[1]);
  return rc;
}

/* ---- inside ---- */

/* Who has started the program may have left it more than it was meant to have. The one outside keeps that: a launcher's
 * lock may be among it. */
static int close_inherited(const struct virtiofs_log *log) {
  const struct dirent *entry;
  DIR *dir = opendir("/proc/self/fd");
  if (dir == NULL) {
    int error = errno;
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "can't open '/proc/self/fd': %s", strerror(error));
    return -error;
  }
  while ((entry = readdir(dir)) != NULL) {
    int fd = (int)strtol(entry->d_name, NULL, 10); /* 0 for "." */
    int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
      close(fd);
  }
  closedir(dir);
  return 0;
}

/* On a file system of the host's: no pipe, socket or terminal. */
static bool is_file(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !isatty(fd);
}

/* A log that is a file on the host is the one outside's to write: here it could be changed, and by file handle all that
 * lies on its file system be opened. */
static int take_lines(struct plan *plan) {
  int rc = 0;
  close_one(&plan->lines[0]);
  for (int fd = STDIN_FILENO; plan->lines[1] >= 0 && rc == 0 && fd <= STDERR_FILENO; fd++)
    rc = is_file(fd) && dup2(plan->lines[1], fd) < 0 ? -errno : 0;
  close_one(&plan->lines[1]);
  return rc;
}

static int settle(struct plan *plan) {
  int root;
  close_one(&plan->channel[0]);
  plan->inside->channel = plan->channel[1];
  sigprocmask(SIG_SETMASK, &plan->signals, NULL);
  int rc = take_lines(plan);
  if (rc == 0 && plan->config->close_inherited)
    rc = close_inherited(&plan->config->log);
  if (rc == 0)
    rc = virtiofs_sandbox_root_open(plan->config, plan->inside, &root);
  if (rc == 0 && (plan->flags & CLONE_NEWUSER) != 0)
    rc = virtiofs_sandbox_become_root(&plan->maps, &plan->config->log);
  /* Who becomes somebody else has to ask for it again. */
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (rc == 0 && getppid() != plan->parent)
    rc = -ESRCH;
  if (rc == 0)
    rc = virtiofs_sandbox_root_change(plan->config, plan->inside, root);
  /* There they would only make him try to be somebody else. */
  if (rc == 0 && plan->inside->own_user)
    rc = keep_caps(0);
  plan->inside->root = plan->config->root != NULL ? "/" : NULL;
  return rc;
}

/* ---- before ---- */

/* With flags by the bare system call: the C library's copy of it wants another stack, and unshare(2) wants a process
 * that no sanitizer has given a second thread. What the C library keeps of a thread is wrong in that child, so it is
 * for its own child to go on. */
static pid_t new_process(unsigned long flags) {
  if (flags == 0)
    return fork();
#ifdef __s390x__
  return (pid_t)syscall(SYS_clone, NULL, flags | SIGCHLD, NULL, NULL, 0);
#else
  return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
#endif
}

static int make_pipes(struct plan *plan) {
  bool files = is_file(STDIN_FILENO) || is_file(STDOUT_FILENO) || is_file(STDERR_FILENO);
  plan->go[0] = plan->go[1] = plan->status[0] = plan->status[1] = plan->channel[0] = plan->channel[1] = -1;
  plan->lines[0] = plan->lines[1] = -1;
  if (plan->flags != 0 && (pipe2(plan->go, O_CLOEXEC) != 0 || pipe2(plan->status, O_CLOEXEC) != 0))
    return -errno;
  if (plan->config->outside.request != NULL &&
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, plan->channel) != 0)
    return -errno;
  if (files && (pipe2(plan->lines, O_CLOEXEC) != 0 || fcntl(plan->lines[0], F_SETFL, O_NONBLOCK) != 0))
    return -errno;
  return 0;
}

static void close_pipes(struct plan *plan) {
  for (int i = 0; i < 2; i++) {
    close_one(&plan->go[i]);
    close_one(&plan->status[i]);
    close_one(&plan->channel[i]);
    close_one(&plan->lines[i]);
  }
}

/* The process's own ids, where nobody has asked for others and there must be some. */
static int map_ids(struct plan *plan) {
  const struct virtiofs_sandbox_config *config = plan->config;
  bool asked = config->user_count > 0 || config->group_count > 0;
  const struct virtiofs_sandbox_ids user = {.inside = geteuid(), .outside = geteuid(), .count = 1};
  const struct virtiofs_sandbox_ids group = {.inside = getegid(), .outside = getegid(), .count = 1};
  struct virtiofs_sandbox_userns_config userns = {.size = sizeof(userns),
                                                  .users = asked ? config->users : &user,
                                                  .user_count = asked ? config->user_count : 1,
                                                  .groups = asked ? config->groups : &group,
                                                  .group_count = asked ? config->group_count : 1,
                                                  .log = config->log};
  plan->inside->own_user = !asked;
  int rc = virtiofs_sandbox_idmaps_init(&plan->maps, &userns);
  if (!asked && rc == 0) { /* they are no longer than this function */
    plan->maps.users.fallback = user;
    plan->maps.groups.fallback = group;
    plan->maps.users.ids = &plan->maps.users.fallback;
    plan->maps.groups.ids = &plan->maps.groups.fallback;
  }
  return rc;
}

static unsigned long flags_of(const struct virtiofs_sandbox_config *config) {
  bool namespace = config->mode == VIRTIOFS_SANDBOX_NAMESPACE;
  bool ids = config->user_count > 0 || config->group_count > 0;
  unsigned long flags = namespace ? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC : 0;
  if (namespace && !config->network)
    flags |= CLONE_NEWNET;
  if (ids || (namespace && !virtiofs_sandbox_has_cap(CAP_SYS_ADMIN)))
    flags |= CLONE_NEWUSER;
  return flags;
}

static int refused(const struct plan *plan, int error) {
  virtiofs_log_write(&plan->config->log, VIRTIOFS_LOG_ERROR, TAG,
                     "the host refuses new namespaces (%s): use --sandbox=chroot, as root, or --sandbox=none",
                     strerror(error));
  return -error;
}

/* Returns inside. */
static int go_inside(struct plan *plan) {
  sigset_t set;
  virtiofs_supervise_signals(&set);
  (void)signal(SIGCHLD, SIG_DFL); /* if it was ignored nobody could be waited for */
  (void)fflush(NULL);
  int rc = make_pipes(plan);
  if (rc != 0) {
    virtiofs_log_write(&plan->config->log, VIRTIOFS_LOG_ERROR, TAG, "can't make pipes: %s", strerror(-rc));
    close_pipes(plan);
    return rc;
  }
  sigprocmask(SIG_BLOCK, &set, &plan->signals);
  plan->parent = getpid();
  pid_t child = new_process(plan->flags);
  if (child > 0)
    stay_outside(plan, child);
  if (child < 0) {
    rc = refused(plan, errno);
    sigprocmask(SIG_SETMASK, &plan->signals, NULL);
    close_pipes(plan);
    return rc;
  }
  plan->inside->other = true;
  rc = plan->flags != 0 ? go_between(plan) : 0;
  return rc == 0 ? settle(plan) : rc;
}

/* Without another process. */
static int stay(const struct virtiofs_sandbox_config *config, struct virtiofs_sandbox_inside *inside) {
  struct virtiofs_sandbox_userns_config userns = {.size = sizeof(userns),
                                                  .users = config->users,
                                                  .user_count = config->user_count,
                                                  .groups = config->groups,
                                                  .group_count = config->group_count,
                                                  .log = config->log};
  inside->root = config->root;
  int rc = virtiofs_sandbox_trees_open(config);
  if (rc == 0 && (config->user_count > 0 || config->group_count > 0))
    rc = virtiofs_sandbox_userns(&userns);
  return rc;
}

int virtiofs_sandbox_enter(struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *given) {
  struct virtiofs_sandbox_config config = {.size = sizeof(config)};
  struct plan plan = {.config = &config, .inside = inside};
  *inside = (struct virtiofs_sandbox_inside){.proc_fd = -1, .task_fd = -1, .channel = -1};
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : -EINVAL;
  if (rc == 0 && ((unsigned)config.mode > VIRTIOFS_SANDBOX_NONE || (config.trees == NULL && config.tree_count > 0)))
    rc = -EINVAL;
  if (rc != 0)
    return rc;
  if (config.mode == VIRTIOFS_SANDBOX_NONE)
    return stay(&config, inside);
  plan.flags = flags_of(&config);
  if ((plan.flags & CLONE_NEWUSER) != 0)
    rc = map_ids(&plan);
  return rc == 0 ? go_inside(&plan) : rc;
}
