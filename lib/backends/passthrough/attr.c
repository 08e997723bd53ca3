/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes, of files and of the file system. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

enum { PERMISSIONS = 07777 };

static int reply(const struct virtiofs_passthrough *fs, struct inode *inode, int fd, struct virtiofs_attr_out *out) {
  struct statx stx;
  int rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc != 0)
    return rc;
  virtiofs_passthrough_attr(fs, inode, &stx, &out->attr);
  out->attr_valid_ns = fs->attr_valid_ns;
  return 0;
}

int virtiofs_passthrough_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                                 struct virtiofs_attr_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  virtiofs_passthrough_cred_any(fs);
  if (in->has_handle) /* its own descriptor is there, the inode's may have to be opened */
    return reply(fs, inode, (int)in->handle, out);
  int fd = virtiofs_passthrough_fd_borrow_any(fs, inode);
  if (fd < 0)
    return fd;
  int rc = reply(fs, inode, fd, out);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return rc;
}

/* Attributes that are the file's, on any machine that it is seen from. */
static const uint64_t statx_attributes = STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND |
                                         STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY;

int virtiofs_passthrough_statx(struct virtiofs_req *req, const struct virtiofs_statx_in *in,
                               struct virtiofs_statx_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | (int)(in->flags & AT_STATX_SYNC_TYPE);
  struct statx stx;
  virtiofs_passthrough_cred_any(fs);
  int fd = in->has_handle ? (int)in->handle : virtiofs_passthrough_fd_borrow_any(fs, inode);
  if (fd < 0)
    return fd;
  /* The basic ones whatever was asked for: the guest remembers them. */
  int rc = statx(fd, "", flags, STATX_BASIC_STATS | STATX_BTIME, &stx) == 0 ? 0 : virtiofs_passthrough_error(errno);
  if (!in->has_handle)
    virtiofs_passthrough_fd_return(fs, inode, fd);
  if (rc != 0)
    return rc;
  virtiofs_passthrough_attr(fs, inode, &stx, &out->statx.attr);
  out->statx.mask = stx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME);
  if ((stx.stx_mask & STATX_BTIME) != 0)
    out->statx.btime = (struct virtiofs_time){.sec = stx.stx_btime.tv_sec, .nsec = stx.stx_btime.tv_nsec};
  out->statx.attributes = stx.stx_attributes & statx_attributes;
  out->statx.attributes_mask = stx.stx_attributes_mask & statx_attributes;
  out->statx.dev_major = stx.stx_dev_major;
  out->statx.dev_minor = stx.stx_dev_minor;
  out->attr_valid_ns = fs->attr_valid_ns;
  return 0;
}

int virtiofs_passthrough_set_mode(const struct virtiofs_passthrough *fs, int fd, mode_t mode) {
  struct proc_name name = virtiofs_passthrough_proc_name(fd);
  (void)virtiofs_passthrough_cred_fsetid(fs, true); /* the guest has decided whether set-group-id may be */
  return fchmodat(fs->proc_fd, name.str, mode & PERMISSIONS, 0) == 0 ? 0 : virtiofs_passthrough_error(errno);
}

/* The host takes set-user-id away by itself, whoever asks; without CAP_FSETID it would take more than it should. */
static int set_owner(const struct virtiofs_req *req, const struct inode *inode, int fd,
                     const struct virtiofs_setattr_in *in) {
  uid_t uid = (in->valid & VIRTIOFS_SET_UID) != 0 ? in->uid : (uid_t)-1;
  gid_t gid = (in->valid & VIRTIOFS_SET_GID) != 0 ? in->gid : (gid_t)-1;
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  int rc = virtiofs_passthrough_idmap_to_host(fs->uids, uid, &uid);
  if (rc == 0)
    rc = virtiofs_passthrough_idmap_to_host(fs->gids, gid, &gid);
  (void)virtiofs_passthrough_cred_fsetid(fs, true);
  if (rc == 0)
    rc = virtiofs_passthrough_drop_capability(req, inode, fd);
  if (rc == 0 && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0)
    rc = virtiofs_passthrough_error(errno);
  return rc;
}

static int truncate_fd(int fd, uint64_t size) {
  int rc;
  do
    rc = ftruncate(fd, (off_t)size);
  while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

static int set_size(const struct virtiofs_req *req, int fd, const struct virtiofs_setattr_in *in) {
  /* By the handle, the right to write is the one that the guest's user had when it opened the file. */
  int file = in->has_handle ? (int)in->handle : virtiofs_passthrough_reopen(virtiofs_req_fs(req), fd, O_WRONLY);
  if (file < 0)
    return file;
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct quota_change change = {.inode = NULL};
  int rc = virtiofs_passthrough_before_change(req, file, (in->valid & VIRTIOFS_SET_KILL_SUIDGID) != 0);
  if (rc == 0)
    rc = virtiofs_passthrough_quota_begin(fs, virtiofs_passthrough_node(in->node), file, 0, 0, &change);
  if (rc == 0)
    rc = truncate_fd(file, in->size);
  virtiofs_passthrough_quota_end(fs, &change);
  if (!in->has_handle)
    close(file);
  return rc;
}

static struct timespec time_of(const struct virtiofs_setattr_in *in, uint32_t set, uint32_t now,
                               const struct virtiofs_time *time) {
  if ((in->valid & set) == 0)
    return (struct timespec){.tv_nsec = UTIME_OMIT};
  if ((in->valid & now) != 0)
    return (struct timespec){.tv_nsec = UTIME_NOW};
  return (struct timespec){.tv_sec = (time_t)time->sec, .tv_nsec = (long)time->nsec};
}

static int set_times(int fd, const struct virtiofs_setattr_in *in) {
  struct timespec times[2] = {time_of(in, VIRTIOFS_SET_ATIME, VIRTIOFS_SET_ATIME_NOW, &in->atime),
                              time_of(in, VIRTIOFS_SET_MTIME, VIRTIOFS_SET_MTIME_NOW, &in->mtime)};
  return utimensat(fd, "", times, AT_EMPTY_PATH) == 0 ? 0 : virtiofs_passthrough_error(errno);
}

/* What can be refused without a try is refused before anything has changed. */
static int check(const struct inode *inode, const struct virtiofs_setattr_in *in) {
  if ((in->valid & VIRTIOFS_SET_UID) != 0 && in->uid == UINT32_MAX)
    return -EINVAL; /* to chown(2) it means "leave as it is" */
  if ((in->valid & VIRTIOFS_SET_GID) != 0 && in->gid == UINT32_MAX)
    return -EINVAL;
  if ((in->valid & VIRTIOFS_SET_MODE) != 0 && inode->type == S_IFLNK)
    return -EOPNOTSUPP;
  if ((in->valid & VIRTIOFS_SET_SIZE) != 0 && inode->type != S_IFREG)
    return inode->type == S_IFDIR ? -EISDIR : -EINVAL;
  return 0;
}

/*
 * The owner first, as that can be refused and takes away set-user-id, which a mode in the same request may set again.
 * The size before the mode, as a new mode may forbid the server to write. The times last, since the others change them.
 */
static int set_all(const struct virtiofs_req *req, const struct inode *inode, int fd,
                   const struct virtiofs_setattr_in *in) {
  int rc = 0;
  if ((in->valid & (VIRTIOFS_SET_UID | VIRTIOFS_SET_GID)) != 0)
    rc = set_owner(req, inode, fd, in);
  if (rc == 0 && (in->valid & VIRTIOFS_SET_SIZE) != 0)
    rc = set_size(req, fd, in);
  if (rc == 0 && (in->valid & VIRTIOFS_SET_MODE) != 0)
    rc = virtiofs_passthrough_set_mode(virtiofs_req_fs(req), fd, in->mode);
  if (rc == 0 && (in->valid & (VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME)) != 0)
    rc = set_times(fd, in);
  return rc;
}

int virtiofs_passthrough_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                                 struct virtiofs_attr_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  int rc = check(inode, in);
  if (rc != 0)
    return rc;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  rc = set_all(req, inode, fd, in);
  if (rc == 0)
    rc = reply(fs, inode, fd, out);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return rc;
}

int virtiofs_passthrough_readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                                  struct virtiofs_readlink_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  if (inode->type != S_IFLNK)
    return -EINVAL;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  ssize_t len = readlinkat(fd, "", out->target, VIRTIOFS_TARGET_MAX);
  int rc = len < 0 ? virtiofs_passthrough_error(errno) : 0;
  virtiofs_passthrough_fd_return(fs, inode, fd);
  if (rc == 0)
    out->len = (uint32_t)len;
  return rc;
}

int virtiofs_passthrough_statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in,
                                struct virtiofs_statfs_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  struct statvfs st;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  int rc = fstatvfs(fd, &st) == 0 ? 0 : virtiofs_passthrough_error(errno);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  if (rc != 0)
    return rc;
  *out = (struct virtiofs_statfs_out){.blocks = st.f_blocks,
                                      .bfree = st.f_bfree,
                                      .bavail = st.f_bavail,
                                      .files = st.f_files,
                                      .ffree = st.f_ffree,
                                      .bsize = (uint32_t)st.f_bsize,
                                      .frsize = (uint32_t)st.f_frsize,
                                      .namelen = (uint32_t)st.f_namemax};
  if (fs->quota != NULL)
    virtiofs_passthrough_quota_statfs(fs->quota, out);
  return 0;
}

/* The host wants a descriptor of the file system that is open for more than a path. */
int virtiofs_passthrough_syncfs(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  if (inode->type != S_IFDIR && inode->type != S_IFREG)
    return -EINVAL;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  int file = virtiofs_passthrough_reopen(fs, fd, O_RDONLY);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  if (file < 0)
    return file;
  int rc = syncfs(file) == 0 ? 0 : virtiofs_passthrough_error(errno);
  close(file);
  return rc;
}
