/* SPDX-License-Identifier: BSD-3-Clause */
/** The command line: what is to be shown, and how. */
#ifndef VIRTIOFS_EXAMPLES_TRACE_OPTIONS_H
#define VIRTIOFS_EXAMPLES_TRACE_OPTIONS_H

#include "follow.h"

struct options {
  const char *file; /* "-": standard input */
  bool summary, json, wall;

  /* the filters */
  bool has_ops, has_node, has_unique;
  bool ops[64]; /* by opcode; [0]: notifications */
  bool errors;
  uint64_t node, unique;
  uint64_t slower_ns, from_ns, to_ns;
};

/* Ends the process for --help and the like, and with status 1 and a line on stderr for what is wrong. */
void options_parse(struct options *options, int argc, char **argv);

/* Is it to be shown? */
bool options_want(const struct options *options, const struct exchange *exchange);

#endif
