/* SPDX-License-Identifier: BSD-3-Clause */
/** Structs that the calling program fills and whose first field is their size. */
#ifndef VIRTIOFS_LIB_BASE_CONFIG_H
#define VIRTIOFS_LIB_BASE_CONFIG_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/**
 * Copies a caller's struct: a shorter one is filled with zeros, a longer one must be zero where we know nothing of.
 * Returns 0; -EINVAL without a size; -E2BIG if the caller asks for what this library doesn't have.
 */
static inline int virtiofs_config_copy(void *dst, size_t dst_size, const void *src, size_t src_size) {
  const unsigned char *from = src;
  if (src == NULL || src_size < sizeof(size_t))
    return -EINVAL;
  for (size_t i = dst_size; i < src_size; i++)
    if (from[i] != 0)
      return -E2BIG;
  memset(dst, 0, dst_size);
  memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
  return 0;
}

#endif
