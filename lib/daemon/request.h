/* SPDX-License-Identifier: BSD-3-Clause */
/** What is asked on a control socket: bytes in, a request or an error out, and nothing else touched. docs/control.md.
 */
#ifndef VIRTIOFS_LIB_DAEMON_REQUEST_H
#define VIRTIOFS_LIB_DAEMON_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include <virtiofs/log.h>

/** Longest request in bytes, without its newline. */
#define VIRTIOFS_DAEMON_LINE_MAX 65536U
/** Longest name of a share in bytes. */
#define VIRTIOFS_DAEMON_NAME_MAX 64U
/** Most options of a share. */
#define VIRTIOFS_DAEMON_OPTIONS_MAX 128U
/** Largest file of shares in bytes. */
#define VIRTIOFS_DAEMON_SHARES_MAX (1U << 20)

enum virtiofs_daemon_command {
  VIRTIOFS_DAEMON_ADD,
  VIRTIOFS_DAEMON_REMOVE,
  VIRTIOFS_DAEMON_LIST,
  VIRTIOFS_DAEMON_STATUS,
  VIRTIOFS_DAEMON_VERSION,
  VIRTIOFS_DAEMON_LOG_LEVEL,
  VIRTIOFS_DAEMON_STOP,
  VIRTIOFS_DAEMON_COMMANDS
};

/** Descriptors that may come with a request. */
enum virtiofs_daemon_descriptor {
  VIRTIOFS_DAEMON_FD_SOCKET, /**< where front-ends come in, listening or connected */
  VIRTIOFS_DAEMON_FD_LOCK,   /**< to be held open as long as the share is there */
  VIRTIOFS_DAEMON_FD_DIR,    /**< the directory to serve */
  VIRTIOFS_DAEMON_FDS
};

/** What went wrong, for people. */
struct virtiofs_daemon_error {
  int code; /**< -errno */
  char text[512];
};

/** What is wanted. The strings live as long as the request. */
struct virtiofs_daemon_request {
  enum virtiofs_daemon_command command;
  const char *name;                                 /**< of the share, by which it is known and logs; NULL: not said */
  const char *socket_path;                          /**< NULL: not said */
  const char *tag;                                  /**< NULL: not said */
  const char *options[VIRTIOFS_DAEMON_OPTIONS_MAX]; /**< as on the command line */
  size_t option_count;
  enum virtiofs_daemon_descriptor fds[VIRTIOFS_DAEMON_FDS]; /**< what comes with it, in that order, each kind once */
  size_t fd_count;
  bool now;                      /**< remove without waiting for the front-end to go */
  enum virtiofs_log_level level; /**< 0: not said */
  const void *id;                /**< what the reply repeats: a cJSON item; NULL: nothing */
  void *json;                    /**< what all this lies in */
};

/** Sets @error. Return: @code. */
int virtiofs_daemon_error_set(struct virtiofs_daemon_error *error, int code, const char *format, ...)
    VIRTIOFS_PRINTF(3, 4);

/**
 * virtiofs_daemon_request_parse - one line
 * @request: to be freed after an error too; then it has the id, if one was understood, and nothing else
 * @line:    @len bytes without the newline; anything
 *
 * Return: 0; -EINVAL for what is no such request, -E2BIG for one that is too large, -ENOMEM; @error then.
 */
int virtiofs_daemon_request_parse(struct virtiofs_daemon_request *request, const char *line, size_t len,
                                  struct virtiofs_daemon_error *error);

/** virtiofs_daemon_request_free - what it holds; it may have been all zero. */
void virtiofs_daemon_request_free(struct virtiofs_daemon_request *request);

/**
 * virtiofs_daemon_requests_parse - a file of shares: {"shares": [{...}, ...]}, each with what `add` has but for
 * descriptors
 * @out: one `add` request for each, to be freed by virtiofs_daemon_requests_free(); NULL after an error
 *
 * Return: as virtiofs_daemon_request_parse().
 */
int virtiofs_daemon_requests_parse(struct virtiofs_daemon_request **out, size_t *count, const char *text, size_t len,
                                   struct virtiofs_daemon_error *error);

void virtiofs_daemon_requests_free(struct virtiofs_daemon_request *requests, size_t count);

#endif
