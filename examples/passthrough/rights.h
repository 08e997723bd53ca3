/* SPDX-License-Identifier: BSD-3-Clause */
/** Options about whose files are whose, and what they lose. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_RIGHTS_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_RIGHTS_H

#include <argp.h>

#include <virtiofs/passthrough.h>

/** What they say; input of rights_argp. */
struct rights {
  bool killpriv_v2;
  enum virtiofs_passthrough_mode security_label;
  char *translate_uid, *translate_gid; /* the rules of each option, with spaces between */
};

extern const struct argp rights_argp;

/** rights_into - put it into the server's config, which borrows what @rights points to. */
void rights_into(const struct rights *rights, struct virtiofs_passthrough_config *config);

#endif
