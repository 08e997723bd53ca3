/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/swap.h"

static void swap_one(unsigned char *at, size_t width) {
  for (size_t i = 0; i < width / 2; i++) {
    unsigned char low = at[i];
    at[i] = at[width - 1 - i];
    at[width - 1 - i] = low;
  }
}

void virtiofs_wire_swap(void *bytes, size_t size, virtiofs_wire_layout layout) {
  unsigned char *at = bytes;
  size_t width = (size_t)(*layout - '0');
  while (size >= width) {
    swap_one(at, width);
    at += width;
    size -= width;
    if (layout[1] != 0)
      width = (size_t)(*++layout - '0');
  }
}
