/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket as such: who is heard, what is no request, and that nobody holds up the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/control.h>

#include "support/control_server.h"

enum { PATIENCE_MS = 60000, CONNECTIONS = 32 };

static const char *const args[] = {"--sandbox=none", NULL};

static int setup(void **state) {
  struct control_server *server = calloc(1, sizeof *server);
  assert_non_null(server);
  control_server_init(server);
  control_server_start(server, MEMFS, args);
  *state = server;
  return 0;
}

static int teardown(void **state) {
  struct control_server *server = *state;
  control_server_stop(server);
  control_server_fini(server);
  free(server);
  return 0;
}

static const char status[] = "{\"command\":\"status\"}";

static void it_says_what_it_is(void **state) {
  struct control_server *server = *state;
  struct stat st;
  int fd = control_server_connect(server);
  assert_int_equal(lstat(server->path, &st), 0);
  assert_int_equal(st.st_mode & 0077, 0); /* its owner's alone */
  cJSON *reply = control_server_ask(fd, "{\"command\":\"version\",\"id\":\"v\"}");
  const cJSON *result = cJSON_GetObjectItemCaseSensitive(reply, "result");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply, "id")), "v");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "version")),
                      "virtiofs-memfs " VIRTIOFS_VERSION_STRING);
  assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(result, "protocol")) == 1);
  cJSON_Delete(reply);
  reply = control_server_ask(fd, "{\"command\":\"status\",\"id\":7.5}");
  result = cJSON_GetObjectItemCaseSensitive(reply, "result");
  assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "id")) == 7.5);
  assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(result, "shares")) == 0);
  assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(result, "since")) > 0);
  cJSON_Delete(reply);
  close(fd);
}

/* After each of them the same connection is heard as before. */
static void lines_that_are_no_requests(void **state) {
  struct control_server *server = *state;
  static const char *const lines[] = {"x", "{", "[]", "{}", "\x01\xff\xfe", "{\"command\":\"none\"}", "GET / HTTP/1.0"};
  int fd = control_server_connect(server);
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    control_server_refused(fd, "EINVAL", "%s", lines[i]);
    control_server_do(fd, "%s", status);
  }
  control_server_refused(fd, "ENOENT", "{\"command\":\"remove\",\"name\":\"none\"}");
  control_server_refused(fd, "ENOENT", "{\"command\":\"list\",\"name\":\"none\"}");
  control_server_refused(fd, "ENOENT", "{\"command\":\"log-level\",\"name\":\"none\",\"level\":\"info\"}");
  control_server_send(fd, "a\0b\n", 4);
  cJSON *reply = control_server_receive(fd);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  /* Lines of nothing are nothing. */
  control_server_send(fd, "\n\r\n  \n", 6);
  control_server_do(fd, "%s", status);
  close(fd);
}

static void lines_that_are_too_long(void **state) {
  struct control_server *server = *state;
  size_t len = 65536;
  char *line = malloc(len + 2);
  assert_non_null(line);
  memset(line, ' ', len + 2);
  memcpy(line, status, sizeof status - 1);
  line[len] = '\n';
  int fd = control_server_connect(server);
  control_server_send(fd, line, len + 1);
  cJSON *reply = control_server_receive(fd);
  assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  /* One byte more: an error, and the end. */
  line[len] = ' ';
  control_server_send(fd, line, len + 1);
  reply = control_server_receive(fd);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  assert_null(control_server_receive(fd));
  close(fd);
  free(line);
}

/* The replies come in the order of the requests, also if one has to wait. */
static void many_requests_at_once(void **state) {
  struct control_server *server = *state;
  char text[1000];
  int len = snprintf(text, sizeof text,
                     "{\"command\":\"add\",\"id\":1,\"name\":\"a\",\"socket-path\":\"%s/a\"}\n"
                     "{\"command\":\"list\",\"id\":2,\"name\":\"a\"}\nx\n"
                     "{\"command\":\"remove\",\"id\":4,\"name\":\"a\"}\n"
                     "{\"command\":\"remove\",\"id\":5,\"name\":\"a\"}\n",
                     server->dir);
  static const int ids[] = {1, 2, 0, 4, 5};
  static const bool oks[] = {true, true, false, true, false};
  int fd = control_server_connect(server);
  for (int split = 0; split < len; split += 7) {
    control_server_send(fd, text, (size_t)split);
    control_server_send(fd, text + split, (size_t)(len - split));
    for (int i = 0; i < 5; i++) {
      cJSON *reply = control_server_receive(fd);
      const cJSON *id = cJSON_GetObjectItemCaseSensitive(reply, "id");
      assert_int_equal(ids[i], id != NULL ? (int)cJSON_GetNumberValue(id) : 0);
      assert_int_equal(oks[i], cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
      cJSON_Delete(reply);
    }
  }
  close(fd);
}

static void half_of_a_line(void **state) {
  struct control_server *server = *state;
  int half = control_server_connect(server), whole = control_server_connect(server);
  control_server_send(half, status, 9);
  for (int i = 0; i < 10; i++)
    control_server_do(whole, "%s", status);
  control_server_do(half, "%s", status + 9);
  /* Who has said all that he had to say is answered still. */
  control_server_send(half, "{\"command\":\"status\"}\n", 21);
  assert_int_equal(shutdown(half, SHUT_WR), 0);
  cJSON_Delete(control_server_receive(half));
  assert_null(control_server_receive(half));
  close(half);
  /* And who goes in the middle of a line is gone. */
  control_server_send(whole, status, 9);
  close(whole);
}

/* The oldest silent ones make room for others. */
static void many_connections(void **state) {
  struct control_server *server = *state;
  int fds[3 * CONNECTIONS];
  int first = control_server_connect(server);
  for (int i = 0; i < 3 * CONNECTIONS; i++) {
    fds[i] = control_server_connect(server);
    control_server_do(fds[i], "%s", status);
    control_server_do(first, "%s", status); /* it isn't silent */
  }
  for (int i = 0; i < 3 * CONNECTIONS; i++) {
    bool stays = i > 2 * CONNECTIONS;
    if (stays) {
      control_server_do(fds[i], "%s", status);
    } else {
      cJSON *reply = control_server_receive(fds[i]);
      const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
      assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "name")), "EBUSY");
      cJSON_Delete(reply);
      assert_null(control_server_receive(fds[i]));
    }
    close(fds[i]);
  }
  control_server_do(first, "%s", status);
  close(first);
}

/* Requests pile up behind the replies that aren't read, and in the sender, not in the server. */
static void who_does_not_read(void **state) {
  struct control_server *server = *state;
  char text[1024];
  int deaf = control_server_connect(server), other = control_server_connect(server);
  long sent = 0;
  for (size_t at = 0; at < sizeof text; at += 2)
    memcpy(text + at, "x\n", 2);
  for (;;) {
    ssize_t n = send(deaf, text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      assert_int_equal(errno, EAGAIN);
      /* Perhaps it only hasn't come to it yet. */
      control_server_do(other, "%s", status);
      control_server_do(other, "%s", status);
      struct pollfd room = {.fd = deaf, .events = POLLOUT};
      if (poll(&room, 1, 200) == 0)
        break;
      continue;
    }
    sent += n;
    assert_true(sent < 64 << 20);
  }
  control_server_do(other, "%s", status);
  for (long left = sent / 2; left > 0;) {
    ssize_t n = recv(deaf, text, sizeof text, 0);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++)
      left -= text[i] == '\n';
  }
  close(deaf);
  close(other);
}

static void send_fds(int fd, const char *line, const int *fds, size_t count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * 32)];
  } control = {.bytes = {0}};
  struct iovec iov = {.iov_base = (char *)(uintptr_t)line, .iov_len = strlen(line)};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
  struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
  *cmsg =
      (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * count)};
  memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);

  assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), strlen(line));
}

static void descriptors_that_nobody_wants(void **state) {
  struct control_server *server = *state;
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int fds[32];
  for (int i = 0; i < 32; i++)
    fds[i] = null;
  int fd = control_server_connect(server);
  control_server_do(fd, "%s", status);
  int before = control_server_fds(server);
  /* With a line that is none they are closed. */
  send_fds(fd, "x\n", fds, 3);
  cJSON_Delete(control_server_receive(fd));
  control_server_do(fd, "%s", status);
  assert_int_equal(control_server_fds(server), before);
  /* With one that takes them, too, if it can't use them. */
  send_fds(fd, "{\"command\":\"add\",\"name\":\"a\",\"fds\":[\"socket\",\"lock\",\"shared-dir\"]}\n", fds, 3);
  cJSON *reply = control_server_receive(fd);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(reply, "ok")));
  cJSON_Delete(reply);
  assert_int_equal(control_server_fds(server), before);
  control_server_refused(fd, "EBADF", "{\"command\":\"add\",\"name\":\"a\",\"fds\":[\"socket\"]}");
  /* Those that others don't take stay until there are too many. */
  for (int i = 0; i < 2; i++) {
    send_fds(fd, "{\"command\":\"status\"}\n", fds, 4);
    cJSON_Delete(control_server_receive(fd));
  }
  assert_int_equal(control_server_fds(server), before + 8);
  send_fds(fd, "{\"command\":\"status\"}\n", fds, 1);
  cJSON_Delete(control_server_receive(fd));
  assert_null(control_server_receive(fd));
  close(fd);
  fd = control_server_connect(server);
  send_fds(fd, "{\"command\":\"status\"}\n", fds, 32);
  cJSON_Delete(control_server_receive(fd));
  assert_null(control_server_receive(fd));
  close(fd);
  fd = control_server_connect(server);
  control_server_do(fd, "%s", status);
  assert_int_equal(control_server_fds(server), before);
  close(fd);
  close(null);
}

/* Also where the file's mode would let everybody in. */
static void other_users(void **state) {
  struct control_server *server = *state;
  int status_of, fd;
  if (geteuid() != 0)
    skip();
  assert_int_equal(chmod(server->dir, 0755) | chmod(server->path, 0666), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    char *reply = NULL;
    if (setgid(65534) != 0 || setuid(65534) != 0 || (fd = virtiofs_control_connect(server->path)) < 0)
      _exit(2);
    int rc = virtiofs_control_call(fd, status, NULL, 0, &reply);
    _exit(rc == 0 && strstr(reply, "EACCES") != NULL ? 0 : 3);
  }
  assert_int_equal(waitpid(child, &status_of, 0), child);
  assert_int_equal(status_of, 0);
  assert_int_equal(chmod(server->path, 0600), 0);
}

static void what_a_client_can_do_wrong(void **state) {
  struct control_server *server = *state;
  char path[200], *reply = (char *)(uintptr_t) "";
  memset(path, 'a', sizeof path);
  path[sizeof path - 1] = 0;
  assert_int_equal(virtiofs_control_connect(path), -ENAMETOOLONG);
  assert_int_equal(virtiofs_control_connect("/no/such/socket"), -ENOENT);
  int fd = control_server_connect(server);
  assert_int_equal(virtiofs_control_call(fd, "a\nb", NULL, 0, &reply), -EINVAL);
  assert_null(reply);
  assert_int_equal(virtiofs_control_call(fd, "{}", &fd, VIRTIOFS_CONTROL_FDS_MAX + 1, &reply), -EINVAL);
  assert_int_equal(virtiofs_control_call(fd, status, NULL, 0, &reply), 0);
  assert_non_null(strstr(reply, "\"ok\":true"));
  assert_null(strchr(reply, '\n'));
  free(reply);
  close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(it_says_what_it_is),
      TEST(lines_that_are_no_requests),
      TEST(lines_that_are_too_long),
      TEST(many_requests_at_once),
      TEST(half_of_a_line),
      TEST(many_connections),
      TEST(who_does_not_read),
      TEST(descriptors_that_nobody_wants),
      TEST(other_users),
      TEST(what_a_client_can_do_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
