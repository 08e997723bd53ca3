/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

#include "support/ring_pair.h"

/* Rings and memory: buffers in windows, memory that changes, the log of what was written. */

#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
#define SIZE 8192U

static struct ring_pair pair;
static struct iovec iov[16];
static struct virtiofs_virtq_chain chain;
static struct virtiofs_driverq_done done;
static bool holes;

static void begin(uint64_t features) {
  struct ring_pair_config config = {.num = 8, .features = features, .base = ring_pair_first(features), .data = SIZE};
  ring_pair_init(&pair, &config);
}

static void add(const struct virtiofs_driverq_part *parts, uint32_t readable, uint32_t writable) {
  assert_int_equal(virtiofs_driverq_add(pair.driver, parts, readable, writable, NULL), 0);
  (void)!virtiofs_driverq_publish(pair.driver);
}

static int take(void) {
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 16, .holes = holes};
  return virtiofs_virtq_take(pair.device, pair.map, &chain);
}

static void check(uint32_t in_count, uint64_t in_bytes, uint32_t out_count, uint64_t out_bytes) {
  assert_true(chain.cut);
  assert_int_equal(chain.in_count, in_count);
  assert_int_equal(chain.in_bytes, in_bytes);
  assert_int_equal(chain.out_count, out_count);
  assert_int_equal(chain.out_bytes, out_bytes);
  for (uint32_t i = 0; i < in_count + out_count; i++)
    assert_non_null(iov[i].iov_base);
}

/* Each kind of pieces ends where a window begins; the other kind is not touched by that. */
static void buffers_end_before_a_window(void **state) {
  (void)state;
  for (uint32_t packed = 0; packed < 2; packed++) {
    begin(packed != 0 ? PACKED : 0);
    uint64_t window = ring_pair_window(&pair);
    const struct virtiofs_driverq_part parts[] = {{PAIR_DATA, 10},       {window + 100, 20}, {PAIR_DATA + 50, 30},
                                                  {PAIR_DATA + 100, 16}, {window - 5, 25},   {PAIR_DATA, 40}};
    add(parts, 3, 3);
    assert_int_equal(take(), 1);
    check(1, 10, 2, 21);
    assert_ptr_equal(iov[2].iov_base, ring_pair_at(&pair, window - 5));
    assert_int_equal(iov[2].iov_len, 5);
    assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 22), -EINVAL);
    assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 21), 0);
    (void)!virtiofs_virtq_publish(pair.device);
    assert_int_equal(virtiofs_driverq_take(pair.driver, &done), 1);
    assert_int_equal(done.len, 21);
    add(parts + 1, 1, 0);
    assert_int_equal(take(), 1);
    check(0, 0, 0, 0);
    add(parts + 3, 1, 0);
    assert_int_equal(take(), 1);
    assert_false(chain.cut);
    ring_pair_fini(&pair);
  }
}

/* Behind a window nothing is forgiven. */
static void what_is_nowhere_stays_a_fault(void **state) {
  (void)state;
  begin(0);
  uint64_t window = ring_pair_window(&pair);
  const struct virtiofs_driverq_part parts[] = {{window, 0x1001}};
  add(parts, 0, 1);
  assert_int_equal(take(), -EPROTO);
  assert_int_equal(virtiofs_virtq_fault(pair.device), VIRTIOFS_VIRTQ_ADDRESS);
  ring_pair_fini(&pair);
}

/* Unless the caller says so: then it is as if there were a window. */
static void what_is_nowhere_may_be_a_hole(void **state) {
  (void)state;
  begin(0);
  uint64_t window = ring_pair_window(&pair);
  const struct virtiofs_driverq_part parts[] = {
      {PAIR_DATA, 10}, {window + 0x100000, 20}, {PAIR_DATA, 16}, {UINT64_MAX - 7, 16}};
  add(parts, 1, 3);
  holes = true;
  assert_int_equal(take(), 1);
  holes = false;
  assert_true(chain.cut);
  assert_int_equal(chain.in_count, 1);
  assert_int_equal(chain.out_count, 0);
  assert_int_equal(chain.out_bytes, 0);
  ring_pair_fini(&pair);
}

static void *resolve(void *owner, uint64_t offset, uint64_t *len) {
  (void)len;
  return (unsigned char *)owner + offset;
}

static void a_window_with_something_behind_it_is_like_memory(void **state) {
  static unsigned char behind[0x1000];
  (void)state;
  begin(0);
  uint64_t window = ring_pair_window(&pair);
  const struct virtiofs_driverq_part parts[] = {{window - 8, 16}, {window + 100, 20}};
  virtiofs_memory_unref(pair.map);
  pair.regions[3].owner = behind;
  pair.regions[3].window = resolve;
  assert_int_equal(virtiofs_memory_new(&pair.map, pair.regions, PAIR_REGIONS, NULL), 0);
  add(parts, 1, 1);
  assert_int_equal(take(), 1);
  assert_false(chain.cut);
  assert_int_equal(chain.in_count, 2);
  assert_ptr_equal(iov[1].iov_base, behind);
  assert_ptr_equal(iov[2].iov_base, behind + 100);
  pair.regions[3].host = NULL;
  ring_pair_fini(&pair);
}

/* With IN_ORDER an element that is left out says that all was written, which of what was cut it wasn't. */
static void what_is_cut_is_not_left_out(void **state) {
  (void)state;
  begin(VIRTIOFS_VIRTQ_F_IN_ORDER);
  const struct virtiofs_driverq_part parts[] = {{PAIR_DATA, 10}, {ring_pair_window(&pair), 20}};
  add(parts, 0, 2);
  assert_int_equal(take(), 1);
  check(0, 0, 1, 10);
  assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 10), 0);
  add(parts, 0, 1);
  assert_int_equal(take(), 1);
  assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 10), 0);
  (void)!virtiofs_virtq_publish(pair.device);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(virtiofs_driverq_take(pair.driver, &done), 1);
    assert_int_equal(done.len, 10);
  }
  ring_pair_fini(&pair);
}

/* A region goes while a chain is held: what was taken by the old map is still there, what comes later is not. */
static void memory_goes_under_a_ring(void **state) {
  struct virtiofs_memory_cell *cell;
  struct virtiofs_memory_view view = {0};
  struct virtiofs_memory *less;
  (void)state;
  begin(0);
  const struct virtiofs_driverq_part parts[] = {{ring_pair_seam(&pair) + 10, 10}};
  assert_int_equal(virtiofs_memory_cell_new(&cell), 0);
  virtiofs_memory_cell_set(cell, virtiofs_memory_ref(pair.map));
  add(parts, 0, 1);
  add(parts, 0, 1);
  assert_true(virtiofs_memory_cell_get(cell, &view));
  struct virtiofs_memory *held = virtiofs_memory_ref(view.map);
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 16, .holes = holes};
  assert_int_equal(virtiofs_virtq_take(pair.device, view.map, &chain), 1);
  assert_int_equal(virtiofs_memory_new(&less, pair.regions, 2, NULL), 0);
  virtiofs_memory_cell_set(cell, less);
  assert_true(virtiofs_memory_cell_get(cell, &view));
  memset(iov[0].iov_base, 7, iov[0].iov_len);
  assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 10), 0);
  virtiofs_memory_unref(held);
  assert_int_equal(virtiofs_virtq_take(pair.device, view.map, &chain), -EPROTO);
  assert_int_equal(virtiofs_virtq_fault(pair.device), VIRTIOFS_VIRTQ_ADDRESS);
  /* And comes back: the same buffer is taken then. */
  virtiofs_memory_cell_set(cell, virtiofs_memory_ref(pair.map));
  assert_true(virtiofs_memory_cell_get(cell, &view));
  virtiofs_virtq_mend(pair.device);
  assert_int_equal(virtiofs_virtq_take(pair.device, view.map, &chain), 1);
  virtiofs_memory_unref(view.map);
  virtiofs_memory_cell_free(cell);
  ring_pair_fini(&pair);
}

/* ---- the log ---- */

static unsigned char bitmap[8];
static const struct virtiofs_memory_log pages = {.bitmap = bitmap, .size = sizeof bitmap};

static uint64_t logged(void) {
  uint64_t all = 0;
  for (int i = 0; i < 8; i++)
    all |= (uint64_t)bitmap[i] << (8 * i);
  memset(bitmap, 0, sizeof bitmap);
  return all;
}

/* The addresses are told to be such that each thing that is written lies in a page of its own. */
static void what_a_split_ring_writes_is_logged(void **state) {
  const struct virtiofs_driverq_part part = {PAIR_DATA, 10};
  (void)state;
  begin(0);
  add(&part, 0, 1);
  add(&part, 0, 1);
  virtiofs_virtq_set_log(pair.device, &pages, 0, 10 * 4096 - 4 - 8); /* its second element begins page 10 */
  for (int i = 0; i < 2; i++) {
    assert_int_equal(take(), 1);
    assert_int_equal(logged(), 0);
    assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 1), 0);
    assert_int_equal(logged(), UINT64_C(1) << (9 + i));
  }
  (void)!virtiofs_virtq_publish(pair.device);
  assert_int_equal(logged(), UINT64_C(1) << 9);
  virtiofs_virtq_set_log(pair.device, &pages, 0, 20 * 4096 - 1); /* the flags in pages 19 and 20 */
  virtiofs_virtq_no_kick(pair.device);
  assert_int_equal(logged(), UINT64_C(3) << 19);
  virtiofs_virtq_set_log(pair.device, NULL, 0, 0);
  (void)!virtiofs_virtq_want_kick(pair.device);
  assert_int_equal(logged(), 0);
  ring_pair_fini(&pair);
  begin(VIRTIOFS_VIRTQ_F_EVENT_IDX);
  virtiofs_virtq_set_log(pair.device, &pages, 0, 30 * 4096 - 4 - 8 * 8); /* avail_event begins page 30 */
  (void)!virtiofs_virtq_want_kick(pair.device);
  assert_int_equal(logged(), UINT64_C(1) << 30);
  ring_pair_fini(&pair);
}

static void what_a_packed_ring_writes_is_logged(void **state) {
  const struct virtiofs_driverq_part part = {PAIR_DATA, 10};
  (void)state;
  begin(PACKED);
  add(&part, 0, 1);
  add(&part, 0, 1);
  virtiofs_virtq_set_log(pair.device, &pages, 10 * 4096 - 16, 40 * 4096);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(take(), 1);
    assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 1), 0);
    assert_int_equal(logged(), UINT64_C(1) << (9 + i));
  }
  (void)!virtiofs_virtq_publish(pair.device);
  assert_int_equal(logged(), UINT64_C(1) << 9); /* the flags that were held back */
  virtiofs_virtq_no_kick(pair.device);
  assert_int_equal(logged(), UINT64_C(1) << 40);
  ring_pair_fini(&pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(buffers_end_before_a_window),
      cmocka_unit_test(what_is_nowhere_stays_a_fault),
      cmocka_unit_test(what_is_nowhere_may_be_a_hole),
      cmocka_unit_test(a_window_with_something_behind_it_is_like_memory),
      cmocka_unit_test(what_is_cut_is_not_left_out),
      cmocka_unit_test(memory_goes_under_a_ring),
      cmocka_unit_test(what_a_split_ring_writes_is_logged),
      cmocka_unit_test(what_a_packed_ring_writes_is_logged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
