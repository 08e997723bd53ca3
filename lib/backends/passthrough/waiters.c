/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks that are waited for. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "backends/passthrough/locks.h"
#include "backends/passthrough/share.h"

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- the list; the table's lock is held ---- */

static int enter(struct locks *locks, struct lock_waiter *waiter, const void *session) {
  waiter->guest = virtiofs_passthrough_guest_get(locks, session);
  if (waiter->guest == NULL)
    return -ENOMEM;
  if (waiter->guest->waiters >= locks->waiters_max)
    return -ENOLCK;
  waiter->guest->waiters++;
  atomic_fetch_add(&locks->waiters, 1);
  waiter->prev = locks->last;
  if (locks->last != NULL)
    locks->last->next = waiter;
  else
    locks->first = waiter;
  locks->last = waiter;
  return 0;
}

static void leave(struct locks *locks, struct lock_waiter *waiter) {
  if (waiter->prev != NULL)
    waiter->prev->next = waiter->next;
  else
    locks->first = waiter->next;
  if (waiter->next != NULL)
    waiter->next->prev = waiter->prev;
  else
    locks->last = waiter->prev;
  waiter->guest->waiters--;
  atomic_fetch_sub(&locks->waiters, 1);
  virtiofs_passthrough_guest_put(locks, waiter->guest);
}

static const struct inode *inode_of(const struct lock_waiter *waiter) {
  return virtiofs_passthrough_node(waiter->in->node);
}

void virtiofs_passthrough_lock_wake(struct locks *locks, const struct inode *inode, bool flock) {
  for (struct lock_waiter *waiter = locks->first; waiter != NULL; waiter = waiter->next) {
    if (waiter->in->flock != flock || (inode != NULL && inode_of(waiter) != inode))
      continue;
    waiter->woken = true;
    waiter->due_ns = 0;
    pthread_cond_signal(&locks->wake);
  }
}

/* ---- whom it waits for; the table's lock is held ---- */

static bool is_same(const struct lock_owner *one, const struct lock_owner *other) {
  return one->id == other->id && one->guest == other->guest;
}

/* Puts those for which @owner waits, on whatever file, behind *@tail. */
static void find_waits(struct locks *locks, const struct lock_owner *owner, struct lock_waiter **tail) {
  for (struct lock_waiter *waiter = locks->first; waiter != NULL; waiter = waiter->next) {
    if (waiter->seen || waiter->owner == NULL || !is_same(waiter->owner, owner))
      continue;
    waiter->seen = true;
    waiter->found = NULL;
    (*tail)->found = waiter;
    *tail = waiter;
  }
}

/*
 * Does somebody who is in @waiter's way wait for @waiter's owner, himself or by others who wait? *@ours: is anybody of
 * ours in the way at all?
 */
static bool is_ring(struct locks *locks, struct lock_waiter *waiter, bool *ours) {
  for (struct lock_waiter *other = locks->first; other != NULL; other = other->next)
    other->seen = false;
  *ours = false;
  waiter->seen = true;
  waiter->found = NULL;
  struct lock_waiter *tail = waiter;
  for (const struct lock_waiter *at = waiter; at != NULL; at = at->found) {
    struct lock_owner *owner = NULL;
    while ((owner = virtiofs_passthrough_owner_in_the_way(locks, at->owner, &at->in->lock, owner, NULL)) != NULL) {
      *ours |= at == waiter;
      if (is_same(owner, waiter->owner))
        return true;
      find_waits(locks, owner, &tail);
    }
  }
  return false;
}

/* Something was in the way: when is it tried next? 0 or -EDEADLK. */
static int plan(struct locks *locks, struct lock_waiter *waiter) {
  bool ours = false;
  if (waiter->owner != NULL && is_ring(locks, waiter, &ours))
    return -EDEADLK;
  if (waiter->woken) {
    waiter->due_ns = 0;
  } else if (ours) {
    waiter->due_ns = UINT64_MAX; /* who unlocks it wakes us */
    waiter->interval_ns = 0;
  } else {
    uint64_t next = waiter->interval_ns * 2;
    waiter->interval_ns = next == 0 ? LOCK_RETRY_FIRST_NS : next < LOCK_RETRY_LAST_NS ? next : LOCK_RETRY_LAST_NS;
    waiter->due_ns = now_ns() + waiter->interval_ns;
  }
  return 0;
}

/* ---- the thread ---- */

/* The answer; the waiter is in no list. */
static void finish(struct virtiofs_passthrough *fs, struct lock_waiter *waiter, int rc) {
  struct virtiofs_req *req = waiter->req;
  if (waiter->owner != NULL)
    virtiofs_passthrough_owner_put(fs, waiter->owner);
  free(waiter);
  virtiofs_req_complete(req, rc);
}

/* Tries one with the table unlocked; a lock that was had is told, also if nobody wants it any more. */
static void try(struct virtiofs_passthrough *fs, struct lock_waiter *waiter) {
  struct locks *locks = fs->locks;
  waiter->busy = true;
  waiter->woken = false;
  locks->tries++;
  pthread_mutex_unlock(&locks->lock);
  int rc = virtiofs_passthrough_lock_try(fs, waiter->owner, waiter->in);
  pthread_mutex_lock(&locks->lock);
  waiter->busy = false;
  if (rc == -EAGAIN && waiter->cancelled != 0)
    rc = waiter->cancelled;
  if (rc == -EAGAIN && (rc = plan(locks, waiter)) == 0)
    return;
  leave(locks, waiter);
  pthread_mutex_unlock(&locks->lock);
  finish(fs, waiter, rc);
  pthread_mutex_lock(&locks->lock);
}

/* The first one whose time has come, in the order in which they began; else how long there is nothing to do. */
static struct lock_waiter *next_due(struct locks *locks, uint64_t *sleep_until) {
  uint64_t now = now_ns();
  *sleep_until = UINT64_MAX;
  for (struct lock_waiter *waiter = locks->first; waiter != NULL; waiter = waiter->next) {
    if (waiter->busy)
      continue;
    if (waiter->due_ns <= now)
      return waiter;
    if (waiter->due_ns < *sleep_until)
      *sleep_until = waiter->due_ns;
  }
  return NULL;
}

static void *run(void *arg) {
  struct virtiofs_passthrough *fs = arg;
  struct locks *locks = fs->locks;
  (void)pthread_setname_np(pthread_self(), "vfs-locks");
  pthread_mutex_lock(&locks->lock);
  while (!locks->stop) {
    uint64_t until;
    struct lock_waiter *waiter = next_due(locks, &until);
    if (waiter != NULL) {
      try(fs, waiter);
    } else if (until == UINT64_MAX) {
      pthread_cond_wait(&locks->wake, &locks->lock);
    } else {
      struct timespec ts = {.tv_sec = (time_t)(until / NS_PER_SEC), .tv_nsec = (long)(until % NS_PER_SEC)};
      pthread_cond_timedwait(&locks->wake, &locks->lock, &ts);
    }
  }
  pthread_mutex_unlock(&locks->lock);
  return NULL;
}

/* When the first one waits. Signals are for the program's own threads, but for a sandbox's word about a system call. The table's lock is held. */
static int start(struct virtiofs_passthrough *fs) {
  struct locks *locks = fs->locks;
  sigset_t all, before;
  if (locks->running)
    return 0;
  sigfillset(&all);
  sigdelset(&all, SIGSYS);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&locks->thread, NULL, run, fs);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc != 0)
    return -ENOLCK;
  locks->running = true;
  return 0;
}

void virtiofs_passthrough_waiters_stop(struct locks *locks) {
  pthread_mutex_lock(&locks->lock);
  bool running = locks->running;
  locks->stop = true;
  pthread_cond_signal(&locks->wake);
  pthread_mutex_unlock(&locks->lock);
  if (running)
    pthread_join(locks->thread, NULL);
}

/* ---- beginning and giving up ---- */

/* Linux makes another error of EINTR where there is no signal, and shows its programs that. */
static int why(const struct virtiofs_req *req) {
  return virtiofs_req_interrupted(req) ? -EINTR : -ENOLCK;
}

/* A waiter is found by its request and not remembered there: it may have its answer already. */
static void cancel(struct virtiofs_req *req) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct locks *locks = fs->locks;
  pthread_mutex_lock(&locks->lock);
  struct lock_waiter *waiter = locks->first;
  while (waiter != NULL && waiter->req != req)
    waiter = waiter->next;
  bool ours = waiter != NULL && !waiter->busy;
  int rc = why(req);
  if (ours)
    leave(locks, waiter);
  else if (waiter != NULL)
    waiter->cancelled = rc;
  pthread_mutex_unlock(&locks->lock);
  if (ours)
    finish(fs, waiter, rc);
}

int virtiofs_passthrough_lock_wait(struct virtiofs_req *req, const struct virtiofs_lk_in *in,
                                   struct lock_owner *owner) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct locks *locks = fs->locks;
  struct lock_waiter *waiter = calloc(1, sizeof(*waiter));
  if (waiter == NULL)
    return -ENOMEM;
  /* Busy, so that it is in the list before cancel() can look for it, and has no answer before the request is left. */
  *waiter = (struct lock_waiter){.req = req, .in = in, .owner = owner, .busy = true};
  pthread_mutex_lock(&locks->lock);
  int rc = start(fs);
  if (rc == 0)
    rc = enter(locks, waiter, virtiofs_req_session(req));
  pthread_mutex_unlock(&locks->lock);
  if (rc != 0) {
    free(waiter);
    return rc;
  }
  virtiofs_req_on_cancel(req, cancel);
  pthread_mutex_lock(&locks->lock);
  rc = waiter->cancelled != 0 ? waiter->cancelled : plan(locks, waiter);
  waiter->busy = false;
  if (rc == 0)
    pthread_cond_signal(&locks->wake);
  else
    leave(locks, waiter);
  pthread_mutex_unlock(&locks->lock);
  if (rc != 0)
    free(waiter);
  return rc == 0 ? VIRTIOFS_PENDING : rc;
}
