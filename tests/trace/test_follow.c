/* SPDX-License-Identifier: BSD-3-Clause */
/* Following a record: which reply belongs to which request, what a session has agreed on, and what can't be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/golden.h"
#include "support/golden_record.h"
#include "trace/follow.h"

enum { MOST = 100, TEXT = 200 };

/* What was told. */
struct told {
  struct exchange exchange;
  char request[TEXT], reply[TEXT];
};

static struct golden_record made;
static struct told told[MOST];
static unsigned count;

static void on_exchange(void *ctx, const struct exchange *exchange) {
  (void)ctx;
  assert_true(count < MOST);
  struct told *one = &told[count++];
  one->exchange = *exchange;
  (void)snprintf(one->request, sizeof one->request, "%s", exchange->request);
  (void)snprintf(one->reply, sizeof one->reply, "%s", exchange->reply != NULL ? exchange->reply : "-");
}

static void run(void) {
  struct reader reader;
  struct virtiofs_record record;
  size_t stored;
  int rc;
  count = 0;
  FILE *file = fmemopen(made.bytes, made.len, "rb");
  struct follow *follow = follow_new(on_exchange, NULL);
  assert_non_null(file);
  assert_non_null(follow);
  assert_int_equal(reader_init(&reader, file), 0);
  while ((rc = reader_next(&reader, &record, &stored)) == 1)
    assert_int_equal(follow_record(follow, &record, reader.bytes, stored), 0);
  assert_int_equal(rc, 0);
  follow_end(follow);
  reader_fini(&reader);
  (void)fclose(file);
}

static int setup(void **state) {
  (void)state;
  golden_record_init(&made);
  return 0;
}

static void assert_told(unsigned index, bool unparsed, const char *request, const char *reply) {
  assert_true(index < count);
  if (told[index].exchange.unparsed != unparsed || strstr(told[index].request, request) == NULL ||
      strncmp(told[index].reply, reply, strlen(reply)) != 0)
    fail_msg("got '%s' = '%s'%s", told[index].request, told[index].reply,
             told[index].exchange.unparsed ? " (unparsed)" : "");
}

static void a_whole_session(void **state) {
  (void)state;
  unsigned wanted = golden_record_session(&made, GOLDEN_DIR);
  run();
  assert_true(wanted > 45);
  assert_int_equal(count, wanted);
  for (unsigned i = 0; i < count; i++) {
    if (told[i].exchange.unparsed || !told[i].exchange.answered)
      fail_msg("'%s' = '%s'", told[i].request, told[i].reply);
    assert_int_equal(told[i].exchange.queue, 1);
    assert_int_equal(told[i].exchange.end_ns - told[i].exchange.start_ns, 1000);
  }
  assert_told(0, false, "INIT version=7.", "0 version=7.");
}

/* Two with the same number of the driver's, answered the other way round. */
static void numbers_pair_and_uniques_do_not(void **state) {
  (void)state;
  golden_record_both(&made, GOLDEN_DIR, "init");
  uint64_t first = golden_record_request(&made, GOLDEN_DIR, "read");
  uint64_t second = golden_record_request(&made, GOLDEN_DIR, "read");
  golden_record_reply(&made, GOLDEN_DIR, "read", second);
  made.time_ns += 5000;
  golden_record_reply(&made, GOLDEN_DIR, "read", first);
  run();
  assert_int_equal(count, 3);
  assert_told(1, false, "READ node=", "0 size=5");
  assert_told(2, false, "READ node=", "0 size=5");
  assert_int_equal(told[1].exchange.start_ns, 3000);
  assert_int_equal(told[1].exchange.end_ns, 4000);
  assert_int_equal(told[2].exchange.start_ns, 2000);
  assert_int_equal(told[2].exchange.end_ns, 10000);
}

static void what_was_not_stored_is_not_missed(void **state) {
  static struct golden golden;
  (void)state;
  golden_record_both(&made, GOLDEN_DIR, "init");
  golden_load(&golden, GOLDEN_DIR, "write");
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 2, golden.bytes, golden.len, 80);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 2, golden.reply, golden.reply_len, golden.reply_len);
  golden_load(&golden, GOLDEN_DIR, "readdirplus");
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 3, golden.bytes, golden.len, golden.len);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 3, golden.reply, golden.reply_len, 16);
  /* But a header is. */
  golden_load(&golden, GOLDEN_DIR, "lookup");
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 4, golden.bytes, golden.len, 39);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 4, golden.reply, golden.reply_len, 15);
  run();
  assert_int_equal(count, 4);
  assert_told(1, false, "WRITE", "0 size=5");
  assert_told(2, false, "READDIRPLUS", "0 size=160");
  assert_int_equal(told[2].exchange.out_len, golden.reply_len > 0 ? 176 : 0);
  assert_true(told[3].exchange.unparsed);
}

static void a_message_that_is_too_long(void **state) {
  static struct golden golden;
  (void)state;
  golden_record_both(&made, GOLDEN_DIR, "init");
  golden_load(&golden, GOLDEN_DIR, "lookup");
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 2, golden.bytes, SIZE_MAX, golden.len);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, 2, golden.reply, SIZE_MAX, golden.reply_len);
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, 3, golden.bytes, (1U << 26) + 1, golden.len);
  run();
  assert_int_equal(count, 3);
  assert_told(1, true, "no FUSE request", "(no reply");
  assert_told(2, true, "no FUSE request", "-");
}

static void sessions_begin_and_end(void **state) {
  (void)state;
  golden_record_both(&made, GOLDEN_DIR, "lookup");
  golden_record_both(&made, GOLDEN_DIR, "init");
  golden_record_both(&made, GOLDEN_DIR, "lookup");
  golden_record_both(&made, GOLDEN_DIR, "destroy");
  golden_record_both(&made, GOLDEN_DIR, "lookup");
  /* A driver whose attributes are shorter. */
  golden_record_both(&made, GOLDEN_DIR, "init-8");
  golden_record_both(&made, GOLDEN_DIR, "lookup");
  golden_record_both(&made, GOLDEN_DIR, "init-new");
  golden_record_both(&made, GOLDEN_DIR, "lookup");
  run();
  assert_int_equal(count, 9);
  assert_told(0, true, "before INIT", "");
  assert_told(1, false, "INIT", "0");
  assert_told(2, false, "LOOKUP", "0 node=");
  assert_told(3, false, "DESTROY", "0");
  assert_told(4, true, "before INIT", "");
  assert_told(5, false, "INIT version=7.5", "0 version=7.5");
  assert_told(6, true, "LOOKUP", "(no reply to this request)");
  assert_told(8, false, "LOOKUP", "0 node=");
}

/* Reads what a driver of the other byte order sends; nothing of it is in the golden messages. */
static void put_swapped(uint32_t opcode, uint64_t unique, const union virtiofs_fuse_in *in,
                        const union virtiofs_fuse_out *out) {
  const struct virtiofs_fuse_proto proto = {.agreed = true, .minor = VIRTIOFS_FUSE_MINOR, .swapped = true};
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = unique, .swapped = true};
  unsigned char bytes[500];
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  ssize_t len = virtiofs_fuse_request_encode(&proto, &header, in, bytes, sizeof bytes);
  assert_true(len > 0);
  golden_record_put(&made, VIRTIOFS_RECORD_REQUEST, ++made.number, bytes, (size_t)len, (size_t)len);
  len = virtiofs_fuse_reply_encode(&proto, &header, 0, out, &iov, 1);
  assert_true(len > 0);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, made.number, bytes, (size_t)len, (size_t)len);
}

static void the_other_byte_order(void **state) {
  (void)state;
  union virtiofs_fuse_in in = {.init = {.major = 7, .minor = 45}};
  union virtiofs_fuse_out out = {.init = {.major = 7, .minor = 45, .max_write = 4096, .time_gran = 1}};
  put_swapped(VIRTIOFS_FUSE_INIT, 2, &in, &out);
  in = (union virtiofs_fuse_in){.lseek = {.node = 1, .handle = 9, .offset = 0x1234, .whence = 3}};
  out = (union virtiofs_fuse_out){.lseek = {.offset = 4660}};
  put_swapped(VIRTIOFS_FUSE_LSEEK, 4, &in, &out);
  run();
  assert_int_equal(count, 2);
  assert_told(0, false, "INIT version=7.45", "0 version=7.45");
  assert_told(1, false, "#4 LSEEK node=1 handle=9 offset=4660", "0 offset=4660");
}

static void what_belongs_to_nothing(void **state) {
  (void)state;
  golden_record_both(&made, GOLDEN_DIR, "init");
  golden_record_reply(&made, GOLDEN_DIR, "lookup", 77);
  golden_record_reply(&made, GOLDEN_DIR, "lookup", golden_record_request(&made, GOLDEN_DIR, "getattr"));
  uint64_t number = golden_record_request(&made, GOLDEN_DIR, "statfs");
  made.number--;
  (void)golden_record_request(&made, GOLDEN_DIR, "statfs");
  golden_record_reply(&made, GOLDEN_DIR, "statfs", number);
  golden_record_reply(&made, GOLDEN_DIR, "statfs", number);
  run();
  assert_int_equal(count, 6);
  assert_told(1, true, "a reply to no request", "-");
  assert_told(2, true, "GETATTR", "(no reply to this request)");
  assert_told(3, true, "STATFS", "-");
  assert_told(4, false, "STATFS", "0");
  assert_told(5, true, "a reply to no request", "-");
}

static void answers_that_are_none(void **state) {
  (void)state;
  unsigned char bytes[16] = {16, 0, 0, 0, (unsigned char)-EPROTO, 0xff, 0xff, 0xff};
  static struct golden golden;
  golden_record_both(&made, GOLDEN_DIR, "init");
  (void)golden_record_request(&made, GOLDEN_DIR, "read");
  golden_record_both(&made, GOLDEN_DIR, "forget");
  (void)golden_record_request(&made, GOLDEN_DIR, "statfs");
  /* An error that is also the codec's word for what is no reply. */
  golden_load(&golden, GOLDEN_DIR, "getattr");
  memcpy(bytes + 8, golden.bytes + 8, 8);
  golden_record_put(&made, VIRTIOFS_RECORD_REPLY, golden_record_request(&made, GOLDEN_DIR, "getattr"), bytes, 16, 16);
  golden_record_both(&made, GOLDEN_DIR, "lookup-absent");
  run();
  assert_int_equal(count, 6);
  assert_told(1, false, "FORGET", "-");
  assert_true(told[1].exchange.answered);
  assert_told(2, false, "GETATTR", "EPROTO");
  assert_int_equal(told[2].exchange.error, -EPROTO);
  assert_told(3, false, "LOOKUP", "ENOENT");
  assert_int_equal(told[3].exchange.error, -ENOENT);
  /* These come last. */
  assert_told(4, false, "READ", "-");
  assert_told(5, false, "STATFS", "-");
  assert_false(told[4].exchange.answered || told[5].exchange.answered);
}

static void notifications(void **state) {
  (void)state;
  const struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 45};
  struct virtiofs_fuse_notify notify = {.code = VIRTIOFS_FUSE_NOTIFY_INVAL_INODE, .node = 0xab};
  unsigned char bytes[100];
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  golden_record_both(&made, GOLDEN_DIR, "init-new");
  ssize_t len = virtiofs_fuse_notify_encode(&proto, &notify, &iov, 1);
  assert_true(len > 0);
  golden_record_put(&made, VIRTIOFS_RECORD_NOTIFICATION, 0, bytes, (size_t)len, (size_t)len);
  golden_record_put(&made, VIRTIOFS_RECORD_NOTIFICATION, 0, bytes, (size_t)len - 1, (size_t)len - 1);
  golden_record_put(&made, (enum virtiofs_record_kind)4, 0, bytes, 10, 10);
  run();
  assert_int_equal(count, 3);
  if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    assert_told(1, false, "NOTIFY INVAL_INODE node=ab", "-");
  assert_told(2, true, "NOTIFY ?", "-");
  assert_int_equal(told[1].exchange.kind, VIRTIOFS_RECORD_NOTIFICATION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(a_whole_session, setup),
      cmocka_unit_test_setup(numbers_pair_and_uniques_do_not, setup),
      cmocka_unit_test_setup(what_was_not_stored_is_not_missed, setup),
      cmocka_unit_test_setup(a_message_that_is_too_long, setup),
      cmocka_unit_test_setup(sessions_begin_and_end, setup),
      cmocka_unit_test_setup(the_other_byte_order, setup),
      cmocka_unit_test_setup(what_belongs_to_nothing, setup),
      cmocka_unit_test_setup(answers_that_are_none, setup),
      cmocka_unit_test_setup(notifications, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
