/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of records: what it gives, what it skips, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <byteswap.h>
#include <string.h>

#include <cmocka.h>

#include "support/golden_record.h"
#include "trace/reader.h"

static struct golden_record made;

/* How many records there are before the end; -1 after a fault, which is at *@fault. */
static int read_all(const unsigned char *bytes, size_t len, const char **fault) {
  struct reader reader;
  struct virtiofs_record record;
  size_t stored;
  int count = 0, rc;
  FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "rb");
  assert_non_null(file);
  rc = reader_init(&reader, file);
  while (rc == 0 && (rc = reader_next(&reader, &record, &stored)) == 1) {
    assert_true(stored <= record.len && stored <= VIRTIOFS_RECORD_STORED_MAX);
    count++;
    rc = 0;
  }
  *fault = reader.fault;
  assert_int_equal(reader.fault != NULL, rc < 0);
  reader_fini(&reader);
  (void)fclose(file);
  return rc < 0 ? -1 : count;
}

static void make(void) {
  golden_record_init(&made);
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 1, "request", 7, 7);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 1, "a reply", 100, 7);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 2, "", 0, 0);
}

static void assert_second(const unsigned char *bytes, size_t len) {
  struct reader reader;
  struct virtiofs_record record;
  size_t stored;
  FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "rb");
  assert_int_equal(reader_init(&reader, file), 0);
  assert_int_equal(reader_next(&reader, &record, &stored), 1);
  assert_int_equal(record.kind, VIRTIOFS_RECORD_REQUEST);
  assert_int_equal(record.room, 4096);
  assert_int_equal(reader_next(&reader, &record, &stored), 1);
  assert_int_equal(record.kind, VIRTIOFS_RECORD_REPLY);
  assert_int_equal(record.queue, 1);
  assert_int_equal(record.time_ns, 1000);
  assert_int_equal(record.number, 1);
  assert_int_equal(record.len, 100);
  assert_int_equal(stored, 7);
  assert_memory_equal(reader.bytes, "a reply", 7);
  assert_int_equal(reader_next(&reader, &record, &stored), 1);
  assert_int_equal(record.len, 0);
  assert_int_equal(reader_next(&reader, &record, &stored), 0);
  reader_fini(&reader);
  (void)fclose(file);
}

static void what_is_there(void **state) {
  (void)state;
  make();
  assert_second(made.bytes, made.len);
}

/* As a machine of the other byte order has written it. */
static void swap_all(void) {
  struct virtiofs_record_file header;
  struct virtiofs_record record;
  memcpy(&header, made.bytes, sizeof header);
  size_t at = header.size;
  header.order = bswap_32(header.order);
  header.version = bswap_16(header.version);
  header.size = bswap_16(header.size);
  header.wall_ns = bswap_64(header.wall_ns);
  memcpy(made.bytes, &header, sizeof header);
  while (at < made.len) {
    memcpy(&record, made.bytes + at, sizeof record);
    size_t size = record.size;
    record.size = bswap_32(record.size);
    record.kind = bswap_16(record.kind);
    record.queue = bswap_16(record.queue);
    record.time_ns = bswap_64(record.time_ns);
    record.number = bswap_64(record.number);
    record.len = bswap_64(record.len);
    record.room = bswap_64(record.room);
    memcpy(made.bytes + at, &record, sizeof record);
    at += size;
  }
}

static void the_other_byte_order(void **state) {
  (void)state;
  make();
  swap_all();
  assert_second(made.bytes, made.len);
}

/* Whole records are given, whatever comes behind them. */
static void each_truncation(void **state) {
  static const size_t ends[] = {40, 87, 134, 174};
  const char *fault;
  (void)state;
  make();
  assert_int_equal(made.len, ends[3]);
  for (size_t len = 1; len <= made.len; len++) {
    bool whole = false;
    int count = 0;
    for (int i = 0; i < 4; i++) {
      whole |= len == ends[i];
      count = len >= ends[i] ? i : count;
    }
    int rc = read_all(made.bytes, len, &fault);
    assert_int_equal(rc, whole ? count : -1);
    if (!whole)
      assert_non_null(strstr(fault, len < 8 ? "no record" : len < 40 ? "header" : "within a record"));
  }
}

static void assert_fault(size_t at, const void *bytes, size_t len, const char *says) {
  const char *fault;
  make();
  memcpy(made.bytes + at, bytes, len);
  assert_int_equal(read_all(made.bytes, made.len, &fault), -1);
  if (strstr(fault, says) == NULL)
    fail_msg("expected '%s', got '%s'", says, fault);
}

static void what_is_refused(void **state) {
  (void)state;
  assert_fault(0, "VFSREC", 6, "no record");
  assert_fault(8, (uint32_t[]){0}, 4, "byte order");
  assert_fault(12, (uint16_t[]){2}, 2, "version");
  assert_fault(12, (uint16_t[]){0}, 2, "version");
  assert_fault(14, (uint16_t[]){39}, 2, "too short");
  assert_fault(14, (uint16_t[]){1000}, 2, "within its header");
  assert_fault(40, (uint32_t[]){39}, 4, "impossible size");
  assert_fault(40, (uint32_t[]){0}, 4, "impossible size");
  assert_fault(40, (uint32_t[]){UINT32_MAX}, 4, "impossible size");
  assert_fault(40, (uint32_t[]){40 + VIRTIOFS_RECORD_STORED_MAX + 1}, 4, "impossible size");
  assert_fault(40 + 24, (uint64_t[]){6}, 8, "more than its message");
}

/* A later version may add to the header. */
static void a_longer_header(void **state) {
  static unsigned char longer[1000];
  const char *fault;
  (void)state;
  make();
  memcpy(longer, made.bytes, 40);
  memcpy(longer + 14, (uint16_t[]){100}, 2);
  memcpy(longer + 100, made.bytes + 40, made.len - 40);
  assert_second(longer, made.len + 60);
  assert_int_equal(read_all(longer, made.len + 60, &fault), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_there),   cmocka_unit_test(the_other_byte_order), cmocka_unit_test(each_truncation),
      cmocka_unit_test(what_is_refused), cmocka_unit_test(a_longer_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
