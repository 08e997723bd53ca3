/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of shares: they come, start, serve, and leave nothing. */
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
#include "support/shares_program.h"

enum { PATIENCE_MS = 60000, CYCLES = 200 };

/* ---- The rig ---- */

static struct shares_program_counts *counts;

struct rig {
  char dir[40], path[80];
  struct virtiofs_daemon_config config;
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_daemon_options options;
  struct virtiofs_ops ops;
  struct virtiofs_daemon_shares *shares;
  int fds;
};

static int open_fds(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

static void discard(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  struct rig *rig = ctx;
  (void)format;
  (void)args;
  assert_in_range(level, VIRTIOFS_LOG_ERROR, VIRTIOFS_LOG_TRACE);
  assert_non_null(strchr(tag, '/')); /* NAME/WHO */
  assert_non_null(rig);
}

static int setup(void **state) {
  counts = shares_program_counts();
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  rig->fds = open_fds();
  (void)strcpy(rig->dir, "/tmp/virtiofs-shares-XXXXXX");
  assert_non_null(mkdtemp(rig->dir));
  (void)snprintf(rig->path, sizeof rig->path, "%s/socket", rig->dir);
  counts->made = counts->freed = counts->started = counts->stopped = 0;
  counts->gate = eventfd(0, EFD_CLOEXEC);
  rig->ops = (struct virtiofs_ops){.size = sizeof rig->ops, .getattr = shares_program_getattr};
  rig->config = shares_program_config();
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

static int teardown(void **state) {
  struct rig *rig = *state;
  virtiofs_daemon_shares_free(rig->shares);
  virtiofs_daemon_metrics_close(rig->setup.metrics);
  close(counts->gate);
  free(rig->setup.fs);
  assert_int_equal(counts->made, counts->freed);
  assert_int_equal(counts->started, counts->stopped);
  assert_int_equal(rmdir(rig->dir), 0); /* no socket is left, and no lock */
  assert_int_equal(open_fds(), rig->fds);
  free(rig);
  return 0;
}

/* ---- What is done to it ---- */

static struct virtiofs_daemon_request request_of(const char *format, ...) VIRTIOFS_PRINTF(1, 2);

static struct virtiofs_daemon_request request_of(const char *format, ...) {
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

static int add_request(struct rig *rig, struct virtiofs_daemon_request request, struct virtiofs_daemon_error *error) {
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
static int try_add(struct rig *rig, const char *name, const char *more, struct virtiofs_daemon_error *error) {
  return add_request(
      rig, request_of("{\"command\":\"add\",\"name\":\"%s\",\"socket-path\":\"%s/%s\"%s}", name, rig->dir, name, more),
      error);
}

static void add(struct rig *rig, const char *name, const char *more) {
  struct virtiofs_daemon_error error;
  if (try_add(rig, name, more, &error) != 0)
    fail_msg("%s", error.text);
}

struct looking {
  const char *name;
  bool found;
  struct virtiofs_daemon_share_view view;
};

static bool look(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct looking *looking = ctx;
  if (strcmp(view->name, looking->name) != 0)
    return true;
  looking->view = *view;
  looking->found = true;
  return false;
}

static bool find(struct rig *rig, const char *name, struct virtiofs_daemon_share_view *view) {
  struct looking looking = {.name = name};
  virtiofs_daemon_shares_each(rig->shares, look, &looking);
  *view = looking.view;
  return looking.found;
}

static struct virtiofs_daemon_share_view await(struct rig *rig, const char *name,
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

static void remove_share(struct rig *rig, const char *name, bool now) {
  struct virtiofs_daemon_share_view view;
  uint64_t serial;
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, name, now, &serial), 0);
  view = await(rig, name, VIRTIOFS_DAEMON_SHARE_ENDED);
  assert_int_equal(view.serial, serial);
  assert_true(view.removed);
  virtiofs_daemon_shares_forget(rig->shares, serial);
  assert_false(find(rig, name, &view));
}

static int try_connect(struct rig *rig, const char *name) {
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
static int connect_to(struct rig *rig, const char *name) {
  struct virtiofs_daemon_share_view view;
  int fd = try_connect(rig, name);
  assert_true(fd >= 0);
  do {
    assert_true(find(rig, name, &view));
    (void)sched_yield();
  } while (!view.info.connected);
  return fd;
}

/* ---- Tests ---- */

static void they_come_and_go(void **state) {
  struct rig *rig = *state;
  struct stat st;
  char path[120];
  add(rig, "one", "");
  add(rig, "two", ",\"tag\":\"second\",\"options\":[\"--number\",\"7\"]");
  struct virtiofs_daemon_share_view view = await(rig, "two", VIRTIOFS_DAEMON_SHARE_SERVING);
  assert_string_equal(view.tag, "second");
  assert_true(view.served);
  assert_false(view.removed || view.info.connected);
  assert_true(view.serial == 2 && view.since.tv_sec > 0);
  (void)snprintf(path, sizeof path, "%s/one", rig->dir);
  assert_string_equal(await(rig, "one", VIRTIOFS_DAEMON_SHARE_SERVING).socket_path, path);
  assert_int_equal(lstat(path, &st), 0);
  remove_share(rig, "one", false);
  assert_int_equal(lstat(path, &st), -1);
  /* The same name again is another share. */
  add(rig, "one", "");
  assert_int_equal(await(rig, "one", VIRTIOFS_DAEMON_SHARE_SERVING).serial, 3);
  remove_share(rig, "two", true);
  uint64_t serial;
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, "two", true, &serial), -ENOENT);
  /* What is still there ends with the table. */
  add(rig, "three", "");
}

static void the_one_of_the_command_line(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_error error;
  struct virtiofs_daemon_share_view view;
  rig->config.start = NULL;
  rig->config.stop = NULL;
  assert_int_equal(virtiofs_daemon_shares_add_main(rig->shares), 0);
  assert_true(find(rig, "main", &view));
  assert_int_equal(view.state, VIRTIOFS_DAEMON_SHARE_OPEN);
  assert_int_equal(virtiofs_daemon_shares_run(rig->shares), 0);
  assert_string_equal(await(rig, "main", VIRTIOFS_DAEMON_SHARE_SERVING).socket_path, rig->path);
  assert_int_equal(try_add(rig, "main", "", &error), -EEXIST);
  assert_int_equal(counts->made, 0);
  remove_share(rig, "main", true);
}

static void what_can_not_be_added(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_error error;
  static const char *const pairs[][2] = {
      {"--number=0", "--number must be above 0, not '0'"},
      {"--nothing", "'--nothing'"},
      {"--number", "'--number'"},
      {"-q", "'-q'"},
      {"--fail=1", "'--fail=1'"},
      {"--help", "'--help'"},
      {"--version", "'--version'"},
      {"--fd=1", "no --fd"},
      {"--print-capabilities", "no --print-capabilities"},
      {"--control=x", "'--control=x'"},
      {"--metrics=x", "no --metrics"},
      {"--queues=65", "--queues must be 1 to 64"},
      {"--mountpoint=/mnt", "one of --socket-path"},
      {"--record-data=1", "nothing without --record"},
      {"--log-level=loud", "--log-level must be"},
      {"word", "unexpected argument 'word'"},
  };
  char more[100];
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    (void)snprintf(more, sizeof more, ",\"options\":[\"%s\"]", pairs[i][0]);
    assert_int_equal(try_add(rig, "wrong", more, &error), -EINVAL);
    if (strstr(error.text, pairs[i][1]) == NULL)
      fail_msg("%s: '%s' and not '%s'", pairs[i][0], error.text, pairs[i][1]);
  }
  assert_int_equal(add_request(rig, request_of("{\"command\":\"add\",\"name\":\"a\"}"), &error), -EINVAL);
  assert_int_equal(try_add(rig, "impossible", "", &error), -EXDEV);
  add(rig, "a", "");
  assert_int_equal(try_add(rig, "a", "", &error), -EEXIST);
  /* The socket is another's. */
  struct virtiofs_daemon_request request =
      request_of("{\"command\":\"add\",\"name\":\"b\",\"socket-path\":\"%s/a\"}", rig->dir);
  assert_int_equal(add_request(rig, request, &error), -EADDRINUSE);
  rig->config.share_new = NULL;
  assert_int_equal(try_add(rig, "c", "", &error), -EOPNOTSUPP);
}

static void one_that_can_not_start(void **state) {
  struct rig *rig = *state;
  add(rig, "good", "");
  add(rig, "bad", ",\"options\":[\"--fail\",\"-n3\",\"--log-level=off\"]");
  struct virtiofs_daemon_share_view view = await(rig, "bad", VIRTIOFS_DAEMON_SHARE_ENDED);
  assert_int_equal(view.rc, -EDOM);
  assert_string_equal(view.complaint, "number 3 is out");
  assert_false(view.served || view.removed);
  virtiofs_daemon_shares_forget(rig->shares, view.serial);
  assert_int_equal(await(rig, "good", VIRTIOFS_DAEMON_SHARE_SERVING).rc, 0);
  /* It isn't taken out while it serves. */
  virtiofs_daemon_shares_forget(rig->shares, 1);
  assert_true(find(rig, "good", &view));
}

/* Nobody waits for one that takes its time, and it can be removed before it has begun. */
static void one_that_is_slow(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_share_view view;
  uint64_t serial;
  add(rig, "slow", ",\"options\":[\"--wait\"]");
  add(rig, "quick", "");
  (void)await(rig, "quick", VIRTIOFS_DAEMON_SHARE_SERVING);
  assert_true(find(rig, "slow", &view));
  assert_int_equal(view.state, VIRTIOFS_DAEMON_SHARE_STARTING);
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, "slow", false, &serial), 0);
  assert_true(find(rig, "slow", &view));
  assert_int_equal(view.state, VIRTIOFS_DAEMON_SHARE_STARTING);
  assert_int_equal(eventfd_write(counts->gate, 1), 0);
  view = await(rig, "slow", VIRTIOFS_DAEMON_SHARE_ENDED);
  assert_int_equal(view.rc, 0);
}

static void draining(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_share_view view;
  uint64_t serial;
  char byte;
  add(rig, "a", "");
  (void)await(rig, "a", VIRTIOFS_DAEMON_SHARE_SERVING);
  int fd = connect_to(rig, "a");
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, "a", false, &serial), 0);
  assert_true(find(rig, "a", &view));
  assert_true(view.removed && view.info.connected && view.info.draining);
  assert_int_equal(try_connect(rig, "a"), -ECONNREFUSED);
  assert_true(find(rig, "a", &view));
  assert_int_equal(view.state, VIRTIOFS_DAEMON_SHARE_SERVING);
  close(fd);
  (void)await(rig, "a", VIRTIOFS_DAEMON_SHARE_ENDED);
  virtiofs_daemon_shares_forget(rig->shares, serial);
  /* Who has no time after all. */
  add(rig, "a", "");
  (void)await(rig, "a", VIRTIOFS_DAEMON_SHARE_SERVING);
  fd = connect_to(rig, "a");
  assert_int_equal(virtiofs_daemon_shares_remove(rig->shares, "a", false, &serial), 0);
  remove_share(rig, "a", true);
  assert_true(read(fd, &byte, 1) <= 0);
  close(fd);
}

/* Made by somebody else: a socket, its lock, a directory. */
static void descriptors(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_error error;
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  struct virtiofs_daemon_request request =
      request_of("{\"command\":\"add\",\"name\":\"a\",\"socket-path\":\"/shown\"}");
  int fds[VIRTIOFS_DAEMON_FDS] = {-1, -1, -1}, other[2];
  uint64_t serial;
  (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/a", rig->dir);
  fds[VIRTIOFS_DAEMON_FD_SOCKET] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fds[VIRTIOFS_DAEMON_FD_SOCKET], (const struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(listen(fds[VIRTIOFS_DAEMON_FD_SOCKET], 1), 0);
  fds[VIRTIOFS_DAEMON_FD_DIR] = open("/tmp", O_PATH | O_CLOEXEC);
  assert_int_equal(pipe2(other, O_CLOEXEC), 0);
  fds[VIRTIOFS_DAEMON_FD_LOCK] = other[1];
  assert_int_equal(virtiofs_daemon_shares_add(rig->shares, &request, fds, &serial, &error), 0);
  assert_int_equal(fds[0] + fds[1] + fds[2], -3);
  assert_int_equal(virtiofs_daemon_shares_run(rig->shares), 0);
  assert_string_equal(await(rig, "a", VIRTIOFS_DAEMON_SHARE_SERVING).socket_path, "/shown");
  close(connect_to(rig, "a"));
  /* Held until the end, and no longer. */
  struct pollfd held = {.fd = other[0], .events = POLLIN};
  assert_int_equal(poll(&held, 1, 0), 0);
  remove_share(rig, "a", true);
  assert_int_equal(poll(&held, 1, 0), 1);
  close(other[0]);
  assert_int_equal(unlink(addr.sun_path), 0); /* who has made it takes it away */
  /* What isn't a socket is closed, as is what came with it. */
  request = request_of("{\"command\":\"add\",\"name\":\"a\"}");
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++)
    fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_int_equal(virtiofs_daemon_shares_add(rig->shares, &request, fds, &serial, &error), -ENOTSOCK);
}

static void levels(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_share_view view;
  add(rig, "a", "");
  add(rig, "b", ",\"options\":[\"--log-level=trace\"]");
  assert_int_equal(virtiofs_daemon_shares_level(rig->shares, "c", VIRTIOFS_LOG_WARN), -ENOENT);
  assert_int_equal(virtiofs_daemon_shares_level(rig->shares, "a", VIRTIOFS_LOG_WARN), 0);
  assert_true(find(rig, "a", &view) && view.info.level == VIRTIOFS_LOG_WARN);
  assert_true(find(rig, "b", &view) && view.info.level == VIRTIOFS_LOG_TRACE);
  assert_int_equal(virtiofs_daemon_shares_default_level(rig->shares), VIRTIOFS_LOG_INFO);
  assert_int_equal(virtiofs_daemon_shares_level(rig->shares, NULL, VIRTIOFS_LOG_TRACE), 0);
  assert_true(find(rig, "a", &view) && view.info.level == VIRTIOFS_LOG_TRACE);
  assert_true(find(rig, "b", &view) && view.info.level == VIRTIOFS_LOG_TRACE);
  add(rig, "c", "");
  assert_true(find(rig, "c", &view) && view.info.level == VIRTIOFS_LOG_TRACE);
}

static void as_many_as_may_be(void **state) {
  struct rig *rig = *state;
  struct virtiofs_daemon_error error;
  char name[16];
  /* Not run: a thousand threads would prove nothing more. */
  for (unsigned i = 0; i < VIRTIOFS_DAEMON_SHARES_COUNT_MAX; i++) {
    int fds[VIRTIOFS_DAEMON_FDS] = {-1, -1, -1};
    (void)snprintf(name, sizeof name, "s%u", i);
    struct virtiofs_daemon_request request =
        request_of("{\"command\":\"add\",\"name\":\"%s\",\"options\":[\"--mountpoint=/nowhere\"]}", name);
    if (virtiofs_daemon_shares_add(rig->shares, &request, fds, NULL, &error) != 0)
      fail_msg("%u: %s", i, error.text);
  }
  assert_int_equal(try_add(rig, "more", "", &error), -ENOSPC);
}

/* Each leaves descriptors as they were; memory is the leak checkers' to see. */
static void over_and_over(void **state) {
  struct rig *rig = *state;
  add(rig, "stays", "");
  (void)await(rig, "stays", VIRTIOFS_DAEMON_SHARE_SERVING);
  int before = open_fds();
  for (int i = 0; i < CYCLES; i++) {
    add(rig, "a", "");
    int fd = -1;
    if (i % 3 == 0) {
      (void)await(rig, "a", VIRTIOFS_DAEMON_SHARE_SERVING);
      fd = connect_to(rig, "a");
    }
    remove_share(rig, "a", i % 3 == 0 || i % 2 == 0);
    if (fd >= 0)
      close(fd);
  }
  assert_int_equal(open_fds(), before);
  assert_int_equal(counts->freed, CYCLES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(they_come_and_go),      TEST(the_one_of_the_command_line),
      TEST(what_can_not_be_added), TEST(one_that_can_not_start),
      TEST(one_that_is_slow),      TEST(draining),
      TEST(descriptors),           TEST(levels),
      TEST(as_many_as_may_be),     TEST(over_and_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
