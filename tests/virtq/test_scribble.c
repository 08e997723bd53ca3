/* SPDX-License-Identifier: BSD-3-Clause */
/* The other side writes anything anywhere while we look, until COUNT buffers were taken and COUNT faults were found:
 * test_scribble [COUNT]. A sanitizer sees an access beyond guest memory: each area is a heap block of exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

#include "support/ring_pair.h"

#if defined(__SANITIZE_THREAD__)
#define RACES_ARE_MEANT 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACES_ARE_MEANT 1
#endif
#endif

enum { NUM = 16, MOST = 3, DATA = 4096, ENTRIES = 8, PIECES = 24, LOOKS = 4 };

static uint64_t goal = 1000;
static struct ring_pair pair;
static atomic_bool over;
static _Atomic uint64_t scribbled; /* how often the other side has */

struct random {
  uint64_t state;
};

static uint64_t any(struct random *r) {
  r->state ^= r->state << 13;
  r->state ^= r->state >> 7;
  r->state ^= r->state << 17;
  return r->state;
}

static uint64_t any_address(struct random *r) {
  switch (any(r) % 6) {
  case 0:
    return PAIR_TABLES + any(r) % (NUM * ENTRIES * 16);
  case 1:
    return ring_pair_seam(&pair) - any(r) % 32;
  case 2:
    return ring_pair_window(&pair) - any(r) % 64;
  case 3:
    return UINT64_MAX - any(r) % 64;
  default:
    return PAIR_DATA + any(r) % DATA;
  }
}

/* 16 bytes, every other time those of a descriptor that is right, available or used in one lap or the other. */
static void scribble_desc(struct random *r, unsigned char *at) {
  bool packed = (pair.config.features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0, good = any(r) % 2 == 0;
  uint64_t addr = htole64(good ? PAIR_DATA + any(r) % (DATA - 64) : any_address(r));
  uint32_t len = (uint32_t)(good || any(r) % 4 != 0 ? any(r) % 64 : any(r) % 2 == 0 ? any(r) % 16 * 16 : any(r));
  uint16_t flags = (uint16_t)(any(r) & (good ? 0x8082 : any(r) % 8 == 0 ? 0xffff : 0x8087));
  uint16_t other = (uint16_t)(any(r) % 16 == 0 ? any(r) : any(r) % NUM);
  memcpy(at, &addr, 8);
  memcpy(at + 8, &(uint32_t){htole32(len)}, 4);
  memcpy(at + (packed ? 12 : 14), &(uint16_t){htole16(other)}, 2);
  memcpy(at + (packed ? 14 : 12), &(uint16_t){htole16(flags)}, 2);
}

/* Any word, and the indices of a split ring near to those of the other side, as others are found out at once. */
static void scribble_words(struct random *r, unsigned char *area, uint64_t bytes, const unsigned char *other) {
  uint16_t value, near;
  memcpy(&near, other + 2, 2);
  value = htole16((uint16_t)(any(r) % 16 == 0 ? any(r) : any(r) % NUM));
  memcpy(area + any(r) % (bytes / 2) * 2, &value, 2);
  value = htole16((uint16_t)(le16toh(near) + (any(r) % 64 == 0 ? any(r) : any(r) % 3)));
  memcpy(area + 2, &value, 2);
}

/* The driver's areas, or the device's. */
static void scribble_once(struct random *r, bool device) {
  uint64_t features = pair.config.features;
  if (any(r) % 2 == 0)
    scribble_desc(r, (unsigned char *)pair.areas[0] + any(r) % NUM * 16);
  if (any(r) % 2 == 0)
    scribble_desc(r, (unsigned char *)pair.regions[0].host + any(r) % (NUM * ENTRIES) * 16);
  if (device)
    scribble_words(r, pair.areas[2], virtiofs_virtq_device_bytes(NUM, features), pair.areas[1]);
  else
    scribble_words(r, pair.areas[1], virtiofs_virtq_driver_bytes(NUM, features), pair.areas[2]);
}

static void *scribble(void *arg) {
  bool device = arg != NULL;
  struct random r = {.state = device ? 77 : 33};
  while (!atomic_load_explicit(&over, memory_order_relaxed)) {
    scribble_once(&r, device);
    atomic_fetch_add_explicit(&scribbled, 1, memory_order_relaxed);
  }
  return NULL;
}

/* Where both threads have to share a processor, perhaps with others, nothing changes for as long as this one runs: it
 * scribbles itself then, between two looks. */
static void let_scribble(struct random *r, uint64_t look, bool device) {
  static uint64_t before;
  if (look % LOOKS != 0)
    return;
  if (look % (LOOKS * 64) == 0)
    sched_yield();
  uint64_t now = atomic_load_explicit(&scribbled, memory_order_relaxed);
  if (now == before)
    scribble_once(r, device);
  before = now;
}

static void touch(const struct virtiofs_virtq_chain *chain) {
  uint64_t in = 0, out = 0;
  assert_true(chain->in_count + chain->out_count <= PIECES);
  for (uint32_t i = 0; i < chain->in_count + chain->out_count; i++) {
    volatile unsigned char *at = chain->iov[i].iov_base;
    size_t len = chain->iov[i].iov_len;
    assert_true(len > 0);
    if (i < chain->in_count) {
      (void)at[0];
      (void)at[len - 1];
      in += len;
    } else {
      at[0] = at[len - 1] = 1;
      out += len;
    }
  }
  assert_int_equal(chain->in_bytes, in);
  assert_int_equal(chain->out_bytes, out);
}

/* Whatever happens, what was taken can be put once, and no more is out than the ring has. */
static void device_looks(uint64_t *taken, uint64_t *faults) {
  struct iovec iov[PIECES];
  struct virtiofs_virtq_chain chain = {.iov = iov, .capacity = PIECES};
  struct random r = {.state = 55};
  uint32_t tickets[MOST], held = 0;
  for (uint64_t i = 0; *taken < goal || *faults < goal; i++) {
    let_scribble(&r, i, false);
    int rc = virtiofs_virtq_take(pair.device, pair.map, &chain);
    if (rc == 1) {
      assert_true(held < MOST);
      touch(&chain);
      tickets[held++] = chain.ticket;
      (*taken)++;
    }
    if (rc < 0) {
      assert_true(virtiofs_virtq_fault(pair.device) != VIRTIOFS_VIRTQ_OK);
      (*faults)++;
      virtiofs_virtq_mend(pair.device);
    }
    if (held == MOST || (held > 0 && i % 3 == 0)) {
      assert_int_equal(virtiofs_virtq_put(pair.device, tickets[--held], 0), 0);
      assert_int_not_equal(virtiofs_virtq_put(pair.device, tickets[held], 0), 0);
      (void)!virtiofs_virtq_publish(pair.device);
    }
    (void)!virtiofs_virtq_want_kick(pair.device);
    /* A ring whose index is far off is begun anew, as nothing else would come of it. */
    if (i % 1000 == 999) {
      assert_int_equal(virtiofs_virtq_start(pair.device, ring_pair_first(pair.config.features)), 0);
      held = 0;
      /* The used index, as scribbled words keep near to it. */
      if ((pair.config.features & VIRTIOFS_VIRTQ_F_RING_PACKED) == 0)
        memset(pair.areas[2], 0, 4);
    }
  }
}

static void driver_looks(uint64_t *taken, uint64_t *faults) {
  static char cookies[NUM];
  struct random r = {.state = 99};
  struct virtiofs_driverq_done done;
  bool out[NUM] = {false};
  uint32_t next = 0;
  for (uint64_t i = 0; *taken < goal || *faults < goal; i++) {
    let_scribble(&r, i, true);
    const struct virtiofs_driverq_part parts[] = {{PAIR_DATA, 8}, {PAIR_DATA + 8, 100}};
    next += out[next % NUM];
    if (!out[next % NUM] && virtiofs_driverq_add(pair.driver, parts, 1, 1, &cookies[next % NUM]) == 0)
      out[next++ % NUM] = true;
    (void)!virtiofs_driverq_publish(pair.driver);
    int rc = virtiofs_driverq_take(pair.driver, &done);
    if (rc == 1) {
      ptrdiff_t index = (char *)done.cookie - cookies;
      assert_true(index >= 0 && index < NUM && out[index] && done.len <= 100);
      out[index] = false;
      (*taken)++;
    }
    if (rc < 0) {
      void *cookie;
      uint32_t left = virtiofs_driverq_in_flight(pair.driver);
      (*faults)++;
      assert_true(virtiofs_driverq_fault(pair.driver) != VIRTIOFS_VIRTQ_OK);
      assert_int_equal(virtiofs_driverq_reset(pair.driver, NUM), 0);
      while (virtiofs_driverq_reclaim(pair.driver, &cookie) == 1) {
        assert_true(out[(char *)cookie - cookies]);
        out[(char *)cookie - cookies] = false;
        left--;
      }
      assert_int_equal(left, 0);
      assert_int_equal(virtiofs_driverq_map(pair.driver, pair.areas[0], pair.areas[1], pair.areas[2]), 0);
      assert_int_equal(virtiofs_driverq_start(pair.driver, ring_pair_first(pair.config.features)), 0);
    }
  }
}

static void run(uint64_t features, bool device) {
  struct ring_pair_config config = {
      .num = NUM, .features = features | VIRTIOFS_VIRTQ_F_INDIRECT_DESC, .table_entries = ENTRIES, .data = DATA};
  uint64_t taken = 0, faults = 0;
  pthread_t thread;
#ifdef RACES_ARE_MEANT
  skip();
#endif
  config.base = ring_pair_first(features);
  ring_pair_init(&pair, &config);
  atomic_store(&over, false);
  assert_int_equal(pthread_create(&thread, NULL, scribble, device ? &over : NULL), 0);
  if (device)
    driver_looks(&taken, &faults);
  else
    device_looks(&taken, &faults);
  atomic_store(&over, true);
  assert_int_equal(pthread_join(thread, NULL), 0);
  (void)printf("%llu taken, %llu faults\n", (unsigned long long)taken, (unsigned long long)faults);
  ring_pair_fini(&pair);
}

static void a_driver_that_scribbles_on_a_split_ring(void **state) {
  (void)state;
  run(0, false);
  run(VIRTIOFS_VIRTQ_F_EVENT_IDX, false);
}

static void a_driver_that_scribbles_on_a_packed_ring(void **state) {
  (void)state;
  run(VIRTIOFS_VIRTQ_F_RING_PACKED, false);
  run(VIRTIOFS_VIRTQ_F_RING_PACKED | VIRTIOFS_VIRTQ_F_EVENT_IDX, false);
}

static void a_device_that_scribbles_on_a_split_ring(void **state) {
  (void)state;
  run(0, true);
  run(VIRTIOFS_VIRTQ_F_IN_ORDER, true);
}

static void a_device_that_scribbles_on_a_packed_ring(void **state) {
  (void)state;
  run(VIRTIOFS_VIRTQ_F_RING_PACKED, true);
  run(VIRTIOFS_VIRTQ_F_RING_PACKED | VIRTIOFS_VIRTQ_F_IN_ORDER, true);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_driver_that_scribbles_on_a_split_ring),
      cmocka_unit_test(a_driver_that_scribbles_on_a_packed_ring),
      cmocka_unit_test(a_device_that_scribbles_on_a_split_ring),
      cmocka_unit_test(a_device_that_scribbles_on_a_packed_ring),
  };
  if (argc > 1)
    goal = strtoull(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
