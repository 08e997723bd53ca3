/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's side of a queue, and completions. */
#include "device/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "device/thread.h"

static void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static int watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int make_timer(struct virtiofs_queue *queue) {
  queue->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (queue->timer_fd < 0)
    return -errno;
  queue->ready_fd = epoll_create1(EPOLL_CLOEXEC);
  if (queue->ready_fd < 0)
    return -errno;
  int rc = watch(queue->ready_fd, queue->timer_fd);
  return rc == 0 ? watch(queue->ready_fd, queue->wake_fd) : rc;
}

int virtiofs_queue_ready_fd(const struct virtiofs_queue *queue) {
  return queue->ready_fd >= 0 ? queue->ready_fd : queue->wake_fd;
}

int virtiofs_queue_init(struct virtiofs_queue *queue) {
  pthread_condattr_t attr;
  queue->kick_fd = queue->call_fd = queue->err_fd = -1;
  queue->timer_fd = queue->ready_fd = -1;
  queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (queue->wake_fd < 0)
    return -errno;
  pthread_mutex_init(&queue->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&queue->changed, &attr);
  pthread_condattr_destroy(&attr);
  return queue->rate != NULL ? make_timer(queue) : 0;
}

void virtiofs_queue_fini(struct virtiofs_queue *queue) {
  if (queue->wake_fd < 0)
    return;
  close_fd(&queue->timer_fd);
  close_fd(&queue->ready_fd);
  close(queue->wake_fd);
  pthread_cond_destroy(&queue->changed);
  pthread_mutex_destroy(&queue->lock);
  queue->wake_fd = -1;
}

void virtiofs_queue_wake(struct virtiofs_queue *queue) {
  uint64_t one = 1;
  ssize_t written = write(queue->wake_fd, &one, sizeof(one));
  (void)written; /* a full counter wakes too */
  /* After it, or who sees it might read before there is something to read. */
  atomic_store(&queue->rung, true);
}

/* 0, and @to is a copy of @fd, or -1 if there is none. */
static int copy_fd(int fd, int *to) {
  *to = -1;
  if (fd < 0)
    return 0;
  *to = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return *to >= 0 ? 0 : -errno;
}

static struct virtiofs_hold *hold_new(struct virtiofs_memory *map) {
  struct virtiofs_hold *hold = calloc(1, sizeof(*hold));
  if (hold != NULL)
    hold->map = virtiofs_memory_ref(map);
  return hold;
}

void virtiofs_hold_drop(struct virtiofs_hold *hold) {
  if (hold == NULL)
    return;
  virtiofs_memory_unref(hold->map);
  free(hold);
}

/* What a stopped queue keeps. */
static void clean(struct virtiofs_queue *queue) {
  close_fd(&queue->kick_fd);
  close_fd(&queue->call_fd);
  close_fd(&queue->err_fd);
  if (queue->inbox.has_fds) {
    close_fd(&queue->inbox.call_fd);
    close_fd(&queue->inbox.err_fd);
  }
  virtiofs_hold_drop(queue->inbox.hold);
  queue->inbox = (struct virtiofs_queue_inbox){0};
  virtiofs_hold_drop(queue->hold);
  queue->hold = NULL;
  virtiofs_virtq_free(queue->vq);
  queue->vq = NULL;
  virtiofs_slots_unref(queue->slots);
  queue->slots = NULL;
}

static int prepare(struct virtiofs_queue *queue, const struct virtiofs_queue_setup *setup) {
  if (setup->num > VIRTIOFS_QUEUE_MAX_SIZE)
    return -EPROTO;
  queue->num = setup->num;
  queue->features = setup->features;
  queue->desc = setup->desc;
  queue->driver = setup->driver;
  queue->device = setup->device;
  queue->in_flight = 0;
  queue->room = queue->max_in_flight != 0 && queue->max_in_flight < queue->num ? queue->max_in_flight : queue->num;
  queue->broken = false;
  queue->lost = false;
  queue->exited = false;
  queue->timer_ns = 0;
  virtiofs_lookout_init(&queue->lookout, (uint64_t)queue->poll_us * 1000);
  atomic_store(&queue->has_mail, false);
  atomic_store(&queue->stop, false);
  atomic_store(&queue->sleeping, false);
  queue->hold = hold_new(setup->map);
  if (queue->hold == NULL)
    return -ENOMEM;
  int rc = virtiofs_virtq_new(&queue->vq, setup->num, setup->features);
  if (rc == 0)
    rc = virtiofs_queue_map(queue);
  if (rc == 0)
    rc = virtiofs_slots_new(&queue->slots, setup->num);
  if (rc == 0)
    rc = copy_fd(setup->kick_fd, &queue->kick_fd);
  if (rc == 0)
    rc = copy_fd(setup->call_fd, &queue->call_fd);
  if (rc == 0)
    rc = copy_fd(setup->err_fd, &queue->err_fd);
  virtiofs_queue_look_at_fds(queue);
  if (rc == 0)
    rc = virtiofs_virtq_start(queue->vq, setup->base);
  return rc;
}

int virtiofs_queue_start(struct virtiofs_queue *queue, const struct virtiofs_queue_setup *setup) {
  char name[16];
  int rc = prepare(queue, setup);
  (void)snprintf(name, sizeof(name), "vfs-%s", queue->tag);
  if (rc == 0 && !queue->stepped)
    rc = virtiofs_thread_start(&queue->thread, name, virtiofs_queue_work, queue);
  if (rc != 0)
    clean(queue);
  queue->running = rc == 0;
  return rc;
}

static struct timespec deadline_of(const struct virtiofs_queue *queue) {
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += queue->drain_ms / 1000;
  deadline.tv_nsec += (long)(queue->drain_ms % 1000) * 1000000L;
  if (deadline.tv_nsec >= 1000000000L) {
    deadline.tv_sec++;
    deadline.tv_nsec -= 1000000000L;
  }
  return deadline;
}

/* True if the worker has ended by the deadline. */
static bool wait_exit(struct virtiofs_queue *queue) {
  struct timespec deadline = deadline_of(queue);
  pthread_mutex_lock(&queue->lock);
  int rc = 0;
  while (!queue->exited && rc == 0)
    rc = pthread_cond_timedwait(&queue->changed, &queue->lock, &deadline);
  bool exited = queue->exited;
  pthread_mutex_unlock(&queue->lock);
  return exited;
}

/* The same where there is no worker: true if all is answered by the deadline. */
static bool drain_here(struct virtiofs_queue *queue) {
  struct timespec deadline = deadline_of(queue);
  bool late = false;
  while (!late && virtiofs_queue_drain(queue, &deadline, &late))
    continue;
  return !late;
}

uint32_t virtiofs_queue_stop(struct virtiofs_queue *queue) {
  bool said = false, here = queue->stepped;
  atomic_store(&queue->stop, true);
  if (!here)
    virtiofs_queue_wake(queue);
  /* More than once: an operation may have been called before the deadline and become pending only after it. */
  while (here ? !drain_here(queue) : !wait_exit(queue)) {
    if (!said)
      virtiofs_log_write(queue->log, VIRTIOFS_LOG_WARN, queue->tag,
                         "requests are not given up after %u ms; answering in their place", queue->drain_ms);
    said = true;
    virtiofs_session_abandon(queue->session, queue->index);
  }
  if (!here)
    pthread_join(queue->thread, NULL);
  /* All is answered, but whoever has answered may not have left the queue yet; it may be gone after this. */
  while (atomic_load(&queue->completing) != 0)
    sched_yield();
  uint32_t base = virtiofs_virtq_base(queue->vq);
  clean(queue);
  queue->running = false;
  return base;
}

int virtiofs_queue_memory(struct virtiofs_queue *queue, struct virtiofs_memory *map) {
  struct virtiofs_hold *hold = hold_new(map);
  if (hold == NULL)
    return -ENOMEM;
  pthread_mutex_lock(&queue->lock);
  struct virtiofs_hold *unread = queue->inbox.hold;
  queue->inbox.hold = hold;
  pthread_mutex_unlock(&queue->lock);
  virtiofs_hold_drop(unread);
  atomic_store(&queue->has_mail, true);
  virtiofs_queue_wake(queue);
  return 0;
}

int virtiofs_queue_fds(struct virtiofs_queue *queue, int call_fd, int err_fd) {
  int call, err;
  int rc = copy_fd(call_fd, &call);
  if (rc != 0)
    return rc;
  rc = copy_fd(err_fd, &err);
  if (rc != 0) {
    close_fd(&call);
    return rc;
  }
  pthread_mutex_lock(&queue->lock);
  if (queue->inbox.has_fds) {
    close_fd(&queue->inbox.call_fd);
    close_fd(&queue->inbox.err_fd);
  }
  queue->inbox.call_fd = call;
  queue->inbox.err_fd = err;
  queue->inbox.has_fds = true;
  pthread_mutex_unlock(&queue->lock);
  atomic_store(&queue->has_mail, true);
  virtiofs_queue_wake(queue);
  return 0;
}

void virtiofs_queue_complete(struct virtiofs_message *msg, size_t used) {
  struct virtiofs_slot *slot = virtiofs_slot_of_message(msg);
  struct virtiofs_queue *queue = slot->queue;
  atomic_fetch_add(&queue->completing, 1);
  slot->used = used;
  slot->abandoned = virtiofs_session_abandoned(&slot->req);
  slot->error = virtiofs_session_error(&slot->req);
  if (slot->abandoned) {
    atomic_fetch_add(&slot->slots->refs, 1);
    pthread_mutex_lock(&queue->late->lock);
    queue->late->count++;
    pthread_mutex_unlock(&queue->late->lock);
  }
  struct virtiofs_slot *first = atomic_load(&queue->answered);
  do {
    slot->next = first;
  } while (!atomic_compare_exchange_weak(&queue->answered, &first, slot));
  /* The worker says that it sleeps and looks at the list then; we put it on the list and look then. The first wakes it.
   */
  if (atomic_load(&queue->sleeping) && !atomic_exchange(&queue->woken, true))
    virtiofs_queue_wake(queue);
  atomic_fetch_sub(&queue->completing, 1);
}
