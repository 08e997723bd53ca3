/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/pool.h"

#include <sched.h>

#include "device/thread.h"

/*
 * With the lock held: is a thread to be woken? One at a time: who wakes finds all that has come since, and has the next
 * one woken if something is left. One post for each request would have them wake to find that another was faster.
 */
static bool wants_one(struct virtiofs_pool *pool) {
  if (pool->first == NULL || pool->waking || pool->idle == 0)
    return false;
  pool->idle--;
  pool->waking = true;
  return true;
}

/* @woken: the thread was, and has not looked since. NULL: there is none, and the thread is idle, or it is to end. */
static struct virtiofs_slot *next(struct virtiofs_pool *pool, bool woken, bool *stop) {
  pthread_mutex_lock(&pool->lock);
  struct virtiofs_slot *slot = pool->first;
  if (woken)
    pool->waking = false;
  if (slot != NULL) {
    pool->first = slot->behind;
    atomic_fetch_sub_explicit(&pool->queued, 1, memory_order_relaxed);
  } else
    pool->idle++;
  bool wake = wants_one(pool);
  *stop = pool->stop;
  pthread_mutex_unlock(&pool->lock);
  if (wake)
    sem_post(&pool->wanted);
  return slot;
}

static void *work(void *arg) {
  struct virtiofs_pool *pool = arg;
  bool woken = false, stop;
  for (;;) {
    /* Whoever hands in the next one may need this very processor for it; that is sooner than to sleep and be woken. */
    if (!woken && atomic_load_explicit(&pool->queued, memory_order_relaxed) == 0)
      (void)sched_yield();
    struct virtiofs_slot *slot = next(pool, woken, &stop);
    woken = slot == NULL;
    if (slot != NULL)
      virtiofs_session_run(&slot->req);
    else if (stop)
      return NULL;
    while (woken && sem_wait(&pool->wanted) != 0)
      continue;
  }
}

int virtiofs_pool_start(struct virtiofs_pool *pool, uint32_t threads) {
  *pool = (struct virtiofs_pool){.started = true};
  pthread_mutex_init(&pool->lock, NULL);
  sem_init(&pool->wanted, 0, 0);
  for (uint32_t i = 0; i < threads; i++) {
    int rc = virtiofs_thread_start(&pool->threads[i], "vfs-pool", work, pool);
    if (rc != 0) {
      virtiofs_pool_stop(pool);
      return rc;
    }
    pool->count++;
  }
  return 0;
}

void virtiofs_pool_stop(struct virtiofs_pool *pool) {
  if (!pool->started)
    return;
  pthread_mutex_lock(&pool->lock);
  pool->stop = true;
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 0; i < pool->count; i++)
    sem_post(&pool->wanted);
  for (uint32_t i = 0; i < pool->count; i++)
    pthread_join(pool->threads[i], NULL);
  sem_destroy(&pool->wanted);
  pthread_mutex_destroy(&pool->lock);
  pool->started = false;
}

void virtiofs_pool_run(struct virtiofs_pool *pool, struct virtiofs_slot *slot) {
  slot->behind = NULL;
  pthread_mutex_lock(&pool->lock);
  if (pool->first == NULL)
    pool->first = slot;
  else
    pool->last->behind = slot;
  pool->last = slot;
  atomic_fetch_add_explicit(&pool->queued, 1, memory_order_relaxed);
  bool wake = wants_one(pool);
  pthread_mutex_unlock(&pool->lock);
  if (wake)
    sem_post(&pool->wanted);
}
