/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The front-end's end of a DAX window behind a vhost-user socket, for VMMs: carries out what the back-end asks for.
 *
 * What a front-end does around it:
 *   1. acknowledges SHMEM, BACKEND_REQ, BACKEND_SEND_FD and REPLY_ACK (vhost_user.h);
 *   2. sends one end of a socketpair(2), a stream, by SET_BACKEND_REQ_FD, and keeps the other for here;
 *   3. asks GET_SHMEM_CONFIG: the first size is the window's; 0: there is none. It reserves that much of its own
 * address space (host_window.h), and shows it to the guest as shared memory region 0 of the device;
 *   4. calls virtiofs_shmem_process() whenever the socket is readable, also while it waits for a reply on the other
 * one: a back-end may answer a message only when what it has asked for is done;
 *   5. calls virtiofs_shmem_clear() when the device is reset: a driver that begins finds an empty window.
 *
 * The back-end is not trusted. What it names must lie in the window, must not overlap what is mapped, and is unmapped
 * as it was mapped; there is one descriptor with a request to map, and none otherwise; flags and numbers are known
 * ones. Otherwise the request is refused, and nothing has changed. A request may come in pieces, and nothing here ever
 * blocks. What is mapped stays the back-end's to change or to cut: who reads it by himself minds that (host_window.h).
 *
 * Specification: vhost-user, "Back-end message types": SHMEM_MAP, SHMEM_UNMAP.
 */
#ifndef VIRTIOFS_SHMEM_H
#define VIRTIOFS_SHMEM_H

#include <virtiofs/host_window.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A channel and what was mapped by it. Opaque; one thread at a time. */
struct virtiofs_shmem;

/** How it is made. Zero means default. */
struct virtiofs_shmem_config {
  size_t size; /**< sizeof(struct virtiofs_shmem_config) */
  /** Where files are mapped; required; borrowed until virtiofs_shmem_free(); nothing is mapped there yet, and nobody
   * else maps anything. */
  struct virtiofs_host_window *window;
  int take_fd;           /**< our end of the channel: a UNIX stream socket; closed also if virtiofs_shmem_new() fails */
  uint32_t max_mappings; /**< up to 2^20; 0: 65,536; beyond: refused. The kernel allows a process 65,530 */
};

/**
 * virtiofs_shmem_new - serve a back-end
 * @out:    NULL after an error
 * @config: copied
 *
 * Return: 0; -EINVAL if something is missing or out of range; -E2BIG for a config of a newer library, whose descriptor
 * is the caller's still; -ENOMEM. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_shmem_new(struct virtiofs_shmem **out,
                                                         const struct virtiofs_shmem_config *config);

/** virtiofs_shmem_free - close the channel and unmap what was mapped by it; NULL is fine. */
VIRTIOFS_EXPORT void virtiofs_shmem_free(struct virtiofs_shmem *shmem);

/** virtiofs_shmem_fd - the channel, for poll(2): POLLIN. Lifetime: until _free(); don't read or close it. */
VIRTIOFS_EXPORT int virtiofs_shmem_fd(const struct virtiofs_shmem *shmem);

/**
 * virtiofs_shmem_process - carry out one request, if there is one, and answer it
 *
 * A back-end can ask without end: call it a bounded number of times before looking at other things.
 *
 * Return: 1: one was carried out or refused; 0: there is none now; -ECONNRESET: the back-end is gone, or doesn't hear
 * what it is told; -EPROTO: what came is no request, and the next one can't be found; another -errno of the socket's.
 * After an error the channel is of no use; what is mapped stays, for the guest's sake, until _clear() or _free().
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_shmem_process(struct virtiofs_shmem *shmem);

/**
 * virtiofs_shmem_clear - unmap all, as the device is reset; virtio 1.3, 2.10.2
 *
 * Requests that the back-end sent before and that weren't looked at yet are served afterwards: it undoes them by
 * itself.
 *
 * Return: 0; -ENOMEM: all is mapped as it was.
 */
VIRTIOFS_EXPORT int virtiofs_shmem_clear(struct virtiofs_shmem *shmem);

/** virtiofs_shmem_count - how many mappings there are. */
VIRTIOFS_EXPORT uint32_t virtiofs_shmem_count(const struct virtiofs_shmem *shmem);

#ifdef __cplusplus
}
#endif

#endif
