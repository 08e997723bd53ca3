/* SPDX-License-Identifier: BSD-3-Clause */
/** Options about whose files are whose, and what they lose. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_RIGHTS_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_RIGHTS_H

#include <argp.h>

#include <virtiofs/passthrough.h>
#include <virtiofs/sandbox.h>

/** What one --uid-map or --gid-map option after the other says. */
struct id_map {
  struct virtiofs_sandbox_ids ids[VIRTIOFS_SANDBOX_IDS_MAX];
  size_t count;
};

/** What they say; input of rights_argp. */
struct rights {
  bool of_share; /* one of several in the process, whose ids are mapped for all */
  bool killpriv_v2;
  enum virtiofs_passthrough_mode security_label;
  char *translate_uid, *translate_gid; /* the rules of each option, with spaces between */
  struct id_map users, groups;         /* of the user namespace */
};

extern const struct argp rights_argp;

/** rights_into - put it into the server's config, which borrows what @rights points to. */
void rights_into(const struct rights *rights, struct virtiofs_passthrough_config *config);

/** rights_sandbox - the same for the server's sandbox. */
void rights_sandbox(const struct rights *rights, struct virtiofs_sandbox_config *config);

/** rights_fini - what the options have taken. */
void rights_fini(struct rights *rights);

#endif
