/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/virtq.h>

#include "support/fake_driver.h"

#define NUM 8U

static struct fake_driver drv;
static struct virtiofs_virtq *vq;
static struct iovec iov[64];
static struct virtiofs_virtq_chain chain;

static void begin(uint64_t features) {
  fake_driver_init(&drv, NUM, features);
  assert_int_equal(virtiofs_virtq_new(&vq, NUM, features), 0);
  assert_int_equal(virtiofs_virtq_map(vq, drv.desc, drv.avail, drv.used), 0);
  assert_int_equal(virtiofs_virtq_start(vq, 0), 0);
}

static void end(void) {
  virtiofs_virtq_free(vq);
  fake_driver_fini(&drv);
}

static int setup(void **state) {
  (void)state;
  begin(VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  return 0;
}

static int setup_plain(void **state) {
  (void)state;
  begin(0);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  end();
  return 0;
}

static int take(void) {
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  return virtiofs_virtq_take(vq, drv.map, &chain);
}

/* The ring breaks, stays broken, gives nothing, and has taken nothing. */
static void expect(enum virtiofs_virtq_fault fault) {
  uint32_t base = virtiofs_virtq_base(vq);
  assert_true(virtiofs_virtq_pending(vq));
  for (int i = 0; i < 3; i++) {
    assert_int_equal(take(), -EPROTO);
    assert_int_equal(virtiofs_virtq_fault(vq), fault);
    assert_int_equal(virtiofs_virtq_base(vq), base);
    assert_false(virtiofs_virtq_pending(vq));
    assert_false(virtiofs_virtq_want_kick(vq));
  }
}

/* A good buffer at head 7. */
static void offer_good(void) {
  fake_driver_desc(&drv, 7, FAKE_DATA, 40, FAKE_WRITE, 0);
  fake_driver_offer(&drv, 7);
}

static void a_jump_of_more_than_the_ring_has(void **state) {
  (void)state;
  static const uint16_t jumps[] = {NUM + 1, 100, 0x7fff, 0x8000, 0xffff};
  for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
    assert_int_equal(virtiofs_virtq_start(vq, 0), 0);
    fake_driver_avail_idx(&drv, jumps[i]);
    expect(VIRTIOFS_VIRTQ_AVAIL_JUMP);
  }
}

static void a_head_past_the_end(void **state) {
  (void)state;
  static const uint16_t heads[] = {NUM, NUM + 1, 0x8000, 0xffff};
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    assert_int_equal(virtiofs_virtq_start(vq, drv.avail_idx), 0);
    fake_driver_offer(&drv, heads[i]);
    expect(VIRTIOFS_VIRTQ_HEAD_RANGE);
  }
}

static void a_head_twice(void **state) {
  (void)state;
  offer_good();
  fake_driver_offer(&drv, 7);
  assert_int_equal(take(), 1);
  expect(VIRTIOFS_VIRTQ_HEAD_TWICE);
  assert_int_equal(virtiofs_virtq_put(vq, 7, 0), 0);
  virtiofs_virtq_mend(vq);
  assert_int_equal(take(), 1);
}

static void a_next_past_the_end(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, FAKE_DATA, 1, FAKE_NEXT, NUM);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_NEXT_RANGE);
  virtiofs_virtq_mend(vq);
  fake_driver_desc(&drv, 0, FAKE_DATA, 1, FAKE_NEXT, 0xffff);
  expect(VIRTIOFS_VIRTQ_NEXT_RANGE);
}

static void a_next_past_a_tables_end(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 64);
  fake_driver_desc_at(&drv, table, 0, FAKE_DATA, 1, FAKE_NEXT, 2);
  fake_driver_desc(&drv, 0, table, 32, FAKE_INDIRECT, 0);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_NEXT_RANGE);
}

static void a_loop(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, FAKE_DATA, 1, FAKE_NEXT, 0);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_CHAIN_LONG);
  virtiofs_virtq_mend(vq);
  for (uint16_t i = 0; i < NUM; i++)
    fake_driver_desc(&drv, i, FAKE_DATA, 1, FAKE_NEXT, (i + 1) % NUM);
  expect(VIRTIOFS_VIRTQ_CHAIN_LONG);
}

static void readable_behind_writable(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, FAKE_DATA, 1, FAKE_NEXT | FAKE_WRITE, 1);
  fake_driver_desc(&drv, 1, FAKE_DATA, 1, 0, 0);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_ORDER);
}

static void a_table_that_nobody_agreed_on(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, fake_driver_alloc(&drv, 16), 16, FAKE_INDIRECT, 0);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_INDIRECT_UNASKED);
}

static void a_table_in_a_table(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 16);
  fake_driver_desc_at(&drv, table, 0, table, 16, FAKE_INDIRECT, 0);
  fake_driver_desc(&drv, 0, table, 16, FAKE_INDIRECT, 0);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_INDIRECT_NESTED);
}

static void a_table_with_a_next_one(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, fake_driver_alloc(&drv, 16), 16, FAKE_INDIRECT | FAKE_NEXT, 1);
  fake_driver_offer(&drv, 0);
  expect(VIRTIOFS_VIRTQ_INDIRECT_NEXT);
}

static void tables_of_a_bad_size(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 15, 17, 24, 0xffffffff, 0xfffffff0, (32768U + 1) * 16};
  uint64_t table = fake_driver_alloc(&drv, 64);
  fake_driver_offer(&drv, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    fake_driver_desc(&drv, 0, table, sizes[i], FAKE_INDIRECT, 0);
    expect(VIRTIOFS_VIRTQ_INDIRECT_SIZE);
    virtiofs_virtq_mend(vq);
  }
}

static void addresses_that_are_no_memory(void **state) {
  (void)state;
  static const struct {
    uint64_t addr;
    uint32_t len;
  } bad[] = {{0, 1},
             {FAKE_DATA - 1, 2},
             {FAKE_DATA_HOLE, 1},
             {FAKE_DATA_HOLE - 1, 2},
             {FAKE_DATA, 0x20001},
             {FAKE_DATA, UINT32_MAX},
             {FAKE_FAR, 0x1001},
             {UINT64_MAX, 2},
             {UINT64_MAX - 1, UINT32_MAX},
             {FAKE_FAR - 1, 1}};
  fake_driver_offer(&drv, 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    fake_driver_desc(&drv, 0, bad[i].addr, bad[i].len, (i & 1) != 0 ? FAKE_WRITE : 0, 0);
    expect(VIRTIOFS_VIRTQ_ADDRESS);
    virtiofs_virtq_mend(vq);
  }
  static const uint64_t tables[] = {0, FAKE_DATA_HOLE, UINT64_MAX - 15, UINT64_MAX, UINT64_MAX - 14};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    fake_driver_desc(&drv, 0, tables[i], i == 2 ? 32 : 16, FAKE_INDIRECT, 0);
    expect(VIRTIOFS_VIRTQ_ADDRESS);
    virtiofs_virtq_mend(vq);
  }
}

/* One region of more than 4 GiB, of which nothing is ever touched. */
static void more_than_four_gib(void **state) {
  (void)state;
  if (sizeof(size_t) < 8)
    return;
  struct virtiofs_memory *map;
  struct virtiofs_memory_region region = {.gpa = 0, .size = UINT64_C(1) << 34, .host = drv.desc};
  assert_int_equal(virtiofs_memory_new(&map, &region, 1, NULL), 0);
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  fake_driver_desc(&drv, 0, 0, UINT32_MAX, FAKE_NEXT, 1);
  fake_driver_desc(&drv, 1, 0, 1, FAKE_WRITE, 0);
  fake_driver_offer(&drv, 0);
  assert_int_equal(virtiofs_virtq_take(vq, map, &chain), 1);
  assert_int_equal(virtiofs_virtq_put(vq, 0, 0), 0);
  fake_driver_desc(&drv, 1, 0, 2, FAKE_WRITE, 0);
  fake_driver_offer(&drv, 0);
  assert_int_equal(virtiofs_virtq_take(vq, map, &chain), -EPROTO);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_TOTAL);
  virtiofs_memory_unref(map);
}

static void more_pieces_than_there_is_room_for(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, FAKE_DATA_SEAM - 1, 2, 0, 0);
  fake_driver_offer(&drv, 0);
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 1};
  assert_int_equal(virtiofs_virtq_take(vq, drv.map, &chain), -EPROTO);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_SEGMENTS);
}

/* Memory that comes a moment later: the ring is mended and the same buffer is taken, whole and once. */
static void a_mended_ring_goes_on_where_it_was(void **state) {
  (void)state;
  struct virtiofs_memory *small;
  fake_driver_desc(&drv, 0, FAKE_DATA, 1, FAKE_NEXT, 1);
  fake_driver_desc(&drv, 1, FAKE_FAR, 1, FAKE_WRITE, 0);
  fake_driver_offer(&drv, 0);
  offer_good();
  assert_int_equal(virtiofs_memory_new(&small, drv.regions, FAKE_REGIONS - 1, NULL), 0);
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  assert_int_equal(virtiofs_virtq_take(vq, small, &chain), -EPROTO);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_ADDRESS);
  assert_int_equal(take(), -EPROTO);
  virtiofs_virtq_mend(vq);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_OK);
  assert_true(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 1);
  assert_int_equal(chain.ticket, 0);
  assert_int_equal(chain.in_count, 1);
  assert_int_equal(chain.out_count, 1);
  assert_int_equal(take(), 1);
  assert_int_equal(chain.ticket, 7);
  assert_int_equal(take(), 0);
  virtiofs_memory_unref(small);
}

/* What was taken before is whole and goes back. */
static void a_broken_ring_takes_back_what_it_gave(void **state) {
  (void)state;
  uint32_t id, len;
  offer_good();
  assert_int_equal(take(), 1);
  fake_driver_offer(&drv, 0xffff);
  expect(VIRTIOFS_VIRTQ_HEAD_RANGE);
  assert_int_equal(virtiofs_virtq_put(vq, 7, 33), 0);
  assert_true(virtiofs_virtq_publish(vq));
  assert_true(fake_driver_get(&drv, &id, &len));
  assert_int_equal(id, 7);
  assert_int_equal(len, 33);
}

static void each_fault_has_a_name_of_its_own(void **state) {
  (void)state;
  for (int a = 0; a <= VIRTIOFS_VIRTQ_USED_ORDER; a++) {
    const char *name = virtiofs_virtq_fault_name((enum virtiofs_virtq_fault)a);
    assert_string_not_equal(name, "unknown fault");
    for (int b = 0; b < a; b++)
      assert_string_not_equal(name, virtiofs_virtq_fault_name((enum virtiofs_virtq_fault)b));
  }
  assert_string_equal(virtiofs_virtq_fault_name((enum virtiofs_virtq_fault)(VIRTIOFS_VIRTQ_USED_ORDER + 1)), "unknown fault");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_jump_of_more_than_the_ring_has),
      TEST(a_head_past_the_end),
      TEST(a_head_twice),
      TEST(a_next_past_the_end),
      TEST(a_next_past_a_tables_end),
      TEST(a_loop),
      TEST(readable_behind_writable),
      cmocka_unit_test_setup_teardown(a_table_that_nobody_agreed_on, setup_plain, teardown),
      TEST(a_table_in_a_table),
      TEST(a_table_with_a_next_one),
      TEST(tables_of_a_bad_size),
      TEST(addresses_that_are_no_memory),
      TEST(more_than_four_gib),
      TEST(more_pieces_than_there_is_room_for),
      TEST(a_mended_ring_goes_on_where_it_was),
      TEST(a_broken_ring_takes_back_what_it_gave),
      TEST(each_fault_has_a_name_of_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
