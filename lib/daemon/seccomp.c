/* SPDX-License-Identifier: BSD-3-Clause */
/* No system calls but those that a server makes. */
#include <virtiofs/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "daemon/calls.h"
#include "daemon/sandbox_log.h"
#include "daemon/trap.h"

#define TAG "sandbox"

/* Numbers of calls since Linux 6.5, the same everywhere, and of those to come. What a C library tries there first it
 * can do without. */
enum { FIRST_NEW = 451, LAST_NEW = 511 };

static uint32_t action_of(enum virtiofs_sandbox_seccomp mode) {
  switch (mode) {
  case VIRTIOFS_SANDBOX_SECCOMP_TRAP:
    return SCMP_ACT_TRAP;
  case VIRTIOFS_SANDBOX_SECCOMP_LOG:
    return SCMP_ACT_LOG;
  default:
    return SCMP_ACT_KILL_PROCESS;
  }
}

/* What this architecture doesn't have needs no rule. */
static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names) {
  for (; names != NULL && *names != NULL; names++) {
    int number = seccomp_syscall_resolve_name(*names);
    int rc = number >= 0 ? seccomp_rule_add(filter, action, number, 0) : 0;
    if (rc != 0 && rc != -EEXIST)
      return rc;
  }
  return 0;
}

/* What the kernel takes for an int: it doesn't look at the rest of the register either. */
static struct scmp_arg_cmp is_int(unsigned arg, uint32_t mask, uint32_t value) {
  return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

/* Not those by which a descriptor sends signals to any process of the same user. */
static int add_fcntl(scmp_filter_ctx filter) {
  static const uint32_t commands[] = {F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,     F_GETFL,
                                      F_SETFL,     F_GETLK,         F_SETLK,      F_SETLKW,    F_GETLK64,
                                      F_SETLK64,   F_SETLKW64,      F_OFD_GETLK,  F_OFD_SETLK, F_OFD_SETLKW,
                                      F_ADD_SEALS, F_GET_SEALS,     F_SETPIPE_SZ, F_GETPIPE_SZ};
  static const int calls[] = {SCMP_SYS(fcntl), SCMP_SYS(fcntl64)};
  int rc = 0;
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
    for (size_t j = 0; (rc == 0 || rc == -EEXIST) && j < sizeof(commands) / sizeof(commands[0]); j++)
      rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1, is_int(1, UINT32_MAX, commands[j]));
  return rc == -EEXIST ? 0 : rc;
}

/* None of these is called for each request. */
static int add_with_arguments(scmp_filter_ctx filter) {
  static const uint32_t requests[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FIEMAP};
  static const uint32_t names[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA};
  static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof(requests) / sizeof(requests[0]); i++)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, is_int(1, UINT32_MAX, requests[i]));
  for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, is_int(0, UINT32_MAX, names[i]));
  /* No memory that can be run. */
  for (size_t i = 0; rc == 0 && i < sizeof(maps) / sizeof(maps[0]); i++)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, maps[i], 1, is_int(2, PROT_EXEC, 0));
  /* Threads, and no processes, nor namespaces. */
  const uint32_t looked_at = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                             CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
#ifdef __s390x__
  const struct scmp_arg_cmp thread = is_int(1, looked_at, CLONE_THREAD);
#else
  const struct scmp_arg_cmp thread = is_int(0, looked_at, CLONE_THREAD);
#endif
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, thread);
  if (rc == 0)
    rc = add_fcntl(filter);
  /* abort(3)'s, and what wakes threads: of its own. */
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, is_int(0, UINT32_MAX, (uint32_t)getpid()));
  /* Limits are to be read. */
  const struct scmp_arg_cmp none = {.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0};
  return rc == 0 ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, none) : rc;
}

static int add_not_there(scmp_filter_ctx filter) {
  int rc = add_names(filter, SCMP_ACT_ERRNO(ENOSYS), virtiofs_daemon_calls_not_there);
  for (int number = FIRST_NEW; rc == 0 && number <= LAST_NEW; number++)
    rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
  return rc;
}

/* The first that says something of a call without looking at its arguments is the one that counts. */
static int add_all(scmp_filter_ctx filter, const struct virtiofs_sandbox_config *config) {
  int rc = add_names(filter, SCMP_ACT_ALLOW, virtiofs_daemon_calls);
  if (rc == 0)
    rc = add_names(filter, SCMP_ACT_ALLOW, virtiofs_daemon_calls_of_sanitizers);
  if (rc == 0 && config->mounts)
    rc = add_names(filter, SCMP_ACT_ALLOW, virtiofs_daemon_calls_to_mount);
  if (rc == 0 && config->sockets)
    rc = add_names(filter, SCMP_ACT_ALLOW, virtiofs_daemon_calls_to_listen);
  if (rc == 0)
    rc = add_names(filter, SCMP_ACT_ALLOW, config->calls);
  if (rc == 0)
    rc = add_with_arguments(filter);
  return rc == 0 ? add_not_there(filter) : rc;
}

/* For all threads at once. The numbers of the calls are looked up in a tree. */
static int load(const struct virtiofs_sandbox_config *config) {
  uint32_t action = action_of(config->seccomp);
  scmp_filter_ctx filter = seccomp_init(action);
  if (filter == NULL)
    return -ENOMEM;
  (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  int rc =
      seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, action == SCMP_ACT_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
  if (rc == 0)
    rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (rc == 0)
    rc = add_all(filter, config);
  if (rc == 0 && config->seccomp == VIRTIOFS_SANDBOX_SECCOMP_TRAP)
    rc = virtiofs_sandbox_trap();
  if (rc == 0)
    rc = seccomp_load(filter);
  seccomp_release(filter);
  return rc;
}

int virtiofs_sandbox_lock(const struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *given) {
  struct virtiofs_sandbox_config config = {.size = sizeof(config)};
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : -EINVAL;
  if (rc == 0 && (unsigned)config.seccomp > VIRTIOFS_SANDBOX_SECCOMP_NONE)
    rc = -EINVAL;
  if (rc != 0)
    return rc;
  if (config.seccomp != VIRTIOFS_SANDBOX_SECCOMP_NONE)
    rc = load(&config);
  if (rc != 0)
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_ERROR, TAG, "the host refuses a filter of system calls (%s): use %s",
                       strerror(-rc), "--seccomp=none");
  else
    virtiofs_sandbox_say(inside, &config);
  return rc;
}
