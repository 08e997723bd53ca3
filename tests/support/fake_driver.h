/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The driver side of a split ring, for tests: builds rings and chains, right or wrong.
 *
 * Written apart from lib/virtq, so that both can't share a mistake. Each part of the ring and each region of memory is
 * a heap block of exactly its size, so that a sanitizer sees a read or a write beyond it. Aborts if the test itself is
 * wrong.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_FAKE_DRIVER_H
#define VIRTIOFS_TESTS_SUPPORT_FAKE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/memory.h>

#define FAKE_NEXT 1U
#define FAKE_WRITE 2U
#define FAKE_INDIRECT 4U

/* Guest-physical addresses. The first two regions of data touch each other, though not in this process; behind the
 * second and the third there is a hole. */
#define FAKE_DESC UINT64_C(0x100000)
#define FAKE_AVAIL UINT64_C(0x200000)
#define FAKE_USED UINT64_C(0x300000)
#define FAKE_DATA UINT64_C(0x400000)
#define FAKE_DATA_SIZE UINT64_C(0x10000)
#define FAKE_DATA_SEAM (FAKE_DATA + FAKE_DATA_SIZE)
#define FAKE_DATA_HOLE (FAKE_DATA_SEAM + FAKE_DATA_SIZE)
#define FAKE_FAR UINT64_C(0xfffffffffffff000)
#define FAKE_FAR_SIZE UINT64_C(0x1000)
#define FAKE_REGIONS 6U

/** What a front-end would call the same memory. */
#define FAKE_UVA(gpa) ((gpa) ^ UINT64_C(0x7f0000000000))

struct fake_driver {
  uint32_t num;
  bool event_idx, indirect;
  struct virtiofs_memory *map; /* of @regions, owned */
  struct virtiofs_memory_region regions[FAKE_REGIONS];
  unsigned char *desc, *avail, *used; /* the ring, in this process */
  uint16_t avail_idx;                 /* of the next buffer to make available */
  uint16_t used_idx;                  /* of the next one to get back */
  uint16_t last_kick;                 /* avail_idx when a notification was last thought about */
  uint64_t next_data;                 /* of fake_driver_alloc() */
  uint16_t *next_free;                /* descriptors of the table that are free, num: none */
  uint16_t first_free;
};

/** @features as VIRTIOFS_VIRTQ_F_...; memory is zero. */
void fake_driver_init(struct fake_driver *drv, uint32_t num, uint64_t features);
void fake_driver_fini(struct fake_driver *drv);
/** Both indices of an empty ring, as after @index buffers. */
void fake_driver_position(struct fake_driver *drv, uint16_t index);

/** Memory of the two regions that touch each other, from their beginning on, never given back. */
uint64_t fake_driver_alloc(struct fake_driver *drv, size_t len);
/** @len bytes that lie in one region. */
void *fake_driver_at(struct fake_driver *drv, uint64_t gpa, size_t len);
/** Bytes that may cross regions. */
void fake_driver_write(struct fake_driver *drv, uint64_t gpa, const void *bytes, size_t len);
void fake_driver_read(struct fake_driver *drv, uint64_t gpa, void *bytes, size_t len);

/** One descriptor of the ring's table, or of a table at @table, which may lie across regions and anyhow. */
void fake_driver_desc(struct fake_driver *drv, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags,
                      uint16_t next);
void fake_driver_desc_at(struct fake_driver *drv, uint64_t table, uint32_t index, uint64_t addr, uint32_t len,
                         uint16_t flags, uint16_t next);

/** Makes a head available, whatever it is. */
void fake_driver_offer(struct fake_driver *drv, uint16_t head);
/** The index alone. */
void fake_driver_avail_idx(struct fake_driver *drv, uint16_t index);

struct fake_buffer {
  uint64_t gpa;
  uint32_t len;
  bool write;
};

/** A chain of free descriptors, or one that refers to a table of its own; returns its head, which is not offered yet.
 */
uint16_t fake_driver_chain(struct fake_driver *drv, const struct fake_buffer *buffers, uint32_t count, bool indirect);
/** A used element, if there is one; frees the chain's descriptors. */
bool fake_driver_get(struct fake_driver *drv, uint32_t *id, uint32_t *len);

/** What each side says about notifications. */
void fake_driver_avail_flags(struct fake_driver *drv, uint16_t flags);
void fake_driver_used_event(struct fake_driver *drv, uint16_t index);
uint16_t fake_driver_used_flags(const struct fake_driver *drv);
uint16_t fake_driver_avail_event(const struct fake_driver *drv);
uint16_t fake_driver_used_idx(const struct fake_driver *drv);
/** Does the device want to be notified of what was offered since the last call? virtio 1.3, 2.7.10. */
bool fake_driver_kick(struct fake_driver *drv);

#endif
