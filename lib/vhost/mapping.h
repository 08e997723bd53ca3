/* SPDX-License-Identifier: BSD-3-Clause */
/** A region of guest memory that is mapped into this process. Counted: unmapped when nobody holds it any more. */
#ifndef VIRTIOFS_LIB_VHOST_MAPPING_H
#define VIRTIOFS_LIB_VHOST_MAPPING_H

#include <stdint.h>

#include <virtiofs/version.h>

struct virtiofs_vhost_mapping;

/**
 * virtiofs_vhost_mapping_new - map a region
 * @out:    with one reference; NULL after an error
 * @fd:     the front-end's; borrowed, not needed any more afterwards
 * @size:   bytes of the region
 * @offset: where it begins in the file
 *
 * Return: 0; -EPROTO if the region is empty, wraps or is not within the file; -ENOMEM; what fstat(2) or mmap(2) says.
 */
int virtiofs_vhost_mapping_new(struct virtiofs_vhost_mapping **out, int fd, uint64_t size,
                               uint64_t offset) VIRTIOFS_MUST_USE;

/** Threads: any. */
struct virtiofs_vhost_mapping *virtiofs_vhost_mapping_ref(struct virtiofs_vhost_mapping *mapping);

/** The last one unmaps. NULL is fine. Threads: any. */
void virtiofs_vhost_mapping_unref(struct virtiofs_vhost_mapping *mapping);

/** Address of the region's first byte. */
void *virtiofs_vhost_mapping_host(const struct virtiofs_vhost_mapping *mapping);

#endif
