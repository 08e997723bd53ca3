/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Not by syslog(3): that connects again whenever sending fails, which a sandbox may forbid or end the process for, and
 * waits for a log that takes nothing, in the middle of a guest's request.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon/logging.h"

#define LINE_MAX_BYTES 1024
#define TIME_MAX_BYTES 32

int virtiofs_daemon_syslog_open(struct virtiofs_daemon_syslog *syslog, const char *path, const char *program) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  *syslog = (struct virtiofs_daemon_syslog){.fd = -1, .pid = getpid()};
  if (strlen(path) >= sizeof(addr.sun_path))
    return -ENAMETOOLONG;
  memcpy(addr.sun_path, path, strlen(path) + 1);
  (void)snprintf(syslog->name, sizeof(syslog->name), "%s", program);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  tzset(); /* reads a file */
  syslog->fd = fd;
  return 0;
}

static int priority(enum virtiofs_log_level level) {
  static const int priorities[] = {LOG_ERR, LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_DEBUG};
  return LOG_DAEMON | (level >= VIRTIOFS_LOG_ERROR && level <= VIRTIOFS_LOG_TRACE ? priorities[level] : LOG_ERR);
}

/* "<30>Nov  3 08:05:09 name[12]: tag: " Return: its length. */
static size_t head(const struct virtiofs_daemon_syslog *syslog, enum virtiofs_log_level level, const char *tag,
                   char line[LINE_MAX_BYTES]) {
  char when[TIME_MAX_BYTES] = "";
  struct tm tm;
  time_t now = time(NULL);
  if (localtime_r(&now, &tm) != NULL)
    (void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
  int len = snprintf(line, LINE_MAX_BYTES, "<%d>%s %s[%ld]: %s: ", priority(level), when, syslog->name,
                     (long)syslog->pid, tag);
  return len > 0 && len < LINE_MAX_BYTES ? (size_t)len : 0;
}

void virtiofs_daemon_syslog_write(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format,
                                  va_list args) {
  const struct virtiofs_daemon_syslog *syslog = ctx;
  char line[LINE_MAX_BYTES];
  va_list again;
  va_copy(again, args);
  size_t at = head(syslog, level, tag, line);
  int body = vsnprintf(line + at, sizeof(line) - at, format, args);
  if (body > 0)
    at += (size_t)body < sizeof(line) - at ? (size_t)body : sizeof(line) - at - 1;
  ssize_t sent;
  do
    sent = send(syslog->fd, line, at, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent < 0)
    virtiofs_log_stderr(NULL, level, tag, format, again);
  va_end(again);
}

void virtiofs_daemon_syslog_close(struct virtiofs_daemon_syslog *syslog) {
  if (syslog->fd >= 0)
    close(syslog->fd);
  syslog->fd = -1;
}
