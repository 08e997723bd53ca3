/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/passthrough.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "backends/passthrough/guard.h"
#include "backends/passthrough/label.h"
#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

enum {
  FD_RESERVE = 256, /* for the program itself, and for what one operation on each thread opens for its own time */
  FD_MAX = 1 << 20,
  CACHED_FDS = 16384, /* if not told, and no more than one in CACHED_SHARE of what guests may hold */
  CACHED_SHARE = 4,
  IDLE_MS = 5000,
};

/* A config of another release may be shorter or longer than ours; what we don't know must not be asked for. */
static int read_config(struct virtiofs_passthrough_config *to, const struct virtiofs_passthrough_config *from) {
  memset(to, 0, sizeof *to);
  if (from == NULL || from->size < sizeof from->size)
    return -EINVAL;
  for (size_t i = sizeof *to; i < from->size; i++) {
    if (((const unsigned char *)from)[i] != 0)
      return -E2BIG;
  }
  memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
  bool known = (unsigned)to->cache <= VIRTIOFS_PASSTHROUGH_CACHE_METADATA &&
               (unsigned)to->security_label <= VIRTIOFS_PASSTHROUGH_ALWAYS &&
               (unsigned)to->inode_file_handles <= VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY &&
               (unsigned)to->dax <= VIRTIOFS_PASSTHROUGH_DAX_INODE && to->max_locks <= LOCK_MAX_MOST;
  if (to->shared_dir == NULL && to->shared_fd != 0)
    to->shared_dir = "the directory";
  return to->shared_dir == NULL || to->shared_fd < 0 || !known ? -EINVAL : 0;
}

/* A guest may hold what is left of the process's descriptors, and never all that the host has. */
static long fd_limit(uint32_t most) {
  struct rlimit limit;
  long soft = FD_RESERVE * 2;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    soft = limit.rlim_cur < FD_MAX ? (long)limit.rlim_cur : FD_MAX;
  soft -= soft / 4 < FD_RESERVE ? soft / 4 : FD_RESERVE;
  return most != 0 && most < soft ? (long)most : soft;
}

/* Anything else than procfs there would open what it likes for us. */
static int open_proc(struct virtiofs_passthrough *fs, int given) {
  struct statfs st;
  fs->proc = given > 0 ? "" : "/proc/self/fd/";
  fs->proc_fd = given > 0 ? fcntl(given, F_DUPFD_CLOEXEC, 0) : open(fs->proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int rc = fs->proc_fd < 0 || fstatfs(fs->proc_fd, &st) != 0 ? -errno : 0;
  if (rc == 0 && st.f_type != PROC_SUPER_MAGIC)
    rc = -ENOENT;
  if (rc != 0)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "/proc is needed and is not there");
  return rc;
}

/* Whatever somebody else's descriptor may be good for, ours is for names beneath it alone. */
static int open_dir(const struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  if (wanted->shared_fd != 0)
    return virtiofs_passthrough_reopen(fs, wanted->shared_fd, O_PATH | O_DIRECTORY);
  int fd = open(wanted->shared_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int open_root(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  struct statx stx;
  int rc = virtiofs_passthrough_fd_take(fs, 1);
  if (rc != 0)
    return rc;
  int fd = open_dir(fs, wanted);
  if (fd < 0) {
    virtiofs_passthrough_fd_give(fs, 1);
    return fd;
  }
  struct inode_parts parts = {.stx = &stx, .fd = fd};
  rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc == 0)
    rc = virtiofs_passthrough_mount_enter(fs, fd, &stx, &parts.mount);
  if (rc != 0) {
    virtiofs_passthrough_fd_close(fs, fd);
    return rc;
  }
  return virtiofs_passthrough_inode_enter(fs, &parts, &fs->root); /* it keeps its descriptor, whatever its mount can */
}

static uint32_t cached_fds(const struct virtiofs_passthrough *fs, uint32_t wanted) {
  if (wanted != 0)
    return (long)wanted < fs->fd_limit ? wanted : (uint32_t)fs->fd_limit;
  long share = fs->fd_limit / CACHED_SHARE;
  return share > CACHED_FDS ? CACHED_FDS : share > 0 ? (uint32_t)share : 1;
}

/* Return: 0; -ENOMEM, then nothing is left. */
static int init_tables(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  uint32_t idle_ms = wanted->inode_idle_ms != 0 ? wanted->inode_idle_ms : IDLE_MS;
  if (virtiofs_passthrough_table_init(&fs->table) != 0)
    return -ENOMEM;
  if (virtiofs_passthrough_fdcache_init(&fs->fds, cached_fds(fs, wanted->inode_fds)) != 0) {
    virtiofs_passthrough_table_fini(fs);
    return -ENOMEM;
  }
  if (virtiofs_passthrough_sweeper_init(&fs->sweeper, idle_ms) == 0) {
    if (pthread_mutex_init(&fs->mounts.lock, NULL) == 0)
      return 0;
    virtiofs_passthrough_sweeper_fini(&fs->sweeper);
  }
  virtiofs_passthrough_table_fini(fs);
  virtiofs_passthrough_fdcache_fini(&fs->fds);
  return -ENOMEM;
}

static int set_xattrs(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  fs->security_label = wanted->security_label != VIRTIOFS_PASSTHROUGH_NEVER;
  fs->needs_label = wanted->security_label == VIRTIOFS_PASSTHROUGH_ALWAYS;
  fs->xattr = wanted->xattr || wanted->xattrmap != NULL || wanted->posix_acl || fs->security_label;
  fs->needs_acl = wanted->posix_acl_required;
  fs->posix_acl = wanted->posix_acl && virtiofs_passthrough_has_acls(fs, virtiofs_passthrough_fd_borrow(fs, fs->root));
  if (wanted->posix_acl && !fs->posix_acl)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_WARN, "passthrough",
                       "the directory's file system has no POSIX ACLs: none are offered");
  if (wanted->xattrmap == NULL)
    return 0;
  const char *why;
  size_t at;
  int rc = virtiofs_passthrough_xattrmap_parse(&fs->xattrmap, wanted->xattrmap, &why, &at);
  if (rc == -EINVAL)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "the map of xattrs, character %zu: %s", at + 1,
                       why);
  return rc;
}

static int set_ids(const struct virtiofs_passthrough *fs, struct idmap **map, const char *rules, const char *whose) {
  const char *why = NULL;
  size_t at = 0;
  int rc = rules != NULL ? virtiofs_passthrough_idmap_parse(map, rules, &why, &at) : 0;
  if (rc == -EINVAL)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "the map of %s, rule at character %zu: %s", whose,
                       at + 1, why);
  return rc;
}

/* Ids within ACLs are not translated, so they would speak of others. */
static int set_maps(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  if (wanted->posix_acl && (wanted->translate_uid != NULL || wanted->translate_gid != NULL)) {
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "no POSIX ACLs while ids are translated");
    return -EINVAL;
  }
  int rc = set_ids(fs, &fs->uids, wanted->translate_uid, "uids");
  return rc == 0 ? set_ids(fs, &fs->gids, wanted->translate_gid, "gids") : rc;
}

static uint64_t epoch(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec + 1;
}

static void set_caching(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  fs->caching = (struct caching){.contents = wanted->cache,
                                 .writeback = wanted->writeback,
                                 .mmap = wanted->allow_mmap,
                                 .direct_io = wanted->allow_direct_io,
                                 .no_readdirplus = wanted->no_readdirplus};
}

static int set_locks(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  fs->posix_lock = !wanted->no_posix_lock;
  fs->flock = !wanted->no_flock;
  return fs->posix_lock || fs->flock
             ? virtiofs_passthrough_locks_new(&fs->locks, wanted->max_locks, wanted->lock_waiters)
             : 0;
}

static int count_quota(struct virtiofs_passthrough *fs) {
  int fd = virtiofs_passthrough_fd_borrow(fs, fs->root);
  int dir = fd < 0 ? fd : virtiofs_passthrough_reopen(fs, fd, O_RDONLY | O_DIRECTORY);
  if (fd >= 0)
    virtiofs_passthrough_fd_return(fs, fs->root, fd);
  int rc = dir < 0 ? dir : virtiofs_passthrough_quota_count(fs->quota, dir);
  if (rc != 0)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "can't count what there is for the quota: error %d",
                       -rc);
  return rc;
}

/* What a guest writes to a mapping grows a file with nobody being asked. */
static int set_quota(struct virtiofs_passthrough *fs, const struct virtiofs_passthrough_config *wanted) {
  if (wanted->quota_bytes == 0)
    return wanted->quota_inodes != 0 || wanted->quota_scan ? -EINVAL : 0;
  int rc = virtiofs_passthrough_quota_new(&fs->quota, wanted->quota_bytes, wanted->quota_inodes);
  fs->dax = VIRTIOFS_PASSTHROUGH_DAX_NEVER;
  return rc == 0 && wanted->quota_scan ? count_quota(fs) : rc;
}

int virtiofs_passthrough_new(struct virtiofs_passthrough **out, const struct virtiofs_passthrough_config *config) {
  struct virtiofs_passthrough_config wanted;
  *out = NULL;
  int rc = read_config(&wanted, config);
  if (rc != 0)
    return rc;
  struct virtiofs_passthrough *fs = aligned_alloc(alignof(struct virtiofs_passthrough), sizeof *fs);
  if (fs == NULL)
    return -ENOMEM;
  memset(fs, 0, sizeof *fs);
  fs->fd_limit = fd_limit(wanted.max_fds);
  rc = init_tables(fs, &wanted);
  if (rc != 0) {
    free(fs);
    return rc;
  }
  fs->handles = wanted.inode_file_handles;
  fs->dax = wanted.dax;
  fs->entry_valid_ns = wanted.entry_valid_ns;
  fs->attr_valid_ns = wanted.attr_valid_ns;
  fs->device_nodes = wanted.device_nodes;
  fs->readonly = wanted.readonly;
  fs->preserve_noatime = wanted.preserve_noatime;
  set_caching(fs, &wanted);
  fs->submounts = !wanted.hide_submounts;
  fs->log = wanted.log;
  fs->killpriv_v2 = wanted.killpriv_v2;
  atomic_init(&fs->keeps_ids, wanted.keep_ids);
  fs->epoch = epoch();
  fs->proc_fd = fs->task_fd = -1;
  rc = set_maps(fs, &wanted);
  if (rc == 0)
    rc = open_proc(fs, wanted.proc_fd);
  if (rc == 0)
    rc = open_root(fs, &wanted);
  if (rc == 0)
    rc = set_xattrs(fs, &wanted);
  if (rc == 0)
    rc = virtiofs_passthrough_killpriv_init(fs);
  if (rc == 0)
    virtiofs_passthrough_label_init(fs, wanted.proc_fd > 0 ? wanted.task_fd : -1);
  if (rc == 0)
    rc = set_locks(fs, &wanted);
  if (rc == 0)
    rc = set_quota(fs, &wanted);
  if (rc == 0 && wanted.max_dirty != 0)
    rc = virtiofs_passthrough_dirty_new(&fs->dirty, wanted.max_dirty);
  if (rc != 0) {
    virtiofs_passthrough_free(fs);
    return rc;
  }
  *out = fs;
  return 0;
}

void virtiofs_passthrough_free(struct virtiofs_passthrough *fs) {
  if (fs == NULL)
    return;
  virtiofs_passthrough_locks_free(fs->locks);
  virtiofs_passthrough_sweeper_fini(&fs->sweeper);
  virtiofs_passthrough_table_fini(fs);
  virtiofs_passthrough_quota_free(fs->quota);
  virtiofs_passthrough_dirty_free(fs->dirty);
  virtiofs_passthrough_fdcache_fini(&fs->fds);
  pthread_mutex_destroy(&fs->mounts.lock);
  virtiofs_passthrough_xattrmap_free(fs->xattrmap);
  virtiofs_passthrough_idmap_free(fs->uids);
  virtiofs_passthrough_idmap_free(fs->gids);
  free(fs->capability);
  if (fs->proc_fd >= 0)
    close(fs->proc_fd);
  if (fs->task_fd >= 0)
    close(fs->task_fd);
  free(fs);
}

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  const struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  if (fs->needs_label && (in->flags & VIRTIOFS_SEMANTICS_SECURITY_CTX) == 0) {
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "the guest sends no security labels: refused");
    return -EOPNOTSUPP;
  }
  if (fs->needs_acl && fs->posix_acl && (in->flags & VIRTIOFS_SEMANTICS_POSIX_ACL) == 0) {
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "the guest has no POSIX ACLs: refused");
    return -EOPNOTSUPP;
  }
  out->root = (uintptr_t)fs->root;
  if (fs->submounts)
    out->semantics |= VIRTIOFS_SEMANTICS_SUBMOUNTS;
  if (fs->posix_acl)
    out->semantics |= VIRTIOFS_SEMANTICS_POSIX_ACL | VIRTIOFS_SEMANTICS_DONT_MASK | VIRTIOFS_SEMANTICS_SETXATTR_EXT;
  if (fs->security_label)
    out->semantics |= VIRTIOFS_SEMANTICS_SECURITY_CTX;
  if (fs->killpriv_v2)
    out->semantics |= VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2 | VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC;
  virtiofs_passthrough_caching_init(&fs->caching, out);
  if (fs->dax != VIRTIOFS_PASSTHROUGH_DAX_NEVER)
    out->semantics |= VIRTIOFS_SEMANTICS_HAS_INODE_DAX;
  else
    out->without |= VIRTIOFS_BLOCKING_SETUPMAPPING;
  if (fs->flock)
    out->semantics |= VIRTIOFS_SEMANTICS_FLOCK_LOCKS;
  if (!fs->posix_lock)
    out->without |= VIRTIOFS_BLOCKING_GETLK; /* then there are none of fcntl(2) */
  if (!fs->posix_lock && !fs->flock)
    out->without |= VIRTIOFS_BLOCKING_SETLK | VIRTIOFS_BLOCKING_SETLKW;
  return 0;
}

/* Not among the blocking: what is answered from an inode that our descriptor keeps in the host's memory. One that has
 * had to be closed may take the disk's time, for once. */
static const struct virtiofs_ops ops = {
    .size = sizeof(struct virtiofs_ops),
    .semantics = VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP,
    .blocking =
        VIRTIOFS_BLOCKING_ALL & ~(VIRTIOFS_BLOCKING_GETATTR | VIRTIOFS_BLOCKING_STATX | VIRTIOFS_BLOCKING_STATFS |
                                  VIRTIOFS_BLOCKING_OPENDIR | VIRTIOFS_BLOCKING_RELEASEDIR),
    .init = init,
    .lookup = virtiofs_passthrough_lookup,
    .forget = virtiofs_passthrough_forget,
    .getattr = virtiofs_passthrough_getattr,
    .setattr = virtiofs_passthrough_guard_setattr,
    .readlink = virtiofs_passthrough_readlink,
    .symlink = virtiofs_passthrough_guard_symlink,
    .mknod = virtiofs_passthrough_guard_mknod,
    .mkdir = virtiofs_passthrough_guard_mkdir,
    .unlink = virtiofs_passthrough_guard_unlink,
    .rmdir = virtiofs_passthrough_guard_rmdir,
    .rename = virtiofs_passthrough_guard_rename,
    .link = virtiofs_passthrough_guard_link,
    .open = virtiofs_passthrough_guard_open,
    .read = virtiofs_passthrough_read,
    .write = virtiofs_passthrough_guard_write,
    .statfs = virtiofs_passthrough_statfs,
    .release = virtiofs_passthrough_release,
    .fsync = virtiofs_passthrough_fsync,
    .flush = virtiofs_passthrough_flush,
    .opendir = virtiofs_passthrough_opendir,
    .readdir = virtiofs_passthrough_readdir,
    .readdirplus = virtiofs_passthrough_readdirplus,
    .releasedir = virtiofs_passthrough_releasedir,
    .fsyncdir = virtiofs_passthrough_fsyncdir,
    .create = virtiofs_passthrough_guard_create,
    .fallocate = virtiofs_passthrough_guard_fallocate,
    .lseek = virtiofs_passthrough_lseek,
    .setxattr = virtiofs_passthrough_guard_setxattr,
    .getxattr = virtiofs_passthrough_getxattr,
    .listxattr = virtiofs_passthrough_listxattr,
    .removexattr = virtiofs_passthrough_guard_removexattr,
    .getlk = virtiofs_passthrough_getlk,
    .setlk = virtiofs_passthrough_setlk,
    .setlkw = virtiofs_passthrough_setlkw,
    .ioctl = virtiofs_passthrough_guard_ioctl,
    .copy_file_range = virtiofs_passthrough_guard_copy_file_range,
    .syncfs = virtiofs_passthrough_syncfs,
    .tmpfile = virtiofs_passthrough_guard_tmpfile,
    .statx = virtiofs_passthrough_statx,
    .setupmapping = virtiofs_passthrough_guard_setupmapping,
};

const struct virtiofs_ops *virtiofs_passthrough_ops(void) {
  return &ops;
}
