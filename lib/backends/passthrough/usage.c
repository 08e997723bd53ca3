/* SPDX-License-Identifier: BSD-3-Clause */
/* What guests have of this process. */
#include <string.h>

#include "backends/passthrough/share.h"

static uint64_t count_inodes(struct inode_table *table) {
  uint64_t count = 0;
  for (unsigned i = 0; i < PASSTHROUGH_SHARDS; i++) {
    pthread_mutex_lock(&table->shards[i].lock);
    count += table->shards[i].inode_count;
    pthread_mutex_unlock(&table->shards[i].lock);
  }
  return count;
}

static void count_locks(struct locks *locks, struct virtiofs_passthrough_usage *usage) {
  pthread_mutex_lock(&locks->lock);
  for (const struct lock_guest *guest = locks->guests; guest != NULL; guest = guest->next) {
    usage->locks += guest->ranges;
    usage->lock_waiters += guest->waiters;
  }
  pthread_mutex_unlock(&locks->lock);
  usage->max_locks = locks->locks_max;
  usage->max_lock_waiters = locks->waiters_max;
}

void virtiofs_passthrough_usage(struct virtiofs_passthrough *fs, struct virtiofs_passthrough_usage *out, size_t size) {
  struct virtiofs_passthrough_usage usage = {.inodes = count_inodes(&fs->table),
                                             .descriptors = (uint64_t)atomic_load(&fs->fd_count),
                                             .max_descriptors = (uint64_t)fs->fd_limit};
  if (fs->locks != NULL)
    count_locks(fs->locks, &usage);
  if (fs->quota != NULL) {
    usage.quota_bytes = atomic_load(&fs->quota->bytes.used);
    usage.max_quota_bytes = fs->quota->bytes.max;
    usage.quota_inodes = atomic_load(&fs->quota->inodes.used);
    usage.max_quota_inodes = fs->quota->inodes.max;
  }
  if (fs->dirty != NULL) {
    usage.dirty = atomic_load(&fs->dirty->bytes);
    usage.max_dirty = fs->dirty->max;
  }
  memset(out, 0, size);
  memcpy(out, &usage, size < sizeof(usage) ? size : sizeof(usage));
}
