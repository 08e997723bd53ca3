/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that name a file, and that make one. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "fuse/attr.h"
#include "fuse/table.h"

#define RENAME_KNOWN (VIRTIOFS_RENAME_NOREPLACE | VIRTIOFS_RENAME_EXCHANGE | VIRTIOFS_RENAME_WHITEOUT)
#define PERMISSIONS 07777U
#define UMASK 0777U

int virtiofs_fuse_get_text(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name, size_t max) {
  char *to = dec->req->storage + dec->stored;
  ptrdiff_t len = virtiofs_cursor_read_string(dec->cur, to, max + 1);
  if (len < 0)
    return dec->cur->left > max ? -ENAMETOOLONG : -EINVAL;
  if (len == 0)
    return -EINVAL;
  dec->stored += (size_t)len + 1;
  *name = (struct virtiofs_name){.str = to, .len = (uint32_t)len};
  return 0;
}

/* The last name of a request is all that is left of it: it is copied at once, and looked through once. */
static inline bool get_last_name(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name) {
  char *to = dec->req->storage + dec->stored;
  struct virtiofs_cursor *cur = dec->cur;
  size_t size = cur->left;
  if (size < 2 || size > VIRTIOFS_FUSE_NAME_MAX + 1 || !virtiofs_cursor_near(cur, size))
    return false;
  virtiofs_text_copy(to, (const unsigned char *)cur->iov->iov_base + cur->at, size);
  virtiofs_guest_barrier();
  if (to[size - 1] != 0 || virtiofs_text_has_separator(to, size - 1))
    return false;
  cur->at += size;
  cur->left = 0;
  dec->stored += size;
  *name = (struct virtiofs_name){.str = to, .len = (uint32_t)size - 1};
  return true;
}

__attribute__((noinline)) static int get_any_name(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name) {
  int rc = virtiofs_fuse_get_text(dec, name, VIRTIOFS_FUSE_NAME_MAX);
  return rc == 0 && virtiofs_text_has_separator(name->str, name->len) ? -EINVAL : rc;
}

/* Where files are exported, a node itself and its parent are looked up by "." and "..". */
__attribute__((noinline)) static int decode_exported(struct virtiofs_fuse_decoder *dec) {
  if (dec->req->header.opcode == VIRTIOFS_FUSE_LOOKUP)
    return get_any_name(dec, &dec->req->in.lookup.name);
  return virtiofs_fuse_get_name(dec, &dec->req->in.lookup.name);
}

int virtiofs_fuse_get_name(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name) {
  int rc = get_last_name(dec, name) ? 0 : get_any_name(dec, name);
  if (rc != 0)
    return rc;
  bool dots = name->str[0] == '.' && (name->len == 1 || (name->len == 2 && name->str[1] == '.'));
  return dots ? -EINVAL : 0;
}

/* LOOKUP, UNLINK and RMDIR have the same shape. */
int virtiofs_fuse_decode_name(struct virtiofs_fuse_decoder *dec) {
  if ((dec->proto->flags & VIRTIOFS_FUSE_EXPORT_SUPPORT) != 0)
    return decode_exported(dec);
  return virtiofs_fuse_get_name(dec, &dec->req->in.lookup.name);
}

int virtiofs_fuse_decode_symlink(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_symlink_in *in = &dec->req->in.symlink;
  int rc = virtiofs_fuse_get_name(dec, &in->name);
  if (rc == 0)
    rc = virtiofs_fuse_get_text(dec, &in->target, VIRTIOFS_TARGET_MAX);
  return rc != 0 ? rc : virtiofs_fuse_get_extensions(dec, &in->extensions);
}

int virtiofs_fuse_decode_mknod(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_mknod_in *in = &dec->req->in.mknod;
  in->mode = dec->wire->mknod.mode & (VIRTIOFS_S_IFMT | PERMISSIONS);
  in->umask = dec->wire->mknod.umask & UMASK;
  virtiofs_fuse_rdev_decode(dec->wire->mknod.rdev, &in->rdev_major, &in->rdev_minor);
  int rc = virtiofs_fuse_get_name(dec, &in->name);
  return rc != 0 ? rc : virtiofs_fuse_get_extensions(dec, &in->extensions);
}

int virtiofs_fuse_decode_mkdir(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_mkdir_in *in = &dec->req->in.mkdir;
  in->mode = dec->wire->mkdir.mode & PERMISSIONS;
  /* The second word has always been there, but was padding at first. */
  in->umask = dec->proto->minor >= 12 ? dec->wire->mkdir.umask & UMASK : 0;
  int rc = virtiofs_fuse_get_name(dec, &in->name);
  return rc != 0 ? rc : virtiofs_fuse_get_extensions(dec, &in->extensions);
}

static int get_rename(struct virtiofs_fuse_decoder *dec, uint64_t newdir, uint32_t flags) {
  struct virtiofs_rename_in *in = &dec->req->in.rename;
  in->new_parent = newdir;
  in->flags = flags;
  if ((flags & ~RENAME_KNOWN) != 0)
    return -EINVAL;
  int rc = virtiofs_fuse_get_name(dec, &in->name);
  return rc != 0 ? rc : virtiofs_fuse_get_name(dec, &in->new_name);
}

int virtiofs_fuse_decode_rename(struct virtiofs_fuse_decoder *dec) {
  return get_rename(dec, dec->wire->rename.newdir, 0);
}

int virtiofs_fuse_decode_rename2(struct virtiofs_fuse_decoder *dec) {
  return get_rename(dec, dec->wire->rename2.newdir, dec->wire->rename2.flags);
}

int virtiofs_fuse_decode_link(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.link.node = dec->wire->link.oldnodeid;
  return virtiofs_fuse_get_name(dec, &dec->req->in.link.name);
}

/* A regular file whatever the type says; a wrong one is an error. */
static int get_file_mode(uint32_t wire, uint32_t *mode) {
  uint32_t type = wire & VIRTIOFS_S_IFMT;
  *mode = VIRTIOFS_S_IFREG | (wire & PERMISSIONS);
  return type == 0 || type == VIRTIOFS_S_IFREG ? 0 : -EINVAL;
}

int virtiofs_fuse_decode_create(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_create_in *in = &dec->req->in.create;
  const struct virtiofs_wire_create_in *wire = &dec->wire->create;
  in->flags = wire->flags | VIRTIOFS_WIRE_O_CREAT;
  in->umask = wire->umask & UMASK;
  in->open_flags = virtiofs_fuse_if_agreed(dec, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, wire->open_flags);
  int rc = get_file_mode(wire->mode, &in->mode);
  if (rc == 0)
    rc = virtiofs_fuse_get_name(dec, &in->name);
  return rc != 0 ? rc : virtiofs_fuse_get_extensions(dec, &in->extensions);
}

/* The name is a dummy, "/" from Linux: it has to end, no more. */
int virtiofs_fuse_decode_tmpfile(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_tmpfile_in *in = &dec->req->in.tmpfile;
  const struct virtiofs_wire_create_in *wire = &dec->wire->create;
  in->flags = wire->flags & ~(VIRTIOFS_WIRE_O_CREAT | VIRTIOFS_WIRE_O_EXCL);
  in->umask = wire->umask & UMASK;
  in->open_flags = virtiofs_fuse_if_agreed(dec, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, wire->open_flags);
  int rc = get_file_mode(wire->mode, &in->mode);
  if (rc == 0 && virtiofs_cursor_read_string(dec->cur, dec->req->storage, VIRTIOFS_FUSE_NAME_MAX + 1) < 0)
    rc = dec->cur->left > VIRTIOFS_FUSE_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
  return rc != 0 ? rc : virtiofs_fuse_get_extensions(dec, &in->extensions);
}

/* Xattr names have '/' if somebody likes. */
int virtiofs_fuse_decode_removexattr(struct virtiofs_fuse_decoder *dec) {
  return virtiofs_fuse_get_text(dec, &dec->req->in.removexattr.name, VIRTIOFS_FUSE_NAME_MAX);
}

int virtiofs_fuse_decode_setxattr(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_setxattr_in *in = &dec->req->in.setxattr;
  in->flags = dec->wire->setxattr.flags;
  in->setxattr_flags = dec->wire->setxattr.setxattr_flags;
  int rc = virtiofs_fuse_get_text(dec, &in->name, VIRTIOFS_FUSE_NAME_MAX);
  if (rc != 0)
    return rc;
  if (dec->wire->setxattr.size > VIRTIOFS_XATTR_MAX)
    return -E2BIG;
  return virtiofs_fuse_get_data(dec, &in->value, dec->wire->setxattr.size);
}

int virtiofs_fuse_decode_getxattr(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_getxattr_in *in = &dec->req->in.getxattr;
  in->size = dec->wire->getxattr.size;
  in->data = (struct virtiofs_data){0};
  return virtiofs_fuse_get_text(dec, &in->name, VIRTIOFS_FUSE_NAME_MAX);
}

int virtiofs_fuse_decode_listxattr(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.listxattr.size = dec->wire->getxattr.size;
  dec->req->in.listxattr.data = (struct virtiofs_data){0};
  return 0;
}
