/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The FUSE codec alone: requests in, replies out. Pure: no system call, no allocation, no state but the caller's.
 *
 * A message may be spread over any number of segments in any way. Everything but file contents is copied out of the
 * segments once and checked in the copy, since the guest may change its memory at any time.
 *
 * Threads: all functions may be called from any thread, each with objects of its own.
 *
 * Specification: <linux/fuse.h>, protocol 7.45; virtio 1.3, 5.11.6.
 */
#ifndef VIRTIOFS_FUSE_H
#define VIRTIOFS_FUSE_H

#include <sys/types.h>

#include <virtiofs/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The protocol that is spoken. */
#define VIRTIOFS_FUSE_MAJOR 7U
#define VIRTIOFS_FUSE_MINOR 45U

/** Bytes of a request's and a reply's header. */
#define VIRTIOFS_FUSE_IN_HEADER 40U
#define VIRTIOFS_FUSE_OUT_HEADER 16U

/** The root's nodeid on the wire. */
#define VIRTIOFS_FUSE_ROOT_ID UINT64_C(1)

/** Longest file name in bytes. */
#define VIRTIOFS_FUSE_NAME_MAX 1024U

enum virtiofs_fuse_opcode {
  VIRTIOFS_FUSE_LOOKUP = 1,
  VIRTIOFS_FUSE_FORGET = 2,
  VIRTIOFS_FUSE_GETATTR = 3,
  VIRTIOFS_FUSE_SETATTR = 4,
  VIRTIOFS_FUSE_READLINK = 5,
  VIRTIOFS_FUSE_SYMLINK = 6,
  VIRTIOFS_FUSE_MKNOD = 8,
  VIRTIOFS_FUSE_MKDIR = 9,
  VIRTIOFS_FUSE_UNLINK = 10,
  VIRTIOFS_FUSE_RMDIR = 11,
  VIRTIOFS_FUSE_RENAME = 12,
  VIRTIOFS_FUSE_LINK = 13,
  VIRTIOFS_FUSE_OPEN = 14,
  VIRTIOFS_FUSE_READ = 15,
  VIRTIOFS_FUSE_WRITE = 16,
  VIRTIOFS_FUSE_STATFS = 17,
  VIRTIOFS_FUSE_RELEASE = 18,
  VIRTIOFS_FUSE_FSYNC = 20,
  VIRTIOFS_FUSE_SETXATTR = 21,
  VIRTIOFS_FUSE_GETXATTR = 22,
  VIRTIOFS_FUSE_LISTXATTR = 23,
  VIRTIOFS_FUSE_REMOVEXATTR = 24,
  VIRTIOFS_FUSE_FLUSH = 25,
  VIRTIOFS_FUSE_INIT = 26,
  VIRTIOFS_FUSE_OPENDIR = 27,
  VIRTIOFS_FUSE_READDIR = 28,
  VIRTIOFS_FUSE_RELEASEDIR = 29,
  VIRTIOFS_FUSE_FSYNCDIR = 30,
  VIRTIOFS_FUSE_GETLK = 31,
  VIRTIOFS_FUSE_SETLK = 32,
  VIRTIOFS_FUSE_SETLKW = 33,
  VIRTIOFS_FUSE_ACCESS = 34,
  VIRTIOFS_FUSE_CREATE = 35,
  VIRTIOFS_FUSE_INTERRUPT = 36,
  VIRTIOFS_FUSE_BMAP = 37,
  VIRTIOFS_FUSE_DESTROY = 38,
  VIRTIOFS_FUSE_IOCTL = 39,
  VIRTIOFS_FUSE_POLL = 40,
  VIRTIOFS_FUSE_NOTIFY_REPLY = 41,
  VIRTIOFS_FUSE_BATCH_FORGET = 42,
  VIRTIOFS_FUSE_FALLOCATE = 43,
  VIRTIOFS_FUSE_READDIRPLUS = 44,
  VIRTIOFS_FUSE_RENAME2 = 45,
  VIRTIOFS_FUSE_LSEEK = 46,
  VIRTIOFS_FUSE_COPY_FILE_RANGE = 47,
  VIRTIOFS_FUSE_SETUPMAPPING = 48,
  VIRTIOFS_FUSE_REMOVEMAPPING = 49,
  VIRTIOFS_FUSE_SYNCFS = 50,
  VIRTIOFS_FUSE_TMPFILE = 51,
  VIRTIOFS_FUSE_STATX = 52,
  VIRTIOFS_FUSE_COPY_FILE_RANGE_64 = 53,
};

/** INIT flags, by their bit; those from 32 on travel in the second word and need INIT_EXT. */
#define VIRTIOFS_FUSE_ASYNC_READ (UINT64_C(1) << 0)
#define VIRTIOFS_FUSE_POSIX_LOCKS (UINT64_C(1) << 1)
#define VIRTIOFS_FUSE_FILE_OPS (UINT64_C(1) << 2)
#define VIRTIOFS_FUSE_ATOMIC_O_TRUNC (UINT64_C(1) << 3)
#define VIRTIOFS_FUSE_EXPORT_SUPPORT (UINT64_C(1) << 4)
#define VIRTIOFS_FUSE_BIG_WRITES (UINT64_C(1) << 5)
#define VIRTIOFS_FUSE_DONT_MASK (UINT64_C(1) << 6)
#define VIRTIOFS_FUSE_SPLICE_WRITE (UINT64_C(1) << 7)
#define VIRTIOFS_FUSE_SPLICE_MOVE (UINT64_C(1) << 8)
#define VIRTIOFS_FUSE_SPLICE_READ (UINT64_C(1) << 9)
#define VIRTIOFS_FUSE_FLOCK_LOCKS (UINT64_C(1) << 10)
#define VIRTIOFS_FUSE_HAS_IOCTL_DIR (UINT64_C(1) << 11)
#define VIRTIOFS_FUSE_AUTO_INVAL_DATA (UINT64_C(1) << 12)
#define VIRTIOFS_FUSE_DO_READDIRPLUS (UINT64_C(1) << 13)
#define VIRTIOFS_FUSE_READDIRPLUS_AUTO (UINT64_C(1) << 14)
#define VIRTIOFS_FUSE_ASYNC_DIO (UINT64_C(1) << 15)
#define VIRTIOFS_FUSE_WRITEBACK_CACHE (UINT64_C(1) << 16)
#define VIRTIOFS_FUSE_NO_OPEN_SUPPORT (UINT64_C(1) << 17)
#define VIRTIOFS_FUSE_PARALLEL_DIROPS (UINT64_C(1) << 18)
#define VIRTIOFS_FUSE_HANDLE_KILLPRIV (UINT64_C(1) << 19)
#define VIRTIOFS_FUSE_POSIX_ACL (UINT64_C(1) << 20)
#define VIRTIOFS_FUSE_ABORT_ERROR (UINT64_C(1) << 21)
#define VIRTIOFS_FUSE_MAX_PAGES (UINT64_C(1) << 22)
#define VIRTIOFS_FUSE_CACHE_SYMLINKS (UINT64_C(1) << 23)
#define VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT (UINT64_C(1) << 24)
#define VIRTIOFS_FUSE_EXPLICIT_INVAL_DATA (UINT64_C(1) << 25)
#define VIRTIOFS_FUSE_MAP_ALIGNMENT (UINT64_C(1) << 26)
#define VIRTIOFS_FUSE_SUBMOUNTS (UINT64_C(1) << 27)
#define VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2 (UINT64_C(1) << 28)
#define VIRTIOFS_FUSE_SETXATTR_EXT (UINT64_C(1) << 29)
#define VIRTIOFS_FUSE_INIT_EXT (UINT64_C(1) << 30)
#define VIRTIOFS_FUSE_INIT_RESERVED (UINT64_C(1) << 31)
#define VIRTIOFS_FUSE_SECURITY_CTX (UINT64_C(1) << 32)
#define VIRTIOFS_FUSE_HAS_INODE_DAX (UINT64_C(1) << 33)
#define VIRTIOFS_FUSE_CREATE_SUPP_GROUP (UINT64_C(1) << 34)
#define VIRTIOFS_FUSE_HAS_EXPIRE_ONLY (UINT64_C(1) << 35)
#define VIRTIOFS_FUSE_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#define VIRTIOFS_FUSE_PASSTHROUGH (UINT64_C(1) << 37)
#define VIRTIOFS_FUSE_NO_EXPORT_SUPPORT (UINT64_C(1) << 38)
#define VIRTIOFS_FUSE_HAS_RESEND (UINT64_C(1) << 39)
#define VIRTIOFS_FUSE_ALLOW_IDMAP (UINT64_C(1) << 40)
#define VIRTIOFS_FUSE_OVER_IO_URING (UINT64_C(1) << 41)
#define VIRTIOFS_FUSE_REQUEST_TIMEOUT (UINT64_C(1) << 42)

/** virtiofs_fuse_opcode_name - "LOOKUP" and so on; "?" for what this library does not know. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_fuse_opcode_name(uint32_t opcode);

/** What was agreed on by INIT, and changes what messages look like. Zero it before the first INIT. */
struct virtiofs_fuse_proto {
  bool agreed;    /**< INIT has succeeded; before that only INIT is decoded */
  bool swapped;   /**< the driver has the other byte order */
  uint32_t minor; /**< min(the driver's, ours); says how large old drivers' structs are */
  /**
   * INIT flags that both ends have. Messages change by SETXATTR_EXT (8 bytes more), EXPORT_SUPPORT (LOOKUP of "." and
   * ".."), SECURITY_CTX and CREATE_SUPP_GROUP (extensions), FLOCK_LOCKS (LK_FLOCK).
   */
  uint64_t flags;
};

/** A request's header. */
struct virtiofs_fuse_header {
  uint32_t len; /**< bytes of the request, with the header */
  uint32_t opcode;
  uint64_t unique; /**< the reply carries it */
  uint64_t nodeid; /**< 0 where the request is about no node */
  uint32_t uid, gid, pid;
  uint16_t total_extlen; /**< extensions at the request's end, in units of 8 bytes */
  bool swapped; /**< the request is in the other byte order; so will the reply be. INIT tells, others follow @proto */
};

/** INIT as the driver sends it. */
struct virtiofs_fuse_init_in {
  uint64_t nodeid;
  uint32_t major, minor, max_readahead;
  uint64_t flags; /**< both words */
};

/** INIT's reply. Some fields are meant only if a flag says so. */
struct virtiofs_fuse_init_out {
  uint32_t major, minor, max_readahead;
  uint64_t flags; /**< both words */
  uint16_t max_background, congestion_threshold;
  uint32_t max_write;       /**< bytes */
  uint32_t time_gran;       /**< ns */
  uint16_t max_pages;       /**< units of 4096 bytes; with MAX_PAGES */
  uint16_t map_alignment;   /**< of DAX mappings: log2 of bytes; with MAP_ALIGNMENT */
  uint32_t max_stack_depth; /**< with PASSTHROUGH */
  uint16_t request_timeout; /**< s; with REQUEST_TIMEOUT */
};

/** virtiofs_fuse_init_flag_name - "ASYNC_READ" and so on for a bit of INIT's flags; "?" for none. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_fuse_init_flag_name(unsigned bit);

/**
 * virtiofs_fuse_init_offer - what a driver says in INIT: all that Linux's offers on virtio-fs
 * @in:     filled; a driver takes away from `flags` what it doesn't have
 * @minor:  of the protocol that it speaks, 0 .. 45; more counts as 45
 * @window: the device has a DAX window
 */
VIRTIOFS_EXPORT void virtiofs_fuse_init_offer(struct virtiofs_fuse_init_in *in, uint32_t minor, bool window);

/**
 * virtiofs_fuse_init_accept - what is agreed on, for a driver that has INIT's reply
 * @in:    what it has sent
 * @out:   the reply as it was decoded. What the server did not say, as it is old or a flag is not there, becomes what
 *         Linux takes then (@max_write 4096, @time_gran 1, @max_pages 32 ...); @max_write becomes no larger than
 *         @max_pages, and @max_readahead than what was asked for
 * @proto: @swapped is looked at and stays; filled
 *
 * Return:
 *   0        @proto is what is spoken from now on; or, if @in->major is larger than 7 and the server has said 7,
 * nothing is agreed on yet (@proto->agreed is false) and INIT is to be sent again with that major number; -EPROTO  the
 * server has another major number, flags that were not offered or that its reply has no room for,
 *            @max_write under 4096, @max_pages 0, @time_gran over a second, or @map_alignment over 21 (2 MiB, which
 *            is what Linux maps at once). @proto is not agreed on.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fuse_init_accept(const struct virtiofs_fuse_init_in *in,
                                                                struct virtiofs_fuse_init_out *out,
                                                                struct virtiofs_fuse_proto *proto);

/** FORGET. */
struct virtiofs_fuse_forget_in {
  uint64_t nodeid;
  uint64_t nlookup; /**< replies with the node that the guest gives back */
};

/** BATCH_FORGET: read the entries by virtiofs_fuse_forget_next(). */
struct virtiofs_fuse_batch_forget_in {
  uint64_t nodeid;
  uint32_t count; /**< entries that are really there */
  uint32_t next;  /**< used by virtiofs_fuse_forget_next(), as is what follows */
  struct virtiofs_data data;
  size_t at;
  bool swapped;
};

/** INTERRUPT. */
struct virtiofs_fuse_interrupt_in {
  uint64_t nodeid;
  uint64_t unique; /**< of the request to give up */
};

/** NOTIFY_REPLY: what NOTIFY_RETRIEVE has asked for. */
struct virtiofs_fuse_notify_reply_in {
  uint64_t nodeid;
  uint64_t offset; /**< bytes */
  uint32_t size;   /**< bytes, equal to @data.size */
  struct virtiofs_data data;
};

/**
 * A request's arguments. In these, the first field of each struct, and fields called parent, new_parent and node, hold
 * nodeids; fields called handle hold the number that the driver knows an open file by.
 */
union virtiofs_fuse_in {
  uint64_t nodeid;
  struct virtiofs_fuse_init_in init;
  struct virtiofs_fuse_forget_in forget;
  struct virtiofs_fuse_batch_forget_in batch_forget;
  struct virtiofs_lookup_in lookup;
  struct virtiofs_getattr_in getattr;
  struct virtiofs_setattr_in setattr;
  struct virtiofs_readlink_in readlink;
  struct virtiofs_symlink_in symlink;
  struct virtiofs_mknod_in mknod;
  struct virtiofs_mkdir_in mkdir;
  struct virtiofs_unlink_in unlink;
  struct virtiofs_rmdir_in rmdir;
  struct virtiofs_rename_in rename;
  struct virtiofs_link_in link;
  struct virtiofs_open_in open;
  struct virtiofs_read_in read;
  struct virtiofs_write_in write;
  struct virtiofs_statfs_in statfs;
  struct virtiofs_release_in release; /**< also RELEASEDIR */
  struct virtiofs_fsync_in fsync;     /**< also FSYNCDIR */
  struct virtiofs_flush_in flush;
  struct virtiofs_opendir_in opendir;
  struct virtiofs_readdir_in readdir; /**< also READDIRPLUS */
  struct virtiofs_create_in create;
  struct virtiofs_fallocate_in fallocate;
  struct virtiofs_lseek_in lseek;
  struct virtiofs_copy_file_range_in copy_file_range; /**< also COPY_FILE_RANGE_64 */
  struct virtiofs_setxattr_in setxattr;
  struct virtiofs_getxattr_in getxattr;
  struct virtiofs_listxattr_in listxattr;
  struct virtiofs_removexattr_in removexattr;
  struct virtiofs_lk_in lk; /**< GETLK, SETLK, SETLKW */
  struct virtiofs_access_in access;
  struct virtiofs_fuse_interrupt_in interrupt;
  struct virtiofs_bmap_in bmap;
  struct virtiofs_ioctl_in ioctl;
  struct virtiofs_poll_in poll;
  struct virtiofs_fuse_notify_reply_in notify_reply;
  struct virtiofs_setupmapping_in setupmapping;
  struct virtiofs_removemapping_in removemapping;
  struct virtiofs_syncfs_in syncfs;
  struct virtiofs_tmpfile_in tmpfile;
  struct virtiofs_statx_in statx;
};

/** A reply's arguments, with nodeids and handles as the driver is to know them. */
union virtiofs_fuse_out {
  struct virtiofs_fuse_init_out init;
  struct virtiofs_entry_out entry; /**< LOOKUP, SYMLINK, MKNOD, MKDIR, LINK */
  struct virtiofs_attr_out attr;   /**< GETATTR, SETATTR */
  struct virtiofs_readlink_out readlink;
  struct virtiofs_open_out open; /**< OPEN, OPENDIR */
  struct virtiofs_create_out create;
  struct virtiofs_read_out read; /**< READ, and READDIR's and READDIRPLUS's bytes of records: the data is in place */
  struct virtiofs_write_out write;
  struct virtiofs_statfs_out statfs;
  struct virtiofs_lseek_out lseek;
  struct virtiofs_copy_file_range_out copy_file_range;
  struct virtiofs_xattr_out xattr; /**< GETXATTR, LISTXATTR: a value is in place */
  struct virtiofs_getlk_out getlk;
  struct virtiofs_bmap_out bmap;
  struct virtiofs_ioctl_out ioctl; /**< its data is in place */
  struct virtiofs_poll_out poll;
  struct virtiofs_statx_out statx;
};

/** Bytes for the names of one request: two names, or a name and a link's target, each with its NUL. */
#define VIRTIOFS_FUSE_STORAGE (VIRTIOFS_FUSE_NAME_MAX + VIRTIOFS_TARGET_MAX + 2U)

/** Most bytes of extensions in one request. */
#define VIRTIOFS_FUSE_EXTENSIONS_MAX 8192U

/** A decoded request. Holds copies of all but file contents. */
struct virtiofs_fuse_request {
  struct virtiofs_fuse_header header;
  union virtiofs_fuse_in in;
  char storage[VIRTIOFS_FUSE_STORAGE];                    /**< where the names of @in lie */
  unsigned char extensions[VIRTIOFS_FUSE_EXTENSIONS_MAX]; /**< where the extensions of @in lie */
};

/**
 * virtiofs_fuse_request_decode - read a request
 * @req:   filled; @storage is only written as far as there are names
 * @proto: what INIT agreed on
 * @iov:   the request's segments; the entries are changed: a WRITE's `data` lies in them afterwards
 * @count: entries, none of them empty
 *
 * Checks lengths, names and ranges; not whether nodeids and handles exist.
 *
 * Return:
 *   0        @req is whole;
 *   -ENOSYS  an opcode that there isn't, or that is not for virtio-fs; the header is filled;
 *   -EINVAL  malformed, the header is filled (-ENAMETOOLONG for a name that is too long, -EFBIG for a range past
 * INT64_MAX, -E2BIG for a value or extensions that are too large); -EIO     any request but INIT before INIT; the
 * header is filled; -EPROTO  no whole header, or its length is not the message's: of the header only @unique is set, 0
 * if it isn't there. Lifetime: `in.write.data` borrows @iov; names point into @req.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fuse_request_decode(struct virtiofs_fuse_request *req,
                                                                   const struct virtiofs_fuse_proto *proto,
                                                                   struct iovec *iov, uint32_t count);

/**
 * virtiofs_fuse_forget_next - the next entry of a BATCH_FORGET
 * @in:     of the decoded request; @in->next is advanced
 * @forget: filled
 *
 * Return: true; false at the end.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_fuse_forget_next(struct virtiofs_fuse_batch_forget_in *in,
                                                                 struct virtiofs_fuse_forget_in *forget);

/**
 * virtiofs_fuse_reply_max - bytes that the largest reply of a request has
 * @proto: what INIT agreed on
 * @req:   decoded
 *
 * For sources that don't say how much room there is, as /dev/fuse. Return: bytes with the header; 0 if there is no
 * reply.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_fuse_reply_max(const struct virtiofs_fuse_proto *proto,
                                                 const struct virtiofs_fuse_request *req);

/** virtiofs_fuse_has_reply - false for FORGET, BATCH_FORGET and NOTIFY_REPLY. */
VIRTIOFS_EXPORT bool virtiofs_fuse_has_reply(uint32_t opcode);

/**
 * virtiofs_fuse_reply_room - bytes that a reply needs before its variable part
 * @proto:  what INIT agreed on
 * @opcode: of the request
 *
 * For replies whose last part is variable (READ, READDIR, READLINK) that is the header. An error always needs 16 bytes.
 *
 * Return: bytes with the header; 0 if there is no reply.
 */
VIRTIOFS_EXPORT uint32_t virtiofs_fuse_reply_room(const struct virtiofs_fuse_proto *proto, uint32_t opcode);

/**
 * virtiofs_fuse_reply_encode - write a reply
 * @proto:  what INIT agreed on
 * @header: of the request
 * @error:  0, or -errno; what is no errno of Linux's becomes -EIO
 * @out:    arguments; not used with an error, NULL for replies that are a bare header
 * @iov:    room for the reply; not changed
 * @count:  entries
 *
 * Every byte of the reply is written, padding as zero. The contents of READ, READDIR and READDIRPLUS are not touched:
 * they have been put behind the header before, `out->read.size` bytes.
 *
 * Return: bytes of the reply; 0 if the opcode has none; -ENOSPC if it doesn't fit, then no header was written;
 * -EINVAL if @out is not sound (times, sizes, a mode without a type), then nothing was written.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_reply_encode(const struct virtiofs_fuse_proto *proto,
                                                                     const struct virtiofs_fuse_header *header,
                                                                     int error, const union virtiofs_fuse_out *out,
                                                                     const struct iovec *iov, uint32_t count);

/**
 * virtiofs_fuse_request_encode - write a request, as a driver does
 * @proto:  what INIT agreed on; for INIT itself only @swapped counts
 * @header: opcode, unique, uid, gid and pid; the rest follows from @in
 * @in:     arguments, nodeids and handles as the server gave them; of `data` and `value` only the size is looked at
 * @buf:    private memory
 * @size:   of @buf in bytes; 40 + 128 + two names + extensions are always enough
 *
 * File contents, an xattr's value, and the entries of BATCH_FORGET and REMOVEMAPPING are not copied: the caller puts
 * them behind the bytes written here, as many as @in says.
 *
 * Return: bytes written; -ENOSYS for an opcode that there isn't; -ENOSPC if @buf is too small; -EINVAL for arguments
 * that can't be sent.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_request_encode(const struct virtiofs_fuse_proto *proto,
                                                                       const struct virtiofs_fuse_header *header,
                                                                       const union virtiofs_fuse_in *in, void *buf,
                                                                       size_t size);

/**
 * virtiofs_fuse_reply_decode - read a reply, as a driver does
 * @proto:  what INIT agreed on
 * @header: of the request
 * @out:    filled after a success, as far as the opcode has arguments; before GETXATTR and LISTXATTR `xattr.size_only`
 * must be set
 * @iov:    where the reply lies
 * @count:  entries
 * @used:   bytes that the device says it has written
 *
 * What is variable stays where it is: behind the header (READ, READDIR, READLINK, a value), or behind IOCTL's fixed
 * part.
 *
 * Return: 0; what the server says, -1 .. -511; -EPROTO if it is no reply to this request, or not a sound one: that
 * number a server may say too.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fuse_reply_decode(const struct virtiofs_fuse_proto *proto,
                                                                 const struct virtiofs_fuse_header *header,
                                                                 union virtiofs_fuse_out *out, const struct iovec *iov,
                                                                 uint32_t count, size_t used);

/** virtiofs_fuse_dirent_size - bytes of a READDIR record for a name of @len bytes, @plus: of a READDIRPLUS record. */
VIRTIOFS_EXPORT uint32_t virtiofs_fuse_dirent_size(const struct virtiofs_fuse_proto *proto, uint32_t len, bool plus);

/** A listing that is being written, record by record. Its fields are the library's own. */
struct virtiofs_fuse_dirents {
  unsigned char *to, *end; /* of what is written at once: a piece of the segment at @iov */
  const struct iovec *iov;
  uint32_t count;
  bool swapped;
  uint32_t valid_nsec;
  uint64_t valid_sec, valid_ns;
  unsigned char *piece; /* where @to was when @size was so many bytes */
  size_t size, room;
};

/**
 * virtiofs_fuse_dirents_init - begin a listing
 * @list:  filled
 * @proto: what INIT agreed on
 * @room:  where it goes, behind the reply's header; its segments must stay until the last record is added
 */
VIRTIOFS_EXPORT void virtiofs_fuse_dirents_init(struct virtiofs_fuse_dirents *list,
                                                const struct virtiofs_fuse_proto *proto,
                                                const struct virtiofs_data *room);

/** virtiofs_fuse_dirents_size - bytes of the records that are in it, a multiple of 8: the reply's size */
static inline size_t virtiofs_fuse_dirents_size(const struct virtiofs_fuse_dirents *list) {
  return list->size + (size_t)(list->to - list->piece);
}

/**
 * virtiofs_fuse_dirents_add - append one record
 * @entry: the name
 * @plus:  for READDIRPLUS, all zero if nothing is known; NULL for READDIR; the same kind for all of a listing
 *
 * Return: true if it is in the listing. False, and the listing is as it was, if there is no room for it, or if @entry
 * or @plus breaks the rules of types.h: virtiofs_fuse_dirent_sound() tells which.
 */
VIRTIOFS_EXPORT bool virtiofs_fuse_dirents_add(struct virtiofs_fuse_dirents *list, const struct virtiofs_dirent *entry,
                                               const struct virtiofs_entry_out *plus);

/** virtiofs_fuse_dirent_sound - would Linux take this record? It fails a whole listing for one that it doesn't. */
VIRTIOFS_EXPORT bool virtiofs_fuse_dirent_sound(const struct virtiofs_dirent *entry,
                                                const struct virtiofs_entry_out *plus);

/**
 * virtiofs_fuse_dirent_decode - read one record of a listing, as a driver does
 * @proto:   what INIT agreed on
 * @listing: the reply's bytes behind its header
 * @at:      where the record begins: 0, and then the sum of what this function has returned
 * @name:    where the name goes, VIRTIOFS_FUSE_NAME_MAX bytes; it is not terminated
 * @entry:   filled; its name is @name
 * @plus:    filled, for READDIRPLUS; NULL for READDIR
 *
 * The entries "." and ".." are listed as any other, and a node of 0 in @plus says that nothing is known.
 *
 * Return: bytes of the record; 0 at the end, which is also where only a part of a record is left; -EPROTO for one that
 * is not sound.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_dirent_decode(const struct virtiofs_fuse_proto *proto,
                                                                      const struct virtiofs_data *listing, size_t at,
                                                                      char *name, struct virtiofs_dirent *entry,
                                                                      struct virtiofs_entry_out *plus);

/* ---- text ---- */

/**
 * virtiofs_fuse_request_format - one request as one readable line, as strace(1) would show it
 * @req:  decoded
 * @buf:  the line, terminated, without a newline; cut off where it is longer; bytes that don't print are escaped
 * @size: of @buf in bytes; 0: only the length is wanted
 *
 * Return: bytes of the whole line, without the NUL.
 */
VIRTIOFS_EXPORT size_t virtiofs_fuse_request_format(const struct virtiofs_fuse_request *req, char *buf, size_t size);

/**
 * virtiofs_fuse_reply_format - the same for a reply
 * @header: of the request
 * @error:  0 or -errno
 * @out:    arguments; not used with an error, NULL for replies that are a bare header
 * @buf, @size: as above
 *
 * Return: as above.
 */
VIRTIOFS_EXPORT size_t virtiofs_fuse_reply_format(const struct virtiofs_fuse_header *header, int error,
                                                  const union virtiofs_fuse_out *out, char *buf, size_t size);

/* ---- notifications: what a server tells without being asked ---- */

enum virtiofs_fuse_notify_code {
  VIRTIOFS_FUSE_NOTIFY_POLL = 1,
  VIRTIOFS_FUSE_NOTIFY_INVAL_INODE = 2,
  VIRTIOFS_FUSE_NOTIFY_INVAL_ENTRY = 3,
  VIRTIOFS_FUSE_NOTIFY_STORE = 4,
  VIRTIOFS_FUSE_NOTIFY_RETRIEVE = 5,
  VIRTIOFS_FUSE_NOTIFY_DELETE = 6,
  VIRTIOFS_FUSE_NOTIFY_RESEND = 7,
  VIRTIOFS_FUSE_NOTIFY_INC_EPOCH = 8, /**< since 7.44 */
  VIRTIOFS_FUSE_NOTIFY_PRUNE = 9,     /**< since 7.45 */
};

/** virtiofs_fuse_notify.flags of INVAL_ENTRY: only the cache time ends. */
#define VIRTIOFS_FUSE_EXPIRE_ONLY (1U << 0)

/** A notification. What a code doesn't have is 0. */
struct virtiofs_fuse_notify {
  uint32_t code;             /**< enum virtiofs_fuse_notify_code */
  uint32_t flags;            /**< INVAL_ENTRY */
  uint64_t kh;               /**< POLL */
  uint64_t node;             /**< INVAL_INODE, STORE, RETRIEVE; the parent of INVAL_ENTRY and DELETE */
  uint64_t child;            /**< DELETE */
  uint64_t unique;           /**< RETRIEVE: the NOTIFY_REPLY will carry it */
  int64_t offset;            /**< INVAL_INODE (negative: attributes only), STORE, RETRIEVE */
  int64_t length;            /**< INVAL_INODE: bytes, 0: to the end */
  uint32_t size;             /**< STORE, RETRIEVE: bytes; PRUNE: how many nodes */
  struct virtiofs_name name; /**< INVAL_ENTRY, DELETE */
};

/** virtiofs_fuse_notify_name - "INVAL_INODE" and so on; "?" for an unknown code. */
VIRTIOFS_EXPORT const char *virtiofs_fuse_notify_name(uint32_t code);

/**
 * virtiofs_fuse_notify_encode - write a notification
 * @proto:  what INIT agreed on
 * @notify: the notification
 * @iov:    room for it
 * @count:  entries
 *
 * The bytes of STORE and the nodeids of PRUNE (64 bits each, the driver's byte order) are the caller's to put behind;
 * the length counts them.
 *
 * Return: bytes written here; -EINVAL for an unknown code, one that is newer than the driver, or a name that is empty,
 * too long, or has a NUL or a '/' in it; -ENOSPC if it doesn't fit with what comes behind.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_notify_encode(const struct virtiofs_fuse_proto *proto,
                                                                      const struct virtiofs_fuse_notify *notify,
                                                                      const struct iovec *iov, uint32_t count);

/**
 * virtiofs_fuse_notify_decode - read a notification, as a driver does
 * @proto:   what INIT agreed on
 * @notify:  filled
 * @storage: where the name goes, VIRTIOFS_FUSE_NAME_MAX + 1 bytes
 * @iov:     where it lies
 * @count:   entries
 * @used:    bytes that the device says it has written
 *
 * Return: how many bytes of it have been read: STORE's data and PRUNE's nodeids lie behind them; -EPROTO if it isn't
 * sound.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_notify_decode(const struct virtiofs_fuse_proto *proto,
                                                                      struct virtiofs_fuse_notify *notify,
                                                                      char *storage, const struct iovec *iov,
                                                                      uint32_t count, size_t used);

#ifdef __cplusplus
}
#endif

#endif
