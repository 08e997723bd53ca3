/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/attr.h"

#define NS_PER_SEC UINT64_C(1000000000)

uint32_t virtiofs_fuse_rdev_encode(uint32_t major, uint32_t minor) {
  return (minor & 0xffU) | (major << 8) | ((minor & ~0xffU) << 12);
}

void virtiofs_fuse_rdev_decode(uint32_t rdev, uint32_t *major, uint32_t *minor) {
  *major = (rdev & 0xfff00U) >> 8;
  *minor = (rdev & 0xffU) | ((rdev >> 12) & 0xfff00U);
}

void virtiofs_fuse_valid_encode(uint64_t valid_ns, uint64_t *sec, uint32_t *nsec) {
  *sec = valid_ns / NS_PER_SEC;
  *nsec = (uint32_t)(valid_ns % NS_PER_SEC);
}

static bool known_type(uint32_t mode) {
  switch (mode & VIRTIOFS_S_IFMT) {
  case VIRTIOFS_S_IFSOCK:
  case VIRTIOFS_S_IFLNK:
  case VIRTIOFS_S_IFREG:
  case VIRTIOFS_S_IFBLK:
  case VIRTIOFS_S_IFDIR:
  case VIRTIOFS_S_IFCHR:
  case VIRTIOFS_S_IFIFO:
    return true;
  default:
    return false;
  }
}

bool virtiofs_fuse_attr_sound(const struct virtiofs_attr *attr) {
  return known_type(attr->mode) && attr->size <= INT64_MAX && attr->atime.nsec < NS_PER_SEC &&
         attr->mtime.nsec < NS_PER_SEC && attr->ctime.nsec < NS_PER_SEC && attr->rdev_major < 1U << 12 &&
         attr->rdev_minor < 1U << 20;
}

bool virtiofs_fuse_attr_encode(struct virtiofs_wire_attr *wire, const struct virtiofs_attr *attr) {
  if (!virtiofs_fuse_attr_sound(attr))
    return false;
  wire->ino = attr->ino;
  wire->size = attr->size;
  wire->blocks = attr->blocks;
  wire->atime = (uint64_t)attr->atime.sec;
  wire->mtime = (uint64_t)attr->mtime.sec;
  wire->ctime = (uint64_t)attr->ctime.sec;
  wire->atimensec = attr->atime.nsec;
  wire->mtimensec = attr->mtime.nsec;
  wire->ctimensec = attr->ctime.nsec;
  wire->mode = attr->mode;
  wire->nlink = attr->nlink;
  wire->uid = attr->uid;
  wire->gid = attr->gid;
  wire->rdev = virtiofs_fuse_rdev_encode(attr->rdev_major, attr->rdev_minor);
  wire->blksize = attr->blksize;
  return true;
}

bool virtiofs_fuse_entry_encode(struct virtiofs_wire_entry_out *wire, const struct virtiofs_entry_out *entry) {
  wire->nodeid = entry->node;
  virtiofs_fuse_valid_encode(entry->entry_valid_ns, &wire->entry_valid, &wire->entry_valid_nsec);
  if (entry->node == 0)
    return true;
  virtiofs_fuse_valid_encode(entry->attr_valid_ns, &wire->attr_valid, &wire->attr_valid_nsec);
  return virtiofs_fuse_attr_encode(&wire->attr, &entry->attr);
}

static void put_time(struct virtiofs_wire_sx_time *wire, const struct virtiofs_time *time) {
  wire->sec = time->sec;
  wire->nsec = time->nsec;
}

bool virtiofs_fuse_statx_encode(struct virtiofs_wire_statx *wire, const struct virtiofs_statx *statx) {
  const struct virtiofs_attr *attr = &statx->attr;
  if (!virtiofs_fuse_attr_sound(attr) || statx->btime.nsec >= NS_PER_SEC)
    return false;
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
