/* SPDX-License-Identifier: BSD-3-Clause */
/** The operations, which backend.h explains, and what several of them share. */
#ifndef VIRTIOFS_LIB_BACKENDS_MEMFS_OPS_H
#define VIRTIOFS_LIB_BACKENDS_MEMFS_OPS_H

#include "backends/memfs/node.h"

/* namei.c */
int virtiofs_memfs_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in,
                          struct virtiofs_entry_out *out);
void virtiofs_memfs_forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in);
int virtiofs_memfs_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in);
int virtiofs_memfs_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in);
int virtiofs_memfs_link(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out);

/** virtiofs_memfs_find - a name, under its directory's lock. Return: 0; -ENOENT; -ENOTDIR; -ENAMETOOLONG. */
int virtiofs_memfs_find(const struct virtiofs_memfs *fs, const struct node *dir, const struct virtiofs_name *name,
                        struct entry **out);

/** virtiofs_memfs_can_add - is the name free, and is there room for it? Return: 0; -EEXIST; -ENOENT if the directory
 * was removed; -ENOMEM; as virtiofs_memfs_find(). */
int virtiofs_memfs_can_add(const struct virtiofs_memfs *fs, struct node *dir, const struct virtiofs_name *name);

/** virtiofs_memfs_add - after that, under the same lock: a name for @take_node, of which one reference is taken. */
void virtiofs_memfs_add(const struct virtiofs_memfs *fs, struct node *dir, struct entry *entry, struct node *take_node);

/** virtiofs_memfs_unname - one name less, under its directory's lock. Return: false for a directory that isn't empty,
 * and then nothing has changed. */
bool virtiofs_memfs_unname(struct virtiofs_memfs *fs, struct node *node, struct virtiofs_time now);

/* rename.c */
int virtiofs_memfs_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in);

/* make.c */
int virtiofs_memfs_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                           struct virtiofs_entry_out *out);
int virtiofs_memfs_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out);
int virtiofs_memfs_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out);
int virtiofs_memfs_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                          struct virtiofs_create_out *out);
int virtiofs_memfs_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                           struct virtiofs_create_out *out);

/** virtiofs_memfs_whiteout - what a rename may leave behind, with one reference, which becomes the name's. */
int virtiofs_memfs_whiteout(struct virtiofs_req *req, struct node *dir, struct node **out);

/* attr.c */
int virtiofs_memfs_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                           struct virtiofs_attr_out *out);
int virtiofs_memfs_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                           struct virtiofs_attr_out *out);
int virtiofs_memfs_statx(struct virtiofs_req *req, const struct virtiofs_statx_in *in, struct virtiofs_statx_out *out);
int virtiofs_memfs_readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                            struct virtiofs_readlink_out *out);
int virtiofs_memfs_statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in,
                          struct virtiofs_statfs_out *out);

/* data.c */
int virtiofs_memfs_open(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out);
int virtiofs_memfs_read(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out);
int virtiofs_memfs_write(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out);
void virtiofs_memfs_release(struct virtiofs_req *req, const struct virtiofs_release_in *in);
int virtiofs_memfs_fsync(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);
int virtiofs_memfs_syncfs(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in);
int virtiofs_memfs_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in);
int virtiofs_memfs_lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out);
int virtiofs_memfs_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                   struct virtiofs_copy_file_range_out *out);

/** virtiofs_memfs_give_handle - of a regular file; holds a reference. */
void virtiofs_memfs_give_handle(const struct virtiofs_memfs *fs, struct node *node, uint32_t flags,
                                struct virtiofs_open_out *out);

/** virtiofs_memfs_open_node - the same after a look at the type and the flags; truncates if O_TRUNC says so. */
int virtiofs_memfs_open_node(struct virtiofs_memfs *fs, struct node *node, uint32_t flags, bool kill_suidgid,
                             struct virtiofs_open_out *out);

/* xattr.c */
int virtiofs_memfs_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in);
int virtiofs_memfs_getxattr(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in,
                            struct virtiofs_xattr_out *out);
int virtiofs_memfs_listxattr(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                             struct virtiofs_xattr_out *out);
int virtiofs_memfs_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in);

/* list.c */
int virtiofs_memfs_opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in,
                           struct virtiofs_open_out *out);
int virtiofs_memfs_readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                           struct virtiofs_readdir_out *out);
int virtiofs_memfs_readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                               struct virtiofs_readdir_out *out);
void virtiofs_memfs_releasedir(struct virtiofs_req *req, const struct virtiofs_release_in *in);
int virtiofs_memfs_fsyncdir(struct virtiofs_req *req, const struct virtiofs_fsync_in *in);

int virtiofs_memfs_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                struct virtiofs_setupmapping_out *out);

#endif
