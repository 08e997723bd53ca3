/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/caching.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/passthrough/share.h"

static bool is_direct(const struct caching *caching) {
  return caching->contents == VIRTIOFS_PASSTHROUGH_CACHE_NEVER ||
         caching->contents == VIRTIOFS_PASSTHROUGH_CACHE_METADATA;
}

void virtiofs_passthrough_caching_init(const struct caching *caching, struct virtiofs_init_out *out) {
  /* Without a cache of contents there is nothing to write back. */
  if (caching->writeback && !is_direct(caching))
    out->semantics |= VIRTIOFS_SEMANTICS_WRITEBACK_CACHE;
  if (caching->mmap && is_direct(caching))
    out->semantics |= VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP;
  if (caching->no_readdirplus)
    out->without |= VIRTIOFS_BLOCKING_READDIRPLUS;
}

uint32_t virtiofs_passthrough_keep_dir(const struct caching *caching) {
  bool keep = caching->contents == VIRTIOFS_PASSTHROUGH_CACHE_ALWAYS ||
              caching->contents == VIRTIOFS_PASSTHROUGH_CACHE_METADATA;
  return keep ? VIRTIOFS_OPEN_KEEP_CACHE | VIRTIOFS_OPEN_CACHE_DIR : 0;
}

static uint32_t keep_file(const struct caching *caching) {
  if (is_direct(caching))
    return VIRTIOFS_OPEN_DIRECT_IO;
  return caching->contents == VIRTIOFS_PASSTHROUGH_CACHE_ALWAYS ? VIRTIOFS_OPEN_KEEP_CACHE : 0;
}

static bool writes_back(const struct virtiofs_req *req) {
  return (virtiofs_req_semantics(req) & VIRTIOFS_SEMANTICS_WRITEBACK_CACHE) != 0;
}

/* Those of a file's flags with which it can be opened once more: not how it was found. */
#define KEPT_FLAGS (O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME)

/* By the server's own rights: the user's have been asked for what the user wants. */
static int also_for_reading(const struct virtiofs_passthrough *fs, int file) {
  int flags = fcntl(file, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != O_WRONLY)
    return file;
  int both = virtiofs_passthrough_reopen(fs, file, (flags & KEPT_FLAGS) | O_RDWR);
  close(file);
  return both;
}

int virtiofs_passthrough_to_make(const struct virtiofs_req *req, int flags) {
  return writes_back(req) && (flags & O_ACCMODE) == O_WRONLY ? (flags & ~O_ACCMODE) | O_RDWR : flags;
}

static int set_direct(int file) {
  int flags = fcntl(file, F_GETFL);
  if (flags >= 0 && fcntl(file, F_SETFL, flags | O_DIRECT) == 0)
    return file;
  int rc = virtiofs_passthrough_error(errno);
  close(file);
  return rc;
}

/* What may only be appended to (chattr +a) has O_APPEND on the host, too: pages that are written back would go to the
 * end, once more, with all that was in them. */
static bool only_appends(int file) {
  int flags = fcntl(file, F_GETFL);
  return flags >= 0 && (flags & O_APPEND) != 0;
}

int virtiofs_passthrough_opened(struct virtiofs_req *req, int file, uint32_t flags, uint32_t *keep) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  *keep = keep_file(&fs->caching);
  if (file >= 0 && writes_back(req))
    file = also_for_reading(fs, file);
  if (file >= 0 && writes_back(req) && (flags & O_APPEND) != 0 && only_appends(file))
    *keep = VIRTIOFS_OPEN_DIRECT_IO;
  if (file >= 0 && fs->caching.direct_io && (flags & O_DIRECT) != 0)
    file = set_direct(file);
  return file;
}

bool virtiofs_passthrough_appends(const struct virtiofs_req *req, const struct virtiofs_write_in *in) {
  /* Who writes back knows the end better: what is behind it on the host may be in his cache. */
  return (in->flags & O_APPEND) != 0 && (in->write_flags & VIRTIOFS_WRITE_CACHE) == 0 && !writes_back(req);
}

/* The same file without O_DIRECT, for one call. Return: a descriptor; -1 and errno EINVAL if that is not the matter. */
static int buffered(const struct virtiofs_passthrough *fs, int file) {
  int flags = fs->caching.direct_io ? fcntl(file, F_GETFL) : 0;
  int fd = -1;
  if (flags > 0 && (flags & O_DIRECT) != 0)
    fd = virtiofs_passthrough_reopen(fs, file, flags & (KEPT_FLAGS | O_ACCMODE));
  if (fd < 0)
    errno = EINVAL;
  return fd < 0 ? -1 : fd;
}

static ssize_t done(int fd, ssize_t n) {
  int error = errno;
  close(fd);
  errno = error;
  return n;
}

ssize_t virtiofs_passthrough_preadv(struct virtiofs_req *req, int file, const struct iovec *iov, int count,
                                    uint64_t offset) {
  ssize_t n = preadv(file, iov, count, (off_t)offset);
  if (n >= 0 || errno != EINVAL)
    return n;
  int fd = buffered(virtiofs_req_fs(req), file);
  return fd < 0 ? -1 : done(fd, preadv(fd, iov, count, (off_t)offset));
}

ssize_t virtiofs_passthrough_pwritev(struct virtiofs_req *req, int file, const struct iovec *iov, int count,
                                     uint64_t offset, int flags) {
  ssize_t n = pwritev2(file, iov, count, (off_t)offset, flags);
  if (n >= 0 || errno != EINVAL)
    return n;
  int fd = buffered(virtiofs_req_fs(req), file);
  return fd < 0 ? -1 : done(fd, pwritev2(fd, iov, count, (off_t)offset, flags));
}
