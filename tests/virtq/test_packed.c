/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/virtq.h>

#include "virtq/walk.h"

/* The device side of a packed ring, with a driver's side that is written by hand. */

#define NUM 5U
#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
#define NEXT 1U
#define WRITE 2U
#define INDIRECT 4U
#define AVAIL 0x80U    /* in the first lap */
#define AVAIL2 0x8000U /* in the second */

#define DATA UINT64_C(0x10000)
#define TABLE UINT64_C(0x20000)

static _Alignas(16) unsigned char desc[NUM * 16], driver[4], device[4];
static unsigned char data[0x1000], table[0x1000];
static struct virtiofs_memory *map;
static struct virtiofs_virtq *vq;
static struct iovec iov[64];
static struct virtiofs_virtq_chain chain;

static void put_at(unsigned char *at, uint64_t addr, uint32_t len, uint16_t id, uint32_t flags) {
  memcpy(at, &(uint64_t){htole64(addr)}, 8);
  memcpy(at + 8, &(uint32_t){htole32(len)}, 4);
  memcpy(at + 12, &(uint16_t){htole16(id)}, 2);
  memcpy(at + 14, &(uint16_t){htole16((uint16_t)flags)}, 2);
}

static void put(uint32_t slot, uint32_t len, uint16_t id, uint32_t flags) {
  put_at(desc + 16 * slot, DATA, len, id, flags);
}

static void begin_at(uint64_t features, uint32_t base, int rc) {
  const struct virtiofs_memory_region regions[] = {
      {.gpa = DATA, .size = sizeof data, .uva = DATA, .host = data},
      {.gpa = TABLE, .size = sizeof table, .uva = TABLE, .host = table},
  };
  memset(desc, 0, sizeof desc);
  memset(driver, 0, sizeof driver);
  memset(device, 0xee, sizeof device);
  assert_int_equal(virtiofs_memory_new(&map, regions, 2, NULL), 0);
  assert_int_equal(virtiofs_virtq_new(&vq, NUM, features | PACKED), 0);
  assert_int_equal(virtiofs_virtq_map(vq, desc, driver, device), 0);
  assert_int_equal(virtiofs_virtq_start(vq, base), rc);
}

static void begin(uint64_t features) {
  begin_at(features, VIRTIOFS_VIRTQ_PACKED_BASE, 0);
}

static void end(void) {
  virtiofs_virtq_free(vq);
  virtiofs_memory_unref(map);
}

static int take(void) {
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  return virtiofs_virtq_take(vq, map, &chain);
}

/* The descriptor that is there, byte by byte but for its address. */
static void check_used(uint32_t slot, uint32_t len, uint16_t id, uint32_t flags) {
  unsigned char want[16];
  put_at(want, 0, len, id, flags);
  assert_memory_equal(desc + 16 * slot + 8, want + 8, 8);
}

static void buffers_go_there_and_back(void **state) {
  (void)state;
  begin(0);
  put(0, 40, 0xdead, AVAIL | NEXT);
  put(1, 16, 3, AVAIL | WRITE);
  put(2, 8, 1, AVAIL | WRITE);
  assert_true(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 1);
  uint32_t first = chain.ticket;
  assert_int_equal(first & 0xffff, 3); /* that of the last descriptor */
  assert_int_equal(chain.in_bytes, 40);
  assert_int_equal(chain.out_bytes, 16);
  assert_int_equal(take(), 1);
  uint32_t second = chain.ticket;
  assert_int_equal(take(), 0);
  assert_int_equal(virtiofs_virtq_base(vq), 0x80008003);
  /* The second comes back first, in the first place; the first behind it, as far as its own descriptors went. */
  assert_int_equal(virtiofs_virtq_put(vq, second, 8), 0);
  assert_int_equal(virtiofs_virtq_put(vq, first, 0), 0);
  assert_int_equal(desc[14], NEXT | AVAIL); /* not shown yet */
  assert_true(virtiofs_virtq_publish(vq));
  check_used(0, 8, 1, 0x8080 | WRITE);
  check_used(1, 0, 3, 0x8080);
  assert_int_equal(virtiofs_virtq_base(vq), 0x80038003);
  end();
}

static void chains_go_around_the_end(void **state) {
  (void)state;
  begin_at(0, 0x80048004, 0);
  put(4, 4, 0, AVAIL | NEXT);
  put(0, 4, 0, AVAIL2 | NEXT);
  put(1, 4, 2, AVAIL2 | WRITE);
  assert_int_equal(take(), 1);
  assert_int_equal(chain.in_count, 2);
  assert_int_equal(virtiofs_virtq_base(vq), 0x80040002);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 1), 0);
  assert_true(virtiofs_virtq_publish(vq));
  check_used(4, 1, 2, 0x8080 | WRITE);
  assert_int_equal(virtiofs_virtq_base(vq), 0x00020002);
  put(2, 4, 4, AVAIL | NEXT); /* of the lap before: not available */
  assert_int_equal(take(), 0);
  put(2, 4, 4, AVAIL2 | WRITE);
  assert_int_equal(take(), 1);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 2), 0);
  (void)!virtiofs_virtq_publish(vq);
  check_used(2, 2, 4, WRITE);
  end();
}

/* A descriptor is available if one flag says so and the other doesn't. */
static void what_is_available(void **state) {
  (void)state;
  for (uint32_t wrap = 0; wrap < 2; wrap++)
    for (uint32_t flags = 0; flags < 4; flags++) {
      begin_at(0, wrap != 0 ? 0x80008000 : 0, 0);
      put(0, 1, 0, ((flags & 1) != 0 ? AVAIL : 0) | ((flags & 2) != 0 ? AVAIL2 : 0));
      bool there = flags == (wrap != 0 ? 1 : 2);
      assert_int_equal(virtiofs_virtq_pending(vq), there);
      assert_int_equal(take(), there);
      end();
    }
}

static void bases(void **state) {
  (void)state;
  static const uint32_t good[] = {0, 0x80008000, 0x80048004, 0x00030004, 0x80040001, 0x80000000};
  static const uint32_t bad[] = {0x80058005, 0x00050000, 0x00000005, 0x80048003, 0x00040003, 0x80020003, 0xffffffff};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    begin_at(0, good[i], 0);
    assert_int_equal(virtiofs_virtq_base(vq), good[i]);
    end();
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    begin_at(0, bad[i], -EPROTO);
    assert_int_equal(take(), 0);
    assert_false(virtiofs_virtq_want_kick(vq));
    assert_memory_equal(device, "\xee\xee\xee\xee", 4);
    end();
  }
}

/* What somebody else has taken and not given back can't be available, whatever the driver writes there. */
static void what_another_device_has_is_not_there(void **state) {
  (void)state;
  begin_at(0, 0x80000003, -EPROTO); /* five and three descriptors on: more than the ring has */
  end();
  begin_at(0, 0x80038004, 0);
  put(4, 4, 0, AVAIL | NEXT);
  put(0, 4, 0, AVAIL2 | NEXT);
  put(1, 4, 0, AVAIL2 | NEXT);
  put(2, 4, 0, AVAIL2 | NEXT);
  put(3, 4, 0, AVAIL2);
  assert_int_equal(take(), -EPROTO); /* four are left */
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_CHAIN_LONG);
  put(2, 4, 0, AVAIL2);
  virtiofs_virtq_mend(vq);
  assert_int_equal(take(), 1);
  put(3, 4, 1, AVAIL2);
  assert_int_equal(take(), 0);
  assert_false(virtiofs_virtq_pending(vq));
  end();
}

/* Nor what was given back and not shown yet. */
static void what_was_not_shown_is_not_there(void **state) {
  (void)state;
  begin(0);
  for (uint32_t i = 0; i < NUM; i++) {
    put(i, 4, (uint16_t)i, AVAIL);
    assert_int_equal(take(), 1);
  }
  put(0, 4, 4, AVAIL2); /* in good time, so to speak */
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
  assert_false(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 0);
  assert_true(virtiofs_virtq_publish(vq));
  put(0, 4, 4, AVAIL2);
  assert_int_equal(take(), 1);
  end();
}

static void expect(enum virtiofs_virtq_fault fault) {
  uint32_t base = virtiofs_virtq_base(vq);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(take(), -EPROTO);
    assert_int_equal(virtiofs_virtq_fault(vq), fault);
    assert_int_equal(virtiofs_virtq_base(vq), base);
    assert_false(virtiofs_virtq_pending(vq));
  }
  end();
}

static void faults_of_the_ring(void **state) {
  (void)state;
  begin(0);
  for (uint32_t i = 0; i < NUM; i++)
    put(i, 1, 0, AVAIL | NEXT);
  expect(VIRTIOFS_VIRTQ_CHAIN_LONG);
  static const uint16_t ids[] = {NUM, NUM + 1, 0x8000, 0xffff};
  for (size_t i = 0; i < 4; i++) {
    begin(0);
    put(0, 1, ids[i], AVAIL);
    expect(VIRTIOFS_VIRTQ_HEAD_RANGE);
  }
  begin(0);
  put(0, 1, 2, AVAIL);
  put(1, 1, 2, AVAIL);
  assert_int_equal(take(), 1);
  expect(VIRTIOFS_VIRTQ_HEAD_TWICE);
  begin(0);
  put(0, 1, 0, AVAIL | NEXT | WRITE);
  put(1, 1, 0, AVAIL);
  expect(VIRTIOFS_VIRTQ_ORDER);
  begin(0);
  put_at(desc, DATA + sizeof data - 1, 2, 0, AVAIL);
  expect(VIRTIOFS_VIRTQ_ADDRESS);
}

static void faults_of_tables(void **state) {
  static const uint32_t sizes[] = {0, 1, 15, 17, 0xfffffff0, (32768U + 1) * 16};
  (void)state;
  begin(0);
  put_at(desc, TABLE, 16, 0, AVAIL | INDIRECT);
  expect(VIRTIOFS_VIRTQ_INDIRECT_UNASKED);
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  put_at(desc, TABLE, 16, 0, AVAIL | INDIRECT | NEXT);
  expect(VIRTIOFS_VIRTQ_INDIRECT_NEXT);
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  put(0, 1, 0, AVAIL | NEXT);
  put_at(desc + 16, TABLE, 16, 0, AVAIL | INDIRECT); /* unlike in a split ring nothing may come before */
  expect(VIRTIOFS_VIRTQ_INDIRECT_NEXT);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
    put_at(desc, TABLE, sizes[i], 0, AVAIL | INDIRECT);
    expect(VIRTIOFS_VIRTQ_INDIRECT_SIZE);
  }
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  put_at(desc, TABLE + sizeof table, 16, 0, AVAIL | INDIRECT);
  expect(VIRTIOFS_VIRTQ_ADDRESS);
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  put_at(table, DATA, 1, 0, 0);
  memset(table + 16, 0, sizeof table - 16);
  put_at(desc, TABLE, 2048 * 16, 0, AVAIL | INDIRECT); /* entries are read until memory ends */
  expect(VIRTIOFS_VIRTQ_ADDRESS);
}

/* All of a table is read in turn, and of its flags only WRITE means something. */
static void a_table(void **state) {
  (void)state;
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  put_at(table, DATA, 10, 77, 0);
  put_at(table + 16, DATA + 10, 20, 78, NEXT | INDIRECT | AVAIL | AVAIL2);
  put_at(table + 32, DATA + 30, 0, 79, 0);
  put_at(table + 48, DATA + 40, 40, 80, WRITE);
  put_at(desc, TABLE, 64, 4, AVAIL | INDIRECT | WRITE);
  put(1, 1, 0, AVAIL);
  assert_int_equal(take(), 1);
  assert_int_equal(chain.ticket & 0xffff, 4);
  assert_int_equal(chain.in_count, 2);
  assert_int_equal(chain.out_count, 1);
  assert_int_equal(chain.in_bytes, 30);
  assert_int_equal(chain.out_bytes, 40);
  assert_ptr_equal(iov[1].iov_base, data + 10);
  assert_int_equal(virtiofs_virtq_base(vq), 0x80008001);
  assert_int_equal(take(), 1);
  end();
}

/* One step at a time: so many, and the same in the end. */
static void step_by_step(const struct virtiofs_walk_start *start, uint32_t steps) {
  struct virtiofs_walk walk;
  uint32_t count = 1;
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  virtiofs_walk_begin(&walk, start, &chain);
  while (virtiofs_walk_step(&walk) == VIRTIOFS_WALK_MORE)
    count++;
  assert_int_equal(walk.fault, VIRTIOFS_VIRTQ_OK);
  assert_int_equal(count, steps);
  virtiofs_walk_finish(&walk, &chain);
  assert_int_equal(walk.id, 3);
  assert_int_equal(chain.in_bytes, 30);
  assert_int_equal(chain.out_bytes, 40);
}

static void a_walk_is_made_of_steps(void **state) {
  (void)state;
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  struct virtiofs_walk_start start = {.map = map,
                                      .desc = desc,
                                      .num = NUM,
                                      .at = 3,
                                      .packed = true,
                                      .indirect_allowed = true,
                                      .flags = NEXT,
                                      .limit = 3};
  put(3, 10, 9, 0); /* what stands there now doesn't count, but what it was when it was looked at */
  put(4, 20, 9, NEXT);
  put(0, 40, 3, WRITE);
  step_by_step(&start, 3);
  put_at(table, DATA, 30, 0, 0);
  put_at(table + 16, DATA, 40, 0, WRITE);
  put_at(desc + 48, TABLE, 32, 3, 0);
  start.flags = INDIRECT;
  step_by_step(&start, 3);
  end();
}

/* The event area of the driver: any of its words, against the plain meaning. */
static void notifications_by_position(void **state) {
  (void)state;
  for (uint32_t used = 1; used <= NUM; used++)
    for (uint32_t start = 0; start < NUM; start++)
      for (uint32_t off = 0; off < NUM; off++)
        for (uint32_t wrap = 0; wrap < 2; wrap++) {
          begin_at(VIRTIOFS_VIRTQ_F_EVENT_IDX, (start | 0x8000) * 0x10001, 0);
          /* One goes before, as the first notification is never held back. */
          for (uint32_t i = 0; i <= used && i < NUM; i++)
            put((start + i) % NUM, 1, (uint16_t)i, start + i < NUM ? AVAIL : AVAIL2);
          assert_int_equal(take(), 1);
          assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
          assert_true(virtiofs_virtq_publish(vq));
          uint32_t event = off | wrap << 15 | 2U << 16, count = 0;
          memcpy(driver, &(uint32_t){htole32(event)}, 4);
          while (count < used && take() == 1) {
            assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
            count++;
          }
          /* Counted on from the beginning of the lap that we began in. */
          uint32_t asked = off + (wrap != 0 ? 0 : NUM);
          bool due = asked >= start + 1 && asked < start + 1 + count;
          bool wanted = virtiofs_virtq_publish(vq);
          assert_int_equal(wanted, due);
          end();
        }
}

static void notifications_by_flag(void **state) {
  (void)state;
  static const bool wanted[] = {true, false, true, true};
  for (uint32_t flags = 0; flags < 4; flags++) {
    begin(0);
    driver[2] = (unsigned char)flags;
    for (uint32_t i = 0; i < 3; i++) {
      put(i, 1, (uint16_t)i, AVAIL);
      assert_int_equal(take(), 1);
      assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
      assert_int_equal(virtiofs_virtq_publish(vq), wanted[flags]);
    }
    end();
  }
}

static void what_a_device_says_of_kicks(void **state) {
  (void)state;
  begin_at(0, 0x80038003, 0);
  virtiofs_virtq_no_kick(vq);
  assert_memory_equal(device, "\0\0\1\0", 4);
  assert_false(virtiofs_virtq_want_kick(vq));
  assert_memory_equal(device, "\0\0\0\0", 4);
  put(3, 1, 0, AVAIL);
  assert_true(virtiofs_virtq_want_kick(vq));
  end();
  begin_at(VIRTIOFS_VIRTQ_F_EVENT_IDX, 0x80038003, 0);
  assert_false(virtiofs_virtq_want_kick(vq));
  assert_memory_equal(device, "\3\x80\2\0", 4);
  put(3, 1, 0, AVAIL | NEXT);
  put(4, 1, 0, AVAIL);
  assert_int_equal(take(), 1);
  assert_false(virtiofs_virtq_want_kick(vq));
  assert_memory_equal(device, "\0\0\2\0", 4);
  virtiofs_virtq_no_kick(vq);
  assert_memory_equal(device, "\0\0\1\0", 4);
  end();
}

/* What the driver writes after a chain was taken changes nothing, neither in what was taken nor in where it goes back.
 */
static void descriptors_are_looked_at_once(void **state) {
  (void)state;
  begin(0);
  put(0, 10, 1, AVAIL | NEXT);
  put(1, 20, 2, AVAIL | WRITE);
  assert_int_equal(take(), 1);
  memset(desc, 0xff, sizeof desc);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 20), 0);
  (void)!virtiofs_virtq_publish(vq);
  check_used(0, 20, 2, 0x8080 | WRITE);
  assert_int_equal(virtiofs_virtq_base(vq), 0x80028002);
  end();
}

/* In the order in which they came; one element for those before it that were filled. */
static void in_order(void **state) {
  uint32_t tickets[4];
  (void)state;
  begin(VIRTIOFS_VIRTQ_F_IN_ORDER);
  for (uint32_t i = 0; i < 4; i++) {
    put(i, 10, (uint16_t)i, AVAIL | WRITE);
    assert_int_equal(take(), 1);
    tickets[i] = chain.ticket;
  }
  assert_int_equal(virtiofs_virtq_put(vq, tickets[1], 10), 0);
  assert_int_equal(virtiofs_virtq_put(vq, tickets[3], 3), 0);
  assert_false(virtiofs_virtq_publish(vq));
  assert_int_equal(virtiofs_virtq_put(vq, tickets[0], 10), 0);
  assert_true(virtiofs_virtq_publish(vq));
  check_used(0, 10, 1, 0x8080 | WRITE); /* of the first two */
  check_used(1, 10, 1, AVAIL | WRITE);  /* left as it was */
  assert_int_equal(virtiofs_virtq_put(vq, tickets[2], 9), 0);
  assert_true(virtiofs_virtq_publish(vq));
  check_used(2, 9, 2, 0x8080 | WRITE); /* not filled, so it needs one of its own */
  check_used(3, 3, 3, 0x8080 | WRITE);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(buffers_go_there_and_back),
      cmocka_unit_test(chains_go_around_the_end),
      cmocka_unit_test(what_is_available),
      cmocka_unit_test(bases),
      cmocka_unit_test(what_another_device_has_is_not_there),
      cmocka_unit_test(what_was_not_shown_is_not_there),
      cmocka_unit_test(faults_of_the_ring),
      cmocka_unit_test(faults_of_tables),
      cmocka_unit_test(a_table),
      cmocka_unit_test(a_walk_is_made_of_steps),
      cmocka_unit_test(notifications_by_position),
      cmocka_unit_test(notifications_by_flag),
      cmocka_unit_test(what_a_device_says_of_kicks),
      cmocka_unit_test(descriptors_are_looked_at_once),
      cmocka_unit_test(in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
