/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has locks on what. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/locks.h"
#include "backends/passthrough/share.h"

static struct lock_owner **bucket_of_inode(struct locks *locks, const struct inode *inode) {
  uint64_t h = (uintptr_t)inode / sizeof(*inode) * UINT64_C(0x9e3779b97f4a7c15);
  return &locks->owners[h >> 32 & (LOCK_BUCKETS - 1)];
}

static struct lock_owner **bucket_of_handle(struct locks *locks, uint64_t handle) {
  return &locks->handles[handle * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (LOCK_BUCKETS - 1)];
}

struct lock_guest *virtiofs_passthrough_guest_get(struct locks *locks, const void *session) {
  struct lock_guest *guest = locks->guests;
  while (guest != NULL && guest->session != session)
    guest = guest->next;
  if (guest == NULL && (guest = calloc(1, sizeof(*guest))) != NULL) {
    guest->session = session;
    guest->next = locks->guests;
    locks->guests = guest;
  }
  return guest;
}

void virtiofs_passthrough_guest_put(struct locks *locks, struct lock_guest *guest) {
  if (guest->owners != 0 || guest->ranges != 0 || guest->waiters != 0)
    return;
  struct lock_guest **link = &locks->guests;
  while (*link != guest)
    link = &(*link)->next;
  *link = guest->next;
  free(guest);
}

/* The table's lock is held. */
static struct lock_owner *find(struct locks *locks, const void *session, const struct inode *inode, uint64_t id) {
  struct lock_owner *owner = *bucket_of_inode(locks, inode);
  while (owner != NULL && (owner->inode != inode || owner->id != id || owner->guest->session != session))
    owner = owner->next;
  if (owner != NULL)
    owner->users++;
  return owner;
}

/* Puts a new one in, unless another thread has just done that, or the guest has enough. */
static int enter(struct locks *locks, const void *session, struct lock_owner *fresh, struct lock_owner **out) {
  *out = find(locks, session, fresh->inode, fresh->id);
  if (*out != NULL)
    return 0;
  struct lock_guest *guest = virtiofs_passthrough_guest_get(locks, session);
  if (guest == NULL)
    return -ENOMEM;
  if (guest->owners >= locks->locks_max)
    return -ENOLCK;
  guest->owners++;
  fresh->guest = guest;
  fresh->users = 1;
  struct lock_owner **bucket = bucket_of_inode(locks, fresh->inode);
  fresh->next = *bucket;
  *bucket = fresh;
  *out = fresh;
  return 0;
}

static void owner_free(struct virtiofs_passthrough *fs, struct lock_owner *owner) {
  virtiofs_passthrough_fd_close(fs, owner->fd);
  virtiofs_passthrough_inode_put(fs, owner->inode, 1);
  pthread_mutex_destroy(&owner->lock);
  virtiofs_passthrough_ranges_free(&owner->held);
  free(owner);
}

/*
 * An open file of its own, of what the handle is open for: the host wants a file open for writing to lock it against
 * readers, and not for less, since that has effects of its own (a program that can't be run meanwhile, a copy made by
 * overlayfs).
 */
static int open_for(struct virtiofs_passthrough *fs, uint64_t handle, bool *writable) {
  virtiofs_passthrough_cred_server();
  int flags = fcntl((int)handle, F_GETFL);
  if (flags < 0)
    return virtiofs_passthrough_error(errno);
  *writable = (flags & O_ACCMODE) != O_RDONLY;
  if (!*writable)
    return virtiofs_passthrough_reopen(fs, (int)handle, O_RDONLY);
  /* O_APPEND: nothing is ever written, and a file with chattr +a opens only so. */
  int fd = virtiofs_passthrough_reopen(fs, (int)handle, O_RDWR | O_APPEND);
  return fd == -EACCES ? virtiofs_passthrough_reopen(fs, (int)handle, O_WRONLY | O_APPEND) : fd;
}

static int owner_new(struct virtiofs_passthrough *fs, struct inode *inode, uint64_t id, uint64_t handle,
                     struct lock_owner **out) {
  struct lock_owner *fresh = calloc(1, sizeof(*fresh));
  if (fresh == NULL || pthread_mutex_init(&fresh->lock, NULL) != 0) {
    free(fresh);
    return -ENOMEM;
  }
  fresh->fd = -ENOLCK;
  if (virtiofs_passthrough_fd_take(fs, 1) == 0) {
    fresh->fd = open_for(fs, handle, &fresh->writable);
    if (fresh->fd < 0)
      virtiofs_passthrough_fd_give(fs, 1);
  }
  if (fresh->fd < 0) {
    int rc = fresh->fd;
    pthread_mutex_destroy(&fresh->lock);
    free(fresh);
    return rc;
  }
  virtiofs_passthrough_inode_get(fs, inode);
  fresh->inode = inode;
  fresh->id = id;
  *out = fresh;
  return 0;
}

int virtiofs_passthrough_owner_use(struct virtiofs_req *req, struct inode *inode, uint64_t id, uint64_t handle,
                                   bool make, struct lock_owner **out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct locks *locks = fs->locks;
  const void *session = virtiofs_req_session(req);
  struct lock_owner *fresh;
  pthread_mutex_lock(&locks->lock);
  *out = find(locks, session, inode, id);
  pthread_mutex_unlock(&locks->lock);
  if (*out != NULL)
    return 0;
  if (!make)
    return -ENOENT;
  int rc = owner_new(fs, inode, id, handle, &fresh);
  if (rc != 0)
    return rc;
  pthread_mutex_lock(&locks->lock);
  rc = enter(locks, session, fresh, out);
  pthread_mutex_unlock(&locks->lock);
  if (*out != fresh)
    owner_free(fs, fresh);
  return rc;
}

void virtiofs_passthrough_owner_put(struct virtiofs_passthrough *fs, struct lock_owner *owner) {
  struct locks *locks = fs->locks;
  pthread_mutex_lock(&locks->lock);
  bool gone = --owner->users == 0 && owner->held.count == 0;
  if (gone) {
    struct lock_owner **link = bucket_of_inode(locks, owner->inode);
    while (*link != owner)
      link = &(*link)->next;
    *link = owner->next;
    owner->guest->owners--;
    virtiofs_passthrough_guest_put(locks, owner->guest);
  }
  pthread_mutex_unlock(&locks->lock);
  if (gone)
    owner_free(fs, owner);
}

struct lock_owner *virtiofs_passthrough_owner_of_handle(struct locks *locks, const void *session, uint64_t handle) {
  pthread_mutex_lock(&locks->lock);
  struct lock_owner *owner = *bucket_of_handle(locks, handle);
  while (owner != NULL && (owner->handle != handle || owner->guest->session != session))
    owner = owner->next_of_handle;
  if (owner != NULL)
    owner->users++;
  pthread_mutex_unlock(&locks->lock);
  return owner;
}

struct lock_owner *virtiofs_passthrough_owner_in_the_way(struct locks *locks, const struct lock_owner *owner,
                                                         const struct virtiofs_lock *wanted, struct lock_owner *after,
                                                         const struct virtiofs_lock **lock) {
  struct lock_owner *other = after != NULL ? after->next : *bucket_of_inode(locks, owner->inode);
  for (; other != NULL; other = other->next) {
    if (other == owner || other->inode != owner->inode)
      continue;
    const struct virtiofs_lock *found = virtiofs_passthrough_ranges_find(&other->held, wanted);
    if (lock != NULL)
      *lock = found;
    if (found != NULL)
      return other;
  }
  return NULL;
}

static void leave_handle(struct locks *locks, struct lock_owner *owner) {
  struct lock_owner **link = bucket_of_handle(locks, owner->handle);
  while (*link != owner)
    link = &(*link)->next_of_handle;
  *link = owner->next_of_handle;
  atomic_fetch_sub(&locks->holders, 1);
}

static void enter_handle(struct locks *locks, struct lock_owner *owner, uint64_t handle) {
  struct lock_owner **bucket = bucket_of_handle(locks, handle);
  owner->handle = handle;
  owner->next_of_handle = *bucket;
  *bucket = owner;
  atomic_fetch_add(&locks->holders, 1);
}

void virtiofs_passthrough_owner_note(struct locks *locks, struct lock_owner *owner, uint64_t handle,
                                     struct lock_ranges *held) {
  if (owner->held.count != 0 && held->count == 0)
    leave_handle(locks, owner);
  if (owner->held.count == 0 && held->count != 0)
    enter_handle(locks, owner, handle);
  virtiofs_passthrough_ranges_free(&owner->held);
  owner->held = *held;
  *held = (struct lock_ranges){.count = 0};
}
