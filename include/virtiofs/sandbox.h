/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a server's process can do to itself so that it can do less. In libvirtiofs-daemon.
 *
 * Programs of virtiofs_main() get it by their command line (--sandbox and its like) and say by struct
 * virtiofs_daemon_config what they need of the host. Others call, in this order, while they have one thread:
 *
 *   virtiofs_sandbox_enter()   another root directory, namespaces, a process outside
 *   virtiofs_sandbox_drop()    capabilities
 *   ... open what is served
 *   virtiofs_sandbox_lock()    system calls; threads may be there already
 *
 * docs/security.md says what each stage keeps away from whom.
 */
#ifndef VIRTIOFS_SANDBOX_H
#define VIRTIOFS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/** So many ids, one after the other. */
struct virtiofs_sandbox_ids {
  uint32_t inside;  /**< the first as the process sees it in its user namespace */
  uint32_t outside; /**< the same outside */
  uint32_t count;   /**< at least 1 */
};

/** Most ranges of users, or of groups: what Linux takes. */
#define VIRTIOFS_SANDBOX_IDS_MAX 340U

/** A user namespace. */
struct virtiofs_sandbox_userns_config {
  size_t size;                              /**< sizeof(struct virtiofs_sandbox_userns_config) */
  const struct virtiofs_sandbox_ids *users; /**< borrowed during the call; NULL: see virtiofs_sandbox_userns() */
  size_t user_count;                        /**< 0 .. VIRTIOFS_SANDBOX_IDS_MAX */
  const struct virtiofs_sandbox_ids *groups;
  size_t group_count;
  struct virtiofs_log log; /**< what goes wrong */
};

/**
 * virtiofs_sandbox_userns - go on in a user namespace of one's own
 *
 * There the process has all capabilities, over files of those ids alone that are mapped. It becomes user 0 and group 0,
 * if those are. Where nothing is said of users, or of groups, all are themselves if the process may map them
 * (CAP_SETUID, CAP_SETGID), or else its own is 0. A process that may not map others has newuidmap(1) and newgidmap(1)
 * do it, by /etc/subuid and /etc/subgid.
 *
 * Descriptors that are open stay so. What can only be done outside (make a socket in /run, mount) comes before.
 *
 * Return: 0; -EINVAL for a broken @config, ids that overlap, or if neither 0 nor the process's own id would be there;
 * -E2BIG for a config of a newer library; -EPERM, -ENOSPC, -EUSERS if the host refuses; -ENOENT without newuidmap.
 * After an error the process may be in the namespace already, and has to end. The log says why. Threads: the process's
 * only one.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_userns(const struct virtiofs_sandbox_userns_config *config);

/** What a process sees of the host. */
enum virtiofs_sandbox_mode {
  VIRTIOFS_SANDBOX_NAMESPACE, /**< one directory, itself, no network: namespaces for mounts, processes, network and
                                   SysV IPC; a user namespace too if the process may not make these (CAP_SYS_ADMIN) */
  VIRTIOFS_SANDBOX_CHROOT,    /**< one directory; needs CAP_SYS_CHROOT, no namespace */
  VIRTIOFS_SANDBOX_NONE       /**< all that its user sees */
};

/** What becomes of a process that makes a system call that isn't one of a server's. */
enum virtiofs_sandbox_seccomp {
  VIRTIOFS_SANDBOX_SECCOMP_KILL, /**< it dies at once, of SIGSYS */
  VIRTIOFS_SANDBOX_SECCOMP_TRAP, /**< the same, after a line on stderr that says which one it was */
  VIRTIOFS_SANDBOX_SECCOMP_LOG,  /**< nothing, and the kernel's audit log has it */
  VIRTIOFS_SANDBOX_SECCOMP_NONE  /**< nothing */
};

/** What Landlock refuses a process. */
enum virtiofs_sandbox_landlock {
  VIRTIOFS_SANDBOX_LANDLOCK_NONE,    /**< nothing: it isn't asked for with VIRTIOFS_SANDBOX_NONE */
  VIRTIOFS_SANDBOX_LANDLOCK_MISSING, /**< nothing: the kernel has none, or one that can't rename (before 5.19) */
  VIRTIOFS_SANDBOX_LANDLOCK_FILES,   /**< all but what is beneath the root and the trees; and as REST */
  VIRTIOFS_SANDBOX_LANDLOCK_REST,    /**< TCP, others' abstract sockets and signals, as far as the kernel has that; no
                                          files, since they are opened by file handle, which Landlock always refuses */
  VIRTIOFS_SANDBOX_LANDLOCK_MORE     /**< the same, since directories will come that nobody knows yet */
};

/** The process that stays outside, with all that the program had. */
struct virtiofs_sandbox_outside {
  void *ctx; /**< passed to all below */
  /** First of all: close what only the other one needs. NULL: nothing. */
  void (*begin)(void *ctx);
  /**
   * Something can be read from @channel, whose other end is virtiofs_sandbox_inside.channel: the one inside asks for
   * what only the one outside can do. It may be broken into, so nothing that it sends is to be trusted. Return 0, or
   * -errno to close the channel. NULL: there is no channel.
   */
  int (*request)(void *ctx, int channel);
  /** The other one has ended, with this exit status: remove what was made. NULL: nothing. */
  void (*ended)(void *ctx, int status);
};

/** A directory that becomes reachable inside as a descriptor, beside the root. */
struct virtiofs_sandbox_tree {
  const char *path; /**< on the host; borrowed during the call */
  int fd;           /**< set: O_PATH, of a copy of its mounts that belongs to nobody else; closed by the caller */
};

/** A sandbox. Zero means default. */
struct virtiofs_sandbox_config {
  size_t size; /**< sizeof(struct virtiofs_sandbox_config) */
  enum virtiofs_sandbox_mode mode;
  const char *root; /**< directory that becomes "/", with what is mounted below it, also later; borrowed during the
                       call; NULL: an empty one that nobody can write to */
  bool read_only;   /**< what is at @root now can't be written to; with VIRTIOFS_SANDBOX_NAMESPACE alone */
  struct virtiofs_sandbox_tree *trees; /**< other directories; borrowed during the call; NULL: none */
  size_t tree_count;
  const struct virtiofs_sandbox_ids *users; /**< a user namespace with these, as virtiofs_sandbox_userns() has it; in
                                                 any mode; borrowed during the call; NULL and no @groups: none is asked
                                                 for, and one that is needed maps the process's own user alone */
  size_t user_count;
  const struct virtiofs_sandbox_ids *groups;
  size_t group_count;
  bool network; /**< the host's network stays reachable */
  struct virtiofs_sandbox_outside outside;
  struct virtiofs_log log; /**< what goes wrong */

  uint64_t capabilities;        /**< those that are needed, 1 << CAP_CHOWN and so on, as far as the process has them */
  uint64_t add_capabilities;    /**< those that the operator wants besides; the process must have them */
  uint64_t remove_capabilities; /**< those that he takes away, wherever they come from */

  enum virtiofs_sandbox_seccomp seccomp;
  const char *const *calls; /**< names of further system calls that are needed, with any arguments; NULL-terminated;
                                 borrowed during the call; NULL: none */
  bool mounts;              /**< mount(2) and umount2(2) are needed, and what virtiofs_device_mount() takes */
  bool sockets;             /**< UNIX sockets are made later, to listen on */
  bool by_handle;           /**< files are opened by file handle (open_by_handle_at(2)) if the process may do that
                                 (CAP_DAC_READ_SEARCH): then Landlock has to leave files alone */
  bool more_directories;    /**< descriptors of others will be sent to the process: the same */
  bool labels;              /**< threads label what they make, by attr/fscreate beneath task_fd. Beside that stands a
                                 link to the program that the process runs: with @by_handle it is a way to all of the
                                 file system that this lies on, for one that a guest has taken over. Means nothing
                                 where the host doesn't have SELinux */
  bool close_inherited;     /**< inside, descriptors above 2 that aren't close-on-exec are closed: those of whoever has
                                 started the program (a launcher's lock, its pid file), in a program that makes its own
                                 with O_CLOEXEC; not with VIRTIOFS_SANDBOX_NONE */
};

/** What the process finds inside. Append-only. */
struct virtiofs_sandbox_inside {
  const char *root; /**< where config->root is now: "/", or itself with VIRTIOFS_SANDBOX_NONE; NULL if that was */
  int proc_fd;      /**< /proc/self/fd, for what takes a path to a descriptor; it is the working directory too, so that
                         "5" names descriptor 5; there is no way up from it. -1: nothing has changed (NONE) */
  int task_fd;      /**< /proc/self/task likewise, if config->labels asked for it; -1: none */
  int channel;      /**< a SOCK_SEQPACKET socket to the process outside; -1: none */
  bool other;    /**< this is another process than the one that called; set after an error too: what that one has made
                      is not this one's to remove */
  bool own_user; /**< in a user namespace that has the process's own user alone, who has no capabilities there either */
  enum virtiofs_sandbox_landlock landlock; /**< after virtiofs_sandbox_drop() */
};

/**
 * virtiofs_sandbox_enter - go on inside
 * @inside: filled; its descriptors are closed by nobody
 *
 * But for VIRTIOFS_SANDBOX_NONE this returns in another process. The one that called stays outside: it passes SIGTERM,
 * SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 on, does what @config->outside says, and exits as the other one did, by
 * the same signal if it was one. Each dies with the other. With VIRTIOFS_SANDBOX_NAMESPACE there is a third process
 * between them, which does nothing but to be the first one of its process namespace.
 *
 * Descriptors that are open stay so, in both, but for config->close_inherited. The signals above should be blocked
 * before, or be handled inside. Buffers of stdio are flushed.
 *
 * Return: 0; -EINVAL for a broken @config; -E2BIG for one of a newer library; -ENOTDIR, -ENOENT, ... for directories;
 * -EPERM, -ENOSPC, ... if the host refuses what the mode takes. The log has said why, and what to use instead. After an
 * error the process has to end. Threads: the process's only one.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_enter(struct virtiofs_sandbox_inside *inside,
                                                             const struct virtiofs_sandbox_config *config);

/**
 * virtiofs_sandbox_drop - give up all other capabilities, for good
 * @inside: as virtiofs_sandbox_enter() has left it
 * @config: the same
 *
 * Afterwards no program that the process might run gets more (no_new_privs, bounding set). But for
 * VIRTIOFS_SANDBOX_NONE its memory is out of reach of debuggers and core files, as it has the guest's, and Landlock
 * keeps it to its directories, where the kernel has that.
 *
 * Return: 0; -EPERM if it lacks one of add_capabilities; -errno. The log has said why. Threads: the process's only one;
 * those that it starts later have no more than it has.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_drop(struct virtiofs_sandbox_inside *inside,
                                                            const struct virtiofs_sandbox_config *config);

/**
 * virtiofs_sandbox_lock - no system calls any more but those that a server makes
 * @config: the same
 *
 * That is what the library's devices, backends and daemon do, what the C library does for them, and config->calls. No
 * memory can be mapped to be run, no process started, no socket made. Calls that are newer than the library answer
 * ENOSYS, as an old kernel would. Says in the log, by one line, what the sandbox is.
 *
 * Return: 0; -EINVAL; -errno if the kernel refuses, after a line in the log. Threads: any; it is for all that the
 * process has.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_lock(const struct virtiofs_sandbox_inside *inside,
                                                            const struct virtiofs_sandbox_config *config);

/**
 * virtiofs_sandbox_modcaps - read "+sys_admin:-chown"
 * @text:        names as in capabilities(7), in any case, with or without "cap_"; what comes later counts
 * @add, @remove: changed
 *
 * Return: 0; -EINVAL. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_modcaps(const char *text, uint64_t *add, uint64_t *remove);

#ifdef __cplusplus
}
#endif

#endif
