/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/fake_driver.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/virtq.h>

static void *checked(void *memory) {
  if (memory == NULL)
    abort();
  return memory;
}

/* A block whose size need not be a multiple of its alignment. */
static unsigned char *block(size_t size) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, size) != 0)
    abort();
  return memset(memory, 0, size);
}

static uint16_t load16(const unsigned char *at) {
  return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_SEQ_CST));
}

static void store16(unsigned char *at, uint16_t value) {
  __atomic_store_n((uint16_t *)(void *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static void region(struct fake_driver *drv, uint32_t index, uint64_t gpa, uint64_t size) {
  drv->regions[index] =
      (struct virtiofs_memory_region){.gpa = gpa, .size = size, .uva = FAKE_UVA(gpa), .host = block((size_t)size)};
}

void fake_driver_init(struct fake_driver *drv, uint32_t num, uint64_t features) {
  *drv = (struct fake_driver){.num = num, .next_data = FAKE_DATA};
  drv->event_idx = (features & VIRTIOFS_VIRTQ_F_EVENT_IDX) != 0;
  drv->indirect = (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0;
  region(drv, 0, FAKE_DESC, UINT64_C(16) * num);
  region(drv, 1, FAKE_AVAIL, 6 + UINT64_C(2) * num);
  region(drv, 2, FAKE_USED, 6 + UINT64_C(8) * num);
  region(drv, 3, FAKE_DATA, FAKE_DATA_SIZE);
  region(drv, 4, FAKE_DATA_SEAM, FAKE_DATA_SIZE);
  region(drv, 5, FAKE_FAR, FAKE_FAR_SIZE);
  drv->desc = drv->regions[0].host;
  drv->avail = drv->regions[1].host;
  drv->used = drv->regions[2].host;
  if (virtiofs_memory_new(&drv->map, drv->regions, FAKE_REGIONS, NULL) != 0)
    abort();
  drv->next_free = checked(calloc(num, sizeof(uint16_t)));
  for (uint32_t i = 0; i < num; i++)
    drv->next_free[i] = (uint16_t)(i + 1);
}

void fake_driver_fini(struct fake_driver *drv) {
  virtiofs_memory_unref(drv->map);
  for (uint32_t i = 0; i < FAKE_REGIONS; i++)
    free(drv->regions[i].host);
  free(drv->next_free);
  *drv = (struct fake_driver){0};
}

void fake_driver_position(struct fake_driver *drv, uint16_t index) {
  drv->avail_idx = drv->used_idx = drv->last_kick = index;
  store16(drv->avail + 2, index);
  store16(drv->used + 2, index);
}

uint64_t fake_driver_alloc(struct fake_driver *drv, size_t len) {
  uint64_t gpa = drv->next_data;
  if (len > FAKE_DATA_HOLE - gpa)
    abort();
  drv->next_data += len;
  return gpa;
}

/* Where @gpa lies, and how many bytes there are from there on. */
static unsigned char *find(struct fake_driver *drv, uint64_t gpa, size_t *len) {
  for (uint32_t i = 0; i < FAKE_REGIONS; i++) {
    const struct virtiofs_memory_region *r = &drv->regions[i];
    if (gpa >= r->gpa && gpa - r->gpa < r->size) {
      *len = (size_t)(r->size - (gpa - r->gpa));
      return (unsigned char *)r->host + (gpa - r->gpa);
    }
  }
  abort();
}

void *fake_driver_at(struct fake_driver *drv, uint64_t gpa, size_t len) {
  size_t there;
  void *at = find(drv, gpa, &there);
  if (there < len)
    abort();
  return at;
}

void fake_driver_write(struct fake_driver *drv, uint64_t gpa, const void *bytes, size_t len) {
  for (size_t done = 0; done < len;) {
    size_t piece;
    unsigned char *at = find(drv, gpa + done, &piece);
    piece = len - done < piece ? len - done : piece;
    memcpy(at, (const unsigned char *)bytes + done, piece);
    done += piece;
  }
}

void fake_driver_read(struct fake_driver *drv, uint64_t gpa, void *bytes, size_t len) {
  for (size_t done = 0; done < len;) {
    size_t piece;
    const unsigned char *at = find(drv, gpa + done, &piece);
    piece = len - done < piece ? len - done : piece;
    memcpy((unsigned char *)bytes + done, at, piece);
    done += piece;
  }
}

void fake_driver_desc_at(struct fake_driver *drv, uint64_t table, uint32_t index, uint64_t addr, uint32_t len,
                         uint16_t flags, uint16_t next) {
  unsigned char raw[16];
  memcpy(raw, &(uint64_t){htole64(addr)}, 8);
  memcpy(raw + 8, &(uint32_t){htole32(len)}, 4);
  memcpy(raw + 12, &(uint16_t){htole16(flags)}, 2);
  memcpy(raw + 14, &(uint16_t){htole16(next)}, 2);
  fake_driver_write(drv, table + UINT64_C(16) * index, raw, sizeof raw);
}

void fake_driver_desc(struct fake_driver *drv, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags,
                      uint16_t next) {
  fake_driver_desc_at(drv, FAKE_DESC, index, addr, len, flags, next);
}

void fake_driver_offer(struct fake_driver *drv, uint16_t head) {
  store16(drv->avail + 4 + 2 * (drv->avail_idx & (drv->num - 1)), head);
  fake_driver_avail_idx(drv, (uint16_t)(drv->avail_idx + 1));
}

void fake_driver_avail_idx(struct fake_driver *drv, uint16_t index) {
  drv->avail_idx = index;
  store16(drv->avail + 2, index);
}

static uint16_t take_free(struct fake_driver *drv) {
  uint16_t index = drv->first_free;
  if (index == drv->num)
    abort();
  drv->first_free = drv->next_free[index];
  return index;
}

static uint16_t flags_of(const struct fake_buffer *buffer, bool last) {
  return (uint16_t)((buffer->write ? FAKE_WRITE : 0U) | (last ? 0U : FAKE_NEXT));
}

static uint16_t chain_indirect(struct fake_driver *drv, const struct fake_buffer *buffers, uint32_t count) {
  uint64_t table = fake_driver_alloc(drv, count * 16);
  uint16_t head = take_free(drv);
  for (uint32_t i = 0; i < count; i++)
    fake_driver_desc_at(drv, table, i, buffers[i].gpa, buffers[i].len, flags_of(&buffers[i], i + 1 == count),
                        (uint16_t)(i + 1));
  fake_driver_desc(drv, head, table, count * 16, FAKE_INDIRECT, 0);
  return head;
}

uint16_t fake_driver_chain(struct fake_driver *drv, const struct fake_buffer *buffers, uint32_t count, bool indirect) {
  if (indirect)
    return chain_indirect(drv, buffers, count);
  uint16_t head = drv->first_free;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t index = take_free(drv);
    fake_driver_desc(drv, index, buffers[i].gpa, buffers[i].len, flags_of(&buffers[i], i + 1 == count),
                     drv->first_free);
  }
  return head;
}

static void free_chain(struct fake_driver *drv, uint16_t index) {
  for (;;) {
    uint16_t flags, next;
    memcpy(&flags, drv->desc + 16 * index + 12, 2);
    memcpy(&next, drv->desc + 16 * index + 14, 2);
    drv->next_free[index] = drv->first_free;
    drv->first_free = index;
    if ((le16toh(flags) & FAKE_NEXT) == 0)
      return;
    index = le16toh(next);
  }
}

bool fake_driver_get(struct fake_driver *drv, uint32_t *id, uint32_t *len) {
  if (fake_driver_used_idx(drv) == drv->used_idx)
    return false;
  const unsigned char *elem = drv->used + 4 + 8 * (drv->used_idx & (drv->num - 1));
  memcpy(id, elem, 4);
  memcpy(len, elem + 4, 4);
  *id = le32toh(*id);
  *len = le32toh(*len);
  if (*id >= drv->num)
    abort();
  free_chain(drv, (uint16_t)*id);
  drv->used_idx++;
  return true;
}

void fake_driver_avail_flags(struct fake_driver *drv, uint16_t flags) { store16(drv->avail, flags); }

void fake_driver_used_event(struct fake_driver *drv, uint16_t index) { store16(drv->avail + 4 + 2 * drv->num, index); }

uint16_t fake_driver_used_flags(const struct fake_driver *drv) { return load16(drv->used); }

uint16_t fake_driver_avail_event(const struct fake_driver *drv) { return load16(drv->used + 4 + 8 * drv->num); }

uint16_t fake_driver_used_idx(const struct fake_driver *drv) { return load16(drv->used + 2); }

bool fake_driver_kick(struct fake_driver *drv) {
  uint16_t before = drv->last_kick, now = drv->avail_idx;
  drv->last_kick = now;
  if (!drv->event_idx)
    return (fake_driver_used_flags(drv) & 1) == 0;
  return (uint16_t)(now - fake_driver_avail_event(drv) - 1) < (uint16_t)(now - before);
}
