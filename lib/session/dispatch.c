/* SPDX-License-Identifier: BSD-3-Clause */
/* From a decoded request to the backend's operation: a table with a line for each opcode. */
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/probe.h"
#include "session/req.h"

/* Each operation has one shape, so each caller is the same line. */
#define CALL_WITH_OUT(op, in_field, out_field)                                                                         \
  static int call_##op(struct virtiofs_req *req) {                                                                     \
    if (req->session->ops.op == NULL)                                                                                  \
      return -ENOSYS;                                                                                                  \
    return req->session->ops.op(req, &req->fuse.in.in_field, &req->out.out_field);                                     \
  }

#define CALL(op, in_field)                                                                                             \
  static int call_##op(struct virtiofs_req *req) {                                                                     \
    if (req->session->ops.op == NULL)                                                                                  \
      return -ENOSYS;                                                                                                  \
    return req->session->ops.op(req, &req->fuse.in.in_field);                                                          \
  }

CALL_WITH_OUT(lookup, lookup, entry)
CALL_WITH_OUT(getattr, getattr, attr)
CALL_WITH_OUT(setattr, setattr, attr)
CALL_WITH_OUT(readlink, readlink, readlink)
CALL_WITH_OUT(symlink, symlink, entry)
CALL_WITH_OUT(mknod, mknod, entry)
CALL_WITH_OUT(mkdir, mkdir, entry)
CALL_WITH_OUT(link, link, entry)
CALL_WITH_OUT(open, open, open)
CALL_WITH_OUT(opendir, opendir, open)
CALL_WITH_OUT(create, create, create)
CALL_WITH_OUT(read, read, read)
CALL_WITH_OUT(write, write, write)
CALL_WITH_OUT(lseek, lseek, lseek)
CALL(unlink, unlink)
CALL(rmdir, rmdir)
CALL(rename, rename)
CALL(flush, flush)
CALL(fsync, fsync)
CALL(fsyncdir, fsync)
CALL(fallocate, fallocate)
CALL_WITH_OUT(getxattr, getxattr, xattr)
CALL_WITH_OUT(listxattr, listxattr, xattr)
CALL_WITH_OUT(getlk, lk, getlk)
CALL_WITH_OUT(bmap, bmap, bmap)
CALL_WITH_OUT(ioctl, ioctl, ioctl)
CALL_WITH_OUT(poll, poll, poll)
CALL_WITH_OUT(copy_file_range, copy_file_range, copy_file_range)
CALL_WITH_OUT(tmpfile, tmpfile, create)
CALL_WITH_OUT(statx, statx, statx)
CALL(setxattr, setxattr)
CALL(removexattr, removexattr)
CALL(setlk, lk)
CALL(setlkw, lk)
CALL(access, access)
CALL(syncfs, syncfs)

/* Does this mount do without an operation that the backend has? */
static bool is_left_out(const struct virtiofs_session *session, uint32_t opcode) {
  return (session->without >> opcode & 1) != 0;
}

/* As libfuse does: Linux takes no error for "nothing is known", df(1) and whoever else asks would fail. */
static int call_statfs(struct virtiofs_req *req) {
  const struct virtiofs_session *session = req->session;
  if (session->ops.statfs != NULL && !is_left_out(session, VIRTIOFS_FUSE_STATFS))
    return session->ops.statfs(req, &req->fuse.in.statfs, &req->out.statfs);
  req->out.statfs = (struct virtiofs_statfs_out){.bsize = 512, .namelen = 255};
  return 0;
}

static int call_readdir(struct virtiofs_req *req) {
  if (req->session->ops.readdir == NULL)
    return -ENOSYS;
  return req->session->ops.readdir(req, &req->fuse.in.readdir, &req->dir);
}

static int call_readdirplus(struct virtiofs_req *req) {
  if (req->session->ops.readdirplus == NULL)
    return -ENOSYS;
  return req->session->ops.readdirplus(req, &req->fuse.in.readdir, &req->dir);
}

static int call_release(struct virtiofs_req *req) {
  return virtiofs_reclaim_release(req, VIRTIOFS_HANDLE_FILE);
}

static int call_releasedir(struct virtiofs_req *req) {
  return virtiofs_reclaim_release(req, VIRTIOFS_HANDLE_DIR);
}

static int call_forget(struct virtiofs_req *req) {
  virtiofs_reclaim_forget(req);
  return 0;
}

static int call_interrupt(struct virtiofs_req *req) {
  virtiofs_req_interrupt(req->session, req->fuse.in.interrupt.unique);
  return 0;
}

enum {
  NEW_NODE = 1,     /* a success needs a node that is not known yet */
  NEW_HANDLE = 2,   /* a success needs a handle */
  MAYBE_HANDLE = 4, /* has_handle says whether there is one */
  ANY_HANDLE = 32,  /* a file's or a directory's */
  NO_NODE = 8,      /* the request is about no node, or looks after it itself */
  MAYBE_NODE = 16,  /* the guest may have forgotten it: then it is 0 */
};

struct operation {
  int (*call)(struct virtiofs_req *req);
  uint8_t other;        /* offset of a second nodeid in the arguments; 0: none */
  uint8_t handle;       /* offset of a handle; 0: none */
  uint8_t other_handle; /* offset of a second one, of @other; 0: none */
  uint8_t kind;         /* of the handle */
  uint8_t flags;
};

#define OTHER(in, field) .other = offsetof(struct virtiofs_##in##_in, field)
#define FILE_OF(in) .handle = offsetof(struct virtiofs_##in##_in, handle), .kind = VIRTIOFS_HANDLE_FILE
#define OTHER_FILE(in, field) .other_handle = offsetof(struct virtiofs_##in##_in, field)
#define DIR_OF(in) .handle = offsetof(struct virtiofs_##in##_in, handle), .kind = VIRTIOFS_HANDLE_DIR

static const struct operation operations[VIRTIOFS_FUSE_COPY_FILE_RANGE_64 + 1] = {
    [VIRTIOFS_FUSE_LOOKUP] = {.call = call_lookup},
    [VIRTIOFS_FUSE_FORGET] = {.call = call_forget, .flags = NO_NODE},
    [VIRTIOFS_FUSE_GETATTR] = {.call = call_getattr, FILE_OF(getattr), .flags = MAYBE_HANDLE | ANY_HANDLE},
    [VIRTIOFS_FUSE_SETATTR] = {.call = call_setattr, FILE_OF(setattr), .flags = MAYBE_HANDLE},
    [VIRTIOFS_FUSE_READLINK] = {.call = call_readlink},
    [VIRTIOFS_FUSE_SYMLINK] = {.call = call_symlink, .flags = NEW_NODE},
    [VIRTIOFS_FUSE_MKNOD] = {.call = call_mknod, .flags = NEW_NODE},
    [VIRTIOFS_FUSE_MKDIR] = {.call = call_mkdir, .flags = NEW_NODE},
    [VIRTIOFS_FUSE_UNLINK] = {.call = call_unlink},
    [VIRTIOFS_FUSE_RMDIR] = {.call = call_rmdir},
    [VIRTIOFS_FUSE_RENAME] = {.call = call_rename, OTHER(rename, new_parent)},
    [VIRTIOFS_FUSE_LINK] = {.call = call_link, OTHER(link, node)},
    [VIRTIOFS_FUSE_OPEN] = {.call = call_open, .flags = NEW_HANDLE},
    [VIRTIOFS_FUSE_READ] = {.call = call_read, FILE_OF(read)},
    [VIRTIOFS_FUSE_WRITE] = {.call = call_write, FILE_OF(write)},
    [VIRTIOFS_FUSE_STATFS] = {.call = call_statfs},
    [VIRTIOFS_FUSE_RELEASE] = {.call = call_release, .flags = MAYBE_NODE},
    [VIRTIOFS_FUSE_FSYNC] = {.call = call_fsync, FILE_OF(fsync)},
    [VIRTIOFS_FUSE_FLUSH] = {.call = call_flush, FILE_OF(flush)},
    [VIRTIOFS_FUSE_OPENDIR] = {.call = call_opendir, .flags = NEW_HANDLE},
    [VIRTIOFS_FUSE_READDIR] = {.call = call_readdir, DIR_OF(readdir)},
    [VIRTIOFS_FUSE_RELEASEDIR] = {.call = call_releasedir, .flags = MAYBE_NODE},
    [VIRTIOFS_FUSE_FSYNCDIR] = {.call = call_fsyncdir, DIR_OF(fsync)},
    [VIRTIOFS_FUSE_CREATE] = {.call = call_create, .flags = NEW_NODE | NEW_HANDLE},
    [VIRTIOFS_FUSE_BATCH_FORGET] = {call_forget, .flags = NO_NODE},
    [VIRTIOFS_FUSE_FALLOCATE] = {.call = call_fallocate, FILE_OF(fallocate)},
    [VIRTIOFS_FUSE_READDIRPLUS] = {.call = call_readdirplus, DIR_OF(readdir)},
    [VIRTIOFS_FUSE_RENAME2] = {.call = call_rename, OTHER(rename, new_parent)},
    [VIRTIOFS_FUSE_LSEEK] = {.call = call_lseek, FILE_OF(lseek)},
    [VIRTIOFS_FUSE_SETXATTR] = {.call = call_setxattr},
    [VIRTIOFS_FUSE_GETXATTR] = {.call = call_getxattr},
    [VIRTIOFS_FUSE_LISTXATTR] = {.call = call_listxattr},
    [VIRTIOFS_FUSE_REMOVEXATTR] = {.call = call_removexattr},
    [VIRTIOFS_FUSE_GETLK] = {.call = call_getlk, FILE_OF(lk)},
    [VIRTIOFS_FUSE_SETLK] = {.call = call_setlk, FILE_OF(lk)},
    [VIRTIOFS_FUSE_SETLKW] = {.call = call_setlkw, FILE_OF(lk)},
    [VIRTIOFS_FUSE_ACCESS] = {.call = call_access},
    [VIRTIOFS_FUSE_INTERRUPT] = {.call = call_interrupt, .flags = NO_NODE},
    [VIRTIOFS_FUSE_BMAP] = {.call = call_bmap},
    [VIRTIOFS_FUSE_IOCTL] = {.call = call_ioctl, FILE_OF(ioctl), .flags = ANY_HANDLE},
    [VIRTIOFS_FUSE_POLL] = {.call = call_poll, FILE_OF(poll)},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE] = {.call = call_copy_file_range,
                                       FILE_OF(copy_file_range),
                                       OTHER(copy_file_range, node_out),
                                       OTHER_FILE(copy_file_range, handle_out)},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE_64] = {.call = call_copy_file_range,
                                          FILE_OF(copy_file_range),
                                          OTHER(copy_file_range, node_out),
                                          OTHER_FILE(copy_file_range, handle_out)},
    [VIRTIOFS_FUSE_SETUPMAPPING] = {.call = virtiofs_session_setupmapping},
    [VIRTIOFS_FUSE_REMOVEMAPPING] = {.call = virtiofs_session_removemapping, .flags = MAYBE_NODE},
    [VIRTIOFS_FUSE_SYNCFS] = {.call = call_syncfs},
    [VIRTIOFS_FUSE_TMPFILE] = {.call = call_tmpfile, .flags = NEW_NODE | NEW_HANDLE},
    [VIRTIOFS_FUSE_STATX] = {.call = call_statx, FILE_OF(statx), .flags = MAYBE_HANDLE | ANY_HANDLE},
};

/* The 64-bit field of the arguments that begins at @offset. */
static uint64_t *field(struct virtiofs_req *req, uint8_t offset) {
  return (uint64_t *)(void *)((unsigned char *)&req->fuse.in + offset);
}

static int find_node(struct virtiofs_req *req, uint64_t *id, uint32_t index) {
  struct virtiofs_session *session = req->session;
  struct virtiofs_idslot *slot = virtiofs_idtable_get(&session->nodes, *id, &session->hazards.lanes[req->lane], index);
  if (slot == NULL)
    return -ESTALE;
  req->slots[index] = slot;
  *id = slot->value;
  return 0;
}

/* Without an open operation the guest opens by itself and all its handles are 0. */
static bool opens_itself(const struct virtiofs_session *session, uint32_t kind) {
  return kind == VIRTIOFS_HANDLE_FILE ? session->ops.open == NULL : session->ops.opendir == NULL;
}

/* Finds an open file of the node @owner. */
static int find_handle(struct virtiofs_req *req, uint64_t *id, uint32_t kind, uint64_t owner, uint32_t index) {
  struct virtiofs_session *session = req->session;
  if (*id == 0 && opens_itself(session, kind))
    return 0;
  struct virtiofs_idslot *slot =
      virtiofs_idtable_get(&session->handles, *id, &session->hazards.lanes[req->lane], index);
  if (slot == NULL || slot->owner != owner)
    return -EBADF;
  if (slot->kind != kind && (operations[req->fuse.header.opcode].flags & ANY_HANDLE) == 0)
    return -EBADF;
  req->slots[index] = slot;
  *id = slot->value;
  return 0;
}

static bool *has_handle(struct virtiofs_req *req) {
  switch (req->fuse.header.opcode) {
  case VIRTIOFS_FUSE_GETATTR:
    return &req->fuse.in.getattr.has_handle;
  case VIRTIOFS_FUSE_STATX:
    return &req->fuse.in.statx.has_handle;
  default:
    return &req->fuse.in.setattr.has_handle;
  }
}

/* A directory's handle is of no use to GETATTR's backend, which takes it for a file's. */
static int find_maybe_handle(struct virtiofs_req *req, const struct operation *op) {
  bool *has = has_handle(req);
  if (!*has)
    return 0;
  uint64_t *id = field(req, op->handle);
  bool itself = *id == 0 && opens_itself(req->session, VIRTIOFS_HANDLE_FILE);
  int rc = find_handle(req, id, op->kind, req->fuse.header.nodeid, VIRTIOFS_SLOT_HANDLE);
  struct virtiofs_idslot *slot = req->slots[VIRTIOFS_SLOT_HANDLE];
  if (itself || (rc == 0 && slot->kind != VIRTIOFS_HANDLE_FILE)) {
    *has = false;
    *id = 0;
  }
  return rc;
}

/* Leaves in @data the reply's room behind the first @skip bytes, at most @size bytes. */
static void cut(struct virtiofs_req *req, size_t skip, uint32_t size, struct virtiofs_data *data) {
  struct virtiofs_message *msg = req->msg;
  struct virtiofs_cursor cur;
  struct iovec *first;
  virtiofs_cursor_init(&cur, msg->out, msg->out_count, msg->out_len);
  (void)virtiofs_cursor_skip(&cur, skip);
  size_t len = size < cur.left ? size : cur.left;
  if (len == 0) {
    *data = (struct virtiofs_data){.iov = msg->out};
    return;
  }
  if (cur.at < cur.iov->iov_len) {
    req->cut = msg->out + (cur.iov - msg->out);
    req->uncut = *req->cut;
  }
  data->count = virtiofs_cursor_cut(&cur, msg->out, len, &first);
  data->iov = first;
  data->size = len;
}

static void prepare_data(struct virtiofs_req *req) {
  union virtiofs_fuse_in *in = &req->fuse.in;
  switch (req->fuse.header.opcode) {
  case VIRTIOFS_FUSE_READ:
    cut(req, VIRTIOFS_FUSE_OUT_HEADER, in->read.size, &in->read.data);
    in->read.size = (uint32_t)in->read.data.size;
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_GETXATTR:
    req->out.xattr.size_only = in->getxattr.size == 0;
    cut(req, VIRTIOFS_FUSE_OUT_HEADER, in->getxattr.size, &in->getxattr.data);
    in->getxattr.size = (uint32_t)in->getxattr.data.size;
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_LISTXATTR:
    req->out.xattr.size_only = in->listxattr.size == 0;
    cut(req, VIRTIOFS_FUSE_OUT_HEADER, in->listxattr.size, &in->listxattr.data);
    in->listxattr.size = (uint32_t)in->listxattr.data.size;
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_IOCTL:
    cut(req, virtiofs_fuse_reply_room(&req->session->proto, VIRTIOFS_FUSE_IOCTL), in->ioctl.out_size, &in->ioctl.out);
    in->ioctl.out_size = (uint32_t)in->ioctl.out.size;
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_WRITE:
  case VIRTIOFS_FUSE_SETXATTR:
  case VIRTIOFS_FUSE_REMOVEMAPPING: /* its ranges */
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    req->dir = (struct virtiofs_readdir_out){.req = req};
    req->dir.plus = req->fuse.header.opcode == VIRTIOFS_FUSE_READDIRPLUS;
    cut(req, VIRTIOFS_FUSE_OUT_HEADER, in->readdir.size, &req->dir.room);
    virtiofs_fuse_dirents_init(&req->dir.list, &req->session->proto, &req->dir.room);
    req->dir.begun = true;
    in->readdir.size = (uint32_t)req->dir.room.size;
    req->holds_data = true;
    break;
  case VIRTIOFS_FUSE_READLINK:
    /* The names' storage is free: the request has none. */
    req->out.readlink.target = req->fuse.storage;
    break;
  default:
    break;
  }
}

static bool blocks(const struct virtiofs_session *session, uint32_t opcode) {
  if (opcode == VIRTIOFS_FUSE_RENAME2)
    opcode = VIRTIOFS_FUSE_RENAME;
  if (opcode == VIRTIOFS_FUSE_COPY_FILE_RANGE_64)
    opcode = VIRTIOFS_FUSE_COPY_FILE_RANGE;
  return (session->ops.blocking >> opcode & 1) != 0;
}

int virtiofs_req_prepare(struct virtiofs_req *req, bool *blocking) {
  struct virtiofs_session *session = req->session;
  const struct operation *op = &operations[req->fuse.header.opcode];
  uint32_t opcode = req->fuse.header.opcode;
  if (op->call == NULL || (is_left_out(session, opcode) && opcode != VIRTIOFS_FUSE_STATFS))
    return -ENOSYS;
  uint64_t other = op->other != 0 ? *field(req, op->other) : 0;
  int rc = 0;
  if ((op->flags & NO_NODE) == 0)
    rc = find_node(req, field(req, 0), VIRTIOFS_SLOT_NODE);
  if (rc != 0 && (op->flags & MAYBE_NODE) != 0) {
    *field(req, 0) = 0;
    rc = 0;
  }
  if (rc == 0 && op->other != 0)
    rc = find_node(req, field(req, op->other), VIRTIOFS_SLOT_OTHER);
  if (rc == 0 && (op->flags & MAYBE_HANDLE) != 0)
    rc = find_maybe_handle(req, op);
  else if (rc == 0 && op->handle != 0)
    rc = find_handle(req, field(req, op->handle), op->kind, req->fuse.header.nodeid, VIRTIOFS_SLOT_HANDLE);
  if (rc == 0 && op->other_handle != 0)
    rc = find_handle(req, field(req, op->other_handle), op->kind, other, VIRTIOFS_SLOT_OTHER_HANDLE);
  if (rc != 0)
    return rc;
  if ((op->flags & NEW_NODE) != 0 && !virtiofs_reclaim_room(session, &session->nodes))
    return -ENFILE;
  if ((op->flags & NEW_HANDLE) != 0 && !virtiofs_reclaim_room(session, &session->handles))
    return -ENFILE;
  memset(&req->out, 0, sizeof(req->out));
  atomic_store_explicit(&req->semantics, session->semantics, memory_order_relaxed);
  prepare_data(req);
  *blocking = blocks(session, opcode);
  return 0;
}

int virtiofs_req_call(struct virtiofs_req *req) {
  const struct virtiofs_fuse_header *header = &req->fuse.header;
  VIRTIOFS_PROBE_DISPATCH(req->lane, req->msg, header->unique, header->opcode, header->nodeid);
  return operations[req->fuse.header.opcode].call(req);
}
