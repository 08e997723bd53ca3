/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/reply.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/utf8.h"

#define PROTOCOL 1

/* ---- Lines ---- */

/* Without memory for an answer there is nothing better to say to who waits for one. */
static void send_object(struct virtiofs_daemon_connection *c, cJSON *object) {
  char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
  if (text != NULL)
    virtiofs_daemon_connection_send(c, text);
  else
    c->closing = true;
  cJSON_free(text);
  cJSON_Delete(object);
}

static cJSON *new_reply(const cJSON *id, bool ok) {
  cJSON *object = cJSON_CreateObject();
  bool whole = cJSON_AddBoolToObject(object, "ok", ok) != NULL;
  if (whole && id != NULL)
    whole = cJSON_AddItemToObject(object, "id", cJSON_Duplicate(id, 0)) != 0;
  if (whole)
    return object;
  cJSON_Delete(object);
  return NULL;
}

/* What comes from a command line or a path may be any bytes; a line that isn't UTF-8 nobody could read. */
static bool add_string(cJSON *object, const char *name, const char *text) {
  if (text == NULL)
    return true;
  char *clean = strdup(text);
  if (clean == NULL)
    return false;
  virtiofs_daemon_utf8_clean(clean);
  bool added = cJSON_AddStringToObject(object, name, clean) != NULL;
  free(clean);
  return added;
}

static bool add_number(cJSON *object, const char *name, double number) {
  return cJSON_AddNumberToObject(object, name, number) != NULL;
}

static bool add_error(cJSON *object, int code, const char *text) {
  const char *name = strerrorname_np(-code);
  cJSON *error = cJSON_AddObjectToObject(object, "error");
  return error != NULL && add_string(error, "name", name != NULL ? name : "EIO") && add_string(error, "message", text);
}

void virtiofs_daemon_reply_error(struct virtiofs_daemon_connection *c, const cJSON *id,
                                 const struct virtiofs_daemon_error *error) {
  cJSON *object = new_reply(id, false);
  if (object != NULL && !add_error(object, error->code, error->text)) {
    cJSON_Delete(object);
    object = NULL;
  }
  send_object(c, object);
}

void virtiofs_daemon_reply(struct virtiofs_daemon_connection *c, const cJSON *id, cJSON *take_result) {
  cJSON *object = take_result != NULL ? new_reply(id, true) : NULL;
  if (object == NULL)
    cJSON_Delete(take_result);
  else
    (void)cJSON_AddItemToObject(object, "result", take_result);
  send_object(c, object);
}

/* ---- Results ---- */

static cJSON *whole_or_none(cJSON *object, bool whole) {
  if (whole)
    return object;
  cJSON_Delete(object);
  return NULL;
}

static const char *level_name(enum virtiofs_log_level level) {
  static const char *const names[] = {"info", "error", "warn", "info", "debug", "trace"};
  return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "trace";
}

cJSON *virtiofs_daemon_result_name(const char *name) {
  cJSON *object = cJSON_CreateObject();
  return whole_or_none(object, object != NULL && add_string(object, "name", name));
}

cJSON *virtiofs_daemon_result_level(enum virtiofs_log_level level) {
  cJSON *object = cJSON_CreateObject();
  return whole_or_none(object, object != NULL && add_string(object, "log-level", level_name(level)));
}

static const char *state_name(const struct virtiofs_daemon_share_view *view) {
  switch (view->state) {
  case VIRTIOFS_DAEMON_SHARE_OPEN:
  case VIRTIOFS_DAEMON_SHARE_STARTING:
    return "starting";
  case VIRTIOFS_DAEMON_SHARE_ENDED:
    return view->rc != 0 ? "failed" : "ended";
  default:
    return view->removed ? "ending" : view->info.connected ? "connected" : "waiting";
  }
}

static bool fill_share(cJSON *object, const struct virtiofs_daemon_share_view *view) {
  bool whole =
      object != NULL && add_string(object, "name", view->name) && add_string(object, "state", state_name(view)) &&
      cJSON_AddBoolToObject(object, "connected", view->info.connected) != NULL &&
      add_number(object, "since", (double)view->since.tv_sec) && add_string(object, "socket-path", view->socket_path) &&
      add_string(object, "mountpoint", view->mountpoint) && add_string(object, "tag", view->tag);
  if (!whole)
    return false;
  if (view->state == VIRTIOFS_DAEMON_SHARE_ENDED)
    return view->rc == 0 ||
           add_error(object, view->rc, view->complaint[0] != 0 ? view->complaint : strerror(-view->rc));
  return add_number(object, "nodes", (double)view->info.nodes) &&
         add_number(object, "handles", (double)view->info.handles) &&
         add_string(object, "log-level", level_name(view->info.level));
}

struct listing {
  cJSON *list;
  const char *name;
  bool found, whole;
};

static bool list_one(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct listing *listing = ctx;
  if (listing->name != NULL && strcmp(listing->name, view->name) != 0)
    return true;
  cJSON *object = cJSON_CreateObject();
  listing->found = true;
  listing->whole = fill_share(object, view) && cJSON_AddItemToArray(listing->list, object) != 0;
  if (!listing->whole)
    cJSON_Delete(object);
  return listing->whole;
}

cJSON *virtiofs_daemon_result_list(struct virtiofs_daemon_shares *shares, const char *name, bool *found) {
  cJSON *object = cJSON_CreateObject();
  struct listing listing = {.list = cJSON_AddArrayToObject(object, "shares"), .name = name, .whole = true};
  if (listing.list != NULL)
    virtiofs_daemon_shares_each(shares, list_one, &listing);
  *found = listing.found || name == NULL;
  return whole_or_none(object, listing.list != NULL && listing.whole && *found);
}

cJSON *virtiofs_daemon_result_version(const struct virtiofs_daemon_process_view *process) {
  cJSON *object = cJSON_CreateObject();
  return whole_or_none(object, object != NULL && add_string(object, "program", process->program) &&
                                   add_string(object, "version", process->version) &&
                                   add_string(object, "library", VIRTIOFS_VERSION_STRING) &&
                                   add_number(object, "protocol", PROTOCOL));
}

struct counts {
  unsigned all, connected, ended;
};

static bool count_one(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct counts *counts = ctx;
  counts->all++;
  counts->connected += view->info.connected;
  counts->ended += view->state == VIRTIOFS_DAEMON_SHARE_ENDED;
  return true;
}

cJSON *virtiofs_daemon_result_status(const struct virtiofs_daemon_process_view *process,
                                     struct virtiofs_daemon_shares *shares) {
  struct counts counts = {0};
  virtiofs_daemon_shares_each(shares, count_one, &counts);
  cJSON *object = virtiofs_daemon_result_version(process);
  return whole_or_none(object, object != NULL && add_number(object, "pid", (double)process->pid) &&
                                   add_number(object, "since", (double)process->since) &&
                                   add_string(object, "log-level", level_name(process->level)) &&
                                   add_number(object, "shares", counts.all) &&
                                   add_number(object, "connected", counts.connected) &&
                                   add_number(object, "ended", counts.ended));
}
