/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The thread that closes descriptors which nobody uses any more: a file that the host deletes shall get its room back,
 * also if the guest does nothing at all. It begins with the first descriptor in the cache, and sleeps while there is
 * none.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_SWEEP_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_SWEEP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct virtiofs_passthrough;

struct sweeper {
  pthread_mutex_t lock;
  pthread_cond_t wake; /* of CLOCK_MONOTONIC */
  pthread_t thread;
  bool running, stop;
  atomic_bool awake;  /**< there may be something to close */
  uint32_t period_ms; /**< what was not used in a whole one is closed; UINT32_MAX: nothing is */
};

/** virtiofs_passthrough_sweeper_init - nothing runs yet. Return: 0 or -ENOMEM. */
int virtiofs_passthrough_sweeper_init(struct sweeper *sweeper, uint32_t period_ms);

/** virtiofs_passthrough_sweeper_fini - end the thread. */
void virtiofs_passthrough_sweeper_fini(struct sweeper *sweeper);

/** virtiofs_passthrough_sweeper_wake - there is something in the cache. One load, if it is known. */
void virtiofs_passthrough_sweeper_wake(struct virtiofs_passthrough *fs);

#endif
