/* SPDX-License-Identifier: BSD-3-Clause */
/* A record may come from anywhere: whatever is in it, it is read to its end or to its fault and no further. What is
 * looked for here are reports of the sanitizers, and loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/golden_record.h"
#include "support/seeded.h"
#include "trace/summary.h"

static struct golden_record made;

static void on_exchange(void *ctx, const struct exchange *exchange) {
  assert_true(exchange->end_ns >= exchange->start_ns);
  assert_non_null(exchange->request);
  assert_int_equal(summary_add(ctx, exchange), 0);
}

/* The bytes are in a block of their own, so that a byte too far is seen. How many records were read. */
static unsigned run(const unsigned char *bytes, size_t len) {
  struct reader reader;
  struct virtiofs_record record;
  size_t stored;
  unsigned records = 0;
  struct summary *summary = summary_new();
  struct follow *follow = follow_new(on_exchange, summary);
  FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "rb");
  assert_true(summary != NULL && follow != NULL && file != NULL);
  int rc = reader_init(&reader, file);
  while (rc == 0 && reader_next(&reader, &record, &stored) == 1) {
    assert_int_equal(follow_record(follow, &record, reader.bytes, stored), 0);
    records++;
  }
  follow_end(follow);
  summary_free(summary);
  reader_fini(&reader);
  (void)fclose(file);
  return records;
}

static void make(void) {
  golden_record_init(&made);
  (void)golden_record_session(&made, GOLDEN_DIR);
  golden_record_both(&made, GOLDEN_DIR, "destroy");
}

static void each_truncation(void **state) {
  unsigned before = 0;
  (void)state;
  make();
  for (size_t len = 1; len <= made.len; len++) {
    unsigned records = run(made.bytes, len);
    assert_true(records >= before && records <= before + 1);
    before = records;
  }
  assert_int_equal(before, 2 * made.number);
}

/* In each byte one bit, which one differs from byte to byte. */
static void each_byte_flipped(void **state) {
  (void)state;
  make();
  for (size_t at = 0; at < made.len; at++) {
    unsigned char bit = (unsigned char)(1U << (at * 5 + at / 8) % 8);
    made.bytes[at] ^= bit;
    assert_true(run(made.bytes, made.len) <= made.len / sizeof(struct virtiofs_record));
    made.bytes[at] ^= bit;
  }
}

/* Many at once, among them in the sizes. */
static void bytes_at_random(void **state) {
  static struct golden_record whole;
  (void)state;
  make();
  whole = made;
  for (unsigned round = 0; round < 2000; round++) {
    made = whole;
    for (unsigned i = 0; i < 1 + round % 50; i++)
      made.bytes[40 + seeded_below(made.len - 40)] = (unsigned char)seeded_any();
    (void)run(made.bytes, made.len);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_truncation),
      cmocka_unit_test(each_byte_flipped),
      cmocka_unit_test(bytes_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
