/* SPDX-License-Identifier: BSD-3-Clause */
/** The operations that may change something, as guests get them: -EROFS where nothing may be changed. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_GUARD_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_GUARD_H

#include <virtiofs/backend.h>

int virtiofs_passthrough_guard_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                                       struct virtiofs_attr_out *out);
int virtiofs_passthrough_guard_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                                       struct virtiofs_entry_out *out);
int virtiofs_passthrough_guard_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in,
                                     struct virtiofs_entry_out *out);
int virtiofs_passthrough_guard_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in,
                                     struct virtiofs_entry_out *out);
int virtiofs_passthrough_guard_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in);
int virtiofs_passthrough_guard_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in);
int virtiofs_passthrough_guard_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in);
int virtiofs_passthrough_guard_link(struct virtiofs_req *req, const struct virtiofs_link_in *in,
                                    struct virtiofs_entry_out *out);
int virtiofs_passthrough_guard_open(struct virtiofs_req *req, const struct virtiofs_open_in *in,
                                    struct virtiofs_open_out *out);
int virtiofs_passthrough_guard_write(struct virtiofs_req *req, const struct virtiofs_write_in *in,
                                     struct virtiofs_write_out *out);
int virtiofs_passthrough_guard_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                                      struct virtiofs_create_out *out);
int virtiofs_passthrough_guard_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                                       struct virtiofs_create_out *out);
int virtiofs_passthrough_guard_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in);
int virtiofs_passthrough_guard_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                               struct virtiofs_copy_file_range_out *out);
int virtiofs_passthrough_guard_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in);
int virtiofs_passthrough_guard_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in);
int virtiofs_passthrough_guard_ioctl(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in,
                                     struct virtiofs_ioctl_out *out);
int virtiofs_passthrough_guard_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                            struct virtiofs_setupmapping_out *out);

#endif
