/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/seccomp.h>

#include <cmocka.h>

#include <virtiofs/driverq.h>

#include "support/fail_alloc.h"
#include "support/ring_pair.h"

/* The driver side, with a device that does what it should. */

#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
#define INDIRECT VIRTIOFS_VIRTQ_F_INDIRECT_DESC

static struct ring_pair pair;
static struct iovec iov[16];
static struct virtiofs_virtq_chain chain;
static struct virtiofs_driverq_done done;
static int cookies[16];

static const struct virtiofs_driverq_part parts[] = {
    {PAIR_DATA, 40}, {PAIR_DATA + 100, 60}, {PAIR_DATA + 200, 16}, {PAIR_DATA + 300, 80}};

static void begin(uint32_t num, uint64_t features, uint32_t entries) {
  struct ring_pair_config config = {
      .num = num, .features = features, .base = ring_pair_first(features), .table_entries = entries, .data = 8192};
  ring_pair_init(&pair, &config);
}

static int add(uint32_t readable, uint32_t writable, int cookie) {
  return virtiofs_driverq_add(pair.driver, parts, readable, writable, &cookies[cookie]);
}

static int take(void) {
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 16};
  return virtiofs_virtq_take(pair.device, pair.map, &chain);
}

static void check_done(int cookie, uint32_t len) {
  assert_int_equal(virtiofs_driverq_take(pair.driver, &done), 1);
  assert_ptr_equal(done.cookie, &cookies[cookie]);
  assert_int_equal(done.len, len);
}

static void sizes_of_both_layouts(void **state) {
  (void)state;
  struct virtiofs_driverq *q;
  for (uint32_t num = 0; num < 33000; num++) {
    bool packed = num >= 2 && num <= 32768, split = packed && (num & (num - 1)) == 0;
    assert_int_equal(virtiofs_virtq_size_valid(num, 0), split);
    assert_int_equal(virtiofs_virtq_size_valid(num, PACKED), packed);
    if (num % 1023 > 2)
      continue;
    assert_int_equal(virtiofs_driverq_new(&q, num, 0), split ? 0 : -EINVAL);
    virtiofs_driverq_free(q);
    assert_int_equal(virtiofs_driverq_new(&q, num, PACKED), packed ? 0 : -EINVAL);
    virtiofs_driverq_free(q);
  }
  assert_false(virtiofs_virtq_size_valid(UINT32_MAX, PACKED));
  assert_false(virtiofs_virtq_size_valid(0x80000000U, 0));
}

static void areas_of_the_packed_layout(void **state) {
  (void)state;
  assert_int_equal(virtiofs_virtq_desc_bytes(7), 112);
  assert_int_equal(virtiofs_virtq_driver_bytes(7, PACKED), 4);
  assert_int_equal(virtiofs_virtq_device_bytes(32768, PACKED), 4);
}

static void alignment_of_the_areas(void **state) {
  (void)state;
  _Alignas(64) static unsigned char memory[512];
  struct virtiofs_driverq *q;
  for (uint32_t packed = 0; packed < 2; packed++) {
    assert_int_equal(virtiofs_driverq_new(&q, 2, packed != 0 ? PACKED : 0), 0);
    for (size_t off = 0; off < 32; off++) {
      bool driver = off % (packed != 0 ? 4 : 2) == 0;
      assert_int_equal(virtiofs_driverq_map(q, memory + off, memory, memory), off % 16 == 0 ? 0 : -EINVAL);
      assert_int_equal(virtiofs_driverq_map(q, memory, memory + off, memory), driver ? 0 : -EINVAL);
      assert_int_equal(virtiofs_driverq_map(q, memory, memory, memory + off), off % 4 == 0 ? 0 : -EINVAL);
    }
    virtiofs_driverq_free(q);
  }
  virtiofs_driverq_free(NULL);
}

/* A ring that isn't started does nothing. */
static void a_ring_that_is_not_started(void **state) {
  (void)state;
  _Alignas(64) static unsigned char memory[512];
  struct virtiofs_driverq *q;
  void *cookie;
  assert_int_equal(virtiofs_driverq_new(&q, 4, 0), 0);
  assert_int_equal(virtiofs_driverq_start(q, 0), -EINVAL);
  assert_int_equal(virtiofs_driverq_add(q, parts, 1, 0, NULL), -EINVAL);
  assert_false(virtiofs_driverq_publish(q));
  assert_int_equal(virtiofs_driverq_take(q, &done), 0);
  assert_false(virtiofs_driverq_want_call(q));
  virtiofs_driverq_no_call(q);
  assert_int_equal(virtiofs_driverq_free_count(q), 0);
  assert_int_equal(virtiofs_driverq_reclaim(q, &cookie), 0);
  assert_int_equal(virtiofs_driverq_map(q, memory, memory + 64, memory + 128), 0);
  assert_int_equal(virtiofs_driverq_start(q, 0x10000), -EINVAL);
  assert_int_equal(virtiofs_driverq_start(q, 0xffff), 0);
  assert_int_equal(virtiofs_driverq_map(q, memory, memory + 64, memory + 128), -EINVAL);
  virtiofs_driverq_free(q);
}

/* A packed base has two positions, and in an empty ring they are the same. */
static void bases_of_a_packed_ring(void **state) {
  (void)state;
  static const uint32_t good[] = {0, 0x80008000, 0x00040004, 0x80048004};
  static const uint32_t bad[] = {0x8000, 0x80000000, 0x00050005, 0x80058005, 0x00010000, 0x00000001, 0x80048003};
  begin(5, PACKED, 0);
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    ring_pair_restart(&pair, 5, good[i]);
    assert_int_equal(virtiofs_driverq_base(pair.driver), good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(virtiofs_driverq_start(pair.driver, bad[i]), -EINVAL);
  ring_pair_fini(&pair);
}

static void what_does_not_fit_is_refused(void **state) {
  for (uint32_t packed = 0; packed < 2; packed++) {
    begin(4, packed != 0 ? PACKED : 0, 0);
    struct virtiofs_driverq_part huge[] = {{0, UINT32_MAX}, {0, 1}, {0, 1}, {0, 0}, {0, 0}};
    assert_int_equal(virtiofs_driverq_add(pair.driver, huge, 0, 0, state), -EINVAL);
    assert_int_equal(virtiofs_driverq_add(pair.driver, huge, 2, 3, state), -EINVAL);
    assert_int_equal(virtiofs_driverq_add(pair.driver, huge, UINT32_MAX, 1, state), -EINVAL);
    assert_int_equal(virtiofs_driverq_add(pair.driver, huge, 1, 2, state), -EINVAL); /* more than 2^32 bytes */
    assert_int_equal(virtiofs_driverq_add(pair.driver, huge, 0, 2, state), 0);       /* exactly that */
    assert_int_equal(virtiofs_driverq_free_count(pair.driver), 2);
    assert_int_equal(add(2, 1, 0), -ENOSPC);
    assert_int_equal(add(1, 1, 0), 0);
    assert_int_equal(add(1, 0, 0), -ENOSPC);
    assert_int_equal(virtiofs_driverq_in_flight(pair.driver), 2);
    ring_pair_fini(&pair);
  }
}

static void tables_need_the_feature_and_room(void **state) {
  (void)state;
  _Alignas(16) static unsigned char tables[4 * 16 * 4];
  begin(4, 0, 0);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables, 0x1000, 4), -EINVAL);
  ring_pair_fini(&pair);
  begin(4, INDIRECT, 4);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables, 0x1000, 1), -EINVAL);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables, 0x1000, 32769), -EINVAL);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables, 0x1008, 4), -EINVAL);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables + 8, 0x1000, 4), -EINVAL);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, tables, UINT64_MAX - 15, 4), -EINVAL);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, NULL, 0, 0), 0);
  assert_int_equal(add(1, 1, 0), 0);
  assert_int_equal(virtiofs_driverq_free_count(pair.driver), 2);
  assert_int_equal(virtiofs_driverq_set_tables(pair.driver, NULL, 0, 0), -EINVAL); /* something is in flight */
  ring_pair_fini(&pair);
}

/* Each entry of the ring can have a table, beyond its entries it is descriptors again. */
static void tables_make_room(void **state) {
  (void)state;
  for (uint32_t packed = 0; packed < 2; packed++) {
    begin(4, INDIRECT | (packed != 0 ? PACKED : 0), 3);
    for (int i = 0; i < 4; i++)
      assert_int_equal(add(1, 2, i), 0);
    (void)!virtiofs_driverq_publish(pair.driver);
    for (int i = 0; i < 4; i++) {
      assert_int_equal(take(), 1);
      assert_int_equal(chain.in_count, 1);
      assert_int_equal(chain.out_count, 2);
      assert_ptr_equal(iov[2].iov_base, ring_pair_at(&pair, PAIR_DATA + 200));
      assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 1), 0);
    }
    (void)!virtiofs_virtq_publish(pair.device);
    for (int i = 0; i < 4; i++)
      check_done(i, 1);
    assert_int_equal(add(2, 2, 0), 0);
    assert_int_equal(virtiofs_driverq_free_count(pair.driver), 0);
    ring_pair_fini(&pair);
  }
}

/* Nothing that was written to the ring is read back: with rubbish in it, all comes back as it was given. */
static void the_ring_is_not_read_back(void **state) {
  (void)state;
  for (uint32_t packed = 0; packed < 2; packed++) {
    begin(8, packed != 0 ? PACKED : 0, 0);
    for (int round = 0; round < 20; round++) {
      assert_int_equal(add(2, 2, 1), 0);
      assert_int_equal(add(1, 1, 2), 0);
      (void)!virtiofs_driverq_publish(pair.driver);
      assert_int_equal(take(), 1);
      uint32_t first = chain.ticket;
      assert_int_equal(take(), 1);
      assert_int_equal(chain.in_bytes, 40);
      for (int i = 0; i < 8; i++) /* but for what says whose turn it is */
        memset((unsigned char *)pair.areas[0] + 16 * i, 0xff, packed != 0 ? 14 : 16);
      assert_int_equal(virtiofs_virtq_put(pair.device, first, 96), 0);
      assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 60), 0);
      (void)!virtiofs_virtq_publish(pair.device);
      check_done(1, 96);
      check_done(2, 60);
      assert_int_equal(virtiofs_driverq_free_count(pair.driver), 8);
    }
    ring_pair_fini(&pair);
  }
}

/* A buffer given by the device has its length; one of which nothing was written has none, whatever stands there. */
static void a_length_counts_only_if_something_was_written(void **state) {
  (void)state;
  begin(4, PACKED, 0);
  assert_int_equal(add(1, 1, 3), 0);
  (void)!virtiofs_driverq_publish(pair.driver);
  assert_int_equal(take(), 1);
  assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 0), 0);
  uint32_t nonsense = 0x12345678;
  memcpy((unsigned char *)pair.areas[0] + 8, &nonsense, 4);
  (void)!virtiofs_virtq_publish(pair.device);
  check_done(3, 0);
  ring_pair_fini(&pair);
}

static void what_is_in_flight_is_reclaimed_after_a_reset(void **state) {
  (void)state;
  for (uint32_t packed = 0; packed < 2; packed++) {
    void *cookie;
    unsigned seen = 0;
    begin(8, packed != 0 ? PACKED : 0, 0);
    for (int i = 0; i < 3; i++)
      assert_int_equal(add(1, 1, i), 0);
    (void)!virtiofs_driverq_publish(pair.driver);
    assert_int_equal(take(), 1);
    uint32_t ticket = chain.ticket;
    assert_int_equal(virtiofs_driverq_reclaim(pair.driver, &cookie), 0);
    assert_int_equal(virtiofs_driverq_reset(pair.driver, 4), -EINVAL); /* another size only when nothing is in flight */
    assert_int_equal(virtiofs_driverq_reset(pair.driver, 8), 0);
    assert_int_equal(virtiofs_driverq_take(pair.driver, &done), 0);
    while (virtiofs_driverq_reclaim(pair.driver, &cookie) == 1)
      seen |= 1U << ((int *)cookie - cookies);
    assert_int_equal(seen, 7);
    assert_int_equal(virtiofs_driverq_in_flight(pair.driver), 0);
    assert_int_equal(virtiofs_driverq_reset(pair.driver, 16), -EINVAL);
    assert_int_equal(virtiofs_virtq_reset(pair.device, 16), -EPROTO);
    assert_int_equal(virtiofs_virtq_reset(pair.device, 8), 0);
    /* Who still serves the chain finds nothing to do. */
    memset(pair.areas[2], 0x11, 4);
    assert_int_equal(virtiofs_virtq_put(pair.device, ticket, 0), -EINVAL);
    assert_false(virtiofs_virtq_publish(pair.device));
    assert_int_equal(take(), 0);
    assert_false(virtiofs_virtq_want_kick(pair.device));
    virtiofs_virtq_no_kick(pair.device);
    assert_int_equal(*(unsigned char *)pair.areas[2], 0x11);
    assert_int_equal(virtiofs_virtq_start(pair.device, 0), -EINVAL);
    ring_pair_restart(&pair, 4, ring_pair_first(pair.config.features));
    assert_int_equal(add(2, 2, 5), 0);
    assert_int_equal(add(1, 0, 5), -ENOSPC);
    (void)!virtiofs_driverq_publish(pair.driver);
    assert_int_equal(take(), 1);
    assert_int_not_equal(chain.ticket, ticket);
    assert_int_equal(virtiofs_virtq_put(pair.device, ticket, 0), -EINVAL);
    assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 2), 0);
    (void)!virtiofs_virtq_publish(pair.device);
    check_done(5, 2);
    ring_pair_fini(&pair);
  }
}

static void notification_data_is_a_position(void **state) {
  (void)state;
  begin(4, VIRTIOFS_VIRTQ_F_NOTIFICATION_DATA, 0);
  ring_pair_restart(&pair, 4, 0xfffe);
  assert_int_equal(add(1, 0, 0), 0);
  assert_int_equal(virtiofs_driverq_notify_data(pair.driver, 7), 0xffff0007);
  assert_int_equal(add(1, 0, 0), 0);
  assert_int_equal(virtiofs_driverq_notify_data(pair.driver, 0xffff), 0x0000ffff);
  ring_pair_fini(&pair);
  begin(3, PACKED, 0);
  assert_int_equal(add(1, 1, 0), 0);
  assert_int_equal(virtiofs_driverq_notify_data(pair.driver, 2), 0x80020002);
  assert_int_equal(add(1, 0, 0), 0);
  assert_int_equal(virtiofs_driverq_notify_data(pair.driver, 2), 0x00000002);
  ring_pair_fini(&pair);
}

/* Every allocation fails from here on, and nothing is missing. */
static void nothing_is_allocated_after_setup(void **state) {
  (void)state;
  for (uint64_t bits = 0; bits < 8; bits++) {
    uint64_t features = (bits & 1) != 0 ? PACKED : 0;
    features |= (bits & 2) != 0 ? INDIRECT : 0;
    features |= (bits & 4) != 0 ? VIRTIOFS_VIRTQ_F_IN_ORDER : 0;
    begin(8, features, (bits & 2) != 0 ? 4 : 0);
    fail_alloc_after(0);
    for (int i = 0; i < 100; i++) {
      assert_int_equal(add(2, 2, 0), 0);
      (void)!virtiofs_driverq_publish(pair.driver);
      assert_int_equal(take(), 1);
      assert_int_equal(virtiofs_virtq_put(pair.device, chain.ticket, 1), 0);
      (void)!virtiofs_virtq_publish(pair.device);
      check_done(0, 1);
    }
    fail_alloc_after(-1);
    ring_pair_fini(&pair);
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

/* In a process that is killed for any system call but read, write and exit, of which it makes the last one. */
static void no_system_call_is_made(void **state) {
  (void)state;
#ifdef HAS_SANITIZER
  skip(); /* its own are seen too */
#endif
  for (uint32_t packed = 0; packed < 2; packed++) {
    int status;
    begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX | (packed != 0 ? PACKED : 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      int rc = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0 ? 77 : 0;
      for (int i = 0; rc == 0 && i < 1000; i++) {
        rc = add(2, 2, 0);
        (void)!virtiofs_driverq_publish(pair.driver);
        rc |= take() != 1;
        rc |= virtiofs_virtq_put(pair.device, chain.ticket, 1);
        (void)!virtiofs_virtq_publish(pair.device);
        rc |= virtiofs_driverq_take(pair.driver, &done) != 1;
        rc |= virtiofs_virtq_want_kick(pair.device) || virtiofs_driverq_want_call(pair.driver);
      }
      (void)syscall(SYS_exit, rc == 0 || rc == 77 ? rc : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    ring_pair_fini(&pair);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
      skip(); /* an emulator doesn't have it */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
}

static void a_ring_that_can_not_be_made(void **state) {
  (void)state;
  struct virtiofs_driverq *q = (void *)&pair;
  fail_alloc_after(0);
  assert_int_equal(virtiofs_driverq_new(&q, 8, 0), -ENOMEM);
  fail_alloc_after(-1);
  assert_null(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_of_both_layouts),
      cmocka_unit_test(areas_of_the_packed_layout),
      cmocka_unit_test(alignment_of_the_areas),
      cmocka_unit_test(a_ring_that_is_not_started),
      cmocka_unit_test(bases_of_a_packed_ring),
      cmocka_unit_test(what_does_not_fit_is_refused),
      cmocka_unit_test(tables_need_the_feature_and_room),
      cmocka_unit_test(tables_make_room),
      cmocka_unit_test(the_ring_is_not_read_back),
      cmocka_unit_test(a_length_counts_only_if_something_was_written),
      cmocka_unit_test(what_is_in_flight_is_reclaimed_after_a_reset),
      cmocka_unit_test(notification_data_is_a_position),
      cmocka_unit_test(nothing_is_allocated_after_setup),
      cmocka_unit_test(no_system_call_is_made),
      cmocka_unit_test(a_ring_that_can_not_be_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
