/* SPDX-License-Identifier: BSD-3-Clause */
/* FALLOCATE, LSEEK, COPY_FILE_RANGE; FSYNC, FSYNCDIR, FLUSH, STATFS, SYNCFS. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { KEEP_SIZE = 1, PUNCH_HOLE = 2, DATA = 3, HOLE = 4 };

/* ---- FALLOCATE ---- */

static void allocate(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  able(t, fs_fallocate(t, file, 0, 0, 10000));
  is(t, "the size", attr_of(t, file.node).size, 10000);
  good(t, fs_read(t, file, 0, 4));
  expect(t, t->size == 4 && memcmp(t->bytes, "abc", 4) == 0, "the contents have changed");
}

static void allocate_keep(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  able(t, fs_fallocate(t, file, KEEP_SIZE, 0, 10000));
  is(t, "the size", attr_of(t, file.node).size, 3);
}

static void punch(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_fallocate(t, file, PUNCH_HOLE | KEEP_SIZE, 2, 5));
  good(t, fs_read(t, file, 0, 100));
  expect(t,
         t->size == 10 && memcmp(t->bytes,
                                 "01\0\0\0\0\0"
                                 "789",
                                 10) == 0,
         "not the hole that was asked for");
}

static void allocate_none(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  able(t, fs_fallocate(t, file, 0, 0, 10));
  REFUSED(t, fs_fallocate(t, file, 0, 0, 0), EINVAL);
}

static void allocate_past(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  able(t, fs_fallocate(t, file, 0, 0, 10));
  REFUSED(t, fs_fallocate(t, file, 0, INT64_MAX - 5, 10), EFBIG, EINVAL);
  REFUSED(t, fs_fallocate(t, file, 0, UINT64_MAX - 5, 10), EFBIG, EINVAL);
}

static void allocate_mode(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  able(t, fs_fallocate(t, file, 0, 0, 10));
  REFUSED(t, fs_fallocate(t, file, 1U << 20, 0, 10), EOPNOTSUPP, EINVAL);
}

static void allocate_read_only(struct test *t) {
  struct file file = open_file(t, make_file(t, "file", "abc"), O_RDONLY);
  REFUSED(t, fs_fallocate(t, file, 0, 0, 10), EBADF, EPERM, EACCES);
}

/* ---- LSEEK ---- */

static void seek_data(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_lseek(t, file, 4, DATA));
  is(t, "the position of data", t->got.lseek.offset, 4);
}

static void seek_hole(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_lseek(t, file, 4, HOLE));
  is(t, "the position of a hole", t->got.lseek.offset, 10);
}

static void seek_past(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_lseek(t, file, 0, DATA));
  REFUSED(t, fs_lseek(t, file, 11, DATA), ENXIO);
  REFUSED(t, fs_lseek(t, file, 11, HOLE), ENXIO);
}

static void seek_unknown(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_lseek(t, file, 0, DATA));
  REFUSED(t, fs_lseek(t, file, 0, 77), EINVAL);
}

static void seek_dir_handle(struct test *t) {
  struct file dir = open_dir(t, make_dir(t, "dir"));
  int rc = fs_lseek(t, dir, 0, DATA);
  if (rc != 0)
    bad(t, rc);
}

/* ---- COPY_FILE_RANGE ---- */

static void copied_by(struct test *t, uint32_t opcode) {
  struct file from = new_file(t, "from", "0123456789"), to = new_file(t, "to", "abcdef");
  able(t, fs_copy(t, opcode, from, 3, to, 1, 4));
  is(t, "the bytes copied", t->got.copy_file_range.size, 4);
  good(t, fs_read(t, to, 0, 100));
  holds(t, "a3456f");
}

static void copied(struct test *t) {
  copied_by(t, VIRTIOFS_FUSE_COPY_FILE_RANGE);
}

static void copied_64(struct test *t) {
  copied_by(t, VIRTIOFS_FUSE_COPY_FILE_RANGE_64);
}

static void copy_short(struct test *t) {
  struct file from = new_file(t, "from", "0123456789"), to = new_file(t, "to", "");
  able(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, from, 8, to, 0, 100));
  is(t, "the bytes copied", t->got.copy_file_range.size, 2);
}

static void copy_at_end(struct test *t) {
  struct file from = new_file(t, "from", "0123456789"), to = new_file(t, "to", "");
  able(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, from, 10, to, 0, 100));
  is(t, "the bytes copied", t->got.copy_file_range.size, 0);
}

static void copy_huge(struct test *t) {
  struct file from = new_file(t, "from", "0123456789"), to = new_file(t, "to", "");
  able(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, from, 0, to, 0, UINT64_C(1) << 32));
  is(t, "the bytes copied", t->got.copy_file_range.size, 10);
}

static void copy_overlap(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  able(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, file, 0, file, 5, 5));
  REFUSED(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, file, 0, file, 3, 5), EINVAL);
}

static void copy_dir(struct test *t) {
  struct file from = open_dir(t, make_dir(t, "dir")), to = new_file(t, "to", "");
  bad(t, fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, from, 0, to, 0, 10));
}

#define FALLOCATE VIRTIOFS_FUSE_FALLOCATE
#define LSEEK VIRTIOFS_FUSE_LSEEK
#define COPY VIRTIOFS_FUSE_COPY_FILE_RANGE
static const struct check space_checks[] = {
    {"allocate", "FUSE FALLOCATE makes a file as long as the range, and changes no contents", allocate, MOUNTED,
     FALLOCATE, 0},
    {"keep-size", "fallocate(2): with KEEP_SIZE the size stays", allocate_keep, MOUNTED, FALLOCATE, 0},
    {"punch-hole", "fallocate(2): a punched hole reads as zeros, what is around it stays", punch, MOUNTED, FALLOCATE,
     0},
    {"allocate-nothing", "fallocate(2): a length of 0 is answered EINVAL", allocate_none, MOUNTED, FALLOCATE, 0},
    {"allocate-past-2^63", "FUSE ranges: a range past INT64_MAX is refused", allocate_past, MOUNTED, FALLOCATE, 0},
    {"allocate-mode", "fallocate(2): an unknown mode is refused, and not by ENOSYS", allocate_mode, MOUNTED, FALLOCATE,
     0},
    {"allocate-read-only", "fallocate(2): a file that is open for reading only is refused", allocate_read_only, MOUNTED,
     FALLOCATE, 0},
    {"seek-data", "FUSE LSEEK: SEEK_DATA inside of data stays where it is", seek_data, MOUNTED, LSEEK, 0},
    {"seek-hole", "FUSE LSEEK: the end of a file is a hole", seek_hole, MOUNTED, LSEEK, 0},
    {"seek-past-end", "lseek(2): past the end it is ENXIO", seek_past, MOUNTED, LSEEK, 0},
    {"seek-unknown", "lseek(2): an unknown whence is EINVAL", seek_unknown, MOUNTED, LSEEK, 0},
    {"seek-dir", "FUSE ids: LSEEK on a directory's handle does no harm", seek_dir_handle, MOUNTED, LSEEK, 0},
    {"copy", "FUSE COPY_FILE_RANGE copies between two files, and answers 8 bytes", copied, MOUNTED, COPY, 0},
    {"copy-64", "FUSE COPY_FILE_RANGE_64 does the same, and answers 64 bits", copied_64, MOUNTED,
     VIRTIOFS_FUSE_COPY_FILE_RANGE_64, 0},
    {"copy-short", "copy_file_range(2): fewer bytes where the source ends", copy_short, MOUNTED, COPY, 0},
    {"copy-at-end", "copy_file_range(2): none at the source's end", copy_at_end, MOUNTED, COPY, 0},
    {"copy-2^32", "FUSE COPY_FILE_RANGE: a length of 4 GiB does not become 0", copy_huge, MOUNTED, COPY, 0},
    {"copy-overlap", "copy_file_range(2): ranges of one file that overlap are EINVAL", copy_overlap, MOUNTED, COPY, 0},
    {"copy-dir", "FUSE ids: a directory's handle is no file's", copy_dir, MOUNTED, COPY, 0},
};
const struct group space_group = CHECKS("space", space_checks);

/* ---- FSYNC and the like ---- */

static void sync_by(struct test *t, uint32_t opcode, bool data_only) {
  struct file file = opcode == VIRTIOFS_FUSE_FSYNC ? new_file(t, "file", "abc") : open_dir(t, make_dir(t, "dir"));
  good(t, fs_fsync(t, opcode, file, data_only));
  is(t, "the reply's length", t->len, 16);
}

static void fsync_file(struct test *t) {
  sync_by(t, VIRTIOFS_FUSE_FSYNC, false);
}

static void fdatasync_file(struct test *t) {
  sync_by(t, VIRTIOFS_FUSE_FSYNC, true);
}

static void fsync_dir(struct test *t) {
  sync_by(t, VIRTIOFS_FUSE_FSYNCDIR, false);
}

static void fsync_released(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_release(t, file));
  bad(t, fs_fsync(t, VIRTIOFS_FUSE_FSYNC, file, false));
}

static void flush(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_flush(t, file, 1));
  is(t, "the reply's length", t->len, 16);
  good(t, fs_flush(t, file, 1));
  good(t, fs_write(t, file, 3, "d", 1));
}

static void flush_released(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  good(t, fs_release(t, file));
  bad(t, fs_flush(t, file, 1));
}

static void statfs_by(struct test *t, uint64_t node) {
  good(t, fs_statfs(t, node));
  const struct virtiofs_statfs_out *out = &t->got.statfs;
  is(t, "the reply's length", t->len, 16 + 80);
  expect(t, out->bsize > 0, "bsize is 0");
  expect(t, out->bfree <= out->blocks && out->bavail <= out->bfree, "of %llu blocks %llu are free and %llu available",
         (unsigned long long)out->blocks, (unsigned long long)out->bfree, (unsigned long long)out->bavail);
  expect(t, out->namelen >= 255, "namelen is %u", out->namelen);
}

static void statfs_root(struct test *t) {
  statfs_by(t, VIRTIOFS_FUSE_ROOT);
}

static void statfs_file(struct test *t) {
  statfs_by(t, make_file(t, "file", ""));
}

static void statfs_stale(struct test *t) {
  bad(t, fs_statfs(t, stale_node(t)));
}

static void sync_all(struct test *t) {
  begin(t, VIRTIOFS_FUSE_SYNCFS)->syncfs.node = VIRTIOFS_FUSE_ROOT;
  good(t, call(t, NULL, 0));
  is(t, "the reply's length", t->len, 16);
}

static const struct check sync_checks[] = {
    {"fsync", "FUSE FSYNC answers a bare header", fsync_file, MOUNTED, VIRTIOFS_FUSE_FSYNC, 0},
    {"fdatasync", "FUSE FSYNC with FSYNC_FDATASYNC", fdatasync_file, MOUNTED, VIRTIOFS_FUSE_FSYNC, 0},
    {"fsyncdir", "FUSE FSYNCDIR answers a bare header", fsync_dir, MOUNTED, VIRTIOFS_FUSE_FSYNCDIR, 0},
    {"fsync-released", "FUSE ids: a handle that was released is refused", fsync_released, MOUNTED, VIRTIOFS_FUSE_FSYNC,
     0},
    {"flush", "FUSE FLUSH comes for each close(2), and the file stays open", flush, MOUNTED, VIRTIOFS_FUSE_FLUSH, 0},
    {"flush-released", "FUSE ids: a handle that was released is refused", flush_released, MOUNTED, VIRTIOFS_FUSE_FLUSH,
     0},
    {"statfs", "FUSE STATFS: 80 bytes that make sense", statfs_root, MOUNTED | ANYWHERE, VIRTIOFS_FUSE_STATFS, 0},
    {"statfs-of-file", "FUSE STATFS of any node", statfs_file, MOUNTED, VIRTIOFS_FUSE_STATFS, 0},
    {"statfs-forgotten", "FUSE FORGET: a nodeid that was forgotten is refused", statfs_stale, MOUNTED,
     VIRTIOFS_FUSE_STATFS, 0},
    {"syncfs", "FUSE SYNCFS of the root answers a bare header", sync_all, MOUNTED | ANYWHERE, VIRTIOFS_FUSE_SYNCFS, 0},
};
const struct group sync_group = CHECKS("sync", sync_checks);
