/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/control_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/control.h>

enum { PATIENCE_MS = 60000, REQUEST_MAX = 70000 };

void control_server_init(struct control_server *server) {
  char share[60];
  memset(server, 0, sizeof *server);
  (void)strcpy(server->dir, "/tmp/virtiofs-control-XXXXXX");
  assert_non_null(mkdtemp(server->dir));
  (void)snprintf(server->path, sizeof server->path, "%s/control", server->dir);
  (void)snprintf(share, sizeof share, "%s/share", server->dir);
  assert_int_equal(mkdir(share, 0755), 0);
}

void control_server_fini(struct control_server *server) {
  char share[60];
  (void)snprintf(share, sizeof share, "%s/share", server->dir);
  assert_int_equal(rmdir(share), 0);
  assert_int_equal(rmdir(server->dir), 0);
}

void control_server_start(struct control_server *server, const char *binary, const char *const *args) {
  const char *all[PROGRAM_ARGS] = {"--control", server->path};
  time_t deadline = time(NULL) + PATIENCE_MS / 1000;
  int fd;
  for (unsigned i = 0; args[i] != NULL; i++)
    all[2 + i] = args[i];
  program_start(&server->program, binary, all, -1, -1);
  while ((fd = virtiofs_control_connect(server->path)) < 0) {
    assert_true(time(NULL) < deadline);
    (void)sched_yield();
  }
  close(fd);
}

void control_server_stop(struct control_server *server) {
  struct stat st;
  int fd = control_server_connect(server);
  control_server_do(fd, "{\"command\":\"stop\"}");
  assert_int_equal(program_wait(&server->program), 0);
  assert_null(control_server_receive(fd));
  close(fd);
  assert_int_equal(lstat(server->path, &st), -1);
}

int control_server_connect(const struct control_server *server) {
  int fd = virtiofs_control_connect(server->path);
  assert_true(fd >= 0);
  return fd;
}

void control_server_send(int fd, const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
    assert_true(n > 0);
    text += n;
    len -= (size_t)n;
  }
}

/* Byte by byte: what comes after the line is another one's. */
cJSON *control_server_receive(int fd) {
  size_t len = 0, size = 1 << 20;
  char *line = malloc(size);
  assert_non_null(line);
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    ssize_t n = recv(fd, line + len, 1, 0);
    if (n <= 0) {
      assert_int_equal(len, 0);
      free(line);
      return NULL;
    }
    if (line[len] == '\n')
      break;
    assert_true(++len < size);
  }
  line[len] = 0;
  cJSON *reply = cJSON_Parse(line);
  if (!cJSON_IsObject(reply) || !cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(reply, "ok")))
    fail_msg("'%s'", line);
  free(line);
  return reply;
}

static cJSON *ask(int fd, const char *format, va_list args) {
  char *request = malloc(REQUEST_MAX);
  assert_non_null(request);
  int len = vsnprintf(request, REQUEST_MAX - 1, format, args);
  assert_in_range(len, 1, REQUEST_MAX - 2);
  request[len] = '\n';
  control_server_send(fd, request, (size_t)len + 1);
  free(request);
  cJSON *reply = control_server_receive(fd);
  assert_non_null(reply);
  return reply;
}

cJSON *control_server_ask(int fd, const char *format, ...) {
  va_list args;
  va_start(args, format);
  cJSON *reply = ask(fd, format, args);
  va_end(args);
  return reply;
}

void control_server_do(int fd, const char *format, ...) {
  va_list args;
  va_start(args, format);
  cJSON *reply = ask(fd, format, args);
  va_end(args);
  if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")))
    fail_msg("%s: %s", format, cJSON_PrintUnformatted(reply));
  assert_true(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(reply, "result")));
  cJSON_Delete(reply);
}

void control_server_refused(int fd, const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  cJSON *reply = ask(fd, format, args);
  va_end(args);
  const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
  const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "name"));
  const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
  if (got == NULL || message == NULL || strcmp(got, name) != 0 || message[0] == 0)
    fail_msg("%.200s: %s and not %s", format, cJSON_PrintUnformatted(reply), name);
  cJSON_Delete(reply);
}

static int count(const struct control_server *server, const char *what) {
  char path[64];
  int n = -2; /* "." and ".." */
  (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)server->program.pid, what);
  DIR *dir = opendir(path);
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

int control_server_fds(const struct control_server *server) {
  return count(server, "fd");
}

int control_server_threads(const struct control_server *server) {
  return count(server, "task");
}

void control_server_wait_threads(const struct control_server *server, int threads) {
  time_t deadline = time(NULL) + PATIENCE_MS / 1000;
  while (control_server_threads(server) != threads) {
    assert_true(time(NULL) < deadline);
    (void)sched_yield();
  }
}

long control_server_memory(const struct control_server *server) {
  char path[64], line[200];
  long kib = -1;
  (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)server->program.pid);
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  while (kib < 0 && fgets(line, sizeof line, file) != NULL)
    (void)sscanf(line, "VmRSS: %ld", &kib);
  (void)fclose(file);
  return kib;
}
