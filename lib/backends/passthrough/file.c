/* SPDX-License-Identifier: BSD-3-Clause */
/* Open regular files. A handle is the host's descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

int virtiofs_passthrough_open_flags(const struct virtiofs_passthrough *fs, uint32_t guest, int *flags) {
  /*
   * O_APPEND stays here: where a write goes is said by each WRITE, since a guest's program may change the flag, and
   * pages that were mapped go where they belong in any case. O_DIRECT is for virtiofs_passthrough_opened() to say.
   */
  const uint32_t passed = O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | (fs->preserve_noatime ? O_NOATIME : 0);
  const uint32_t tmpfile_bit = (uint32_t)O_TMPFILE & ~(uint32_t)O_DIRECTORY;
  if ((guest & (O_PATH | tmpfile_bit)) != 0)
    return -EINVAL;
  *flags = (int)(guest & passed);
  return 0;
}

int virtiofs_passthrough_open_file(struct virtiofs_passthrough *fs, struct inode *inode, int fd, uint32_t flags) {
  if (inode->type == S_IFDIR)
    return -EISDIR;
  if (inode->type == S_IFLNK)
    return -ELOOP;
  if (inode->type != S_IFREG)
    return -ENXIO; /* the guest opens its own FIFOs and devices; the host's are not for it */
  int host_flags;
  int rc = virtiofs_passthrough_open_flags(fs, flags, &host_flags);
  if (rc != 0)
    return rc;
  if ((flags & O_DIRECTORY) != 0)
    return -ENOTDIR;
  struct quota_change change = {.inode = NULL};
  if ((host_flags & O_TRUNC) != 0)
    rc = virtiofs_passthrough_quota_begin(fs, inode, fd, 0, 0, &change);
  if (rc != 0)
    return rc;
  int file = virtiofs_passthrough_reopen(fs, fd, host_flags);
  if (file == -EPERM && (flags & O_APPEND) != 0) /* chattr +a: only so may it be written */
    file = virtiofs_passthrough_reopen(fs, fd, host_flags | O_APPEND);
  if (file == -EPERM && (host_flags & O_NOATIME) != 0) /* the server is not the owner; the guest's user was */
    file = virtiofs_passthrough_reopen(fs, fd, host_flags & ~O_NOATIME);
  virtiofs_passthrough_quota_end(fs, &change);
  return file;
}

int virtiofs_passthrough_open(struct virtiofs_req *req, const struct virtiofs_open_in *in,
                              struct virtiofs_open_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  int file = fd;
  if (fd >= 0) {
    file = virtiofs_passthrough_before_open(req, inode, fd, in->flags, in->open_flags);
    if (file == 0)
      file = virtiofs_passthrough_open_file(fs, inode, fd, in->flags);
    virtiofs_passthrough_fd_return(fs, inode, fd);
  }
  file = virtiofs_passthrough_opened(req, file, in->flags, &out->flags);
  file = virtiofs_passthrough_quota_opened(fs, inode, file);
  if (file < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return file;
  }
  out->handle = (uint64_t)file;
  return 0;
}

void virtiofs_passthrough_release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *held = virtiofs_passthrough_quota_released(fs, (int)in->handle);
  virtiofs_passthrough_dirty_close(fs, (int)in->handle);
  virtiofs_passthrough_locks_release(req, in);
  virtiofs_passthrough_fd_close(fs, (int)in->handle);
  virtiofs_passthrough_locks_released(req, in);
  virtiofs_passthrough_quota_closed(fs, held);
}

static uint64_t known_size(uint64_t node) {
  return atomic_load_explicit(&virtiofs_passthrough_node(node)->size, memory_order_relaxed);
}

/* Writing may have moved the file's end to @end at least. Two at once may leave the smaller one: it is a guess. */
static void size_may_be(uint64_t node, uint64_t end) {
  if (end > known_size(node))
    atomic_store_explicit(&virtiofs_passthrough_node(node)->size, end, memory_order_relaxed);
}

/* pwritev2 flags of one WRITE; the descriptor itself has no O_APPEND. */
static int write_flags(const struct virtiofs_req *req, const struct virtiofs_write_in *in) {
  int flags = 0;
  if (virtiofs_passthrough_appends(req, in))
    flags |= RWF_APPEND; /* at the end as the host knows it: others may have written meanwhile */
  if ((in->flags & O_SYNC) == O_SYNC)
    flags |= RWF_SYNC;
  else if ((in->flags & O_DSYNC) != 0)
    flags |= RWF_DSYNC;
  return flags;
}

/*
 * A guest takes a short READ for the end of the file, so only that ends the loop; after an error the bytes before it
 * are not told either, or the guest would cut the file off there. A READ that stops where the guest has been told that
 * the file ends is not tried again.
 */
int virtiofs_passthrough_read(struct virtiofs_req *req, const struct virtiofs_read_in *in,
                              struct virtiofs_read_out *out) {
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  struct virtiofs_data_walk walk;
  const struct iovec *iov;
  virtiofs_data_walk_start(&walk, &in->data, in->size);
  while (walk.left > 0) {
    int count = virtiofs_data_walk_next(&walk, &iov);
    ssize_t n = virtiofs_passthrough_preadv(req, (int)in->handle, iov, count, in->offset + walk.done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return virtiofs_passthrough_error(errno);
    if (n == 0)
      break;
    virtiofs_data_walk_on(&walk, (size_t)n);
    if (in->offset + walk.done == known_size(in->node))
      break;
  }
  out->size = (uint32_t)walk.done;
  return 0;
}

/*
 * What is written before an error is told, the error next time. But Linux doesn't look at how much of its page cache
 * was written, and takes the rest for written, too: there the error comes at once, and its programs hear of it. So
 * out->size is what was written in any case.
 */
static int write_all(struct virtiofs_req *req, const struct virtiofs_write_in *in, int flags,
                     struct virtiofs_write_out *out) {
  const bool all = (in->write_flags & VIRTIOFS_WRITE_CACHE) != 0;
  struct virtiofs_data_walk walk;
  const struct iovec *iov;
  int rc = 0;
  virtiofs_data_walk_start(&walk, &in->data, in->size);
  while (walk.left > 0) {
    int count = virtiofs_data_walk_next(&walk, &iov);
    ssize_t n = virtiofs_passthrough_pwritev(req, (int)in->handle, iov, count, in->offset + walk.done, flags);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      rc = all || walk.done == 0 ? virtiofs_passthrough_error(n < 0 ? errno : EIO) : 0;
      break;
    }
    virtiofs_data_walk_on(&walk, (size_t)n);
  }
  out->size = (uint32_t)walk.done;
  size_may_be(in->node, (flags & RWF_APPEND) != 0 ? UINT64_MAX : in->offset + out->size);
  return rc;
}

int virtiofs_passthrough_write(struct virtiofs_req *req, const struct virtiofs_write_in *in,
                               struct virtiofs_write_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct quota_change change;
  int rc =
      virtiofs_passthrough_before_change(req, (int)in->handle, (in->write_flags & VIRTIOFS_WRITE_KILL_SUIDGID) != 0);
  if (rc != 0)
    return rc;
  const int flags = write_flags(req, in);
  rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->node), (int)in->handle,
                                        (flags & RWF_APPEND) != 0 ? UINT64_MAX : in->offset, in->size, &change);
  if (rc != 0)
    return rc;
  rc = write_all(req, in, flags, out);
  virtiofs_passthrough_quota_end(fs, &change);
  if (out->size != 0 && (flags & (RWF_SYNC | RWF_DSYNC)) == 0)
    virtiofs_passthrough_dirty_wrote(fs, (int)in->handle, out->size);
  return rc;
}

static int sync_fd(int fd, bool data_only) {
  int rc = data_only ? fdatasync(fd) : fsync(fd);
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

int virtiofs_passthrough_fsync(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  virtiofs_passthrough_cred_any(fs);
  uint64_t dirty = virtiofs_passthrough_dirty_sync(fs, (int)in->handle);
  int rc = sync_fd((int)in->handle, in->data_only);
  return virtiofs_passthrough_dirty_synced(fs, (int)in->handle, dirty, rc);
}

int virtiofs_passthrough_flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in) {
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  virtiofs_passthrough_locks_flush(req, in);
  /* Closing a duplicate makes the host's file system say what it kept back (NFS: a server out of space). */
  int fd = fcntl((int)in->handle, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return virtiofs_passthrough_error(errno);
  /* EINTR: closed all the same, and nothing is lost by not knowing what it would have said. */
  return close(fd) == 0 || errno == EINTR ? 0 : virtiofs_passthrough_error(errno);
}

static int allocate(const struct virtiofs_fallocate_in *in) {
  int rc;
  do
    rc = fallocate((int)in->handle, (int)in->mode, (off_t)in->offset, (off_t)in->length);
  while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

int virtiofs_passthrough_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const bool adds = (in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) == 0;
  struct quota_change change;
  if (!virtiofs_passthrough_quota_allows(fs, in->mode))
    return -EOPNOTSUPP;
  int rc = virtiofs_passthrough_before_change(req, (int)in->handle, virtiofs_passthrough_kills(req));
  if (rc == 0)
    rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->node), (int)in->handle, in->offset,
                                          adds ? in->length : 0, &change);
  if (rc != 0)
    return rc;
  size_may_be(in->node, UINT64_MAX);
  rc = allocate(in);
  virtiofs_passthrough_quota_end(fs, &change);
  return rc;
}

int virtiofs_passthrough_lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in,
                               struct virtiofs_lseek_out *out) {
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  /* The position of our descriptor is nobody's: all reading and writing says where. So it can't be asked for either. */
  if (in->whence > SEEK_HOLE || in->whence == SEEK_CUR)
    return -EINVAL;
  off_t offset = lseek((int)in->handle, (off_t)in->offset, (int)in->whence);
  if (offset < 0)
    return virtiofs_passthrough_error(errno);
  out->offset = (uint64_t)offset;
  return 0;
}

enum { COPY_MAX = 0x7ffff000 }; /* Linux does no more at once */

static size_t no_more_than_there_is(int fd, uint64_t offset, size_t len) {
  struct stat st;
  if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < offset)
    return 0;
  return (uint64_t)st.st_size - offset < len ? (size_t)((uint64_t)st.st_size - offset) : len;
}

/* Where the host can't copy between two file systems, it says so, and the guest copies by reading and writing. */
int virtiofs_passthrough_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                         struct virtiofs_copy_file_range_out *out) {
  if (in->flags > UINT_MAX)
    return -EINVAL;
  int rc = virtiofs_passthrough_before_change(req, (int)in->handle_out, virtiofs_passthrough_kills(req));
  if (rc != 0)
    return rc;
  off_t from = (off_t)in->offset, to = (off_t)in->offset_out;
  size_t len = in->len < COPY_MAX ? (size_t)in->len : COPY_MAX;
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct quota_change change;
  if (fs->quota != NULL) /* a guest asks for more than there is */
    len = no_more_than_there_is((int)in->handle, in->offset, len);
  rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->node_out), (int)in->handle_out,
                                        in->offset_out, len, &change);
  if (rc != 0)
    return rc;
  ssize_t n;
  do
    n = copy_file_range((int)in->handle, &from, (int)in->handle_out, &to, len, (unsigned)in->flags);
  while (n < 0 && errno == EINTR);
  rc = n < 0 ? virtiofs_passthrough_error(errno) : 0;
  virtiofs_passthrough_quota_end(fs, &change);
  if (rc != 0)
    return rc;
  out->size = (uint64_t)n;
  virtiofs_passthrough_dirty_wrote(fs, (int)in->handle_out, out->size);
  size_may_be(in->node_out, in->offset_out + out->size);
  return 0;
}
