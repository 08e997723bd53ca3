/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How much guests may add to the served directory: blocks of regular files and directories, and names.
 *
 * A file is charged for by what the host says that it has, which is looked at after each change, under a lock of the
 * file's: so what it costs in the end is right, however many write to it at once. What may be added is reserved
 * before, so that it is never much more than there may be. A file that has lost its last name is paid for until nobody
 * has it any more: not the guest, and no handle.
 *
 * Nothing here does anything where there is no quota (fs->quota is NULL).
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_QUOTA_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_QUOTA_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inode;
struct virtiofs_attr;
struct virtiofs_passthrough;
struct virtiofs_statfs_out;

#define QUOTA_LOCKS 64U
/* If nothing is said of files, one for so many bytes: what a name or a directory costs is charged so. */
#define QUOTA_BYTES_OF_INODE 4096U

/** Something that there is a limit on. */
struct quota_limit {
  alignas(64) atomic_uint_least64_t used;
  atomic_uint_least64_t reserved; /**< of bytes: what is being written may come to so many more */
  uint64_t max;
};

struct quota {
  struct quota_limit bytes, inodes;
  struct quota_lock {
    alignas(64) pthread_mutex_t lock;
  } locks[QUOTA_LOCKS]; /**< of files, by their address: for inode.charged, and held while the host is asked */
  _Atomic(struct inode *) *handles; /**< by descriptor, which the host gives again: whose it is, with one reply more */
  size_t handle_count;
};

/** virtiofs_passthrough_quota_new - limits. Return: 0 or -ENOMEM. */
int virtiofs_passthrough_quota_new(struct quota **out, uint64_t bytes, uint64_t inodes);

/** virtiofs_passthrough_quota_free - NULL is fine. */
void virtiofs_passthrough_quota_free(struct quota *quota);

/** virtiofs_passthrough_quota_count - what is below @take_fd, a directory, is charged for. Return: 0 or -errno. */
int virtiofs_passthrough_quota_count(struct quota *quota, int take_fd);

/** virtiofs_passthrough_quota_statfs - no more than there may be. */
void virtiofs_passthrough_quota_statfs(const struct quota *quota, struct virtiofs_statfs_out *out);

/* ---- contents ---- */

/** A change of a file's contents, from its begin to its end. */
struct quota_change {
  struct inode *inode; /**< NULL: there is nothing to do */
  int fd;
  uint64_t reserved;
};

/**
 * virtiofs_passthrough_quota_begin - a regular file's contents, or attributes, or a directory's names are to change
 * @fd:     of the file, for whatever purpose; open for reading or writing if @len isn't 0
 * @offset: where something may be added; UINT64_MAX: at its end
 * @len:    how much; 0: nothing is
 *
 * Return: 0, then virtiofs_passthrough_quota_end() is to be called, whatever comes of it; -EDQUOT.
 */
int virtiofs_passthrough_quota_begin(struct virtiofs_passthrough *fs, struct inode *inode, int fd, uint64_t offset,
                                     uint64_t len, struct quota_change *change);
void virtiofs_passthrough_quota_end(struct virtiofs_passthrough *fs, const struct quota_change *change);

/** virtiofs_passthrough_quota_allows - of fallocate(2): what is set aside behind a file's end nobody can tell from what
 * the host has set aside by itself. */
bool virtiofs_passthrough_quota_allows(const struct virtiofs_passthrough *fs, uint32_t fallocate_mode);

/* ---- files ---- */

/** virtiofs_passthrough_quota_make - one more is to be made, or a name for one. Return: 0 or -EDQUOT. */
int virtiofs_passthrough_quota_make(struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_quota_unmade - it was not. */
void virtiofs_passthrough_quota_unmade(struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_quota_made - a guest gets to know it, by a name or without one. */
void virtiofs_passthrough_quota_made(struct virtiofs_passthrough *fs, struct inode *inode, bool named,
                                     const struct virtiofs_attr *attr);

/** virtiofs_passthrough_quota_opened - @fd: a handle's descriptor, or -errno. Return: @fd; -ENFILE, and it is closed.
 */
int virtiofs_passthrough_quota_opened(struct virtiofs_passthrough *fs, struct inode *inode, int fd);

/** virtiofs_passthrough_quota_released - whose it was, to be given to _closed() once it is closed; NULL: nobody's. */
struct inode *virtiofs_passthrough_quota_released(struct virtiofs_passthrough *fs, int fd);
void virtiofs_passthrough_quota_closed(struct virtiofs_passthrough *fs, struct inode *inode);

/**
 * What has a name that is to be taken away, or is to get one more. Its lock is held until that is done, so that what
 * each does to the number of its names is told from what the others do.
 */
struct quota_links {
  struct inode *inode; /**< NULL: nothing, or nobody wants to know */
  int fd;
  uint32_t before; /**< how many names it had */
};

/** virtiofs_passthrough_quota_victim - look for what has the name; with one reply more. */
void virtiofs_passthrough_quota_victim(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd,
                                       const char *name, struct quota_links *victim);

/** virtiofs_passthrough_quota_removed - the name was taken away if @rc is 0. */
void virtiofs_passthrough_quota_removed(struct virtiofs_passthrough *fs, const struct quota_links *victim, int rc);

/** virtiofs_passthrough_quota_linking - @inode is to get a name, after virtiofs_passthrough_quota_make(). @fd: of it.
 */
void virtiofs_passthrough_quota_linking(struct virtiofs_passthrough *fs, struct inode *inode, int fd,
                                        struct quota_links *links);

/** virtiofs_passthrough_quota_linked - it has, if @rc is 0; one that had none has been paid for before. */
void virtiofs_passthrough_quota_linked(struct virtiofs_passthrough *fs, const struct quota_links *links, int rc);

/** virtiofs_passthrough_quota_is_over - is there so much that no name may come or move any more? */
bool virtiofs_passthrough_quota_is_over(const struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_quota_forgotten - nobody has @inode any more. */
void virtiofs_passthrough_quota_forgotten(struct virtiofs_passthrough *fs, struct inode *inode);

#endif
