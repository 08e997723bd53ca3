/* SPDX-License-Identifier: BSD-3-Clause */
/** The descriptors that inodes have: whoever needs one borrows it for the time of an operation. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_FDCACHE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_FDCACHE_H

struct inode;
struct virtiofs_passthrough;

/**
 * virtiofs_passthrough_fd_borrow - an O_PATH descriptor of an inode's file
 *
 * To be given back by virtiofs_passthrough_fd_return(), and not to be closed. Needs what the server may do: not to be
 * called while the thread acts for a guest's user.
 *
 * Return: the descriptor; -errno.
 */
int virtiofs_passthrough_fd_borrow(struct virtiofs_passthrough *fs, struct inode *inode);

/** virtiofs_passthrough_fd_return - give it back. */
void virtiofs_passthrough_fd_return(struct virtiofs_passthrough *fs, struct inode *inode, int fd);

#endif
