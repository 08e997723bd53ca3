/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/host_window.h>

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

struct virtiofs_host_window {
  unsigned char *addr;
  uint64_t len;
  uint64_t page_mask;
};

int virtiofs_host_window_new(struct virtiofs_host_window **out, uint64_t len) {
  uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
  *out = NULL;
  if (len == 0 || (len & page_mask) != 0 || len > SIZE_MAX)
    return -EINVAL;
  struct virtiofs_host_window *window = malloc(sizeof(*window));
  if (window == NULL)
    return -ENOMEM;
  void *addr = mmap(NULL, (size_t)len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (addr == MAP_FAILED) {
    free(window);
    return -ENOMEM;
  }
  *window = (struct virtiofs_host_window){.addr = addr, .len = len, .page_mask = page_mask};
  *out = window;
  return 0;
}

void virtiofs_host_window_free(struct virtiofs_host_window *window) {
  if (window == NULL)
    return;
  munmap(window->addr, (size_t)window->len);
  free(window);
}

void *virtiofs_host_window_addr(const struct virtiofs_host_window *window) {
  return window->addr;
}

uint64_t virtiofs_host_window_len(const struct virtiofs_host_window *window) {
  return window->len;
}

/* Of a file in huge pages the kernel maps whole ones, however little was asked for: beyond the range, and the window.
 */
static bool is_on_its_pages(const struct virtiofs_dax_step *step, const void *at) {
  struct statfs fs;
  if (fstatfs(step->fd, &fs) != 0)
    return false;
  if (fs.f_type != HUGETLBFS_MAGIC)
    return true;
  return (((uintptr_t)at | step->len | step->file_offset) & ((uint64_t)fs.f_bsize - 1)) == 0;
}

/*
 * Mapped elsewhere, and moved. A file that refuses to be mapped, as those of some file systems do, would otherwise do
 * so when what was there has gone already; into the hole goes whatever this process maps next, where the guest has it.
 */
static int map_file(void *at, const struct virtiofs_dax_step *step) {
  size_t len = (size_t)step->len;
  if (!is_on_its_pages(step, at))
    return -EINVAL;
  void *got = mmap(NULL, len, step->writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, step->fd,
                   (off_t)step->file_offset);
  if (got == MAP_FAILED)
    return -errno;
  if (mremap(got, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED)
    return 0;
  int rc = -errno;
  munmap(got, len);
  /* Short of memory it may have got half way. Nobody else's mapping is touched. */
  (void)mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  return rc;
}

static int unmap(void *at, size_t len) {
  /* In one moment: nobody else's mapping can slip in. */
  void *got = mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return got != MAP_FAILED ? 0 : -errno;
}

int virtiofs_host_window_step(void *ctx, const struct virtiofs_dax_step *step) {
  const struct virtiofs_host_window *window = ctx;
  if (step->len == 0 || ((step->window_offset | step->len | step->file_offset) & window->page_mask) != 0 ||
      step->window_offset >= window->len || step->len > window->len - step->window_offset ||
      step->file_offset > INT64_MAX)
    return -EINVAL;
  void *at = window->addr + step->window_offset;
  return step->map ? map_file(at, step) : unmap(at, (size_t)step->len);
}
