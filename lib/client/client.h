/* SPDX-License-Identifier: BSD-3-Clause */
/** A connection, its memory and its rings. */
#ifndef VIRTIOFS_LIB_CLIENT_CLIENT_H
#define VIRTIOFS_LIB_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include <virtiofs/client.h>
#include <virtiofs/driverq.h>

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
  struct virtiofs_client_request *requests;
  uint32_t *free; /* requests that nobody has taken; the last one is taken next */
  uint32_t free_count;
  uint64_t unique;
};

struct virtiofs_client {
  struct virtiofs_vhost_frontend fe;
  struct virtiofs_client_config config;
  char *socket_path; /* NULL: it was given a descriptor */
  struct virtiofs_fuse_proto proto;
  uint32_t max_write; /* what INIT agreed on; 0: not yet */
  atomic_int broken;  /* 0 or -errno */
  uint32_t count;     /* of queues */
  int memory_fd;
  unsigned char *memory;
  size_t size, used;           /* bytes of memory */
  pthread_mutex_t forget_lock; /* of queue 0, for views */
  struct virtiofs_client_queue queues[VIRTIOFS_CLIENT_QUEUES_MAX];
};

/* The connection is of no use any more; the first reason stays. Returns it. */
int virtiofs_client_break(struct virtiofs_client *client, int error);

/* Nobody will answer what is in flight. */
void virtiofs_client_give_up(struct virtiofs_client *client, struct virtiofs_client_queue *queue);

/* Requests of a queue, once there is memory. 0 or -ENOMEM. */
int virtiofs_client_requests_new(struct virtiofs_client *client, struct virtiofs_client_queue *queue, uint32_t index);

/* Bytes of shared memory that a request takes. */
size_t virtiofs_client_request_bytes(const struct virtiofs_client *client);

#endif
