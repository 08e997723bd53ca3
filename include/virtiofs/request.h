/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What an operation may ask about the request it serves, and how it answers later.
 *
 * Lifetime: a `struct virtiofs_req` is valid from the call of the operation until the operation has returned something
 * other than VIRTIOFS_PENDING, or virtiofs_req_complete() has been called.
 */
#ifndef VIRTIOFS_REQUEST_H
#define VIRTIOFS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One request of a guest. Opaque. */
struct virtiofs_req;

/** What an operation returns when it will answer by virtiofs_req_complete(). */
#define VIRTIOFS_PENDING 1

/** Who asks, as the guest says: good for ownership of what is created, never a reason to trust. */
struct virtiofs_caller {
  uint32_t uid, gid; /**< UINT32_MAX: the guest names nobody; never pass that to setuid(2) and its like */
  uint32_t pid;      /**< in the guest; 0 when unknown */
};

/**
 * virtiofs_req_fs - the pointer that was given beside the operations
 *
 * Threads: any.
 */
VIRTIOFS_EXPORT void *virtiofs_req_fs(const struct virtiofs_req *req);

/**
 * virtiofs_req_caller - who asks
 *
 * Return: for forget, release and releasedir all fields are 0, since Linux sends nothing of meaning there.
 * Threads: any.
 */
VIRTIOFS_EXPORT struct virtiofs_caller virtiofs_req_caller(const struct virtiofs_req *req);

/**
 * virtiofs_req_semantics - which of the backend's promises hold for this mount
 *
 * Return: those VIRTIOFS_SEMANTICS_... (backend.h) that the backend has made and the guest's driver has agreed to; 0 in
 * init itself. Threads: any.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_req_semantics(const struct virtiofs_req *req);

/**
 * virtiofs_req_session - which guest asks
 *
 * For backends that several devices serve at once and that keep something for each guest: what two of them call by the
 * same number (a lock's owner) is not the same.
 *
 * Return: only to be compared: the same for all requests of one device. Threads: any.
 */
VIRTIOFS_EXPORT const void *virtiofs_req_session(const struct virtiofs_req *req);

/**
 * virtiofs_req_complete - answer a request whose operation returned VIRTIOFS_PENDING
 * @req: not valid after the call
 * @rc:  0, then the operation's `out` is the reply; or -errno
 *
 * Called exactly once for each VIRTIOFS_PENDING, possibly before the operation has returned it.
 *
 * Threads: any. Cost: encodes the reply and hands it to the queue's worker; no system call but a wake-up.
 */
VIRTIOFS_EXPORT void virtiofs_req_complete(struct virtiofs_req *req, int rc);

/**
 * virtiofs_req_cancel_fn - the answer is not wanted any more
 *
 * Called at most once. The backend completes the request soon, with -EINTR or with a result. When it does not, a
 * request that holds no guest memory is answered EINTR in its place after the drain's deadline and the late completion
 * is ignored; a READ or WRITE is waited for, since it may still touch the guest's memory.
 *
 * Threads: the thread that cancels; may run at the same time as virtiofs_req_complete() in another, but never after
 * that has returned. It may call virtiofs_req_complete() itself.
 */
typedef void virtiofs_req_cancel_fn(struct virtiofs_req *req);

/**
 * virtiofs_req_on_cancel - be told to give up
 * @req: called from within the operation, before it returns VIRTIOFS_PENDING
 * @fn:  NULL: not told
 *
 * It fires when the guest interrupts the request or releases the open file that it is about, a queue is drained, the
 * guest starts a new session or the device goes away. If the request was cancelled already, @fn is called at once.
 *
 * Threads: the operation's.
 */
VIRTIOFS_EXPORT void virtiofs_req_on_cancel(struct virtiofs_req *req, virtiofs_req_cancel_fn *fn);

/**
 * virtiofs_req_interrupted - has the guest's program been interrupted?
 *
 * For on_cancel functions: Linux takes EINTR for an answer to a signal. Where there was none, as the device is drained,
 * a program sees error 512 in its place from requests about locks, so another error is better there.
 *
 * Return: false if it was cancelled for another reason. Threads: the one that on_cancel is called in, within it.
 */
VIRTIOFS_EXPORT bool virtiofs_req_interrupted(const struct virtiofs_req *req);

/**
 * virtiofs_req_set_data - keep a pointer with the request, for an on_cancel function
 * virtiofs_req_data - get it back; NULL at first
 *
 * Threads: any, not both at once.
 */
VIRTIOFS_EXPORT void virtiofs_req_set_data(struct virtiofs_req *req, void *data);
VIRTIOFS_EXPORT void *virtiofs_req_data(const struct virtiofs_req *req);

#ifdef __cplusplus
}
#endif

#endif
