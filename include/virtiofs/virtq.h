/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The device side of a split virtqueue.
 *
 * Pure: no system call, no allocation but in virtiofs_virtq_new(). Each field that the driver can write is loaded once,
 * and all rules that the driver has to follow are checked. A driver that breaks one breaks its ring: the fault is kept,
 * and the ring gives and takes nothing more.
 *
 * Threads: one virtqueue is used by one thread at a time.
 *
 * Specification: virtio 1.3, 2.6 and 2.7.
 */
#ifndef VIRTIOFS_VIRTQ_H
#define VIRTIOFS_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <virtiofs/memory.h>
#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Feature bits that change a ring. */
#define VIRTIOFS_VIRTQ_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIOFS_VIRTQ_F_EVENT_IDX (UINT64_C(1) << 29)

/** Largest ring. */
#define VIRTIOFS_VIRTQ_SIZE_MAX 32768U

/** What a driver did wrong. */
enum virtiofs_virtq_fault {
  VIRTIOFS_VIRTQ_OK = 0,
  VIRTIOFS_VIRTQ_AVAIL_JUMP,       /**< more buffers made available than the ring has */
  VIRTIOFS_VIRTQ_HEAD_RANGE,       /**< head index past the ring's end */
  VIRTIOFS_VIRTQ_HEAD_TWICE,       /**< a head that the device still has */
  VIRTIOFS_VIRTQ_NEXT_RANGE,       /**< next index past the table's end */
  VIRTIOFS_VIRTQ_CHAIN_LONG,       /**< more descriptors than the ring has, or a loop */
  VIRTIOFS_VIRTQ_ORDER,            /**< a readable descriptor after a writable one */
  VIRTIOFS_VIRTQ_INDIRECT_UNASKED, /**< an indirect table without the feature */
  VIRTIOFS_VIRTQ_INDIRECT_NESTED,  /**< an indirect table inside one */
  VIRTIOFS_VIRTQ_INDIRECT_NEXT,    /**< indirect and next in one descriptor */
  VIRTIOFS_VIRTQ_INDIRECT_SIZE,    /**< a table's length is 0, no multiple of 16 or too large */
  VIRTIOFS_VIRTQ_ADDRESS,          /**< an address that is not guest memory */
  VIRTIOFS_VIRTQ_TOTAL,            /**< more than 2^32 bytes in a chain */
  VIRTIOFS_VIRTQ_SEGMENTS,         /**< too many pieces of memory in a chain */
};

/** virtiofs_virtq_fault_name - a fault in words, never NULL. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_virtq_fault_name(enum virtiofs_virtq_fault fault);

/** A virtqueue, device side. Opaque. */
struct virtiofs_virtq;

/** A buffer of the driver's, taken from the ring. */
struct virtiofs_virtq_chain {
  struct iovec *iov;  /**< caller's array; first the readable pieces, then the writable ones */
  uint32_t capacity;  /**< entries of @iov */
  uint32_t in_count;  /**< readable pieces */
  uint32_t out_count; /**< writable pieces */
  uint16_t head;      /**< what virtiofs_virtq_put() wants back */
};

/**
 * virtiofs_virtq_new - a ring that is not mapped yet
 * @out:      NULL after an error
 * @num:      size, a power of two, 2 .. VIRTIOFS_VIRTQ_SIZE_MAX
 * @features: VIRTIOFS_VIRTQ_F_..., other bits are ignored
 *
 * Return: 0; -EPROTO for a bad @num; -ENOMEM.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_new(struct virtiofs_virtq **out, uint32_t num, uint64_t features);

/** virtiofs_virtq_free - forget the ring; NULL is fine. Guest memory is not touched. */
VIRTIOFS_EXPORT void virtiofs_virtq_free(struct virtiofs_virtq *vq);

/** Bytes of the three parts of a split ring of @num entries. */
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_desc_bytes(uint32_t num);
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_avail_bytes(uint32_t num);
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_used_bytes(uint32_t num);

/**
 * virtiofs_virtq_map - say where the ring lies; also again when memory has moved
 * @desc, @avail, @used: host addresses of the parts, aligned to 16, 2 and 4, whole in guest memory; borrowed
 *
 * The ring's position is kept. Return: 0; -EPROTO for a bad alignment, then nothing has changed.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_map(struct virtiofs_virtq *vq, void *desc, void *avail,
                                                         void *used);

/**
 * virtiofs_virtq_start - begin at a position
 * @base: index of the next buffer to take, modulo 65536
 *
 * The used index is what stands in the mapped ring, and nothing is in flight. The next virtiofs_virtq_publish()
 * notifies in any case.
 */
VIRTIOFS_EXPORT void virtiofs_virtq_start(struct virtiofs_virtq *vq, uint16_t base);

/** virtiofs_virtq_base - index of the next buffer to take, for virtiofs_virtq_start() elsewhere. */
VIRTIOFS_EXPORT uint16_t virtiofs_virtq_base(const struct virtiofs_virtq *vq);

/** virtiofs_virtq_pending - has the driver made a buffer available that was not taken? Also true if the ring would
 * break. */
VIRTIOFS_EXPORT bool virtiofs_virtq_pending(const struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_take - take the next buffer
 * @vq:    a mapped ring
 * @map:   memory that the addresses are in
 * @chain: @iov and @capacity are set by the caller, the rest is set here
 *
 * Return: 1 if one was taken; 0 if there is none; -EPROTO if the ring is or was broken: virtiofs_virtq_fault() says
 * why. A buffer that broke the ring is not taken, so that no head is lost: after VIRTIOFS_VIRTQ_ADDRESS the caller may
 * virtiofs_virtq_mend() the ring, if it has a newer map, and try again.
 * Lifetime: the pieces point into @map's memory.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                                                          struct virtiofs_virtq_chain *chain);

/** virtiofs_virtq_fault - why the ring is broken. */
VIRTIOFS_EXPORT enum virtiofs_virtq_fault virtiofs_virtq_fault(const struct virtiofs_virtq *vq);

/** virtiofs_virtq_mend - take a ring as whole again. */
VIRTIOFS_EXPORT void virtiofs_virtq_mend(struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_put - give a buffer back; seen by the driver after virtiofs_virtq_publish()
 * @head: of a chain that was taken and not given back
 * @len:  bytes written to its writable part
 *
 * Works on a broken ring too, as what was taken before is whole.
 */
VIRTIOFS_EXPORT void virtiofs_virtq_put(struct virtiofs_virtq *vq, uint16_t head, uint32_t len);

/**
 * virtiofs_virtq_publish - show the driver all that was put
 *
 * Return: true if the driver wants to be notified. Specification: 2.7.7.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_virtq_publish(struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_want_kick - ask the driver to notify when it makes the next buffer available
 *
 * Return: true if there is one already, and then the caller must not sleep. Specification: 2.7.10.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_virtq_want_kick(struct virtiofs_virtq *vq);

/** virtiofs_virtq_no_kick - tell the driver that it need not notify, as the device looks by itself. A hint. */
VIRTIOFS_EXPORT void virtiofs_virtq_no_kick(struct virtiofs_virtq *vq);

#ifdef __cplusplus
}
#endif

#endif
