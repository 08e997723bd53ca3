/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes: a list in each node, as there are few. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

struct xattr {
  struct xattr *next;
  uint32_t len, size;
  char bytes[]; /* the name with its NUL, then the value */
};

static const char *value_of(const struct xattr *xattr) {
  return xattr->bytes + xattr->len + 1;
}

/* What it counts for; also the least of what it takes, so that a node can't have too many small ones. */
static uint32_t cost_of(const struct xattr *xattr) {
  return (uint32_t)sizeof *xattr + xattr->len + 1 + xattr->size;
}

static bool is_capability(const char *name) {
  return strcmp(name, "security.capability") == 0;
}

/* Names of the other namespaces have a meaning that a backend must know (ACLs), or none at all. */
static int check_name(const struct virtiofs_name *name) {
  static const char *const prefixes[] = {"user.", "trusted.", "security."};
  if (name->len > MEMFS_NAME_MAX)
    return -ERANGE;
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    size_t len = strlen(prefixes[i]);
    if (strncmp(name->str, prefixes[i], len) == 0)
      return name->len == len ? -EINVAL : 0;
  }
  return -EOPNOTSUPP;
}

static int xattr_new(const struct virtiofs_name *name, uint32_t size, struct xattr **out) {
  int rc = check_name(name);
  if (rc != 0)
    return rc;
  struct xattr *xattr = malloc(sizeof *xattr + name->len + 1 + size);
  if (xattr == NULL)
    return -ENOMEM;
  *xattr = (struct xattr){.len = name->len, .size = size};
  memcpy(xattr->bytes, name->str, name->len);
  xattr->bytes[name->len] = 0;
  *out = xattr;
  return 0;
}

static struct xattr **find(struct node *node, const char *name, uint32_t len) {
  struct xattr **link = &node->xattrs;
  while (*link != NULL && ((*link)->len != len || memcmp((*link)->bytes, name, len) != 0))
    link = &(*link)->next;
  return link;
}

static void take_out(struct virtiofs_memfs *fs, struct node *node, struct xattr **link) {
  struct xattr *xattr = *link;
  *link = xattr->next;
  node->xattr_bytes -= cost_of(xattr);
  virtiofs_memfs_bytes_give(fs, cost_of(xattr));
  if (is_capability(xattr->bytes))
    node->capability = false;
  free(xattr);
}

/* @xattr is the node's after a success. */
static int put_in(struct virtiofs_memfs *fs, struct node *node, struct xattr *xattr, uint32_t flags) {
  struct xattr **link = find(node, xattr->bytes, xattr->len);
  if (*link != NULL && (flags & XATTR_CREATE) != 0)
    return -EEXIST;
  if (*link == NULL && (flags & XATTR_REPLACE) != 0)
    return -ENODATA;
  uint32_t before = *link != NULL ? cost_of(*link) : 0;
  if (cost_of(xattr) > fs->max_xattr || node->xattr_bytes - before > fs->max_xattr - cost_of(xattr))
    return -ENOSPC;
  int rc = virtiofs_memfs_bytes_take(fs, cost_of(xattr));
  if (rc != 0)
    return rc;
  if (*link != NULL)
    take_out(fs, node, link);
  xattr->next = node->xattrs;
  node->xattrs = xattr;
  node->xattr_bytes += cost_of(xattr);
  if (is_capability(xattr->bytes))
    node->capability = true;
  return 0;
}

int virtiofs_memfs_xattr_put(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_name *name,
                             uint32_t flags, const void *value, uint32_t size) {
  struct xattr *xattr;
  int rc = xattr_new(name, size, &xattr);
  if (rc != 0)
    return rc;
  if (size > 0)
    memcpy(xattr->bytes + name->len + 1, value, size);
  rc = put_in(fs, node, xattr, flags);
  if (rc != 0)
    free(xattr);
  return rc;
}

int virtiofs_memfs_xattr_drop(struct virtiofs_memfs *fs, struct node *node, const char *name, uint32_t len) {
  struct xattr **link = find(node, name, len);
  if (*link == NULL)
    return -ENODATA;
  take_out(fs, node, link);
  return 0;
}

void virtiofs_memfs_xattr_drop_all(struct virtiofs_memfs *fs, struct node *node) {
  while (node->xattrs != NULL)
    take_out(fs, node, &node->xattrs);
}

/* ---- operations ---- */

int virtiofs_memfs_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node);
  struct xattr *xattr;
  if ((in->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)) != 0)
    return -EINVAL;
  if (in->value.size > VIRTIOFS_XATTR_MAX)
    return -E2BIG;
  int rc = xattr_new(&in->name, (uint32_t)in->value.size, &xattr);
  if (rc != 0)
    return rc;
  (void)virtiofs_data_copy(&in->value, 0, xattr->bytes + in->name.len + 1, in->value.size);
  virtiofs_memfs_write_lock(node);
  rc = put_in(fs, node, xattr, in->flags);
  if (rc == 0)
    node->ctime = virtiofs_memfs_now();
  virtiofs_memfs_unlock(node);
  if (rc != 0)
    free(xattr);
  return rc;
}

int virtiofs_memfs_getxattr(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in,
                            struct virtiofs_xattr_out *out) {
  (void)req;
  struct node *node = virtiofs_memfs_node(in->node);
  int rc = check_name(&in->name);
  if (rc != 0)
    return rc;
  virtiofs_memfs_read_lock(node);
  const struct xattr *xattr = *find(node, in->name.str, in->name.len);
  if (xattr == NULL)
    rc = -ENODATA;
  else if (in->size != 0 && xattr->size > in->size)
    rc = -ERANGE;
  else
    out->size = xattr->size;
  if (rc == 0 && in->size != 0)
    (void)virtiofs_data_fill(&in->data, 0, value_of(xattr), xattr->size);
  virtiofs_memfs_unlock(node);
  return rc;
}

/* The guest refuses trusted. names to all but the administrator, but shows the list as it comes. */
static bool is_hidden(const struct virtiofs_req *req, const struct xattr *xattr) {
  return strncmp(xattr->bytes, "trusted.", 8) == 0 && virtiofs_req_caller(req).uid != 0;
}

int virtiofs_memfs_listxattr(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                             struct virtiofs_xattr_out *out) {
  struct node *node = virtiofs_memfs_node(in->node);
  int rc = 0;
  virtiofs_memfs_read_lock(node);
  for (const struct xattr *xattr = node->xattrs; xattr != NULL && rc == 0; xattr = xattr->next) {
    if (is_hidden(req, xattr))
      continue;
    if (in->size != 0 && in->size - out->size < xattr->len + 1)
      rc = -ERANGE;
    else if (in->size != 0)
      (void)virtiofs_data_fill(&in->data, out->size, xattr->bytes, xattr->len + 1);
    out->size += xattr->len + 1;
  }
  virtiofs_memfs_unlock(node);
  return rc;
}

int virtiofs_memfs_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in) {
  struct node *node = virtiofs_memfs_node(in->node);
  int rc = check_name(&in->name);
  if (rc != 0)
    return rc;
  virtiofs_memfs_write_lock(node);
  rc = virtiofs_memfs_xattr_drop(virtiofs_req_fs(req), node, in->name.str, in->name.len);
  if (rc == 0)
    node->ctime = virtiofs_memfs_now();
  virtiofs_memfs_unlock(node);
  return rc;
}
