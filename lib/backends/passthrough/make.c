/* SPDX-License-Identifier: BSD-3-Clause */
/* Making files of every type, owned by the guest's user. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/label.h"
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

static bool is_among_groups(const struct virtiofs_passthrough *fs, const struct virtiofs_extensions *extensions,
                            gid_t gid) {
  struct virtiofs_extensions all = *extensions;
  struct virtiofs_extension ext;
  while (virtiofs_extensions_next(&all, &ext)) {
    const uint32_t known = sizeof ext.groups / sizeof ext.groups[0];
    for (uint32_t i = 0; ext.kind == VIRTIOFS_EXTENSION_GROUPS && i < ext.count && i < known; i++) {
      gid_t group;
      if (virtiofs_passthrough_idmap_to_host(fs->gids, ext.groups[i], &group) == 0 && group == gid)
        return true;
    }
  }
  return false;
}

/** What a thread is while it makes something. */
struct acting {
  struct label label;
};

/*
 * Becomes the caller in order to make something in @dirfd. A caller whom the guest says to be in the group of
 * a set-group-id directory is so by having that group as his own: what is made gets it in any case, and keeps
 * set-group-id. No other group that a guest names counts.
 */
static int begin(struct acting *as, struct virtiofs_req *req, int dirfd, const struct virtiofs_extensions *extensions,
                 uint64_t keep) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct virtiofs_caller caller;
  int rc = virtiofs_passthrough_cred_caller(req, &caller);
  if (rc != 0)
    return rc;
  if (extensions->size > 0) {
    struct statx stx;
    rc = virtiofs_passthrough_stat(dirfd, &stx);
    if (rc != 0)
      return rc;
    if ((stx.stx_mode & S_ISGID) != 0 && is_among_groups(fs, extensions, stx.stx_gid))
      caller.gid = stx.stx_gid;
  }
  rc = virtiofs_passthrough_label_begin(fs, extensions, &as->label);
  if (rc != 0)
    return rc;
  rc = virtiofs_passthrough_cred_become(fs, caller, keep);
  if (rc != 0)
    virtiofs_passthrough_label_end(&as->label);
  return rc;
}

static void end(const struct virtiofs_passthrough *fs, struct acting *as) {
  virtiofs_passthrough_cred_end(fs);
  virtiofs_passthrough_label_end(&as->label);
}

/*
 * Takes away what was just made and can't stay so. Not what somebody on the host has put in its place meanwhile: as far
 * as a look before can tell, since Linux can't remove a name of one certain file.
 * @fd: of it
 */
static bool remove_made(int dirfd, const char *name, int fd, int flags) {
  struct statx made, there;
  virtiofs_passthrough_cred_server();
  if (virtiofs_passthrough_stat(fd, &made) != 0 ||
      statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, PASSTHROUGH_STATX_MASK, &there) != 0)
    return false;
  return virtiofs_passthrough_same_file(&made, &there) && unlinkat(dirfd, name, flags) == 0;
}

/*
 * Opens a new file for the caller. One that is to have security contexts is without a name until it has them.
 * @name: NULL: it gets none
 */
static int open_new(struct virtiofs_req *req, int dirfd, const char *name, int flags, mode_t mode,
                    const struct virtiofs_extensions *extensions) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct acting as;
  int rc = begin(&as, req, dirfd, extensions, PASSTHROUGH_KEEP_TO_MAKE);
  if (rc != 0)
    return rc;
  const bool later = as.label.later;
  bool named = name != NULL && !later;
  int file = -1;
  if (!named) {
    /* Linux makes none that can't be written to; that the guest wants only to read is its own to heed. */
    const int writable = (flags & O_ACCMODE) == O_RDONLY && name != NULL ? O_RDWR : 0;
    file = openat(dirfd, ".", (flags & ~O_TRUNC) | writable | O_TMPFILE | O_CLOEXEC, mode);
    named = file < 0 && errno == EOPNOTSUPP && name != NULL; /* not every file system has such files */
  }
  if (named) /* always O_EXCL: without it the host would open whatever is there, a FIFO or a device too */
    file = openat(dirfd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
  rc = file < 0 ? virtiofs_passthrough_error(errno) : 0;
  end(fs, &as);
  if (rc == 0 && later)
    rc = virtiofs_passthrough_label_set(fs, &as.label, file);
  if (rc == 0 && name != NULL && !named)
    rc = virtiofs_passthrough_label_link(fs, file, dirfd, name);
  if (rc != 0 && file >= 0) {
    if (named)
      (void)remove_made(dirfd, name, file, 0);
    close(file);
  }
  return rc == 0 ? file : rc;
}

/* The same, as one file more. */
static int make_open(struct virtiofs_req *req, int dirfd, const char *name, int flags, mode_t mode,
                     const struct virtiofs_extensions *extensions) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  int rc = virtiofs_passthrough_quota_make(fs);
  if (rc != 0)
    return rc;
  int file = open_new(req, dirfd, name, virtiofs_passthrough_to_make(req, flags), mode, extensions);
  if (file < 0)
    virtiofs_passthrough_quota_unmade(fs);
  return file;
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

/* What can't have its context is not to be. Its attributes have changed by that. */
static int set_label(struct virtiofs_passthrough *fs, int dirfd, const struct thing *thing, const struct label *label,
                     struct virtiofs_entry_out *out) {
  struct inode *inode = virtiofs_passthrough_node(out->node);
  struct statx stx;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  int rc = fd < 0 ? fd : virtiofs_passthrough_label_set(fs, label, fd);
  if (rc == 0)
    rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc == 0)
    virtiofs_passthrough_attr(fs, inode, &stx, &out->attr);
  if (rc != 0 && fd >= 0 && remove_made(dirfd, thing->name, fd, S_ISDIR(thing->mode) ? AT_REMOVEDIR : 0))
    virtiofs_passthrough_quota_unmade(fs);
  if (fd >= 0)
    virtiofs_passthrough_fd_return(fs, inode, fd);
  if (rc != 0)
    virtiofs_passthrough_inode_put(fs, inode, 1);
  return rc;
}

/* mknod(2) of a regular file that is to have contexts. */
static int make_file(struct virtiofs_req *req, int dirfd, const struct thing *thing, mode_t mode) {
  int file = open_new(req, dirfd, thing->name, O_RDWR, mode & PERMISSIONS, thing->extensions);
  if (file >= 0)
    close(file);
  return file < 0 ? file : 0;
}

/* The inode's descriptor is paid for first, so that nothing is left behind on the host when there is none. */
static int make_in(struct virtiofs_req *req, int dirfd, const struct thing *thing, uint64_t keep,
                   struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(thing->parent);
  const long fds = virtiofs_passthrough_inode_fds(parent);
  int rc = virtiofs_passthrough_fd_take(fs, fds);
  if (rc != 0)
    return rc;
  rc = virtiofs_passthrough_quota_make(fs);
  if (rc != 0) {
    virtiofs_passthrough_fd_give(fs, fds);
    return rc;
  }
  mode_t mode = virtiofs_passthrough_masked(req, dirfd, thing->mode, thing->umask);
  struct acting as = {.label = {.later = false}};
  if (S_ISREG(thing->mode) && fs->security_label && thing->extensions->size > 0) {
    rc = make_file(req, dirfd, thing, mode);
  } else {
    rc = begin(&as, req, dirfd, thing->extensions, keep);
    if (rc == 0) {
      rc = make_on_host(dirfd, thing, mode);
      end(fs, &as);
    }
  }
  if (rc != 0) {
    virtiofs_passthrough_quota_unmade(fs);
    virtiofs_passthrough_fd_give(fs, fds);
    return rc;
  }
  rc = virtiofs_passthrough_walk_new(fs, parent, dirfd, thing->name, thing->mode & S_IFMT, out);
  if (rc == 0)
    virtiofs_passthrough_quota_made(fs, virtiofs_passthrough_node(out->node), true, &out->attr);
  return rc == 0 && as.label.later ? set_label(fs, dirfd, thing, &as.label, out) : rc;
}

static int make(struct virtiofs_req *req, const struct thing *thing, uint64_t keep, struct virtiofs_entry_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *parent = virtiofs_passthrough_node(thing->parent);
  int fd = virtiofs_passthrough_fd_borrow_any(fs, parent);
  if (fd < 0)
    return fd;
  struct quota_change names;
  int rc = virtiofs_passthrough_quota_begin(fs, parent, fd, 0, 0, &names);
  if (rc == 0)
    rc = make_in(req, fd, thing, keep, out);
  virtiofs_passthrough_quota_end(fs, &names);
  virtiofs_passthrough_fd_return(fs, parent, fd);
  return rc;
}

int virtiofs_passthrough_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in,
                                 struct virtiofs_entry_out *out) {
  struct thing thing = {.parent = in->parent,
                        .name = in->name.str,
                        .mode = S_IFLNK,
                        .extensions = &in->extensions,
                        .target = in->target.str};
  return make(req, &thing, PASSTHROUGH_KEEP_TO_MAKE, out);
}

int virtiofs_passthrough_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in,
                               struct virtiofs_entry_out *out) {
  struct thing thing = {.parent = in->parent,
                        .name = in->name.str,
                        .mode = S_IFDIR | (in->mode & PERMISSIONS),
                        .umask = in->umask,
                        .extensions = &in->extensions};
  return make(req, &thing, PASSTHROUGH_KEEP_TO_MAKE, out);
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
  return make(req, &thing, PASSTHROUGH_KEEP_TO_MAKE | (device ? PASSTHROUGH_CAP(CAP_MKNOD) : 0), out);
}

/*
 * What is paid for: @file, which becomes the handle, and the inode's descriptor if it needs one.
 *
 * A file with a name stays on the host, empty, where the server has no memory or descriptor for it in the end, as one
 * does that open(2) has made before it fails. By then the name may be another file's, and taking away that one would be
 * worse.
 */
static int give_created(struct virtiofs_passthrough *fs, const struct inode *parent, int file, bool named,
                        struct virtiofs_create_out *out) {
  int rc = virtiofs_passthrough_enter_made(fs, parent, file, &out->entry);
  if (rc != 0) {
    virtiofs_passthrough_fd_close(fs, file);
    if (!named)
      virtiofs_passthrough_quota_unmade(fs);
    return rc;
  }
  struct inode *inode = virtiofs_passthrough_node(out->entry.node);
  virtiofs_passthrough_quota_made(fs, inode, named, &out->entry.attr);
  file = virtiofs_passthrough_quota_opened(fs, inode, file);
  if (file < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return file;
  }
  out->open.handle = (uint64_t)file;
  return 0;
}

/* Opens with what the caller's own ids allow on the host, no more. */
static int open_as_caller(struct virtiofs_req *req, struct inode *inode, int fd, const struct virtiofs_create_in *in,
                          uint32_t *keep) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  int file = virtiofs_passthrough_cred_begin(req, 0);
  if (file == 0) {
    file = virtiofs_passthrough_before_open(req, inode, fd, in->flags, in->open_flags);
    if (file == 0)
      file = virtiofs_passthrough_open_file(fs, inode, fd, in->flags);
    virtiofs_passthrough_cred_end(fs);
  }
  file = virtiofs_passthrough_opened(req, file, in->flags, keep);
  file = virtiofs_passthrough_quota_opened(fs, inode, file);
  if (file < 0)
    virtiofs_passthrough_fd_give(fs, 1);
  return file;
}

/*
 * The host had the name already, though the guest thought not. So the guest has not asked whether its user may open the
 * file: the host decides, by the user's ids. Where only the guest can say what opening means (a symbolic link, a FIFO,
 * a device) its answer is that the name is stale, and Linux looks again.
 */
static int open_existing(struct virtiofs_req *req, int dirfd, const struct virtiofs_create_in *in,
                         struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(in->parent);
  int rc = virtiofs_passthrough_walk(fs, parent, dirfd, in->name.str, &out->entry);
  if (rc != 0)
    return rc;
  struct inode *inode = virtiofs_passthrough_node(out->entry.node);
  bool openable = inode->type == S_IFREG || inode->type == S_IFDIR;
  int fd = openable ? virtiofs_passthrough_fd_borrow(fs, inode) : -ESTALE;
  int file = fd < 0 ? fd : open_as_caller(req, inode, fd, in, &out->open.flags);
  struct statx stx;
  if (file >= 0 && virtiofs_passthrough_stat(fd, &stx) == 0) /* O_TRUNC may have changed what the walk saw */
    virtiofs_passthrough_attr(fs, inode, &stx, &out->entry.attr);
  if (fd >= 0)
    virtiofs_passthrough_fd_return(fs, inode, fd);
  if (file < 0) {
    virtiofs_passthrough_inode_put(fs, inode, 1);
    return file;
  }
  out->open.handle = (uint64_t)file;
  return 0;
}

static int create_in(struct virtiofs_req *req, int dirfd, const struct virtiofs_create_in *in,
                     struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(in->parent);
  const long fds = 1 + virtiofs_passthrough_inode_fds(parent);
  int flags;
  int rc = virtiofs_passthrough_open_flags(fs, in->flags, &flags);
  if (rc == 0)
    rc = virtiofs_passthrough_fd_take(fs, fds);
  if (rc != 0)
    return rc;
  mode_t mode = virtiofs_passthrough_masked(req, dirfd, in->mode & PERMISSIONS, in->umask);
  int file = make_open(req, dirfd, in->name.str, flags, mode, &in->extensions);
  file = virtiofs_passthrough_opened(req, file, in->flags, &out->open.flags);
  if (file >= 0)
    return give_created(fs, parent, file, true, out);
  virtiofs_passthrough_fd_give(fs, fds);
  if ((file != -EEXIST && file != -EDQUOT) || (in->flags & O_EXCL) != 0)
    return file;
  rc = open_existing(req, dirfd, in, out);
  return file == -EDQUOT && rc == -ENOENT ? file : rc;
}

int virtiofs_passthrough_create(struct virtiofs_req *req, const struct virtiofs_create_in *in,
                                struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *parent = virtiofs_passthrough_node(in->parent);
  int fd = virtiofs_passthrough_fd_borrow_any(fs, parent);
  if (fd < 0)
    return fd;
  struct quota_change names;
  int rc = virtiofs_passthrough_quota_begin(fs, parent, fd, 0, 0, &names);
  if (rc == 0)
    rc = create_in(req, fd, in, out);
  virtiofs_passthrough_quota_end(fs, &names);
  virtiofs_passthrough_fd_return(fs, parent, fd);
  return rc;
}

static int tmpfile_in(struct virtiofs_req *req, int dirfd, const struct virtiofs_tmpfile_in *in,
                      struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *parent = virtiofs_passthrough_node(in->parent);
  const long fds = 1 + virtiofs_passthrough_inode_fds(parent);
  int flags;
  int rc = virtiofs_passthrough_open_flags(fs, in->flags & ~(uint32_t)O_TMPFILE, &flags);
  if (rc == 0)
    rc = virtiofs_passthrough_fd_take(fs, fds);
  if (rc != 0)
    return rc;
  mode_t mode = virtiofs_passthrough_masked(req, dirfd, in->mode & PERMISSIONS, in->umask);
  int file = make_open(req, dirfd, NULL, flags, mode, &in->extensions);
  const bool made = file >= 0;
  file = virtiofs_passthrough_opened(req, file, in->flags, &out->open.flags);
  if (file >= 0)
    return give_created(fs, parent, file, false, out);
  if (made)
    virtiofs_passthrough_quota_unmade(fs);
  virtiofs_passthrough_fd_give(fs, fds);
  return file;
}

int virtiofs_passthrough_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in,
                                 struct virtiofs_create_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *parent = virtiofs_passthrough_node(in->parent);
  int fd = virtiofs_passthrough_fd_borrow_any(fs, parent);
  if (fd < 0)
    return fd;
  int rc = tmpfile_in(req, fd, in, out);
  virtiofs_passthrough_fd_return(fs, parent, fd);
  return rc;
}
