/* SPDX-License-Identifier: BSD-3-Clause */
/** A directory of the host, served to a test. Each test gets a fresh one; none may leave a descriptor open. */
#ifndef VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_SHARE_H
#define VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_SHARE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/passthrough.h>

#include "../support/fake_req.h"
#include "backends/passthrough/fdcache.h"

struct share {
  char base[200]; /* holds the share and, beside it, what must not be reached */
  char dir[220];
  int fd; /* of @dir, for the oracle */
  struct virtiofs_passthrough *fs;
  const struct virtiofs_ops *ops;
  struct virtiofs_req req;
  uint64_t root;
  uint64_t opened; /* the node that was opened last: what is read and written */
  int fds_before;
  struct virtiofs_readdir_out list;
};

/*
 * With VIRTIOFS_TEST_HANDLES in the environment files are known by handle, and next to no descriptor is kept: each
 * operation has to open its file again. Without it each file that is known keeps one.
 */
static inline bool share_has_handles(void) {
  return getenv("VIRTIOFS_TEST_HANDLES") != NULL;
}

static inline int share_all_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

/* With handles those that are only for paths come and go as they like. */
static inline int share_open_fds(void) {
  int paths = 0;
  for (int fd = 0; share_has_handles() && fd < 1024; fd++) {
    int flags = fcntl(fd, F_GETFL);
    paths += flags >= 0 && (flags & O_PATH) != 0;
  }
  return share_all_fds() - paths;
}

/* One that keeps an inode is there where each has one. */
static inline int share_inode_fds(int inodes) {
  return share_has_handles() ? 0 : inodes;
}

static inline struct virtiofs_name share_name(const char *str) {
  return (struct virtiofs_name){.str = str, .len = (uint32_t)strlen(str)};
}

/* Serves with this very config. */
static inline void share_serve_as(struct share *s, struct virtiofs_passthrough_config config) {
  config.size = sizeof config;
  config.shared_dir = s->dir;
  if (config.inode_idle_ms == 0)
    config.inode_idle_ms = UINT32_MAX; /* so that descriptors can be counted */
  int rc = virtiofs_passthrough_new(&s->fs, &config);
  if (rc == -EOPNOTSUPP && config.inode_file_handles == VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY) {
    fprintf(stderr, "SKIP: no file handles in %s, or no right to open by them\n", s->base);
    rmdir(s->dir);
    rmdir(s->base);
    _exit(77);
  }
  assert_int_equal(rc, 0);
  s->req = (struct virtiofs_req){.fs = s->fs, .caller = {.uid = geteuid(), .gid = getegid(), .pid = 1}};
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE, .time_gran = 1, .max_write = 1 << 20};
  s->ops = virtiofs_passthrough_ops();
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  s->root = out.root;
}

static inline void share_serve(struct share *s, struct virtiofs_passthrough_config config) {
  if (!share_has_handles())
    config.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_NEVER;
  else if (geteuid() == 0) /* others fall back to descriptors */
    config.inode_file_handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY;
  config.inode_fds = 2;
  share_serve_as(s, config);
}

static inline int share_setup(void **state) {
  struct share *s = calloc(1, sizeof *s);
  const char *tmp = getenv("TMPDIR");
  umask(0);
  s->fds_before = share_all_fds();
  snprintf(s->base, sizeof s->base, "%s/virtiofs-passthrough-XXXXXX", tmp != NULL && *tmp != 0 ? tmp : "/tmp");
  if (mkdtemp(s->base) == NULL || chmod(s->base, 0755) != 0)
    return -1;
  snprintf(s->dir, sizeof s->dir, "%s/share", s->base);
  if (mkdir(s->dir, 0777) != 0)
    return -1;
  s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 5, .attr_valid_ns = 7});
  *state = s;
  return 0;
}

static inline int share_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static inline int share_teardown(void **state) {
  struct share *s = *state;
  virtiofs_passthrough_free(s->fs);
  close(s->fd);
  nftw(s->base, share_remove, 16, FTW_DEPTH | FTW_PHYS);
  int leaked = share_all_fds() - s->fds_before;
  free(s);
  if (leaked != 0)
    print_error("%d descriptors leaked\n", leaked);
  return leaked;
}

/* ---- the oracle: the host's own calls ---- */

static inline void share_put_file(const struct share *s, const char *name, const char *text, mode_t mode) {
  int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(fchmod(fd, mode), 0);
  close(fd);
}

static inline struct stat share_stat(const struct share *s, const char *name) {
  struct stat st;
  assert_int_equal(fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return st;
}

static inline bool share_has(const struct share *s, const char *name) {
  struct stat st;
  return fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void share_assert_attr(const struct virtiofs_attr *attr, const struct stat *st) {
  assert_int_equal(attr->ino, st->st_ino);
  assert_int_equal(attr->mode, st->st_mode);
  assert_int_equal(attr->nlink, st->st_nlink);
  assert_int_equal(attr->uid, st->st_uid);
  assert_int_equal(attr->gid, st->st_gid);
  assert_int_equal(attr->size, st->st_size);
  assert_int_equal(attr->blocks, st->st_blocks);
  assert_int_equal(attr->blksize, st->st_blksize);
  assert_int_equal(attr->atime.sec, st->st_atim.tv_sec);
  assert_int_equal(attr->atime.nsec, st->st_atim.tv_nsec);
  assert_int_equal(attr->mtime.sec, st->st_mtim.tv_sec);
  assert_int_equal(attr->mtime.nsec, st->st_mtim.tv_nsec);
  assert_int_equal(attr->ctime.sec, st->st_ctim.tv_sec);
  assert_int_equal(attr->ctime.nsec, st->st_ctim.tv_nsec);
}

/* ---- the operations, shorter ---- */

static inline int share_try_lookup(struct share *s, uint64_t parent, const char *name, struct virtiofs_entry_out *out) {
  struct virtiofs_lookup_in in = {.parent = parent, .name = share_name(name)};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->lookup(&s->req, &in, out);
}

static inline uint64_t share_lookup(struct share *s, const char *name) {
  struct virtiofs_entry_out out;
  assert_int_equal(share_try_lookup(s, s->root, name, &out), 0);
  assert_int_not_equal(out.node, 0);
  return out.node;
}

static inline void share_forget(struct share *s, uint64_t node, uint64_t replies) {
  struct virtiofs_forget_in in = {.node = node, .replies = replies};
  s->ops->forget(&s->req, &in);
}

/* Until the host has done with a file that has no name and that nobody has open: another program's sync(2) may hold it
 * for a moment, and then a handle still opens it; what the server has opened so it has to close. */
static inline void share_await_stale(struct share *s, uint64_t node) {
  const struct timespec moment = {.tv_nsec = 1000000};
  const struct virtiofs_getattr_in in = {.node = node};
  struct virtiofs_attr_out out;
  int rc = 0;
  for (int i = 0; i < 30000 && (rc = s->ops->getattr(&s->req, &in, &out)) == 0; i++) {
    assert_int_equal(out.attr.nlink, 0);
    (void)virtiofs_passthrough_fdcache_sweep(s->fs); /* what was used lately */
    (void)virtiofs_passthrough_fdcache_sweep(s->fs);
    nanosleep(&moment, NULL);
  }
  assert_int_equal(rc, -ESTALE);
}

static inline int share_try_open(struct share *s, uint64_t node, uint32_t flags, uint64_t *handle) {
  struct virtiofs_open_in in = {.node = node, .flags = flags};
  struct virtiofs_open_out out = {.handle = 0};
  int rc = s->ops->open(&s->req, &in, &out);
  *handle = out.handle;
  if (rc == 0)
    s->opened = node;
  return rc;
}

static inline uint64_t share_open(struct share *s, uint64_t node, uint32_t flags) {
  uint64_t handle;
  assert_int_equal(share_try_open(s, node, flags, &handle), 0);
  return handle;
}

static inline void share_release(struct share *s, uint64_t handle) {
  struct virtiofs_release_in in = {.handle = handle};
  s->ops->release(&s->req, &in);
}

static inline int share_write(struct share *s, uint64_t handle, uint64_t offset, const char *text, uint32_t flags,
                              uint32_t write_flags) {
  struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
  struct virtiofs_write_in in = {.node = s->opened,
                                 .handle = handle,
                                 .offset = offset,
                                 .size = (uint32_t)iov.iov_len,
                                 .flags = flags,
                                 .write_flags = write_flags,
                                 .data = {.iov = &iov, .count = 1, .size = iov.iov_len}};
  struct virtiofs_write_out out = {.size = 0};
  int rc = s->ops->write(&s->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static inline int share_read(struct share *s, uint64_t handle, uint64_t offset, char *buf, uint32_t size) {
  struct iovec iov = {.iov_base = buf, .iov_len = size};
  struct virtiofs_read_in in = {.node = s->opened,
                                .handle = handle,
                                .offset = offset,
                                .size = size,
                                .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_read_out out = {.size = 0};
  int rc = s->ops->read(&s->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static inline int share_try_create(struct share *s, const char *name, uint32_t flags, uint32_t mode,
                                   struct virtiofs_create_out *out) {
  struct virtiofs_create_in in = {
      .parent = s->root, .name = share_name(name), .flags = flags | O_CREAT, .mode = S_IFREG | mode};
  *out = (struct virtiofs_create_out){.open = {.handle = 0}};
  int rc = s->ops->create(&s->req, &in, out);
  if (rc == 0)
    s->opened = out->entry.node;
  return rc;
}

static inline int share_try_mknod(struct share *s, const char *name, uint32_t mode, uint32_t major, uint32_t minor,
                                  struct virtiofs_entry_out *out) {
  struct virtiofs_mknod_in in = {
      .parent = s->root, .name = share_name(name), .mode = mode, .rdev_major = major, .rdev_minor = minor};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->mknod(&s->req, &in, out);
}

static inline int share_try_mkdir(struct share *s, uint64_t parent, const char *name, uint32_t mode,
                                  struct virtiofs_entry_out *out) {
  struct virtiofs_mkdir_in in = {.parent = parent, .name = share_name(name), .mode = mode};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->mkdir(&s->req, &in, out);
}

static inline int share_try_symlink(struct share *s, const char *name, const char *target,
                                    struct virtiofs_entry_out *out) {
  struct virtiofs_symlink_in in = {.parent = s->root, .name = share_name(name), .target = share_name(target)};
  *out = (struct virtiofs_entry_out){.node = 0};
  return s->ops->symlink(&s->req, &in, out);
}

static inline uint64_t share_opendir(struct share *s, uint64_t node) {
  struct virtiofs_opendir_in in = {.node = node};
  struct virtiofs_open_out out = {.handle = 0};
  assert_int_equal(s->ops->opendir(&s->req, &in, &out), 0);
  return out.handle;
}

static inline void share_releasedir(struct share *s, uint64_t handle) {
  struct virtiofs_release_in in = {.handle = handle};
  s->ops->releasedir(&s->req, &in);
}

/* The listing is in s->list afterwards; nodes in it are the caller's to forget. */
static inline int share_list(struct share *s, uint64_t node, uint64_t handle, uint64_t offset, uint32_t size,
                             bool plus) {
  struct virtiofs_readdir_in in = {.node = node, .handle = handle, .offset = offset, .size = size};
  s->list.ops = s->ops;
  s->list.req = &s->req;
  s->list.plus = plus;
  s->list.room = size;
  s->list.count = 0;
  return (plus ? s->ops->readdirplus : s->ops->readdir)(&s->req, &in, &s->list);
}

#define share_test(function) cmocka_unit_test_setup_teardown(function, share_setup, share_teardown)

#endif
