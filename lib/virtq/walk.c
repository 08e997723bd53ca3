/* SPDX-License-Identifier: BSD-3-Clause */
/* What is unusual in a walk: tables, and buffers that are not where the last one was. */
#include "virtq/walk.h"

bool virtiofs_walk_load_gpa(const struct virtiofs_memory *map, uint64_t gpa, struct virtiofs_walk_raw *raw) {
  unsigned char *to = (unsigned char *)raw;
  uint32_t hint = 0;
  for (uint64_t left = sizeof(*raw); left > 0;) {
    uint64_t piece = left;
    const void *from = virtiofs_memory_gpa(map, gpa, &piece, &hint);
    if (from == NULL)
      return false;
    virtiofs_guest_read(to, from, (size_t)piece);
    to += piece;
    gpa += piece;
    left -= piece;
  }
  return true;
}

const unsigned char *virtiofs_walk_find_table(const struct virtiofs_memory *map, uint64_t gpa, uint64_t *len) {
  uint32_t hint = 0; /* tables and buffers may lie apart: the walk's hint stays the buffers' */
  return virtiofs_memory_gpa(map, gpa, len, &hint);
}

enum virtiofs_walk_result virtiofs_walk_add_pieces(struct virtiofs_walk *walk, uint64_t gpa, uint64_t len) {
  while (len > 0) {
    uint64_t piece = len;
    void *host = virtiofs_memory_gpa(walk->map, gpa, &piece, &walk->hint);
    if (host == NULL) {
      if (!virtiofs_memory_window(walk->map, gpa, &piece) && !walk->holes)
        return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_ADDRESS);
      walk->cut = walk->any_cut = true;
      walk->room = 0;
    }
    if (walk->cut) {
      walk->lost += piece;
    } else {
      if (walk->pieces == walk->capacity)
        return virtiofs_walk_fault(walk, VIRTIOFS_VIRTQ_SEGMENTS);
      walk->iov[walk->pieces++] = (struct iovec){.iov_base = host, .iov_len = (size_t)piece};
    }
    gpa += piece;
    len -= piece;
  }
  virtiofs_walk_set_region(walk);
  return VIRTIOFS_WALK_MORE;
}
