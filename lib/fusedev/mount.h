/* SPDX-License-Identifier: BSD-3-Clause */
/** A mount and what its channels need of it. */
#ifndef VIRTIOFS_LIB_FUSEDEV_MOUNT_H
#define VIRTIOFS_LIB_FUSEDEV_MOUNT_H

#include <virtiofs/fusedev.h>

struct virtiofs_fusedev {
  int fd;
  char *mountpoint; /* absolute */
  bool mounted;     /* as far as we know */
  uint32_t max_write, message_data, messages;
  void *(*pages)(void *ctx, size_t bytes); /* NULL: our own */
  void *pages_ctx;
};

#endif
