/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/memfs/fs.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3; some hosts refuse memfds without it */
#endif

static int take(atomic_uint_fast64_t *taken, uint64_t count, uint64_t most) {
  uint_fast64_t old = atomic_load_explicit(taken, memory_order_relaxed);
  do {
    if (old > most || count > most - old)
      return -ENOSPC;
  } while (
      !atomic_compare_exchange_weak_explicit(taken, &old, old + count, memory_order_relaxed, memory_order_relaxed));
  return 0;
}

static void give(atomic_uint_fast64_t *taken, uint64_t count) {
  atomic_fetch_sub_explicit(taken, count, memory_order_relaxed);
}

int virtiofs_memfs_bytes_take(struct virtiofs_memfs *fs, uint64_t count) {
  return count == 0 ? 0 : take(&fs->bytes, count, fs->max_bytes);
}

void virtiofs_memfs_bytes_give(struct virtiofs_memfs *fs, uint64_t count) {
  if (count != 0)
    give(&fs->bytes, count);
}

void virtiofs_memfs_bytes_settle(struct virtiofs_memfs *fs, uint64_t have, uint64_t used) {
  if (used > have)
    atomic_fetch_add_explicit(&fs->bytes, used - have, memory_order_relaxed);
  else
    virtiofs_memfs_bytes_give(fs, have - used);
}

int virtiofs_memfs_nodes_take(struct virtiofs_memfs *fs) {
  return take(&fs->nodes, 1, fs->max_nodes);
}

void virtiofs_memfs_nodes_give(struct virtiofs_memfs *fs) {
  give(&fs->nodes, 1);
}

int virtiofs_memfs_file_open(struct virtiofs_memfs *fs) {
  int rc = take(&fs->files, 1, fs->max_files);
  if (rc != 0)
    return rc;
  unsigned flags = atomic_load_explicit(&fs->memfd_flags, memory_order_relaxed);
  int fd = memfd_create("virtiofs-memfs", flags);
  if (fd < 0 && errno == EINVAL && (flags & MFD_NOEXEC_SEAL) != 0) {
    flags &= ~MFD_NOEXEC_SEAL; /* an older host */
    atomic_store_explicit(&fs->memfd_flags, flags, memory_order_relaxed);
    fd = memfd_create("virtiofs-memfs", flags);
  }
  if (fd >= 0)
    return fd;
  /* Out of descriptors is no fault of the guest's program: there is no room for its file. */
  rc = errno == EMFILE || errno == ENFILE ? -ENOSPC : virtiofs_memfs_error(errno);
  give(&fs->files, 1);
  return rc;
}

void virtiofs_memfs_file_close(struct virtiofs_memfs *fs, int fd) {
  if (fd < 0)
    return;
  close(fd);
  give(&fs->files, 1);
}

int virtiofs_memfs_error(int host_errno) {
  return host_errno == ENOSYS ? -EOPNOTSUPP : -host_errno;
}

struct virtiofs_time virtiofs_memfs_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (struct virtiofs_time){.sec = now.tv_sec, .nsec = (uint32_t)now.tv_nsec};
}
