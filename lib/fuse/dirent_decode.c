/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of listings. A server may lie as a guest may. */
#include <errno.h>

#include "base/text.h"
#include "fuse/attr.h"
#include "fuse/table.h"

#define RECORD_ALIGN 8U

static bool get_entry(struct virtiofs_cursor *cur, const struct virtiofs_fuse_proto *proto,
                      struct virtiofs_entry_out *plus) {
  struct virtiofs_wire_entry_out wire;
  (void)virtiofs_cursor_read(cur, &wire, sizeof(wire));
  if (proto->swapped)
    virtiofs_wire_swap(&wire, sizeof(wire), VIRTIOFS_LAYOUT_ENTRY);
  return virtiofs_fuse_entry_decode(plus, &wire);
}

ssize_t virtiofs_fuse_dirent_decode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_data *listing,
                                    size_t at, char *name, struct virtiofs_dirent *entry,
                                    struct virtiofs_entry_out *plus) {
  struct virtiofs_cursor cur;
  struct virtiofs_wire_dirent wire;
  size_t head = sizeof(wire) + (plus != NULL ? sizeof(struct virtiofs_wire_entry_out) : 0);
  virtiofs_cursor_init(&cur, listing->iov, listing->count, listing->size);
  if (!virtiofs_cursor_skip(&cur, at) || cur.left < head)
    return 0;
  size_t left = cur.left;
  bool sound = plus == NULL || get_entry(&cur, proto, plus);
  (void)virtiofs_cursor_read(&cur, &wire, sizeof(wire));
  if (proto->swapped)
    virtiofs_wire_swap(&wire, sizeof(wire), VIRTIOFS_LAYOUT_DIRENT);
  if (!sound || wire.namelen == 0 || wire.namelen > VIRTIOFS_FUSE_NAME_MAX || wire.off > INT64_MAX || wire.type > 15)
    return -EPROTO;
  size_t size = (head + wire.namelen + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
  if (left < size)
    return 0;
  (void)virtiofs_cursor_read(&cur, name, wire.namelen);
  if (virtiofs_text_has_separator(name, wire.namelen))
    return -EPROTO;
  *entry = (struct virtiofs_dirent){
      .name = name, .len = wire.namelen, .ino = wire.ino, .type = wire.type << 12, .next = wire.off};
  return (ssize_t)size;
}
