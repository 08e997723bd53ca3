/* SPDX-License-Identifier: BSD-3-Clause */
/* A second fence around the same directory, which the kernel keeps with the process and not with its mounts. */
#include "daemon/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TAG "sandbox"

/* Newer than some <linux/landlock.h>: what it can refuse, and since which version. */
#define FILES_1 ((UINT64_C(1) << 13) - 1)
#define EXECUTE (UINT64_C(1) << 0)
#define WRITE_FILE (UINT64_C(1) << 1)
#define READ_FILE (UINT64_C(1) << 2)
#define REFER (UINT64_C(1) << 13)
#define TRUNCATE (UINT64_C(1) << 14)
#define IOCTL_DEV (UINT64_C(1) << 15)
#define NET_TCP UINT64_C(3)
#define SCOPE_SOCKETS_AND_SIGNALS UINT64_C(3)
enum { VERSION_REFER = 2, VERSION_TRUNCATE = 3, VERSION_NET = 4, VERSION_IOCTL = 5, VERSION_SCOPE = 6 };

struct ruleset {
  uint64_t files, net, scoped;
};

static struct ruleset all_of(int version, bool files, bool network) {
  struct ruleset set = {0};
  if (files)
    set.files =
        FILES_1 | REFER | (version >= VERSION_TRUNCATE ? TRUNCATE : 0) | (version >= VERSION_IOCTL ? IOCTL_DEV : 0);
  if (version >= VERSION_NET && !network)
    set.net = NET_TCP;
  if (version >= VERSION_SCOPE)
    set.scoped = SCOPE_SOCKETS_AND_SIGNALS;
  return set;
}

static int allow_beneath(int ruleset, int fd, uint64_t access) {
  const struct landlock_path_beneath_attr beneath = {.allowed_access = access, .parent_fd = fd};
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0 ? 0 : -errno;
}

static int allow_directories(int ruleset, const struct ruleset *set, const struct virtiofs_sandbox_inside *inside,
                             const struct virtiofs_sandbox_config *config) {
  uint64_t served = set->files & ~(EXECUTE | IOCTL_DEV);
  int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int rc = root < 0 ? -errno : allow_beneath(ruleset, root, served);
  if (root >= 0)
    close(root);
  for (size_t i = 0; rc == 0 && i < config->tree_count; i++)
    rc = allow_beneath(ruleset, config->trees[i].fd, served);
  if (rc == 0 && inside->task_fd >= 0) /* what a thread labels with what it makes */
    rc = allow_beneath(ruleset, inside->task_fd, WRITE_FILE | READ_FILE);
  return rc;
}

static int restrict_to(const struct ruleset *set, const struct virtiofs_sandbox_inside *inside,
                       const struct virtiofs_sandbox_config *config) {
  size_t size = set->scoped != 0 ? sizeof(*set) : set->net != 0 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, set, size, 0);
  if (ruleset < 0)
    return -errno;
  int rc = set->files != 0 ? allow_directories(ruleset, set, inside, config) : 0;
  if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
    rc = -errno;
  close(ruleset);
  return rc;
}

int virtiofs_sandbox_landlock(struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *config,
                              bool by_handle) {
  inside->landlock = VIRTIOFS_SANDBOX_LANDLOCK_NONE;
  if (config->mode == VIRTIOFS_SANDBOX_NONE)
    return 0;
  inside->landlock = VIRTIOFS_SANDBOX_LANDLOCK_MISSING;
  int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  /* The first version refuses to move files from one directory to another, whatever the rules. */
  if (version < VERSION_REFER)
    return 0;
  const struct ruleset set = all_of(version, !by_handle && !config->more_directories, config->network);
  if (set.files == 0 && set.net == 0 && set.scoped == 0)
    return 0;
  int rc = restrict_to(&set, inside, config);
  if (rc == 0)
    inside->landlock = set.files != 0 ? VIRTIOFS_SANDBOX_LANDLOCK_FILES
                       : by_handle    ? VIRTIOFS_SANDBOX_LANDLOCK_REST
                                      : VIRTIOFS_SANDBOX_LANDLOCK_MORE;
  else
    virtiofs_log_write(&config->log, VIRTIOFS_LOG_ERROR, TAG, "Landlock: %s", strerror(-rc));
  return rc;
}
