/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes, under the names that the rules give them.
 *
 * What a name means on the host decides who may use it. user.* is the guest's. The host's own trusted.* and security.*
 * steer the host (overlayfs, SELinux, IMA): a server that runs as root could set them, so a guest may only if a
 * rule names them, or --security-label makes labels its own. security.capability is set-user-id by another name, which
 * a guest may set too. ACLs count only where the guest's kernel checks them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/label.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

static const char acl_access[] = "system.posix_acl_access";
static const char acl_default[] = "system.posix_acl_default";

/** What is to be done with an attribute. */
enum use { READS, WRITES };

static bool starts_with(const char *name, const char *prefix) {
  return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_acl(const char *name) {
  return strcmp(name, acl_access) == 0 || strcmp(name, acl_default) == 0;
}

/* As the host answers a process that is not its administrator. */
static int check(const struct virtiofs_passthrough *fs, const struct xattr_name *name, enum use use) {
  if (starts_with(name->str, "system."))
    return -EOPNOTSUPP;
  if (name->meant || (fs->security_label && virtiofs_passthrough_label_is(name->str)))
    return 0;
  if (starts_with(name->str, "trusted."))
    return use == WRITES ? -EPERM : -ENODATA;
  if (use == WRITES && starts_with(name->str, "security.") && strcmp(name->str, "security.capability") != 0)
    return -EPERM;
  return 0;
}

/* The host's name for the guest's. ACLs are the host's own, whatever the rules do with names. */
static int to_host(const struct virtiofs_passthrough *fs, const char *guest, enum use use, struct xattr_name *name) {
  if (!fs->xattr)
    return -ENOSYS; /* as if there were no such operations: the guest need not ask again */
  if (is_acl(guest)) {
    if (!fs->posix_acl)
      return -EOPNOTSUPP;
    memcpy(name->str, guest, strlen(guest) + 1);
    return 0;
  }
  int rc = virtiofs_passthrough_xattrmap_client(fs->xattrmap, guest, name);
  return rc == 0 ? check(fs, name, use) : rc;
}

int virtiofs_passthrough_xattr_to_host(const struct virtiofs_passthrough *fs, const char *guest,
                                       struct xattr_name *name) {
  return to_host(fs, guest, WRITES, name);
}

/* The guest's name for the host's, a part of it; NULL if the guest doesn't see it. */
static const char *to_guest(const struct virtiofs_passthrough *fs, const char *host) {
  bool meant;
  if (is_acl(host))
    return fs->posix_acl ? host : NULL;
  const char *guest = virtiofs_passthrough_xattrmap_server(fs->xattrmap, host, &meant);
  bool administrators = starts_with(host, "trusted.") && !meant;
  return administrators || starts_with(host, "system.") || (guest != NULL && is_acl(guest)) ? NULL : guest;
}

/* With a new access ACL set-group-id goes where the guest says that its user is not in the group. */
static int kill_sgid(const struct virtiofs_passthrough *fs, int fd) {
  struct statx stx;
  int rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc != 0 || (stx.stx_mode & S_ISGID) == 0)
    return rc;
  return virtiofs_passthrough_set_mode(fs, fd, stx.stx_mode & ~(mode_t)S_ISGID);
}

static int set_value(struct virtiofs_passthrough *fs, const struct virtiofs_setxattr_in *in, const char *name,
                     const char *value, size_t size) {
  struct inode *inode = virtiofs_passthrough_node(in->node);
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  struct quota_change change;
  int rc = virtiofs_passthrough_quota_begin(fs, inode, fd, 0, size, &change);
  if (rc != 0) {
    virtiofs_passthrough_fd_return(fs, inode, fd);
    return rc;
  }
  (void)virtiofs_passthrough_cred_fsetid(fs, true); /* whether an ACL takes set-group-id away is the guest's to say */
  if (setxattr(virtiofs_passthrough_proc_path(fs, fd).str, name, value, size, (int)in->flags) != 0)
    rc = virtiofs_passthrough_error(errno);
  bool kills = (in->setxattr_flags & VIRTIOFS_SETXATTR_ACL_KILL_SGID) != 0 && strcmp(name, acl_access) == 0;
  if (rc == 0 && kills)
    rc = kill_sgid(fs, fd);
  virtiofs_passthrough_quota_end(fs, &change);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return rc;
}

int virtiofs_passthrough_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct xattr_name name;
  int rc = to_host(fs, in->name.str, WRITES, &name);
  if (rc != 0)
    return rc;
  size_t size = in->value.size;
  char *value = malloc(size + 1);
  if (value == NULL)
    return -ENOMEM;
  size = virtiofs_data_copy(&in->value, 0, value, size);
  rc = set_value(fs, in, name.str, value, size);
  free(value);
  return rc;
}

/* Return: the size or -errno. */
static ssize_t get_value(struct virtiofs_passthrough *fs, uint64_t node, const char *name, char *value, size_t room) {
  struct inode *inode = virtiofs_passthrough_node(node);
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  ssize_t size = getxattr(virtiofs_passthrough_proc_path(fs, fd).str, name, value, room);
  if (size < 0)
    size = virtiofs_passthrough_error(errno);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return size;
}

static ssize_t get_list(struct virtiofs_passthrough *fs, uint64_t node, char *names, size_t room) {
  struct inode *inode = virtiofs_passthrough_node(node);
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  ssize_t size = listxattr(virtiofs_passthrough_proc_path(fs, fd).str, names, room);
  if (size < 0)
    size = virtiofs_passthrough_error(errno);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return size;
}

int virtiofs_passthrough_getxattr(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in,
                                  struct virtiofs_xattr_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct xattr_name name;
  int rc = to_host(fs, in->name.str, READS, &name);
  if (rc != 0)
    return rc;
  size_t room = in->size < VIRTIOFS_XATTR_MAX ? in->size : VIRTIOFS_XATTR_MAX;
  char *value = malloc(room + 1);
  if (value == NULL)
    return -ENOMEM;
  ssize_t size = get_value(fs, in->node, name.str, value, room);
  if (size < 0) {
    rc = (int)size;
  } else {
    out->size = (uint32_t)size;
    if (room > 0)
      (void)virtiofs_data_fill(&in->data, 0, value, (size_t)size);
  }
  free(value);
  return rc;
}

/* Turns the host's list into the guest's, in place: no name becomes longer. */
static size_t list_for_guest(const struct virtiofs_passthrough *fs, char *names, size_t size) {
  size_t kept = 0;
  for (size_t at = 0, next; at < size; at = next) {
    next = at + strlen(names + at) + 1;
    const char *guest = to_guest(fs, names + at);
    if (guest == NULL)
      continue;
    size_t len = strlen(guest) + 1;
    memmove(names + kept, guest, len);
    kept += len;
  }
  return kept;
}

int virtiofs_passthrough_listxattr(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                                   struct virtiofs_xattr_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (!fs->xattr)
    return -ENOSYS; /* as above */
  /* All of it even if the guest asks only for the size, which is that of what it may see. */
  char *names = malloc(VIRTIOFS_XATTR_MAX + 1);
  if (names == NULL)
    return -ENOMEM;
  int rc = 0;
  ssize_t all = get_list(fs, in->node, names, VIRTIOFS_XATTR_MAX);
  if (all < 0) {
    rc = (int)all;
  } else {
    names[all] = '\0'; /* each name has its NUL already */
    size_t size = list_for_guest(fs, names, (size_t)all);
    out->size = (uint32_t)size;
    if (in->size != 0 && size > in->size)
      rc = -ERANGE;
    else if (in->size != 0)
      (void)virtiofs_data_fill(&in->data, 0, names, size);
  }
  free(names);
  return rc;
}

int virtiofs_passthrough_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  struct xattr_name name;
  int rc = to_host(fs, in->name.str, WRITES, &name);
  int fd = rc == 0 ? virtiofs_passthrough_fd_borrow(fs, inode) : rc;
  if (fd < 0)
    return fd;
  struct quota_change change;
  rc = virtiofs_passthrough_quota_begin(fs, inode, fd, 0, 0, &change);
  if (rc == 0 && removexattr(virtiofs_passthrough_proc_path(fs, fd).str, name.str) != 0)
    rc = virtiofs_passthrough_error(errno);
  virtiofs_passthrough_quota_end(fs, &change);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  return rc;
}

bool virtiofs_passthrough_has_acls(const struct virtiofs_passthrough *fs, int fd) {
  return getxattr(virtiofs_passthrough_proc_path(fs, fd).str, acl_access, NULL, 0) >= 0 || errno == ENODATA;
}

/* The two looks are one after the other, where the host's kernel has one: who sets an ACL in between races with who
 * makes the file in any case. */
mode_t virtiofs_passthrough_masked(const struct virtiofs_req *req, int dirfd, uint32_t mode, uint32_t umask) {
  if (umask == 0 || (virtiofs_req_semantics(req) & VIRTIOFS_SEMANTICS_DONT_MASK) == 0)
    return (mode_t)mode;
  if (getxattr(virtiofs_passthrough_proc_path(virtiofs_req_fs(req), dirfd).str, acl_default, NULL, 0) > 0)
    return (mode_t)mode;
  return (mode_t)(mode & ~umask);
}
