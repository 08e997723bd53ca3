/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The driver side of a virtqueue, split or packed: for guests, unikernels, testers and clients. virtq.h has the device
 * side, and what both share: features, sizes, faults.
 *
 * Pure: no system call, no allocation but in virtiofs_driverq_new(). The device is not trusted: what is in flight is
 * kept in private memory, nothing that was written to the ring is read back, and what the device gives back is checked
 * against it. A device that breaks a rule breaks the ring: the fault is kept, and the ring takes and gives nothing
 * more; virtiofs_driverq_reclaim() then gives back what is in flight, once the device has been reset.
 *
 * Setting up: new, map, start, and then the device may look at the ring.
 *
 * Threads: one queue is used by one thread at a time.
 *
 * Specification: virtio 1.3, 2.6 to 2.8.
 */
#ifndef VIRTIOFS_DRIVERQ_H
#define VIRTIOFS_DRIVERQ_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/version.h>
#include <virtiofs/virtq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A ring and its life ---- */

/** A virtqueue, driver side. Opaque. */
struct virtiofs_driverq;

/**
 * virtiofs_driverq_new - a ring that is not mapped yet
 * @out:      NULL after an error
 * @num:      size, VIRTIOFS_VIRTQ_SIZE_MIN .. VIRTIOFS_VIRTQ_SIZE_MAX; a power of two unless packed
 * @features: VIRTIOFS_VIRTQ_F_..., other bits are ignored
 *
 * Return: 0; -EINVAL for a bad @num; -ENOMEM.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_new(struct virtiofs_driverq **out, uint32_t num,
                                                           uint64_t features);

/** virtiofs_driverq_free - forget the ring; NULL is fine. Shared memory is not touched. */
VIRTIOFS_EXPORT void virtiofs_driverq_free(struct virtiofs_driverq *q);

/**
 * virtiofs_driverq_map - say where the ring lies
 * @desc, @driver, @device: addresses in this process of areas as large as virtq.h says; borrowed
 *
 * Return: 0; -EINVAL for a bad alignment, or if the ring is started: then nothing has changed.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_map(struct virtiofs_driverq *q, void *desc, void *driver,
                                                           void *device);

/**
 * virtiofs_driverq_set_tables - give room for indirect tables
 * @memory:  @entries * 16 bytes for each entry of the ring, aligned to 16; borrowed; NULL: use none from now on
 * @addr:    the device's address of the same
 * @entries: of each table, 2 .. VIRTIOFS_VIRTQ_SIZE_MAX
 *
 * From then on each buffer of 2 .. @entries parts takes one descriptor of the ring and a table. Without, and beyond
 * that, it takes a descriptor for each part.
 *
 * Return: 0; -EINVAL for bad arguments, if the feature isn't there, or something is in flight.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_set_tables(struct virtiofs_driverq *q, void *memory,
                                                                  uint64_t addr, uint32_t entries);

/**
 * virtiofs_driverq_start - write an empty ring that begins at a position
 * @q:    a mapped ring that the device doesn't look at yet
 * @base: 0, or VIRTIOFS_VIRTQ_PACKED_BASE if packed, or any other that virtiofs_virtq_start() would take, with nothing
 *        between its two positions
 *
 * Nothing is in flight. The next virtiofs_driverq_publish() that has something to show is not held back by a position
 * that the device has asked for.
 *
 * Return: 0; -EINVAL if no empty ring of this size can be there, or it isn't mapped.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_start(struct virtiofs_driverq *q, uint32_t base);

/** virtiofs_driverq_base - where the ring is, written as for virtiofs_driverq_start(); split: of the next buffer that
 * is made available. */
VIRTIOFS_EXPORT uint32_t virtiofs_driverq_base(const struct virtiofs_driverq *q);

/**
 * virtiofs_driverq_reset - the ring, or the whole device, was reset: it is not mapped and not started any more
 * @num: its size from now on, no larger than it was made with
 *
 * What is in flight stays there for virtiofs_driverq_reclaim(); virtiofs_driverq_start() forgets what is left of it.
 *
 * Return: 0; -EINVAL for a bad @num, or if it differs while something is in flight. Specification: 2.6.1.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_reset(struct virtiofs_driverq *q, uint32_t num);

/**
 * virtiofs_driverq_reclaim - take back a buffer that the device will never give back
 * @cookie: that of the buffer
 *
 * Only when the device can't use the ring any more: after virtiofs_driverq_reset(). Return: 1; 0 if there is none, or
 * the ring was not reset.
 */
VIRTIOFS_EXPORT int virtiofs_driverq_reclaim(struct virtiofs_driverq *q, void **cookie);

/** virtiofs_driverq_fault - what the device did wrong. */
VIRTIOFS_EXPORT enum virtiofs_virtq_fault virtiofs_driverq_fault(const struct virtiofs_driverq *q);

/** virtiofs_driverq_free_count - descriptors of the ring that are free. */
VIRTIOFS_EXPORT uint32_t virtiofs_driverq_free_count(const struct virtiofs_driverq *q);

/** virtiofs_driverq_in_flight - buffers that were added and not taken back. */
VIRTIOFS_EXPORT uint32_t virtiofs_driverq_in_flight(const struct virtiofs_driverq *q);

/* ---- Buffers ---- */

/** A part of a buffer. */
struct virtiofs_driverq_part {
  uint64_t addr; /**< the device's address: guest-physical, or what an IOMMU makes of it */
  uint32_t len;  /**< bytes, 0 allowed */
};

/**
 * virtiofs_driverq_add - add a buffer; seen by the device after virtiofs_driverq_publish()
 * @parts:    first those that the device reads, then those that it writes
 * @readable: how many of the first kind
 * @writable: how many of the second; at least one of both kinds together, at most 2^32 bytes in all
 * @cookie:   given back with it; anything
 *
 * Return: 0; -ENOSPC if there are too few free descriptors; -EINVAL if it would never fit, or the ring isn't started;
 * -EPROTO if the ring is broken. After an error nothing has changed.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_add(struct virtiofs_driverq *q,
                                                           const struct virtiofs_driverq_part *parts, uint32_t readable,
                                                           uint32_t writable, void *cookie);

/**
 * virtiofs_driverq_publish - show the device all that was added
 *
 * One barrier and one decision for all of them. Return: true if the device wants to be notified. Specification: 2.7.10,
 * 2.8.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_driverq_publish(struct virtiofs_driverq *q);

/**
 * virtiofs_driverq_notify_data - what a notification says, if NOTIFICATION_DATA was negotiated
 * @index: the queue's number; bits 0-15. Specification: 2.9.
 */
VIRTIOFS_EXPORT uint32_t virtiofs_driverq_notify_data(const struct virtiofs_driverq *q, uint16_t index);

/** A buffer that the device has used. */
struct virtiofs_driverq_done {
  void *cookie; /**< that of virtiofs_driverq_add() */
  uint32_t len; /**< bytes that the device has written, at most what there was room for */
};

/**
 * virtiofs_driverq_take - take back the next buffer that the device has used
 *
 * With IN_ORDER a device need not say how much it has written to each: then it is all there was room for, or 2^32 - 1
 * if that is more.
 *
 * Return: 1 if one was taken; 0 if there is none; -EPROTO if the ring is or was broken: virtiofs_driverq_fault() says
 * why, and nothing was taken.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_take(struct virtiofs_driverq *q,
                                                            struct virtiofs_driverq_done *done);

/**
 * virtiofs_driverq_take_batch - take back as many as there are
 * @count: entries of @done
 *
 * Return: how many were taken, 0 .. @count; -EPROTO only if none was.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_driverq_take_batch(struct virtiofs_driverq *q,
                                                                  struct virtiofs_driverq_done *done, uint32_t count);

/**
 * virtiofs_driverq_want_call - ask the device to notify when it has used the next buffer
 *
 * Return: true if there is one already, and then the caller must not sleep. Specification: 2.7.7, 2.8.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_driverq_want_call(struct virtiofs_driverq *q);

/** virtiofs_driverq_no_call - tell the device that it need not notify, as the driver looks by itself. A hint. */
VIRTIOFS_EXPORT void virtiofs_driverq_no_call(struct virtiofs_driverq *q);

#ifdef __cplusplus
}
#endif

#endif
