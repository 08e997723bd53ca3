/* SPDX-License-Identifier: BSD-3-Clause */
/** One share: where front-ends come in, the program's file system, a device. Nothing of it is the process's. */
#ifndef VIRTIOFS_LIB_DAEMON_SHARE_H
#define VIRTIOFS_LIB_DAEMON_SHARE_H

#include <virtiofs/device.h>

#include "daemon/options.h"

struct virtiofs_daemon_metrics;
struct virtiofs_daemon_share;

/** What it is made of. The pointers are borrowed until it is freed. */
struct virtiofs_daemon_share_setup {
  const char *program; /* begins the lines on stderr */
  const struct virtiofs_daemon_config *config;
  const struct virtiofs_daemon_options *options;
  const struct virtiofs_ops *ops;
  void *fs; /* what the program's start is given */
  struct virtiofs_log log;
  struct virtiofs_daemon_metrics *metrics; /* tells of it */
  const char *name;                        /* stands before what it says to the log; NULL: it is the only one */
};

/** What can be seen of it from outside. */
struct virtiofs_daemon_share_info {
  bool connected; /* there is a front-end, or a mount */
  bool draining;
  uint64_t nodes, handles; /* that the guest has */
  enum virtiofs_log_level level;
};

/**
 * What has to be done before the process gives up its rights: the socket, the record's file. 0; -errno, after a line on
 * stderr.
 */
int virtiofs_daemon_share_open(struct virtiofs_daemon_share **out, const struct virtiofs_daemon_share_setup *setup);

/* As virtiofs_daemon_listen_inside() and _outside(). */
void virtiofs_daemon_share_inside(struct virtiofs_daemon_share *share);
void virtiofs_daemon_share_outside(struct virtiofs_daemon_share *share);

/* The program's file system, and the device. 0; -errno, after a line on stderr. */
int virtiofs_daemon_share_start(struct virtiofs_daemon_share *share);

/**
 * Serves until it is stopped; a mount until it is taken away; a connection until it ends, if it was inherited or there
 * is to be only one. 0; -errno, after a line on stderr.
 */
int virtiofs_daemon_share_serve(struct virtiofs_daemon_share *share);

/* ---- From any thread, from its opening until it is freed ---- */

/* Its serving ends as soon as it can; also if it hasn't begun yet. */
void virtiofs_daemon_share_stop(struct virtiofs_daemon_share *share);

/* It ends when the front-end that it has goes; new ones are refused. */
void virtiofs_daemon_share_drain(struct virtiofs_daemon_share *share);

/* For one with a name. */
void virtiofs_daemon_share_level(struct virtiofs_daemon_share *share, enum virtiofs_log_level level);

void virtiofs_daemon_share_info(struct virtiofs_daemon_share *share, struct virtiofs_daemon_share_info *info);

/* The first error that one with a name has said before it was started: what is wrong with it. "": none. By its thread.
 */
const char *virtiofs_daemon_share_complaint(const struct virtiofs_daemon_share *share);

/* Takes away all that was made, as far as it got. NULL is fine. */
void virtiofs_daemon_share_free(struct virtiofs_daemon_share *share);

#endif
