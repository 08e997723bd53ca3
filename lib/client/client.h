/* SPDX-License-Identifier: BSD-3-Clause */
/** A connection, its memory and its rings. */
#ifndef VIRTIOFS_LIB_CLIENT_CLIENT_H
#define VIRTIOFS_LIB_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <virtiofs/client.h>
#include <virtiofs/driverq.h>
#include <virtiofs/shmem.h>

#include "vhost/frontend.h"

#define VIRTIOFS_CLIENT_QUEUES_MAX 65U
/* Where the memory begins for the device. */
#define VIRTIOFS_CLIENT_GPA (UINT64_C(1) << 32)

struct virtiofs_client_queue {
  struct virtiofs_driverq *ring;
  void *desc, *driver, *device; /* where the ring lies */
  unsigned char *tables;
  int kick_fd, call_fd;
  uint32_t in_flight;
  struct virtiofs_client_call *first; /* in flight */
  bool given_up;                      /* what the device still gives back is nobody's any more */
  struct virtiofs_client_request *requests;
  uint32_t *free; /* requests that nobody has taken; the last one is taken next */
  uint32_t free_count;
  uint64_t unique;
};

struct virtiofs_client {
  struct virtiofs_vhost_frontend fe;
  struct virtiofs_client_config config;
  char *socket_path; /* NULL: it was given a descriptor */
  bool started;      /* a device in this process has our memory */
  struct virtiofs_fuse_proto proto;
  uint32_t max_write;     /* what INIT agreed on; 0: not yet */
  uint32_t map_alignment; /* alike: log2 of bytes; 0: any */
  atomic_int broken;      /* 0 or -errno */
  uint32_t count;         /* of queues */
  int memory_fd;
  unsigned char *memory;
  size_t size, used;                   /* bytes of memory */
  struct virtiofs_host_window *window; /* NULL: none */
  struct virtiofs_shmem *shmem;        /* who maps there; NULL: a device in this process, which does so by itself */
  pthread_mutex_t shmem_lock;
  pthread_mutex_t forget_lock; /* of queue 0, for views */
  struct virtiofs_client_queue queues[VIRTIOFS_CLIENT_QUEUES_MAX];
};

/* The connection is of no use any more; the first reason stays. Returns it. */
int virtiofs_client_break(struct virtiofs_client *client, int error);

/* Nobody will answer what is in flight. */
void virtiofs_client_give_up(struct virtiofs_client *client, struct virtiofs_client_queue *queue);

/* ---- local.c: a device in this process ---- */

/* As the functions of a front-end; 0 or -errno. */
int virtiofs_client_local_negotiate(struct virtiofs_client *client);
int virtiofs_client_local_memory(struct virtiofs_client *client);
int virtiofs_client_local_ring(struct virtiofs_client *client, uint32_t index, const struct virtiofs_vhost_ring *ring);
void virtiofs_client_local_stop(struct virtiofs_client *client);

/* ---- window.c ---- */

/* 0, also if the device has no window; -errno. */
int virtiofs_client_window_open(struct virtiofs_client *client);
void virtiofs_client_window_close(struct virtiofs_client *client);

/* Maps what the device asks for now. 0 or -errno, which breaks the connection. Any thread. */
int virtiofs_client_window_serve(struct virtiofs_client *client);

/* For poll(2); -1: none. */
int virtiofs_client_window_fd(const struct virtiofs_client *client);

/* ---- request.c ---- */

/* Requests of a queue, once there is memory. 0 or -ENOMEM. */
int virtiofs_client_requests_new(struct virtiofs_client *client, struct virtiofs_client_queue *queue, uint32_t index);

/* Bytes of shared memory that a request takes. */
size_t virtiofs_client_request_bytes(const struct virtiofs_client *client);

#endif
