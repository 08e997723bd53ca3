/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A backend that serves a directory of the host. In libvirtiofs-daemon; written against the other installed headers
 * only.
 *
 * Nothing outside the directory can be reached: names are opened beneath the root by descriptors, symbolic links are
 * the guest's to follow, and device nodes, FIFOs and sockets are never opened on the host.
 */
#ifndef VIRTIOFS_PASSTHROUGH_H
#define VIRTIOFS_PASSTHROUGH_H

#include <virtiofs/backend.h>
#include <virtiofs/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A served directory. Opaque. */
struct virtiofs_passthrough;

/** Whether a guest may keep what it has read; docs/cache-modes.md says who sees what then. */
enum virtiofs_passthrough_cache {
  VIRTIOFS_PASSTHROUGH_CACHE_AUTO,    /**< contents until size or modification time are seen to change, or the file is
                                           opened again */
  VIRTIOFS_PASSTHROUGH_CACHE_NEVER,   /**< no contents; each read and write comes here */
  VIRTIOFS_PASSTHROUGH_CACHE_ALWAYS,  /**< contents and directories' listings until size or time are seen to change,
                                           which takes as long as attributes are believed */
  VIRTIOFS_PASSTHROUGH_CACHE_METADATA /**< no contents; listings as with ALWAYS */
};

/** How to serve it. Zero means default. */
struct virtiofs_passthrough_config {
  size_t size;             /**< sizeof(struct virtiofs_passthrough_config) */
  const char *shared_dir;  /**< the directory; required; only used during the call */
  uint64_t entry_valid_ns; /**< how long a guest may believe a name, VIRTIOFS_FOREVER at most */
  uint64_t attr_valid_ns;  /**< how long a guest may believe attributes */
  struct virtiofs_log log; /**< where to speak; copied */
  bool device_nodes; /**< let the guest make device nodes; whoever can reach them on the host can open them there */
  bool xattr;        /**< extended attributes: user.*, security.capability, and for reading the rest of security.*;
                          the others only by @xattrmap */
  const char *xattrmap; /**< names of extended attributes on the host, in virtiofsd's rule language (the man page has
                             it); sets @xattr; only used during the call; NULL: as in the guest */
  bool posix_acl;       /**< POSIX ACLs, if the directory's file system has them, checked by the guest; sets @xattr */
  enum virtiofs_passthrough_cache cache;
  bool writeback;       /**< the guest keeps what is written, too, and writes it later; its sizes and times count while
                             it does: for files that one guest has alone. With CACHE_AUTO and _ALWAYS */
  bool allow_mmap;      /**< shared mappings with CACHE_NEVER and _METADATA, whose pages the guest does keep */
  bool allow_direct_io; /**< O_DIRECT in the guest is O_DIRECT on the host; else it passes by the guest's cache only */
  bool no_readdirplus;  /**< directories are listed without attributes */
  bool no_posix_lock;   /**< locks of fcntl(2) stay in each guest; else the host and all guests see them */
  bool no_flock;        /**< the same for locks of flock(2) */
  uint32_t lock_waiters; /**< most locks of one guest that are waited for, then ENOLCK; 0: 48. To be smaller than the
                             guest's queue, in which they stand while they wait, or nobody gets through to unlock */
};

/**
 * virtiofs_passthrough_new - open a directory for serving
 * @out:    the backend; NULL after an error
 * @config: copied
 *
 * Return: 0; -EINVAL for a NULL or broken @config, or broken rules in its xattrmap (the log says where); -E2BIG if @config is of a newer library and uses it; -ENOTDIR;
 * -ENOMEM; what open(2) says. Threads: any. The process should have umask 0, as virtiofs_main() sets it, and must not
 * fork between this call and the last use. Its limit of descriptors (RLIMIT_NOFILE, soft) is read here: guests may hold
 * what it leaves after a reserve of 256.
 *
 * Operations that make a file act as the guest's user, if the process has CAP_SETUID and CAP_SETGID: a thread that
 * calls them loses its supplementary groups. Without these capabilities files belong to the process's user.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_passthrough_new(struct virtiofs_passthrough **out,
                                                               const struct virtiofs_passthrough_config *config);

/**
 * virtiofs_passthrough_free - close it
 *
 * After the device that uses it is gone. NULL is fine. Threads: any, once.
 */
VIRTIOFS_EXPORT void virtiofs_passthrough_free(struct virtiofs_passthrough *fs);

/**
 * virtiofs_passthrough_ops - its operations; to be used with the virtiofs_passthrough as the file system's pointer
 *
 * Return: a constant. Threads: any.
 */
VIRTIOFS_EXPORT const struct virtiofs_ops *virtiofs_passthrough_ops(void);

#ifdef __cplusplus
}
#endif

#endif
