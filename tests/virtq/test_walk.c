/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "support/fake_driver.h"
#include "virtq/walk.h"

#define PIECES 2048U

static struct fake_driver drv;
static struct iovec iov[PIECES];
static struct virtiofs_virtq_chain chain;
static enum virtiofs_virtq_fault why;
static uint32_t steps;

static int setup(void **state) {
  (void)state;
  fake_driver_init(&drv, 16, VIRTIOFS_VIRTQ_F_INDIRECT_DESC);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  fake_driver_fini(&drv);
  return 0;
}

/* True if the chain is whole. */
static bool walk(uint16_t head, uint32_t capacity) {
  struct virtiofs_walk_start start = {
      .map = drv.map, .desc = drv.desc, .num = drv.num, .at = head, .indirect_allowed = true};
  struct virtiofs_walk walk;
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = capacity};
  enum virtiofs_walk_result result;
  virtiofs_walk_begin(&walk, &start, &chain);
  steps = 0;
  do {
    result = virtiofs_walk_step(&walk);
    steps++;
  } while (result == VIRTIOFS_WALK_MORE);
  why = walk.fault;
  virtiofs_walk_finish(&walk, &chain);
  return result == VIRTIOFS_WALK_END;
}

static void check_piece(uint32_t index, uint64_t gpa, size_t len) {
  assert_ptr_equal(iov[index].iov_base, fake_driver_at(&drv, gpa, len));
  assert_int_equal(iov[index].iov_len, len);
}

static const struct fake_buffer four[] = {
    {FAKE_DATA, 40, false}, {FAKE_DATA + 100, 60, false}, {FAKE_FAR, 16, true}, {FAKE_FAR + 0x10, 0xff0, true}};

static void check_four(void) {
  assert_int_equal(chain.in_count, 2);
  assert_int_equal(chain.out_count, 2);
  check_piece(0, FAKE_DATA, 40);
  check_piece(1, FAKE_DATA + 100, 60);
  check_piece(2, FAKE_FAR, 16);
  check_piece(3, FAKE_FAR + 0x10, 0xff0);
}

static void a_chain_gives_its_pieces_in_order(void **state) {
  (void)state;
  assert_true(walk(fake_driver_chain(&drv, four, 4, false), PIECES));
  check_four();
}

static void a_table_of_its_own_gives_the_same(void **state) {
  (void)state;
  assert_true(walk(fake_driver_chain(&drv, four, 4, true), PIECES));
  check_four();
}

static void direct_descriptors_may_come_before_a_table(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 48);
  fake_driver_desc(&drv, 9, four[0].gpa, four[0].len, FAKE_NEXT, 3);
  fake_driver_desc(&drv, 3, table, 48, FAKE_INDIRECT | FAKE_WRITE, 0); /* WRITE means nothing here */
  fake_driver_desc_at(&drv, table, 0, four[1].gpa, four[1].len, FAKE_NEXT, 2);
  fake_driver_desc_at(&drv, table, 2, four[2].gpa, four[2].len, FAKE_NEXT | FAKE_WRITE, 1);
  fake_driver_desc_at(&drv, table, 1, four[3].gpa, four[3].len, FAKE_WRITE, 0);
  assert_true(walk(9, PIECES));
  check_four();
}

static void readable_descriptors_precede_a_table_only_if_nothing_was_writable(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 16);
  fake_driver_desc(&drv, 0, FAKE_DATA, 4, FAKE_NEXT | FAKE_WRITE, 1);
  fake_driver_desc(&drv, 1, table, 16, FAKE_INDIRECT, 0);
  fake_driver_desc_at(&drv, table, 0, FAKE_DATA, 4, 0, 0);
  assert_false(walk(0, PIECES));
  assert_int_equal(why, VIRTIOFS_VIRTQ_ORDER);
}

/* A table at every offset around the seam of two regions that lie apart in this process. */
static void a_table_may_lie_across_regions_and_anyhow(void **state) {
  (void)state;
  for (uint64_t back = 0; back <= 4 * 16 + 1; back++) {
    uint64_t table = FAKE_DATA_SEAM - back;
    for (uint32_t i = 0; i < 4; i++)
      fake_driver_desc_at(&drv, table, i, four[i].gpa, four[i].len,
                          (uint16_t)((four[i].write ? FAKE_WRITE : 0U) | (i < 3 ? FAKE_NEXT : 0U)), (uint16_t)(i + 1));
    fake_driver_desc(&drv, 0, table, 64, FAKE_INDIRECT, 0);
    assert_true(walk(0, PIECES));
    check_four();
  }
}

static void a_table_ends_with_memory(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 3; i++)
    fake_driver_desc_at(&drv, FAKE_DATA_HOLE - 48, i, FAKE_DATA, 1, i < 2 ? FAKE_NEXT : 0, (uint16_t)(i + 1));
  fake_driver_desc(&drv, 0, FAKE_DATA_HOLE - 48, 48, FAKE_INDIRECT, 0);
  assert_true(walk(0, PIECES));
  /* One entry more lies in the hole: only who goes there falls. */
  fake_driver_desc(&drv, 0, FAKE_DATA_HOLE - 48, 64, FAKE_INDIRECT, 0);
  assert_true(walk(0, PIECES));
  fake_driver_desc_at(&drv, FAKE_DATA_HOLE - 48, 2, FAKE_DATA, 1, FAKE_NEXT, 3);
  assert_false(walk(0, PIECES));
  assert_int_equal(why, VIRTIOFS_VIRTQ_ADDRESS);
  fake_driver_desc(&drv, 0, FAKE_DATA_HOLE - 47, 48, FAKE_INDIRECT, 0);
  fake_driver_desc_at(&drv, FAKE_DATA_HOLE - 47, 0, FAKE_DATA, 1, FAKE_NEXT, 2);
  assert_false(walk(0, PIECES));
  assert_int_equal(why, VIRTIOFS_VIRTQ_ADDRESS);
}

static void a_buffer_is_cut_where_regions_meet(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, FAKE_DATA_SEAM - 10, 30, FAKE_NEXT, 1);
  fake_driver_desc(&drv, 1, FAKE_DATA, (uint32_t)(2 * FAKE_DATA_SIZE), FAKE_WRITE, 0);
  assert_true(walk(0, PIECES));
  assert_int_equal(chain.in_count, 2);
  assert_int_equal(chain.out_count, 2);
  check_piece(0, FAKE_DATA_SEAM - 10, 10);
  check_piece(1, FAKE_DATA_SEAM, 20);
  check_piece(2, FAKE_DATA, FAKE_DATA_SIZE);
  check_piece(3, FAKE_DATA_SEAM, FAKE_DATA_SIZE);
}

static void empty_buffers_add_nothing_but_count(void **state) {
  (void)state;
  for (uint16_t i = 0; i < 16; i++)
    fake_driver_desc(&drv, i, UINT64_MAX, 0, i < 15 ? FAKE_NEXT : 0, (uint16_t)(i + 1));
  assert_true(walk(0, 0));
  assert_int_equal(chain.in_count + chain.out_count, 0);
  assert_int_equal(steps, 16);
  fake_driver_desc(&drv, 15, 0, 0, FAKE_NEXT, 15);
  assert_false(walk(0, 0));
  assert_int_equal(why, VIRTIOFS_VIRTQ_CHAIN_LONG);
  assert_int_equal(steps, 17);
}

static void an_empty_writable_buffer_ends_the_readable_ones(void **state) {
  (void)state;
  fake_driver_desc(&drv, 0, 0, 0, FAKE_NEXT | FAKE_WRITE, 1);
  fake_driver_desc(&drv, 1, FAKE_DATA, 1, 0, 0);
  assert_false(walk(0, PIECES));
  assert_int_equal(why, VIRTIOFS_VIRTQ_ORDER);
}

static void a_chain_may_be_as_long_as_the_ring(void **state) {
  (void)state;
  for (uint16_t i = 0; i < 16; i++)
    fake_driver_desc(&drv, i, FAKE_DATA, 1, i < 15 ? FAKE_NEXT : 0, (uint16_t)(i + 1));
  assert_true(walk(0, PIECES));
  assert_int_equal(chain.in_count, 16);
}

/* 1 MiB in pages wants 260 descriptors, whatever the ring's size. */
static void a_table_may_be_longer_than_the_ring(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 2048 * 16);
  for (uint32_t count = 1000; count <= 1030; count++) {
    for (uint32_t i = 0; i < count; i++)
      fake_driver_desc_at(&drv, table, i, FAKE_DATA, 1, i + 1 < count ? FAKE_NEXT : 0, (uint16_t)(i + 1));
    fake_driver_desc(&drv, 0, table, count * 16, FAKE_INDIRECT, 0);
    bool whole = walk(0, PIECES);
    assert_int_equal(whole, count < VIRTIOFS_WALK_INDIRECT_MAX); /* the one that refers to it counts too */
    if (!whole)
      assert_int_equal(why, VIRTIOFS_VIRTQ_CHAIN_LONG);
  }
}

static void a_loop_in_a_table_ends(void **state) {
  (void)state;
  uint64_t table = fake_driver_alloc(&drv, 32);
  fake_driver_desc_at(&drv, table, 0, FAKE_DATA, 0, FAKE_NEXT, 1);
  fake_driver_desc_at(&drv, table, 1, FAKE_DATA, 0, FAKE_NEXT, 0);
  fake_driver_desc(&drv, 0, table, 32, FAKE_INDIRECT, 0);
  assert_false(walk(0, PIECES));
  assert_int_equal(why, VIRTIOFS_VIRTQ_CHAIN_LONG);
  assert_int_equal(steps, VIRTIOFS_WALK_INDIRECT_MAX + 1);
}

static void pieces_fit_exactly(void **state) {
  (void)state;
  uint16_t head = fake_driver_chain(&drv, four, 4, false);
  memset(iov, 0xa5, sizeof iov);
  assert_true(walk(head, 4));
  for (uint32_t capacity = 0; capacity < 4; capacity++) {
    memset(iov, 0xa5, sizeof iov);
    assert_false(walk(head, capacity));
    assert_int_equal(why, VIRTIOFS_VIRTQ_SEGMENTS);
    for (size_t i = 0; i < sizeof(struct iovec); i++)
      assert_int_equal(((unsigned char *)&iov[capacity])[i], 0xa5);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_chain_gives_its_pieces_in_order),
      TEST(a_table_of_its_own_gives_the_same),
      TEST(direct_descriptors_may_come_before_a_table),
      TEST(readable_descriptors_precede_a_table_only_if_nothing_was_writable),
      TEST(a_table_may_lie_across_regions_and_anyhow),
      TEST(a_table_ends_with_memory),
      TEST(a_buffer_is_cut_where_regions_meet),
      TEST(empty_buffers_add_nothing_but_count),
      TEST(an_empty_writable_buffer_ends_the_readable_ones),
      TEST(a_chain_may_be_as_long_as_the_ring),
      TEST(a_table_may_be_longer_than_the_ring),
      TEST(a_loop_in_a_table_ends),
      TEST(pieces_fit_exactly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
