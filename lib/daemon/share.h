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

/* From any thread, once it has been started and until it is freed. */
void virtiofs_daemon_share_stop(struct virtiofs_daemon_share *share);

/* Takes away all that was made, as far as it got. NULL is fine. */
void virtiofs_daemon_share_free(struct virtiofs_daemon_share *share);

#endif
