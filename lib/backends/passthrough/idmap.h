/* SPDX-License-Identifier: BSD-3-Clause */
/** Ids of users or groups in a guest and on the host: virtiofsd's rules. Pure. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_IDMAP_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_IDMAP_H

#include <stddef.h>
#include <stdint.h>

/** Rules, two lists apart: what they say of one way they don't say of the other. Never changes. */
struct idmap;

/**
 * virtiofs_passthrough_idmap_parse - read rules
 * @map:  the rules, to be freed
 * @text: any number, with white space between: guest:FROM:TO:COUNT, host:FROM:TO:COUNT, squash-guest:FROM:TO:COUNT,
 *        squash-host:FROM:TO:COUNT, forbid-guest:FROM:COUNT, map:GUEST:HOST:COUNT
 * @why:  what is wrong, a constant
 * @at:   where, in bytes
 *
 * Return: 0; -EINVAL, with @why and @at; -ENOMEM.
 */
int virtiofs_passthrough_idmap_parse(struct idmap **map, const char *text, const char **why, size_t *at);

/** virtiofs_passthrough_idmap_free - NULL is fine. */
void virtiofs_passthrough_idmap_free(struct idmap *map);

/**
 * virtiofs_passthrough_idmap_to_host - the host's id for a guest's
 * @map: NULL: they are the same
 *
 * UINT32_MAX, which names nobody, stays itself; so does an id of which no rule speaks.
 *
 * Return: 0; -EPERM if a rule forbids it.
 */
int virtiofs_passthrough_idmap_to_host(const struct idmap *map, uint32_t guest, uint32_t *host);

/** virtiofs_passthrough_idmap_to_guest - the guest's id for the host's, itself if no rule speaks of it. */
uint32_t virtiofs_passthrough_idmap_to_guest(const struct idmap *map, uint32_t host);

#endif
