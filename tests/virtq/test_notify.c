/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/virtq.h>

#include "support/fake_driver.h"

/* Who tells whom, and when not. Specification: virtio 1.3, 2.7.7 and 2.7.10. */

static struct fake_driver drv;
static struct virtiofs_virtq *vq;
static struct iovec iov[8];
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
  chain = (struct virtiofs_virtq_chain){.iov = iov, .capacity = 8};
  return virtiofs_virtq_take(vq, drv.map, &chain);
}

static const struct fake_buffer one[] = {{FAKE_DATA, 40, false}};

/* Takes and puts @count buffers, publishes, and gets them back. */
static bool serve(uint32_t count) {
  uint32_t id, len;
  for (uint32_t i = 0; i < count; i++) {
    fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
    assert_int_equal(take(), 1);
    assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
  }
  bool notify = virtiofs_virtq_publish(vq);
  while (fake_driver_get(&drv, &id, &len))
    continue;
  return notify;
}

static void flags_hold_notifications_back(void **state) {
  (void)state;
  begin(8, 0, 0);
  assert_true(serve(1));
  fake_driver_avail_flags(&drv, 1);
  assert_false(serve(3));
  fake_driver_avail_flags(&drv, 0xfffe);
  assert_true(serve(1));
  end();
}

/* With EVENT_IDX the flags mean nothing. */
static void event_index_overrules_flags(void **state) {
  (void)state;
  begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, 0);
  fake_driver_avail_flags(&drv, 1);
  assert_true(serve(1));
  fake_driver_used_event(&drv, 1);
  assert_true(serve(1));
  end();
}

static void the_first_notification_is_not_held_back(void **state) {
  (void)state;
  for (uint32_t event = 0; event < 65536; event += 4095) {
    begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, 5000);
    fake_driver_used_event(&drv, (uint16_t)event);
    assert_true(serve(1));
    end();
  }
}

/* Against the plain meaning: the driver is told when the element it names has been used. */
static void event_index_is_passed_or_not(void **state) {
  (void)state;
  static const uint16_t starts[] = {0, 100, 32760, 65529, 65535};
  for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++)
    for (uint32_t count = 1; count <= 8; count++)
      for (int32_t distance = -10; distance <= 10; distance++) {
        begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, starts[s]);
        assert_true(serve(1));
        uint16_t before = fake_driver_used_idx(&drv);
        fake_driver_used_event(&drv, (uint16_t)(before + distance));
        assert_int_equal(serve(count), distance >= 0 && distance < (int32_t)count);
        end();
      }
}

static void a_ring_that_begins_anew_notifies_anew(void **state) {
  (void)state;
  begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, 0);
  assert_true(serve(1));
  fake_driver_used_event(&drv, 100);
  assert_false(serve(1));
  assert_int_equal(virtiofs_virtq_start(vq, virtiofs_virtq_base(vq)), 0);
  assert_true(serve(1));
  assert_false(serve(1));
  end();
}

static void nothing_put_is_nothing_to_tell(void **state) {
  (void)state;
  begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, 0);
  assert_false(virtiofs_virtq_publish(vq));
  assert_true(serve(1));
  assert_false(virtiofs_virtq_publish(vq));
  end();
}

static void kicks_are_asked_for_by_flag(void **state) {
  (void)state;
  begin(8, 0, 0);
  virtiofs_virtq_no_kick(vq);
  assert_int_equal(fake_driver_used_flags(&drv), 1);
  fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
  assert_false(fake_driver_kick(&drv));
  assert_true(virtiofs_virtq_want_kick(vq)); /* one came before it was asked for */
  assert_int_equal(fake_driver_used_flags(&drv), 0);
  assert_int_equal(take(), 1);
  assert_false(virtiofs_virtq_want_kick(vq));
  fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
  assert_true(fake_driver_kick(&drv));
  end();
}

static void kicks_are_asked_for_by_index(void **state) {
  (void)state;
  static const uint16_t starts[] = {0, 65534, 65535, 30000};
  for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
    begin(8, VIRTIOFS_VIRTQ_F_EVENT_IDX, starts[s]);
    assert_false(virtiofs_virtq_want_kick(vq));
    assert_int_equal(fake_driver_avail_event(&drv), starts[s]);
    fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
    assert_true(fake_driver_kick(&drv));
    virtiofs_virtq_no_kick(vq);
    fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
    assert_false(fake_driver_kick(&drv));
    assert_true(virtiofs_virtq_want_kick(vq));
    assert_int_equal(take(), 1);
    assert_true(virtiofs_virtq_want_kick(vq));
    assert_int_equal(take(), 1);
    assert_false(virtiofs_virtq_want_kick(vq));
    fake_driver_offer(&drv, fake_driver_chain(&drv, one, 1, false));
    assert_true(fake_driver_kick(&drv));
    end();
  }
}

#define RACES 20000U

static uint32_t bell; /* a notification that was not heard yet */

static void *make_available(void *arg) {
  (void)arg;
  for (uint32_t i = 0; i < RACES; i++) {
    while ((uint16_t)(drv.avail_idx - fake_driver_used_idx(&drv)) == drv.num)
      sched_yield();
    fake_driver_offer(&drv, (uint16_t)(i % drv.num));
    if (fake_driver_kick(&drv))
      __atomic_store_n(&bell, 1, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

/* The device sleeps only when it was told that a kick will come; if one is lost, this never ends and ctest says so. */
static void race(uint64_t features) {
  pthread_t thread;
  begin(4, features, 65000);
  for (uint16_t i = 0; i < 4; i++)
    fake_driver_desc(&drv, i, FAKE_DATA, 1, 0, 0);
  __atomic_store_n(&bell, 0, __ATOMIC_SEQ_CST);
  assert_int_equal(pthread_create(&thread, NULL, make_available, NULL), 0);
  for (uint32_t done = 0; done < RACES;) {
    virtiofs_virtq_no_kick(vq);
    while (take() == 1) {
      assert_int_equal(virtiofs_virtq_put(vq, chain.ticket, 0), 0);
      (void)!virtiofs_virtq_publish(vq);
      done++;
    }
    if (done == RACES || virtiofs_virtq_want_kick(vq))
      continue;
    while (__atomic_exchange_n(&bell, 0, __ATOMIC_SEQ_CST) == 0)
      sched_yield();
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(virtiofs_virtq_fault(vq), VIRTIOFS_VIRTQ_OK);
  end();
}

static void no_kick_is_lost_by_flag(void **state) {
  (void)state;
  race(0);
}

static void no_kick_is_lost_by_index(void **state) {
  (void)state;
  race(VIRTIOFS_VIRTQ_F_EVENT_IDX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(flags_hold_notifications_back),
      cmocka_unit_test(event_index_overrules_flags),
      cmocka_unit_test(the_first_notification_is_not_held_back),
      cmocka_unit_test(event_index_is_passed_or_not),
      cmocka_unit_test(a_ring_that_begins_anew_notifies_anew),
      cmocka_unit_test(nothing_put_is_nothing_to_tell),
      cmocka_unit_test(kicks_are_asked_for_by_flag),
      cmocka_unit_test(kicks_are_asked_for_by_index),
      cmocka_unit_test(no_kick_is_lost_by_flag),
      cmocka_unit_test(no_kick_is_lost_by_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
