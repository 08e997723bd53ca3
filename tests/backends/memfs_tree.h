/* SPDX-License-Identifier: BSD-3-Clause */
/** A file system in memory, served to a test. Each test gets a fresh one, and gives back every node that it was given;
 * no descriptor may stay open. */
#ifndef VIRTIOFS_TESTS_BACKENDS_MEMFS_TREE_H
#define VIRTIOFS_TESTS_BACKENDS_MEMFS_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <virtiofs/memfs.h>

#include "../support/fake_req.h"

struct tree {
  struct virtiofs_memfs *fs;
  const struct virtiofs_ops *ops;
  struct virtiofs_req req;
  uint64_t root;
  int fds_before;
  struct virtiofs_readdir_out list;
};

static inline int tree_open_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

static inline struct virtiofs_name tree_name(const char *str) {
  return (struct virtiofs_name){.str = str, .len = (uint32_t)strlen(str)};
}

/* Serves another one from now on; the one before must be empty-handed. */
static inline void tree_serve(struct tree *t, struct virtiofs_memfs_config config) {
  virtiofs_memfs_free(t->fs);
  config.size = sizeof config;
  assert_int_equal(virtiofs_memfs_new(&t->fs, &config), 0);
  t->ops = virtiofs_memfs_ops();
  t->req = (struct virtiofs_req){.fs = t->fs, .caller = {.uid = 1000, .gid = 1000, .pid = 1}};
  struct virtiofs_init_in in = {.major = 7, .minor = 45};
  struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE, .semantics = t->ops->semantics};
  assert_int_equal(t->ops->init(&t->req, &in, &out), 0);
  t->root = out.root;
  t->req.semantics = out.semantics;
}

static inline int tree_setup(void **state) {
  struct tree *t = calloc(1, sizeof *t);
  if (t == NULL)
    return -1;
  t->fds_before = tree_open_fds();
  tree_serve(t, (struct virtiofs_memfs_config){.max_bytes = 1 << 20, .max_nodes = 1000});
  *state = t;
  return 0;
}

static inline int tree_teardown(void **state) {
  struct tree *t = *state;
  virtiofs_memfs_free(t->fs);
  int leaked = tree_open_fds() - t->fds_before;
  free(t);
  if (leaked != 0)
    print_error("%d descriptors leaked\n", leaked);
  return leaked;
}

/* ---- the operations, shorter; what they give is given back at once unless they say otherwise ---- */

static inline void tree_forget(struct tree *t, uint64_t node, uint64_t replies) {
  struct virtiofs_forget_in in = {.node = node, .replies = replies};
  if (node != 0)
    t->ops->forget(&t->req, &in);
}

/* The caller forgets the node. */
static inline int tree_try_lookup(struct tree *t, uint64_t parent, const char *name, struct virtiofs_entry_out *out) {
  struct virtiofs_lookup_in in = {.parent = parent, .name = tree_name(name)};
  *out = (struct virtiofs_entry_out){.node = 0};
  int rc = t->ops->lookup(&t->req, &in, out);
  return rc == 0 && out->node == 0 ? -ENOENT : rc;
}

/* The caller forgets the node. */
static inline uint64_t tree_lookup(struct tree *t, uint64_t parent, const char *name) {
  struct virtiofs_entry_out out;
  assert_int_equal(tree_try_lookup(t, parent, name, &out), 0);
  return out.node;
}

static inline bool tree_has(struct tree *t, uint64_t parent, const char *name) {
  struct virtiofs_entry_out out;
  int rc = tree_try_lookup(t, parent, name, &out);
  tree_forget(t, out.node, 1);
  return rc == 0;
}

static inline struct virtiofs_attr tree_attr(struct tree *t, uint64_t node) {
  struct virtiofs_getattr_in in = {.node = node};
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  assert_int_equal(t->ops->getattr(&t->req, &in, &out), 0);
  return out.attr;
}

/* The caller forgets the node. */
static inline int tree_try_mknod(struct tree *t, uint64_t parent, const char *name, uint32_t mode,
                                 struct virtiofs_entry_out *out) {
  struct virtiofs_mknod_in in = {
      .parent = parent, .name = tree_name(name), .mode = mode, .rdev_major = 7, .rdev_minor = 8};
  *out = (struct virtiofs_entry_out){.node = 0};
  return t->ops->mknod(&t->req, &in, out);
}

/* The caller forgets the node. */
static inline uint64_t tree_mknod(struct tree *t, uint64_t parent, const char *name, uint32_t mode) {
  struct virtiofs_entry_out out;
  assert_int_equal(tree_try_mknod(t, parent, name, mode, &out), 0);
  assert_int_not_equal(out.node, 0);
  return out.node;
}

/* The caller forgets the node. */
static inline uint64_t tree_mkdir(struct tree *t, uint64_t parent, const char *name, uint32_t mode) {
  struct virtiofs_mkdir_in in = {.parent = parent, .name = tree_name(name), .mode = mode};
  struct virtiofs_entry_out out = {.node = 0};
  assert_int_equal(t->ops->mkdir(&t->req, &in, &out), 0);
  return out.node;
}

static inline int tree_unlink(struct tree *t, uint64_t parent, const char *name) {
  struct virtiofs_unlink_in in = {.parent = parent, .name = tree_name(name)};
  return t->ops->unlink(&t->req, &in);
}

static inline int tree_rmdir(struct tree *t, uint64_t parent, const char *name) {
  struct virtiofs_rmdir_in in = {.parent = parent, .name = tree_name(name)};
  return t->ops->rmdir(&t->req, &in);
}

static inline int tree_rename(struct tree *t, uint64_t parent, const char *name, uint64_t new_parent,
                              const char *new_name, uint32_t flags) {
  struct virtiofs_rename_in in = {.parent = parent,
                                  .new_parent = new_parent,
                                  .name = tree_name(name),
                                  .new_name = tree_name(new_name),
                                  .flags = flags};
  return t->ops->rename(&t->req, &in);
}

static inline int tree_link(struct tree *t, uint64_t node, uint64_t parent, const char *name) {
  struct virtiofs_link_in in = {.new_parent = parent, .node = node, .name = tree_name(name)};
  struct virtiofs_entry_out out = {.node = 0};
  int rc = t->ops->link(&t->req, &in, &out);
  if (rc == 0)
    assert_int_equal(out.node, node);
  tree_forget(t, out.node, 1);
  return rc;
}

/* The caller releases the handle. */
static inline int tree_try_open(struct tree *t, uint64_t node, uint32_t flags, uint64_t *handle) {
  struct virtiofs_open_in in = {.node = node, .flags = flags};
  struct virtiofs_open_out out = {.handle = 0};
  int rc = t->ops->open(&t->req, &in, &out);
  *handle = out.handle;
  return rc;
}

static inline uint64_t tree_open(struct tree *t, uint64_t node, uint32_t flags) {
  uint64_t handle;
  assert_int_equal(tree_try_open(t, node, flags, &handle), 0);
  return handle;
}

static inline void tree_release(struct tree *t, uint64_t handle) {
  struct virtiofs_release_in in = {.handle = handle};
  t->ops->release(&t->req, &in);
}

static inline int tree_write_bytes(struct tree *t, uint64_t handle, uint64_t offset, const void *bytes, uint32_t size,
                                   uint32_t flags, uint32_t write_flags) {
  struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
  struct virtiofs_write_in in = {.node = handle,
                                 .handle = handle,
                                 .offset = offset,
                                 .size = size,
                                 .flags = flags,
                                 .write_flags = write_flags,
                                 .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_write_out out = {.size = 0};
  int rc = t->ops->write(&t->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static inline int tree_write(struct tree *t, uint64_t handle, uint64_t offset, const char *text) {
  return tree_write_bytes(t, handle, offset, text, (uint32_t)strlen(text), 0, 0);
}

static inline int tree_read(struct tree *t, uint64_t handle, uint64_t offset, void *buf, uint32_t size) {
  struct iovec iov = {.iov_base = buf, .iov_len = size};
  struct virtiofs_read_in in = {.node = handle,
                                .handle = handle,
                                .offset = offset,
                                .size = size,
                                .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_read_out out = {.size = 0};
  int rc = t->ops->read(&t->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static inline int tree_setattr(struct tree *t, struct virtiofs_setattr_in in) {
  struct virtiofs_attr_out out = {.attr_valid_ns = 0};
  return t->ops->setattr(&t->req, &in, &out);
}

static inline int tree_resize(struct tree *t, uint64_t node, uint64_t size) {
  return tree_setattr(t, (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_SIZE, .size = size});
}

static inline int tree_fallocate(struct tree *t, uint64_t handle, int mode, uint64_t offset, uint64_t length) {
  struct virtiofs_fallocate_in in = {
      .node = handle, .handle = handle, .offset = offset, .length = length, .mode = (uint32_t)mode};
  return t->ops->fallocate(&t->req, &in);
}

static inline uint64_t tree_free_pages(struct tree *t) {
  struct virtiofs_statfs_in in = {.node = t->root};
  struct virtiofs_statfs_out out = {.blocks = 0};
  assert_int_equal(t->ops->statfs(&t->req, &in, &out), 0);
  return out.bfree;
}

static inline uint64_t tree_free_nodes(struct tree *t) {
  struct virtiofs_statfs_in in = {.node = t->root};
  struct virtiofs_statfs_out out = {.blocks = 0};
  assert_int_equal(t->ops->statfs(&t->req, &in, &out), 0);
  return out.ffree;
}

static inline uint64_t tree_opendir(struct tree *t, uint64_t node) {
  struct virtiofs_opendir_in in = {.node = node};
  struct virtiofs_open_out out = {.handle = 0};
  assert_int_equal(t->ops->opendir(&t->req, &in, &out), 0);
  return out.handle;
}

static inline void tree_releasedir(struct tree *t, uint64_t handle) {
  struct virtiofs_release_in in = {.handle = handle};
  t->ops->releasedir(&t->req, &in);
}

/* The listing is in t->list afterwards; its nodes are forgotten already. */
static inline int tree_list(struct tree *t, uint64_t node, uint64_t handle, uint64_t offset, uint32_t size, bool plus) {
  struct virtiofs_readdir_in in = {.node = node, .handle = handle, .offset = offset, .size = size};
  t->list.ops = t->ops;
  t->list.req = &t->req;
  t->list.plus = plus;
  t->list.room = size;
  t->list.count = 0;
  int rc = (plus ? t->ops->readdirplus : t->ops->readdir)(&t->req, &in, &t->list);
  for (uint32_t i = 0; plus && i < t->list.count; i++)
    tree_forget(t, t->list.records[i].node, 1);
  return rc;
}

#define tree_test(function) cmocka_unit_test_setup_teardown(function, tree_setup, tree_teardown)

#endif
