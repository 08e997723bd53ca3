/* SPDX-License-Identifier: BSD-3-Clause */
/** What a server has answered, for people. */
#ifndef VIRTIOFS_EXAMPLES_CTL_SHOW_H
#define VIRTIOFS_EXAMPLES_CTL_SHOW_H

#include <cjson/cJSON.h>

/** show_list - a table of the shares in a `list`'s result. */
void show_list(const cJSON *result);

/** show_members - "name: value" of each member of a result. */
void show_members(const cJSON *result);

#endif
