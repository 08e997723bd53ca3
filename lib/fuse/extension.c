/* SPDX-License-Identifier: BSD-3-Clause */
/* Extensions at the end of requests that make something: security contexts and groups. */
#include <errno.h>
#include <string.h>

#include "fuse/table.h"

#define ALIGN 8U

struct reader {
  const unsigned char *at;
  size_t left;
};

static bool take(struct reader *from, void *to, size_t size) {
  if (from->left < size)
    return false;
  memcpy(to, from->at, size);
  from->at += size;
  from->left -= size;
  return true;
}

/* One context: its record is taken off @from. False if it is malformed. */
static bool take_context(struct reader *from, struct virtiofs_extension *ext) {
  struct virtiofs_wire_secctx head;
  const unsigned char *begin = from->at;
  if (!take(from, &head, sizeof(head)))
    return false;
  const unsigned char *end = memchr(from->at, 0, from->left);
  if (end == NULL || end == from->at || end - from->at > (ptrdiff_t)VIRTIOFS_FUSE_NAME_MAX)
    return false;
  ext->kind = VIRTIOFS_EXTENSION_SECURITY;
  ext->name = (struct virtiofs_name){.str = (const char *)from->at, .len = (uint32_t)(end - from->at)};
  from->left -= ext->name.len + 1U;
  from->at = end + 1;
  if (head.size > from->left)
    return false;
  ext->value = from->at;
  ext->size = head.size;
  from->at += head.size;
  from->left -= head.size;
  size_t over = (size_t)(from->at - begin) % ALIGN;
  size_t padding = over != 0 ? ALIGN - over : 0;
  if (padding > from->left)
    return false;
  from->at += padding;
  from->left -= padding;
  return true;
}

/* False if it is malformed. */
static bool take_groups(struct reader *from, struct virtiofs_extension *ext) {
  uint32_t count;
  if (!take(from, &count, sizeof(count)) || count == 0 || count > from->left / sizeof(uint32_t))
    return false;
  ext->kind = VIRTIOFS_EXTENSION_GROUPS;
  ext->count = count;
  uint32_t most = sizeof(ext->groups) / sizeof(ext->groups[0]);
  return take(from, ext->groups, (count < most ? count : most) * sizeof(uint32_t));
}

static void swap_words(unsigned char *at, size_t size, bool now) {
  if (now)
    virtiofs_wire_swap(at, size, "4");
}

/* The words of a body in another byte order are swapped to the host's before they are looked at, or from it afterwards.
 */
static bool check_groups(unsigned char *at, uint32_t size, enum virtiofs_fuse_order order) {
  struct virtiofs_extension ext;
  struct reader body = {.at = at, .left = size};
  swap_words(at, size, order == VIRTIOFS_FUSE_TO_HOST);
  if (!take_groups(&body, &ext))
    return false;
  swap_words(at, size, order == VIRTIOFS_FUSE_FROM_HOST);
  return true;
}

static bool check_contexts(unsigned char *at, uint32_t size, uint32_t count, enum virtiofs_fuse_order order) {
  struct virtiofs_extension ext;
  struct reader body = {.at = at, .left = size};
  for (uint32_t i = 0; i < count; i++) {
    unsigned char *head = at + (size - body.left);
    size_t words = sizeof(struct virtiofs_wire_secctx);
    if (body.left < words)
      return false;
    swap_words(head, words, order == VIRTIOFS_FUSE_TO_HOST);
    if (!take_context(&body, &ext))
      return false;
    swap_words(head, words, order == VIRTIOFS_FUSE_FROM_HOST);
  }
  return count == 0 || body.left == 0;
}

/* Each kind once; @left are the flags of those that may still come. */
static bool check_body(unsigned char *at, uint32_t size, uint32_t type, enum virtiofs_fuse_order order,
                       uint64_t *left) {
  if (type > VIRTIOFS_WIRE_EXT_GROUPS)
    return true;
  bool groups = type == VIRTIOFS_WIRE_EXT_GROUPS;
  uint64_t flag = groups ? VIRTIOFS_FUSE_CREATE_SUPP_GROUP : VIRTIOFS_FUSE_SECURITY_CTX;
  if ((*left & flag) == 0)
    return false;
  *left &= ~flag;
  return groups ? check_groups(at, size, order) : check_contexts(at, size, type, order);
}

bool virtiofs_fuse_check_extensions(const struct virtiofs_fuse_proto *proto, unsigned char *bytes, uint32_t size,
                                    enum virtiofs_fuse_order order) {
  uint64_t left = proto->flags;
  for (uint32_t at = 0; at < size;) {
    struct virtiofs_wire_ext_header head;
    if (size - at < sizeof(head))
      return false;
    swap_words(bytes + at, sizeof(head), order == VIRTIOFS_FUSE_TO_HOST);
    memcpy(&head, bytes + at, sizeof(head));
    swap_words(bytes + at, sizeof(head), order == VIRTIOFS_FUSE_FROM_HOST);
    if (head.size < sizeof(head) || head.size % ALIGN != 0 || head.size > size - at)
      return false;
    if (!check_body(bytes + at + sizeof(head), head.size - (uint32_t)sizeof(head), head.type, order, &left))
      return false;
    at += head.size;
  }
  return true;
}

int virtiofs_fuse_get_extensions(struct virtiofs_fuse_decoder *dec, struct virtiofs_extensions *extensions) {
  unsigned char *bytes = dec->req->extensions;
  uint32_t size = dec->extensions;
  *extensions = (struct virtiofs_extensions){.bytes = bytes, .size = size};
  if (size == 0)
    return 0;
  if (size > sizeof(dec->req->extensions))
    return -E2BIG;
  /* They begin so many bytes before the end, whatever stands before. */
  size_t gap = dec->cur->left;
  dec->cur->left += size;
  (void)virtiofs_cursor_skip(dec->cur, gap);
  (void)virtiofs_cursor_read(dec->cur, bytes, size);
  enum virtiofs_fuse_order order = dec->req->header.swapped ? VIRTIOFS_FUSE_TO_HOST : VIRTIOFS_FUSE_HOST;
  return virtiofs_fuse_check_extensions(dec->proto, bytes, size, order) ? 0 : -EINVAL;
}

/* All of it has been checked; @contexts are left of the extension that @at is in. */
bool virtiofs_extensions_next(struct virtiofs_extensions *all, struct virtiofs_extension *ext) {
  const unsigned char *bytes = all->bytes;
  memset(ext, 0, sizeof(*ext));
  while (all->at < all->size) {
    struct reader from = {.at = bytes + all->at, .left = all->size - all->at};
    if (all->contexts > 0) {
      all->contexts--;
      if (!take_context(&from, ext))
        return false;
      all->at = all->size - (uint32_t)from.left;
      return true;
    }
    struct virtiofs_wire_ext_header head;
    /* The second never happens to what was checked, and would never end. */
    if (!take(&from, &head, sizeof(head)) || head.size < sizeof(head))
      return false;
    if (head.type <= VIRTIOFS_WIRE_EXT_CONTEXTS_MAX) {
      all->contexts = head.type;
      all->at += (uint32_t)sizeof(head);
      if (head.type == 0)
        all->at += head.size - (uint32_t)sizeof(head);
      continue;
    }
    all->at += head.size;
    if (head.type == VIRTIOFS_WIRE_EXT_GROUPS)
      return take_groups(&from, ext);
  }
  return false;
}
