/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on nodes and on the session. */
#include <errno.h>
#include <string.h>

#include "fuse/table.h"

/* Bits of a SETATTR that have a field in struct virtiofs_setattr_in. */
#define SETATTR_KNOWN                                                                                                  \
  (VIRTIOFS_SET_MODE | VIRTIOFS_SET_UID | VIRTIOFS_SET_GID | VIRTIOFS_SET_SIZE | VIRTIOFS_SET_ATIME |                  \
   VIRTIOFS_SET_MTIME | VIRTIOFS_SET_ATIME_NOW | VIRTIOFS_SET_MTIME_NOW | VIRTIOFS_SET_CTIME |                         \
   VIRTIOFS_SET_KILL_SUIDGID)

int virtiofs_fuse_decode_node(struct virtiofs_fuse_decoder *dec) {
  (void)dec;
  return 0;
}

int virtiofs_fuse_decode_forget(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.forget.nlookup = dec->wire->forget.nlookup;
  return 0;
}

/* An array of @count structs of @each bytes at the cursor, which stays where it is. */
static int get_array(struct virtiofs_fuse_decoder *dec, uint32_t count, size_t each, struct virtiofs_data *data) {
  uint64_t bytes = (uint64_t)count * each;
  struct iovec *first;
  if (bytes > dec->cur->left)
    return -EINVAL;
  data->count = virtiofs_cursor_cut(dec->cur, dec->iov, (size_t)bytes, &first);
  data->iov = first;
  data->size = (size_t)bytes;
  return 0;
}

/* Goes on where the last one ended: from the beginning each time, a guest could keep its worker for hours. */
static bool next_of_array(struct virtiofs_data *data, size_t *at, bool swapped, void *one, size_t each) {
  struct virtiofs_cursor cur = {.iov = data->iov, .count = data->count, .at = *at, .left = data->size};
  if (!virtiofs_cursor_read(&cur, one, each))
    return false;
  *data = (struct virtiofs_data){.iov = cur.iov, .count = cur.count, .size = cur.left};
  *at = cur.at;
  if (swapped)
    virtiofs_wire_swap(one, each, "8");
  return true;
}

int virtiofs_fuse_decode_batch_forget(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fuse_batch_forget_in *in = &dec->req->in.batch_forget;
  in->count = dec->wire->batch_forget.count;
  in->next = 0;
  in->at = 0;
  in->swapped = dec->req->header.swapped;
  return get_array(dec, in->count, sizeof(struct virtiofs_wire_forget_one), &in->data);
}

bool virtiofs_fuse_forget_next(struct virtiofs_fuse_batch_forget_in *in, struct virtiofs_fuse_forget_in *forget) {
  struct virtiofs_wire_forget_one one;
  if (in->next == in->count || !next_of_array(&in->data, &in->at, in->swapped, &one, sizeof(one)))
    return false;
  in->next++;
  forget->nodeid = one.nodeid;
  forget->nlookup = one.nlookup;
  return true;
}

int virtiofs_fuse_decode_removemapping(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_removemapping_in *in = &dec->req->in.removemapping;
  in->count = dec->wire->removemapping.count;
  in->next = 0;
  in->at = 0;
  in->swapped = dec->req->header.swapped;
  return get_array(dec, in->count, sizeof(struct virtiofs_wire_removemapping_one), &in->data);
}

bool virtiofs_removemapping_next(struct virtiofs_removemapping_in *in, struct virtiofs_window_range *range) {
  struct virtiofs_wire_removemapping_one one;
  if (in->next == in->count || !next_of_array(&in->data, &in->at, in->swapped, &one, sizeof(one)))
    return false;
  in->next++;
  range->offset = one.moffset;
  range->len = one.len;
  return true;
}

int virtiofs_fuse_decode_setupmapping(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_setupmapping_in *in = &dec->req->in.setupmapping;
  const struct virtiofs_wire_setupmapping_in *wire = &dec->wire->setupmapping;
  in->handle = wire->fh;
  in->offset = wire->foffset;
  in->len = wire->len;
  in->flags = wire->flags;
  in->window_offset = wire->moffset;
  if (in->len == 0 || in->flags == 0 || (in->flags & ~(VIRTIOFS_MAP_WRITE | VIRTIOFS_MAP_READ)) != 0)
    return -EINVAL;
  if (in->window_offset + in->len < in->window_offset)
    return -EINVAL;
  return virtiofs_fuse_check_range(in->offset, in->len);
}

int virtiofs_fuse_decode_getattr(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_getattr_in *in = &dec->req->in.getattr;
  in->has_handle = (dec->wire->getattr.getattr_flags & VIRTIOFS_WIRE_GETATTR_FH) != 0;
  in->handle = in->has_handle ? dec->wire->getattr.fh : 0;
  return 0;
}

int virtiofs_fuse_decode_statx(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_statx_in *in = &dec->req->in.statx;
  in->has_handle = (dec->wire->statx.getattr_flags & VIRTIOFS_WIRE_GETATTR_FH) != 0;
  in->handle = in->has_handle ? dec->wire->statx.fh : 0;
  in->flags = dec->wire->statx.sx_flags;
  in->mask = dec->wire->statx.sx_mask;
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

int virtiofs_fuse_decode_access(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.access.mask = dec->wire->access.mask;
  return 0;
}

int virtiofs_fuse_decode_bmap(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.bmap.block = dec->wire->bmap.block;
  dec->req->in.bmap.blocksize = dec->wire->bmap.blocksize;
  return dec->wire->bmap.blocksize == 0 ? -EINVAL : 0;
}

int virtiofs_fuse_decode_interrupt(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.interrupt.unique = dec->wire->interrupt.unique;
  return 0;
}

/* The only request whose size says which fields there are. */
int virtiofs_fuse_decode_init(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_wire_init_in wire = {0};
  size_t head = VIRTIOFS_FUSE_INIT_IN_MIN;
  size_t rest = sizeof(wire) - head < dec->cur->left ? sizeof(wire) - head : dec->cur->left;
  rest -= rest % sizeof(uint32_t); /* half a field is none */
  if (!virtiofs_cursor_read(dec->cur, (unsigned char *)&wire + head, rest))
    return -EINVAL;
  if (dec->req->header.swapped)
    virtiofs_wire_swap(&wire, sizeof(wire), "4");
  struct virtiofs_fuse_init_in *in = &dec->req->in.init;
  in->major = dec->wire->init.major;
  in->minor = dec->wire->init.minor;
  in->max_readahead = wire.max_readahead;
  in->flags = wire.flags;
  if ((in->flags & VIRTIOFS_FUSE_INIT_EXT) != 0)
    in->flags |= (uint64_t)wire.flags2 << 32;
  return 0;
}
