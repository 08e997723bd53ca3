/* SPDX-License-Identifier: BSD-3-Clause */
/** Ranges of a window that don't overlap, in order: a balanced tree in slabs, 40 bytes a range. */
#ifndef VIRTIOFS_LIB_DAX_RANGES_H
#define VIRTIOFS_LIB_DAX_RANGES_H

#include <stdbool.h>
#include <stdint.h>

struct virtiofs_dax_range {
  uint64_t start, len; /* bytes; doesn't wrap */
  uint64_t offset;     /* in the file */
  uint32_t file;
  uint32_t child[2]; /* the tree's */
  uint8_t height;    /* the tree's */
  bool writable;
};

struct virtiofs_dax_ranges {
  struct virtiofs_dax_range **slabs;
  uint32_t slab_count; /* that there may be */
  uint32_t fresh;      /* how many were ever used */
  uint32_t free;       /* the first of those that are not used any more */
  uint32_t room;       /* how many there are slabs for */
  uint32_t count, max;
  uint32_t root;
};

/* For @max ranges. 0 or -ENOMEM. */
int virtiofs_dax_ranges_init(struct virtiofs_dax_ranges *ranges, uint32_t max);
void virtiofs_dax_ranges_fini(struct virtiofs_dax_ranges *ranges);

/* All of them are gone, and their memory too. */
void virtiofs_dax_ranges_clear(struct virtiofs_dax_ranges *ranges);

/* After it @more can be inserted. 0; -ENOMEM: the limit, or no memory. */
int virtiofs_dax_ranges_reserve(struct virtiofs_dax_ranges *ranges, uint32_t more);

/* The first range that ends after @at; NULL: none. Stays where it is until something is inserted or erased. */
struct virtiofs_dax_range *virtiofs_dax_ranges_after(const struct virtiofs_dax_ranges *ranges, uint64_t at);

/* A copy of @range, which overlaps none. There is room. */
void virtiofs_dax_ranges_insert(struct virtiofs_dax_ranges *ranges, const struct virtiofs_dax_range *range);

/* The range that begins at @start, which there is. */
void virtiofs_dax_ranges_erase(struct virtiofs_dax_ranges *ranges, uint64_t start);

#endif
