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

/* The name follows, padded with zeros to 8 bytes. */
struct virtiofs_wire_dirent {
  uint64_t ino, off;
  uint32_t namelen, type;
};

struct virtiofs_wire_direntplus {
  struct virtiofs_wire_entry_out entry;
  struct virtiofs_wire_dirent dirent;
};

/* Bits of fields. */
#define VIRTIOFS_WIRE_GETATTR_FH (1U << 0)
#define VIRTIOFS_WIRE_FATTR_FH (1U << 6)
#define VIRTIOFS_WIRE_FSYNC_FDATASYNC (1U << 0)

/* Bits of open(2) that the codec looks at, in Linux's numbers. */
#define VIRTIOFS_WIRE_O_CREAT 0100U
#define VIRTIOFS_WIRE_O_EXCL 0200U
#define VIRTIOFS_WIRE_O_NOCTTY 0400U

#endif
