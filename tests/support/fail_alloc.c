/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/fail_alloc.h"

#include <stdbool.h>
#include <stddef.h>

/* The linker's names. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static int left = -1;

void fail_alloc_after(int count) { left = count; }

static bool fails(void) {
  if (left > 0)
    left--;
  else if (left == 0)
    return true;
  return false;
}

void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
