/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How to write a file system.
 *
 * Fill a struct virtiofs_ops with the operations that you have and hand it, with a pointer of your own, to
 * virtiofs_main() (daemon.h) or virtiofs_device_new() (device.h). examples/hello is a whole file system in 40 lines.
 *
 * Nodes and handles. You name a file by any 64-bit value of yours that is not 0: an inode number, an index, a pointer.
 * Put it into `out->node`, and each later operation on the file gets it back in `in->node`. The same for open files and
 * `out->handle`. The guest never sees your values: it gets ids that the library makes up, and what it sends is looked
 * up and checked before you are called. When the guest reboots, crashes or is dropped, the library forgets every node
 * and releases every handle that was left.
 *
 * Every operation has the same shape and returns
 *   0                 and has filled `out`, or
 *   -errno            (-1 .. -511); the guest's program sees it, or
 *   VIRTIOFS_PENDING  and calls virtiofs_req_complete() (request.h) exactly once.
 * Never return -ENOSYS because a system call of the host did: Linux then never sends the operation again until it is
 * unmounted. Answer -EOPNOTSUPP. An operation that you leave NULL answers ENOSYS, which is meant so, if nothing else is
 * said there.
 *
 * Threads: operations are called from several threads at once, also for the same node. Operations of the mask
 * `blocking` run on a pool of threads when more than one request waits, so that they don't hold up the others; all
 * others are called on the queue's worker. What an operation may call: everything in request.h and the functions below.
 *
 * Specification: virtio 1.3, 5.11; <linux/fuse.h>.
 */
#ifndef VIRTIOFS_BACKEND_H
#define VIRTIOFS_BACKEND_H

#include <virtiofs/request.h>
#include <virtiofs/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bits of virtiofs_ops.blocking. */
#define VIRTIOFS_BLOCKING_LOOKUP (UINT64_C(1) << 1)
#define VIRTIOFS_BLOCKING_GETATTR (UINT64_C(1) << 3)
#define VIRTIOFS_BLOCKING_SETATTR (UINT64_C(1) << 4)
#define VIRTIOFS_BLOCKING_READLINK (UINT64_C(1) << 5)
#define VIRTIOFS_BLOCKING_SYMLINK (UINT64_C(1) << 6)
#define VIRTIOFS_BLOCKING_MKNOD (UINT64_C(1) << 8)
#define VIRTIOFS_BLOCKING_MKDIR (UINT64_C(1) << 9)
#define VIRTIOFS_BLOCKING_UNLINK (UINT64_C(1) << 10)
#define VIRTIOFS_BLOCKING_RMDIR (UINT64_C(1) << 11)
#define VIRTIOFS_BLOCKING_RENAME (UINT64_C(1) << 12)
#define VIRTIOFS_BLOCKING_LINK (UINT64_C(1) << 13)
#define VIRTIOFS_BLOCKING_OPEN (UINT64_C(1) << 14)
#define VIRTIOFS_BLOCKING_READ (UINT64_C(1) << 15)
#define VIRTIOFS_BLOCKING_WRITE (UINT64_C(1) << 16)
#define VIRTIOFS_BLOCKING_STATFS (UINT64_C(1) << 17)
#define VIRTIOFS_BLOCKING_RELEASE (UINT64_C(1) << 18)
#define VIRTIOFS_BLOCKING_FSYNC (UINT64_C(1) << 20)
#define VIRTIOFS_BLOCKING_FLUSH (UINT64_C(1) << 25)
#define VIRTIOFS_BLOCKING_OPENDIR (UINT64_C(1) << 27)
#define VIRTIOFS_BLOCKING_READDIR (UINT64_C(1) << 28)
#define VIRTIOFS_BLOCKING_RELEASEDIR (UINT64_C(1) << 29)
#define VIRTIOFS_BLOCKING_FSYNCDIR (UINT64_C(1) << 30)
#define VIRTIOFS_BLOCKING_CREATE (UINT64_C(1) << 35)
#define VIRTIOFS_BLOCKING_FALLOCATE (UINT64_C(1) << 43)
#define VIRTIOFS_BLOCKING_READDIRPLUS (UINT64_C(1) << 44)
#define VIRTIOFS_BLOCKING_LSEEK (UINT64_C(1) << 46)
#define VIRTIOFS_BLOCKING_SETXATTR (UINT64_C(1) << 21)
#define VIRTIOFS_BLOCKING_GETXATTR (UINT64_C(1) << 22)
#define VIRTIOFS_BLOCKING_LISTXATTR (UINT64_C(1) << 23)
#define VIRTIOFS_BLOCKING_REMOVEXATTR (UINT64_C(1) << 24)
#define VIRTIOFS_BLOCKING_GETLK (UINT64_C(1) << 31)
#define VIRTIOFS_BLOCKING_SETLK (UINT64_C(1) << 32)
#define VIRTIOFS_BLOCKING_SETLKW (UINT64_C(1) << 33)
#define VIRTIOFS_BLOCKING_ACCESS (UINT64_C(1) << 34)
#define VIRTIOFS_BLOCKING_BMAP (UINT64_C(1) << 37)
#define VIRTIOFS_BLOCKING_IOCTL (UINT64_C(1) << 39)
#define VIRTIOFS_BLOCKING_POLL (UINT64_C(1) << 40)
#define VIRTIOFS_BLOCKING_COPY_FILE_RANGE (UINT64_C(1) << 47)
#define VIRTIOFS_BLOCKING_SETUPMAPPING (UINT64_C(1) << 48)
#define VIRTIOFS_BLOCKING_SYNCFS (UINT64_C(1) << 50)
#define VIRTIOFS_BLOCKING_TMPFILE (UINT64_C(1) << 51)
#define VIRTIOFS_BLOCKING_STATX (UINT64_C(1) << 52)
#define VIRTIOFS_BLOCKING_ALL UINT64_MAX

/**
 * Bits of virtiofs_ops.semantics: promises that only you can make. An operation that is there is offered to the guest
 * by itself; what follows changes who does a thing, the guest or you, and is never guessed. Promise what you do; the
 * guest's driver may be too old for it, and virtiofs_req_semantics() says what holds for a mount. Each has the bit of
 * the INIT flag of its name.
 *
 * A promise without an operation that it is about, or one that contradicts another, is a mistake: of virtiofs_ops, and
 * the device is not made (-EINVAL); of init, and the mount fails (EIO). The log names it.
 */

/** open truncates the file when O_TRUNC is among its flags. Otherwise the guest sends a setattr behind the open. If
 * set-user-id has to go then, HANDLE_KILLPRIV or _V2 is needed too: the guest doesn't see to that. Needs open. */
#define VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC (UINT64_C(1) << 3)
/** lookup finds "." and ".." in any node, whatever its type: "." is the node itself, ".." is the directory that it is
 * in, and for the root the root; nothing outside of the share. So a guest can export the mount by NFS, as long as it
 * remembers the files: one that it has forgotten is ESTALE. Needs lookup; not with NO_EXPORT_SUPPORT. */
#define VIRTIOFS_SEMANTICS_EXPORT_SUPPORT (UINT64_C(1) << 4)
/** `in->umask` is applied to `in->mode` by create, mkdir, mknod and tmpfile, unless a default ACL of the directory
 * takes its place. Otherwise the guest has applied it. */
#define VIRTIOFS_SEMANTICS_DONT_MASK (UINT64_C(1) << 6)
/** setlk and setlkw serve flock(2) too: `in->flock` is set, the lock is the open file's and apart from those of
 * fcntl(2), and release drops it when told by VIRTIOFS_RELEASE_FLOCK_UNLOCK. Otherwise flock(2) stays in the guest.
 * Needs setlk and setlkw. Drivers before 7.17 know no locks of fcntl(2) without these. */
#define VIRTIOFS_SEMANTICS_FLOCK_LOCKS (UINT64_C(1) << 10)
/** The guest's page cache may hold what is written, and then the guest alone says what size, mtime and ctime are
 * (setattr with SET_SIZE, SET_MTIME, SET_CTIME). So: the file is the guest's alone; files opened for writing only are
 * read from too (open them for both); O_APPEND is not for you to obey, as the guest says where. Needs read, write and
 * setattr. */
#define VIRTIOFS_SEMANTICS_WRITEBACK_CACHE (UINT64_C(1) << 16)
/** Every write, truncation and change of owner takes away set-user-id, set-group-id and security.capability. Otherwise
 * the guest does. Stands back where HANDLE_KILLPRIV_V2 is promised and known to the driver. */
#define VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV (UINT64_C(1) << 19)
/** The guest checks ACLs: getxattr and setxattr serve system.posix_acl_access and _default, with the guest's ids in
 * them; an ACL and the file's mode are kept in step; what is made inherits the directory's default ACL. Needs
 * DONT_MASK, getxattr and setxattr. */
#define VIRTIOFS_SEMANTICS_POSIX_ACL (UINT64_C(1) << 20)
/** A symbolic link's target never changes: the guest asks readlink once and remembers. Needs readlink. */
#define VIRTIOFS_SEMANTICS_CACHE_SYMLINKS (UINT64_C(1) << 23)
/** Contents change by this guest alone: it never drops what it has cached because size or mtime have changed. */
#define VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA (UINT64_C(1) << 25)
/** Directories where another file system begins have VIRTIOFS_ATTR_SUBMOUNT in their attributes: the guest mounts there
 * and shows another st_dev, so the numbers of both may be the same. Otherwise the flag is left out. */
#define VIRTIOFS_SEMANTICS_SUBMOUNTS (UINT64_C(1) << 27)
/** security.capability goes at every write, truncation and change of owner; set-user-id, and set-group-id if the group
 * may execute, at every change of owner, and at the rest if the request says so: VIRTIOFS_WRITE_KILL_SUIDGID,
 * VIRTIOFS_OPEN_KILL_SUIDGID with O_TRUNC, VIRTIOFS_SET_KILL_SUIDGID with SET_SIZE; fallocate and copy_file_range are
 * writes that can't say so. Otherwise the guest does, and asks for security.capability before each write. */
#define VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2 (UINT64_C(1) << 28)
/** setxattr obeys VIRTIOFS_SETXATTR_ACL_KILL_SGID. Otherwise the flags are 0. Needs setxattr. */
#define VIRTIOFS_SEMANTICS_SETXATTR_EXT (UINT64_C(1) << 29)
/** create, mkdir, mknod, symlink and tmpfile set the security contexts among their `extensions` as part of making the
 * file: nobody sees it without. Otherwise the guest sets an xattr afterwards. Drivers since 7.38 only, as older ones
 * don't say where the contexts begin. */
#define VIRTIOFS_SEMANTICS_SECURITY_CTX (UINT64_C(1) << 32)
/** Files with VIRTIOFS_ATTR_DAX are mapped through the window by a guest mounted with dax=inode. Without a window, or
 * with another driver, the flag is left out. */
#define VIRTIOFS_SEMANTICS_HAS_INODE_DAX (UINT64_C(1) << 33)
/** What is made in a directory with set-group-id is made with the group among the `extensions` as one of the caller's
 * supplementary groups: it is the directory's, and the guest has checked that the caller is in it. Drivers since 7.38.
 */
#define VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP (UINT64_C(1) << 34)
/** Files opened with VIRTIOFS_OPEN_DIRECT_IO may be mapped shared all the same: contents then change through the
 * guest's page cache too, and reads and writes that pass it by may see them late. Otherwise mmap(2) fails. */
#define VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
/** The mount can't be exported by NFS at all. Otherwise a guest can, and gets ESTALE for files out of its cache. Not
 * with EXPORT_SUPPORT. */
#define VIRTIOFS_SEMANTICS_NO_EXPORT_SUPPORT (UINT64_C(1) << 38)
/** The guest may mount with ids mapped: who asks is UINT32_MAX but where something is made, and then mapped already. No
 * operation decides by virtiofs_req_caller() who may do what. */
#define VIRTIOFS_SEMANTICS_ALLOW_IDMAP (UINT64_C(1) << 40)

/**
 * The operations. Zero it, set @size to sizeof(struct virtiofs_ops), fill in what you have. Copied where it is passed
 * in.
 *
 * "Gives a node" means: the reply counts as one of the replies that forget tells about, and the node stays valid until
 * then.
 */
struct virtiofs_ops {
  size_t size;        /**< sizeof(struct virtiofs_ops) */
  uint64_t blocking;  /**< VIRTIOFS_BLOCKING_...: operations that may sleep, in system calls or elsewhere */
  uint64_t semantics; /**< VIRTIOFS_SEMANTICS_...: promises to every guest; init may change them for one mount */

  /**
   * A guest has mounted, or mounted again: a new session begins and no node or handle of an older one is left. Choose
   * the root's node here, and what is promised to this guest if that is not always the same. The root is given to the
   * guest without a reply of yours and never forgotten. May be NULL. Must not be pending. An error fails the mount.
   */
  int (*init)(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out);

  /**
   * The session is over and all nodes and handles have been taken back, but for those that an operation works on which
   * was answered in its place (request.h): these follow when it ends. May be NULL.
   */
  void (*destroy)(struct virtiofs_req *req);

  /**
   * Find @name in the directory @parent (with EXPORT_SUPPORT also "." and ".." in any node). Gives a node. -ENOENT when
   * it is not there, or 0 with `out->node` 0 and `out->entry_valid_ns` set, and the guest remembers that.
   */
  int (*lookup)(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out);

  /**
   * The guest has given back the node. `in->replies` says how many of your replies had given it: a backend that frees
   * the node subtracts that from a count of its own. When none are left, nothing of the guest refers to the node and no
   * operation on it runs. Otherwise the node was given again meanwhile, perhaps by a reply that is on its way, and
   * stays. May be NULL if there is nothing to free. Called from a thread of its own, within a call of the library's
   * that takes a reply's node back, or at the session's end.
   */
  void (*forget)(struct virtiofs_req *req, const struct virtiofs_forget_in *in);

  /** Attributes of a node. */
  int (*getattr)(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out);

  /** Set those attributes that `in->valid` names, all or none where you can, and reply with all of them as they are
   * then. */
  int (*setattr)(struct virtiofs_req *req, const struct virtiofs_setattr_in *in, struct virtiofs_attr_out *out);

  /** The target of a symbolic link. -EINVAL for anything else. */
  int (*readlink)(struct virtiofs_req *req, const struct virtiofs_readlink_in *in, struct virtiofs_readlink_out *out);

  /** Make a symbolic link, owned by the caller. Gives a node. */
  int (*symlink)(struct virtiofs_req *req, const struct virtiofs_symlink_in *in, struct virtiofs_entry_out *out);

  /** Make a file, FIFO, socket or device node, owned by the caller. Gives a node of the same type. */
  int (*mknod)(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out);

  /** Make a directory, owned by the caller. Gives a node. */
  int (*mkdir)(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out);

  /** Remove a name of something that is no directory. Its node stays valid until it is forgotten, open files work on.
   */
  int (*unlink)(struct virtiofs_req *req, const struct virtiofs_unlink_in *in);

  /** Remove an empty directory; -ENOTEMPTY otherwise. */
  int (*rmdir)(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in);

  /** Rename, also over something; serves RENAME (flags 0) and RENAME2. -EINVAL for flags that you don't have. */
  int (*rename)(struct virtiofs_req *req, const struct virtiofs_rename_in *in);

  /** Give a node one more name. Gives that node (counts as a reply that carried it). */
  int (*link)(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out);

  /**
   * Open a file. The handle is released exactly once. NULL: the guest opens without asking and handles are 0; it then
   * caches contents for as long as size and modification time stay as they are.
   */
  int (*open)(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out);

  /** Read up to `in->size` bytes into `in->data`; fewer only at the end of the file. */
  int (*read)(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out);

  /**
   * Write `in->size` bytes from `in->data`; fewer only if an error stopped it, which is told next time. Whether to
   * append says O_APPEND in `in->flags`, not in those of open: fcntl(2) may have changed it. Bytes of the guest's page
   * cache (VIRTIOFS_WRITE_CACHE) never append, and are all written or the answer is the error: Linux takes its pages
   * for written whatever the number, and what is missing would be lost with nobody told. So fewer is EIO there.
   */
  int (*write)(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out);

  /** Sizes of the file system that the node is on. NULL: they are not known, which the guest is told by zeros, with
   * blocks of 512 bytes and names of 255; statfs(2) and df(1) work. */
  int (*statfs)(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out);

  /**
   * Close an open file: the last call with its handle; nothing else runs on the handle then. May be NULL. Called on the
   * request's thread, or on a thread of the library's for handles that a guest left.
   */
  void (*release)(struct virtiofs_req *req, const struct virtiofs_release_in *in);

  /** Make the file's contents durable. */
  int (*fsync)(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);

  /** A program has closed one of its descriptors; called any number of times per open file. The error is close(2)'s. */
  int (*flush)(struct virtiofs_req *req, const struct virtiofs_flush_in *in);

  /** Open a directory. NULL: the guest lists without asking and handles are 0. */
  int (*opendir)(struct virtiofs_req *req, const struct virtiofs_opendir_in *in, struct virtiofs_open_out *out);

  /**
   * List names from `in->offset` on: call virtiofs_readdir_add() for each until it returns false or there are no more.
   * "." and ".." may be listed. A listing without a name means the end.
   */
  int (*readdir)(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out);

  /** As readdir, with attributes: virtiofs_readdirplus_add(). NULL: the guest uses readdir and lookup. Needs readdir
   * too. */
  int (*readdirplus)(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out);

  /** Close a directory; as release. */
  void (*releasedir)(struct virtiofs_req *req, const struct virtiofs_release_in *in);

  /** Make a directory's names durable. */
  int (*fsyncdir)(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);

  /**
   * Make a file, owned by the caller, and open it. Gives a node and a handle. The guest believes that the name is not
   * there: if it is, open that file unless O_EXCL is set (-EEXIST), with the caller's rights, which the guest has not
   * checked.
   */
  int (*create)(struct virtiofs_req *req, const struct virtiofs_create_in *in, struct virtiofs_create_out *out);

  /** Reserve, zero, punch or collapse a range, as fallocate(2). -EOPNOTSUPP for modes that you don't have. */
  int (*fallocate)(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in);

  /** Find data or a hole, as lseek(2). NULL: the guest takes files as having no holes. */
  int (*lseek)(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out);

  /** Set an extended attribute. -EEXIST and -ENODATA as setxattr(2) with its flags. NULL: the guest says EOPNOTSUPP,
   * for all four. */
  int (*setxattr)(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in);

  /** The value of an extended attribute, put into `in->data`; or only its size, if `in->size` is 0. -ENODATA, -ERANGE.
   */
  int (*getxattr)(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in, struct virtiofs_xattr_out *out);

  /** All names of extended attributes, each with its NUL; or only their size, if `in->size` is 0. -ERANGE. */
  int (*listxattr)(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in, struct virtiofs_xattr_out *out);

  /** Remove an extended attribute. -ENODATA if it isn't there. */
  int (*removexattr)(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in);

  /**
   * May the caller do `in->mask`? Linux guests decide that themselves and don't ask.
   */
  int (*access)(struct virtiofs_req *req, const struct virtiofs_access_in *in);

  /**
   * A lock that would be in the way of `in->lock`. With getlk, setlk and setlkw there, fcntl(2) locks of guests are the
   * backend's (POSIX_LOCKS); else each guest keeps its own. FLUSH drops the locks of its `lock_owner`.
   */
  int (*getlk)(struct virtiofs_req *req, const struct virtiofs_lk_in *in, struct virtiofs_getlk_out *out);

  /** Lock or unlock a range; -EAGAIN if another lock is in the way. Must not wait. */
  int (*setlk)(struct virtiofs_req *req, const struct virtiofs_lk_in *in);

  /**
   * The same, waiting until it can be had: return VIRTIOFS_PENDING rather than keep a thread, and take back the wait
   * when on_cancel says so. How many a guest may have waiting is the backend's to limit.
   */
  int (*setlkw)(struct virtiofs_req *req, const struct virtiofs_lk_in *in);

  /** The device's block of a file's block. For file systems on a block device only. */
  int (*bmap)(struct virtiofs_req *req, const struct virtiofs_bmap_in *in, struct virtiofs_bmap_out *out);

  /** ioctl(2) on an open file, or a directory (VIRTIOFS_IOCTL_DIR). -ENOTTY for what isn't known. */
  int (*ioctl)(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in, struct virtiofs_ioctl_out *out);

  /** What poll(2) would say of an open file. NULL: always ready. */
  int (*poll)(struct virtiofs_req *req, const struct virtiofs_poll_in *in, struct virtiofs_poll_out *out);

  /**
   * Copy a range from one open file to another; fewer bytes than asked are fine, 0 at the end of the first. NULL: the
   * guest copies by itself. Serves COPY_FILE_RANGE and COPY_FILE_RANGE_64.
   */
  int (*copy_file_range)(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                         struct virtiofs_copy_file_range_out *out);

  /** Make everything of the file system that the node is on durable. */
  int (*syncfs)(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in);

  /** Make a file without a name in the directory @parent, owned by the caller, and open it. Gives a node and a handle.
   */
  int (*tmpfile)(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in, struct virtiofs_create_out *out);

  /** As statx(2): attributes with those that getattr lacks. NULL: the guest uses getattr. */
  int (*statx)(struct virtiofs_req *req, const struct virtiofs_statx_in *in, struct virtiofs_statx_out *out);

  /**
   * Give a descriptor by which ranges of a regular file are mapped into the guest's window: open for reading, and also
   * for writing if @in->flags have VIRTIOFS_MAP_WRITE. It must be of the file itself, with O_CLOEXEC, on which mmap(2)
   * works and shares its memory with read and write of the same file. The library does all else: windows, overlaps,
   * REMOVEMAPPING, limits; and calls this again only when nothing of the file is mapped any more. Not VIRTIOFS_PENDING.
   * -EOPNOTSUPP for what can't be mapped. NULL: there is no DAX.
   */
  int (*setupmapping)(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                      struct virtiofs_setupmapping_out *out);
};

/**
 * virtiofs_readdir_add - put one name into a READDIR reply
 * @out:   given to the operation
 * @entry: the name; copied
 *
 * Return: true if it went in; false if there is no room, and then the operation returns 0. A name that breaks the
 * rules of struct virtiofs_dirent is left out (true), since Linux fails the whole listing for it.
 * Threads: one at a time for one @out.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_readdir_add(struct virtiofs_readdir_out *out,
                                                            const struct virtiofs_dirent *entry);

/**
 * virtiofs_readdir_fits - would a name of this length still go in?
 * @out: given to readdir or readdirplus
 * @len: bytes of the name
 *
 * For readdirplus: ask before the name is looked up. Threads: as above.
 */
VIRTIOFS_EXPORT bool virtiofs_readdir_fits(const struct virtiofs_readdir_out *out, uint32_t len);

/**
 * virtiofs_readdirplus_add - put one name with its node and attributes into a READDIRPLUS reply
 * @out:   given to the operation
 * @entry: the name; copied
 * @plus:  gives a node, as lookup's reply; NULL or node 0 for "." and ".." (whatever @plus says of those two is left
 * out) and for names that could not be looked up: the guest then asks by LOOKUP
 *
 * Return: as virtiofs_readdir_add(). If there was no room, or the table of nodes is full, a node in @plus is handed to
 * forget as one reply that carried it, so that the operation has nothing to undo. Threads: as above.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_readdirplus_add(struct virtiofs_readdir_out *out,
                                                                const struct virtiofs_dirent *entry,
                                                                const struct virtiofs_entry_out *plus);

#ifdef __cplusplus
}
#endif

#endif
