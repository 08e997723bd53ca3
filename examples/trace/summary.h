/* SPDX-License-Identifier: BSD-3-Clause */
/** Sums exchanges up by operation. */
#ifndef VIRTIOFS_EXAMPLES_TRACE_SUMMARY_H
#define VIRTIOFS_EXAMPLES_TRACE_SUMMARY_H

#include "follow.h"

struct summary;

/* NULL: no memory. */
struct summary *summary_new(void);
/* 0, or -1 if there is no memory. */
int summary_add(struct summary *summary, const struct exchange *exchange);
/* As a table for people, or as JSON. */
void summary_print(struct summary *summary, FILE *to);
void summary_print_json(struct summary *summary, FILE *to);
void summary_free(struct summary *summary);

#endif
