/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/init.h"

#include <errno.h>

#include "fuse/init_flags.h"

#define PAGE 4096U
#define NS_PER_SEC 1000000000U
/* What Linux takes without MAX_PAGES. */
#define DEFAULT_PAGES 32U
/* The virtqueue's size is the limit, not a count of ours. */
#define MAX_BACKGROUND UINT16_MAX
/* What Linux takes if the server doesn't say. */
#define DEFAULT_BACKGROUND 12U
/* log2 of the 2 MiB that Linux maps at once. */
#define MAP_ALIGNMENT_MAX 21U
/* Which fields INIT's reply has depends on the minor. */
enum { HAS_FLAGS = 5, HAS_BACKGROUND = 13, HAS_TAIL = 23 };

static uint32_t lower(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* The second word counts only if both words say that it is there. */
static uint64_t offered(const struct virtiofs_fuse_init_in *in) {
  return (in->flags & VIRTIOFS_FUSE_INIT_EXT) != 0 ? in->flags : in->flags & UINT32_MAX;
}

/* ---- the server's end ---- */

static uint64_t takes(const struct virtiofs_fuse_init_wants *wants, uint32_t minor) {
  uint64_t flags = wants->flags & (virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_ALWAYS) |
                                   virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPS) |
                                   virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPT_IN));
  flags |= VIRTIOFS_FUSE_MAX_PAGES;
  if (wants->map_alignment != 0)
    flags |= VIRTIOFS_FUSE_MAP_ALIGNMENT;
  if (wants->request_timeout != 0)
    flags |= VIRTIOFS_FUSE_REQUEST_TIMEOUT;
  /* Before 7.17 one flag stood for the locks of fcntl(2) and of flock(2). */
  if (minor < 17 && (wants->flags & VIRTIOFS_FUSE_FLOCK_LOCKS) == 0)
    flags &= ~VIRTIOFS_FUSE_POSIX_LOCKS;
  return flags;
}

static void put_sizes(const struct virtiofs_fuse_init_wants *wants, struct virtiofs_fuse_init_out *out) {
  uint32_t pages = wants->max_write / PAGE + (wants->max_write % PAGE != 0);
  bool may_say = (out->flags & VIRTIOFS_FUSE_MAX_PAGES) != 0;
  pages = lower(pages, may_say ? UINT16_MAX : DEFAULT_PAGES);
  out->max_write = lower(pages * PAGE, wants->max_write);
  out->max_pages = (uint16_t)pages;
}

int virtiofs_fuse_init_negotiate(const struct virtiofs_fuse_init_in *in, const struct virtiofs_fuse_init_wants *wants,
                                 struct virtiofs_fuse_init_out *out, struct virtiofs_fuse_proto *proto) {
  *out = (struct virtiofs_fuse_init_out){.major = VIRTIOFS_FUSE_MAJOR, .minor = VIRTIOFS_FUSE_MINOR};
  *proto = (struct virtiofs_fuse_proto){.swapped = wants->swapped, .minor = VIRTIOFS_FUSE_MINOR};
  if (in->major > VIRTIOFS_FUSE_MAJOR)
    return 0;
  if (in->major < VIRTIOFS_FUSE_MAJOR)
    return -EPROTO;
  proto->agreed = true;
  proto->minor = lower(in->minor, VIRTIOFS_FUSE_MINOR);

  out->flags = virtiofs_fuse_init_agreeable(offered(in) & takes(wants, proto->minor), proto->minor);
  if (out->flags >> 32 != 0)
    out->flags |= VIRTIOFS_FUSE_INIT_EXT;
  proto->flags = out->flags;
  put_sizes(wants, out);
  if (proto->minor < HAS_FLAGS)
    out->max_write = PAGE;
  out->max_readahead = in->max_readahead;
  out->max_background = MAX_BACKGROUND;
  out->congestion_threshold = MAX_BACKGROUND / 4 * 3;
  out->time_gran = wants->time_gran;
  if ((out->flags & VIRTIOFS_FUSE_MAP_ALIGNMENT) != 0)
    out->map_alignment = wants->map_alignment;
  if ((out->flags & VIRTIOFS_FUSE_REQUEST_TIMEOUT) != 0)
    out->request_timeout = wants->request_timeout;
  return 0;
}

/* ---- the driver's end ---- */

void virtiofs_fuse_init_offer(struct virtiofs_fuse_init_in *in, uint32_t minor, bool window) {
  minor = lower(minor, VIRTIOFS_FUSE_MINOR);
  *in = (struct virtiofs_fuse_init_in){.major = VIRTIOFS_FUSE_MAJOR, .minor = minor};
  for (unsigned bit = 0; bit < 64; bit++) {
    const struct virtiofs_fuse_init_flag *flag = virtiofs_fuse_init_flag(bit);
    bool offers = flag->offer == VIRTIOFS_FUSE_OFFER_YES || (flag->offer == VIRTIOFS_FUSE_OFFER_WINDOW && window);
    if (offers && flag->since <= minor)
      in->flags |= UINT64_C(1) << bit;
  }
  if (minor >= 6)
    in->max_readahead = 128 * 1024;
}

/* What so old a server doesn't send, and what isn't meant without its flag, is what Linux takes then. */
static void fill_in(const struct virtiofs_fuse_init_in *in, uint32_t minor, struct virtiofs_fuse_init_out *out) {
  if (minor < HAS_FLAGS) {
    out->flags = 0;
    out->max_write = PAGE;
  }
  if (minor < HAS_FLAGS + 1)
    out->max_readahead = in->max_readahead;
  if (minor < HAS_BACKGROUND)
    out->max_background = out->congestion_threshold = 0;
  if (minor < HAS_TAIL) {
    out->flags &= UINT32_MAX;
    out->time_gran = 0;
  }
  if (out->max_background == 0)
    out->max_background = DEFAULT_BACKGROUND;
  if (out->congestion_threshold == 0)
    out->congestion_threshold = (uint16_t)((out->max_background * 3U + 3) / 4);
  if (out->time_gran == 0)
    out->time_gran = 1;
  if ((out->flags & VIRTIOFS_FUSE_MAX_PAGES) == 0)
    out->max_pages = DEFAULT_PAGES;
  if ((out->flags & VIRTIOFS_FUSE_MAP_ALIGNMENT) == 0)
    out->map_alignment = 0;
  if ((out->flags & VIRTIOFS_FUSE_PASSTHROUGH) == 0)
    out->max_stack_depth = 0;
  if ((out->flags & VIRTIOFS_FUSE_REQUEST_TIMEOUT) == 0)
    out->request_timeout = 0;
}

static bool is_sound(const struct virtiofs_fuse_init_in *in, const struct virtiofs_fuse_init_out *out) {
  bool second = (out->flags & VIRTIOFS_FUSE_INIT_EXT) != 0;
  if ((out->flags & ~offered(in)) != 0 || (!second && out->flags >> 32 != 0))
    return false;
  return out->max_write >= PAGE && out->max_pages > 0 && out->time_gran <= NS_PER_SEC &&
         out->map_alignment <= MAP_ALIGNMENT_MAX;
}

int virtiofs_fuse_init_accept(const struct virtiofs_fuse_init_in *in, struct virtiofs_fuse_init_out *out,
                              struct virtiofs_fuse_proto *proto) {
  *proto = (struct virtiofs_fuse_proto){.swapped = proto->swapped};
  if (out->major != VIRTIOFS_FUSE_MAJOR || in->major < VIRTIOFS_FUSE_MAJOR)
    return -EPROTO;
  if (in->major > VIRTIOFS_FUSE_MAJOR)
    return 0;
  uint32_t minor = lower(lower(in->minor, out->minor), VIRTIOFS_FUSE_MINOR);
  fill_in(in, minor, out);
  if (!is_sound(in, out))
    return -EPROTO;
  out->max_write = lower(out->max_write, out->max_pages * PAGE);
  out->max_readahead = lower(out->max_readahead, in->max_readahead);
  proto->agreed = true;
  proto->minor = minor;
  proto->flags = out->flags;
  return 0;
}
