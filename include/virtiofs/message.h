/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A message: one FUSE request with room for its reply.
 *
 * Everything in the library is a source of messages (a virtqueue) or a sink of them (a session). A source fills the
 * segments and the completion, hands the message on, and leaves it alone until @complete is called.
 *
 * Specification: virtio 1.3, 5.11.6.
 */
#ifndef VIRTIOFS_MESSAGE_H
#define VIRTIOFS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct virtiofs_message;

/**
 * virtiofs_message_complete_fn - the sink is done
 * @msg:  belongs to the source again
 * @used: bytes of the reply, counted from the first byte of @msg->out; 0 if there is none
 *
 * Threads: any; the source has to bring it to its own thread.
 */
typedef void virtiofs_message_complete_fn(struct virtiofs_message *msg, size_t used);

struct virtiofs_message {
  struct iovec *in;   /**< the request; the array is the sink's to change, the bytes are the guest's and may change */
  struct iovec *out;  /**< room for the reply; the array is the sink's to change and to put back before it completes;
                           its bytes are never read */
  uint32_t in_count;  /**< segments, none of them empty */
  uint32_t out_count; /**< segments, none of them empty */
  size_t in_len;      /**< bytes in @in */
  size_t out_len;     /**< bytes in @out */
  virtiofs_message_complete_fn *complete; /**< called exactly once by the sink */
  bool
      cut; /**< a part of it lies where there is no memory: @in or @out, or both, end before it. The answer is EFAULT */
};

/**
 * virtiofs_message_init - fill a message from segments
 * @msg:       all fields are set
 * @segments:  first the readable ones, then the writable ones; empty ones are dropped, so the array is rewritten
 * @in_count:  how many are readable
 * @out_count: how many are writable
 * @complete:  see above
 *
 * Lifetime: @segments is borrowed until @complete is called. Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_message_init(struct virtiofs_message *msg, struct iovec *segments, uint32_t in_count,
                                           uint32_t out_count, virtiofs_message_complete_fn *complete);

/**
 * virtiofs_message_complete - give a message back to its source
 * @msg:  not the sink's after the call
 * @used: bytes of the reply, at most @msg->out_len
 *
 * Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_message_complete(struct virtiofs_message *msg, size_t used);

#ifdef __cplusplus
}
#endif

#endif
