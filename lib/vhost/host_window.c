/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/host_window.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
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

int virtiofs_host_window_step(void *ctx, const struct virtiofs_dax_step *step) {
  const struct virtiofs_host_window *window = ctx;
  if (step->len == 0 || ((step->window_offset | step->len | step->file_offset) & window->page_mask) != 0 ||
      step->window_offset >= window->len || step->len > window->len - step->window_offset ||
      step->file_offset > INT64_MAX)
    return -EINVAL;
  void *at = window->addr + step->window_offset;
  void *got;
  /* What was there goes in the same moment: nobody else's mapping can slip in between. */
  if (step->map)
    got = mmap(at, (size_t)step->len, step->writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED,
               step->fd, (off_t)step->file_offset);
  else
    got = mmap(at, (size_t)step->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return got != MAP_FAILED ? 0 : -errno;
}
