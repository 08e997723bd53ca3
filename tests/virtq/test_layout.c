/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

/* The bytes that a driver writes, as the specification has them: virtio 1.3, 2.7 and 2.8. */

#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED

static _Alignas(16) unsigned char desc[64], driver[64], device[64], tables[4 * 3 * 16];
static struct virtiofs_driverq *q;

static const struct virtiofs_driverq_part parts[] = {
    {UINT64_C(0x0102030405060708), 0x11223344}, {UINT64_C(0xa1a2a3a4a5a6a7a8), 0x55}, {0x1000, 0x66}};

static void begin(uint32_t num, uint64_t features, uint32_t base, uint32_t entries) {
  memset(desc, 0xee, sizeof desc);
  memset(driver, 0xee, sizeof driver);
  memset(device, 0xee, sizeof device);
  memset(tables, 0xee, sizeof tables);
  assert_int_equal(virtiofs_driverq_new(&q, num, features), 0);
  if (entries > 0)
    assert_int_equal(virtiofs_driverq_set_tables(q, tables, UINT64_C(0x4000), entries), 0);
  assert_int_equal(virtiofs_driverq_map(q, desc, driver, device), 0);
  assert_int_equal(virtiofs_driverq_start(q, base), 0);
}

static void add(uint32_t first, uint32_t readable, uint32_t writable) {
  assert_int_equal(virtiofs_driverq_add(q, parts + first, readable, writable, NULL), 0);
}

#define SAME(at, ...)                                                                                                  \
  do {                                                                                                                 \
    static const unsigned char want[] = {__VA_ARGS__};                                                                 \
    assert_memory_equal(at, want, sizeof want);                                                                        \
  } while (0)

static void an_empty_split_ring(void **state) {
  (void)state;
  begin(4, 0, 0x1234, 0);
  static const unsigned char none[64];
  assert_memory_equal(desc, none, 64);
  /* flags, idx, ring, used_event; flags, idx, ring, avail_event */
  SAME(driver, 0, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0x12, 0xee);
  SAME(device, 0, 0, 0x34, 0x12);
  SAME(device + 4 + 8 * 4, 0x34, 0x12, 0xee);
  virtiofs_driverq_free(q);
}

static void a_split_chain(void **state) {
  (void)state;
  begin(4, 0, 7, 0);
  add(0, 2, 1);
  SAME(driver + 2, 7, 0); /* not shown yet */
  (void)!virtiofs_driverq_publish(q);
  SAME(desc, 8, 7, 6, 5, 4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11, 1, 0, 1, 0);
  SAME(desc + 16, 0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 0x55, 0, 0, 0, 1, 0, 2, 0);
  SAME(desc + 32, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 2, 0, 0, 0);
  add(2, 0, 1);
  (void)!virtiofs_driverq_publish(q);
  SAME(desc + 48, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 2, 0, 0, 0);
  /* The third and the first place of the ring: positions 7 and 8 of 4. */
  SAME(driver, 0, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0);
  virtiofs_driverq_free(q);
}

static void a_split_table(void **state) {
  (void)state;
  begin(4, VIRTIOFS_VIRTQ_F_INDIRECT_DESC, 0, 3);
  add(2, 1, 0); /* one part needs no table */
  add(0, 1, 1);
  SAME(desc, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 0, 0, 0, 0);
  SAME(desc + 16, 0x30, 0x40, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 4, 0, 0, 0);
  SAME(tables + 48, 8, 7, 6, 5, 4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11, 1, 0, 1, 0);
  SAME(tables + 64, 0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 0x55, 0, 0, 0, 2, 0, 0, 0, 0xee);
  virtiofs_driverq_free(q);
}

/* With IN_ORDER each descriptor is followed by the next one, around the end. */
static void descriptors_in_turn(void **state) {
  struct virtiofs_driverq_done done;
  (void)state;
  begin(4, VIRTIOFS_VIRTQ_F_IN_ORDER, 0, 0);
  add(0, 3, 0);
  (void)!virtiofs_driverq_publish(q);
  SAME(desc + 12, 1, 0, 1, 0);
  SAME(desc + 28, 1, 0, 2, 0);
  SAME(desc + 44, 0, 0, 0, 0);
  memcpy(device + 2, (unsigned char[]){1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10);
  assert_int_equal(virtiofs_driverq_take(q, &done), 1);
  add(0, 2, 1);
  (void)!virtiofs_driverq_publish(q);
  SAME(driver + 4, 0, 0, 3, 0);
  SAME(desc + 60, 1, 0, 0, 0);
  SAME(desc + 12, 1, 0, 1, 0);
  SAME(desc + 28, 2, 0, 0, 0);
  virtiofs_driverq_free(q);
}

/* Flags: 0x80 available in the first lap, 0x8000 used; the other way round in the second. */
static void an_empty_packed_ring(void **state) {
  (void)state;
  begin(3, PACKED, 0x80018001, 0);
  SAME(desc + 14, 0x80, 0x80);
  SAME(desc + 30, 0, 0);
  SAME(desc + 46, 0, 0, 0xee);
  SAME(driver, 0, 0, 0, 0, 0xee);
  SAME(device, 0, 0, 0, 0, 0xee);
  virtiofs_driverq_free(q);
  begin(3, PACKED, 0x00020002, 0);
  SAME(desc + 14, 0, 0);
  SAME(desc + 30, 0, 0);
  SAME(desc + 46, 0x80, 0x80);
  virtiofs_driverq_free(q);
}

static void packed_chains(void **state) {
  (void)state;
  begin(4, PACKED, VIRTIOFS_VIRTQ_PACKED_BASE, 0);
  add(2, 1, 0);
  add(0, 1, 1);
  SAME(desc, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 0, 0, 0, 0); /* the flags come last */
  (void)!virtiofs_driverq_publish(q);
  SAME(desc + 14, 0x80, 0);
  SAME(desc + 16, 8, 7, 6, 5, 4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11, 1, 0, 0x81, 0);
  SAME(desc + 32, 0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 0x55, 0, 0, 0, 1, 0, 0x82, 0);
  virtiofs_driverq_free(q);
  begin(4, PACKED, 0x80038003, 0);
  add(0, 2, 1);
  (void)!virtiofs_driverq_publish(q);
  SAME(desc + 48 + 12, 0, 0, 0x81, 0); /* around the end: the second lap */
  SAME(desc + 12, 0, 0, 1, 0x80);
  SAME(desc + 28, 0, 0, 2, 0x80);
  virtiofs_driverq_free(q);
}

static void a_packed_table(void **state) {
  (void)state;
  begin(4, PACKED | VIRTIOFS_VIRTQ_F_INDIRECT_DESC, VIRTIOFS_VIRTQ_PACKED_BASE, 3);
  add(0, 2, 1);
  add(1, 1, 1);
  (void)!virtiofs_driverq_publish(q);
  SAME(desc, 0, 0x40, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0x84, 0);
  SAME(desc + 16, 0x30, 0x40, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0x84, 0);
  SAME(tables, 8, 7, 6, 5, 4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0);
  SAME(tables + 32, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 0, 0, 2, 0);
  SAME(tables + 64, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x66, 0, 0, 0, 0, 0, 2, 0, 0xee);
  virtiofs_driverq_free(q);
}

static void what_a_driver_says_of_notifications(void **state) {
  (void)state;
  begin(4, 0, 5, 0);
  virtiofs_driverq_no_call(q);
  SAME(driver, 1, 0);
  assert_false(virtiofs_driverq_want_call(q));
  SAME(driver, 0, 0);
  virtiofs_driverq_free(q);
  begin(4, VIRTIOFS_VIRTQ_F_EVENT_IDX, 0xfff0, 0);
  memset(driver + 12, 0, 2);
  virtiofs_driverq_no_call(q);
  SAME(driver + 12, 0, 0);
  assert_false(virtiofs_driverq_want_call(q));
  SAME(driver + 12, 0xf0, 0xff);
  virtiofs_driverq_free(q);
  begin(4, PACKED, 0x80038003, 0);
  virtiofs_driverq_no_call(q);
  SAME(driver, 0, 0, 1, 0);
  assert_false(virtiofs_driverq_want_call(q));
  SAME(driver, 0, 0, 0, 0);
  virtiofs_driverq_free(q);
  begin(4, PACKED | VIRTIOFS_VIRTQ_F_EVENT_IDX, 0x80038003, 0);
  assert_false(virtiofs_driverq_want_call(q));
  SAME(driver, 3, 0x80, 2, 0);
  virtiofs_driverq_free(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_split_ring),  cmocka_unit_test(a_split_chain),
      cmocka_unit_test(a_split_table),        cmocka_unit_test(descriptors_in_turn),
      cmocka_unit_test(an_empty_packed_ring), cmocka_unit_test(packed_chains),
      cmocka_unit_test(a_packed_table),       cmocka_unit_test(what_a_driver_says_of_notifications),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
