/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <byteswap.h>
#include <stdlib.h>
#include <string.h>

/* 0; -1 with @fault. */
static int fail(struct reader *reader, const char *fault) {
  reader->fault = fault;
  return -1;
}

static size_t get(struct reader *reader, void *to, size_t len) {
  size_t got = fread(to, 1, len, reader->file);
  reader->at += got;
  return got;
}

static void swap_header(struct virtiofs_record_file *header) {
  header->version = bswap_16(header->version);
  header->size = bswap_16(header->size);
  header->wall_ns = bswap_64(header->wall_ns);
  header->monotonic_ns = bswap_64(header->monotonic_ns);
  header->data_max = bswap_64(header->data_max);
}

static void swap_record(struct virtiofs_record *record) {
  record->size = bswap_32(record->size);
  record->kind = bswap_16(record->kind);
  record->queue = bswap_16(record->queue);
  record->time_ns = bswap_64(record->time_ns);
  record->number = bswap_64(record->number);
  record->len = bswap_64(record->len);
  record->room = bswap_64(record->room);
}

/* What a later version has added to the header. */
static int skip(struct reader *reader, size_t len) {
  unsigned char byte;
  for (; len > 0; len--)
    if (get(reader, &byte, 1) != 1)
      return fail(reader, "the file ends within its header");
  return 0;
}

int reader_init(struct reader *reader, FILE *file) {
  *reader = (struct reader){.file = file};
  struct virtiofs_record_file *header = &reader->header;
  size_t got = get(reader, header, sizeof(*header));
  if (got < sizeof(header->magic) || memcmp(header->magic, VIRTIOFS_RECORD_MAGIC, sizeof(header->magic)) != 0)
    return fail(reader, ferror(file) ? "it cannot be read" : "it is no record");
  if (got < sizeof(*header))
    return fail(reader, "the file ends within its header");
  reader->swapped = header->order == bswap_32(VIRTIOFS_RECORD_ORDER);
  if (!reader->swapped && header->order != VIRTIOFS_RECORD_ORDER)
    return fail(reader, "its byte order is unknown");
  if (reader->swapped)
    swap_header(header);
  if (header->version != VIRTIOFS_RECORD_VERSION)
    return fail(reader, "it is of another version");
  if (header->size < sizeof(*header))
    return fail(reader, "its header is too short");
  return skip(reader, header->size - sizeof(*header));
}

void reader_fini(struct reader *reader) {
  free(reader->bytes);
  reader->bytes = NULL;
}

static int make_room(struct reader *reader, size_t size) {
  if (size <= reader->room)
    return 0;
  unsigned char *bytes = realloc(reader->bytes, size);
  if (bytes == NULL)
    return fail(reader, "there is not enough memory");
  reader->bytes = bytes;
  reader->room = size;
  return 0;
}

int reader_next(struct reader *reader, struct virtiofs_record *record, size_t *stored) {
  size_t got = get(reader, record, sizeof(*record));
  if (got == 0 && !ferror(reader->file))
    return 0;
  if (got < sizeof(*record))
    return fail(reader, ferror(reader->file) ? "it cannot be read" : "the file ends within a record");
  if (reader->swapped)
    swap_record(record);
  if (record->size < sizeof(*record) || record->size - sizeof(*record) > VIRTIOFS_RECORD_STORED_MAX)
    return fail(reader, "a record has an impossible size");
  *stored = record->size - sizeof(*record);
  if (*stored > record->len)
    return fail(reader, "a record holds more than its message had");
  if (make_room(reader, *stored) != 0)
    return -1;
  if (get(reader, reader->bytes, *stored) < *stored)
    return fail(reader, "the file ends within a record");
  return 1;
}
