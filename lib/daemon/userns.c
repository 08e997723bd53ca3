/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user namespace. Its maps are written from outside: by a child that was forked before, which has still what the
 * process had, or by newuidmap(1) and newgidmap(1), which that child runs.
 */
#include <virtiofs/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "daemon/idmaps.h"

#define TAG "sandbox"

/* The exit status is an errno. */
_Noreturn static void write_maps(const struct virtiofs_sandbox_idmaps *maps, pid_t pid, int wait_fd) {
  char byte;
  ssize_t n;
  do
    n = read(wait_fd, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1)
    _exit(0); /* there is no namespace */
  _exit(virtiofs_sandbox_idmaps_write(maps, pid));
}

static int wait_for(pid_t child) {
  int status;
  pid_t got;
  do
    got = waitpid(child, &status, 0);
  while (got < 0 && errno == EINTR);
  return got == child && WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int enter(const struct virtiofs_sandbox_idmaps *maps, const struct virtiofs_log *log) {
  int fds[2];
  pid_t self = getpid();
  if (pipe2(fds, O_CLOEXEC) != 0)
    return -errno;
  pid_t child = fork();
  if (child == 0) {
    close(fds[1]);
    write_maps(maps, self, fds[0]);
  }
  int rc = child < 0 ? -errno : 0;
  close(fds[0]);
  if (rc == 0 && unshare(CLONE_NEWUSER) != 0) {
    rc = -errno;
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "no user namespace: %s", strerror(-rc));
  } else if (rc == 0 && write(fds[1], "", 1) != 1) {
    rc = -EIO;
  }
  close(fds[1]);
  int written = child > 0 ? wait_for(child) : 0;
  return rc == 0 ? virtiofs_sandbox_idmaps_written(written, log) : rc;
}

int virtiofs_sandbox_userns(const struct virtiofs_sandbox_userns_config *given) {
  struct virtiofs_sandbox_userns_config config = {.size = sizeof(config)};
  struct virtiofs_sandbox_idmaps maps;
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : -EINVAL;
  if (rc == 0)
    rc = virtiofs_sandbox_idmaps_init(&maps, &config);
  if (rc == 0)
    rc = enter(&maps, &config.log);
  return rc == 0 ? virtiofs_sandbox_become_root(&maps, &config.log) : rc;
}
