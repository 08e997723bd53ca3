/* SPDX-License-Identifier: BSD-3-Clause */
/** What FUSE messages look like, in the guest's byte order; <linux/fuse.h>. tests/fuse/test_wire.c holds them to it. */
#ifndef VIRTIOFS_LIB_FUSE_WIRE_H
#define VIRTIOFS_LIB_FUSE_WIRE_H

#include <stdint.h>

struct virtiofs_wire_in_header {
  uint32_t len, opcode;
  uint64_t unique, nodeid;
  uint32_t uid, gid, pid;
  uint16_t total_extlen, padding;
};

struct virtiofs_wire_out_header {
  uint32_t len;
  int32_t error;
  uint64_t unique;
};

struct virtiofs_wire_attr {
  uint64_t ino, size, blocks, atime, mtime, ctime;
  uint32_t atimensec, mtimensec, ctimensec;
  uint32_t mode, nlink, uid, gid, rdev, blksize, flags;
};

struct virtiofs_wire_entry_out {
  uint64_t nodeid, generation, entry_valid, attr_valid;
  uint32_t entry_valid_nsec, attr_valid_nsec;
  struct virtiofs_wire_attr attr;
};

struct virtiofs_wire_attr_out {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec, dummy;
  struct virtiofs_wire_attr attr;
};

struct virtiofs_wire_statfs_out {
  uint64_t blocks, bfree, bavail, files, ffree;
  uint32_t bsize, namelen, frsize, padding, spare[6];
};

struct virtiofs_wire_open_out {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};

struct virtiofs_wire_create_out {
  struct virtiofs_wire_entry_out entry;
  struct virtiofs_wire_open_out open;
};

struct virtiofs_wire_write_out {
  uint32_t size, padding;
};

struct virtiofs_wire_lseek_out {
  uint64_t offset;
};

struct virtiofs_wire_init_out {
  uint32_t major, minor, max_readahead, flags;
  uint16_t max_background, congestion_threshold;
  uint32_t max_write, time_gran;
  uint16_t max_pages, map_alignment;
  uint32_t flags2, max_stack_depth;
  uint16_t request_timeout, unused[11];
};

struct virtiofs_wire_init_in {
  uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};

struct virtiofs_wire_forget_in {
  uint64_t nlookup;
};

struct virtiofs_wire_forget_one {
  uint64_t nodeid, nlookup;
};

struct virtiofs_wire_batch_forget_in {
  uint32_t count, dummy;
};

struct virtiofs_wire_getattr_in {
  uint32_t getattr_flags, dummy;
  uint64_t fh;
};

struct virtiofs_wire_setattr_in {
  uint32_t valid, padding;
  uint64_t fh, size, lock_owner, atime, mtime, ctime;
  uint32_t atimensec, mtimensec, ctimensec;
  uint32_t mode, unused4, uid, gid, unused5;
};

struct virtiofs_wire_mknod_in {
  uint32_t mode, rdev, umask, padding;
};

struct virtiofs_wire_mkdir_in {
  uint32_t mode, umask;
};

struct virtiofs_wire_rename_in {
  uint64_t newdir;
};

struct virtiofs_wire_rename2_in {
  uint64_t newdir;
  uint32_t flags, padding;
};

struct virtiofs_wire_link_in {
  uint64_t oldnodeid;
};

struct virtiofs_wire_open_in {
  uint32_t flags, open_flags;
};

struct virtiofs_wire_create_in {
  uint32_t flags, mode, umask, open_flags;
};

/* READ, READDIR and READDIRPLUS. */
struct virtiofs_wire_read_in {
  uint64_t fh, offset;
  uint32_t size, read_flags;
  uint64_t lock_owner;
  uint32_t flags, padding;
};

struct virtiofs_wire_write_in {
  uint64_t fh, offset;
  uint32_t size, write_flags;
  uint64_t lock_owner;
  uint32_t flags, padding;
};

struct virtiofs_wire_release_in {
  uint64_t fh;
  uint32_t flags, release_flags;
  uint64_t lock_owner;
};

struct virtiofs_wire_flush_in {
  uint64_t fh;
  uint32_t unused, padding;
  uint64_t lock_owner;
};

struct virtiofs_wire_fsync_in {
  uint64_t fh;
  uint32_t fsync_flags, padding;
};

struct virtiofs_wire_fallocate_in {
  uint64_t fh, offset, length;
  uint32_t mode, padding;
};

struct virtiofs_wire_lseek_in {
  uint64_t fh, offset;
  uint32_t whence, padding;
};

struct virtiofs_wire_setxattr_in {
  uint32_t size, flags, setxattr_flags, padding;
};

struct virtiofs_wire_getxattr_in {
  uint32_t size, padding;
};

struct virtiofs_wire_getxattr_out {
  uint32_t size, padding;
};

struct virtiofs_wire_file_lock {
  uint64_t start, end;
  uint32_t type, pid;
};

struct virtiofs_wire_lk_in {
  uint64_t fh, owner;
  struct virtiofs_wire_file_lock lk;
  uint32_t lk_flags, padding;
};

struct virtiofs_wire_lk_out {
  struct virtiofs_wire_file_lock lk;
};

struct virtiofs_wire_access_in {
  uint32_t mask, padding;
};

struct virtiofs_wire_interrupt_in {
  uint64_t unique;
};

struct virtiofs_wire_bmap_in {
  uint64_t block;
  uint32_t blocksize, padding;
};

struct virtiofs_wire_bmap_out {
  uint64_t block;
};

struct virtiofs_wire_ioctl_in {
  uint64_t fh;
  uint32_t flags, cmd;
  uint64_t arg;
  uint32_t in_size, out_size;
};

struct virtiofs_wire_ioctl_out {
  int32_t result;
  uint32_t flags, in_iovs, out_iovs;
};

struct virtiofs_wire_poll_in {
  uint64_t fh, kh;
  uint32_t flags, events;
};

struct virtiofs_wire_poll_out {
  uint32_t revents, padding;
};

struct virtiofs_wire_copy_file_range_in {
  uint64_t fh_in, off_in, nodeid_out, fh_out, off_out, len, flags;
};

struct virtiofs_wire_copy_file_range_out {
  uint64_t bytes_copied;
};

struct virtiofs_wire_setupmapping_in {
  uint64_t fh, foffset, len, flags, moffset;
};

struct virtiofs_wire_removemapping_in {
  uint32_t count;
};

struct virtiofs_wire_removemapping_one {
  uint64_t moffset, len;
};

struct virtiofs_wire_syncfs_in {
  uint64_t padding;
};

struct virtiofs_wire_statx_in {
  uint32_t getattr_flags, reserved;
  uint64_t fh;
  uint32_t sx_flags, sx_mask;
};

struct virtiofs_wire_sx_time {
  int64_t sec;
  uint32_t nsec;
  int32_t reserved;
};

struct virtiofs_wire_statx {
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare0;
  uint64_t ino, size, blocks, attributes_mask;
  struct virtiofs_wire_sx_time atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t spare2[14];
};

struct virtiofs_wire_statx_out {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec, flags;
  uint64_t spare[2];
  struct virtiofs_wire_statx stat;
};

/* NOTIFY_REPLY: same size as a WRITE's arguments. */
struct virtiofs_wire_notify_retrieve_in {
  uint64_t dummy1, offset;
  uint32_t size, dummy2;
  uint64_t dummy3, dummy4;
};

/* Extensions at the end of a request. @size counts this header and the padding to 8 bytes. */
struct virtiofs_wire_ext_header {
  uint32_t size, type;
};

/* In a security extension @type is the number of contexts; each of them begins with this, then name and NUL, then
 * value. */
struct virtiofs_wire_secctx {
  uint32_t size, padding;
};

/* The name follows, padded with zeros to 8 bytes. */
struct virtiofs_wire_dirent {
  uint64_t ino, off;
  uint32_t namelen, type;
};

struct virtiofs_wire_direntplus {
  struct virtiofs_wire_entry_out entry;
  struct virtiofs_wire_dirent dirent;
};

/* Notifications; names follow with their NUL, which namelen doesn't count. */
struct virtiofs_wire_notify_poll {
  uint64_t kh;
};

struct virtiofs_wire_notify_inval_inode {
  uint64_t ino;
  int64_t off, len;
};

struct virtiofs_wire_notify_inval_entry {
  uint64_t parent;
  uint32_t namelen, flags;
};

struct virtiofs_wire_notify_delete {
  uint64_t parent, child;
  uint32_t namelen, padding;
};

struct virtiofs_wire_notify_store {
  uint64_t nodeid, offset;
  uint32_t size, padding;
};

struct virtiofs_wire_notify_retrieve {
  uint64_t notify_unique, nodeid, offset;
  uint32_t size, padding;
};

struct virtiofs_wire_notify_prune {
  uint32_t count, padding;
  uint64_t spare;
};

/* Bits of fields. */
#define VIRTIOFS_WIRE_GETATTR_FH (1U << 0)
#define VIRTIOFS_WIRE_FATTR_FH (1U << 6)
#define VIRTIOFS_WIRE_FSYNC_FDATASYNC (1U << 0)

#define VIRTIOFS_WIRE_LK_FLOCK (1U << 0)
#define VIRTIOFS_WIRE_F_UNLCK 2U
#define VIRTIOFS_WIRE_EXT_CONTEXTS_MAX 31U
#define VIRTIOFS_WIRE_EXT_GROUPS 32U

/* Bits of open(2) that the codec looks at, in Linux's numbers. */
#define VIRTIOFS_WIRE_O_CREAT 0100U
#define VIRTIOFS_WIRE_O_EXCL 0200U
#define VIRTIOFS_WIRE_O_TRUNC 01000U
#define VIRTIOFS_WIRE_O_NOCTTY 0400U

#endif
