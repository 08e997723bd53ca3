/* SPDX-License-Identifier: BSD-3-Clause */
/** A bench for lib/device: a device over a script_fs, served in a thread, and a guest that speaks FUSE to it. */
#ifndef VIRTIOFS_TESTS_SUPPORT_DEVICE_BENCH_H
#define VIRTIOFS_TESTS_SUPPORT_DEVICE_BENCH_H

#include <pthread.h>
#include <stdatomic.h>

#include <virtiofs/device.h>

#include "support/fuse_request.h"
#include "support/guest_driver.h"
#include "support/script_fs.h"

#define DEVICE_F_INDIRECT (UINT64_C(1) << 28)
#define DEVICE_F_EVENT_IDX (UINT64_C(1) << 29)
#define DEVICE_F_VERSION_1 (UINT64_C(1) << 32)
#define DEVICE_F_PACKED (UINT64_C(1) << 34)

enum { DEVICE_RING = 16, DEVICE_SLOTS = 32, DEVICE_SLOT = 8192, DEVICE_ROOM = 4096 };

struct device_bench {
  struct virtiofs_device *dev;
  struct virtiofs_device_config config;
  struct virtiofs_ops ops;
  struct script_fs fs;
  struct guest g;
  bool connected;
  bool indirect; /**< chains are sent so */
  /* Where the next request's bytes go. No two queues use one place: sanitizers can't see what a guest does between. */
  unsigned slot[GUEST_QUEUES];
  bool busy[GUEST_QUEUES * DEVICE_SLOTS]; /**< places of requests that are under way */
  pthread_t server;
  int fd, rc;
  atomic_uint warnings;
  pthread_mutex_t lock;
  char line[256]; /**< the last warning */
  unsigned fds, threads, maps;
};

/** A request under way. */
struct device_call {
  uint32_t queue;
  uint16_t head;
  uint64_t out;  /**< gpa of the reply */
  uint32_t room; /**< bytes there */
  uint32_t used; /**< as the ring says */
  uint64_t unique;
  uint32_t opcode;
};

/**
 * cmocka's: *state is a bench without a device: change its @config and @ops, then _new(). The teardown ends all, and
 * fails if a descriptor, a thread or a mapping is left.
 */
int device_bench_setup(void **state);
int device_bench_teardown(void **state);

void device_bench_new(struct device_bench *b);
/** Connects a front-end with rings of @num entries, and serves it. */
void device_bench_connect(struct device_bench *b, uint32_t num, uint64_t features);
/** All in one: a device, a front-end, @queues rings of DEVICE_RING, and INIT on queue 1. */
void device_bench_start(struct device_bench *b, uint32_t queues, uint64_t features);
/** Waits until serve has returned: what it did return. */
int device_bench_join(struct device_bench *b);
/** The front-end goes. Return: as above. */
int device_bench_hang_up(struct device_bench *b);

/** Sends a request in pieces header, arguments, reply's header, reply; and kicks. */
struct device_call device_send(struct device_bench *b, uint32_t queue, const struct fuse_request *r);
/** The same with data at a place of its own: behind the request (@write false), or behind the reply's header. */
struct device_call device_send_data(struct device_bench *b, uint32_t queue, const struct fuse_request *r, uint64_t gpa,
                                    uint32_t len, bool write);
/** Waits until one of them is answered. Return: its index. */
unsigned device_wait(struct device_bench *b, struct device_call *calls, unsigned count);
/** The error in the reply of an answered one. */
int device_error(struct device_bench *b, const struct device_call *call);

/** Sends, waits, and copies the reply's arguments. Return: its error. */
int device_ask(struct device_bench *b, uint32_t queue, const struct fuse_request *r, void *args, size_t size);
void device_mount(struct device_bench *b, uint32_t queue);
uint64_t device_lookup(struct device_bench *b, uint32_t queue, const char *name);
uint64_t device_open(struct device_bench *b, uint32_t queue, uint64_t nodeid);

#endif
