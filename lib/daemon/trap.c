/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/trap.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { CALLS = 600, LINE_MAX_LEN = 120, DIGITS_MAX = 12 };

/* Of the process: a signal's handler has no other way to them. Written once, before there is one. */
static const char *names[CALLS];

static size_t put(char *line, size_t at, const char *text) {
  while (*text != 0 && at < LINE_MAX_LEN)
    line[at++] = *text++;
  return at;
}

static size_t put_number(char *line, size_t at, unsigned number) {
  char digits[DIGITS_MAX];
  size_t n = sizeof(digits) - 1;
  digits[n] = 0;
  do
    digits[--n] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  return put(line, at, digits + n);
}

/* Nothing in here but what may be called in the middle of anything. */
static void tell(int signal_number, siginfo_t *info, void *context) {
  char line[LINE_MAX_LEN + 1];
  unsigned call = (unsigned)info->si_syscall;
  (void)context;
  size_t at = put(line, 0, "ERROR sandbox: system call ");
  at = put_number(line, at, call);
  if (call < CALLS && names[call] != NULL)
    at = put(line, put(line, put(line, at, " ("), names[call]), ")");
  at = put(line, at, " is not allowed");
  line[at++] = '\n';
  (void)!write(STDERR_FILENO, line, at);
  (void)signal(signal_number, SIG_DFL);
  (void)raise(signal_number);
}

int virtiofs_sandbox_trap(void) {
  struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_NODEFER};
  for (int i = 0; i < CALLS; i++)
    if (names[i] == NULL)
      names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
  sigemptyset(&action.sa_mask);
  return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : -errno;
}
