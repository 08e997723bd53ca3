/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/init.h"

#include <errno.h>

#define PAGE 4096U
/* What Linux takes without MAX_PAGES. */
#define DEFAULT_PAGES 32U
/* The virtqueue's size is the limit, not a count of ours. */
#define MAX_BACKGROUND UINT16_MAX

int virtiofs_fuse_init_negotiate(const struct virtiofs_fuse_init_in *in, const struct virtiofs_fuse_init_wants *wants,
                                 struct virtiofs_fuse_init_out *out, struct virtiofs_fuse_proto *proto) {
  *out = (struct virtiofs_fuse_init_out){.major = VIRTIOFS_FUSE_MAJOR, .minor = VIRTIOFS_FUSE_MINOR};
  *proto = (struct virtiofs_fuse_proto){.swapped = wants->swapped, .minor = VIRTIOFS_FUSE_MINOR};
  if (in->major > VIRTIOFS_FUSE_MAJOR)
    return 0;
  if (in->major < VIRTIOFS_FUSE_MAJOR)
    return -EPROTO;
  proto->agreed = true;
  proto->minor = in->minor < VIRTIOFS_FUSE_MINOR ? in->minor : VIRTIOFS_FUSE_MINOR;

  out->flags = in->flags & wants->flags & ~(VIRTIOFS_FUSE_INIT_EXT | VIRTIOFS_FUSE_INIT_RESERVED);
  /* The second word is looked at only if we say so. */
  if (out->flags >> 32 != 0)
    out->flags |= VIRTIOFS_FUSE_INIT_EXT;
  proto->setxattr_ext = (out->flags & VIRTIOFS_FUSE_SETXATTR_EXT) != 0;
  uint32_t pages = wants->max_write / PAGE + (wants->max_write % PAGE != 0);
  if ((out->flags & VIRTIOFS_FUSE_MAX_PAGES) == 0 && pages > DEFAULT_PAGES)
    pages = DEFAULT_PAGES;
  if (pages > UINT16_MAX)
    pages = UINT16_MAX;
  out->max_write = pages * PAGE < wants->max_write ? pages * PAGE : wants->max_write;
  out->max_pages = (uint16_t)pages;
  out->max_readahead = in->max_readahead;
  out->max_background = MAX_BACKGROUND;
  out->congestion_threshold = MAX_BACKGROUND / 4 * 3;
  out->time_gran = wants->time_gran;
  if ((out->flags & VIRTIOFS_FUSE_MAP_ALIGNMENT) != 0)
    out->map_alignment = wants->map_alignment;
  return 0;
}
