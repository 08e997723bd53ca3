/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: into a ring and out of it. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"

/* Pieces of a call, as many as a ring may have descriptors. */
#define PARTS_MAX 1024U
/* How often a client that polls looks at the clock. */
#define LOOKS 4096U
/* ... and whether the device asks for a mapping. */
#define LOOKS_AT_WINDOW 64U
/* And before a thread of the device that needs this very processor, not the one that polls on the other side, gets it:
 * without that it waits for the scheduler's tick. */
#define LOOKS_TO_YIELD 1024U

int virtiofs_client_break(struct virtiofs_client *client, int error) {
  int none = 0;
  return atomic_compare_exchange_strong(&client->broken, &none, error) ? error : none;
}

static void unlink_call(struct virtiofs_client_queue *queue, struct virtiofs_client_call *call) {
  if (call->prev != NULL)
    call->prev->next = call->next;
  else
    queue->first = call->next;
  if (call->next != NULL)
    call->next->prev = call->prev;
  queue->in_flight--;
}

static void link_call(struct virtiofs_client_queue *queue, struct virtiofs_client_call *call) {
  call->prev = NULL;
  call->next = queue->first;
  if (queue->first != NULL)
    queue->first->prev = call;
  queue->first = call;
  queue->in_flight++;
}

/* False if a piece isn't ours. */
static bool put_parts(const struct virtiofs_client *client, struct virtiofs_driverq_part *parts,
                      const struct iovec *iov, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uintptr_t offset = (uintptr_t)iov[i].iov_base - (uintptr_t)client->memory;
    if (offset > client->size || iov[i].iov_len > client->size - offset || iov[i].iov_len > UINT32_MAX)
      return false;
    parts[i] = (struct virtiofs_driverq_part){.addr = VIRTIOFS_CLIENT_GPA + offset, .len = (uint32_t)iov[i].iov_len};
  }
  return true;
}

int virtiofs_client_submit(struct virtiofs_client *client, uint32_t index, struct virtiofs_client_call *call) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  struct virtiofs_driverq_part parts[PARTS_MAX];
  int rc = atomic_load_explicit(&client->broken, memory_order_relaxed);
  if (rc != 0)
    return rc;
  if (call->in_count > PARTS_MAX || call->out_count > PARTS_MAX - call->in_count ||
      !put_parts(client, parts, call->in, call->in_count) ||
      !put_parts(client, parts + call->in_count, call->out, call->out_count))
    return -EINVAL;
  rc = virtiofs_driverq_add(queue->ring, parts, call->in_count, call->out_count, call);
  if (rc == 0)
    link_call(queue, call);
  return rc;
}

void virtiofs_client_kick(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  uint64_t one = 1;
  const struct virtiofs_transport *transport = client->config.transport;
  bool wanted = virtiofs_driverq_publish(queue->ring);
  if (transport != NULL)
    (void)transport->process(client->config.device, index);
  if (!wanted || transport != NULL)
    return;
  ssize_t written = write(queue->kick_fd, &one, sizeof(one));
  (void)written; /* a full counter kicks too */
}

void virtiofs_client_give_up(struct virtiofs_client *client, struct virtiofs_client_queue *queue) {
  int error = atomic_load(&client->broken);
  queue->given_up = true;
  while (queue->first != NULL) {
    struct virtiofs_client_call *call = queue->first;
    unlink_call(queue, call);
    call->done(call, error);
  }
}

/* A device of this process gets its turn. True if it had nothing to do, and another thread has to answer first; also
 * for one behind a socket. */
static bool is_idle(const struct virtiofs_client *client, uint32_t index) {
  const struct virtiofs_transport *transport = client->config.transport;
  return transport == NULL || transport->process(client->config.device, index) == 0;
}

/* How many are over. */
static int take_all(struct virtiofs_client *client, struct virtiofs_client_queue *queue) {
  struct virtiofs_driverq_done done;
  int count = 0, rc = 0;
  while (!queue->given_up && (rc = virtiofs_driverq_take(queue->ring, &done)) == 1) {
    struct virtiofs_client_call *call = done.cookie;
    unlink_call(queue, call);
    call->done(call, done.len);
    count++;
  }
  if (rc < 0)
    (void)virtiofs_client_break(client, rc);
  return count;
}

static void serve_window(struct virtiofs_client *client) {
  int rc = virtiofs_client_window_serve(client);
  if (rc < 0)
    (void)virtiofs_client_break(client, rc);
}

int virtiofs_client_process(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  int count = take_all(client, queue);
  if (count == 0 && !is_idle(client, index))
    count = take_all(client, queue);
  if (count == 0 && !client->config.poll)
    serve_window(client);
  int rc = atomic_load_explicit(&client->broken, memory_order_relaxed);
  if (rc != 0)
    virtiofs_client_give_up(client, queue);
  return count > 0 ? count : rc;
}

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool has_hung_up(const struct virtiofs_client *client) {
  struct pollfd pfd = {.fd = client->fe.sock.fd, .events = POLLIN};
  return poll(&pfd, 1, 0) != 0;
}

/* Now and then. 0 or what breaks the connection. */
static int look_around(const struct virtiofs_client *client, int64_t deadline) {
  if (has_hung_up(client))
    return -ECONNRESET;
  return deadline >= 0 && now_ms() > deadline ? -ETIMEDOUT : 0;
}

static int sleep_on(struct virtiofs_client *client, uint32_t index, int64_t deadline) {
  struct pollfd fds[3] = {{.fd = virtiofs_client_fd(client, index), .events = POLLIN},
                          {.fd = client->fe.sock.fd, .events = POLLIN},
                          {.fd = virtiofs_client_window_fd(client), .events = POLLIN}};
  for (;;) {
    uint64_t count;
    int64_t left = deadline < 0 ? -1 : deadline - now_ms();
    int ready = deadline >= 0 && left < 0 ? 0 : poll(fds, 3, (int)left);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return ready == 0 ? -ETIMEDOUT : -errno;
    if (fds[0].revents != 0) {
      ssize_t n = client->config.transport == NULL ? read(fds[0].fd, &count, sizeof(count)) : 0;
      (void)n;
      return 0;
    }
    if (fds[1].revents == 0)
      return 0; /* the window is served before the next look */
    /* It says nothing unasked. */
    return -ECONNRESET;
  }
}

int virtiofs_client_wait(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  int timeout = client->config.timeout_ms;
  int64_t deadline = timeout < 0 ? -1 : now_ms() + timeout;
  virtiofs_client_kick(client, index);
  for (unsigned looks = 1;; looks++) {
    int rc = virtiofs_client_process(client, index);
    if (rc != 0 || queue->in_flight == 0)
      return rc;
    if (client->config.poll) {
      if (looks % LOOKS_AT_WINDOW == 0)
        serve_window(client);
      if (looks % LOOKS_TO_YIELD == 0)
        (void)sched_yield();
      rc = looks % LOOKS == 0 ? look_around(client, deadline) : 0;
    } else {
      if (is_idle(client, index) && !virtiofs_driverq_want_call(queue->ring))
        rc = sleep_on(client, index, deadline);
      virtiofs_driverq_no_call(queue->ring);
    }
    if (rc != 0)
      (void)virtiofs_client_break(client, rc);
  }
}

int virtiofs_client_fd(const struct virtiofs_client *client, uint32_t index) {
  const struct virtiofs_transport *transport = client->config.transport;
  return transport != NULL ? transport->queue_fd(client->config.device, index) : client->queues[index].call_fd;
}

bool virtiofs_client_arm(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  uint64_t count;
  if (!is_idle(client, index))
    return true;
  ssize_t n = read(queue->call_fd, &count, sizeof(count));
  (void)n; /* whatever was signalled is looked for now */
  return virtiofs_driverq_want_call(queue->ring);
}

int virtiofs_client_connection_fd(const struct virtiofs_client *client) {
  return client->fe.sock.fd;
}

uint32_t virtiofs_client_in_flight(const struct virtiofs_client *client, uint32_t index) {
  return client->queues[index].in_flight;
}
