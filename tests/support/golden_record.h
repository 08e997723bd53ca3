/* SPDX-License-Identifier: BSD-3-Clause */
/** Records for tests: of golden messages, and of any others. Written apart from lib/daemon/record.c. */
#ifndef VIRTIOFS_TESTS_SUPPORT_GOLDEN_RECORD_H
#define VIRTIOFS_TESTS_SUPPORT_GOLDEN_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include <virtiofs/record.h>

enum { RECORD_BYTES = 1 << 17 };

struct golden_record {
  unsigned char bytes[RECORD_BYTES];
  size_t len;
  uint64_t number;  /**< of the last request */
  uint64_t time_ns; /**< of the next record; each takes 1000 ns */
};

/** The file's header. */
void golden_record_init(struct golden_record *record);
/** One record that says it had @len bytes, of which the first @stored are there. */
void golden_record_put(struct golden_record *record, enum virtiofs_record_kind kind, uint64_t number, const void *bytes,
                       size_t len, size_t stored);
/** A golden message's request. Return: its number. */
uint64_t golden_record_request(struct golden_record *record, const char *folder, const char *name);
/** Its reply, to the request with that number; one of no bytes where there is none. */
void golden_record_reply(struct golden_record *record, const char *folder, const char *name, uint64_t number);
/** Both. */
void golden_record_both(struct golden_record *record, const char *folder, const char *name);
/** INIT, and then each of the others that is of this session: what a Linux 6.1 guest sent. Return: how many. */
unsigned golden_record_session(struct golden_record *record, const char *folder);

#endif
