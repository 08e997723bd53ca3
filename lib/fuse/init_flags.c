/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/init_flags.h"

#define BIT(name) (UINT64_C(1) << VIRTIOFS_FUSE_##name)
#define LOCKS (BIT(GETLK) | BIT(SETLK) | BIT(SETLKW))

/* INIT has flags since 7.6; its reply has a second word of them, and more fields, since 7.23. */
enum { FLAGS = 6, TAIL = 23, EXTENSIONS = 38 };

#define ROW(label, who, offered, minor, from)                                                                          \
  .name = #label, .rule = VIRTIOFS_FUSE_INIT_##who, .offer = VIRTIOFS_FUSE_OFFER_##offered, .since = minor,            \
  .needs = from

/* clang-format off: one row for each flag; behind the rule: offered, since, needs */
static const struct virtiofs_fuse_init_flag flags[64] = {
    [0] = {ROW(ASYNC_READ, ALWAYS, YES, 6, FLAGS)},
    [1] = {ROW(POSIX_LOCKS, OPS, YES, 7, FLAGS), .with = LOCKS},
    [2] = {ROW(FILE_OPS, ALWAYS, NO, 9, FLAGS)},
    [3] = {ROW(ATOMIC_O_TRUNC, OPT_IN, YES, 9, FLAGS), .with = BIT(OPEN)},
    [4] = {ROW(EXPORT_SUPPORT, OPT_IN, YES, 9, FLAGS), .with = BIT(LOOKUP), .against = VIRTIOFS_FUSE_NO_EXPORT_SUPPORT},
    [5] = {ROW(BIG_WRITES, ALWAYS, YES, 9, FLAGS)},
    [6] = {ROW(DONT_MASK, OPT_IN, YES, 12, 12)},
    [7] = {ROW(SPLICE_WRITE, NEVER, YES, 14, FLAGS)},
    [8] = {ROW(SPLICE_MOVE, NEVER, YES, 14, FLAGS)},
    [9] = {ROW(SPLICE_READ, NEVER, YES, 14, FLAGS)},
    [10] = {ROW(FLOCK_LOCKS, OPT_IN, YES, 17, FLAGS), .with = BIT(SETLK) | BIT(SETLKW)},
    [11] = {ROW(HAS_IOCTL_DIR, OPS, YES, 18, FLAGS), .with = BIT(IOCTL)},
    [12] = {ROW(AUTO_INVAL_DATA, ALWAYS, YES, 20, FLAGS), .yields = VIRTIOFS_FUSE_EXPLICIT_INVAL_DATA},
    [13] = {ROW(DO_READDIRPLUS, OPS, YES, 21, FLAGS), .with = BIT(READDIRPLUS)},
    [14] = {ROW(READDIRPLUS_AUTO, OPS, YES, 21, FLAGS), .with = BIT(READDIRPLUS),
            .demands = VIRTIOFS_FUSE_DO_READDIRPLUS},
    [15] = {ROW(ASYNC_DIO, ALWAYS, YES, 22, FLAGS)},
    [16] = {ROW(WRITEBACK_CACHE, OPT_IN, YES, 23, FLAGS), .with = BIT(READ) | BIT(WRITE) | BIT(SETATTR)},
    [17] = {ROW(NO_OPEN_SUPPORT, OPS, YES, 23, FLAGS), .without = BIT(OPEN)},
    [18] = {ROW(PARALLEL_DIROPS, ALWAYS, YES, 25, FLAGS)},
    [19] = {ROW(HANDLE_KILLPRIV, OPT_IN, YES, 26, FLAGS), .yields = VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2},
    [20] = {ROW(POSIX_ACL, OPT_IN, YES, 26, FLAGS), .with = BIT(GETXATTR) | BIT(SETXATTR),
            .demands = VIRTIOFS_FUSE_DONT_MASK},
    [21] = {ROW(ABORT_ERROR, NEVER, YES, 27, FLAGS)},
    [22] = {ROW(MAX_PAGES, REPLY, YES, 28, TAIL)},
    [23] = {ROW(CACHE_SYMLINKS, OPT_IN, YES, 28, FLAGS), .with = BIT(READLINK)},
    [24] = {ROW(NO_OPENDIR_SUPPORT, OPS, YES, 29, FLAGS), .without = BIT(OPENDIR)},
    [25] = {ROW(EXPLICIT_INVAL_DATA, OPT_IN, YES, 30, FLAGS)},
    [26] = {ROW(MAP_ALIGNMENT, REPLY, WINDOW, 31, TAIL)},
    [27] = {ROW(SUBMOUNTS, OPT_IN, YES, 32, 9)},
    [28] = {ROW(HANDLE_KILLPRIV_V2, OPT_IN, YES, 33, 12)},
    [29] = {ROW(SETXATTR_EXT, OPT_IN, YES, 33, FLAGS), .with = BIT(SETXATTR)},
    [30] = {ROW(INIT_EXT, REPLY, YES, 36, TAIL)},
    [31] = {ROW(INIT_RESERVED, NEVER, NO, 36, TAIL)},
    [32] = {ROW(SECURITY_CTX, OPT_IN, YES, 36, EXTENSIONS)},
    [33] = {ROW(HAS_INODE_DAX, OPT_IN, YES, 36, TAIL), .demands = VIRTIOFS_FUSE_MAP_ALIGNMENT},
    [34] = {ROW(CREATE_SUPP_GROUP, OPT_IN, YES, 38, EXTENSIONS)},
    [35] = {ROW(HAS_EXPIRE_ONLY, NOTIFY, YES, 38, TAIL)},
    [36] = {ROW(DIRECT_IO_ALLOW_MMAP, OPT_IN, YES, 39, TAIL)},
    [37] = {ROW(PASSTHROUGH, NEVER, YES, 40, TAIL)},
    [38] = {ROW(NO_EXPORT_SUPPORT, OPT_IN, YES, 40, TAIL), .against = VIRTIOFS_FUSE_EXPORT_SUPPORT},
    [39] = {ROW(HAS_RESEND, NOTIFY, YES, 40, TAIL)},
    [40] = {ROW(ALLOW_IDMAP, OPT_IN, YES, 41, TAIL)},
    [41] = {ROW(OVER_IO_URING, NEVER, YES, 42, TAIL)},
    [42] = {ROW(REQUEST_TIMEOUT, REPLY, YES, 43, TAIL)},
};
/* clang-format on */

const struct virtiofs_fuse_init_flag *virtiofs_fuse_init_flag(unsigned bit) {
  return &flags[bit % 64];
}

const char *virtiofs_fuse_init_flag_name(unsigned bit) {
  return bit < 64 && flags[bit].name != NULL ? flags[bit].name : "?";
}

uint64_t virtiofs_fuse_init_flags_of(enum virtiofs_fuse_init_rule rule) {
  uint64_t all = 0;
  for (unsigned bit = 0; bit < 64; bit++)
    if (flags[bit].rule == rule)
      all |= UINT64_C(1) << bit;
  return all;
}

static bool has_operations(const struct virtiofs_fuse_init_flag *row, uint64_t ops) {
  return (row->with & ~ops) == 0 && (row->without & ops) == 0;
}

uint64_t virtiofs_fuse_init_wanted(uint64_t ops, uint64_t semantics) {
  uint64_t wanted = virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_ALWAYS);
  for (unsigned bit = 0; bit < 64; bit++)
    if (flags[bit].rule == VIRTIOFS_FUSE_INIT_OPS && has_operations(&flags[bit], ops))
      wanted |= UINT64_C(1) << bit;
  return wanted | (semantics & virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPT_IN));
}

/* What a promise demands has to be promised too, unless it is none: then the device has it or not. */
static bool is_fit(const struct virtiofs_fuse_init_flag *row, uint64_t ops, uint64_t semantics) {
  uint64_t promises = virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPT_IN);
  return row->rule == VIRTIOFS_FUSE_INIT_OPT_IN && has_operations(row, ops) &&
         (row->demands & promises & ~semantics) == 0 && (row->against & semantics) == 0;
}

uint64_t virtiofs_fuse_init_unfit(uint64_t ops, uint64_t semantics) {
  for (unsigned bit = 0; bit < 64; bit++)
    if ((semantics >> bit & 1) != 0 && !is_fit(&flags[bit], ops, semantics))
      return UINT64_C(1) << bit;
  return 0;
}

uint64_t virtiofs_fuse_init_agreeable(uint64_t some, uint32_t minor) {
  uint64_t drop = 0;
  for (unsigned bit = 0; bit < 64; bit++)
    if (flags[bit].name == NULL || minor < flags[bit].needs)
      drop |= UINT64_C(1) << bit;
  some &= ~drop;
  /* Nothing that is demanded or yielded to does so itself, so one look at each will do. */
  for (unsigned bit = 0; bit < 64; bit++)
    if ((flags[bit].demands & ~some) != 0 || (flags[bit].yields & some) != 0)
      some &= ~(UINT64_C(1) << bit);
  return some;
}
