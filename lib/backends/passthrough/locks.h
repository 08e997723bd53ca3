/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Locks of guests' files that the host and other guests see.
 *
 * A flock(2) lock is that of the handle's own descriptor. Those of fcntl(2) belong to an *owner*, a process of the
 * guest, and all owners are this one process to the host: so each owner has an open file of its own for each file that
 * it has locked, and the host's OFD locks of that are the owner's. The host alone decides who gets a lock; what is
 * written down here is for the limits, for whom to wake, and to see guests that wait for each other in a ring.
 *
 * A lock that has to be waited for is a *waiter*: an entry in a list. Whoever unlocks something here has those that
 * wait for the file tried again at once, by the one thread that tries; where somebody else is in the way, who doesn't
 * tell, the same thread tries again and again.
 *
 * Two locks: an owner's is held over the call to the host and the note of it, so that both have one order; the
 * table's only over looking and noting. An owner's is taken first.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_LOCKS_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_LOCKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <virtiofs/request.h>
#include <virtiofs/types.h>

#include "backends/passthrough/ranges.h"

struct inode;
struct virtiofs_passthrough;

enum {
  /* Of a guest if nothing else is said: ranges, each of which is memory of the host's kernel; and files times owners
   * that have locks there, each of which has a descriptor. */
  LOCK_MAX = 8192,
  LOCK_MAX_MOST = 1 << 20,
  LOCK_WAITERS = 48, /* of a guest if nothing else is said: some room is left in a small queue for who unlocks */
  LOCK_BUCKETS = 1024,
};

/* Somebody else's lock is tried for so often: from the first to the second, twice as long each time. */
#define LOCK_RETRY_FIRST_NS UINT64_C(1000000)
#define LOCK_RETRY_LAST_NS UINT64_C(50000000)

/** How much one guest has of everything. There as long as any of it is not 0. */
struct lock_guest {
  struct lock_guest *next;
  const void *session;
  uint32_t owners, ranges, waiters;
};

/** An owner's locks on one file. There as long as it has some, or somebody uses it. */
struct lock_owner {
  struct lock_owner *next;           /* in its file's bucket */
  struct lock_owner *next_of_handle; /* in its handle's bucket, while it has locks */
  struct lock_guest *guest;
  struct inode *inode; /* one reply of it is counted for us */
  uint64_t id;         /* as the guest calls it */
  /* By which the first of @held was had. A process loses its locks when it closes any descriptor of the file, which
   * FLUSH tells; an open file (OFD) when the last one is closed, and only RELEASE tells that. */
  uint64_t handle;
  uint32_t users;
  struct lock_ranges held; /* changed only with both locks held */
  pthread_mutex_t lock;
  int fd; /* of the owner's lock, as the next */
  bool writable;
};

/** A lock that is waited for. */
struct lock_waiter {
  struct lock_waiter *prev, *next;
  struct lock_waiter *found; /* where a ring is looked for */
  bool seen;
  struct virtiofs_req *req;
  const struct virtiofs_lk_in *in;
  struct lock_guest *guest;
  struct lock_owner *owner; /* used; NULL: flock(2) */
  uint64_t due_ns;          /* UINT64_MAX: when somebody here unlocks */
  uint64_t interval_ns;
  bool busy;     /* somebody works on it with the table unlocked, and he alone gives the answer */
  bool woken;    /* meanwhile */
  int cancelled; /* meanwhile: the answer, if it isn't had; 0: not */
};

struct locks {
  pthread_mutex_t lock;
  struct lock_owner *owners[LOCK_BUCKETS], *handles[LOCK_BUCKETS];
  struct lock_guest *guests;
  struct lock_waiter *first, *last;
  atomic_uint holders; /* owners with locks: is there anything for FLUSH and RELEASE to look for? */
  atomic_uint waiters; /* the same */
  uint32_t waiters_max, locks_max;
  uint64_t tries; /* by the thread */
  pthread_cond_t wake;
  pthread_t thread;
  bool running, stop;
};

/* ---- locks.c ---- */

/** virtiofs_passthrough_locks_new - @locks_max, @waiters_max: of a guest; 0: default. Return: 0 or -ENOMEM. */
int virtiofs_passthrough_locks_new(struct locks **out, uint32_t locks_max, uint32_t waiters_max);

/** virtiofs_passthrough_locks_free - NULL is fine. All handles are released. */
void virtiofs_passthrough_locks_free(struct locks *locks);

/**
 * virtiofs_passthrough_locks_flush - an owner has closed a descriptor: its locks on that file are gone
 *
 * Cost: one load while nobody has a lock.
 */
void virtiofs_passthrough_locks_flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in);

/**
 * virtiofs_passthrough_locks_release - a handle is to be closed: before its number can be another's
 * virtiofs_passthrough_locks_released - and after that: its flock(2) lock is gone
 */
void virtiofs_passthrough_locks_release(struct virtiofs_req *req, const struct virtiofs_release_in *in);
void virtiofs_passthrough_locks_released(struct virtiofs_req *req, const struct virtiofs_release_in *in);

/** virtiofs_passthrough_lock_try - 0; -EAGAIN if something is in the way; -errno. @owner is used; NULL: flock(2). */
int virtiofs_passthrough_lock_try(struct virtiofs_passthrough *fs, struct lock_owner *owner,
                                  const struct virtiofs_lk_in *in);

/* ---- owners.c ---- */

/**
 * virtiofs_passthrough_owner_use - the locks of an owner on a file
 * @make: if there are none
 * @out:  to be given to virtiofs_passthrough_owner_put()
 *
 * Return: 0; -ENOENT if there are none; -ENOLCK if the guest has too many; -errno of opening it.
 */
int virtiofs_passthrough_owner_use(struct virtiofs_req *req, struct inode *inode, uint64_t id, uint64_t handle,
                                   bool make, struct lock_owner **out);

/** virtiofs_passthrough_owner_put - the last user frees it if it has no locks. */
void virtiofs_passthrough_owner_put(struct virtiofs_passthrough *fs, struct lock_owner *owner);

/** virtiofs_passthrough_owner_of_handle - any owner whose locks go with a handle, used as above; NULL: none. */
struct lock_owner *virtiofs_passthrough_owner_of_handle(struct locks *locks, const void *session, uint64_t handle);

/**
 * virtiofs_passthrough_owner_in_the_way - somebody of ours whose lock is in the way
 * @after: the last one that was found; NULL: the first
 * @lock:  set to his, if not NULL
 *
 * The table's lock is held. Return: NULL: none.
 */
struct lock_owner *virtiofs_passthrough_owner_in_the_way(struct locks *locks, const struct lock_owner *owner,
                                                         const struct virtiofs_lock *wanted, struct lock_owner *after,
                                                         const struct virtiofs_lock **lock);

/** virtiofs_passthrough_owner_note - what @owner holds is @held now; takes what is in it. Both locks are held. */
void virtiofs_passthrough_owner_note(struct locks *locks, struct lock_owner *owner, uint64_t handle,
                                     struct lock_ranges *held);

/** virtiofs_passthrough_guest_get, _put - a guest's record; the table's lock is held. Return: NULL: no memory. */
struct lock_guest *virtiofs_passthrough_guest_get(struct locks *locks, const void *session);
void virtiofs_passthrough_guest_put(struct locks *locks, struct lock_guest *guest);

/* ---- waiters.c ---- */

/**
 * virtiofs_passthrough_lock_wait - have it tried again, after -EAGAIN
 * @owner: used, and put here if the answer comes later; NULL: flock(2)
 *
 * Return: VIRTIOFS_PENDING; -EDEADLK if whoever is in the way waits for the owner himself; -ENOLCK if the guest has
 * too many, or the request is cancelled; -EINTR if it is interrupted.
 */
int virtiofs_passthrough_lock_wait(struct virtiofs_req *req, const struct virtiofs_lk_in *in, struct lock_owner *owner);

/** virtiofs_passthrough_lock_wake - something on @inode (NULL: anywhere) was unlocked. The table's lock is held. */
void virtiofs_passthrough_lock_wake(struct locks *locks, const struct inode *inode, bool flock);

/** virtiofs_passthrough_waiters_stop - the thread ends. */
void virtiofs_passthrough_waiters_stop(struct locks *locks);

#endif
