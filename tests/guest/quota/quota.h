/* SPDX-License-Identifier: BSD-3-Clause */
/** What the parts of `quota` share. */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdio.h>
#include <sys/types.h>

/** Something to try in the working directory, which is empty before and after. */
typedef void case_fn(void);

/** Where write(2) knows of the limits, and where a cache holds that back. NULL ends each list. */
extern case_fn *const cases_at_once[], *const cases_late[];

/** say - a line: what was tried, and what came of it: a count, or the error that errno has if it is negative. */
void say(const char *what, long result);

#endif
