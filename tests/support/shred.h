/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The iov shredder: the same bytes, cut into segments in every way that matters.
 *
 * Each segment is a heap block of exactly its size, so that a sanitizer sees a read or a write beyond it. No way of
 * cutting depends on anything but the bytes' length.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_SHRED_H
#define VIRTIOFS_TESTS_SUPPORT_SHRED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct shred {
  struct iovec *iov; /* may be changed by whom it is given to */
  uint32_t count;
  struct iovec *blocks; /* what was allocated */
  uint32_t block_count;
  size_t len;
};

/** Two pieces, the first of @first bytes; one piece if that is 0 or all. */
void shred_two(struct shred *shred, const void *bytes, size_t len, size_t first);
/** Pieces of @each bytes; the last one may be shorter. */
void shred_even(struct shred *shred, const void *bytes, size_t len, size_t each);
/** Pieces of 1 .. @most bytes; @seed says which. */
void shred_odd(struct shred *shred, const void *bytes, size_t len, size_t most, uint32_t seed);
/** Copies all blocks, as they are now, to @bytes. */
void shred_join(const struct shred *shred, void *bytes);
void shred_free(struct shred *shred);

/** How many ways shred_way() knows: each cut in two, and some in many. */
size_t shred_ways(size_t len);
/** Cuts in way number @way, 0 .. shred_ways() - 1. */
void shred_way(struct shred *shred, const void *bytes, size_t len, size_t way);

#endif
