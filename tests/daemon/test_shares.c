/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of shares: they come, start, serve, and leave nothing. */
#include "shares_rig.h"

enum { CYCLES = 200 };

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
  assert_int_equal(counts.made, 0);
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
  assert_int_equal(eventfd_write(counts.gate, 1), 0);
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
  /* Lines that nobody asked for in time aren't made. */
  assert_true(find(rig, "a", &view) && view.info.level == VIRTIOFS_LOG_DEBUG);
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
  assert_int_equal(counts.freed, CYCLES);
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
