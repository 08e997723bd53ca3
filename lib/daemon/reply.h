/* SPDX-License-Identifier: BSD-3-Clause */
/** What is answered on a control socket: docs/control.md. */
#ifndef VIRTIOFS_LIB_DAEMON_REPLY_H
#define VIRTIOFS_LIB_DAEMON_REPLY_H

#include "daemon/connection.h"
#include "daemon/request.h"
#include "daemon/shares.h"

struct cJSON;

/* Sends it. @id: NULL: none; @take_result: NULL if there was no memory for it, which is said then. */
void virtiofs_daemon_reply(struct virtiofs_daemon_connection *c, const struct cJSON *id, struct cJSON *take_result);
void virtiofs_daemon_reply_error(struct virtiofs_daemon_connection *c, const struct cJSON *id,
                                 const struct virtiofs_daemon_error *error);

/* ---- Results; NULL without memory ---- */

struct cJSON *virtiofs_daemon_result_name(const char *name);
struct cJSON *virtiofs_daemon_result_level(enum virtiofs_log_level level);

/* Of all shares, or of the one with that name; then NULL also if there is none, and *@found is false. */
struct cJSON *virtiofs_daemon_result_list(struct virtiofs_daemon_shares *shares, const char *name, bool *found);

/** What can be said of the process. */
struct virtiofs_daemon_process_view {
  const char *program, *version;
  long pid;     /* of who was started: outside of the sandbox, if there is one */
  time_t since; /* by CLOCK_REALTIME */
  enum virtiofs_log_level level;
};
struct cJSON *virtiofs_daemon_result_version(const struct virtiofs_daemon_process_view *process);
struct cJSON *virtiofs_daemon_result_status(const struct virtiofs_daemon_process_view *process,
                                            struct virtiofs_daemon_shares *shares);

#endif
