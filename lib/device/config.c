/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/config.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

int virtiofs_config_space_init(struct virtiofs_config_space *config, const char *tag, uint32_t request_queues) {
  memset(config, 0, sizeof(*config));
  config->num_request_queues = htole32(request_queues);
  if (tag == NULL)
    return 0;
  size_t len = strlen(tag);
  if (len == 0 || len > VIRTIOFS_TAG_MAX || strchr(tag, '\n') != NULL)
    return -EINVAL;
  memcpy(config->tag, tag, len);
  return 0;
}

int virtiofs_config_space_read(const struct virtiofs_config_space *config, uint32_t offset, uint32_t size, void *data) {
  if (offset > sizeof(*config) || size > sizeof(*config) - offset)
    return -EINVAL;
  memcpy(data, (const unsigned char *)config + offset, size);
  return 0;
}
