/* SPDX-License-Identifier: BSD-3-Clause */
/** Where a server's lines go, and which. */
#ifndef VIRTIOFS_LIB_DAEMON_LOGGING_H
#define VIRTIOFS_LIB_DAEMON_LOGGING_H

#include <stdbool.h>
#include <sys/types.h>

#include <virtiofs/log.h>

#include "daemon/options.h"

/** The system's log. */
struct virtiofs_daemon_syslog {
  int fd; /* connected; -1: it couldn't be */
  pid_t pid;
  char name[32]; /* who speaks */
};

/**
 * virtiofs_daemon_syslog_open - connect to the socket at @path
 *
 * Before the process can't reach it any more: it is never connected again. Return: 0; -errno, and then nothing is open.
 */
int virtiofs_daemon_syslog_open(struct virtiofs_daemon_syslog *syslog, const char *path, const char *program);
/** A virtiofs_log_fn whose context is the above. Lines that can't be sent, also since nobody takes them now, go to
 * stderr. */
void virtiofs_daemon_syslog_write(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format,
                                  va_list args) VIRTIOFS_PRINTF(4, 0);
void virtiofs_daemon_syslog_close(struct virtiofs_daemon_syslog *syslog);

/**
 * virtiofs_daemon_log_filter - what RUST_LOG says, as env_logger reads it
 * @text: "LEVEL" or "virtiofsd=LEVEL", several with commas between; what is about other programs doesn't count
 * @off:  set if nothing is to be said at all, else cleared
 *
 * Return: the level; 0 if it says nothing about this program, and then @off stays as it was.
 */
enum virtiofs_log_level virtiofs_daemon_log_filter(const char *text, bool *off);

/** The names that --log-level takes, in any case. Return: as above; 0 if there is no such. */
enum virtiofs_log_level virtiofs_daemon_log_level(const char *text, bool *off);

/**
 * virtiofs_daemon_log_start - where the lines of a server with these options go
 * @log:    filled; refers to @syslog
 * @syslog: filled; to be closed
 *
 * Says what there is to say about the command line.
 */
void virtiofs_daemon_log_start(struct virtiofs_log *log, struct virtiofs_daemon_syslog *syslog,
                               const struct virtiofs_daemon_options *options,
                               const struct virtiofs_daemon_config *config, const char *program);

#endif
