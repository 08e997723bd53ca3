/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device and its driver in one process: what virtio's transports say between them, as calls.
 *
 * A device gives a struct virtiofs_transport; virtiofs_device_transport() (device.h) does. A driver uses it;
 * virtiofs_client_new() (client.h) does. A VMM stands between the two: its guest's driver writes registers, and it
 * makes these calls, or those of device.h that are behind them.
 *
 * Life: start, then queue_start for each queue, process whenever the driver has notified or an answer may have come,
 * queue_stop, stop. And again.
 *
 * Specification: virtio 1.3, 3.1, 4.
 */
#ifndef VIRTIOFS_TRANSPORT_H
#define VIRTIOFS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/memory.h>
#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The feature that every driver of today accepts. Specification: 6. */
#define VIRTIOFS_TRANSPORT_F_VERSION_1 (UINT64_C(1) << 32)

struct virtiofs_dax_mapper;

/** A driver that is ready: DRIVER_OK. Zero means default. */
struct virtiofs_transport_driver {
  size_t size;                 /**< sizeof(struct virtiofs_transport_driver) */
  uint64_t features;           /**< of those that the device offers, with VERSION_1 */
  struct virtiofs_memory *map; /**< the memory that it may use; required; one reference more is taken */
  /**
   * There are used buffers, and the driver wants to be told: raise the queue's interrupt. NULL: nobody is told. Called
   * from within process; may be called for several queues at once if they are processed so.
   */
  void (*notify)(void *ctx, uint32_t queue);
  /**
   * The driver broke the queue's ring and nothing more is taken from it: DEVICE_NEEDS_RESET. NULL: nobody is told.
   * Called as notify.
   */
  void (*broken)(void *ctx, uint32_t queue);
  void *ctx;  /**< of the two */
  bool polls; /**< process is called all the time: the device need not be notified */
  /** Maps files into the guest's DAX window, from within process (dax.h); copied. NULL: the guest has none. At stop all
   * is unmapped. */
  const struct virtiofs_dax_mapper *mapper;
  bool has_memory_fd; /**< @map is one region, the whole of a file, and @memory_fd is of that file */
  int memory_fd;      /**< for a VMM whose device is in another process; borrowed during start */
};

/** A queue that the driver has set up. */
struct virtiofs_transport_queue {
  uint32_t num;  /**< descriptors, 2 .. 1024; a power of two unless packed */
  uint32_t base; /**< where it begins, as for virtiofs_virtq_start() (virtq.h): 0, or VIRTIOFS_VIRTQ_PACKED_BASE */
  uint64_t desc, driver, device; /**< guest-physical addresses of its areas, each whole in one region of the memory */
  bool has_kick_fd;
  int kick_fd; /**< an eventfd by which the driver notifies (ioeventfd); borrowed; only if @has_kick_fd */
};

/**
 * What a device can be told. All return 0 or more, or -errno. The first argument is the device.
 *
 * Threads: process by one thread at a time for one queue, different queues by different threads at once; the rest by
 * one thread while no process runs. None from within an operation, notify or broken.
 */
struct virtiofs_transport {
  /** Features that the device offers. */
  uint64_t (*features)(void *device);
  /** Queues that it has, the high-priority one among them. */
  uint32_t (*queues)(void *device);
  /** Bytes of its configuration space. -EINVAL outside of it. */
  int (*config)(void *device, uint32_t offset, uint32_t size, void *data);
  /** A driver is ready. -EBUSY if there is one. */
  int (*start)(void *device, const struct virtiofs_transport_driver *driver);
  /** The memory has changed. */
  int (*memory)(void *device, struct virtiofs_memory *map);
  int (*queue_start)(void *device, uint32_t index, const struct virtiofs_transport_queue *queue);
  /** Waits until nothing is in flight. @base: where it would go on. */
  int (*queue_stop)(void *device, uint32_t index, uint32_t *base);
  /** Does what there is to do for a queue. Return: > 0 if that was anything: there may be more. */
  int (*process)(void *device, uint32_t index);
  /** Readable, when process has said 0, as soon as it has something to do that is not the driver's notification. */
  int (*queue_fd)(void *device, uint32_t index);
  /** The driver is gone, or resets the device. */
  void (*stop)(void *device);
};

#ifdef __cplusplus
}
#endif

#endif
