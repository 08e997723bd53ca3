/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/cred.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/passthrough/share.h"

enum { GO_BACK_TRIES = 1000 };

/* More than there are. */
#define UNKNOWN_CAPS UINT64_MAX

/* What Linux drops when the file system uid ceases to be 0, and takes back when it is 0 again (capabilities(7)). */
static const uint64_t file_caps = PASSTHROUGH_CAP(CAP_CHOWN) | PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) |
                                  PASSTHROUGH_CAP(CAP_DAC_READ_SEARCH) | PASSTHROUGH_CAP(CAP_FOWNER) |
                                  PASSTHROUGH_CAP(CAP_FSETID) | PASSTHROUGH_CAP(CAP_LINUX_IMMUTABLE) |
                                  PASSTHROUGH_CAP(CAP_MAC_OVERRIDE) | PASSTHROUGH_CAP(CAP_MKNOD);

/** What the calling thread is. */
struct identity {
  uint64_t share; /* the epoch of the share for which it was asked; 0: never */
  uid_t uid;      /* the server's */
  gid_t gid;
  uint64_t effective; /* the server's capabilities */
  uid_t uid_now;      /* those in effect */
  gid_t gid_now;
  uint64_t now;
  bool acting;    /* for somebody else than the server, or about to */
  bool no_groups; /* there are no supplementary groups */
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
};
static _Thread_local struct identity me;

/* By raw system calls: they change the calling thread alone, whatever the C library does. On 32-bit machines the old
 * numbers have 16-bit ids. -1 leaves an id as it is: the real and the saved ones, which are the way back. */
#ifdef SYS_setresuid32
enum {
  SET_UIDS = SYS_setresuid32,
  SET_GIDS = SYS_setresgid32,
  GET_UID = SYS_geteuid32,
  GET_GID = SYS_getegid32,
  GET_GROUPS = SYS_getgroups32,
  SET_GROUPS = SYS_setgroups32
};
#else
enum {
  SET_UIDS = SYS_setresuid,
  SET_GIDS = SYS_setresgid,
  GET_UID = SYS_geteuid,
  GET_GID = SYS_getegid,
  GET_GROUPS = SYS_getgroups,
  SET_GROUPS = SYS_setgroups
};
#endif

static bool become_uid(uid_t uid) {
  return syscall(SET_UIDS, (uid_t)-1, uid, (uid_t)-1) == 0;
}

static bool become_gid(gid_t gid) {
  return syscall(SET_GIDS, (gid_t)-1, gid, (gid_t)-1) == 0;
}

static int set_caps(uint64_t effective) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  me.caps[0].effective = (uint32_t)effective;
  me.caps[1].effective = (uint32_t)(effective >> 32);
  if (syscall(SYS_capset, &header, me.caps) != 0)
    return virtiofs_passthrough_error(errno);
  me.now = effective;
  return 0;
}

/* The ids in effect, then the capabilities: with the uid Linux changes these itself, in ways of its own, and may take
 * the right to change the gid. */
static bool be(uid_t uid, gid_t gid, uint64_t caps) {
  if (gid != me.gid_now) {
    if (!become_gid(gid))
      return false;
    me.gid_now = gid;
  }
  if (uid != me.uid_now) {
    if (!become_uid(uid))
      return false;
    me.uid_now = uid;
    me.now = UNKNOWN_CAPS;
  }
  return caps == me.now || set_caps(caps) == 0;
}

/* The kernel never refuses the way back to the process's own ids; what can fail is its memory, for a moment. */
static void go_back(void) {
  bool back = false;
  for (int i = 0; i < GO_BACK_TRIES && !back; i++)
    back = be(me.uid, me.gid, me.effective);
  if (!back)
    abort();
  me.acting = false;
}

/* Asks what the thread is, the first time. */
static int know_thread(const struct virtiofs_passthrough *fs) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  if (me.share == fs->epoch)
    return 0;
  /* It may serve another share too, and be what that one's last operation needed. */
  if (me.share != 0)
    go_back();
  if (syscall(SYS_capget, &header, me.caps) != 0)
    return virtiofs_passthrough_error(errno);
  me.effective = me.now = (uint64_t)me.caps[1].effective << 32 | me.caps[0].effective;
  me.uid = me.uid_now = (uid_t)syscall(GET_UID);
  me.gid = me.gid_now = (gid_t)syscall(GET_GID);
  me.no_groups = syscall(GET_GROUPS, 0, NULL) == 0;
  me.share = fs->epoch;
  return 0;
}

static bool drop_groups(void) {
  me.no_groups = me.no_groups || syscall(SET_GROUPS, 0, NULL) == 0;
  return me.no_groups;
}

static bool may_switch(void) {
  const uint64_t needed = PASSTHROUGH_CAP(CAP_SETUID) | PASSTHROUGH_CAP(CAP_SETGID);
  return (me.effective & needed) == needed;
}

int virtiofs_passthrough_cred_begin(const struct virtiofs_req *req, uint64_t keep) {
  struct virtiofs_caller caller;
  int rc = virtiofs_passthrough_cred_caller(req, &caller);
  return rc == 0 ? virtiofs_passthrough_cred_become(virtiofs_req_fs(req), caller, keep) : rc;
}

int virtiofs_passthrough_cred_caller(const struct virtiofs_req *req, struct virtiofs_caller *caller) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  *caller = virtiofs_req_caller(req);
  int rc = virtiofs_passthrough_idmap_to_host(fs->uids, caller->uid, &caller->uid);
  return rc == 0 ? virtiofs_passthrough_idmap_to_host(fs->gids, caller->gid, &caller->gid) : rc;
}

int virtiofs_passthrough_cred_become(const struct virtiofs_passthrough *fs, struct virtiofs_caller caller,
                                     uint64_t keep) {
  if (caller.uid == UINT32_MAX || caller.gid == UINT32_MAX)
    return -EIO; /* to the system calls -1 means "as before": the guest would act as the server */
  int rc = know_thread(fs);
  if (rc != 0)
    return rc;
  uint64_t caps = caller.uid == 0 ? me.effective : me.effective & (~file_caps | keep);
  bool differs = caller.uid != me.uid || caller.gid != me.gid || caps != me.effective;
  if (!differs || !may_switch()) {
    virtiofs_passthrough_cred_server();
    return virtiofs_passthrough_cred_fsetid(fs, true);
  }
  if (!drop_groups())
    return -EPERM;
  me.acting = true;
  if (be(caller.uid, caller.gid, caps))
    return 0;
  go_back();
  return -EPERM;
}

void virtiofs_passthrough_cred_end(const struct virtiofs_passthrough *fs) {
  if ((me.now & PASSTHROUGH_CAP(CAP_DAC_READ_SEARCH)) == 0)
    virtiofs_passthrough_cred_server();
  else
    virtiofs_passthrough_cred_any(fs);
}

void virtiofs_passthrough_cred_any(const struct virtiofs_passthrough *fs) {
  if (me.acting && !atomic_load_explicit(&fs->keeps_ids, memory_order_acquire))
    go_back();
}

void virtiofs_passthrough_cred_server(void) {
  if (me.acting)
    go_back();
}

int virtiofs_passthrough_cred_fsetid(const struct virtiofs_passthrough *fs, bool have) {
  int rc = know_thread(fs);
  uint64_t bit = me.effective & PASSTHROUGH_CAP(CAP_FSETID);
  uint64_t wanted = have ? me.now | bit : me.now & ~bit;
  if (rc == 0 && wanted != me.now)
    rc = set_caps(wanted);
  return have ? 0 : rc; /* without it bits are lost that might stay, and no harm is done */
}
