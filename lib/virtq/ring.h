/* SPDX-License-Identifier: BSD-3-Clause */
/** What rings look like in guest memory; virtio 1.3, 2.7 and 2.8. All fields are little-endian. */
#ifndef VIRTIOFS_LIB_VIRTQ_RING_H
#define VIRTIOFS_LIB_VIRTQ_RING_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIOFS_DESC_F_NEXT 1U
#define VIRTIOFS_DESC_F_WRITE 2U
#define VIRTIOFS_DESC_F_INDIRECT 4U
#define VIRTIOFS_DESC_F_AVAIL 0x80U
#define VIRTIOFS_DESC_F_USED 0x8000U

/* ---- split ---- */

#define VIRTIOFS_AVAIL_F_NO_INTERRUPT 1U
#define VIRTIOFS_USED_F_NO_NOTIFY 1U

/* Also of an indirect table. */
struct virtiofs_ring_desc {
  uint64_t addr;
  uint32_t len;
  uint16_t flags;
  uint16_t next;
};

/* Behind the ring stands used_event. */
struct virtiofs_ring_avail {
  uint16_t flags;
  uint16_t idx;
  uint16_t ring[];
};

struct virtiofs_ring_used_elem {
  uint32_t id;
  uint32_t len;
};

/* Behind the ring stands avail_event. */
struct virtiofs_ring_used {
  uint16_t flags;
  uint16_t idx;
  struct virtiofs_ring_used_elem ring[];
};

_Static_assert(sizeof(struct virtiofs_ring_desc) == 16, "virtio 1.3, 2.7.5");
_Static_assert(sizeof(struct virtiofs_ring_used_elem) == 8, "virtio 1.3, 2.7.8");

/* virtio 1.3, 2.7.7.2. */
static inline bool virtiofs_ring_passed(uint16_t event, uint16_t now, uint16_t before) {
  return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/* ---- packed ---- */

/* Also of an indirect table, where only addr, len and WRITE mean something. */
struct virtiofs_packed_desc {
  uint64_t addr;
  uint32_t len;
  uint16_t id;
  uint16_t flags;
};

_Static_assert(sizeof(struct virtiofs_packed_desc) == 16, "virtio 1.3, 2.8.13");

/* An event suppression area, 32 bits that are loaded and stored whole: a position in the lower half, then what it is.
 */
#define VIRTIOFS_EVENT_ENABLE (UINT32_C(0) << 16)
#define VIRTIOFS_EVENT_DISABLE (UINT32_C(1) << 16)
#define VIRTIOFS_EVENT_DESC (UINT32_C(2) << 16)
#define VIRTIOFS_EVENT_MASK (UINT32_C(3) << 16)

/* A descriptor, and how often the ring has been gone around, modulo 2. */
struct virtiofs_packed_pos {
  uint16_t at;
  bool wrap;
};

/* @count: at most @num. */
static inline void virtiofs_packed_advance(struct virtiofs_packed_pos *pos, uint32_t count, uint32_t num) {
  uint32_t at = pos->at + count;
  if (at >= num) {
    at -= num;
    pos->wrap = !pos->wrap;
  }
  pos->at = (uint16_t)at;
}

/* As events and bases write it. */
static inline uint16_t virtiofs_packed_pos_encode(struct virtiofs_packed_pos pos) {
  return (uint16_t)(pos.at | (pos.wrap ? 0x8000U : 0U));
}

static inline struct virtiofs_packed_pos virtiofs_packed_pos_decode(uint16_t raw) {
  return (struct virtiofs_packed_pos){.at = raw & 0x7fff, .wrap = (raw & 0x8000) != 0};
}

/* The flags of a descriptor that is available, or used, at a position. */
static inline uint16_t virtiofs_packed_avail_flags(bool wrap) {
  return wrap ? VIRTIOFS_DESC_F_AVAIL : VIRTIOFS_DESC_F_USED;
}

static inline uint16_t virtiofs_packed_used_flags(bool wrap) {
  return wrap ? VIRTIOFS_DESC_F_AVAIL | VIRTIOFS_DESC_F_USED : 0;
}

static inline bool virtiofs_packed_is_avail(uint16_t flags, bool wrap) {
  return (flags & (VIRTIOFS_DESC_F_AVAIL | VIRTIOFS_DESC_F_USED)) == virtiofs_packed_avail_flags(wrap);
}

static inline bool virtiofs_packed_is_used(uint16_t flags, bool wrap) {
  return (flags & (VIRTIOFS_DESC_F_AVAIL | VIRTIOFS_DESC_F_USED)) == virtiofs_packed_used_flags(wrap);
}

/*
 * Does the other side's event area ask for a notification, now that @moved descriptors up to @now were shown to it?
 * @by_position: EVENT_IDX was negotiated, and a notification was decided on before.
 */
static inline bool virtiofs_packed_wants(uint32_t event, struct virtiofs_packed_pos now, uint32_t moved, uint32_t num,
                                         bool by_position) {
  uint32_t flags = event & VIRTIOFS_EVENT_MASK;
  if (flags == VIRTIOFS_EVENT_DISABLE)
    return false;
  if (flags != VIRTIOFS_EVENT_DESC || !by_position)
    return true;
  struct virtiofs_packed_pos asked = virtiofs_packed_pos_decode((uint16_t)event);
  uint16_t at = asked.wrap == now.wrap ? asked.at : (uint16_t)(asked.at - num);
  return virtiofs_ring_passed(at, now.at, (uint16_t)(now.at - moved));
}

#endif
