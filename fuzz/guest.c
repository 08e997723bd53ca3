/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest.h"

#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "descriptors.h"

/* Rings, then tables for indirect descriptors, then requests with room for the replies behind each. */
enum {
  RING_STEP = 0x1000,
  DRIVER_AT = 0x400,
  DEVICE_AT = 0x800,
  TABLES_AT = 0x4000,
  TABLE_ENTRIES = 8,
  SLOTS_AT = 0x8000,
  SLOT = 0x800,
  REQUEST_MAX = 0x500,
  PARTS_MAX = 12,
  HEADER = 40,
  REPLY_HEADER = 16,
  ENTRY = 128,
};

/* How a request of an input is made. */
enum {
  RAW_LENGTH = 1,
  RAW_NODE = 2,
  PATCH_HANDLE = 4,
  PATCH_SECOND_NODE = 8,
  LARGE_ROOM = 16,
  NO_ROOM = 32,
  OUT_OF_SLOT = 64
};

static void must(bool so) {
  if (!so)
    abort();
}

/* As the guest has it. */
static uint32_t order32(const struct guest *guest, uint32_t value) {
  return guest->swapped ? __builtin_bswap32(value) : value;
}

static uint64_t order64(const struct guest *guest, uint64_t value) {
  return guest->swapped ? __builtin_bswap64(value) : value;
}

void guest_init(struct guest *guest, uint32_t num, uint64_t features, bool swapped) {
  *guest = (struct guest){.num = num, .features = features, .swapped = swapped, .unique = 2, .node_count = 1};
  for (unsigned i = 0; i < GUEST_KNOWN; i++)
    guest->nodes[i] = order64(guest, VIRTIOFS_FUSE_ROOT_ID);
}

void guest_fini(struct guest *guest) {
  for (unsigned i = 0; i < GUEST_QUEUES; i++)
    virtiofs_driverq_free(guest->rings[i]);
}

void guest_ring_at(const struct guest *guest, unsigned queue, uint64_t *desc, uint64_t *driver, uint64_t *device) {
  (void)guest;
  *desc = (uint64_t)queue * RING_STEP;
  *driver = *desc + DRIVER_AT;
  *device = *desc + DEVICE_AT;
}

void guest_ring(struct guest *guest, unsigned queue) {
  bool packed = (guest->features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  unsigned char *memory = fuzz_memory();
  uint64_t desc, driver, device, tables = TABLES_AT + (uint64_t)queue * RING_STEP;
  struct virtiofs_driverq *q;
  guest_ring_at(guest, queue, &desc, &driver, &device);
  must(virtiofs_driverq_new(&q, guest->num, guest->features) == 0);
  must(virtiofs_driverq_map(q, memory + desc, memory + driver, memory + device) == 0);
  if ((guest->features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0)
    must(virtiofs_driverq_set_tables(q, memory + tables, tables, TABLE_ENTRIES) == 0);
  must(virtiofs_driverq_start(q, packed ? VIRTIOFS_VIRTQ_PACKED_BASE : 0) == 0);
  virtiofs_driverq_free(guest->rings[queue]);
  guest->rings[queue] = q;
}

/* Cuts @len bytes at @addr into pieces of @piece, but no more than are left. */
static uint32_t cut(struct virtiofs_driverq_part *parts, uint32_t left, uint64_t addr, uint32_t len, uint32_t piece) {
  uint32_t count = 0;
  while (len > 0 && count < left) {
    uint32_t here = count + 1 == left || len < piece ? len : piece;
    parts[count++] = (struct virtiofs_driverq_part){.addr = addr, .len = here};
    addr += here;
    len -= here;
  }
  return count;
}

static void add(struct guest *guest, unsigned queue, uint64_t at, uint32_t len, uint32_t room, uint32_t piece) {
  struct virtiofs_driverq_part parts[PARTS_MAX];
  struct virtiofs_driverq *q = guest->rings[queue];
  struct guest_call *call = &guest->calls[guest->next % GUEST_SLOTS];
  if (q == NULL || len + room == 0)
    return;
  uint32_t readable = cut(parts, PARTS_MAX / 2, at, len, piece);
  uint32_t writable = cut(parts + readable, PARTS_MAX / 2, at + len, room, piece);
  *call = (struct guest_call){.reply = at + len, .room = room};
  if (len >= HEADER)
    memcpy(&call->opcode, fuzz_memory() + at + 4, sizeof(call->opcode));
  call->opcode = order32(guest, call->opcode);
  if (virtiofs_driverq_add(q, parts, readable, writable, call) != 0)
    return;
  guest->next++;
  (void)!virtiofs_driverq_publish(q);
}

static uint64_t slot_of(const struct guest *guest) {
  return SLOTS_AT + (uint64_t)(guest->next % GUEST_SLOTS) * SLOT;
}

void guest_send(struct guest *guest, unsigned queue, const void *bytes, uint32_t len, uint32_t room) {
  uint64_t at = slot_of(guest);
  must(len <= REQUEST_MAX && len + room <= SLOT);
  memcpy(fuzz_memory() + at, bytes, len);
  add(guest, queue, at, len, room, SLOT);
}

static void patch32(unsigned char *at, uint32_t value) {
  memcpy(at, &value, sizeof(value));
}

static void patch(unsigned char *at, uint64_t value) {
  memcpy(at, &value, sizeof(value));
}

/*
 * queue and how it is cut; how it is made; which node and handle; room for the reply; length; bytes: opcode, uid, gid,
 * then all behind the header.
 */
void guest_request(struct guest *guest, struct fuzz_input *in) {
  uint8_t where = fuzz_u8(in), how = fuzz_u8(in), known = fuzz_u8(in), opcode = fuzz_u8(in);
  uint32_t room = fuzz_u8(in), len = fuzz_u8(in);
  uint64_t at = slot_of(guest), node = guest->nodes[known % GUEST_KNOWN];
  unsigned char *bytes = fuzz_memory() + at;
  memset(bytes, 0, SLOT);
  fuzz_take(in, bytes + HEADER, len);
  len += HEADER;
  if ((how & RAW_LENGTH) != 0)
    fuzz_take(in, bytes, 4);
  else
    patch32(bytes, order32(guest, len));
  patch32(bytes + 4, order32(guest, opcode));
  patch(bytes + 8, order64(guest, guest->unique += 2));
  if ((how & RAW_NODE) != 0)
    fuzz_take(in, &node, sizeof(node));
  patch(bytes + 16, node);
  uint64_t handle = guest->handles[(known >> 3) % GUEST_KNOWN];
  if ((how & PATCH_HANDLE) != 0)
    patch(bytes + HEADER, handle);
  if ((how & PATCH_HANDLE) != 0 &&
      (opcode == VIRTIOFS_FUSE_COPY_FILE_RANGE || opcode == VIRTIOFS_FUSE_COPY_FILE_RANGE_64)) {
    patch(bytes + HEADER + 16, node);
    patch(bytes + HEADER + 24, handle);
  }
  if ((how & PATCH_SECOND_NODE) != 0)
    patch(bytes + HEADER, guest->nodes[(known >> 3) % GUEST_KNOWN]);
  room = (how & NO_ROOM) != 0 ? 0 : REPLY_HEADER + room;
  if ((how & LARGE_ROOM) != 0)
    room *= 16;
  if (at + len + room > FUZZ_MEMORY && (how & OUT_OF_SLOT) == 0)
    room = (uint32_t)(FUZZ_MEMORY - at) - len;
  add(guest, where % GUEST_QUEUES, at, len, room, where < 128 ? SLOT : 1 + where / 4U);
}

static bool gives_node(uint32_t opcode) {
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    return true;
  default:
    return false;
  }
}

static bool gives_handle(uint32_t opcode) {
  return opcode == VIRTIOFS_FUSE_OPEN || opcode == VIRTIOFS_FUSE_OPENDIR || opcode == VIRTIOFS_FUSE_CREATE ||
         opcode == VIRTIOFS_FUSE_TMPFILE;
}

static void learn(struct guest *guest, const struct guest_call *call, uint32_t used) {
  uint64_t value;
  uint32_t at = REPLY_HEADER;
  if (call->reply + used > FUZZ_MEMORY || used < REPLY_HEADER + sizeof(value))
    return;
  const unsigned char *reply = fuzz_memory() + call->reply;
  if (gives_node(call->opcode)) {
    memcpy(&guest->nodes[guest->node_count++ % GUEST_KNOWN], reply + at, sizeof(value));
    at += ENTRY;
  }
  if (gives_handle(call->opcode) && used >= at + sizeof(value))
    memcpy(&guest->handles[guest->handle_count++ % GUEST_KNOWN], reply + at, sizeof(value));
}

void guest_take(struct guest *guest, unsigned queue) {
  struct virtiofs_driverq_done done;
  struct virtiofs_driverq *q = guest->rings[queue % GUEST_QUEUES];
  if (q == NULL)
    return;
  while (virtiofs_driverq_take(q, &done) == 1)
    learn(guest, done.cookie, done.len);
}
