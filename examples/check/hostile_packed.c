/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rings that break the rules: at most the ring is broken, and only until it is set up again. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#define INDIRECT VIRTIOFS_VIRTQ_F_INDIRECT_DESC
#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
#define AVAIL (1U << 7)
#define USED (1U << 15)
#define LOOK_MS 300
#define TABLE_AT 0x200000U
#define REQUEST_AT 0x300000U
#define REPLY_AT 0x301000U

struct slot {
  uint64_t addr;
  uint32_t len;
  uint16_t id, flags;
};

static struct slot *slots_of(const struct wire *w) {
  return (struct slot *)(void *)w->rings[1].desc;
}

static void write_request(struct wire *w, uint32_t opcode, uint32_t size, uint64_t nodeid) {
  unsigned char *at = w->memory + REQUEST_AT;
  const uint64_t unique = 99;
  const uint32_t ids[2] = {getuid(), getgid()}, init[4] = {7, 31, 131072, 0};
  memset(at, 0, 256);
  memcpy(at, &size, 4);
  memcpy(at + 4, &opcode, 4);
  memcpy(at + 8, &unique, 8);
  memcpy(at + 16, &nodeid, 8);
  memcpy(at + 24, ids, 8);
  if (opcode == VIRTIOFS_FUSE_INIT)
    memcpy(at + 40, init, sizeof(init));
  memset(w->memory + REPLY_AT, 0xa5, 256);
}

static struct slot readable(uint32_t len) {
  return (struct slot){.addr = WIRE_GPA + REQUEST_AT, .len = len, .id = 5, .flags = DESC_NEXT};
}

static struct slot writable(uint32_t len) {
  return (struct slot){.addr = WIRE_GPA + REPLY_AT, .len = len, .id = 5, .flags = DESC_WRITE};
}

/* At the ring's beginning, in its first round; the first one's flags last. */
static void put(struct wire *w, const struct slot *chain, unsigned count, unsigned at) {
  struct slot *slots = slots_of(w);
  for (unsigned i = count; i > 0; i--) {
    struct slot *to = &slots[at + i - 1];
    to->addr = chain[i - 1].addr;
    to->len = chain[i - 1].len;
    to->id = chain[i - 1].id;
    __atomic_store_n(&to->flags, (uint16_t)(chain[i - 1].flags | AVAIL), __ATOMIC_RELEASE);
  }
  ring_kick(w, 1);
}

/* The slot @at was used: its length. */
static uint32_t take(struct test *t, unsigned at) {
  struct wire *w = t->wire;
  struct ring *ring = &w->rings[1];
  struct pollfd fds[3] = {
      {.fd = ring->call_fd, .events = POLLIN}, {.fd = ring->err_fd, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
  const struct slot *slot = &slots_of(w)[at];
  while ((__atomic_load_n(&slot->flags, __ATOMIC_ACQUIRE) & (AVAIL | USED)) != (AVAIL | USED)) {
    uint64_t count;
    if (poll(fds, 3, w->timeout_ms) <= 0 || fds[1].revents != 0)
      wire_fail(t, 0, "the packed ring does not answer");
    if (fds[2].revents != 0)
      wire_fail(t, -ECONNRESET, "the packed ring does not answer");
    ssize_t n = read(ring->call_fd, &count, sizeof(count));
    (void)n;
  }
  is(t, "the used descriptor's id", slot->id, 5);
  return slot->len;
}

static void start(struct test *t) {
  struct wire *w = t->wire;
  memset(w->rings[1].desc, 0, RING_BYTES);
  w->packed_base = true;
  for (uint32_t i = 0; i < 2; i++) {
    wire_ring(t, i, 0);
    wire_start(t, i);
    wire_enable(t, i, true);
  }
}

static struct wire *mounted(struct test *t, uint64_t features) {
  struct wire *w = wire_open(t);
  if ((t->server->features & features) != features)
    skip(t, "the device does not offer packed rings%s", (features & INDIRECT) != 0 ? " with indirect tables" : "");
  wire_negotiate(t, features, true);
  wire_memory(t);
  start(t);
  const struct slot chain[2] = {readable(56), writable(80)};
  write_request(w, VIRTIOFS_FUSE_INIT, 56, 0);
  put(w, chain, 2, 0);
  is(t, "the length of INIT's reply", take(t, 0), 80);
  write_request(w, VIRTIOFS_FUSE_GETATTR, 56, VIRTIOFS_FUSE_ROOT);
  return w;
}

/* Until the device has done something about the ring, or long enough for it to look. */
static void let_it_look(const struct wire *w) {
  const struct ring *ring = &w->rings[1];
  struct pollfd fds[3] = {
      {.fd = ring->call_fd, .events = POLLIN}, {.fd = ring->err_fd, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
  (void)poll(fds, 3, LOOK_MS);
}

/* INIT has taken two slots; what is wrong comes behind them. Then the ring is set up again. */
static void show(struct test *t, const struct slot *chain, unsigned count) {
  struct wire *w = t->wire;
  uint64_t counter;
  ssize_t old = read(w->rings[1].call_fd, &counter, sizeof(counter));
  (void)old;
  put(w, chain, count, 2);
  let_it_look(w);
  wire_alive(t);
  for (uint32_t i = 0; i < 2; i++)
    (void)wire_stop(t, i);
  uint64_t value;
  ssize_t n = read(w->rings[1].err_fd, &value, sizeof(value));
  (void)n;
  start(t);
  const struct slot good_chain[2] = {readable(56), writable(120)};
  write_request(w, VIRTIOFS_FUSE_GETATTR, 56, VIRTIOFS_FUSE_ROOT);
  put(w, good_chain, 2, 0);
  is(t, "the length of GETATTR's reply", take(t, 0), 120);
}

static void no_end(struct test *t) {
  struct slot chain[RING_SIZE - 2];
  (void)mounted(t, PACKED);
  for (unsigned i = 0; i < RING_SIZE - 2; i++)
    chain[i] = readable(1);
  show(t, chain, RING_SIZE - 2);
}

static void nowhere(struct test *t) {
  struct slot chain[2] = {readable(56), writable(120)};
  (void)mounted(t, PACKED);
  chain[0].addr = 0x1000;
  show(t, chain, 2);
}

static void reply_nowhere(struct test *t) {
  struct slot chain[2] = {readable(56), writable(120)};
  (void)mounted(t, PACKED);
  chain[1].addr = UINT64_MAX - 20;
  show(t, chain, 2);
}

static void huge(struct test *t) {
  struct slot chain[2] = {readable(56), writable(UINT32_MAX)};
  (void)mounted(t, PACKED);
  show(t, chain, 2);
}

static void readable_last(struct test *t) {
  struct slot chain[2] = {writable(120), readable(56)};
  (void)mounted(t, PACKED);
  chain[0].flags |= DESC_NEXT;
  chain[1].flags = 0;
  show(t, chain, 2);
}

static void large_id(struct test *t) {
  struct slot chain[2] = {readable(56), writable(120)};
  (void)mounted(t, PACKED);
  chain[0].id = chain[1].id = 65535;
  show(t, chain, 2);
}

static void all_bits(struct test *t) {
  struct slot slot = {.addr = UINT64_MAX, .len = UINT32_MAX, .id = 65535, .flags = 0x7fff};
  (void)mounted(t, PACKED);
  show(t, &slot, 1);
}

static void unasked(struct test *t) {
  struct slot slot = {.addr = WIRE_GPA + TABLE_AT, .len = 32, .id = 5, .flags = DESC_INDIRECT};
  (void)mounted(t, PACKED);
  show(t, &slot, 1);
}

static void events(struct test *t) {
  struct slot chain[2] = {readable(56), writable(120)};
  struct wire *w = mounted(t, PACKED);
  memset(w->rings[1].avail, 0xff, 4); /* the driver's event area */
  show(t, chain, 2);
}

static struct slot table(struct test *t) {
  struct wire *w = mounted(t, PACKED | INDIRECT);
  struct slot entries[2] = {readable(56), writable(120)};
  memcpy(w->memory + TABLE_AT, entries, sizeof(entries));
  return (struct slot){.addr = WIRE_GPA + TABLE_AT, .len = 32, .id = 5, .flags = DESC_INDIRECT};
}

static void table_odd(struct test *t) {
  struct slot slot = table(t);
  slot.len = 17;
  show(t, &slot, 1);
}

static void table_empty(struct test *t) {
  struct slot slot = table(t);
  slot.len = 0;
  show(t, &slot, 1);
}

static void table_huge(struct test *t) {
  struct slot slot = table(t);
  slot.len = 65536 * 16;
  show(t, &slot, 1);
}

static void table_nowhere(struct test *t) {
  struct slot slot = table(t);
  slot.addr = 0x1000;
  show(t, &slot, 1);
}

static void table_and_next(struct test *t) {
  struct slot chain[2] = {table(t), writable(120)};
  chain[0].flags |= DESC_NEXT;
  show(t, chain, 2);
}

static void table_in_table(struct test *t) {
  struct slot slot = table(t);
  memcpy(t->wire->memory + TABLE_AT, &slot, sizeof(slot));
  show(t, &slot, 1);
}

#define ROW(name, rule, run)                                                                                           \
  { name, rule, run, ALONE | HOSTILE, 0, 0 }
static const struct check hostile_packed_checks[] = {
    ROW("no-end", "virtio 2.8.6: a chain ends within the ring", no_end),
    ROW("request-nowhere", "vhost-user memory (CVE-2018-1059): a request where there is no memory", nowhere),
    ROW("reply-nowhere", "vhost-user memory (CVE-2018-1059): a reply's room at an address that wraps", reply_nowhere),
    ROW("length-huge", "vhost-user memory (CVE-2018-1059): a length of 4 GiB", huge),
    ROW("readable-last", "virtio 2.8.6: readable descriptors come before writable ones", readable_last),
    ROW("id-65535", "virtio 2.8.4: an id is the driver's to choose; or the ring is broken", large_id),
    ROW("all-bits", "virtio 2.8.1: a descriptor whose bits are all set", all_bits),
    ROW("events", "virtio 2.8.10: an event area whose bits are all set", events),
    ROW("indirect-unasked", "virtio 2.8.7: an indirect table that was not agreed on", unasked),
    ROW("table-odd", "virtio 2.8.7: a table whose length is no multiple of 16", table_odd),
    ROW("table-empty", "virtio 2.8.7: a table of length 0", table_empty),
    ROW("table-huge", "virtio 2.8.7: a table of 65536 entries", table_huge),
    ROW("table-nowhere", "vhost-user memory (CVE-2018-1059): a table where there is no memory", table_nowhere),
    ROW("table-and-next", "virtio 2.8.7: INDIRECT and NEXT together", table_and_next),
    ROW("table-in-table", "virtio 2.8.7: a table in a table", table_in_table),
};
const struct group hostile_packed_group = CHECKS("hostile-packed", hostile_packed_checks);
