/* SPDX-License-Identifier: BSD-3-Clause */
/** Threads for operations that block, so that those don't hold up a queue. */
#ifndef VIRTIOFS_LIB_DEVICE_POOL_H
#define VIRTIOFS_LIB_DEVICE_POOL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "device/slots.h"

#define VIRTIOFS_POOL_MAX 64U

struct virtiofs_pool {
  pthread_mutex_t lock;
  sem_t wanted; /* a post for each thread that is to look, and one for each at the end; glibc's condition variables lose
                   count under load */
  struct virtiofs_slot *first, *last;
  bool started, stop;
  bool waking;        /* a post is on its way, or who took it has not looked yet */
  atomic_uint queued; /* changed with the lock held, for those who look without it */
  uint32_t idle;      /* threads that wait and that nobody has woken */
  uint32_t count;
  pthread_t threads[VIRTIOFS_POOL_MAX];
};

/* Starts up to @threads; 0 or -errno, then none runs. */
int virtiofs_pool_start(struct virtiofs_pool *pool, uint32_t threads);

/* Ends the threads when they have done all that was handed in. Nothing happens if it was not started. */
void virtiofs_pool_stop(struct virtiofs_pool *pool);

/* Has a deferred request run. Any thread. */
void virtiofs_pool_run(struct virtiofs_pool *pool, struct virtiofs_slot *slot);

#endif
