/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/pool.h"

#include "device/thread.h"

static struct virtiofs_slot *next(struct virtiofs_pool *pool, bool *stop) {
  pthread_mutex_lock(&pool->lock);
  struct virtiofs_slot *slot = pool->first;
  if (slot != NULL)
    pool->first = slot->behind;
  *stop = pool->stop;
  pthread_mutex_unlock(&pool->lock);
  return slot;
}

static void *work(void *arg) {
  struct virtiofs_pool *pool = arg;
  for (;;) {
    bool stop;
    while (sem_wait(&pool->wanted) != 0)
      continue;
    struct virtiofs_slot *slot = next(pool, &stop);
    if (slot != NULL)
      virtiofs_session_run(&slot->req);
    else if (stop)
      return NULL;
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
  pthread_mutex_unlock(&pool->lock);
  sem_post(&pool->wanted);
}
