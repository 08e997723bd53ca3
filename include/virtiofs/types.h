/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What an operation is given and what it gives back.
 *
 * Each operation of backend.h has one `..._in` struct and, unless its reply is a bare header, one `..._out` struct.
 * All of them are in the byte order of the host and have been checked: a name is terminated, has no '/', is not empty,
 * not "." and not ".." (but see VIRTIOFS_SEMANTICS_EXPORT_SUPPORT); a node and a handle are values that the backend
 * gave out itself and that this guest still holds.
 *
 * The first field of every `_in` struct is the node that the request is about.
 *
 * Lifetime: an `_in` struct and all that it points to live until the request is answered. An `_out` struct is zero when
 * the operation is called and is read when the operation returns 0 or completes with 0; after an error it is ignored.
 *
 * These structs are filled (`_in`) or allocated (`_out`) by the library: fields are only ever appended.
 */
#ifndef VIRTIOFS_TYPES_H
#define VIRTIOFS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/data.h>
#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The node of the share's root, unless the backend's init operation names another. */
#define VIRTIOFS_ROOT_NODE UINT64_C(1)

/** A cache time that never ends, for the `_valid_ns` fields. */
#define VIRTIOFS_FOREVER UINT64_MAX

/** File types and mode bits as Linux has them on the wire, for hosts and standards that lack <sys/stat.h>'s. */
#define VIRTIOFS_S_IFMT 0170000U
#define VIRTIOFS_S_IFSOCK 0140000U
#define VIRTIOFS_S_IFLNK 0120000U
#define VIRTIOFS_S_IFREG 0100000U
#define VIRTIOFS_S_IFBLK 0060000U
#define VIRTIOFS_S_IFDIR 0040000U
#define VIRTIOFS_S_IFCHR 0020000U
#define VIRTIOFS_S_IFIFO 0010000U

/** A file name or a symbolic link's target. */
struct virtiofs_name {
  const char *str; /**< NUL-terminated */
  uint32_t len;    /**< bytes, without the NUL */
};

/**
 * virtiofs_name_is - is this the name?
 * @name: a name
 * @text: NUL-terminated
 *
 * Return: true if both have the same bytes. Threads: any.
 */
VIRTIOFS_EXPORT bool virtiofs_name_is(const struct virtiofs_name *name, const char *text);

/** A point in time; may lie before 1970. */
struct virtiofs_time {
  int64_t sec;
  uint32_t nsec; /**< 0 .. 999,999,999 */
};

/** What stat(2) shows. */
struct virtiofs_attr {
  uint64_t ino;    /**< the number shown to programs; it need not be the node */
  uint64_t size;   /**< bytes, at most INT64_MAX */
  uint64_t blocks; /**< units of 512 bytes */
  struct virtiofs_time atime, mtime, ctime;
  uint32_t mode;                   /**< type and permissions, VIRTIOFS_S_IF... | 0 .. 07777; a type is required */
  uint32_t nlink;                  /**< hard links */
  uint32_t uid, gid;               /**< as the guest sees them */
  uint32_t rdev_major, rdev_minor; /**< of device nodes; major 0 .. 4095, minor 0 .. 1,048,575 */
  uint32_t blksize;                /**< preferred I/O size, a power of two; 0: the guest takes 4096 */
  uint32_t flags;                  /**< VIRTIOFS_ATTR_...; the guest is not told those that INIT didn't agree on */
};

/** virtiofs_attr.flags: a directory, not the root, where another file system begins; with SEMANTICS_SUBMOUNTS. */
#define VIRTIOFS_ATTR_SUBMOUNT (1U << 0)
/** virtiofs_attr.flags: the guest maps the file by DAX if it was mounted so; with SEMANTICS_HAS_INODE_DAX. */
#define VIRTIOFS_ATTR_DAX (1U << 1)

/* ---- what several replies share ---- */

/** Reply of every operation that gives the guest a node. */
struct virtiofs_entry_out {
  uint64_t node;           /**< the backend's value for it; 0 only for a LOOKUP that wants "not there" cached */
  uint64_t entry_valid_ns; /**< how long the guest may believe the name; 0: ask each time */
  uint64_t attr_valid_ns;  /**< how long the guest may believe @attr */
  struct virtiofs_attr attr;
};

/** Reply of GETATTR and SETATTR. */
struct virtiofs_attr_out {
  uint64_t attr_valid_ns; /**< how long the guest may believe @attr */
  struct virtiofs_attr attr;
};

/** virtiofs_open_out.flags: reads and writes go to the server, not through the guest's page cache. */
#define VIRTIOFS_OPEN_DIRECT_IO (1U << 0)
/** virtiofs_open_out.flags: pages cached from earlier opens stay. */
#define VIRTIOFS_OPEN_KEEP_CACHE (1U << 1)
/** virtiofs_open_out.flags: lseek(2) fails with ESPIPE. */
#define VIRTIOFS_OPEN_NONSEEKABLE (1U << 2)
/** virtiofs_open_out.flags: the guest may cache the directory's listing. */
#define VIRTIOFS_OPEN_CACHE_DIR (1U << 3)
/** virtiofs_open_out.flags: like a stream, no file position at all. */
#define VIRTIOFS_OPEN_STREAM (1U << 4)
/** virtiofs_open_out.flags: no FLUSH on close(2). */
#define VIRTIOFS_OPEN_NOFLUSH (1U << 5)
/** virtiofs_open_out.flags: with DIRECT_IO, several writes of one file at once. */
#define VIRTIOFS_OPEN_PARALLEL_DIRECT_WRITES (1U << 6)

/** Reply of OPEN and OPENDIR. */
struct virtiofs_open_out {
  uint64_t handle; /**< any value of the backend's; comes back in each operation on the open file */
  uint32_t flags;  /**< VIRTIOFS_OPEN_... */
};

/* ---- session ---- */

/** INIT: what the guest's driver offers, for a backend that wants to know. */
struct virtiofs_init_in {
  uint64_t node;          /**< 0: the request is about no node */
  uint32_t major, minor;  /**< of the driver's protocol */
  uint32_t max_readahead; /**< bytes */
  uint64_t flags;         /**< INIT flags of the protocol that the driver offers: VIRTIOFS_SEMANTICS_... among others */
};

struct virtiofs_init_out {
  uint64_t root;      /**< set to VIRTIOFS_ROOT_NODE before the call; the backend's value for the root, not 0 */
  uint32_t time_gran; /**< granularity of times in ns, 1 .. 1e9, before the call 1 */
  uint32_t
      max_write; /**< largest READ and WRITE in bytes, before the call the config's; may be made smaller, >= 4096 */
  uint64_t semantics; /**< VIRTIOFS_SEMANTICS_... of this mount, before the call those of virtiofs_ops */
  uint16_t
      request_timeout; /**< s after which a driver since 7.43 ends the mount if a request has no answer; 0: never */
  /**
   * Operations that this mount does without, as if they were NULL: bits as in virtiofs_ops.blocking. Not lookup, forget,
   * open, release, opendir and releasedir.
   */
  uint64_t without;
};

/* ---- extensions of requests that make something ---- */

/** What an extension is about. */
enum virtiofs_extension_kind {
  VIRTIOFS_EXTENSION_SECURITY, /**< a security context: @name is the xattr's name, @value its value */
  VIRTIOFS_EXTENSION_GROUPS,   /**< supplementary groups of the caller */
};

/** One extension. */
struct virtiofs_extension {
  enum virtiofs_extension_kind kind;
  struct virtiofs_name name; /**< SECURITY only */
  const void *value;         /**< SECURITY: bytes, not terminated */
  uint32_t size;             /**< SECURITY: of @value in bytes */
  uint32_t count;            /**< GROUPS: how many, 1 .. */
  uint32_t groups[32];       /**< GROUPS: the first 32 */
};

/** All extensions of a request, checked and in private memory. Read them by virtiofs_extensions_next(). */
struct virtiofs_extensions {
  const void *bytes; /**< host byte order */
  uint32_t size;     /**< 0: none */
  uint32_t at;       /**< used by virtiofs_extensions_next(); 0 at first */
  uint32_t contexts; /**< used by virtiofs_extensions_next() */
};

/**
 * virtiofs_extensions_next - the next extension
 * @all: a copy of the request's `extensions`; advanced
 * @ext: filled
 *
 * Return: true; false at the end. Kinds that this library doesn't know are passed over. Threads: one at a time for one
 * @all.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_extensions_next(struct virtiofs_extensions *all,
                                                                struct virtiofs_extension *ext);

/* ---- names ---- */

struct virtiofs_lookup_in {
  uint64_t parent;
  struct virtiofs_name name;
};

/** The guest knows the node no more. */
struct virtiofs_forget_in {
  uint64_t node;
  uint64_t replies; /**< how many replies have carried the node since it was last forgotten, at least 1 */
};

struct virtiofs_readlink_in {
  uint64_t node;
};

/** Reply of READLINK: the operation writes the target into @target. */
struct virtiofs_readlink_out {
  char *target; /**< private memory of VIRTIOFS_TARGET_MAX bytes */
  uint32_t len; /**< bytes written, without a NUL; at most VIRTIOFS_TARGET_MAX */
};
#define VIRTIOFS_TARGET_MAX 4095U

struct virtiofs_symlink_in {
  uint64_t parent;
  struct virtiofs_name name;
  struct virtiofs_name target;           /**< any text, may hold '/'; 1 .. 4095 bytes */
  struct virtiofs_extensions extensions; /**< only if agreed on by INIT */
};

struct virtiofs_mknod_in {
  uint64_t parent;
  struct virtiofs_name name;
  uint32_t mode;                         /**< type and permissions; with @umask applied, unless DONT_MASK holds */
  uint32_t umask;                        /**< the guest process's, 0 .. 0777 */
  uint32_t rdev_major, rdev_minor;       /**< of device nodes */
  struct virtiofs_extensions extensions; /**< only if agreed on by INIT */
};

struct virtiofs_mkdir_in {
  uint64_t parent;
  struct virtiofs_name name;
  uint32_t mode;                         /**< permissions, 0 .. 07777; with @umask applied, unless DONT_MASK holds */
  uint32_t umask;                        /**< the guest process's, 0 .. 0777 */
  struct virtiofs_extensions extensions; /**< only if agreed on by INIT */
};

struct virtiofs_unlink_in {
  uint64_t parent;
  struct virtiofs_name name;
};

struct virtiofs_rmdir_in {
  uint64_t parent;
  struct virtiofs_name name;
};

/** virtiofs_rename_in.flags, as renameat2(2) has them. */
#define VIRTIOFS_RENAME_NOREPLACE (1U << 0)
#define VIRTIOFS_RENAME_EXCHANGE (1U << 1)
#define VIRTIOFS_RENAME_WHITEOUT (1U << 2)

struct virtiofs_rename_in {
  uint64_t parent;
  uint64_t new_parent;
  struct virtiofs_name name;
  struct virtiofs_name new_name;
  uint32_t flags; /**< VIRTIOFS_RENAME_...; others have been refused with EINVAL */
};

struct virtiofs_link_in {
  uint64_t new_parent;
  uint64_t node; /**< gets the new name */
  struct virtiofs_name name;
};

/* ---- attributes ---- */

struct virtiofs_getattr_in {
  uint64_t node;
  uint64_t handle; /**< an open file of the node; only if @has_handle */
  bool has_handle;
};

/** virtiofs_setattr_in.valid: which fields are to be set. */
#define VIRTIOFS_SET_MODE (1U << 0)
#define VIRTIOFS_SET_UID (1U << 1)
#define VIRTIOFS_SET_GID (1U << 2)
#define VIRTIOFS_SET_SIZE (1U << 3)
#define VIRTIOFS_SET_ATIME (1U << 4)
#define VIRTIOFS_SET_MTIME (1U << 5)
#define VIRTIOFS_SET_ATIME_NOW (1U << 7) /**< comes with SET_ATIME: the server's present time */
#define VIRTIOFS_SET_MTIME_NOW (1U << 8) /**< comes with SET_MTIME */
#define VIRTIOFS_SET_CTIME (1U << 10)
#define VIRTIOFS_SET_KILL_SUIDGID (1U << 11)

struct virtiofs_setattr_in {
  uint64_t node;
  uint64_t handle; /**< an open file of the node; only if @has_handle */
  bool has_handle;
  uint32_t valid; /**< VIRTIOFS_SET_... */
  uint32_t mode;  /**< permissions, 0 .. 07777 */
  uint32_t uid, gid;
  uint64_t size; /**< at most INT64_MAX */
  struct virtiofs_time atime, mtime, ctime;
};

struct virtiofs_statfs_in {
  uint64_t node;
};

/** Reply of STATFS, as statvfs(3). */
struct virtiofs_statfs_out {
  uint64_t blocks, bfree, bavail; /**< units of @frsize */
  uint64_t files, ffree;          /**< inodes */
  uint32_t bsize;                 /**< preferred I/O size */
  uint32_t frsize;                /**< bytes of a block; 0: @bsize */
  uint32_t namelen;               /**< longest name */
};

/* ---- files ---- */

/** virtiofs_open_in.open_flags: clear set-user-id and set-group-id when the file is truncated. */
#define VIRTIOFS_OPEN_KILL_SUIDGID (1U << 0)

struct virtiofs_open_in {
  uint64_t node;
  uint32_t flags;      /**< open(2) flags in Linux's numbers: access mode, O_APPEND, O_DIRECT ...; never O_CREAT,
                            and O_TRUNC only if ATOMIC_O_TRUNC holds */
  uint32_t open_flags; /**< VIRTIOFS_OPEN_KILL_SUIDGID; 0 unless HANDLE_KILLPRIV_V2 holds */
};

struct virtiofs_create_in {
  uint64_t parent;
  struct virtiofs_name name;
  uint32_t flags;      /**< open(2) flags, O_CREAT among them */
  uint32_t mode;       /**< type (regular) and permissions; with @umask applied, unless DONT_MASK holds */
  uint32_t umask;      /**< the guest process's, 0 .. 0777 */
  uint32_t open_flags; /**< as in virtiofs_open_in */
  struct virtiofs_extensions extensions; /**< only if agreed on by INIT */
};

struct virtiofs_create_out {
  struct virtiofs_entry_out entry;
  struct virtiofs_open_out open;
};

struct virtiofs_read_in {
  uint64_t node;
  uint64_t handle;
  uint64_t offset;           /**< bytes, offset + size is at most INT64_MAX */
  uint32_t size;             /**< bytes wanted, fits @data */
  uint32_t flags;            /**< open(2) flags of the open file */
  struct virtiofs_data data; /**< where the bytes go */
};

struct virtiofs_read_out {
  uint32_t size; /**< bytes put into the data; less than asked means end of file (unless opened with DIRECT_IO) */
};

/** virtiofs_write_in.write_flags: from the guest's page cache; the request's uid and gid mean nothing. */
#define VIRTIOFS_WRITE_CACHE (1U << 0)
/** virtiofs_write_in.write_flags: clear set-user-id and set-group-id. */
#define VIRTIOFS_WRITE_KILL_SUIDGID (1U << 2)

struct virtiofs_write_in {
  uint64_t node;
  uint64_t handle;
  uint64_t offset; /**< bytes, offset + size is at most INT64_MAX */
  uint32_t size;   /**< bytes, equal to @data.size */
  uint32_t flags;  /**< open(2) flags of the open file */
  uint32_t write_flags;
  struct virtiofs_data data; /**< the bytes */
};

struct virtiofs_write_out {
  uint32_t size; /**< bytes written, at most those asked for */
};

/** virtiofs_release_in.release_flags: drop the flock(2) lock of the open file. */
#define VIRTIOFS_RELEASE_FLOCK_UNLOCK (1U << 1)

struct virtiofs_release_in {
  uint64_t
      node; /**< 0 if the guest has forgotten it, and when the library closes what a guest left open or still used */
  uint64_t handle;
  uint32_t flags; /**< open(2) flags; 0 when the library closes what a guest left open */
  uint32_t release_flags;
  uint64_t lock_owner;
};

struct virtiofs_flush_in {
  uint64_t node;
  uint64_t handle;
  uint64_t lock_owner;
};

struct virtiofs_fsync_in {
  uint64_t node;
  uint64_t handle;
  bool data_only; /**< as fdatasync(2) */
};

struct virtiofs_fallocate_in {
  uint64_t node;
  uint64_t handle;
  uint64_t offset, length; /**< bytes, length > 0, offset + length is at most INT64_MAX */
  uint32_t mode;           /**< as fallocate(2) */
};

struct virtiofs_lseek_in {
  uint64_t node;
  uint64_t handle;
  uint64_t offset; /**< at most INT64_MAX */
  uint32_t whence; /**< SEEK_DATA (3) or SEEK_HOLE (4); SEEK_SET, SEEK_CUR and SEEK_END may come from odd guests */
};

struct virtiofs_lseek_out {
  uint64_t offset;
};

/* ---- copies ---- */

struct virtiofs_copy_file_range_in {
  uint64_t node; /**< read from */
  uint64_t handle;
  uint64_t node_out; /**< written to */
  uint64_t handle_out;
  uint64_t offset, offset_out; /**< bytes; each with @len at most INT64_MAX */
  uint64_t len;                /**< bytes, at most INT64_MAX */
  uint64_t flags;              /**< copy_file_range(2)'s */
};

struct virtiofs_copy_file_range_out {
  uint64_t size; /**< bytes copied; COPY_FILE_RANGE can say at most 2^32 - 1, so its @len is made smaller before */
};

/* ---- extended attributes ---- */

/** virtiofs_setxattr_in.setxattr_flags: setting the access ACL clears set-group-id. */
#define VIRTIOFS_SETXATTR_ACL_KILL_SGID (1U << 0)

/** Largest value of an extended attribute in bytes. */
#define VIRTIOFS_XATTR_MAX 65536U

struct virtiofs_setxattr_in {
  uint64_t node;
  struct virtiofs_name name;  /**< may hold '/' */
  uint32_t flags;             /**< setxattr(2)'s: XATTR_CREATE, XATTR_REPLACE */
  uint32_t setxattr_flags;    /**< VIRTIOFS_SETXATTR_..., only if agreed on by INIT */
  struct virtiofs_data value; /**< at most 65,536 bytes */
};

struct virtiofs_getxattr_in {
  uint64_t node;
  struct virtiofs_name name; /**< may hold '/' */
  uint32_t size;             /**< room for the value; 0: only its size is asked for */
  struct virtiofs_data data; /**< where the value goes, @size bytes */
};

struct virtiofs_listxattr_in {
  uint64_t node;
  uint32_t size;             /**< room for the names; 0: only their size is asked for */
  struct virtiofs_data data; /**< where the names go, each with its NUL, @size bytes */
};

/** Reply of GETXATTR and LISTXATTR. */
struct virtiofs_xattr_out {
  uint32_t size;  /**< bytes of the value or of all names; -ERANGE if they are more than the request's size, unless that
                     is 0 */
  bool size_only; /**< the request's size is 0; set by the library before the call */
};

struct virtiofs_removexattr_in {
  uint64_t node;
  struct virtiofs_name name; /**< may hold '/' */
};

/* ---- locks ---- */

/** A range of a file. */
struct virtiofs_lock {
  uint64_t start, end; /**< first and last byte; INT64_MAX: to the end of the file, wherever that is */
  uint32_t type;       /**< F_RDLCK 0, F_WRLCK 1, F_UNLCK 2 */
  uint32_t pid;        /**< in the guest; who has it */
};

/** GETLK, SETLK and SETLKW. */
struct virtiofs_lk_in {
  uint64_t node;
  uint64_t handle;
  uint64_t owner; /**< who locks: any value, the same for one process's (or open file's) locks */
  struct virtiofs_lock lock;
  bool flock; /**< flock(2): the whole file, owned by the open file */
};

struct virtiofs_getlk_out {
  struct virtiofs_lock lock; /**< one that is in the way; type F_UNLCK if there is none */
};

/* ---- odds and ends ---- */

struct virtiofs_access_in {
  uint64_t node;
  uint32_t mask; /**< access(2)'s */
};

struct virtiofs_bmap_in {
  uint64_t node;
  uint64_t block;
  uint32_t blocksize; /**< bytes */
};

struct virtiofs_bmap_out {
  uint64_t block;
};

/** virtiofs_ioctl_in.flags. */
#define VIRTIOFS_IOCTL_COMPAT (1U << 0)
#define VIRTIOFS_IOCTL_UNRESTRICTED (1U << 1)
#define VIRTIOFS_IOCTL_32BIT (1U << 3)
#define VIRTIOFS_IOCTL_DIR (1U << 4) /**< @handle is a directory's */

struct virtiofs_ioctl_in {
  uint64_t node;
  uint64_t handle;
  uint32_t flags; /**< VIRTIOFS_IOCTL_... */
  uint32_t cmd;
  uint64_t arg;              /**< the guest program's pointer or number */
  uint32_t out_size;         /**< bytes that @out has room for */
  struct virtiofs_data data; /**< what the program gave */
  struct virtiofs_data out;  /**< where what the program gets goes */
};

struct virtiofs_ioctl_out {
  int32_t result; /**< what ioctl(2) returns */
  uint32_t size;  /**< bytes put into the request's @out */
};

/** virtiofs_poll_in.flags: tell by a notification when something happens. */
#define VIRTIOFS_POLL_NOTIFY (1U << 0)

struct virtiofs_poll_in {
  uint64_t node;
  uint64_t handle;
  uint64_t kh; /**< for the notification */
  uint32_t flags;
  uint32_t events; /**< poll(2)'s */
};

struct virtiofs_poll_out {
  uint32_t revents; /**< poll(2)'s */
};

struct virtiofs_syncfs_in {
  uint64_t node;
};

/** As virtiofs_create_in, for a file that has no name. */
struct virtiofs_tmpfile_in {
  uint64_t parent;
  uint32_t flags, mode, umask, open_flags;
  struct virtiofs_extensions extensions;
};

/** What statx(2) shows beyond struct virtiofs_attr. */
struct virtiofs_statx {
  struct virtiofs_attr attr; /**< atime, ctime and mtime too; the type must be there */
  struct virtiofs_time btime;
  uint32_t mask;                        /**< STATX_...: which fields are meant */
  uint64_t attributes, attributes_mask; /**< STATX_ATTR_... */
  uint32_t dev_major, dev_minor;
};

struct virtiofs_statx_in {
  uint64_t node;
  uint64_t handle; /**< an open file of the node; only if @has_handle */
  bool has_handle;
  uint32_t flags, mask; /**< statx(2)'s */
};

struct virtiofs_statx_out {
  uint64_t attr_valid_ns;
  struct virtiofs_statx statx;
};

/* ---- DAX ---- */

#define VIRTIOFS_MAP_WRITE (UINT64_C(1) << 0)
#define VIRTIOFS_MAP_READ (UINT64_C(1) << 1)

struct virtiofs_setupmapping_in {
  uint64_t node;
  uint64_t handle;        /**< as the guest sent it: Linux sends UINT64_MAX, so files are mapped by node */
  uint64_t offset;        /**< in the file, bytes; with @len at most INT64_MAX */
  uint64_t len;           /**< bytes, > 0 */
  uint64_t flags;         /**< VIRTIOFS_MAP_... */
  uint64_t window_offset; /**< in the window, bytes; with @len does not wrap */
};

struct virtiofs_setupmapping_out {
  int fd; /**< a descriptor of the file itself; taken: it is closed when nothing of it is mapped any more */
};

/** One range of the window. */
struct virtiofs_window_range {
  uint64_t offset, len; /**< bytes */
};

/** Read the ranges by virtiofs_removemapping_next(). */
struct virtiofs_removemapping_in {
  uint64_t node;
  uint32_t count; /**< ranges that are really there */
  uint32_t next;  /**< used by virtiofs_removemapping_next() */
  size_t at;      /**< used by virtiofs_removemapping_next() */
  bool swapped;   /**< used by virtiofs_removemapping_next() */
  struct virtiofs_data data;
};

/**
 * virtiofs_removemapping_next - the next range
 * @in:    of the request; advanced
 * @range: filled
 *
 * Return: true; false at the end. Threads: one at a time for one @in.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_removemapping_next(struct virtiofs_removemapping_in *in,
                                                                   struct virtiofs_window_range *range);

/* ---- directories ---- */

struct virtiofs_opendir_in {
  uint64_t node;
  uint32_t flags; /**< open(2) flags */
};

/** READDIR and READDIRPLUS. */
struct virtiofs_readdir_in {
  uint64_t node;
  uint64_t handle;
  uint64_t offset; /**< 0: from the beginning; else a virtiofs_dirent.next, perhaps of another handle or of long ago */
  uint32_t size;   /**< bytes of room for records */
};

/** One name in a directory. */
struct virtiofs_dirent {
  const char *name; /**< need not be terminated */
  uint32_t len;     /**< 1 .. 1024 bytes, no NUL and no '/' */
  uint64_t ino;     /**< shown to programs */
  uint32_t type;    /**< VIRTIOFS_S_IF... ; 0: not known */
  uint64_t next;    /**< the position after this name, at most INT64_MAX, stable while the directory changes */
};

/** A listing in the making; see virtiofs_readdir_add() and virtiofs_readdirplus_add() in backend.h. */
struct virtiofs_readdir_out;

#ifdef __cplusplus
}
#endif

#endif
