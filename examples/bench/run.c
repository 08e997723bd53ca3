/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine: so many operations at a time on so many queues, for so long. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct worker {
  struct virtiofs_client *client;
  const struct files *files;
  const struct op *op;
  const struct run_options *options;
  atomic_bool *stop;
  uint32_t first, step; /* queues first, first + step, ... */
  uint32_t slot_count;
  struct slot slots[SLOTS_MAX];
  struct forgets forgets;
  _Atomic uint64_t done; /* also for who watches */
  uint64_t errors;
  uint32_t active;
  int rc;
  struct histogram latency;
  pthread_t thread;
};

uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void step_done(struct virtiofs_client_request *req);

/* What can't be sent ends this slot, and the run. */
static void send(struct worker *worker, struct slot *slot) {
  slot->req->done = step_done;
  slot->req->user = slot;
  int rc = virtiofs_client_request_send(slot->req);
  if (rc != 0) {
    worker->rc = rc;
    worker->active--;
  }
}

/* An operation begins, unless it is time to end. */
static void begin(struct worker *worker, struct slot *slot) {
  slot->step = 0;
  slot->begun = now_ns();
  if ((slot->ran && atomic_load_explicit(worker->stop, memory_order_relaxed)) || !slot->op->next(slot))
    worker->active--;
  else
    send(worker, slot);
  slot->ran = true;
}

static void step_done(struct virtiofs_client_request *req) {
  struct slot *slot = req->user;
  struct worker *worker = (struct worker *)(void *)((char *)slot->forgets - offsetof(struct worker, forgets));
  slot->step++;
  if (req->error == 0 && slot->op->next(slot)) {
    send(worker, slot);
    return;
  }
  histogram_add(&worker->latency, now_ns() - slot->begun);
  worker->errors += req->error != 0;
  atomic_store_explicit(&worker->done, worker->done + 1, memory_order_relaxed);
  begin(worker, slot);
}

static void *work(void *arg) {
  struct worker *worker = arg;
  worker->active = worker->slot_count;
  for (uint32_t i = 0; i < worker->slot_count; i++)
    begin(worker, &worker->slots[i]);
  while (worker->active > 0 && worker->rc == 0) {
    for (uint32_t q = worker->first; q <= worker->options->queues; q += worker->step) {
      if (virtiofs_client_in_flight(worker->client, q) == 0)
        continue;
      /* With one queue there is nothing else to look at. */
      int rc = worker->step >= worker->options->queues ? virtiofs_client_wait(worker->client, q) : 0;
      if (rc == 0) {
        virtiofs_client_kick(worker->client, q);
        rc = virtiofs_client_process(worker->client, q);
      }
      if (rc < 0)
        worker->rc = rc;
    }
  }
  forget_all(&worker->forgets);
  return NULL;
}

/* Seconds of processor time that the threads of a process have used, to the nanosecond; negative if nobody says. */
static double cpu_of(long pid) {
  char path[64];
  double sum = 0;
  (void)snprintf(path, sizeof(path), "/proc/%ld/task", pid);
  DIR *dir = pid != 0 ? opendir(path) : NULL;
  if (dir == NULL)
    return -1;
  for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
    unsigned long long ns = 0;
    char file[sizeof(path) + sizeof(entry->d_name) + 16];
    (void)snprintf(file, sizeof(file), "%s/%s/schedstat", path, entry->d_name);
    FILE *stat = fopen(file, "r");
    if (stat == NULL)
      continue;
    if (fscanf(stat, "%llu", &ns) == 1) /* NOLINT(cert-err34-c) */
      sum += (double)ns / 1e9;
    (void)fclose(stat);
  }
  closedir(dir);
  return sum;
}

static double own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int take_requests(struct worker *worker) {
  const struct run_options *options = worker->options;
  for (uint32_t q = worker->first; q <= options->queues; q += worker->step)
    for (uint32_t i = 0; i < options->depth; i++) {
      struct slot *slot = &worker->slots[worker->slot_count];
      slot->req = virtiofs_client_request_take(worker->client, q);
      if (slot->req == NULL)
        return -EBUSY;
      slot->op = worker->op;
      slot->files = worker->files;
      slot->forgets = &worker->forgets;
      slot->number = worker->first * SLOTS_MAX / (options->queues + 1) + worker->slot_count;
      slot->random = 0x9e3779b97f4a7c15U * (slot->number + 1);
      memset(slot->req->data, (int)slot->number, worker->op->bytes);
      worker->slot_count++;
    }
  return 0;
}

static void watch(const struct worker *workers, const struct run_options *options, const char *name) {
  uint64_t begun = now_ns(), before = 0;
  uint64_t length = (uint64_t)(options->seconds * 1e9), beat = options->progress ? 1000000000U : length;
  for (uint64_t at = 0; at < length;) {
    uint64_t nap = length - at < beat ? length - at : beat;
    struct timespec ts = {.tv_sec = (time_t)(nap / 1000000000U), .tv_nsec = (long)(nap % 1000000000U)};
    (void)nanosleep(&ts, NULL);
    uint64_t done = 0;
    for (uint32_t i = 0; i < options->threads; i++)
      done += atomic_load_explicit(&workers[i].done, memory_order_relaxed);
    at = now_ns() - begun;
    if (options->progress)
      (void)fprintf(stderr, "\r%-12s %3.0f s %10.0f ops/s ", name, (double)at / 1e9,
                    (double)(done - before) / ((double)nap / 1e9));
    before = done;
  }
  if (options->progress)
    (void)fputs("\r                                    \r", stderr);
}

int run(struct virtiofs_client *client, const struct files *files, const struct op *op,
        const struct run_options *options, struct result *result) {
  struct worker *workers = calloc(options->threads, sizeof(*workers));
  atomic_bool stop = false;
  int rc = workers != NULL ? 0 : -ENOMEM;
  *result = (struct result){.op = op};
  for (uint32_t i = 0; rc == 0 && i < options->threads; i++) {
    workers[i] = (struct worker){.client = client,
                                 .files = files,
                                 .op = op,
                                 .options = options,
                                 .stop = &stop,
                                 .first = i + 1,
                                 .step = options->threads,
                                 .forgets.client = client};
    rc = take_requests(&workers[i]);
  }
  double client_cpu = own_cpu(), server_cpu = cpu_of(options->server_pid);
  uint64_t begun = now_ns();
  uint32_t started = 0;
  while (rc == 0 && started < options->threads) {
    rc = -pthread_create(&workers[started].thread, NULL, work, &workers[started]);
    started += rc == 0;
  }
  if (rc == 0)
    watch(workers, options, op->name);
  atomic_store(&stop, true);
  for (uint32_t i = 0; i < started; i++) {
    pthread_join(workers[i].thread, NULL);
    result->count += workers[i].done;
    result->errors += workers[i].errors;
    histogram_merge(&result->latency, &workers[i].latency);
    if (rc == 0)
      rc = workers[i].rc;
  }
  result->seconds = (double)(now_ns() - begun) / 1e9;
  result->client_cpu = own_cpu() - client_cpu;
  result->server_cpu = server_cpu < 0 ? -1 : cpu_of(options->server_pid) - server_cpu;
  for (uint32_t i = 0; workers != NULL && i < options->threads; i++)
    for (uint32_t slot = 0; slot < workers[i].slot_count; slot++)
      virtiofs_client_request_give(workers[i].slots[slot].req);
  free(workers);
  return rc;
}
