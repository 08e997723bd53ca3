/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Acting on the host as the guest's user, so that what is made belongs to him from its first moment.
 *
 * Only the file system ids of the calling thread change, and only if the process may and they differ. The guest's
 * kernel has checked permissions already, with groups of the user that the host doesn't know. So the thread keeps the
 * capabilities that a call needs to not be refused what the guest has allowed; CAP_FSETID is never kept, so
 * set-group-id is inherited and dropped by the host's own rules.
 *
 * Supplementary groups of the server would make the guest's user a member of them (CVE-2022-0358): a thread that
 * has any loses them for good when it first acts for somebody else.
 *
 * A process that may not switch makes files in its own name.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CRED_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CRED_H

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/types.h>

#include <virtiofs/request.h>

/** Capabilities as virtiofs_passthrough_cred_begin() takes them. */
#define PASSTHROUGH_CAP(number) (UINT64_C(1) << (number))

/** A thread's identity before the switch. */
struct cred {
  bool uid_switched, gid_switched;
  uid_t uid;
  gid_t gid;
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
};

/**
 * virtiofs_passthrough_cred_begin - become the request's caller
 * @cred: filled, for virtiofs_passthrough_cred_end(), which must follow on the same thread if 0 was returned
 * @keep: PASSTHROUGH_CAP() bits to keep if the server has them; all others that concern files are dropped for the time,
 *        unless the caller is root
 *
 * Return: 0; -EIO if the guest names nobody; -EPERM if the host refuses the id.
 */
int virtiofs_passthrough_cred_begin(struct cred *cred, const struct virtiofs_req *req, uint64_t keep);

/** virtiofs_passthrough_cred_become - the same for an identity that is not quite the caller's. */
int virtiofs_passthrough_cred_become(struct cred *cred, struct virtiofs_caller caller, uint64_t keep);

/** virtiofs_passthrough_cred_end - be the server again. If that fails the process ends, as it must not serve on so. */
void virtiofs_passthrough_cred_end(const struct cred *cred);

#endif
