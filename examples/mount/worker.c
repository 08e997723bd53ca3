/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests into the device's queues, replies out of them. */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mount.h"

#define HIPRIO 0U
/* How often a reply is looked for before the thread sleeps: a few microseconds ... */
#define LOOKS 200U
/* ... and after how many of these others may have the processor: the device may need this very one. */
#define LOOKS_AT_ONCE 16U

void mount_ring(int fd) {
  uint64_t one = 1;
  ssize_t written = write(fd, &one, sizeof(one));
  (void)written;
}

void *mount_pages(void *ctx, size_t bytes) {
  struct mount *mount = ctx;
  pthread_mutex_lock(&mount->memory_lock);
  void *pages = virtiofs_client_alloc(mount->client, bytes);
  pthread_mutex_unlock(&mount->memory_lock);
  return pages;
}

/* The reply is written, unless the device is gone: then the kernel hears that by itself. */
static void done(struct virtiofs_client_call *call, int64_t used) {
  struct request *req = (struct request *)(void *)call;
  struct virtiofs_message *msg = req->msg;
  if (used > 0 && req->opcode == FUSE_INIT)
    init_answer(req->mount, msg, (size_t)used);
  virtiofs_message_complete(msg, used > 0 ? (size_t)used : 0);
}

static void give_up(struct mount *mount, int error) {
  int none = 0;
  (void)atomic_compare_exchange_strong(&mount->error, &none, error);
  mount_ring(mount->gone_fd);
}

static bool is_urgent(uint32_t opcode) {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* Puts it into a ring, after others are done if there is no room. 0 or what broke the connection. */
static int submit(struct mount *mount, uint32_t queue, struct request *req) {
  for (;;) {
    int rc = virtiofs_client_submit(mount->client, queue, &req->call);
    if (rc != -ENOSPC)
      return rc;
    rc = virtiofs_client_wait(mount->client, queue);
    if (rc < 0)
      return rc;
  }
}

/* As a guest does: no more room than the largest reply takes, as some servers fill what is there. */
static void set_room(struct mount *mount, struct request *req) {
  const struct virtiofs_fuse_proto *proto = atomic_load(&mount->agreed);
  const struct virtiofs_message *msg = req->msg;
  struct virtiofs_fuse_request decoded;
  struct iovec in[2];
  uint64_t room = msg->out_len;
  memcpy(in, msg->in, msg->in_count * sizeof(in[0]));
  if (proto != NULL && virtiofs_fuse_request_decode(&decoded, proto, in, msg->in_count) == 0)
    room = virtiofs_fuse_reply_max(proto, &decoded);
  req->call.out = req->out;
  for (uint32_t i = 0; i < msg->out_count && room > 0; i++) {
    req->out[i] = msg->out[i];
    if (req->out[i].iov_len > room)
      req->out[i].iov_len = (size_t)room;
    room -= req->out[i].iov_len;
    req->call.out_count++;
  }
}

static int forward(struct worker *worker, struct virtiofs_message *msg) {
  struct mount *mount = worker->mount;
  struct request *req = virtiofs_fusedev_message_data(msg);
  struct fuse_in_header header;
  memcpy(&header, msg->in[0].iov_base, sizeof(header));
  req->msg = msg;
  req->opcode = header.opcode;
  req->mount = mount;
  req->call = (struct virtiofs_client_call){.in = msg->in, .in_count = msg->in_count, .done = done};
  set_room(mount, req);
  if (header.opcode == FUSE_INIT)
    init_ask(msg);
  if (!is_urgent(header.opcode))
    return submit(mount, worker->queue, req);
  pthread_mutex_lock(&mount->lock);
  int rc = submit(mount, HIPRIO, req);
  virtiofs_client_kick(mount->client, HIPRIO);
  pthread_mutex_unlock(&mount->lock);
  return rc;
}

/* All that the kernel has to say now. Positive: there was something; 0; -errno: it is over. */
static int read_all(struct worker *worker) {
  int count = 0;
  for (;;) {
    struct virtiofs_message *msg;
    int rc = virtiofs_fusedev_read(worker->channel, &msg);
    if (rc == 0 || rc == -ENOBUFS)
      return count;
    if (rc > 0)
      rc = forward(worker, msg);
    if (rc < 0)
      return rc;
    count++;
  }
}

static int process_urgent(struct mount *mount) {
  pthread_mutex_lock(&mount->lock);
  int rc = virtiofs_client_process(mount->client, HIPRIO);
  pthread_mutex_unlock(&mount->lock);
  return rc;
}

/* Is there something to do at once? */
static bool arm(struct worker *worker) {
  struct mount *mount = worker->mount;
  if (virtiofs_client_arm(mount->client, worker->queue))
    return true;
  if (worker->queue != 1)
    return false;
  pthread_mutex_lock(&mount->lock);
  bool ready = virtiofs_client_arm(mount->client, HIPRIO);
  pthread_mutex_unlock(&mount->lock);
  return ready;
}

/* Sleeps. 0 or what breaks the connection. */
static int rest(struct worker *worker) {
  struct mount *mount = worker->mount;
  struct pollfd fds[5] = {
      {.fd = mount->end_fd, .events = POLLIN},
      {.fd = virtiofs_client_connection_fd(mount->client), .events = POLLIN},
      {.fd = virtiofs_fusedev_channel_fd(worker->channel), .events = POLLIN},
      {.fd = virtiofs_client_fd(mount->client, worker->queue), .events = POLLIN},
      {.fd = worker->queue == 1 ? virtiofs_client_fd(mount->client, HIPRIO) : -1, .events = POLLIN}};
  while (poll(fds, 5, mount->poll && virtiofs_client_in_flight(mount->client, worker->queue) > 0 ? 0 : -1) < 0)
    continue;
  return fds[1].revents != 0 ? -ECONNRESET : 0;
}

/* Takes what is answered, and waits a moment for it. As virtiofs_client_process(). */
static int look(struct worker *worker) {
  struct virtiofs_client *client = worker->mount->client;
  int answered = virtiofs_client_process(client, worker->queue);
  for (unsigned looks = 1; answered == 0 && looks < LOOKS && virtiofs_client_in_flight(client, worker->queue) > 0;
       looks++) {
    if (looks % LOOKS_AT_ONCE == 0)
      (void)sched_yield();
    answered = virtiofs_client_process(client, worker->queue);
  }
  return answered;
}

static int work_once(struct worker *worker) {
  struct mount *mount = worker->mount;
  int rc = read_all(worker);
  if (rc < 0)
    return rc;
  virtiofs_client_kick(mount->client, worker->queue);
  int answered = look(worker);
  if (answered < 0)
    return answered;
  int urgent = worker->queue == 1 ? process_urgent(mount) : 0;
  if (urgent < 0)
    return urgent;
  if (rc > 0 || answered > 0 || urgent > 0)
    return 0;
  if (!mount->poll && arm(worker))
    return 0;
  return rest(worker);
}

static void *work(void *arg) {
  struct worker *worker = arg;
  struct mount *mount = worker->mount;
  int rc = 0;
  while (rc == 0 && !atomic_load(&mount->ends))
    rc = work_once(worker);
  if (rc < 0)
    give_up(mount, rc == -ENODEV ? 0 : rc);
  return NULL;
}

int workers_start(struct mount *mount) {
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < mount->queues; i++) {
    struct worker *worker = &mount->workers[i];
    worker->mount = mount;
    worker->queue = i + 1;
    rc = virtiofs_fusedev_channel_new(&worker->channel, mount->fuse);
    if (rc == 0)
      rc = -pthread_create(&worker->thread, NULL, work, worker);
    worker->running = rc == 0;
  }
  return rc;
}

void workers_stop(struct mount *mount) {
  atomic_store(&mount->ends, true);
  mount_ring(mount->end_fd);
  for (uint32_t i = 0; i < mount->queues; i++)
    if (mount->workers[i].running)
      pthread_join(mount->workers[i].thread, NULL);
  for (uint32_t i = 0; i < mount->queues; i++)
    virtiofs_fusedev_channel_free(mount->workers[i].channel);
}
