/* SPDX-License-Identifier: BSD-3-Clause */
/* The ioctl(2)s of files that mean the same in a guest: lsattr, chattr and their newer form for reading. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

/* The numbers differ by the size of a long or an int, though the value has always been an int. */
static bool gets_flags(uint32_t cmd) {
  return cmd == (uint32_t)FS_IOC_GETFLAGS || cmd == (uint32_t)FS_IOC32_GETFLAGS;
}
static bool sets_flags(uint32_t cmd) {
  return cmd == (uint32_t)FS_IOC_SETFLAGS || cmd == (uint32_t)FS_IOC32_SETFLAGS;
}

static int handle_fd(const struct virtiofs_ioctl_in *in) {
  /* The flag that says "directory" is only what the guest says. */
  bool dir = virtiofs_passthrough_node(in->node)->type == S_IFDIR;
  return dir ? virtiofs_passthrough_dir_fd(in->handle) : (int)in->handle;
}

static int give(const struct virtiofs_ioctl_in *in, const void *value, uint32_t size, struct virtiofs_ioctl_out *out) {
  if (in->out_size < size)
    return -EINVAL;
  out->size = (uint32_t)virtiofs_data_fill(&in->out, 0, value, size);
  return 0;
}

static int get_flags(const struct virtiofs_ioctl_in *in, struct virtiofs_ioctl_out *out) {
  int flags = 0;
  if (ioctl(handle_fd(in), FS_IOC_GETFLAGS, &flags) != 0)
    return virtiofs_passthrough_error(errno);
  return give(in, &flags, sizeof flags, out);
}

static int get_xattr(const struct virtiofs_ioctl_in *in, struct virtiofs_ioctl_out *out) {
  struct fsxattr attr = {0};
  if (ioctl(handle_fd(in), FS_IOC_FSGETXATTR, &attr) != 0)
    return virtiofs_passthrough_error(errno);
  return give(in, &attr, sizeof attr, out);
}

/*
 * Whose quota counts what is made in a directory, its project's or nobody's, is for the host to say: a guest that could
 * take the bit from its directories would be rid of its limit. The host's kernel refuses that only in a user namespace.
 */
static int check_project(int fd, int flags) {
  int now;
  if (ioctl(fd, FS_IOC_GETFLAGS, &now) != 0)
    return virtiofs_passthrough_error(errno);
  return ((now ^ flags) & FS_PROJINHERIT_FL) == 0 ? 0 : -EPERM;
}

/* As the caller: only the guest's root may make files immutable, and only if the server may. */
static int set_flags(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in) {
  int flags;
  if (virtiofs_data_copy(&in->data, 0, &flags, sizeof flags) != sizeof flags)
    return -EINVAL;
  int rc = check_project(handle_fd(in), flags);
  if (rc == 0)
    rc = virtiofs_passthrough_cred_begin(req, PASSTHROUGH_CAP(CAP_FOWNER));
  if (rc != 0)
    return rc;
  if (ioctl(handle_fd(in), FS_IOC_SETFLAGS, &flags) != 0)
    rc = virtiofs_passthrough_error(errno);
  virtiofs_passthrough_cred_end(virtiofs_req_fs(req));
  return rc;
}

int virtiofs_passthrough_ioctl(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in,
                               struct virtiofs_ioctl_out *out) {
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  if (gets_flags(in->cmd))
    return get_flags(in, out);
  if (sets_flags(in->cmd))
    return set_flags(req, in);
  return in->cmd == (uint32_t)FS_IOC_FSGETXATTR ? get_xattr(in, out) : -ENOTTY;
}
