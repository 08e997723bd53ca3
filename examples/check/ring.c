/* SPDX-License-Identifier: BSD-3-Clause */
/* Split rings, written by hand so that they can be wrong. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

/* How long a broken ring may be silent before it is given up: nothing hangs on it, as it is restarted then. */
#define SILENCE_MS 500
#define REPLY_AT 2048U

static struct wire *wire_of(const struct test *t) {
  return t->wire;
}

static uint16_t load(const uint16_t *at) {
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

void ring_put(struct wire *w, uint32_t index, uint16_t head) {
  struct ring *ring = &w->rings[index];
  ring->avail[2 + ring->next % RING_SIZE] = head;
  ring->next++;
  __atomic_store_n(&ring->avail[1], ring->next, __ATOMIC_RELEASE);
}

void ring_kick(struct wire *w, uint32_t index) {
  uint64_t one = 1;
  ssize_t n = write(w->rings[index].kick_fd, &one, sizeof(one));
  (void)n; /* a full counter kicks too */
}

bool ring_has_used(const struct wire *w, uint32_t index) {
  const struct ring *ring = &w->rings[index];
  return load(&ring->used[1]) != ring->seen;
}

int ring_take(struct wire *w, uint32_t index, struct used *used, int ms) {
  struct ring *ring = &w->rings[index];
  struct pollfd fds[3] = {
      {.fd = ring->call_fd, .events = POLLIN}, {.fd = ring->err_fd, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
  while (!ring_has_used(w, index)) {
    uint64_t count;
    int ready = poll(fds, 3, ms);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready < 0)
      return -errno;
    if (fds[0].revents != 0) {
      ssize_t n = read(ring->call_fd, &count, sizeof(count));
      (void)n;
      continue;
    }
    if (fds[2].revents != 0)
      return -ECONNRESET;
    if (!ring_has_used(w, index))
      return 0;
  }
  memcpy(used, (unsigned char *)ring->used + 4 + (size_t)(ring->seen % RING_SIZE) * sizeof(*used), sizeof(*used));
  ring->seen++;
  return 1;
}

static unsigned char *slot_of(const struct wire *w, uint32_t slot) {
  return w->memory + BUFFERS + (size_t)slot * 4096;
}

static void put_request(struct wire *w, uint32_t index, uint32_t slot, const void *bytes, uint32_t len) {
  struct desc *desc = w->rings[index].desc;
  unsigned char *at = slot_of(w, slot);
  uint16_t head = (uint16_t)(2 * slot), tail = (uint16_t)(2 * slot + 1);
  memset(at, 0xa5, 4096);
  memcpy(at, bytes, len);
  desc[head] = (struct desc){.addr = gpa_of(w, at), .len = len, .flags = DESC_NEXT, .next = tail};
  desc[tail] = (struct desc){.addr = gpa_of(w, at + REPLY_AT), .len = REPLY_AT, .flags = DESC_WRITE};
}

struct getattr {
  uint32_t len, opcode;
  uint64_t unique, nodeid;
  uint32_t uid, gid, pid, padding;
  uint32_t flags, dummy;
  uint64_t fh;
};

void ring_getattr(struct wire *w, uint32_t index, uint32_t slot, uint64_t unique) {
  struct getattr request = {.len = sizeof(request),
                            .opcode = VIRTIOFS_FUSE_GETATTR,
                            .unique = unique,
                            .nodeid = VIRTIOFS_FUSE_ROOT,
                            .uid = getuid(),
                            .gid = getgid()};
  put_request(w, index, slot, &request, sizeof(request));
}

struct reply {
  uint32_t len;
  int32_t error;
  uint64_t unique;
};

static void check_head(struct test *t, uint32_t slot, uint64_t unique, const struct used *used,
                       const struct reply *reply) {
  struct wire *w = wire_of(t);
  memcpy(t->copy, slot_of(w, slot) + REPLY_AT, sizeof(*reply));
  (void)snprintf(t->sent_text, TEXT_MAX, "a request with unique %llu in slot %u", (unsigned long long)unique, slot);
  (void)snprintf(t->got_text, TEXT_MAX, "used id %u len %u; reply len %u error %d unique %llu", used->id, used->len,
                 reply->len, reply->error, (unsigned long long)reply->unique);
  is(t, "the used element's id", used->id, (uint64_t)2 * slot);
  is(t, "the reply's unique", reply->unique, unique);
  is(t, "the used element's length", used->len, reply->len);
}

void ring_check_getattr(struct test *t, uint32_t slot, uint64_t unique, const struct used *used) {
  struct reply reply;
  memcpy(&reply, slot_of(wire_of(t), slot) + REPLY_AT, sizeof(reply));
  check_head(t, slot, unique, used, &reply);
  expect(t, reply.error == 0, "GETATTR of the root is answered %s", strerror(-reply.error));
  is(t, "the reply's length", reply.len, 16 + 104);
}

void ring_init(struct test *t) {
  struct {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid, padding, major, minor, readahead, flags, more[12];
  } request = {.len = 104, .opcode = VIRTIOFS_FUSE_INIT, .unique = 2, .major = 7, .minor = 31, .readahead = 131072};
  struct wire *w = wire_of(t);
  struct used used;
  struct reply reply;
  put_request(w, 1, 0, &request, sizeof(request));
  ring_put(w, 1, 0);
  ring_kick(w, 1);
  int rc = ring_take(w, 1, &used, w->timeout_ms);
  if (rc != 1)
    wire_fail(t, rc, "INIT was not answered");
  memcpy(&reply, slot_of(w, 0) + REPLY_AT, sizeof(reply));
  check_head(t, 0, 2, &used, &reply);
  expect(t, reply.error == 0, "INIT was answered %s", strerror(-reply.error));
}

void ring_works(struct test *t, uint32_t index) {
  struct wire *w = wire_of(t);
  struct used used;
  uint64_t unique = t->server->unique += 2;
  ring_getattr(w, index, 0, unique);
  ring_put(w, index, 0);
  ring_kick(w, index);
  int rc = ring_take(w, index, &used, w->timeout_ms);
  if (rc != 1)
    wire_fail(t, rc, "GETATTR was not answered");
  ring_check_getattr(t, 0, unique, &used);
}

/* Tries; buffers that come back late are passed over. */
static bool answers(struct wire *w, int ms) {
  struct used used;
  ring_getattr(w, 1, 31, 4242);
  ring_put(w, 1, 62);
  ring_kick(w, 1);
  while (ring_take(w, 1, &used, ms) == 1)
    if (used.id == 62)
      return true;
  return false;
}

void ring_survived(struct test *t) {
  struct wire *w = wire_of(t);
  struct ring *ring = &w->rings[1];
  struct used used;
  wire_alive(t);
  if (answers(w, SILENCE_MS)) {
    used = (struct used){.id = 62, .len = 120};
    ring_check_getattr(t, 31, 4242, &used);
    return;
  }
  uint64_t count;
  (void)wire_stop(t, 1);
  ssize_t n = read(ring->err_fd, &count, sizeof(count));
  (void)n;
  memset(ring->desc, 0, RING_BYTES);
  ring->next = ring->seen = 0;
  wire_ring(t, 1, 0);
  wire_start(t, 1);
  wire_enable(t, 1, true);
  ring_works(t, 1);
}
