/* SPDX-License-Identifier: BSD-3-Clause */
/* Which lines are said, and the system's log as their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/logging.h"

static void filters(void **state) {
  static const struct {
    const char *text;
    enum virtiofs_log_level level;
    bool off;
  } cases[] = {
      {"debug", VIRTIOFS_LOG_DEBUG, false},
      {"DEBUG", VIRTIOFS_LOG_DEBUG, false},
      {"off", VIRTIOFS_LOG_ERROR, true},
      {"virtiofsd=warn", VIRTIOFS_LOG_WARN, false},
      {"virtiofsd", VIRTIOFS_LOG_TRACE, false},
      {"trace,virtiofsd=error,info", VIRTIOFS_LOG_ERROR, false},
      {"virtiofsd=off,info", VIRTIOFS_LOG_ERROR, true},
      {"off,virtiofsd=info", VIRTIOFS_LOG_INFO, false},
      {"other=trace,info", VIRTIOFS_LOG_INFO, false},
      {"info,warn", VIRTIOFS_LOG_WARN, false},
      {"info,nonsense", VIRTIOFS_LOG_INFO, false},
      {"debug/off,error", VIRTIOFS_LOG_DEBUG, false},
      {"", 0, true},
      {",,", 0, true},
      {"other=trace", 0, true},
      {"virtiofsd=loud", 0, true},
      {"virtiofsd::x=info", 0, true},
      {"/debug", 0, true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool off = cases[i].level == 0; /* stays as it was */
    enum virtiofs_log_level level = virtiofs_daemon_log_filter(cases[i].text, &off);
    if (level != cases[i].level || off != cases[i].off)
      fail_msg("'%s': %d %d", cases[i].text, (int)level, off);
  }
}

static void levels(void **state) {
  static const char *const names[] = {"error", "err", "warn", "info", "Debug", "TRACE", "off"};
  static const int expected[] = {1, 1, 2, 3, 4, 5, 1};
  (void)state;
  for (size_t i = 0; i < 7; i++) {
    bool off;
    assert_int_equal(virtiofs_daemon_log_level(names[i], &off), expected[i]);
    assert_int_equal(off, i == 6);
  }
  bool off = true;
  assert_int_equal(virtiofs_daemon_log_level("inf", &off), 0);
  assert_int_equal(virtiofs_daemon_log_level("", &off), 0);
}

struct rig {
  char dir[64], path[80];
  int taker;
  struct virtiofs_daemon_syslog syslog;
};

static int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  assert_non_null(rig);
  (void)strcpy(rig->dir, "/tmp/virtiofs-syslog-XXXXXX");
  assert_non_null(mkdtemp(rig->dir));
  (void)snprintf(rig->path, sizeof rig->path, "%s/log", rig->dir);
  memcpy(addr.sun_path, rig->path, strlen(rig->path) + 1);
  rig->taker = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(rig->taker >= 0);
  assert_int_equal(bind(rig->taker, (const struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(virtiofs_daemon_syslog_open(&rig->syslog, rig->path, "a-server"), 0);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  virtiofs_daemon_syslog_close(&rig->syslog);
  virtiofs_daemon_syslog_close(&rig->syslog);
  if (rig->taker >= 0)
    close(rig->taker);
  (void)unlink(rig->path);
  (void)rmdir(rig->dir);
  free(rig);
  return 0;
}

static void say(struct rig *rig, enum virtiofs_log_level level, const char *text) {
  const struct virtiofs_log log = {
      .fn = virtiofs_daemon_syslog_write, .ctx = &rig->syslog, .level = VIRTIOFS_LOG_TRACE};
  virtiofs_log_write(&log, level, "vq1", "%s", text);
}

static void as_a_line_of_syslog(void **state) {
  struct rig *rig = *state;
  static const char *const heads[] = {"", "<27>", "<28>", "<30>", "<31>", "<31>"};
  char got[2048], end[96];
  for (int level = VIRTIOFS_LOG_ERROR; level <= VIRTIOFS_LOG_TRACE; level++) {
    say(rig, (enum virtiofs_log_level)level, "all is well");
    ssize_t n = recv(rig->taker, got, sizeof got - 1, 0);
    assert_true(n > 0);
    got[n] = 0;
    assert_memory_equal(got, heads[level], 4);
    /* "Nov  3 08:05:09 " */
    assert_true(got[4] >= 'A' && got[4] <= 'Z' && got[7] == ' ' && got[13] == ':' && got[16] == ':' && got[19] == ' ');
    (void)snprintf(end, sizeof end, "a-server[%ld]: vq1: all is well", (long)getpid());
    assert_string_equal(got + 20, end);
  }
}

static void long_lines_are_cut(void **state) {
  struct rig *rig = *state;
  char text[4000], got[4096];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = 0;
  say(rig, VIRTIOFS_LOG_INFO, text);
  assert_int_equal(recv(rig->taker, got, sizeof got, 0), 1023);
  assert_int_equal(got[1022], 'x');
}

/* What is written to stderr while @say is said. */
static void said_on_stderr(struct rig *rig, const char *text, char got[256]) {
  int fds[2], before = dup(STDERR_FILENO);
  assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
  say(rig, VIRTIOFS_LOG_WARN, text);
  assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
  ssize_t n = read(fds[0], got, 255);
  got[n > 0 ? n : 0] = 0;
  close(before);
  close(fds[0]);
  close(fds[1]);
}

/* Nothing waits for a log that is full, and no line is lost then, nor after it has gone. */
static void when_nobody_takes_them(void **state) {
  struct rig *rig = *state;
  char got[256] = "";
  unsigned sent = 0;
  for (; got[0] == 0 && sent < 100000; sent++)
    said_on_stderr(rig, "again", got);
  assert_string_equal(got, "WARN vq1: again\n");
  assert_true(sent > 1);
  close(rig->taker);
  rig->taker = -1;
  said_on_stderr(rig, "anybody?", got);
  assert_string_equal(got, "WARN vq1: anybody?\n");
}

static void where_there_is_none(void **state) {
  struct virtiofs_daemon_syslog syslog;
  char path[200];
  (void)state;
  assert_int_equal(virtiofs_daemon_syslog_open(&syslog, "/nowhere/at/all", "s"), -ENOENT);
  assert_int_equal(syslog.fd, -1);
  memset(path, 'a', sizeof path);
  path[sizeof path - 1] = 0;
  assert_int_equal(virtiofs_daemon_syslog_open(&syslog, path, "s"), -ENAMETOOLONG);
  assert_int_equal(syslog.fd, -1);
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(filters),  cmocka_unit_test(levels),       RIGGED(as_a_line_of_syslog),
      RIGGED(long_lines_are_cut), RIGGED(when_nobody_takes_them), cmocka_unit_test(where_there_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
