/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

void virtiofs_supervise_signals(sigset_t *set) {
  sigemptyset(set);
  for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
    sigaddset(set, passed_on[i]);
  sigaddset(set, SIGCHLD);
}

/* Whoever has lost his parent comes to the first process of a namespace. */
static bool reap(pid_t child, int options, int *status) {
  for (;;) {
    int one;
    pid_t pid = waitpid(-1, &one, options);
    if (pid == child) {
      *status = one;
      return true;
    }
    if (pid == 0 || (pid < 0 && errno != EINTR))
      return false;
  }
}

static void take_signal(const struct virtiofs_supervise *supervise, int fd) {
  struct signalfd_siginfo info;
  if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) && info.ssi_signo != SIGCHLD)
    (void)kill(supervise->child, (int)info.ssi_signo);
}

static void take_request(struct virtiofs_supervise *supervise) {
  if (supervise->request != NULL && supervise->request(supervise->ctx, supervise->channel) == 0)
    return;
  close(supervise->channel);
  supervise->channel = -1;
}

int virtiofs_supervise(struct virtiofs_supervise *supervise) {
  sigset_t set;
  int status = 0;
  virtiofs_supervise_signals(&set);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) { /* nothing can be passed on, but it can be waited for */
    (void)reap(supervise->child, 0, &status);
    return status;
  }
  while (!reap(supervise->child, WNOHANG, &status)) {
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = supervise->channel, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[0].revents != 0)
      take_signal(supervise, fd);
    if (fds[1].revents != 0)
      take_request(supervise);
  }
  close(fd);
  return status;
}
