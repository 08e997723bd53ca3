/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The FUSE codec alone: requests in, replies out. Pure: no system call, no allocation, no state but the caller's.
 *
 * A message may be spread over any number of segments in any way. Everything but file contents is copied out of the segments
 * once and checked in the copy, since the guest may change its memory at any time.
 *
 * Threads: all functions may be called from any thread, each with objects of its own.
 *
 * Specification: <linux/fuse.h>, protocol 7.38; virtio 1.3, 5.11.6.
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
#define VIRTIOFS_FUSE_MINOR 38U
/** The oldest minor of a driver that is served; Linux has had virtio-fs since 7.31. */
#define VIRTIOFS_FUSE_MINOR_MIN 27U

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
};

/** INIT flags that this library knows, by their bit. */
#define VIRTIOFS_FUSE_ASYNC_READ (UINT64_C(1) << 0)
#define VIRTIOFS_FUSE_FILE_OPS (UINT64_C(1) << 2)
#define VIRTIOFS_FUSE_ATOMIC_O_TRUNC (UINT64_C(1) << 3)
#define VIRTIOFS_FUSE_BIG_WRITES (UINT64_C(1) << 5)
#define VIRTIOFS_FUSE_AUTO_INVAL_DATA (UINT64_C(1) << 12)
#define VIRTIOFS_FUSE_DO_READDIRPLUS (UINT64_C(1) << 13)
#define VIRTIOFS_FUSE_READDIRPLUS_AUTO (UINT64_C(1) << 14)
#define VIRTIOFS_FUSE_ASYNC_DIO (UINT64_C(1) << 15)
#define VIRTIOFS_FUSE_NO_OPEN_SUPPORT (UINT64_C(1) << 17)
#define VIRTIOFS_FUSE_PARALLEL_DIROPS (UINT64_C(1) << 18)
#define VIRTIOFS_FUSE_MAX_PAGES (UINT64_C(1) << 22)
#define VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT (UINT64_C(1) << 24)
#define VIRTIOFS_FUSE_INIT_EXT (UINT64_C(1) << 30)

/** virtiofs_fuse_opcode_name - "LOOKUP" and so on; "?" for what this library does not know. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_fuse_opcode_name(uint32_t opcode);

/** What was agreed on by INIT, and changes what messages look like. Zero it before the first INIT. */
struct virtiofs_fuse_proto {
  uint32_t minor; /**< min(the driver's, ours), or 0 before INIT: then only INIT is decoded */
};

/** A request's header. */
struct virtiofs_fuse_header {
  uint32_t len; /**< bytes of the request, with the header */
  uint32_t opcode;
  uint64_t unique; /**< the reply carries it */
  uint64_t nodeid; /**< 0 where the request is about no node */
  uint32_t uid, gid, pid;
  uint16_t total_extlen; /**< extensions at the request's end, in units of 8 bytes */
};

/** INIT as the driver sends it. */
struct virtiofs_fuse_init_in {
  uint64_t nodeid;
  uint32_t major, minor, max_readahead;
  uint64_t flags; /**< both words */
};

/** INIT's reply. */
struct virtiofs_fuse_init_out {
  uint32_t major, minor, max_readahead;
  uint64_t flags;
  uint16_t max_background, congestion_threshold;
  uint32_t max_write; /**< bytes */
  uint32_t time_gran; /**< ns */
  uint16_t max_pages; /**< units of 4096 bytes */
};

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
};

/**
 * A request's arguments. In these, the first field of each struct, and fields called parent, new_parent and node, hold nodeids; fields
 * called handle hold the number that the driver knows an open file by.
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
};

/** Bytes for the names of one request: two names, or a name and a link's target, each with its NUL. */
#define VIRTIOFS_FUSE_STORAGE (VIRTIOFS_FUSE_NAME_MAX + VIRTIOFS_TARGET_MAX + 2U)

/** A decoded request. Holds copies of all but file contents. */
struct virtiofs_fuse_request {
  struct virtiofs_fuse_header header;
  union virtiofs_fuse_in in;
  char storage[VIRTIOFS_FUSE_STORAGE]; /**< where the names of @in lie */
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
 *   -ENOSYS  an opcode that this library has no operation for; the header is filled;
 *   -EINVAL  malformed, the header is filled (-ENAMETOOLONG for a name that is too long, -EFBIG for a range past INT64_MAX);
 *   -EIO     any request but INIT before INIT; the header is filled;
 *   -EPROTO  no whole header, or its length is not the message's: of the header only @unique is set, 0 if it isn't there.
 * Lifetime: `in.write.data` borrows @iov; names point into @req.
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
 * Every byte of the reply is written, padding as zero. The contents of READ, READDIR and READDIRPLUS are not touched: they have been put behind the header
 * before, `out->read.size` bytes.
 *
 * Return: bytes of the reply; 0 if the opcode has none; -ENOSPC if it doesn't fit, then nothing was written;
 * -EINVAL if @out is not sound (times, sizes, a mode without a type), then nothing was written.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_reply_encode(const struct virtiofs_fuse_proto *proto,
                                                                     const struct virtiofs_fuse_header *header,
                                                                     int error, const union virtiofs_fuse_out *out,
                                                                     const struct iovec *iov, uint32_t count);

/** virtiofs_fuse_dirent_size - bytes of a READDIR record for a name of @len bytes, @plus: of a READDIRPLUS record. */
VIRTIOFS_EXPORT uint32_t virtiofs_fuse_dirent_size(const struct virtiofs_fuse_proto *proto, uint32_t len, bool plus);

/**
 * virtiofs_fuse_dirent_encode - write one directory record
 * @proto: what INIT agreed on
 * @dir:   the listing's room, behind the reply's header
 * @used:  bytes of records that are there already
 * @entry: the name
 * @plus:  for READDIRPLUS, all zero if nothing is known; NULL for READDIR
 *
 * Return: bytes of the record, a multiple of 8; 0 if it doesn't fit; -EINVAL for a name or an attribute that breaks the rules.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE ssize_t virtiofs_fuse_dirent_encode(const struct virtiofs_fuse_proto *proto,
                                                                      const struct virtiofs_data *dir, size_t used,
                                                                      const struct virtiofs_dirent *entry,
                                                                      const struct virtiofs_entry_out *plus);

#ifdef __cplusplus
}
#endif

#endif
