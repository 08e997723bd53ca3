/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The DAX window of a front-end behind a socket: steps go out as SHMEM_MAP and SHMEM_UNMAP, and a thread of its own
 * hears the answers, since the control thread has to be free for what the front-end says meanwhile (QEMU sends its
 * memory table again, and waits, around each).
 */
#ifndef VIRTIOFS_LIB_DEVICE_WINDOW_H
#define VIRTIOFS_LIB_DEVICE_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/dax.h>
#include <virtiofs/log.h>
#include <virtiofs/vhost_user.h>

#include "base/log.h"

struct virtiofs_session;

struct virtiofs_device_window {
  /* set once */
  uint64_t len; /* 0: there is none */
  uint32_t max_mappings;
  uint32_t patience_ms; /* how long the front-end may take for an answer */
  struct virtiofs_session *session;
  const struct virtiofs_log *log;

  bool running;
  pthread_t thread;
  int fd, timer_fd, stop_fd;

  /* the thread's */
  uint32_t heard; /* bytes of the next answer */
  struct virtiofs_log_limit refusals;
  unsigned char answer[sizeof(struct virtiofs_vhost_user_header) + sizeof(uint64_t)];

  pthread_mutex_t lock; /* for these */
  bool dead;            /* nothing can be asked any more */
  uint32_t waits_for;   /* the request whose answer is to come; 0: none */
};

void virtiofs_device_window_init(struct virtiofs_device_window *window, struct virtiofs_session *session,
                                 const struct virtiofs_log *log);
void virtiofs_device_window_fini(struct virtiofs_device_window *window);

/* A window for guests of a front-end, which can't use it yet. 0 or -errno. */
int virtiofs_device_window_offer(struct virtiofs_device_window *window);

/* The front-end takes requests on @fd, which is borrowed: guests can use the window. 0 or -errno. */
int virtiofs_device_window_start(struct virtiofs_device_window *window, int fd);

/* It is gone, or about to be: a step that waits for it fails. The window stays until the session has none. */
void virtiofs_device_window_stop(struct virtiofs_device_window *window);

/* Closes a descriptor that was mapped. */
void virtiofs_device_window_close(void *ctx, int fd);

#endif
