/* SPDX-License-Identifier: BSD-3-Clause */
/** The maps of ids of a user namespace. */
#ifndef VIRTIOFS_LIB_DAEMON_IDMAPS_H
#define VIRTIOFS_LIB_DAEMON_IDMAPS_H

#include <stdbool.h>
#include <sys/types.h>

#include <virtiofs/sandbox.h>

/** Users or groups. */
struct virtiofs_sandbox_idmap {
  const char *file, *program; /* of /proc/PID, and who writes it for those who may not */
  const struct virtiofs_sandbox_ids *ids;
  size_t count;
  struct virtiofs_sandbox_ids fallback;
  uint32_t own;
  bool may; /* map what it likes */
};

struct virtiofs_sandbox_idmaps {
  struct virtiofs_sandbox_idmap users, groups;
};

/* Has the calling thread this capability? */
bool virtiofs_sandbox_has_cap(int number);

/**
 * From what is asked for, for the calling process; to stay where it is, as it may point into itself. 0; -EINVAL after a
 * line in the log.
 */
int virtiofs_sandbox_idmaps_init(struct virtiofs_sandbox_idmaps *maps,
                                 const struct virtiofs_sandbox_userns_config *config);

/* From outside: for process @pid, which is in a new user namespace of ours. 0 or an errno. */
int virtiofs_sandbox_idmaps_write(const struct virtiofs_sandbox_idmaps *maps, pid_t pid);

/* What became of it, in the log. @rc: 0 or -errno, which is returned. */
int virtiofs_sandbox_idmaps_written(int rc, const struct virtiofs_log *log);

/* From inside, once they are written: be its root, if there is one. 0; -errno after a line in the log. */
int virtiofs_sandbox_become_root(const struct virtiofs_sandbox_idmaps *maps, const struct virtiofs_log *log);

#endif
