/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 1024 };

/* A decimal number up to @most; -1: it isn't one. */
static long number(const char *text, long most) {
  char *end;
  if (text == NULL || *text < '0' || *text > '9')
    return -1;
  errno = 0;
  long value = strtol(text, &end, 10);
  return errno == 0 && *end == 0 && value <= most ? value : -1;
}

/* Is that the name at this place of "A:B:C"? */
static bool has_name(const char *names, long place, const char *name) {
  for (; names != NULL && place > 0; place--) {
    names = strchr(names, ':');
    names = names != NULL ? names + 1 : NULL;
  }
  return names != NULL && name != NULL && strcspn(names, ":") == strlen(name) &&
         strncmp(names, name, strlen(name)) == 0;
}

/* The one there is, or the one of that name. Return: its place; -1: there is no such one, or several. */
static long choose(long count, const char *names, const char *name) {
  long found = -1;
  if (count == 1)
    return 0;
  for (long i = 0; i < count; i++) {
    if (!has_name(names, i, name))
      continue;
    if (found >= 0)
      return -1;
    found = i;
  }
  return found;
}

static void forget(void) {
  (void)unsetenv("LISTEN_PID");
  (void)unsetenv("LISTEN_FDS");
  (void)unsetenv("LISTEN_FDNAMES");
}

static int take(const char *program, long count, long chosen) {
  if (chosen < 0)
    (void)fprintf(stderr, "%s: %ld sockets were passed, of which not one alone has the name that --tag says\n", program,
                  count);
  for (long i = 0; i < count; i++)
    if (i != chosen)
      close(FIRST + (int)i);
  if (chosen < 0)
    return -EINVAL;
  (void)fcntl(FIRST + (int)chosen, F_SETFD, FD_CLOEXEC);
  return FIRST + (int)chosen;
}

int virtiofs_daemon_activation_fd(const char *program, const char *name) {
  long pid = number(getenv("LISTEN_PID"), INT32_MAX);
  long count = number(getenv("LISTEN_FDS"), MOST);
  long chosen = count > 0 ? choose(count, getenv("LISTEN_FDNAMES"), name) : -1;
  forget();
  return pid == getpid() && count > 0 ? take(program, count, chosen) : -ENOENT;
}
