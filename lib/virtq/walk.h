/* SPDX-License-Identifier: BSD-3-Clause */
/** The walk along one descriptor chain, written as one step over a state. */
#ifndef VIRTIOFS_LIB_VIRTQ_WALK_H
#define VIRTIOFS_LIB_VIRTQ_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/virtq.h>

#include "virtq/ring.h"

/* Chains with an indirect table may be longer than a small ring: 1 MiB in pages needs 260 descriptors. */
#define VIRTIOFS_WALK_INDIRECT_MAX 1024U

enum virtiofs_walk_result {
  VIRTIOFS_WALK_MORE,
  VIRTIOFS_WALK_END,
  VIRTIOFS_WALK_FAULT, /* walk->fault says why */
};

struct virtiofs_walk {
  /* set by the caller */
  const struct virtiofs_memory *map;
  uint32_t *hint;
  struct virtiofs_virtq_chain *chain; /* its counts grow */
  bool indirect_allowed;

  /* where the walk is */
  const unsigned char *table; /* host address; NULL: a table that doesn't lie in one piece */
  uint64_t table_gpa;         /* of an indirect table */
  uint32_t table_len;         /* entries */
  uint32_t index;             /* of the next descriptor, checked */
  uint32_t budget;            /* descriptors that may still come */
  bool indirect;              /* in an indirect table */
  bool writable;              /* a writable descriptor has been seen */
  uint64_t total;             /* bytes so far */
  enum virtiofs_virtq_fault fault;
};

/* Begins at @head of the ring's table, which is < @num. */
void virtiofs_walk_begin(struct virtiofs_walk *walk, const void *desc, uint32_t num, uint16_t head);

/* Takes one descriptor. */
enum virtiofs_walk_result virtiofs_walk_step(struct virtiofs_walk *walk);

#endif
