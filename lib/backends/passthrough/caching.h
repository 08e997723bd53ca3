/* SPDX-License-Identifier: BSD-3-Clause */
/** What a guest may keep of a file, and what it takes on the host. */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CACHING_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CACHING_H

#include <sys/uio.h>

#include <virtiofs/passthrough.h>
#include <virtiofs/request.h>

/** As the config has it. */
struct caching {
  enum virtiofs_passthrough_cache contents;
  bool writeback, mmap, direct_io, no_readdirplus;
};

/** virtiofs_passthrough_caching_init - what is promised to a guest, and what it does without. */
void virtiofs_passthrough_caching_init(const struct caching *caching, struct virtiofs_init_out *out);

/** virtiofs_passthrough_keep_dir - the flags of a reply to OPENDIR. */
uint32_t virtiofs_passthrough_keep_dir(const struct caching *caching);

/**
 * virtiofs_passthrough_to_make - how a new file is to be opened, for what the guest's kernel needs of it
 * @flags: for the host, as the guest's user wants them
 *
 * A new file may be opened in any way, whatever its mode will be; once it is there its mode may forbid it to a server
 * that isn't root.
 */
int virtiofs_passthrough_to_make(const struct virtiofs_req *req, int flags);

/**
 * virtiofs_passthrough_opened - make of a file that was opened as the guest's user wanted what the guest's kernel needs
 * @file:  taken; or a negative error, which is returned
 * @flags: as the guest gave them
 * @keep:  set to the flags of the reply
 *
 * Where the guest writes back its cache, it reads too from a file that is open for writing only. O_DIRECT is the host's
 * if the config allows it.
 *
 * Return: @file or another one in its place; -errno, then it is closed.
 */
int virtiofs_passthrough_opened(struct virtiofs_req *req, int file, uint32_t flags, uint32_t *keep);

/** virtiofs_passthrough_appends - does a WRITE of an open file with O_APPEND go to the end as the host knows it? */
bool virtiofs_passthrough_appends(const struct virtiofs_req *req, const struct virtiofs_write_in *in);

/**
 * virtiofs_passthrough_preadv, _pwritev - preadv(2) and pwritev2(2)
 *
 * What a file with O_DIRECT can't do for how the guest's memory or the range lies, it does through the host's cache: a
 * guest's kernel asks for what its programs don't.
 */
ssize_t virtiofs_passthrough_preadv(struct virtiofs_req *req, int file, const struct iovec *iov, int count,
                                    uint64_t offset);
ssize_t virtiofs_passthrough_pwritev(struct virtiofs_req *req, int file, const struct iovec *iov, int count,
                                     uint64_t offset, int flags);

#endif
