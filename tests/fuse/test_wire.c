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

SIZE(setxattr_in, fuse_setxattr_in);
ALIKE(setxattr_in, size, fuse_setxattr_in, size);
ALIKE(setxattr_in, flags, fuse_setxattr_in, flags);
ALIKE(setxattr_in, setxattr_flags, fuse_setxattr_in, setxattr_flags);
ALIKE(setxattr_in, padding, fuse_setxattr_in, padding);

SIZE(getxattr_in, fuse_getxattr_in);
ALIKE(getxattr_in, size, fuse_getxattr_in, size);
ALIKE(getxattr_in, padding, fuse_getxattr_in, padding);

SIZE(getxattr_out, fuse_getxattr_out);
ALIKE(getxattr_out, size, fuse_getxattr_out, size);
ALIKE(getxattr_out, padding, fuse_getxattr_out, padding);

SIZE(file_lock, fuse_file_lock);
ALIKE(file_lock, start, fuse_file_lock, start);
ALIKE(file_lock, end, fuse_file_lock, end);
ALIKE(file_lock, type, fuse_file_lock, type);
ALIKE(file_lock, pid, fuse_file_lock, pid);

SIZE(lk_in, fuse_lk_in);
ALIKE(lk_in, fh, fuse_lk_in, fh);
ALIKE(lk_in, owner, fuse_lk_in, owner);
ALIKE(lk_in, lk, fuse_lk_in, lk);
ALIKE(lk_in, lk_flags, fuse_lk_in, lk_flags);
ALIKE(lk_in, padding, fuse_lk_in, padding);

SIZE(lk_out, fuse_lk_out);
ALIKE(lk_out, lk, fuse_lk_out, lk);

SIZE(access_in, fuse_access_in);
ALIKE(access_in, mask, fuse_access_in, mask);
ALIKE(access_in, padding, fuse_access_in, padding);

SIZE(interrupt_in, fuse_interrupt_in);
ALIKE(interrupt_in, unique, fuse_interrupt_in, unique);

SIZE(bmap_in, fuse_bmap_in);
ALIKE(bmap_in, block, fuse_bmap_in, block);
ALIKE(bmap_in, blocksize, fuse_bmap_in, blocksize);
ALIKE(bmap_in, padding, fuse_bmap_in, padding);

SIZE(bmap_out, fuse_bmap_out);
ALIKE(bmap_out, block, fuse_bmap_out, block);

SIZE(ioctl_in, fuse_ioctl_in);
ALIKE(ioctl_in, fh, fuse_ioctl_in, fh);
ALIKE(ioctl_in, flags, fuse_ioctl_in, flags);
ALIKE(ioctl_in, cmd, fuse_ioctl_in, cmd);
ALIKE(ioctl_in, arg, fuse_ioctl_in, arg);
ALIKE(ioctl_in, in_size, fuse_ioctl_in, in_size);
ALIKE(ioctl_in, out_size, fuse_ioctl_in, out_size);

SIZE(ioctl_out, fuse_ioctl_out);
ALIKE(ioctl_out, result, fuse_ioctl_out, result);
ALIKE(ioctl_out, flags, fuse_ioctl_out, flags);
ALIKE(ioctl_out, in_iovs, fuse_ioctl_out, in_iovs);
ALIKE(ioctl_out, out_iovs, fuse_ioctl_out, out_iovs);

SIZE(poll_in, fuse_poll_in);
ALIKE(poll_in, fh, fuse_poll_in, fh);
ALIKE(poll_in, kh, fuse_poll_in, kh);
ALIKE(poll_in, flags, fuse_poll_in, flags);
ALIKE(poll_in, events, fuse_poll_in, events);

SIZE(poll_out, fuse_poll_out);
ALIKE(poll_out, revents, fuse_poll_out, revents);
ALIKE(poll_out, padding, fuse_poll_out, padding);

SIZE(copy_file_range_in, fuse_copy_file_range_in);
ALIKE(copy_file_range_in, fh_in, fuse_copy_file_range_in, fh_in);
ALIKE(copy_file_range_in, off_in, fuse_copy_file_range_in, off_in);
ALIKE(copy_file_range_in, nodeid_out, fuse_copy_file_range_in, nodeid_out);
ALIKE(copy_file_range_in, fh_out, fuse_copy_file_range_in, fh_out);
ALIKE(copy_file_range_in, off_out, fuse_copy_file_range_in, off_out);
ALIKE(copy_file_range_in, len, fuse_copy_file_range_in, len);
ALIKE(copy_file_range_in, flags, fuse_copy_file_range_in, flags);

SIZE(setupmapping_in, fuse_setupmapping_in);
ALIKE(setupmapping_in, fh, fuse_setupmapping_in, fh);
ALIKE(setupmapping_in, foffset, fuse_setupmapping_in, foffset);
ALIKE(setupmapping_in, len, fuse_setupmapping_in, len);
ALIKE(setupmapping_in, flags, fuse_setupmapping_in, flags);
ALIKE(setupmapping_in, moffset, fuse_setupmapping_in, moffset);

SIZE(removemapping_in, fuse_removemapping_in);
ALIKE(removemapping_in, count, fuse_removemapping_in, count);

SIZE(removemapping_one, fuse_removemapping_one);
ALIKE(removemapping_one, moffset, fuse_removemapping_one, moffset);
ALIKE(removemapping_one, len, fuse_removemapping_one, len);

SIZE(syncfs_in, fuse_syncfs_in);
ALIKE(syncfs_in, padding, fuse_syncfs_in, padding);

SIZE(notify_retrieve_in, fuse_notify_retrieve_in);
ALIKE(notify_retrieve_in, dummy1, fuse_notify_retrieve_in, dummy1);
ALIKE(notify_retrieve_in, offset, fuse_notify_retrieve_in, offset);
ALIKE(notify_retrieve_in, size, fuse_notify_retrieve_in, size);
ALIKE(notify_retrieve_in, dummy2, fuse_notify_retrieve_in, dummy2);
ALIKE(notify_retrieve_in, dummy3, fuse_notify_retrieve_in, dummy3);
ALIKE(notify_retrieve_in, dummy4, fuse_notify_retrieve_in, dummy4);

SIZE(ext_header, fuse_ext_header);
ALIKE(ext_header, size, fuse_ext_header, size);
ALIKE(ext_header, type, fuse_ext_header, type);

SIZE(ext_header, fuse_secctx_header);
ALIKE(ext_header, size, fuse_secctx_header, size);
ALIKE(ext_header, type, fuse_secctx_header, nr_secctx);

SIZE(secctx, fuse_secctx);
ALIKE(secctx, size, fuse_secctx, size);
ALIKE(secctx, padding, fuse_secctx, padding);

SIZE(notify_poll, fuse_notify_poll_wakeup_out);
ALIKE(notify_poll, kh, fuse_notify_poll_wakeup_out, kh);

SIZE(notify_inval_inode, fuse_notify_inval_inode_out);
ALIKE(notify_inval_inode, ino, fuse_notify_inval_inode_out, ino);
ALIKE(notify_inval_inode, off, fuse_notify_inval_inode_out, off);
ALIKE(notify_inval_inode, len, fuse_notify_inval_inode_out, len);

SIZE(notify_inval_entry, fuse_notify_inval_entry_out);
ALIKE(notify_inval_entry, parent, fuse_notify_inval_entry_out, parent);
ALIKE(notify_inval_entry, namelen, fuse_notify_inval_entry_out, namelen);
#if FUSE_KERNEL_MINOR_VERSION >= 38
ALIKE(notify_inval_entry, flags, fuse_notify_inval_entry_out, flags);
#endif

SIZE(notify_delete, fuse_notify_delete_out);
ALIKE(notify_delete, parent, fuse_notify_delete_out, parent);
ALIKE(notify_delete, child, fuse_notify_delete_out, child);
ALIKE(notify_delete, namelen, fuse_notify_delete_out, namelen);
ALIKE(notify_delete, padding, fuse_notify_delete_out, padding);

SIZE(notify_store, fuse_notify_store_out);
ALIKE(notify_store, nodeid, fuse_notify_store_out, nodeid);
ALIKE(notify_store, offset, fuse_notify_store_out, offset);
ALIKE(notify_store, size, fuse_notify_store_out, size);
ALIKE(notify_store, padding, fuse_notify_store_out, padding);

SIZE(notify_retrieve, fuse_notify_retrieve_out);
ALIKE(notify_retrieve, notify_unique, fuse_notify_retrieve_out, notify_unique);
ALIKE(notify_retrieve, nodeid, fuse_notify_retrieve_out, nodeid);
ALIKE(notify_retrieve, offset, fuse_notify_retrieve_out, offset);
ALIKE(notify_retrieve, size, fuse_notify_retrieve_out, size);
ALIKE(notify_retrieve, padding, fuse_notify_retrieve_out, padding);

/* Newer than 7.38: sizes and offsets of the 7.45 header. */
#define BYTES(ours, size) _Static_assert(sizeof(struct virtiofs_wire_##ours) == (size), #ours)

BYTES(statx_in, 24);
HERE(statx_in, getattr_flags, 0, 4);
HERE(statx_in, fh, 8, 8);
HERE(statx_in, sx_flags, 16, 4);
HERE(statx_in, sx_mask, 20, 4);

BYTES(sx_time, 16);
HERE(sx_time, sec, 0, 8);
HERE(sx_time, nsec, 8, 4);

BYTES(statx, 256);
HERE(statx, mask, 0, 4);
HERE(statx, blksize, 4, 4);
HERE(statx, attributes, 8, 8);
HERE(statx, nlink, 16, 4);
HERE(statx, uid, 20, 4);
HERE(statx, gid, 24, 4);
HERE(statx, mode, 28, 2);
HERE(statx, ino, 32, 8);
HERE(statx, size, 40, 8);
HERE(statx, blocks, 48, 8);
HERE(statx, attributes_mask, 56, 8);
HERE(statx, atime, 64, 16);
HERE(statx, btime, 80, 16);
HERE(statx, ctime, 96, 16);
HERE(statx, mtime, 112, 16);
HERE(statx, rdev_major, 128, 4);
HERE(statx, rdev_minor, 132, 4);
HERE(statx, dev_major, 136, 4);
HERE(statx, dev_minor, 140, 4);

BYTES(statx_out, 288);
HERE(statx_out, attr_valid, 0, 8);
HERE(statx_out, attr_valid_nsec, 8, 4);
HERE(statx_out, flags, 12, 4);
HERE(statx_out, stat, 32, 256);

BYTES(copy_file_range_out, 8);
HERE(copy_file_range_out, bytes_copied, 0, 8);

BYTES(notify_prune, 16);
HERE(notify_prune, count, 0, 4);

_Static_assert(sizeof(struct virtiofs_wire_dirent) == FUSE_NAME_OFFSET, "dirent");
ALIKE(dirent, ino, fuse_dirent, ino);
ALIKE(dirent, off, fuse_dirent, off);
ALIKE(dirent, namelen, fuse_dirent, namelen);
ALIKE(dirent, type, fuse_dirent, type);

_Static_assert(sizeof(struct virtiofs_wire_direntplus) == FUSE_NAME_OFFSET_DIRENTPLUS, "direntplus");
ALIKE(direntplus, entry, fuse_direntplus, entry_out);
ALIKE(direntplus, dirent, fuse_direntplus, dirent);

/* The compiler has done the work. */
static void the_structs_are_those_of_linux(void **state) {
  (void)state;
  assert_true(FUSE_KERNEL_MINOR_VERSION >= 37);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_structs_are_those_of_linux)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
