/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a regular file takes of the file system's bytes.
 *
 * A file without holes is simple: its size says how many pages it has. One with holes, or with pages reserved behind
 * its end, is paid for as if all pages of the written range were new, and the memfd is asked afterwards. Only where
 * that is more than there is left, the range is reserved piece by piece to see what it takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/memfs/node.h"

#define PIECE (UINT64_C(16) << 20)

static uint64_t pages_of(const struct virtiofs_memfs *fs, uint64_t bytes) {
  return bytes / fs->page + (bytes % fs->page != 0);
}

int virtiofs_memfs_need_file(struct virtiofs_memfs *fs, struct node *node) {
  if (node->file.fd >= 0)
    return 0;
  int fd = virtiofs_memfs_file_open(fs);
  if (fd < 0)
    return fd;
  node->file.fd = fd;
  return 0;
}

static uint64_t count_pages(const struct virtiofs_memfs *fs, const struct node *node) {
  struct stat st;
  if (node->file.fd < 0)
    return 0;
  if (node->file.dense)
    return pages_of(fs, node->size);
  if (fstat(node->file.fd, &st) != 0)
    return node->file.pages;
  return (uint64_t)st.st_blocks * 512 / fs->page;
}

void virtiofs_memfs_settle(struct virtiofs_memfs *fs, struct node *node, uint64_t taken) {
  uint64_t pages = count_pages(fs, node);
  virtiofs_memfs_bytes_settle(fs, node->file.pages * fs->page + taken, pages * fs->page);
  node->file.pages = pages;
}

int virtiofs_memfs_fallocate_file(int fd, int mode, uint64_t offset, uint64_t length) {
  int rc;
  do
    rc = fallocate(fd, mode, (off_t)offset, (off_t)length);
  while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : virtiofs_memfs_error(errno);
}

/* Gives back the pages of a range that nothing was written to. They read as zeros before and after. */
static void unreserve(const struct virtiofs_memfs *fs, int fd, uint64_t from, uint64_t to) {
  while (from < to) {
    off_t found = lseek(fd, (off_t)from, SEEK_DATA);
    uint64_t data = found < 0 || (uint64_t)found > to ? to : (uint64_t)found;
    if (data > from)
      (void)virtiofs_memfs_fallocate_file(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, data - from);
    found = lseek(fd, (off_t)data, SEEK_HOLE);
    if (found < 0)
      return;
    from = pages_of(fs, (uint64_t)found) * fs->page;
  }
}

/* Pays for what the range really takes, to the page. */
static int charge_exactly(struct virtiofs_memfs *fs, struct node *node, uint64_t offset, uint64_t length) {
  const uint64_t from = offset / fs->page * fs->page;
  const uint64_t to = offset + length;
  node->file.dense = false;
  for (uint64_t at = from; at < to; at += PIECE) {
    int rc = virtiofs_memfs_fallocate_file(node->file.fd, FALLOC_FL_KEEP_SIZE, at, to - at < PIECE ? to - at : PIECE);
    uint64_t pages = count_pages(fs, node);
    if (rc == 0 && pages > node->file.pages)
      rc = virtiofs_memfs_bytes_take(fs, (pages - node->file.pages) * fs->page);
    if (rc != 0) {
      unreserve(fs, node->file.fd, from, to);
      virtiofs_memfs_settle(fs, node, 0);
      return rc;
    }
    node->file.pages = pages;
  }
  return 0;
}

int virtiofs_memfs_charge(struct virtiofs_memfs *fs, struct node *node, uint64_t offset, uint64_t length,
                          uint64_t *taken) {
  struct contents *file = &node->file;
  int rc = virtiofs_memfs_need_file(fs, node);
  if (rc != 0)
    return rc;
  const uint64_t first = offset / fs->page;
  const uint64_t end = pages_of(fs, offset + length);
  if (first > file->pages)
    file->dense = false;
  if (file->dense)
    *taken = end > file->pages ? (end - file->pages) * fs->page : 0;
  else
    *taken = (end - first) * fs->page;
  rc = virtiofs_memfs_bytes_take(fs, *taken);
  if (rc == 0 || file->dense)
    return rc;
  *taken = 0;
  return charge_exactly(fs, node, offset, length);
}

/* No page comes with a longer file, so it has a hole then unless its last page was there already. */
int virtiofs_memfs_resize(struct virtiofs_memfs *fs, struct node *node, uint64_t size) {
  if (node->file.fd < 0 && size == 0)
    return 0;
  int rc = virtiofs_memfs_need_file(fs, node);
  if (rc != 0)
    return rc;
  do
    rc = ftruncate(node->file.fd, (off_t)size);
  while (rc != 0 && errno == EINTR);
  if (rc != 0)
    return virtiofs_memfs_error(errno);
  node->size = size;
  if (size == 0)
    node->file.dense = true;
  else if (pages_of(fs, size) > node->file.pages)
    node->file.dense = false;
  virtiofs_memfs_settle(fs, node, 0);
  return 0;
}
