/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user: what front-ends do with a device, in the orders in which they do it. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wire.h"

#define F_VERSION_1 (UINT64_C(1) << 32)
#define BIT_30 VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES

static void need(struct test *t, uint64_t bit, const char *name) {
  if ((t->server->protocol & bit) == 0)
    skip(t, "the device does not offer %s", name);
}

/* A connection whose features are known and nothing else is done. */
static struct wire *opened(struct test *t) {
  return wire_open(t);
}

static struct wire *mounted(struct test *t) {
  wire_up(t, 0, 2);
  ring_init(t);
  return t->wire;
}

/* Hands a message over that has to be taken. */
static void takes(struct test *t, int rc, const char *what) {
  if (rc > 0)
    fail(t, "%s was refused", what);
  if (rc < 0)
    wire_fail(t, rc, what);
}

static void features(struct test *t) {
  (void)opened(t);
  expect(t, (t->server->features & F_VERSION_1) != 0, "VERSION_1 is not offered: %#llx",
         (unsigned long long)t->server->features);
}

static void protocol_bit(struct test *t) {
  (void)opened(t);
  expect(t, (t->server->features & BIT_30) != 0, "bit 30 is not offered: %#llx",
         (unsigned long long)t->server->features);
}

static void queue_num(struct test *t) {
  (void)opened(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ, "MQ");
  expect(t, t->server->queue_num >= 2, "there are %llu rings", (unsigned long long)t->server->queue_num);
}

static void no_reply_unasked(struct test *t) {
  struct wire *w = opened(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK, "REPLY_ACK");
  wire_negotiate(t, 0, true);
  struct virtiofs_vhost_user_vring_state state = {.index = 0, .num = RING_SIZE};
  int rc = wire_send(w, VIRTIOFS_VHOST_USER_SET_VRING_NUM, VIRTIOFS_VHOST_USER_VERSION, &state, sizeof(state), NULL, 0);
  takes(t, rc, "SET_VRING_NUM");
  wire_alive(t); /* whose reply is the next that comes */
}

static void protocol_first(struct test *t) {
  (void)opened(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK, "REPLY_ACK");
  wire_close(t);
  struct wire *w = wire_open_unasked(t);
  takes(t, wire_tell_u64(w, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK),
        "SET_PROTOCOL_FEATURES");
  w->protocol = VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK;
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), "SET_OWNER");
}

static void serves(struct test *t) {
  (void)mounted(t);
  ring_works(t, 1);
}

static void without_bit_30(struct test *t) {
  (void)opened(t);
  wire_negotiate(t, 0, false);
  wire_memory(t);
  for (uint32_t i = 0; i < 2; i++) {
    wire_ring(t, i, 0);
    wire_start(t, i);
  }
  ring_init(t);
  ring_works(t, 1);
}

static void features_again(struct test *t) {
  struct wire *w = mounted(t);
  takes(t, wire_tell_u64(w, VIRTIOFS_VHOST_USER_SET_FEATURES, w->features), "SET_FEATURES");
  ring_works(t, 1);
}

static void no_base(struct test *t) {
  struct wire *w = opened(t);
  wire_negotiate(t, 0, true);
  wire_memory(t);
  w->skip_base = true;
  for (uint32_t i = 0; i < 2; i++) {
    wire_ring(t, i, 0);
    wire_start(t, i);
    wire_enable(t, i, true);
  }
  ring_init(t);
}

static void other_order(struct test *t) {
  struct wire *w = opened(t);
  wire_negotiate(t, 0, true);
  wire_memory(t);
  for (uint32_t i = 0; i < 2; i++) {
    takes(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_CALL, i, w->rings[i].call_fd), "SET_VRING_CALL");
    wire_enable(t, i, true);
    wire_ring(t, i, 0);
    wire_start(t, i);
  }
  ring_init(t);
  ring_works(t, 1);
}

static void base_counts(struct test *t) {
  (void)mounted(t);
  for (int i = 0; i < 5; i++)
    ring_works(t, 1);
  is(t, "the base of ring 1 after 6 requests", wire_stop(t, 1), 6);
  is(t, "the base of ring 0 after none", wire_stop(t, 0), 0);
}

static void start_again(struct test *t, uint32_t index, uint16_t base) {
  wire_ring(t, index, base);
  wire_start(t, index);
  wire_enable(t, index, true);
}

static void restarted(struct test *t) {
  (void)mounted(t);
  for (int i = 0; i < 3; i++) {
    uint32_t base = wire_stop(t, 1);
    start_again(t, 1, (uint16_t)base);
    ring_works(t, 1); /* without INIT: the mount is still there */
  }
}

static void put_getattr(struct test *t, uint32_t slot) {
  struct wire *w = t->wire;
  ring_getattr(w, 1, slot, 1000 + slot);
  ring_put(w, 1, (uint16_t)(2 * slot));
}

static void take_getattr(struct test *t, uint32_t slot) {
  struct used used;
  int rc = ring_take(t->wire, 1, &used, t->wire->timeout_ms);
  if (rc != 1)
    wire_fail(t, rc, "GETATTR was not answered");
  ring_check_getattr(t, slot, 1000 + slot, &used);
}

static void stopped(struct test *t) {
  struct wire *w = mounted(t);
  uint32_t base = wire_stop(t, 1);
  put_getattr(t, 3);
  ring_kick(w, 1);
  wire_alive(t);
  expect(t, !ring_has_used(w, 1), "a stopped ring was served");
  start_again(t, 1, (uint16_t)base);
  ring_kick(w, 1);
  take_getattr(t, 3);
}

static void before_start(struct test *t) {
  struct wire *w = mounted(t);
  uint32_t base = wire_stop(t, 1);
  uint64_t count;
  ssize_t n = read(w->rings[1].kick_fd, &count, sizeof(count));
  (void)n;
  put_getattr(t, 4);
  put_getattr(t, 5);
  start_again(t, 1, (uint16_t)base); /* and no kick */
  struct used used[2];
  for (int i = 0; i < 2; i++)
    expect(t, ring_take(w, 1, &used[i], w->timeout_ms) == 1, "what was there before the start is not answered");
  expect(t, used[0].id + used[1].id == 8 + 10, "the heads are %u and %u, not 8 and 10", used[0].id, used[1].id);
}

static void disabled(struct test *t) {
  struct wire *w = mounted(t);
  if ((w->features & BIT_30) == 0)
    skip(t, "the device has no SET_VRING_ENABLE");
  wire_enable(t, 1, false);
  put_getattr(t, 6);
  ring_kick(w, 1);
  wire_alive(t);
  wire_enable(t, 1, true);
  ring_kick(w, 1);
  take_getattr(t, 6);
  ring_works(t, 1);
}

static void one_kick(struct test *t) {
  struct wire *w = mounted(t);
  bool seen[32] = {false};
  for (uint32_t slot = 1; slot < 31; slot++)
    put_getattr(t, slot);
  ring_kick(w, 1);
  for (uint32_t i = 1; i < 31; i++) {
    struct used used;
    int rc = ring_take(w, 1, &used, w->timeout_ms);
    expect(t, rc == 1, "only %u of 30 buffers came back", i - 1);
    expect(t, used.id < 62 && used.id % 2 == 0 && used.id > 0 && !seen[used.id / 2], "head %u came back", used.id);
    seen[used.id / 2] = true;
    ring_check_getattr(t, used.id / 2, 1000 + used.id / 2, &used);
  }
}

static void other_call(struct test *t) {
  struct wire *w = mounted(t);
  struct ring *ring = &w->rings[1];
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  expect(t, fd >= 0, "eventfd: %s", strerror(errno));
  close(ring->call_fd);
  ring->call_fd = fd;
  takes(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, fd), "SET_VRING_CALL");
  ring_works(t, 1); /* sleeps on it */
}

static void other_kick(struct test *t) {
  struct wire *w = mounted(t);
  struct ring *ring = &w->rings[1];
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  expect(t, fd >= 0, "eventfd: %s", strerror(errno));
  uint32_t base = wire_stop(t, 1);
  close(ring->kick_fd);
  ring->kick_fd = fd;
  start_again(t, 1, (uint16_t)base);
  ring_works(t, 1);
}

static struct virtiofs_vhost_user_region region_of(const struct wire *w, uint64_t gpa, uint64_t offset, uint64_t size) {
  return (struct virtiofs_vhost_user_region){
      .gpa = gpa, .size = size, .uva = (uint64_t)(uintptr_t)w->memory + offset, .mmap_offset = offset};
}

static void set_table(struct test *t, const struct virtiofs_vhost_user_region *regions, uint32_t count) {
  struct wire *w = t->wire;
  struct virtiofs_vhost_user_mem_table table = {.count = count};
  int fds[VIRTIOFS_VHOST_USER_TABLE_REGIONS_MAX];
  for (uint32_t i = 0; i < count; i++) {
    table.regions[i] = regions[i];
    fds[i] = w->memory_fd;
  }
  uint32_t size = (uint32_t)(8 + count * sizeof(table.regions[0]));
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, &table, size, fds, count), "SET_MEM_TABLE");
}

/* As when memory is plugged in: what was there stays, buffers are found in what is new, too. */
static void other_table(struct test *t) {
  struct wire *w = mounted(t);
  struct virtiofs_vhost_user_region regions[2] = {region_of(w, WIRE_GPA, 0, WIRE_MEMORY),
                                                  region_of(w, WIRE_GPA * 2, WIRE_MEMORY, WIRE_MEMORY)};
  set_table(t, regions, 2);
  ring_works(t, 1);
  ring_getattr(w, 1, 2, 1002);
  struct desc *desc = &w->rings[1].desc[4];
  memcpy(w->memory + WIRE_MEMORY + 12, w->memory + (desc->addr - WIRE_GPA), desc->len);
  desc->addr = WIRE_GPA * 2 + 12;
  ring_put(w, 1, 4);
  ring_kick(w, 1);
  take_getattr(t, 2);
  set_table(t, regions, 1);
  ring_works(t, 1);
}

/* A request and its reply, each on both sides of where two regions touch. */
static void two_regions(struct test *t) {
  struct wire *w = mounted(t);
  const uint64_t half = WIRE_MEMORY / 2;
  struct virtiofs_vhost_user_region regions[2] = {region_of(w, WIRE_GPA, 0, half),
                                                  region_of(w, WIRE_GPA + half, half, half)};
  set_table(t, regions, 2);
  ring_works(t, 1);
  ring_getattr(w, 1, 2, 1002);
  struct desc *desc = &w->rings[1].desc[4];
  memcpy(w->memory + half - 20, w->memory + (desc->addr - WIRE_GPA), desc->len);
  desc->addr = WIRE_GPA + half - 20;
  ring_put(w, 1, 4);
  ring_kick(w, 1);
  take_getattr(t, 2);
}

static void add_region(struct test *t) {
  struct wire *w = opened(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, "CONFIGURE_MEM_SLOTS");
  wire_negotiate(t, 0, true);
  uint64_t slots;
  takes(t, wire_ask(w, VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS, &slots), "GET_MAX_MEM_SLOTS");
  expect(t, slots >= 1, "there are no memory slots");
  struct virtiofs_vhost_user_mem_region region = {.region = region_of(w, WIRE_GPA, 0, WIRE_MEMORY)};
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_ADD_MEM_REG, &region, sizeof(region), &w->memory_fd, 1), "ADD_MEM_REG");
  for (uint32_t i = 0; i < 2; i++)
    start_again(t, i, 0);
  ring_init(t);
  struct virtiofs_vhost_user_mem_region other = {
      .region = {.gpa = WIRE_GPA * 3, .size = 4096, .uva = 4096, .mmap_offset = 4096}};
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_ADD_MEM_REG, &other, sizeof(other), &w->memory_fd, 1), "ADD_MEM_REG");
  ring_works(t, 1);
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_REM_MEM_REG, &other, sizeof(other), NULL, 0), "REM_MEM_REG");
  ring_works(t, 1);
}

static void config(struct test *t) {
  struct wire *w = opened(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG, "CONFIG");
  wire_negotiate(t, 0, true);
  struct virtiofs_vhost_user_config ask = {.size = 40};
  uint32_t size = 0;
  int rc = wire_send(w, VIRTIOFS_VHOST_USER_GET_CONFIG, VIRTIOFS_VHOST_USER_VERSION, &ask, 12 + 40, NULL, 0);
  if (rc == 0)
    rc = wire_receive(w, VIRTIOFS_VHOST_USER_GET_CONFIG, &ask, sizeof(ask), &size);
  takes(t, rc, "GET_CONFIG");
  is(t, "the reply's size", size, 12 + 40);
  expect(t, ask.data[0] != 0, "the tag is empty");
  /* Little-endian, whatever the host is. */
  uint32_t queues = ask.data[36] | (uint32_t)ask.data[37] << 8;
  expect(t, queues >= 1, "num_request_queues is 0");
  if (t->server->queue_num != 0)
    expect(t, queues + 1 <= t->server->queue_num, "num_request_queues is %u, and there are %llu rings", queues,
           (unsigned long long)t->server->queue_num);
}

static void reset_device(struct test *t) {
  struct wire *w = mounted(t);
  need(t, VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE, "RESET_DEVICE");
  takes(t, wire_tell(w, VIRTIOFS_VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0), "RESET_DEVICE");
  takes(t, wire_tell_u64(w, VIRTIOFS_VHOST_USER_SET_FEATURES, w->features), "SET_FEATURES");
  for (uint32_t i = 0; i < 2; i++) {
    memset(w->rings[i].desc, 0, RING_BYTES);
    w->rings[i].next = w->rings[i].seen = 0;
    start_again(t, i, 0);
  }
  ring_init(t);
  ring_works(t, 1);
}

static void no_err(struct test *t) {
  struct wire *w = mounted(t);
  takes(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_ERR, 1, -1), "SET_VRING_ERR without a descriptor");
  ring_works(t, 1);
}

static void no_call(struct test *t) {
  struct wire *w = mounted(t);
  takes(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_CALL, 1, -1), "SET_VRING_CALL without a descriptor");
  for (uint32_t slot = 2; slot < 6; slot++) {
    put_getattr(t, slot);
    ring_kick(w, 1);
    /* Nobody is called: other messages' round trips give the request time enough. */
    for (int i = 0; i < 10000 && !ring_has_used(w, 1); i++)
      wire_alive(t);
    take_getattr(t, slot);
  }
}

static void again(struct test *t) {
  for (int i = 0; i < 3; i++) {
    (void)mounted(t);
    ring_works(t, 1);
    wire_close(t);
  }
}

static void left_in_flight(struct test *t) {
  struct wire *w = mounted(t);
  for (uint32_t slot = 1; slot < 20; slot++)
    put_getattr(t, slot);
  ring_kick(w, 1);
  wire_close(t);
  (void)mounted(t);
  ring_works(t, 1);
}

static const struct check vhost_checks[] = {
    {"version-1", "virtio-fs has no legacy form: VERSION_1 is offered", features, ALONE, 0, 0},
    {"bit-30", "vhost-user: protocol features are offered", protocol_bit, ALONE, 0, 0},
    {"queue-num", "vhost-user GET_QUEUE_NUM: the high-priority queue and a request queue at least", queue_num, ALONE, 0,
     0},
    {"no-reply-unasked", "vhost-user: a message without need_reply that has no reply of its own has none",
     no_reply_unasked, ALONE, 0, 0},
    {"protocol-first",
     "vhost-user SET_PROTOCOL_FEATURES: SET_PROTOCOL_FEATURES is good before any GET, and counts from then on",
     protocol_first, ALONE, 0, 0},
    {"serves", "vhost-user: the usual opening, INIT and GETATTR", serves, ALONE, 0, 0},
    {"without-bit-30",
     "vhost-user SET_FEATURES: without bit 30 in SET_FEATURES rings are enabled at once, as QEMU before 7.2 wants",
     without_bit_30, ALONE, 0, 0},
    {"features-again", "vhost-user SET_FEATURES: SET_FEATURES while rings run leaves them as they are", features_again,
     ALONE, 0, 0},
    {"no-base", "vhost-user SET_VRING_BASE: a front-end may leave SET_VRING_BASE out", no_base, ALONE, 0, 0},
    {"order", "vhost-user: a ring's messages come in any order, ENABLE before KICK too", other_order, ALONE, 0, 0},
    {"base", "vhost-user GET_VRING_BASE answers where the ring is", base_counts, ALONE, 0, 0},
    {"restarted", "vhost-user: a ring that was stopped goes on from its base, and the mount is still there", restarted,
     ALONE, 0, 0},
    {"stopped", "vhost-user: a stopped ring is not looked at", stopped, ALONE, 0, 0},
    {"before-start", "vhost-user rings: what is in the ring when it starts is served without a kick", before_start,
     ALONE, 0, 0},
    {"disabled", "vhost-user SET_VRING_ENABLE: what came while a ring was disabled is answered once", disabled, ALONE,
     0, 0},
    {"one-kick", "virtio: one kick for many buffers", one_kick, ALONE, 0, 0},
    {"other-call", "vhost-user SET_VRING_CALL may come again at any time", other_call, ALONE, 0, 0},
    {"other-kick", "vhost-user SET_VRING_KICK: another descriptor replaces the old one", other_kick, ALONE, 0, 0},
    {"no-call", "vhost-user SET_VRING_CALL without a descriptor: the driver looks by itself", no_call, ALONE, 0, 0},
    {"no-err", "vhost-user SET_VRING_ERR without a descriptor", no_err, ALONE, 0, 0},
    {"other-table",
     "vhost-user SET_MEM_TABLE: SET_MEM_TABLE replaces the table while rings run, as when memory is plugged in",
     other_table, ALONE, 0, 0},
    {"two-regions", "vhost-user memory (CVE-2018-1059): a buffer may lie in two regions that touch", two_regions, ALONE,
     0, 0},
    {"add-region", "vhost-user ADD_MEM_REG, REM_MEM_REG: memory in slots", add_region, ALONE, 0, 0},
    {"config", "virtio-fs configuration: a tag and the number of request queues, as many bytes as were asked for",
     config, ALONE, 0, 0},
    {"reset", "vhost-user RESET_DEVICE: the device begins anew on the same connection", reset_device, ALONE, 0, 0},
    {"again", "vhost-user: a new connection begins anew", again, ALONE, 0, 0},
    {"left-in-flight", "vhost-user: a front-end that leaves with requests in flight does no harm", left_in_flight,
     ALONE, 0, 0},
};
const struct group vhost_group = CHECKS("vhost", vhost_checks);
