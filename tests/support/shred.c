/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/shred.h"

#include <stdlib.h>
#include <string.h>

/* Ways that make more than two pieces. */
#define MANY 12U

static void *checked(void *memory) {
  if (memory == NULL)
    abort();
  return memory;
}

static void begin(struct shred *shred, size_t len) {
  *shred = (struct shred){.len = len};
  shred->blocks = checked(calloc(len + 1, sizeof(struct iovec)));
  shred->iov = checked(calloc(len + 1, sizeof(struct iovec)));
}

static void add(struct shred *shred, const unsigned char *bytes, size_t len) {
  if (len == 0)
    return;
  void *block = checked(malloc(len));
  memcpy(block, bytes, len);
  shred->blocks[shred->block_count++] = (struct iovec){.iov_base = block, .iov_len = len};
}

static void end(struct shred *shred) {
  memcpy(shred->iov, shred->blocks, shred->block_count * sizeof(struct iovec));
  shred->count = shred->block_count;
}

void shred_two(struct shred *shred, const void *bytes, size_t len, size_t first) {
  begin(shred, len);
  add(shred, bytes, first);
  add(shred, (const unsigned char *)bytes + first, len - first);
  end(shred);
}

void shred_even(struct shred *shred, const void *bytes, size_t len, size_t each) {
  begin(shred, len);
  for (size_t at = 0; at < len; at += each)
    add(shred, (const unsigned char *)bytes + at, len - at < each ? len - at : each);
  end(shred);
}

void shred_odd(struct shred *shred, const void *bytes, size_t len, size_t most, uint32_t seed) {
  begin(shred, len);
  for (size_t at = 0; at < len;) {
    seed = seed * 1664525U + 1013904223U;
    size_t piece = 1 + (seed >> 8) % most;
    piece = len - at < piece ? len - at : piece;
    add(shred, (const unsigned char *)bytes + at, piece);
    at += piece;
  }
  end(shred);
}

void shred_join(const struct shred *shred, void *bytes) {
  unsigned char *to = bytes;
  for (uint32_t i = 0; i < shred->block_count; i++) {
    memcpy(to, shred->blocks[i].iov_base, shred->blocks[i].iov_len);
    to += shred->blocks[i].iov_len;
  }
}

void shred_free(struct shred *shred) {
  for (uint32_t i = 0; i < shred->block_count; i++)
    free(shred->blocks[i].iov_base);
  free(shred->blocks);
  free(shred->iov);
  *shred = (struct shred){0};
}

size_t shred_ways(size_t len) { return len + MANY; }

void shred_way(struct shred *shred, const void *bytes, size_t len, size_t way) {
  if (way < len) {
    shred_two(shred, bytes, len, way);
    return;
  }
  size_t many = way - len;
  if (many < 4)
    shred_even(shred, bytes, len, (size_t[]){1, 3, 8, 40}[many]);
  else
    shred_odd(shred, bytes, len, 1 + many * 3, (uint32_t)many);
}
