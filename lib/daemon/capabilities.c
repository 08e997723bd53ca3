/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/capabilities.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

static char *make(const char *const *features) {
  char *text = NULL;
  cJSON *object = cJSON_CreateObject();
  cJSON *type = cJSON_AddStringToObject(object, "type", "fs");
  cJSON *list = cJSON_AddArrayToObject(object, "features");
  bool whole = type != NULL && list != NULL;
  for (; whole && features != NULL && *features != NULL; features++)
    whole = cJSON_AddItemToArray(list, cJSON_CreateString(*features)) != 0;
  if (whole)
    text = cJSON_Print(object);
  cJSON_Delete(object);
  return text;
}

int virtiofs_daemon_print_capabilities(const char *const *features) {
  char *text = make(features);
  if (text == NULL)
    return -ENOMEM;
  int rc = puts(text) < 0 || fflush(stdout) != 0 ? -EIO : 0;
  cJSON_free(text);
  return rc;
}
