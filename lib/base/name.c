/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <virtiofs/types.h>

bool virtiofs_name_is(const struct virtiofs_name *name, const char *text) {
  size_t len = strlen(text);
  return name->len == len && memcmp(name->str, text, len) == 0;
}
