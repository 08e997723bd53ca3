/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Acting on the host as the guest's user, so that what is made belongs to him from its first moment.
 *
 * Only the effective ids and capabilities of the calling thread change, and only if the process may and they differ.
 * The guest's kernel has checked permissions already, with groups of the user that the host doesn't know. So the
 * thread keeps the capabilities that a call needs to not be refused what the guest has allowed; CAP_FSETID is never
 * kept, so set-group-id is inherited and dropped by the host's own rules.
 *
 * Where the threads are the device's own (keep_ids) one stays whoever it was last. Who comes next and is the same, or
 * for whose operation it doesn't count, changes nothing:
 *   - what makes something begins with virtiofs_passthrough_cred_begin();
 *   - what only needs to get at files, on which CAP_DAC_READ_SEARCH is enough, or has them open already, begins with
 *     virtiofs_passthrough_cred_any();
 *   - all else is the server's, and virtiofs_passthrough_fd_borrow() sees to that, or
 * virtiofs_passthrough_cred_server(). What a thread may lack as the server is CAP_FSETID alone, since a file's writers
 * drop and want it in long rows and all that its lack can do is to take away a set-user-id bit too many. So each
 * operation for which it counts says by virtiofs_passthrough_cred_fsetid() what it needs.
 *
 * Supplementary groups of the server would make the guest's user a member of them (CVE-2022-0358): a thread that
 * has any loses them for good when it first acts for somebody else.
 *
 * What a thread is, is asked once for each share that it serves; after that nobody else may change it.
 *
 * A process that may not switch makes files in its own name.
 */
#ifndef VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CRED_H
#define VIRTIOFS_LIB_BACKENDS_PASSTHROUGH_CRED_H

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/types.h>

#include <virtiofs/request.h>

struct virtiofs_passthrough;

/** Capabilities as virtiofs_passthrough_cred_begin() takes them. */
#define PASSTHROUGH_CAP(number) (UINT64_C(1) << (number))

/** To make something where the guest says that its user may. */
#define PASSTHROUGH_KEEP_TO_MAKE (PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) | PASSTHROUGH_CAP(CAP_DAC_READ_SEARCH))

/**
 * virtiofs_passthrough_cred_begin - become the request's caller
 * @keep: PASSTHROUGH_CAP() bits to keep if the server has them; all others that concern files are dropped for the time,
 *        unless the caller is root
 *
 * If 0 is returned virtiofs_passthrough_cred_end() must follow on the same thread. Return: 0; -EIO if the guest names
 * nobody; -EPERM if the host refuses the id, or a rule forbids it.
 */
int virtiofs_passthrough_cred_begin(const struct virtiofs_req *req, uint64_t keep);

/** virtiofs_passthrough_cred_caller - who that is on the host. Return: 0; -EPERM if the guest's id is forbidden. */
int virtiofs_passthrough_cred_caller(const struct virtiofs_req *req, struct virtiofs_caller *caller);

/** virtiofs_passthrough_cred_become - the same for an identity that is not quite the caller's. */
int virtiofs_passthrough_cred_become(const struct virtiofs_passthrough *fs, struct virtiofs_caller caller,
                                     uint64_t keep);

/**
 * virtiofs_passthrough_cred_end - what only the caller was to do is done
 *
 * The thread is the server again, or, if it can do anyone's part so, stays the caller. If it can't go back the process
 * ends, as it must not serve on so.
 */
void virtiofs_passthrough_cred_end(const struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_cred_any - what comes next is for whomever the thread is; unless ids aren't to be kept here. */
void virtiofs_passthrough_cred_any(const struct virtiofs_passthrough *fs);

/** virtiofs_passthrough_cred_server - be the server. Cost: nothing if the thread is. */
void virtiofs_passthrough_cred_server(void);

/**
 * virtiofs_passthrough_cred_fsetid - is what the thread does next to take away set-user-id and set-group-id?
 * @have: false: writing, truncating and the like takes them away as for an ordinary user; true: they stay, as for root,
 *        and may be set whatever the group; if the server has CAP_FSETID at all
 *
 * Cost: nothing unless the last call on this thread said otherwise. Return: 0; -errno if it can't be dropped.
 */
int virtiofs_passthrough_cred_fsetid(const struct virtiofs_passthrough *fs, bool have);

#endif
