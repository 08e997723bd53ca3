/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A DAX window in this process's memory: for VMMs, which give it to their guest, and for drivers without one.
 *
 * It is a reservation of address space that can't be accessed, over which files are mapped, and which comes back where
 * they are unmapped. Nobody need touch it to serve it. Whoever does, a VMM's guest included, gets SIGBUS for pages past
 * the end of a mapped file, which anybody may truncate at any time, and SIGSEGV where nothing is mapped: KVM hands both
 * to the VMM as a failed access; a program that reads by itself needs a handler, or to know its files.
 *
 * Specification: virtio 1.3, 2.10, 5.11.6.4; vhost-user, "Shared memory regions".
 */
#ifndef VIRTIOFS_HOST_WINDOW_H
#define VIRTIOFS_HOST_WINDOW_H

#include <virtiofs/dax.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A window. Opaque. */
struct virtiofs_host_window;

/**
 * virtiofs_host_window_new - reserve address space
 * @out: NULL after an error
 * @len: bytes, > 0, a multiple of the page
 *
 * Return: 0; -EINVAL; -ENOMEM. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_host_window_new(struct virtiofs_host_window **out, uint64_t len);

/** virtiofs_host_window_free - unmap everything and give the space back; NULL is fine. */
VIRTIOFS_EXPORT void virtiofs_host_window_free(struct virtiofs_host_window *window);

/** virtiofs_host_window_addr - its first byte. Lifetime: the window's. Threads: any. */
VIRTIOFS_EXPORT void *virtiofs_host_window_addr(const struct virtiofs_host_window *window);

/** virtiofs_host_window_len - in bytes. Threads: any. */
VIRTIOFS_EXPORT uint64_t virtiofs_host_window_len(const struct virtiofs_host_window *window);

/**
 * virtiofs_host_window_step - carry a step out by mmap(2) and mremap(2), at once
 * @window: a struct virtiofs_host_window; has this type to be the step of a struct virtiofs_dax_mapper that cuts
 * @step:   on pages of this host; its descriptor stays the caller's and isn't needed afterwards
 *
 * The file may be anybody's, of any kind. There is no moment in which the range is nobody's.
 *
 * Return: 0; -EINVAL outside of the window, or off pages, which in a file of huge pages are those; what mmap(2) and
 * mremap(2) say, and then nothing has changed, but that a host short of memory may leave nothing mapped there. Threads:
 * one at a time.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_host_window_step(void *window, const struct virtiofs_dax_step *step);

#ifdef __cplusplus
}
#endif

#endif
