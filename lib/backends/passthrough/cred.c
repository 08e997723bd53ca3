/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/cred.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GO_BACK_TRIES = 1000 };

/* What Linux drops when the file system uid ceases to be 0, and takes back when it is 0 again (capabilities(7)). */
static const uint64_t file_caps = PASSTHROUGH_CAP(CAP_CHOWN) | PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) |
                                  PASSTHROUGH_CAP(CAP_DAC_READ_SEARCH) | PASSTHROUGH_CAP(CAP_FOWNER) |
                                  PASSTHROUGH_CAP(CAP_FSETID) | PASSTHROUGH_CAP(CAP_LINUX_IMMUTABLE) |
                                  PASSTHROUGH_CAP(CAP_MAC_OVERRIDE) | PASSTHROUGH_CAP(CAP_MKNOD);

/* By raw system calls: they change the calling thread alone, whatever the C library does. They tell no error, only the
 * id before; -1 is no id and so only asks. On 32-bit machines the old numbers have 16-bit ids. */
static uid_t set_fsuid(uid_t uid) {
#ifdef SYS_setfsuid32
  return (uid_t)syscall(SYS_setfsuid32, uid);
#else
  return (uid_t)syscall(SYS_setfsuid, uid);
#endif
}

static gid_t set_fsgid(gid_t gid) {
#ifdef SYS_setfsgid32
  return (gid_t)syscall(SYS_setfsgid32, gid);
#else
  return (gid_t)syscall(SYS_setfsgid, gid);
#endif
}

static bool become_uid(uid_t uid) {
  set_fsuid(uid);
  return set_fsuid((uid_t)-1) == uid;
}

static bool become_gid(gid_t gid) {
  set_fsgid(gid);
  return set_fsgid((gid_t)-1) == gid;
}

static bool drop_groups(void) {
#ifdef SYS_setgroups32
  return syscall(SYS_getgroups32, 0, NULL) == 0 || syscall(SYS_setgroups32, 0, NULL) == 0;
#else
  return syscall(SYS_getgroups, 0, NULL) == 0 || syscall(SYS_setgroups, 0, NULL) == 0;
#endif
}

static int caps_get(struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3]) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  return syscall(SYS_capget, &header, caps) == 0 ? 0 : -errno;
}

static int caps_set(const struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3]) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  return syscall(SYS_capset, &header, caps) == 0 ? 0 : -errno;
}

static uint64_t effective(const struct cred *cred) {
  return (uint64_t)cred->caps[1].effective << 32 | cred->caps[0].effective;
}

static int keep_caps(const struct cred *cred, uint64_t keep) {
  uint64_t wanted = effective(cred) & (~file_caps | keep);
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
  memcpy(caps, cred->caps, sizeof caps);
  caps[0].effective = (uint32_t)wanted;
  caps[1].effective = (uint32_t)(wanted >> 32);
  return caps_set(caps);
}

static bool may_switch(const struct cred *cred) {
  const uint64_t needed = PASSTHROUGH_CAP(CAP_SETUID) | PASSTHROUGH_CAP(CAP_SETGID);
  return (effective(cred) & needed) == needed;
}

int virtiofs_passthrough_cred_begin(struct cred *cred, const struct virtiofs_req *req, uint64_t keep) {
  return virtiofs_passthrough_cred_become(cred, virtiofs_req_caller(req), keep);
}

int virtiofs_passthrough_cred_become(struct cred *cred, struct virtiofs_caller caller, uint64_t keep) {
  if (caller.uid == UINT32_MAX || caller.gid == UINT32_MAX)
    return -EIO; /* to the system calls -1 means "as before": the guest would act as the server */
  *cred = (struct cred){.uid = set_fsuid((uid_t)-1), .gid = set_fsgid((gid_t)-1)};
  if (caller.uid == cred->uid && caller.gid == cred->gid)
    return 0;
  int rc = caps_get(cred->caps);
  if (rc != 0 || !may_switch(cred))
    return rc;
  if (!drop_groups())
    return -EPERM;
  cred->gid_switched = caller.gid != cred->gid;
  cred->uid_switched = caller.uid != cred->uid;
  bool done = !cred->gid_switched || become_gid(caller.gid);
  if (done && cred->uid_switched)
    done = become_uid(caller.uid) && (caller.uid == 0 || keep_caps(cred, keep) == 0);
  if (done)
    return 0;
  virtiofs_passthrough_cred_end(cred);
  return -EPERM;
}

/* The kernel never refuses the way back to the process's own ids; what can fail is its memory, for a moment. */
void virtiofs_passthrough_cred_end(const struct cred *cred) {
  bool back = false;
  for (int i = 0; i < GO_BACK_TRIES && !back; i++) {
    back = (!cred->uid_switched || become_uid(cred->uid)) && (!cred->gid_switched || become_gid(cred->gid)) &&
           (!cred->uid_switched || caps_set(cred->caps) == 0);
  }
  if (!back)
    abort();
}
