/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char ready_text[] = "READY=1";

static int fail(const char *program, const char *what, int error) {
  (void)fprintf(stderr, "%s: %s: %s\n", program, what, strerror(error));
  return -error;
}

/* Until the child says that it serves, or has ended. */
_Noreturn static void wait_for_child(pid_t pid, int fd) {
  char byte;
  ssize_t n;
  int status;
  do
    n = read(fd, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n == 1)
    _exit(EXIT_SUCCESS);
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      _exit(EXIT_FAILURE);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static int go_on_in_child(struct virtiofs_daemon_ready *ready, const char *program) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0)
    return fail(program, "cannot go to the background", errno);
  (void)fflush(NULL);
  pid_t pid = fork();
  if (pid > 0) {
    close(fds[1]);
    wait_for_child(pid, fds[0]);
  }
  int error = errno;
  close(fds[0]);
  if (pid < 0) {
    close(fds[1]);
    return fail(program, "cannot go to the background", error);
  }
  (void)setsid();
  ready->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* before it is out of reach */
  ready->parent_fd = fds[1];
  return 0;
}

/* sd_notify(3): an absolute path, or a name with '@' for the byte 0 before it. Without it nobody is told. */
static int connect_to_manager(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  size_t len = path != NULL ? strlen(path) : 0;
  if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
    return -1;
  memcpy(addr.sun_path, path, len);
  if (path[0] == '@')
    addr.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 &&
      connect(fd, (const struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

int virtiofs_daemon_ready_prepare(struct virtiofs_daemon_ready *ready, bool background, const char *program) {
  *ready = (struct virtiofs_daemon_ready){.parent_fd = -1, .null_fd = -1, .manager_fd = -1};
  int rc = background ? go_on_in_child(ready, program) : 0;
  if (rc == 0)
    ready->manager_fd = connect_to_manager(getenv("NOTIFY_SOCKET"));
  (void)unsetenv("NOTIFY_SOCKET");
  return rc;
}

static void let_go_of_terminal(const struct virtiofs_daemon_ready *ready) {
  for (int fd = STDIN_FILENO; ready->null_fd > STDERR_FILENO && fd <= STDERR_FILENO; fd++)
    (void)dup2(ready->null_fd, fd);
}

static void close_one(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

void virtiofs_daemon_ready_inside(struct virtiofs_daemon_ready *ready) {
  close_one(&ready->manager_fd);
  close_one(&ready->parent_fd);
}

void virtiofs_daemon_ready_tell(struct virtiofs_daemon_ready *ready) {
  if (ready->manager_fd >= 0)
    (void)!send(ready->manager_fd, ready_text, sizeof(ready_text) - 1, MSG_NOSIGNAL);
  let_go_of_terminal(ready);
  if (ready->parent_fd >= 0)
    (void)!write(ready->parent_fd, "", 1);
  virtiofs_daemon_ready_end(ready);
}

void virtiofs_daemon_ready_end(struct virtiofs_daemon_ready *ready) {
  close_one(&ready->manager_fd);
  close_one(&ready->parent_fd);
  if (ready->null_fd > STDERR_FILENO)
    close(ready->null_fd);
  ready->null_fd = -1;
}
