/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/golden_record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <string.h>

#include <cmocka.h>

#include "support/golden.h"

/* 2020-02-29 12:34:56.5 UTC. */
#define WALL_NS (UINT64_C(1582979696) * 1000000000U + 500000000U)

static void put(struct golden_record *record, const void *bytes, size_t len) {
  assert_true(sizeof record->bytes - record->len >= len);
  memcpy(record->bytes + record->len, bytes, len);
  record->len += len;
}

void golden_record_init(struct golden_record *record) {
  struct virtiofs_record_file header = {.order = 0x01020304, .version = 1, .size = 40, .wall_ns = WALL_NS};
  memset(record, 0, sizeof *record);
  memcpy(header.magic, "vfsrec\r\n", 8);
  put(record, &header, sizeof header);
}

void golden_record_put(struct golden_record *record, enum virtiofs_record_kind kind, uint64_t number, const void *bytes,
                       size_t len, size_t stored) {
  struct virtiofs_record header = {.size = (uint32_t)(40 + stored),
                                   .kind = (uint16_t)kind,
                                   .queue = 1,
                                   .time_ns = record->time_ns,
                                   .number = number,
                                   .len = len,
                                   .room = kind == VIRTIOFS_RECORD_REQUEST ? 4096 : 0};
  record->time_ns += 1000;
  put(record, &header, sizeof header);
  put(record, bytes, stored);
}

uint64_t golden_record_request(struct golden_record *record, const char *folder, const char *name) {
  static struct golden golden;
  golden_load(&golden, folder, name);
  golden_record_put(record, VIRTIOFS_RECORD_REQUEST, ++record->number, golden.bytes, golden.len, golden.len);
  return record->number;
}

void golden_record_reply(struct golden_record *record, const char *folder, const char *name, uint64_t number) {
  static struct golden golden;
  golden_load(&golden, folder, name);
  golden_record_put(record, VIRTIOFS_RECORD_REPLY, number, golden.reply, golden.reply_len, golden.reply_len);
}

void golden_record_both(struct golden_record *record, const char *folder, const char *name) {
  golden_record_reply(record, folder, name, golden_record_request(record, folder, name));
}

/* golden_each() knows no context. */
static struct golden_record *target;
static const char *target_folder;
static unsigned target_count;

static void add(const struct golden *golden) {
  char name[sizeof golden->name];
  memcpy(name, golden->name, sizeof name);
  if (strstr(golden->origin, "Linux 6.1 guest") == NULL || strcmp(name, "init") == 0 || strcmp(name, "destroy") == 0)
    return;
  golden_record_both(target, target_folder, name);
  target_count++;
}

unsigned golden_record_session(struct golden_record *record, const char *folder) {
  golden_record_both(record, folder, "init");
  target = record;
  target_folder = folder;
  target_count = 1;
  (void)golden_each(folder, add);
  return target_count;
}
