/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdbool.h>

#include <cmocka.h>

#include <virtiofs/message.h>

static struct virtiofs_message *completed;
static size_t completed_used;
static int completions;

static void complete(struct virtiofs_message *msg, size_t used) {
  completed = msg;
  completed_used = used;
  completions++;
}

static char memory[64];

static struct iovec piece(size_t at, size_t len) { return (struct iovec){.iov_base = memory + at, .iov_len = len}; }

static void segments_are_divided(void **state) {
  (void)state;
  struct iovec segments[] = {piece(0, 4), piece(4, 6), piece(10, 16), piece(26, 1)};
  struct virtiofs_message msg;
  virtiofs_message_init(&msg, segments, 2, 2, complete);
  assert_int_equal(msg.in_count, 2);
  assert_int_equal(msg.out_count, 2);
  assert_int_equal(msg.in_len, 10);
  assert_int_equal(msg.out_len, 17);
  assert_ptr_equal(msg.in[1].iov_base, memory + 4);
  assert_ptr_equal(msg.out[0].iov_base, memory + 10);
}

/* Every pattern of empty segments among four. */
static void empty_segments_are_dropped(void **state) {
  (void)state;
  for (unsigned mask = 0; mask < 256; mask++) {
    struct iovec segments[8];
    uint32_t expected[2] = {0, 0};
    for (unsigned i = 0; i < 8; i++) {
      bool there = (mask >> i & 1) != 0;
      segments[i] = piece(i, there ? i + 1 : 0);
      expected[i / 4] += there;
    }
    struct virtiofs_message msg;
    virtiofs_message_init(&msg, segments, 4, 4, complete);
    assert_int_equal(msg.in_count, expected[0]);
    assert_int_equal(msg.out_count, expected[1]);
    unsigned next = 0;
    for (uint32_t i = 0; i < msg.in_count + msg.out_count; i++, next++) {
      while ((mask >> next & 1) == 0)
        next++;
      const struct iovec *seg = i < msg.in_count ? &msg.in[i] : &msg.out[i - msg.in_count];
      assert_ptr_equal(seg->iov_base, memory + next);
      assert_int_equal(seg->iov_len, next + 1);
    }
  }
}

static void a_message_may_be_empty(void **state) {
  (void)state;
  struct virtiofs_message msg;
  struct iovec none = piece(0, 0);
  virtiofs_message_init(&msg, &none, 0, 0, complete);
  assert_int_equal(msg.in_len + msg.out_len + msg.in_count + msg.out_count, 0);
  virtiofs_message_init(&msg, &none, 0, 1, complete);
  assert_int_equal(msg.out_count, 0);
}

static void completing_tells_the_source_once(void **state) {
  (void)state;
  struct iovec segments[] = {piece(0, 4), piece(4, 16)};
  struct virtiofs_message msg;
  virtiofs_message_init(&msg, segments, 1, 1, complete);
  virtiofs_message_complete(&msg, 16);
  assert_ptr_equal(completed, &msg);
  assert_int_equal(completed_used, 16);
  assert_int_equal(completions, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(segments_are_divided),
      cmocka_unit_test(empty_segments_are_dropped),
      cmocka_unit_test(a_message_may_be_empty),
      cmocka_unit_test(completing_tells_the_source_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
