/* SPDX-License-Identifier: BSD-3-Clause */
/** A served directory: its state and the few calls to the host that several operations share. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_SHARE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_SHARE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include <virtiofs/passthrough.h>

#include "backends/passthrough/caching.h"
#include "backends/passthrough/dirty.h"
#include "backends/passthrough/fdcache.h"
#include "backends/passthrough/idmap.h"
#include "backends/passthrough/inode.h"
#include "backends/passthrough/locks.h"
#include "backends/passthrough/mount.h"
#include "backends/passthrough/quota.h"
#include "backends/passthrough/sweep.h"
#include "backends/passthrough/xattrmap.h"

struct virtiofs_passthrough {
  struct inode_table table;
  struct mount_table mounts;
  struct fd_cache fds;
  struct sweeper sweeper;
  enum virtiofs_passthrough_handles handles;
  struct inode *root; /**< in the table, never forgotten */
  int proc_fd;        /**< /proc/self/fd, known to be procfs; turns an O_PATH descriptor into one for I/O */
  const char *proc;   /**< what goes before a descriptor's number to make a path: nothing where it is our directory */
  bool device_nodes;
  bool readonly;         /**< nothing is changed in a guest's name */
  bool preserve_noatime; /**< a guest's O_NOATIME is the host's */
  bool xattr;
  bool posix_acl;            /**< promised to guests */
  bool needs_acl;            /**< a guest that doesn't know them is refused */
  bool submounts;            /**< guests are told where they begin */
  struct xattrmap *xattrmap; /**< NULL: names are the same on both sides */
  bool killpriv_v2;          /**< promised to guests */
  char *capability;          /**< the host's name for security.capability if it is another; NULL: the host drops it */
  bool security_label;       /**< promised to guests */
  bool needs_label;          /**< a guest that doesn't send them is refused */
  int task_fd;               /**< /proc/self/task where SELinux labels what a thread makes; else -1 */
  atomic_bool keeps_ids;     /**< a thread may stay whoever it was last: cred.h */
  struct idmap *uids, *gids; /**< NULL: the same on both sides */
  uint64_t epoch;            /**< no other share of this process has it, nor of one that forked it; not 0 */
  struct caching caching;
  enum virtiofs_passthrough_dax dax;
  bool posix_lock, flock; /**< locks of fcntl(2), of flock(2), are kept here */
  struct locks *locks;    /**< NULL: neither */
  struct quota *quota;    /**< NULL: none */
  struct dirty *dirty;    /**< NULL: no limit */
  uint64_t entry_valid_ns, attr_valid_ns;
  struct virtiofs_log log;
  atomic_uint dir_windows; /**< open directories that have memory for records */
  long fd_limit;           /**< descriptors that guests may hold, O_PATH and open ones together */
  atomic_long fd_count;    /**< held now */
  atomic_ulong fd_wanted;  /**< how often there was none left */
};

/** So many open directories keep the records that the host gave last, 32 KiB of them. */
#define PASSTHROUGH_DIR_WINDOWS 256U

/** The attributes that every reply needs and those that name a file. */
#define PASSTHROUGH_STATX_MASK (STATX_BASIC_STATS | STATX_MNT_ID)

/**
 * virtiofs_passthrough_error - the one way from the host's errno to an operation's result
 *
 * ENOSYS becomes EOPNOTSUPP, since a guest takes ENOSYS for "never ask again"; EMFILE becomes ENFILE, since it is not
 * the guest's program that has too many files open.
 */
int virtiofs_passthrough_error(int host_errno);

/**
 * virtiofs_passthrough_fd_take - pay for @count descriptors before they are opened
 *
 * Descriptors that live only during one operation are not paid for: there are at most as many as threads, and the
 * reserve holds them. Who is in the cache makes room if need be.
 *
 * Return: 0; -ENFILE if the guests' budget is used up.
 */
int virtiofs_passthrough_fd_take(struct virtiofs_passthrough *fs, long count);

/** virtiofs_passthrough_fd_try - the same, and the log is not told that there were none. */
bool virtiofs_passthrough_fd_try(struct virtiofs_passthrough *fs, long count);

/** virtiofs_passthrough_fd_give - take the payment back; the descriptor was never opened, or is closed. */
void virtiofs_passthrough_fd_give(struct virtiofs_passthrough *fs, long count);

/** virtiofs_passthrough_fd_close - close a descriptor that was paid for. */
void virtiofs_passthrough_fd_close(struct virtiofs_passthrough *fs, int fd);

/** Text of a descriptor's name in /proc/self/fd. */
struct proc_name {
  char str[16];
};
struct proc_name virtiofs_passthrough_proc_name(int fd);

/** Text of a path to a descriptor's file, and no further if that is a symbolic link. For the system calls that want a
 * descriptor for I/O or a path: a symbolic link or a FIFO can't have the first. */
struct proc_path {
  char str[32];
};
struct proc_path virtiofs_passthrough_proc_path(const struct virtiofs_passthrough *fs, int fd);

/**
 * virtiofs_passthrough_reopen - open the very file that @fd stands for once more
 * @fd:    of a regular file or a directory if @flags ask for more than O_PATH: the caller has checked
 * @flags: of open(2); O_CLOEXEC is added
 *
 * Return: a descriptor or -errno.
 */
int virtiofs_passthrough_reopen(const struct virtiofs_passthrough *fs, int fd, int flags);

/** virtiofs_passthrough_stat - statx of a descriptor's file. Return: 0 or -errno. */
int virtiofs_passthrough_stat(int fd, struct statx *stx);

/** virtiofs_passthrough_attr - statx's form to the reply's; @inode remembers the size that was told. */
void virtiofs_passthrough_attr(const struct virtiofs_passthrough *fs, struct inode *inode, const struct statx *stx,
                               struct virtiofs_attr *attr);

/** What --dax=inode takes for large enough: the range that Linux maps at once. */
#define PASSTHROUGH_DAX_SIZE (UINT64_C(2) << 20)

/** virtiofs_passthrough_dax_flag - VIRTIOFS_ATTR_DAX if a guest is to map the file, else 0. */
uint32_t virtiofs_passthrough_dax_flag(const struct virtiofs_passthrough *fs, const struct statx *stx);

/** virtiofs_passthrough_fill_entry - the reply that gives @inode. */
void virtiofs_passthrough_fill_entry(const struct virtiofs_passthrough *fs, struct inode *inode,
                                     const struct statx *stx, struct virtiofs_entry_out *out);

/** virtiofs_passthrough_node - the inode that a reply of ours named so. */
struct inode *virtiofs_passthrough_node(uint64_t node);

/**
 * virtiofs_passthrough_walk - one step down from a directory, never through a symbolic link
 * @dirfd: borrowed from @parent, or of the open directory
 * @name:  one component
 * @out:   gives the node: one reply more is counted for it
 *
 * Cost: one system call for a file that is known and has a descriptor, two for another that has a file handle, three
 * for a new one that has none. Return: 0 or -errno.
 */
int virtiofs_passthrough_walk(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd, const char *name,
                              struct virtiofs_entry_out *out);

/**
 * virtiofs_passthrough_walk_new - the same for a name that was just made
 * @type: what was made; -ESTALE if somebody on the host has put another type there meanwhile
 *
 * The caller has paid for virtiofs_passthrough_inode_fds() descriptors, which are used up or given back.
 */
int virtiofs_passthrough_walk_new(struct virtiofs_passthrough *fs, const struct inode *parent, int dirfd,
                                  const char *name, uint32_t type, struct virtiofs_entry_out *out);

/** virtiofs_passthrough_inode_fds - descriptors, 0 or 1, that an inode for what is made in @parent will keep. */
long virtiofs_passthrough_inode_fds(const struct inode *parent);

/**
 * virtiofs_passthrough_enter_made - the reply for a file that was just made and is open
 * @file: stays the caller's
 *
 * Paid for as above. Return: 0 or -errno.
 */
int virtiofs_passthrough_enter_made(struct virtiofs_passthrough *fs, const struct inode *parent, int file,
                                    struct virtiofs_entry_out *out);

/**
 * virtiofs_passthrough_open_file - open a regular file for I/O
 * @fd:    borrowed from @inode
 * @flags: as the guest gave them
 *
 * Not paid for here. Return: a descriptor; -EISDIR, -ELOOP or -ENXIO for what is no regular file; -errno.
 */
int virtiofs_passthrough_open_file(struct virtiofs_passthrough *fs, struct inode *inode, int fd, uint32_t flags);

/**
 * virtiofs_passthrough_open_flags - those of the guest's open(2) flags that go to the host
 * @guest: as the guest gave them
 * @flags: filled
 *
 * Return: 0, -EINVAL for flags that make no file that can be read or written (O_PATH, O_TMPFILE).
 */
int virtiofs_passthrough_open_flags(const struct virtiofs_passthrough *fs, uint32_t guest, int *flags);

/** virtiofs_passthrough_dir_fd - the descriptor of an open directory; it stays the directory's. */
int virtiofs_passthrough_dir_fd(uint64_t handle);

/** virtiofs_passthrough_set_mode - @mode: permissions; a type is ignored. Return: 0 or -errno. */
int virtiofs_passthrough_set_mode(const struct virtiofs_passthrough *fs, int fd, mode_t mode);

/** virtiofs_passthrough_has_acls - does the file system of an O_PATH descriptor have POSIX ACLs? */
bool virtiofs_passthrough_has_acls(const struct virtiofs_passthrough *fs, int fd);

/** virtiofs_passthrough_xattr_to_host - the host's name for one that the guest sets. Return: 0 or -errno. */
int virtiofs_passthrough_xattr_to_host(const struct virtiofs_passthrough *fs, const char *guest,
                                       struct xattr_name *name);

/**
 * virtiofs_passthrough_masked - the mode of what is made in a directory
 * @dirfd: borrowed from it
 *
 * Where masking is left to the server (DONT_MASK), without the bits of @umask unless the directory has a default
 * ACL, which takes its place.
 */
mode_t virtiofs_passthrough_masked(const struct virtiofs_req *req, int dirfd, uint32_t mode, uint32_t umask);

/**
 * virtiofs_passthrough_before_change - a regular file's contents are to change: what goes with them goes
 * @fd:   of the file
 * @kill: set-user-id goes too, and set-group-id where the group may execute: by the host's own rules, when the next
 *        system call of this thread changes the file
 *
 * security.capability goes whenever the guest leaves that to us. Return: 0; -errno, and nothing may be changed.
 */
int virtiofs_passthrough_before_change(const struct virtiofs_req *req, int fd, bool kill);

/** virtiofs_passthrough_before_open - the same for an open(2), which may truncate; @fd: the inode's. */
int virtiofs_passthrough_before_open(const struct virtiofs_req *req, const struct inode *inode, int fd, uint32_t flags,
                                     uint32_t open_flags);

/** virtiofs_passthrough_kills - does a change by a request that can't say so take set-user-id away? */
bool virtiofs_passthrough_kills(const struct virtiofs_req *req);

/** virtiofs_passthrough_drop_capability - security.capability of @inode goes, if the host doesn't see to that. */
int virtiofs_passthrough_drop_capability(const struct virtiofs_req *req, const struct inode *inode, int fd);

/** virtiofs_passthrough_killpriv_init - find out what the host calls security.capability. Return: 0 or -ENOMEM. */
int virtiofs_passthrough_killpriv_init(struct virtiofs_passthrough *fs);

#endif
