/* SPDX-License-Identifier: BSD-3-Clause */
/** Names of extended attributes in a guest and on the host: virtiofsd's rule language. Pure. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_XATTRMAP_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_XATTRMAP_H

#include <stdbool.h>
#include <stddef.h>

/** Longest name on a Linux host, without its NUL. */
#define PASSTHROUGH_XATTR_NAME_MAX 255

/** A list of rules; the first that matches counts. Never changes. */
struct xattrmap;

/** A name as the host has it. */
struct xattr_name {
  char str[PASSTHROUGH_XATTR_NAME_MAX + 1];
  bool meant; /**< the rule says more than "all names": whoever wrote it meant this one */
};

/**
 * virtiofs_passthrough_xattrmap_parse - read rules
 * @map:  the rules, to be freed
 * @text: ":type:scope:key:prepend:" or ":map:key:prepend:", any number, with white space around them. Each rule's first
 *        character is its separator. type: prefix, ok, bad, unsupported; scope: client, server, all. A "map" is
 *        the last rule
 * @why:  what is wrong, a constant
 * @at:   where, in bytes
 *
 * Return: 0; -EINVAL, with @why and @at; -ENOMEM.
 */
int virtiofs_passthrough_xattrmap_parse(struct xattrmap **map, const char *text, const char **why, size_t *at);

/** virtiofs_passthrough_xattrmap_free - NULL is fine. */
void virtiofs_passthrough_xattrmap_free(struct xattrmap *map);

/**
 * virtiofs_passthrough_xattrmap_client - the host's name for a guest's
 * @map:   NULL: names are the same on both sides
 * @name:  the guest's
 * @out:   filled
 *
 * Return: 0; -EPERM for a "bad" rule and where no rule matches; -EOPNOTSUPP for "unsupported"; -ERANGE for a name that
 * is too long.
 */
int virtiofs_passthrough_xattrmap_client(const struct xattrmap *map, const char *name, struct xattr_name *out);

/**
 * virtiofs_passthrough_xattrmap_server - the guest's name for one that the host lists
 * @map:   as above
 * @name:  the host's
 * @meant: as in struct xattr_name
 *
 * Return: the end of @name that the guest sees; NULL if it sees nothing.
 */
const char *virtiofs_passthrough_xattrmap_server(const struct xattrmap *map, const char *name, bool *meant);

/**
 * virtiofs_passthrough_xattrmap_reaches - can a rule that means more than "all names" make one of the host's that begins
 * so?
 * @prefix: of names; security.capability, which anybody may have, is not counted
 */
bool virtiofs_passthrough_xattrmap_reaches(const struct xattrmap *map, const char *prefix);

#endif
