/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a server's process can do to itself so that it can do less. In libvirtiofs-daemon.
 */
#ifndef VIRTIOFS_SANDBOX_H
#define VIRTIOFS_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include <virtiofs/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/** So many ids, one after the other. */
struct virtiofs_sandbox_ids {
  uint32_t inside;  /**< the first as the process sees it in its user namespace */
  uint32_t outside; /**< the same outside */
  uint32_t count;   /**< at least 1 */
};

/** Most ranges of users, or of groups: what Linux takes. */
#define VIRTIOFS_SANDBOX_IDS_MAX 340U

/** A user namespace. */
struct virtiofs_sandbox_userns_config {
  size_t size;                              /**< sizeof(struct virtiofs_sandbox_userns_config) */
  const struct virtiofs_sandbox_ids *users; /**< borrowed during the call; NULL: see virtiofs_sandbox_userns() */
  size_t user_count;                        /**< 0 .. VIRTIOFS_SANDBOX_IDS_MAX */
  const struct virtiofs_sandbox_ids *groups;
  size_t group_count;
  struct virtiofs_log log; /**< what goes wrong */
};

/**
 * virtiofs_sandbox_userns - go on in a user namespace of one's own
 *
 * There the process has all capabilities, over files of those ids alone that are mapped. It becomes user 0 and group 0,
 * if those are. Where nothing is said of users, or of groups, all are themselves if the process may map them
 * (CAP_SETUID, CAP_SETGID), or else its own is 0. A process that may not map others has newuidmap(1) and newgidmap(1)
 * do it, by /etc/subuid and /etc/subgid.
 *
 * Descriptors that are open stay so. What can only be done outside (make a socket in /run, mount) comes before.
 *
 * Return: 0; -EINVAL for a broken @config, ids that overlap, or if neither 0 nor the process's own id would be there;
 * -E2BIG for a config of a newer library; -EPERM, -ENOSPC, -EUSERS if the host refuses; -ENOENT without newuidmap.
 * After an error the process may be in the namespace already, and has to end. The log says why. Threads: the process's
 * only one.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_sandbox_userns(const struct virtiofs_sandbox_userns_config *config);

#ifdef __cplusplus
}
#endif

#endif
