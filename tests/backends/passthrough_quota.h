/* SPDX-License-Identifier: BSD-3-Clause */
/** What the tests of a quota share. */
#ifndef VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_QUOTA_H
#define VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_QUOTA_H

#include "passthrough_share.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <sys/resource.h>

enum { KIB = 1024, MIB = 1024 * KIB, CHUNK = 64 * KIB };

static inline struct virtiofs_passthrough_usage usage(const struct share *s) {
  struct virtiofs_passthrough_usage u;
  virtiofs_passthrough_usage(s->fs, &u, sizeof u);
  return u;
}

static inline void serve(struct share *s, uint64_t bytes, uint64_t inodes, bool scan) {
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){
                     .quota_bytes = bytes, .quota_inodes = inodes, .quota_scan = scan, .xattr = true});
}

/* What XFS sets aside behind the end of a file that grows isn't charged, but for a little. */
static inline uint64_t host_bytes(const struct share *s, const char *name) {
  struct stat st = share_stat(s, name);
  uint64_t blocks = (uint64_t)st.st_blocks * 512, unit = (uint64_t)st.st_blksize;
  uint64_t most = ((uint64_t)st.st_size / unit + 1) * unit + CHUNK;
  return blocks < most ? blocks : most;
}

/* A chunk at @offset; what write said. */
static inline int put(struct share *s, uint64_t handle, uint64_t offset, size_t size) {
  static _Thread_local char text[CHUNK + 1];
  memset(text, 'x', size);
  text[size] = 0;
  return share_write(s, handle, offset, text, 0, 0);
}

/* Until there is no more room. How much. */
static inline uint64_t fill(struct share *s, uint64_t handle) {
  uint64_t at = 0;
  int rc;
  while ((rc = put(s, handle, at, CHUNK)) == CHUNK)
    at += CHUNK;
  assert_int_equal(rc, -EDQUOT);
  return at;
}

static inline int set_size(struct share *s, uint64_t node, uint64_t size) {
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_SIZE, .size = size};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  return s->ops->setattr(&s->req, &in, &out);
}

static inline int unlink_name(struct share *s, const char *name) {
  struct virtiofs_unlink_in in = {.parent = s->root, .name = share_name(name)};
  return s->ops->unlink(&s->req, &in);
}

static inline int rename_name(struct share *s, const char *from, const char *to, uint32_t flags) {
  struct virtiofs_rename_in in = {
      .parent = s->root, .name = share_name(from), .new_parent = s->root, .new_name = share_name(to), .flags = flags};
  return s->ops->rename(&s->req, &in);
}

static inline int link_name(struct share *s, uint64_t node, const char *name, struct virtiofs_entry_out *out) {
  struct virtiofs_link_in in = {.node = node, .new_parent = s->root, .name = share_name(name)};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->link(&s->req, &in, out);
}

static inline int allocate(struct share *s, uint64_t node, uint64_t handle, uint32_t mode, uint64_t offset,
                           uint64_t length) {
  struct virtiofs_fallocate_in in = {.node = node, .handle = handle, .mode = mode, .offset = offset, .length = length};
  return s->ops->fallocate(&s->req, &in);
}

static inline struct virtiofs_create_out create(struct share *s, const char *name) {
  struct virtiofs_create_out out;
  assert_int_equal(share_try_create(s, name, O_RDWR | O_EXCL, 0644, &out), 0);
  return out;
}

static inline struct virtiofs_statfs_out statfs_of(struct share *s) {
  struct virtiofs_statfs_in in = {.node = s->root};
  struct virtiofs_statfs_out out = {.blocks = 0};
  assert_int_equal(s->ops->statfs(&s->req, &in, &out), 0);
  return out;
}

#endif
