/* SPDX-License-Identifier: BSD-3-Clause */
/** The ranges of one file that one owner has locked, as fcntl(2) keeps them. No system calls. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_RANGES_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_RANGES_H

#include <stdint.h>

#include <virtiofs/types.h>

/**
 * In the order of their places, none over another, and those of one type that touch are one. Their `type` is F_RDLCK or
 * F_WRLCK, `pid` who has locked it last.
 */
struct lock_ranges {
  struct virtiofs_lock *list;
  uint32_t count;
};

/**
 * virtiofs_passthrough_ranges_set - what there is after a lock or unlock
 * @from: stays as it is
 * @lock: start <= end <= INT64_MAX
 * @to:   new memory, to be freed by virtiofs_passthrough_ranges_free()
 *
 * Return: 0 or -ENOMEM.
 */
int virtiofs_passthrough_ranges_set(const struct lock_ranges *from, const struct virtiofs_lock *lock,
                                    struct lock_ranges *to);

/** virtiofs_passthrough_ranges_find - the first range that is in the way of another owner's @lock; NULL: none. */
const struct virtiofs_lock *virtiofs_passthrough_ranges_find(const struct lock_ranges *ranges,
                                                             const struct virtiofs_lock *lock);

/** virtiofs_passthrough_ranges_free - leaves no range. */
void virtiofs_passthrough_ranges_free(struct lock_ranges *ranges);

#endif
