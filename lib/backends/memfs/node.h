/* SPDX-License-Identifier: BSD-3-Clause */
/** Everything that has attributes. A node is a pointer to one of these; the handle of an open file is that and its
 * access mode, in the bits which are 0 in a pointer. */
#ifndef VIRTIOFS_LIB_BACKENDS_MEMFS_NODE_H
#define VIRTIOFS_LIB_BACKENDS_MEMFS_NODE_H

#include "backends/memfs/fs.h"
#include "backends/memfs/names.h"

struct xattr;

/** A regular file's contents. */
struct contents {
  int fd;         /**< the memfd; -1: never had any, and the size is 0 */
  bool dense;     /**< all pages up to the size are there, and none behind: what a write will take is known */
  bool nameless;  /**< made without a name, and may be given one */
  uint64_t pages; /**< paid for */
};

struct node {
  pthread_rwlock_t lock;     /**< of all that is not said to be constant */
  atomic_uint_fast64_t refs; /**< replies that gave it, handles, and one if it has a name; a directory's children */
  uint64_t ino;              /**< constant */
  uint32_t type;             /**< VIRTIOFS_S_IF..., constant */
  uint32_t mode;             /**< permissions */
  uint32_t nlink;            /**< of a directory: 0 if it was removed, and nothing can be made in it */
  uint32_t uid, gid;
  bool capability; /**< has security.capability */
  uint64_t size;
  struct virtiofs_time atime, mtime, ctime;
  struct virtiofs_time btime; /**< constant */
  struct xattr *xattrs;
  uint32_t xattr_bytes;
  union {
    struct contents file;
    struct {
      struct names names;
      struct node *parent; /**< NULL: the root; changed under `moving` too, so either lock is enough for a look */
    } dir;
    char *target; /**< of a symbolic link, constant */
    struct {
      uint32_t major, minor; /**< constant */
    } device;
  };
};

/** virtiofs_memfs_node - the node that a reply of ours named so. */
struct node *virtiofs_memfs_node(uint64_t node);

/**
 * virtiofs_memfs_handle - of an open file
 * @flags: open(2)'s; the access mode counts
 */
uint64_t virtiofs_memfs_handle(const struct node *node, uint32_t flags);

/** virtiofs_memfs_handle_node - the node that a file's handle holds. */
struct node *virtiofs_memfs_handle_node(uint64_t handle);

/** virtiofs_memfs_may_read - was it opened for that? virtiofs_memfs_may_write - and for that? */
bool virtiofs_memfs_may_read(uint64_t handle);
bool virtiofs_memfs_may_write(uint64_t handle);

/**
 * virtiofs_memfs_node_new - a node that nobody knows
 * @mode: with its type
 * @out:  with one reference; times are now; links are 1, or 2
 *
 * Return: 0; -ENOSPC; -ENOMEM.
 */
int virtiofs_memfs_node_new(struct virtiofs_memfs *fs, uint32_t mode, struct node **out);

/** virtiofs_memfs_node_get - @count references more, by who has one or a lock that keeps one. Return: @node. */
struct node *virtiofs_memfs_node_get(struct node *node, uint64_t count);

/** virtiofs_memfs_node_put - @count references less; NULL is fine. No lock is held by who may drop the last. */
void virtiofs_memfs_node_put(struct virtiofs_memfs *fs, struct node *node, uint64_t count);

void virtiofs_memfs_read_lock(struct node *node);
void virtiofs_memfs_write_lock(struct node *node);
void virtiofs_memfs_unlock(struct node *node);

/** virtiofs_memfs_attr - all attributes, under the node's lock. */
void virtiofs_memfs_attr(const struct virtiofs_memfs *fs, const struct node *node, struct virtiofs_attr *attr);

/** virtiofs_memfs_attr_valid - how long they may be believed, under the node's lock. */
uint64_t virtiofs_memfs_attr_valid(const struct virtiofs_memfs *fs, const struct node *node);

/** virtiofs_memfs_entry - the reply that gives @node, under its lock; counts as one reference. */
void virtiofs_memfs_entry(const struct virtiofs_memfs *fs, struct node *node, struct virtiofs_entry_out *out);

/** virtiofs_memfs_changed - contents, or the names of a directory, have changed: mtime and ctime; under its lock. */
void virtiofs_memfs_changed(const struct virtiofs_memfs *fs, struct node *node);

/** virtiofs_memfs_accessed - was read: atime, where it says something new (relatime). Takes the lock itself. */
void virtiofs_memfs_accessed(const struct virtiofs_memfs *fs, struct node *node, uint32_t open_flags);

/** virtiofs_memfs_kill_privileges - what a change of contents takes away, under the lock; @suidgid: the bits too. */
void virtiofs_memfs_kill_privileges(struct virtiofs_memfs *fs, struct node *node, bool suidgid);

/* ---- contents; contents.c ---- */

/** virtiofs_memfs_need_file - see that there is a memfd, under the node's lock. Return: 0 or -errno. */
int virtiofs_memfs_need_file(struct virtiofs_memfs *fs, struct node *node);

/** virtiofs_memfs_resize - set a regular file's size, under its lock. Return: 0 or -errno, then nothing has changed. */
int virtiofs_memfs_resize(struct virtiofs_memfs *fs, struct node *node, uint64_t size);

/**
 * virtiofs_memfs_charge - pay for a range of a regular file that will be written, and see that there is a memfd
 * @length: not 0
 * @taken:  bytes, for virtiofs_memfs_settle()
 *
 * Under the node's lock, until it is settled. Return: 0; -ENOSPC; -ENOMEM.
 */
int virtiofs_memfs_charge(struct virtiofs_memfs *fs, struct node *node, uint64_t offset, uint64_t length,
                          uint64_t *taken);

/** virtiofs_memfs_settle - the range was written, or not; the node's size is what it is now. */
void virtiofs_memfs_settle(struct virtiofs_memfs *fs, struct node *node, uint64_t taken);

/** virtiofs_memfs_fallocate_file - fallocate(2) on a memfd. Return: 0 or -errno. */
int virtiofs_memfs_fallocate_file(int fd, int mode, uint64_t offset, uint64_t length);

/* ---- extended attributes; xattr.c ---- */

/**
 * virtiofs_memfs_xattr_put - set one, under the node's lock or before anybody knows the node
 * @flags: of setxattr(2)
 * @value: copied
 *
 * Return: 0; -EEXIST; -ENODATA; -ENOSPC; -ENOMEM; -ERANGE; -EOPNOTSUPP.
 */
int virtiofs_memfs_xattr_put(struct virtiofs_memfs *fs, struct node *node, const struct virtiofs_name *name,
                             uint32_t flags, const void *value, uint32_t size);

/** virtiofs_memfs_xattr_drop - remove one. Return: 0 or -ENODATA. */
int virtiofs_memfs_xattr_drop(struct virtiofs_memfs *fs, struct node *node, const char *name, uint32_t len);

/** virtiofs_memfs_xattr_drop_all - of a node that nobody knows any more. */
void virtiofs_memfs_xattr_drop_all(struct virtiofs_memfs *fs, struct node *node);

#endif
