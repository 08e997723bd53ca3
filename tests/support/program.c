/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 60000 };

void program_start(struct program *p, const char *path, const char *const *args, int fd, int out) {
  int pipes[2][2];
  char *argv[PROGRAM_ARGS + 2] = {"hello"};
  for (unsigned i = 0; args[i] != NULL; i++) {
    assert_true(i < PROGRAM_ARGS);
    argv[1 + i] = (char *)(uintptr_t)args[i];
  }
  memset(p, 0, sizeof *p);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
    p->pipes[i] = pipes[i][0];
  }
  p->pid = fork();
  assert_true(p->pid >= 0);
  if (p->pid == 0) {
    if (dup2(out >= 0 ? out : pipes[0][1], STDOUT_FILENO) < 0 || dup2(pipes[1][1], STDERR_FILENO) < 0)
      _exit(126);
    if (fd == PROGRAM_FD ? fcntl(fd, F_SETFD, 0) < 0 : fd >= 0 && dup2(fd, PROGRAM_FD) < 0)
      _exit(126);
    execv(path, argv);
    _exit(127);
  }
  close(pipes[0][1]);
  close(pipes[1][1]);
}

/* Reads what there is. Return: 0 when both are at their end. */
static int read_some(struct program *p) {
  struct pollfd fds[2] = {{.fd = p->pipes[0], .events = POLLIN}, {.fd = p->pipes[1], .events = POLLIN}};
  if (p->pipes[0] < 0 && p->pipes[1] < 0)
    return 0;
  int rc = poll(fds, 2, DEADLINE_MS);
  if (rc == 0)
    kill(p->pid, SIGKILL);
  assert_true(rc > 0);
  for (unsigned i = 0; i < 2; i++) {
    if (fds[i].revents == 0)
      continue;
    assert_true(p->len[i] < PROGRAM_TEXT - 1);
    ssize_t n = read(p->pipes[i], p->text[i] + p->len[i], PROGRAM_TEXT - 1 - p->len[i]);
    if (n > 0) {
      p->len[i] += (size_t)n;
      continue;
    }
    close(p->pipes[i]);
    p->pipes[i] = -1;
  }
  return 1;
}

void program_wait_said(struct program *p, const char *words) {
  while (strstr(p->text[1], words) == NULL) {
    if (read_some(p) == 0)
      fail_msg("it ended and has not said '%s' but '%s'", words, p->text[1]);
  }
}

int program_wait(struct program *p) {
  int status;
  while (read_some(p) != 0)
    continue;
  while (waitpid(p->pid, &status, 0) < 0)
    assert_int_equal(errno, EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

unsigned program_lines(const struct program *p, int stream) {
  const char *text = p->text[stream];
  unsigned lines = 0;
  for (size_t i = 0; i < p->len[stream]; i++)
    lines += text[i] == '\n';
  if (p->len[stream] > 0)
    assert_int_equal(text[p->len[stream] - 1], '\n');
  return lines;
}
