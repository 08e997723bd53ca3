/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * File contents in the guest's memory: what READ fills, WRITE brings, and the values of attributes.
 *
 * A backend that keeps files in descriptors hands the segments to preadv(2) and pwritev(2), by a walk, which knows how
 * many of them a call takes and goes on where one has stopped:
 *
 *   struct virtiofs_data_walk walk;
 *   const struct iovec *iov;
 *   virtiofs_data_walk_start(&walk, &in->data, in->size);
 *   while (walk.left > 0) {
 *     int count = virtiofs_data_walk_next(&walk, &iov);
 *     ssize_t n = preadv(fd, iov, count, (off_t)(in->offset + walk.done));
 *     if (n < 0 && errno == EINTR)
 *       continue;
 *     if (n <= 0)
 *       break;
 *     virtiofs_data_walk_on(&walk, (size_t)n);
 *   }
 *   out->size = (uint32_t)walk.done;
 */
#ifndef VIRTIOFS_DATA_H
#define VIRTIOFS_DATA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * File contents that lie in guest memory: never copied by the library.
 *
 * The guest may change these bytes at any time, so two looks at them may differ. Whoever has to look twice calls
 * virtiofs_data_copy() first. Memory that is given for writing (READ) must not be read.
 */
struct virtiofs_data {
  const struct iovec *iov; /**< segments, for preadv(2) and pwritev(2); more than IOV_MAX (1024) are possible; of a READ
                                or WRITE never NULL */
  uint32_t count;          /**< segments; 0 if @size is 0 */
  size_t size;             /**< bytes in all segments */
};

/**
 * virtiofs_data_copy - copy bytes out of the guest's data once
 * @data:   of a WRITE
 * @offset: first byte, 0 .. @data->size
 * @buf:    private memory
 * @len:    bytes wanted
 *
 * Return: bytes copied, less than @len at the end of the data. Threads: any.
 */
VIRTIOFS_EXPORT size_t virtiofs_data_copy(const struct virtiofs_data *data, size_t offset, void *buf, size_t len);

/**
 * virtiofs_data_fill - copy bytes into the guest's data
 * @data:   of a READ
 * @offset: first byte, 0 .. @data->size
 * @buf:    private memory
 * @len:    bytes to write
 *
 * Return: bytes copied, less than @len where the data ends. Threads: any.
 */
VIRTIOFS_EXPORT size_t virtiofs_data_fill(const struct virtiofs_data *data, size_t offset, const void *buf, size_t len);

/**
 * The first so many bytes of a request's data, in order.
 *
 * Yours to place, on the stack as a rule; filled by virtiofs_data_walk_start(). @left and @done are there to be read,
 * the rest is the walk's own. Lifetime: that of the data.
 */
struct virtiofs_data_walk {
  const struct iovec *next, *end;
  size_t skip; /* bytes of the next segment that are done */
  struct iovec part;
  size_t left; /**< bytes to go; 0: it has ended */
  size_t done; /**< bytes that virtiofs_data_walk_on() was told of */
};

/**
 * virtiofs_data_walk_start - begin at the first byte
 * @walk: to be filled
 * @data: of a READ or WRITE
 * @size: bytes to go over; no more than there are in @data
 *
 * Threads: any, each with a walk of its own.
 */
VIRTIOFS_EXPORT void virtiofs_data_walk_start(struct virtiofs_data_walk *walk, const struct virtiofs_data *data,
                                              size_t size);

/**
 * virtiofs_data_walk_next - the segments for one system call
 * @walk: a walk
 * @iov:  set to the first of them; they live until the next call with this walk
 *
 * As many whole segments as a call takes, or one that is cut, where the last call stopped within it or the walk ends
 * within it. Nothing is taken: the next call gives the same until virtiofs_data_walk_on().
 *
 * Return: how many, 1 .. IOV_MAX, with at least one byte in all; 0 if the walk has ended, and @iov is left alone.
 */
VIRTIOFS_EXPORT int virtiofs_data_walk_next(struct virtiofs_data_walk *walk, const struct iovec **iov);

/**
 * virtiofs_data_walk_on - so many of them are done
 * @walk: a walk
 * @done: bytes, 0 .. @walk->left; more is taken for all that is left
 */
VIRTIOFS_EXPORT void virtiofs_data_walk_on(struct virtiofs_data_walk *walk, size_t done);

#ifdef __cplusplus
}
#endif

#endif
