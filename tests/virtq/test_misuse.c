/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

/* A device that breaks the rules: its side of the ring is written by hand. */

#define NUM 8U
#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
#define IN_ORDER VIRTIOFS_VIRTQ_F_IN_ORDER

static _Alignas(16) unsigned char desc[NUM * 16], avail[64], used[128];
static struct virtiofs_driverq *q;
static struct virtiofs_driverq_done done;
static int cookies[NUM];
static uint16_t used_idx;

static const struct virtiofs_driverq_part parts[] = {{0x1000, 10}, {0x2000, 20}};

static void begin(uint64_t features) {
  assert_int_equal(virtiofs_driverq_new(&q, NUM, features), 0);
  assert_int_equal(virtiofs_driverq_map(q, desc, avail, used), 0);
  assert_int_equal(virtiofs_driverq_start(q, (features & PACKED) != 0 ? VIRTIOFS_VIRTQ_PACKED_BASE : 0), 0);
  used_idx = 0;
}

/* @count buffers of one readable and one writable part. Their ids are 0, 2, 4 in a split ring, 0, 1, 2 in a packed one.
 */
static void add(int count) {
  for (int i = 0; i < count; i++)
    assert_int_equal(virtiofs_driverq_add(q, parts, 1, 1, &cookies[i]), 0);
}

static void show(void) {
  (void)!virtiofs_driverq_publish(q);
}

static void set_used_idx(uint16_t idx) {
  memcpy(used + 2, &(uint16_t){htole16(idx)}, 2);
}

static void use_split(uint32_t id, uint32_t len) {
  unsigned char *elem = used + 4 + used_idx++ % NUM * 8;
  memcpy(elem, &(uint32_t){htole32(id)}, 4);
  memcpy(elem + 4, &(uint32_t){htole32(len)}, 4);
  set_used_idx(used_idx);
}

/* In the first lap, where both flags mean used. */
static void use_packed(uint32_t slot, uint16_t id, uint32_t len) {
  memcpy(desc + 16 * slot + 8, &(uint32_t){htole32(len)}, 4);
  memcpy(desc + 16 * slot + 12, &(uint16_t){htole16(id)}, 2);
  memcpy(desc + 16 * slot + 14, &(uint16_t){htole16(0x8082)}, 2);
}

/* The ring breaks, stays broken, and takes and gives nothing; what is in flight stays so. */
static void expect(enum virtiofs_virtq_fault fault) {
  void *cookie;
  uint32_t in_flight = virtiofs_driverq_in_flight(q), got = 0;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(virtiofs_driverq_take(q, &done), -EPROTO);
    assert_int_equal(virtiofs_driverq_fault(q), fault);
    assert_int_equal(virtiofs_driverq_add(q, parts, 1, 1, NULL), -EPROTO);
    assert_false(virtiofs_driverq_publish(q));
    assert_false(virtiofs_driverq_want_call(q));
    assert_int_equal(virtiofs_driverq_in_flight(q), in_flight);
  }
  assert_int_equal(virtiofs_driverq_reset(q, NUM), 0);
  while (virtiofs_driverq_reclaim(q, &cookie) == 1)
    got++;
  assert_int_equal(got, in_flight);
  virtiofs_driverq_free(q);
}

static void more_used_than_in_flight(void **state) {
  (void)state;
  static const uint16_t jumps[] = {3, 4, NUM, 100, 0x7fff, 0x8000, 0xffff};
  for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
    begin(0);
    add(2);
    show();
    set_used_idx(jumps[i]);
    assert_true(virtiofs_driverq_want_call(q));
    expect(VIRTIOFS_VIRTQ_USED_JUMP);
  }
}

static void used_before_it_was_shown(void **state) {
  (void)state;
  begin(0);
  add(1);
  use_split(0, 0);
  expect(VIRTIOFS_VIRTQ_USED_JUMP);
  begin(0);
  add(1);
  show();
  add(1);
  use_split(2, 0);
  expect(VIRTIOFS_VIRTQ_USED_TWICE);
  begin(PACKED);
  add(1);
  use_packed(0, 0, 0);
  expect(VIRTIOFS_VIRTQ_USED_TWICE);
}

static void ids_past_the_end(void **state) {
  (void)state;
  static const uint32_t ids[] = {NUM, NUM + 1, 0xffff, 0x10000, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    begin(0);
    add(1);
    show();
    use_split(ids[i], 0);
    expect(VIRTIOFS_VIRTQ_USED_ID);
    if (ids[i] > 0xffff)
      continue;
    begin(PACKED);
    add(1);
    show();
    use_packed(0, (uint16_t)ids[i], 0);
    expect(VIRTIOFS_VIRTQ_USED_ID);
  }
}

static void ids_that_are_not_in_flight(void **state) {
  (void)state;
  static const uint16_t split[] = {1, 3, 4, 7}, packed[] = {2, 3, 7};
  for (size_t i = 0; i < 4; i++) {
    begin(0);
    add(2);
    show();
    use_split(split[i], 0); /* 1 and 3 are descriptors, but no heads */
    expect(VIRTIOFS_VIRTQ_USED_TWICE);
  }
  for (size_t i = 0; i < 3; i++) {
    begin(PACKED);
    add(2);
    show();
    use_packed(0, packed[i], 0);
    expect(VIRTIOFS_VIRTQ_USED_TWICE);
  }
}

static void the_same_one_twice(void **state) {
  (void)state;
  begin(0);
  add(2);
  show();
  use_split(2, 20);
  use_split(2, 20);
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[1]);
  expect(VIRTIOFS_VIRTQ_USED_TWICE);
  begin(PACKED);
  add(2);
  show();
  use_packed(0, 1, 20);
  use_packed(2, 1, 20);
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[1]);
  expect(VIRTIOFS_VIRTQ_USED_TWICE);
}

static void more_written_than_there_was_room_for(void **state) {
  (void)state;
  static const uint32_t lens[] = {21, 30, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < 4; i++) {
    begin(0);
    add(1);
    show();
    use_split(0, lens[i]);
    expect(VIRTIOFS_VIRTQ_USED_LENGTH);
    begin(PACKED);
    add(1);
    show();
    use_packed(0, 0, lens[i]);
    expect(VIRTIOFS_VIRTQ_USED_LENGTH);
  }
  begin(0);
  add(1);
  show();
  use_split(0, 20);
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_int_equal(done.len, 20);
  virtiofs_driverq_free(q);
}

/* An element may stand for those before it, but not for more than the index says, nor for ones that are not there. */
static void out_of_turn(void **state) {
  (void)state;
  begin(IN_ORDER);
  add(3);
  show();
  use_split(2, 0); /* the second, by an index of one */
  expect(VIRTIOFS_VIRTQ_USED_ORDER);
  begin(IN_ORDER);
  add(3);
  show();
  use_split(4, 5);
  set_used_idx(3);
  assert_int_equal(virtiofs_driverq_take_batch(q, &done, 1), 1);
  assert_ptr_equal(done.cookie, &cookies[0]);
  assert_int_equal(done.len, 20);
  assert_true(virtiofs_driverq_want_call(q));
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[1]);
  assert_int_equal(done.len, 20);
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[2]);
  assert_int_equal(done.len, 5);
  assert_int_equal(virtiofs_driverq_take(q, &done), 0);
  assert_int_equal(virtiofs_driverq_free_count(q), NUM);
  virtiofs_driverq_free(q);
}

static void a_packed_element_for_a_batch(void **state) {
  (void)state;
  begin(PACKED | IN_ORDER);
  add(3);
  show();
  use_packed(0, 1, 7);
  struct virtiofs_driverq_done two[3];
  assert_int_equal(virtiofs_driverq_take_batch(q, two, 3), 2);
  assert_ptr_equal(two[0].cookie, &cookies[0]);
  assert_int_equal(two[0].len, 20);
  assert_ptr_equal(two[1].cookie, &cookies[1]);
  assert_int_equal(two[1].len, 7);
  use_packed(4, 2, 3); /* behind the descriptors of both */
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[2]);
  assert_int_equal(done.len, 3);
  virtiofs_driverq_free(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(more_used_than_in_flight),
      cmocka_unit_test(used_before_it_was_shown),
      cmocka_unit_test(ids_past_the_end),
      cmocka_unit_test(ids_that_are_not_in_flight),
      cmocka_unit_test(the_same_one_twice),
      cmocka_unit_test(more_written_than_there_was_room_for),
      cmocka_unit_test(out_of_turn),
      cmocka_unit_test(a_packed_element_for_a_batch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
