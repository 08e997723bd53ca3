/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Security contexts that come with a request which makes something, and go on it before anybody sees it, as far as the
 * host can: in the making itself where the host's SELinux does it, before it gets its name where it is a regular file.
 * Otherwise right after, and what can't have its context is removed again.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_LABEL_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_LABEL_H

#include <stdbool.h>

#include <virtiofs/types.h>

struct virtiofs_passthrough;

/** The contexts of one request. */
struct label {
  struct virtiofs_extensions all;
  bool later;   /**< there are some to be set on what was made */
  int fscreate; /**< the thread's own file in /proc that says what it makes files with, while it does; else -1 */
};

/** virtiofs_passthrough_label_is - is it the name of an xattr that such contexts have? The host's or a guest's. */
bool virtiofs_passthrough_label_is(const char *name);

/** virtiofs_passthrough_label_init - find out whether the host's kernel can set them itself. @task_fd: of
 * /proc/self/task; -1: to be opened, if there is a /proc. */
void virtiofs_passthrough_label_init(struct virtiofs_passthrough *fs, int task_fd);

/**
 * virtiofs_passthrough_label_begin - look at the contexts before something is made
 * @label: filled; virtiofs_passthrough_label_end() must follow on the same thread if 0 was returned
 * @all:   the request's extensions, others among them
 *
 * Not while the thread acts for somebody else. Return: 0; -EPERM for what the guest may not set; -errno.
 */
int virtiofs_passthrough_label_begin(const struct virtiofs_passthrough *fs, const struct virtiofs_extensions *all,
                                     struct label *label);

/** virtiofs_passthrough_label_end - it was made, or not. Ends the process if the thread would label more files. */
void virtiofs_passthrough_label_end(struct label *label);

/** virtiofs_passthrough_label_set - put those that are left on a descriptor's file, O_PATH or not. Return: 0, -errno.
 */
int virtiofs_passthrough_label_set(const struct virtiofs_passthrough *fs, const struct label *label, int fd);

/** virtiofs_passthrough_label_link - give a file without a name one. Return: 0 or -errno. */
int virtiofs_passthrough_label_link(const struct virtiofs_passthrough *fs, int fd, int dirfd, const char *name);

#endif
