/* SPDX-License-Identifier: BSD-3-Clause */
/** Options about what a guest keeps to itself and what it may change: caches, locks, a share for reading. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_SHARING_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_SHARING_H

#include <argp.h>

#include <virtiofs/passthrough.h>

/** What they say; input of sharing_argp, which begins with the defaults. */
struct sharing {
  uint64_t valid_ns, timeout_ns; /* of names and attributes: by the cache's mode, */
  bool has_timeout;              /* or as it was said */
  enum virtiofs_passthrough_cache cache;
  bool writeback, allow_mmap, allow_direct_io;
  bool readdirplus, no_readdirplus; /* neither: as the cache has it */
  bool readonly, preserve_noatime;
  bool no_posix_lock, no_flock;
  uint32_t lock_waiters;
  bool crowded; /* a lock that is waited for is the one request that a queue may have */
};

extern const struct argp sharing_argp;

/** sharing_into - put it into the server's config. */
void sharing_into(const struct sharing *sharing, struct virtiofs_passthrough_config *config);

#endif
