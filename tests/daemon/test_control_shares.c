/* SPDX-License-Identifier: BSD-3-Clause */
/* Shares of a server that runs: they come and go by its control socket, and from a file. */
#include <setjmp.h>
#include <stdarg.h>
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

#include <virtiofs/client.h>
#include <virtiofs/control.h>

#include "support/control_server.h"

enum { CYCLES = 1000, WARM_UP = 100, PATIENCE_S = 60, CONNECTIONS = 40 };

static const char *const no_args[] = {NULL};

static int make(void **state) {
  struct control_server *server = calloc(1, sizeof *server);
  assert_non_null(server);
  control_server_init(server);
  *state = server;
  return 0;
}

static int setup_inside(void **state) {
  (void)make(state);
  control_server_start(*state, PASSTHROUGH, (const char *const[]){"--log-level=error", NULL});
  return 0;
}

static int setup(void **state) {
  (void)make(state);
  control_server_start(*state, PASSTHROUGH, (const char *const[]){"--log-level=error", "--sandbox=none", NULL});
  return 0;
}

static int unmake(void **state) {
  struct control_server *server = *state;
  control_server_fini(server);
  free(server);
  return 0;
}

static int teardown(void **state) {
  control_server_stop(*state);
  return unmake(state);
}

static void add(const struct control_server *server, int fd, const char *name) {
  control_server_do(
      fd, "{\"command\":\"add\",\"name\":\"%s\",\"socket-path\":\"%s/%s\",\"options\":[\"--shared-dir=%s/share\"]}",
      name, server->dir, name, server->dir);
}

static void remove_share(int fd, const char *name, const char *mode) {
  control_server_do(fd, "{\"command\":\"remove\",\"name\":\"%s\",\"mode\":\"%s\"}", name, mode);
}

/* A member of what the list says of one. For cJSON_Delete(). */
static cJSON *member(int fd, const char *name, const char *what) {
  cJSON *reply = control_server_ask(fd, "{\"command\":\"list\",\"name\":\"%s\"}", name);
  cJSON *list = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(reply, "result"), "shares");
  assert_int_equal(cJSON_GetArraySize(list), 1);
  cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetArrayItem(list, 0), what);
  cJSON_Delete(reply);
  return item;
}

static bool state_is(int fd, const char *name, const char *state) {
  cJSON *item = member(fd, name, "state");
  bool is = strcmp(cJSON_GetStringValue(item), state) == 0;
  cJSON_Delete(item);
  return is;
}

static void await_state(int fd, const char *name, const char *state) {
  time_t deadline = time(NULL) + PATIENCE_S;
  while (!state_is(fd, name, state)) {
    assert_true(time(NULL) < deadline);
    (void)sched_yield();
  }
}

static int try_connect(const struct control_server *server, const char *name) {
  char path[120];
  (void)snprintf(path, sizeof path, "%s/%s", server->dir, name);
  return virtiofs_control_connect(path); /* any socket will do for it */
}

static bool is_there(const struct control_server *server, const char *name) {
  char path[120];
  struct stat st;
  (void)snprintf(path, sizeof path, "%s/%s", server->dir, name);
  return lstat(path, &st) == 0;
}

static void put_file(const struct control_server *server, const char *name, const char *text) {
  char path[120];
  (void)snprintf(path, sizeof path, "%s/%s", server->dir, name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void remove_file(const struct control_server *server, const char *name) {
  char path[120];
  (void)snprintf(path, sizeof path, "%s/%s", server->dir, name);
  assert_int_equal(unlink(path), 0);
}

/* ---- Tests ---- */

static void drained(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server), other = control_server_connect(server);
  char line[100];
  add(server, fd, "a");
  int guest = try_connect(server, "a");
  assert_true(guest >= 0);
  await_state(fd, "a", "connected");
  int len = snprintf(line, sizeof line, "{\"command\":\"remove\",\"name\":\"a\"}\n");
  control_server_send(other, line, (size_t)len);
  await_state(fd, "a", "ending");
  assert_int_equal(try_connect(server, "a"), -ECONNREFUSED);
  /* Its name is taken until it is gone. */
  control_server_refused(fd, "EEXIST", "{\"command\":\"add\",\"name\":\"a\",\"options\":[]}");
  close(guest);
  cJSON *reply = control_server_receive(other);
  assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  assert_false(is_there(server, "a"));
  control_server_refused(fd, "ENOENT", "{\"command\":\"list\",\"name\":\"a\"}");
  close(fd);
  close(other);
}

/* Others may be as many as they like. */
static void waiting_among_many(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server), waits = control_server_connect(server), others[CONNECTIONS];
  static const char line[] = "{\"command\":\"remove\",\"name\":\"a\"}\n";
  add(server, fd, "a");
  int guest = try_connect(server, "a");
  await_state(fd, "a", "connected");
  control_server_send(waits, line, sizeof line - 1);
  await_state(fd, "a", "ending");
  for (int i = 0; i < CONNECTIONS; i++) {
    others[i] = control_server_connect(server);
    control_server_do(others[i], "{\"command\":\"version\"}");
  }
  close(guest);
  cJSON *reply = control_server_receive(waits);
  assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  for (int i = 0; i < CONNECTIONS; i++)
    close(others[i]);
  close(waits);
  close(fd);
}

/* Who has asked for a removal may go; it is done nevertheless. Who is in a hurry ends it for all. */
static void removed_by_several(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server), waits = control_server_connect(server);
  static const char line[] = "{\"command\":\"remove\",\"name\":\"a\"}\n";
  char byte;
  add(server, fd, "a");
  int guest = try_connect(server, "a");
  await_state(fd, "a", "connected");
  int gone = control_server_connect(server);
  control_server_send(gone, line, sizeof line - 1);
  await_state(fd, "a", "ending");
  close(gone);
  control_server_send(waits, line, sizeof line - 1);
  remove_share(fd, "a", "now");
  cJSON *reply = control_server_receive(waits);
  assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  assert_true(read(guest, &byte, 1) <= 0);
  close(guest);
  close(fd);
  close(waits);
}

/* One that stands in the way is left alone, and what is wrong with one is no other's trouble. */
static void one_that_fails(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server);
  add(server, fd, "a");
  int guest = try_connect(server, "a");
  await_state(fd, "a", "connected");
  cJSON *reply = control_server_ask(
      fd, "{\"command\":\"add\",\"name\":\"b\",\"socket-path\":\"%s/b\",\"options\":[\"--shared-dir\",\"/no/such\"]}",
      server->dir);
  const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "name")), "ENOENT");
  assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message")), "/no/such"));
  cJSON_Delete(reply);
  assert_false(is_there(server, "b"));
  control_server_refused(fd, "EADDRINUSE", "{\"command\":\"add\",\"name\":\"b\",\"socket-path\":\"%s/a\"}",
                         server->dir);
  control_server_refused(fd, "EINVAL",
                         "{\"command\":\"add\",\"name\":\"b\",\"socket-path\":\"%s/b\",\"options\":[\"--cache=much\"]}",
                         server->dir);
  control_server_refused(
      fd, "EINVAL", "{\"command\":\"add\",\"name\":\"b\",\"socket-path\":\"%s/b\",\"options\":[\"--uid-map=:0:0:1:\"]}",
      server->dir);
  assert_true(state_is(fd, "a", "connected"));
  close(guest);
  close(fd);
}

static void options_are_its_own(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server);
  control_server_do(fd, "{\"command\":\"log-level\",\"level\":\"warn\"}");
  add(server, fd, "quiet");
  control_server_do(fd,
                    "{\"command\":\"add\",\"name\":\"once\",\"socket-path\":\"%s/once\",\"tag\":\"t\",\"options\":"
                    "[\"--shared-dir\",\"%s/share\",\"--once\",\"--log-level\",\"debug\"]}",
                    server->dir, server->dir);
  cJSON *item = member(fd, "quiet", "log-level");
  assert_string_equal(cJSON_GetStringValue(item), "warn");
  cJSON_Delete(item);
  item = member(fd, "once", "log-level");
  assert_string_equal(cJSON_GetStringValue(item), "debug");
  cJSON_Delete(item);
  item = member(fd, "once", "tag");
  assert_string_equal(cJSON_GetStringValue(item), "t");
  cJSON_Delete(item);
  close(try_connect(server, "once"));
  await_state(fd, "once", "ended");
  assert_false(is_there(server, "once"));
  assert_true(state_is(fd, "quiet", "waiting"));
  remove_share(fd, "once", "drain");
  close(fd);
}

static struct virtiofs_client *open_guest(const struct control_server *server, const char *name) {
  char path[120];
  struct virtiofs_client *client;
  (void)snprintf(path, sizeof path, "%s/%s", server->dir, name);
  struct virtiofs_client_config config = {.size = sizeof config, .socket_path = path, .timeout_ms = PATIENCE_S * 1000};
  assert_int_equal(virtiofs_client_new(&client, &config), 0);
  assert_int_equal(virtiofs_client_init(client, NULL, NULL), 0);
  return client;
}

static void a_level_holds_at_once(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server);
  add(server, fd, "a");
  struct virtiofs_client *guest = open_guest(server, "a");
  control_server_do(fd, "{\"command\":\"log-level\",\"level\":\"trace\",\"name\":\"a\"}");
  assert_int_equal(virtiofs_client_init(guest, NULL, NULL), 0);
  control_server_do(fd, "{\"command\":\"log-level\",\"level\":\"error\"}");
  assert_int_equal(virtiofs_client_init(guest, NULL, NULL), 0);
  virtiofs_client_free(guest);
  close(fd);
  control_server_stop(server);
  unsigned lines = 0;
  for (const char *at = server->program.text[1]; (at = strstr(at, "TRACE a/session: lane ")) != NULL; at++)
    lines++;
  assert_int_equal(lines, 2); /* of the second INIT of three */
}

/* What it has of the host is seen, and given back when it goes. */
static void with_a_guest(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server);
  add(server, fd, "b");
  int before = control_server_fds(server);
  put_file(server, "share/file", "text");
  add(server, fd, "a");
  struct virtiofs_client *guest = open_guest(server, "a");
  struct virtiofs_client_fs *fs;
  struct virtiofs_client_file *file;
  assert_int_equal(virtiofs_client_fs_new(&fs, guest, 1, 16), 0);
  assert_int_equal(virtiofs_client_fs_open(fs, &file, "file", O_RDONLY, 0), 0);
  cJSON *nodes = member(fd, "a", "nodes"), *handles = member(fd, "a", "handles");
  assert_true(cJSON_GetNumberValue(nodes) >= 1 && cJSON_GetNumberValue(handles) == 1);
  cJSON_Delete(nodes);
  cJSON_Delete(handles);
  remove_share(fd, "a", "now");
  assert_int_equal(control_server_fds(server), before);
  assert_true(state_is(fd, "b", "waiting"));
  (void)virtiofs_client_fs_close(file); /* it can't be told to anybody */
  virtiofs_client_fs_free(fs);
  virtiofs_client_free(guest);
  remove_file(server, "share/file");
  close(fd);
}

/* Descriptors, threads and memory stay as they are. */
static void a_thousand_times(void **state) {
  struct control_server *server = *state;
  int fd = control_server_connect(server), fds = 0;
  long memory = 0;
  add(server, fd, "stays");
  int threads = control_server_threads(server); /* before any has ended */
  for (int i = 0; i < CYCLES; i++) {
    if (i == WARM_UP) {
      fds = control_server_fds(server);
      memory = control_server_memory(server);
    }
    add(server, fd, "a");
    int guest = i % 10 == 0 ? try_connect(server, "a") : -1;
    remove_share(fd, "a", "now");
    if (guest >= 0)
      close(guest);
  }
  assert_int_equal(control_server_fds(server), fds);
  control_server_wait_threads(server, threads);
  /* A page for each would be more. Sanitizers keep what was freed for a while. */
  if (getenv("VIRTIOFS_TEST_SANITIZED") == NULL)
    assert_in_range(control_server_memory(server), 0, memory + 2 * (CYCLES - WARM_UP));
  close(fd);
}

/* What a server in a sandbox is given by who is outside. */
static void made_outside(void **state) {
  struct control_server *server = *state;
  char path[120], *reply;
  int fd = control_server_connect(server), fds[3];
  (void)snprintf(path, sizeof path, "%s/a", server->dir);
  assert_int_equal(virtiofs_control_listen(fd, "test", path, fds), 0);
  (void)snprintf(path, sizeof path, "%s/share", server->dir);
  fds[2] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(
      virtiofs_control_call(fd, "{\"command\":\"add\",\"name\":\"a\",\"fds\":[\"socket\",\"lock\",\"shared-dir\"]}",
                            fds, 3, &reply),
      0);
  if (strstr(reply, "\"ok\":true") == NULL)
    fail_msg("%s", reply);
  free(reply);
  for (int i = 0; i < 3; i++)
    close(fds[i]);
  virtiofs_client_free(open_guest(server, "a"));
  /* Nobody else gets it while it is served, and who is looking for the server finds it. */
  (void)snprintf(path, sizeof path, "%s/a", server->dir);
  assert_int_equal(virtiofs_control_listen(fd, "test", path, fds), -EADDRINUSE);
  assert_int_equal(virtiofs_control_unlisten("test", path), -EADDRINUSE);
  (void)snprintf(path, sizeof path, "%s/a.pid", server->dir);
  long pid = 0;
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%ld", &pid), 1);
  (void)fclose(file);
  assert_int_equal(pid, server->program.pid);
  remove_share(fd, "a", "now");
  (void)snprintf(path, sizeof path, "%s/a", server->dir);
  assert_true(is_there(server, "a"));
  assert_int_equal(virtiofs_control_unlisten("test", path), 0);
  assert_int_equal(virtiofs_control_unlisten("test", path), 0);
  assert_false(is_there(server, "a") || is_there(server, "a.pid"));
  close(fd);
}

/* ---- From a file, and the command line ---- */

static void from_a_file(void **state) {
  struct control_server *server = *state;
  char text[600], file[100];
  (void)snprintf(file, sizeof file, "--shares=%s/file", server->dir);
  (void)snprintf(
      text, sizeof text,
      "{\"shares\": [\n  {\"name\": \"a\", \"socket-path\": \"%s/a\", \"options\": [\"--shared-dir=%s/share\","
      " \"--once\"]},\n  {\"name\": \"b\", \"socket-path\": \"%s/b\", \"options\": [\"--shared-dir=%s/share\", "
      "\"--once\"]}\n]}\n",
      server->dir, server->dir, server->dir, server->dir);
  put_file(server, "file", text);
  control_server_start(server, PASSTHROUGH, (const char *const[]){file, NULL});
  int fd = control_server_connect(server);
  cJSON *reply = control_server_ask(fd, "{\"command\":\"status\"}");
  const cJSON *pid = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(reply, "result"), "pid");
  assert_true(cJSON_GetNumberValue(pid) == server->program.pid); /* also in a sandbox */
  cJSON_Delete(reply);
  await_state(fd, "b", "waiting");
  close(try_connect(server, "a"));
  await_state(fd, "a", "ended");
  /* It is in a sandbox, and somebody outside takes away what was made there. */
  time_t deadline = time(NULL) + PATIENCE_S;
  while (is_there(server, "a") || is_there(server, "a.pid"))
    assert_true(time(NULL) < deadline);
  assert_true(is_there(server, "b"));
  close(fd);
  control_server_stop(server);
  assert_false(is_there(server, "b"));
  /* Without a control socket it ends with the last of them. */
  program_start(&server->program, PASSTHROUGH, (const char *const[]){file, NULL}, -1, -1);
  for (int i = 0; i < 2; i++) {
    while ((fd = try_connect(server, i == 0 ? "a" : "b")) < 0)
      (void)sched_yield();
    close(fd);
  }
  assert_int_equal(program_wait(&server->program), 0);
  remove_file(server, "file");
}

static void refused(struct control_server *server, const char *args[], const char *words) {
  program_start(&server->program, PASSTHROUGH, args, -1, -1);
  int status = program_wait(&server->program);
  if (status != 1 || strstr(server->program.text[1], words) == NULL)
    fail_msg("status %d, '%s' and not '%s'", status, server->program.text[1], words);
}

static void wrong_files(void **state) {
  struct control_server *server = *state;
  char file[100], text[300];
  (void)snprintf(file, sizeof file, "--shares=%s/file", server->dir);
  refused(server, (const char *[]){file, NULL}, "No such file");
  put_file(server, "file", "{\"shares\": [{\"name\": \"a\"}, 1]}");
  refused(server, (const char *[]){file, NULL}, "share 2: this is no object");
  put_file(server, "file", "{\"shares\": [{\"name\": \"a\", \"options\": [\"--cache=x\"]}]}");
  refused(server, (const char *[]){file, NULL}, "share 1: --cache must be");
  put_file(server, "file", "{\"shares\": []}");
  refused(server, (const char *[]){file, NULL}, "no shares");
  /* All have to start, or none serves: one that isn't there on the way into the sandbox, one that can't begin in it. */
  static const char *const wrong[][2] = {{"--shared-dir=/no/such", "/no/such"}, {"--xattrmap=:bad:", "b/passthrough"}};
  for (int i = 0; i < 2; i++) {
    (void)snprintf(text, sizeof text,
                   "{\"shares\": [{\"name\":\"a\",\"socket-path\":\"%s/a\",\"options\":[\"--shared-dir=/tmp\"]},"
                   "{\"name\":\"b\",\"socket-path\":\"%s/b\",\"options\":[\"--shared-dir=/tmp\",\"%s\"]}]}",
                   server->dir, server->dir, wrong[i][0]);
    put_file(server, "file", text);
    refused(server, (const char *[]){file, NULL}, wrong[i][1]);
    assert_false(is_there(server, "a") || is_there(server, "b"));
  }
  refused(server, (const char *[]){"--control", "/no/such/socket", NULL}, "/no/such/socket");
  remove_file(server, "file");
}

/* The share of the command line is one like the others, and one socket is one server's. */
static void beside_the_first(void **state) {
  struct control_server *server = *state;
  char socket_path[100], share[100];
  (void)snprintf(socket_path, sizeof socket_path, "--socket-path=%s/first", server->dir);
  (void)snprintf(share, sizeof share, "--shared-dir=%s/share", server->dir);
  control_server_start(server, PASSTHROUGH, (const char *const[]){socket_path, share, "--sandbox=none", NULL});
  struct control_server second = *server;
  refused(&second, (const char *[]){"--control", server->path, NULL}, "another server has");
  int fd = control_server_connect(server);
  add(server, fd, "a");
  close(try_connect(server, "first"));
  close(try_connect(server, "first")); /* it waits for the next one */
  await_state(fd, "main", "waiting");
  remove_share(fd, "main", "drain");
  assert_false(is_there(server, "first"));
  assert_true(state_is(fd, "a", "waiting"));
  close(fd);
  /* A signal ends all of them. */
  assert_int_equal(kill(server->program.pid, SIGTERM), 0);
  assert_int_equal(program_wait(&server->program), 0);
  assert_false(is_there(server, "a") || is_there(server, "control"));
  /* What a server left that was killed is replaced. */
  control_server_start(server, PASSTHROUGH, no_args);
  assert_int_equal(kill(server->program.pid, SIGKILL), 0);
  (void)program_wait(&server->program);
  assert_true(is_there(server, "control"));
  control_server_start(server, PASSTHROUGH, no_args);
  control_server_stop(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(drained),
      TEST(waiting_among_many),
      TEST(removed_by_several),
      TEST(one_that_fails),
      TEST(options_are_its_own),
      TEST(with_a_guest),
      cmocka_unit_test_setup_teardown(a_level_holds_at_once, setup, unmake),
      TEST(a_thousand_times),
      TEST(made_outside),
      cmocka_unit_test_setup_teardown(made_outside, setup_inside, teardown),
      TEST_BARE(from_a_file),
      TEST_BARE(wrong_files),
      TEST_BARE(beside_the_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
