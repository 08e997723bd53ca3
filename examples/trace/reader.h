/* SPDX-License-Identifier: BSD-3-Clause */
/** Reads a record file (record.h) from front to back. Nothing in it is believed before it is checked. */
#ifndef VIRTIOFS_EXAMPLES_TRACE_READER_H
#define VIRTIOFS_EXAMPLES_TRACE_READER_H

#include <stdbool.h>
#include <stdio.h>

#include <virtiofs/record.h>

struct reader {
  FILE *file; /* borrowed */
  bool swapped;
  struct virtiofs_record_file header; /* in this machine's byte order */
  uint64_t at;                        /* bytes that have been read */
  const char *fault;                  /* what is wrong with the file, after -1 */
  unsigned char *bytes;               /* stored bytes of the last record */
  size_t room;
};

/* Reads the file's header. 0; -1: reader->fault says why not. */
int reader_init(struct reader *reader, FILE *file);
void reader_fini(struct reader *reader);

/**
 * The next record. 1: @record is in this machine's byte order and its stored bytes, *@stored of them and at most
 * @record->len, are in reader->bytes until the next call; 0: the file has ended; -1: reader->fault says what is wrong,
 * and there is no more to come.
 */
int reader_next(struct reader *reader, struct virtiofs_record *record, size_t *stored);

#endif
