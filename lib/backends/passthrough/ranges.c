/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static void append(struct lock_ranges *to, uint64_t start, uint64_t end, const struct virtiofs_lock *like) {
  struct virtiofs_lock *last = to->count > 0 ? &to->list[to->count - 1] : NULL;
  if (last != NULL && last->type == like->type && last->end + 1 == start) {
    last->end = end;
    last->pid = like->pid;
    return;
  }
  to->list[to->count++] = (struct virtiofs_lock){.start = start, .end = end, .type = like->type, .pid = like->pid};
}

/* The new range goes in once, before the first one that begins behind it. */
static void append_new(struct lock_ranges *to, const struct virtiofs_lock *lock, bool *done) {
  if (!*done && lock->type != F_UNLCK)
    append(to, lock->start, lock->end, lock);
  *done = true;
}

int virtiofs_passthrough_ranges_set(const struct lock_ranges *from, const struct virtiofs_lock *lock,
                                    struct lock_ranges *to) {
  bool done = false;
  /* One more than before, and one that is cut in two. */
  *to = (struct lock_ranges){.list = calloc((size_t)from->count + 2, sizeof(*to->list))};
  if (to->list == NULL)
    return -ENOMEM;
  for (uint32_t i = 0; i < from->count; i++) {
    const struct virtiofs_lock *range = &from->list[i];
    if (range->start < lock->start)
      append(to, range->start, range->end < lock->start ? range->end : lock->start - 1, range);
    if (range->end > lock->end) {
      append_new(to, lock, &done);
      append(to, range->start > lock->end ? range->start : lock->end + 1, range->end, range);
    }
  }
  append_new(to, lock, &done);
  return 0;
}

const struct virtiofs_lock *virtiofs_passthrough_ranges_find(const struct lock_ranges *ranges,
                                                             const struct virtiofs_lock *lock) {
  for (uint32_t i = 0; i < ranges->count && ranges->list[i].start <= lock->end; i++) {
    const struct virtiofs_lock *range = &ranges->list[i];
    if (range->end >= lock->start && (range->type == F_WRLCK || lock->type == F_WRLCK))
      return range;
  }
  return NULL;
}

void virtiofs_passthrough_ranges_free(struct lock_ranges *ranges) {
  free(ranges->list);
  *ranges = (struct lock_ranges){.count = 0};
}
