/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/memory.h>

#define PAGE UINT64_C(4096)
#define BYTES 64U
#define PAGES (BYTES * 8)

static unsigned char bitmap[BYTES + 1]; /* the last byte is beyond the log */
static const struct virtiofs_memory_log pages = {.bitmap = bitmap, .size = BYTES};

static int setup(void **state) {
  (void)state;
  memset(bitmap, 0, sizeof bitmap);
  return 0;
}

static bool marked(uint64_t page) {
  return (bitmap[page / 8] >> (page % 8) & 1) != 0;
}

/* Exactly these pages, first to last. */
static void check(uint64_t first, uint64_t last) {
  for (uint64_t page = 0; page < PAGES; page++)
    assert_int_equal(marked(page), page >= first && page <= last);
  assert_int_equal(bitmap[BYTES], 0);
}

static void a_range_marks_the_pages_that_it_touches(void **state) {
  static const uint64_t offsets[] = {0, 1, PAGE / 2, PAGE - 1};
  for (uint64_t first = 0; first < 20; first++)
    for (uint64_t last = first; last < 40; last++)
      for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
          uint64_t begin = first * PAGE + offsets[i], end = last * PAGE + offsets[j];
          if (end < begin)
            continue;
          setup(state);
          virtiofs_memory_log_mark(&pages, begin, end - begin + 1);
          check(first, last);
        }
}

static void nothing_written_marks_nothing(void **state) {
  (void)state;
  virtiofs_memory_log_mark(&pages, 0, 0);
  virtiofs_memory_log_mark(&pages, 5 * PAGE, 0);
  check(1, 0);
}

static void what_is_beyond_the_log_is_left_alone(void **state) {
  virtiofs_memory_log_mark(&pages, PAGES * PAGE, 1);
  virtiofs_memory_log_mark(&pages, UINT64_MAX, 1);
  virtiofs_memory_log_mark(&pages, UINT64_MAX - 10, UINT64_MAX);
  check(1, 0);
  virtiofs_memory_log_mark(&pages, (PAGES - 3) * PAGE, 10 * PAGE);
  check(PAGES - 3, PAGES - 1);
  setup(state);
  virtiofs_memory_log_mark(&pages, (PAGES - 1) * PAGE, UINT64_MAX);
  check(PAGES - 1, PAGES - 1);
}

static void marks_are_added(void **state) {
  (void)state;
  virtiofs_memory_log_mark(&pages, 8 * PAGE, 1);
  virtiofs_memory_log_mark(&pages, 10 * PAGE, PAGE);
  virtiofs_memory_log_mark(&pages, 9 * PAGE, 1);
  check(8, 10);
}

/* Region 0 and 1 touch each other here and not in the guest; region 2 is region 0's memory at another address. */
static void an_address_of_the_host_is_marked_wherever_the_guest_has_it(void **state) {
  static unsigned char host[4 * 4096];
  struct virtiofs_memory *map;
  const struct virtiofs_memory_region regions[] = {
      {.gpa = 10 * PAGE, .size = 2 * PAGE, .uva = 0x10000, .host = host},
      {.gpa = 30 * PAGE, .size = 2 * PAGE, .uva = 0x20000, .host = host + 2 * PAGE},
      {.gpa = 50 * PAGE, .size = 2 * PAGE, .uva = 0x30000, .host = host},
      {.gpa = 70 * PAGE, .size = 2 * PAGE},
  };
  assert_int_equal(virtiofs_memory_new(&map, regions, 4, NULL), 0);
  virtiofs_memory_log_host(&pages, map, host + PAGE - 1, PAGE + 2);
  for (uint64_t page = 0; page < PAGES; page++)
    assert_int_equal(marked(page), page == 10 || page == 11 || page == 30 || page == 50 || page == 51);
  setup(state);
  virtiofs_memory_log_host(&pages, map, host + 3 * PAGE, 1);
  check(31, 31);
  setup(state);
  virtiofs_memory_log_host(&pages, map, host, 0);
  virtiofs_memory_log_host(&pages, map, &map, sizeof map);
  virtiofs_memory_log_host(&pages, map, host + sizeof host, 100);
  check(1, 0);
  virtiofs_memory_unref(map);
}

/* Two threads set bits of the same bytes, and none is lost. */
static void *mark_odd(void *arg) {
  (void)arg;
  for (uint64_t page = 1; page < PAGES; page += 2)
    virtiofs_memory_log_mark(&pages, page * PAGE, 1);
  return NULL;
}

static void marks_of_two_threads_are_all_there(void **state) {
  for (int round = 0; round < 50; round++) {
    pthread_t thread;
    setup(state);
    assert_int_equal(pthread_create(&thread, NULL, mark_odd, NULL), 0);
    for (uint64_t page = 0; page < PAGES; page += 2)
      virtiofs_memory_log_mark(&pages, page * PAGE, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    check(0, PAGES - 1);
  }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_range_marks_the_pages_that_it_touches),
      TEST(nothing_written_marks_nothing),
      TEST(what_is_beyond_the_log_is_left_alone),
      TEST(marks_are_added),
      TEST(an_address_of_the_host_is_marked_wherever_the_guest_has_it),
      TEST(marks_of_two_threads_are_all_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
