/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of virtiofs-mount share. */
#ifndef VIRTIOFS_MOUNT_H
#define VIRTIOFS_MOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <virtiofs/client.h>
#include <virtiofs/fusedev.h>

enum { QUEUES_MAX = 32, MESSAGES = 32, PAGE = 4096, MAX_DATA = 1 << 20 };

struct mount;

/* A thread: a channel of the mount and a queue of the device. */
struct worker {
  struct mount *mount;
  struct virtiofs_fusedev_channel *channel;
  uint32_t queue;
  bool running;
  pthread_t thread;
};

struct mount {
  struct virtiofs_client *client;
  struct virtiofs_fusedev *fuse;
  uint32_t queues;
  bool poll;
  pthread_mutex_t lock;        /* for the high-priority queue, which all threads use */
  pthread_mutex_t memory_lock; /* for the client's memory */
  int stop_fd;                 /* readable: a signal came */
  int gone_fd;                 /* readable: the mount or the device is gone */
  int end_fd;                  /* readable: workers are to end */
  struct virtiofs_fuse_proto proto;
  _Atomic(const struct virtiofs_fuse_proto *) agreed; /* @proto, once INIT was answered; the kernel waits for that */
  atomic_bool ends;
  atomic_int error;
  struct worker workers[QUEUES_MAX];
};

/* One of the kernel's requests, while the device has it. */
struct request {
  struct virtiofs_client_call call;
  struct virtiofs_message *msg;
  struct mount *mount;
  uint32_t opcode;
  struct iovec out[2];
};

void mount_ring(int fd);
/* Memory that the device sees, for a message. */
void *mount_pages(void *ctx, size_t bytes);

/* 0 or -errno. */
int workers_start(struct mount *mount);
void workers_stop(struct mount *mount);

/* INIT, before and after the device has seen it: what needs the device file itself isn't for others. */
void init_ask(struct virtiofs_message *msg);
void init_answer(struct mount *mount, struct virtiofs_message *msg, size_t used);

#endif
