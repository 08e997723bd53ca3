/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage for requests in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/slots.h"

static void all_of_them(void **state) {
  (void)state;
  for (uint32_t num = 2; num <= 1024; num *= 2) {
    struct virtiofs_slots *slots;
    struct virtiofs_slot *taken[1024];
    assert_int_equal(virtiofs_slots_new(&slots, num), 0);
    /* As many segments as the longest chain has, and room for those that cross regions. */
    assert_true(slots->segments >= 1024 + 64);
    for (uint32_t round = 0; round < 2; round++) {
      for (uint32_t i = 0; i < num; i++) {
        taken[i] = virtiofs_slots_take(slots);
        assert_non_null(taken[i]);
        assert_ptr_equal(taken[i]->slots, slots);
        assert_int_equal((uintptr_t)taken[i] % _Alignof(struct virtiofs_slot), 0);
        /* The whole of it is ours, and nobody else's. */
        virtiofs_slot_segments(taken[i])[0].iov_len = i;
        virtiofs_slot_segments(taken[i])[slots->segments - 1].iov_len = i;
        assert_ptr_equal(virtiofs_slot_of_message(&taken[i]->msg), taken[i]);
        assert_ptr_equal(virtiofs_slot_of_req(&taken[i]->req), taken[i]);
      }
      assert_null(virtiofs_slots_take(slots));
      for (uint32_t i = 0; i < num; i++) {
        assert_int_equal(virtiofs_slot_segments(taken[i])[0].iov_len, i);
        assert_int_equal(virtiofs_slot_segments(taken[i])[slots->segments - 1].iov_len, i);
        virtiofs_slots_give(slots, taken[(i * 7 + round) % num]);
      }
    }
    virtiofs_slots_unref(slots);
  }
  virtiofs_slots_unref(NULL);
}

/* The last one that was given back comes first: its memory is warm. */
static void warm_first(void **state) {
  struct virtiofs_slots *slots;
  (void)state;
  assert_int_equal(virtiofs_slots_new(&slots, 8), 0);
  struct virtiofs_slot *first = virtiofs_slots_take(slots), *second = virtiofs_slots_take(slots);
  virtiofs_slots_give(slots, first);
  assert_ptr_equal(virtiofs_slots_take(slots), first);
  assert_ptr_not_equal(first, second);
  virtiofs_slots_unref(slots);
}

/* An abandoned request keeps them when the queue is gone. */
static void counted(void **state) {
  struct virtiofs_slots *slots;
  (void)state;
  assert_int_equal(virtiofs_slots_new(&slots, 2), 0);
  struct virtiofs_slot *slot = virtiofs_slots_take(slots);
  atomic_fetch_add(&slots->refs, 1);
  virtiofs_slots_unref(slots);
  memset(&slot->req, 1, sizeof slot->req);
  virtiofs_slots_unref(slot->slots);
}

/* Of those that nobody has taken there is no page, however many queues there were before. */
static void touched_as_far_as_used(void **state) {
  static unsigned char resident[1 << 16];
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  (void)state;
  for (unsigned round = 0; round < 5; round++) {
    struct virtiofs_slots *slots;
    size_t pages = 0;
    assert_int_equal(virtiofs_slots_new(&slots, 1024), 0);
    unsigned char *from = slots->memory + (page - (uintptr_t)slots->memory % page) % page;
    size_t len = (1023 * slots->stride) / page * page;
    assert_true(len / page <= sizeof resident);
    assert_int_equal(mincore(from, len, resident), 0);
    for (size_t i = 0; i < len / page; i++)
      pages += resident[i] & 1;
    assert_int_equal(pages, 0);
    virtiofs_slots_unref(slots);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_them),
      cmocka_unit_test(warm_first),
      cmocka_unit_test(counted),
      cmocka_unit_test(touched_as_far_as_used),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
