/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/request.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/device.h>

#include "daemon/utf8.h"

#define ID_MAX 64U
#define SHARES_MOST 1024

#define BIT(command) (1U << VIRTIOFS_DAEMON_##command)
#define ANY (BIT(COMMANDS) - 1)

int virtiofs_daemon_error_set(struct virtiofs_daemon_error *error, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(error->text, sizeof(error->text), format, args);
  va_end(args);
  virtiofs_daemon_utf8_clean(error->text);
  error->code = code;
  return code;
}

#define WRONG(error, ...) virtiofs_daemon_error_set(error, -EINVAL, __VA_ARGS__)

/* ---- one member after the other ---- */

static int take_string(const cJSON *item, const char **to, struct virtiofs_daemon_error *error) {
  if (!cJSON_IsString(item) || item->valuestring[0] == 0)
    return WRONG(error, "'%s' must be a string that isn't empty", item->string);
  *to = item->valuestring;
  return 0;
}

static int take_name(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  int rc = take_string(item, &request->name, error);
  if (rc != 0)
    return rc;
  size_t len = strspn(request->name, allowed);
  if (request->name[len] != 0 || len > VIRTIOFS_DAEMON_NAME_MAX)
    return WRONG(error, "'name' must be 1 to %u letters, digits, '.', '_' and '-'", VIRTIOFS_DAEMON_NAME_MAX);
  return 0;
}

static int take_path(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  return take_string(item, &request->socket_path, error);
}

static int take_tag(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  int rc = take_string(item, &request->tag, error);
  if (rc == 0 && (strlen(request->tag) > VIRTIOFS_TAG_MAX || strchr(request->tag, '\n') != NULL))
    rc = WRONG(error, "'tag' must be 1 to %u bytes without a newline", VIRTIOFS_TAG_MAX);
  return rc;
}

static int take_options(struct virtiofs_daemon_request *request, const cJSON *item,
                        struct virtiofs_daemon_error *error) {
  const cJSON *each;
  if (!cJSON_IsArray(item))
    return WRONG(error, "'options' must be an array of strings");
  cJSON_ArrayForEach(each, item) {
    if (request->option_count == VIRTIOFS_DAEMON_OPTIONS_MAX)
      return virtiofs_daemon_error_set(error, -E2BIG, "more than %u options", VIRTIOFS_DAEMON_OPTIONS_MAX);
    if (!cJSON_IsString(each))
      return WRONG(error, "'options' must be an array of strings");
    request->options[request->option_count++] = each->valuestring;
  }
  return 0;
}

static int find(const char *text, const char *const *names, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(text, names[i]) == 0)
      return i;
  return -1;
}

static int take_fds(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  static const char *const names[] = {"socket", "lock", "shared-dir"};
  const cJSON *each;
  if (!cJSON_IsArray(item))
    return WRONG(error, "'fds' must be an array");
  cJSON_ArrayForEach(each, item) {
    int kind = cJSON_IsString(each) ? find(each->valuestring, names, VIRTIOFS_DAEMON_FDS) : -1;
    if (kind < 0)
      return WRONG(error, "'fds' may have 'socket', 'lock' and 'shared-dir'");
    for (size_t i = 0; i < request->fd_count; i++)
      if (request->fds[i] == (enum virtiofs_daemon_descriptor)kind)
        return WRONG(error, "'fds' has '%s' twice", names[kind]);
    request->fds[request->fd_count++] = (enum virtiofs_daemon_descriptor)kind;
  }
  return 0;
}

static int take_mode(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  static const char *const names[] = {"drain", "now"};
  int mode = cJSON_IsString(item) ? find(item->valuestring, names, 2) : -1;
  request->now = mode == 1;
  return mode >= 0 ? 0 : WRONG(error, "'mode' must be 'drain' or 'now'");
}

static int take_level(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error) {
  static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
  int level = cJSON_IsString(item) ? find(item->valuestring, names, VIRTIOFS_LOG_TRACE) : -1;
  request->level = (enum virtiofs_log_level)(VIRTIOFS_LOG_ERROR + level);
  return level >= 0 ? 0 : WRONG(error, "'level' must be error, warn, info, debug or trace");
}

/* ---- all of them ---- */

struct member {
  const char *name;
  unsigned allowed, required; /* by which commands */
  int (*take)(struct virtiofs_daemon_request *request, const cJSON *item, struct virtiofs_daemon_error *error);
};

static const struct member members[] = {
    {"command", ANY, 0, NULL}, /* looked at first */
    {"id", ANY, 0, NULL},      /* the same */
    {"name", BIT(ADD) | BIT(REMOVE) | BIT(LIST) | BIT(LOG_LEVEL), BIT(ADD) | BIT(REMOVE), take_name},
    {"socket-path", BIT(ADD), 0, take_path},
    {"tag", BIT(ADD), 0, take_tag},
    {"options", BIT(ADD), 0, take_options},
    {"fds", BIT(ADD), 0, take_fds},
    {"mode", BIT(REMOVE), 0, take_mode},
    {"level", BIT(LOG_LEVEL), BIT(LOG_LEVEL), take_level},
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static int take_one(struct virtiofs_daemon_request *request, const cJSON *item, unsigned *seen,
                    struct virtiofs_daemon_error *error) {
  unsigned i = 0;
  while (i < MEMBERS && strcmp(members[i].name, item->string) != 0)
    i++;
  if (i == MEMBERS || (members[i].allowed & 1U << request->command) == 0)
    return WRONG(error, "there is no '%s' in such a request", item->string);
  if ((*seen & 1U << i) != 0)
    return WRONG(error, "'%s' is there twice", item->string);
  *seen |= 1U << i;
  return members[i].take != NULL ? members[i].take(request, item, error) : 0;
}

static int take_all(struct virtiofs_daemon_request *request, const cJSON *object, struct virtiofs_daemon_error *error) {
  const cJSON *each;
  unsigned seen = 0;
  cJSON_ArrayForEach(each, object) {
    int rc = take_one(request, each, &seen, error);
    if (rc != 0)
      return rc;
  }
  for (unsigned i = 0; i < MEMBERS; i++)
    if ((members[i].required & 1U << request->command) != 0 && (seen & 1U << i) == 0)
      return WRONG(error, "'%s' is missing", members[i].name);
  return 0;
}

static int take_command(struct virtiofs_daemon_request *request, const cJSON *object,
                        struct virtiofs_daemon_error *error) {
  static const char *const names[] = {"add", "remove", "list", "status", "version", "log-level", "stop"};
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "command");
  if (!cJSON_IsString(item))
    return WRONG(error, "'command' must be there, and be a string");
  int command = find(item->valuestring, names, VIRTIOFS_DAEMON_COMMANDS);
  if (command < 0)
    return WRONG(error, "there is no command '%s'", item->valuestring);
  request->command = (enum virtiofs_daemon_command)command;
  return 0;
}

static int take_id(struct virtiofs_daemon_request *request, const cJSON *object, struct virtiofs_daemon_error *error) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "id");
  if (item == NULL)
    return 0;
  if (!cJSON_IsNumber(item) && (!cJSON_IsString(item) || strlen(item->valuestring) > ID_MAX))
    return WRONG(error, "'id' must be a number, or a string of up to %u bytes", ID_MAX);
  request->id = item;
  return 0;
}

/* ---- the text ---- */

/* Strings end at a NUL here: one inside would have half of a path mean another one. */
static bool has_nul(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (text[i] == 0)
      return true;
    if (text[i] != '\\')
      continue;
    if (len - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0)
      return true;
    i++;
  }
  return false;
}

static int parse_text(cJSON **out, const char *text, size_t len, struct virtiofs_daemon_error *error) {
  const char *end = NULL;
  *out = NULL;
  if (virtiofs_daemon_utf8_span(text, len) != len)
    return WRONG(error, "this is no UTF-8");
  if (has_nul(text, len))
    return WRONG(error, "there must be no NUL characters");
  cJSON *object = cJSON_ParseWithLengthOpts(text, len, &end, 0);
  size_t at = object != NULL ? (size_t)(end - text) : 0;
  while (at < len && strchr(" \t\r\n", text[at]) != NULL)
    at++;
  if (!cJSON_IsObject(object) || at != len) {
    cJSON_Delete(object);
    return WRONG(error, "this is no JSON object");
  }
  *out = object;
  return 0;
}

/* After an error nobody looks at what was half understood. */
static int finish(struct virtiofs_daemon_request *request, int rc) {
  if (rc != 0)
    *request = (struct virtiofs_daemon_request){.id = request->id, .json = request->json};
  return rc;
}

int virtiofs_daemon_request_parse(struct virtiofs_daemon_request *request, const char *line, size_t len,
                                  struct virtiofs_daemon_error *error) {
  cJSON *object;
  memset(request, 0, sizeof(*request));
  if (len > VIRTIOFS_DAEMON_LINE_MAX)
    return virtiofs_daemon_error_set(error, -E2BIG, "a line may have %u bytes", VIRTIOFS_DAEMON_LINE_MAX);
  int rc = parse_text(&object, line, len, error);
  if (rc != 0)
    return rc;
  request->json = object;
  rc = take_id(request, object, error);
  if (rc == 0)
    rc = take_command(request, object, error);
  if (rc == 0)
    rc = take_all(request, object, error);
  return finish(request, rc);
}

void virtiofs_daemon_request_free(struct virtiofs_daemon_request *request) {
  cJSON_Delete(request->json);
  memset(request, 0, sizeof(*request));
}

/* ---- several ---- */

static int parse_share(struct virtiofs_daemon_request *request, cJSON *object, size_t number,
                       struct virtiofs_daemon_error *error) {
  struct virtiofs_daemon_error inner;
  bool line = cJSON_HasObjectItem(object, "command") || cJSON_HasObjectItem(object, "id");
  *request = (struct virtiofs_daemon_request){.command = VIRTIOFS_DAEMON_ADD, .json = object};
  int rc = cJSON_IsObject(object) ? take_all(request, object, &inner) : WRONG(&inner, "this is no object");
  if (rc == 0 && (line || request->fd_count != 0))
    rc = WRONG(&inner, "there are no 'command', 'id' and 'fds' in a file");
  if (rc != 0)
    (void)virtiofs_daemon_error_set(error, rc, "share %zu: %.400s", number, inner.text);
  return finish(request, rc);
}

static int parse_list(struct virtiofs_daemon_request *requests, cJSON *list, size_t count,
                      struct virtiofs_daemon_error *error) {
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < count; i++)
    rc = parse_share(&requests[i], cJSON_DetachItemFromArray(list, 0), i + 1, error);
  return rc;
}

int virtiofs_daemon_requests_parse(struct virtiofs_daemon_request **out, size_t *count, const char *text, size_t len,
                                   struct virtiofs_daemon_error *error) {
  cJSON *object;
  *out = NULL;
  *count = 0;
  if (len > VIRTIOFS_DAEMON_SHARES_MAX)
    return virtiofs_daemon_error_set(error, -E2BIG, "more than %u bytes", VIRTIOFS_DAEMON_SHARES_MAX);
  int rc = parse_text(&object, text, len, error);
  if (rc != 0)
    return rc;
  cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "shares");
  int most = cJSON_GetArraySize(list);
  struct virtiofs_daemon_request *requests = NULL;
  if (!cJSON_IsArray(list) || cJSON_GetArraySize(object) != 1 || most > SHARES_MOST)
    rc = WRONG(error, "there must be one member, 'shares', an array of up to %d objects", SHARES_MOST);
  else if ((requests = calloc(most > 0 ? (size_t)most : 1, sizeof(*requests))) == NULL)
    rc = virtiofs_daemon_error_set(error, -ENOMEM, "no memory");
  else
    rc = parse_list(requests, list, (size_t)most, error);
  cJSON_Delete(object);
  if (rc != 0) {
    virtiofs_daemon_requests_free(requests, (size_t)most);
    return rc;
  }
  *out = requests;
  *count = (size_t)most;
  return 0;
}

void virtiofs_daemon_requests_free(struct virtiofs_daemon_request *requests, size_t count) {
  for (size_t i = 0; requests != NULL && i < count; i++)
    virtiofs_daemon_request_free(&requests[i]);
  free(requests);
}
