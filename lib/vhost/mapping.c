/* SPDX-License-Identifier: BSD-3-Clause */
/* The only place where guest memory is mapped and unmapped. */
#include "vhost/mapping.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

struct virtiofs_vhost_mapping {
  atomic_uint refs;
  void *addr;      /* of the file's first byte */
  size_t len;      /* as munmap wants it */
  uint64_t offset; /* of the region in the file */
};

/*
 * Memory past a file's end is a SIGBUS, so a region has to be within it. Character devices, and huge pages from some
 * places, say size 0 and mean nothing by it.
 */
static bool file_covers(const struct stat *st, bool huge, uint64_t end) {
  if (st->st_size == 0 && (huge || !S_ISREG(st->st_mode)))
    return true;
  return st->st_size > 0 && end <= (uint64_t)st->st_size;
}

/* How many bytes to map. munmap fails, unlike mmap, if the length of huge pages isn't a multiple of theirs. */
static int length_of(int fd, uint64_t end, size_t *len) {
  struct stat st;
  struct statfs fs;
  if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
    return -errno;
  bool huge = (uint32_t)fs.f_type == HUGETLBFS_MAGIC;
  if (!file_covers(&st, huge, end))
    return -EPROTO;
  uint64_t page = huge && fs.f_bsize > 0 ? (uint64_t)fs.f_bsize : 1;
  if (end > PTRDIFF_MAX - page)
    return -EPROTO;
  *len = (size_t)((end + page - 1) / page * page);
  return 0;
}

int virtiofs_vhost_mapping_new(struct virtiofs_vhost_mapping **out, int fd, uint64_t size, uint64_t offset) {
  *out = NULL;
  if (size == 0 || size > UINT64_MAX - offset)
    return -EPROTO;
  size_t len = 0;
  int rc = length_of(fd, size + offset, &len);
  if (rc != 0)
    return rc;
  struct virtiofs_vhost_mapping *mapping = malloc(sizeof *mapping);
  if (mapping == NULL)
    return -ENOMEM;
  /* From the file's beginning, as the region's offset need not be a multiple of the size of a page, maybe huge. */
  mapping->addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (mapping->addr == MAP_FAILED) {
    rc = -errno;
    free(mapping);
    return rc;
  }
  /* A guest's secrets, and its size, don't belong into our core dump. */
  (void)madvise(mapping->addr, len, MADV_DONTDUMP);
  atomic_init(&mapping->refs, 1);
  mapping->len = len;
  mapping->offset = offset;
  *out = mapping;
  return 0;
}

struct virtiofs_vhost_mapping *virtiofs_vhost_mapping_ref(struct virtiofs_vhost_mapping *mapping) {
  atomic_fetch_add_explicit(&mapping->refs, 1, memory_order_relaxed);
  return mapping;
}

void virtiofs_vhost_mapping_unref(struct virtiofs_vhost_mapping *mapping) {
  if (mapping == NULL || atomic_fetch_sub_explicit(&mapping->refs, 1, memory_order_acq_rel) != 1)
    return;
  munmap(mapping->addr, mapping->len);
  free(mapping);
}

void *virtiofs_vhost_mapping_host(const struct virtiofs_vhost_mapping *mapping) {
  return (char *)mapping->addr + mapping->offset;
}
