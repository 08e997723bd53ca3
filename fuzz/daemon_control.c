/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_daemon_connection_receive, virtiofs_daemon_connection_line, virtiofs_daemon_command_run and the
 * replies. Input: pieces of what a client of a control socket sends: how long, how many descriptors, bytes; where none
 * follow, all that is left. Each whole line has an answer of one line, and no descriptor is lost. Nothing is added:
 * that would make sockets wherever the input says. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/commands.h"
#include "daemon/utf8.h"
#include "descriptors.h"
#include "target.h"

enum { FDS_MOST = 12 };

struct client {
  struct virtiofs_daemon_commands commands;
  struct virtiofs_daemon_connection connection;
  int fd; /* the client's end */
  unsigned lines, replies;
  char reply[1 << 17]; /* what has come of one */
  size_t have;
};

static void must(bool so) {
  if (!so)
    abort();
}

/* False: nobody takes it. */
static bool send_piece(struct client *client, const void *bytes, size_t len, uint8_t fds) {
  union {
    char bytes[CMSG_SPACE(FDS_MOST * sizeof(int))];
    struct cmsghdr align;
  } control = {.bytes = {0}};
  struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  int all[FDS_MOST];
  for (unsigned i = 0; i < fds; i++)
    all[i] = fuzz_descriptor((uint8_t)i);
  if (fds > 0) {
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds * sizeof(int));
    memcpy(CMSG_DATA(c), all, fds * sizeof(int));
  }
  ssize_t n = sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
  for (unsigned i = 0; i < fds; i++)
    close(all[i]);
  return n == (ssize_t)len;
}

/* Replies are lines of text that is one object each. */
static void read_replies(struct client *client) {
  ssize_t n = recv(client->fd, client->reply + client->have, sizeof(client->reply) - client->have, MSG_DONTWAIT);
  client->have += n > 0 ? (size_t)n : 0;
  char *at = client->reply, *end;
  while ((end = memchr(at, '\n', client->have - (size_t)(at - client->reply))) != NULL) {
    size_t len = (size_t)(end - at);
    must(len >= 2 && at[0] == '{' && end[-1] == '}' && virtiofs_daemon_utf8_span(at, len) == len);
    client->replies++;
    at = end + 1;
  }
  client->have -= (size_t)(at - client->reply);
  memmove(client->reply, at, client->have);
  must(client->have < sizeof(client->reply));
}

static bool is_blank(const char *line, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
      return false;
  return true;
}

/* An `add` is read as the server does, and refused. */
static bool refuse_add(struct client *client, const char *line, size_t len) {
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  int fds[VIRTIOFS_DAEMON_FDS];
  int rc = virtiofs_daemon_request_parse(&request, line, len, &error);
  bool add = rc == 0 && request.command == VIRTIOFS_DAEMON_ADD;
  if (add && virtiofs_daemon_connection_take_fds(&client->connection, fds, request.fd_count))
    for (size_t i = 0; i < request.fd_count; i++)
      close(fds[i]);
  if (add) {
    (void)virtiofs_daemon_error_set(&error, -EPERM, "no '%s' here", request.name);
    virtiofs_daemon_reply_error(&client->connection, request.id, &error);
  }
  virtiofs_daemon_request_free(&request);
  return add;
}

/* False: the connection is over. */
static bool hear(struct client *client) {
  struct virtiofs_daemon_connection *c = &client->connection;
  const char *line;
  size_t len;
  if (virtiofs_daemon_connection_receive(c) != 0)
    return false;
  while (virtiofs_daemon_connection_line(c, &line, &len)) {
    client->lines += !is_blank(line, len);
    if (!refuse_add(client, line, len))
      virtiofs_daemon_command_run(&client->commands, c, line, len);
    must(c->wait.serial == 0);
    for (unsigned i = 0; i < 64 && virtiofs_daemon_connection_pending(c); i++) {
      must(virtiofs_daemon_connection_flush(c) == 0);
      read_replies(client);
    }
    must(!virtiofs_daemon_connection_pending(c) && client->replies == client->lines);
  }
  return !c->ended;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct client client;
  static const struct virtiofs_daemon_config config = {.size = sizeof(config)};
  struct virtiofs_daemon_options options = {.fd = -1};
  const struct virtiofs_daemon_share_setup setup = {.program = "fuzz", .config = &config, .options = &options};
  struct fuzz_input in = {.data = data, .left = size};
  unsigned char bytes[0x10000];
  int pair[2];
  fuzz_descriptors_begin();
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  memset(&client, 0, offsetof(struct client, reply));
  client.have = 0;
  client.fd = pair[0];
  client.commands.process = (struct virtiofs_daemon_process_view){.program = "fuzz", .version = "0"};
  must(virtiofs_daemon_shares_new(&client.commands.shares, &setup) == 0);
  must(virtiofs_daemon_connection_init(&client.connection, pair[1]) == 0);
  bool goes_on = true;
  while (goes_on && in.left > 0) {
    size_t len = fuzz_u16(&in);
    uint8_t fds = fuzz_u8(&in) % (FDS_MOST + 1);
    len = fuzz_take(&in, bytes, len == 0 || len > in.left ? in.left : len);
    goes_on = len > 0 && send_piece(&client, bytes, len, fds) && hear(&client);
  }
  virtiofs_daemon_connection_fini(&client.connection);
  virtiofs_daemon_shares_free(client.commands.shares);
  close(pair[0]);
  fuzz_descriptors_end();
  return 0;
}
