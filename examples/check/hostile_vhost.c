/* SPDX-License-Identifier: BSD-3-Clause */
/* Front-ends that break the rules: the connection may end, but the server takes the next one. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define ASK VIRTIOFS_VHOST_USER_VERSION
#define ACK (VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY)

static struct wire *ready(struct test *t) {
  struct wire *w = wire_open(t);
  wire_negotiate(t, 0, true);
  wire_memory(t);
  return w;
}

/* A front-end that keeps to the rules is served after the other one has gone. */
static void next_one(struct test *t) {
  wire_close(t);
  wire_up(t, 0, 2);
  ring_init(t);
  ring_works(t, 1);
}

/* Either refused or answered by hanging up; and the device, or the next one, is good. */
static void refuses(struct test *t, uint32_t request, const void *payload, uint32_t size, const int *fds,
                    uint32_t fd_count) {
  struct wire *w = t->wire;
  int rc = wire_tell(w, request, payload, size, fds, fd_count);
  bool acked = (w->protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
  if (rc == 0 && acked)
    fail(t, "%s was accepted", virtiofs_vhost_user_request_name(request));
  if (rc == -ETIMEDOUT)
    fail(t, "%s was not answered", virtiofs_vhost_user_request_name(request));
  next_one(t);
}

static void num(struct test *t, uint32_t index, uint32_t value) {
  (void)ready(t);
  struct virtiofs_vhost_user_vring_state state = {.index = index, .num = value};
  refuses(t, VIRTIOFS_VHOST_USER_SET_VRING_NUM, &state, sizeof(state), NULL, 0);
}

static void num_zero(struct test *t) {
  num(t, 1, 0);
}

static void num_three(struct test *t) {
  num(t, 1, 3);
}

static void num_huge(struct test *t) {
  num(t, 1, 65536);
}

static void num_index(struct test *t) {
  num(t, 200, 64);
}

static void num_index_huge(struct test *t) {
  num(t, UINT32_MAX, 64);
}

static void addr(struct test *t, struct virtiofs_vhost_user_vring_addr payload) {
  refuses(t, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, &payload, sizeof(payload), NULL, 0);
}

static struct virtiofs_vhost_user_vring_addr good_addr(struct test *t, uint32_t index) {
  struct wire *w = ready(t);
  return (struct virtiofs_vhost_user_vring_addr){.index = index,
                                                 .desc = (uint64_t)(uintptr_t)w->rings[1].desc,
                                                 .avail = (uint64_t)(uintptr_t)w->rings[1].avail,
                                                 .used = (uint64_t)(uintptr_t)w->rings[1].used};
}

static void addr_index(struct test *t) {
  addr(t, good_addr(t, 255));
}

/* May be refused now or when the ring starts, but is never used. */
static void bad_ring(struct test *t, struct virtiofs_vhost_user_vring_addr payload) {
  struct wire *w = t->wire;
  (void)wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, RING_SIZE);
  int rc = wire_tell(w, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, &payload, sizeof(payload), NULL, 0);
  if (rc == 0)
    rc = wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 1, w->rings[1].kick_fd);
  if (rc == 0)
    rc = wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1);
  ring_kick(w, 1);
  uint64_t features;
  if (rc == 0)
    rc = wire_ask(w, VIRTIOFS_VHOST_USER_GET_FEATURES, &features);
  if (rc == -ETIMEDOUT)
    fail(t, "the device does not answer any more");
  next_one(t);
}

static void addr_odd(struct test *t) {
  struct virtiofs_vhost_user_vring_addr payload = good_addr(t, 1);
  payload.desc += 1;
  bad_ring(t, payload);
}

static void addr_nowhere(struct test *t) {
  struct virtiofs_vhost_user_vring_addr payload = good_addr(t, 1);
  payload.used = 0x1000;
  bad_ring(t, payload);
}

static void addr_end(struct test *t) {
  struct virtiofs_vhost_user_vring_addr payload = good_addr(t, 1);
  payload.desc = (uint64_t)(uintptr_t)t->wire->memory + WIRE_MEMORY - 16;
  bad_ring(t, payload);
}

static void kick_first(struct test *t) {
  struct wire *w = ready(t);
  int rc = wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_KICK, 1, w->rings[1].kick_fd);
  if (rc == 0)
    (void)wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, 1, 1);
  ring_kick(w, 1);
  next_one(t);
}

static void kick_index(struct test *t) {
  struct wire *w = ready(t);
  uint64_t value = 250;
  refuses(t, VIRTIOFS_VHOST_USER_SET_VRING_KICK, &value, sizeof(value), &w->rings[1].kick_fd, 1);
}

static void enable_index(struct test *t) {
  (void)ready(t);
  struct virtiofs_vhost_user_vring_state state = {.index = 250, .num = 1};
  refuses(t, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state), NULL, 0);
}

static void table_of(struct test *t, uint32_t count, uint32_t fd_count, struct virtiofs_vhost_user_region region) {
  struct wire *w = ready(t);
  struct virtiofs_vhost_user_mem_table table = {.count = count};
  int fds[8];
  for (int i = 0; i < 8; i++) {
    table.regions[i] = region;
    table.regions[i].gpa += (uint64_t)i << 40;
    table.regions[i].uva += (uint64_t)i << 40;
    fds[i] = w->memory_fd;
  }
  uint32_t entries = count < 8 ? count : 8;
  refuses(t, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, &table, (uint32_t)(8 + entries * sizeof(region)), fds, fd_count);
}

static const struct virtiofs_vhost_user_region page = {.gpa = 1 << 20, .size = 4096, .uva = 1 << 20};

static void table_nine(struct test *t) {
  table_of(t, 9, 8, page);
}

static void table_fewer_fds(struct test *t) {
  table_of(t, 2, 1, page);
}

static void table_empty_region(struct test *t) {
  struct virtiofs_vhost_user_region region = page;
  region.size = 0;
  table_of(t, 1, 1, region);
}

static void table_wraps(struct test *t) {
  struct virtiofs_vhost_user_region region = page;
  region.gpa = UINT64_MAX - 100;
  table_of(t, 1, 1, region);
}

static void table_offset(struct test *t) {
  struct virtiofs_vhost_user_region region = page;
  region.mmap_offset = UINT64_MAX - 100;
  table_of(t, 1, 1, region);
}

static void table_past_file(struct test *t) {
  struct virtiofs_vhost_user_region region = page;
  region.size = UINT64_C(1) << 30;
  table_of(t, 1, 1, region);
}

/* Raw messages, whose answer may be anything. */
static void throws(struct test *t, uint32_t request, uint32_t flags, uint32_t size, uint32_t fd_count) {
  static const unsigned char bytes[4096];
  struct wire *w = ready(t);
  int fds[16];
  for (int i = 0; i < 16; i++)
    fds[i] = w->memory_fd;
  (void)wire_send(w, request, flags, bytes, size, fds, fd_count);
  next_one(t);
}

static void unknown(struct test *t) {
  throws(t, 999, ACK, 8, 0);
}

static void number_zero(struct test *t) {
  throws(t, 0, ACK, 0, 0);
}

static void version_zero(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_GET_FEATURES, 0, 0, 0);
}

static void a_reply(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_GET_FEATURES, ASK | VIRTIOFS_VHOST_USER_REPLY, 8, 0);
}

static void with_payload(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_GET_FEATURES, ASK, 200, 0);
}

static void without_payload(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, ACK, 4, 0);
}

static void many_fds(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, ACK, 8, 12);
}

static void stray_fds(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_GET_FEATURES, ASK, 0, 3);
}

static void no_fd(struct test *t) {
  throws(t, VIRTIOFS_VHOST_USER_SET_VRING_KICK, ACK, 8, 0);
}

static void size_huge(struct test *t) {
  struct wire *w = ready(t);
  const uint32_t header[3] = {VIRTIOFS_VHOST_USER_SET_MEM_TABLE, ASK, UINT32_MAX};
  ssize_t n = send(w->fd, header, sizeof(header), MSG_NOSIGNAL);
  (void)n;
  next_one(t);
}

static void half_a_header(struct test *t) {
  struct wire *w = ready(t);
  ssize_t n = send(w->fd, "\1\0\0\0\1", 5, MSG_NOSIGNAL);
  (void)n;
  next_one(t);
}

static void half_a_message(struct test *t) {
  struct wire *w = ready(t);
  const uint32_t header[4] = {VIRTIOFS_VHOST_USER_SET_VRING_ADDR, ASK, 40, 1};
  ssize_t n = send(w->fd, header, sizeof(header), MSG_NOSIGNAL);
  (void)n;
  next_one(t);
}

static void leaves_at_once(struct test *t) {
  (void)wire_open(t);
  next_one(t);
}

static void stop_unstarted(struct test *t) {
  struct wire *w = ready(t);
  struct virtiofs_vhost_user_vring_state state = {.index = 1};
  uint32_t size;
  int rc = wire_send(w, VIRTIOFS_VHOST_USER_GET_VRING_BASE, ASK, &state, sizeof(state), NULL, 0);
  if (rc == 0)
    rc = wire_receive(w, VIRTIOFS_VHOST_USER_GET_VRING_BASE, &state, sizeof(state), &size);
  if (rc == -ETIMEDOUT)
    fail(t, "GET_VRING_BASE of a ring that was never started is not answered");
  next_one(t);
}

#define ROW(name, rule, run)                                                                                           \
  { name, rule, run, ALONE | HOSTILE, 0, 0 }
static const struct check hostile_vhost_checks[] = {
    ROW("ring-of-0", "vhost-user SET_VRING_NUM: a ring has a size", num_zero),
    ROW("ring-of-3", "virtio 2.7: the size of a split ring is a power of two", num_three),
    ROW("ring-of-65536", "virtio 2.7: a ring has at most 32768 descriptors", num_huge),
    ROW("ring-200", "vhost-user: a ring that there isn't", num_index),
    ROW("ring-2^32", "vhost-user messages (CVE-2019-14818): an index is compared in full width", num_index_huge),
    ROW("address-ring-255", "vhost-user: a ring that there isn't", addr_index),
    ROW("address-odd", "virtio 2.7: rings that are not aligned", addr_odd),
    ROW("address-nowhere", "vhost-user: a ring where there is no memory", addr_nowhere),
    ROW("address-end", "vhost-user: a ring that begins in memory and ends outside", addr_end),
    ROW("kick-first", "vhost-user: SET_VRING_KICK before the ring has addresses", kick_first),
    ROW("kick-ring-250", "vhost-user: a ring that there isn't", kick_index),
    ROW("kick-no-descriptor", "vhost-user: SET_VRING_KICK without the descriptor that it announces", no_fd),
    ROW("enable-ring-250", "vhost-user: a ring that there isn't", enable_index),
    ROW("stop-unstarted", "vhost-user: GET_VRING_BASE of a ring that was never started", stop_unstarted),
    ROW("table-of-9", "vhost-user messages (CVE-2019-14818): SET_MEM_TABLE has at most 8 regions", table_nine),
    ROW("table-descriptors", "vhost-user: each region has a descriptor", table_fewer_fds),
    ROW("region-empty", "vhost-user: a region has a size", table_empty_region),
    ROW("region-wraps", "vhost-user: a region does not wrap", table_wraps),
    ROW("region-offset", "vhost-user: offset and size don't wrap", table_offset),
    ROW("region-past-file", "vhost-user: a region lies in its file", table_past_file),
    ROW("unknown", "vhost-user: an unknown message", unknown),
    ROW("message-0", "vhost-user: there is no message 0", number_zero),
    ROW("version-0", "vhost-user: the version is 1", version_zero),
    ROW("reply", "vhost-user: a front-end sends no replies", a_reply),
    ROW("payload-unasked", "vhost-user: GET_FEATURES has no payload", with_payload),
    ROW("payload-short", "vhost-user: SET_VRING_ADDR has 40 bytes", without_payload),
    ROW("payload-huge", "vhost-user messages (CVE-2019-14818): no message has 4 GiB", size_huge),
    ROW("descriptors-12", "vhost-user: at most 8 descriptors with a message", many_fds),
    ROW("descriptors-unasked", "vhost-user descriptors (CVE-2022-0669): descriptors that nobody wants are closed",
        stray_fds),
    ROW("half-a-header", "vhost-user: a front-end that leaves in the middle of a header", half_a_header),
    ROW("half-a-message", "vhost-user: a front-end that leaves in the middle of a message", half_a_message),
    ROW("leaves-at-once", "vhost-user: a front-end that asks two questions and leaves", leaves_at_once),
};
const struct group hostile_vhost_group = CHECKS("hostile-vhost", hostile_vhost_checks);
