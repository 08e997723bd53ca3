/* SPDX-License-Identifier: BSD-3-Clause */
/** The host's file handles: what a file can be opened again by, and which no other file ever has. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_HANDLE_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_HANDLE_H

/** Longest handle that Linux has (MAX_HANDLE_SZ). */
#define PASSTHROUGH_HANDLE_MAX 128U

struct handle {
  int mount_id; /**< of the mount that the file was found in */
  int type;
  unsigned len;
  unsigned char bytes[PASSTHROUGH_HANDLE_MAX];
};

/**
 * virtiofs_passthrough_handle_of - the handle of a file
 * @name: in @dirfd, a symbolic link is not followed; "": of @dirfd itself
 *
 * Return: 0; -EOPNOTSUPP if the file system has none, or none for this file; -errno.
 */
int virtiofs_passthrough_handle_of(int dirfd, const char *name, struct handle *handle);

/**
 * virtiofs_passthrough_handle_open - an O_PATH descriptor of the file
 * @mount_fd: of any file there, not O_PATH
 *
 * Needs CAP_DAC_READ_SEARCH. Return: the descriptor; -ESTALE if the file is gone; -EPERM; -ENOMEM, after 0.8 s of
 * trying; -errno.
 */
int virtiofs_passthrough_handle_open(int mount_fd, int type, const unsigned char *bytes, unsigned len);

#endif
