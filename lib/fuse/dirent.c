/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

#define RECORD_ALIGN 8U

static uint32_t head_size(bool plus) {
  return plus ? (uint32_t)sizeof(struct virtiofs_wire_direntplus) : (uint32_t)sizeof(struct virtiofs_wire_dirent);
}

uint32_t virtiofs_fuse_dirent_size(const struct virtiofs_fuse_proto *proto, uint32_t len, bool plus) {
  (void)proto;
  if (len > UINT32_MAX - 1024)
    return UINT32_MAX;
  return (head_size(plus) + len + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
}

/* Linux fails the whole listing for a name that breaks these. */
static bool sound(const struct virtiofs_dirent *entry) {
  return entry->len >= 1 && entry->len <= VIRTIOFS_FUSE_NAME_MAX && entry->next <= INT64_MAX &&
         memchr(entry->name, '/', entry->len) == NULL && memchr(entry->name, 0, entry->len) == NULL;
}

ssize_t virtiofs_fuse_dirent_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_data *dir,
                                    size_t used, const struct virtiofs_dirent *entry,
                                    const struct virtiofs_entry_out *plus) {
  struct virtiofs_wire_direntplus head;
  if (plus != NULL)
    memset(&head.entry, 0, sizeof(head.entry));
  if (!sound(entry))
    return -EINVAL;
  if (plus != NULL && plus->node != 0 && !virtiofs_fuse_entry_encode(&head.entry, plus))
    return -EINVAL;
  head.dirent.ino = entry->ino;
  head.dirent.off = entry->next;
  head.dirent.namelen = entry->len;
  head.dirent.type = (entry->type & VIRTIOFS_S_IFMT) >> 12;

  struct virtiofs_cursor cur;
  uint32_t size = virtiofs_fuse_dirent_size(proto, entry->len, plus != NULL);
  virtiofs_cursor_init(&cur, dir->iov, dir->count, dir->size);
  if (!virtiofs_cursor_skip(&cur, used) || cur.left < size)
    return 0;
  if (proto->swapped && plus != NULL)
    virtiofs_wire_swap(&head.entry, sizeof(head.entry), VIRTIOFS_LAYOUT_ENTRY);
  if (proto->swapped)
    virtiofs_wire_swap(&head.dirent, sizeof(head.dirent), VIRTIOFS_LAYOUT_DIRENT);
  if (plus != NULL)
    (void)virtiofs_cursor_write(&cur, &head, sizeof(head));
  else
    (void)virtiofs_cursor_write(&cur, &head.dirent, sizeof(head.dirent));
  (void)virtiofs_cursor_write(&cur, entry->name, entry->len);
  (void)virtiofs_cursor_zero(&cur, size - head_size(plus != NULL) - entry->len);
  return (ssize_t)size;
}
