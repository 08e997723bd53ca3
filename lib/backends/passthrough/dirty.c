/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/passthrough/share.h"

enum { FILES_MAX = 1 << 20 };

int virtiofs_passthrough_dirty_new(struct dirty **out, uint64_t max) {
  struct dirty *dirty = aligned_alloc(alignof(struct dirty), sizeof *dirty);
  *out = NULL;
  if (dirty == NULL)
    return -ENOMEM;
  memset(dirty, 0, sizeof *dirty);
  dirty->max = max;
  dirty->file_count = FILES_MAX;
  dirty->files = calloc(FILES_MAX, sizeof dirty->files[0]);
  dirty->errors = calloc(FILES_MAX, sizeof dirty->errors[0]);
  if (dirty->files == NULL || dirty->errors == NULL) {
    free(dirty->files);
    free(dirty->errors);
    free(dirty);
    return -ENOMEM;
  }
  for (unsigned i = 0; i < DIRTY_LOCKS; i++)
    pthread_mutex_init(&dirty->locks[i].lock, NULL);
  *out = dirty;
  return 0;
}

void virtiofs_passthrough_dirty_free(struct dirty *dirty) {
  if (dirty == NULL)
    return;
  for (unsigned i = 0; i < DIRTY_LOCKS; i++)
    pthread_mutex_destroy(&dirty->locks[i].lock);
  free(dirty->files);
  free(dirty->errors);
  free(dirty);
}

/* Not: that this can't be had of such a file. */
static bool is_of_the_disk(int host_errno) {
  return host_errno != EINVAL && host_errno != ESPIPE && host_errno != ENOSYS && host_errno != EINTR;
}

/* Writes one file out, if there is something of it. What comes meanwhile counts anew. The host tells each open file of
 * an error once, which is now: so it is kept for the guest's next fsync(2). */
static void write_out(struct dirty *dirty, size_t fd, unsigned how) {
  pthread_mutex_t *lock = &dirty->locks[fd % DIRTY_LOCKS].lock;
  pthread_mutex_lock(lock);
  uint64_t bytes = atomic_exchange(&dirty->files[fd], 0);
  if (bytes != 0) {
    if (sync_file_range((int)fd, 0, 0, how) != 0 && is_of_the_disk(errno))
      atomic_store(&dirty->errors[fd], virtiofs_passthrough_error(errno));
    atomic_fetch_sub(&dirty->bytes, bytes);
  }
  pthread_mutex_unlock(lock);
}

static bool too_much(const struct dirty *dirty) {
  return atomic_load(&dirty->bytes) > dirty->max;
}

/* Others', one after the other, where the last one who did this has stopped; once around at most. */
static void write_others_out(struct dirty *dirty) {
  const size_t most = atomic_load(&dirty->most);
  for (size_t i = 0; i < most && too_much(dirty); i++) {
    size_t fd = atomic_fetch_add(&dirty->hand, 1) % most;
    if (atomic_load_explicit(&dirty->files[fd], memory_order_relaxed) != 0)
      write_out(dirty, fd, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  }
}

void virtiofs_passthrough_dirty_wrote(struct virtiofs_passthrough *fs, int fd, uint64_t len) {
  struct dirty *dirty = fs->dirty;
  if (dirty == NULL || (size_t)fd >= dirty->file_count)
    return;
  size_t most = atomic_load(&dirty->most);
  while (most <= (size_t)fd && !atomic_compare_exchange_weak(&dirty->most, &most, (size_t)fd + 1))
    continue;
  /* The sum first: it is never less than what the files have. */
  atomic_fetch_add(&dirty->bytes, len);
  atomic_fetch_add(&dirty->files[fd], len);
  if (!too_much(dirty))
    return;
  write_out(dirty, (size_t)fd, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  write_others_out(dirty);
}

uint64_t virtiofs_passthrough_dirty_sync(struct virtiofs_passthrough *fs, int fd) {
  struct dirty *dirty = fs->dirty;
  return dirty != NULL && (size_t)fd < dirty->file_count ? atomic_exchange(&dirty->files[fd], 0) : 0;
}

int virtiofs_passthrough_dirty_synced(struct virtiofs_passthrough *fs, int fd, uint64_t bytes, int rc) {
  struct dirty *dirty = fs->dirty;
  if (dirty == NULL || (size_t)fd >= dirty->file_count)
    return rc;
  if (rc == 0)
    atomic_fetch_sub(&dirty->bytes, bytes);
  else
    atomic_fetch_add(&dirty->files[fd], bytes);
  int before = atomic_exchange(&dirty->errors[fd], 0);
  return rc != 0 ? rc : before;
}

void virtiofs_passthrough_dirty_close(struct virtiofs_passthrough *fs, int fd) {
  struct dirty *dirty = fs->dirty;
  /* Begun is enough: nobody can write any more of it by this. */
  if (dirty == NULL || (size_t)fd >= dirty->file_count)
    return;
  write_out(dirty, (size_t)fd, SYNC_FILE_RANGE_WRITE);
  atomic_store(&dirty->errors[fd], 0); /* the number will be another file's */
}
