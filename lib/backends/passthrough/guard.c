/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations that may change something, each of which is refused here and nowhere else if nothing may be changed. A
 * guest's kernel doesn't know that, so it asks for all of them; a hostile one asks in any way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>

#include "backends/passthrough/guard.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

static int may_change(const struct virtiofs_req *req) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  return fs->readonly ? -EROFS : 0;
}

int virtiofs_passthrough_guard_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                                       struct virtiofs_attr_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_setattr(req, in, out) : rc;
}

int virtiofs_passthrough_guard_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                                       struct virtiofs_entry_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_symlink(req, in, out) : rc;
}

int virtiofs_passthrough_guard_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in,
                                     struct virtiofs_entry_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_mknod(req, in, out) : rc;
}

int virtiofs_passthrough_guard_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in,
                                     struct virtiofs_entry_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_mkdir(req, in, out) : rc;
}

int virtiofs_passthrough_guard_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_unlink(req, in) : rc;
}

int virtiofs_passthrough_guard_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_rmdir(req, in) : rc;
}

int virtiofs_passthrough_guard_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_rename(req, in) : rc;
}

int virtiofs_passthrough_guard_link(struct virtiofs_req *req, const struct virtiofs_link_in *in,
                                    struct virtiofs_entry_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_link(req, in, out) : rc;
}

/* O_TRUNC changes a file that is opened for reading, too. */
int virtiofs_passthrough_guard_open(struct virtiofs_req *req, const struct virtiofs_open_in *in,
                                    struct virtiofs_open_out *out) {
  bool changes = (in->flags & O_ACCMODE) != O_RDONLY || (in->flags & O_TRUNC) != 0;
  int rc = changes ? may_change(req) : 0;
  return rc == 0 ? virtiofs_passthrough_open(req, in, out) : rc;
}

int virtiofs_passthrough_guard_write(struct virtiofs_req *req, const struct virtiofs_write_in *in,
                                     struct virtiofs_write_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_write(req, in, out) : rc;
}

/* Also for a name that the host has meanwhile: the guest asks only where it knows of none. */
int virtiofs_passthrough_guard_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                                      struct virtiofs_create_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_create(req, in, out) : rc;
}

int virtiofs_passthrough_guard_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                                       struct virtiofs_create_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_tmpfile(req, in, out) : rc;
}

int virtiofs_passthrough_guard_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_fallocate(req, in) : rc;
}

int virtiofs_passthrough_guard_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                                               struct virtiofs_copy_file_range_out *out) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_copy_file_range(req, in, out) : rc;
}

int virtiofs_passthrough_guard_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_setxattr(req, in) : rc;
}

int virtiofs_passthrough_guard_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in) {
  int rc = may_change(req);
  return rc == 0 ? virtiofs_passthrough_removexattr(req, in) : rc;
}

/* Those that only look are the exception, so that one which is added is not forgotten here. */
int virtiofs_passthrough_guard_ioctl(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in,
                                     struct virtiofs_ioctl_out *out) {
  bool looks = in->cmd == (uint32_t)FS_IOC_GETFLAGS || in->cmd == (uint32_t)FS_IOC32_GETFLAGS ||
               in->cmd == (uint32_t)FS_IOC_FSGETXATTR;
  int rc = looks ? 0 : may_change(req);
  return rc == 0 ? virtiofs_passthrough_ioctl(req, in, out) : rc;
}

/* What is mapped for reading is opened for no more than that, see there. */
int virtiofs_passthrough_guard_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                            struct virtiofs_setupmapping_out *out) {
  int rc = (in->flags & VIRTIOFS_MAP_WRITE) != 0 ? may_change(req) : 0;
  return rc == 0 ? virtiofs_passthrough_setupmapping(req, in, out) : rc;
}
