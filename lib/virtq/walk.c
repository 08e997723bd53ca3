/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/walk.h"

#include "base/guest.h"

void virtiofs_walk_begin(struct virtiofs_walk *walk, const void *desc, uint32_t num, uint16_t head) {
  walk->table = desc;
  walk->table_gpa = 0;
  walk->table_len = num;
  walk->index = head;
  walk->budget = num;
  walk->indirect = false;
  walk->writable = false;
  walk->total = 0;
  walk->fault = VIRTIOFS_VIRTQ_OK;
  walk->chain->in_count = 0;
  walk->chain->out_count = 0;
}

static enum virtiofs_walk_result fault(struct virtiofs_walk *walk, enum virtiofs_virtq_fault why) {
  walk->fault = why;
  return VIRTIOFS_WALK_FAULT;
}

/* Copies guest memory that may cross regions. */
static bool read_gpa(struct virtiofs_walk *walk, uint64_t gpa, void *dst, uint64_t len) {
  unsigned char *to = dst;
  while (len > 0) {
    uint64_t piece = len;
    const void *from = virtiofs_memory_gpa(walk->map, gpa, &piece, walk->hint);
    if (from == NULL)
      return false;
    virtiofs_guest_read(to, from, (size_t)piece);
    to += piece;
    gpa += piece;
    len -= piece;
  }
  return true;
}

/* The one place where a descriptor is loaded. */
static bool load(struct virtiofs_walk *walk, struct virtiofs_ring_desc *desc) {
  struct virtiofs_ring_desc raw;
  uint64_t offset = (uint64_t)walk->index * sizeof(raw);
  if (walk->table != NULL)
    virtiofs_guest_read(&raw, walk->table + offset, sizeof(raw));
  else if (!read_gpa(walk, walk->table_gpa + offset, &raw, sizeof(raw)))
    return false;
  desc->addr = le64toh(raw.addr);
  desc->len = le32toh(raw.len);
  desc->flags = le16toh(raw.flags);
  desc->next = le16toh(raw.next);
  return true;
}

static enum virtiofs_walk_result enter(struct virtiofs_walk *walk, const struct virtiofs_ring_desc *desc) {
  if (!walk->indirect_allowed)
    return fault(walk, VIRTIOFS_VIRTQ_INDIRECT_UNASKED);
  if (walk->indirect)
    return fault(walk, VIRTIOFS_VIRTQ_INDIRECT_NESTED);
  if ((desc->flags & VIRTIOFS_DESC_F_NEXT) != 0)
    return fault(walk, VIRTIOFS_VIRTQ_INDIRECT_NEXT);
  uint32_t count = desc->len / (uint32_t)sizeof(struct virtiofs_ring_desc);
  if (count == 0 || desc->len % sizeof(struct virtiofs_ring_desc) != 0 || count > VIRTIOFS_VIRTQ_SIZE_MAX)
    return fault(walk, VIRTIOFS_VIRTQ_INDIRECT_SIZE);
  uint64_t piece = desc->len;
  const void *table = virtiofs_memory_gpa(walk->map, desc->addr, &piece, walk->hint);
  if (table == NULL)
    return fault(walk, VIRTIOFS_VIRTQ_ADDRESS);
  uint32_t used = walk->table_len - walk->budget;
  uint32_t most = walk->table_len > VIRTIOFS_WALK_INDIRECT_MAX ? walk->table_len : VIRTIOFS_WALK_INDIRECT_MAX;
  walk->budget = most - used;
  walk->table = piece == desc->len ? table : NULL;
  walk->table_gpa = desc->addr;
  walk->table_len = count;
  walk->index = 0;
  walk->indirect = true;
  return VIRTIOFS_WALK_MORE;
}

/* Adds a descriptor's buffer to the chain, in as many pieces as it has regions. */
static enum virtiofs_virtq_fault add(struct virtiofs_walk *walk, uint64_t gpa, uint64_t len, bool writable) {
  struct virtiofs_virtq_chain *chain = walk->chain;
  while (len > 0) {
    uint64_t piece = len;
    void *host = virtiofs_memory_gpa(walk->map, gpa, &piece, walk->hint);
    uint32_t at = chain->in_count + chain->out_count;
    if (host == NULL)
      return VIRTIOFS_VIRTQ_ADDRESS;
    if (at == chain->capacity)
      return VIRTIOFS_VIRTQ_SEGMENTS;
    chain->iov[at] = (struct iovec){.iov_base = host, .iov_len = (size_t)piece};
    if (writable)
      chain->out_count++;
    else
      chain->in_count++;
    gpa += piece;
    len -= piece;
  }
  return VIRTIOFS_VIRTQ_OK;
}

enum virtiofs_walk_result virtiofs_walk_step(struct virtiofs_walk *walk) {
  struct virtiofs_ring_desc desc;
  if (walk->budget == 0)
    return fault(walk, VIRTIOFS_VIRTQ_CHAIN_LONG);
  walk->budget--;
  if (!load(walk, &desc))
    return fault(walk, VIRTIOFS_VIRTQ_ADDRESS);
  if ((desc.flags & VIRTIOFS_DESC_F_INDIRECT) != 0)
    return enter(walk, &desc);

  bool writable = (desc.flags & VIRTIOFS_DESC_F_WRITE) != 0;
  if (walk->writable && !writable)
    return fault(walk, VIRTIOFS_VIRTQ_ORDER);
  walk->writable = writable;
  walk->total += desc.len;
  if (walk->total > UINT64_C(1) << 32)
    return fault(walk, VIRTIOFS_VIRTQ_TOTAL);
  enum virtiofs_virtq_fault why = add(walk, desc.addr, desc.len, writable);
  if (why != VIRTIOFS_VIRTQ_OK)
    return fault(walk, why);

  if ((desc.flags & VIRTIOFS_DESC_F_NEXT) == 0)
    return VIRTIOFS_WALK_END;
  if (desc.next >= walk->table_len)
    return fault(walk, VIRTIOFS_VIRTQ_NEXT_RANGE);
  walk->index = desc.next;
  return VIRTIOFS_WALK_MORE;
}
