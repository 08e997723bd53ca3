/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/label.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/share.h"

enum { CLEAR_TRIES = 1000 };

static const char selinux[] = "security.selinux";

bool virtiofs_passthrough_label_is(const char *name) {
  static const char smack[] = "security.SMACK64";
  return strcmp(name, selinux) == 0 || strncmp(name, smack, sizeof smack - 1) == 0;
}

/* What a thread makes files with is a file of its own; only with SELinux can it be read. */
static int open_fscreate(int task_fd, int flags) {
  char path[40];
  snprintf(path, sizeof path, "%ld/attr/fscreate", (long)syscall(SYS_gettid));
  return openat(task_fd, path, flags | O_CLOEXEC);
}

void virtiofs_passthrough_label_init(struct virtiofs_passthrough *fs, int task_fd) {
  char byte;
  if (!fs->security_label)
    return;
  fs->task_fd = task_fd >= 0        ? fcntl(task_fd, F_DUPFD_CLOEXEC, 0)
                : *fs->proc != '\0' ? open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                    : -1;
  int fd = fs->task_fd < 0 ? -1 : open_fscreate(fs->task_fd, O_RDONLY);
  bool there = fd >= 0 && read(fd, &byte, 1) >= 0;
  if (fd >= 0)
    close(fd);
  if (!there && fs->task_fd >= 0) {
    close(fs->task_fd);
    fs->task_fd = -1;
  }
}

/* The host's name of a context; what else the guest names so is not its to set. */
static int host_name(const struct virtiofs_passthrough *fs, const struct virtiofs_extension *ext,
                     struct xattr_name *name) {
  return virtiofs_passthrough_label_is(ext->name.str) ? virtiofs_passthrough_xattr_to_host(fs, ext->name.str, name)
                                                      : -EPERM;
}

static bool by_kernel(const struct virtiofs_passthrough *fs, const struct xattr_name *name) {
  return fs->task_fd >= 0 && strcmp(name->str, selinux) == 0;
}

static int set_fscreate(const struct virtiofs_passthrough *fs, const struct virtiofs_extension *ext,
                        struct label *label) {
  if (label->fscreate >= 0)
    return -EINVAL; /* twice */
  virtiofs_passthrough_cred_server();
  int fd = open_fscreate(fs->task_fd, O_WRONLY);
  if (fd < 0)
    return virtiofs_passthrough_error(errno);
  label->fscreate = fd;
  return pwrite(fd, ext->value, ext->size, 0) == (ssize_t)ext->size ? 0 : virtiofs_passthrough_error(errno);
}

int virtiofs_passthrough_label_begin(const struct virtiofs_passthrough *fs, const struct virtiofs_extensions *all,
                                     struct label *label) {
  struct virtiofs_extension ext;
  struct xattr_name name;
  *label = (struct label){.all = *all, .fscreate = -1};
  int rc = 0;
  while (rc == 0 && virtiofs_extensions_next(&label->all, &ext)) {
    if (ext.kind != VIRTIOFS_EXTENSION_SECURITY)
      continue;
    rc = host_name(fs, &ext, &name);
    if (rc == 0 && by_kernel(fs, &name))
      rc = set_fscreate(fs, &ext, label);
    else
      label->later = true;
  }
  label->all = *all;
  if (rc != 0)
    virtiofs_passthrough_label_end(label);
  return rc;
}

/* An empty line clears it. */
void virtiofs_passthrough_label_end(struct label *label) {
  if (label->fscreate < 0)
    return;
  bool cleared = false;
  for (int i = 0; i < CLEAR_TRIES && !cleared; i++)
    cleared = pwrite(label->fscreate, "\n", 1, 0) == 1;
  if (!cleared)
    abort();
  close(label->fscreate);
  label->fscreate = -1;
}

int virtiofs_passthrough_label_set(const struct virtiofs_passthrough *fs, const struct label *label, int fd) {
  struct virtiofs_extensions all = label->all;
  struct virtiofs_extension ext;
  struct xattr_name name;
  struct proc_path path = virtiofs_passthrough_proc_path(fs, fd);
  int rc = 0;
  virtiofs_passthrough_cred_server();
  while (rc == 0 && virtiofs_extensions_next(&all, &ext)) {
    if (ext.kind != VIRTIOFS_EXTENSION_SECURITY)
      continue;
    rc = host_name(fs, &ext, &name);
    if (rc == 0 && !by_kernel(fs, &name) && setxattr(path.str, name.str, ext.value, ext.size, 0) != 0)
      rc = virtiofs_passthrough_error(errno);
  }
  return rc;
}

int virtiofs_passthrough_label_link(const struct virtiofs_passthrough *fs, int fd, int dirfd, const char *name) {
  struct proc_name old = virtiofs_passthrough_proc_name(fd);
  virtiofs_passthrough_cred_server();
  return linkat(fs->proc_fd, old.str, dirfd, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : virtiofs_passthrough_error(errno);
}
