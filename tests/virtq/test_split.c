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

static struct fake_driver drv;
static struct virtiofs_virtq *vq;
static struct iovec iov[64];
static struct virtiofs_virtq_chain chain;

static void begin(uint32_t num, uint64_t features, uint16_t at) {
  fake_driver_init(&drv, num, features);
  fake_driver_position(&drv, at);
  assert_int_equal(virtiofs_virtq_new(&vq, num, features), 0);
  assert_int_equal(virtiofs_virtq_map(vq, drv.desc, drv.avail, drv.used), 0);
  assert_int_equal(virtiofs_virtq_start(vq, at), 0);
}

static void end(void) {
  virtiofs_virtq_free(vq);
  fake_driver_fini(&drv);
}

static int take(void) {
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 64};
  return virtiofs_virtq_take(vq, drv.map, &chain);
}

static const struct fake_buffer pair[] = {{FAKE_DATA, 40, false}, {FAKE_DATA + 64, 16, true}};

static void sizes_are_powers_of_two(void **state) {
  (void)state;
  for (uint32_t num = 0; num < 70000; num++) {
    bool good = num >= 2 && num <= 32768 && (num & (num - 1)) == 0;
    int rc = virtiofs_virtq_new(&vq, num, 0);
    assert_int_equal(rc, good ? 0 : -EPROTO);
    if (!good)
      assert_null(vq);
    virtiofs_virtq_free(vq);
  }
  assert_int_equal(virtiofs_virtq_new(&vq, 0x80000000U, 0), -EPROTO);
  assert_int_equal(virtiofs_virtq_new(&vq, UINT32_MAX, 0), -EPROTO);
}

static void parts_have_the_sizes_of_the_specification(void **state) {
  (void)state;
  for (uint32_t num = 2; num <= 32768; num *= 2) {
    assert_int_equal(virtiofs_virtq_desc_bytes(num), 16 * num);
    assert_int_equal(virtiofs_virtq_driver_bytes(num, 0), 6 + 2 * num);
    assert_int_equal(virtiofs_virtq_device_bytes(num, 0), 6 + 8 * num);
  }
}

static void parts_have_the_alignment_of_the_specification(void **state) {
  (void)state;
  _Alignas(64) static unsigned char memory[512];
  assert_int_equal(virtiofs_virtq_new(&vq, 2, 0), 0);
  for (size_t off = 0; off < 32; off++) {
    assert_int_equal(virtiofs_virtq_map(vq, memory + off, memory, memory), off % 16 == 0 ? 0 : -EPROTO);
    assert_int_equal(virtiofs_virtq_map(vq, memory, memory + off, memory), off % 2 == 0 ? 0 : -EPROTO);
    assert_int_equal(virtiofs_virtq_map(vq, memory, memory, memory + off), off % 4 == 0 ? 0 : -EPROTO);
  }
  virtiofs_virtq_free(vq);
}

static void a_base_has_16_bits(void **state) {
  (void)state;
  begin(8, 0, 0);
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  assert_int_equal(virtiofs_virtq_start(vq, 0x10000), -EPROTO);
  assert_int_equal(take(), 0); /* it isn't started */
  assert_false(virtiofs_virtq_pending(vq));
  assert_int_equal(virtiofs_virtq_start(vq, 0xffff), 0);
  assert_int_equal(virtiofs_virtq_base(vq), 0xffff);
  end();
}

static void an_empty_ring_gives_nothing(void **state) {
  (void)state;
  begin(8, 0, 0);
  assert_false(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 0);
  assert_false(virtiofs_virtq_publish(vq));
  end();
}

static void a_buffer_goes_there_and_back(void **state) {
  (void)state;
  uint32_t id, len;
  begin(8, 0, 0);
  uint16_t head = fake_driver_chain(&drv, pair, 2, false);
  fake_driver_offer(&drv, head);
  assert_true(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 1);
  assert_false(virtiofs_virtq_pending(vq));
  assert_int_equal(chain.ticket, head);
  assert_int_equal(chain.in_count, 1);
  assert_int_equal(chain.out_count, 1);
  assert_int_equal(virtiofs_virtq_base(vq), 1);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 16), 0);
  assert_false(fake_driver_get(&drv, &id, &len)); /* not before it is published */
  assert_true(virtiofs_virtq_publish(vq));
  assert_true(fake_driver_get(&drv, &id, &len));
  assert_int_equal(id, head);
  assert_int_equal(len, 16);
  assert_false(virtiofs_virtq_publish(vq));
  end();
}

/* Around the ring and around 16 bits, with as many in flight as there is room for. */
static void positions_wrap(void **state) {
  (void)state;
  static const uint32_t nums[] = {2, 4, 64, 256};
  for (size_t n = 0; n < sizeof nums / sizeof nums[0]; n++) {
    begin(nums[n], 0, 65500);
    for (uint32_t round = 0; round < 66000 / nums[n] + 2; round++) {
      uint32_t id, len, count = nums[n];
      for (uint32_t i = 0; i < count; i++)
        fake_driver_offer(&drv, fake_driver_chain(&drv, pair + 1, 1, false));
      uint32_t heads[256];
      for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(take(), 1);
        heads[i] = chain.ticket;
      }
      assert_int_equal(take(), 0);
      for (uint32_t i = count; i-- > 0;) /* in another order than they came */
        assert_int_equal(virtiofs_virtq_put(vq, heads[i], (round + i) % 17), 0);
      (void)!virtiofs_virtq_publish(vq);
      for (uint32_t i = count; i-- > 0;) {
        assert_true(fake_driver_get(&drv, &id, &len));
        assert_int_equal(id, heads[i]);
        assert_int_equal(len, (round + i) % 17);
      }
    }
    end();
  }
}

static void the_largest_ring_can_be_full(void **state) {
  (void)state;
  begin(32768, 0, 40000);
  uint32_t count = 0;
  for (uint32_t i = 0; i < 32768; i++)
    fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  while (take() == 1)
    count++;
  assert_int_equal(count, 32768);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_OK);
  assert_int_equal(virtiofs_virtq_base(vq), (40000 + 32768) & 0xffff);
  for (uint32_t i = 0; i < 32768; i++)
    assert_int_equal(virtiofs_virtq_put(vq, (uint16_t)i, 0), 0);
  assert_true(virtiofs_virtq_publish(vq));
  assert_int_equal(fake_driver_used_idx(&drv), (40000 + 32768) & 0xffff);
  end();
}

/* The driver's index moves on while some are known: those come first, and then the new ones. */
static void buffers_that_come_later_are_seen_later(void **state) {
  (void)state;
  begin(8, 0, 0);
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  assert_int_equal(take(), 1);
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  assert_int_equal(take(), 1);
  assert_true(virtiofs_virtq_pending(vq));
  assert_int_equal(take(), 1);
  assert_int_equal(take(), 0);
  end();
}

/* What the driver writes after a chain was taken changes nothing in what was taken. */
static void descriptors_are_looked_at_once(void **state) {
  (void)state;
  begin(8, VIRTIOFS_VIRTQ_F_INDIRECT_DESC, 0);
  uint16_t head = fake_driver_chain(&drv, pair, 2, true);
  fake_driver_offer(&drv, head);
  assert_int_equal(take(), 1);
  struct iovec before[2] = {iov[0], iov[1]};
  memset(drv.desc, 0xff, 128);
  memset(drv.regions[3].host, 0xff, FAKE_DATA_SIZE);
  assert_memory_equal(before, iov, sizeof before);
  assert_int_equal(virtiofs_virtq_put(vq, head, 1), 0);
  assert_true(virtiofs_virtq_publish(vq));
  end();
}

static void a_ring_goes_on_elsewhere(void **state) {
  (void)state;
  uint32_t id, len;
  begin(8, 0, 0);
  for (int i = 0; i < 3; i++)
    fake_driver_offer(&drv, fake_driver_chain(&drv, pair + 1, 1, false));
  assert_int_equal(take(), 1);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
  assert_true(virtiofs_virtq_publish(vq));
  uint32_t base = virtiofs_virtq_base(vq);
  virtiofs_virtq_free(vq);
  assert_int_equal(virtiofs_virtq_new(&vq, 8, 0), 0);
  assert_int_equal(virtiofs_virtq_map(vq, drv.desc, drv.avail, drv.used), 0);
  assert_int_equal(virtiofs_virtq_start(vq, base), 0);
  assert_int_equal(take(), 1);
  assert_int_equal(take(), 1);
  assert_int_equal(take(), 0);
  assert_int_equal(virtiofs_virtq_put(vq, 1, 5), 0);
  assert_int_equal(virtiofs_virtq_put(vq, 2, 6), 0);
  assert_true(virtiofs_virtq_publish(vq));
  for (uint32_t i = 0; i < 3; i++) {
    assert_true(fake_driver_get(&drv, &id, &len));
    assert_int_equal(id, i);
  }
  end();
}

/* Begun anew, a ring has nothing in flight: a driver that was reset may offer the same heads again. */
static void a_ring_that_begins_anew_has_nothing_in_flight(void **state) {
  (void)state;
  begin(8, 0, 0);
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair, 1, false));
  assert_int_equal(take(), 1);
  fake_driver_position(&drv, 0);
  assert_int_equal(virtiofs_virtq_start(vq, 0), 0);
  fake_driver_offer(&drv, (uint16_t)chain.ticket);
  assert_int_equal(take(), 1);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_OK);
  end();
}

static void a_ring_keeps_its_position_when_memory_moves(void **state) {
  (void)state;
  struct fake_driver other;
  begin(8, 0, 0);
  fake_driver_init(&other, 8, 0);
  fake_driver_offer(&drv, fake_driver_chain(&drv, pair + 1, 1, false));
  assert_int_equal(take(), 1);
  memcpy(other.desc, drv.desc, 128);
  memcpy(other.avail, drv.avail, 22);
  memcpy(other.used, drv.used, 70);
  assert_int_equal(virtiofs_virtq_map(vq, other.desc, other.avail, other.used), 0);
  assert_int_equal(take(), 0);
  assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 3), 0);
  assert_true(virtiofs_virtq_publish(vq));
  assert_int_equal(fake_driver_used_idx(&other), 1);
  assert_int_equal(fake_driver_used_idx(&drv), 0);
  fake_driver_fini(&other);
  end();
}

static void no_ring_is_freed(void **state) {
  (void)state;
  virtiofs_virtq_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_powers_of_two),
      cmocka_unit_test(parts_have_the_sizes_of_the_specification),
      cmocka_unit_test(parts_have_the_alignment_of_the_specification),
      cmocka_unit_test(a_base_has_16_bits),
      cmocka_unit_test(an_empty_ring_gives_nothing),
      cmocka_unit_test(a_buffer_goes_there_and_back),
      cmocka_unit_test(positions_wrap),
      cmocka_unit_test(the_largest_ring_can_be_full),
      cmocka_unit_test(buffers_that_come_later_are_seen_later),
      cmocka_unit_test(descriptors_are_looked_at_once),
      cmocka_unit_test(a_ring_goes_on_elsewhere),
      cmocka_unit_test(a_ring_that_begins_anew_has_nothing_in_flight),
      cmocka_unit_test(a_ring_keeps_its_position_when_memory_moves),
      cmocka_unit_test(no_ring_is_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
