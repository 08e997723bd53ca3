/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a record of golden messages to standard output, for command_line.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "support/golden_record.h"

int main(void) {
  static struct golden_record record;
  golden_record_init(&record);
  (void)golden_record_session(&record, GOLDEN_DIR);
  /* One that is slow, and one that nobody answers. */
  uint64_t slow = golden_record_request(&record, GOLDEN_DIR, "statfs");
  record.time_ns += UINT64_C(2500000000);
  golden_record_reply(&record, GOLDEN_DIR, "statfs", slow);
  (void)golden_record_request(&record, GOLDEN_DIR, "setlkw");
  /* And what is no request at all. */
  golden_record_put(&record, VIRTIOFS_RECORD_REQUEST, ++record.number, "nonsense", 8, 8);
  golden_record_put(&record, VIRTIOFS_RECORD_REPLY, record.number, "", 0, 0);
  return fwrite(record.bytes, 1, record.len, stdout) == record.len ? EXIT_SUCCESS : EXIT_FAILURE;
}
