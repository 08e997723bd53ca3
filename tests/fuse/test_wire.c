/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/fuse.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "fuse/wire.h"

/*
 * Each struct against <linux/fuse.h> 7.38, member by member: place and size. A member that is newer than that, or that
 * has no name there, is held by a number from the table of offsets.
 */
#define SIZE(ours, theirs) _Static_assert(sizeof(struct virtiofs_wire_##ours) == sizeof(struct theirs), #ours)
#define HERE(ours, member, offset, bytes)                                                                              \
  _Static_assert(offsetof(struct virtiofs_wire_##ours, member) == (offset) &&                                          \
                     sizeof(((struct virtiofs_wire_##ours *)NULL)->member) == (bytes),                                 \
                 #ours "." #member)
#define ALIKE(ours, member, theirs, their_member)                                                                      \
  HERE(ours, member, offsetof(struct theirs, their_member), sizeof(((struct theirs *)NULL)->their_member))

SIZE(in_header, fuse_in_header);
ALIKE(in_header, len, fuse_in_header, len);
ALIKE(in_header, opcode, fuse_in_header, opcode);
ALIKE(in_header, unique, fuse_in_header, unique);
ALIKE(in_header, nodeid, fuse_in_header, nodeid);
ALIKE(in_header, uid, fuse_in_header, uid);
ALIKE(in_header, gid, fuse_in_header, gid);
ALIKE(in_header, pid, fuse_in_header, pid);
HERE(in_header, total_extlen, 36, 2);
HERE(in_header, padding, 38, 2);

SIZE(out_header, fuse_out_header);
ALIKE(out_header, len, fuse_out_header, len);
ALIKE(out_header, error, fuse_out_header, error);
ALIKE(out_header, unique, fuse_out_header, unique);

SIZE(attr, fuse_attr);
ALIKE(attr, ino, fuse_attr, ino);
ALIKE(attr, size, fuse_attr, size);
ALIKE(attr, blocks, fuse_attr, blocks);
ALIKE(attr, atime, fuse_attr, atime);
ALIKE(attr, mtime, fuse_attr, mtime);
ALIKE(attr, ctime, fuse_attr, ctime);
ALIKE(attr, atimensec, fuse_attr, atimensec);
ALIKE(attr, mtimensec, fuse_attr, mtimensec);
ALIKE(attr, ctimensec, fuse_attr, ctimensec);
ALIKE(attr, mode, fuse_attr, mode);
ALIKE(attr, nlink, fuse_attr, nlink);
ALIKE(attr, uid, fuse_attr, uid);
ALIKE(attr, gid, fuse_attr, gid);
ALIKE(attr, rdev, fuse_attr, rdev);
ALIKE(attr, blksize, fuse_attr, blksize);
ALIKE(attr, flags, fuse_attr, flags);

SIZE(entry_out, fuse_entry_out);
ALIKE(entry_out, nodeid, fuse_entry_out, nodeid);
ALIKE(entry_out, generation, fuse_entry_out, generation);
ALIKE(entry_out, entry_valid, fuse_entry_out, entry_valid);
ALIKE(entry_out, attr_valid, fuse_entry_out, attr_valid);
ALIKE(entry_out, entry_valid_nsec, fuse_entry_out, entry_valid_nsec);
ALIKE(entry_out, attr_valid_nsec, fuse_entry_out, attr_valid_nsec);
ALIKE(entry_out, attr, fuse_entry_out, attr);

SIZE(attr_out, fuse_attr_out);
ALIKE(attr_out, attr_valid, fuse_attr_out, attr_valid);
ALIKE(attr_out, attr_valid_nsec, fuse_attr_out, attr_valid_nsec);
ALIKE(attr_out, dummy, fuse_attr_out, dummy);
ALIKE(attr_out, attr, fuse_attr_out, attr);

SIZE(statfs_out, fuse_statfs_out);
ALIKE(statfs_out, blocks, fuse_statfs_out, st.blocks);
ALIKE(statfs_out, bfree, fuse_statfs_out, st.bfree);
ALIKE(statfs_out, bavail, fuse_statfs_out, st.bavail);
ALIKE(statfs_out, files, fuse_statfs_out, st.files);
ALIKE(statfs_out, ffree, fuse_statfs_out, st.ffree);
ALIKE(statfs_out, bsize, fuse_statfs_out, st.bsize);
ALIKE(statfs_out, namelen, fuse_statfs_out, st.namelen);
ALIKE(statfs_out, frsize, fuse_statfs_out, st.frsize);
ALIKE(statfs_out, padding, fuse_statfs_out, st.padding);
ALIKE(statfs_out, spare, fuse_statfs_out, st.spare);

SIZE(open_out, fuse_open_out);
ALIKE(open_out, fh, fuse_open_out, fh);
ALIKE(open_out, open_flags, fuse_open_out, open_flags);
HERE(open_out, backing_id, 12, 4);

HERE(create_out, entry, 0, sizeof(struct fuse_entry_out));
HERE(create_out, open, sizeof(struct fuse_entry_out), sizeof(struct fuse_open_out));

SIZE(write_out, fuse_write_out);
ALIKE(write_out, size, fuse_write_out, size);
ALIKE(write_out, padding, fuse_write_out, padding);

SIZE(lseek_out, fuse_lseek_out);
ALIKE(lseek_out, offset, fuse_lseek_out, offset);

SIZE(init_out, fuse_init_out);
ALIKE(init_out, major, fuse_init_out, major);
ALIKE(init_out, minor, fuse_init_out, minor);
ALIKE(init_out, max_readahead, fuse_init_out, max_readahead);
ALIKE(init_out, flags, fuse_init_out, flags);
ALIKE(init_out, max_background, fuse_init_out, max_background);
ALIKE(init_out, congestion_threshold, fuse_init_out, congestion_threshold);
ALIKE(init_out, max_write, fuse_init_out, max_write);
ALIKE(init_out, time_gran, fuse_init_out, time_gran);
ALIKE(init_out, max_pages, fuse_init_out, max_pages);
ALIKE(init_out, map_alignment, fuse_init_out, map_alignment);
ALIKE(init_out, flags2, fuse_init_out, flags2);
HERE(init_out, max_stack_depth, 36, 4);
HERE(init_out, request_timeout, 40, 2);
HERE(init_out, unused, 42, 22);

SIZE(init_in, fuse_init_in);
ALIKE(init_in, major, fuse_init_in, major);
ALIKE(init_in, minor, fuse_init_in, minor);
ALIKE(init_in, max_readahead, fuse_init_in, max_readahead);
ALIKE(init_in, flags, fuse_init_in, flags);
ALIKE(init_in, flags2, fuse_init_in, flags2);
ALIKE(init_in, unused, fuse_init_in, unused);

SIZE(forget_in, fuse_forget_in);
ALIKE(forget_in, nlookup, fuse_forget_in, nlookup);

SIZE(forget_one, fuse_forget_one);
ALIKE(forget_one, nodeid, fuse_forget_one, nodeid);
ALIKE(forget_one, nlookup, fuse_forget_one, nlookup);

SIZE(batch_forget_in, fuse_batch_forget_in);
ALIKE(batch_forget_in, count, fuse_batch_forget_in, count);
ALIKE(batch_forget_in, dummy, fuse_batch_forget_in, dummy);

SIZE(getattr_in, fuse_getattr_in);
ALIKE(getattr_in, getattr_flags, fuse_getattr_in, getattr_flags);
ALIKE(getattr_in, dummy, fuse_getattr_in, dummy);
ALIKE(getattr_in, fh, fuse_getattr_in, fh);

SIZE(setattr_in, fuse_setattr_in);
ALIKE(setattr_in, valid, fuse_setattr_in, valid);
ALIKE(setattr_in, padding, fuse_setattr_in, padding);
ALIKE(setattr_in, fh, fuse_setattr_in, fh);
ALIKE(setattr_in, size, fuse_setattr_in, size);
ALIKE(setattr_in, lock_owner, fuse_setattr_in, lock_owner);
ALIKE(setattr_in, atime, fuse_setattr_in, atime);
ALIKE(setattr_in, mtime, fuse_setattr_in, mtime);
ALIKE(setattr_in, ctime, fuse_setattr_in, ctime);
ALIKE(setattr_in, atimensec, fuse_setattr_in, atimensec);
ALIKE(setattr_in, mtimensec, fuse_setattr_in, mtimensec);
ALIKE(setattr_in, ctimensec, fuse_setattr_in, ctimensec);
ALIKE(setattr_in, mode, fuse_setattr_in, mode);
ALIKE(setattr_in, unused4, fuse_setattr_in, unused4);
ALIKE(setattr_in, uid, fuse_setattr_in, uid);
ALIKE(setattr_in, gid, fuse_setattr_in, gid);
ALIKE(setattr_in, unused5, fuse_setattr_in, unused5);

SIZE(mknod_in, fuse_mknod_in);
ALIKE(mknod_in, mode, fuse_mknod_in, mode);
ALIKE(mknod_in, rdev, fuse_mknod_in, rdev);
ALIKE(mknod_in, umask, fuse_mknod_in, umask);
ALIKE(mknod_in, padding, fuse_mknod_in, padding);

SIZE(mkdir_in, fuse_mkdir_in);
ALIKE(mkdir_in, mode, fuse_mkdir_in, mode);
ALIKE(mkdir_in, umask, fuse_mkdir_in, umask);

SIZE(rename_in, fuse_rename_in);
ALIKE(rename_in, newdir, fuse_rename_in, newdir);

SIZE(rename2_in, fuse_rename2_in);
ALIKE(rename2_in, newdir, fuse_rename2_in, newdir);
ALIKE(rename2_in, flags, fuse_rename2_in, flags);
ALIKE(rename2_in, padding, fuse_rename2_in, padding);

SIZE(link_in, fuse_link_in);
ALIKE(link_in, oldnodeid, fuse_link_in, oldnodeid);

SIZE(open_in, fuse_open_in);
ALIKE(open_in, flags, fuse_open_in, flags);
ALIKE(open_in, open_flags, fuse_open_in, open_flags);

SIZE(create_in, fuse_create_in);
ALIKE(create_in, flags, fuse_create_in, flags);
ALIKE(create_in, mode, fuse_create_in, mode);
ALIKE(create_in, umask, fuse_create_in, umask);
ALIKE(create_in, open_flags, fuse_create_in, open_flags);

SIZE(read_in, fuse_read_in);
ALIKE(read_in, fh, fuse_read_in, fh);
ALIKE(read_in, offset, fuse_read_in, offset);
ALIKE(read_in, size, fuse_read_in, size);
ALIKE(read_in, read_flags, fuse_read_in, read_flags);
ALIKE(read_in, lock_owner, fuse_read_in, lock_owner);
ALIKE(read_in, flags, fuse_read_in, flags);
ALIKE(read_in, padding, fuse_read_in, padding);

SIZE(write_in, fuse_write_in);
ALIKE(write_in, fh, fuse_write_in, fh);
ALIKE(write_in, offset, fuse_write_in, offset);
ALIKE(write_in, size, fuse_write_in, size);
ALIKE(write_in, write_flags, fuse_write_in, write_flags);
ALIKE(write_in, lock_owner, fuse_write_in, lock_owner);
ALIKE(write_in, flags, fuse_write_in, flags);
ALIKE(write_in, padding, fuse_write_in, padding);

SIZE(release_in, fuse_release_in);
ALIKE(release_in, fh, fuse_release_in, fh);
ALIKE(release_in, flags, fuse_release_in, flags);
ALIKE(release_in, release_flags, fuse_release_in, release_flags);
ALIKE(release_in, lock_owner, fuse_release_in, lock_owner);

SIZE(flush_in, fuse_flush_in);
ALIKE(flush_in, fh, fuse_flush_in, fh);
ALIKE(flush_in, unused, fuse_flush_in, unused);
ALIKE(flush_in, padding, fuse_flush_in, padding);
ALIKE(flush_in, lock_owner, fuse_flush_in, lock_owner);

SIZE(fsync_in, fuse_fsync_in);
ALIKE(fsync_in, fh, fuse_fsync_in, fh);
ALIKE(fsync_in, fsync_flags, fuse_fsync_in, fsync_flags);
ALIKE(fsync_in, padding, fuse_fsync_in, padding);

SIZE(fallocate_in, fuse_fallocate_in);
ALIKE(fallocate_in, fh, fuse_fallocate_in, fh);
ALIKE(fallocate_in, offset, fuse_fallocate_in, offset);
ALIKE(fallocate_in, length, fuse_fallocate_in, length);
ALIKE(fallocate_in, mode, fuse_fallocate_in, mode);
ALIKE(fallocate_in, padding, fuse_fallocate_in, padding);

SIZE(lseek_in, fuse_lseek_in);
ALIKE(lseek_in, fh, fuse_lseek_in, fh);
ALIKE(lseek_in, offset, fuse_lseek_in, offset);
ALIKE(lseek_in, whence, fuse_lseek_in, whence);
ALIKE(lseek_in, padding, fuse_lseek_in, padding);

_Static_assert(sizeof(struct virtiofs_wire_dirent) == FUSE_NAME_OFFSET, "dirent");
ALIKE(dirent, ino, fuse_dirent, ino);
ALIKE(dirent, off, fuse_dirent, off);
ALIKE(dirent, namelen, fuse_dirent, namelen);
ALIKE(dirent, type, fuse_dirent, type);

_Static_assert(sizeof(struct virtiofs_wire_direntplus) == FUSE_NAME_OFFSET_DIRENTPLUS, "direntplus");
ALIKE(direntplus, entry, fuse_direntplus, entry_out);
ALIKE(direntplus, dirent, fuse_direntplus, dirent);

#define SAME(ours, theirs) _Static_assert((uint64_t)(ours) == (uint64_t)(theirs), #theirs)

SAME(VIRTIOFS_FUSE_LOOKUP, FUSE_LOOKUP);
SAME(VIRTIOFS_FUSE_FORGET, FUSE_FORGET);
SAME(VIRTIOFS_FUSE_GETATTR, FUSE_GETATTR);
SAME(VIRTIOFS_FUSE_SETATTR, FUSE_SETATTR);
SAME(VIRTIOFS_FUSE_READLINK, FUSE_READLINK);
SAME(VIRTIOFS_FUSE_SYMLINK, FUSE_SYMLINK);
SAME(VIRTIOFS_FUSE_MKNOD, FUSE_MKNOD);
SAME(VIRTIOFS_FUSE_MKDIR, FUSE_MKDIR);
SAME(VIRTIOFS_FUSE_UNLINK, FUSE_UNLINK);
SAME(VIRTIOFS_FUSE_RMDIR, FUSE_RMDIR);
SAME(VIRTIOFS_FUSE_RENAME, FUSE_RENAME);
SAME(VIRTIOFS_FUSE_LINK, FUSE_LINK);
SAME(VIRTIOFS_FUSE_OPEN, FUSE_OPEN);
SAME(VIRTIOFS_FUSE_READ, FUSE_READ);
SAME(VIRTIOFS_FUSE_WRITE, FUSE_WRITE);
SAME(VIRTIOFS_FUSE_STATFS, FUSE_STATFS);
SAME(VIRTIOFS_FUSE_RELEASE, FUSE_RELEASE);
SAME(VIRTIOFS_FUSE_FSYNC, FUSE_FSYNC);
SAME(VIRTIOFS_FUSE_SETXATTR, FUSE_SETXATTR);
SAME(VIRTIOFS_FUSE_GETXATTR, FUSE_GETXATTR);
SAME(VIRTIOFS_FUSE_LISTXATTR, FUSE_LISTXATTR);
SAME(VIRTIOFS_FUSE_REMOVEXATTR, FUSE_REMOVEXATTR);
SAME(VIRTIOFS_FUSE_FLUSH, FUSE_FLUSH);
SAME(VIRTIOFS_FUSE_INIT, FUSE_INIT);
SAME(VIRTIOFS_FUSE_OPENDIR, FUSE_OPENDIR);
SAME(VIRTIOFS_FUSE_READDIR, FUSE_READDIR);
SAME(VIRTIOFS_FUSE_RELEASEDIR, FUSE_RELEASEDIR);
SAME(VIRTIOFS_FUSE_FSYNCDIR, FUSE_FSYNCDIR);
SAME(VIRTIOFS_FUSE_GETLK, FUSE_GETLK);
SAME(VIRTIOFS_FUSE_SETLK, FUSE_SETLK);
SAME(VIRTIOFS_FUSE_SETLKW, FUSE_SETLKW);
SAME(VIRTIOFS_FUSE_ACCESS, FUSE_ACCESS);
SAME(VIRTIOFS_FUSE_CREATE, FUSE_CREATE);
SAME(VIRTIOFS_FUSE_INTERRUPT, FUSE_INTERRUPT);
SAME(VIRTIOFS_FUSE_BMAP, FUSE_BMAP);
SAME(VIRTIOFS_FUSE_DESTROY, FUSE_DESTROY);
SAME(VIRTIOFS_FUSE_IOCTL, FUSE_IOCTL);
SAME(VIRTIOFS_FUSE_POLL, FUSE_POLL);
SAME(VIRTIOFS_FUSE_NOTIFY_REPLY, FUSE_NOTIFY_REPLY);
SAME(VIRTIOFS_FUSE_BATCH_FORGET, FUSE_BATCH_FORGET);
SAME(VIRTIOFS_FUSE_FALLOCATE, FUSE_FALLOCATE);
SAME(VIRTIOFS_FUSE_READDIRPLUS, FUSE_READDIRPLUS);
SAME(VIRTIOFS_FUSE_RENAME2, FUSE_RENAME2);
SAME(VIRTIOFS_FUSE_LSEEK, FUSE_LSEEK);
SAME(VIRTIOFS_FUSE_COPY_FILE_RANGE, FUSE_COPY_FILE_RANGE);
SAME(VIRTIOFS_FUSE_SETUPMAPPING, FUSE_SETUPMAPPING);
SAME(VIRTIOFS_FUSE_REMOVEMAPPING, FUSE_REMOVEMAPPING);
SAME(VIRTIOFS_FUSE_SYNCFS, FUSE_SYNCFS);
SAME(VIRTIOFS_FUSE_TMPFILE, FUSE_TMPFILE);

SAME(VIRTIOFS_FUSE_ASYNC_READ, FUSE_ASYNC_READ);
SAME(VIRTIOFS_FUSE_FILE_OPS, FUSE_FILE_OPS);
SAME(VIRTIOFS_FUSE_ATOMIC_O_TRUNC, FUSE_ATOMIC_O_TRUNC);
SAME(VIRTIOFS_FUSE_BIG_WRITES, FUSE_BIG_WRITES);
SAME(VIRTIOFS_FUSE_AUTO_INVAL_DATA, FUSE_AUTO_INVAL_DATA);
SAME(VIRTIOFS_FUSE_DO_READDIRPLUS, FUSE_DO_READDIRPLUS);
SAME(VIRTIOFS_FUSE_READDIRPLUS_AUTO, FUSE_READDIRPLUS_AUTO);
SAME(VIRTIOFS_FUSE_ASYNC_DIO, FUSE_ASYNC_DIO);
SAME(VIRTIOFS_FUSE_NO_OPEN_SUPPORT, FUSE_NO_OPEN_SUPPORT);
SAME(VIRTIOFS_FUSE_PARALLEL_DIROPS, FUSE_PARALLEL_DIROPS);
SAME(VIRTIOFS_FUSE_MAX_PAGES, FUSE_MAX_PAGES);
SAME(VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT, FUSE_NO_OPENDIR_SUPPORT);
SAME(VIRTIOFS_FUSE_INIT_EXT, FUSE_INIT_EXT);

SAME(VIRTIOFS_OPEN_DIRECT_IO, FOPEN_DIRECT_IO);
SAME(VIRTIOFS_OPEN_KEEP_CACHE, FOPEN_KEEP_CACHE);
SAME(VIRTIOFS_OPEN_NONSEEKABLE, FOPEN_NONSEEKABLE);
SAME(VIRTIOFS_OPEN_CACHE_DIR, FOPEN_CACHE_DIR);
SAME(VIRTIOFS_OPEN_STREAM, FOPEN_STREAM);
SAME(VIRTIOFS_OPEN_NOFLUSH, FOPEN_NOFLUSH);
SAME(VIRTIOFS_OPEN_PARALLEL_DIRECT_WRITES, 1U << 6); /* newer than 7.38 */
SAME(VIRTIOFS_SET_MODE, FATTR_MODE);
SAME(VIRTIOFS_SET_UID, FATTR_UID);
SAME(VIRTIOFS_SET_GID, FATTR_GID);
SAME(VIRTIOFS_SET_SIZE, FATTR_SIZE);
SAME(VIRTIOFS_SET_ATIME, FATTR_ATIME);
SAME(VIRTIOFS_SET_MTIME, FATTR_MTIME);
SAME(VIRTIOFS_SET_ATIME_NOW, FATTR_ATIME_NOW);
SAME(VIRTIOFS_SET_MTIME_NOW, FATTR_MTIME_NOW);
SAME(VIRTIOFS_SET_CTIME, FATTR_CTIME);
SAME(VIRTIOFS_SET_KILL_SUIDGID, FATTR_KILL_SUIDGID);
SAME(VIRTIOFS_WRITE_CACHE, FUSE_WRITE_CACHE);
SAME(VIRTIOFS_WRITE_KILL_SUIDGID, FUSE_WRITE_KILL_SUIDGID);
SAME(VIRTIOFS_RELEASE_FLOCK_UNLOCK, FUSE_RELEASE_FLOCK_UNLOCK);
SAME(VIRTIOFS_WIRE_GETATTR_FH, FUSE_GETATTR_FH);
SAME(VIRTIOFS_WIRE_FATTR_FH, FATTR_FH);
SAME(VIRTIOFS_WIRE_FSYNC_FDATASYNC, FUSE_FSYNC_FDATASYNC);
SAME(VIRTIOFS_FUSE_ROOT_ID, FUSE_ROOT_ID);
SAME(VIRTIOFS_FUSE_MAJOR, FUSE_KERNEL_VERSION);
SAME(VIRTIOFS_FUSE_IN_HEADER, sizeof(struct fuse_in_header));
SAME(VIRTIOFS_FUSE_OUT_HEADER, sizeof(struct fuse_out_header));

/* The compiler has done the work. */
static void the_structs_are_those_of_linux(void **state) {
  (void)state;
  assert_true(FUSE_KERNEL_MINOR_VERSION >= 37);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_structs_are_those_of_linux)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
