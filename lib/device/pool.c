/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/pool.h"

#include "device/thread.h"

static void *work(void *arg) {
  struct virtiofs_pool *pool = arg;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (pool->first == NULL && !pool->stop)
      pthread_cond_wait(&pool->more, &pool->lock);
    struct virtiofs_slot *slot = pool->first;
    if (slot == NULL)
      break;
    pool->first = slot->behind;
    pthread_mutex_unlock(&pool->lock);
    virtiofs_session_run(&slot->req);
    pthread_mutex_lock(&pool->lock);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

int virtiofs_pool_start(struct virtiofs_pool *pool, uint32_t threads) {
  *pool = (struct virtiofs_pool){.started = true};
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->more, NULL);
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
  pthread_cond_broadcast(&pool->more);
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 0; i < pool->count; i++)
    pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->more);
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
  pthread_cond_signal(&pool->more);
  pthread_mutex_unlock(&pool->lock);
}
