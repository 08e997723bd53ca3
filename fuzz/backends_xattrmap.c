/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_passthrough_xattrmap_parse, _client, _server. Input: rules, a byte 0, and names, each with its own.
 * No guest's name becomes one that is too long, and what a guest is shown is a part of what the host has. */
#include <errno.h>
#include <stdlib.h>

#include "backends/passthrough/xattrmap.h"
#include "target.h"

static void must(bool so) {
  if (!so)
    abort();
}

static void try_name(const struct xattrmap *map, const char *name) {
  struct xattr_name host;
  bool meant;
  int rc = virtiofs_passthrough_xattrmap_client(map, name, &host);
  must(rc == 0 || rc == -EPERM || rc == -EOPNOTSUPP || rc == -ERANGE);
  must(rc != 0 || strnlen(host.str, sizeof(host.str)) <= PASSTHROUGH_XATTR_NAME_MAX);
  const char *shown = virtiofs_passthrough_xattrmap_server(map, name, &meant);
  must(shown == NULL || (shown >= name && shown <= name + strlen(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = calloc(1, size + 1);
  const char *why = NULL;
  struct xattrmap *map;
  size_t at = 0;
  must(text != NULL);
  if (size > 0)
    memcpy(text, data, size);
  size_t rules = strlen(text);
  int rc = virtiofs_passthrough_xattrmap_parse(&map, text, &why, &at);
  must(rc == 0 || (rc == -EINVAL && why != NULL && at <= rules));
  for (size_t i = rules + 1; rc == 0 && i < size; i += strlen(text + i) + 1)
    try_name(map, text + i);
  if (rc == 0)
    virtiofs_passthrough_xattrmap_free(map);
  free(text);
  return 0;
}
