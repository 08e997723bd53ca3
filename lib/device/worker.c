/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker of one queue: takes requests from the ring, hands them to the session, publishes what is answered. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/probe.h"
#include "device/clock.h"
#include "device/queue.h"

/* How often a worker looks before it reads the clock. */
#define LOOKS 16U

/* Rings without a kick descriptor are looked at this often. */
#define POLL_NS 50000U

#define SECOND UINT64_C(1000000000)

/* A part of the ring: whole in one region, and never in a window, where memory may go at any time. */
static void *find(const struct virtiofs_queue *queue, uint64_t addr, uint64_t bytes) {
  const struct virtiofs_memory *map = queue->hold->map;
  uint64_t len = bytes;
  uint32_t hint = 0;
  if (queue->driver_here == NULL)
    return virtiofs_memory_uva(map, addr, bytes);
  if (virtiofs_memory_window(map, addr, &len))
    return NULL;
  len = bytes;
  void *at = virtiofs_memory_gpa(map, addr, &len, &hint);
  return len == bytes ? at : NULL;
}

int virtiofs_queue_map(struct virtiofs_queue *queue) {
  uint32_t num = queue->num;
  void *desc = find(queue, queue->desc, virtiofs_virtq_desc_bytes(num));
  void *driver = find(queue, queue->driver, virtiofs_virtq_driver_bytes(num, queue->features));
  void *device = find(queue, queue->device, virtiofs_virtq_device_bytes(num, queue->features));
  if (desc == NULL || driver == NULL || device == NULL)
    return -EPROTO;
  return virtiofs_virtq_map(queue->vq, desc, driver, device);
}

/* Eventfds and pipes alike: what is in it has no meaning. False if it will never be readable again. */
static bool drain_fd(int fd) {
  uint64_t value;
  ssize_t n = read(fd, &value, sizeof(value));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool may_wait(int fd) {
  int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

void virtiofs_queue_look_at_fds(struct virtiofs_queue *queue) {
  queue->call_waits = may_wait(queue->call_fd);
  queue->err_waits = may_wait(queue->err_fd);
}

/* An eventfd whose counter is full, or a pipe that nobody reads, says all that is to be said already: not waited for.
 * The flags aren't ours to change, as the front-end has them too. */
static void signal_fd(int fd, bool waits) {
  struct pollfd pfd = {.fd = fd, .events = POLLOUT};
  uint64_t one = 1;
  if (fd < 0 || (waits && (poll(&pfd, 1, 0) <= 0 || (pfd.revents & POLLOUT) == 0)))
    return;
  ssize_t written = write(fd, &one, sizeof(one));
  (void)written; /* nobody may be listening any more */
}

static void notify_driver(struct virtiofs_queue *queue) {
  const struct virtiofs_transport_driver *here = queue->driver_here;
  if (here == NULL)
    signal_fd(queue->call_fd, queue->call_waits);
  else if (here->notify != NULL)
    here->notify(here->ctx, queue->index);
}

static void break_queue(struct virtiofs_queue *queue, const char *why) {
  const struct virtiofs_transport_driver *here = queue->driver_here;
  if (queue->broken)
    return;
  queue->broken = true;
  if (here != NULL && here->broken != NULL)
    here->broken(here->ctx, queue->index);
  virtiofs_log_write(queue->log, VIRTIOFS_LOG_WARN, queue->tag, "ring broken by the driver: %s", why);
  signal_fd(queue->err_fd, queue->err_waits);
}

static void read_mail(struct virtiofs_queue *queue) {
  if (!atomic_load(&queue->has_mail) || !atomic_exchange(&queue->has_mail, false))
    return;
  pthread_mutex_lock(&queue->lock);
  struct virtiofs_queue_inbox mail = queue->inbox;
  queue->inbox = (struct virtiofs_queue_inbox){0};
  pthread_mutex_unlock(&queue->lock);
  if (mail.hold != NULL) {
    if (queue->hold->users == 0)
      virtiofs_hold_drop(queue->hold);
    queue->hold = mail.hold;
    queue->lost = virtiofs_queue_map(queue) != 0;
    if (queue->lost)
      break_queue(queue, "it is outside of guest memory");
  }
  if (mail.has_fds) {
    if (queue->call_fd >= 0)
      close(queue->call_fd);
    if (queue->err_fd >= 0)
      close(queue->err_fd);
    queue->call_fd = mail.call_fd;
    queue->err_fd = mail.err_fd;
    virtiofs_queue_look_at_fds(queue);
    /* What was signalled to the old one may not have been seen. */
    signal_fd(queue->call_fd, queue->call_waits);
    if (queue->broken)
      signal_fd(queue->err_fd, queue->err_waits);
  }
}

/* Bytes of a request or a reply that the device's rate is charged for: a driver may say that there are more than
 * anybody looks at. */
static uint32_t charged(const struct virtiofs_queue *queue, size_t len) {
  return len < queue->charge_max ? (uint32_t)len : queue->charge_max;
}

/* How large the reply will be nobody knows; it is paid for now, and what it didn't need is given back. */
static void charge(const struct virtiofs_queue *queue, struct virtiofs_slot *slot) {
  uint64_t now = virtiofs_clock_ns();
  slot->room = charged(queue, slot->msg.out_len);
  virtiofs_rate_take(&queue->rate->ops, now, 1);
  virtiofs_rate_take(&queue->rate->bytes, now, charged(queue, slot->msg.in_len) + (uint64_t)slot->room);
}

static void discharge(const struct virtiofs_queue *queue, const struct virtiofs_slot *slot) {
  if (slot->used < slot->room)
    virtiofs_rate_give(&queue->rate->bytes, slot->room - slot->used);
}

/* When something may be taken again; 0: now. */
static uint64_t turn_of(const struct virtiofs_queue *queue) {
  if (queue->rate == NULL)
    return 0;
  uint64_t now = virtiofs_clock_ns();
  uint64_t wait = virtiofs_rate_wait(queue->rate, now, virtiofs_session_running(queue->session));
  return wait != 0 ? now + wait : 0;
}

static void count(struct virtiofs_queue *queue, const struct virtiofs_slot *slot, uint64_t now) {
  struct virtiofs_counted counted = {.opcode = virtiofs_session_opcode(&slot->req),
                                     .error = slot->error,
                                     .in_bytes = slot->msg.in_len,
                                     .out_bytes = slot->used,
                                     .ns = now - slot->taken_ns};
  virtiofs_counters_give(queue->counters, &counted);
}

/* Gives answered requests back to the driver. True if there were any. */
static bool publish(struct virtiofs_queue *queue) {
  if (atomic_load(&queue->answered) == NULL)
    return false;
  struct virtiofs_slot *slot = atomic_exchange(&queue->answered, NULL);
  uint64_t now = queue->counters->timed ? virtiofs_clock_ns() : 0;
  while (slot != NULL) {
    struct virtiofs_slot *next = slot->next;
    struct virtiofs_hold *hold = slot->hold;
    /* Before the driver may take the buffer back. */
    if (queue->tap != NULL)
      queue->tap->reply(queue->tap_ctx, queue->index, &slot->msg, slot->used, slot->token);
    count(queue, slot, now);
    if (queue->rate != NULL)
      discharge(queue, slot);
    if (!queue->lost)
      (void)virtiofs_virtq_put(queue->vq, slot->ticket, (uint32_t)slot->used);
    if (--hold->users == 0 && hold != queue->hold)
      virtiofs_hold_drop(hold);
    /* The storage of an abandoned one is the backend's until it completes. */
    if (!slot->abandoned)
      virtiofs_slots_give(queue->slots, slot);
    queue->in_flight--;
    slot = next;
  }
  if (!queue->lost && virtiofs_virtq_publish(queue->vq))
    notify_driver(queue);
  return true;
}

static void submit(struct virtiofs_queue *queue, struct virtiofs_slot *slot, struct virtiofs_virtq_chain *chain) {
  slot->queue = queue;
  slot->hold = queue->hold;
  slot->ticket = chain->ticket;
  slot->abandoned = false;
  queue->hold->users++;
  queue->in_flight++;
  virtiofs_counters_take(queue->counters);
  slot->taken_ns = queue->counters->timed ? virtiofs_clock_ns() : 0;
  virtiofs_message_init(&slot->msg, chain->iov, chain->in_count, chain->out_count, virtiofs_queue_complete);
  slot->msg.cut = chain->cut;
  VIRTIOFS_PROBE_TAKE(queue->index, &slot->msg, slot->msg.in_len, slot->msg.out_len);
  if (queue->rate != NULL)
    charge(queue, slot);
  if (queue->tap != NULL)
    slot->token = queue->tap->request(queue->tap_ctx, queue->index, &slot->msg);
  bool defer = queue->pool != NULL && (queue->in_flight > 1 || virtiofs_virtq_pending(queue->vq));
  if (virtiofs_session_submit(queue->session, queue->index, &slot->req, &slot->msg, defer) == VIRTIOFS_SUBMIT_DEFER)
    virtiofs_pool_run(queue->pool, slot);
}

/* Takes one request. False if there is none, or no room for one. */
static bool take(struct virtiofs_queue *queue) {
  struct virtiofs_slot *slot = virtiofs_slots_take(queue->slots);
  if (slot == NULL)
    return false;
  struct virtiofs_virtq_chain chain = {.iov = virtiofs_slot_segments(slot), .capacity = queue->slots->segments};
  int rc = virtiofs_virtq_take(queue->vq, queue->hold->map, &chain);
  if (rc < 0 && virtiofs_virtq_fault(queue->vq) == VIRTIOFS_VIRTQ_ADDRESS && atomic_load(&queue->has_mail)) {
    /* The guest may use memory that was added a moment ago. */
    read_mail(queue);
    virtiofs_virtq_mend(queue->vq);
    if (!queue->broken)
      rc = virtiofs_virtq_take(queue->vq, queue->hold->map, &chain);
  }
  if (rc < 0 && virtiofs_virtq_fault(queue->vq) == VIRTIOFS_VIRTQ_ADDRESS) {
    /* It may be in a window, our own or another device's, whose place in the guest's memory we are not told; any
     * program of the guest can have a file read into one. */
    chain.holes = true;
    virtiofs_virtq_mend(queue->vq);
    rc = virtiofs_virtq_take(queue->vq, queue->hold->map, &chain);
  }
  if (rc < 0)
    break_queue(queue, virtiofs_virtq_fault_name(virtiofs_virtq_fault(queue->vq)));
  if (rc <= 0) {
    virtiofs_slots_give(queue->slots, slot);
    return false;
  }
  submit(queue, slot, &chain);
  return true;
}

static inline void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* @stop: that it is to stop is no news. */
static bool has_work(struct virtiofs_queue *queue, bool kicks, bool stop) {
  return (kicks && virtiofs_virtq_pending(queue->vq)) || atomic_load(&queue->answered) != NULL ||
         atomic_load(&queue->has_mail) || (!stop && atomic_load(&queue->stop));
}

/* Looks for something to do, for as long as that pays. False: there was nothing. */
static bool look(struct virtiofs_queue *queue, bool kicks, bool stop, uint64_t since) {
  uint64_t waited = 0;
  while (waited < queue->lookout.ns) {
    for (unsigned i = 0; i < LOOKS; i++) {
      if (has_work(queue, kicks, stop))
        return true;
      pause_cpu();
    }
    /* The driver may need this very processor. */
    (void)sched_yield();
    waited = virtiofs_clock_ns() - since;
  }
  return false;
}

/* Sleeps until there is something to do; @kicks: also when the driver says so; for @ns at most, if that isn't 0. */
static void sleep_on(struct virtiofs_queue *queue, bool kicks, uint64_t ns) {
  struct pollfd fds[2] = {{.fd = queue->wake_fd, .events = POLLIN},
                          {.fd = kicks ? queue->kick_fd : -1, .events = POLLIN}};
  if (kicks && queue->kick_fd < 0)
    ns = POLL_NS;
  struct timespec most = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
  atomic_store(&queue->woken, false);
  atomic_store(&queue->sleeping, true);
  bool busy = atomic_load(&queue->answered) != NULL || atomic_load(&queue->has_mail);
  if (!busy)
    (void)ppoll(fds, 2, ns != 0 ? &most : NULL, NULL);
  atomic_store(&queue->sleeping, false);
  if ((fds[0].revents & POLLIN) != 0)
    (void)drain_fd(queue->wake_fd);
  if (fds[1].revents != 0 && !drain_fd(queue->kick_fd)) {
    close(queue->kick_fd);
    queue->kick_fd = -1;
    break_queue(queue, "the kick descriptor is at its end");
  }
}

static void announce_exit(struct virtiofs_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->exited = true;
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

/* May the ring be looked at? Not while all there is room for is in flight: whatever is there then is not to be taken
 * yet. */
static bool takes(const struct virtiofs_queue *queue, bool stop) {
  return !stop && !queue->broken && queue->in_flight < queue->room;
}

/* Until there may be something to do. */
static void rest(struct virtiofs_queue *queue, bool stop) {
  bool kicks = takes(queue, stop);
  uint64_t since = queue->lookout.limit_ns != 0 ? virtiofs_clock_ns() : 0;
  if (look(queue, kicks, stop, since) || (kicks && virtiofs_virtq_want_kick(queue->vq)))
    return;
  sleep_on(queue, kicks, 0);
  if (kicks)
    virtiofs_virtq_no_kick(queue->vq);
  if (queue->lookout.limit_ns != 0)
    virtiofs_lookout_waited(&queue->lookout, virtiofs_clock_ns() - since);
}

/* Nothing may be taken before @turn. Nobody looks at the ring meanwhile, so nobody asks for kicks. */
static void wait_turn(struct virtiofs_queue *queue, uint64_t turn) {
  uint64_t since = virtiofs_clock_ns();
  if (turn <= since)
    return;
  sleep_on(queue, false, turn - since);
  if (!queue->lost && virtiofs_virtq_pending(queue->vq))
    virtiofs_counters_delay(queue->counters, virtiofs_clock_ns() - since);
}

void *virtiofs_queue_work(void *arg) {
  struct virtiofs_queue *queue = arg;
  for (;;) {
    bool stop = atomic_load(&queue->stop);
    read_mail(queue);
    uint64_t turn = takes(queue, stop) ? turn_of(queue) : 0;
    bool busy = takes(queue, stop) && turn == 0 && take(queue);
    busy |= publish(queue);
    if (stop) {
      virtiofs_session_cancel(queue->session, queue->index);
      if (queue->in_flight == 0)
        break;
    }
    if (!busy && turn != 0)
      wait_turn(queue, turn);
    else if (!busy)
      rest(queue, stop);
  }
  announce_exit(queue);
  return NULL;
}

/* ---- without a worker ---- */

static void hear(struct virtiofs_queue *queue) {
  if (atomic_load(&queue->rung) && atomic_exchange(&queue->rung, false))
    (void)drain_fd(queue->wake_fd);
}

/* As the worker before it sleeps: what comes after this makes wake_fd readable. False if something has come already. */
static bool lie_down(struct virtiofs_queue *queue) {
  atomic_store(&queue->woken, false);
  atomic_store(&queue->sleeping, true);
  if (atomic_load(&queue->answered) == NULL && !atomic_load(&queue->has_mail))
    return true;
  atomic_store(&queue->sleeping, false);
  return false;
}

/* @timer_fd is readable from @turn on; 0: not at all. */
static void set_timer(struct virtiofs_queue *queue, uint64_t turn) {
  if (turn == queue->timer_ns)
    return;
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(turn / SECOND), .tv_nsec = (long)(turn % SECOND)}};
  (void)timerfd_settime(queue->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
  queue->timer_ns = turn;
}

int virtiofs_queue_process(struct virtiofs_queue *queue) {
  bool polls = queue->driver_here != NULL && queue->driver_here->polls;
  int taken = 0;
  uint64_t turn = 0;
  hear(queue);
  if (!queue->running)
    return 0;
  if (atomic_load_explicit(&queue->sleeping, memory_order_relaxed)) {
    atomic_store(&queue->sleeping, false);
    if (!polls && !queue->lost)
      virtiofs_virtq_no_kick(queue->vq);
  }
  read_mail(queue);
  while (takes(queue, false) && taken < (int)queue->num && (turn = turn_of(queue)) == 0 && take(queue))
    taken++;
  set_timer(queue, turn);
  if (publish(queue) || taken > 0)
    return taken > 0 ? taken : 1;
  if (turn == 0 && !polls && takes(queue, false) && virtiofs_virtq_want_kick(queue->vq))
    return 1;
  return lie_down(queue) ? 0 : 1;
}

static long long ns_until(const struct timespec *deadline) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)(deadline->tv_sec - now.tv_sec) * 1000000000LL + (deadline->tv_nsec - now.tv_nsec);
}

bool virtiofs_queue_drain(struct virtiofs_queue *queue, const struct timespec *deadline, bool *late) {
  atomic_store(&queue->sleeping, false);
  hear(queue);
  read_mail(queue);
  (void)publish(queue);
  virtiofs_session_cancel(queue->session, queue->index);
  if (queue->in_flight == 0)
    return false;
  long long left = ns_until(deadline);
  *late = left <= 0;
  if (!*late && lie_down(queue)) {
    struct pollfd pfd = {.fd = queue->wake_fd, .events = POLLIN};
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000LL), .tv_nsec = (long)(left % 1000000000LL)};
    (void)ppoll(&pfd, 1, &timeout, NULL);
  }
  return true;
}
