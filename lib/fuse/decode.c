/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "fuse/attr.h"
#include "fuse/table.h"

/* Bits of a SETATTR that have a field in struct virtiofs_setattr_in. */
#define SETATTR_KNOWN                                                                                                  \
  (VIRTIOFS_SET_MODE | VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_SIZE | VIRTIOFS_SET_ATIME |                  \
   VIRTIOFS_SET_MTIME | VIRTIOFS_SET_ATIME_NOW | VIRTIOFS_SET_MTIME_NOW | VIRTIOFS_SET_CTIME |                         \
   VIRTIOFS_SET_KILL_SUIDGID)

#define RENAME_KNOWN (VIRTIOFS_RENAME_NOREPLACE | VIRTIOFS_RENAME_EXCHANGE | VIRTIOFS_RENAME_WHITEOUT)

static int check_range(uint64_t offset, uint64_t size) {
  if (offset > INT64_MAX)
    return -EINVAL;
  return size > INT64_MAX - offset ? -EFBIG : 0;
}

/* Copies a text of 1 .. @max bytes into the request's storage. */
static int get_text(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name, size_t max) {
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

static int get_name(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name) {
  int rc = get_text(dec, name, VIRTIOFS_FUSE_NAME_MAX);
  if (rc != 0)
    return rc;
  if (memchr(name->str, '/', name->len) != NULL || virtiofs_name_is(name, ".") || virtiofs_name_is(name, ".."))
    return -EINVAL;
  return 0;
}

int virtiofs_fuse_decode_node(struct virtiofs_fuse_decoder *dec) {
  (void)dec;
  return 0;
}

/* LOOKUP, UNLINK and RMDIR have the same shape. */
int virtiofs_fuse_decode_name(struct virtiofs_fuse_decoder *dec) { return get_name(dec, &dec->req->in.lookup.name); }

int virtiofs_fuse_decode_forget(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.forget.nlookup = dec->wire->forget.nlookup;
  return 0;
}

int virtiofs_fuse_decode_batch_forget(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fuse_batch_forget_in *in = &dec->req->in.batch_forget;
  uint64_t bytes = (uint64_t)dec->wire->batch_forget.count * sizeof(struct virtiofs_wire_forget_one);
  if (bytes > dec->cur->left)
    return -EINVAL;
  in->count = dec->wire->batch_forget.count;
  in->next = 0;
  in->at = 0;
  struct iovec *first;
  in->data.count = virtiofs_cursor_cut(dec->cur, dec->iov, (size_t)bytes, &first);
  in->data.iov = first;
  in->data.size = (size_t)bytes;
  return 0;
}

bool virtiofs_fuse_forget_next(struct virtiofs_fuse_batch_forget_in *in, struct virtiofs_fuse_forget_in *forget) {
  struct virtiofs_wire_forget_one one;
  if (in->next == in->count)
    return false;
  /* Goes on where the last entry ended: from the beginning each time, a guest could keep its worker for hours. */
  struct virtiofs_cursor cur = {.iov = in->data.iov, .count = in->data.count, .at = in->at, .left = in->data.size};
  if (!virtiofs_cursor_read(&cur, &one, sizeof(one)))
    return false;
  in->data = (struct virtiofs_data){.iov = cur.iov, .count = cur.count, .size = cur.left};
  in->at = cur.at;
  in->next++;
  forget->nodeid = one.nodeid;
  forget->nlookup = one.nlookup;
  return true;
}

int virtiofs_fuse_decode_getattr(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_getattr_in *in = &dec->req->in.getattr;
  in->has_handle = (dec->wire->getattr.getattr_flags & VIRTIOFS_WIRE_GETATTR_FH) != 0;
  in->handle = in->has_handle ? dec->wire->getattr.fh : 0;
  return 0;
}

/* A time that isn't to be set, or set to now, means nothing and may hold anything. */
static int get_time(struct virtiofs_time *time, bool means, uint64_t sec, uint32_t nsec) {
  *time = (struct virtiofs_time){0};
  if (!means)
    return 0;
  *time = (struct virtiofs_time){.sec = (int64_t)sec, .nsec = nsec};
  return nsec < 1000000000U ? 0 : -EINVAL;
}

int virtiofs_fuse_decode_setattr(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_setattr_in *in = &dec->req->in.setattr;
  const struct virtiofs_wire_setattr_in *wire = &dec->wire->setattr;
  in->has_handle = (wire->valid & VIRTIOFS_WIRE_FATTR_FH) != 0;
  in->handle = in->has_handle ? wire->fh : 0;
  in->valid = wire->valid & SETATTR_KNOWN;
  in->mode = wire->mode & 07777U;
  in->uid = wire->uid;
  in->gid = wire->gid;
  in->size = (in->valid & VIRTIOFS_SET_SIZE) != 0 ? wire->size : 0;
  if (in->size > INT64_MAX)
    return -EFBIG;
  if ((in->valid & VIRTIOFS_SET_UID) != 0 && in->uid == UINT32_MAX)
    return -EINVAL;
  if ((in->valid & VIRTIOFS_SET_GID) != 0 && in->gid == UINT32_MAX)
    return -EINVAL;
  bool atime = (in->valid & (VIRTIOFS_SET_ATIME | VIRTIOFS_SET_ATIME_NOW)) == VIRTIOFS_SET_ATIME;
  bool mtime = (in->valid & (VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW)) == VIRTIOFS_SET_MTIME;
  bool ctime = (in->valid & VIRTIOFS_SET_CTIME) != 0;
  int rc = get_time(&in->atime, atime, wire->atime, wire->atimensec);
  if (rc == 0)
    rc = get_time(&in->mtime, mtime, wire->mtime, wire->mtimensec);
  return rc != 0 ? rc : get_time(&in->ctime, ctime, wire->ctime, wire->ctimensec);
}

int virtiofs_fuse_decode_symlink(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_symlink_in *in = &dec->req->in.symlink;
  int rc = get_name(dec, &in->name);
  return rc != 0 ? rc : get_text(dec, &in->target, VIRTIOFS_TARGET_MAX);
}

int virtiofs_fuse_decode_mknod(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_mknod_in *in = &dec->req->in.mknod;
  in->mode = dec->wire->mknod.mode & (VIRTIOFS_S_IFMT | 07777U);
  in->umask = dec->wire->mknod.umask & 0777U;
  virtiofs_fuse_rdev_decode(dec->wire->mknod.rdev, &in->rdev_major, &in->rdev_minor);
  return get_name(dec, &in->name);
}

int virtiofs_fuse_decode_mkdir(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_mkdir_in *in = &dec->req->in.mkdir;
  in->mode = dec->wire->mkdir.mode & 07777U;
  in->umask = dec->wire->mkdir.umask & 0777U;
  return get_name(dec, &in->name);
}

static int get_rename(struct virtiofs_fuse_decoder *dec, uint64_t newdir, uint32_t flags) {
  struct virtiofs_rename_in *in = &dec->req->in.rename;
  in->new_parent = newdir;
  in->flags = flags;
  if ((flags & ~RENAME_KNOWN) != 0)
    return -EINVAL;
  int rc = get_name(dec, &in->name);
  return rc != 0 ? rc : get_name(dec, &in->new_name);
}

int virtiofs_fuse_decode_rename(struct virtiofs_fuse_decoder *dec) {
  return get_rename(dec, dec->wire->rename.newdir, 0);
}

int virtiofs_fuse_decode_rename2(struct virtiofs_fuse_decoder *dec) {
  return get_rename(dec, dec->wire->rename2.newdir, dec->wire->rename2.flags);
}

int virtiofs_fuse_decode_link(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.link.node = dec->wire->link.oldnodeid;
  return get_name(dec, &dec->req->in.link.name);
}

/* OPEN and OPENDIR have the same shape. */
int virtiofs_fuse_decode_open(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.open.flags =
      dec->wire->open.flags & ~(VIRTIOFS_WIRE_O_CREAT | VIRTIOFS_WIRE_O_EXCL | VIRTIOFS_WIRE_O_NOCTTY);
  return 0;
}

int virtiofs_fuse_decode_create(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_create_in *in = &dec->req->in.create;
  uint32_t type = dec->wire->create.mode & VIRTIOFS_S_IFMT;
  in->flags = dec->wire->create.flags | VIRTIOFS_WIRE_O_CREAT;
  in->mode = VIRTIOFS_S_IFREG | (dec->wire->create.mode & 07777U);
  in->umask = dec->wire->create.umask & 0777U;
  if (type != 0 && type != VIRTIOFS_S_IFREG)
    return -EINVAL;
  return get_name(dec, &in->name);
}

int virtiofs_fuse_decode_read(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_read_in *in = &dec->req->in.read;
  in->handle = dec->wire->read.fh;
  in->offset = dec->wire->read.offset;
  in->size = dec->wire->read.size;
  in->flags = dec->wire->read.flags;
  in->data = (struct virtiofs_data){0};
  return check_range(in->offset, in->size);
}

int virtiofs_fuse_decode_write(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_write_in *in = &dec->req->in.write;
  in->handle = dec->wire->write.fh;
  in->offset = dec->wire->write.offset;
  in->size = dec->wire->write.size;
  in->flags = dec->wire->write.flags;
  in->write_flags = dec->wire->write.write_flags;
  if (dec->cur->left != in->size)
    return -EINVAL;
  struct iovec *first;
  in->data.count = virtiofs_cursor_cut(dec->cur, dec->iov, in->size, &first);
  in->data.iov = first;
  in->data.size = in->size;
  return check_range(in->offset, in->size);
}

int virtiofs_fuse_decode_readdir(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_readdir_in *in = &dec->req->in.readdir;
  in->handle = dec->wire->read.fh;
  in->offset = dec->wire->read.offset;
  in->size = dec->wire->read.size;
  return in->offset > INT64_MAX ? -EINVAL : 0;
}

/* RELEASE and RELEASEDIR have the same shape, also below. */
int virtiofs_fuse_decode_release(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_release_in *in = &dec->req->in.release;
  in->handle = dec->wire->release.fh;
  in->flags = dec->wire->release.flags;
  in->release_flags = dec->wire->release.release_flags;
  in->lock_owner = dec->wire->release.lock_owner;
  return 0;
}

int virtiofs_fuse_decode_fsync(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fsync_in *in = &dec->req->in.fsync;
  in->handle = dec->wire->fsync.fh;
  in->data_only = (dec->wire->fsync.fsync_flags & VIRTIOFS_WIRE_FSYNC_FDATASYNC) != 0;
  return 0;
}

int virtiofs_fuse_decode_flush(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.flush.handle = dec->wire->flush.fh;
  dec->req->in.flush.lock_owner = dec->wire->flush.lock_owner;
  return 0;
}

int virtiofs_fuse_decode_fallocate(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fallocate_in *in = &dec->req->in.fallocate;
  in->handle = dec->wire->fallocate.fh;
  in->offset = dec->wire->fallocate.offset;
  in->length = dec->wire->fallocate.length;
  in->mode = dec->wire->fallocate.mode;
  return in->length == 0 ? -EINVAL : check_range(in->offset, in->length);
}

int virtiofs_fuse_decode_lseek(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_lseek_in *in = &dec->req->in.lseek;
  in->handle = dec->wire->lseek.fh;
  in->offset = dec->wire->lseek.offset;
  in->whence = dec->wire->lseek.whence;
  return in->offset > INT64_MAX ? -EINVAL : 0;
}

/* The only request whose size says which fields there are. */
int virtiofs_fuse_decode_init(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_wire_init_in wire = {.major = dec->wire->init.major, .minor = dec->wire->init.minor};
  size_t head = VIRTIOFS_FUSE_INIT_IN_MIN;
  size_t rest = sizeof(wire) - head < dec->cur->left ? sizeof(wire) - head : dec->cur->left;
  rest -= rest % sizeof(uint32_t); /* half a field is none */
  if (!virtiofs_cursor_read(dec->cur, (unsigned char *)&wire + head, rest))
    return -EINVAL;
  struct virtiofs_fuse_init_in *in = &dec->req->in.init;
  in->major = wire.major;
  in->minor = wire.minor;
  in->max_readahead = wire.max_readahead;
  in->flags = wire.flags;
  if ((in->flags & VIRTIOFS_FUSE_INIT_EXT) != 0)
    in->flags |= (uint64_t)wire.flags2 << 32;
  return 0;
}

static void get_header(struct virtiofs_fuse_header *header, const struct virtiofs_wire_in_header *wire) {
  header->len = wire->len;
  header->opcode = wire->opcode;
  header->unique = wire->unique;
  header->nodeid = wire->nodeid;
  header->uid = wire->uid;
  header->gid = wire->gid;
  header->pid = wire->pid;
  header->total_extlen = wire->total_extlen;
}

/* Only as much of a header as there is. */
static int get_broken_header(struct virtiofs_fuse_request *req, struct virtiofs_cursor *cur) {
  struct virtiofs_wire_in_header wire = {0};
  bool has_unique = cur->left >= offsetof(struct virtiofs_wire_in_header, nodeid);
  memset(&req->header, 0, sizeof(req->header));
  if (has_unique && virtiofs_cursor_read(cur, &wire, offsetof(struct virtiofs_wire_in_header, nodeid)))
    req->header.unique = wire.unique;
  return -EPROTO;
}

int virtiofs_fuse_request_decode(struct virtiofs_fuse_request *req, const struct virtiofs_fuse_proto *proto,
                                 struct iovec *iov, uint32_t count) {
  struct virtiofs_wire_in_header header;
  union virtiofs_wire_in wire;
  struct virtiofs_cursor cur;
  virtiofs_cursor_init(&cur, iov, count, virtiofs_iov_len(iov, count));
  if (!virtiofs_cursor_read(&cur, &header, sizeof(header)))
    return get_broken_header(req, &cur);
  get_header(&req->header, &header);
  if (header.len < sizeof(header) || header.len - sizeof(header) > cur.left) {
    req->header = (struct virtiofs_fuse_header){.unique = header.unique};
    return -EPROTO;
  }
  cur.left = header.len - sizeof(header);

  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(header.opcode);
  if (proto->minor == 0 && header.opcode != VIRTIOFS_FUSE_INIT)
    return -EIO;
  if (op == NULL || op->decode == NULL)
    return -ENOSYS;
  size_t extensions = op->extensions ? (size_t)header.total_extlen * 8 : 0;
  if (extensions > cur.left)
    return -EINVAL;
  cur.left -= extensions;
  if (!virtiofs_cursor_read(&cur, &wire, op->in_size))
    return -EINVAL;
  req->in.nodeid = header.nodeid;
  struct virtiofs_fuse_decoder dec = {.req = req, .wire = &wire, .cur = &cur, .iov = iov};
  return op->decode(&dec);
}
