/* SPDX-License-Identifier: BSD-3-Clause */
/** Attributes and entries, as they stand in replies and in directory records. */
#ifndef VIRTIOFS_LIB_FUSE_ATTR_H
#define VIRTIOFS_LIB_FUSE_ATTR_H

#include <stdbool.h>

#include <virtiofs/types.h>

#include "fuse/wire.h"

/* Would Linux take it? */
bool virtiofs_fuse_attr_sound(const struct virtiofs_attr *attr);

/* @wire is zero before. False if @attr is not sound, as Linux would refuse it or worse. */
bool virtiofs_fuse_attr_encode(struct virtiofs_wire_attr *wire, const struct virtiofs_attr *attr);

/* The same; with node 0 there are no attributes to look at. */
bool virtiofs_fuse_entry_encode(struct virtiofs_wire_entry_out *wire, const struct virtiofs_entry_out *entry);

/* The same for STATX. */
bool virtiofs_fuse_statx_encode(struct virtiofs_wire_statx *wire, const struct virtiofs_statx *statx);

/* Cache times: seconds and the rest. */
void virtiofs_fuse_valid_encode(uint64_t valid_ns, uint64_t *sec, uint32_t *nsec);

/* Device numbers: Linux's new_encode_dev(). */
uint32_t virtiofs_fuse_rdev_encode(uint32_t major, uint32_t minor);
void virtiofs_fuse_rdev_decode(uint32_t rdev, uint32_t *major, uint32_t *minor);

#endif
