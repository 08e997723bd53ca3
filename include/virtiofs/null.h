/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A backend that answers everything at once and keeps nothing: what is left to measure is the way to a backend and
 * back. In libvirtiofs-daemon; written against the other installed headers only.
 *
 * Any name is there. What it is, its first letters say:
 *   "new..."   nothing, so that a kernel which looks first can make it
 *   "d..."     a directory
 *   others     a regular file
 * What is made is what was asked for, for as long as the guest remembers it; what is removed or renamed is forgotten at
 * once, and writing changes nothing. No operation takes a lock or allocates.
 */
#ifndef VIRTIOFS_NULL_H
#define VIRTIOFS_NULL_H

#include <virtiofs/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The backend. Opaque. */
struct virtiofs_null;

/** What it shows. Zero means default. */
struct virtiofs_null_config {
  size_t size;             /**< sizeof(struct virtiofs_null_config) */
  uint64_t file_size;      /**< bytes of each file, at most INT64_MAX; 0: 1 GiB */
  uint64_t entries;        /**< names in each directory, at most 10^12; 0: it is empty */
  uint64_t entry_valid_ns; /**< how long a guest may believe a name, VIRTIOFS_FOREVER at most */
  uint64_t attr_valid_ns;  /**< how long a guest may believe attributes */
  /**
   * READ says how much it has read and leaves the bytes as they are. Otherwise it writes zeros. For guests whose memory
   * is their own: a mount on this host would be shown what the server had in that memory before.
   */
  bool leave_bytes;
};

/**
 * virtiofs_null_new - make one
 * @out:    NULL after an error
 * @config: copied; NULL: all default
 *
 * Return: 0; -EINVAL if something is out of range; -E2BIG if @config is of a newer library and uses it; -ENOMEM.
 * Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_null_new(struct virtiofs_null **out,
                                                        const struct virtiofs_null_config *config);

/** virtiofs_null_free - after the device that uses it is gone. NULL is fine. Threads: any, once. */
VIRTIOFS_EXPORT void virtiofs_null_free(struct virtiofs_null *fs);

/**
 * virtiofs_null_ops - its operations; to be used with the virtiofs_null as the file system's pointer
 *
 * Return: a constant. Threads: any.
 */
VIRTIOFS_EXPORT const struct virtiofs_ops *virtiofs_null_ops(void);

#ifdef __cplusplus
}
#endif

#endif
