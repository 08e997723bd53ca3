/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings that break the rules: at most the ring is broken, and only until it is set up again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#define INDIRECT_DESC VIRTIOFS_VIRTQ_F_INDIRECT_DESC
#define TABLE_AT 0x200000U

static struct wire *mounted_with(struct test *t, uint64_t features) {
  wire_up(t, features, 2);
  ring_init(t);
  return t->wire;
}

static struct desc *mounted(struct test *t) {
  return mounted_with(t, 0)->rings[1].desc;
}

/* Shows the head 2, which is a GETATTR with whatever is wrong. */
static void show(struct test *t) {
  ring_put(t->wire, 1, 2);
  ring_kick(t->wire, 1);
  ring_survived(t);
}

static struct desc *getattr(struct test *t) {
  struct desc *desc = mounted(t);
  ring_getattr(t->wire, 1, 1, 5);
  return desc;
}

static void loop_of_one(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].next = 2;
  show(t);
}

static void loop_of_two(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].flags = DESC_WRITE | DESC_NEXT;
  desc[3].next = 3;
  show(t);
}

static void loop_of_all(struct test *t) {
  struct desc *desc = getattr(t);
  for (uint16_t i = 0; i < RING_SIZE; i++)
    desc[i] =
        (struct desc){.addr = desc[2].addr, .len = 1, .flags = DESC_NEXT, .next = (uint16_t)((i + 1) % RING_SIZE)};
  show(t);
}

static void head_out_of_range(struct test *t) {
  (void)getattr(t);
  ring_put(t->wire, 1, RING_SIZE);
  ring_kick(t->wire, 1);
  ring_survived(t);
}

static void head_65535(struct test *t) {
  (void)getattr(t);
  ring_put(t->wire, 1, 65535);
  ring_kick(t->wire, 1);
  ring_survived(t);
}

static void next_out_of_range(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].next = 65000;
  show(t);
}

static void request_nowhere(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].addr = 0x1000;
  show(t);
}

static void reply_nowhere(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].addr = 0x1000;
  show(t);
}

static void address_wraps(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].addr = UINT64_MAX - 10;
  show(t);
}

static void length_huge(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].len = UINT32_MAX;
  show(t);
}

static void over_the_end(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].addr = WIRE_GPA + WIRE_MEMORY - 64;
  desc[3].len = 128;
  show(t);
}

static void readable_last(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].flags = DESC_NEXT | DESC_WRITE;
  desc[3].flags = 0;
  show(t);
}

static void only_writable(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].flags = DESC_WRITE;
  desc[2].len = 2048;
  show(t);
}

static void only_readable(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].flags = 0;
  show(t);
}

static void all_empty(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2].len = desc[3].len = 0;
  show(t);
}

/* The rules don't forbid them. */
static void some_empty(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3] = (struct desc){.addr = desc[2].addr + 20, .len = 36, .flags = DESC_NEXT, .next = 41};
  desc[40] = (struct desc){.addr = desc[2].addr, .len = 0, .flags = DESC_NEXT, .next = 3};
  desc[41] = (struct desc){.addr = desc[2].addr + 2048, .len = 0, .flags = DESC_WRITE | DESC_NEXT, .next = 42};
  desc[42] = (struct desc){.addr = desc[2].addr + 2048, .len = 2048, .flags = DESC_WRITE};
  desc[2].len = 20;
  desc[2].next = 40;
  show(t);
}

static void index_jumps(struct test *t) {
  (void)getattr(t);
  struct ring *ring = &t->wire->rings[1];
  ring->next = (uint16_t)(ring->next + RING_SIZE + 100);
  show(t);
}

static void index_back(struct test *t) {
  (void)getattr(t);
  t->wire->rings[1].next = (uint16_t)(t->wire->rings[1].next - 2);
  show(t);
}

static void same_head_twice(struct test *t) {
  (void)getattr(t);
  ring_put(t->wire, 1, 2);
  show(t);
}

static void indirect_not_agreed(struct test *t) {
  struct desc *desc = getattr(t);
  desc[2] = (struct desc){.addr = WIRE_GPA, .len = 32, .flags = DESC_INDIRECT};
  show(t);
}

/* A table of two with a GETATTR in it, as it should be; @desc[2] points to it. */
static struct desc *table(struct test *t) {
  struct wire *w = mounted_with(t, INDIRECT_DESC);
  if ((w->features & INDIRECT_DESC) == 0)
    skip(t, "the device does not offer INDIRECT_DESC");
  struct desc *desc = w->rings[1].desc, *entries = (struct desc *)(void *)(w->memory + TABLE_AT);
  ring_getattr(w, 1, 1, 5);
  entries[0] = desc[2];
  entries[0].next = 1;
  entries[1] = desc[3];
  desc[2] = (struct desc){.addr = WIRE_GPA + TABLE_AT, .len = 32, .flags = DESC_INDIRECT};
  return entries;
}

static struct desc *head(struct test *t) {
  return &t->wire->rings[1].desc[2];
}

static void table_odd(struct test *t) {
  (void)table(t);
  head(t)->len = 33;
  show(t);
}

static void table_empty(struct test *t) {
  (void)table(t);
  head(t)->len = 0;
  show(t);
}

static void table_huge(struct test *t) {
  struct desc *entries = table(t);
  for (uint16_t i = 0; i < 65535; i++)
    entries[i] = (struct desc){.addr = WIRE_GPA + BUFFERS, .len = 1, .flags = DESC_NEXT, .next = (uint16_t)(i + 1)};
  head(t)->len = 65536 * 16;
  show(t);
}

static void table_nowhere(struct test *t) {
  (void)table(t);
  head(t)->addr = 0x5000;
  show(t);
}

static void table_and_next(struct test *t) {
  (void)table(t);
  head(t)->flags = DESC_INDIRECT | DESC_NEXT;
  head(t)->next = 3;
  show(t);
}

static void table_in_table(struct test *t) {
  struct desc *entries = table(t);
  entries[0] = (struct desc){.addr = WIRE_GPA + TABLE_AT, .len = 32, .flags = DESC_INDIRECT};
  show(t);
}

static void table_next(struct test *t) {
  struct desc *entries = table(t);
  entries[0].next = 9;
  show(t);
}

static void table_loop(struct test *t) {
  struct desc *entries = table(t);
  entries[0].next = 0;
  show(t);
}

/* The reply goes where the request is. */
static void reply_over_request(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].addr = desc[2].addr;
  show(t);
}

/* The reply goes where the ring is. */
static void reply_over_ring(struct test *t) {
  struct desc *desc = getattr(t);
  desc[3].addr = gpa_of(t->wire, desc);
  show(t);
}

static void short_request(struct test *t) {
  struct desc *desc = getattr(t);
  for (uint32_t len = 1; len < 40; len += 13) {
    desc[2].len = len;
    ring_put(t->wire, 1, 2);
    ring_kick(t->wire, 1);
    ring_survived(t);
    ring_getattr(t->wire, 1, 1, 5);
  }
}

static void short_reply(struct test *t) {
  struct desc *desc = getattr(t);
  for (uint32_t len = 1; len < 120; len += 17) {
    desc[3].len = len;
    ring_put(t->wire, 1, 2);
    ring_kick(t->wire, 1);
    ring_survived(t);
    ring_getattr(t->wire, 1, 1, 5);
  }
}

/* What is broken on the high-priority queue leaves the others alone. */
static void other_queue(struct test *t) {
  (void)mounted(t);
  struct wire *w = t->wire;
  ring_getattr(w, 0, 1, 5);
  w->rings[0].desc[2].next = 2;
  ring_put(w, 0, 2);
  ring_kick(w, 0);
  wire_alive(t);
  ring_works(t, 1);
}

static const struct check hostile_ring_checks[] = {
    {"loop-of-one", "virtio 2.7.5: chains have no loops", loop_of_one, ALONE | HOSTILE, 0, 0},
    {"loop-at-end", "virtio 2.7.5: chains have no loops, at their end either", loop_of_two, ALONE | HOSTILE, 0, 0},
    {"loop-of-all", "virtio 2.7.5: a chain of the whole ring that begins anew", loop_of_all, ALONE | HOSTILE, 0, 0},
    {"head", "virtio 2.7.6: a head is less than the ring's size", head_out_of_range, ALONE | HOSTILE, 0, 0},
    {"head-65535", "virtio 2.7.6: a head is less than the ring's size", head_65535, ALONE | HOSTILE, 0, 0},
    {"next", "virtio 2.7.5: next is less than the ring's size", next_out_of_range, ALONE | HOSTILE, 0, 0},
    {"request-nowhere", "vhost-user memory (CVE-2018-1059): a request where there is no memory", request_nowhere,
     ALONE | HOSTILE, 0, 0},
    {"reply-nowhere", "vhost-user memory (CVE-2018-1059): a reply's room where there is no memory", reply_nowhere,
     ALONE | HOSTILE, 0, 0},
    {"address-wraps", "vhost-user memory (CVE-2018-1059): address and length that wrap", address_wraps, ALONE | HOSTILE,
     0, 0},
    {"length-huge", "vhost-user memory (CVE-2018-1059): a length of 4 GiB", length_huge, ALONE | HOSTILE, 0, 0},
    {"over-the-end", "vhost-user memory (CVE-2018-1059): a buffer that begins in memory and ends outside", over_the_end,
     ALONE | HOSTILE, 0, 0},
    {"readable-last", "virtio 2.7.4: readable descriptors come before writable ones", readable_last, ALONE | HOSTILE, 0,
     0},
    {"only-writable", "virtio-fs requests: a message without a request", only_writable, ALONE | HOSTILE, 0, 0},
    {"only-readable", "virtio 2.7.8: a message without room for a reply goes back", only_readable, ALONE | HOSTILE, 0,
     0},
    {"all-empty", "virtio 2.7.5 (CVE-2016-6490): descriptors of length 0 and nothing else", all_empty, ALONE | HOSTILE,
     0, 0},
    {"some-empty", "virtio 2.7.5 (CVE-2016-6490): descriptors of length 0 between others", some_empty, ALONE | HOSTILE,
     0, 0},
    {"index-jumps", "virtio 2.7.6: more new heads than the ring has", index_jumps, ALONE | HOSTILE, 0, 0},
    {"index-back", "virtio 2.7.6: an index that goes back", index_back, ALONE | HOSTILE, 0, 0},
    {"head-twice", "virtio 2.7 (CVE-2016-5403): the same head twice at once", same_head_twice, ALONE | HOSTILE, 0, 0},
    {"indirect-unasked", "virtio 2.7.5.3: an indirect table that was not agreed on", indirect_not_agreed,
     ALONE | HOSTILE, 0, 0},
    {"table-odd", "virtio 2.7.5.3 (CVE-2011-2212): a table whose length is no multiple of 16", table_odd,
     ALONE | HOSTILE, 0, 0},
    {"table-empty", "virtio 2.7.5.3 (CVE-2011-2212): a table of length 0", table_empty, ALONE | HOSTILE, 0, 0},
    {"table-huge", "virtio 2.7.5.3 (CVE-2011-2212): a table of 65536 entries", table_huge, ALONE | HOSTILE, 0, 0},
    {"table-nowhere", "vhost-user memory (CVE-2018-1059): a table where there is no memory", table_nowhere,
     ALONE | HOSTILE, 0, 0},
    {"table-and-next", "virtio 2.7.5.3: INDIRECT and NEXT together", table_and_next, ALONE | HOSTILE, 0, 0},
    {"table-in-table", "virtio 2.7.5.3: a table in a table", table_in_table, ALONE | HOSTILE, 0, 0},
    {"table-next", "virtio 2.7.5.3: next outside of the table", table_next, ALONE | HOSTILE, 0, 0},
    {"table-loop", "virtio 2.7.5.3: a loop in a table", table_loop, ALONE | HOSTILE, 0, 0},
    {"reply-over-request", "virtio 2.7.4: a reply that goes where the request is", reply_over_request, ALONE | HOSTILE,
     0, 0},
    {"reply-over-ring", "virtio 2.7.4: a reply that goes where the descriptors are", reply_over_ring, ALONE | HOSTILE,
     0, 0},
    {"short-request", "virtio-fs requests: fewer bytes than a request's header has", short_request, ALONE | HOSTILE, 0,
     0},
    {"short-reply", "virtio 2.7.8: less room than a reply's header or its arguments need", short_reply, ALONE | HOSTILE,
     0, 0},
    {"other-queue", "virtio-fs: what is broken on one queue leaves the others alone", other_queue, ALONE | HOSTILE, 0,
     0},
};
const struct group hostile_ring_group = CHECKS("hostile-ring", hostile_ring_checks);
