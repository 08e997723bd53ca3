/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications, both ways. A virtio driver gets them only with VIRTIO_FS_F_NOTIFICATION. */
#include <errno.h>
#include <string.h>

#include "fuse/table.h"

union payload {
  struct virtiofs_wire_notify_poll poll;
  struct virtiofs_wire_notify_inval_inode inval_inode;
  struct virtiofs_wire_notify_inval_entry inval_entry;
  struct virtiofs_wire_notify_delete deleted;
  struct virtiofs_wire_notify_store store;
  struct virtiofs_wire_notify_retrieve retrieve;
  struct virtiofs_wire_notify_prune prune;
};

struct kind {
  const char *name;
  virtiofs_wire_layout layout;
  uint8_t size;  /* of the fixed part */
  uint8_t since; /* minor */
  uint8_t each;  /* bytes of one of the things that follow, as many as struct virtiofs_fuse_notify.size says */
  bool named;
};

#define SIZE(type) sizeof(struct virtiofs_wire_notify_##type)

static const struct kind kinds[] = {
    [VIRTIOFS_FUSE_NOTIFY_POLL] = {"POLL", "8", SIZE(poll), 11, 0, false},
    [VIRTIOFS_FUSE_NOTIFY_INVAL_INODE] = {"INVAL_INODE", "8", SIZE(inval_inode), 12, 0, false},
    [VIRTIOFS_FUSE_NOTIFY_INVAL_ENTRY] = {"INVAL_ENTRY", "84", SIZE(inval_entry), 12, 0, true},
    [VIRTIOFS_FUSE_NOTIFY_STORE] = {"STORE", "884", SIZE(store), 15, 1, false},
    [VIRTIOFS_FUSE_NOTIFY_RETRIEVE] = {"RETRIEVE", "8884", SIZE(retrieve), 15, 0, false},
    [VIRTIOFS_FUSE_NOTIFY_DELETE] = {"DELETE", "884", SIZE(delete), 18, 0, true},
    [VIRTIOFS_FUSE_NOTIFY_RESEND] = {"RESEND", NULL, 0, 40, 0, false},
    [VIRTIOFS_FUSE_NOTIFY_INC_EPOCH] = {"INC_EPOCH", NULL, 0, 44, 0, false},
    [VIRTIOFS_FUSE_NOTIFY_PRUNE] = {"PRUNE", "448", SIZE(prune), 45, 8, false},
};

static const struct kind *kind_of(uint32_t code) {
  return code < sizeof(kinds) / sizeof(kinds[0]) && kinds[code].name != NULL ? &kinds[code] : NULL;
}

const char *virtiofs_fuse_notify_name(uint32_t code) {
  const struct kind *kind = kind_of(code);
  return kind != NULL ? kind->name : "?";
}

static void put(union payload *wire, const struct virtiofs_fuse_notify *notify) {
  memset(wire, 0, sizeof(*wire));
  switch (notify->code) {
  case VIRTIOFS_FUSE_NOTIFY_POLL:
    wire->poll.kh = notify->kh;
    return;
  case VIRTIOFS_FUSE_NOTIFY_INVAL_INODE:
    wire->inval_inode = (struct virtiofs_wire_notify_inval_inode){notify->node, notify->offset, notify->length};
    return;
  case VIRTIOFS_FUSE_NOTIFY_INVAL_ENTRY:
    wire->inval_entry = (struct virtiofs_wire_notify_inval_entry){notify->node, notify->name.len, notify->flags};
    return;
  case VIRTIOFS_FUSE_NOTIFY_DELETE:
    wire->deleted = (struct virtiofs_wire_notify_delete){notify->node, notify->child, notify->name.len, 0};
    return;
  case VIRTIOFS_FUSE_NOTIFY_STORE:
    wire->store = (struct virtiofs_wire_notify_store){notify->node, (uint64_t)notify->offset, notify->size, 0};
    return;
  case VIRTIOFS_FUSE_NOTIFY_RETRIEVE:
    wire->retrieve =
        (struct virtiofs_wire_notify_retrieve){notify->unique, notify->node, (uint64_t)notify->offset, notify->size, 0};
    return;
  case VIRTIOFS_FUSE_NOTIFY_PRUNE:
    wire->prune.count = notify->size;
    return;
  default:
    return;
  }
}

static bool sound_name(const char *str, uint32_t len) {
  return len > 0 && len <= VIRTIOFS_FUSE_NAME_MAX && memchr(str, '/', len) == NULL && memchr(str, 0, len) == NULL;
}

ssize_t virtiofs_fuse_notify_encode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_notify *notify,
                                    const struct iovec *iov, uint32_t count) {
  const struct kind *kind = kind_of(notify->code);
  const struct virtiofs_name *name = &notify->name;
  union payload wire;
  struct virtiofs_cursor cur;
  if (kind == NULL || proto->minor < kind->since)
    return -EINVAL;
  if (kind->named && !sound_name(name->str, name->len))
    return -EINVAL;
  size_t own = VIRTIOFS_FUSE_OUT_HEADER + kind->size + (kind->named ? name->len + 1U : 0U);
  uint64_t all = own + (uint64_t)notify->size * kind->each;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (all > cur.left || all > UINT32_MAX)
    return -ENOSPC;
  struct virtiofs_wire_out_header header = {.len = (uint32_t)all, .error = (int32_t)notify->code};
  put(&wire, notify);
  if (proto->swapped) {
    virtiofs_wire_swap(&header, sizeof(header), VIRTIOFS_LAYOUT_OUT_HEADER);
    if (kind->size > 0)
      virtiofs_wire_swap(&wire, kind->size, kind->layout);
  }
  (void)virtiofs_cursor_write(&cur, &header, sizeof(header));
  (void)virtiofs_cursor_write(&cur, &wire, kind->size);
  if (kind->named) {
    (void)virtiofs_cursor_write(&cur, name->str, name->len);
    (void)virtiofs_cursor_zero(&cur, 1);
  }
  return (ssize_t)own;
}

/* Returns the length that a name must have. */
static uint32_t get(struct virtiofs_fuse_notify *notify, const union payload *wire) {
  switch (notify->code) {
  case VIRTIOFS_FUSE_NOTIFY_POLL:
    notify->kh = wire->poll.kh;
    return 0;
  case VIRTIOFS_FUSE_NOTIFY_INVAL_INODE:
    notify->node = wire->inval_inode.ino;
    notify->offset = wire->inval_inode.off;
    notify->length = wire->inval_inode.len;
    return 0;
  case VIRTIOFS_FUSE_NOTIFY_INVAL_ENTRY:
    notify->node = wire->inval_entry.parent;
    notify->flags = wire->inval_entry.flags;
    return wire->inval_entry.namelen;
  case VIRTIOFS_FUSE_NOTIFY_DELETE:
    notify->node = wire->deleted.parent;
    notify->child = wire->deleted.child;
    return wire->deleted.namelen;
  case VIRTIOFS_FUSE_NOTIFY_STORE:
    notify->node = wire->store.nodeid;
    notify->offset = (int64_t)wire->store.offset;
    notify->size = wire->store.size;
    return 0;
  case VIRTIOFS_FUSE_NOTIFY_RETRIEVE:
    notify->unique = wire->retrieve.notify_unique;
    notify->node = wire->retrieve.nodeid;
    notify->offset = (int64_t)wire->retrieve.offset;
    notify->size = wire->retrieve.size;
    return 0;
  case VIRTIOFS_FUSE_NOTIFY_PRUNE:
    notify->size = wire->prune.count;
    return 0;
  default:
    return 0;
  }
}

static bool get_name(struct virtiofs_cursor *cur, struct virtiofs_name *name, char *storage, uint32_t len) {
  if (len == 0 || len > VIRTIOFS_FUSE_NAME_MAX)
    return false;
  if (virtiofs_cursor_read_string(cur, storage, len + 1U) != (ptrdiff_t)len)
    return false;
  *name = (struct virtiofs_name){.str = storage, .len = len};
  return memchr(storage, '/', len) == NULL;
}

ssize_t virtiofs_fuse_notify_decode(const struct virtiofs_fuse_proto *proto, struct virtiofs_fuse_notify *notify,
                                    char *storage, const struct iovec *iov, uint32_t count, size_t used) {
  struct virtiofs_wire_out_header header;
  union payload wire;
  struct virtiofs_cursor cur;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (cur.left < used || used < sizeof(header) || !virtiofs_cursor_read(&cur, &header, sizeof(header)))
    return -EPROTO;
  if (proto->swapped)
    virtiofs_wire_swap(&header, sizeof(header), VIRTIOFS_LAYOUT_OUT_HEADER);
  const struct kind *kind = header.error > 0 ? kind_of((uint32_t)header.error) : NULL;
  if (kind == NULL || header.unique != 0 || header.len != used)
    return -EPROTO;
  cur.left = used - sizeof(header);
  if (!virtiofs_cursor_read(&cur, &wire, kind->size))
    return -EPROTO;
  if (proto->swapped && kind->size > 0)
    virtiofs_wire_swap(&wire, kind->size, kind->layout);
  *notify = (struct virtiofs_fuse_notify){.code = (uint32_t)header.error};
  uint32_t name = get(notify, &wire);
  if (kind->named && !get_name(&cur, &notify->name, storage, name))
    return -EPROTO;
  if (cur.left != (uint64_t)notify->size * kind->each)
    return -EPROTO;
  return (ssize_t)(used - cur.left);
}
