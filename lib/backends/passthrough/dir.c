/* SPDX-License-Identifier: BSD-3-Clause */
/* Open directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

enum { BUFFER_SIZE = 32 * 1024 };

/** Records as the host gives them. */
struct window {
  alignas(struct dirent64) char records[BUFFER_SIZE];
};

/** An open directory. */
struct dir {
  pthread_mutex_t lock; /* one listing at a time, over system calls too: it holds up this handle alone */
  int fd;
  uint64_t next;         /* offset of the record at @at; where to go on if there is none left */
  uint64_t position;     /* of the descriptor: behind the last record in the window */
  size_t at, end;        /* of the records that are left */
  struct window *window; /* NULL: each listing has its own, since there are enough that last */
};

static struct dir *dir_of(uint64_t handle) {
  return (struct dir *)(uintptr_t)handle;
}

int virtiofs_passthrough_dir_fd(uint64_t handle) {
  return dir_of(handle)->fd;
}

/* A guest may open as many directories as files: only so many of them have memory that is worth counting. */
static struct window *window_new(struct virtiofs_passthrough *fs) {
  struct window *window = NULL;
  if (atomic_fetch_add_explicit(&fs->dir_windows, 1, memory_order_relaxed) < PASSTHROUGH_DIR_WINDOWS)
    window = malloc(sizeof *window); /* not zeroed: a small directory then touches little of it */
  if (window == NULL)
    atomic_fetch_sub_explicit(&fs->dir_windows, 1, memory_order_relaxed);
  return window;
}

static void window_free(struct virtiofs_passthrough *fs, struct window *window) {
  if (window == NULL)
    return;
  free(window);
  atomic_fetch_sub_explicit(&fs->dir_windows, 1, memory_order_relaxed);
}

int virtiofs_passthrough_opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in,
                                 struct virtiofs_open_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  if (inode->type != S_IFDIR)
    return -ENOTDIR;
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  int path = virtiofs_passthrough_fd_borrow(fs, inode);
  int fd = path;
  if (path >= 0) {
    fd = virtiofs_passthrough_reopen(fs, path, O_RDONLY | O_DIRECTORY);
    virtiofs_passthrough_fd_return(fs, inode, path);
  }
  if (fd < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return fd;
  }
  struct dir *dir = calloc(1, sizeof *dir);
  if (dir == NULL || pthread_mutex_init(&dir->lock, NULL) != 0) {
    free(dir);
    virtiofs_passthrough_fd_close(fs, fd);
    return -ENOMEM;
  }
  dir->fd = fd;
  dir->window = window_new(fs);
  out->handle = (uintptr_t)dir;
  out->flags = virtiofs_passthrough_keep_dir(&fs->caching);
  return 0;
}

void virtiofs_passthrough_releasedir(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  struct dir *dir = dir_of(in->handle);
  virtiofs_passthrough_fd_close(virtiofs_req_fs(req), dir->fd);
  window_free(virtiofs_req_fs(req), dir->window);
  pthread_mutex_destroy(&dir->lock);
  free(dir);
}

int virtiofs_passthrough_fsyncdir(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  int fd = dir_of(in->handle)->fd;
  int rc = in->data_only ? fdatasync(fd) : fsync(fd);
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

/* Offsets are the host's own, so they outlive a change of the directory and fit another handle of it. */
static int seek(struct dir *dir, uint64_t offset) {
  if (offset == dir->next && offset != 0 && (dir->at < dir->end || offset == dir->position))
    return 0;
  /* The beginning is never taken from the buffer: it is how a program asks for what is there now. */
  if (offset != dir->position && lseek(dir->fd, (off_t)offset, SEEK_SET) < 0)
    return virtiofs_passthrough_error(errno);
  dir->next = dir->position = offset;
  dir->at = dir->end = 0;
  return 0;
}

/* Return: 1 if there is a record at @at; 0 at the directory's end; -errno. */
static int fill(struct dir *dir, struct window *window) {
  if (dir->at < dir->end)
    return 1;
  ssize_t n = getdents64(dir->fd, window->records, sizeof window->records);
  if (n < 0)
    return virtiofs_passthrough_error(errno);
  dir->at = 0;
  dir->end = (size_t)n;
  if (n == 0)
    return 0;
  const struct dirent64 *record = NULL;
  for (size_t at = 0; at < dir->end; at += record->d_reclen)
    record = (const struct dirent64 *)(const void *)(window->records + at);
  dir->position = (uint64_t)record->d_off;
  return 1;
}

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Return: 1 if the name went in, 0 if there was no room. */
static int add(struct virtiofs_passthrough *fs, const struct inode *inode, int dirfd,
               const struct virtiofs_dirent *entry, bool plus, struct virtiofs_readdir_out *out) {
  if (!plus)
    return virtiofs_readdir_add(out, entry);
  if (!virtiofs_readdir_fits(out, entry->len))
    return 0;
  /* A name that is gone meanwhile, or for which there is no descriptor left, is listed without a node. */
  struct virtiofs_entry_out node = {.node = 0};
  bool found = !is_dots(entry->name) && virtiofs_passthrough_walk(fs, inode, dirfd, entry->name, &node) == 0;
  return virtiofs_readdirplus_add(out, entry, found ? &node : NULL);
}

static int list(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, bool plus, struct window *window,
                struct virtiofs_readdir_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  const struct inode *inode = virtiofs_passthrough_node(in->node);
  struct dir *dir = dir_of(in->handle);
  bool any = false;
  int rc = seek(dir, in->offset);
  while (rc == 0 && (rc = fill(dir, window)) > 0) {
    const struct dirent64 *record = (const struct dirent64 *)(const void *)(window->records + dir->at);
    struct virtiofs_dirent entry = {.name = record->d_name,
                                    .len = (uint32_t)strlen(record->d_name),
                                    .ino = record->d_ino,
                                    .type = DTTOIF((uint32_t)record->d_type),
                                    .next = (uint64_t)record->d_off};
    if (inode == fs->root && strcmp(record->d_name, "..") == 0)
      entry.ino = inode->ino; /* what lies above the share is nobody's business */
    if (!add(fs, inode, dir->fd, &entry, plus, out))
      return any ? 0 : -EINVAL; /* nothing at all would look like the directory's end */
    any = true;
    dir->next = entry.next;
    dir->at += record->d_reclen;
    rc = 0;
  }
  return any ? 0 : rc;
}

/* What is left of the records is read again. */
__attribute__((noinline)) static int list_without_window(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                                                         bool plus, struct virtiofs_readdir_out *out) {
  struct dir *dir = dir_of(in->handle);
  struct window window;
  int rc = list(req, in, plus, &window, out);
  dir->at = dir->end = 0;
  return rc;
}

static int list_alone(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, bool plus,
                      struct virtiofs_readdir_out *out) {
  struct dir *dir = dir_of(in->handle);
  virtiofs_passthrough_cred_any(virtiofs_req_fs(req));
  pthread_mutex_lock(&dir->lock);
  int rc = dir->window != NULL ? list(req, in, plus, dir->window, out) : list_without_window(req, in, plus, out);
  pthread_mutex_unlock(&dir->lock);
  return rc;
}

int virtiofs_passthrough_readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                                 struct virtiofs_readdir_out *out) {
  return list_alone(req, in, false, out);
}

int virtiofs_passthrough_readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                                     struct virtiofs_readdir_out *out) {
  return list_alone(req, in, true, out);
}
