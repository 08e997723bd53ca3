/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The device side of a virtqueue, split or packed; driverq.h has the driver side.
 *
 * Pure: no system call, no allocation but in virtiofs_virtq_new(). Each field that the driver can write is loaded once,
 * and all rules that the driver has to follow are checked. A driver that breaks one breaks its ring: the fault is kept,
 * and the ring gives nothing more.
 *
 * A worker's loop, with no notification lost:
 *
 *     for (;;) {
 *       virtiofs_virtq_no_kick(vq);
 *       while (virtiofs_virtq_take(vq, map, &chain) == 1)
 *         virtiofs_virtq_put(vq, chain.ticket, serve(&chain));
 *       if (virtiofs_virtq_publish(vq))
 *         notify the driver;
 *       if (!virtiofs_virtq_want_kick(vq))
 *         sleep until the driver notifies;
 *     }
 *
 * Threads: one virtqueue is used by one thread at a time.
 *
 * Specification: virtio 1.3, 2.6 to 2.8.
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

/* ---- What both sides share ---- */

/** Feature bits that concern a ring. Specification: 6. */
#define VIRTIOFS_VIRTQ_F_INDIRECT_DESC (UINT64_C(1) << 28)     /**< tables of descriptors outside of the ring */
#define VIRTIOFS_VIRTQ_F_EVENT_IDX (UINT64_C(1) << 29)         /**< notifications from a position on */
#define VIRTIOFS_VIRTQ_F_RING_PACKED (UINT64_C(1) << 34)       /**< the packed layout instead of the split one */
#define VIRTIOFS_VIRTQ_F_IN_ORDER (UINT64_C(1) << 35)          /**< buffers go back in the order in which they came */
#define VIRTIOFS_VIRTQ_F_NOTIFICATION_DATA (UINT64_C(1) << 38) /**< the driver notifies with a position */
#define VIRTIOFS_VIRTQ_F_RING_RESET (UINT64_C(1) << 40)        /**< one ring can be reset alone */

/** Largest and smallest ring. A split one has a power of two. */
#define VIRTIOFS_VIRTQ_SIZE_MAX 32768U
#define VIRTIOFS_VIRTQ_SIZE_MIN 2U

/** Base of a packed ring that begins: both positions 0, both wrap counters 1. That of a split one is 0. */
#define VIRTIOFS_VIRTQ_PACKED_BASE UINT32_C(0x80008000)

/** What the other side did wrong. */
enum virtiofs_virtq_fault {
  VIRTIOFS_VIRTQ_OK = 0,
  /* a driver */
  VIRTIOFS_VIRTQ_AVAIL_JUMP,       /**< more buffers made available than the ring has */
  VIRTIOFS_VIRTQ_HEAD_RANGE,       /**< head index or buffer id past the ring's end */
  VIRTIOFS_VIRTQ_HEAD_TWICE,       /**< a head or id that the device still has */
  VIRTIOFS_VIRTQ_NEXT_RANGE,       /**< next index past the table's end */
  VIRTIOFS_VIRTQ_CHAIN_LONG,       /**< more descriptors than the ring has, or a loop */
  VIRTIOFS_VIRTQ_ORDER,            /**< a readable descriptor after a writable one */
  VIRTIOFS_VIRTQ_INDIRECT_UNASKED, /**< an indirect table without the feature */
  VIRTIOFS_VIRTQ_INDIRECT_NESTED,  /**< an indirect table inside one */
  VIRTIOFS_VIRTQ_INDIRECT_NEXT,    /**< an indirect descriptor followed by another; if packed, also one that follows */
  VIRTIOFS_VIRTQ_INDIRECT_SIZE,    /**< a table's length is 0, no multiple of 16 or too large */
  VIRTIOFS_VIRTQ_ADDRESS,          /**< an address that is not guest memory */
  VIRTIOFS_VIRTQ_TOTAL,            /**< more than 2^32 bytes in a chain */
  VIRTIOFS_VIRTQ_SEGMENTS,         /**< too many pieces of memory in a chain */
  /* a device */
  VIRTIOFS_VIRTQ_USED_JUMP,   /**< more buffers used than are in flight */
  VIRTIOFS_VIRTQ_USED_ID,     /**< an id past the ring's end */
  VIRTIOFS_VIRTQ_USED_TWICE,  /**< an id that is not in flight */
  VIRTIOFS_VIRTQ_USED_LENGTH, /**< more bytes written than there was room for */
  VIRTIOFS_VIRTQ_USED_ORDER,  /**< with IN_ORDER: an id out of turn */
};

/** virtiofs_virtq_fault_name - a fault in words, never NULL. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_virtq_fault_name(enum virtiofs_virtq_fault fault);

/** virtiofs_virtq_size_valid - can a ring have @num entries? @features: VIRTIOFS_VIRTQ_F_RING_PACKED matters. */
VIRTIOFS_EXPORT bool virtiofs_virtq_size_valid(uint32_t num, uint64_t features);

/**
 * Bytes of the three areas of a ring of @num entries: descriptors; what the driver writes (split: the available ring,
 * packed: its event suppression); what the device writes (the used ring, or its event suppression). Their alignment is
 * 16, 2 and 4; if packed 16, 4 and 4. Specification: 2.7, 2.8.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_desc_bytes(uint32_t num);
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_driver_bytes(uint32_t num, uint64_t features);
VIRTIOFS_EXPORT uint64_t virtiofs_virtq_device_bytes(uint32_t num, uint64_t features);

/* ---- The device side: a ring and its life ---- */

/** A virtqueue, device side. Opaque. */
struct virtiofs_virtq;

/**
 * virtiofs_virtq_new - a ring that is not mapped yet
 * @out:      NULL after an error
 * @num:      size, VIRTIOFS_VIRTQ_SIZE_MIN .. VIRTIOFS_VIRTQ_SIZE_MAX; a power of two unless packed
 * @features: VIRTIOFS_VIRTQ_F_..., other bits are ignored
 *
 * Return: 0; -EPROTO for a bad @num; -ENOMEM.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_new(struct virtiofs_virtq **out, uint32_t num, uint64_t features);

/** virtiofs_virtq_free - forget the ring; NULL is fine. Guest memory is not touched. */
VIRTIOFS_EXPORT void virtiofs_virtq_free(struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_map - say where the ring lies; also again when memory has moved
 * @desc, @driver, @device: host addresses of the areas, whole in guest memory; borrowed
 *
 * The ring's position is kept. What was put has to be published before. Return: 0; -EPROTO for a bad alignment, then
 * nothing has changed.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_map(struct virtiofs_virtq *vq, void *desc, void *driver,
                                                         void *device);

/**
 * virtiofs_virtq_start - begin at a position
 * @vq:   a mapped ring
 * @base: what virtiofs_virtq_base() gave elsewhere, or what a ring begins with. Split: index of the next buffer to
 * take, modulo 65536. Packed: bits 0-14 the descriptor that comes next, bit 15 its wrap counter; bits 16-30 where the
 *        next used one goes, bit 31 its wrap counter. That is how vhost-user writes it.
 *
 * A split ring's used index is what stands in the ring. Nothing is in flight: tickets of before are void. The next
 * virtiofs_virtq_publish() that has something to show is not held back by a position that the driver has asked for.
 *
 * Return: 0; -EPROTO if no ring of this size can be there, and then it is not started; -EINVAL if it isn't mapped.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_start(struct virtiofs_virtq *vq, uint32_t base);

/** virtiofs_virtq_base - where the ring is, for virtiofs_virtq_start() here or elsewhere. */
VIRTIOFS_EXPORT uint32_t virtiofs_virtq_base(const struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_reset - the driver, or the whole device, has reset the ring
 * @num: its size from now on, no larger than it was made with
 *
 * The ring is not mapped and not started any more, and doesn't touch guest memory. Tickets are void: who still serves a
 * chain may put it, and nothing happens.
 *
 * Return: 0; -EPROTO for a bad @num, then the size stays. Specification: 2.6.1.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_reset(struct virtiofs_virtq *vq, uint32_t num);

/** virtiofs_virtq_fault - why the ring is broken. */
VIRTIOFS_EXPORT enum virtiofs_virtq_fault virtiofs_virtq_fault(const struct virtiofs_virtq *vq);

/** virtiofs_virtq_mend - take a ring as whole again. */
VIRTIOFS_EXPORT void virtiofs_virtq_mend(struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_set_log - log what the ring itself writes to guest memory; to be said again after map and reset
 * @log:    borrowed until it is replaced; NULL: log nothing
 * @desc:   where the descriptors are for the log, a guest-physical address; matters if packed
 * @device: where the device's area is for the log
 *
 * What is written to buffers is the caller's to log, before virtiofs_virtq_publish().
 */
VIRTIOFS_EXPORT void virtiofs_virtq_set_log(struct virtiofs_virtq *vq, const struct virtiofs_memory_log *log,
                                            uint64_t desc, uint64_t device);

/* ---- The device side: buffers ---- */

/** A buffer of the driver's, taken from the ring. */
struct virtiofs_virtq_chain {
  struct iovec *iov;  /**< caller's array; first the readable pieces, then the writable ones */
  uint32_t capacity;  /**< entries of @iov */
  bool holes;         /**< caller's: what lies nowhere in memory is taken for a window with nothing behind it, as a
                           front-end may have windows that it doesn't show; else it breaks the ring */
  uint32_t in_count;  /**< readable pieces */
  uint32_t out_count; /**< writable pieces */
  uint32_t ticket;    /**< what virtiofs_virtq_put() wants back */
  uint64_t in_bytes;  /**< of the readable pieces, at most 2^32 */
  uint64_t out_bytes; /**< of the writable pieces */
  bool cut; /**< a part lies in a window with nothing behind it: the readable or the writable pieces end before it */
};

/** virtiofs_virtq_pending - has the driver made a buffer available that was not taken? Also true if the ring would
 * break. */
VIRTIOFS_EXPORT bool virtiofs_virtq_pending(const struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_take - take the next buffer
 * @vq:    a ring that was started
 * @map:   memory that the addresses are in
 * @chain: @iov, @capacity and @holes are set by the caller, the rest is set here
 *
 * Return: 1 if one was taken; 0 if there is none, or the ring isn't started; -EPROTO if the ring is or was broken:
 * virtiofs_virtq_fault() says why. A buffer that broke the ring is not taken, so that no head is lost: after
 * VIRTIOFS_VIRTQ_ADDRESS the caller may virtiofs_virtq_mend() the ring, if it has a newer map, and try again.
 * Lifetime: the pieces point into @map's memory.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_take(struct virtiofs_virtq *vq, const struct virtiofs_memory *map,
                                                          struct virtiofs_virtq_chain *chain);

/**
 * virtiofs_virtq_take_batch - take as many as there are
 * @chains: each with an @iov and a @capacity of its own
 * @count:  entries of @chains
 *
 * Return: how many were taken, 0 .. @count; -EPROTO only if none was. A ring that breaks at a later one says so at the
 * next call.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_virtq_take_batch(struct virtiofs_virtq *vq,
                                                                const struct virtiofs_memory *map,
                                                                struct virtiofs_virtq_chain *chains, uint32_t count);

/**
 * virtiofs_virtq_put - give a buffer back; seen by the driver after virtiofs_virtq_publish()
 * @ticket: of a chain that was taken and not given back
 * @len:    bytes written to its writable pieces, from the first one on
 *
 * In any order; with IN_ORDER those that came later wait for those that came before. Works on a broken ring too, as
 * what was taken before is whole.
 *
 * Return: 0; -EINVAL if nothing of that ticket is in flight, or @len is more than there is room for: then nothing has
 * changed.
 */
VIRTIOFS_EXPORT int virtiofs_virtq_put(struct virtiofs_virtq *vq, uint32_t ticket, uint32_t len);

/**
 * virtiofs_virtq_publish - show the driver all that was put
 *
 * One barrier and one decision for all of them. Return: true if the driver wants to be notified. Specification: 2.7.7,
 * 2.8.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_virtq_publish(struct virtiofs_virtq *vq);

/**
 * virtiofs_virtq_want_kick - ask the driver to notify when it makes the next buffer available
 *
 * Return: true if there is one already, and then the caller must not sleep. Specification: 2.7.10, 2.8.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_virtq_want_kick(struct virtiofs_virtq *vq);

/** virtiofs_virtq_no_kick - tell the driver that it need not notify, as the device looks by itself. A hint. */
VIRTIOFS_EXPORT void virtiofs_virtq_no_kick(struct virtiofs_virtq *vq);

#ifdef __cplusplus
}
#endif

#endif
