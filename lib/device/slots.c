/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "virtq/walk.h"

/* From the kernel: malloc(3) keeps what was freed, also of 17 MiB, and calloc(3) would touch all of that. NULL: none.
 * The driver chooses @num, and not every size_t has 64 bits. */
static unsigned char *map(uint32_t num, size_t stride) {
  if (num > SIZE_MAX / stride)
    return NULL;
  void *memory = mmap(NULL, num * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED ? memory : NULL;
}

int virtiofs_slots_new(struct virtiofs_slots **out, uint32_t num) {
  *out = NULL;
  struct virtiofs_slots *slots = calloc(1, sizeof(*slots));
  if (slots == NULL)
    return -ENOMEM;
  atomic_init(&slots->refs, 1);
  slots->segments = (num > VIRTIOFS_WALK_INDIRECT_MAX ? num : VIRTIOFS_WALK_INDIRECT_MAX) + VIRTIOFS_SEGMENTS_EXTRA;
  slots->stride = sizeof(struct virtiofs_slot) + slots->segments * sizeof(struct iovec);
  slots->free = calloc(num, sizeof(slots->free[0]));
  slots->memory = map(num, slots->stride);
  slots->size = num * slots->stride;
  if (slots->free == NULL || slots->memory == NULL) {
    virtiofs_slots_unref(slots);
    return -ENOMEM;
  }
  for (uint32_t i = 0; i < num; i++)
    slots->free[i] = (uint16_t)(num - 1 - i);
  slots->free_count = num;
  *out = slots;
  return 0;
}

void virtiofs_slots_unref(struct virtiofs_slots *slots) {
  if (slots == NULL || atomic_fetch_sub(&slots->refs, 1) != 1)
    return;
  free(slots->free);
  if (slots->memory != NULL)
    (void)munmap(slots->memory, slots->size);
  free(slots);
}

struct virtiofs_slot *virtiofs_slots_take(struct virtiofs_slots *slots) {
  if (slots->free_count == 0)
    return NULL;
  size_t index = slots->free[--slots->free_count];
  struct virtiofs_slot *slot = (struct virtiofs_slot *)(void *)(slots->memory + index * slots->stride);
  slot->slots = slots;
  return slot;
}

void virtiofs_slots_give(struct virtiofs_slots *slots, struct virtiofs_slot *slot) {
  size_t index = (size_t)((unsigned char *)slot - slots->memory) / slots->stride;
  slots->free[slots->free_count++] = (uint16_t)index;
}
