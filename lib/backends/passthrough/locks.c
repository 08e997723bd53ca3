/* SPDX-License-Identifier: BSD-3-Clause */
/* GETLK, SETLK and SETLKW. */
#include "backends/passthrough/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

static const struct virtiofs_lock nothing = {.start = 0, .end = INT64_MAX, .type = F_UNLCK};

int virtiofs_passthrough_locks_new(struct locks **out, uint32_t locks_max, uint32_t waiters_max) {
  struct locks *locks = calloc(1, sizeof(*locks));
  pthread_condattr_t attr;
  *out = NULL;
  if (locks == NULL || pthread_condattr_init(&attr) != 0) {
    free(locks);
    return -ENOMEM;
  }
  (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&locks->wake, &attr);
  if (rc == 0 && (rc = pthread_mutex_init(&locks->lock, NULL)) != 0)
    pthread_cond_destroy(&locks->wake);
  pthread_condattr_destroy(&attr);
  if (rc != 0) {
    free(locks);
    return -ENOMEM;
  }
  locks->locks_max = locks_max != 0 ? locks_max : LOCK_MAX;
  locks->waiters_max = waiters_max != 0 ? waiters_max : LOCK_WAITERS;
  *out = locks;
  return 0;
}

void virtiofs_passthrough_locks_free(struct locks *locks) {
  if (locks == NULL)
    return;
  virtiofs_passthrough_waiters_stop(locks);
  pthread_cond_destroy(&locks->wake);
  pthread_mutex_destroy(&locks->lock);
  free(locks);
}

/* ---- the host's calls ---- */

static struct flock to_host(const struct virtiofs_lock *lock) {
  return (struct flock){.l_type = (short)lock->type,
                        .l_whence = SEEK_SET,
                        .l_start = (off_t)lock->start,
                        .l_len = lock->end == INT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1)};
}

/* fcntl(2) of the owner's open file. -EAGAIN if something is in the way. */
static int set_on_host(int fd, const struct virtiofs_lock *lock) {
  struct flock host = to_host(lock);
  int rc;
  do
    rc = fcntl(fd, F_OFD_SETLK, &host);
  while (rc != 0 && errno == EINTR);
  if (rc == 0)
    return 0;
  if (errno == EACCES)
    return -EAGAIN;
  return virtiofs_passthrough_error(errno);
}

static int try_flock(const struct virtiofs_lk_in *in) {
  int how = in->lock.type == F_RDLCK ? LOCK_SH : in->lock.type == F_WRLCK ? LOCK_EX : LOCK_UN;
  int rc;
  do
    rc = flock((int)in->handle, how | LOCK_NB);
  while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : virtiofs_passthrough_error(errno);
}

/* ---- an owner's locks; its lock is held ---- */

/* Into another open file, whose owner is not there for a moment: no writer gets in between two locks for reading. */
static int move_locks(const struct lock_owner *owner, int fd) {
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < owner->held.count; i++)
    rc = set_on_host(fd, &owner->held.list[i]);
  return rc;
}

/* What was opened for a handle for reading, when the first lock against readers comes by one for writing. */
static int make_writable(struct virtiofs_passthrough *fs, struct lock_owner *owner, uint64_t handle) {
  if (owner->writable)
    return 0;
  int fd = virtiofs_passthrough_reopen(fs, (int)handle, O_RDWR | O_APPEND);
  if (fd < 0)
    return fd;
  int rc = move_locks(owner, fd);
  if (rc != 0) {
    close(fd);
    return rc == -EAGAIN ? -ENOLCK : rc;
  }
  close(owner->fd);
  owner->fd = fd;
  owner->writable = true;
  return 0;
}

/* As the guest's kernel has checked already. */
static int check_access(const struct virtiofs_lk_in *in) {
  int flags = fcntl((int)in->handle, F_GETFL);
  if (flags < 0)
    return virtiofs_passthrough_error(errno);
  int access = flags & O_ACCMODE;
  if (in->lock.type == F_RDLCK && access != O_RDONLY && access != O_RDWR)
    return -EBADF;
  if (in->lock.type == F_WRLCK && access != O_WRONLY && access != O_RDWR)
    return -EBADF;
  return 0;
}

/* Pays for more ranges than there were, or takes back what there are fewer of, which never fails. */
static int pay(struct locks *locks, struct lock_guest *guest, uint32_t from, uint32_t to) {
  int rc = 0;
  pthread_mutex_lock(&locks->lock);
  if (to > from && to - from > locks->locks_max - guest->ranges)
    rc = -ENOLCK;
  else
    guest->ranges = guest->ranges - from + to;
  pthread_mutex_unlock(&locks->lock);
  return rc;
}

static void note(struct locks *locks, struct lock_owner *owner, const struct virtiofs_lk_in *in,
                 struct lock_ranges *next) {
  pthread_mutex_lock(&locks->lock);
  bool had = owner->held.count != 0;
  virtiofs_passthrough_owner_note(locks, owner, in->handle, next);
  if (had && in->lock.type != F_WRLCK)
    virtiofs_passthrough_lock_wake(locks, owner->inode, false);
  pthread_mutex_unlock(&locks->lock);
}

static int set(struct virtiofs_passthrough *fs, struct lock_owner *owner, const struct virtiofs_lk_in *in) {
  struct lock_ranges next;
  int rc = virtiofs_passthrough_ranges_set(&owner->held, &in->lock, &next);
  if (rc != 0)
    return rc;
  const uint32_t before = owner->held.count, after = next.count;
  if (after > before)
    rc = pay(fs->locks, owner->guest, before, after);
  if (rc == 0) {
    if (in->lock.type == F_WRLCK)
      rc = make_writable(fs, owner, in->handle);
    if (rc == 0)
      rc = set_on_host(owner->fd, &in->lock);
    if (rc == 0)
      note(fs->locks, owner, in, &next);
    if ((rc == 0) != (after > before))
      (void)pay(fs->locks, owner->guest, rc == 0 ? before : after, rc == 0 ? after : before);
  }
  virtiofs_passthrough_ranges_free(&next);
  return rc;
}

int virtiofs_passthrough_lock_try(struct virtiofs_passthrough *fs, struct lock_owner *owner,
                                  const struct virtiofs_lk_in *in) {
  if (owner == NULL)
    return try_flock(in);
  pthread_mutex_lock(&owner->lock);
  int rc = set(fs, owner, in);
  pthread_mutex_unlock(&owner->lock);
  return rc;
}

/* All that an owner has on a file; what the host can't be told it learns when the owner's file is closed. */
static void drop(struct virtiofs_passthrough *fs, struct lock_owner *owner) {
  struct lock_ranges none = {.count = 0};
  const struct virtiofs_lk_in in = {.lock = nothing};
  pthread_mutex_lock(&owner->lock);
  (void)set_on_host(owner->fd, &nothing);
  (void)pay(fs->locks, owner->guest, owner->held.count, 0);
  note(fs->locks, owner, &in, &none);
  pthread_mutex_unlock(&owner->lock);
  virtiofs_passthrough_owner_put(fs, owner);
}

/* ---- operations ---- */

/* Locks that the backend doesn't keep are the guest's own: it doesn't ask, or takes ENOSYS for "never ask again". */
static bool is_offered(const struct virtiofs_passthrough *fs, const struct virtiofs_lk_in *in) {
  return in->flock ? fs->flock : fs->posix_lock;
}

/* Shared by SETLK and SETLKW; *@owner stays used after -EAGAIN. */
static int try(struct virtiofs_req *req, const struct virtiofs_lk_in *in, struct lock_owner **owner) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  *owner = NULL;
  if (!is_offered(fs, in))
    return -ENOSYS;
  if (!in->flock) {
    bool unlock = in->lock.type == F_UNLCK;
    int rc = unlock ? 0 : check_access(in);
    if (rc == 0)
      rc = virtiofs_passthrough_owner_use(req, virtiofs_passthrough_node(in->node), in->owner, in->handle, !unlock,
                                          owner);
    if (rc != 0)
      return unlock && rc == -ENOENT ? 0 : rc;
  }
  int rc = virtiofs_passthrough_lock_try(fs, *owner, in);
  /* A lock that could not be changed into another is gone, as flock(2) has it. */
  if (in->flock && (rc != 0 || in->lock.type != F_WRLCK) && atomic_load(&fs->locks->waiters) != 0) {
    pthread_mutex_lock(&fs->locks->lock);
    virtiofs_passthrough_lock_wake(fs->locks, virtiofs_passthrough_node(in->node), true);
    pthread_mutex_unlock(&fs->locks->lock);
  }
  return rc;
}

int virtiofs_passthrough_setlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in) {
  struct lock_owner *owner;
  int rc = try(req, in, &owner);
  if (owner != NULL)
    virtiofs_passthrough_owner_put(virtiofs_req_fs(req), owner);
  return rc;
}

int virtiofs_passthrough_setlkw(struct virtiofs_req *req, const struct virtiofs_lk_in *in) {
  struct lock_owner *owner;
  int rc = try(req, in, &owner);
  if (rc == -EAGAIN)
    rc = virtiofs_passthrough_lock_wait(req, in, owner);
  if (rc != VIRTIOFS_PENDING && owner != NULL)
    virtiofs_passthrough_owner_put(virtiofs_req_fs(req), owner);
  return rc;
}

/* Whose lock it is: the pid, if it is the same guest's. Others' pids mean nothing there. */
static uint32_t pid_of(struct locks *locks, const struct lock_owner *like, const void *session,
                       const struct virtiofs_lock *lock) {
  const struct virtiofs_lock whole = {.start = lock->start, .end = lock->end, .type = F_WRLCK};
  const struct virtiofs_lock *found = NULL;
  uint32_t pid = 0;
  pthread_mutex_lock(&locks->lock);
  struct lock_owner *owner = NULL;
  while (pid == 0 && (owner = virtiofs_passthrough_owner_in_the_way(locks, like, &whole, owner, &found)) != NULL)
    if (owner->guest->session == session && found->type == lock->type)
      pid = found->pid;
  pthread_mutex_unlock(&locks->lock);
  return pid;
}

/* Asks as the owner, whose own locks don't count, or as nobody of whom there are locks. */
int virtiofs_passthrough_getlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in,
                               struct virtiofs_getlk_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  struct lock_owner *owner;
  struct flock host = to_host(&in->lock);
  if (!fs->posix_lock)
    return -ENOSYS;
  if (in->flock || in->lock.type == F_UNLCK)
    return -EINVAL;
  int rc = virtiofs_passthrough_owner_use(req, inode, in->owner, in->handle, false, &owner);
  bool known = rc == 0;
  const struct lock_owner nobody = {.inode = inode};
  if (known)
    pthread_mutex_lock(&owner->lock);
  rc = fcntl(known ? owner->fd : (int)in->handle, F_OFD_GETLK, &host) == 0 ? 0 : virtiofs_passthrough_error(errno);
  if (known)
    pthread_mutex_unlock(&owner->lock);
  out->lock = (struct virtiofs_lock){.type = F_UNLCK};
  if (rc == 0 && host.l_type != F_UNLCK) {
    out->lock.type = host.l_type == F_RDLCK ? F_RDLCK : F_WRLCK;
    out->lock.start = (uint64_t)host.l_start;
    out->lock.end = host.l_len == 0 ? INT64_MAX : (uint64_t)(host.l_start + host.l_len - 1);
    out->lock.pid = pid_of(fs->locks, known ? owner : &nobody, virtiofs_req_session(req), &out->lock);
  }
  if (known)
    virtiofs_passthrough_owner_put(fs, owner);
  return rc;
}

void virtiofs_passthrough_locks_flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct lock_owner *owner;
  if (fs->locks == NULL || atomic_load(&fs->locks->holders) == 0)
    return;
  if (virtiofs_passthrough_owner_use(req, virtiofs_passthrough_node(in->node), in->lock_owner, in->handle, false,
                                     &owner) == 0)
    drop(fs, owner);
}

void virtiofs_passthrough_locks_release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct lock_owner *owner;
  while (fs->locks != NULL && atomic_load(&fs->locks->holders) != 0 &&
         (owner = virtiofs_passthrough_owner_of_handle(fs->locks, virtiofs_req_session(req), in->handle)) != NULL)
    drop(fs, owner);
}

void virtiofs_passthrough_locks_released(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (fs->locks == NULL || atomic_load(&fs->locks->waiters) == 0)
    return;
  pthread_mutex_lock(&fs->locks->lock);
  virtiofs_passthrough_lock_wake(fs->locks, in->node != 0 ? virtiofs_passthrough_node(in->node) : NULL, true);
  pthread_mutex_unlock(&fs->locks->lock);
}
