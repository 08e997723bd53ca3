/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

/* Options that have no letter; the program's others have smaller keys. */
enum { KILLPRIV = 0x400, NO_KILLPRIV };

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct rights *rights = state->input;
  (void)arg;
  switch (key) {
  case KILLPRIV:
    rights->killpriv_v2 = true;
    return 0;
  case NO_KILLPRIV:
    rights->killpriv_v2 = false;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"killpriv-v2", KILLPRIV, NULL, 0,
     "Take set-user-id, set-group-id and security.capability away here and not in the guest", 0},
    {"no-killpriv-v2", NO_KILLPRIV, NULL, 0, "Leave that to the guest, the default", 0},
    {0},
};

const struct argp rights_argp = {.options = options, .parser = parse};

void rights_into(const struct rights *rights, struct virtiofs_passthrough_config *config) {
  config->killpriv_v2 = rights->killpriv_v2;
}
