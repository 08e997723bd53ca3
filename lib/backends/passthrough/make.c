/* SPDX-License-Identifier: BSD-3-Clause */
/* Making files of every type, owned by the guest's user. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

enum { PERMISSIONS = 07777 };

/** Something without contents. */
struct thing {
  uint64_t parent;
  const char *name;
  mode_t mode; /* with its type */
  uint32_t umask;
  const struct virtiofs_extensions *extensions;
  dev_t rdev;
  const char *target; /* of a symbolic link */
};

static bool is_among_groups(const struct virtiofs_extensions *extensions, gid_t gid) {
  struct virtiofs_extensions all = *extensions;
  struct virtiofs_extension ext;
  while (virtiofs_extensions_next(&all, &ext)) {
    const uint32_t known = sizeof ext.groups / sizeof ext.groups[0];
    for (uint32_t i = 0; ext.kind == VIRTIOFS_EXTENSION_GROUPS && i < ext.count && i < known; i++) {
      if (ext.groups[i] == gid)
        return true;
    }
  }
  return false;
}

/*
 * Becomes the caller in order to make something in @parent. A caller whom the guest says to be in the group of
 * a set-group-id directory is so by having that group as his own: what is made gets it in any case, and keeps
 * set-group-id. No other group that a guest names counts.
 */
static int begin(struct cred *cred, struct virtiofs_req *req, const struct inode *parent,
                 const struct virtiofs_extensions *extensions, uint64_t keep) {
  struct virtiofs_caller caller = virtiofs_req_caller(req);
  if (extensions->size > 0) {
    struct statx stx;
    int rc = virtiofs_passthrough_stat(parent->fd, &stx);
    if (rc != 0)
      return rc;
    if ((stx.stx_mode & S_ISGID) != 0 && is_among_groups(extensions, stx.stx_gid))
      caller.gid = stx.stx_gid;
  }
  return virtiofs_passthrough_cred_become(cred, caller, keep);
}

static int make_on_host(int dirfd, const struct thing *thing, mode_t mode) {
  int rc;
  switch (thing->mode & S_IFMT) {
  case S_IFDIR:
    rc = mkdirat(dirfd, thing->name, mode & PERMISSIONS);
    break;
  case S_IFLNK:
    rc = symlinkat(thing->target, dirfd, thing->name);
    break;
  default:
    rc = mknodat(dirfd, thing->name, mode, thing->rdev);
  }
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

/* The descriptor is paid for first, so that nothing is left behind on the host when there is none. */
static int make(struct virtiofs_req *req, const struct thing *thing, uint64_t keep, struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(thing->parent);
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  mode_t mode = virtiofs_passthrough_masked(req, parent, thing->mode, thing->umask);
  struct cred cred;
  rc = begin(&cred, req, parent, thing->extensions, keep);
  if (rc == 0) {
    rc = make_on_host(parent->fd, thing, mode);
    virtiofs_passthrough_cred_end(&cred);
  }
  if (rc != 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return rc;
  }
  return virtiofs_passthrough_walk_new(fs, parent, thing->name, thing->mode & S_IFMT, out);
}

int virtiofs_passthrough_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                                 struct virtiofs_entry_out *out) {
  struct thing thing = {.parent = in->parent,
                        .name = in->name.str,
                        .mode = S_IFLNK,
                        .extensions = &in->extensions,
                        .target = in->target.str};
  return make(req, &thing, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE), out);
}

int virtiofs_passthrough_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in,
                               struct virtiofs_entry_out *out) {
  struct thing thing = {.parent = in->parent,
                        .name = in->name.str,
                        .mode = S_IFDIR | (in->mode & PERMISSIONS),
                        .umask = in->umask,
                        .extensions = &in->extensions};
  return make(req, &thing, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE), out);
}

int virtiofs_passthrough_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in,
                               struct virtiofs_entry_out *out) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  mode_t type = in->mode & S_IFMT;
  if (type == 0)
    type = S_IFREG; /* as mknod(2) */
  bool device = type == S_IFCHR || type == S_IFBLK;
  if (!device && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
    return -EINVAL;
  /* A device node is a way into the host for whoever can open it there; 0:0 is none, but overlayfs's whiteout. */
  bool whiteout = type == S_IFCHR && in->rdev_major == 0 && in->rdev_minor == 0;
  if (device && !whiteout && !fs->device_nodes)
    return -EPERM;
  struct thing thing = {.parent = in->parent,
                        .name = in->name.str,
                        .mode = type | (in->mode & PERMISSIONS),
                        .umask = in->umask,
                        .extensions = &in->extensions,
                        .rdev = device ? makedev(in->rdev_major, in->rdev_minor) : 0};
  return make(req, &thing, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) | (device ? PASSTHROUGH_CAP(CAP_MKNOD) : 0), out);
}

/* Two descriptors are paid for: @file, which becomes the handle, and the inode's. */
static int give_created(struct virtiofs_passthrough *fs, int file, struct virtiofs_create_out *out) {
  struct statx stx;
  struct inode *inode;
  int fd = virtiofs_passthrough_reopen(fs, file, O_PATH);
  int rc = fd < 0 ? fd : virtiofs_passthrough_stat(fd, &stx);
  if (rc == 0) {
    rc = virtiofs_passthrough_inode_enter(fs, fd, &stx, &inode);
  } else {
    if (fd >= 0)
      close(fd);
    virtiofs_passthrough_fd_give(fs, 1);
  }
  if (rc != 0) {
    virtiofs_passthrough_fd_close(fs, file);
    return rc;
  }
  virtiofs_passthrough_fill_entry(fs, inode, &stx, &out->entry);
  out->open.handle = (uint64_t)file;
  return 0;
}

/* Opens with what the caller's own ids allow on the host, no more. */
static int open_as_caller(struct virtiofs_req *req, const struct inode *inode, uint32_t flags, uint32_t *keep) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  struct cred cred;
  int file = virtiofs_passthrough_cred_begin(&cred, req, 0);
  if (file == 0) {
    file = virtiofs_passthrough_open_file(fs, inode, flags);
    virtiofs_passthrough_cred_end(&cred);
  }
  file = virtiofs_passthrough_opened(req, file, flags, keep);
  if (file < 0)
    virtiofs_passthrough_fd_give(fs, 1);
  return file;
}

/*
 * The host had the name already, though the guest thought not. So the guest has not asked whether its user may open the
 * file: the host decides, by the user's ids. Where only the guest can say what opening means (a symbolic link, a FIFO,
 * a device) its answer is that the name is stale, and Linux looks again.
 */
static int open_existing(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                         struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  int rc = virtiofs_passthrough_walk(fs, virtiofs_passthrough_node(in->parent), in->name.str, &out->entry);
  if (rc != 0)
    return rc;
  struct inode *inode = virtiofs_passthrough_node(out->entry.node);
  bool openable = inode->type == S_IFREG || inode->type == S_IFDIR;
  int file = openable ? open_as_caller(req, inode, in->flags, &out->open.flags) : -ESTALE;
  if (file < 0) {
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return file;
  }
  struct statx stx;
  if (virtiofs_passthrough_stat(inode->fd, &stx) == 0) /* O_TRUNC may have changed what the walk saw */
    virtiofs_passthrough_attr(inode, &stx, &out->entry.attr);
  out->open.handle = (uint64_t)file;
  return 0;
}

int virtiofs_passthrough_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                                struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(in->parent);
  int flags;
  int rc = virtiofs_passthrough_open_flags(in->flags, &flags);
  if (rc == 0)
    rc = virtiofs_passthrough_fd_take(fs, 2);
  if (rc != 0)
    return rc;
  mode_t mode = virtiofs_passthrough_masked(req, parent, in->mode & PERMISSIONS, in->umask);
  struct cred cred;
  int file = begin(&cred, req, parent, &in->extensions, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE));
  if (file == 0) {
    /* Always O_EXCL: without it the host would open whatever is there, a FIFO or a device too. */
    file = openat(parent->fd, in->name.str, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
    if (file < 0)
      file = virtiofs_passthrough_error(errno);
    virtiofs_passthrough_cred_end(&cred);
  }
  file = virtiofs_passthrough_opened(req, file, in->flags, &out->open.flags);
  if (file >= 0)
    return give_created(fs, file, out);
  virtiofs_passthrough_fd_give(fs, 2);
  if (file == -EEXIST && (in->flags & O_EXCL) == 0)
    return open_existing(req, in, out);
  return file;
}

int virtiofs_passthrough_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                                 struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(in->parent);
  int flags;
  int rc = virtiofs_passthrough_open_flags(in->flags & ~(uint32_t)O_TMPFILE, &flags);
  if (rc == 0)
    rc = virtiofs_passthrough_fd_take(fs, 2);
  if (rc != 0)
    return rc;
  mode_t mode = virtiofs_passthrough_masked(req, parent, in->mode & PERMISSIONS, in->umask);
  struct cred cred;
  int file = begin(&cred, req, parent, &in->extensions, PASSTHROUGH_CAP(CAP_DAC_OVERRIDE));
  if (file == 0) {
    file = openat(parent->fd, ".", flags | O_TMPFILE | O_CLOEXEC, mode);
    if (file < 0)
      file = virtiofs_passthrough_error(errno);
    virtiofs_passthrough_cred_end(&cred);
  }
  file = virtiofs_passthrough_opened(req, file, in->flags, &out->open.flags);
  if (file >= 0)
    return give_created(fs, file, out);
  virtiofs_passthrough_fd_give(fs, 2);
  return file;
}
