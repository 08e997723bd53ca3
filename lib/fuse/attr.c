/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/attr.h"

void virtiofs_fuse_nothing_put(struct virtiofs_wire_entry_out *wire, uint64_t valid_ns) {
  *wire = (struct virtiofs_wire_entry_out){0};
  virtiofs_fuse_valid_encode(valid_ns, &wire->entry_valid, &wire->entry_valid_nsec);
}

static void put_time(struct virtiofs_wire_sx_time *wire, const struct virtiofs_time *time) {
  wire->sec = time->sec;
  wire->nsec = time->nsec;
}

bool virtiofs_fuse_statx_encode(struct virtiofs_wire_statx *wire, const struct virtiofs_statx *statx) {
  const struct virtiofs_attr *attr = &statx->attr;
  if (!virtiofs_fuse_attr_sound(attr) || statx->btime.nsec >= VIRTIOFS_NS_PER_SEC)
    return false;
  *wire = (struct virtiofs_wire_statx){0};
  wire->mask = statx->mask;
  wire->blksize = attr->blksize;
  wire->attributes = statx->attributes;
  wire->nlink = attr->nlink;
  wire->uid = attr->uid;
  wire->gid = attr->gid;
  wire->mode = (uint16_t)attr->mode;
  wire->ino = attr->ino;
  wire->size = attr->size;
  wire->blocks = attr->blocks;
  wire->attributes_mask = statx->attributes_mask;
  put_time(&wire->atime, &attr->atime);
  put_time(&wire->btime, &statx->btime);
  put_time(&wire->ctime, &attr->ctime);
  put_time(&wire->mtime, &attr->mtime);
  wire->rdev_major = attr->rdev_major;
  wire->rdev_minor = attr->rdev_minor;
  wire->dev_major = statx->dev_major;
  wire->dev_minor = statx->dev_minor;
  return true;
}

bool virtiofs_fuse_valid_decode(uint64_t *valid_ns, uint64_t sec, uint32_t nsec) {
  if (nsec >= VIRTIOFS_NS_PER_SEC)
    return false;
  *valid_ns = sec > (UINT64_MAX - nsec) / VIRTIOFS_NS_PER_SEC ? VIRTIOFS_FOREVER : sec * VIRTIOFS_NS_PER_SEC + nsec;
  return true;
}

static struct virtiofs_time get_time(uint64_t sec, uint32_t nsec) {
  return (struct virtiofs_time){.sec = (int64_t)sec, .nsec = nsec};
}

bool virtiofs_fuse_attr_decode(struct virtiofs_attr *attr, const struct virtiofs_wire_attr *wire) {
  attr->ino = wire->ino;
  attr->size = wire->size;
  attr->blocks = wire->blocks;
  attr->atime = get_time(wire->atime, wire->atimensec);
  attr->mtime = get_time(wire->mtime, wire->mtimensec);
  attr->ctime = get_time(wire->ctime, wire->ctimensec);
  attr->mode = wire->mode;
  attr->nlink = wire->nlink;
  attr->uid = wire->uid;
  attr->gid = wire->gid;
  attr->blksize = wire->blksize;
  attr->flags = wire->flags & (VIRTIOFS_ATTR_SUBMOUNT | VIRTIOFS_ATTR_DAX);
  virtiofs_fuse_rdev_decode(wire->rdev, &attr->rdev_major, &attr->rdev_minor);
  return virtiofs_fuse_attr_sound(attr);
}

bool virtiofs_fuse_entry_decode(struct virtiofs_entry_out *out, const struct virtiofs_wire_entry_out *wire) {
  out->node = wire->nodeid;
  if (!virtiofs_fuse_valid_decode(&out->entry_valid_ns, wire->entry_valid, wire->entry_valid_nsec))
    return false;
  out->attr_valid_ns = 0;
  out->attr = (struct virtiofs_attr){.ino = 0};
  if (out->node == 0)
    return true;
  return virtiofs_fuse_valid_decode(&out->attr_valid_ns, wire->attr_valid, wire->attr_valid_nsec) &&
         virtiofs_fuse_attr_decode(&out->attr, &wire->attr);
}
