/* SPDX-License-Identifier: BSD-3-Clause */
/** The mounts that known files lie in: the directory's own, and what is mounted below it. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_MOUNT_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_MOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct inode;
struct statx;
struct virtiofs_passthrough;

/** A mount. Constant but for the counts. */
struct mount {
  struct mount *next;
  uint64_t id;
  int fd; /**< of its first file, for opening by handle; keeps the mount busy. -1: that can't be done here */
  atomic_long inodes;
  atomic_long high; /**< about the most that @inodes has been since memory was given back last */
};

struct mount_table {
  pthread_mutex_t lock; /* for a mount that comes or goes */
  struct mount *first;
  atomic_flag said; /* that some mount has no file handles */
};

/**
 * virtiofs_passthrough_mount_get - the mount with that id, counted once more
 * @near: an inode that lies in it, probably, and is held: spares the search; or NULL
 *
 * Return: NULL if it is not known.
 */
struct mount *virtiofs_passthrough_mount_get(struct virtiofs_passthrough *fs, const struct inode *near, uint64_t id);

/**
 * virtiofs_passthrough_mount_enter - get to know a mount, and find out whether its files can be opened by handle
 * @fd:  O_PATH, of the first file that is found there: its root, from where a walk down has come
 * @stx: of @fd
 * @out: counted once more
 *
 * Return: 0; -EOPNOTSUPP if it has no file handles and these are mandatory; -ENFILE; -ENOMEM.
 */
int virtiofs_passthrough_mount_enter(struct virtiofs_passthrough *fs, int fd, const struct statx *stx,
                                     struct mount **out);

/** virtiofs_passthrough_mount_put - one count less; with the last it is closed. */
void virtiofs_passthrough_mount_put(struct virtiofs_passthrough *fs, struct mount *mount);

#endif
