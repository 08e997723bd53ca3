/* SPDX-License-Identifier: BSD-3-Clause */
/** Attributes and entries, as they stand in replies and in directory records. */
#ifndef VIRTIOFS_LIB_FUSE_ATTR_H
#define VIRTIOFS_LIB_FUSE_ATTR_H

#include <stdbool.h>

#include <virtiofs/types.h>

#include "fuse/wire.h"

#define VIRTIOFS_NS_PER_SEC 1000000000U

/* Device numbers: Linux's new_encode_dev(). */
static inline uint32_t virtiofs_fuse_rdev_encode(uint32_t major, uint32_t minor) {
  if ((major | minor) == 0)
    return 0;
  return (minor & 0xffU) | (major << 8) | ((minor & ~0xffU) << 12);
}

static inline void virtiofs_fuse_rdev_decode(uint32_t rdev, uint32_t *major, uint32_t *minor) {
  *major = (rdev & 0xfff00U) >> 8;
  *minor = (rdev & 0xffU) | ((rdev >> 12) & 0xfff00U);
}

/* Cache times: seconds and the rest. */
static inline void virtiofs_fuse_valid_encode(uint64_t valid_ns, uint64_t *sec, uint32_t *nsec) {
  uint64_t whole = valid_ns / VIRTIOFS_NS_PER_SEC;
  *sec = whole;
  *nsec = (uint32_t)(valid_ns - whole * VIRTIOFS_NS_PER_SEC);
}

/* Has the mode one of the seven file types? */
static inline bool virtiofs_fuse_type_known(uint32_t mode) {
  enum {
    KNOWN = 1U << (VIRTIOFS_S_IFSOCK >> 12) | 1U << (VIRTIOFS_S_IFLNK >> 12) | 1U << (VIRTIOFS_S_IFREG >> 12) |
            1U << (VIRTIOFS_S_IFBLK >> 12) | 1U << (VIRTIOFS_S_IFDIR >> 12) | 1U << (VIRTIOFS_S_IFCHR >> 12) |
            1U << (VIRTIOFS_S_IFIFO >> 12)
  };
  return ((unsigned)KNOWN >> ((mode & VIRTIOFS_S_IFMT) >> 12) & 1U) != 0;
}

static inline bool virtiofs_fuse_rdev_sound(uint32_t major, uint32_t minor) {
  return (major | minor) == 0 || (major < 1U << 12 && minor < 1U << 20);
}

/* Would Linux take it? */
static inline bool virtiofs_fuse_attr_sound(const struct virtiofs_attr *attr) {
  return virtiofs_fuse_type_known(attr->mode) && attr->size <= INT64_MAX && attr->atime.nsec < VIRTIOFS_NS_PER_SEC &&
         attr->mtime.nsec < VIRTIOFS_NS_PER_SEC && attr->ctime.nsec < VIRTIOFS_NS_PER_SEC &&
         virtiofs_fuse_rdev_sound(attr->rdev_major, attr->rdev_minor);
}

/* Writes each byte of @wire and reads none. */
static inline void virtiofs_fuse_attr_put(struct virtiofs_wire_attr *wire, const struct virtiofs_attr *attr) {
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
  wire->flags = attr->flags & (VIRTIOFS_ATTR_SUBMOUNT | VIRTIOFS_ATTR_DAX);
}

/* False, and nothing is written, if @attr is not sound, as Linux would refuse it or worse. */
static inline bool virtiofs_fuse_attr_encode(struct virtiofs_wire_attr *wire, const struct virtiofs_attr *attr) {
  if (!virtiofs_fuse_attr_sound(attr))
    return false;
  virtiofs_fuse_attr_put(wire, attr);
  return true;
}

/* With node 0 there are no attributes to look at. */
static inline bool virtiofs_fuse_entry_sound(const struct virtiofs_entry_out *entry) {
  return entry->node == 0 || virtiofs_fuse_attr_sound(&entry->attr);
}

/* "Not there", and for how long. */
void virtiofs_fuse_nothing_put(struct virtiofs_wire_entry_out *wire, uint64_t valid_ns);

/* An entry that is sound and has a node; each byte of @wire is written and none read. */
static inline void virtiofs_fuse_entry_put(struct virtiofs_wire_entry_out *wire,
                                           const struct virtiofs_entry_out *entry) {
  uint64_t sec;
  uint32_t nsec;
  wire->nodeid = entry->node;
  wire->generation = 0;
  virtiofs_fuse_valid_encode(entry->entry_valid_ns, &sec, &nsec);
  wire->entry_valid = sec;
  wire->entry_valid_nsec = nsec;
  if (entry->attr_valid_ns != entry->entry_valid_ns)
    virtiofs_fuse_valid_encode(entry->attr_valid_ns, &sec, &nsec);
  wire->attr_valid = sec;
  wire->attr_valid_nsec = nsec;
  virtiofs_fuse_attr_put(&wire->attr, &entry->attr);
}

/* The same for any entry; false, and nothing is written, if it is not sound. */
static inline bool virtiofs_fuse_entry_encode(struct virtiofs_wire_entry_out *wire,
                                              const struct virtiofs_entry_out *entry) {
  if (entry->node == 0) {
    virtiofs_fuse_nothing_put(wire, entry->entry_valid_ns);
    return true;
  }
  if (!virtiofs_fuse_attr_sound(&entry->attr))
    return false;
  virtiofs_fuse_entry_put(wire, entry);
  return true;
}

/* The same for STATX. */
bool virtiofs_fuse_statx_encode(struct virtiofs_wire_statx *wire, const struct virtiofs_statx *statx);

/* ---- what a server says: false if it isn't sound ---- */

bool virtiofs_fuse_valid_decode(uint64_t *valid_ns, uint64_t sec, uint32_t nsec);
bool virtiofs_fuse_attr_decode(struct virtiofs_attr *attr, const struct virtiofs_wire_attr *wire);
bool virtiofs_fuse_entry_decode(struct virtiofs_entry_out *out, const struct virtiofs_wire_entry_out *wire);

#endif
