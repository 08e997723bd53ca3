/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options that have no letter; the program's others have smaller keys. */
enum { KILLPRIV = 0x400, NO_KILLPRIV, LABEL };

_Noreturn static void fail(const struct argp_state *state, const char *what, const char *value) {
  (void)fprintf(stderr, "%s: %s '%s'\n", state->name, what, value);
  exit(EXIT_FAILURE);
}

/* As virtiofsd: the bare option is the strictest. */
static enum virtiofs_passthrough_mode mode_of(const struct argp_state *state, const char *option, const char *text) {
  if (text == NULL || strcmp(text, "always") == 0)
    return VIRTIOFS_PASSTHROUGH_ALWAYS;
  if (strcmp(text, "auto") == 0)
    return VIRTIOFS_PASSTHROUGH_AUTO;
  if (strcmp(text, "never") != 0)
    fail(state, option, text);
  return VIRTIOFS_PASSTHROUGH_NEVER;
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
    rights->security_label = mode_of(state, "--security-label must be never, auto or always, not", arg);
    return 0;
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
    {0},
};

const struct argp rights_argp = {.options = options, .parser = parse};

void rights_into(const struct rights *rights, struct virtiofs_passthrough_config *config) {
  config->killpriv_v2 = rights->killpriv_v2;
  config->security_label = rights->security_label;
}
