/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a device has done so far, and what its guest has of it: for programs that watch it.
 *
 * Everything here may be asked at any time, by any thread, from the making of the device until it is freed. Numbers
 * that change while they are read don't stand still for that: each is right by itself, two of them may be a request
 * apart. Counters begin at 0 with the device and never go back; 64 bits don't overflow.
 *
 * A program that would see each message sets a tap (device.h) instead.
 */
#ifndef VIRTIOFS_STATS_H
#define VIRTIOFS_STATS_H

#include <stddef.h>
#include <stdint.h>

#include <virtiofs/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opcodes below it (fuse.h) are counted each by itself; all others, and what has none, as 0. */
#define VIRTIOFS_STATS_OPCODES 64U

/** Buckets of a histogram; virtiofs_stats_bound() says where each ends. */
#define VIRTIOFS_STATS_BUCKETS 28U

/** The requests of one opcode that one queue has given back to the guest. Newer libraries may have more at the end. */
struct virtiofs_stats_op {
  uint64_t count;     /**< requests */
  uint64_t errors;    /**< of these, answered with an error */
  uint64_t in_bytes;  /**< the guest's side of them, as long as it has made them */
  uint64_t out_bytes; /**< replies; READ's data is among them */
  uint64_t time_ns;   /**< from the taking of each to its giving back, in all; 0 if the device doesn't measure */
  uint64_t buckets[VIRTIOFS_STATS_BUCKETS]; /**< how many took how long; all 0 if the device doesn't measure */
};

/** One queue. Newer libraries may have more at the end. */
struct virtiofs_stats_queue {
  uint64_t taken;      /**< requests that came from the ring, or from the host's kernel */
  uint64_t in_flight;  /**< of these, not given back yet */
  uint64_t delays;     /**< how often there was a request that had to wait for the device's rate */
  uint64_t delayed_ns; /**< how long, in all */
};

/** What the guest has, and what it may have. Newer libraries may have more at the end. */
struct virtiofs_stats_usage {
  uint64_t nodes, max_nodes;       /**< files that it knows beside the root */
  uint64_t handles, max_handles;   /**< open files and directories */
  uint64_t mappings, max_mappings; /**< in the DAX window; 0, 0: there is none now */
};

/**
 * virtiofs_stats_bound - where a bucket ends
 * @bucket: 0 .. VIRTIOFS_STATS_BUCKETS - 1
 *
 * Return: requests in it took less than so many nanoseconds, and no less than the one before it says; UINT64_MAX for
 * the last. Threads: any.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_stats_bound(uint32_t bucket);

/**
 * virtiofs_stats_read_op - requests of one opcode on one queue
 * @queue:  0: the high-priority queue; 1 ..: request queues; of a mount: by which thread they were read, 1 ..
 * @opcode: 0 .. VIRTIOFS_STATS_OPCODES - 1
 * @out:    filled
 * @size:   sizeof(struct virtiofs_stats_op): no more is written; what this library doesn't know is 0
 *
 * Return: 0; -EINVAL if there is no such queue or opcode. Threads: any.
 */
VIRTIOFS_EXPORT int virtiofs_stats_read_op(const struct virtiofs_device *dev, uint32_t queue, uint32_t opcode,
                                           struct virtiofs_stats_op *out, size_t size);

/** virtiofs_stats_read_queue - the same of a queue as such. */
VIRTIOFS_EXPORT int virtiofs_stats_read_queue(const struct virtiofs_device *dev, uint32_t queue,
                                              struct virtiofs_stats_queue *out, size_t size);

/** virtiofs_stats_read_usage - what the guest has. @size: as above. Threads: any. */
VIRTIOFS_EXPORT void virtiofs_stats_read_usage(const struct virtiofs_device *dev, struct virtiofs_stats_usage *out,
                                               size_t size);

#ifdef __cplusplus
}
#endif

#endif
