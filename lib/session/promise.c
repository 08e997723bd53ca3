/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend has and promises, as the tables of INIT want to know it. */
#include "session/promise.h"

#include "fuse/init_flags.h"

#define TAG "session"
#define HAS(op, OPCODE) (ops->op != NULL ? UINT64_C(1) << VIRTIOFS_FUSE_##OPCODE : 0)

uint64_t virtiofs_session_operations(const struct virtiofs_ops *ops) {
  return HAS(lookup, LOOKUP) | HAS(forget, FORGET) | HAS(getattr, GETATTR) | HAS(setattr, SETATTR) |
         HAS(readlink, READLINK) | HAS(symlink, SYMLINK) | HAS(mknod, MKNOD) | HAS(mkdir, MKDIR) | HAS(unlink, UNLINK) |
         HAS(rmdir, RMDIR) | HAS(rename, RENAME) | HAS(rename, RENAME2) | HAS(link, LINK) | HAS(open, OPEN) |
         HAS(read, READ) | HAS(write, WRITE) | HAS(statfs, STATFS) | HAS(release, RELEASE) | HAS(fsync, FSYNC) |
         HAS(flush, FLUSH) | HAS(opendir, OPENDIR) | HAS(readdir, READDIR) | HAS(readdirplus, READDIRPLUS) |
         HAS(releasedir, RELEASEDIR) | HAS(fsyncdir, FSYNCDIR) | HAS(create, CREATE) | HAS(fallocate, FALLOCATE) |
         HAS(lseek, LSEEK) | HAS(setxattr, SETXATTR) | HAS(getxattr, GETXATTR) | HAS(listxattr, LISTXATTR) |
         HAS(removexattr, REMOVEXATTR) | HAS(access, ACCESS) | HAS(getlk, GETLK) | HAS(setlk, SETLK) |
         HAS(setlkw, SETLKW) | HAS(bmap, BMAP) | HAS(ioctl, IOCTL) | HAS(poll, POLL) |
         HAS(copy_file_range, COPY_FILE_RANGE) | HAS(copy_file_range, COPY_FILE_RANGE_64) | HAS(syncfs, SYNCFS) |
         HAS(tmpfile, TMPFILE) | HAS(statx, STATX);
}

#define BIT(OPCODE) (UINT64_C(1) << VIRTIOFS_FUSE_##OPCODE)

uint64_t virtiofs_session_without(uint64_t without, uint64_t *bad) {
  /* The session itself looks whether these are there. */
  *bad = without & (BIT(LOOKUP) | BIT(FORGET) | BIT(OPEN) | BIT(RELEASE) | BIT(OPENDIR) | BIT(RELEASEDIR));
  if ((without & BIT(RENAME)) != 0)
    without |= BIT(RENAME2);
  if ((without & BIT(COPY_FILE_RANGE)) != 0)
    without |= BIT(COPY_FILE_RANGE_64);
  if ((without & BIT(SETUPMAPPING)) != 0)
    without |= BIT(REMOVEMAPPING);
  return without;
}

bool virtiofs_session_can_promise(const struct virtiofs_log *log, uint64_t operations, uint64_t semantics) {
  uint64_t unfit = virtiofs_fuse_init_unfit(operations, semantics);
  if (unfit == 0)
    return true;
  unsigned bit = 0;
  while (unfit >> bit != 1)
    bit++;
  virtiofs_log_write(
      log, VIRTIOFS_LOG_ERROR, TAG,
      "the backend promises %s (bit %u of semantics) without what that needs, or against another promise",
      virtiofs_fuse_init_flag_name(bit), bit);
  return false;
}
