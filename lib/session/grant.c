/* SPDX-License-Identifier: BSD-3-Clause */
/* What a successful reply gives the guest: ids for the backend's nodes and handles. */
#include <errno.h>

#include "session/req.h"

/* The largest value that a backend may say it has read or written. */
static int check_size(uint32_t size, uint32_t asked) {
  return size <= asked ? 0 : -EIO;
}

/* When only the size was asked for, nothing else can be wrong. */
static int check_xattr(uint32_t size, uint32_t asked, bool size_only) {
  return size_only ? 0 : check_size(size, asked);
}

void virtiofs_attr_drop_flags(const struct virtiofs_req *req, struct virtiofs_attr *attr) {
  uint64_t known = virtiofs_req_semantics(req);
  bool directory = (attr->mode & VIRTIOFS_S_IFMT) == VIRTIOFS_S_IFDIR;
  if (!directory || (known & VIRTIOFS_SEMANTICS_SUBMOUNTS) == 0)
    attr->flags &= ~VIRTIOFS_ATTR_SUBMOUNT;
  if ((known & VIRTIOFS_SEMANTICS_HAS_INODE_DAX) == 0)
    attr->flags &= ~VIRTIOFS_ATTR_DAX;
}

/* A node's "." is that node: anything else would give the guest another file for one that it holds. */
static bool is_itself(const struct virtiofs_req *req, uint64_t value) {
  const struct virtiofs_lookup_in *in = &req->fuse.in.lookup;
  return req->fuse.header.opcode != VIRTIOFS_FUSE_LOOKUP || !virtiofs_name_is(&in->name, ".") || value == in->parent;
}

static int grant_node(struct virtiofs_req *req, struct virtiofs_entry_out *entry) {
  uint64_t value = entry->node;
  virtiofs_attr_drop_flags(req, &entry->attr);
  if (value == 0)
    return req->fuse.header.opcode == VIRTIOFS_FUSE_LOOKUP ? 0 : -EIO;
  int rc = is_itself(req, value) ? virtiofs_idtable_hold(&req->session->nodes, value, &entry->node) : -EIO;
  if (rc == -ENFILE && virtiofs_reclaim_room(req->session, &req->session->nodes))
    rc = virtiofs_idtable_hold(&req->session->nodes, value, &entry->node);
  if (rc != 0)
    virtiofs_reclaim_node(req->session, value);
  return rc;
}

static int grant_handle(struct virtiofs_req *req, uint64_t owner, uint32_t kind, struct virtiofs_open_out *open) {
  uint64_t value = open->handle;
  int rc = virtiofs_idtable_add(&req->session->handles, value, kind, owner, &open->handle);
  if (rc != 0)
    virtiofs_reclaim_handle(req->session, value, kind);
  return rc;
}

static int grant_create(struct virtiofs_req *req) {
  struct virtiofs_create_out *out = &req->out.create;
  uint64_t handle = out->open.handle;
  int rc = grant_node(req, &out->entry);
  if (rc != 0) {
    virtiofs_reclaim_handle(req->session, handle, VIRTIOFS_HANDLE_FILE);
    return rc;
  }
  rc = grant_handle(req, out->entry.node, VIRTIOFS_HANDLE_FILE, &out->open);
  if (rc != 0) {
    (void)virtiofs_idtable_forget(&req->session->nodes, out->entry.node, 1);
    virtiofs_reclaim_wake(req->session);
  }
  return rc;
}

int virtiofs_grant(struct virtiofs_req *req) {
  union virtiofs_fuse_out *out = &req->out;
  switch (req->fuse.header.opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    return grant_node(req, &out->entry);
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    return grant_create(req);
  case VIRTIOFS_FUSE_OPEN:
    return grant_handle(req, req->fuse.header.nodeid, VIRTIOFS_HANDLE_FILE, &out->open);
  case VIRTIOFS_FUSE_OPENDIR:
    return grant_handle(req, req->fuse.header.nodeid, VIRTIOFS_HANDLE_DIR, &out->open);
  case VIRTIOFS_FUSE_GETATTR:
  case VIRTIOFS_FUSE_SETATTR:
    virtiofs_attr_drop_flags(req, &out->attr.attr);
    return 0;
  case VIRTIOFS_FUSE_READ:
    return check_size(out->read.size, req->fuse.in.read.size);
  case VIRTIOFS_FUSE_WRITE:
    return check_size(out->write.size, req->fuse.in.write.size);
  case VIRTIOFS_FUSE_GETXATTR:
    return check_xattr(out->xattr.size, req->fuse.in.getxattr.size, out->xattr.size_only);
  case VIRTIOFS_FUSE_LISTXATTR:
    return check_xattr(out->xattr.size, req->fuse.in.listxattr.size, out->xattr.size_only);
  case VIRTIOFS_FUSE_IOCTL:
    return check_size(out->ioctl.size, req->fuse.in.ioctl.out_size);
  case VIRTIOFS_FUSE_COPY_FILE_RANGE:
  case VIRTIOFS_FUSE_COPY_FILE_RANGE_64:
    return out->copy_file_range.size <= req->fuse.in.copy_file_range.len ? 0 : -EIO;
  case VIRTIOFS_FUSE_READLINK:
    return check_size(out->readlink.len, VIRTIOFS_TARGET_MAX);
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    out->read.size = (uint32_t)virtiofs_fuse_dirents_size(&req->dir.list);
    /* An empty listing would mean the end. */
    return req->dir.full && out->read.size == 0 ? -EINVAL : 0;
  default:
    return 0;
  }
}

void virtiofs_grant_undo(struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  uint64_t node = 0, handle = 0, owner = req->fuse.header.nodeid;
  uint32_t kind = VIRTIOFS_HANDLE_FILE;
  switch (req->fuse.header.opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
    node = req->out.entry.node;
    break;
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    node = req->out.create.entry.node;
    handle = req->out.create.open.handle;
    owner = node;
    break;
  case VIRTIOFS_FUSE_OPENDIR:
    kind = VIRTIOFS_HANDLE_DIR;
    handle = req->out.open.handle;
    break;
  case VIRTIOFS_FUSE_OPEN:
    handle = req->out.open.handle;
    break;
  default:
    break;
  }
  if (handle != 0)
    virtiofs_reclaim_take_handle(session, handle, kind, owner);
  if (node != 0)
    (void)virtiofs_idtable_forget(&session->nodes, node, 1);
  virtiofs_reclaim_wake(session);
}
