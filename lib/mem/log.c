/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem/map.h"

/*
 * Whoever migrates takes the bits away and then copies the pages. The bit is set even if it is set already, as our
 * bytes may not have got to memory yet when we see it set: the operation orders the two.
 */
static void set_bits(unsigned char *byte, unsigned bits) {
  (void)__atomic_fetch_or(byte, (unsigned char)bits, __ATOMIC_SEQ_CST);
}

void virtiofs_memory_log_mark(const struct virtiofs_memory_log *log, uint64_t gpa, uint64_t len) {
  if (len == 0)
    return;
  uint64_t end = gpa + len - 1 < gpa ? UINT64_MAX : gpa + len - 1;
  uint64_t page = gpa / VIRTIOFS_MEMORY_LOG_PAGE, last = end / VIRTIOFS_MEMORY_LOG_PAGE;
  while (page <= last && page / 8 < log->size) {
    unsigned from = (unsigned)(page % 8), to = last / 8 == page / 8 ? (unsigned)(last % 8) : 7;
    set_bits(&log->bitmap[page / 8], (0xffU << from) & (0xffU >> (7 - to)));
    page += to - from + 1;
  }
}

void virtiofs_memory_log_host(const struct virtiofs_memory_log *log, const struct virtiofs_memory *map,
                              const void *host, uint64_t len) {
  uintptr_t begin = (uintptr_t)host;
  for (uint32_t i = 0; len > 0 && i < map->count; i++) {
    const struct virtiofs_memory_region *r = &map->regions[i];
    uintptr_t start = (uintptr_t)r->host;
    uint64_t skip = begin < start ? start - begin : 0, offset = begin < start ? 0 : begin - start;
    if (r->host == NULL || skip >= len || offset >= r->size)
      continue;
    uint64_t piece = len - skip < r->size - offset ? len - skip : r->size - offset;
    virtiofs_memory_log_mark(log, r->gpa + offset, piece);
  }
}
