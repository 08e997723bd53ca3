/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket: made, kept apart from others', and taken away again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program.h"

struct rig {
  char dir[32], path[64], pid_path[80], option[128];
};

static int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  assert_non_null(rig);
  (void)strcpy(rig->dir, "/tmp/virtiofs-listen-XXXXXX");
  assert_non_null(mkdtemp(rig->dir));
  (void)snprintf(rig->path, sizeof rig->path, "%s/socket", rig->dir);
  (void)snprintf(rig->pid_path, sizeof rig->pid_path, "%s.pid", rig->path);
  (void)snprintf(rig->option, sizeof rig->option, "--socket-path=%s", rig->path);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  (void)unlink(rig->pid_path);
  (void)unlink(rig->path);
  assert_int_equal(rmdir(rig->dir), 0);
  free(rig);
  return 0;
}

static int bound_socket(const char *path, int type) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
  return fd;
}

static int try_connect(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(fd >= 0);
  if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0)
    return fd;
  close(fd);
  return -1;
}

/* A front-end, as soon as there is somebody to serve it. */
static int connect_soon(const char *path) {
  time_t deadline = time(NULL) + 60;
  int fd;
  while ((fd = try_connect(path)) < 0) {
    assert_true(time(NULL) < deadline);
    sched_yield();
  }
  return fd;
}

static void start(struct rig *rig, struct program *p) {
  const char *args[] = {rig->option, NULL};
  program_start(p, HELLO, args, -1, -1);
}

static void assert_refused(struct rig *rig, const char *option) {
  const char *args[] = {option != NULL ? option : rig->option, NULL};
  struct program p;
  program_start(&p, HELLO, args, -1, -1);
  int status = program_wait(&p);
  if (status != 1 || program_lines(&p, 1) != 1 || p.len[0] != 0 || strncmp(p.text[1], "hello: ", 7) != 0)
    fail_msg("%s: status %d, '%s'", args[0], status, p.text[1]);
}

static bool is_there(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

static void stop(struct rig *rig, struct program *p, int signal) {
  assert_int_equal(kill(p->pid, signal), 0);
  assert_int_equal(program_wait(p), 0);
  assert_false(is_there(rig->path));
  assert_false(is_there(rig->pid_path));
}

static void made_and_taken_away(void **state) {
  struct rig *rig = *state;
  static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
  struct program p;
  for (unsigned i = 0; i < 3; i++) {
    struct stat st;
    char pid[32] = "";
    start(rig, &p);
    close(connect_soon(rig->path));
    program_wait_said(&p, "front-end gone");
    assert_int_equal(lstat(rig->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0077, 0);
    assert_int_equal(lstat(rig->pid_path, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0);
    FILE *file = fopen(rig->pid_path, "re");
    assert_non_null(file);
    assert_non_null(fgets(pid, sizeof pid, file));
    (void)fclose(file);
    assert_int_equal(strtol(pid, NULL, 10), p.pid);
    /* The next front-end is served too, and the signal comes while it is there. */
    int fd = connect_soon(rig->path);
    stop(rig, &p, signals[i]);
    close(fd);
  }
}

/* Whoever starts a server may stop it as soon as its socket is there. */
static void stopped_at_once(void **state) {
  struct rig *rig = *state;
  struct program p;
  for (unsigned i = 0; i < 30; i++) {
    start(rig, &p);
    while (!is_there(rig->path))
      continue;
    stop(rig, &p, SIGTERM);
  }
}

static void a_stale_socket_is_replaced(void **state) {
  struct rig *rig = *state;
  struct program p;
  close(bound_socket(rig->path, SOCK_STREAM));
  assert_true(is_there(rig->path));
  start(rig, &p);
  close(connect_soon(rig->path));
  stop(rig, &p, SIGTERM);
  /* Also what a server left that was killed. */
  start(rig, &p);
  close(connect_soon(rig->path));
  kill(p.pid, SIGKILL);
  assert_int_equal(program_wait(&p), 128 + SIGKILL);
  assert_true(is_there(rig->path) && is_there(rig->pid_path));
  start(rig, &p);
  close(connect_soon(rig->path));
  stop(rig, &p, SIGTERM);
}

static void two_servers(void **state) {
  struct rig *rig = *state;
  struct program p;
  start(rig, &p);
  close(connect_soon(rig->path));
  assert_refused(rig, NULL);
  assert_true(is_there(rig->path) && is_there(rig->pid_path));
  /* The first one has not noticed. */
  close(connect_soon(rig->path));
  stop(rig, &p, SIGTERM);
}

/* Somebody else's, who knows nothing of our lock. */
static void a_socket_in_use(void **state) {
  struct rig *rig = *state;
  int fd = bound_socket(rig->path, SOCK_STREAM);
  assert_int_equal(listen(fd, 1), 0);
  assert_refused(rig, NULL);
  /* Also when as many wait as may. */
  int clients[8];
  unsigned count = 0;
  while (count < 8 && (clients[count] = try_connect(rig->path)) >= 0)
    count++;
  assert_true(count < 8);
  assert_refused(rig, NULL);
  assert_true(is_there(rig->path));
  assert_false(is_there(rig->pid_path));
  while (count > 0)
    close(clients[--count]);
  close(fd);
  assert_int_equal(unlink(rig->path), 0);
  fd = bound_socket(rig->path, SOCK_DGRAM);
  assert_refused(rig, NULL);
  assert_true(is_there(rig->path));
  close(fd);
}

static void what_is_no_socket(void **state) {
  struct rig *rig = *state;
  struct stat st;
  char target[80];
  int fd = open(rig->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "data", 4), 4);
  close(fd);
  assert_refused(rig, NULL);
  assert_int_equal(lstat(rig->path, &st), 0);
  assert_int_equal(st.st_size, 4);
  assert_int_equal(unlink(rig->path), 0);
  assert_int_equal(mkdir(rig->path, 0700), 0);
  assert_refused(rig, NULL);
  assert_int_equal(rmdir(rig->path), 0);
  /* A link is none either, wherever it leads. */
  (void)snprintf(target, sizeof target, "%s/target", rig->dir);
  close(bound_socket(target, SOCK_STREAM));
  assert_int_equal(symlink(target, rig->path), 0);
  assert_refused(rig, NULL);
  assert_true(is_there(target) && is_there(rig->path));
  assert_int_equal(unlink(target), 0);
}

static void a_lock_that_is_none(void **state) {
  struct rig *rig = *state;
  struct stat st;
  char target[80];
  (void)snprintf(target, sizeof target, "%s/target", rig->dir);
  int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "data", 4), 4);
  close(fd);
  assert_int_equal(symlink(target, rig->pid_path), 0);
  assert_refused(rig, NULL);
  assert_int_equal(lstat(target, &st), 0);
  assert_int_equal(st.st_size, 4);
  assert_int_equal(unlink(target), 0);
  assert_int_equal(unlink(rig->pid_path), 0);
  assert_int_equal(mkdir(rig->pid_path, 0700), 0);
  assert_refused(rig, NULL);
  assert_int_equal(rmdir(rig->pid_path), 0);
}

/* Who may write to the directory has given one of the server's files another name there. */
static void a_lock_that_is_something_else(void **state) {
  struct rig *rig = *state;
  char path[120], text[8] = "";
  (void)snprintf(path, sizeof path, "%s/file", rig->dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "text", 4), 4);
  assert_int_equal(link(path, rig->pid_path), 0);
  assert_refused(rig, NULL);
  assert_int_equal(pread(fd, text, sizeof text, 0), 4);
  assert_string_equal(text, "text");
  close(fd);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(unlink(rig->pid_path), 0);
  assert_int_equal(mkfifo(rig->pid_path, 0600), 0);
  assert_refused(rig, NULL);
}

static void paths_that_can_not_be(void **state) {
  struct rig *rig = *state;
  char longer[200];
  assert_refused(rig, "--socket-path=");
  assert_refused(rig, "--socket-path=/no/such/directory/socket");
  assert_refused(rig, "--socket-path=/dev/null/socket");
  memset(longer, 'a', sizeof longer);
  memcpy(longer, "--socket-path=/tmp/", 19);
  longer[sizeof longer - 1] = 0;
  assert_refused(rig, longer);
}

/* The lock's file is taken away by the server that ends, perhaps between another's open and its lock. */
static void servers_that_follow_each_other(void **state) {
  struct rig *rig = *state;
  struct program first, others[2];
  for (unsigned i = 0; i < 20; i++) {
    start(rig, &first);
    close(connect_soon(rig->path));
    assert_int_equal(kill(first.pid, SIGTERM), 0);
    start(rig, &others[0]);
    start(rig, &others[1]);
    assert_int_equal(program_wait(&first), 0);
    for (unsigned j = 0; j < 2; j++)
      kill(others[j].pid, SIGTERM);
    for (unsigned j = 0; j < 2; j++) {
      /* Served, or too late, or told to end before it had made anything. */
      int status = program_wait(&others[j]);
      assert_true(status == 0 || status == 1 || status == 128 + SIGTERM);
    }
    assert_false(is_there(rig->path));
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(made_and_taken_away),
      TEST(stopped_at_once),
      TEST(a_stale_socket_is_replaced),
      TEST(two_servers),
      TEST(a_socket_in_use),
      TEST(what_is_no_socket),
      TEST(a_lock_that_is_none),
      TEST(a_lock_that_is_something_else),
      TEST(paths_that_can_not_be),
      TEST(servers_that_follow_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
