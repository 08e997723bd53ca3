/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A bench for lib/vhost: a back-end, a scripted front-end at its other end, and a device that notes what it is told.
 * All in one thread: send, vhost_bench_step(), look.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_VHOST_BENCH_H
#define VIRTIOFS_TESTS_SUPPORT_VHOST_BENCH_H

#include "support/vhost_frontend.h"
#include "vhost/backend.h"

#define VHOST_BENCH_RINGS 3U
#define VHOST_BENCH_FEATURES UINT64_C(0x530000000) /* VERSION_1, RING_PACKED, EVENT_IDX, INDIRECT_DESC */

/** A device that notes what happens as words: "features=1" "memory=2" "start0" "stop0" "fds0" "config0" "reset0". */
struct vhost_device {
  char trace[2048];
  int features_rc, memory_rc, start_rc, stop_rc, fds_rc, config_rc, reset_rc; /* what to answer */
  uint32_t stop_base;                                                         /* what ring_stop says */
  struct virtiofs_vhost_vring started[VHOST_BENCH_RINGS];                     /* as last seen by an event */
  struct virtiofs_memory *map;                                                /* referenced */
  uint64_t acked;
  unsigned lines, errors; /* of the log; of those, errors */
  char line[256];         /* the last one */
};

extern const struct virtiofs_vhost_events vhost_device_events;

struct vhost_bench {
  struct vhost_frontend fe;
  struct virtiofs_vhost_socket socket;
  struct virtiofs_vhost_backend *backend;
  struct vhost_device device;
  struct virtiofs_log log;
  int event_fd, memory_fd; /* the front-end's own, to be sent: an eventfd and 1 MiB of memory */
  unsigned fds, maps;      /* at first */
};

/** cmocka's: *state is a struct vhost_bench. The teardown fails if a descriptor or a mapping is left. */
int vhost_bench_setup(void **state);
int vhost_bench_teardown(void **state);

/** Have the back-end take one message; it must return @rc. */
void vhost_bench_step(struct vhost_bench *bench, int rc);
/** The device was told exactly this, words separated by a space, since the last time. */
void vhost_device_told(struct vhost_device *device, const char *words);
void vhost_device_fini(struct vhost_device *device);

/** A region of 1 MiB at gpa 0x100000 * @n and uva 0x7000000 + 0x100000 * @n. */
struct virtiofs_vhost_user_region vhost_bench_region(uint32_t n);
/** Steps: REPLY_ACK is on, and each message asks from now on. */
void vhost_bench_acks(struct vhost_bench *bench);
/** Steps: memory of vhost_bench_region(0). */
void vhost_bench_memory(struct vhost_bench *bench);
/** One step of the description of a ring of 8 in vhost_bench_region(0). */
void vhost_bench_addr(struct vhost_bench *bench, uint32_t index);
void vhost_bench_kick(struct vhost_bench *bench, uint32_t index);
/** Steps: features with bit 30, memory, and ring @index runs from base 0. Nothing of it is in the trace. */
void vhost_bench_run(struct vhost_bench *bench, uint32_t index);
/** Sends nothing; the next step gives -ECONNRESET. */
void vhost_bench_hang_up(struct vhost_bench *bench);

#endif
