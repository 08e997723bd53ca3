/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

/* Options that have no letter; the program's others have smaller keys. */
enum { KILLPRIV = 0x400, NO_KILLPRIV, LABEL, TRANSLATE_UID, TRANSLATE_GID, UID_MAP, GID_MAP };

/* One more rule; those before it stay. */
static error_t add_rule(const struct argp_state *state, char **rules, const char *rule) {
  const char *before = *rules != NULL ? *rules : "";
  size_t size = strlen(before) + strlen(rule) + 2;
  char *all = malloc(size);
  if (all == NULL)
    return virtiofs_daemon_option_error(state, "no memory for '%s'", rule);
  (void)snprintf(all, size, "%s%s%s", before, *before != 0 ? " " : "", rule);
  free(*rules);
  *rules = all;
  return 0;
}

/* ":INSIDE:OUTSIDE:COUNT:", with any character for ':'. */
static bool parse_ids(const char *text, uint32_t numbers[3]) {
  const char *at = text;
  for (size_t i = 0; i < 3; i++) {
    char *end;
    if (*at == 0 || *at != *text || at[1] < '0' || at[1] > '9')
      return false;
    unsigned long long number = strtoull(at + 1, &end, 10);
    if (number > UINT32_MAX || end - at > 11)
      return false;
    numbers[i] = (uint32_t)number;
    at = end;
  }
  return *at == *text && at[1] == 0;
}

static error_t add_ids(const struct argp_state *state, const struct rights *rights, struct id_map *map,
                       const char *text) {
  uint32_t numbers[3];
  if (rights->of_share)
    return virtiofs_daemon_option_error(state, "ids are mapped for the process as a whole, not for a share: '%s'",
                                        text);
  if (!parse_ids(text, numbers))
    return virtiofs_daemon_option_error(
        state, "ids are mapped by :INSIDE:OUTSIDE:COUNT:, numbers below 4294967296, not by '%s'", text);
  if (map->count == VIRTIOFS_SANDBOX_IDS_MAX)
    return virtiofs_daemon_option_error(state, "there is no room for any more ids to map: '%s'", text);
  map->ids[map->count++] =
      (struct virtiofs_sandbox_ids){.inside = numbers[0], .outside = numbers[1], .count = numbers[2]};
  return 0;
}

/* As virtiofsd: the bare option is the strictest. */
static error_t parse_label(const struct argp_state *state, enum virtiofs_passthrough_mode *mode, const char *text) {
  if (text == NULL || strcmp(text, "always") == 0)
    *mode = VIRTIOFS_PASSTHROUGH_ALWAYS;
  else if (strcmp(text, "auto") == 0)
    *mode = VIRTIOFS_PASSTHROUGH_AUTO;
  else if (strcmp(text, "never") == 0)
    *mode = VIRTIOFS_PASSTHROUGH_NEVER;
  else
    return virtiofs_daemon_option_error(state, "--security-label must be never, auto or always, not '%s'", text);
  return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct rights *rights = state->input;
  switch (key) {
  case KILLPRIV:
    rights->killpriv_v2 = true;
    return 0;
  case NO_KILLPRIV:
    rights->killpriv_v2 = false;
    return 0;
  case LABEL:
    return parse_label(state, &rights->security_label, arg);
  case TRANSLATE_UID:
    return add_rule(state, &rights->translate_uid, arg);
  case TRANSLATE_GID:
    return add_rule(state, &rights->translate_gid, arg);
  case UID_MAP:
    return add_ids(state, rights, &rights->users, arg);
  case GID_MAP:
    return add_ids(state, rights, &rights->groups, arg);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"killpriv-v2", KILLPRIV, NULL, 0,
     "Take set-user-id, set-group-id and security.capability away here and not in the guest", 0},
    {"no-killpriv-v2", NO_KILLPRIV, NULL, 0, "Leave that to the guest, the default", 0},
    {"security-label", LABEL, "MODE", OPTION_ARG_OPTIONAL,
     "Security labels that guests send along with what they make: always (the guest must), auto, or never, the default",
     0},
    {"translate-uid", TRANSLATE_UID, "RULE", 0,
     "Other users' ids on the host than in the guest, may be repeated; the man page has the rules", 0},
    {"translate-gid", TRANSLATE_GID, "RULE", 0, "The same for groups", 0},
    {"uid-map", UID_MAP, ":NS:HOST:N:", 0,
     "Serve from a user namespace, where N ids from NS on are the host's from HOST on; may be repeated", 0},
    {"gid-map", GID_MAP, ":NS:HOST:N:", 0, "The same for groups", 0},
    {0},
};

const struct argp rights_argp = {.options = options, .parser = parse};

void rights_into(const struct rights *rights, struct virtiofs_passthrough_config *config) {
  config->killpriv_v2 = rights->killpriv_v2;
  config->translate_uid = rights->translate_uid;
  config->translate_gid = rights->translate_gid;
  config->security_label = rights->security_label;
}

void rights_sandbox(const struct rights *rights, struct virtiofs_sandbox_config *config) {
  config->users = rights->users.ids;
  config->user_count = rights->users.count;
  config->groups = rights->groups.ids;
  config->group_count = rights->groups.count;
}

void rights_fini(struct rights *rights) {
  free(rights->translate_uid);
  free(rights->translate_gid);
}
