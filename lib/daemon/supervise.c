/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_BYTES = 4096 };
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

/* What can't be written is lost, as it would be without us. */
static void say(const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = write(STDERR_FILENO, text, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    text += n;
    len -= (size_t)n;
  }
}

/* Return: there may be more. */
static bool take_lines(struct virtiofs_supervise *supervise) {
  char text[LINES_BYTES];
  ssize_t n = supervise->lines >= 0 ? read(supervise->lines, text, sizeof(text)) : -1;
  if (n > 0)
    say(text, (size_t)n);
  else if (supervise->lines >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
    close(supervise->lines);
    supervise->lines = -1;
  }
  return n > 0;
}

static int wait_for_end(struct virtiofs_supervise *supervise) {
  int status = 0;
  while (supervise->lines >= 0) {
    struct pollfd lines = {.fd = supervise->lines, .events = POLLIN};
    (void)poll(&lines, 1, -1);
    (void)take_lines(supervise);
  }
  (void)reap(supervise->child, 0, &status);
  return status;
}

int virtiofs_supervise(struct virtiofs_supervise *supervise) {
  sigset_t set;
  int status = 0;
  virtiofs_supervise_signals(&set);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) /* nothing can be passed on, but it can be waited for */
    return wait_for_end(supervise);
  while (!reap(supervise->child, WNOHANG, &status)) {
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                           {.fd = supervise->channel, .events = POLLIN},
                           {.fd = supervise->lines, .events = POLLIN}};
    if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
      continue;
    if (fds[0].revents != 0)
      take_signal(supervise, fd);
    if (fds[1].revents != 0)
      take_request(supervise);
    if (fds[2].revents != 0)
      (void)take_lines(supervise);
  }
  while (take_lines(supervise)) {
  }
  close(fd);
  return status;
}
