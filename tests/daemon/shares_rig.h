/* SPDX-License-Identifier: BSD-3-Clause */
/** A table of shares and a program that says what becomes of them, for the tests of test_shares.c. */
#ifndef VIRTIOFS_TESTS_DAEMON_SHARES_RIG_H
#define VIRTIOFS_TESTS_DAEMON_SHARES_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/metrics.h"
#include "daemon/shares.h"

enum { PATIENCE_MS = 60000 };

/* ---- A program ---- */

/* What the settings of its shares count. */
static struct {
  pthread_mutex_t lock;
  int made, freed, started, stopped;
  int gate; /* an eventfd that one start waits for; -1: none */
} counts = {.lock = PTHREAD_MUTEX_INITIALIZER, .gate = -1};

struct settings {
  const char *name;
  int dir_fd, number;
  bool fails, waits;
};

static inline void count(int *what) {
  pthread_mutex_lock(&counts.lock);
  ++*what;
  pthread_mutex_unlock(&counts.lock);
}

static inline error_t parse(int key, char *arg, struct argp_state *state) {
  struct settings *settings = state->input;
  switch (key) {
  case 'n':
    settings->number = atoi(arg);
    return settings->number > 0 ? 0 : virtiofs_daemon_option_error(state, "--number must be above 0, not '%s'", arg);
  case 'f':
    settings->fails = true;
    return 0;
  case 'w':
    settings->waits = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static inline int share_new(const struct virtiofs_daemon_share_in *in, void **fs) {
  struct settings *settings = calloc(1, sizeof *settings);
  assert_non_null(settings);
  assert_string_equal(*fs, "main"); /* what the program is given */
  if (strcmp(in->name, "impossible") == 0) {
    free(settings);
    return -EXDEV;
  }
  settings->name = in->name;
  settings->dir_fd = in->dir_fd;
  count(&counts.made);
  *fs = settings;
  return 0;
}

static inline void share_free(void *fs) {
  count(&counts.freed);
  free(fs);
}

static inline int start(void **fs, const struct virtiofs_log *log) {
  struct settings *settings = *fs;
  eventfd_t value;
  if (settings->waits)
    (void)eventfd_read(counts.gate, &value);
  if (settings->fails) {
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, "program", "number %d is out", settings->number);
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, "program", "so nothing works");
    return -EDOM;
  }
  count(&counts.started);
  *fs = &settings->number;
  return 0;
}

static inline void stop(void *fs) {
  assert_true(*(int *)fs >= 0); /* it is still there */
  count(&counts.stopped);
}

static inline int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                          struct virtiofs_attr_out *out) {
  (void)req;
  (void)in;
  (void)out;
  return -EIO;
}

/* ---- The rig ---- */

struct rig {
  char dir[40], path[80];
  struct virtiofs_daemon_config config;
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_daemon_options options;
  struct virtiofs_ops ops;
  struct virtiofs_daemon_shares *shares;
  int fds;
};

static inline int open_fds(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

static inline void discard(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format,
                           va_list args) {
  struct rig *rig = ctx;
  (void)format;
  (void)args;
  assert_in_range(level, VIRTIOFS_LOG_ERROR, VIRTIOFS_LOG_TRACE);
  assert_non_null(strchr(tag, '/')); /* NAME/WHO */
  assert_non_null(rig);
}

static const struct argp_option argp_options[] = {
    {"number", 'n', "N", 0, "", 0}, {"fail", 'f', NULL, 0, "", 0}, {"wait", 'w', NULL, 0, "", 0}, {0}};
static const struct argp argp = {.options = argp_options, .parser = parse};

static inline int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  rig->fds = open_fds();
  (void)strcpy(rig->dir, "/tmp/virtiofs-shares-XXXXXX");
  assert_non_null(mkdtemp(rig->dir));
  (void)snprintf(rig->path, sizeof rig->path, "%s/socket", rig->dir);
  counts.made = counts.freed = counts.started = counts.stopped = 0;
  counts.gate = eventfd(0, EFD_CLOEXEC);
  rig->ops = (struct virtiofs_ops){.size = sizeof rig->ops, .getattr = getattr};
  rig->config = (struct virtiofs_daemon_config){.size = sizeof rig->config,
                                                .argp = &argp,
                                                .start = start,
                                                .stop = stop,
                                                .share_new = share_new,
                                                .share_free = share_free};
  rig->options =
      (struct virtiofs_daemon_options){.fd = -1, .socket_path = rig->path, .sandbox = {.mode = VIRTIOFS_SANDBOX_NONE}};
  rig->setup = (struct virtiofs_daemon_share_setup){.program = "test",
                                                    .config = &rig->config,
                                                    .options = &rig->options,
                                                    .ops = &rig->ops,
                                                    .fs = strdup("main"),
                                                    .log = {.fn = discard, .ctx = rig, .level = VIRTIOFS_LOG_INFO}};
  assert_int_equal(virtiofs_daemon_metrics_open(&rig->setup.metrics, "test", NULL, &rig->setup.log), 0);
  assert_int_equal(virtiofs_daemon_shares_new(&rig->shares, &rig->setup), 0);
  *state = rig;
  return 0;
}

static inline int teardown(void **state) {
  struct rig *rig = *state;
  virtiofs_daemon_shares_free(rig->shares);
  virtiofs_daemon_metrics_close(rig->setup.metrics);
  close(counts.gate);
  free(rig->setup.fs);
  assert_int_equal(counts.made, counts.freed);
  assert_int_equal(counts.started, counts.stopped);
  assert_int_equal(rmdir(rig->dir), 0); /* no socket is left, and no lock */
  assert_int_equal(open_fds(), rig->fds);
  free(rig);
  return 0;
}

/* ---- What is done to it ---- */

static inline struct virtiofs_daemon_request request_of(const char *format, ...) VIRTIOFS_PRINTF(1, 2);

static inline struct virtiofs_daemon_request request_of(const char *format, ...) {
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  char line[1000];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  assert_int_equal(virtiofs_daemon_request_parse(&request, line, (size_t)len, &error), 0);
  return request;
}

static inline int add_request(struct rig *rig, struct virtiofs_daemon_request request,
                              struct virtiofs_daemon_error *error) {
  int fds[VIRTIOFS_DAEMON_FDS] = {-1, -1, -1};
  uint64_t serial;
  int rc = virtiofs_daemon_shares_add(rig->shares, &request, fds, &serial, error);
  assert_null(request.json);
  if (rc == 0)
    assert_int_equal(virtiofs_daemon_shares_run(rig->shares), 0);
  else
    assert_int_equal(error->code, rc);
  return rc;
}

/* A share at DIR/NAME, with more members. */
static inline int try_add(struct rig *rig, const char *name, const char *more, struct virtiofs_daemon_error *error) {
  return add_request(
      rig, request_of("{\"command\":\"add\",\"name\":\"%s\",\"socket-path\":\"%s/%s\"%s}", name, rig->dir, name, more),
      error);
}

static inline void add(struct rig *rig, const char *name, const char *more) {
  struct virtiofs_daemon_error error;
  if (try_add(rig, name, more, &error) != 0)
    fail_msg("%s", error.text);
}

struct looking {
  const char *name;
  bool found;
  struct virtiofs_daemon_share_view view;
};

static inline bool look(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct looking *looking = ctx;
  if (strcmp(view->name, looking->name) != 0)
    return true;
  looking->view = *view;
  looking->found = true;
  return false;
}

static inline bool find(struct rig *rig, const char *name, struct virtiofs_daemon_share_view *view) {
  struct looking looking = {.name = name};
  virtiofs_daemon_shares_each(rig->shares, look, &looking);
  *view = looking.view;
  return looking.found;
}

static inline struct virtiofs_daemon_share_view await(struct rig *rig, const char *name,
                                                      enum virtiofs_daemon_share_state state) {
  struct virtiofs_daemon_share_view view;
  for (;;) {
    virtiofs_daemon_shares_changed(rig->shares);
    assert_true(find(rig, name, &view));
    if (view.state == state)
      return view;
    struct pollfd fd = {.fd = virtiofs_daemon_shares_fd(rig->shares), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
  }
}

static inline void remove_share(struct rig *rig, const char *name, bool now) {
  struct virtiofs_daemon_share_view view;
  uint64_t serial;
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, name, now, &serial), 0);
  view = await(rig, name, VIRTIOFS_DAEMON_SHARE_ENDED);
  assert_int_equal(view.serial, serial);
  assert_true(view.removed);
  virtiofs_daemon_shares_forget(rig->shares, serial);
  assert_false(find(rig, name, &view));
}

static inline int try_connect(struct rig *rig, const char *name) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s", rig->dir, name);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0)
    return fd;
  int error = errno;
  close(fd);
  return -error;
}

/* Until the share sees it. */
static inline int connect_to(struct rig *rig, const char *name) {
  struct virtiofs_daemon_share_view view;
  int fd = try_connect(rig, name);
  assert_true(fd >= 0);
  do {
    assert_true(find(rig, name, &view));
    (void)sched_yield();
  } while (!view.info.connected);
  return fd;
}

#endif
