/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/names.h"

#include <stddef.h>

#include <virtiofs/fuse.h>

struct name {
  uint32_t bits;
  const char *text;
};

/* A driver's numbers are those of its machine, which is of our kind: four bits stand elsewhere on ARM. */
#if defined(__aarch64__) || defined(__arm__)
enum { O_DIRECTORY_BIT = 040000, O_NOFOLLOW_BIT = 0100000, O_DIRECT_BIT = 0200000, O_LARGEFILE_BIT = 0400000 };
#else
enum { O_DIRECT_BIT = 040000, O_LARGEFILE_BIT = 0100000, O_DIRECTORY_BIT = 0200000, O_NOFOLLOW_BIT = 0400000 };
#endif

/* What has several bits stands before each of them alone. */
static const struct name open_names[] = {
    {0100, "O_CREAT"},
    {0200, "O_EXCL"},
    {0400, "O_NOCTTY"},
    {01000, "O_TRUNC"},
    {02000, "O_APPEND"},
    {04000, "O_NONBLOCK"},
    {04010000, "O_SYNC"},
    {010000, "O_DSYNC"},
    {020000, "O_ASYNC"},
    {020000000 | O_DIRECTORY_BIT, "O_TMPFILE"},
    {O_DIRECT_BIT, "O_DIRECT"},
    {O_LARGEFILE_BIT, "O_LARGEFILE"},
    {O_DIRECTORY_BIT, "O_DIRECTORY"},
    {O_NOFOLLOW_BIT, "O_NOFOLLOW"},
    {01000000, "O_NOATIME"},
    {02000000, "O_CLOEXEC"},
    {010000000, "O_PATH"},
    {0, NULL},
};

static const struct name fopen_names[] = {
    {VIRTIOFS_OPEN_DIRECT_IO, "DIRECT_IO"},
    {VIRTIOFS_OPEN_KEEP_CACHE, "KEEP_CACHE"},
    {VIRTIOFS_OPEN_NONSEEKABLE, "NONSEEKABLE"},
    {VIRTIOFS_OPEN_CACHE_DIR, "CACHE_DIR"},
    {VIRTIOFS_OPEN_STREAM, "STREAM"},
    {VIRTIOFS_OPEN_NOFLUSH, "NOFLUSH"},
    {VIRTIOFS_OPEN_PARALLEL_DIRECT_WRITES, "PARALLEL_DIRECT_WRITES"},
    {0, NULL},
};

static const struct name setattr_names[] = {
    {VIRTIOFS_SET_MODE, "MODE"},
    {VIRTIOFS_SET_UID, "UID"},
    {VIRTIOFS_SET_GID, "GID"},
    {VIRTIOFS_SET_SIZE, "SIZE"},
    {VIRTIOFS_SET_ATIME, "ATIME"},
    {VIRTIOFS_SET_MTIME, "MTIME"},
    {VIRTIOFS_SET_ATIME_NOW, "ATIME_NOW"},
    {VIRTIOFS_SET_MTIME_NOW, "MTIME_NOW"},
    {VIRTIOFS_SET_CTIME, "CTIME"},
    {VIRTIOFS_SET_KILL_SUIDGID, "KILL_SUIDGID"},
    {0, NULL},
};

static const struct name write_names[] = {
    {VIRTIOFS_WRITE_CACHE, "CACHE"},
    {1U << 1, "LOCKOWNER"},
    {VIRTIOFS_WRITE_KILL_SUIDGID, "KILL_SUIDGID"},
    {0, NULL},
};

static const struct name rename_names[] = {
    {VIRTIOFS_RENAME_NOREPLACE, "NOREPLACE"},
    {VIRTIOFS_RENAME_EXCHANGE, "EXCHANGE"},
    {VIRTIOFS_RENAME_WHITEOUT, "WHITEOUT"},
    {0, NULL},
};

static const struct name release_names[] = {
    {1U << 0, "FLUSH"},
    {VIRTIOFS_RELEASE_FLOCK_UNLOCK, "FLOCK_UNLOCK"},
    {0, NULL},
};

static const struct name setxattr_names[] = {{1, "CREATE"}, {2, "REPLACE"}, {0, NULL}};
static const struct name access_names[] = {{1, "X_OK"}, {2, "W_OK"}, {4, "R_OK"}, {0, NULL}};
static const struct name map_names[] = {{VIRTIOFS_MAP_WRITE, "WRITE"}, {VIRTIOFS_MAP_READ, "READ"}, {0, NULL}};

static const struct name fallocate_names[] = {
    {1, "KEEP_SIZE"},      {2, "PUNCH_HOLE"}, {8, "COLLAPSE_RANGE"}, {16, "ZERO_RANGE"}, {32, "INSERT_RANGE"},
    {64, "UNSHARE_RANGE"}, {0, NULL},
};

static const struct name attr_names[] = {{VIRTIOFS_ATTR_SUBMOUNT, "SUBMOUNT"}, {VIRTIOFS_ATTR_DAX, "DAX"}, {0, NULL}};

static const struct name *const tables[] = {
    [VIRTIOFS_FUSE_BITS_OPEN] = open_names,           [VIRTIOFS_FUSE_BITS_FOPEN] = fopen_names,
    [VIRTIOFS_FUSE_BITS_SETATTR] = setattr_names,     [VIRTIOFS_FUSE_BITS_WRITE] = write_names,
    [VIRTIOFS_FUSE_BITS_RENAME] = rename_names,       [VIRTIOFS_FUSE_BITS_RELEASE] = release_names,
    [VIRTIOFS_FUSE_BITS_SETXATTR] = setxattr_names,   [VIRTIOFS_FUSE_BITS_ACCESS] = access_names,
    [VIRTIOFS_FUSE_BITS_FALLOCATE] = fallocate_names, [VIRTIOFS_FUSE_BITS_MAP] = map_names,
    [VIRTIOFS_FUSE_BITS_ATTR] = attr_names,
};

static const char *init_name(uint64_t *bits) {
  for (unsigned bit = 0; bit < 64; bit++) {
    const char *name = virtiofs_fuse_init_flag_name(bit);
    if ((*bits >> bit & 1) == 0 || name[0] == '?')
      continue;
    *bits &= ~(UINT64_C(1) << bit);
    return name;
  }
  return NULL;
}

const char *virtiofs_fuse_bit_name(enum virtiofs_fuse_bits which, uint64_t *bits) {
  if (which == VIRTIOFS_FUSE_BITS_INIT)
    return init_name(bits);
  for (const struct name *name = tables[which]; name->text != NULL; name++) {
    if ((*bits & name->bits) != name->bits)
      continue;
    *bits &= ~(uint64_t)name->bits;
    return name->text;
  }
  return NULL;
}
