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

/** What is agreed on with a guest that may not know it. */
enum virtiofs_passthrough_mode {
  VIRTIOFS_PASSTHROUGH_NEVER,  /**< not even if it does */
  VIRTIOFS_PASSTHROUGH_AUTO,   /**< if it does */
  VIRTIOFS_PASSTHROUGH_ALWAYS, /**< the mount of one that doesn't fails */
};

/**
 * What holds a file that a guest knows. With a file handle it needs a descriptor only while it is in use, or was not
 * long ago; and a file that is deleted on the host is gone for the guest too (ESTALE), whatever has its name or its
 * number then.
 */
enum virtiofs_passthrough_handles {
  VIRTIOFS_PASSTHROUGH_HANDLES_PREFER,   /**< file handles; where the file system has none, or the process may not open
                                              files by them (CAP_DAC_READ_SEARCH), a descriptor for each file */
  VIRTIOFS_PASSTHROUGH_HANDLES_NEVER,    /**< a descriptor for each file */
  VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY /**< file handles; -EOPNOTSUPP for files that have none */
};

/** Which files a guest mounted with dax=inode maps into its window, if it has one. */
enum virtiofs_passthrough_dax {
  VIRTIOFS_PASSTHROUGH_DAX_ALWAYS, /**< all */
  VIRTIOFS_PASSTHROUGH_DAX_NEVER,  /**< none, whatever it was mounted with: no window is used */
  VIRTIOFS_PASSTHROUGH_DAX_INODE /**< those of at least 2 MiB, the range that Linux maps at once: smaller ones waste it
                                  */
};

/** How to serve it. Zero means default. */
struct virtiofs_passthrough_config {
  size_t size;             /**< sizeof(struct virtiofs_passthrough_config) */
  const char *shared_dir;  /**< the directory; required without @shared_fd; only used during the call */
  uint64_t entry_valid_ns; /**< how long a guest may believe a name, VIRTIOFS_FOREVER at most */
  uint64_t attr_valid_ns;  /**< how long a guest may believe attributes */
  struct virtiofs_log log; /**< where to speak; copied */
  bool device_nodes;    /**< let the guest make device nodes; whoever can reach them on the host can open them there */
  bool xattr;           /**< extended attributes: user.*, security.capability, and for reading the rest of security.*;
                             the others only by @xattrmap */
  const char *xattrmap; /**< names of extended attributes on the host, in virtiofsd's rule language (the man page has
                             it); sets @xattr; only used during the call; NULL: as in the guest */
  bool posix_acl;       /**< POSIX ACLs, if the directory's file system has them, checked by the guest; sets @xattr */
  bool killpriv_v2; /**< set-user-id, set-group-id and security.capability are taken away here when contents or owner
                         change (HANDLE_KILLPRIV_V2): a guest then need not ask for them before each write */
  enum virtiofs_passthrough_mode security_label; /**< what the guest makes gets the label that it sends along
                         (SECURITY_CTX), and it may change it: security.selinux and security.SMACK64..., on the host
                         under the names that @xattrmap gives them; sets @xattr */
  const char
      *translate_uid;        /**< rules about users' ids, in virtiofsd's language (the man page has it) with white
                                  space between; not with @posix_acl; only used during the call; NULL: as in the guest */
  const char *translate_gid; /**< the same about groups' */
  enum virtiofs_passthrough_handles inode_file_handles;
  uint32_t inode_fds; /**< descriptors that files with handles keep open between uses, those used last; 0: 16,384, but
                           at most a quarter of those that guests may hold */
  uint32_t inode_idle_ms; /**< after so many milliseconds without use such a descriptor is closed, by a thread that
                             starts with the first: a deleted file's room on the disk is free then; 0: 5000; UINT32_MAX:
                               never */
  bool hide_submounts; /**< don't tell guests where another of the host's file systems begins below the directory: all
                            is one to them, with numbers that may come twice */
  enum virtiofs_passthrough_dax dax;
  enum virtiofs_passthrough_cache cache;
  bool writeback;       /**< the guest keeps what is written, too, and writes it later; its sizes and times count while
                             it does: for files that one guest has alone. With CACHE_AUTO and _ALWAYS */
  bool allow_mmap;      /**< shared mappings with CACHE_NEVER and _METADATA, whose pages the guest does keep */
  bool allow_direct_io; /**< O_DIRECT in the guest is O_DIRECT on the host; else it passes by the guest's cache only */
  bool no_readdirplus;  /**< directories are listed without attributes */
  bool no_posix_lock;   /**< locks of fcntl(2) stay in each guest; else the host and all guests see them */
  bool no_flock;        /**< the same for locks of flock(2) */
  /**
   * How much may be added to the directory by guests, in bytes of disk that regular files and directories take; then
   * EDQUOT, and statfs(2) says so before. Names make directories larger by 1 MiB more. What was there at first isn't
   * counted unless @quota_scan is on, nor what the host adds to files that no guest changes. What guests give back by
   * truncating, or by deleting what nobody has open, may be added again. There is no DAX then, whatever @dax says. 0:
   * no quota.
   */
  uint64_t quota_bytes;
  uint64_t quota_inodes; /**< the same for names of files of any type; 0: one for each 4096 of @quota_bytes; not without
                            that */
  bool quota_scan;    /**< what is there at first counts: all of it is looked at, once, in virtiofs_passthrough_new() */
  uint64_t max_dirty; /**< bytes that guests may have written and the host not begun to write to the disk: who writes
                           more waits until some of it is there; 0: as the host has it for all. Without pool threads a
                           whole queue waits. What is written to a DAX window isn't counted */
  uint32_t max_locks; /**< ranges that one guest may have locked by fcntl(2), and processes of it with locks on a file,
                          1 .. 2^20 of each, then ENOLCK; 0: 8192 */
  uint32_t lock_waiters; /**< most locks of one guest that are waited for, then ENOLCK; 0: 48. To be smaller than the
                             guest's queue, in which they stand while they wait, or nobody gets through to unlock */
  bool readonly; /**< whatever would change something is -EROFS; times of access stay as they are where the host allows.
                    A window's mappings are for reading: a front-end that maps for writing, whatever it is asked, gets
                    none */
  bool posix_acl_required; /**< with @posix_acl, if the directory's file system has them: the mount of a guest that
                              doesn't know them, and so wouldn't heed them, fails */
  bool preserve_noatime; /**< O_NOATIME in the guest is O_NOATIME on the host, where the process may; else it is nothing
                          */
  bool keep_ids; /**< threads that call operations do nothing else (those of a device, say): one that has made something
                      for a guest's user stays that user until an operation needs another or the server; only on file
                      systems whose rights this kernel judges alone */
  int shared_fd; /**< a descriptor of the directory, above 0, of which another is made during the call; O_PATH is
                      enough. @shared_dir is not opened then, and names it in the log. For a process that can't reach
                      it; 0: none */
  int proc_fd;   /**< in a sandbox: of /proc/self/fd, which is the process's working directory too as long as the share
                      is in use (sandbox.h: proc_fd); copied; 0: /proc/self/fd can be opened */
  int task_fd;   /**< likewise of /proc/self/task, -1: there is none; means nothing without @proc_fd */
  uint32_t max_fds; /**< descriptors that guests may hold, if that is less than what the process's limit leaves; 0: no
                         less. One guest's share of a process that serves several */
};

/**
 * virtiofs_passthrough_new - open a directory for serving
 * @out:    the backend; NULL after an error
 * @config: copied
 *
 * Return: 0; -EINVAL for a NULL or broken @config, or broken rules in it (the log says where); -E2BIG if @config is of
 * a newer library and uses it; -ENOTDIR; -EOPNOTSUPP if file handles are mandatory and can't be had; -ENOMEM; what
 * open(2) says. Threads: any. The process should have umask 0, as virtiofs_main() sets it, and must not fork between
 * this call and the last use. If its files' size is limited (RLIMIT_FSIZE) it should ignore SIGXFSZ, as virtiofs_main()
 * does: a guest's write may reach the limit. Its limit of descriptors (RLIMIT_NOFILE, soft) is read here: guests may
 * hold what it leaves after a reserve of 256, open files, what @inode_fds allows and one for each mount together.
 *
 * Operations that make a file act as the guest's user, if the process has CAP_SETUID and CAP_SETGID: a thread that
 * calls them loses its supplementary groups. Without these capabilities files belong to the process's user. Between
 * operations a thread that calls them has the process's ids and capabilities, but for CAP_FSETID, which it may lack
 * where @killpriv_v2 is on, and unless @keep_ids. Nobody else may change a thread's ids or capabilities once it has
 * called one.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_passthrough_new(struct virtiofs_passthrough **out,
                                                               const struct virtiofs_passthrough_config *config);

/**
 * virtiofs_passthrough_capabilities - what a process needs to serve so
 * @config: shared_dir and shared_fd don't count
 *
 * For the capabilities of struct virtiofs_sandbox_config. What of them the process lacks limits what guests' users can
 * do; what it has besides makes no difference to them, but for CAP_LINUX_IMMUTABLE (chattr +i) and CAP_SYS_RESOURCE
 * (beyond quotas and into what a file system reserves for root).
 *
 * Return: a bit for each, 1 << CAP_CHOWN and so on. Threads: any. Looks at the host for security modules.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_passthrough_capabilities(const struct virtiofs_passthrough_config *config);

/**
 * virtiofs_passthrough_free - close it
 *
 * After the device that uses it is gone. NULL is fine. Threads: any, once.
 */
VIRTIOFS_EXPORT void virtiofs_passthrough_free(struct virtiofs_passthrough *fs);

/** What guests have of it now. Newer libraries may have more at the end. */
struct virtiofs_passthrough_usage {
  uint64_t inodes;      /**< files that they know, or have locks on */
  uint64_t descriptors; /**< of this process that are kept for them */
  uint64_t max_descriptors;
  uint64_t locks;                          /**< of fcntl(2): ranges of files */
  uint64_t quota_bytes, max_quota_bytes;   /**< used of the quota; 0, 0: there is none */
  uint64_t quota_inodes, max_quota_inodes; /**< the same of files */
  uint64_t dirty, max_dirty; /**< bytes that are written and not on their way to the disk; 0, 0: they aren't counted */
  uint64_t lock_waiters;     /**< locks that are waited for */
  uint64_t max_locks;        /**< of one guest; 0: locks stay in the guests, as the next */
  uint64_t max_lock_waiters; /**< of one guest; 0: locks stay in the guests */
};

/**
 * virtiofs_passthrough_usage - what guests have of it now
 * @out:  filled
 * @size: sizeof(struct virtiofs_passthrough_usage): no more is written; what this library doesn't know is 0
 *
 * Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_passthrough_usage(struct virtiofs_passthrough *fs, struct virtiofs_passthrough_usage *out,
                                                size_t size);

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
