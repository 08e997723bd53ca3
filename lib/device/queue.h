/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * One virtqueue of the device: a ring, the requests that are in flight on it, and the worker that alone touches both.
 *
 * The control thread starts and stops it and leaves notes for the worker in the inbox. Whoever completes a request
 * leaves it on the answered list; the worker publishes it.
 */
#ifndef VIRTIOFS_LIB_DEVICE_QUEUE_H
#define VIRTIOFS_LIB_DEVICE_QUEUE_H

#include <pthread.h>
#include <time.h>

#include <virtiofs/device.h>
#include <virtiofs/virtq.h>

#include "device/counters.h"
#include "device/lookout.h"
#include "device/pool.h"
#include "device/rate.h"
#include "device/slots.h"

#define VIRTIOFS_QUEUE_MAX_SIZE 1024U

/* How many requests were answered in the backend's place and are still held by it. */
struct virtiofs_late {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint32_t count;
};

/* What a queue needs to run. */
struct virtiofs_queue_setup {
  uint32_t num;
  uint32_t base;
  uint64_t features;
  uint64_t desc, driver, device; /* the front-end's addresses; guest-physical ones of a driver in this process */
  int kick_fd, call_fd, err_fd;  /* borrowed; -1: none */
  struct virtiofs_memory *map;   /* borrowed */
};

/* Notes from the control thread. */
struct virtiofs_queue_inbox {
  struct virtiofs_hold *hold; /* new memory */
  int call_fd, err_fd;        /* new descriptors */
  bool has_fds;
};

struct virtiofs_queue {
  /* set once */
  struct virtiofs_session *session;
  struct virtiofs_pool *pool; /* NULL: none */
  const struct virtiofs_log *log;
  const struct virtiofs_tap *tap; /* NULL: none */
  void *tap_ctx;
  struct virtiofs_counters *counters;
  struct virtiofs_rate *rate; /* NULL: there is none, or not for this queue */
  uint32_t max_in_flight;     /* 0: as many as the ring holds */
  uint32_t charge_max;        /* of a request, and of a reply */
  struct virtiofs_late *late;
  /* In this process; NULL: behind a socket. */
  const struct virtiofs_transport_driver *driver_here;
  bool stepped; /* there is no worker: virtiofs_queue_process() does its work */
  uint32_t index;
  uint32_t drain_ms;
  uint32_t poll_us; /* the most; 0: none */
  char tag[8];

  /* the control thread's */
  bool running;
  pthread_t thread;

  /* shared */
  pthread_mutex_t lock; /* for @inbox and @exited */
  pthread_cond_t changed;
  struct virtiofs_queue_inbox inbox;
  bool exited;
  atomic_bool has_mail;
  atomic_bool stop;
  atomic_bool sleeping;
  atomic_bool woken; /* since it last began to sleep, by who has answered something */
  _Atomic(struct virtiofs_slot *) answered;
  atomic_uint completing; /* threads in virtiofs_queue_complete() */
  atomic_bool rung;       /* there may be something in @wake_fd */
  int wake_fd;
  /* Only with @rate, for who has no worker: readable when something may be taken again; both that and @wake_fd. */
  int timer_fd, ready_fd;

  /* the worker's while it runs */
  struct virtiofs_virtq *vq;
  struct virtiofs_slots *slots;
  struct virtiofs_hold *hold;
  struct virtiofs_lookout lookout;
  uint64_t features, desc, driver, device;
  uint32_t num, in_flight;
  uint32_t room; /* for so many in flight */
  int kick_fd, call_fd, err_fd;
  uint64_t timer_ns;          /* when @timer_fd is; 0: never */
  bool call_waits, err_waits; /* to write there might mean to wait */
  bool broken;                /* the driver broke the ring: nothing is taken any more */
  bool lost;                  /* the ring is not in memory any more: it must not be touched */
};

/* 0 or -errno. */
int virtiofs_queue_init(struct virtiofs_queue *queue);
void virtiofs_queue_fini(struct virtiofs_queue *queue);

/* Readable when there is something to do for who has no worker, beside the driver's notifications. */
int virtiofs_queue_ready_fd(const struct virtiofs_queue *queue);

/* Starts the worker, if it has one. 0; -EPROTO if the ring isn't in memory or its size isn't right; -errno. The control
 * thread. */
int virtiofs_queue_start(struct virtiofs_queue *queue, const struct virtiofs_queue_setup *setup);

/**
 * Stops the worker when nothing is in flight. What is pending is cancelled first, and after the deadline abandoned.
 * Gives where the ring is, as vhost-user writes it. The control thread.
 */
uint32_t virtiofs_queue_stop(struct virtiofs_queue *queue);

/* New memory or descriptors for a running queue. 0 or -errno. The control thread. */
int virtiofs_queue_memory(struct virtiofs_queue *queue, struct virtiofs_memory *map);
int virtiofs_queue_fds(struct virtiofs_queue *queue, int call_fd, int err_fd);

/* Makes wake_fd readable. Any thread. */
void virtiofs_queue_wake(struct virtiofs_queue *queue);

/* A request is answered: completion of the message. Any thread. */
void virtiofs_queue_complete(struct virtiofs_message *msg, size_t used);

/* ---- worker.c ---- */

void *virtiofs_queue_work(void *arg);

/* Looks up the ring's parts in the memory at hand. 0 or -EPROTO. */
int virtiofs_queue_map(struct virtiofs_queue *queue);

/* After call_fd and err_fd have changed. */
void virtiofs_queue_look_at_fds(struct virtiofs_queue *queue);

/* Without a worker: does what there is to do, if it runs. How much that was; 0: nothing, and a notification was asked
 * for. */
int virtiofs_queue_process(struct virtiofs_queue *queue);

/* Without a worker, when the queue stops: answers what is answered, tells the rest to give up, and waits until
 * something is answered if @deadline says so. False once nothing is in flight. */
bool virtiofs_queue_drain(struct virtiofs_queue *queue, const struct timespec *deadline, bool *late);

/* Drops a hold that the queue has left and no request uses. */
void virtiofs_hold_drop(struct virtiofs_hold *hold);

#endif
