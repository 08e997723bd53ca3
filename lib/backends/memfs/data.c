/* SPDX-License-Identifier: BSD-3-Clause */
/* Open regular files, and what is done with their contents. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

enum { COPY_MOST = 64 << 20 };

/* ---- segments ---- */

typedef ssize_t transfer_fn(int fd, const struct iovec *iov, int count, off_t offset);

/* Return: bytes, fewer only at the file's end or where an error stopped it, which is *@error then. */
static size_t transfer(transfer_fn *fn, int fd, const struct virtiofs_data *data, size_t size, uint64_t offset,
                       int *error) {
  struct virtiofs_data_walk walk;
  const struct iovec *iov;
  virtiofs_data_walk_start(&walk, data, size);
  *error = 0;
  while (walk.left > 0) {
    int count = virtiofs_data_walk_next(&walk, &iov);
    ssize_t n = fn(fd, iov, count, (off_t)(offset + walk.done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      *error = virtiofs_memfs_error(errno);
    if (n <= 0)
      break;
    virtiofs_data_walk_on(&walk, (size_t)n);
  }
  return walk.done;
}

/* ---- opening ---- */

void virtiofs_memfs_give_handle(const struct virtiofs_memfs *fs, struct node *node, uint32_t flags,
                                struct virtiofs_open_out *out) {
  out->handle = virtiofs_memfs_handle(virtiofs_memfs_node_get(node, 1), flags);
  out->flags = fs->shared ? 0 : VIRTIOFS_OPEN_KEEP_CACHE;
}

int virtiofs_memfs_open_node(struct virtiofs_memfs *fs, struct node *node, uint32_t flags, bool kill_suidgid,
                             struct virtiofs_open_out *out) {
  if (node->type != VIRTIOFS_S_IFREG)
    return node->type == VIRTIOFS_S_IFDIR ? -EISDIR : node->type == VIRTIOFS_S_IFLNK ? -ELOOP : -ENXIO;
  if ((flags & O_DIRECTORY) != 0)
    return -ENOTDIR;
  if ((flags & O_PATH) != 0)
    return -EINVAL;
  if ((flags & O_TRUNC) != 0) {
    virtiofs_memfs_write_lock(node);
    int rc = virtiofs_memfs_resize(fs, node, 0);
    if (rc == 0) {
      virtiofs_memfs_kill_privileges(fs, node, kill_suidgid);
      virtiofs_memfs_changed(fs, node);
    }
    virtiofs_memfs_unlock(node);
    if (rc != 0)
      return rc;
  }
  virtiofs_memfs_give_handle(fs, node, flags, out);
  return 0;
}

int virtiofs_memfs_open(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  return virtiofs_memfs_open_node(virtiofs_req_fs(req), virtiofs_memfs_node(in->node), in->flags,
                                  (in->open_flags & VIRTIOFS_OPEN_KILL_SUIDGID) != 0, out);
}

void virtiofs_memfs_release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  virtiofs_memfs_node_put(virtiofs_req_fs(req), virtiofs_memfs_handle_node(in->handle), 1);
}

int virtiofs_memfs_fsync(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  (void)req;
  (void)in;
  return 0; /* nothing lasts longer than this process */
}

int virtiofs_memfs_syncfs(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in) {
  (void)req;
  (void)in;
  return 0;
}

/* ---- reading and writing ---- */

/* The memfd comes once and stays until the node goes, and its end is the file's: after a look there is nothing to lock.
 */
static int file_of(struct node *node) {
  virtiofs_memfs_read_lock(node);
  int fd = node->file.fd;
  virtiofs_memfs_unlock(node);
  return fd;
}

static bool writes_back(const struct virtiofs_req *req) {
  return (virtiofs_req_semantics(req) & VIRTIOFS_SEMANTICS_WRITEBACK_CACHE) != 0;
}

int virtiofs_memfs_read(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  struct node *node = virtiofs_memfs_handle_node(in->handle);
  /* A guest that writes back fills up pages before it changes them. */
  if (!virtiofs_memfs_may_read(in->handle) && !writes_back(req))
    return -EBADF;
  int fd = file_of(node);
  if (fd >= 0) {
    int error;
    size_t n = transfer(preadv, fd, &in->data, in->size, in->offset, &error);
    if (n == 0 && error != 0)
      return error;
    out->size = (uint32_t)n;
  }
  virtiofs_memfs_accessed(virtiofs_req_fs(req), node, in->flags);
  return 0;
}

/* Where an append goes is for the guest to say if it writes back. */
static bool appends(const struct virtiofs_req *req, const struct virtiofs_write_in *in) {
  return (in->flags & O_APPEND) != 0 && (in->write_flags & VIRTIOFS_WRITE_CACHE) == 0 && !writes_back(req);
}

static ssize_t write_locked(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_write_in *in,
                            uint64_t offset) {
  uint64_t taken;
  if (in->size > INT64_MAX - offset)
    return -EFBIG;
  int rc = virtiofs_memfs_charge(fs, node, offset, in->size, &taken);
  if (rc != 0)
    return rc;
  int error;
  size_t n = transfer(pwritev, node->file.fd, &in->data, in->size, offset, &error);
  if (n > 0 && offset + n > node->size)
    node->size = offset + n;
  if (n != in->size)
    node->file.dense = false; /* a page may have come that nothing was put into */
  virtiofs_memfs_settle(fs, node, taken);
  /* Linux doesn't look at how much of its page cache was written, only for an error. */
  return error != 0 && (n == 0 || (in->write_flags & VIRTIOFS_WRITE_CACHE) != 0) ? error : (ssize_t)n;
}

int virtiofs_memfs_write(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_handle_node(in->handle);
  if (!virtiofs_memfs_may_write(in->handle))
    return -EBADF;
  if (in->size == 0)
    return 0;
  virtiofs_memfs_write_lock(node);
  ssize_t n = write_locked(fs, node, in, appends(req, in) ? node->size : in->offset);
  if (n > 0) {
    virtiofs_memfs_kill_privileges(fs, node, (in->write_flags & VIRTIOFS_WRITE_KILL_SUIDGID) != 0);
    /* What is written back has got its time when the guest's program wrote it, and the guest sets it. */
    if ((in->write_flags & VIRTIOFS_WRITE_CACHE) == 0 || !writes_back(req))
      virtiofs_memfs_changed(fs, node);
  }
  virtiofs_memfs_unlock(node);
  if (n < 0)
    return (int)n;
  out->size = (uint32_t)n;
  return 0;
}

/* FALLOCATE and COPY_FILE_RANGE can't say whether set-user-id has to go: it stays for root alone. */
static bool kills(const struct virtiofs_req *req) {
  return virtiofs_req_caller(req).uid != 0;
}

/* ---- holes ---- */

static int allocate(struct virtiofs_memfs *fs, struct node *node, uint32_t mode, uint64_t offset, uint64_t length) {
  uint64_t taken = 0;
  int rc = 0;
  const bool punch = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
  if ((mode & FALLOC_FL_PUNCH_HOLE) == 0)
    rc = virtiofs_memfs_charge(fs, node, offset, length, &taken);
  if (rc != 0 || node->file.fd < 0)
    return rc; /* where nothing is there is nothing to punch */
  if (punch) {
    node->file.dense = false;
    rc = virtiofs_memfs_fallocate_file(node->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }
  if (rc == 0 && (mode & FALLOC_FL_PUNCH_HOLE) == 0)
    rc = virtiofs_memfs_fallocate_file(node->file.fd, (int)mode & FALLOC_FL_KEEP_SIZE, offset, length);
  const bool grows = rc == 0 && (mode & FALLOC_FL_KEEP_SIZE) == 0 && offset + length > node->size;
  if (grows)
    node->size = offset + length;
  if (rc != 0 || offset + length > node->size)
    node->file.dense = false; /* pages behind the end */
  virtiofs_memfs_settle(fs, node, taken);
  return rc;
}

int virtiofs_memfs_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_handle_node(in->handle);
  if (!virtiofs_memfs_may_write(in->handle))
    return -EBADF;
  switch (in->mode) {
  case 0:
  case FALLOC_FL_KEEP_SIZE:
  case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
  case FALLOC_FL_ZERO_RANGE:
  case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
    break;
  default:
    return -EOPNOTSUPP;
  }
  virtiofs_memfs_write_lock(node);
  int rc = allocate(fs, node, in->mode, in->offset, in->length);
  if (rc == 0) {
    virtiofs_memfs_kill_privileges(fs, node, kills(req));
    virtiofs_memfs_changed(fs, node);
  }
  virtiofs_memfs_unlock(node);
  return rc;
}

int virtiofs_memfs_lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out) {
  (void)req;
  if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
    return -EINVAL; /* the guest knows its own position, and the size */
  int fd = file_of(virtiofs_memfs_handle_node(in->handle));
  if (fd < 0)
    return -ENXIO;
  off_t offset = lseek(fd, (off_t)in->offset, (int)in->whence);
  if (offset < 0)
    return virtiofs_memfs_error(errno);
  out->offset = (uint64_t)offset;
  return 0;
}

/* ---- copies ---- */

/* Two files are locked in the order of their addresses. */
static void lock_pair(struct node *from, struct node *to) {
  if (from != to && from < to)
    virtiofs_memfs_read_lock(from);
  virtiofs_memfs_write_lock(to);
  if (from > to)
    virtiofs_memfs_read_lock(from);
}

static void unlock_pair(struct node *from, struct node *to) {
  if (from != to)
    virtiofs_memfs_unlock(from);
  virtiofs_memfs_unlock(to);
}

static ssize_t copy_locked(struct virtiofs_memfs *fs, const struct node *from, struct node *to, uint64_t offset,
                           uint64_t offset_out, uint64_t len) {
  uint64_t taken;
  if (offset >= from->size)
    return 0;
  len = len < from->size - offset ? len : from->size - offset;
  if (from == to && offset < offset_out + len && offset_out < offset + len)
    return -EINVAL;
  if (len > COPY_MOST)
    len = COPY_MOST; /* the other requests on the file wait for this one */
  int rc = virtiofs_memfs_charge(fs, to, offset_out, len, &taken);
  if (rc != 0)
    return rc;
  off_t in = (off_t)offset, out = (off_t)offset_out;
  ssize_t n = copy_file_range(from->file.fd, &in, to->file.fd, &out, (size_t)len, 0);
  if (n < 0)
    n = errno == EXDEV || errno == EINVAL ? -EOPNOTSUPP : virtiofs_memfs_error(errno);
  if (n > 0 && offset_out + (uint64_t)n > to->size)
    to->size = offset_out + (uint64_t)n;
  if (n != (ssize_t)len)
    to->file.dense = false;
  virtiofs_memfs_settle(fs, to, taken);
  return n;
}

int virtiofs_memfs_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                   struct virtiofs_copy_file_range_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *from = virtiofs_memfs_handle_node(in->handle), *to = virtiofs_memfs_handle_node(in->handle_out);
  if (!virtiofs_memfs_may_read(in->handle) || !virtiofs_memfs_may_write(in->handle_out))
    return -EBADF;
  if (in->flags != 0)
    return -EINVAL;
  if (in->len == 0)
    return 0;
  lock_pair(from, to);
  ssize_t n = copy_locked(fs, from, to, in->offset, in->offset_out, in->len);
  if (n > 0) {
    virtiofs_memfs_kill_privileges(fs, to, kills(req));
    virtiofs_memfs_changed(fs, to);
  }
  unlock_pair(from, to);
  if (n < 0)
    return (int)n;
  virtiofs_memfs_accessed(fs, from, 0);
  out->size = (uint64_t)n;
  return 0;
}
