/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "fuse/attr.h"
#include "fuse/table.h"

#define RECORD_ALIGN 8U

static inline uint32_t head_size(bool plus) {
  return plus ? (uint32_t)sizeof(struct virtiofs_wire_direntplus) : (uint32_t)sizeof(struct virtiofs_wire_dirent);
}

static inline uint32_t record_size(uint32_t len, bool plus) {
  return (head_size(plus) + len + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
}

uint32_t virtiofs_fuse_dirent_size(const struct virtiofs_fuse_proto *proto, uint32_t len, bool plus) {
  (void)proto;
  return len > UINT32_MAX - 1024 ? UINT32_MAX : record_size(len, plus);
}

/* Linux fails the whole listing for a name that breaks these. */
static inline bool name_sound(const struct virtiofs_dirent *entry) {
  return entry->len >= 1 && entry->len <= VIRTIOFS_FUSE_NAME_MAX && entry->next <= INT64_MAX &&
         !virtiofs_text_has_separator(entry->name, entry->len);
}

bool virtiofs_fuse_dirent_sound(const struct virtiofs_dirent *entry, const struct virtiofs_entry_out *plus) {
  return name_sound(entry) && (plus == NULL || virtiofs_fuse_entry_sound(plus));
}

/* What lies at the cursor is the next piece; nothing is written at once where a record must not be built in place. */
static void settle(struct virtiofs_fuse_dirents *list, struct virtiofs_cursor cur) {
  size_t near = 0;
  while (cur.left > 0 && cur.at == cur.iov->iov_len) {
    cur.iov++;
    cur.count--;
    cur.at = 0;
  }
  list->iov = cur.iov;
  list->count = cur.count;
  list->size = list->room - cur.left;
  list->to = cur.left > 0 ? (unsigned char *)cur.iov->iov_base + cur.at : NULL;
  if (cur.left > 0 && !list->swapped && (uintptr_t)list->to % RECORD_ALIGN == 0)
    near = cur.iov->iov_len - cur.at < cur.left ? cur.iov->iov_len - cur.at : cur.left;
  list->piece = list->to;
  list->end = near > 0 ? list->to + near : list->to;
}

static struct virtiofs_cursor cursor_of(const struct virtiofs_fuse_dirents *list) {
  struct virtiofs_cursor cur = {.iov = list->iov, .count = list->count};
  cur.left = list->room - virtiofs_fuse_dirents_size(list);
  if (cur.left > 0)
    cur.at = (size_t)(list->to - (unsigned char *)list->iov->iov_base);
  return cur;
}

void virtiofs_fuse_dirents_init(struct virtiofs_fuse_dirents *list, const struct virtiofs_fuse_proto *proto,
                                const struct virtiofs_data *room) {
  *list = (struct virtiofs_fuse_dirents){.room = room->size, .swapped = proto->swapped};
  settle(list, (struct virtiofs_cursor){.iov = room->iov, .count = room->count, .left = room->size});
}

/* Writes each byte and reads none: it may lie in the guest. */
static inline void put_dirent(struct virtiofs_wire_dirent *wire, const struct virtiofs_dirent *entry) {
  wire->ino = entry->ino;
  wire->off = entry->next;
  wire->namelen = entry->len;
  wire->type = (entry->type & VIRTIOFS_S_IFMT) >> 12;
}

/* All of a listing are mostly valid for the same time: divided once, that is. */
static inline void put_valid(struct virtiofs_wire_entry_out *wire, struct virtiofs_fuse_dirents *list,
                             const struct virtiofs_entry_out *plus) {
  uint64_t valid_ns = plus->entry_valid_ns, attr_valid_ns = plus->attr_valid_ns;
  if (__builtin_expect(valid_ns != list->valid_ns, 0)) {
    list->valid_ns = valid_ns;
    virtiofs_fuse_valid_encode(valid_ns, &list->valid_sec, &list->valid_nsec);
  }
  uint64_t sec = list->valid_sec;
  uint32_t nsec = list->valid_nsec;
  wire->entry_valid = sec;
  wire->entry_valid_nsec = nsec;
  if (__builtin_expect(valid_ns != attr_valid_ns, 0))
    virtiofs_fuse_valid_encode(attr_valid_ns, &sec, &nsec);
  wire->attr_valid = sec;
  wire->attr_valid_nsec = nsec;
}

/* Of a node that is given. */
static inline void put_plus(struct virtiofs_wire_entry_out *wire, struct virtiofs_fuse_dirents *list,
                            const struct virtiofs_entry_out *plus) {
  wire->nodeid = plus->node;
  wire->generation = 0;
  put_valid(wire, list, plus);
  virtiofs_fuse_attr_put(&wire->attr, &plus->attr);
}

/* For a driver of the other byte order, or where the record isn't whole and aligned in one segment. */
__attribute__((noinline)) static bool add_far(struct virtiofs_fuse_dirents *list, const struct virtiofs_dirent *entry,
                                              const struct virtiofs_entry_out *plus, size_t size) {
  static const char zeros[RECORD_ALIGN];
  struct virtiofs_wire_direntplus head;
  struct virtiofs_cursor cur = cursor_of(list);
  if (cur.left < size)
    return false;
  put_dirent(&head.dirent, entry);
  if (list->swapped)
    virtiofs_wire_swap(&head.dirent, sizeof(head.dirent), VIRTIOFS_LAYOUT_DIRENT);
  if (plus != NULL) {
    if (plus->node != 0)
      put_plus(&head.entry, list, plus);
    else
      memset(&head.entry, 0, sizeof(head.entry));
    if (list->swapped)
      virtiofs_wire_swap(&head.entry, sizeof(head.entry), VIRTIOFS_LAYOUT_ENTRY);
    (void)virtiofs_cursor_write(&cur, &head.entry, sizeof(head.entry));
  }
  (void)virtiofs_cursor_write(&cur, &head.dirent, sizeof(head.dirent));
  (void)virtiofs_cursor_write(&cur, entry->name, entry->len);
  (void)virtiofs_cursor_write(&cur, zeros, size - head_size(plus != NULL) - entry->len);
  settle(list, cur);
  return true;
}

/* Can a record be built at once where it goes to? The guest may look on. */
static inline bool is_near(const struct virtiofs_fuse_dirents *list, size_t size) {
  return size <= (size_t)(list->end - list->to);
}

static inline unsigned char *take_near(struct virtiofs_fuse_dirents *list, size_t size) {
  unsigned char *to = list->to;
  list->to = to + size;
  memset(to + size - RECORD_ALIGN, 0, RECORD_ALIGN);
  return to;
}

static inline void put_named(unsigned char *to, const struct virtiofs_dirent *entry) {
  put_dirent((struct virtiofs_wire_dirent *)(void *)to, entry);
  virtiofs_text_copy(to + sizeof(struct virtiofs_wire_dirent), entry->name, entry->len);
}

/* A name alone, @plus is NULL or says nothing. */
static bool add_name(struct virtiofs_fuse_dirents *list, const struct virtiofs_dirent *entry,
                     const struct virtiofs_entry_out *plus) {
  size_t size = record_size(entry->len, plus != NULL);
  if (!is_near(list, size))
    return add_far(list, entry, plus, size);
  unsigned char *to = take_near(list, size);
  if (plus != NULL) {
    memset(to, 0, sizeof(struct virtiofs_wire_entry_out));
    to += sizeof(struct virtiofs_wire_entry_out);
  }
  put_named(to, entry);
  return true;
}

bool virtiofs_fuse_dirents_add(struct virtiofs_fuse_dirents *list, const struct virtiofs_dirent *entry,
                               const struct virtiofs_entry_out *plus) {
  if (!name_sound(entry))
    return false;
  if (plus == NULL || plus->node == 0)
    return add_name(list, entry, plus);
  if (!virtiofs_fuse_attr_sound(&plus->attr))
    return false;
  size_t size = record_size(entry->len, true);
  if (!is_near(list, size))
    return add_far(list, entry, plus, size);
  unsigned char *to = take_near(list, size);
  put_plus((struct virtiofs_wire_entry_out *)(void *)to, list, plus);
  put_named(to + sizeof(struct virtiofs_wire_entry_out), entry);
  return true;
}
