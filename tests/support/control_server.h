/* SPDX-License-Identifier: BSD-3-Clause */
/** A server with a control socket, run by a test, and what is said to it. */
#ifndef VIRTIOFS_TESTS_SUPPORT_CONTROL_SERVER_H
#define VIRTIOFS_TESTS_SUPPORT_CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "support/program.h"

struct control_server {
  struct program program;
  char dir[40], path[80]; /* its folder, and the socket in it */
};

/** Makes the folder, with a directory "share" in it. */
void control_server_init(struct control_server *server);
/** The folder is empty then but for "share". */
void control_server_fini(struct control_server *server);

/** Runs @binary with --control and @args, up to NULL; it listens when this returns. */
void control_server_start(struct control_server *server, const char *binary, const char *const *args);
/** Tells it to stop; it ends with status 0 and has removed its socket. */
void control_server_stop(struct control_server *server);

/** A connection. */
int control_server_connect(const struct control_server *server);
/** Sends text as it is, all of it. */
void control_server_send(int fd, const char *text, size_t len);
/** The next line that comes; NULL: the connection has ended. For cJSON_Delete(). */
cJSON *control_server_receive(int fd);
/** One request by printf, and its reply. For cJSON_Delete(). */
cJSON *control_server_ask(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The same; fails the test unless it is granted. */
void control_server_do(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The same; fails the test unless it is refused with that errno's name. */
void control_server_refused(int fd, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** How many descriptors it has open; how many threads: one that was waited for may be there for a moment. */
int control_server_fds(const struct control_server *server);
int control_server_threads(const struct control_server *server);
/** Until there are so many. */
void control_server_wait_threads(const struct control_server *server, int threads);
/** Its memory in KiB. */
long control_server_memory(const struct control_server *server);

#endif
