/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What --record writes: the messages of a device as they were, with time and direction.
 *
 * A record file is one struct virtiofs_record_file, then any number of records; each is a struct virtiofs_record and
 * the bytes of the message that were stored. All numbers are in the byte order of the machine that wrote the file,
 * which
 * @order tells. The messages are in the driver's byte order, which INIT tells. The file ends where it ends: the last
 * record may be cut off if the server was killed. docs/record-format.md says more; virtiofs-trace(1) reads it.
 *
 * Types alone: nothing here is a function.
 */
#ifndef VIRTIOFS_RECORD_H
#define VIRTIOFS_RECORD_H

#include <stdint.h>

/** The first 8 bytes of a file. */
#define VIRTIOFS_RECORD_MAGIC "vfsrec\r\n"
/** What @order holds, for a reader of the same byte order. */
#define VIRTIOFS_RECORD_ORDER 0x01020304U
/** What this header describes. A reader refuses a greater one. */
#define VIRTIOFS_RECORD_VERSION 1U
/** Most bytes of a message that are stored. */
#define VIRTIOFS_RECORD_STORED_MAX (UINT32_C(1) << 21)

/** The beginning of a file. */
struct virtiofs_record_file {
  uint8_t magic[8];      /**< VIRTIOFS_RECORD_MAGIC without its NUL */
  uint32_t order;        /**< VIRTIOFS_RECORD_ORDER */
  uint16_t version;      /**< VIRTIOFS_RECORD_VERSION */
  uint16_t size;         /**< bytes of this header; records begin there, so a reader skips what it doesn't know */
  uint64_t wall_ns;      /**< CLOCK_REALTIME at the begin of the recording, ns since 1970 */
  uint64_t monotonic_ns; /**< CLOCK_MONOTONIC at that time */
  uint64_t data_max;     /**< of a file's contents in a WRITE or a READ's reply so many bytes are stored */
};

enum virtiofs_record_kind {
  VIRTIOFS_RECORD_REQUEST = 1,
  VIRTIOFS_RECORD_REPLY = 2,
  VIRTIOFS_RECORD_NOTIFICATION = 3,
};

/** One message. Readers skip kinds that they don't know. */
struct virtiofs_record {
  uint32_t size;    /**< bytes of this record: this struct and the stored bytes behind it */
  uint16_t kind;    /**< enum virtiofs_record_kind */
  uint16_t queue;   /**< 0: the high-priority queue; 1 ..: request queues */
  uint64_t time_ns; /**< CLOCK_MONOTONIC since the begin of the recording; may go back a little from queue to queue */
  uint64_t number;  /**< from 1; a reply has that of its request, which no other request of the file has; else 0 */
  uint64_t len;     /**< bytes that the message had; 0 in a reply: the request was given back without one */
  uint64_t room;    /**< request: bytes that the driver left for the reply; else 0 */
};

#endif
