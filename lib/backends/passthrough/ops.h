/* SPDX-License-Identifier: BSD-3-Clause */
/** The operations; backend.h says what each does. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_OPS_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_OPS_H

#include <virtiofs/backend.h>

/* namei.c */
int virtiofs_passthrough_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in,
                                struct virtiofs_entry_out *out);
void virtiofs_passthrough_forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in);
int virtiofs_passthrough_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in);
int virtiofs_passthrough_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in);
int virtiofs_passthrough_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in);
int virtiofs_passthrough_link(struct virtiofs_req *req, const struct virtiofs_link_in *in,
                              struct virtiofs_entry_out *out);

/* make.c */
int virtiofs_passthrough_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                                 struct virtiofs_entry_out *out);
int virtiofs_passthrough_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in,
                               struct virtiofs_entry_out *out);
int virtiofs_passthrough_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in,
                               struct virtiofs_entry_out *out);
int virtiofs_passthrough_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                                struct virtiofs_create_out *out);
int virtiofs_passthrough_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                                 struct virtiofs_create_out *out);

/* attr.c */
int virtiofs_passthrough_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                                 struct virtiofs_attr_out *out);
int virtiofs_passthrough_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                                 struct virtiofs_attr_out *out);
int virtiofs_passthrough_readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                                  struct virtiofs_readlink_out *out);
int virtiofs_passthrough_statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in,
                                struct virtiofs_statfs_out *out);
int virtiofs_passthrough_statx(struct virtiofs_req *req, const struct virtiofs_statx_in *in,
                               struct virtiofs_statx_out *out);
int virtiofs_passthrough_syncfs(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in);

/* file.c */
int virtiofs_passthrough_open(struct virtiofs_req *req, const struct virtiofs_open_in *in,
                              struct virtiofs_open_out *out);
int virtiofs_passthrough_read(struct virtiofs_req *req, const struct virtiofs_read_in *in,
                              struct virtiofs_read_out *out);
int virtiofs_passthrough_write(struct virtiofs_req *req, const struct virtiofs_write_in *in,
                               struct virtiofs_write_out *out);
void virtiofs_passthrough_release(struct virtiofs_req *req, const struct virtiofs_release_in *in);
int virtiofs_passthrough_fsync(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);
int virtiofs_passthrough_flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in);
int virtiofs_passthrough_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in);
int virtiofs_passthrough_lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in,
                               struct virtiofs_lseek_out *out);
int virtiofs_passthrough_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                         struct virtiofs_copy_file_range_out *out);

/* locks.c */
int virtiofs_passthrough_getlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in,
                               struct virtiofs_getlk_out *out);
int virtiofs_passthrough_setlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in);
int virtiofs_passthrough_setlkw(struct virtiofs_req *req, const struct virtiofs_lk_in *in);

/* dir.c */
int virtiofs_passthrough_opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in,
                                 struct virtiofs_open_out *out);
int virtiofs_passthrough_readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                                 struct virtiofs_readdir_out *out);
int virtiofs_passthrough_readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                                     struct virtiofs_readdir_out *out);
void virtiofs_passthrough_releasedir(struct virtiofs_req *req, const struct virtiofs_release_in *in);
int virtiofs_passthrough_fsyncdir(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);

/* ioctl.c */
int virtiofs_passthrough_ioctl(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in,
                               struct virtiofs_ioctl_out *out);

/* xattr.c */
int virtiofs_passthrough_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in);
int virtiofs_passthrough_getxattr(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in,
                                  struct virtiofs_xattr_out *out);
int virtiofs_passthrough_listxattr(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                                   struct virtiofs_xattr_out *out);
int virtiofs_passthrough_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in);

int virtiofs_passthrough_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                      struct virtiofs_setupmapping_out *out);

#endif
