/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * From one table of guest memory to the next.
 *
 * The table is the snapshot itself: each function makes a new one, whose regions hold a mapping each, and leaves the
 * old one alone. Regions that stay are not mapped again, so that their addresses in this process stay too.
 */
#ifndef VIRTIOFS_LIB_VHOST_MEMORY_TABLE_H
#define VIRTIOFS_LIB_VHOST_MEMORY_TABLE_H

#include <virtiofs/memory.h>
#include <virtiofs/vhost_user.h>

/**
 * SET_MEM_TABLE: nothing of the old table stays.
 * @table: its count has been checked
 * @fds:   one for each region, borrowed
 *
 * Return: 0; what virtiofs_vhost_mapping_new() and virtiofs_memory_new() return, and then @out is NULL. So the others.
 */
int virtiofs_vhost_memory_table_set(struct virtiofs_memory **out, const struct virtiofs_vhost_user_mem_table *table,
                                    const int *fds) VIRTIOFS_MUST_USE;

/** ADD_MEM_REG. @old may be NULL; @fd is borrowed. */
int virtiofs_vhost_memory_table_add(struct virtiofs_memory **out, const struct virtiofs_memory *old,
                                    const struct virtiofs_vhost_user_region *region, int fd) VIRTIOFS_MUST_USE;

/** REM_MEM_REG. @old may be NULL. -EPROTO: there is no such region. */
int virtiofs_vhost_memory_table_remove(struct virtiofs_memory **out, const struct virtiofs_memory *old,
                                       const struct virtiofs_vhost_user_region *region) VIRTIOFS_MUST_USE;

#endif
