/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How much guests may have written that is not on its way to the disk yet.
 *
 * What is written is added up for each open file. Who writes when there is too much has the host write it out, of his
 * own file first, and then of others, and waits for that; what is closed is written out then. So the host's memory
 * holds no more of it than that, whatever its own limits are. Nothing here does anything where fs->dirty is NULL.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_DIRTY_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_DIRTY_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct virtiofs_passthrough;

#define DIRTY_LOCKS 64U

struct dirty {
  uint64_t max;
  alignas(64) atomic_uint_least64_t bytes; /**< of all */
  atomic_uint_least64_t *files;            /**< of each descriptor */
  atomic_int *errors;                      /**< of each: what writing it out said, and nobody has been told; or 0 */
  size_t file_count;
  atomic_size_t most; /**< descriptors have been below it so far */
  atomic_size_t hand; /**< whose turn it is next */
  struct dirty_lock {
    alignas(64) pthread_mutex_t lock;
  } locks[DIRTY_LOCKS]; /**< of descriptors: held while one is written out, which must not be closed meanwhile */
};

/** virtiofs_passthrough_dirty_new - Return: 0 or -ENOMEM. */
int virtiofs_passthrough_dirty_new(struct dirty **out, uint64_t max);

/** virtiofs_passthrough_dirty_free - NULL is fine. */
void virtiofs_passthrough_dirty_free(struct dirty *dirty);

/** virtiofs_passthrough_dirty_wrote - @len bytes were written; may wait for the disk. */
void virtiofs_passthrough_dirty_wrote(struct virtiofs_passthrough *fs, int fd, uint64_t len);

/** virtiofs_passthrough_dirty_sync - all of @fd is to be written to the disk. Return: for
 * virtiofs_passthrough_dirty_synced(). */
uint64_t virtiofs_passthrough_dirty_sync(struct virtiofs_passthrough *fs, int fd);

/** virtiofs_passthrough_dirty_synced - and is, if @rc is 0. Return: @rc, or an error of writing it out before. */
int virtiofs_passthrough_dirty_synced(struct virtiofs_passthrough *fs, int fd, uint64_t bytes, int rc);

/** virtiofs_passthrough_dirty_close - @fd is to be closed. */
void virtiofs_passthrough_dirty_close(struct virtiofs_passthrough *fs, int fd);

#endif
