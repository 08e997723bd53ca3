/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a changed file loses: set-user-id, set-group-id where the group may execute, and security.capability.
 *
 * The host's kernel takes them away itself, in the system call that makes the change and under the file's lock, when
 * the thread lacks CAP_FSETID, and security.capability in any case. Not so if the rules give that one another name on
 * the host (CVE-2021-20263): then it is ours to remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/share.h"

static const char capability[] = "security.capability";

int virtiofs_passthrough_killpriv_init(struct virtiofs_passthrough *fs) {
  struct xattr_name name;
  if (!fs->xattr || virtiofs_passthrough_xattrmap_client(fs->xattrmap, capability, &name) != 0 ||
      strcmp(name.str, capability) == 0)
    return 0;
  fs->capability = strdup(name.str);
  return fs->capability != NULL ? 0 : -ENOMEM;
}

static bool is_ours(const struct virtiofs_req *req) {
  return (virtiofs_req_semantics(req) & VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2) != 0;
}

static int drop_by_fd(const struct virtiofs_req *req, int fd) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (fs->capability == NULL || !is_ours(req))
    return 0;
  if (fremovexattr(fd, fs->capability) == 0)
    return 0;
  int error = errno; /* also where there is none: the host looks at rights first */
  return fgetxattr(fd, fs->capability, NULL, 0) < 0 ? 0 : virtiofs_passthrough_error(error);
}

int virtiofs_passthrough_drop_capability(const struct virtiofs_req *req, const struct inode *inode, int fd) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (fs->capability == NULL || !is_ours(req) || inode->type != S_IFREG)
    return 0;
  struct proc_path path = virtiofs_passthrough_proc_path(fs, fd);
  if (removexattr(path.str, fs->capability) == 0)
    return 0;
  int error = errno;
  return getxattr(path.str, fs->capability, NULL, 0) < 0 ? 0 : virtiofs_passthrough_error(error);
}

int virtiofs_passthrough_before_change(const struct virtiofs_req *req, int fd, bool kill) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (fs->capability != NULL)
    virtiofs_passthrough_cred_server();
  else
    virtiofs_passthrough_cred_any(fs);
  int rc = virtiofs_passthrough_cred_fsetid(fs, !kill);
  return rc == 0 ? drop_by_fd(req, fd) : rc;
}

int virtiofs_passthrough_before_open(const struct virtiofs_req *req, const struct inode *inode, int fd, uint32_t flags,
                                     uint32_t open_flags) {
  if ((flags & O_TRUNC) == 0)
    return 0;
  int rc = virtiofs_passthrough_cred_fsetid(virtiofs_req_fs(req), (open_flags & VIRTIOFS_OPEN_KILL_SUIDGID) == 0);
  return rc == 0 ? virtiofs_passthrough_drop_capability(req, inode, fd) : rc;
}

/* Only the guest's root is known to have CAP_FSETID. */
bool virtiofs_passthrough_kills(const struct virtiofs_req *req) {
  return is_ours(req) && virtiofs_req_caller(req).uid != 0;
}
