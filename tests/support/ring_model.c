/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/ring_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/ring_pair.h"

#define ANY UINT64_MAX /* a request that is older than what it is compared with; which one doesn't matter */

enum { PARTS = 8, PART = 40, AREA = PARTS * PART, PIECES = 2 * PARTS, BATCH = 16, ENTRIES = 6 };

/* Its life: added, shown to the device, held by it, put, shown to the driver, and then free again. */
enum stage { FREE, ADDED, HELD, PUT };

struct message {
  enum stage stage;
  uint64_t serial;
  struct virtiofs_driverq_part parts[PARTS];
  uint32_t readable, writable, in_bytes, out_bytes;
  uint32_t ticket, len;
};

/* Messages in an order. */
struct line {
  uint32_t *at;
  uint32_t first, count;
};

struct model {
  struct ring_pair pair;
  const struct ring_model_choices *choices;
  uint64_t features;
  bool packed, event_idx, in_order, tables;
  uint32_t num, capacity; /* the ring's size, and that of what follows */
  struct message *messages;
  struct line spare, added, held, put; /* @added: not taken by the device; @put: not taken by the driver */
  uint32_t shown_added, shown_put;     /* how many of those the other side may see, from the front */
  uint32_t free;                       /* descriptors */
  uint64_t serial, done;

  /* Notifications, counted in buffers since the start. */
  uint64_t made_available, taken, used, taken_back;
  bool kicks_off, calls_off;       /* by flag, or a packed ring's event area */
  uint64_t kick_at, call_at;       /* with EVENT_IDX: at which buffer */
  bool kick_asked, call_asked;     /* before, a packed ring says: always */
  bool kick_decided, call_decided; /* the first one is never held back by a position */
};

#define CHECK(so) check(so, #so, __LINE__)

static void check(bool so, const char *what, int line) {
  if (so)
    return;
  (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, line, what);
  abort();
}

static uint32_t choose(struct model *m, uint32_t limit) {
  return m->choices->choose(m->choices->ctx, limit);
}

static void push(const struct model *m, struct line *line, uint32_t index) {
  line->at[(line->first + line->count++) % m->capacity] = index;
}

static uint32_t *nth(const struct model *m, const struct line *line, uint32_t n) {
  return &line->at[(line->first + n) % m->capacity];
}

static uint32_t pop(const struct model *m, struct line *line) {
  uint32_t index = *nth(m, line, 0);
  line->first = (line->first + 1) % m->capacity;
  line->count--;
  return index;
}

/* Out of the middle; the first one takes its place. */
static uint32_t pick(struct model *m, struct line *line, uint32_t n) {
  uint32_t index = *nth(m, line, n);
  *nth(m, line, n) = *nth(m, line, 0);
  (void)pop(m, line);
  return index;
}

static unsigned char pattern(uint64_t serial, uint64_t offset, bool reply) {
  return (unsigned char)(serial * 31 + offset * 7 + (reply ? 3 : 0));
}

/* ---- the driver ---- */

/* Parts of any length, readable ones before writable ones, one behind the other in the message's own area. */
static void compose(struct model *m, uint32_t index) {
  struct message *msg = &m->messages[index];
  uint64_t at = PAIR_DATA + (uint64_t)index * AREA, offset = 0;
  uint32_t count = 1 + choose(m, PARTS);
  msg->serial = m->serial++;
  msg->readable = choose(m, count + 1);
  msg->writable = count - msg->readable;
  msg->in_bytes = msg->out_bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t len = choose(m, PART + 1);
    msg->parts[i] = (struct virtiofs_driverq_part){.addr = at, .len = len};
    if (i < msg->readable)
      msg->in_bytes += len;
    else
      msg->out_bytes += len;
    for (uint32_t j = 0; j < len; j++)
      *ring_pair_at(&m->pair, at + j) = i < msg->readable ? pattern(msg->serial, offset++, false) : 0x55;
    at += len;
  }
}

static uint32_t slots_of(const struct model *m, const struct message *msg) {
  uint32_t count = msg->readable + msg->writable;
  return m->tables && count > 1 && count <= ENTRIES ? 1 : count;
}

static void driver_add(struct model *m) {
  if (m->spare.count == 0)
    return;
  uint32_t index = *nth(m, &m->spare, 0);
  struct message *msg = &m->messages[index];
  compose(m, index);
  uint32_t slots = slots_of(m, msg);
  int rc = virtiofs_driverq_add(m->pair.driver, msg->parts, msg->readable, msg->writable, msg);
  CHECK(rc == (slots > m->num ? -EINVAL : slots > m->free ? -ENOSPC : 0));
  if (rc == 0) {
    (void)pop(m, &m->spare);
    push(m, &m->added, index);
    msg->stage = ADDED;
    m->free -= slots;
  }
  CHECK(virtiofs_driverq_free_count(m->pair.driver) == m->free);
}

/*
 * A notification is due if the buffer that was asked for is among those that were shown just now. Positions repeat, so
 * one that is due is never left out, and one that is not due may come if the request is older than the ring is long.
 */
static void check_wanted(const struct model *m, bool wanted, uint64_t before, uint64_t now, bool off, uint64_t at,
                         bool by_position) {
  bool due = !m->event_idx || !by_position || (at >= before && at < now);
  if (off)
    due = false;
  if (due)
    CHECK(wanted);
  else if (off || (at != ANY && now - at < m->num / PARTS))
    CHECK(!wanted);
}

static void driver_publish(struct model *m) {
  uint32_t fresh = m->added.count - m->shown_added;
  bool wanted = virtiofs_driverq_publish(m->pair.driver);
  if (fresh == 0) {
    CHECK(!wanted);
    return;
  }
  uint64_t before = m->made_available;
  m->made_available += fresh;
  m->shown_added = m->added.count;
  check_wanted(m, wanted, before, m->made_available, m->kicks_off, m->kick_at,
               m->kick_decided && (m->kick_asked || !m->packed));
  m->kick_decided = true;
  uint32_t data = virtiofs_driverq_notify_data(m->pair.driver, 0x1234);
  CHECK(data == ((virtiofs_driverq_base(m->pair.driver) & 0xffff) << 16 | 0x1234));
}

static void check_back(struct model *m, const struct virtiofs_driverq_done *done) {
  CHECK(m->shown_put > 0);
  struct message *msg = done->cookie;
  CHECK(msg == &m->messages[pop(m, &m->put)] && msg->stage == PUT);
  m->shown_put--;
  m->taken_back++;
  CHECK(done->len == msg->len);
  uint64_t offset = 0;
  for (uint32_t i = msg->readable; i < msg->readable + msg->writable; i++)
    for (uint32_t j = 0; j < msg->parts[i].len; j++, offset++)
      CHECK(*ring_pair_at(&m->pair, msg->parts[i].addr + j) ==
            (offset < msg->len ? pattern(msg->serial, offset, true) : 0x55));
  m->free += slots_of(m, msg);
  msg->stage = FREE;
  push(m, &m->spare, (uint32_t)(msg - m->messages));
  m->done++;
}

static void driver_take(struct model *m) {
  struct virtiofs_driverq_done done[BATCH];
  uint32_t want = 1 + choose(m, BATCH), due = m->shown_put < want ? m->shown_put : want;
  CHECK(virtiofs_driverq_take_batch(m->pair.driver, done, want) == (int)due);
  for (uint32_t i = 0; i < due; i++)
    check_back(m, &done[i]);
  CHECK(virtiofs_driverq_free_count(m->pair.driver) == m->free);
  CHECK(virtiofs_driverq_in_flight(m->pair.driver) == m->added.count + m->held.count + m->put.count);
}

static void driver_ask(struct model *m) {
  if (choose(m, 3) == 0) {
    virtiofs_driverq_no_call(m->pair.driver);
    if (!m->event_idx || m->packed)
      m->calls_off = true;
    return;
  }
  m->calls_off = false;
  m->call_asked = true;
  /* With IN_ORDER the request counts from behind all that one used element stands for, taken back or not. */
  m->call_at = m->in_order && m->shown_put > 0 ? ANY : m->taken_back;
  CHECK(virtiofs_driverq_want_call(m->pair.driver) == (m->shown_put > 0));
}

/* ---- the device ---- */

static void check_pieces(const struct message *msg, const struct virtiofs_virtq_chain *chain) {
  uint64_t in = 0, out = 0;
  CHECK(!chain->cut && chain->in_bytes == msg->in_bytes && chain->out_bytes == msg->out_bytes);
  for (uint32_t i = 0; i < chain->in_count + chain->out_count; i++) {
    const unsigned char *bytes = chain->iov[i].iov_base;
    CHECK(chain->iov[i].iov_len > 0);
    if (i < chain->in_count)
      for (size_t j = 0; j < chain->iov[i].iov_len; j++)
        CHECK(bytes[j] == pattern(msg->serial, in++, false));
    else
      out += chain->iov[i].iov_len;
  }
  CHECK(in == msg->in_bytes && out == msg->out_bytes);
}

static void reply(const struct message *msg, const struct virtiofs_virtq_chain *chain) {
  uint32_t offset = 0;
  for (uint32_t i = chain->in_count; i < chain->in_count + chain->out_count; i++)
    for (size_t j = 0; j < chain->iov[i].iov_len && offset < msg->len; j++)
      ((unsigned char *)chain->iov[i].iov_base)[j] = pattern(msg->serial, offset++, true);
}

/* Too little room breaks the ring, and mended it gives the same buffer. */
static void device_too_little_room(struct model *m) {
  struct iovec none;
  struct virtiofs_virtq_chain chain = {.iov = &none, .capacity = 0};
  if (m->shown_added == 0)
    return;
  const struct message *msg = &m->messages[*nth(m, &m->added, 0)];
  if (msg->in_bytes + msg->out_bytes == 0)
    return;
  CHECK(virtiofs_virtq_take(m->pair.device, m->pair.map, &chain) == -EPROTO);
  CHECK(virtiofs_virtq_fault(m->pair.device) == VIRTIOFS_VIRTQ_SEGMENTS);
  CHECK(!virtiofs_virtq_pending(m->pair.device));
  virtiofs_virtq_mend(m->pair.device);
  CHECK(virtiofs_virtq_pending(m->pair.device));
}

static void device_take(struct model *m) {
  struct iovec iov[BATCH][PIECES];
  struct virtiofs_virtq_chain chains[BATCH];
  uint32_t want = 1 + choose(m, BATCH), due = m->shown_added < want ? m->shown_added : want;
  CHECK(virtiofs_virtq_pending(m->pair.device) == (m->shown_added > 0));
  for (uint32_t i = 0; i < want; i++)
    chains[i] = (struct virtiofs_virtq_chain){.iov = iov[i], .capacity = PIECES};
  CHECK(virtiofs_virtq_take_batch(m->pair.device, m->pair.map, chains, want) == (int)due);
  for (uint32_t i = 0; i < due; i++) {
    uint32_t index = pop(m, &m->added);
    struct message *msg = &m->messages[index];
    m->shown_added--;
    m->taken++;
    check_pieces(msg, &chains[i]);
    msg->stage = HELD;
    msg->ticket = chains[i].ticket;
    msg->len = choose(m, 2) == 0 ? msg->out_bytes : choose(m, msg->out_bytes + 1);
    reply(msg, &chains[i]);
    push(m, &m->held, index);
  }
}

static void device_put(struct model *m) {
  if (m->held.count == 0)
    return;
  /* With IN_ORDER those put early stay in line, so the model puts only what has not been put. */
  uint32_t n = choose(m, m->held.count);
  struct message *msg = &m->messages[*nth(m, &m->held, n)];
  CHECK(virtiofs_virtq_put(m->pair.device, msg->ticket, msg->out_bytes + 1) == -EINVAL);
  CHECK(virtiofs_virtq_put(m->pair.device, msg->ticket ^ 0x10000, 0) == -EINVAL);
  CHECK(virtiofs_virtq_put(m->pair.device, msg->ticket, msg->len) == (msg->stage == HELD ? 0 : -EINVAL));
  CHECK(virtiofs_virtq_put(m->pair.device, msg->ticket, msg->len) == -EINVAL);
  msg->stage = PUT;
  if (!m->in_order)
    push(m, &m->put, pick(m, &m->held, n));
}

static void device_publish(struct model *m) {
  while (m->in_order && m->held.count > 0 && m->messages[*nth(m, &m->held, 0)].stage == PUT)
    push(m, &m->put, pop(m, &m->held));
  uint32_t fresh = m->put.count - m->shown_put;
  bool wanted = virtiofs_virtq_publish(m->pair.device);
  if (fresh == 0) {
    CHECK(!wanted);
    return;
  }
  uint64_t before = m->used;
  m->used += fresh;
  m->shown_put = m->put.count;
  check_wanted(m, wanted, before, m->used, m->calls_off, m->call_at, m->call_decided && (m->call_asked || !m->packed));
  m->call_decided = true;
}

static void device_ask(struct model *m) {
  if (choose(m, 3) == 0) {
    virtiofs_virtq_no_kick(m->pair.device);
    if (!m->event_idx || m->packed)
      m->kicks_off = true;
    return;
  }
  m->kicks_off = false;
  m->kick_asked = true;
  m->kick_at = m->taken;
  CHECK(virtiofs_virtq_want_kick(m->pair.device) == (m->shown_added > 0));
}

/* ---- both ---- */

/* The position of a split ring's device is the used index in memory, so all must be shown. */
static void migrate(struct model *m) {
  if (m->held.count > 0)
    return;
  device_publish(m);
  uint32_t base = virtiofs_virtq_base(m->pair.device);
  ring_pair_migrate(&m->pair);
  CHECK(virtiofs_virtq_base(m->pair.device) == base);
  m->call_decided = false;
}

static void begin(struct model *m) {
  m->spare.count = m->added.count = m->held.count = m->put.count = 0;
  m->spare.first = m->added.first = m->held.first = m->put.first = 0;
  for (uint32_t i = 0; i < m->capacity; i++) {
    m->messages[i].stage = FREE;
    push(m, &m->spare, i);
  }
  m->shown_added = m->shown_put = 0;
  m->free = m->num;
  m->made_available = m->taken = m->used = m->taken_back = 0;
  m->kicks_off = m->calls_off = m->kick_asked = m->call_asked = m->kick_decided = m->call_decided = false;
  m->kick_at = m->call_at = 0;
}

/* What the driver has added comes back once each; what the device still has is void. */
static void reset(struct model *m) {
  void *cookie;
  uint32_t left = m->added.count + m->held.count + m->put.count, num = m->pair.config.num;
  CHECK(virtiofs_driverq_reclaim(m->pair.driver, &cookie) == 0);
  CHECK(virtiofs_driverq_reset(m->pair.driver, m->num) == 0);
  for (; left > 0; left--) {
    CHECK(virtiofs_driverq_reclaim(m->pair.driver, &cookie) == 1);
    struct message *msg = cookie;
    CHECK(msg->stage != FREE);
    msg->stage = FREE;
  }
  CHECK(virtiofs_driverq_reclaim(m->pair.driver, &cookie) == 0);
  if (choose(m, 2) == 0)
    num = m->packed ? 2 + choose(m, num - 1) : num > 2 ? num / 2 : num;
  uint32_t base = choose(m, m->packed ? num : 65536);
  if (m->packed)
    base = (base | choose(m, 2) << 15) * 0x10001;
  ring_pair_restart(&m->pair, num, base);
  CHECK(virtiofs_virtq_base(m->pair.device) == base && virtiofs_driverq_base(m->pair.driver) == base);
  for (uint32_t i = 0; i < m->held.count; i++)
    CHECK(virtiofs_virtq_put(m->pair.device, m->messages[*nth(m, &m->held, i)].ticket, 0) == -EINVAL);
  m->num = num;
  begin(m);
}

static void step(struct model *m) {
  static void (*const usual[])(struct model *) = {
      driver_add, driver_add, driver_add, driver_publish, driver_publish, device_take, device_take,
      device_put, device_put, device_put, device_publish, device_publish, driver_take, driver_take,
  };
  uint32_t times = 1 + choose(m, 1U << choose(m, 7)), what = choose(m, 16), rare = choose(m, 64);
  if (what < sizeof usual / sizeof usual[0]) {
    while (times-- > 0)
      usual[what](m);
  } else if (what == 14) {
    (rare % 2 == 0 ? driver_ask : device_ask)(m);
  } else {
    (rare == 0 ? reset : rare < 8 ? migrate : rare < 32 ? device_too_little_room : driver_take)(m);
  }
}

static uint32_t *numbers(uint32_t count) {
  uint32_t *at = calloc(count, sizeof *at);
  CHECK(at != NULL);
  return at;
}

void ring_model_run(uint32_t num, uint64_t features, uint32_t base, bool tables, uint64_t messages,
                    const struct ring_model_choices *choices) {
  struct model m = {.choices = choices, .num = num, .capacity = num, .features = features, .tables = tables};
  struct ring_pair_config config = {.num = num, .features = features, .base = base, .data = num * AREA + 7};
  config.table_entries = tables ? ENTRIES : 0;
  m.packed = (features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  m.event_idx = (features & VIRTIOFS_VIRTQ_F_EVENT_IDX) != 0;
  m.in_order = (features & VIRTIOFS_VIRTQ_F_IN_ORDER) != 0;
  ring_pair_init(&m.pair, &config);
  m.messages = calloc(num, sizeof *m.messages);
  CHECK(m.messages != NULL);
  m.spare.at = numbers(num);
  m.added.at = numbers(num);
  m.held.at = numbers(num);
  m.put.at = numbers(num);
  begin(&m);
  while (m.done < messages && (choices->more == NULL || choices->more(choices->ctx)))
    step(&m);
  free(m.spare.at);
  free(m.added.at);
  free(m.held.at);
  free(m.put.at);
  free(m.messages);
  ring_pair_fini(&m.pair);
}
