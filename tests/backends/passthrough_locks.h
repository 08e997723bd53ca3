/* SPDX-License-Identifier: BSD-3-Clause */
/** Locks of a served file, shorter; and the host's own, as those of somebody else. */
#ifndef VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_LOCKS_H
#define VIRTIOFS_TESTS_BACKENDS_PASSTHROUGH_LOCKS_H

#include "passthrough_share.h"

#include <sys/file.h>

#include "backends/passthrough/share.h"

enum { WAIT_MS = 100000, A = 1001, B = 1002, C = 1003 };

/** An open file of a guest, and the file on the host. */
struct file {
  struct share *s;
  uint64_t node, handle;
  int host;
};

static inline struct file file_open(struct share *s, const char *name, uint32_t flags) {
  struct file f = {.s = s};
  if (!share_has(s, name))
    share_put_file(s, name, "text", 0644);
  f.node = share_lookup(s, name);
  f.handle = share_open(s, f.node, flags);
  f.host = openat(s->fd, name, O_RDWR | O_CLOEXEC);
  assert_true(f.host >= 0);
  return f;
}

static inline void file_release(struct file *f) {
  share_release(f->s, f->handle);
  f->handle = 0;
}

static inline void file_close(struct file *f) {
  if (f->handle != 0)
    file_release(f);
  share_forget(f->s, f->node, 1);
  close(f->host);
}

static inline void file_flush(struct file *f, uint64_t owner) {
  struct virtiofs_flush_in in = {.node = f->node, .handle = f->handle, .lock_owner = owner};
  assert_int_equal(f->s->ops->flush(&f->s->req, &in), 0);
}

static inline struct virtiofs_lk_in lk(const struct file *f, uint64_t owner, uint32_t type, uint64_t start,
                                       uint64_t end) {
  return (struct virtiofs_lk_in){.node = f->node,
                                 .handle = f->handle,
                                 .owner = owner,
                                 .lock = {.start = start, .end = end, .type = type, .pid = (uint32_t)owner + 5000}};
}

static inline int lock(const struct file *f, uint64_t owner, uint32_t type, uint64_t start, uint64_t end) {
  struct virtiofs_lk_in in = lk(f, owner, type, start, end);
  return f->s->ops->setlk(&f->s->req, &in);
}

static inline int flock_by(const struct file *f, uint32_t type) {
  struct virtiofs_lk_in in = lk(f, f->handle + 7, type, 0, INT64_MAX);
  in.flock = true;
  return f->s->ops->setlk(&f->s->req, &in);
}

/** What GETLK says to somebody who wants to write all. */
static inline struct virtiofs_lock who(const struct file *f, uint64_t owner) {
  struct virtiofs_lk_in in = lk(f, owner, F_WRLCK, 0, INT64_MAX);
  struct virtiofs_getlk_out out = {.lock = {.type = 99}};
  assert_int_equal(f->s->ops->getlk(&f->s->req, &in, &out), 0);
  return out.lock;
}

/** The host's lock, by the host's own open file. Return: 0 or -errno. */
static inline int host_lock(const struct file *f, short type, off_t start, off_t len) {
  struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  return fcntl(f->host, F_OFD_SETLK, &fl) == 0 ? 0 : -errno;
}

/** A lock that is waited for. */
struct wait {
  struct virtiofs_req req;
  struct virtiofs_lk_in in;
};

static inline int wait_begin(struct wait *w, const struct file *f, const void *session, struct virtiofs_lk_in in) {
  *w = (struct wait){.req = f->s->req, .in = in};
  w->req.session = session;
  return f->s->ops->setlkw(&w->req, &w->in);
}

static inline int wait_for(struct wait *w, const struct file *f, uint64_t owner, uint32_t type, uint64_t start,
                           uint64_t end) {
  return wait_begin(w, f, f->s->req.session, lk(f, owner, type, start, end));
}

static inline uint64_t tries(const struct share *s) {
  pthread_mutex_lock(&s->fs->locks->lock);
  uint64_t count = s->fs->locks->tries;
  pthread_mutex_unlock(&s->fs->locks->lock);
  return count;
}

#endif
